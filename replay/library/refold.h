/* SPDX-License-Identifier: MIT */
/*
 * librefold: what the page tables of recorded programs would have cost under other policies; refold(1) as a library.
 *
 *	struct refold_replay *replay = refold_replay_new();
 *	struct refold_error err;
 *	struct refold_report *report = NULL;
 *
 *	if (!refold_replay_add_trace(replay, "redis.mmt.zst", &err) &&
 *	    !refold_replay_add_policies(replay, "linux-6.8,linux-7.3+tlbi=single", &err))
 *		report = refold_replay_run(replay, &err);
 *	if (report)
 *		puts(refold_report_json(report));
 *	refold_report_free(report);
 *	refold_replay_free(replay);
 *
 * Nothing here prints, ends the program, changes signals, limits or the locale, or keeps anything outside of what it
 * returns. Different replays, reports and tables may be used in different threads at the same time; one of them by one
 * thread at a time. A replay starts threads, one for each policy and one that decodes, and waits for them.
 *
 * The exception is a policy whose page-table code is loaded (FILE.so, kernel=TREE): it runs that code in this process,
 * and building a tree runs a compiler, which tells its errors on standard error.
 *
 * Strings are UTF-8 and belong to what they were asked of, until that is freed. Every pointer may be NULL where it is
 * freed; err may be NULL everywhere. The same traces and policies give the same report, byte by byte.
 */
#ifndef REFOLD_H
#define REFOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

#define REFOLD_NO_OFFSET UINT64_MAX

/*
 * What went wrong. code is 0 if nothing did, else a negative errno; those with a meaning of their own here:
 *
 *	-EBADMSG	the trace or report is damaged, or cut off
 *	-EPROTO		it is none, or of a newer format
 *	-EINVAL		no such policy, option, value or table, or the trace does not go with them
 *	-EOPNOTSUPP	the times of the trace cannot be used
 *	-ETIME		it took longer than max-time
 *	-ENODATA	there is nothing in the trace that can be replayed
 *	-ENOMEM		there was no memory, of which the library knows no limit but the process's
 */
struct refold_error {
	int code;
	uint64_t offset;	/* where in the file, in bytes from its beginning; or REFOLD_NO_OFFSET */
	char file[1024];	/* "": it is not about a file; the end of a longer name */
	char message[512];	/* a sentence without the name of the file, and what to do about it */
};

/* "0.1.0": of the library that is loaded. */
const char *refold_version(void);

/* ---- replaying ---- */

struct refold_replay;

/* NULL: no memory. */
struct refold_replay *refold_replay_new(void);
void refold_replay_free(struct refold_replay *replay);

/* The next trace; it is opened when the replay runs. 0 or a negative errno. */
int refold_replay_add_trace(struct refold_replay *replay, const char *path, struct refold_error *err);

/*
 * Policies as refold replay -p has them: NAME, NAME+knob=value..., LABEL=NAME..., FILE.json or all, several with commas
 * between. 128 at most, with different names. 0, or a negative errno and none of them was added.
 */
int refold_replay_add_policies(struct refold_replay *replay, const char *policies, struct refold_error *err);

/*
 * Options have the names and values of those of refold replay; the last value of one counts. 0 or a negative errno.
 *
 *	by		"vma,call": table "attribution"; "": none
 *	top		rows of each policy in it: "10", which is the default
 *	interval	table "intervals": a time from a millisecond on, "100ms", "2s", "1m"
 *	processes	"true": table "processes"; "false"
 *	window-begin	which marks begin a window, an extended regular expression: "WL BEGIN (.*)"
 *	window-end	which end it
 *	max-time	the longest that it may take, "90", "10m", "2h"; it is not limited otherwise
 */
int refold_replay_set(struct refold_replay *replay, const char *option, const char *value, struct refold_error *err);

struct refold_report;

/*
 * Replay all traces under all policies; may be called again. NULL: it failed, and err says why. A report with an error
 * (-EBADMSG, -ENODATA) is about what could be read or replayed, and says so itself: "complete", "warnings", "trust".
 */
struct refold_report *refold_replay_run(struct refold_replay *replay, struct refold_error *err);

/* ---- reports ---- */

/* One that refold replay -o wrote. NULL: it cannot be read. */
struct refold_report *refold_report_load(const char *path, struct refold_error *err);
void refold_report_free(struct refold_report *report);

/* As refold replay -j writes it: refold-report(5). NULL: no memory. */
const char *refold_report_json(struct refold_report *report);

/* ---- tables of a report ---- */

struct refold_table;

/*
 * A row for each number that was counted. Columns of texts and of numbers say what it is of, "counter" which it is,
 * "value" how much. Counters are counts of events; those whose names end in _ms, _ns or _bytes are in that unit.
 * refold-report(5) has what each means.
 *
 *	counters	policy, operation (NULL: all of them)
 *	windows		trace, window, occurrence, begin_ns, end_ns, policy, operation (NULL: all of them)
 *	attribution	trace, policy and the keys of option by (NULL: of all rows beyond top); bytes among the counters
 *	intervals	trace, policy, begin_ns, end_ns
 *	processes	trace, process, pid, begin_ns, policy
 *	traces		trace, digest, kernel, arch, trust ("exact", "marked", "doubtful"): records, lost_events...
 *
 * Times are nanoseconds since the first record of the trace. A table is of the report, which must not be freed before
 * it. NULL: there is no such table, or no memory.
 */
struct refold_table *refold_table_open(const struct refold_report *report, const char *name,
				       struct refold_error *err);
void refold_table_free(struct refold_table *table);

/* The names of the columns in order; NULL past the last. */
const char *refold_table_column(const struct refold_table *table, size_t index);
/* Is it one of numbers? */
bool refold_table_is_number(const struct refold_table *table, const char *column);

/* Go to the first row, then to the next. False past the last. */
bool refold_table_next(struct refold_table *table);
/* Of the row; NULL: see above, or it is no column of texts. */
const char *refold_table_text(const struct refold_table *table, const char *column);
/* Of the row; 0 if it is no column of numbers. */
int64_t refold_table_number(const struct refold_table *table, const char *column);

#ifdef __cplusplus
}
#endif

#endif
