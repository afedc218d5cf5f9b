// SPDX-License-Identifier: MIT
/* From traces to a report. Nothing here prints, ends the program or keeps anything outside of the session. */
#include <errno.h>
#include <string.h>

#include "replay/library/session.h"
#include "traces/digest.h"

/* ---- what goes with what ----------------------------------------------------------------- */

/* Imports were once made of any clock; what is close in time is told apart by time. */
static int check_clock(const struct rf_reader *reader, struct rf_error *err)
{
	const char *clock = rf_reader_header_string(reader, RF_HEADER_CLOCK, "unknown");

	if (rf_clock_is_nanoseconds(clock))
		return 0;
	return rf_error_set(err, -EOPNOTSUPP, RF_NO_OFFSET,
			    "its times are of clock %.40s, which does not count nanoseconds: record again with clock mono",
			    clock);
}

/* More intervals than a report can hold are none of anybody's use. */
static int check_interval(u64 interval, const struct rf_trace_summary *summary, struct rf_error *err)
{
	u64 duration = summary->last_time - summary->first_time, nr = interval ? duration / interval + 1 : 0;

	if (summary->last_time < summary->first_time || nr <= RF_MAX_INTERVALS)
		return 0;
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
			    "interval: it has %llu of these, %u are the most: take %llums or more",
			    (unsigned long long)nr, RF_MAX_INTERVALS,
			    (unsigned long long)(duration / (RF_MAX_INTERVALS - 1ull) / 1000000 + 1));
}

/*
 * A policy may have larger pages than a trace, and the report says what that leaves open; it cannot have smaller ones,
 * because nothing tells which parts of a page were used.
 */
static int check_pages(const struct rf_session *session, u64 page_size, struct rf_error *err)
{
	for (size_t i = 0; i < session->nr_policies; i++) {
		const struct rf_policy *policy = &session->policies[i];

		if (1ull << policy->geometry.page_shift < page_size)
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
					    "has pages of %llu bytes, policy %.200s smaller ones, of %llu; arm64's take "
					    "+granule=16k or 64k, as 'all' does",
					    (unsigned long long)page_size, policy->name,
					    1ull << policy->geometry.page_shift);
	}
	return 0;
}

static u64 page_size_of(const struct rf_reader *reader)
{
	return rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096);
}

static int check(const struct rf_session *session, const struct rf_reader *reader, struct rf_error *err)
{
	int ret = check_clock(reader, err);

	ret = ret ? ret : check_interval(session->run.interval, rf_reader_summary(reader), err);
	return ret ? ret : check_pages(session, page_size_of(reader), err);
}

int rf_session_look(const struct rf_session *session, const char *path, u64 *records, u64 *bytes, struct rf_error *err)
{
	struct rf_reader *reader = rf_reader_open(path, err);
	int ret;

	if (!reader)
		return err->code == -EBADMSG ? 0 : err->code;
	*records += rf_reader_summary(reader)->records;
	*bytes += rf_reader_summary(reader)->file_bytes;
	ret = check(session, reader, err);
	rf_reader_close(reader);
	return ret;
}

/* ---- replaying ------------------------------------------------------------------------------ */

int rf_session_begin(struct rf_session *session, struct rf_error *err)
{
	session->parts = (struct rf_report_parts){
		.traces = json_array(), .windows = json_array(), .processes = json_array(), .trusts = json_array(),
		.intervals = session->run.interval ? json_array() : NULL,
		.each_process = session->run.processes,
		.attributions = session->run.by && session->run.by->nr ? json_array() : NULL, .top = session->top,
	};
	if (rf_results_init(&session->results, session->policies, session->nr_policies))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	return 0;
}

void rf_session_end(struct rf_session *session)
{
	json_t *const parts[] = { session->parts.traces, session->parts.windows, session->parts.processes,
				  session->parts.trusts, session->parts.intervals, session->parts.attributions };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		json_decref(parts[i]);
	rf_results_free(&session->results);
	session->parts = (struct rf_report_parts){ 0 };
	session->results = (struct rf_results){ 0 };
}

int rf_session_replay_open(struct rf_session *session, const char *path, struct rf_reader *reader,
			   struct rf_error *err)
{
	const struct rf_error *damage;
	char digest[RF_DIGEST_SIZE];
	int ret = check(session, reader, err);

	if (ret)
		return ret;
	session->run.page_size = page_size_of(reader);
	ret = rf_run_trace(reader, &session->results, &session->run, err);
	/* Damage is never an error of the run: this is something else. */
	if (ret)
		return err->code = ret == -EBADMSG ? -EIO : ret;
	damage = rf_reader_damage(reader);
	/* Of this machine, and of now. */
	if (damage && damage->code != -EBADMSG) {
		*err = *damage;
		return err->code;
	}
	ret = rf_digest_file(path, digest);
	if (ret)
		return rf_error_set(err, ret, RF_NO_OFFSET, "cannot read it again: %s", strerror(-ret));
	json_array_append_new(session->parts.traces, rf_report_trace(path, digest, reader, &session->results));
	if (rf_report_add_parts(&session->parts, path, reader, &session->results))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory for a report");
	if (damage) {
		*err = *damage;
		return -EBADMSG;
	}
	if (rf_reader_summary(reader)->complete)
		return 0;
	return rf_error_set(err, -EBADMSG, RF_NO_OFFSET, "has no end; the results cover what is there");
}

int rf_session_replay(struct rf_session *session, const char *path, struct rf_error *err)
{
	struct rf_reader *reader = rf_reader_open(path, err);
	char digest[RF_DIGEST_SIZE];
	int ret;

	if (!reader) {
		if (err->code == -EBADMSG && !rf_digest_file(path, digest))
			json_array_append_new(session->parts.traces, rf_report_unreadable_trace(path, digest, err));
		return err->code;
	}
	ret = rf_session_replay_open(session, path, reader, err);
	rf_reader_close(reader);
	return ret;
}

/* ---- reports ----------------------------------------------------------------------------------- */

const json_t *rf_session_last_trace(const struct rf_session *session)
{
	const json_t *traces = session->parts.traces;

	return json_array_get(traces, json_array_size(traces) - 1);
}

bool rf_session_last_was_read(const struct rf_session *session)
{
	return json_array_size(json_object_get(rf_session_last_trace(session), "policies"));
}

json_t *rf_session_report_of_last(const struct rf_session *session)
{
	return rf_session_last_was_read(session) ? rf_report_of_last(&session->parts, &session->results) : NULL;
}

json_t *rf_session_report(struct rf_session *session)
{
	json_t *report = rf_report_build(&session->parts, &session->results);

	/* It has taken them over. */
	if (report)
		session->parts = (struct rf_report_parts){ 0 };
	return report;
}
