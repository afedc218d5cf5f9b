// SPDX-License-Identifier: MIT
/* A recording while it runs: a look every so often. */
#include "capture/watch.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"

#define LOOK_MS 100
#define LOOK_AT_FILE_MS 20	/* two busy CPUs write some 5 MB a second */
#define TELL_NS 1000000000ull
#define CALM_NS 200000000ull
#define LEAST_PAUSE_NS 1000000000ull
#define PAUSES 20		/* times what it took to read all */
#define GROWTH_NS 200000000ull	/* before, a rate is none */

static u64 nanoseconds(const struct timeval *time)
{
	return (u64)time->tv_sec * 1000000000ull + (u64)time->tv_usec * 1000;
}

u64 rf_own_cpu_ns(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? 0 : nanoseconds(&usage.ru_utime) + nanoseconds(&usage.ru_stime);
}

u64 rf_own_peak_bytes(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? 0 : (u64)usage.ru_maxrss << 10;
}

/* What is ours alone: not the program, nor the rings that are mapped. */
static u64 own_memory(void)
{
	char value[64];

	return rf_task_status(getpid(), "RssAnon:", value, sizeof(value)) ? strtoull(value, NULL, 10) << 10 : 0;
}

u64 rf_disk_free(const char *path)
{
	struct statvfs disk;

	return !path || statvfs(path, &disk) ? ~0ull : (u64)disk.f_bavail * disk.f_frsize;
}

/* Events of all rings. */
static u64 lost_so_far(const struct rf_watch *watch, struct rf_rings_totals *rings)
{
	struct rf_perf_losses side = { 0 };

	rf_rings_so_far(watch->rings, rings);
	if (watch->perf)
		rf_perf_so_far(watch->perf, &side);
	return rings->lost + side.records;
}

/*
 * Once nothing has been lost for a moment; the next time not before so long has gone by that it takes a small part of
 * the time, whatever is lost.
 */
static void read_anew_after_loss(struct rf_watch *watch, u64 now)
{
	struct rf_rings_totals rings;
	u64 lost = lost_so_far(watch, &rings), took;

	if (lost != watch->lost) {
		watch->lost = lost;
		watch->lost_at_ns = now;
		watch->due = true;
	}
	if (watch->reading) {
		took = rf_follow_looked_ns(watch->follow);
		if (!took)
			return;
		watch->reading = false;
		watch->read_after_ns = now + max_u64(LEAST_PAUSE_NS, PAUSES * took);
	}
	if (!watch->due || now - watch->lost_at_ns < CALM_NS || now < watch->read_after_ns)
		return;
	watch->due = false;
	watch->reading = true;
	rf_follow_look_again(watch->follow);
}

static void tell(struct rf_watch *watch, u64 now, bool asked)
{
	struct rf_progress progress = { .elapsed_ns = now - watch->began_ns,
					.cpu_ns = rf_own_cpu_ns() - watch->began_cpu_ns,
					.bytes = rf_writer_bytes(watch->writer),
					.buffer_bytes = watch->buffer_bytes };
	struct rf_rings_totals rings;

	progress.lost = lost_so_far(watch, &rings);
	progress.records = rings.records;
	watch->told(watch->context, &progress, asked);
	watch->last_told_ns = now;
}

/* The other end of a pipe is closed. */
static bool has_ended(int fd)
{
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	return fd > 0 && poll(&ended, 1, 0) > 0;
}

/* At first as that of the part before did, which may have filled a small file by the time that more is known. */
double rf_watch_rate(const struct rf_watch *watch)
{
	u64 elapsed = rf_monotonic() - watch->began_ns, bytes = rf_writer_bytes(watch->writer);

	if (elapsed < GROWTH_NS || bytes < watch->began_bytes)
		return watch->usual_rate;
	return (double)(bytes - watch->began_bytes) / (double)elapsed;
}

static enum rf_end look(void *context, bool asked)
{
	struct rf_watch *watch = context;
	const struct rf_bounds *bounds = watch->bounds;
	struct rf_taken taken = {
		.file_bytes = bounds->file_bytes ? rf_writer_bytes(watch->writer) : 0,
		.free_bytes = bounds->free_bytes ? rf_disk_free(watch->disk) : ~0ull,
		.memory_bytes = bounds->memory_bytes ? own_memory() + watch->buffer_bytes : 0,
	};
	u64 now = rf_monotonic();

	if (watch->follow)
		read_anew_after_loss(watch, now);
	/* What it will have grown by at the end of the lead. */
	if (bounds->file_bytes)
		taken.file_bytes += (u64)(rf_watch_rate(watch) * (double)watch->lead_ns);
	if (watch->told && (asked || now - watch->last_told_ns >= TELL_NS))
		tell(watch, now, asked);
	watch->asked = asked && watch->asked_ends;
	if (watch->asked || has_ended(watch->trigger_fd))
		return RF_END_SIGNAL;
	return rf_budget_holds(watch->budget, now) ? rf_bounds_reached(bounds, &taken) : RF_END_CPU;
}

void rf_watch_begin(struct rf_watch *watch, struct rf_ending *ending)
{
	watch->began_ns = watch->last_told_ns = rf_monotonic();
	watch->began_cpu_ns = rf_own_cpu_ns();
	watch->began_bytes = rf_writer_bytes(watch->writer);
	rf_budget_begin(watch->budget);
	ending->tick = look;
	ending->context = watch;
	ending->tick_ms = watch->bounds->file_bytes ? LOOK_AT_FILE_MS : LOOK_MS;
}
