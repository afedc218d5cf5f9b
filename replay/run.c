// SPDX-License-Identifier: MIT
/*
 * The driver. The calling thread decodes and tracks; what it finds goes through the ring to the machines, and what
 * these have counted at the end becomes the results.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/results.h"
#include "replay/ring.h"
#include "replay/tracker/tracker.h"

/* Records between two looks at the clock. */
#define RECORDS_A_STEP 4096

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

	while ((nr = rf_tracker_run(tracker, RECORDS_A_STEP, err)) > 0)
		if (run->progress)
			run->progress(run->progress_context, nr);
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
	if (run->by && rf_by_has(run->by, RF_BY_stack) && rf_stack_list_read(&results->attribution.stacks, reader))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
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
	struct rf_tracker_options options = { .sink = ring_put, .page_tables = run->page_tables,
					      .one_thread = run->one_thread, .stop_at = run->stop_at };
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
	if (!ret && ring->attribution && rf_attribution_name_stacks(ring->attribution, run->symbols))
		ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
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
