// SPDX-License-Identifier: MIT
/*
 * The facts of a trace.dat. Version 6 is one long sequence; version 7 has sections
 * anywhere in the file, found through options, each compressed or not. Nothing the
 * file says about sizes is believed before it has been compared with the file's.
 */
#include "traces/import/trace_dat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/array.h"
#include "traces/foreign.h"

/* Hostile files must not ask for absurd memory. */
#define SECTION_MAX (256u << 20)
#define FORMATS_MAX 65536

enum option {
	OPTION_DONE = 0,
	OPTION_BUFFER = 3,
	OPTION_CLOCK = 4,
	OPTION_UNAME = 5,
	OPTION_CPUCOUNT = 8,
	OPTION_VERSION = 9,
	OPTION_TSC2NSEC = 14,
	OPTION_FTRACE_EVENTS = 17,
	OPTION_EVENT_FORMATS = 18,
};

#define SECTION_COMPRESSED 1

/* A piece of the file, or of a section unpacked. Reading past its end makes it bad, and gives zeros. */
struct piece {
	const u8 *data;
	u64 size, at;
	u64 offset;		/* of data[0] in the file, for messages */
	bool bad;
};

struct reading {
	struct rf_dat *dat;
	struct piece file;
	bool compressed;	/* sections may be */
	u64 options;		/* where the first options are, version 7 */
	bool clock_known;	/* from a buffer */
	struct rf_error *err;
};

static int damaged(struct reading *reading, const struct piece *piece, const char *what)
{
	return rf_error_set(reading->err, -EBADMSG, piece->offset + piece->at, "%s", what);
}

static const u8 *take(struct piece *piece, u64 bytes)
{
	const u8 *data = piece->data + piece->at;

	if (piece->bad || bytes > piece->size - piece->at) {
		piece->bad = true;
		return NULL;
	}
	piece->at += bytes;
	return data;
}

static u64 take_number(struct piece *piece, u32 bytes)
{
	const u8 *data = take(piece, bytes);
	u64 value = 0;

	for (u32 i = 0; data && i < bytes; i++)
		value |= (u64)data[i] << 8 * i;
	return value;
}

/* A string with its NUL; "" where there is none. */
static const char *take_string(struct piece *piece)
{
	const u8 *start = piece->data + piece->at;
	const u8 *end = piece->bad ? NULL : memchr(start, 0, piece->size - piece->at);

	if (!end) {
		piece->bad = true;
		return "";
	}
	piece->at += (u64)(end - start) + 1;
	return (const char *)start;
}

static char *copy_text(const u8 *data, u64 size)
{
	char *text = data ? malloc(size + 1) : NULL;

	if (text) {
		memcpy(text, data, size);
		text[size] = '\0';
	}
	return text;
}

static void copy_word(char *to, size_t room, const char *from, size_t length)
{
	snprintf(to, room, "%.*s", (int)min_u64(length, room - 1), from);
}

/* ---- formats ------------------------------------------------------------------ */

static int add_format(struct reading *reading, const char *system, char *text)
{
	struct rf_dat *dat = reading->dat;
	const char *name = text && !strncmp(text, "name: ", 6) ? text + 6 : "";
	const char *id = text ? strstr(text, "\nID: ") : NULL;
	struct rf_dat_format *format;

	if (array_grow(dat->formats, dat->formats_room, dat->nr_formats + 1)) {
		free(text);
		return rf_error_set(reading->err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	}
	format = &dat->formats[dat->nr_formats++];
	format->system = strdup(system);
	format->name = strndup(name, strcspn(name, "\n"));
	format->text = text;
	format->id = id ? (u16)strtoul(id + 5, NULL, 10) : 0;
	if (!format->system || !format->name || !text)
		return rf_error_set(reading->err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	return 0;
}

static int read_formats(struct reading *reading, struct piece *piece, const char *system)
{
	u64 nr = take_number(piece, 4);
	int ret = 0;

	for (u64 i = 0; i < nr && !ret; i++) {
		u64 size = take_number(piece, 8);
		const u8 *data = take(piece, size);

		if (!data || reading->dat->nr_formats == FORMATS_MAX)
			return damaged(reading, piece, "the formats of its events are cut off or damaged");
		ret = add_format(reading, system, copy_text(data, size));
	}
	return piece->bad ? damaged(reading, piece, "the formats of its events are cut off or damaged") : ret;
}

static int read_systems(struct reading *reading, struct piece *piece)
{
	u64 nr = take_number(piece, 4);
	int ret = 0;

	for (u64 i = 0; i < nr && !ret && !piece->bad; i++) {
		const char *system = take_string(piece);

		ret = read_formats(reading, piece, system);
	}
	return ret;
}

/* ---- options ------------------------------------------------------------------- */

/* "Linux HOST RELEASE MACHINE" */
static void read_uname(struct rf_dat *dat, char *line)
{
	char *words[4] = { NULL }, *rest = NULL;
	size_t nr = 0;

	for (char *word = strtok_r(line, " \n", &rest); word && nr < 4; word = strtok_r(NULL, " \n", &rest))
		words[nr++] = word;
	if (nr < 4)
		return;
	copy_word(dat->release, sizeof(dat->release), words[2], strlen(words[2]));
	copy_word(dat->machine, sizeof(dat->machine), words[3], strlen(words[3]));
}

/* "[local] global counter ..." */
static void read_clock(struct rf_dat *dat, const char *line)
{
	const char *open = strchr(line, '['), *close = open ? strchr(open, ']') : NULL;

	if (close)
		copy_word(dat->clock, sizeof(dat->clock), open + 1, (size_t)(close - open) - 1);
}

/* Where the events of a CPU are. libtracecmd crashes on a file that ends before them. */
static int read_place(struct reading *reading, struct piece *piece, bool packed, u64 *bytes)
{
	u64 offset = take_number(piece, 8), size = take_number(piece, 8), file = reading->file.size;

	*bytes += size;
	if (packed || piece->bad || (offset <= file && size <= file - offset))
		return 0;
	return rf_error_set(reading->err, -EBADMSG, file, "it is cut off: its events go on to byte %llu",
			    (unsigned long long)(offset + size));
}

/* A buffer's own clock is the one its events have, if it has any. */
static int read_buffer(struct reading *reading, struct piece piece)
{
	struct piece section = reading->file;
	struct rf_dat *dat = reading->dat;
	const char *clock;
	u64 cpus, bytes = 0, packed;
	int ret = 0;

	section.at = min_u64(take_number(&piece, 8), section.size);
	take_number(&section, 2);
	packed = take_number(&section, 2) & SECTION_COMPRESSED;
	take_string(&piece);
	clock = take_string(&piece);
	take_number(&piece, 4);
	cpus = take_number(&piece, 4);
	for (u64 i = 0; i < cpus && !piece.bad && !ret; i++) {
		take_number(&piece, 4);
		ret = read_place(reading, &piece, packed, &bytes);
	}
	if (ret || piece.bad || !bytes || !*clock)
		return ret;
	dat->mixed_clocks |= reading->clock_known && strcmp(dat->clock, clock);
	reading->clock_known = true;
	copy_word(dat->clock, sizeof(dat->clock), clock, strlen(clock));
	return 0;
}

static void read_option(struct rf_dat *dat, u64 option, struct piece piece)
{
	char line[256];

	copy_word(line, sizeof(line), (const char *)piece.data, strnlen((const char *)piece.data, piece.size));
	switch (option) {
	case OPTION_CLOCK:
		read_clock(dat, line);
		break;
	case OPTION_TSC2NSEC:
		dat->converts_clock = true;
		break;
	case OPTION_UNAME:
		read_uname(dat, line);
		break;
	case OPTION_CPUCOUNT:
		dat->cpus = (u32)take_number(&piece, 4);
		break;
	case OPTION_VERSION:
		copy_word(dat->tool, sizeof(dat->tool), line, strcspn(line, "\n"));
		break;
	}
}

/* ---- version 6 --------------------------------------------------------------------- */

static void skip(struct piece *file, u32 width)
{
	u64 size = take_number(file, width);

	take(file, size);
}

static int read_version_6(struct reading *reading)
{
	struct piece *file = &reading->file;
	u64 option, bytes = 0;
	int ret;

	for (int header = 0; header < 2; header++) {
		take_string(file);
		skip(file, 8);
	}
	ret = read_formats(reading, file, "ftrace");
	if (!ret)
		ret = read_systems(reading, file);
	if (ret)
		return ret;
	skip(file, 4);		/* kernel symbols */
	skip(file, 4);		/* texts of trace_printk() */
	skip(file, 8);		/* names of tasks */
	reading->dat->cpus = (u32)take_number(file, 4);
	if (strncmp(take_string(file), "options", 7))
		return file->bad ? damaged(reading, file, "it is cut off before its events") : 0;
	while ((option = take_number(file, 2)) != OPTION_DONE) {
		struct piece piece = { .size = take_number(file, 4), .offset = file->offset + file->at };

		piece.data = take(file, piece.size);
		if (piece.data)
			read_option(reading->dat, option, piece);
	}
	if (strcmp(take_string(file), "flyrecord"))
		return file->bad ? damaged(reading, file, "it is cut off before its events") : 0;
	for (u32 i = 0; i < reading->dat->cpus && !ret; i++)
		ret = file->bad ? damaged(reading, file, "it is cut off before its events")
				: read_place(reading, file, false, &bytes);
	return ret;
}

/* ---- version 7 --------------------------------------------------------------------- */

static int unpack(struct reading *reading, struct piece *section, u8 **unpacked)
{
	u64 packed_size = take_number(section, 4), size = take_number(section, 4);
	const u8 *packed = take(section, packed_size);
	size_t got;

	if (!packed || size > SECTION_MAX)
		return damaged(reading, section, "a compressed section is cut off or damaged");
	*unpacked = malloc(size + 1);
	if (!*unpacked)
		return rf_error_set(reading->err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	got = ZSTD_decompress(*unpacked, size, packed, packed_size);
	if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation)
		return rf_error_set(reading->err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (ZSTD_isError(got) || got != size)
		return damaged(reading, section, "a compressed section cannot be unpacked");
	*section = (struct piece){ .data = *unpacked, .size = size, .offset = section->offset };
	return 0;
}

/* The section at an offset, unpacked if need be: then "unpacked" is to be freed. */
static int open_section(struct reading *reading, u64 offset, struct piece *section, u8 **unpacked)
{
	struct piece header = reading->file;
	u64 flags, size;

	header.at = min_u64(offset, header.size);
	take_number(&header, 2);
	flags = take_number(&header, 2);
	take_number(&header, 4);
	size = take_number(&header, 8);
	*section = (struct piece){ .size = size, .offset = header.at };
	section->data = take(&header, size);
	if (!section->data)
		return damaged(reading, &header, "a section is cut off or damaged");
	if (!(flags & SECTION_COMPRESSED))
		return 0;
	if (!reading->compressed)
		return damaged(reading, &header, "a section is compressed, the file is not");
	return unpack(reading, section, unpacked);
}

static int read_section(struct reading *reading, u64 option, u64 offset)
{
	struct piece section;
	u8 *unpacked = NULL;
	int ret = open_section(reading, offset, &section, &unpacked);

	if (!ret)
		ret = option == OPTION_EVENT_FORMATS ? read_systems(reading, &section) :
						       read_formats(reading, &section, "ftrace");
	free(unpacked);
	return ret;
}

/* One section of options; next: where the next is, 0: nowhere. */
static int read_options(struct reading *reading, struct piece *section, u64 *next)
{
	for (;;) {
		u64 option = take_number(section, 2), size = take_number(section, 4);
		struct piece piece = { .size = size, .offset = section->offset + section->at };
		int ret = 0;

		piece.data = take(section, size);
		if (!piece.data)
			return damaged(reading, section, "its options are cut off or damaged");
		if (option == OPTION_DONE) {
			*next = take_number(&piece, 8);
			return 0;
		}
		if (option == OPTION_EVENT_FORMATS || option == OPTION_FTRACE_EVENTS)
			ret = read_section(reading, option, take_number(&piece, 8));
		else if (option == OPTION_BUFFER)
			ret = read_buffer(reading, piece);
		else
			read_option(reading->dat, option, piece);
		if (ret)
			return ret;
	}
}

static int read_version_7(struct reading *reading)
{
	u64 offset = reading->options;
	int ret = 0;

	/* Options may follow options; a circle of them is damage. */
	for (int round = 0; offset && !ret; round++) {
		struct piece section;
		u8 *unpacked = NULL;

		ret = open_section(reading, offset, &section, &unpacked);
		if (!ret)
			ret = round < 256 ? read_options(reading, &section, &offset) :
					    damaged(reading, &section, "its options have no end");
		free(unpacked);
	}
	return ret;
}

/* ---- the file ------------------------------------------------------------------------ */

static int not_a_trace_dat(struct reading *reading)
{
	const char *what = rf_foreign_file(reading->file.data, min_u64(reading->file.size, RF_FOREIGN_BYTES));

	return rf_error_set(reading->err, -EPROTO, RF_NO_OFFSET, "not a trace.dat of trace-cmd%s%s",
			    what ? ", but " : "", what ? what : "");
}

static int read_file(struct reading *reading)
{
	struct piece *file = &reading->file;
	struct rf_dat *dat = reading->dat;
	const u8 *magic = take(file, 10);
	u64 big_endian, long_size;

	if (!magic || memcmp(magic, "\x17\x08\x44tracing", 10))
		return not_a_trace_dat(reading);
	dat->version = (u32)strtoul(take_string(file), NULL, 10);
	big_endian = take_number(file, 1);
	long_size = take_number(file, 1);
	dat->page_size = (u32)take_number(file, 4);
	if (file->bad)
		return damaged(reading, file, "it ends within its first header");
	if (dat->version != 6 && dat->version != 7)
		return rf_error_set(reading->err, -EPROTO, RF_NO_OFFSET,
				    "a trace.dat of version %u; versions 6 and 7 can be read", dat->version);
	if (big_endian || long_size != 8)
		return rf_error_set(reading->err, -EPROTO, RF_NO_OFFSET,
				    "recorded on a %s machine; only 64-bit little-endian ones can be replayed",
				    big_endian ? "big-endian" : "32-bit");
	if (dat->page_size < 4096 || dat->page_size > 65536 || dat->page_size & (dat->page_size - 1))
		return damaged(reading, file, "its page size is none");
	if (dat->version == 6)
		return read_version_6(reading);
	reading->compressed = strcmp(take_string(file), "none") != 0;
	take_string(file);
	reading->options = take_number(file, 8);
	if (file->bad)
		return damaged(reading, file, "it ends within its first header");
	return read_version_7(reading);
}

int rf_dat_read(const char *path, struct rf_dat *dat, struct rf_error *err)
{
	struct reading reading = { .dat = dat, .err = err };
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;
	struct stat status;
	void *bytes;

	memset(dat, 0, sizeof(*dat));
	if (fd < 0 || fstat(fd, &status)) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return rf_error_set(err, ret, RF_NO_OFFSET, "cannot open: %s", strerror(-ret));
	}
	if (!S_ISREG(status.st_mode) || !status.st_size) {
		close(fd);
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "not a trace.dat of trace-cmd");
	}
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	reading.file = (struct piece){ .data = bytes, .size = (u64)status.st_size };
	ret = read_file(&reading);
	munmap(bytes, (size_t)status.st_size);
	return ret;
}

void rf_dat_free(struct rf_dat *dat)
{
	for (size_t i = 0; i < dat->nr_formats; i++) {
		free(dat->formats[i].system);
		free(dat->formats[i].name);
		free(dat->formats[i].text);
	}
	free(dat->formats);
	memset(dat, 0, sizeof(*dat));
}

const struct rf_dat_format *rf_dat_format(const struct rf_dat *dat, const char *system, const char *name)
{
	for (size_t i = 0; i < dat->nr_formats; i++)
		if (!strcmp(dat->formats[i].system, system) && !strcmp(dat->formats[i].name, name))
			return &dat->formats[i];
	return NULL;
}

bool rf_dat_field(const struct rf_dat_format *format, const char *name, u32 *offset, u32 *size)
{
	size_t length = strlen(name);

	for (const char *at = format->text; (at = strstr(at, name)); at += length)
		if (at > format->text && (at[-1] == ' ' || at[-1] == '\t') &&
		    sscanf(at + length, ";\toffset:%u;\tsize:%u;", offset, size) == 2)
			return *size >= 1 && *size <= 8;
	return false;
}
