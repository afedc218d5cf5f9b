// SPDX-License-Identifier: MIT
/*
 * A trace as text, complete and canonical: the same trace always gives the
 * same bytes, and assemble.c makes the same trace of them again.
 */
#include <errno.h>
#include <stdlib.h>

#include "traces/reader.h"

#define RECORD_TEXT_MAX 512
#define DUMP_RECORDS 1024

const char *const rf_source_names[RF_NR_SOURCES] = { "task", "system", "perf", "snapshot", "compat" };
const char *const rf_end_names[RF_NR_ENDS] = { "none", "command", "signal", "error", "assembled", "imported",
						"processes", "time", "size", "disk", "memory", "cpu" };
const char *const rf_no_stack_names[RF_NR_NO_STACKS] = {
	[RF_NO_STACK_RING] = "the kernel's buffer was full (calls of others are among them)",
	[RF_NO_STACK_RATE] = "too many at once", [RF_NO_STACK_KINDS] = "too many different stacks",
	[RF_NO_STACK_USER] = "32-bit programs, or in no code that is known",
};

/* ---- one record ------------------------------------------------------------ */

struct text {
	char *next;
	char bytes[RECORD_TEXT_MAX];
};

static void put_string(struct text *text, const char *string)
{
	size_t length = strlen(string);

	memcpy(text->next, string, length);
	text->next += length;
}

static void put_decimal(struct text *text, u64 value)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = '0' + value % 10;
		value /= 10;
	} while (value);
	while (n)
		*text->next++ = digits[--n];
}

static void put_hex(struct text *text, u64 value)
{
	unsigned int shift = 0;

	while (shift < 60 && value >> (shift + 4))
		shift += 4;
	put_string(text, "0x");
	for (;; shift -= 4) {
		*text->next++ = "0123456789abcdef"[value >> shift & 0xf];
		if (!shift)
			break;
	}
}

/* Eight characters, the first in the low byte; NULs at the end are not shown. */
static void put_characters(struct text *text, u64 value)
{
	*text->next++ = '"';
	for (; value; value >>= 8) {
		unsigned char c = value & 0xff;

		if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
			*text->next++ = c;
		} else {
			put_string(text, "\\x");
			*text->next++ = "0123456789abcdef"[c >> 4];
			*text->next++ = "0123456789abcdef"[c & 0xf];
		}
	}
	*text->next++ = '"';
}

static void put_field(struct text *text, const struct rf_field_info *field, u64 value)
{
	*text->next++ = ' ';
	put_string(text, field->name);
	*text->next++ = '=';
	switch (field->class) {
	case RF_FIELD_SIGNED:
		if ((s64)value < 0) {
			*text->next++ = '-';
			value = -value;
		}
		put_decimal(text, value);
		break;
	case RF_FIELD_DECIMAL:
	case RF_FIELD_TASK:
	case RF_FIELD_OBJECT:
		put_decimal(text, value);
		break;
	case RF_FIELD_TEXT:
		put_characters(text, value);
		break;
	default:
		put_hex(text, value);
	}
}

static size_t format_record(struct text *text, const struct rf_record *record)
{
	const struct rf_kind_info *info = &rf_kind_table()[record->kind % RF_RECORD_KIND_MAX];

	text->next = text->bytes;
	put_decimal(text, record->time);
	put_string(text, " tid=");
	put_decimal(text, record->tid);
	*text->next++ = ' ';
	put_string(text, info->name ? info->name : "unknown");
	for (u32 i = 0; i < info->nr_fields; i++)
		put_field(text, &info->fields[i], record->f[i]);
	return text->next - text->bytes;
}

int rf_text_record(const struct rf_record *record, char *buffer, size_t size)
{
	struct text text;
	size_t length = format_record(&text, record);

	if (size) {
		size_t shown = length < size ? length : size - 1;

		memcpy(buffer, text.bytes, shown);
		buffer[shown] = '\0';
	}
	return length;
}

/* ---- the whole trace -------------------------------------------------------- */

struct dump {
	struct rf_reader *reader;
	FILE *out;
	u64 *missing;			/* by stream: lost in damaged frames, to be told by the stream's next frame */
	struct unpacker unpacker;
	struct rf_record records[DUMP_RECORDS];
};

static void dump_frame_line(struct dump *dump, size_t stream, u64 lost)
{
	fprintf(dump->out, "frame stream=%zu", stream);
	if (lost)
		fprintf(dump->out, " lost=%llu", (unsigned long long)lost);
	fputc('\n', dump->out);
}

static void dump_frame(struct dump *dump, size_t nr)
{
	const struct rf_frame_info *info = rf_reader_frame(dump->reader, nr);
	struct text text;
	size_t n;

	if (!reader_unpack(dump->reader, nr, &dump->unpacker)) {
		dump->missing[info->stream] += info->lost + info->records;
		return;
	}
	dump_frame_line(dump, info->stream, info->lost + dump->missing[info->stream]);
	dump->missing[info->stream] = 0;
	while ((n = columns_read(&dump->unpacker.columns, dump->records, DUMP_RECORDS)))
		for (size_t i = 0; i < n; i++) {
			size_t length = format_record(&text, &dump->records[i]);

			text.bytes[length++] = '\n';
			fwrite_unlocked(text.bytes, 1, length, dump->out);
		}
}

static int dump_all(struct dump *dump, struct rf_error *err)
{
	struct rf_reader *reader = dump->reader;

	fprintf(dump->out, "header %s\n", reader->summary.header_json);
	for (size_t i = 0; i < reader->nr_streams; i++)
		fprintf(dump->out, "stream %zu source=%s cpu=%u\n", i, rf_source_names[reader->streams[i].info.source],
			reader->streams[i].info.cpu);
	for (size_t i = 0; i < reader->nr_frames && !ferror(dump->out); i++)
		dump_frame(dump, i);
	for (size_t i = 0; i < reader->nr_streams; i++) {
		u64 lost = reader->streams[i].lost_at_end + dump->missing[i];

		if (lost)
			dump_frame_line(dump, i, lost);
	}
	fprintf(dump->out, "end %s\n", rf_end_names[reader->summary.complete ? reader->summary.end : RF_END_NONE]);
	if (fflush(dump->out) || ferror(dump->out))
		return rf_error_set(err, errno ? -errno : -EIO, RF_NO_OFFSET, "cannot write the text: %s",
				    strerror(errno ? errno : EIO));
	return 0;
}

int rf_text_dump(struct rf_reader *reader, FILE *out, struct rf_error *err)
{
	struct dump *dump = calloc(1, sizeof(*dump));
	int ret;

	if (dump)
		dump->missing = calloc(reader->nr_streams + 1, sizeof(*dump->missing));
	if (!dump || !dump->missing) {
		free(dump);
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	}
	dump->reader = reader;
	dump->out = out;
	ret = dump_all(dump, err);
	unpacker_free(&dump->unpacker);
	free(dump->missing);
	free(dump);
	return ret;
}
