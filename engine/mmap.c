// SPDX-License-Identifier: MIT
/*
 * Operations on VMAs that touch no entries: mmap, brk, growing, flags.
 */
#include "engine/hugetlb.h"
#include "engine/operations.h"
#include "engine/vma.h"

/* accountable_mapping(), and the charge that mprotect() makes later. */
static u32 account_flag(u32 flags, u64 attributes)
{
	if (attributes & RF_ATTRIBUTE_ACCOUNT)
		return VM_ACCOUNT;
	if (attributes & RF_ATTRIBUTE_NORESERVE)
		return 0;
	return (flags & (RF_VM_WRITE | RF_VM_SHARED | RF_VM_HUGETLB)) == RF_VM_WRITE ? VM_ACCOUNT : 0;
}

/* A VMA that was made up piece by piece: it is this one, and keeps its pages. */
static void take_pieces(struct mm *mm, struct vm_area *vma)
{
	u32 first, i;

	mm_error(mm, vma_split(mm, vma->start));
	mm_error(mm, vma_split(mm, vma->end));
	first = vma_find(mm, vma->start);
	for (i = first; i < mm->nr_vmas && mm->vmas[i].start < vma->end; i++) {
		if (vma->anon_vma || !mm->vmas[i].anon_vma)
			continue;
		vma->anon_vma = mm->vmas[i].anon_vma;
		vma->anon_chain_shared = mm->vmas[i].anon_chain_shared;
	}
	vma_remove(mm, first, i - first);
}

void op_map(struct mm *mm, const struct rf_op *op)
{
	struct vm_area vma = {
		.start = op->addr,
		.end = op->end,
		.pgoff = op->pgoff,
		.file = op->file,
		.attributes = op->attributes & ~RF_ATTRIBUTE_ACCOUNT,
		.flags = op->vm_flags | account_flag(op->vm_flags, op->attributes),
	};
	u32 index = vma_find(mm, op->addr);

	if (op->flags & RF_OP_INFERRED) {
		take_pieces(mm, &vma);
	} else if (index < mm->nr_vmas && mm->vmas[index].start < op->end) {
		/* The operations missed an unmapping. */
		count_anomaly(mm->machine, RF_ANOMALY_mapped_twice);
		mm_error(mm, do_munmap(mm, op->addr, op->end));
	}
	/* What was there at attach is as the kernel has it: what is apart could not be merged, whatever kept it so. */
	if (op->flags & (RF_OP_LOAD | RF_OP_EXCLUSIVE))
		mm_error(mm, vma_insert_apart(mm, &vma));
	else
		mm_error(mm, vma_insert(mm, &vma));
}

void op_vma_flags(struct mm *mm, const struct rf_op *op)
{
	const u64 unshares = RF_ATTRIBUTE_UFFD_WP | RF_ATTRIBUTE_UFFD_MINOR;
	int err = split_vma(mm, op->addr, false);
	u32 i;

	if (!err)
		err = split_vma(mm, op->end, false);
	mm_error(mm, err);
	if (err)
		return;
	for (i = vma_find(mm, op->addr); i < mm->nr_vmas && mm->vmas[i].start < op->end; i++) {
		struct vm_area *vma = &mm->vmas[i];

		if (op->attributes & ~vma->attributes & unshares)
			hugetlb_unshare_all_pmds(mm, vma);
		vma->flags = (vma->flags & ~(u32)(op->aux & 0xffff)) | op->vm_flags;
		vma->attributes = (vma->attributes & ~op->attributes_clear) | op->attributes;
	}
	vma_merge_range(mm, op->addr, op->end);
}

/* expand_stack(): never into the VMA below. */
void op_vma_grow(struct mm *mm, const struct rf_op *op)
{
	struct vm_area *vma = vma_lookup(mm, op->end);
	u64 start = op->addr;

	if (!vma || vma->start != op->end) {
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		return;
	}
	if (vma > mm->vmas)
		start = max_u64(start, vma[-1].end);
	if (start >= vma->start)
		return;
	vma->pgoff -= (vma->start - start) >> mm->arch.geometry->page_shift;
	vma->start = start;
}

/* mremap() in place: vma_merge_extend(). */
void op_vma_expand(struct mm *mm, const struct rf_op *op)
{
	u32 index = op->addr ? vma_find(mm, op->addr - 1) : mm->nr_vmas;
	u64 end = op->end;

	if (index >= mm->nr_vmas || mm->vmas[index].end != op->addr) {
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		return;
	}
	if (index + 1 < mm->nr_vmas)
		end = min_u64(end, mm->vmas[index + 1].start);
	if (end <= mm->vmas[index].end)
		return;
	mm->vmas[index].end = end;
	vma_merge(mm, index);
}
