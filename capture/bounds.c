// SPDX-License-Identifier: MIT
/* What a recording may take of the machine: arithmetic. */
#include "capture/bounds.h"

#include <errno.h>
#include <unistd.h>

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define DEFAULT_BUFFER (16 * MIB)
#define DEFAULT_LEAST MIB		/* whatever the total */
#define DEFAULT_TOTAL (512 * MIB)
#define DEFAULT_SHARE 8			/* of the memory */
#define SYSTEM_PART 4			/* of the task instance's buffer */
#define SIDE_PART 8
#define CALLS_PART 1			/* a fifth of a second of 10,000 calls a second, by default */
#define CALLS_LEAST (256 * KIB)		/* a sample of a call has more than 8 KiB */
#define SIDE_LEAST (64 * KIB)
#define SIDE_ENOUGH (512 * KIB)	/* the least, unless the total forbids: it hears the whole system */
#define SIDE_MOST (64 * MIB)
#define SPARE_PART 4
#define RESERVE_ENOUGH (256 * KIB)

/* A perf ring has a power of two of pages. */
static u64 round_down(u64 bytes)
{
	return bytes ? 1ull << (63 - __builtin_clzll(bytes)) : 0;
}

void rf_buffers_for(struct rf_buffers *buffers, u64 asked, u64 side_least)
{
	buffers->task = asked;
	buffers->system = max_u64(asked / SYSTEM_PART, RF_LEAST_BUFFER);
	buffers->side = max_u64(min_u64(round_down(asked / SIDE_PART), SIDE_MOST), side_least);
	if (buffers->calls)
		buffers->calls = max_u64(min_u64(round_down(asked / CALLS_PART), SIDE_MOST), CALLS_LEAST);
}

u64 rf_buffers_total(const struct rf_buffers *buffers)
{
	return (buffers->task + buffers->system + buffers->side + buffers->calls) * buffers->cpus;
}

static bool fits(struct rf_buffers *buffers, u64 asked, u64 side_least, u64 total)
{
	rf_buffers_for(buffers, asked, side_least);
	return rf_buffers_total(buffers) <= total;
}

static bool fit(struct rf_buffers *buffers, u64 asked, u64 side_least, u64 total)
{
	u64 least = RF_LEAST_BUFFER, most = asked;

	if (fits(buffers, asked, side_least, total))
		return true;
	while (most > least + KIB) {
		u64 middle = least + (most - least) / 2;

		if (fits(buffers, middle, side_least, total))
			least = middle;
		else
			most = middle;
	}
	return fits(buffers, least & ~(KIB - 1), side_least, total);
}

bool rf_buffers_fit(struct rf_buffers *buffers, u64 asked, u64 side_least, u64 total)
{
	return fit(buffers, asked, max_u64(side_least, SIDE_ENOUGH), total) ||
	       fit(buffers, asked, max_u64(side_least, SIDE_LEAST), total);
}

int rf_buffers_choose(struct rf_buffers *buffers, u64 asked, u64 side_least, const struct rf_bounds *bounds,
		      struct rf_error *err)
{
	u64 memory = (u64)sysconf(_SC_PHYS_PAGES) * (u64)sysconf(_SC_PAGESIZE), total = ~0ull;

	buffers->cpus = (u64)sysconf(_SC_NPROCESSORS_CONF);
	if (bounds->buffer_total)
		total = bounds->buffer_total;
	else if (!asked)
		total = min_u64(DEFAULT_TOTAL, memory / DEFAULT_SHARE);
	if (bounds->memory_bytes)
		total = min_u64(total, bounds->memory_bytes / 2);
	if (rf_buffers_fit(buffers, asked ? asked : DEFAULT_BUFFER, side_least, total))
		return 0;
	if (!bounds->buffer_total && !bounds->memory_bytes) {
		rf_buffers_for(buffers, DEFAULT_LEAST, max_u64(side_least, SIDE_ENOUGH));
		return 0;
	}
	return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "the least buffers for %llu CPUs take %llu KiB: allow more by "
			    "--buffer-total or --max-memory", (unsigned long long)buffers->cpus,
			    (unsigned long long)(rf_buffers_total(buffers) / KIB));
}

/* gap: bytes more than had, of a buffer that is a part of what was asked for. */
static u64 needed(u64 asked, u64 had, u64 gap)
{
	u64 more = gap + gap / SPARE_PART;

	return gap ? asked + (u64)((unsigned __int128)more * asked / had) : 0;
}

u64 rf_buffers_needed(const struct rf_buffers *had, const struct rf_buffers *gaps)
{
	u64 most = needed(had->task, had->task, gaps->task);

	most = max_u64(most, needed(had->task, had->system, gaps->system));
	most = max_u64(most, needed(had->task, had->side, gaps->side));
	return ALIGN_UP(most, MIB);
}

/* A part of the file for what is under way when it ends; of a small one more, as last snapshots are not small. */
static u64 file_reserve(u64 bytes)
{
	return max_u64(bytes / 8, min_u64(bytes / 2, RESERVE_ENOUGH));
}

enum rf_end rf_bounds_reached(const struct rf_bounds *bounds, const struct rf_taken *taken)
{
	if (bounds->file_bytes && taken->file_bytes >= bounds->file_bytes - file_reserve(bounds->file_bytes))
		return RF_END_SIZE;
	if (bounds->free_bytes && taken->free_bytes < bounds->free_bytes)
		return RF_END_DISK;
	if (bounds->memory_bytes && taken->memory_bytes > bounds->memory_bytes)
		return RF_END_MEMORY;
	return RF_END_NONE;
}
