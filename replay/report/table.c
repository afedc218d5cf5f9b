// SPDX-License-Identifier: MIT
/*
 * The table a person reads first: how faithful the replay is, then what the policies do differently. Policies are
 * columns; only counters that differ get a row, because what is the same needs no comparing. No colours, no look at the
 * terminal: the same report gives the same text everywhere.
 */
#include <string.h>

#include "arch/counters.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/stats.h"
#include "replay/report/report.h"

#define LABEL_WIDTH 26
#define COUNTER_WIDTH 18
#define PARAGRAPH_INDENT 11
#define PARAGRAPH_MAX 4096	/* bytes: every counter of every kind of operation fits */

/* A run of policies that fits next to each other; wider reports get several tables. */
struct columns {
	const json_t *policies;
	size_t first, end;
	int width[RF_MAX_POLICIES];	/* indexed by policy */
};

/* Counters worth a row per operation; the totals show all. */
static const char *const main_counters[] = {
	"tlbi", "flush_calls", "fold", "unfold", "born", "erased", "pte_loads", "pte_stores", "pte_atomics",
};

static const char *const folded_counters[] = { "live_blocks", "peak_live_blocks", "live_block_time_ms" };

static void print_number(FILE *out, s64 value, int width)
{
	char text[RF_DIGITS_MAX];

	fprintf(out, "%*s", width, rf_digits(value, text));
}

static void print_paragraph(FILE *out, const char *label, const char *text)
{
	struct rf_paragraph paragraph;

	rf_paragraph_begin(&paragraph, out, label, PARAGRAPH_INDENT);
	rf_paragraph_words(&paragraph, text);
	rf_paragraph_end(&paragraph);
}

/* ---- what was replayed, and how well ------------------------------------------ */

static void print_trace(FILE *out, const json_t *trace)
{
	const char *name = json_string_value(json_object_get(trace, "name"));
	char line[400], records[RF_DIGITS_MAX], files[40];
	u64 ms = rf_json_number(trace, "duration_ns") / 1000000;

	if (!name) {
		snprintf(files, sizeof(files), "%lld traces", (long long)rf_json_number(trace, "files"));
		name = files;
	}
	snprintf(line, sizeof(line), "%.100s: %s records in %llu.%03llu s, Linux %.60s %.40s, %lld KiB pages, %lld CPUs",
		 name,
		 rf_digits(rf_json_number(trace, "records"), records), (unsigned long long)(ms / 1000),
		 (unsigned long long)(ms % 1000), rf_json_string(trace, "kernel"), rf_json_string(trace, "arch"),
		 (long long)rf_json_number(trace, "page_size_bytes") / 1024, (long long)rf_json_number(trace, "cpus"));
	print_paragraph(out, "trace", line);
}

/* Not a warning: what the recording lacks for it, the fidelity shows. */
static void print_missing(FILE *out, const json_t *trace)
{
	const json_t *name;
	char text[PARAGRAPH_MAX];
	struct rf_line line;
	size_t i;

	rf_line_begin(&line, text, sizeof(text));
	json_array_foreach(json_object_get(trace, "missing_events"), i, name)
		rf_line_add(&line, "%s%s", i ? ", " : "recorded without ", json_string_value(name));
	if (line.used)
		print_paragraph(out, "", text);
}

/* "; N of M what" where anything was checked. */
static void add_checks(struct rf_line *line, const json_t *fidelity, const char *ok_key, const char *bad_key,
		       const char *what)
{
	s64 ok = rf_json_number(fidelity, ok_key), all = ok + rf_json_number(fidelity, bad_key);
	char a[RF_DIGITS_MAX], b[RF_DIGITS_MAX];

	if (all)
		rf_line_add(line, "%s of %s %s; ", rf_digits(ok, a), rf_digits(all, b), what);
}

static void print_fidelity(FILE *out, const json_t *fidelity, const json_t *trace)
{
	char text[PARAGRAPH_MAX], a[RF_DIGITS_MAX], b[RF_DIGITS_MAX], present[24], pfn[24], order[24];
	s64 ptes = rf_json_number(fidelity, "ptes");
	struct rf_line line;

	rf_line_begin(&line, text, sizeof(text));
	if (ptes) {
		rf_line_add(&line,
			    "of %s entries in the final snapshots of %s processes %s are present, %s have the right "
			    "page, %s the right folio order; %lld too many",
			    rf_digits(ptes, a), rf_digits(rf_json_number(fidelity, "processes_compared"), b),
			    rf_percent(rf_json_number(fidelity, "present"), ptes, present, sizeof(present)),
			    rf_percent(rf_json_number(fidelity, "pfn"), ptes, pfn, sizeof(pfn)),
			    rf_percent(rf_json_number(fidelity, "order"), ptes, order, sizeof(order)),
			    (long long)rf_json_number(fidelity, "extra"));
		print_paragraph(out, "fidelity", text);
		rf_line_begin(&line, text, sizeof(text));
	}
	add_checks(&line, fidelity, "fault_checks_ok", "fault_checks_bad", "faults hit the entry their error code says");
	add_checks(&line, fidelity, "rss_checks_ok", "rss_checks_bad", "RSS counters agree");
	rf_line_add(&line, "%s events lost", rf_digits(rf_json_number(trace, "lost_events"), a));
	print_paragraph(out, ptes ? "" : "fidelity", text);
}

/*
 * Where the recorded kernel told of its own flushes (x86), a policy of that architecture can be held against them,
 * cause by cause.
 */
static void print_flushes(FILE *out, const json_t *report)
{
	/* The causes the kernel's flushes were seen in, and the rows that predict them. */
	static const struct {
		const char *cause, *rows[5];
	} causes[] = {
		{ "cow", { "cow" } },
		{ "munmap", { "zap_munmap" } },
		{ "mprotect", { "mprotect" } },
		{ "brk", { "zap_brk" } },
		{ "fork", { "fork" } },
		{ "exec", { "exec" } },
		{ "mmap", { "zap_mmap_fixed" } },
		{ "mremap", { "mremap", "zap_mremap" } },
		{ "madvise", { "zap_dontneed", "zap_guard", "zap_remove", "madv_free", "madv_cold" } },
	};
	const json_t *recorded = json_object_get(json_object_get(report, "fidelity"), "tlb_flushes_recorded"), *policy;
	char text[PARAGRAPH_MAX], a[RF_DIGITS_MAX], b[RF_DIGITS_MAX];
	struct rf_line line;
	size_t i, k, row;

	json_array_foreach(json_object_get(report, "policies"), i, policy) {
		const json_t *operations = json_object_get(policy, "operations");

		if (strcmp(rf_json_string(policy, "arch"), "x86"))
			continue;
		rf_line_begin(&line, text, sizeof(text));
		rf_line_add(&line, "%.60s against the kernel's own:", rf_json_string(policy, "name"));
		for (k = 0; k < ARRAY_SIZE(causes); k++) {
			u64 predicted = 0, seen = rf_json_number(recorded, causes[k].cause);

			for (row = 0; row < ARRAY_SIZE(causes[k].rows) && causes[k].rows[row]; row++)
				predicted += rf_json_number(json_object_get(operations, causes[k].rows[row]), "flush_calls");
			if (predicted || seen)
				rf_line_add(&line, " %s\v%s/%s", causes[k].cause,
					    rf_digits(predicted, a), rf_digits(seen, b));
		}
		print_paragraph(out, "flushes", text);
	}
}

static bool flushes_recorded(const json_t *report)
{
	json_t *recorded = json_object_get(json_object_get(report, "fidelity"), "tlb_flushes_recorded"), *value;
	const char *cause;

	json_object_foreach(recorded, cause, value)
		if (json_integer_value(value))
			return true;
	return false;
}

/* What every column stands on that was recorded elsewhere is no news; the report has all of it, as sentences. */
static bool goes_without_saying(const char *assumption)
{
	return !strcmp(assumption, "recorded_arch") || !strcmp(assumption, "other_cpus");
}

/* A line for each policy whose machine is not what was recorded: its pages, and what that left open, how often. */
static void print_assumptions(FILE *out, const json_t *policies)
{
	const json_t *policy, *assumption;
	char text[PARAGRAPH_MAX], digits[RF_DIGITS_MAX];
	struct rf_line line;
	size_t i, k, named;

	json_array_foreach(policies, i, policy) {
		const json_t *geometry = json_object_get(policy, "geometry");

		rf_line_begin(&line, text, sizeof(text));
		rf_line_add(&line, "%.60s, pages of %lld\vKiB in tables of %s:", rf_json_string(policy, "name"),
			    (long long)rf_json_number(geometry, "page_size_bytes") / 1024,
			    rf_digits(rf_json_number(geometry, "table_entries"), digits));
		named = 0;
		json_array_foreach(json_object_get(policy, "assumptions"), k, assumption) {
			s64 count = rf_json_number(assumption, "count");

			if (goes_without_saying(rf_json_string(assumption, "name")))
				continue;
			rf_line_add(&line, "%s %.40s", named++ ? "," : "", rf_json_string(assumption, "name"));
			if (count)
				rf_line_add(&line, "\v%s", rf_digits(count, digits));
		}
		if (named)
			print_paragraph(out, "assumed", text);
	}
}

static void print_head(FILE *out, const json_t *report)
{
	const json_t *traces = json_object_get(report, "traces"), *trace = json_object_get(report, "trace"), *warning;
	size_t i;

	json_array_foreach(json_object_get(report, "warnings"), i, warning)
		print_paragraph(out, "WARNING", json_string_value(warning));
	print_trace(out, json_array_size(traces) == 1 ? json_array_get(traces, 0) : trace);
	print_missing(out, trace);
	print_fidelity(out, json_object_get(report, "fidelity"), trace);
	if (flushes_recorded(report))
		print_flushes(out, report);
	print_assumptions(out, json_object_get(report, "policies"));
}

/* ---- columns ------------------------------------------------------------------ */

/* Names with knobs are headed by one line per knob: "linux-6.12", "+tlbi=single". */
static int longest_part(const char *name)
{
	int longest = 0, length;

	while (*name) {
		length = 1 + strcspn(name + 1, "+");
		if (length > longest)
			longest = length;
		name += length;
	}
	return longest;
}

static int column_width(const json_t *policy)
{
	const json_t *totals = json_object_get(policy, "totals"), *value;
	int width = longest_part(rf_json_string(policy, "name")), length;
	const char *key;
	char text[RF_DIGITS_MAX];

	json_object_foreach((json_t *)totals, key, value) {
		length = strlen(rf_digits(json_integer_value(value), text));
		if (length > width)
			width = length;
	}
	return width + 2;
}

/* The next run of policies that fits; false when all were shown. */
static bool next_columns(struct columns *columns, int left)
{
	size_t nr = json_array_size(columns->policies);
	int used = left;

	columns->first = columns->end;
	while (columns->end < nr && columns->end < RF_MAX_POLICIES) {
		columns->width[columns->end] = column_width(json_array_get(columns->policies, columns->end));
		used += columns->width[columns->end];
		if (used > RF_TEXT_WIDTH && columns->end > columns->first)
			break;
		columns->end++;
	}
	return columns->first < columns->end;
}

static void print_heads(FILE *out, const struct columns *columns, const char *left)
{
	const char *rest[RF_MAX_POLICIES];
	bool more = true;
	size_t i;

	for (i = columns->first; i < columns->end; i++)
		rest[i] = rf_json_string(json_array_get(columns->policies, i), "name");
	while (more) {
		more = false;
		fprintf(out, "%-*s", LABEL_WIDTH + COUNTER_WIDTH, left);
		for (i = columns->first; i < columns->end; i++) {
			int length = *rest[i] ? 1 + strcspn(rest[i] + 1, "+") : 0;

			fprintf(out, "%*s%.*s", columns->width[i] - length, "", length, rest[i]);
			rest[i] += length;
			more |= *rest[i] != '\0';
		}
		fputc('\n', out);
		left = "";
	}
}

/* row NULL: the totals. */
static s64 value_of(const json_t *policy, const char *row, const char *counter)
{
	if (!row)
		return rf_json_number(json_object_get(policy, "totals"), counter);
	return rf_json_number(json_object_get(json_object_get(policy, "operations"), row), counter);
}

/* Over all policies, not only the visible ones. With one policy there is nothing to compare: what is not 0 counts. */
static bool worth_a_row(const json_t *policies, const char *row, const char *counter)
{
	s64 first = value_of(json_array_get(policies, 0), row, counter);
	size_t i;

	for (i = 1; i < json_array_size(policies); i++)
		if (value_of(json_array_get(policies, i), row, counter) != first)
			return true;
	return json_array_size(policies) == 1 && first;
}

static void print_row(FILE *out, const struct columns *columns, const char *label, const char *row, const char *counter)
{
	size_t i;

	fprintf(out, "%-*s%-*s", LABEL_WIDTH, label, COUNTER_WIDTH, counter);
	for (i = columns->first; i < columns->end; i++)
		print_number(out, value_of(json_array_get(columns->policies, i), row, counter), columns->width[i]);
	fputc('\n', out);
}

/* ---- totals ------------------------------------------------------------------- */

/* The counters of the totals in the order of arch/counters.h, then those of folded blocks; NULL past the end. */
static const char *total_counter(size_t index)
{
	if (index < ARCH_NR_COUNTERS)
		return arch_counter_names[index];
	index -= ARCH_NR_COUNTERS;
	return index < ARRAY_SIZE(folded_counters) ? folded_counters[index] : NULL;
}

static void print_same(FILE *out, const json_t *policies)
{
	char text[PARAGRAPH_MAX], digits[RF_DIGITS_MAX];
	struct rf_line line;
	const char *counter;
	size_t i;
	s64 value;

	rf_line_begin(&line, text, sizeof(text));
	for (i = 0; (counter = total_counter(i)); i++) {
		value = value_of(json_array_get(policies, 0), NULL, counter);
		if (!value || worth_a_row(policies, NULL, counter))
			continue;
		rf_line_add(&line, "%s%s\v%s", line.used ? ", " : "", counter,
			    rf_digits(value, digits));
	}
	if (line.used)
		print_paragraph(out, "all alike", text);
}

static void print_totals(FILE *out, const json_t *policies)
{
	struct columns columns = { .policies = policies };
	const char *counter;
	size_t i;

	while (next_columns(&columns, LABEL_WIDTH + COUNTER_WIDTH)) {
		const char *label = "total";

		fputc('\n', out);
		print_heads(out, &columns, "");
		for (i = 0; (counter = total_counter(i)); i++) {
			if (!worth_a_row(policies, NULL, counter))
				continue;
			print_row(out, &columns, label, NULL, counter);
			label = "";
		}
	}
	if (json_array_size(policies) > 1)
		print_same(out, policies);
}

/* ---- operations ----------------------------------------------------------------- */

static bool operation_differs(const json_t *policies, const char *row)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(main_counters); i++)
		if (worth_a_row(policies, row, main_counters[i]))
			return true;
	return false;
}

/* The number of operations is the same under every policy; it stands beside the name. */
static void print_operation(FILE *out, const struct columns *columns, const char *row)
{
	char label[64], digits[RF_DIGITS_MAX];
	size_t i;

	rf_digits(value_of(json_array_get(columns->policies, 0), row, "operations"), digits);
	snprintf(label, sizeof(label), "%-14s %9s", row, digits);
	for (i = 0; i < ARRAY_SIZE(main_counters); i++) {
		if (!worth_a_row(columns->policies, row, main_counters[i]))
			continue;
		print_row(out, columns, label, row, main_counters[i]);
		label[0] = '\0';
	}
}

static void print_operations(FILE *out, const json_t *policies)
{
	struct columns columns = { .policies = policies };
	char text[PARAGRAPH_MAX];
	struct rf_line line;
	size_t row;

	rf_line_begin(&line, text, sizeof(text));
	for (row = 0; row < RF_NR_ROWS; row++)
		if (!operation_differs(policies, rf_row_names[row]) &&
		    value_of(json_array_get(policies, 0), rf_row_names[row], "operations"))
			rf_line_add(&line, "%s%s", line.used ? ", " : "", rf_row_names[row]);
	while (next_columns(&columns, LABEL_WIDTH + COUNTER_WIDTH)) {
		fputc('\n', out);
		print_heads(out, &columns, "operation          times");
		for (row = 0; row < RF_NR_ROWS; row++)
			if (operation_differs(policies, rf_row_names[row]))
				print_operation(out, &columns, rf_row_names[row]);
	}
	if (line.used)
		print_paragraph(out, json_array_size(policies) > 1 ? "all alike" : "no work", text);
}

/* ---- readers ---------------------------------------------------------------------- */

static s64 read_of(const json_t *policy, const char *site, const char *counter)
{
	return rf_json_number(json_object_get(json_object_get(policy, "readers"), site), counter);
}

static bool reads_differ(const json_t *policies, const char *site, const char *counter)
{
	size_t i;

	for (i = 1; i < json_array_size(policies); i++)
		if (read_of(json_array_get(policies, i), site, counter) !=
		    read_of(json_array_get(policies, 0), site, counter))
			return true;
	return false;
}

static void print_reads(FILE *out, const struct columns *columns, const char *label, const char *site,
			const char *counter)
{
	size_t i;

	fprintf(out, "%-*s%-*s", LABEL_WIDTH, label, COUNTER_WIDTH, counter);
	for (i = columns->first; i < columns->end; i++)
		print_number(out, read_of(json_array_get(columns->policies, i), site, counter), columns->width[i]);
	fputc('\n', out);
}

static bool any_read(const json_t *policies, const char *site, const char *counter)
{
	return read_of(json_array_get(policies, 0), site, counter) || reads_differ(policies, site, counter);
}

/* Where policies batch differently, even the number of calls is a policy's own. */
static void print_site(FILE *out, const struct columns *columns, const char *site)
{
	char label[64], digits[RF_DIGITS_MAX];

	rf_digits(read_of(json_array_get(columns->policies, 0), site, "calls"), digits);
	snprintf(label, sizeof(label), "%-18s %6s ", site, digits);
	if (reads_differ(columns->policies, site, "calls")) {
		print_reads(out, columns, site, site, "calls");
		label[0] = '\0';
	}
	if (any_read(columns->policies, site, "blocks")) {
		print_reads(out, columns, label, site, "blocks");
		label[0] = '\0';
	}
	print_reads(out, columns, label, site, "loads");
	if (reads_differ(columns->policies, site, "lines"))
		print_reads(out, columns, "", site, "lines");
}

void rf_table_write_readers(const json_t *report, FILE *out)
{
	struct columns columns = { .policies = json_object_get(report, "policies") };
	size_t site;

	while (next_columns(&columns, LABEL_WIDTH + COUNTER_WIDTH)) {
		fputc('\n', out);
		print_heads(out, &columns, "reader              calls");
		for (site = 0; site < RF_NR_SITES; site++)
			if (any_read(columns.policies, rf_site_names[site], "calls"))
				print_site(out, &columns, rf_site_names[site]);
	}
}

void rf_table_write(const json_t *report, FILE *out)
{
	const json_t *policies = json_object_get(report, "policies");

	print_head(out, report);
	if (!json_array_size(policies))
		return;
	print_totals(out, policies);
	print_operations(out, policies);
}
