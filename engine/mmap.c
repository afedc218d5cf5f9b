// SPDX-License-Identifier: MIT
/*
 * Operations on VMAs that touch no entries: mmap, brk, growing, flags.
 */
#include <errno.h>

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
	struct vm_area *piece, *next;

	mm_error(mm, vma_split(mm, vma->start));
	mm_error(mm, vma_split(mm, vma->end));
	for (piece = vma_find(mm, vma->start); piece && piece->start < vma->end; piece = next) {
		next = vma_next(piece);
		if (!vma->anon_vma && piece->anon_vma) {
			vma->anon_vma = piece->anon_vma;
			vma->anon_chain_shared = piece->anon_chain_shared;
		}
		vma_remove(mm, piece);
	}
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
	const struct vm_area *there = vma_find(mm, op->addr);

	if (op->flags & RF_OP_INFERRED) {
		take_pieces(mm, &vma);
	} else if (there && there->start < op->end) {
		/* The operations missed an unmapping. */
		count_anomaly(mm->machine, RF_ANOMALY_mapped_twice);
		mm_error(mm, do_munmap(mm, op->addr, op->end));
	}
	/* What was there at attach is as the kernel has it: what is apart could not be merged, whatever kept it so. */
	if (op->flags & (RF_OP_LOAD | RF_OP_EXCLUSIVE))
		mm_error(mm, vma_insert_apart(mm, &vma));
	else if (!vma_insert(mm, &vma))
		mm_error(mm, -ENOMEM);
}

void op_vma_flags(struct mm *mm, const struct rf_op *op)
{
	const u64 unshares = RF_ATTRIBUTE_UFFD_WP | RF_ATTRIBUTE_UFFD_MINOR;
	int err = split_vma(mm, op->addr, false);
	struct vm_area *vma;

	if (!err)
		err = split_vma(mm, op->end, false);
	mm_error(mm, err);
	if (err)
		return;
	for (vma = vma_find(mm, op->addr); vma && vma->start < op->end; vma = vma_next(vma)) {
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
	if (vma_prev(vma))
		start = max_u64(start, vma_prev(vma)->end);
	if (start >= vma->start)
		return;
	vma->pgoff -= (vma->start - start) >> mm->arch.geometry->page_shift;
	vma->start = start;
}

/* mremap() in place: vma_merge_extend(). */
void op_vma_expand(struct mm *mm, const struct rf_op *op)
{
	struct vm_area *vma = op->addr ? vma_find(mm, op->addr - 1) : NULL;
	u64 end = op->end;

	if (!vma || vma->end != op->addr) {
		count_anomaly(mm->machine, RF_ANOMALY_no_vma);
		return;
	}
	if (vma_next(vma))
		end = min_u64(end, vma_next(vma)->start);
	if (end <= vma->end)
		return;
	vma->end = end;
	vma_merge(mm, vma);
}
