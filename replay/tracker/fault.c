// SPDX-License-Identifier: MIT
/*
 * Page faults. A FAULT record opens a window; what the kernel then says in the
 * task's context tells what the fault did. Entries are set at the record that
 * commits them (the RSS change; for a copy the allocation), not at the fault:
 * that keeps threads of one address space in order. A fault that ends without
 * any such record has mapped the zero page, made an entry writable, or nothing.
 */
#include "engine/ops.h"
#include "replay/tracker/tracking.h"

/* ---- the window --------------------------------------------------------------------- */

static void fault_none(struct rf_tracker *tracker, struct task *task)
{
	struct rf_op *op = emit(tracker, RF_OP_FAULT_NONE, task->mm);

	op->addr = task->fault.vpn << tracker->page_shift;
	op->flags = task->fault.flags & RF_FAULT_WRITE ? RF_OP_WRITE : 0;
}

/* wp_page_reuse(): a write fault on a present entry that allocated nothing. */
static void settle_write(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, world_pte pte)
{
	struct task_fault *fault = &task->fault;
	struct rf_op *op;

	if (!vma || !(vma->flags & RF_VM_WRITE) || !world_pte_present(pte) || pte & WORLD_WRITE) {
		fault_none(tracker, task);
		return;
	}
	if (!(vma->flags & RF_VM_SHARED) && world_pte_kind(pte) != WORLD_ANON) {
		/* Page cache and zero page are never reused: a copy whose allocation no record told. */
		if (tracker->have_allocs) {
			fault_none(tracker, task);
			return;
		}
		copy_page(tracker, task->mm, vma, fault->vpn, world_invent_pfn(tracker->world, 0), RF_OP_INFERRED);
		return;
	}
	world_set_flags(task->mm, fault->vpn,
			WORLD_WRITE | (vma->flags & RF_VM_SHARED ? 0 : WORLD_EXCLUSIVE), WORLD_LAZYFREE);
	note_recent(tracker, task->mm, fault->vpn);
	tracker->fidelity.inferred.reuse++;
	op = emit(tracker, RF_OP_FAULT_REUSE, task->mm);
	op->addr = fault->vpn << tracker->page_shift;
	op->nr = 1;
	op->flags = RF_OP_WRITE;
}

/* vvar: vmf_insert_pfn(), which no counter sees. */
static void settle_special(struct rf_tracker *tracker, struct task *task, struct world_vma *vma)
{
	static const u8 what_of_name[] = {
		[RF_VMA_VVAR] = RF_KERNEL_PAGE_VVAR,
		[RF_VMA_VVAR_VCLOCK] = RF_KERNEL_PAGE_VVAR_VCLOCK,
	};
	struct task_fault *fault = &task->fault;
	u64 index = fault->vpn - vpn_of(tracker, vma->start), pfn;
	struct rf_op *op;

	if (vma->name != RF_VMA_VVAR && vma->name != RF_VMA_VVAR_VCLOCK) {
		fault_none(tracker, task);
		return;
	}
	if (!kernel_page(tracker, what_of_name[vma->name], index, &pfn))
		pfn = world_invent_pfn(tracker->world, 0);	/* pagemap hides it; nothing depends on it */
	world_set(tracker->world, task->mm, fault->vpn, world_mkpte(WORLD_SPECIAL, pfn, 0));
	op = emit(tracker, RF_OP_FAULT_FILE, task->mm);
	op->addr = op->aux = fault->vpn << tracker->page_shift;
	op->nr = 1;
	op->pfn = pfn;
	op->flags = RF_OP_FIRST | RF_OP_INFERRED;
}

/* do_anonymous_page(): no file, or one like /dev/zero. */
static bool reads_as_zero(const struct rf_tracker *tracker, const struct world_vma *vma)
{
	const struct world_file *file = file_get(tracker->world, vma->file);

	if (vma->flags & (RF_VM_SHARED | RF_VM_HUGETLB | RF_VM_UFFD))
		return false;
	return vma->flags & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC) && !(file && (file->cached || file->provisional));
}

static void settle_missing(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, world_pte pte)
{
	struct task_fault *fault = &task->fault;

	if (pte || fault->filemap != FILE_NOT_SEEN || fault->flags & RF_FAULT_WRITE) {
		fault_none(tracker, task);
	} else if (vma && vma->flags & (RF_VM_SPECIAL | RF_VM_PFNMAP)) {
		settle_special(tracker, task, vma);
	} else if (vma && reads_as_zero(tracker, vma)) {
		set_zero(tracker, task->mm, vma, fault->vpn, 0);
	} else {
		fault_none(tracker, task);
	}
}

/* Where no error code tells what access it was, one that the mapping permits. */
static u16 fault_access(const struct task_fault *fault, const struct world_vma *vma)
{
	const u16 guessed = fault->flags & (RF_FAULT_UNKNOWN | RF_FAULT_WRITE_KNOWN);

	if (guessed == RF_FAULT_UNKNOWN)
		return vma->flags & RF_VM_WRITE ? RF_OP_WRITE | RF_OP_INFERRED : RF_OP_INFERRED;
	return fault->flags & RF_FAULT_WRITE ? RF_OP_WRITE : 0;
}

/* Nothing more will tell what the fault did. */
static void settle(struct rf_tracker *tracker, struct task *task)
{
	struct task_fault *fault = &task->fault;
	struct world_vma *vma;
	world_pte pte;

	if (fault->stage != FAULT_OPEN || !task->mm)
		return;
	fault_applied(fault);
	vma = world_vma_find(task->mm, fault->addr);
	if (vma && vma->flags & RF_VM_HUGETLB) {
		fault_hugetlb(tracker, task->mm, vma, fault->addr, fault_access(fault, vma));
		return;
	}
	if (fault_waits(fault)) {
		fault_placed(task);
		if (fault->delta > 0) {
			if (!vma)
				vma = fault_vma(tracker, task->mm, fault->addr);
			if (vma)
				map_file_page(tracker, task->mm, vma, fault->vpn, fault->delta,
					      fault->member == RF_RSS_SHMEM, fault->flags & RF_FAULT_WRITE, 0);
			return;
		}
	}
	if (!vma && !(fault->flags & RF_FAULT_PRESENT)) {
		/* The stack grows by a read too; anything else is a wild address, or the VMA was never told. */
		vma = world_vma_next(task->mm, fault->addr, NULL);
		if (!tracker->have_side_band ||
		    (vma && vma->flags & RF_VM_GROWSDOWN && vma->start - fault->addr < BIT_ULL(20)))
			vma = fault_vma(tracker, task->mm, fault->addr);
		else
			vma = NULL;
	}
	pte = world_get(task->mm, fault->vpn);
	if (fault->flags & RF_FAULT_PRESENT && fault->flags & RF_FAULT_WRITE)
		settle_write(tracker, task, written_vma(tracker, task->mm, fault->addr), pte);
	else if (fault->flags & RF_FAULT_PRESENT)
		fault_none(tracker, task);
	else
		settle_missing(tracker, task, vma, pte);
}

void fault_drop(struct task *task)
{
	fault_over(task);
}

void fault_close(struct rf_tracker *tracker, struct task *task)
{
	struct task_fault *fault = &task->fault;

	if (!fault_is_open(fault))
		return;
	settle(tracker, task);
	/* A swap-in for write that stayed read-only and copied nothing ended in do_wp_page() reusing the page. */
	if (task->mm && fault->swapped_in && fault->flags & RF_FAULT_WRITE && fault->stage != FAULT_COPIED &&
	    world_pte_kind(world_get(task->mm, fault->vpn)) == WORLD_ANON)
		world_set_flags(task->mm, fault->vpn, WORLD_WRITE | WORLD_EXCLUSIVE, 0);
	fault_over(task);
	if (task->mm)
		check_rss(tracker, task->mm);
}

/* A fault younger than this is taken to be still in the kernel. */
#define IN_FLIGHT_NS 5000

/*
 * The task has not gone on yet, so more may come; but what leaves no record (reuse, the zero page) has most likely
 * happened. If it has not, the record that says so is believed.
 */
static void settle_early(struct rf_tracker *tracker, struct task *task)
{
	struct task_fault *fault = &task->fault;
	u8 access = fault->flags & (RF_FAULT_PRESENT | RF_FAULT_WRITE);
	const struct world_vma *vma;
	world_pte replaced;

	if (fault_waits(fault) || fault->filemap != FILE_NOT_SEEN || tracker->time - fault->time < IN_FLIGHT_NS)
		return;
	/* A huge page of hugetlb is in no counter: its fault leaves no other record. */
	vma = world_vma_find(task->mm, fault->addr);
	if (access != (RF_FAULT_PRESENT | RF_FAULT_WRITE) && access && !(vma && vma->flags & RF_VM_HUGETLB))
		return;
	replaced = world_get(task->mm, fault->vpn);
	settle(tracker, task);
	fault_guessed(fault, replaced);
}

void settle_others(struct rf_tracker *tracker, struct world_mm *mm, const struct task *except, u64 time)
{
	if (mm->users < 2 && (!except || except->mm == mm))
		return;
	for (struct task *task = mm->tasks; task; task = task->mm_next)
		if (task != except && task->fault.stage == FAULT_OPEN && task->fault.time < time)
			settle_early(tracker, task);
}

/* A write to a page that others map, too, copies it: its record is still to come. */
static bool is_silent(struct rf_tracker *tracker, const struct task *task)
{
	const u8 access = RF_FAULT_PRESENT | RF_FAULT_WRITE;
	const struct world_vma *vma = world_vma_find(task->mm, task->fault.addr);

	if ((task->fault.flags & access) != access || !tracker->have_allocs || (vma && vma->flags & RF_VM_SHARED))
		return true;
	return is_reusable(tracker, task->mm, world_get(task->mm, task->fault.vpn));
}

void settle_all(struct rf_tracker *tracker)
{
	for (u32 i = 0; i < tracker->tasks.size; i++) {
		struct task *task = tracker->tasks.slots[i].value;

		if (task && task->mm && task->fault.stage == FAULT_OPEN && is_silent(tracker, task))
			settle_early(tracker, task);
	}
}

/* ---- a fault begins --------------------------------------------------------------------- */

/*
 * Without an error code the model tells whether the entry was present, and then only a write can have faulted. A known
 * write to a page-cache page that the model holds writable comes after writeback has cleaned it.
 */
static u16 flags_from_model(struct rf_tracker *tracker, struct task *task, u64 vpn, u16 flags)
{
	world_pte pte;

	settle_others(tracker, task->mm, task, tracker->time);
	pte = world_get(task->mm, vpn);
	if (flags & RF_FAULT_WRITE && world_pte_kind(pte) == WORLD_FILE && pte & WORLD_WRITE)
		check_write_protected(tracker, task->mm, vpn, pte);
	flags &= ~RF_FAULT_PRESENT;
	if (!(flags & RF_FAULT_WRITE_KNOWN))
		flags &= ~RF_FAULT_WRITE;
	if (!world_pte_present(pte))
		return flags;
	flags |= RF_FAULT_PRESENT;
	if (!(flags & RF_FAULT_WRITE_KNOWN) && !(pte & WORLD_WRITE))
		flags |= RF_FAULT_WRITE;
	return flags;
}

/*
 * The open fault has changed nothing and begins again: taken with faults disabled, or retried because its lock had to
 * be dropped.
 */
static bool is_repeated(const struct task_fault *fault, u64 vpn, u16 flags)
{
	const u16 access = RF_FAULT_WRITE | (flags & RF_FAULT_UNKNOWN ? 0 : RF_FAULT_PRESENT);

	if (fault->stage != FAULT_OPEN || fault_waits(fault) || fault->vpn != vpn)
		return false;
	if (flags & RF_FAULT_UNKNOWN && !(flags & RF_FAULT_WRITE_KNOWN))
		return false;
	return flags & RF_FAULT_RETRY || (fault->flags & access) == (flags & access);
}

void on_fault(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 addr = record.f[0], vpn = vpn_of(tracker, addr);
	u16 flags = (u16)record.f[1];
	struct task_fault *fault = &task->fault;

	if (task->mm && is_repeated(fault, vpn, flags)) {
		fault_applied(fault);
		fault_none(tracker, task);
	}
	fault_close(tracker, task);
	task->nr_allocs = 0;
	/* Back in user mode: a call whose return no record told is over. */
	if (task->call.kind && !(flags & (RF_FAULT_KERNEL | RF_FAULT_UNKNOWN)))
		call_abandon(tracker, task);
	/* Remote: not this address space; what it does is seen otherwise, if at all. */
	if (addr >= tracker->address_limit || flags & RF_FAULT_REMOTE)
		return;
	if (!task->mm) {
		task->orphans++;
		return;
	}
	if (!task->mm->known)
		return;
	if (flags & RF_FAULT_UNKNOWN)
		flags = flags_from_model(tracker, task, vpn, flags);
	else
		check_fault(tracker, task, vpn, flags);
	fault_begins(task, addr, vpn, flags, record.time);
	fault_contends(fault, is_contended(tracker, task));
}

/* ---- what happens inside ----------------------------------------------------------------------- */

/*
 * Only the model says that the entry holds a page of a file. Had it been there, a copy would say next that this page is
 * gone; do_cow_fault(), which fills an empty entry, looks for it in the page cache, and may begin again for that.
 */
static bool was_empty(struct rf_tracker *tracker, const struct task *task)
{
	const struct task_fault *fault = &task->fault;
	enum world_kind kind = world_pte_kind(world_get(task->mm, fault->vpn));
	const struct rf_record *next;
	size_t i = 0;

	if (!(fault->flags & RF_FAULT_UNKNOWN) || fault->stage != FAULT_OPEN || (kind != WORLD_FILE && kind != WORLD_SHMEM))
		return false;
	next = next_of(tracker, task->tid, &i);
	if (!next)
		return false;
	if (next->kind == RF_FAULT)
		return vpn_of(tracker, next->f[0]) == fault->vpn;
	return next->kind == RF_FILEMAP_FAULT ||
	       (next->kind == RF_RSS_STAT && next->f[1] && next->f[2] == RF_RSS_ANON);
}

bool fault_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order)
{
	struct task_fault *fault = &task->fault;
	struct world_mm *mm = task->mm;
	struct world_vma *vma;
	world_pte pte;
	bool may_copy;

	if (!mm || fault->stage == FAULT_COPIED || order)
		return false;
	if (was_empty(tracker, task)) {
		unmap_unseen(tracker, mm, fault->vpn, world_get(mm, fault->vpn));
		fault_found_none(fault);
		return false;
	}
	may_copy = !fault_pending(fault) ? fault->swapped_in
				  : (fault->flags & RF_FAULT_PRESENT) &&
					    (fault->flags & (RF_FAULT_WRITE | RF_FAULT_UNKNOWN));
	if (!may_copy || (fault->swapped_in && !(fault->flags & (RF_FAULT_WRITE | RF_FAULT_UNKNOWN))))
		return false;
	vma = fault->flags & RF_FAULT_WRITE ? written_vma(tracker, mm, fault->addr)
					    : world_vma_find(mm, fault->addr);
	pte = fault->stage == FAULT_GUESSED ? fault->replaced : world_get(mm, fault->vpn);
	if (!vma || !is_private_writable(vma) || !world_pte_present(world_get(mm, fault->vpn)) || pte & WORLD_WRITE)
		return false;
	if (!is_copied(tracker, task, pte))
		return false;
	fault_copied(fault, pte, pfn);
	task->flush_due = true;
	copy_page(tracker, mm, vma, fault->vpn, pfn, 0);
	return true;
}

/* wp_page_copy() lost a race and threw its page away. */
void fault_page_freed(struct rf_tracker *tracker, struct task *task, u64 pfn)
{
	struct task_fault *fault = &task->fault;
	world_pte now;

	if (fault->stage != FAULT_COPIED || fault->copied_pfn != pfn || !task->mm)
		return;
	now = world_get(task->mm, fault->vpn);
	if (world_pte_kind(now) != WORLD_ANON || world_pte_pfn(now) != pfn)
		return;
	world_set(tracker->world, task->mm, fault->vpn, fault->replaced);
	task->flush_due = false;
}

static void fault_anon(struct rf_tracker *tracker, struct task *task, s64 delta)
{
	struct task_fault *fault = &task->fault;
	struct world_vma *vma = fault_vma(tracker, task->mm, fault->addr);
	world_pte pte = world_get(task->mm, fault->vpn);
	struct task_alloc alloc;
	u16 flags = 0;

	if (!vma)
		return;
	if (world_pte_kind(pte) == WORLD_SWAP) {
		fault_swap_in(tracker, task, vma, pte, delta);
		return;
	}
	if (!take_alloc(task, delta > 0 ? (u64)delta : 1, &alloc)) {
		if (fault->stage == FAULT_COPIED || delta <= 0)
			return;		/* the RSS side of a copy */
		alloc.order = (u32)(63 - __builtin_clzll((u64)delta));
		if (alloc.order > tracker->pmd_order)
			alloc.order = tracker->pmd_order;
		alloc.pfn = world_invent_pfn(tracker->world, alloc.order);
		tracker->fidelity.inferred.order_from_rss++;
		if (tracker->have_allocs)
			tracker->fidelity.anomalies.rss_without_alloc++;
		flags = RF_OP_INFERRED;
	} else if (delta != (s64)BIT_ULL(alloc.order) && task->mm->users == 1) {
		tracker->fidelity.anomalies.rss_order_mismatch++;
	}
	fault_applied(fault);
	task->nr_allocs = 0;
	set_anon(tracker, task->mm, vma, fault->vpn, alloc.pfn, alloc.order, flags);
}

static void fault_shmem(struct rf_tracker *tracker, struct task *task, s64 delta)
{
	struct task_fault *fault = &task->fault;
	struct world_vma *vma = fault_vma(tracker, task->mm, fault->addr);
	struct task_alloc alloc;
	u64 pfn;

	if (!vma)
		return;
	vma->flags |= RF_VM_SHMEM;
	if (delta && take_alloc(task, (u64)delta, &alloc)) {
		shmem_add(tracker, vma, fault->vpn, alloc.pfn, alloc.order);
	} else if (!vma_cache_find(tracker, vma, fault->vpn, &pfn) || delta != 1) {
		/* Fault-around over pages that are there, or a page that was there before the recording. */
		fault_wait_for_place(task, RF_RSS_SHMEM, delta);
		return;
	}
	fault_applied(fault);
	map_file_page(tracker, task->mm, vma, fault->vpn, delta, true, fault->flags & RF_FAULT_WRITE, 0);
}

void fault_rss(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta)
{
	struct task_fault *fault = &task->fault;

	switch (member) {
	case RF_RSS_ANON:
		/* 0: two threads' changes cancelled each other. */
		if (delta > 0 || (!delta && task->mm->users > 1 && task->nr_allocs &&
				  !(fault->flags & RF_FAULT_PRESENT)))
			fault_anon(tracker, task, delta);
		break;
	case RF_RSS_FILE:
		if (delta < 0 || fault->stage == FAULT_COPIED)
			break;
		/* After a read the fault is retried as a whole, and fault-around may now find the page. */
		if (fault->filemap != FILE_NOT_SEEN && delta > 0 && !next_is(tracker, task->tid, RF_MAP_PAGES)) {
			struct world_vma *vma = fault_vma(tracker, task->mm, fault->addr);

			fault_applied(fault);
			if (vma)
				map_file_page(tracker, task->mm, vma, fault->vpn, delta, false,
					      fault->flags & RF_FAULT_WRITE, 0);
			break;
		}
		fault_wait_for_place(task, RF_RSS_FILE, delta);
		break;
	case RF_RSS_SHMEM:
		if (delta >= 0 && fault->stage != FAULT_COPIED)
			fault_shmem(tracker, task, delta);
		break;
	}
}
