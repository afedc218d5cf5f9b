// SPDX-License-Identifier: MIT
/*
 * refold info: what a trace is, what is in it, and whether all of it is there.
 * Reads every frame, so that "complete" is a fact and not a hope.
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
	"usage: refold info TRACE [-j]\n\n"
	"Tells what a trace holds and checks all of it.\n\n"
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

static int count_records(struct rf_reader *reader, struct totals *totals)
{
	struct rf_record *records = malloc(READ_RECORDS * sizeof(*records));
	struct rf_cursor *cursor = rf_cursor_open(reader, -1, NULL);
	size_t nr;

	totals->streams = calloc(rf_reader_nr_streams(reader) + 1, sizeof(*totals->streams));
	while (records && cursor && totals->streams && (nr = rf_cursor_read(cursor, records, READ_RECORDS))) {
		for (size_t i = 0; i < nr; i++) {
			struct stream_totals *stream = &totals->streams[records[i].stream];

			/* The cursor makes these of what the frames say is missing. */
			if (records[i].kind == RF_LOST) {
				stream->lost += records[i].f[0];
				continue;
			}
			stream->records++;
			if (records[i].kind == RF_NO_STACKS && records[i].f[0] < RF_NR_NO_STACKS)
				totals->no_stacks[records[i].f[0]] += records[i].f[1];
			totals->kinds[records[i].kind % RF_RECORD_KIND_MAX]++;
		}
	}
	for (size_t i = 0; totals->streams && i < rf_reader_nr_frames(reader); i++)
		totals->streams[rf_reader_frame(reader, i)->stream].frames++;
	rf_cursor_close(cursor);
	free(records);
	return records && cursor && totals->streams ? 0 : -ENOMEM;
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

static int info(const char *trace, bool json)
{
	struct totals totals = { 0 };
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(trace, &err);
	const struct rf_error *damage;
	int code = RF_EXIT_DONE;

	if (!reader)
		return rf_command_error(trace, &err);
	if (count_records(reader, &totals)) {
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
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "info", help, "jh", options };
	bool json = false;
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'j':
			json = true;
			break;
		}
	}
	if (option < 0)
		return code;
	if (argc - optind != 1)
		return rf_command_usage("info", "needs one trace");
	return info(argv[optind], json);
}
