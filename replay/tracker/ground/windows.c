// SPDX-License-Identifier: MIT
/*
 * Which marks begin and end a window.
 */
#include "replay/tracker/ground/windows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "traces/merge.h"

#define DEFAULT_BEGIN "WL BEGIN (.*)"
#define DEFAULT_END "WL END (.*)"

/* ---- patterns -------------------------------------------------------------------- */

static int compile(regex_t *regex, const char *pattern, struct rf_error *err)
{
	char why[200];
	int ret = regcomp(regex, pattern, REG_EXTENDED);

	if (!ret)
		return 0;
	regerror(ret, regex, why, sizeof(why));
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "'%.100s' is not an extended regular expression: %s", pattern,
			    why);
}

int rf_window_patterns_compile(struct rf_window_patterns *patterns, const char *begin, const char *end,
			       struct rf_error *err)
{
	int ret;

	*patterns = (struct rf_window_patterns){ .has_end = !begin || end, .chosen = begin || end };
	ret = compile(&patterns->begin, begin ? begin : DEFAULT_BEGIN, err);
	if (ret || !patterns->has_end)
		return ret;
	ret = compile(&patterns->end, end ? end : DEFAULT_END, err);
	if (ret)
		regfree(&patterns->begin);
	return ret;
}

void rf_window_patterns_free(struct rf_window_patterns *patterns)
{
	regfree(&patterns->begin);
	if (patterns->has_end)
		regfree(&patterns->end);
}

/* The label is the first group; what matched, where there is none. *labelled: there is one. */
static bool match(const regex_t *regex, const char *text, char *label, bool *labelled)
{
	regmatch_t matches[2];
	const regmatch_t *part;

	if (regexec(regex, text, 2, matches, 0))
		return false;
	*labelled = matches[1].rm_so >= 0;
	part = &matches[*labelled];
	memcpy(label, text + part->rm_so, part->rm_eo - part->rm_so);
	label[part->rm_eo - part->rm_so] = '\0';
	return true;
}

/* ---- marks ------------------------------------------------------------------------- */

void rf_mark_text(const struct rf_record *records, size_t nr, char text[RF_MARK_BYTES + 1])
{
	size_t length = 0, i, k;

	for (i = 0; i < nr && i < RF_MARK_RECORDS; i++) {
		for (k = 0; k < RF_RECORD_FIELDS * sizeof(u64); k++) {
			char c = records[i].f[k / 8] >> 8 * (k % 8) & 0xff;

			if (!c)
				goto out;
			text[length++] = c >= ' ' && c <= '~' ? c : c == '\n' || c == '\t' ? ' ' : '?';
		}
	}
out:
	while (length && text[length - 1] == ' ')
		length--;
	text[length] = '\0';
}

/* Whether any mark of the trace begins a window. Only frames that hold a mark are unpacked. */
static int look_for_begin(struct rf_windows *windows, struct rf_reader *reader, bool *found, struct rf_error *err)
{
	const u64 kinds[2] = { 0, BIT_ULL(RF_MARKER - 64) };
	struct rf_merge *merge = rf_merge_open(reader, kinds, err);
	struct rf_record mark[RF_MARK_RECORDS], record;
	char text[RF_MARK_BYTES + 1];
	bool more;
	size_t nr = 0;

	if (!merge)
		return -ENOMEM;
	do {
		more = rf_merge_read(merge, &record, 1);
		if (nr && nr < RF_MARK_RECORDS && more && record.kind == RF_MARKER_MORE) {
			mark[nr++] = record;
			continue;
		}
		if (nr) {
			rf_mark_text(mark, nr, text);
			*found = !regexec(&windows->patterns->begin, text, 0, NULL, 0);
		}
		nr = 0;
		if (more && record.kind == RF_MARKER)
			mark[nr++] = record;
	} while (more && !*found);
	rf_merge_close(merge);
	return 0;
}

static bool has_marks(const struct rf_reader *reader)
{
	for (size_t i = 0; i < rf_reader_nr_frames(reader); i++)
		if (rf_reader_frame(reader, i)->kinds[1] & BIT_ULL(RF_MARKER - 64))
			return true;
	return false;
}

int rf_windows_start(struct rf_windows *windows, const struct rf_window_patterns *patterns, struct rf_reader *reader,
		     struct rf_error *err)
{
	bool found = false;
	int ret;

	*windows = (struct rf_windows){ .patterns = patterns };
	if (!reader || patterns->chosen || !has_marks(reader))
		return 0;
	ret = look_for_begin(windows, reader, &found, err);
	windows->every_mark = !found;
	return ret;
}

void rf_windows_free(struct rf_windows *windows)
{
	free(windows->windows);
	*windows = (struct rf_windows){ .patterns = windows->patterns };
}

/* ---- windows ----------------------------------------------------------------------- */

static s64 end_window(struct rf_windows *windows, enum rf_window_end why, u64 time, const u64 *kinds)
{
	struct rf_window *window;

	if (!windows->open)
		return -1;
	window = &windows->windows[windows->nr - 1];
	windows->open = false;
	window->end = time;
	window->ended_by = why;
	for (size_t kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		window->kinds[kind] = kinds[kind] - window->kinds[kind];
	window->kinds[RF_MARKER] = window->kinds[RF_MARKER_MORE] = 0;
	return windows->nr - 1;
}

static s64 begin_window(struct rf_windows *windows, const char *label, u64 time, const u64 *kinds)
{
	struct rf_window *window;

	if (windows->nr == RF_MAX_WINDOWS) {
		windows->left_out++;
		return -1;
	}
	if (array_grow(windows->windows, windows->room, windows->nr + 1ul))
		return -ENOMEM;
	window = &windows->windows[windows->nr];
	*window = (struct rf_window){ .occurrence = 1, .begin = time };
	strcpy(window->label, label);
	memcpy(window->kinds, kinds, sizeof(window->kinds));
	for (u32 i = 0; i < windows->nr; i++)
		window->occurrence += !strcmp(windows->windows[i].label, label);
	windows->open = true;
	return windows->nr++;
}

/* An end that names another window than the open one is of a phase that its successor ended. */
static bool ends_open(const struct rf_windows *windows, const char *text)
{
	char label[RF_MARK_BYTES + 1];
	bool labelled;

	if (!windows->open || !windows->patterns->has_end || windows->every_mark ||
	    !match(&windows->patterns->end, text, label, &labelled))
		return false;
	return !labelled || !strcmp(label, windows->windows[windows->nr - 1].label);
}

int rf_windows_mark(struct rf_windows *windows, const char *text, u64 time, const u64 *kinds, s64 *ended, s64 *begun)
{
	char label[RF_MARK_BYTES + 1];
	bool labelled;

	*ended = *begun = -1;
	if (windows->every_mark)
		strcpy(label, text);
	else if (ends_open(windows, text))
		*ended = end_window(windows, RF_WINDOW_END_MARK, time, kinds);
	else if (!match(&windows->patterns->begin, text, label, &labelled))
		return 0;
	if (*ended >= 0)
		return 0;
	*ended = end_window(windows, RF_WINDOW_END_NEXT, time, kinds);
	*begun = begin_window(windows, label, time, kinds);
	return *begun == -ENOMEM ? -ENOMEM : 0;
}

s64 rf_windows_finish(struct rf_windows *windows, u64 time, const u64 *kinds)
{
	return end_window(windows, RF_WINDOW_END_RECORDING, time, kinds);
}
