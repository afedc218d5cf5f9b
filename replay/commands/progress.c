// SPDX-License-Identifier: MIT
/*
 * The progress line. It is rewritten every half second, on standard error and only if that is a terminal, so that a log
 * or a pipe never sees it and a report never depends on it.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "replay/commands/progress.h"

#define NS_A_SECOND 1000000000ull
#define INTERVAL_NS (NS_A_SECOND / 2)

static u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_A_SECOND + now.tv_nsec;
}

void rf_progress_begin(struct rf_progress *progress, bool wanted, u64 total_records)
{
	*progress = (struct rf_progress){
		.shown = wanted && isatty(STDERR_FILENO),
		.total = total_records,
		.start_ns = now_ns(),
	};
	progress->last_ns = progress->start_ns;
}

int rf_progress_text(const struct rf_progress *progress, u64 elapsed_ns, char *text, int size)
{
	double seconds = (double)elapsed_ns / NS_A_SECOND;
	double rate = seconds > 0 ? progress->done / seconds : 0;
	u64 left = progress->total > progress->done ? progress->total - progress->done : 0;
	int used;

	used = snprintf(text, size, "%.1f M records, %.2f M/s", progress->done / 1e6, rate / 1e6);
	/* A trace that grew or lost its end may hold more than was promised: say nothing rather than 104 %. */
	if (used < size && progress->total && progress->done <= progress->total && rate > 0)
		used += snprintf(text + used, size - used, ", %.0f %%, %.0f s left",
				 100.0 * progress->done / progress->total, left / rate);
	return used;
}

void rf_progress_add(struct rf_progress *progress, u64 records)
{
	char text[120];
	u64 now;

	progress->done += records;
	if (!progress->shown)
		return;
	now = now_ns();
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
