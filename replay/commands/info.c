// SPDX-License-Identifier: MIT
/*
 * refold info: what a trace is, what is in it, and whether all of it is there.
 * Of a whole trace the index says it, whatever its length. Every frame is read
 * where there is none that counts the records, where something is missing, and
 * where that is asked for: only then is "complete" more than the index's word.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/commands/commands.h"
#include "traces/trace.h"

#define INFO_SCHEMA "refold-info/1"
#define READ_RECORDS 1024

static const char help[] =
	"usage: refold info TRACE [-j] [-c]\n\n"
	"Tells what a trace holds, by its index where it has a good one.\n\n"
	"  -c, --check read all of it, and so find damage inside; without, it is found when the trace is replayed\n"
	"  -j, --json  as JSON (" INFO_SCHEMA ")\n"
	"  -h, --help  this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 damaged or cut trace (what is readable is told).\n";

struct stream_totals {
	u64 frames, records, lost;
};

struct totals {
	u64 kinds[RF_RECORD_KIND_MAX];
	u64 no_stacks[RF_NR_NO_STACKS];
	struct stream_totals *streams;
};

/* ---- counting --------------------------------------------------------------- */

static void count_no_stacks(const struct rf_record *record, struct totals *totals)
{
	if (record->kind == RF_NO_STACKS && record->f[0] < RF_NR_NO_STACKS)
		totals->no_stacks[record->f[0]] += record->f[1];
}

static void count_record(const struct rf_record *record, struct totals *totals)
{
	struct stream_totals *stream = &totals->streams[record->stream];

	/* The cursor makes these of what the frames say is missing. */
	if (record->kind == RF_LOST) {
		stream->lost += record->f[0];
		return;
	}
	stream->records++;
	count_no_stacks(record, totals);
	totals->kinds[record->kind % RF_RECORD_KIND_MAX]++;
}

/* The records of frames with these kinds; NULL: of all frames. */
static int read_records(struct rf_reader *reader, const u64 *kinds, struct totals *totals,
			void (*count)(const struct rf_record *record, struct totals *totals))
{
	struct rf_record *records = malloc(READ_RECORDS * sizeof(*records));
	struct rf_cursor *cursor = rf_cursor_open(reader, -1, kinds);
	size_t nr;

	while (records && cursor && (nr = rf_cursor_read(cursor, records, READ_RECORDS)))
		for (size_t i = 0; i < nr; i++)
			count(&records[i], totals);
	rf_cursor_close(cursor);
	free(records);
	return records && cursor ? 0 : -ENOMEM;
}

/* What reading every frame would give, by the index and the few frames that say more than how many. */
static int count_by_index(struct rf_reader *reader, const u64 *counts, struct totals *totals)
{
	const u64 kinds[2] = { [RF_NO_STACKS / 64] = BIT_ULL(RF_NO_STACKS % 64) };

	for (size_t i = 0; i < rf_reader_nr_streams(reader); i++)
		totals->streams[i].lost = rf_reader_lost_at_end(reader, i);
	for (size_t i = 0; i < rf_reader_nr_frames(reader); i++) {
		const struct rf_frame_info *frame = rf_reader_frame(reader, i);

		totals->streams[frame->stream].records += frame->records;
		totals->streams[frame->stream].lost += frame->lost;
	}
	memcpy(totals->kinds, counts, sizeof(totals->kinds));
	return counts[RF_NO_STACKS] ? read_records(reader, kinds, totals, count_no_stacks) : 0;
}

/* NULL: there are no counts, or of kinds that are newer than this program and that no cursor delivers. */
static const u64 *known_counts(const struct rf_reader *reader)
{
	const struct rf_kind_info *table = rf_kind_table();
	const u64 *counts = rf_reader_counts(reader);

	for (u32 kind = 0; counts && kind < RF_RECORD_KIND_MAX; kind++)
		if (counts[kind] && !table[kind].name)
			return NULL;
	return counts;
}

static int count_records(struct rf_reader *reader, bool check, struct totals *totals)
{
	const u64 *counts = check ? NULL : known_counts(reader);
	size_t bytes = (rf_reader_nr_streams(reader) + 1) * sizeof(*totals->streams);
	int ret = 0;

	totals->streams = calloc(1, bytes);
	if (!totals->streams)
		return -ENOMEM;
	if (counts)
		ret = count_by_index(reader, counts, totals);
	if (!ret && counts && rf_reader_damage(reader)) {
		memset(totals->streams, 0, bytes);
		*totals = (struct totals){ .streams = totals->streams };
		counts = NULL;
	}
	if (!ret && !counts)
		ret = read_records(reader, NULL, totals, count_record);
	for (size_t i = 0; i < rf_reader_nr_frames(reader); i++)
		totals->streams[rf_reader_frame(reader, i)->stream].frames++;
	return ret;
}

/* Hundredths of a byte per record, rounded; 0 for no records. */
static u64 centibytes_per_record(const struct rf_trace_summary *summary)
{
	return summary->records ? (summary->file_bytes * 100 + summary->records / 2) / summary->records : 0;
}

/* ---- JSON --------------------------------------------------------------------- */

static json_t *json_streams(struct rf_reader *reader, const struct totals *totals)
{
	json_t *list = json_array();

	for (size_t i = 0; i < rf_reader_nr_streams(reader); i++) {
		const struct rf_stream_info *info = rf_reader_stream(reader, i);
		const struct stream_totals *stream = &totals->streams[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:i, s:I, s:I, s:I}", "source", rf_source_names[info->source],
						"cpu", (int)info->cpu, "frames", (json_int_t)stream->frames, "records",
						(json_int_t)stream->records, "lost_events", (json_int_t)stream->lost));
	}
	return list;
}

static json_t *json_kinds(const struct totals *totals)
{
	const struct rf_kind_info *table = rf_kind_table();
	json_t *object = json_object();

	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		if (totals->kinds[kind] && table[kind].name)
			rf_json_set_count(object, table[kind].name, totals->kinds[kind]);
	return object;
}

static json_t *json_damage(const struct rf_error *damage)
{
	if (!damage)
		return json_null();
	return json_pack("{s:I, s:s}", "offset_bytes", (json_int_t)damage->offset, "reason", damage->message);
}

static int print_json(struct rf_reader *reader, const struct totals *totals)
{
	const struct rf_trace_summary *summary = rf_reader_summary(reader);
	json_t *root = json_object();
	int ret;

	json_object_set_new(root, "schema", json_string(INFO_SCHEMA));
	json_object_set_new(root, "header", json_loads(summary->header_json, 0, NULL));
	json_object_set_new(root, "complete", json_boolean(summary->complete));
	json_object_set_new(root, "end", json_string(rf_end_names[summary->end]));
	rf_json_set_count(root, "file_bytes", summary->file_bytes);
	rf_json_set_count(root, "frames", rf_reader_nr_frames(reader));
	rf_json_set_count(root, "records", summary->records);
	rf_json_set_count(root, "centibytes_per_record", centibytes_per_record(summary));
	rf_json_set_count(root, "lost_events", summary->lost_events);
	rf_json_set_count(root, "damaged_frames", summary->damaged_frames);
	rf_json_set_count(root, "first_time_ns", summary->first_time);
	rf_json_set_count(root, "last_time_ns", summary->last_time);
	json_object_set_new(root, "streams", json_streams(reader, totals));
	json_object_set_new(root, "kinds", json_kinds(totals));
	json_object_set_new(root, "damage", json_damage(rf_reader_damage(reader)));
	ret = rf_json_write(root, stdout);
	json_decref(root);
	return ret;
}

/* ---- text ----------------------------------------------------------------------- */

static void print_header(const char *header_json)
{
	json_t *header = json_loads(header_json, 0, NULL), *value;
	const char *key, *shown;
	char *text;

	/* Keys are in order already: the header is canonical. */
	json_object_foreach(header, key, value) {
		text = json_is_string(value) ? NULL :
					       json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
		shown = text ? text : json_string_value(value);
		if (shown)
			printf("%-18s %.160s%s\n", key, shown, strlen(shown) > 160 ? "..." : "");
		free(text);
	}
	json_decref(header);
}

static void print_summary(struct rf_reader *reader)
{
	const struct rf_trace_summary *summary = rf_reader_summary(reader);
	u64 cost = centibytes_per_record(summary), span = summary->last_time - summary->first_time;

	printf("\n%llu records, %zu frames, %llu bytes", (unsigned long long)summary->records,
	       rf_reader_nr_frames(reader), (unsigned long long)summary->file_bytes);
	if (cost)
		printf(", %llu.%02llu bytes per record", (unsigned long long)cost / 100,
		       (unsigned long long)cost % 100);
	printf(", %llu.%09llu s\n", (unsigned long long)span / 1000000000, (unsigned long long)span % 1000000000);
	printf("%llu events lost, %llu frames damaged\n", (unsigned long long)summary->lost_events,
	       (unsigned long long)summary->damaged_frames);
	if (summary->complete)
		printf("complete, ended by: %s\n", rf_end_names[summary->end]);
	else
		printf("INCOMPLETE\n");
}

static void print_text(struct rf_reader *reader, const struct totals *totals)
{
	const struct rf_kind_info *table = rf_kind_table();

	print_header(rf_reader_summary(reader)->header_json);
	print_summary(reader);
	printf("\n%6s  %-9s %5s %10s %14s %14s\n", "stream", "source", "cpu", "frames", "records", "lost");
	for (size_t i = 0; i < rf_reader_nr_streams(reader); i++) {
		const struct rf_stream_info *info = rf_reader_stream(reader, i);
		const struct stream_totals *stream = &totals->streams[i];

		printf("%6zu  %-9s %5u %10llu %14llu %14llu\n", i, rf_source_names[info->source], info->cpu,
		       (unsigned long long)stream->frames, (unsigned long long)stream->records,
		       (unsigned long long)stream->lost);
	}
	printf("\n%-22s %14s\n", "kind", "records");
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		if (totals->kinds[kind] && table[kind].name)
			printf("%-22s %14llu\n", table[kind].name, (unsigned long long)totals->kinds[kind]);
	for (u32 why = 0; why < RF_NR_NO_STACKS; why++)
		if (totals->no_stacks[why])
			printf("calls without a stack: %llu: %s\n", (unsigned long long)totals->no_stacks[why],
			       rf_no_stack_names[why]);
}

/* ---- the command ------------------------------------------------------------------ */

static int info(const char *trace, bool check, bool json)
{
	struct totals totals = { 0 };
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(trace, &err);
	const struct rf_error *damage;
	int code = RF_EXIT_DONE;

	if (!reader)
		return rf_command_error(trace, &err);
	if (count_records(reader, check, &totals)) {
		code = rf_command_errno(trace, "cannot read it", ENOMEM);
	} else {
		if (!json)
			print_text(reader, &totals);
		else if (print_json(reader, &totals))
			code = RF_EXIT_FAILED;
		damage = rf_reader_damage(reader);
		if (damage)
			code = rf_command_error(trace, damage);
		else if (!rf_reader_summary(reader)->complete)
			code = RF_EXIT_DAMAGED;
	}
	free(totals.streams);
	rf_reader_close(reader);
	return code;
}

int rf_cmd_info(int argc, char **argv)
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "info", help, "cjh", options };
	bool check = false, json = false;
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'c':
			check = true;
			break;
		case 'j':
			json = true;
			break;
		}
	}
	if (option < 0)
		return code;
	if (argc - optind != 1)
		return rf_command_usage("info", "needs one trace");
	return info(argv[optind], check, json);
}
