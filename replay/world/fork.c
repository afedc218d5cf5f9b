// SPDX-License-Identifier: MIT
/*
 * Entries copied by fork(); and the end of an address space.
 */
#include <stdlib.h>

#include "engine/ops.h"
#include "replay/world/world.h"

struct fork {
	struct world *world;
	struct world_mm *parent, *child;
	const struct world_vma *vma;
};

static void fork_run(void *context, u64 vpn, world_pte pte, u32 nr)
{
	struct fork *fork = context;
	world_pte copy = pte;

	/* copy_present_ptes(): private writable pages are write-protected on both sides, and no longer exclusive. */
	if (!(fork->vma->flags & RF_VM_SHARED)) {
		copy &= ~(WORLD_WRITE | WORLD_EXCLUSIVE | WORLD_GUESSED);
		if (copy != pte)
			world_set_flags(fork->world, fork->parent, vpn, nr, 0,
					WORLD_WRITE | WORLD_EXCLUSIVE | WORLD_GUESSED);
	}
	/* dup_userfaultfd(): the child's VMA is registered nowhere. */
	world_set_pages(fork->world, fork->child, vpn, copy & ~WORLD_UFFD_WP, nr);
}

/* vma_needs_copy(): page cache pages of a VMA that never had an anonymous page are left to be faulted in again. */
static bool fork_copies(const struct world_vma *vma)
{
	if (vma->flags & RF_VM_PFNMAP)
		return true;
	return vma->anon_vma;
}

void world_fork(struct world *world, struct world_mm *parent, struct world_mm *child)
{
	struct fork fork = { world, parent, child, NULL };

	for (struct world_vma *vma = world_vma_first(parent); vma; vma = world_vma_above(vma)) {
		if (vma->flags & RF_VM_DONTCOPY)
			continue;
		world_vma_duplicate(world, child, vma);
		/* wipe on fork: the child has the VMA, not the pages. */
		if ((vma->flags & RF_VM_WIPEONFORK) || !fork_copies(vma))
			continue;
		fork.vma = vma;
		world_walk_runs(parent, vma->start >> world->page_shift, vma->end >> world->page_shift, fork_run,
				&fork);
	}
}

void world_mm_free(struct world *world, struct world_mm *mm)
{
	world_clear(world, mm);
	world_vma_clear_all(world, mm);
	world->mms[mm->id] = NULL;
	free(mm);
}
