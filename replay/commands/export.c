// SPDX-License-Identifier: MIT
/*
 * refold export: what reports and stores say of traces, for other programs. A format is a row of the table here. One
 * line is one trace under one policy, with its facts, labels and counters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/commands/commands.h"
#include "replay/commands/fleet_sources.h"
#include "replay/fleet/store.h"

static const char help[] =
	"usage: refold export STORE.db | REPORT.json | DIRECTORY... --csv | --json-lines [-o FILE]\n\n"
	"Writes a line for each trace and policy: what the trace is, its labels, all counters.\n\n"
	"      --csv         with a head line; labels are columns label.NAME\n"
	"      --json-lines  one JSON object a line\n"
	"      --parquet     tells how to make that of a store with DuckDB or pandas\n"
	"      --perfetto    of a trace instead: what happened when; 'refold export --perfetto -h' tells more\n"
	"  -o, --output FILE where to (default: standard output)\n"
	"  -h, --help        this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 not all could be read (what is written is the rest).\n";

/* Facts that are columns. */
static const char *const facts_shown[] = { "digest", "name", "kernel", "arch", "cpus", "duration_ns", "records",
					   "address_spaces", "lost_events", "complete", "trust" };

/* Of the trace; "faults" is a counter of each policy. */
static const char faults_recorded[] = "faults_recorded";

struct columns {
	const struct rf_fleet *fleet;
	json_t *labels;		/* names of all */
	FILE *out;
};

static void write_csv_head(const struct columns *columns);
static void write_csv_line(const struct columns *columns, const json_t *facts, const json_t *cell);
static void write_json_line(const struct columns *columns, const json_t *facts, const json_t *cell);

static const struct format {
	const char *option;
	void (*head)(const struct columns *columns);
	void (*line)(const struct columns *columns, const json_t *facts, const json_t *cell);
} formats[] = {
	{ "csv", write_csv_head, write_csv_line },
	{ "json-lines", NULL, write_json_line },
	{ "parquet", NULL, NULL },
};

/* ---- CSV -------------------------------------------------------------------------- */

static void put_field(FILE *out, const char *text)
{
	if (!text[strcspn(text, ",\"\n\r")]) {
		fputs(text, out);
		return;
	}
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}

/* Strings as they are, the rest as JSON has it; nothing for what is not there. */
static void put_value(FILE *out, const json_t *value)
{
	char *text;

	if (json_is_string(value)) {
		put_field(out, json_string_value(value));
	} else if (value) {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		fputs(text ? text : "", out);
		free(text);
	}
}

static void write_csv_head(const struct columns *columns)
{
	const char *label;
	json_t *unused;

	for (size_t i = 0; i < ARRAY_SIZE(facts_shown); i++)
		fprintf(columns->out, "%s,", facts_shown[i]);
	fprintf(columns->out, "%s,", faults_recorded);
	json_object_foreach(columns->labels, label, unused)
		fprintf(columns->out, "label.%s,", label);
	fputs("policy,definition,version", columns->out);
	for (size_t i = 0; i < columns->fleet->nr_counters; i++)
		fprintf(columns->out, ",%s", columns->fleet->counters[i]);
	putc('\n', columns->out);
}

static void write_csv_line(const struct columns *columns, const json_t *facts, const json_t *cell)
{
	const json_t *labels = json_object_get(facts, "labels"), *totals = json_object_get(cell, "totals");
	FILE *out = columns->out;
	const char *label;
	json_t *unused;

	for (size_t i = 0; i < ARRAY_SIZE(facts_shown); i++) {
		put_value(out, json_object_get(facts, facts_shown[i]));
		putc(',', out);
	}
	fprintf(out, "%lld,", (long long)rf_json_number(json_object_get(facts, "records_by_kind"), "fault"));
	json_object_foreach(columns->labels, label, unused) {
		put_value(out, json_object_get(labels, label));
		putc(',', out);
	}
	put_field(out, rf_json_string(cell, "name"));
	fprintf(out, ",%s,%s", rf_json_string(cell, "definition"), rf_json_string(cell, "version"));
	for (size_t i = 0; i < columns->fleet->nr_counters; i++) {
		putc(',', out);
		put_value(out, json_object_get(totals, columns->fleet->counters[i]));
	}
	putc('\n', out);
}

/* ---- JSON lines --------------------------------------------------------------------- */

static void write_json_line(const struct columns *columns, const json_t *facts, const json_t *cell)
{
	json_t *line = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(facts_shown); i++)
		json_object_set(line, facts_shown[i], json_object_get(facts, facts_shown[i]));
	rf_json_set_count(line, faults_recorded, rf_json_number(json_object_get(facts, "records_by_kind"), "fault"));
	json_object_set(line, "labels", json_object_get(facts, "labels"));
	json_object_set(line, "policy", json_object_get(cell, "name"));
	json_object_set(line, "definition", json_object_get(cell, "definition"));
	json_object_set(line, "version", json_object_get(cell, "version"));
	json_object_update(line, json_object_get(cell, "totals"));
	json_dumpf(line, columns->out, JSON_COMPACT | JSON_SORT_KEYS);
	putc('\n', columns->out);
	json_decref(line);
}

/* ---- the command ---------------------------------------------------------------------- */

static int tell_parquet(const char *source)
{
	fprintf(stderr, "refold export: refold writes no Parquet itself; of a store, these do:\n"
			"  duckdb -c \"INSTALL sqlite; LOAD sqlite; COPY (SELECT * FROM sqlite_scan('%s', 'per_trace')) "
			"TO 'fleet.parquet'\"\n"
			"  python3 -c \"import sqlite3, pandas; pandas.read_sql('SELECT * FROM per_trace', "
			"sqlite3.connect('%s')).to_parquet('fleet.parquet')\"\n", source, source);
	return RF_EXIT_USAGE;
}

/* What all traces have labels of, so that lines have the same columns. */
static json_t *all_labels(const struct rf_fleet *fleet)
{
	json_t *labels = json_object(), *facts;

	for (size_t i = 0; i < fleet->nr; i++) {
		facts = json_loads(fleet->traces[i].facts, 0, NULL);
		json_object_update(labels, json_object_get(facts, "labels"));
		json_decref(facts);
	}
	return labels;
}

static void write_all(const struct rf_fleet *fleet, const struct format *format, FILE *out)
{
	struct columns columns = { fleet, all_labels(fleet), out };
	json_t *row, *cell;
	size_t k;

	if (format->head)
		format->head(&columns);
	for (size_t i = 0; i < fleet->nr; i++) {
		row = rf_fleet_row(fleet, &fleet->traces[i]);
		json_array_foreach(json_object_get(row, "policies"), k, cell)
			format->line(&columns, row, cell);
		json_decref(row);
	}
	json_decref(columns.labels);
}

static int export(const struct format *format, const char *path, char **sources, int nr)
{
	struct rf_command_output output;
	struct rf_fleet fleet;
	int code, written = RF_EXIT_FAILED;

	for (int i = 0; i < nr; i++)
		if (rf_command_not_input("export", path, sources[i]))
			return RF_EXIT_USAGE;
	if (rf_fleet_init(&fleet))
		return rf_command_errno("export", "cannot begin", ENOMEM);
	code = rf_fleet_read_sources(&fleet, sources, nr);
	if (code != RF_EXIT_FAILED && rf_command_output_open(&output, path)) {
		write_all(&fleet, format, output.file);
		written = rf_command_output_close(&output);
	}
	rf_fleet_free(&fleet);
	return written == RF_EXIT_DONE ? code : written;
}

int rf_cmd_export(int argc, char **argv)
{
	static const struct option options[] = {
		{ "csv", no_argument, NULL, 'F' },	  { "json-lines", no_argument, NULL, 'F' + 1 },
		{ "parquet", no_argument, NULL, 'F' + 2 }, { "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },	  { NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "export", help, "o:h", options };
	const struct format *format = NULL;
	const char *output = "-";
	int option, code;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--perfetto"))
			return rf_export_perfetto(argc, argv);
	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'F' ... 'F' + ARRAY_SIZE(formats) - 1:
			if (format && format != &formats[option - 'F'])
				return rf_command_usage("export", "one of --csv, --json-lines and --parquet");
			format = &formats[option - 'F'];
			break;
		case 'o':
			output = optarg;
			break;
		}
	}
	if (option < 0)
		return code;
	if (optind == argc || !format)
		return rf_command_usage("export", "needs a store, reports or a directory, and --csv or --json-lines");
	if (!format->line)
		return tell_parquet(argv[optind]);
	return export(format, output, argv + optind, argc - optind);
}
