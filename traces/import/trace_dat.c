// SPDX-License-Identifier: MIT
/*
 * How a trace.dat is laid out. Version 6 is one long sequence; version 7 has sections
 * anywhere in the file, found through options, each compressed or not.
 */
#include "traces/import/trace_dat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/array.h"
#include "traces/events/format.h"
#include "traces/foreign.h"
#include "traces/import/facts.h"

/* Hostile files must not ask for absurd memory. */
#define SECTION_MAX (256u << 20)
#define SECTION_HEADER_BYTES 16

/* ---- version 6 --------------------------------------------------------------------- */

static void skip(struct piece *file, u32 width)
{
	piece_skip(file, piece_number(file, width));
}

/* The table of where each CPU's events are. */
static int read_places(struct reading *reading, struct piece *piece, u32 buffer)
{
	int ret = 0;

	for (u32 i = 0; i < reading->dat->cpus && !ret; i++) {
		struct rf_dat_place place = { .page_size = reading->dat->page_size, .buffer = buffer, .cpu = (u16)i };

		ret = facts_place(reading, piece, &place);
		if (!ret && (piece->bad || i > UINT16_MAX))
			ret = facts_damaged(reading, piece, "it is cut off before its events");
	}
	return ret;
}

struct buffers_6 {
	u64 *offsets;
	size_t nr, room;
};

static int note_buffer(struct reading *reading, struct buffers_6 *buffers, struct piece piece)
{
	u64 offset = piece_number(&piece, 8);

	/* The one without a name is what follows the options. */
	if (!*piece_string(&piece))
		return 0;
	if (array_grow(buffers->offsets, buffers->room, buffers->nr + 1))
		return facts_out_of_memory(reading);
	buffers->offsets[buffers->nr++] = offset;
	return 0;
}

static int read_buffers(struct reading *reading, const struct buffers_6 *buffers)
{
	int ret = 0;

	for (size_t i = 0; i < buffers->nr && !ret; i++) {
		struct piece piece = reading->file;

		reading->window.held = 0;
		piece.at = min_u64(buffers->offsets[i], piece.size);
		if (!strncmp(piece_string(&piece), "flyrecord", 9))
			ret = read_places(reading, &piece, (u32)i + 1);
		else
			ret = facts_damaged(reading, &piece, "a buffer is cut off");
	}
	return ret;
}

static int read_options_6(struct reading *reading, struct buffers_6 *buffers)
{
	struct piece *file = &reading->file;
	u64 option;
	int ret = 0;

	while (!ret && (option = piece_number(file, 2)) != OPTION_DONE) {
		struct piece piece = { .size = piece_number(file, 4), .offset = file->offset + file->at };

		piece.data = piece_take(file, piece.size);
		if (piece.data && option == OPTION_BUFFER)
			ret = note_buffer(reading, buffers, piece);
		else if (piece.data)
			facts_option(reading->dat, option, piece);
	}
	return ret;
}

static int read_events_6(struct reading *reading, struct buffers_6 *buffers)
{
	struct piece *file = &reading->file;
	int ret = 0;

	if (strncmp(piece_string(file), "options", 7))
		return file->bad ? facts_damaged(reading, file, "it is cut off before its events") : 0;
	ret = read_options_6(reading, buffers);
	if (!ret && strcmp(piece_string(file), "flyrecord"))
		return file->bad ? facts_damaged(reading, file, "it is cut off before its events") : 0;
	if (!ret)
		ret = read_places(reading, file, 0);
	return ret ? ret : read_buffers(reading, buffers);
}

static int read_version_6(struct reading *reading)
{
	struct buffers_6 buffers = { NULL, 0, 0 };
	struct piece *file = &reading->file;
	int ret;

	for (int header = 0; header < 2; header++) {
		piece_string(file);
		skip(file, 8);
	}
	ret = facts_formats(reading, file, "ftrace");
	if (!ret)
		ret = facts_systems(reading, file);
	if (ret)
		return ret;
	skip(file, 4);		/* kernel symbols */
	skip(file, 4);		/* texts of trace_printk() */
	ret = facts_names(reading, file);
	if (ret)
		return ret;
	reading->dat->cpus = (u32)piece_number(file, 4);
	ret = read_events_6(reading, &buffers);
	free(buffers.offsets);
	return ret;
}

/* ---- version 7 --------------------------------------------------------------------- */

static int unpack(struct reading *reading, struct piece *section, u8 **bytes)
{
	u64 packed_size = piece_number(section, 4), size = piece_number(section, 4);
	const u8 *packed = piece_take(section, packed_size);
	u8 *unpacked;
	size_t got;

	if (!packed || size > SECTION_MAX)
		return facts_damaged(reading, section, "a compressed section is cut off or damaged");
	unpacked = malloc(size + 1);
	if (!unpacked)
		return facts_out_of_memory(reading);
	got = ZSTD_decompress(unpacked, size, packed, packed_size);
	free(*bytes);
	*bytes = unpacked;
	if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation)
		return facts_out_of_memory(reading);
	if (ZSTD_isError(got) || got != size)
		return facts_damaged(reading, section, "a compressed section cannot be unpacked");
	*section = (struct piece){ .data = unpacked, .size = size, .offset = section->offset };
	return 0;
}

/* The section at an offset, unpacked if need be; its bytes are to be freed. */
static int open_section(struct reading *reading, u64 offset, struct piece *section, u8 **bytes)
{
	u8 raw[SECTION_HEADER_BYTES] = { 0 };
	struct piece header = { .data = raw, .size = sizeof(raw), .offset = min_u64(offset, reading->file.size) };
	u64 flags, size, left = reading->file.size - header.offset;
	int *failed = &reading->window.error;

	*failed = left < sizeof(raw) ? -EBADMSG : piece_read(reading->dat->fd, offset, raw, sizeof(raw));
	piece_number(&header, 2);
	flags = piece_number(&header, 2);
	piece_number(&header, 4);
	size = piece_number(&header, 8);
	*section = (struct piece){ .size = size, .offset = header.offset + header.at };
	reading->sections += size;
	/* Each is there once, so that together they are not longer than the file. */
	if (*failed || size > left - sizeof(raw) || reading->sections > reading->file.size)
		return facts_damaged(reading, &header, "a section is cut off or damaged");
	*bytes = malloc(size + 1);
	if (!*bytes)
		return facts_out_of_memory(reading);
	section->data = *bytes;
	*failed = piece_read(reading->dat->fd, section->offset, *bytes, size);
	if (*failed)
		return facts_damaged(reading, &header, "a section is cut off or damaged");
	if (!(flags & SECTION_COMPRESSED))
		return 0;
	if (!reading->compressed)
		return facts_damaged(reading, &header, "a section is compressed, the file is not");
	return unpack(reading, section, bytes);
}

static int read_section(struct reading *reading, u64 option, u64 offset)
{
	struct piece section;
	u8 *bytes = NULL;
	struct rf_dat *dat = reading->dat;
	int ret = open_section(reading, offset, &section, &bytes);

	if (!ret && array_grow(dat->sections, dat->sections_room, dat->nr_sections + 1))
		ret = facts_out_of_memory(reading);
	if (ret) {
		free(bytes);
		return ret;
	}
	dat->sections[dat->nr_sections++] = bytes;
	reading->section = (char *)bytes;
	if (option == OPTION_NAMES)
		return facts_names(reading, &section);
	return option == OPTION_EVENT_FORMATS ? facts_systems(reading, &section) :
						facts_formats(reading, &section, "ftrace");
}

static bool has_section(u64 option)
{
	return option == OPTION_EVENT_FORMATS || option == OPTION_FTRACE_EVENTS || option == OPTION_NAMES;
}

/* One section of options; next: where the next is, 0: nowhere. */
static int read_options(struct reading *reading, struct piece *section, u64 *next)
{
	for (;;) {
		u64 option = piece_number(section, 2), size = piece_number(section, 4);
		struct piece piece = { .size = size, .offset = section->offset + section->at };
		int ret = 0;

		piece.data = piece_take(section, size);
		if (!piece.data)
			return facts_damaged(reading, section, "its options are cut off or damaged");
		if (option == OPTION_DONE) {
			*next = piece_number(&piece, 8);
			return 0;
		}
		if (has_section(option))
			ret = read_section(reading, option, piece_number(&piece, 8));
		else if (option == OPTION_BUFFER)
			ret = facts_buffer(reading, piece);
		else
			facts_option(reading->dat, option, piece);
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
		u8 *bytes = NULL;

		ret = open_section(reading, offset, &section, &bytes);
		if (!ret)
			ret = round < 256 ? read_options(reading, &section, &offset) :
					    facts_damaged(reading, &section, "its options have no end");
		free(bytes);
	}
	return ret;
}

/* ---- the file ------------------------------------------------------------------------ */

static int not_a_trace_dat(struct reading *reading)
{
	struct piece start = reading->file;
	u64 size = min_u64(start.size, RF_FOREIGN_BYTES);
	const char *what;
	const u8 *bytes;

	start.at = 0;
	start.bad = false;
	bytes = piece_take(&start, size);
	if (!bytes)
		return facts_damaged(reading, &start, "it ends within its first header");
	what = rf_foreign_file(bytes, size);
	return rf_error_set(reading->err, -EPROTO, RF_NO_OFFSET, "not a trace.dat of trace-cmd%s%s",
			    what ? ", but " : "", what ? what : "");
}

static int read_file(struct reading *reading)
{
	struct piece *file = &reading->file;
	struct rf_dat *dat = reading->dat;
	const u8 *magic = piece_take(file, 10);
	u64 big_endian, long_size;

	if (!magic || memcmp(magic, "\x17\x08\x44tracing", 10))
		return not_a_trace_dat(reading);
	dat->version = (u32)strtoul(piece_string(file), NULL, 10);
	big_endian = piece_number(file, 1);
	long_size = piece_number(file, 1);
	dat->page_size = (u32)piece_number(file, 4);
	if (file->bad)
		return facts_damaged(reading, file, "it ends within its first header");
	if (dat->version != 6 && dat->version != 7)
		return rf_error_set(reading->err, -EPROTO, RF_NO_OFFSET,
				    "a trace.dat of version %u; versions 6 and 7 can be read", dat->version);
	if (big_endian || long_size != 8)
		return rf_error_set(reading->err, -EPROTO, RF_NO_OFFSET,
				    "recorded on a %s machine; only 64-bit little-endian ones can be replayed",
				    big_endian ? "big-endian" : "32-bit");
	if (dat->page_size < 4096 || dat->page_size > 65536 || dat->page_size & (dat->page_size - 1))
		return facts_damaged(reading, file, "its page size is none");
	if (dat->version == 6)
		return read_version_6(reading);
	reading->compressed = strcmp(piece_string(file), "none") != 0;
	piece_string(file);
	reading->options = piece_number(file, 8);
	if (file->bad)
		return facts_damaged(reading, file, "it ends within its first header");
	return read_version_7(reading);
}

int rf_dat_read(const char *path, struct rf_dat *dat, struct rf_error *err)
{
	struct reading reading = { .dat = dat, .err = err };
	struct stat status;
	int ret;

	memset(dat, 0, sizeof(*dat));
	dat->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (dat->fd < 0 || fstat(dat->fd, &status)) {
		ret = -errno;
		return rf_error_set(err, ret, RF_NO_OFFSET, "cannot open: %s", strerror(-ret));
	}
	if (!S_ISREG(status.st_mode) || !status.st_size)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "not a trace.dat of trace-cmd");
	dat->size = (u64)status.st_size;
	reading.window.fd = dat->fd;
	reading.file = (struct piece){ .window = &reading.window, .size = dat->size };
	ret = read_file(&reading);
	if (!ret && reading.window.error)
		ret = facts_damaged(&reading, &reading.file, "it changes while it is read");
	if (!ret)
		facts_end_formats(dat);
	free(reading.window.bytes);
	return ret;
}

void rf_dat_free(struct rf_dat *dat)
{
	for (size_t i = 0; i < dat->nr_formats; i++) {
		free(dat->formats[i].system);
		free(dat->formats[i].name);
		if (!dat->formats[i].inside)
			free(dat->formats[i].text);
	}
	for (size_t i = 0; i < dat->nr_sections; i++)
		free(dat->sections[i]);
	free(dat->sections);
	free(dat->formats);
	free(dat->names);
	dat_names_free(&dat->names_by_tid);
	free(dat->places);
	if (dat->fd >= 0)
		close(dat->fd);
	*dat = (struct rf_dat){ .fd = -1 };
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
	struct rf_format_field field;
	struct rf_format fields;

	if (!rf_format_read(&fields, format->text) || !rf_format_find(fields.fields, name, 0, &field))
		return false;
	*offset = field.offset;
	*size = field.size;
	return field.size >= 1 && field.size <= 8;
}
