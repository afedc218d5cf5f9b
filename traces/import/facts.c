// SPDX-License-Identifier: MIT
/*
 * The parts of a trace.dat: formats, options, names of tasks. Nothing they say about
 * sizes is believed before it has been compared with the file's.
 */
#include "traces/import/facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* Hostile files must not ask for absurd memory. */
#define FORMATS_MAX 65536
#define SYSTEM_BYTES 256
#define MOST_PAGE_BYTES (1 << 20)	/* buffer_subbuf_size_kb */

int facts_damaged(struct reading *reading, const struct piece *piece, const char *what)
{
	int failed = reading->window.error;

	if (failed == -ENOMEM)
		return facts_out_of_memory(reading);
	if (failed && failed != -EBADMSG)
		return rf_error_set(reading->err, failed, piece->offset + piece->at, "cannot read: %s",
				    strerror(-failed));
	return rf_error_set(reading->err, -EBADMSG, piece->offset + piece->at, "%s", what);
}

int facts_out_of_memory(struct reading *reading)
{
	return rf_error_set(reading->err, -ENOMEM, RF_NO_OFFSET, "out of memory");
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

/* The text is copied from the file, but not from a section, whose bytes stay. */
static int add_format(struct reading *reading, const char *system, const struct piece *piece, const u8 *data, u64 size)
{
	struct rf_dat *dat = reading->dat;
	bool named = size > 6 && !memcmp(data, "name: ", 6), inside = piece->data;
	const u8 *id = memmem(data, size, "\nID: ", 5), *name = named ? data + 6 : data;
	const u8 *name_end = named ? memchr(name, '\n', size - 6) : name;
	struct rf_dat_format *format;

	if (array_grow(dat->formats, dat->formats_room, dat->nr_formats + 1))
		return facts_out_of_memory(reading);
	format = &dat->formats[dat->nr_formats++];
	*format = (struct rf_dat_format){ .system = strdup(system), .size = size, .inside = inside };
	format->name = strndup((const char *)name, name_end ? (size_t)(name_end - name) : size - 6);
	format->text = inside ? reading->section + (data - piece->data) : copy_text(data, size);
	format->id = id ? (u16)strtoul((const char *)id + 5, NULL, 10) : 0;
	if (!format->system || !format->name || !format->text)
		return facts_out_of_memory(reading);
	return 0;
}

void facts_end_formats(struct rf_dat *dat)
{
	for (size_t i = 0; i < dat->nr_formats; i++)
		dat->formats[i].text[dat->formats[i].size] = '\0';
}

int facts_formats(struct reading *reading, struct piece *piece, const char *system)
{
	u64 nr = piece_number(piece, 4);
	int ret = 0;

	for (u64 i = 0; i < nr && !ret; i++) {
		u64 size = piece_number(piece, 8);
		const u8 *data = piece_take(piece, size);

		if (!data || reading->dat->nr_formats == FORMATS_MAX)
			return facts_damaged(reading, piece, "the formats of its events are cut off or damaged");
		ret = add_format(reading, system, piece, data, size);
	}
	return piece->bad ? facts_damaged(reading, piece, "the formats of its events are cut off or damaged") : ret;
}

int facts_systems(struct reading *reading, struct piece *piece)
{
	u64 nr = piece_number(piece, 4);
	int ret = 0;

	for (u64 i = 0; i < nr && !ret && !piece->bad; i++) {
		char system[SYSTEM_BYTES];

		snprintf(system, sizeof(system), "%s", piece_string(piece));
		ret = facts_formats(reading, piece, system);
	}
	return ret;
}

/* ---- names of tasks ----------------------------------------------------------- */

/* Lines of a number and a name. */
static int learn_names(struct rf_dat *dat)
{
	char *line = dat->names, *end, *name;

	for (; line && *line; line = end ? end + 1 : NULL) {
		u32 tid = (u32)strtoul(line, &name, 10);

		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		name += strspn(name, " ");
		if (*name && dat_names_set(&dat->names_by_tid, tid, (u32)(name - dat->names) + 1))
			return -ENOMEM;
	}
	return 0;
}

int facts_names(struct reading *reading, struct piece *piece)
{
	struct rf_dat *dat = reading->dat;
	u64 size = piece_number(piece, 8);
	const u8 *data = piece_take(piece, size);

	if (!data || size > UINT32_MAX - 1)
		return facts_damaged(reading, piece, "the names of its tasks are cut off or damaged");
	free(dat->names);
	dat_names_free(&dat->names_by_tid);
	dat->names = copy_text(data, size);
	return !dat->names || learn_names(dat) ? facts_out_of_memory(reading) : 0;
}

const char *rf_dat_name(const struct rf_dat *dat, u32 tid)
{
	u32 at = dat_names_find(&dat->names_by_tid, tid);

	return at ? dat->names + at - 1 : "";
}

/* ---- options ------------------------------------------------------------------ */

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

int facts_place(struct reading *reading, struct piece *piece, const struct rf_dat_place *place)
{
	u64 offset = piece_number(piece, 8), size = piece_number(piece, 8), file = reading->file.size;
	struct rf_dat *dat = reading->dat;

	if (piece->bad || !size)
		return 0;
	if (offset > file || size > file - offset)
		return rf_error_set(reading->err, -EBADMSG, file, "it is cut off: its events go on to byte %llu",
				    (unsigned long long)(offset + size));
	reading->events += size;
	if (reading->events > file)
		return facts_damaged(reading, piece, "it says that several CPUs have their events in the same place");
	if (array_grow(dat->places, dat->places_room, dat->nr_places + 1))
		return facts_out_of_memory(reading);
	dat->places[dat->nr_places] = *place;
	dat->places[dat->nr_places].offset = offset;
	dat->places[dat->nr_places++].size = size;
	return 0;
}

/* A buffer's own clock is the one its events have, if it has any. */
static void note_clock(struct reading *reading, const char *clock)
{
	struct rf_dat *dat = reading->dat;

	dat->mixed_clocks |= reading->clock_known && strcmp(dat->clock, clock);
	reading->clock_known = true;
	copy_word(dat->clock, sizeof(dat->clock), clock, strlen(clock));
}

static bool is_page_size(u64 size)
{
	return size >= 4096 && size <= MOST_PAGE_BYTES && !(size & (size - 1));
}

int facts_buffer(struct reading *reading, struct piece piece)
{
	u64 section = piece_number(&piece, 8), before = reading->events, cpus, page_size;
	struct rf_dat_place place = { .page_size = reading->dat->page_size };
	const char *name = piece_string(&piece), *clock = piece_string(&piece);
	u8 header[4] = { 0 };
	int ret = 0;

	page_size = piece_number(&piece, 4);
	if (is_page_size(page_size))
		place.page_size = (u32)page_size;
	place.buffer = *name ? ++reading->buffers : 0;
	cpus = piece_number(&piece, 4);
	if (cpus && section + sizeof(header) <= reading->file.size)
		reading->window.error = piece_read(reading->dat->fd, section, header, sizeof(header));
	if (reading->window.error)
		return facts_damaged(reading, &piece, "a buffer is cut off");
	place.packed = header[2] & SECTION_COMPRESSED;
	for (u64 i = 0; i < cpus && !piece.bad && !ret; i++) {
		u64 cpu = piece_number(&piece, 4);

		place.cpu = (u16)cpu;
		ret = cpu > UINT16_MAX ? facts_damaged(reading, &piece, "it has events of a CPU that cannot be") :
					 facts_place(reading, &piece, &place);
	}
	if (!ret && !piece.bad && reading->events > before && *clock)
		note_clock(reading, clock);
	return ret;
}

static void read_conversion(struct rf_dat *dat, struct piece *piece)
{
	u32 multiplier = (u32)piece_number(piece, 4), shift = (u32)piece_number(piece, 4);

	dat->converts_clock = true;
	/* libtracecmd takes nothing shorter. */
	if (piece->size < 16)
		return;
	dat->multiplier = multiplier;
	dat->shift = shift;
}

void facts_option(struct rf_dat *dat, u64 option, struct piece piece)
{
	char line[256];

	copy_word(line, sizeof(line), (const char *)piece.data, strnlen((const char *)piece.data, piece.size));
	switch (option) {
	case OPTION_DATE:
		/* In microseconds. */
		dat->time_offset += (u64)strtoll(line, NULL, 0) * 1000;
		break;
	case OPTION_OFFSET:
		dat->time_offset += (u64)strtoll(line, NULL, 0);
		break;
	case OPTION_CLOCK:
		read_clock(dat, line);
		break;
	case OPTION_TSC2NSEC:
		read_conversion(dat, &piece);
		break;
	case OPTION_UNAME:
		read_uname(dat, line);
		break;
	case OPTION_CPUCOUNT:
		dat->cpus = (u32)piece_number(&piece, 4);
		break;
	case OPTION_VERSION:
		copy_word(dat->tool, sizeof(dat->tool), line, strcspn(line, "\n"));
		break;
	}
}
