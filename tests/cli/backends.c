// SPDX-License-Identifier: MIT
/* Backends with a fault each, for loaded.py. */
#include <stddef.h>
#include <stdlib.h>

#include "backend_abi.h"

static void set_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte pte, uint32_t nr)
{
#ifdef CRASHES
	abort();
#elif defined(HANGS)
	for (;;)
		__asm__ volatile("" : : : "memory");
#elif defined(WARNS)
	mm->warn(mm, "mine.c:12", "nr == 16");
	mm->warn(mm, "mine.c:12", "nr == 16");
#elif defined(STRAYS)
	refold_pte *table = (refold_pte *)((uintptr_t)ptep & ~(mm->table_entries * 8ull - 1));

	table[mm->table_entries] |= 0;	/* harmless, were it not somebody else's */
	__asm__ volatile("" : : : "memory");
	*(volatile refold_pte *)(table + mm->table_entries) = table[mm->table_entries];
#endif
	mm->own->set_ptes(mm, addr, ptep, pte, nr);
}

/* For refold backend check: a write fault that unfolds a block makes its other pages old. */
static bool ptep_set_access_flags(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte entry, bool dirty)
{
	uint32_t index = (addr >> mm->page_shift) % mm->cont_ptes, i;
	bool folded = *ptep & REFOLD_PTE_CONT, changed;

	changed = mm->own->ptep_set_access_flags(mm, addr, ptep, entry, dirty);
#ifdef FORGETS
	for (i = 0; folded && dirty && i < mm->cont_ptes; i++)
		if (i != index)
			ptep[(int64_t)i - index] &= ~(uint64_t)REFOLD_PTE_AF;
#else
	(void)i;
	(void)index;
	(void)folded;
#endif
	return changed;
}

/* One of them gives none. */
static const struct refold_backend backend __attribute__((unused)) = {
#ifdef NEWER
	.abi = REFOLD_BACKEND_ABI + 1,
#else
	.abi = REFOLD_BACKEND_ABI,
#endif
#ifdef SMALL
	.size = 8,
#elif defined(OLDER)
	.size = offsetof(struct refold_backend, tlb_flush),	/* what lies behind is none of its hooks */
	.tlb_flush = (void *)0x10,
#else
	.size = sizeof(backend),
#endif
#ifdef NOWHERE
	.arch = "vax",
#else
	.arch = "arm64",
#endif
#ifdef BASELESS
	.base = "linux-2.4",
#else
	.base = "linux-7.3",
#endif
#ifdef ODD
	.cont_ptes = 12,
#endif
	.release = "a test",
	.set_ptes = set_ptes,
	.ptep_set_access_flags = ptep_set_access_flags,
};

#ifdef FOREIGN
const struct refold_backend *another_name(void);
const struct refold_backend *another_name(void)
#else
const struct refold_backend *refold_backend(void)
#endif
{
#ifdef EMPTY
	return NULL;
#else
	return &backend;
#endif
}
