// SPDX-License-Identifier: MIT
/*
 * Tasks and address spaces come and go: fork, exec, exit, and the side band that
 * tells the VMAs of a new program.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/ops.h"
#include "replay/tracker/abi.h"
#include "replay/tracker/tracking.h"

#define VM_OF_RECORD(flags) ((u16)((flags) & RF_VM_RECORDED))

/* ---- fork ------------------------------------------------------------------------------ */

/*
 * dup_mmap() ends with the last RSS change of the child inside the parent's clone: what other threads of the parent do
 * after it is not copied. NEWTASK comes later, so look ahead.
 */
void find_fork_point(struct rf_tracker *tracker, struct task *task)
{
	u64 flags = task->call.args[0];
	const struct rf_record *record;
	u32 tid = task->tid;
	u64 found = 0;

	task->fork_at = 0;
	if (!task->mm || !task->mm->known || (flags != RF_CLONE_UNKNOWN && flags & CLONE_VM))
		return;
	for (size_t i = 0; (record = look_ahead(tracker, i)); i++) {
		if (record->tid != tid)
			continue;
		if (record->kind == RF_RSS_STAT && !record->f[1] && !mm_by_id(tracker, (u32)record->f[0]))
			found = tracker->record + 1 + i;
		else if (record->kind == RF_NEWTASK && !(record->f[1] & CLONE_VM))
			task->fork_at = found;
		if (record->kind == RF_NEWTASK || record->kind == RF_SYS_RET)
			break;
	}
}

void fork_mm(struct rf_tracker *tracker, struct task *task)
{
	struct world_mm *parent = task->mm, *child = task->child;
	struct rf_op *op;

	if (child->known || !parent || !parent->known)
		return;
	settle_others(tracker, parent, task, task->call.time);
	op = emit(tracker, RF_OP_FORK, parent);
	op->mm2 = child->id;
	world_fork(tracker->world, parent, child);
	tracker->fidelity.mms++;
	tracker->fidelity.inexact_mms += child->inexact;
}

static void drop_child(struct rf_tracker *tracker, struct task *task)
{
	if (!task->child)
		return;
	if (task->child->known)
		end_mm(tracker, task->child, RF_WHY_PROCESS_EXIT);
	else
		world_mm_free(tracker->world, task->child);
	task->child = NULL;
}

/* A tid that was used before: its structure starts anew, its buffers stay. */
static void reset_task(struct rf_tracker *tracker, struct task *task)
{
	struct populate_event *queue = task->populate.queue;
	u32 queue_size = task->populate.size, pages_size = task->exec.size, gups_size = task->gups_size, tid = task->tid;
	u64 *pages = task->exec.pages;
	struct task_gup *gups = task->gups;

	drop_child(tracker, task);
	task_set_mm(tracker, task, NULL);
	if (task->exec.mm)
		world_mm_free(tracker->world, task->exec.mm);
	memset(task, 0, sizeof(*task));
	task->tid = tid;
	task->populate.queue = queue;
	task->populate.size = queue_size;
	task->exec.pages = pages;
	task->exec.size = pages_size;
	task->gups = gups;
	task->gups_size = gups_size;
}

void on_newtask(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 flags = record.f[1];
	u32 tid = (u32)record.f[0];
	struct task *child;

	fault_close(tracker, task);
	if (tid == task->tid || !tid)
		return;
	child = task_get(tracker, tid);
	if (!child)
		return;
	reset_task(tracker, child);
	child->stream = record.stream;
	child->pid = flags & CLONE_THREAD ? task->pid : tid;
	if (!(flags & CLONE_THREAD))
		begin_process(tracker, task, child);
	if (flags & CLONE_VM) {
		task_set_mm(tracker, child, task->mm);
		return;
	}
	if (task->mm && task->mm->known && !(task->child && task->child->known)) {
		if (!task->child)
			task->child = world_mm_new(tracker->world);
		if (!task->child)
			return;
		tracker->fidelity.inferred.fork_point++;
		fork_mm(tracker, task);
	}
	if (task->child) {
		mm_set_pid(tracker, task->child, child->pid);
		task_set_mm(tracker, child, task->child);
		check_rss(tracker, task->child);
		task->child = NULL;
	}
}

/* ---- the end of an address space -------------------------------------------------------------- */

void end_mm(struct rf_tracker *tracker, struct world_mm *mm, u8 why)
{
	struct rf_op *op;

	if (mm->known) {
		op = emit(tracker, RF_OP_MM_EXIT, mm);
		op->why = why ? why : RF_WHY_PROCESS_EXIT;
	}
	while (mm->tasks)
		task_leave_mm(mm->tasks);
	mm->dead = true;
	world_mm_free(tracker->world, mm);
}

static void exit_mm(struct rf_tracker *tracker, struct task *task)
{
	struct world_mm *mm = task_leave_mm(task);

	if (!mm->pid)
		mm_set_pid(tracker, mm, task->pid ? task->pid : task->tid);
	write_page_table(tracker, mm);
	end_mm(tracker, mm, RF_WHY_PROCESS_EXIT);
}

/* The thread's part in its address space ends, and that of what it was doing. */
static void leave(struct rf_tracker *tracker, struct task *task)
{
	fault_close(tracker, task);
	call_abandon(tracker, task);
	drop_child(tracker, task);
	if (task->exec.mm) {
		world_mm_free(tracker->world, task->exec.mm);
		task->exec.mm = NULL;
	}
	task->exec.building = task->exec.due = task->exec.loading = false;
	if (task_linger(task))
		exit_mm(tracker, task);
}

/*
 * Until 6.15 sched_process_exit comes after exit_mm(). The side band's exit stands in (exits_late); without one, as in
 * an imported trace, the first pages that go tell of it.
 */
void exit_begins(struct rf_tracker *tracker, struct task *task)
{
	task->mm->rss_fresh = 0;	/* counts what is gone already */
	leave(tracker, task);
}

static void exit_task(struct rf_tracker *tracker, struct task *task)
{
	leave(tracker, task);
	task->dead = true;
	if (task->orphans)
		tracker->fidelity.anomalies.unknown_task++;
	task->orphans = 0;
}

void on_sched_exit(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	if (!tracker->exits_late)
		exit_task(tracker, task);
}

void on_side_band_exit(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	if (tracker->exits_late)
		exit_task(tracker, task);
}

/* ---- exec ------------------------------------------------------------------------------------------ */

/* The argument pages, where __bprm_mm_init() put them: top down from the highest stack address there is. */
static void emit_arguments(struct rf_tracker *tracker, const struct task_exec *exec, const struct world_mm *mm)
{
	u64 top = tracker->stack_top_max, page = BIT_ULL(tracker->page_shift), size = exec->nr * page;
	struct rf_op *op;

	op = emit(tracker, RF_OP_MAP, mm);
	op->addr = top - max_u64(size, page);
	op->end = top;
	op->vm_flags = RF_VM_READ | RF_VM_WRITE | RF_VM_GROWSDOWN;
	op->pgoff = vpn_of(tracker, op->addr);
	for (u32 i = 0; i < exec->nr; i++) {
		op = emit(tracker, RF_OP_FAULT_ANON, mm);
		op->addr = top - (i + 1) * page;
		op->pfn = exec->pages[i];
		op->nr = 1;
		op->flags = RF_OP_EXEC | RF_OP_WRITE | RF_OP_POPULATE;
	}
}

/*
 * The point of no return. exec_mmap() follows, but before it the kernel may still write to the old address space
 * (mm_release() clears the tid): the first record about the new one tells that it is in place.
 */
void on_prepare_exec(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	fault_close(tracker, task);
	task->exec.due = true;
	/* de_thread(): a thread that is not the leader goes on under the leader's tid. */
	if (task->pid && task->pid != task->tid) {
		struct task *leader = task_get(tracker, task->pid);

		if (leader)
			leader->exec_from = task->tid;
	}
}

/* setup_arg_pages(): stack_expand */
#define STACK_FIRST_GROWTH (128 * 1024)

/* setup_arg_pages(): the stack moves to its random place and grows to its first size. */
static void place_stack(struct rf_tracker *tracker, struct task *task, const struct world_vma *vma)
{
	u64 page = BIT_ULL(tracker->page_shift), top = tracker->stack_top_max;
	struct task_exec *exec = &task->exec;
	struct world_mm *mm = task->mm;
	u64 size = max_u64(exec->nr, 1) * page, vpn;
	struct world_vma *stack;
	struct rf_op *op;

	exec->stack_placed = true;
	mm->settling = false;
	op = emit(tracker, RF_OP_EXEC_STACK, mm);
	op->addr = top - size;
	op->end = top;
	op->addr2 = vma->end;
	if (vma->start < vma->end - size) {
		op = emit(tracker, RF_OP_VMA_GROW, mm);
		op->addr = vma->start;
		op->end = vma->end - size;
	}
	world_vma_remove(tracker->world, mm, vma->start, vma->end);
	stack = world_vma_insert(tracker->world, mm, vma);
	if (stack)
		stack->anon_vma = true;
	vpn = vpn_of(tracker, vma->end);
	for (u32 i = 0; i < exec->nr && vma->end - vma->start > i * page; i++) {
		folio_set(tracker->world, exec->pages[i], 0);
		world_set(tracker->world, mm, vpn - 1 - i,
			  world_mkpte(WORLD_ANON, exec->pages[i], WORLD_WRITE | WORLD_EXCLUSIVE));
	}
}

/* Where the stack lies without address space randomisation; with it nobody can tell, and the pages are written off. */
static void guess_stack(struct rf_tracker *tracker, struct task *task)
{
	struct world_vma vma = { .end = tracker->stack_top_max, .name = RF_VMA_STACK };

	vma.start = vma.end - max_u64(task->exec.nr, 1) * BIT_ULL(tracker->page_shift) - STACK_FIRST_GROWTH;
	vma.pgoff = vpn_of(tracker, vma.start);
	vma.flags = RF_VM_READ | RF_VM_WRITE | RF_VM_GROWSDOWN;
	place_stack(tracker, task, &vma);
}

void exec_switch(struct rf_tracker *tracker, struct task *task)
{
	struct task_exec *exec = &task->exec;
	struct world_mm *mm = exec->mm, *old;

	fault_close(tracker, task);
	if (!mm)
		mm = world_mm_new(tracker->world);
	if (!mm)
		return;
	exec->mm = NULL;
	exec->building = exec->due = false;
	exec->loading = true;
	exec->stack_placed = false;
	task->orphans = 0;
	old = task_leave_mm(task);
	if (old)
		end_mm(tracker, old, RF_WHY_EXEC);
	mm->known = true;
	mm->settling = true;
	mm_set_pid(tracker, mm, task->pid ? task->pid : task->tid);
	tracker->fidelity.mms++;
	emit(tracker, RF_OP_MM_NEW, mm);
	emit_arguments(tracker, exec, mm);
	task_set_mm(tracker, task, mm);
	if (!tracker->have_side_band)
		guess_stack(tracker, task);
}

/*
 * Without sched_prepare_exec and side band the first RSS change of the new address space tells that it is in place; the
 * fault it belongs to began there, not in the old one.
 */
void exec_enter(struct rf_tracker *tracker, struct task *task)
{
	struct task_fault fault = task->fault;

	if (fault.stage == FAULT_OPEN)
		fault_drop(task);
	exec_switch(tracker, task);
	if (fault.stage == FAULT_OPEN && task->mm)
		fault_follows(task, &fault);
}

void exec_take_over(struct rf_tracker *tracker, struct task *task)
{
	struct task *from = task->exec_from ? task_find(tracker, task->exec_from) : NULL;
	u64 *pages = task->exec.pages;
	u32 size = task->exec.size;

	task->exec_from = 0;
	if (!from || from == task || !(from->exec.loading || from->exec.due))
		return;
	task_set_mm(tracker, task, from->mm);
	task_set_mm(tracker, from, NULL);
	task->exec = from->exec;
	call_moves(from, task);
	task->dead = false;
	memset(&from->exec, 0, sizeof(from->exec));
	from->exec.pages = pages;
	from->exec.size = size;
	from->dead = true;
}

void on_exec(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u32 old_tid = (u32)record.f[0];

	if (old_tid && old_tid != task->tid && !task->exec.loading) {
		task->exec_from = old_tid;
		exec_take_over(tracker, task);
	}
	/* No side band, or a kernel without sched_prepare_exec. */
	if (!task->exec.loading)
		exec_switch(tracker, task);
	task->pid = task->tid;
	if (task->mm)
		mm_set_pid(tracker, task->mm, task->pid);
}

void exec_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	(void)ret;
	if (task->exec.mm)
		world_mm_free(tracker->world, task->exec.mm);
	task->exec.mm = NULL;
	task->exec.building = task->exec.due = task->exec.loading = false;
	if (task->child)
		drop_child(tracker, task);
}

/* ---- the side band --------------------------------------------------------------------------------- */

static void grow_stack_to(struct rf_tracker *tracker, struct world_mm *mm, u64 start, u64 end)
{
	struct world_vma *vma = world_vma_find(mm, end - 1), *below;
	struct rf_op *op;

	if (!vma || !(vma->flags & RF_VM_GROWSDOWN) || start >= vma->start)
		return;
	below = world_vma_next(mm, start, NULL);
	if (below != vma)
		return;
	op = emit(tracker, RF_OP_VMA_GROW, mm);
	op->addr = start;
	op->end = vma->start;
	vma->pgoff -= vpn_of(tracker, vma->start - start);
	vma->start = start;
}

/* A VMA of the new program. */
static void exec_vma(struct rf_tracker *tracker, struct task *task, struct world_vma *vma)
{
	if (vma->name == RF_VMA_STACK) {
		vma->flags |= RF_VM_GROWSDOWN;
		if (!task->exec.stack_placed)
			place_stack(tracker, task, vma);
		else
			grow_stack_to(tracker, task->mm, vma->start, vma->end);
		return;
	}
	map_vma(tracker, task->mm, vma, RF_WHY_MMAP_FIXED);
}

bool vma_of_record(struct rf_tracker *tracker, const struct rf_record *record, struct world_vma *vma)
{
	u64 addr = record->f[0], len = record->f[1], page = BIT_ULL(tracker->page_shift);

	if ((addr | len) & (page - 1) || addr >= tracker->address_limit || len > tracker->address_limit - addr || !len)
		return false;
	memset(vma, 0, sizeof(*vma));
	vma->start = addr;
	vma->end = addr + len;
	vma->pgoff = record->f[2];
	vma->name = RF_VMA_NAME(record->f[5]);
	vma->flags = VM_OF_RECORD(record->f[5]);
	if (vma->flags & RF_VM_HUGETLB)
		vma->huge_shift = (u8)huge_shift_of(tracker, RF_VMA_HUGE_SHIFT(record->f[5]));
	switch (vma->name) {
	case RF_VMA_VVAR:
	case RF_VMA_VVAR_VCLOCK:
		vma->flags |= RF_VM_PFNMAP | RF_VM_SPECIAL;
		break;
	case RF_VMA_VDSO:
	case RF_VMA_VSYSCALL:
		vma->flags |= RF_VM_SPECIAL;
		break;
	}
	if (record->f[4])
		vma->file = file_by_inode(tracker->world, record->f[3], record->f[4]);
	else if (!(vma->flags & (RF_VM_SHARED | RF_VM_SPECIAL)))
		vma->pgoff = vpn_of(tracker, addr);
	return true;
}

void on_mmap2(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	struct world_vma vma;

	if (task->exec_from && (!task->mm || task->dead))
		exec_take_over(tracker, task);
	if (task->exec.due)
		exec_switch(tracker, task);
	if (!task->mm || !task->mm->known || !vma_of_record(tracker, &record, &vma))
		return;
	if (task->exec.loading) {
		exec_vma(tracker, task, &vma);
		return;
	}
	switch (task->call.kind) {
	case RF_SYS_MMAP:
	case RF_SYS_BRK:
	case RF_SYS_SHMAT:
		call_maps(&task->call, &vma);
		break;
	default:
		if (vma.name == RF_VMA_STACK)
			grow_stack_to(tracker, task->mm, vma.start, vma.end);
	}
}
