/* SPDX-License-Identifier: MIT */
/*
 * The report: canonical JSON as replay/report/report.schema.json and refold-report(5) describe it, and the terminal
 * tables made from it. Tables read the JSON and nothing else, so they can show any report, old or new.
 */
#ifndef REFOLD_REPLAY_REPORT_REPORT_H
#define REFOLD_REPLAY_REPORT_REPORT_H

#include <stdio.h>

#include <jansson.h>

#include "replay/report/view.h"
#include "replay/run.h"

#define RF_REPORT_SCHEMA "refold-report/1"
#define RF_DIFF_SCHEMA "refold-diff/1"

/*
 * The facts of one trace, after it was read (damage shows up while reading). path: only its base name gets into the
 * report. digest: of the file. results: of its replay, the last one.
 */
json_t *rf_report_trace(const char *path, const char *digest, struct rf_reader *reader,
			const struct rf_results *results);
/* The same of a trace whose header cannot be read: nothing else of it can, and its report says so. */
json_t *rf_report_unreadable_trace(const char *path, const char *digest, const struct rf_error *err);

/* What a report says of its traces, one after the other: arrays. */
struct rf_report_parts {
	json_t *traces;			/* of rf_report_trace() */
	json_t *windows, *processes;
	json_t *trusts;			/* how far each is to be trusted */
	json_t *intervals;		/* NULL: nobody asked for series */
	bool each_process;		/* those of each process, too */
	json_t *attributions;		/* NULL: nobody asked for them */
	u64 top;			/* so many rows of each of them */
};

/* Append the windows, processes, series and attributed counts of the trace that was replayed last. 0 or -ENOMEM. */
int rf_report_add_parts(const struct rf_report_parts *parts, const char *path, struct rf_reader *reader,
			const struct rf_results *results);

/* The report of these parts, which are taken over, and of the results. NULL on lack of memory. */
json_t *rf_report_build(const struct rf_report_parts *parts, const struct rf_results *results);

/* The report of the last trace alone, without operations and places that did nothing. NULL on lack of memory. */
json_t *rf_report_of_last(const struct rf_report_parts *parts, const struct rf_results *results);

/* What tells a policy from others of its name: RF_DIGEST_SIZE bytes. */
void rf_report_definition(const struct rf_policy *policy, char *digest);

/* Why nothing was counted, as the rest of a sentence; NULL: something was. */
const char *rf_report_nothing(const json_t *report);
/* Nothing was counted, and that is all there is to say: a part of a recording during which nobody did anything. */
bool rf_report_idle(const json_t *report);

/* What a reader must know before he believes a number, worst first: an array of sentences, empty if all is well. */
json_t *rf_report_warnings(const json_t *report);

/* Read a report. NULL with err: not JSON, not a report, or one of a newer schema. */
json_t *rf_report_load(const char *path, struct rf_error *err);

/* A file that is no JSON, by its first bytes: what it is, or where it goes wrong. Returns the code. */
int rf_report_not_json(const u8 *bytes, size_t size, const json_error_t *where, struct rf_error *err);

/* What a person reads first: the answer (answer.h), what it is about, the numbers behind it. */
void rf_report_write(const json_t *report, const struct rf_view *view, FILE *out);
/* Everything that differs, and how good the replay is. */
void rf_table_write(const json_t *report, FILE *out);
/* What each place in core mm that reads entries loaded. */
void rf_table_write_readers(const json_t *report, FILE *out);
/* A line for each window, or process, and policy. */
void rf_table_write_windows(const json_t *report, FILE *out);
void rf_table_write_processes(const json_t *report, FILE *out);
/* From interval to interval: a line for each in which anything was counted; for programs, for each. */
void rf_table_write_intervals(const json_t *report, const struct rf_view *view, FILE *out);
/* Whose counts they are: the dearest rows of each policy. In every format. */
/* The same as folded stacks, weighted by this counter ("bytes", or of a row) of this policy. */
void rf_report_write_folded(const json_t *report, const char *counter, const char *policy_name, FILE *out);
void rf_table_write_attribution(const json_t *report, const struct rf_view *view, FILE *out);

/* {"KNOB": {"a": value, "b": value}...}, null where one side has no such knob: those in which two policies differ. */
json_t *rf_diff_knobs(const json_t *a, const json_t *b);
/*
 * What differs between two policies' results ("policies" members of reports), as a refold-diff/1 object without the
 * two sides' names; NULL on lack of memory.
 */
json_t *rf_diff_policies(const json_t *a, const json_t *b);
/*
 * The same of two reports' windows under these policies: an array of those that differ, or that only one has. A window
 * is known by its label and its number among those of the label.
 */
json_t *rf_diff_windows(const json_t *a, const char *policy_a, const json_t *b, const char *policy_b);
/*
 * What differs in what two reports say of their traces: an array of changes, not empty for different recordings, whose
 * policies do not compare.
 */
json_t *rf_diff_worlds(const json_t *a, const json_t *b);
/* Which differences are of interest. */
struct rf_diff_choice {
	bool matters;	/* only the counters that decide (answer.h), and few operations */
	u64 top;	/* so many of the operations' differences, the largest of each counter's; 0: all, or few */
	u64 least;	/* hundredths of a percent: smaller ones go */
};

/*
 * diff: {"comparisons": [rf_diff_policies() with "windows": rf_diff_windows(), "answer": a sentence...], "world":
 * rf_diff_worlds()}. Leave out what is of no interest; how much that was becomes "left_out" of a comparison.
 */
void rf_diff_choose(json_t *diff, const struct rf_diff_choice *choice);
/* All of it, as view says; with the knobs that differ, if view->all. */
void rf_diff_write(const json_t *diff, const struct rf_view *view, FILE *out);

#endif
