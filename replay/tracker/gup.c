// SPDX-License-Identifier: MIT
/*
 * get_user_pages(), and the huge pages of hugetlb that it walks. GUP leaves no event of its own: it is known from the
 * system calls that use it (mlock() and its like, process_vm_readv()), and where a recording has GUP records. Huge pages
 * come from a pool and are in no RSS counter, so that their faults have no other event either: the machines find out
 * which of them map anything.
 */
#include "engine/ops.h"
#include "replay/tracker/abi.h"
#include "replay/tracker/tracking.h"

/* How many pages the array of page pointers has that process_vm_rw() allocates at most: PVM_MAX_KMALLOC_PAGES. */
#define PROCESS_VM_ARRAY_PAGES 2

/* No more bytes does one call copy: MAX_RW_COUNT, and a little. */
#define PROCESS_VM_BYTES_MAX BIT_ULL(31)

/* No machine has more huge pages; what a damaged trace claims is cut. */
#define GUP_HUGE_PAGES_MAX BIT_ULL(22)

u32 huge_shift_of(const struct rf_tracker *tracker, u64 told)
{
	/* Without a word about it: the default size, which is what a PMD maps unless the command line says otherwise. */
	return told >= tracker->page_shift && told < 57 ? (u32)told : tracker->page_shift + tracker->pmd_order;
}

void fault_hugetlb(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 addr, u16 op_flags)
{
	struct rf_op *op = emit(tracker, RF_OP_FAULT_HUGETLB, mm);

	op->addr = ALIGN_DOWN(addr, BIT_ULL(vma->huge_shift));
	op->order = vma->huge_shift;
	op->flags = op_flags;
	if (!(vma->flags & RF_VM_SHARED))
		vma->anon_vma = true;
}

/* What GUP finds missing, it faults in. */
static void gup_faults_hugetlb(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 start,
			       u64 end, bool write)
{
	u64 size = BIT_ULL(vma->huge_shift), left = GUP_HUGE_PAGES_MAX, addr;

	for (addr = ALIGN_DOWN(start, size); addr < end && left; addr += size, left--)
		fault_hugetlb(tracker, mm, vma, addr, RF_OP_POPULATE | (write ? RF_OP_WRITE : 0));
}

/* GUP may look at this, and would find something there. */
static bool is_gettable(const struct world_vma *vma)
{
	return vma->flags & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC) && !(vma->flags & (RF_VM_PFNMAP | RF_VM_SPECIAL));
}

static void emit_gup(struct rf_tracker *tracker, struct world_mm *mm, u8 kind, u64 start, u64 end, bool write,
		     u32 array_pages)
{
	struct rf_op *op;

	for (u64 at = start; at < end;) {
		struct world_vma *vma = world_vma_next(mm, at, NULL);

		if (!vma || vma->start >= end)
			break;
		if (vma->flags & RF_VM_HUGETLB && is_gettable(vma))
			gup_faults_hugetlb(tracker, mm, vma, max_u64(at, vma->start), min_u64(end, vma->end), write);
		at = vma->end;
	}
	op = emit(tracker, kind, mm);
	op->addr = start;
	op->end = end;
	op->nr = array_pages;
	op->flags = write ? RF_OP_WRITE : 0;
}

/* populate_vma_page_range(): each mapping by its own rules. */
void gup_populates(struct rf_tracker *tracker, struct world_mm *mm, u64 start, u64 end, bool write)
{
	for (u64 at = start; at < end;) {
		struct world_vma *vma = world_vma_next(mm, at, NULL);
		bool writes;

		if (!vma || vma->start >= end)
			return;
		writes = write && (vma->flags & (RF_VM_WRITE | RF_VM_SHARED)) == RF_VM_WRITE;
		if (is_gettable(vma))
			emit_gup(tracker, mm, RF_OP_GUP_SLOW, max_u64(at, vma->start), min_u64(end, vma->end), writes,
				 0);
		at = vma->end;
	}
}

/* ---- GUP records ------------------------------------------------------------------------------ */

void on_gup(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	u64 addr = record.f[1], len = record.f[2];
	struct task_gup *gup;

	if (addr >= tracker->address_limit || len > tracker->address_limit - addr || !len)
		return;
	if (!record.f[0]) {
		if (task->mm && task->mm->known)
			emit_gup(tracker, task->mm, record.f[3] & RF_GUP_FAST ? RF_OP_GUP_FAST : RF_OP_GUP_SLOW,
				 addr, addr + len, record.f[3] & RF_GUP_WRITE, 0);
		return;
	}
	/* Before the call of process_vm_readv() that it belongs to, which may fail. The return of the one before is lost. */
	if (task->call.kind == RF_SYS_PROCESS_VM) {
		call_abandon(tracker, task);
		task->nr_gups = 0;
	}
	if (!world_grow(tracker->world, (void **)&task->gups, sizeof(*task->gups), &task->gups_size,
			task->nr_gups + 1ull))
		return;
	gup = &task->gups[task->nr_gups++];
	gup->addr = addr;
	gup->len = len;
	gup->pid = (u32)record.f[0];
	gup->write = record.f[3] & RF_GUP_WRITE;
}

/* process_vm_readv() and process_vm_writev() take one iovec after the other, as far as there are bytes to copy. */
void process_vm_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	u64 left = ret > 0 ? min_u64((u64)ret, PROCESS_VM_BYTES_MAX) : 0;

	for (u32 i = 0; i < task->nr_gups && left; i++) {
		const struct task_gup *gup = &task->gups[i];
		struct world_mm *mm = mm_of_process(tracker, gup->pid);
		u64 len = min_u64(gup->len, left);

		left -= len;
		if (!mm || !mm->known)
			continue;
		settle_others(tracker, mm, task, tracker->time);
		emit_gup(tracker, mm, RF_OP_GUP_SLOW, gup->addr, gup->addr + len, gup->write, PROCESS_VM_ARRAY_PAGES);
	}
}
