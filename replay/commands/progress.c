// SPDX-License-Identifier: MIT
/*
 * The progress line. It is rewritten every half second, on standard error and only if that is a terminal, so that a log
 * or a pipe never sees it and a report never depends on it.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "replay/commands/progress.h"

#define INTERVAL_NS (RF_NS_PER_SECOND / 2)

void rf_progress_begin(struct rf_progress *progress, bool wanted, u64 total_records)
{
	*progress = (struct rf_progress){
		.shown = wanted && isatty(STDERR_FILENO),
		.total = total_records,
		.start_ns = rf_monotonic(),
	};
	progress->last_ns = progress->start_ns;
}

void rf_progress_text(const struct rf_progress *progress, u64 elapsed_ns, char *text, size_t size)
{
	double seconds = (double)elapsed_ns / RF_NS_PER_SECOND;
	double rate = seconds > 0 ? progress->done / seconds : 0;
	u64 left = progress->total > progress->done ? progress->total - progress->done : 0;
	struct rf_line line;

	rf_line_begin(&line, text, size);
	rf_line_add(&line, "%.1f M records, %.2f M/s", progress->done / 1e6, rate / 1e6);
	/* A trace that grew or lost its end may hold more than was promised: say nothing rather than 104 %. */
	if (progress->total && progress->done <= progress->total && rate > 0)
		rf_line_add(&line, ", %.0f %%, %.0f s left", 100.0 * progress->done / progress->total, left / rate);
}

void rf_progress_add(void *context, u64 records)
{
	struct rf_progress *progress = context;
	char text[120];
	u64 now;

	progress->done += records;
	if (!progress->shown)
		return;
	now = rf_monotonic();
	if (now - progress->last_ns < INTERVAL_NS)
		return;
	progress->last_ns = now;
	progress->drawn = true;
	rf_progress_text(progress, now - progress->start_ns, text, sizeof(text));
	fprintf(stderr, "\r%s\033[K", text);
	fflush(stderr);
}

void rf_progress_end(struct rf_progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
}
