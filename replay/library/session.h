/* SPDX-License-Identifier: MIT */
/*
 * Traces under policies into a report: what refold replay, ablate and sweep do, and librefold. They differ in where
 * traces and policies come from and in what becomes of the report; what is done in between is here, once.
 */
#ifndef REFOLD_REPLAY_LIBRARY_SESSION_H
#define REFOLD_REPLAY_LIBRARY_SESSION_H

#include "replay/report/report.h"

struct rf_session {
	const struct rf_policy *policies;	/* the caller's, as long as the session */
	size_t nr_policies;
	struct rf_run_options run;		/* page_size is that of each trace */
	u64 top;				/* rows of each policy that the report has of run.by */
	struct rf_results results;
	struct rf_report_parts parts;
};

/*
 * Before it: can a trace be read, and does it go with the policies and the interval? 0, also for a damaged one, of
 * which there will be a report; -EINVAL: it does not go with them; else a negative errno. records, bytes: as far as
 * they are known, added to.
 */
int rf_session_look(const struct rf_session *session, const char *path, u64 *records, u64 *bytes,
		    struct rf_error *err);

/* Policies and what follows up to top are set. -ENOMEM or 0. */
int rf_session_begin(struct rf_session *session, struct rf_error *err);
/* In whatever state, once. */
void rf_session_end(struct rf_session *session);

/*
 * Replay the next trace. 0; -EBADMSG: damaged, or it has no end, and the report says so; else a negative errno as of
 * rf_session_look() and rf_run_trace(), and nothing more can be replayed. err: why, unless it is 0.
 */
int rf_session_replay(struct rf_session *session, const char *path, struct rf_error *err);
/* The same of a trace that is open, and remains so. */
int rf_session_replay_open(struct rf_session *session, const char *path, struct rf_reader *reader,
			   struct rf_error *err);

/* The row of the last trace in the report, which is the session's. */
const json_t *rf_session_last_trace(const struct rf_session *session);
/* False: its header is damaged, and nothing of it was replayed. */
bool rf_session_last_was_read(const struct rf_session *session);
/* The report of the last trace alone, as of rf_report_of_last(); NULL: it was not read, or no memory. */
json_t *rf_session_report_of_last(const struct rf_session *session);
/* The report of all. Once; then nothing but rf_session_end() follows. NULL on lack of memory. */
json_t *rf_session_report(struct rf_session *session);

#endif
