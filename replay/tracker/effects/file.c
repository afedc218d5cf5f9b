// SPDX-License-Identifier: MIT
/* File pages that are mapped one at a time or folio by folio, shmem, and the kernel's own pages. */
#include "replay/tracker/effects/file.h"

#include "engine/ops.h"
#include "replay/tracker/effects/anon.h"
#include "replay/tracker/effects/file_run.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/kernel_pages.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"

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

	u32 what = what_of_name[is_vdso(vma) ? vma->name : 0];

	/* 32-bit programs have an image of their own, of the same data. */
	if (what == RF_KERNEL_PAGE_VDSO && compat_reaches(&tracker->compat, vma->end - 1))
		what = RF_KERNEL_PAGE_VDSO_COMPAT;
	return is_vdso(vma) && kernel_page(tracker, what, vpn - vpn_of(tracker, vma->start), pfn);
}

u64 file_page(struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn)
{
	u64 pfn;

	if (vdso_page(tracker, vma, vpn, &pfn))
		return pfn;
	if (vma_cache_find(tracker, vma, vpn, &pfn))
		return pfn;
	pfn = world_invent_pfn(tracker->world, 0);
	if (vma->file)
		vma_cache_set(tracker, vma, vpn, pfn);
	return pfn;
}

world_pte file_pte(const struct world_vma *vma, u64 pfn, bool shmem, bool write, u64 extra)
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

void file_run_end(struct file_run *run)
{
	struct rf_op *op;

	if (!run->nr)
		return;
	note_recent(run->tracker, run->mm, run->vpn, run->nr);
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

/* Was the page in the page cache, as far as is known, before this time? */
static bool cached_before(const struct rf_tracker *tracker, u64 pfn, u64 time)
{
	const struct world_page *page = world_page_find(tracker->world, pfn);

	return !page || page->cached_at <= (u32)(time >> 16);
}

void cached_since_loss(struct rf_tracker *tracker, u64 pfn)
{
	struct world_page *page;

	if (tracker->cache_lost && tracker->cache_lost < tracker->time && (page = world_page(tracker->world, pfn)))
		page->cached_at = (u32)max_u64(page->cached_at, (tracker->cache_lost >> 16) + 1);
}

void file_run_add(struct file_run *run, u64 vpn, u64 pfn)
{
	u32 order = folio_order(run->tracker->world, pfn);

	if (!world_pfn_known(pfn))
		mark_mm(run->tracker, run->mm, RF_REASON_file_pfn_unknown);
	else if (run->tracker->cache_lost && cached_before(run->tracker, pfn, run->tracker->cache_lost))
		mark_mm(run->tracker, run->mm, RF_REASON_stale_cache);
	if (run->nr && (vpn != run->vpn + run->nr || pfn != run->pfn + run->nr ||
			folio_head(pfn, order) != folio_head(run->pfn, run->order)))
		file_run_end(run);
	if (!run->nr) {
		run->vpn = vpn;
		run->pfn = pfn;
		run->order = order;
	}
	run->nr++;
}

/*
 * So many pages that one fault has mapped, not by fault-around, are a folio: finish_fault(), do_set_pmd(). Where no
 * record has told of its pages (write(2) filled a file of tmpfs), it lies in the file as folios do.
 */
static void learn_folio(struct rf_tracker *tracker, struct world_vma *vma, u64 vpn, u64 nr, bool shmem)
{
	u64 index = world_vma_file_index(tracker->world, vma, vpn), first = ALIGN_DOWN(index, nr), pfn;
	u32 order = (u32)(63 - __builtin_clzll(nr));

	if (nr & (nr - 1) || order > tracker->pmd_order || index - first > vpn - vpn_of(tracker, vma->start) ||
	    vpn - (index - first) + nr > vpn_of(tracker, vma->end))
		return;
	for (u64 i = 0; i < nr; i++)
		if (cache_find(tracker->world, vma->file, first + i, &pfn) &&
		    (world_pfn_known(pfn) || folio_order(tracker->world, pfn) >= order))
			return;
	if (!vma->file && !shmem)
		return;
	if (!vma->file)
		vma->file = file_new(tracker->world, true);
	pfn = world_invent_pfn(tracker->world, order);
	folio_set(tracker->world, pfn, order);
	for (u64 i = 0; i < nr; i++)
		cache_set(tracker->world, vma->file, first + i, pfn + i);
}

bool split_file_pmd(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn)
{
	u64 nr = BIT_ULL(tracker->pmd_order), base = ALIGN_DOWN(vpn, nr), pfn;
	world_pte pte = world_get(&mm->world, base);
	enum world_kind kind = world_pte_kind(pte);
	struct rf_op *op;

	pfn = world_pte_pfn(pte);
	if ((kind != WORLD_FILE && kind != WORLD_SHMEM) || folio_order(tracker->world, pfn) != tracker->pmd_order)
		return false;
	for (u64 i = 0; i < nr; i++) {
		pte = world_get(&mm->world, base + i);
		if (world_pte_kind(pte) != kind || world_pte_pfn(pte) != pfn + i)
			return false;
	}
	op = emit(tracker, RF_OP_FOLIO_SPLIT, mm);
	op->addr = base << tracker->page_shift;
	op->nr = (u32)nr;
	op->pfn = pfn;
	op->order = (u8)tracker->pmd_order;
	world_zap(tracker->world, &mm->world, base, base + nr);
	return true;
}

void map_file_page(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, s64 nr,
		   bool shmem, bool write, u16 op_flags)
{
	struct file_run run = { .tracker = tracker, .mm = mm, .fault_vpn = vpn,
			   .flags = op_flags | RF_OP_FIRST | (shmem ? RF_OP_SHMEM : 0) | (write ? RF_OP_WRITE : 0) };
	u64 pfn, first = vpn, pages = 1;

	if (shmem)
		learn_shmem(tracker, mm, vma);
	if (nr > 1)
		learn_folio(tracker, vma, vpn, (u64)nr, shmem);
	pfn = file_page(tracker, vma, vpn);
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
		u64 page = pfn + (first + i - vpn);	/* of one folio, also behind the end of the file */

		if (pages > 1 && world_pte_present(world_get(&mm->world, first + i)))
			continue;
		world_set(tracker->world, &mm->world, first + i, file_pte(vma, page, shmem, write, 0));
		file_run_add(&run, first + i, page);
	}
	file_run_end(&run);
}

void map_file_pages(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 fault_vpn,
		    const u64 *vpns, size_t nr, bool shmem, bool write, u16 op_flags)
{
	struct file_run run = { .tracker = tracker, .mm = mm, .fault_vpn = fault_vpn,
			   .flags = op_flags | RF_OP_FIRST | (shmem ? RF_OP_SHMEM : 0) | (write ? RF_OP_WRITE : 0) };

	if (shmem)
		learn_shmem(tracker, mm, vma);
	if (nr > 1 || vpns[0] != fault_vpn)
		run.flags |= RF_OP_FAULT_AROUND;
	for (size_t i = 0; i < nr; i++) {
		u64 pfn = file_page(tracker, vma, vpns[i]);

		world_set(tracker->world, &mm->world, vpns[i], file_pte(vma, pfn, shmem, write, 0));
		file_run_add(&run, vpns[i], pfn);
	}
	file_run_end(&run);
}

void shmem_add(struct rf_tracker *tracker, struct world_vma *vma, u64 vpn, u64 pfn, u32 order)
{
	u64 index = ALIGN_DOWN(world_vma_file_index(tracker->world, vma, vpn), BIT_ULL(order));

	if (!vma->file)
		vma->file = file_new(tracker->world, true);
	folio_set(tracker->world, pfn, order);
	for (u64 i = 0; i < BIT_ULL(order); i++) {
		cache_set(tracker->world, vma->file, index + i, pfn + i);
		cached_since_loss(tracker, pfn + i);
	}
}

bool shmem_swap_in(struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn)
{
	u64 index = world_vma_file_index(tracker->world, vma, vpn), pfn;

	if (!cache_find_swapped(tracker->world, vma->file, index, &pfn))
		return false;
	cache_set(tracker->world, vma->file, index, pfn);
	return true;
}
