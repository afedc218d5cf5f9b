// SPDX-License-Identifier: MIT
/*
 * Fault-around. The RSS change tells how many pages of the window it mapped, the page cache which they can have been.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/file_run.h"
#include "replay/tracker/ground/readahead.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"

/* A page added to the cache this short a time ago may not be uptodate yet. */
#define READ_NS 20000000

static bool is_recent_page(const struct rf_tracker *tracker, u64 pfn)
{
	const struct world_page *page = world_page_find(tracker->world, pfn);

	return page && page->cached_at && (u32)(tracker->time >> 16) - page->cached_at < READ_NS >> 16;
}

/* One page of a fault-around window that might have been mapped. */
struct candidate {
	u64 vpn, index, pfn;
	bool cached;
	bool possible;		/* not known to be in the cache, nor not to be */
};

/* Which pages next_uptodate_folio() leaves out, as far as one can know. */
enum skip { SKIP_SEEN = 1, SKIP_LIKELY = 2, SKIP_RECENT = 4, SKIP_UNUSED = 8 };

/*
 * What fallocate() adds to a tmpfs file is not uptodate until somebody writes it or has a fault there; see
 * shmem_get_folio_gfp(). No page of the folio is mapped: maybe nobody has.
 */
static bool is_unused(const struct rf_tracker *tracker, u64 pfn)
{
	u32 order = folio_order(tracker->world, pfn);
	u64 head = folio_head(pfn, order);

	for (u64 at = head; at < head + BIT_ULL(order); at += world_page_span(tracker->world, at)) {
		const struct world_page *page = world_page_find(tracker->world, at);

		if (page && page->mm)
			return false;
	}
	return true;
}

static bool is_skipped(const struct rf_tracker *tracker, u32 file, const struct candidate *candidate, u32 skip)
{
	enum readahead readahead;

	if (!candidate->cached || !skip)
		return false;
	if (skip & SKIP_UNUSED)
		return is_unused(tracker, candidate->pfn);
	readahead = readahead_of(tracker, file, candidate->index, candidate->pfn);
	return (skip & SKIP_SEEN && readahead == READAHEAD_SEEN) ||
	       (skip & SKIP_LIKELY && readahead == READAHEAD_LIKELY) ||
	       (skip & SKIP_RECENT && is_recent_page(tracker, candidate->pfn));
}

/* The reasons that explain exactly how many were left out, the best known first; 0: none does. */
static u32 choose_skip(const struct rf_tracker *tracker, u32 file, bool shmem, const struct candidate *candidates,
		       size_t nr, size_t left)
{
	static const u32 reasons[] = {
		SKIP_UNUSED,	/* of shared memory alone */
		SKIP_SEEN, SKIP_SEEN | SKIP_LIKELY, SKIP_SEEN | SKIP_RECENT, SKIP_SEEN | SKIP_LIKELY | SKIP_RECENT,
		SKIP_LIKELY, SKIP_RECENT, SKIP_LIKELY | SKIP_RECENT,
	};

	for (size_t r = shmem ? 0 : 1; r < ARRAY_SIZE(reasons); r++) {
		size_t skipped = 0;

		for (size_t i = 0; i < nr; i++)
			skipped += is_skipped(tracker, file, &candidates[i], reasons[r]);
		if (skipped == left)
			return reasons[r];
	}
	return 0;
}

static size_t find_candidates(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u64 first,
			      u64 last, struct candidate *candidates, size_t *nr_cached)
{
	u64 start = vpn_of(tracker, vma->start), pages = vpn_of(tracker, vma->end) - start;
	size_t nr = 0;

	*nr_cached = 0;
	first = max_u64(first, vma->pgoff);
	for (u64 index = first; index <= last && index - vma->pgoff < pages && nr < WINDOW_MAX; index++) {
		struct candidate *candidate = &candidates[nr];

		candidate->vpn = start + (index - vma->pgoff);
		candidate->index = index;
		if (world_get(&mm->world, candidate->vpn))
			continue;
		candidate->cached = cache_find(tracker->world, vma->file, index, &candidate->pfn);
		candidate->possible = !candidate->cached && !cache_is_absent(tracker->world, vma->file, index);
		*nr_cached += candidate->cached;
		nr++;
	}
	return nr;
}

/* The folio behind an index, in indices; false: small, or not to be mapped whole from this VMA and page table. */
static bool whole_folio(struct rf_tracker *tracker, const struct world_vma *vma, u64 index, u64 *first, u64 *last)
{
	u64 table = BIT_ULL(tracker->pmd_order), start = vpn_of(tracker, vma->start), pfn, vpn;
	u32 order;

	if (!cache_find(tracker->world, vma->file, index, &pfn))
		return false;
	order = folio_order(tracker->world, pfn);
	if (!order || pfn - folio_head(pfn, order) > index)
		return false;
	*first = index - (pfn - folio_head(pfn, order));
	*last = *first + BIT_ULL(order) - 1;
	if (*first < vma->pgoff || start + (*last - vma->pgoff) >= vpn_of(tracker, vma->end))
		return false;
	vpn = start + (index - vma->pgoff);
	return start + (*first - vma->pgoff) >= ALIGN_DOWN(vpn, table) &&
	       start + (*last - vma->pgoff) < ALIGN_DOWN(vpn, table) + table;
}

/*
 * Newer kernels map a large folio whole, even where it reaches beyond the fault-around window. Then more pages were
 * mapped than the window holds, and the folios at its edges tell which.
 */
static void widen_window(struct rf_tracker *tracker, const struct world_vma *vma, u64 *first, u64 *last)
{
	u64 from, to;

	if (whole_folio(tracker, vma, max_u64(*first, vma->pgoff), &from, &to))
		*first = min_u64(*first, from);
	if (whole_folio(tracker, vma, *last, &from, &to))
		*last = max_u64(*last, to);
}

/* The page at vpn, and with it all of its folio: next_uptodate_folio() takes a folio or leaves it out. */
static void drop_candidate(const struct rf_tracker *tracker, struct candidate *candidates, size_t *nr,
			   size_t *nr_cached, u64 vpn)
{
	u64 first = ~0ull, pages = 0;
	size_t left = 0;

	for (size_t i = 0; i < *nr; i++) {
		u32 order;

		if (candidates[i].vpn != vpn || !candidates[i].cached)
			continue;
		order = folio_order(tracker->world, candidates[i].pfn);
		first = folio_head(candidates[i].pfn, order);
		pages = BIT_ULL(order);
	}
	for (size_t i = 0; i < *nr; i++) {
		if (candidates[i].vpn == vpn || (candidates[i].cached && candidates[i].pfn - first < pages))
			*nr_cached -= candidates[i].cached;
		else
			candidates[left++] = candidates[i];
	}
	*nr = left;
}

void fault_around_window(const struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn, u64 *first, u64 *last)
{
	u64 start = vpn_of(tracker, vma->start), table = ALIGN_DOWN(vpn, BIT_ULL(tracker->pmd_order));
	u64 from = max_u64(ALIGN_DOWN(vpn, tracker->fault_around), start), to = from + tracker->fault_around;

	to = min_u64(to, min_u64(vpn_of(tracker, vma->end), table + BIT_ULL(tracker->pmd_order)));
	*first = from - start + vma->pgoff;
	*last = to - 1 - start + vma->pgoff;
}

/*
 * More pages than the window has left: some that an earlier fault-around was in doubt about were left out by it and are
 * mapped now. They are in the model already. Returns how many, at most unknown.
 */
static size_t settle_doubts(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u64 first,
			    u64 last, size_t unknown)
{
	u64 start = vpn_of(tracker, vma->start), from = start + (max_u64(first, vma->pgoff) - vma->pgoff);
	u64 to = min_u64(start + (last - vma->pgoff), vpn_of(tracker, vma->end) - 1);
	size_t doubtful = 0, settled;

	for (u64 vpn = from; vpn <= to; vpn++)
		doubtful += !!(world_get(&mm->world, vpn) & WORLD_DOUBT);
	settled = min_u64(unknown, min_u64(doubtful, mm->doubts));
	mm->doubts -= (u32)settled;
	for (u64 vpn = from; settled == doubtful && vpn <= to; vpn++) {
		world_pte pte = world_get(&mm->world, vpn);

		if (pte & WORLD_DOUBT)
			world_set(tracker->world, &mm->world, vpn, pte & ~WORLD_DOUBT);
	}
	return settled;
}

/*
 * filemap_map_pages() maps a large folio whole only if the file goes on behind it (can_map_large), never the last one
 * of a file. Its size is that of the layout; without one, the next page is in the cache, or the mapping has it too.
 */
static bool file_goes_on(struct rf_tracker *tracker, const struct world_vma *vma, u64 last)
{
	u64 pages = vpn_of(tracker, vma->end) - vpn_of(tracker, vma->start), pfn;
	const struct world_file *file = file_get(tracker->world, vma->file);

	if (file && file->pages)
		pages = file->pages;
	else
		pages += vma->pgoff;
	return last + 1 < pages || cache_find(tracker->world, vma->file, last + 1, &pfn);
}

/* Does this kernel map folios whole, and would that be more pages than the window holds? */
static bool reaches_beyond(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u64 first,
			   u64 last, size_t in_window)
{
	struct candidate candidates[WINDOW_MAX];
	u64 from = first, to = last;
	size_t nr_cached;

	if (!tracker->maps_beyond && !tracker->maps_whole)
		return false;
	widen_window(tracker, vma, &from, &to);
	if ((from == first && to == last) || !file_goes_on(tracker, vma, to))
		return false;
	find_candidates(tracker, mm, vma, from, to, candidates, &nr_cached);
	return nr_cached > in_window;
}

struct window {
	u64 first, last;
	size_t mapped;
};

/*
 * Pages that are known to be marked for readahead are left out. If they are as many as a folio has beyond the window,
 * the candidates are those of the wider one; else those of the window.
 */
static size_t find_marked(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma,
			  const struct window *window, struct candidate *candidates, size_t *nr_cached)
{
	u64 first = window->first, last = window->last;
	size_t nr;

	widen_window(tracker, vma, &first, &last);
	nr = find_candidates(tracker, mm, vma, first, last, candidates, nr_cached);
	if (choose_skip(tracker, vma->file, false, candidates, nr, *nr_cached - window->mapped) == SKIP_SEEN)
		return nr;
	return find_candidates(tracker, mm, vma, window->first, window->last, candidates, nr_cached);
}

/* Of the wider window some are known to be left out, and these explain all: folios are mapped whole here. */
static bool explains_wider(const struct rf_tracker *tracker, u32 file, const struct candidate *candidates, size_t nr,
			   size_t nr_cached, size_t mapped)
{
	return (tracker->maps_beyond || tracker->maps_whole) && nr_cached > mapped &&
	       choose_skip(tracker, file, false, candidates, nr, nr_cached - mapped) == SKIP_SEEN;
}

void map_file_range(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 fault_vpn,
		    u64 left_out, u64 first, u64 last, s64 delta, bool shmem, u16 op_flags)
{
	struct file_run run = { .tracker = tracker, .mm = mm, .fault_vpn = fault_vpn,
			   .flags = op_flags | RF_OP_FIRST | RF_OP_FAULT_AROUND | (shmem ? RF_OP_SHMEM : 0) };
	struct candidate candidates[WINDOW_MAX];
	size_t nr_cached, nr, unknown = 0, possible = 0, mapped = 0;
	u32 skip = 0;
	bool doubt = false;

	if (!delta)
		return;
	if (shmem)
		learn_shmem(tracker, mm, vma);
	nr = find_candidates(tracker, mm, vma, first, last, candidates, &nr_cached);
	if (delta < 0)
		delta = (s64)nr_cached;		/* no RSS change was recorded */
	if ((size_t)delta > nr_cached) {
		u64 from = first, to = last;
		bool needed = (size_t)delta > nr;

		/* What is not cached may explain as many; the wider window does only if it explains all. */
		widen_window(tracker, vma, &from, &to);
		nr = find_candidates(tracker, mm, vma, from, to, candidates, &nr_cached);
		if (nr_cached == (size_t)delta)
			tracker->maps_beyond = true;
		else if (!needed && !explains_wider(tracker, vma->file, candidates, nr, nr_cached, (size_t)delta))
			nr = find_candidates(tracker, mm, vma, first, last, candidates, &nr_cached);
	} else if (nr_cached == (size_t)delta && reaches_beyond(tracker, mm, vma, first, last, nr_cached)) {
		/* As many as the window holds, though a folio reaches beyond it: then others were left out. */
		nr = find_marked(tracker, mm, vma, &(struct window){ first, last, (size_t)delta }, candidates,
				 &nr_cached);
		if (nr_cached == (size_t)delta && tracker->maps_beyond)
			mark_mm(tracker, mm, RF_REASON_fault_around_ambiguous);
	}
	if ((size_t)delta != nr_cached)
		drop_candidate(tracker, candidates, &nr, &nr_cached, left_out);
	if ((size_t)delta > nr_cached) {
		unknown = (size_t)delta - nr_cached;
		unknown -= settle_doubts(tracker, mm, vma, first, last, unknown);
		for (size_t i = 0; i < nr; i++)
			possible += candidates[i].possible;
		if (unknown && unknown != possible)
			mark_mm(tracker, mm, RF_REASON_fault_around_ambiguous);
	} else if ((size_t)delta < nr_cached) {
		/* Locked, not uptodate or marked for readahead: left out by next_uptodate_folio(). */
		skip = choose_skip(tracker, vma->file, shmem, candidates, nr, nr_cached - (size_t)delta);
		doubt = !skip;
		if (doubt)
			mark_mm(tracker, mm, RF_REASON_fault_around_ambiguous);
	}
	for (size_t i = 0; i < nr && delta; i++) {
		struct candidate *candidate = &candidates[i];

		if (!candidate->cached) {
			if (!unknown || (possible >= unknown && !candidate->possible))
				continue;
			unknown--;
			possible -= candidate->possible;
			candidate->pfn = file_page(tracker, vma, candidate->vpn);
		} else if (is_skipped(tracker, vma->file, candidate, skip)) {
			continue;
		}
		world_set(tracker->world, &mm->world, candidate->vpn,
			  file_pte(vma, candidate->pfn, shmem, false, doubt ? WORLD_DOUBT : 0));
		file_run_add(&run, candidate->vpn, candidate->pfn);
		mapped++;
	}
	file_run_end(&run);
	if (mapped > (size_t)delta)
		mm->doubts += (u32)(mapped - (size_t)delta);
}
