// SPDX-License-Identifier: MIT
/*
 * librefold's replays: what a caller asked for is kept as text where it is replayed anew, and becomes a session
 * (session.h), as what is typed does, when it runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/policy/text.h"
#include "replay/library/handles.h"
#include "replay/library/session.h"

#define TOP_DEFAULT 10
#define TOP_MAX 1000000u

struct refold_replay {
	char **traces;
	size_t nr_traces, room;
	struct rf_policy *policies;
	int nr_policies;
	struct rf_by_list by;
	u64 top, interval;
	bool processes;
	char *window_begin, *window_end;
	double seconds;			/* 0: as long as it takes */
};

const char *refold_version(void)
{
	return REFOLD_VERSION;
}

/* ---- errors ------------------------------------------------------------------------------ */

/* Of a name that is too long, its end says more than its beginning. */
static void copy_end(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	memcpy(to, from + (length < size ? 0 : length - size + 1), (length < size ? length : size - 1) + 1);
}

static int take_error(struct refold_error *err, const char *file, const struct rf_error *from)
{
	if (!err)
		return from->code;
	err->code = from->code;
	err->offset = from->offset;
	copy_end(err->file, sizeof(err->file), file ? file : "");
	copy_end(err->message, sizeof(err->message), from->message);
	return err->code;
}

int library_error(struct refold_error *err, int code, const char *file, const char *message)
{
	struct rf_error own;

	rf_error_set(&own, code, RF_NO_OFFSET, "%s", message);
	return take_error(err, file, &own);
}

int library_no_memory(struct refold_error *err)
{
	return library_error(err, -ENOMEM, NULL, "out of memory");
}

static void no_error(struct refold_error *err)
{
	if (err)
		*err = (struct refold_error){ .offset = REFOLD_NO_OFFSET };
}

/* ---- what is asked for ----------------------------------------------------------------------- */

struct refold_replay *refold_replay_new(void)
{
	struct refold_replay *replay = calloc(1, sizeof(*replay));

	if (replay)
		replay->top = TOP_DEFAULT;
	return replay;
}

void refold_replay_free(struct refold_replay *replay)
{
	if (!replay)
		return;
	for (size_t i = 0; i < replay->nr_traces; i++)
		free(replay->traces[i]);
	free(replay->traces);
	free(replay->policies);
	free(replay->window_begin);
	free(replay->window_end);
	free(replay);
}

int refold_replay_add_trace(struct refold_replay *replay, const char *path, struct refold_error *err)
{
	char *copy = strdup(path);

	no_error(err);
	if (!copy || array_grow(replay->traces, replay->room, replay->nr_traces + 1)) {
		free(copy);
		return library_no_memory(err);
	}
	replay->traces[replay->nr_traces++] = copy;
	return 0;
}

int refold_replay_add_policies(struct refold_replay *replay, const char *policies, struct refold_error *err)
{
	struct rf_error own;
	int nr;

	no_error(err);
	if (!replay->policies)
		replay->policies = calloc(RF_MAX_POLICIES, sizeof(*replay->policies));
	if (!replay->policies)
		return library_no_memory(err);
	nr = rf_policy_parse_list(policies, replay->policies, replay->nr_policies, RF_MAX_POLICIES, &own);
	if (nr < 0)
		return take_error(err, NULL, &own);
	replay->nr_policies = nr;
	return 0;
}

/* ---- options: false, and the message says what the value is to be ------------------------------ */

static bool set_by(struct refold_replay *replay, const char *value, struct rf_error *err)
{
	struct rf_by_list by = { 0 };

	if (*value && rf_by_parse(&by, value, err))
		return false;
	replay->by = by;
	return true;
}

static bool set_top(struct refold_replay *replay, const char *value, struct rf_error *err)
{
	if (rf_parse_number(value, 1, TOP_MAX, &replay->top))
		return true;
	rf_error_set(err, -EINVAL, RF_NO_OFFSET, "top needs a number from 1 to %u, not '%.40s'", TOP_MAX, value);
	return false;
}

static bool set_interval(struct refold_replay *replay, const char *value, struct rf_error *err)
{
	double seconds;

	if (rf_parse_time(value, &seconds)) {
		replay->interval = (u64)(seconds * 1e9 + 0.5);
		return true;
	}
	rf_error_set(err, -EINVAL, RF_NO_OFFSET,
		     "interval needs a time of a millisecond or more, as 100ms, 2s or 1m, not '%.40s'", value);
	return false;
}

static bool set_processes(struct refold_replay *replay, const char *value, struct rf_error *err)
{
	replay->processes = !strcmp(value, "true");
	if (replay->processes || !strcmp(value, "false"))
		return true;
	rf_error_set(err, -EINVAL, RF_NO_OFFSET, "processes is true or false, not '%.40s'", value);
	return false;
}

/* A pattern is tried at once, so that what is wrong with it is told where it comes from. */
static bool set_pattern(char **pattern, const char *value, struct rf_error *err)
{
	struct rf_window_patterns patterns;
	char *copy;

	if (rf_window_patterns_compile(&patterns, value, NULL, err))
		return false;
	rf_window_patterns_free(&patterns);
	copy = strdup(value);
	if (!copy)
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	else
		free(*pattern);
	*pattern = copy ? copy : *pattern;
	return copy;
}

static bool set_window_begin(struct refold_replay *replay, const char *value, struct rf_error *err)
{
	return set_pattern(&replay->window_begin, value, err);
}

static bool set_window_end(struct refold_replay *replay, const char *value, struct rf_error *err)
{
	return set_pattern(&replay->window_end, value, err);
}

static bool set_max_time(struct refold_replay *replay, const char *value, struct rf_error *err)
{
	if (rf_parse_time(value, &replay->seconds))
		return true;
	rf_error_set(err, -EINVAL, RF_NO_OFFSET, "max-time needs a time as 90, 10m or 2h, not '%.40s'", value);
	return false;
}

int refold_replay_set(struct refold_replay *replay, const char *option, const char *value, struct refold_error *err)
{
	static const struct {
		const char *name;
		bool (*set)(struct refold_replay *replay, const char *value, struct rf_error *err);
	} options[] = {
		{ "by", set_by }, { "interval", set_interval }, { "max-time", set_max_time },
		{ "processes", set_processes }, { "top", set_top }, { "window-begin", set_window_begin },
		{ "window-end", set_window_end },
	};
	struct rf_error own;
	struct rf_line line;

	no_error(err);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(option, options[i].name))
			return options[i].set(replay, value, &own) ? 0 : take_error(err, NULL, &own);
	rf_error_set(&own, -EINVAL, RF_NO_OFFSET, "%s", "");
	rf_line_begin(&line, own.message, sizeof(own.message));
	rf_line_add(&line, "no option '%.40s'; there are", option);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		rf_line_add(&line, "%s %s", i ? "," : "", options[i].name);
	return take_error(err, NULL, &own);
}

/* ---- running ------------------------------------------------------------------------------------- */

static int look(const struct refold_replay *replay, const struct rf_session *session, struct refold_error *err)
{
	struct rf_error own;
	u64 records, bytes;

	if (!replay->nr_traces)
		return library_error(err, -EINVAL, NULL, "there is no trace to replay");
	if (!replay->nr_policies)
		return library_error(err, -EINVAL, NULL, "there is no policy to replay under");
	for (size_t i = records = bytes = 0; i < replay->nr_traces; i++)
		if (rf_session_look(session, replay->traces[i], &records, &bytes, &own))
			return take_error(err, replay->traces[i], &own);
	return 0;
}

/* The first trace that is damaged is told of. A negative errno: there is no report. */
static int replay_all(const struct refold_replay *replay, struct rf_session *session, struct refold_error *err)
{
	struct refold_error unwanted;
	struct rf_error own;
	bool told = false;

	for (size_t i = 0; i < replay->nr_traces; i++) {
		int ret = rf_session_replay(session, replay->traces[i], &own);

		if (ret)
			take_error(told ? &unwanted : err, replay->traces[i], &own);
		if (ret && ret != -EBADMSG)
			return take_error(err, replay->traces[i], &own);
		told |= ret;
	}
	return 0;
}

/* A report in which nothing was counted, and not because nobody did anything. */
static void tell_nothing(const struct refold_replay *replay, const json_t *report, struct refold_error *err)
{
	const char *nothing = rf_report_nothing(report);

	if (nothing && !rf_report_idle(report) && err && !err->code)
		library_error(err, -ENODATA, replay->nr_traces == 1 ? replay->traces[0] : NULL, nothing);
}

static struct refold_report *report_of_session(struct rf_session *session, struct refold_error *err)
{
	struct refold_report *report = calloc(1, sizeof(*report));

	if (report)
		report->json = rf_session_report(session);
	if (report && report->json)
		return report;
	free(report);
	library_no_memory(err);
	return NULL;
}

struct refold_report *refold_replay_run(struct refold_replay *replay, struct refold_error *err)
{
	struct rf_window_patterns patterns;
	struct rf_session session = {
		.policies = replay->policies, .nr_policies = (size_t)replay->nr_policies, .top = replay->top,
		.run = {
			.patterns = &patterns, .processes = replay->processes, .by = &replay->by,
			.interval = replay->interval,
		},
	};
	struct refold_report *report = NULL;
	struct rf_error own;

	no_error(err);
	if (look(replay, &session, err))
		return NULL;
	if (rf_window_patterns_compile(&patterns, replay->window_begin, replay->window_end, &own)) {
		take_error(err, NULL, &own);
		return NULL;
	}
	if (replay->seconds > 0)
		session.run.stop_at = rf_monotonic() + (u64)(replay->seconds * (double)RF_NS_PER_SECOND);
	if (rf_session_begin(&session, &own))
		take_error(err, NULL, &own);
	else if (!replay_all(replay, &session, err))
		report = report_of_session(&session, err);
	rf_session_end(&session);
	rf_window_patterns_free(&patterns);
	if (report)
		tell_nothing(replay, report->json, err);
	return report;
}

/* ---- reports -------------------------------------------------------------------------------------- */

struct refold_report *refold_report_load(const char *path, struct refold_error *err)
{
	struct refold_report *report = calloc(1, sizeof(*report));
	struct rf_error own;

	no_error(err);
	if (!report) {
		library_no_memory(err);
		return NULL;
	}
	report->json = rf_report_load(path, &own);
	if (report->json)
		return report;
	take_error(err, path, &own);
	free(report);
	return NULL;
}

void refold_report_free(struct refold_report *report)
{
	if (!report)
		return;
	json_decref(report->json);
	free(report->text);
	free(report);
}

const char *refold_report_json(struct refold_report *report)
{
	if (!report->text)
		report->text = rf_json_text(report->json);
	return report->text;
}
