// SPDX-License-Identifier: MIT
/*
 * Files by their first bytes. Traces are sent around, packed, converted and confused with what other tools write; who
 * gives one of those to a command of ours is told what he has, and how to get on.
 */
#include "traces/foreign.h"

#include <ctype.h>
#include <string.h>

#define MAGIC(bytes) bytes, sizeof(bytes) - 1

static const struct {
	const char *magic;
	size_t length;
	const char *what;
} magics[] = {
	{ MAGIC("\x28\xb5\x2f\xfd"), "a zstd file: a trace for 'refold replay', or something to unpack first (unzstd)" },
	{ MAGIC("\x17\x08\x44tracing"), "a trace.dat of trace-cmd: 'refold import FILE -o FILE.mmt.zst' makes a trace of it" },
	{ MAGIC("PERFILE2"), "a perf.data, which does not hold what a replay needs: record with refold-capture, or with "
			     "trace-cmd as refold-import(1) says" },
	{ MAGIC("2ELIFREP"), "a perf.data of a big-endian machine, which cannot be replayed" },
	{ MAGIC("\x1f\x8b"), "packed by gzip: unpack it first (gunzip)" },
	{ MAGIC("\xfd" "7zXZ\0"), "packed by xz: unpack it first (unxz)" },
	{ MAGIC("BZh"), "packed by bzip2: unpack it first (bunzip2)" },
	{ MAGIC("\x04\x22\x4d\x18"), "packed by lz4: unpack it first (unlz4)" },
	{ MAGIC("PK\x03\x04"), "a zip archive: unpack it first (unzip)" },
	{ MAGIC("\x7f" "ELF"), "a program: record it with 'refold-capture -o FILE.mmt.zst -- PROGRAM'" },
	{ MAGIC("SQLite format 3"), "a database: 'refold summary' reads one that is a store of refold" },
	{ MAGIC("# tracer: "), "the text of tracefs' file trace: record with refold-capture, or with trace-cmd, "
			       "whose trace.dat 'refold import' reads" },
};

/* ---- text ------------------------------------------------------------------ */

static bool is_text(const u8 *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] < ' ' && !isspace(data[i]))
			return false;
	return true;
}

static const u8 *find(const u8 *data, size_t size, const char *what)
{
	return memmem(data, size, what, strlen(what));
}

/* "12345.678901: ", seconds, as trace-cmd report and perf script have them in each line. */
static bool has_event_lines(const u8 *data, size_t size)
{
	const u8 *end = data + size;

	for (const u8 *at = data + 1; at < end && (at = memchr(at, '.', (size_t)(end - at))); at++) {
		const u8 *digit = at + 1;

		while (digit < end && isdigit(*digit))
			digit++;
		if (isdigit(at[-1]) && digit - at > 6 && end - digit >= 2 && digit[0] == ':' && digit[1] == ' ')
			return true;
	}
	return false;
}

/* At the beginning of the file, or of a line. */
static bool has_line(const u8 *data, size_t size, const char *start)
{
	for (const u8 *at = data; (at = find(at, size - (size_t)(at - data), start)); at++)
		if (at == data || at[-1] == '\n')
			return true;
	return false;
}

static const char *text_file(const u8 *data, size_t size)
{
	if (has_line(data, size, "header {"))
		return "the text of a trace: 'refold assemble FILE -o FILE.mmt.zst' makes a trace of it";
	if (size && *data == '{' && find(data, size, "\"refold-fleet/"))
		return "what 'refold merge' wrote: 'refold summary' reads it";
	/* One of these is the first member. */
	if (size && *data == '{' && (find(data, size, "\"attribution\"") || find(data, size, "\"complete\"")))
		return "a report of 'refold replay': 'refold diff' compares reports";
	if (has_line(data, size, "cpus=") || has_event_lines(data, size))
		return "the text of trace-cmd report or perf script: give the trace.dat it was made from to "
		       "'refold import', or record with refold-capture";
	return NULL;
}

/* ---- Perfetto ---------------------------------------------------------------- */

/* One TracePacket behind the other: field 1 of the message Trace, with its length. */
static bool is_perfetto(const u8 *data, size_t size)
{
	size_t at = 0, packets = 0;

	while (at < size && packets < 4) {
		u64 length = 0;
		u32 shift = 0;

		if (data[at++] != 0x0a)
			return false;
		do {
			if (at == size || shift > 28)
				return packets > 1;
			length |= (u64)(data[at] & 0x7f) << shift;
			shift += 7;
		} while (data[at++] & 0x80);
		if (!length)
			return false;
		at += length;
		packets++;
	}
	return packets > 1;
}

const char *rf_foreign_file(const u8 *data, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (size >= magics[i].length && !memcmp(data, magics[i].magic, magics[i].length))
			return magics[i].what;
	if (is_text(data, size))
		return text_file(data, size);
	if (is_perfetto(data, size))
		return "a trace of Perfetto, which cannot be imported: record with refold-capture, or with trace-cmd";
	return NULL;
}
