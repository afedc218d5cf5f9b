/* SPDX-License-Identifier: MIT */
/* Changes of protection, by mprotect() and by a userfaultfd (mprotect.c). */
#ifndef REFOLD_ENGINE_MPROTECT_H
#define REFOLD_ENGINE_MPROTECT_H

#include "engine/vma.h"

struct mmu_gather;

enum change_protection {
	CHANGE_PROTECTION,		/* to what the VMA has now */
	CHANGE_UFFD_WP,			/* MM_CP_UFFD_WP: write-protected, whatever the VMA permits */
	CHANGE_UFFD_WP_RESOLVE,		/* MM_CP_UFFD_WP_RESOLVE: no more */
};

void change_protection(struct mmu_gather *tlb, const struct vm_area *vma, u64 addr, u64 end,
		       enum change_protection how);
/* tlb_finish_mmu(), where there was an mmu_gather: since 5.19. */
void finish_protection(struct mmu_gather *tlb);

#endif
