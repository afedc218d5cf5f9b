// SPDX-License-Identifier: MIT
/*
 * File pages: fault-around, single faults, shmem, and the page cache behind them.
 * The RSS change tells how many pages a fault-around mapped, the page cache which
 * they can have been.
 */
#include <string.h>

#include "engine/ops.h"
#include "replay/tracker/tracking.h"

/* A page added to the cache this short a time ago may not be uptodate yet. */
#define READ_NS 20000000

/* ---- which file -------------------------------------------------------------------- */

void learn_file(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u32 file)
{
	const struct world_file *known = file_get(tracker->world, vma->file);
	u32 old = vma->file;

	if (old == file)
		return;
	if (known && known->provisional)
		cache_merge(tracker->world, old, file);
	else if (old || !vma->implicit)
		tracker->fidelity.anomalies.file_mismatch++;
	if (!old) {
		vma->file = file;
		return;
	}
	/* Every piece of that mapping, and whatever else was made from the same descriptor. */
	for (u32 i = 0; i < mm->nr_vmas; i++)
		if (mm->vmas[i]->file == old)
			mm->vmas[i]->file = file;
}

#define FAULT_AROUND 16

/*
 * The page a fault-around window begins with: an aligned one, unless the VMA begins later. Then it is the one that
 * goes with the file's page, as linkers align segments (to 64 KiB for arm64, whatever the size of a page).
 */
static u64 window_base(u64 vpn, u64 first, u64 last)
{
	u64 base = ALIGN_DOWN(vpn, FAULT_AROUND);

	if (vpn - base > last - first)
		base += first % FAULT_AROUND;
	return base <= vpn && vpn - base <= last - first ? base : vpn;
}

/* A page whose VMA was made up turns out to map a file: make up the neighbours the window tells of. */
static void adopt_file(struct rf_tracker *tracker, struct world_mm *mm, u64 vpn, u32 file, u64 first, u64 last)
{
	struct world_vma piece = { .file = file, .flags = RF_VM_READ | RF_VM_EXEC, .implicit = true };
	u64 around = FAULT_AROUND, base = window_base(vpn, first, last);
	struct rf_op *op;

	world_zap(tracker->world, mm, vpn, vpn + 1);
	world_vma_remove(tracker->world, mm, vpn << tracker->page_shift, (vpn + 1) << tracker->page_shift);
	for (u64 index = first; index <= last && index - first < around; index++) {
		u64 at = base + index - first;

		piece.start = at << tracker->page_shift;
		piece.end = piece.start + BIT_ULL(tracker->page_shift);
		piece.pgoff = index;
		if (world_vma_overlaps(mm, piece.start, piece.end))
			continue;
		if (at != vpn) {
			map_vma(tracker, mm, &piece, RF_WHY_NONE);
			continue;
		}
		op = emit(tracker, RF_OP_VMA_FLAGS, mm);
		op->addr = piece.start;
		op->end = piece.end;
		op->vm_flags = piece.flags;
		op->aux = RF_VM_WRITE;
		world_vma_insert(tracker->world, mm, &piece);
	}
}

/* The only VMA that maps this index of the file, or NULL. */
static struct world_vma *vma_by_file(const struct rf_tracker *tracker, struct world_mm *mm, u32 file, u64 index)
{
	struct world_vma *found = NULL;

	for (u32 i = 0; i < mm->nr_vmas; i++) {
		struct world_vma *vma = mm->vmas[i];
		u64 pages = (vma->end - vma->start) >> tracker->page_shift;

		if (vma->file != file || index < vma->pgoff || index - vma->pgoff >= pages)
			continue;
		if (found)
			return NULL;
		found = vma;
	}
	return found;
}

/* ---- mapping ----------------------------------------------------------------------------- */

static bool is_vdso(const struct world_vma *vma)
{
	return vma->name == RF_VMA_VDSO || vma->name == RF_VMA_VVAR || vma->name == RF_VMA_VVAR_VCLOCK;
}

/* A page of the kernel's own: of the vdso or its data. Linux 7.2 counts both like file pages, 6.18 only the first. */
static bool vdso_page(const struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn, u64 *pfn)
{
	static const u8 what_of_name[] = {
		[RF_VMA_VDSO] = RF_KERNEL_PAGE_VDSO,
		[RF_VMA_VVAR] = RF_KERNEL_PAGE_VVAR,
		[RF_VMA_VVAR_VCLOCK] = RF_KERNEL_PAGE_VVAR_VCLOCK,
	};

	return is_vdso(vma) && kernel_page(tracker, what_of_name[vma->name], vpn - vpn_of(tracker, vma->start), pfn);
}

static u64 file_page(struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn)
{
	u64 pfn;

	if (vdso_page(tracker, vma, vpn, &pfn))
		return pfn;
	if (vma_cache_find(tracker, vma, vpn, &pfn))
		return pfn;
	pfn = world_invent_pfn(tracker->world, 0);
	if (vma->file)
		vma_cache_set(tracker, vma, vpn, pfn);
	tracker->fidelity.inferred.file_pfn_unknown++;
	return pfn;
}

static world_pte file_pte(const struct world_vma *vma, u64 pfn, bool shmem, bool write, u64 extra)
{
	enum world_kind kind = is_vdso(vma) ? WORLD_VDSO : shmem ? WORLD_SHMEM : WORLD_FILE;

	/*
	 * A shared page-cache page is mapped writable only for a write, after page_mkwrite(); shmem wants no notice
	 * and gets the VMA's permissions at once.
	 */
	if ((vma->flags & (RF_VM_SHARED | RF_VM_WRITE)) == (RF_VM_SHARED | RF_VM_WRITE) && (write || shmem))
		extra |= WORLD_WRITE;
	return world_mkpte(kind, pfn, extra);
}

/* A run under construction: consecutive pages of one folio. */
struct run {
	struct rf_tracker *tracker;
	struct world_mm *mm;
	u64 vpn, pfn, fault_vpn;
	u32 nr, order;
	u16 flags;
};

static void run_end(struct run *run)
{
	struct rf_op *op;

	if (!run->nr)
		return;
	op = emit(run->tracker, RF_OP_FAULT_FILE, run->mm);
	op->addr = run->vpn << run->tracker->page_shift;
	op->aux = run->fault_vpn << run->tracker->page_shift;
	op->nr = run->nr;
	op->pfn = run->pfn;
	op->order = (u8)run->order;
	op->flags = run->flags;
	run->flags &= ~RF_OP_FIRST;
	run->nr = 0;
}

static void run_add(struct run *run, u64 vpn, u64 pfn)
{
	u32 order = folio_order(run->tracker->world, pfn);

	if (run->nr && (vpn != run->vpn + run->nr || pfn != run->pfn + run->nr ||
			folio_head(pfn, order) != folio_head(run->pfn, run->order)))
		run_end(run);
	if (!run->nr) {
		run->vpn = vpn;
		run->pfn = pfn;
		run->order = order;
	}
	run->nr++;
}

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

#define WINDOW_MAX 512

/* Which pages next_uptodate_folio() leaves out, as far as one can know. */
enum skip { SKIP_NONE = 0, SKIP_READAHEAD = 1, SKIP_RECENT = 2, SKIP_BOTH = 3 };

static bool is_skipped(const struct rf_tracker *tracker, const struct candidate *candidate, enum skip skip)
{
	const struct world_page *page;

	if (!candidate->cached || !skip)
		return false;
	page = world_page_find(tracker->world, candidate->pfn);
	return (skip & SKIP_READAHEAD && page && page->readahead) ||
	       (skip & SKIP_RECENT && is_recent_page(tracker, candidate->pfn));
}

/* The reason that explains exactly how many were left out. */
static enum skip choose_skip(const struct rf_tracker *tracker, const struct candidate *candidates, size_t nr,
			     size_t left)
{
	for (enum skip skip = SKIP_READAHEAD; skip <= SKIP_BOTH; skip++) {
		size_t skipped = 0;

		for (size_t i = 0; i < nr; i++)
			skipped += is_skipped(tracker, &candidates[i], skip);
		if (skipped == left)
			return skip;
	}
	return SKIP_NONE;
}

static size_t find_candidates(struct rf_tracker *tracker, struct world_mm *mm, const struct world_vma *vma, u64 first,
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
		if (world_get(mm, candidate->vpn))
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

static void drop_candidate(struct candidate *candidates, size_t *nr, size_t *nr_cached, u64 vpn)
{
	for (size_t i = 0; i < *nr; i++) {
		if (candidates[i].vpn != vpn)
			continue;
		*nr_cached -= candidates[i].cached;
		--*nr;
		memmove(&candidates[i], &candidates[i + 1], (*nr - i) * sizeof(*candidates));
		return;
	}
}

void map_file_range(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 fault_vpn, u32 tid,
		    u64 first, u64 last, s64 delta, bool shmem, u16 op_flags)
{
	struct run run = { .tracker = tracker, .mm = mm, .fault_vpn = fault_vpn,
			   .flags = op_flags | RF_OP_FIRST | RF_OP_FAULT_AROUND | (shmem ? RF_OP_SHMEM : 0) };
	struct candidate candidates[WINDOW_MAX];
	size_t nr_cached, nr, unknown = 0, possible = 0, mapped = 0;
	enum skip skip = SKIP_NONE;
	bool doubt = false;

	if (!delta)
		return;
	nr = find_candidates(tracker, mm, vma, first, last, candidates, &nr_cached);
	if (delta < 0)
		delta = (s64)nr_cached;		/* no RSS change was recorded */
	if ((size_t)delta > nr_cached) {
		u64 from = first, to = last;
		bool needed = (size_t)delta > nr;

		/* What is not cached may explain as many; the wider window does only if it explains all. */
		widen_window(tracker, vma, &from, &to);
		nr = find_candidates(tracker, mm, vma, from, to, candidates, &nr_cached);
		if (!needed && nr_cached != (size_t)delta)
			nr = find_candidates(tracker, mm, vma, first, last, candidates, &nr_cached);
	}
	/* Its own page was left out (its read is under way) if the fault goes on with the page cache. */
	if ((size_t)delta != nr_cached && tid && next_is(tracker, tid, RF_FILEMAP_FAULT))
		drop_candidate(candidates, &nr, &nr_cached, fault_vpn);
	if ((size_t)delta > nr_cached) {
		unknown = (size_t)delta - nr_cached;
		for (size_t i = 0; i < nr; i++)
			possible += candidates[i].possible;
		tracker->fidelity.inferred.fault_around_ambiguous += unknown != possible;
	} else if ((size_t)delta < nr_cached) {
		/* Locked, not uptodate or marked for readahead: left out by next_uptodate_folio(). */
		skip = choose_skip(tracker, candidates, nr, nr_cached - (size_t)delta);
		doubt = skip == SKIP_NONE;
		tracker->fidelity.inferred.fault_around_ambiguous += doubt;
	}
	for (size_t i = 0; i < nr && delta; i++) {
		struct candidate *candidate = &candidates[i];

		if (!candidate->cached) {
			if (!unknown || (possible >= unknown && !candidate->possible))
				continue;
			unknown--;
			possible -= candidate->possible;
			candidate->pfn = file_page(tracker, vma, candidate->vpn);
		} else if (is_skipped(tracker, candidate, skip)) {
			continue;
		}
		world_set(tracker->world, mm, candidate->vpn,
			  file_pte(vma, candidate->pfn, shmem, false, doubt ? WORLD_DOUBT : 0));
		run_add(&run, candidate->vpn, candidate->pfn);
		mapped++;
	}
	run_end(&run);
	if (mapped > (size_t)delta)
		mm->doubts += (u32)(mapped - (size_t)delta);
}

void map_file_page(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, s64 nr, bool shmem,
		   bool write, u16 op_flags)
{
	struct run run = { .tracker = tracker, .mm = mm, .fault_vpn = vpn,
			   .flags = op_flags | RF_OP_FIRST | (shmem ? RF_OP_SHMEM : 0) | (write ? RF_OP_WRITE : 0) };
	u64 pfn = file_page(tracker, vma, vpn), first = vpn, pages = 1;

	if (nr > 1) {
		u32 order = folio_order(tracker->world, pfn);
		u64 before = pfn - folio_head(pfn, order), start = vpn_of(tracker, vma->start);

		/* finish_fault(): the whole folio, as far as it lies in the VMA. */
		first = vpn - min_u64(before, vpn - start);
		pages = min_u64(BIT_ULL(order) - before + (vpn - first), vpn_of(tracker, vma->end) - first);
		pages = min_u64(pages, (u64)nr);
		if (first + pages <= vpn)
			first = vpn, pages = 1;
	}
	for (u64 i = 0; i < pages; i++) {
		u64 page = first == vpn && !i ? pfn : file_page(tracker, vma, first + i);

		if (pages > 1 && world_pte_present(world_get(mm, first + i)))
			continue;
		world_set(tracker->world, mm, first + i, file_pte(vma, page, shmem, write, 0));
		run_add(&run, first + i, page);
	}
	run_end(&run);
}

void shmem_add(struct rf_tracker *tracker, struct world_vma *vma, u64 vpn, u64 pfn, u32 order)
{
	u64 index = ALIGN_DOWN(world_vma_file_index(tracker->world, vma, vpn), BIT_ULL(order));

	if (!vma->file)
		vma->file = file_new(tracker->world, true, true);
	folio_set(tracker->world, pfn, order);
	for (u64 i = 0; i < BIT_ULL(order); i++)
		cache_set(tracker->world, vma->file, index + i, pfn + i);
}

/* ---- records -------------------------------------------------------------------------------- */

u32 record_file(struct rf_tracker *tracker, const struct rf_record *record)
{
	u32 file = file_by_inode(tracker->world, record->f[0], record->f[1]);

	if (file)
		file_get(tracker->world, file)->cached = true;
	return file;
}

static void fault_map_pages(struct rf_tracker *tracker, struct task *task, u32 file, u64 first, u64 last)
{
	struct task_fault *fault = &task->fault;
	struct world_mm *mm = task->mm;
	struct world_vma *vma = fault_vma(tracker, mm, fault->addr);
	s64 delta = fault_waits(fault) ? fault->delta : -1;
	bool shmem = fault_waits(fault) && fault->member == RF_RSS_SHMEM;

	if (!vma)
		return;
	if (vma->implicit && !vma->file) {
		adopt_file(tracker, mm, fault->vpn, file, first, last);
		vma = world_vma_find(mm, fault->addr);
		if (!vma)
			return;
	}
	learn_file(tracker, mm, vma, file);
	fault_placed(task);
	map_file_range(tracker, mm, vma, fault->vpn, task->tid, first, last, delta, shmem, 0);
	if (world_pte_present(world_get(mm, fault->vpn)))
		fault_applied(fault);
}

void on_map_pages(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 file = record_file(tracker, &record);
	u64 first = record.f[2], last = record.f[3];
	struct world_vma *vma;

	if (!task->mm || !task->mm->known || last < first)
		return;
	last = min_u64(last, first + WINDOW_MAX - 1);
	if (fault_is_open(&task->fault) && task->fault.stage != FAULT_COPIED &&
	    (fault_pending(&task->fault) || fault_waits(&task->fault))) {
		fault_map_pages(tracker, task, file, first, last);
		return;
	}
	if (call_populates(task)) {
		populate_event(tracker, task, &(struct populate_event){
			.what = POPULATE_MAP, .file = file, .index = first, .last = last });
		return;
	}
	/* GUP in a call we do not follow, but the file tells the place. */
	vma = vma_by_file(tracker, task->mm, file, first);
	if (vma) {
		tracker->fidelity.inferred.gup++;
		map_file_range(tracker, task->mm, vma, vpn_of(tracker, vma->start) + first - vma->pgoff, 0,
			       first, last,
			       task->populate.delta_seen ? task->populate.delta : -1,
			       task->populate.member == RF_RSS_SHMEM, RF_OP_POPULATE | RF_OP_INFERRED);
		task->populate.delta_seen = false;
	}
}

void on_filemap_fault(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 file = record_file(tracker, &record);
	struct task_fault *fault = &task->fault;
	struct world_page *page;
	struct world_vma *vma;
	u64 pfn;

	if (!task->mm || !task->mm->known)
		return;
	if (fault_pending(fault)) {
		/* What fault-around did before is told; what is left of its RSS change was the page itself. */
		fault_reaches_file(fault, file, record.f[2], cache_find(tracker->world, file, record.f[2], &pfn));
		/* do_async_mmap_readahead() takes the mark away. */
		if (fault->filemap == FILE_CACHED && (page = world_page_find(tracker->world, pfn)))
			page->readahead = 0;
		vma = fault_vma(tracker, task->mm, fault->addr);
		if (vma && vma->implicit && !vma->file)
			vma->pgoff = record.f[2];
		if (vma)
			learn_file(tracker, task->mm, vma, file);
		return;
	}
	if (call_populates(task))
		populate_event(tracker, task, &(struct populate_event){
			.what = POPULATE_FILE, .file = file, .index = record.f[2] });
}
