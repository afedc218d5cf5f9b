// SPDX-License-Identifier: MIT
/*
 * What madvise() reclaims and splits on its way. MADV_PAGEOUT walks one page table, reclaims what it found there, in
 * order of addresses, and goes on to the next; any advice drops the page-table lock to split a folio that the range
 * covers in part, and takes it again. Each time the walk begins anew it makes sure that deferred flushes are done, so
 * where it stood when pages were unmapped decides how many flushes there are.
 *
 * RSS changes tell how many pages were unmapped. Which ones, a later record tells where there is one: a write to swap,
 * a page that leaves the page cache or is freed. A page that somebody else refers to is unmapped and kept: no record
 * tells of it, but it lies between two that are told, or behind the last one.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"

bool pages_out(const struct task *task)
{
	return task && task->call.kind && task->call.advised;
}

/* Whose memory it is; NULL: nobody's, or he is gone. */
static struct tracked_mm *advised_mm(const struct rf_tracker *tracker, const struct task *task)
{
	return pages_out(task) ? tracked_mm(tracker->world, task->call.advised - 1) : NULL;
}

static struct task *task_in_advice(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm)
{
	struct task *task = task_find(tracker, tid);

	if (task && task->mm == mm && task->call.kind == RF_SYS_MADVISE)
		return task;
	return advised_mm(tracker, task) == mm ? task : NULL;
}

static u64 end_of_table(const struct rf_tracker *tracker, u64 vpn)
{
	return ALIGN_DOWN(vpn, BIT_ULL(tracker->pmd_order)) + BIT_ULL(tracker->pmd_order);
}

/* ---- counters -------------------------------------------------------------------------------- */

/* The counter that tells of it when it is reclaimed: SWAP and ANON of what is swapped, ANON of what is discarded. */
static u32 counter_of(world_pte pte)
{
	if (!world_pte_present(pte))
		return RF_RSS_MEMBERS;
	switch (world_pte_kind(pte)) {
	case WORLD_ANON:
		return pte & WORLD_LAZYFREE ? RF_RSS_ANON : RF_RSS_SWAP;
	case WORLD_FILE:
		return RF_RSS_FILE;
	case WORLD_SHMEM:
		return RF_RSS_SHMEM;
	default:
		return RF_RSS_MEMBERS;
	}
}

/* Pages that were unmapped, and no record told which. */
static u32 untold(const struct task_call *call, u32 counter)
{
	u32 swapped = call->unmapped[RF_RSS_SWAP], anon = call->unmapped[RF_RSS_ANON];

	if (counter != RF_RSS_ANON)
		return call->unmapped[counter];
	return anon > swapped ? anon - swapped : 0;
}

/* ---- what is freed --------------------------------------------------------------------------- */

/* The task's PAGE_FREEs that follow each other, from the one in progress. */
struct frees {
	struct rf_tracker *tracker;
	struct task *task;
	struct rf_record now;
	u64 end;		/* behind the highest address of something discarded */
	u32 pages;		/* so many were */
};

static const struct rf_record *next_free(const struct frees *frees, size_t *i)
{
	const struct rf_record *next = next_of(frees->tracker, frees->task->tid, i);

	return next && next->kind == RF_PAGE_FREE ? next : NULL;
}

static bool is_freed(const struct frees *frees, u64 pfn)
{
	const struct rf_record *record = &frees->now;
	size_t i = 0;

	for (; record; record = next_free(frees, &i))
		if (pfn - record->f[0] < BIT_ULL(min_u64(record->f[1], WORLD_ORDER_MAX)))
			return true;
	return false;
}

/* ---- what is left ---------------------------------------------------------------------------- */

/* What is left of entries that the walk has passed. */
struct rest {
	struct rf_tracker *tracker;
	struct task *task;
	u32 counter;
	const struct frees *frees;	/* without what these free; NULL: nothing */
	u32 pages, folios;
	u64 folio;		/* the last one seen, 0: none */
	u32 gone;		/* so many pages of it were discarded before one was found dirty */
	struct tracked_mm *mm;
};

/* The advice leaves alone what others map, too. */
static bool is_candidate(const struct rest *rest, world_pte pte)
{
	const struct world_map *maps;

	return counter_of(pte) == rest->counter &&
	       rmap_collect(rest->tracker->world, world_pte_pfn(pte), &maps) == 1 &&
	       !(rest->frees && is_freed(rest->frees, world_pte_pfn(pte)));
}

static u64 folio_of(const struct rest *rest, world_pte pte)
{
	u64 pfn = world_pte_pfn(pte);

	return folio_head(pfn, folio_order(rest->tracker->world, pfn)) + 1;
}

static void count_pte(void *context, u64 vpn, world_pte pte)
{
	struct rest *rest = context;

	if (!is_candidate(rest, pte))
		return;
	rest->pages++;
	rest->folios += folio_of(rest, pte) != rest->folio;
	rest->folio = folio_of(rest, pte);
}

static struct rest rest_of(struct rf_tracker *tracker, struct task *task, u32 counter)
{
	return (struct rest){ .tracker = tracker, .task = task, .counter = counter, .mm = advised_mm(tracker, task) };
}

static void count_rest(struct rest *rest, u64 start, u64 end)
{
	if (start < end)
		world_walk(&rest->mm->world, start, end, count_pte, rest);
	rest->folio = 0;
}

static u32 pages_left(struct rf_tracker *tracker, struct task *task, u32 counter, u64 start, u64 end)
{
	struct rest rest = rest_of(tracker, task, counter);

	count_rest(&rest, start, end);
	return rest.pages;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* pageout() writes folio by folio, and before each that is dirty completes the flushes. */
static void unmap_pte(void *context, u64 vpn, world_pte pte)
{
	struct rest *rest = context;
	struct tracked_mm *mm = rest->mm;

	if (!is_candidate(rest, pte))
		return;
	if (rest->folio && rest->folio != folio_of(rest, pte) && rest->counter != RF_RSS_FILE)
		reclaim_flush_dirty(rest->tracker);
	rest->folio = folio_of(rest, pte);
	if (rest->counter == RF_RSS_SWAP)
		swap_out(rest->tracker, mm, vpn, pte, 0);
	else
		unmap_one(rest->tracker, mm, vpn, pte, 0);
	call_unmap_told(&rest->task->call, rest->counter, 1);
}

/*
 * try_to_unmap_one() of a lazily freed folio that is dirty again: what it has cleared when it finds out is set again,
 * folio_set_swapbacked(). Entries before that are gone.
 */
static void keep_pte(void *context, u64 vpn, world_pte pte)
{
	struct rest *rest = context;
	struct tracked_mm *mm = rest->mm;
	u64 pfn = world_pte_pfn(pte);

	if (!is_candidate(rest, pte))
		return;
	if (rest->gone) {
		rest->gone--;
		unmap_pte(context, vpn, pte);
		return;
	}
	emit_entry(rest->tracker, RF_OP_UNMAP_FILE, mm, vpn, pfn, folio_order(rest->tracker->world, pfn),
		   RF_OP_ANON | RF_OP_DEFERRED | RF_OP_WRITE);
	world_set_flags(rest->tracker->world, &mm->world, vpn, 1, 0, WORLD_LAZYFREE);
	owe_flush(rest->tracker, mm);
}

/*
 * What the reclaim should have discarded before vpn and did not was dirty; frees are yet to come, if any. If more was
 * discarded than is told, it was here, or of what the walk has ahead, to the given vpn.
 */
static void settle_discards(struct rf_tracker *tracker, struct task *task, u64 vpn, const struct frees *frees,
			    u64 ahead)
{
	struct rest rest = rest_of(tracker, task, RF_RSS_ANON);
	u64 start = task->call.discarded;
	u32 gone = untold(&task->call, RF_RSS_ANON);

	if (vpn <= start)
		return;
	rest.frees = frees;
	call_discarded(&task->call, vpn);
	count_rest(&rest, start, vpn);
	if (!rest.pages)
		return;
	if (frees)
		gone -= (u32)min_u64(gone, frees->pages);
	if (gone && pages_left(tracker, task, RF_RSS_ANON, vpn, ahead)) {
		mark_mm(tracker, rest.mm, RF_REASON_pages_untold);
		gone = 0;
	}
	if (gone == rest.pages) {	/* their freeing was not told */
		world_walk(&rest.mm->world, start, vpn, unmap_pte, &rest);
		return;
	}
	if (rest.folios == 1 && gone < rest.pages)
		rest.gone = gone;
	else if (gone)
		mark_mm(tracker, rest.mm, RF_REASON_pages_untold);
	world_walk(&rest.mm->world, start, vpn, keep_pte, &rest);
}

/* From start on, where a table begins that has some of these; the range may be as large as the address space. */
static u64 next_left(struct rf_tracker *tracker, struct task *task, u32 counter, u64 start, u64 end)
{
	const u64 table = BIT_ULL(tracker->pmd_order);
	u64 span = table, next;

	while (start < end) {
		next = min_u64(ALIGN_DOWN(start, table) + span, end);
		if (!pages_left(tracker, task, counter, start, next)) {
			start = next;
			span *= 2;
		} else if (span == table) {
			return start;
		} else {
			span /= 2;
		}
	}
	return end;
}

/* The walk goes on from where it stood to vpn. */
static void walk_to(struct rf_tracker *tracker, struct task *task, u64 vpn, const struct frees *frees)
{
	struct task_call *call = &task->call;
	struct rf_op *op;

	vpn = min_u64(vpn, call->advice_end);
	while (call->walked < vpn) {
		/* As far as it meets nothing to discard; else to the end of that table. */
		u64 next = min_u64(end_of_table(tracker, next_left(tracker, task, RF_RSS_ANON, call->walked, vpn)),
				   vpn);

		settle_discards(tracker, task, call->walked, frees, vpn);
		reclaim_flush(tracker);		/* the last table's pages were reclaimed, to the end */
		op = emit(tracker, RF_OP_MADV_PAGEOUT, advised_mm(tracker, task));
		op->addr = call->walked << tracker->page_shift;
		op->end = next << tracker->page_shift;
		op->aux = call->advice_end << tracker->page_shift;
		call_walked(call, next);
	}
}

/* All that is left of [start, end) was unmapped, table by table. */
static void unmap_rest(struct rf_tracker *tracker, struct task *task, u32 counter, u64 start, u64 end)
{
	u64 next;

	for (; (start = next_left(tracker, task, counter, start, end)) < end; start = next) {
		struct rest rest = rest_of(tracker, task, counter);

		next = min_u64(end_of_table(tracker, start), end);
		walk_to(tracker, task, end_of_table(tracker, start), NULL);
		world_walk(&rest.mm->world, start, next, unmap_pte, &rest);
		if (counter != RF_RSS_FILE)
			reclaim_flush_dirty(tracker);
	}
}

static const u8 kept_counters[] = { RF_RSS_SWAP, RF_RSS_FILE, RF_RSS_SHMEM };

/*
 * The folio at vpn, of which nr pages were unmapped by that counter, is told. Other pages that were unmapped since the
 * last one lie between the two.
 */
static void settle_kept(struct rf_tracker *tracker, struct task *task, u64 vpn, u32 counter, u32 nr)
{
	struct task_call *call = &task->call;

	for (size_t i = 0; i < ARRAY_SIZE(kept_counters); i++) {
		u32 told = kept_counters[i] == counter ? nr : 0, left = untold(call, kept_counters[i]);

		if (left > told &&
		    pages_left(tracker, task, kept_counters[i], call->reclaimed, vpn) == left - told)
			unmap_rest(tracker, task, kept_counters[i], call->reclaimed, vpn);
	}
}

/* Nothing more will be told. What is not known is which pages, so the address space is not exact any more. */
static void settle_rest(struct rf_tracker *tracker, struct task *task)
{
	u64 start = task->call.advice_start, end = task->call.advice_end;

	settle_kept(tracker, task, end, RF_RSS_MEMBERS, 0);
	for (size_t i = 0; i < ARRAY_SIZE(kept_counters); i++) {
		u32 left = untold(&task->call, kept_counters[i]), found;

		if (!left)
			continue;
		found = pages_left(tracker, task, kept_counters[i], start, end);
		if (found == left)
			unmap_rest(tracker, task, kept_counters[i], start, end);
		else if (found)
			mark_mm(tracker, advised_mm(tracker, task), RF_REASON_pages_untold);
	}
}

/* Unmapped by the call, and in none of its pieces: lazily freed pages that were swapped without a write, say. */
static void mark_untold(struct rf_tracker *tracker, struct task *task)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept_counters); i++)
		if (untold(&task->call, kept_counters[i]))
			mark_mm(tracker, advised_mm(tracker, task), RF_REASON_pages_untold);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void finish_piece(struct rf_tracker *tracker, struct task *task)
{
	u64 end = task->call.advice_end;

	walk_to(tracker, task, end, NULL);
	settle_discards(tracker, task, end, NULL, end);
	reclaim_flush(tracker);
}

void pageout_begins(struct rf_tracker *tracker, struct task *task, const struct tracked_mm *mm, u64 start, u64 end)
{
	call_advises(&task->call, mm->world.id, 0, vpn_of(tracker, start), vpn_of(tracker, end));
}

/* vector_madvise(): one iovec after the other. False: that was the last one. */
static bool next_piece(const struct rf_tracker *tracker, struct task *task)
{
	struct task_call *call = &task->call;
	const struct task_gup *iovec;
	u64 end;

	/* Without any, there is no array to point into. */
	if (call->kind != RF_SYS_PROCESS_MADVISE || call->piece + 1 >= task->nr_gups)
		return false;
	iovec = &task->gups[call->piece + 1];
	if (!call_range(tracker, iovec->addr, iovec->len, &end))
		end = iovec->addr;
	call_advises(call, call->advised - 1, call->piece + 1, vpn_of(tracker, iovec->addr), vpn_of(tracker, end));
	return true;
}

/* Is vpn in a piece that is still to come? nr pages unmapped by that counter are there. Then the walk is. */
static void reach_piece(struct rf_tracker *tracker, struct task *task, u64 vpn, u32 counter, u32 nr)
{
	struct task_call *call = &task->call;
	u64 addr = vpn << tracker->page_shift;
	u32 piece;

	if (call->kind != RF_SYS_PROCESS_MADVISE || (call->advice_start <= vpn && vpn < call->advice_end))
		return;
	for (piece = call->piece + 1; piece < task->nr_gups; piece++)
		if (addr >= task->gups[piece].addr && addr - task->gups[piece].addr < task->gups[piece].len)
			break;
	while (piece < task->nr_gups && call->piece < piece) {
		settle_kept(tracker, task, call->advice_end, counter, nr);
		finish_piece(tracker, task);
		if (!next_piece(tracker, task))
			return;
	}
}

void pageout_ends(struct rf_tracker *tracker, struct task *task)
{
	if (!advised_mm(tracker, task))
		return;
	do {
		settle_rest(tracker, task);
		finish_piece(tracker, task);
	} while (next_piece(tracker, task));
	mark_untold(tracker, task);
}

/* ---- records --------------------------------------------------------------------------------- */

void pageout_rss(struct task *task, const struct tracked_mm *mm, u8 member, s64 delta)
{
	if (pages_out(task) && task->call.advised == mm->world.id + 1 &&
	    (member == RF_RSS_SWAP ? delta > 0 : delta < 0))
		call_unmaps(&task->call, member, (u32)(delta < 0 ? -delta : delta));
}

/* The pages of the folio at head that the advice is about: their counter, first and last, how many. */
struct told {
	u32 counter, nr;
	u64 first, last;
};

static struct told told_of(struct rf_tracker *tracker, struct tracked_mm *mm, const struct task_call *call, u64 head,
			   u32 order)
{
	struct told told = { .counter = RF_RSS_MEMBERS, .first = ~0ull };
	const struct world_map *maps;

	for (u64 i = 0; i < BIT_ULL(order); i++) {
		size_t mapped = rmap_collect(tracker->world, head + i, &maps);

		for (size_t m = 0; m < mapped; m++) {
			if (maps[m].mm != mm->world.id || maps[m].vpn < call->advice_start ||
			    maps[m].vpn >= call->advice_end)
				continue;
			told.counter = counter_of(world_get(&mm->world, maps[m].vpn));
			told.first = min_u64(told.first, maps[m].vpn);
			told.last = max_u64(told.last, maps[m].vpn);
			told.nr++;
		}
	}
	return told;
}

void pageout_tells(struct rf_tracker *tracker, u32 tid, u64 head, u32 order)
{
	struct task *task = task_find(tracker, tid);
	struct tracked_mm *mm = advised_mm(tracker, task);
	const struct world_map *maps;
	struct told told;

	if (!mm)
		return;
	if (task->nr_gups > 1 && rmap_collect(tracker->world, head, &maps) == 1 && maps[0].mm == mm->world.id)
		reach_piece(tracker, task, maps[0].vpn, counter_of(world_get(&mm->world, maps[0].vpn)),
			    (u32)BIT(order));
	told = told_of(tracker, mm, &task->call, head, order);
	if (told.counter == RF_RSS_MEMBERS)
		return;
	walk_to(tracker, task, end_of_table(tracker, told.first), NULL);
	settle_kept(tracker, task, told.first, told.counter, told.nr);
	call_reclaimed(&task->call, told.last + 1);
	call_unmap_told(&task->call, told.counter, told.nr);
}

static void count_freed(struct frees *frees, const struct rf_record *record)
{
	struct tracked_mm *mm = advised_mm(frees->tracker, frees->task);
	const struct world_map *maps;

	for (u64 i = 0; i < BIT_ULL(min_u64(record->f[1], WORLD_ORDER_MAX)); i++) {
		if (rmap_collect(frees->tracker->world, record->f[0] + i, &maps) != 1 || maps[0].mm != mm->world.id ||
		    counter_of(world_get(&mm->world, maps[0].vpn)) != RF_RSS_ANON)
			continue;
		frees->end = max_u64(frees->end, maps[0].vpn + 1);
		frees->pages++;
	}
}

bool pageout_discards(struct rf_tracker *tracker, struct task *task, const struct rf_record *record)
{
	struct frees frees = { .tracker = tracker, .task = task, .now = *record };
	size_t i = 0;

	if (!advised_mm(tracker, task))
		return false;
	for (record = &frees.now; record; record = next_free(&frees, &i))
		count_freed(&frees, record);
	if (!frees.pages)
		return false;
	reach_piece(tracker, task, frees.end - 1, RF_RSS_MEMBERS, 0);
	walk_to(tracker, task, end_of_table(tracker, frees.end - 1), &frees);
	settle_discards(tracker, task, frees.end, &frees, frees.end);
	return true;
}

/* ---- splits ---------------------------------------------------------------------------------- */

/* split_folio() begins; the walk has read the first entry of the folio, under the range, and stands there. */
void advice_splits(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm, u64 vpn)
{
	struct task *task = task_in_advice(tracker, tid, mm);

	if (!advised_mm(tracker, task))
		return;
	reach_piece(tracker, task, vpn, RF_RSS_MEMBERS, 0);
	vpn = max_u64(vpn, task->call.advice_start);
	if (vpn < task->call.walked || vpn >= task->call.advice_end)
		return;
	walk_to(tracker, task, vpn + 1, NULL);
	call_walked(&task->call, vpn);
}

void advice_has_split(struct rf_tracker *tracker, u32 tid, const struct tracked_mm *mm)
{
	struct rf_op *op;

	if (!task_in_advice(tracker, tid, mm))
		return;
	op = emit(tracker, RF_OP_FOLIO_SPLIT, mm);
	op->flags = RF_OP_RELOCK;
}
