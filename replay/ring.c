// SPDX-License-Identifier: MIT
/* The ring of operations, and the threads of machines that read it. */
#include "replay/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"

/* Operations between two looks at the clock, of which one may have millions of entries. */
#define OPS_A_STEP 64

/* The next block for this worker, or NULL at the end. */
static const struct block *ring_next(struct ring *ring, struct worker *worker)
{
	const struct block *block = NULL;

	pthread_mutex_lock(&ring->lock);
	while (worker->consumed == ring->nr_published && !ring->ended)
		pthread_cond_wait(&ring->published, &ring->lock);
	if (worker->consumed < ring->nr_published)
		block = &ring->blocks[worker->consumed % RING_BLOCKS];
	pthread_mutex_unlock(&ring->lock);
	return block;
}

static void ring_done(struct ring *ring, struct worker *worker)
{
	pthread_mutex_lock(&ring->lock);
	worker->consumed++;
	pthread_cond_signal(&ring->consumed);
	pthread_mutex_unlock(&ring->lock);
}

/* What each address space did since this was called last. */
int take_accounts(struct worker *worker)
{
	const struct rf_account *accounts;
	u32 nr;

	if (rf_machine_take_accounts(worker->machine, &accounts, &nr) || rf_ledger_add(&worker->ledger, accounts, nr))
		return -ENOMEM;
	if (worker->ring->attribution && rf_ledger_add(&worker->shares, accounts, nr))
		return -ENOMEM;
	if (!worker->processes)
		return 0;
	if (worker->in_window && rf_ledger_add(&worker->of_window, accounts, nr))
		return -ENOMEM;
	return worker->series.length ? rf_ledger_add(&worker->of_interval, accounts, nr) : 0;
}

static int begin_window(struct worker *worker)
{
	if (!worker->begin)
		worker->begin = malloc(sizeof(*worker->begin));
	if (!worker->begin)
		return -ENOMEM;
	*worker->begin = *rf_machine_stats(worker->machine);
	if (worker->processes && take_accounts(worker))
		return -ENOMEM;
	worker->in_window = true;
	return 0;
}

/* Windows end in the order of their numbers, because the next begin ends the one before. */
static int end_window(struct worker *worker)
{
	struct rf_window_counts *window;

	if (array_grow(worker->windows, worker->windows_room, worker->nr_windows + 1ul))
		return -ENOMEM;
	window = &worker->windows[worker->nr_windows];
	if (rf_counted_between(&window->counted, worker->begin, rf_machine_stats(worker->machine)))
		return -ENOMEM;
	if (worker->processes && take_accounts(worker)) {
		free(window->counted.numbers);
		return -ENOMEM;
	}
	window->processes = worker->of_window;
	worker->of_window = (struct rf_ledger){ 0 };
	worker->in_window = false;
	worker->nr_windows++;
	return 0;
}

static int end_intervals(struct worker *worker, u64 time)
{
	if (worker->processes && take_accounts(worker))
		return -ENOMEM;
	return rf_series_until(&worker->series, time, rf_machine_stats(worker->machine), &worker->of_interval);
}

bool is_late(u64 stop_at)
{
	return stop_at && rf_monotonic() >= stop_at;
}

/* Operation by operation, for who watches. */
static int run_watched(struct worker *worker, const struct rf_op *ops, const u32 *owners, size_t nr)
{
	const struct rf_run_options *run = worker->ring->run;
	size_t policy = (size_t)(worker - worker->ring->workers);
	int ret = 0;

	for (size_t i = 0; i < nr && !ret; i++) {
		ret = rf_machine_run_for(worker->machine, ops + i, owners ? owners + i : NULL, 1);
		run->observe(run->watcher, policy, ops + i, rf_machine_stats(worker->machine));
	}
	return ret;
}

static int run_ops(struct worker *worker, const struct block *block, size_t start, size_t nr)
{
	const u32 *owners = worker->ring->attribution ? block->owners + start : NULL;
	const struct rf_op *ops = block->ops + start;
	int ret = 0;

	for (size_t done = 0, step; done < nr && !ret; done += step) {
		step = min_u64(nr - done, OPS_A_STEP);
		if (is_late(worker->ring->stop_at))
			return -ETIME;
		if (worker->ring->run->observe)
			ret = run_watched(worker, ops + done, owners ? owners + done : NULL, step);
		else
			ret = rf_machine_run_for(worker->machine, ops + done, owners ? owners + done : NULL, step);
	}
	return ret;
}

/* The same, stopping where an interval ends. */
static int run_timed(struct worker *worker, const struct block *block, size_t start, size_t nr)
{
	size_t done = start, end = start + nr;
	int ret = 0;

	for (size_t i = start; worker->series.length && i < end && !ret; i++) {
		if (block->ops[i].time < rf_series_next(&worker->series))
			continue;
		ret = run_ops(worker, block, done, i - done);
		if (!ret)
			ret = end_intervals(worker, block->ops[i].time);
		done = i;
	}
	return ret ? ret : run_ops(worker, block, done, end - done);
}

/* Run a block, stopping where a window begins or ends to take down the counters. */
static int run_block(struct worker *worker, const struct block *block)
{
	size_t start = 0, i;
	int ret = 0;

	for (i = 0; i < block->nr && !ret; i++) {
		if (block->ops[i].kind != RF_OP_WINDOW)
			continue;
		/* With the mark itself, whose time counts for how long blocks lived. */
		ret = run_timed(worker, block, start, i + 1 - start);
		if (!ret)
			ret = block->ops[i].nr ? begin_window(worker) : end_window(worker);
		start = i + 1;
	}
	return ret ? ret : run_timed(worker, block, start, block->nr - start);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	const struct block *block;

	/* After an error the worker goes on taking blocks, or the ring would stand still for the others. */
	while ((block = ring_next(worker->ring, worker))) {
		if (!worker->error)
			worker->error = run_block(worker, block);
		ring_done(worker->ring, worker);
	}
	return NULL;
}

static u64 slowest_worker(const struct ring *ring)
{
	u64 least = ring->nr_published;
	size_t i;

	for (i = 0; i < ring->nr_workers; i++)
		least = min_u64(least, ring->workers[i].consumed);
	return least;
}

/* The block being filled; only the tracker's thread touches it until it is published. */
static struct block *ring_open_block(struct ring *ring)
{
	return &ring->blocks[ring->nr_published % RING_BLOCKS];
}

static void run_everywhere(struct ring *ring, struct block *block)
{
	for (size_t i = 0; i < ring->nr_workers; i++)
		if (!ring->workers[i].error)
			ring->workers[i].error = run_block(&ring->workers[i], block);
	block->nr = 0;
}

static void ring_publish(struct ring *ring)
{
	if (!ring_open_block(ring)->nr)
		return;
	if (ring->one_thread) {
		run_everywhere(ring, ring_open_block(ring));
		return;
	}
	pthread_mutex_lock(&ring->lock);
	ring->nr_published++;
	pthread_cond_broadcast(&ring->published);
	while (ring->nr_published - slowest_worker(ring) >= RING_BLOCKS)
		pthread_cond_wait(&ring->consumed, &ring->lock);
	pthread_mutex_unlock(&ring->lock);
	ring_open_block(ring)->nr = 0;
}

/* rf_op_sink of the tracker. */
int ring_put(void *context, const struct rf_op *ops, size_t nr)
{
	struct ring *ring = context;
	const u32 *owners = ring->attribution ? ring->attribution->pending : NULL;
	struct block *block;
	size_t chunk;

	if (is_late(ring->stop_at))
		return -ETIME;
	if (ring->attribution && ring->attribution->failed)
		return -ENOMEM;
	while (nr) {
		block = ring_open_block(ring);
		chunk = min_u64(nr, BLOCK_OPS - block->nr);
		memcpy(block->ops + block->nr, ops, chunk * sizeof(*ops));
		if (owners) {
			memcpy(block->owners + block->nr, owners, chunk * sizeof(*owners));
			owners += chunk;
		}
		block->nr += chunk;
		ops += chunk;
		nr -= chunk;
		if (block->nr == BLOCK_OPS)
			ring_publish(ring);
	}
	return 0;
}

/* Join the workers; the first error of any machine. Threads that were never started are not in nr_workers. */
int ring_stop(struct ring *ring)
{
	int error = 0;
	size_t i;

	ring_publish(ring);
	pthread_mutex_lock(&ring->lock);
	ring->ended = true;
	pthread_cond_broadcast(&ring->published);
	pthread_mutex_unlock(&ring->lock);
	for (i = 0; i < ring->nr_workers; i++) {
		if (!ring->one_thread)
			pthread_join(ring->workers[i].thread, NULL);
		if (!error)
			error = ring->workers[i].error;
	}
	return error;
}

void ring_free(struct ring *ring, size_t nr_machines)
{
	size_t i;

	for (i = 0; i < nr_machines; i++) {
		struct worker *worker = &ring->workers[i];

		while (worker->nr_windows)
			rf_window_counts_free(&worker->windows[--worker->nr_windows]);
		free(worker->windows);
		free(worker->begin);
		rf_ledger_free(&worker->ledger);
		rf_ledger_free(&worker->of_window);
		rf_ledger_free(&worker->of_interval);
		rf_series_free(&worker->series);
		rf_ledger_free(&worker->shares);
		rf_machine_destroy(worker->machine);
	}
	pthread_mutex_destroy(&ring->lock);
	pthread_cond_destroy(&ring->published);
	pthread_cond_destroy(&ring->consumed);
	free(ring->workers);
	free(ring);
}

/* A machine for recordings with pages of this size; 0: of its own. */
static int machine_start(struct worker *worker, const struct rf_policy *policy, u64 page_size)
{
	const struct rf_attribution *attribution = worker->ring->attribution;
	bool by_row = attribution && rf_by_has(&attribution->by, RF_BY_site);

	worker->machine = rf_machine_create(policy);
	worker->shares.by_owner = true;
	if (!worker->machine || rf_machine_account(worker->machine, by_row))
		return -ENOMEM;
	return page_size ? rf_machine_recorded_pages(worker->machine, __builtin_ctzll(page_size)) : 0;
}

/* A ring with one machine and, unless there is one for all, one thread per policy. */
struct ring *ring_start(struct rf_results *results, const struct rf_run_options *run, u64 first_time,
			struct rf_error *err)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	size_t nr = 0;
	int ret;

	if (!ring)
		goto no_memory;
	ring->run = run;
	ring->attribution = results->attribution.by.nr ? &results->attribution : NULL;
	ring->workers = calloc(results->nr_policies, sizeof(*ring->workers));
	if (!ring->workers) {
		free(ring);
		goto no_memory;
	}
	ring->one_thread = run->one_thread;
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->published, NULL);
	pthread_cond_init(&ring->consumed, NULL);
	for (; nr < results->nr_policies; nr++) {
		ring->workers[nr].ring = ring;
		ring->workers[nr].processes = run->processes;
		ring->workers[nr].series = (struct rf_series){ .begin = first_time, .length = run->interval };
		ret = machine_start(&ring->workers[nr], &results->policies[nr], run->page_size);
		if (ret) {
			ring_free(ring, nr + 1);
			if (ret == -ENOMEM)
				goto no_memory;
			rf_error_set(err, ret, RF_NO_OFFSET, "has pages of %llu bytes, which policy %s cannot replay",
				     (unsigned long long)run->page_size, results->policies[nr].name);
			return NULL;
		}
	}
	for (; ring->nr_workers < nr; ring->nr_workers++) {
		struct worker *worker = &ring->workers[ring->nr_workers];

		ret = ring->one_thread ? 0 : pthread_create(&worker->thread, NULL, worker_main, worker);
		if (ret) {
			ring_stop(ring);
			ring_free(ring, nr);
			rf_error_set(err, -ret, RF_NO_OFFSET, "cannot start a thread per policy: %s; name fewer",
				     strerror(ret));
			return NULL;
		}
	}
	return ring;

no_memory:
	rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory for %zu machines; name fewer policies",
		     results->nr_policies);
	return NULL;
}
