// SPDX-License-Identifier: MIT
/*
 * The head of the table: warnings first, then what was replayed, how faithful the replay is, and what its machines
 * stand on that was not recorded.
 */
#include <string.h>

#include "arch/arch.h"
#include "base/json.h"
#include "base/text.h"
#include "replay/report/json.h"
#include "replay/report/table.h"

#define LABEL_WIDTH 11
#define WHAT_IF "what_if"
#define ASSUMED_SHOWN 3	/* of the short head */

void table_paragraph(FILE *out, const char *label, const char *text)
{
	struct rf_paragraph paragraph;

	rf_paragraph_begin(&paragraph, out, label, LABEL_WIDTH);
	rf_paragraph_words(&paragraph, text);
	rf_paragraph_end(&paragraph);
}

static void print_trace(FILE *out, const json_t *trace)
{
	const char *name = json_string_value(json_object_get(trace, "name"));
	char line[400], records[RF_DIGITS_MAX], files[40];
	u64 ms = rf_json_number(trace, "duration_ns") / 1000000;

	if (!name) {
		snprintf(files, sizeof(files), "%lld traces", (long long)rf_json_number(trace, "files"));
		name = files;
	}
	snprintf(line, sizeof(line),
		 "%.100s: %s records in %llu.%03llu s, Linux %.60s %.40s, %lld KiB pages, %lld CPUs", name,
		 rf_digits(rf_json_number(trace, "records"), records), (unsigned long long)(ms / 1000),
		 (unsigned long long)(ms % 1000), rf_json_string(trace, "kernel"), rf_json_string(trace, "arch"),
		 (long long)rf_json_number(trace, "page_size_bytes") / 1024, (long long)rf_json_number(trace, "cpus"));
	table_paragraph(out, "trace", line);
}

static void print_labels(FILE *out, const json_t *trace)
{
	const json_t *labels = json_object_get(trace, "labels"), *value;
	char text[PARAGRAPH_MAX];
	struct rf_line line;
	const char *key;

	rf_line_begin(&line, text, sizeof(text));
	json_object_foreach((json_t *)labels, key, value)
		rf_line_add(&line, "%s%s=%s", line.used ? ", " : "", key, json_string_value(value));
	if (line.used)
		table_paragraph(out, "labels", text);
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
		table_paragraph(out, "", text);
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
		table_paragraph(out, "fidelity", text);
		rf_line_begin(&line, text, sizeof(text));
	}
	add_checks(&line, fidelity, "fault_checks_ok", "fault_checks_bad",
		   "faults hit the entry their error code says");
	add_checks(&line, fidelity, "rss_checks_ok", "rss_checks_bad", "RSS counters agree");
	rf_line_add(&line, "%s events lost", rf_digits(rf_json_number(trace, "lost_events"), a));
	table_paragraph(out, ptes ? "" : "fidelity", text);
}

/* "loss 2, forked 1": how many address spaces have each. */
static void add_reasons(struct rf_line *line, const json_t *trust)
{
	const json_t *reasons = json_object_get(trust, "reasons");
	char digits[RF_DIGITS_MAX];
	bool more = false;

	for (u32 i = 0; i < RF_NR_REASONS; i++) {
		if (!json_object_get(reasons, rf_reason_names[i]))
			continue;
		rf_line_add(line, "%s%s\v%s", more ? ", " : "", rf_reason_names[i],
			    rf_digits(rf_json_number(reasons, rf_reason_names[i]), digits));
		more = true;
	}
}

/* Longer lists are in the report. */
#define MARKED_SHOWN 8

static void print_marked(FILE *out, const json_t *trust)
{
	const json_t *list = json_object_get(trust, "marked"), *mm, *mark;
	char text[PARAGRAPH_MAX], digits[RF_DIGITS_MAX];
	struct rf_line line;
	size_t i, k;

	json_array_foreach(list, i, mm) {
		u64 us = rf_json_number(mm, "since_ns") / 1000, until = rf_json_number(mm, "until_ns") / 1000;

		if (i == MARKED_SHOWN)
			break;
		rf_line_begin(&line, text, sizeof(text));
		rf_line_add(&line, "%lld %s since %llu.%06llu s", (long long)rf_json_number(mm, "pid"),
			    rf_json_string(mm, "command"), (unsigned long long)(us / 1000000),
			    (unsigned long long)(us % 1000000));
		if (until)
			rf_line_add(&line, " until %llu.%06llu s", (unsigned long long)(until / 1000000),
				    (unsigned long long)(until % 1000000));
		rf_line_add(&line, ":");
		json_array_foreach(json_object_get(mm, "reasons"), k, mark)
			rf_line_add(&line, "%s %s (record\v%s)", k ? "," : "", rf_json_string(mark, "reason"),
				    rf_digits(rf_json_number(mark, "record"), digits));
		table_paragraph(out, "", text);
	}
	if (json_array_size(list) > MARKED_SHOWN) {
		rf_line_begin(&line, text, sizeof(text));
		rf_line_add(&line, "and %zu more, which the report names", json_array_size(list) - MARKED_SHOWN);
		table_paragraph(out, "", text);
	}
}

/* What share of each column's counts lies in marked address spaces. */
static void print_shares(FILE *out, const json_t *report)
{
	static const char *const counters[] = { "operations", "pte_loads", "pte_stores", "pte_atomics", "tlbi" };
	const json_t *shares = json_object_get(json_object_get(report, "trust"), "shares"), *policy;
	char text[PARAGRAPH_MAX], percent[24];
	struct rf_line line;
	size_t i, k;

	json_array_foreach(json_object_get(report, "policies"), i, policy) {
		const json_t *all = json_object_get(policy, "totals");
		const json_t *share = json_object_get(json_array_get(shares, i), "totals");

		rf_line_begin(&line, text, sizeof(text));
		rf_line_add(&line, "%.60s, in marked ones:", rf_json_string(policy, "name"));
		for (k = 0; k < ARRAY_SIZE(counters); k++)
			if (rf_json_number(all, counters[k]))
				rf_line_add(&line, "%s %s\v%s", k ? "," : "", counters[k],
					    rf_percent(rf_json_number(share, counters[k]),
						       rf_json_number(all, counters[k]), percent, sizeof(percent)));
		table_paragraph(out, i ? "" : "share", text);
	}
}

static void print_trust(FILE *out, const json_t *report)
{
	const json_t *trust = json_object_get(report, "trust");
	u64 marked = rf_json_number(trust, "marked_address_spaces"), hidden = rf_json_number(trust, "hidden_processes");
	const char *word = rf_json_string(trust, "word");
	char text[PARAGRAPH_MAX], a[RF_DIGITS_MAX], b[RF_DIGITS_MAX];
	struct rf_line line;

	if (!trust)
		return;
	rf_line_begin(&line, text, sizeof(text));
	rf_line_add(&line, "%s", word);
	if (!strcmp(word, "exact"))
		rf_line_add(&line, ": every check agrees, nothing was lost, nothing had to be guessed");
	if (marked) {
		rf_line_add(&line, ": %s of %s address spaces are marked: ", rf_digits(marked, a),
			    rf_digits(rf_json_number(trust, "address_spaces"), b));
		add_reasons(&line, trust);
	}
	if (hidden)
		rf_line_add(&line, "%s %s%s processes are missing", marked ? ";" : ":",
			    json_is_true(json_object_get(trust, "hidden_processes_known")) ? "" : "at least ",
			    rf_digits(hidden, a));
	table_paragraph(out, "trust", text);
	print_marked(out, trust);
	if (marked)
		print_shares(out, report);
}

/* Is the backend for the machine of one of the traces? */
static bool is_recorded_arch(const json_t *report, const char *backend)
{
	const struct arch_ops *ops = arch_by_name(backend);
	const json_t *trace;
	size_t i;

	json_array_foreach(json_object_get(report, "traces"), i, trace)
		if (ops && arch_is_machine(ops, rf_json_string(trace, "arch")))
			return true;
	return false;
}

/*
 * Where the recorded kernel told of its own flushes, a policy of that architecture can be held against them, cause by
 * cause.
 */
static void print_flushes(FILE *out, const json_t *report)
{
	/* The causes the kernel's flushes were seen in, and the rows that predict them. */
	static const struct {
		const char *label, *causes[3], *rows[24];
	} causes[] = {
		{ "cow", { "cow" }, { "cow" } },
		{ "munmap", { "munmap" }, { "zap_munmap" } },
		{ "mprotect", { "mprotect" }, { "mprotect" } },
		{ "brk", { "brk" }, { "zap_brk" } },
		{ "fork", { "fork" }, { "fork" } },
		{ "exec", { "exec" }, { "exec" } },
		{ "mmap", { "mmap" }, { "zap_mmap_fixed" } },
		{ "mremap", { "mremap" }, { "mremap", "zap_mremap" } },
		/* Reclaim, splits and collapses have rows of their own, whoever does them. */
		{ "madvise+userfaultfd+other", { "madvise", "userfaultfd", "other" },
		  { "zap_dontneed", "zap_guard", "zap_remove", "zap_truncate", "zap_other", "madv_free", "madv_cold",
		    "madv_pageout", "uffd_move", "uffd_wp", "unmap_swap", "unmap_file", "migrate", "folio_split",
		    "collapse", "reclaim_flush", "reuse", "fault_anon", "fault_file", "fault_swap", "populate",
		    "mkclean" } },
	};
	const json_t *recorded = json_object_get(json_object_get(report, "fidelity"), "tlb_flushes_recorded"), *policy;
	char text[PARAGRAPH_MAX], a[RF_DIGITS_MAX], b[RF_DIGITS_MAX];
	struct rf_line line;
	size_t i, k, row;

	json_array_foreach(json_object_get(report, "policies"), i, policy) {
		const json_t *operations = json_object_get(policy, "operations");

		if (!is_recorded_arch(report, rf_json_string(policy, "arch")))
			continue;
		rf_line_begin(&line, text, sizeof(text));
		rf_line_add(&line, "%.60s against the kernel's own:", rf_json_string(policy, "name"));
		for (k = 0; k < ARRAY_SIZE(causes); k++) {
			u64 predicted = 0, seen = 0;

			for (row = 0; row < ARRAY_SIZE(causes[k].causes) && causes[k].causes[row]; row++)
				seen += rf_json_number(recorded, causes[k].causes[row]);
			for (row = 0; row < ARRAY_SIZE(causes[k].rows) && causes[k].rows[row]; row++)
				predicted += rf_json_number(json_object_get(operations, causes[k].rows[row]),
							    "flush_calls");
			if (predicted || seen)
				rf_line_add(&line, " %s\v%s/%s", causes[k].label,
					    rf_digits(predicted, a), rf_digits(seen, b));
		}
		table_paragraph(out, "flushes", text);
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

static bool is_named_before(const json_t *assumptions, size_t index)
{
	const char *name = rf_json_string(json_array_get(assumptions, index), "name");
	size_t i;

	for (i = 0; i < index; i++)
		if (!strcmp(rf_json_string(json_array_get(assumptions, i), "name"), name))
			return true;
	return false;
}

/* One name for all knobs that no such kernel had; their names, with which the sentences begin. */
static void add_what_ifs(struct rf_line *line, const json_t *assumptions)
{
	const json_t *assumption;
	const char *text;
	size_t i, nr = 0;

	json_array_foreach(assumptions, i, assumption) {
		text = rf_json_string(assumption, "text");
		if (!strcmp(rf_json_string(assumption, "name"), WHAT_IF))
			rf_line_add(line, "%s%.*s", nr++ ? ", " : " (", (int)strcspn(text, " "), text);
	}
	rf_line_add(line, ")");
}

/*
 * A line for each policy whose machine is not what was recorded: its pages, and what that left open, how often. max:
 * after so many lines, how many there are.
 */
static void print_assumptions(FILE *out, const json_t *policies, size_t max)
{
	const json_t *policy, *assumption, *all;
	char text[PARAGRAPH_MAX], digits[RF_DIGITS_MAX];
	struct rf_line line;
	size_t i, k, named, lines = 0;

	json_array_foreach(policies, i, policy) {
		const json_t *geometry = json_object_get(policy, "geometry");

		all = json_object_get(policy, "assumptions");
		rf_line_begin(&line, text, sizeof(text));
		rf_line_add(&line, "%.60s, pages of %lld\vKiB in tables of %s:", rf_json_string(policy, "name"),
			    (long long)rf_json_number(geometry, "page_size_bytes") / 1024,
			    rf_digits(rf_json_number(geometry, "table_entries"), digits));
		named = 0;
		json_array_foreach(all, k, assumption) {
			s64 count = rf_json_number(assumption, "count");
			const char *name = rf_json_string(assumption, "name");

			if (goes_without_saying(name) || is_named_before(all, k))
				continue;
			rf_line_add(&line, "%s %.40s", named++ ? "," : "", name);
			if (count)
				rf_line_add(&line, "\v%s", rf_digits(count, digits));
			if (!strcmp(name, WHAT_IF))
				add_what_ifs(&line, all);
		}
		if (named && lines++ < max)
			table_paragraph(out, "assumed", text);
	}
	if (lines > max) {
		snprintf(text, sizeof(text), "something of %zu policies more, which the report and --all tell", lines - max);
		table_paragraph(out, "assumed", text);
	}
}

static void print_backends(FILE *out, const json_t *policies)
{
	char text[PARAGRAPH_MAX];
	const json_t *policy;
	size_t i;

	json_array_foreach(policies, i, policy)
		if (json_object_get(policy, "backend")) {
			backend_sentence(policy, text, sizeof(text));
			table_paragraph(out, "loaded", text);
		}
}

static void print_warnings(FILE *out, const json_t *report)
{
	const json_t *warning;
	size_t i;

	json_array_foreach(json_object_get(report, "warnings"), i, warning)
		table_paragraph(out, "WARNING", json_string_value(warning));
}

void table_short_head(const json_t *report, FILE *out)
{
	const json_t *traces = json_object_get(report, "traces"), *trace = json_object_get(report, "trace");

	print_warnings(out, report);
	print_trace(out, json_array_size(traces) == 1 ? json_array_get(traces, 0) : trace);
	print_labels(out, trace);
	print_backends(out, json_object_get(report, "policies"));
	print_assumptions(out, json_object_get(report, "policies"), ASSUMED_SHOWN);
}

void table_head(const json_t *report, FILE *out)
{
	const json_t *traces = json_object_get(report, "traces"), *trace = json_object_get(report, "trace");

	print_warnings(out, report);
	print_trace(out, json_array_size(traces) == 1 ? json_array_get(traces, 0) : trace);
	print_labels(out, trace);
	print_missing(out, trace);
	print_trust(out, report);
	print_fidelity(out, json_object_get(report, "fidelity"), trace);
	if (flushes_recorded(report))
		print_flushes(out, report);
	print_backends(out, json_object_get(report, "policies"));
	print_assumptions(out, json_object_get(report, "policies"), SIZE_MAX);
}
