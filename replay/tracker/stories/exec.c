// SPDX-License-Identifier: MIT
/* A new program: its address space is built from the arguments up, and takes the place of the old one. */
#include "replay/tracker/stories/exec.h"

#include <string.h>

#include "engine/ops.h"
#include "replay/tracker/effects/address_space.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/losses.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/fork.h"
#include "replay/tracker/stories/handlers.h"
#include "replay/tracker/stories/processes.h"

/* The argument pages, where __bprm_mm_init() put them: top down from the highest stack address there is. */
static void emit_arguments(struct rf_tracker *tracker, const struct task_exec *exec, const struct tracked_mm *mm)
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
void place_stack(struct rf_tracker *tracker, struct task *task, const struct world_vma *vma)
{
	u64 page = BIT_ULL(tracker->page_shift), top = tracker->stack_top_max;
	struct task_exec *exec = &task->exec;
	struct tracked_mm *mm = task->mm;
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
	world_vma_remove(tracker->world, &mm->world, vma->start, vma->end);
	stack = world_vma_insert(tracker->world, &mm->world, vma);
	if (stack)
		world_vma_anon_prepare(tracker->world, &mm->world, stack);
	vpn = vpn_of(tracker, vma->end);
	for (u32 i = 0; i < exec->nr && vma->end - vma->start > i * page; i++) {
		folio_set(tracker->world, exec->pages[i], 0);
		world_set(tracker->world, &mm->world, vpn - 1 - i,
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
	struct tracked_mm *mm = exec->mm, *old;

	fault_close(tracker, task);
	if (!mm)
		mm = mm_new(tracker);
	if (!mm)
		return;
	if (!exec->building)
		mark_mm(tracker, mm, RF_REASON_exec_unseen);
	exec->mm = NULL;
	exec->building = exec->due = false;
	exec->loading = true;
	exec->stack_placed = false;
	exec->object_end = 0;
	task->orphans = 0;
	task->borrows = false;
	old = task_leave_mm(task);
	if (old)
		end_mm(tracker, old, RF_WHY_EXEC);
	mm_becomes_known(tracker, mm);
	mm->settling = true;
	mm_set_pid(tracker, mm, task->pid ? task->pid : task->tid);
	emit(tracker, RF_OP_MM_NEW, mm);
	emit_arguments(tracker, exec, mm);
	task_set_mm(tracker, task, mm);
	if (!tracker->have_side_band)
		guess_stack(tracker, task);
}

struct exec_scan {
	u32 tid;
	u64 fault;		/* number of the record that opened its last fault, 0: none */
	u64 vpn;
};

/* What the record says of the task's last fault: not remote, and not one tried again. */
static void scan_fault(const struct rf_tracker *tracker, struct exec_scan *scan, const struct rf_record *record,
		       u64 number)
{
	u64 vpn = vpn_of(tracker, record->f[0]);

	if (record->f[1] & RF_FAULT_REMOTE)
		scan->fault = 0;
	else if (!scan->fault || scan->vpn != vpn)
		scan->fault = number;
	scan->vpn = vpn;
}

/* The VMA of __bprm_mm_init(), at the very top: acct_stack_growth() tells the side band, whoever's it is. */
static bool grows_arguments(const struct rf_tracker *tracker, const struct rf_record *mmap2)
{
	return RF_VMA_NAME(mmap2->f[5]) != RF_VMA_STACK && mmap2->f[0] + mmap2->f[1] >= tracker->stack_top_max;
}

/*
 * Where the new address space is in place no record tells but sched_prepare_exec, the first mapping of the side band
 * (not that of the arguments), and an RSS change of the old one by its own task, which is no longer in it. Without them
 * an RSS change of the current address space does, if it bears the number of the one that the arguments went to; the
 * fault it belongs to, of the ELF loader, began there as well. What comes before it is the old one's.
 */
void find_exec_point(struct rf_tracker *tracker, struct task *task)
{
	struct exec_scan scans[2] = { { .tid = task->tid }, { .tid = task->pid ? task->pid : task->tid } };
	const struct rf_record *record;
	u64 mm_id = ~0ull;

	task->exec_at = 0;
	for (size_t i = 0; i < LOOK_AHEAD_CALL && (record = look_ahead(tracker, i)); i++) {
		u64 number = tracker->record + 1 + i;
		struct exec_scan *scan = record->tid == scans[0].tid ? &scans[0] : &scans[1];
		struct task *task_then;

		if (record->tid != scan->tid)
			continue;
		if (record->kind == RF_EXEC || (record->kind == RF_SYS_RET && scan == &scans[0]))
			return;
		if (record->kind == RF_FAULT)
			scan_fault(tracker, scan, record, number);
		if (record->kind == RF_MMAP2 && !grows_arguments(tracker, record))
			scan->fault = 0;
		else if (record->kind != RF_RSS_STAT || (record->f[1] && record->f[0] != mm_id))
			continue;
		if (record->kind == RF_RSS_STAT && !record->f[1]) {
			scan->fault = 0;
			if (mm_id == ~0ull && record->f[2] == RF_RSS_ANON && !mm_by_id(tracker, (u32)record->f[0]))
				mm_id = record->f[0];
			continue;
		}
		task_then = task_get(tracker, scan->tid);
		if (!task_then)
			return;
		task_then->exec_at = scan->fault ? scan->fault : number;
		if (task_then != task)
			task_then->exec_from = task->tid;	/* de_thread() comes before */
		return;
	}
}

void exec_arrives(struct rf_tracker *tracker, struct task *task)
{
	struct task *from = task->exec_from ? task_find(tracker, task->exec_from) : task;

	task->exec_at = 0;
	if (!from || !from->exec.building)
		return;
	from->exec.due = true;
	exec_take_over(tracker, task);
	exec_switch(tracker, task);
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
	for (u32 member = 0; task->mm && member < RF_RSS_MEMBERS; member++) {
		task_keeps_count(task, member, from->batched[member]);
		task_keeps_count(from, member, -from->batched[member]);
	}
	task_set_mm(tracker, from, NULL);
	task->exec = from->exec;
	call_moves(from, task);
	task->call_told = from->call_told;
	task->dead = false;
	memset(&from->exec, 0, sizeof(from->exec));
	from->exec.pages = pages;
	from->exec.size = size;
	from->dead = true;
}

void exec_is_named(struct rf_tracker *tracker, struct task *task)
{
	if (!any_lost(tracker) || task->exec.loading)
		return;
	exec_take_over(tracker, task);
	if (!task->exec.loading)
		exec_switch(tracker, task);
}

/* Which ABI a task's calls have matters here only where those of 32-bit programs are missing. */
static void know_calls(struct rf_tracker *tracker, struct task *task, bool compat)
{
	task->calls_unknown = compat && !tracker->compat.told;
	if (task->calls_unknown)
		mark_mm(tracker, task->mm, RF_REASON_compat_calls);
}

void on_abi(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	bool compat = record.f[0] != RF_ABI_NATIVE;

	if (record.f[1])
		task->exec.compat = compat;
	else
		know_calls(tracker, task, compat);
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
	task_set_pid(tracker, task, task->tid);
	if (task->mm)
		mm_set_pid(tracker, task->mm, task->pid);
	know_calls(tracker, task, task->exec.compat);
	task->exec.compat = false;
}

void exec_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	/* The side band tells the VMAs of every program. */
	if (!ret && task->exec.loading && !task->exec.stack_placed && tracker->have_side_band)
		mark_mm(tracker, task->mm, RF_REASON_exec_unseen);
	if (task->exec.mm)
		world_mm_free(tracker->world, &task->exec.mm->world);
	task->exec.mm = NULL;
	task->exec.building = task->exec.due = task->exec.loading = false;
	if (task->child)
		drop_child(tracker, task);
}
