// SPDX-License-Identifier: MIT
/*
 * The driver. The calling thread decodes and tracks; the operations go in blocks into a ring that every machine reads
 * at its own pace on its own thread. A block is written once and only read afterwards, so nothing is copied per policy,
 * and each machine sees all operations in order: threads decide when, never what.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "engine/machine.h"
#include "replay/results.h"
#include "replay/run.h"
#include "replay/tracker/tracker.h"

/* 80 KiB of operations a block: 1.3 MiB in flight, so that what one core writes the others find in their caches. */
#define BLOCK_OPS 1024
#define RING_BLOCKS 16

/* Records between two looks at the clock; operations, of which one may have millions of entries. */
#define RECORDS_A_STEP 4096
#define OPS_A_STEP 64

struct block {
	struct rf_op ops[BLOCK_OPS];
	u32 owners[BLOCK_OPS];		/* groups of the attribution; without one nobody looks at them */
	size_t nr;
};

struct ring;

struct worker {
	struct ring *ring;
	struct rf_machine *machine;
	pthread_t thread;
	u64 consumed;		/* blocks; under the ring's lock */
	int error;
	struct rf_stats *begin;	/* as counted when the open window began */
	struct rf_window_counts *windows;	/* of those that have ended, by number */
	u32 nr_windows;
	size_t windows_room;
	bool processes;		/* are counted in each window and interval, too */
	bool in_window;
	struct rf_ledger of_window, of_interval;	/* what processes did in those that are open */
	struct rf_series series;
	struct rf_ledger ledger;	/* all that were taken */
	struct rf_ledger shares;	/* the same by groups of the attribution */
};

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t published;	/* a block, or the end */
	pthread_cond_t consumed;
	u64 nr_published;
	bool ended;
	bool one_thread;	/* the tracker's thread runs the machines, too */
	struct worker *workers;
	size_t nr_workers;
	u64 stop_at;
	const struct rf_run_options *run;
	struct rf_attribution *attribution;	/* NULL: nothing is attributed */
	struct block blocks[RING_BLOCKS];
};

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
static int take_accounts(struct worker *worker)
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

static bool is_late(u64 stop_at)
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
static int ring_put(void *context, const struct rf_op *ops, size_t nr)
{
	struct ring *ring = context;
	const u32 *owners = ring->attribution ? ring->attribution->pending : NULL;
	struct block *block;
	size_t chunk;

	if (is_late(ring->stop_at))
		return -ETIME;
	if (owners && ring->attribution->failed)
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
static int ring_stop(struct ring *ring)
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

static void ring_free(struct ring *ring, size_t nr_machines)
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
static struct ring *ring_start(struct rf_results *results, const struct rf_run_options *run, u64 first_time,
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

/*
 * What each machine counted becomes the results'. Every window was begun and ended by operations that all machines had.
 */
static int collect_windows(struct rf_results *results, struct ring *ring)
{
	u32 nr = results->windows.nr, i;
	struct rf_window_counts *counts;
	size_t k;

	if (!nr)
		return 0;
	counts = results->window_counts = calloc(nr * results->nr_policies, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		for (k = 0; k < results->nr_policies; k++, counts++) {
			*counts = ring->workers[k].windows[i];
			ring->workers[k].windows[i] = (struct rf_window_counts){ 0 };
			rf_ledger_sort(&counts->processes, &results->processes);
		}
	}
	return 0;
}

/* The interval in which the trace ends is over, too; all machines had the same ones. */
static int collect_intervals(struct rf_results *results, struct ring *ring, const struct rf_reader *reader)
{
	for (size_t k = 0; k < results->nr_policies; k++) {
		struct worker *worker = &ring->workers[k];

		if (!worker->series.length)
			return 0;
		if (worker->processes && take_accounts(worker))
			return -ENOMEM;
		if (rf_series_end(&worker->series, rf_reader_summary(reader)->last_time,
				  rf_machine_stats(worker->machine), &worker->of_interval))
			return -ENOMEM;
		results->series[k] = worker->series;
		worker->series = (struct rf_series){ 0 };
		for (u32 i = 0; i < results->series[k].nr; i++)
			rf_ledger_sort(&results->series[k].list[i].processes, &results->processes);
	}
	return 0;
}

/* The place of each address space in the list of marked ones, + 1; 0: it is not there. *nr: how many there are. */
static u32 *marked_places(const struct rf_trust *trust, u32 *nr)
{
	u32 *places;

	*nr = 0;
	for (u32 i = 0; i < trust->nr_mms; i++)
		*nr = max_u64(*nr, trust->mms[i].mm + 1ull);
	places = calloc(*nr + 1ul, sizeof(*places));
	for (u32 i = 0; places && i < trust->nr_mms; i++)
		places[trust->mms[i].mm] = i + 1;
	return places;
}

/* A machine contradicts what it was told of an address space: that is marked as well. */
static int mark_contradicted(struct rf_results *results, struct ring *ring)
{
	u32 nr, place, *places = marked_places(&results->trust, &nr);
	int ret = places ? 0 : -ENOMEM;

	for (size_t k = 0; !ret && k < results->nr_policies; k++) {
		const struct rf_ledger *ledger = &ring->workers[k].ledger;

		for (u32 i = 0; !ret && i < ledger->nr; i++) {
			const struct rf_account *account = &ledger->accounts[i];

			if (!account->anomalies)
				continue;
			place = account->mm < nr ? places[account->mm] - 1 : UINT32_MAX;
			for (u32 m = 0; place == UINT32_MAX && m < results->trust.nr_mms; m++)
				if (results->trust.mms[m].mm == account->mm)
					place = m;
			if (place == UINT32_MAX)
				ret = rf_trust_place(&results->trust, account->mm, &place);
			if (!ret) {
				results->trust.mms[place].known = true;
				ret = rf_trust_add(&results->trust, place, RF_REASON_machine, 0, 0);
			}
		}
	}
	free(places);
	return ret;
}

static int count_marked(struct rf_results *results, struct ring *ring)
{
	u32 nr, *places = marked_places(&results->trust, &nr);

	if (!places)
		return -ENOMEM;
	for (size_t k = 0; k < results->nr_policies; k++) {
		const struct rf_ledger *ledger = &ring->workers[k].ledger;

		results->marked[k] = (struct rf_account){ 0 };
		for (u32 i = 0; i < ledger->nr; i++)
			if (ledger->accounts[i].mm < nr && places[ledger->accounts[i].mm])
				rf_account_add(&results->marked[k], &ledger->accounts[i]);
	}
	free(places);
	return 0;
}

static int collect_accounts(struct rf_results *results, struct ring *ring, bool processes)
{
	size_t k;

	for (k = 0; k < results->nr_policies; k++)
		if (take_accounts(&ring->workers[k]))
			return -ENOMEM;
	if (mark_contradicted(results, ring) || count_marked(results, ring))
		return -ENOMEM;
	for (k = 0; k < results->nr_policies; k++) {
		struct worker *worker = &ring->workers[k];

		results->shares[k] = worker->shares;
		worker->shares = (struct rf_ledger){ 0 };
		if (!processes)
			continue;
		results->ledgers[k] = worker->ledger;
		worker->ledger = (struct rf_ledger){ 0 };
		rf_ledger_sort(&results->ledgers[k], &results->processes);
	}
	return 0;
}

static int track(struct rf_tracker *tracker, const struct rf_run_options *run, struct rf_error *err)
{
	s64 nr;

	while ((nr = rf_tracker_run(tracker, RECORDS_A_STEP, err)) > 0) {
		if (run->progress)
			run->progress(run->progress_context, nr);
		if (is_late(run->stop_at))
			return -ETIME;
	}
	return nr;
}

static u32 page_shift_of(const struct rf_run_options *run)
{
	return run->page_size ? (u32)__builtin_ctzll(run->page_size) : 12;
}

static int start_parts(struct rf_results *results, const struct rf_run_options *run, struct rf_reader *reader,
		       struct rf_tracker_options *options, struct rf_error *err)
{
	forget_parts(results);
	if (run->patterns) {
		options->windows = &results->windows;
		if (rf_windows_start(&results->windows, run->patterns, reader, err))
			return -ENOMEM;
	}
	options->processes = &results->processes;
	if (rf_processes_start(&results->processes))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (run->by && run->by->nr)
		rf_attribution_start(&results->attribution, run->by, page_shift_of(run));
	return 0;
}

/* Who asks for the causes of operations. */
struct asking {
	const struct rf_run_options *run;	/* for who watches */
	struct rf_operations *operations;
	struct rf_attribution *attribution;
};

/* rf_op_explainer of the tracker; what fails is told by the sink, which comes next. */
static void explain(void *context, const struct rf_op *ops, const struct rf_cause *causes, size_t nr)
{
	const struct asking *asking = context;

	if (asking->operations)
		rf_operations_write(asking->operations, ops, causes, nr);
	if (asking->attribution)
		rf_attribution_note(asking->attribution, ops, causes, nr);
	if (asking->run->explain)
		asking->run->explain(asking->run->watcher, ops, causes, nr);
}

int rf_run_trace(struct rf_reader *reader, struct rf_results *results, const struct rf_run_options *run,
		 struct rf_error *err)
{
	struct rf_tracker_options options = { .sink = ring_put, .page_tables = run->page_tables };
	struct asking asking = { .run = run, .operations = run->operations };
	struct rf_tracker *tracker;
	struct ring *ring;
	int ret, machine_error;
	size_t i;

	if (start_parts(results, run, reader, &options, err))
		return -ENOMEM;
	ring = ring_start(results, run, run->interval ? rf_reader_summary(reader)->first_time : 0, err);
	if (!ring)
		return -ENOMEM;
	options.context = ring;
	ring->stop_at = run->stop_at;
	asking.attribution = ring->attribution;
	if (run->operations)
		run->operations->page_shift = page_shift_of(run);
	if (asking.operations || asking.attribution || run->explain) {
		options.explain = explain;
		options.explain_context = &asking;
	}
	tracker = rf_tracker_create(reader, &options, err);
	ret = tracker ? track(tracker, run, err) : -ENOMEM;
	machine_error = ring_stop(ring);
	if (!ret && machine_error)
		ret = rf_error_set(err, machine_error, RF_NO_OFFSET, "out of memory");
	if (ret == -ETIME)
		rf_error_set(err, ret, RF_NO_OFFSET, "takes longer than it may");
	if (!ret)
		rf_tracker_take_trust(tracker, &results->trust);
	if (!ret && ring->attribution)
		rf_attribution_name_files(ring->attribution, tracker);
	if (!ret && (collect_windows(results, ring) ||
		     collect_intervals(results, ring, reader) ||
		     collect_accounts(results, ring, run->processes)))
		ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (!ret) {
		memcpy(results->kinds, rf_tracker_kinds(tracker), sizeof(results->kinds));
		for (i = 0; i < results->nr_policies; i++)
			results->last_stats[i] = *rf_machine_stats(ring->workers[i].machine);
		results->last_fidelity = *rf_tracker_fidelity(tracker);
		for (i = 0; i < results->nr_policies; i++)
			add_stats(&results->stats[i], &results->last_stats[i]);
		add_fidelity(&results->fidelity, &results->last_fidelity);
	}
	if (tracker)
		rf_tracker_destroy(tracker);
	ring_free(ring, results->nr_policies);
	return ret;
}
