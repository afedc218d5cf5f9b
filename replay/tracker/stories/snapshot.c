// SPDX-License-Identifier: MIT
/*
 * Snapshots. Those taken at attach are where the world of a running process begins: a fuzzy checkpoint, loaded when it
 * was begun; what happened while it was taken is applied again, which converges for everything but mremap(). So are
 * those taken after a loss, where the loss has left a mark. Others are compared, see compare.c.
 */
#include "replay/tracker/stories/snapshot.h"

#include "engine/ops.h"
#include "replay/tracker/effects/address_space.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/gup.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/exec.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/fork.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/hidden.h"
#include "replay/tracker/stories/processes.h"

static struct tracked_mm *snapshot_mm(struct rf_tracker *tracker, const struct snapshot *snapshot)
{
	return tracked_mm(tracker->world, snapshot->mm);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* No more than the snapshot does it know of what its tasks are doing: they are stopped. */
static void forget_doings(struct rf_tracker *tracker, struct task *task)
{
	fault_close(tracker, task);
	call_abandon(tracker, task);
	drop_child(tracker, task);
	if (task->exec.mm)
		world_mm_free(tracker->world, &task->exec.mm->world);
	task->exec.mm = NULL;
	task->exec.building = task->exec.due = task->exec.loading = false;
	task->nr_allocs = 0;
	task->advised.end = 0;
	task->told_vmas.nr = 0;
	task->remap = (struct task_remap){ 0 };
}

/*
 * Events were lost that were about it, and it has been read anew: mm takes its place. What it was is not known well
 * enough to say that anything was unmapped; it goes without a count, marked until now. But where the process borrowed
 * it (vfork), it has got a program of its own unseen, and the lender's stays.
 */
static void take_place(struct rf_tracker *tracker, struct tracked_mm *old, struct tracked_mm *mm, u32 pid)
{
	bool borrowed = old->pid && old->pid != pid;
	struct task *next;

	if (!borrowed) {
		if (!old->pid)
			mm_set_pid(tracker, old, pid);
		/* Of an exec that was lost nothing tells, but it is rare. */
		mm->lock_future = old->lock_future;
		mm->lock_on_fault = old->lock_on_fault;
		mm->uffd_features = old->uffd_features;
		trust_ends(tracker, old);
	}
	for (struct task *task = old->tasks; task; task = next) {
		next = task->mm_next;
		if (task->lingers || (borrowed && task->pid != pid))
			continue;
		forget_doings(tracker, task);
		if (task->unseen)
			mark_mm(tracker, mm, RF_REASON_unseen_thread);
		task->borrows &= !borrowed;
		task_leave_mm(task);
		task_set_mm(tracker, task, mm);
	}
	if (!old->users)
		replace_mm(tracker, old);
}

static void load_begin(struct rf_tracker *tracker, struct snapshot *snapshot, struct tracked_mm *old)
{
	struct task *leader = task_get(tracker, snapshot->pid);
	struct tracked_mm *mm;

	mm = leader ? mm_new(tracker) : NULL;
	if (!mm)
		return;
	mm->settling = mm->found = true;
	mm_becomes_known(tracker, mm);
	task_set_pid(tracker, leader, snapshot->pid);
	leader->forked_at = 0;		/* not hidden: it is seen now */
	mm_set_pid(tracker, mm, snapshot->pid);
	emit(tracker, RF_OP_MM_NEW, mm)->flags = RF_OP_LOAD;
	if (old)
		take_place(tracker, old, mm, snapshot->pid);
	for (struct task *task = task_group(tracker, snapshot->pid); task; task = task->group_next)
		if (!task->mm && !task->dead) {
			task_set_mm(tracker, task, mm);
			task->orphans = 0;
		}
	if (!leader->mm)
		task_set_mm(tracker, leader, mm);
	snapshot->mm = mm->world.id;
	snapshot->loading = true;
}

static void load_vma(struct rf_tracker *tracker, struct tracked_mm *mm, const struct rf_record *record)
{
	const struct world_vma *loaded;
	struct world_vma vma;
	struct rf_op *op;

	if (!vma_of_record(tracker, record, &vma) || world_vma_overlaps(&mm->world, vma.start, vma.end))
		return;
	if (vma.name == RF_VMA_STACK)
		vma.flags |= RF_VM_GROWSDOWN;
	if (vma.name == RF_VMA_HEAP) {
		mm->brk = vma.end;
		mm->brk_known = true;
	}
	vma.accounted = vma.attributes & RF_ATTRIBUTE_ACCOUNT;
	vma.attributes &= ~RF_ATTRIBUTE_ACCOUNT;
	loaded = world_vma_load(tracker->world, &mm->world, &vma);
	op = emit(tracker, RF_OP_MAP, mm);
	op->addr = vma.start;
	op->end = vma.end;
	op->vm_flags = vma.flags;
	op->attributes = vma.attributes | (vma.accounted ? RF_ATTRIBUTE_ACCOUNT : 0);
	op->pgoff = loaded ? loaded->pgoff : vma.pgoff;
	op->file = vma.file;
	op->flags = RF_OP_LOAD;
}

static enum world_kind kind_of(const struct world_vma *vma, u64 flags)
{
	if (flags & RF_PTE_ZERO)
		return WORLD_ZERO;
	if (vma && vma->name == RF_VMA_VDSO)
		return WORLD_VDSO;
	if (vma && vma->flags & RF_VM_PFNMAP)
		return WORLD_SPECIAL;
	if (flags & RF_PTE_ANON || !(flags & RF_PTE_FILE))
		return WORLD_ANON;
	return flags & RF_PTE_SWAPBACKED ? WORLD_SHMEM : WORLD_FILE;
}

/* Whether it is writable pagemap does not show; a private page may be where it is exclusive. */
static u64 guess_flags(const struct world_vma *vma, enum world_kind kind, u64 flags)
{
	bool writable = vma && vma->flags & RF_VM_WRITE;

	if (kind == WORLD_ANON && flags & RF_PTE_EXCLUSIVE)
		return WORLD_EXCLUSIVE | WORLD_GUESSED | (writable ? WORLD_WRITE : 0);
	if (kind == WORLD_SHMEM && writable && vma->flags & RF_VM_SHARED)
		return WORLD_WRITE;
	return 0;
}

/* Told page by page, mapped as a whole. */
static void load_huge_pages(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma,
			    const struct rf_record *record)
{
	u64 size = BIT_ULL(vma->huge_shift), addr = ALIGN_UP(record->f[0], size);
	u64 end = min_u64(record->f[0] + (record->f[1] << tracker->page_shift), vma->end);

	for (; addr < end; addr += size)
		fault_hugetlb(tracker, mm, vma, addr,
			      RF_OP_LOAD | RF_OP_INFERRED | (vma->flags & RF_VM_WRITE ? RF_OP_WRITE : 0));
}

static void load_ptes(struct rf_tracker *tracker, struct tracked_mm *mm, const struct rf_record *record)
{
	static const u8 op_of_kind[] = {
		[WORLD_ANON] = RF_OP_FAULT_SWAP, [WORLD_FILE] = RF_OP_FAULT_FILE, [WORLD_SHMEM] = RF_OP_FAULT_FILE,
		[WORLD_ZERO] = RF_OP_FAULT_ZERO, [WORLD_SPECIAL] = RF_OP_FAULT_FILE, [WORLD_VDSO] = RF_OP_FAULT_FILE,
	};
	u64 vpn = vpn_of(tracker, record->f[0]), nr = record->f[1], pfn = record->f[2], flags = record->f[4];
	u32 order = (u32)min_u64(record->f[3], WORLD_ORDER_MAX);
	struct world_vma *vma = world_vma_find(&mm->world, record->f[0]);
	enum world_kind kind = kind_of(vma, flags);
	u64 guessed = guess_flags(vma, kind, flags), known;
	struct rf_op *op;

	if (record->f[0] >= tracker->address_limit || pfn >= WORLD_INVENTED_PFN || nr > BIT_ULL(20) ||
	    flags & RF_PTE_GUARD)
		return;
	if (vma && vma->flags & RF_VM_HUGETLB) {
		load_huge_pages(tracker, mm, vma, record);
		return;
	}
	if (vma && (kind == WORLD_ANON || (kind == WORLD_ZERO && flags & RF_PTE_PMD)))
		world_vma_anon_prepare(tracker->world, &mm->world, vma);
	if (vma && kind == WORLD_SHMEM)
		learn_shmem(tracker, mm, vma);
	if (kind != WORLD_ZERO)
		folio_set(tracker->world, folio_head(pfn, order), order);
	world_set_pages(tracker->world, &mm->world, vpn, world_mkpte(kind, pfn, guessed), nr);
	for (u64 i = 0; i < nr && vma && vma->file && (kind == WORLD_FILE || kind == WORLD_SHMEM); i++) {
		if (tracker->cache_lost || !vma_cache_find(tracker, vma, vpn + i, &known))
			vma_cache_set(tracker, vma, vpn + i, pfn + i);
		cached_since_loss(tracker, pfn + i);
	}
	op = emit(tracker, kind == WORLD_ANON && flags & RF_PTE_PMD ? RF_OP_FAULT_ANON : op_of_kind[kind], mm);
	op->addr = op->aux = record->f[0];
	op->nr = (u32)nr;
	op->pfn = pfn;
	op->order = (u8)order;
	op->flags = RF_OP_LOAD | RF_OP_INFERRED | (guessed & WORLD_WRITE ? RF_OP_WRITE : 0) |
		    (guessed & WORLD_EXCLUSIVE ? RF_OP_EXCLUSIVE : 0) | (kind == WORLD_SHMEM ? RF_OP_SHMEM : 0);
}

static void load_swap(struct rf_tracker *tracker, struct tracked_mm *mm, const struct rf_record *record)
{
	u64 vpn = vpn_of(tracker, record->f[0]), nr = min_u64(record->f[1], BIT_ULL(20));
	struct world_vma *vma = world_vma_find(&mm->world, record->f[0]);

	if (record->f[0] >= tracker->address_limit)
		return;
	if (vma)
		world_vma_anon_prepare(tracker->world, &mm->world, vma);
	for (u64 i = 0; i < nr; i++) {
		u32 slot = slot_new(tracker->world);

		if (!slot)
			return;
		world_set(tracker->world, &mm->world, vpn + i, world_mkpte(WORLD_SWAP, slot, 0));
		emit_entry(tracker, RF_OP_UNMAP_SWAP, mm, vpn + i, slot, 0, RF_OP_LOAD | RF_OP_ANON);
	}
}

static void load_rss(struct tracked_mm *mm, const struct rf_record *record)
{
	static const u8 member_of_field[RF_RSS_MEMBERS] = { RF_RSS_FILE, RF_RSS_ANON, RF_RSS_SWAP, RF_RSS_SHMEM };

	for (int i = 0; i < RF_RSS_MEMBERS; i++)
		mm->recorded[member_of_field[i]] = (s64)record->f[i];
	mm->rss_known = mm->rss_unbased = BIT(RF_RSS_MEMBERS) - 1;
}

/* Whether there is anything that reading it anew would mend. A process that a loss hid is seen now. */
static bool is_doubtful(struct rf_tracker *tracker, u32 pid, const struct tracked_mm *mm)
{
	struct task *leader = task_find(tracker, pid);

	if (leader)
		hidden_ends(tracker, leader);
	return !mm || !mm->known || mm->marked;
}

/* ---- records --------------------------------------------------------------------------------- */

static void snapshot_begin(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record)
{
	struct tracked_mm *mm;

	*snapshot = (struct snapshot){
		.open = true, .pid = (u32)record->f[0],
		.differences = snapshot->differences, .differences_size = snapshot->differences_size,
	};
	tracker->fidelity.snapshots++;
	mm = mm_of_process(tracker, snapshot->pid);
	if (record->f[1] == RF_SNAP_ATTACH ||
	    (record->f[1] == RF_SNAP_LOSS && is_doubtful(tracker, snapshot->pid, mm))) {
		/* At attach, we know it better: it began while we watched. */
		if (!mm || record->f[1] == RF_SNAP_LOSS)
			load_begin(tracker, snapshot, mm);
		return;
	}
	if (record->f[1] == RF_SNAP_EXEC || !mm || !mm->known)
		return;
	settle_others(tracker, mm, NULL, record->time);
	snapshot->mm = mm->world.id;
	snapshot->comparing = true;
	tracker->fidelity.processes_compared++;
}

static bool calls_unknown(struct rf_tracker *tracker, u32 pid)
{
	const struct task *leader = task_find(tracker, pid);

	return leader && leader->calls_unknown;
}

static void snapshot_end(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record)
{
	struct tracked_mm *mm = snapshot_mm(tracker, snapshot);

	if (snapshot->comparing)
		compare_end(tracker, snapshot, mm);
	if (snapshot->loading && mm) {
		mm->settling = false;
		mm->rss_fresh = 0;
		if (!record->f[1]) {
			mm->uncounted = true;
			mark_mm(tracker, mm, RF_REASON_snapshot_torn);
		}
		if (calls_unknown(tracker, snapshot->pid))
			mark_mm(tracker, mm, RF_REASON_compat_calls);
	}
	snapshot->open = snapshot->loading = snapshot->comparing = false;
}

void on_snapshot(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	struct snapshot *snapshot;
	struct tracked_mm *mm;

	if (record.stream >= tracker->nr_streams)
		return;
	snapshot = &tracker->snapshots[record.stream];
	if (record.kind == RF_SNAP_BEGIN) {
		snapshot_begin(tracker, snapshot, &record);
		return;
	}
	mm = snapshot->open ? snapshot_mm(tracker, snapshot) : NULL;
	/* It has ended meanwhile: nothing is left to compare with, but what was compared. */
	if (!mm && (record.kind != RF_SNAP_END || !snapshot->open))
		return;
	switch (record.kind) {
	case RF_SNAP_VMA:
		if (snapshot->loading)
			load_vma(tracker, mm, &record);
		break;
	case RF_SNAP_PTE:
		if (snapshot->loading)
			load_ptes(tracker, mm, &record);
		else if (snapshot->comparing)
			compare_run(tracker, snapshot, &record);
		break;
	case RF_SNAP_SWAP:
		if (snapshot->loading)
			load_swap(tracker, mm, &record);
		else if (snapshot->comparing)
			compare_swap(tracker, snapshot, &record);
		break;
	case RF_SNAP_RSS:
		if (snapshot->loading)
			load_rss(mm, &record);
		break;
	case RF_SNAP_END:
		snapshot_end(tracker, snapshot, &record);
		break;
	}
}
