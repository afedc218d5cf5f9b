/* SPDX-License-Identifier: MIT */
/*
 * A machine that allocates anonymous folios itself: what the kernel of the
 * recording did to the folios it had, said of those that the policy's kernel
 * would have allocated (the knobs anon_folios and thp). allocation.c decides
 * what is allocated and done, allocation_pages.c keeps what a folio of ours is.
 *
 * Rules:
 *  - a fault on an empty entry gets the largest folio that is enabled, aligned,
 *    inside the VMA and over empty entries only: alloc_anon_folio();
 *  - a fault that was recorded on a page that such a folio has mapped already
 *    does not happen, unless it writes where only reading is allowed: then it is
 *    a reuse or a copy;
 *  - a folio of the recording that is larger than all that may be allocated
 *    stays: what its pages were used for was not recorded (RF_INEXACTS);
 *  - reclaim and migration do to a folio of ours, whole, what they did to the
 *    first of its pages that the recording used.
 */
#ifndef REFOLD_ENGINE_ALLOCATION_H
#define REFOLD_ENGINE_ALLOCATION_H

#include "engine/pgtable.h"
#include "engine/vma.h"

/* Frames and swap slots from here on are ours; each is given once. Above are those that the tracker makes up. */
#define ALLOCATION_FIRST_PFN BIT_ULL(38)
#define ALLOCATION_END_PFN BIT_ULL(39)

/* An address space and those that share folios with it by fork(): a ring. */
struct relatives {
	u32 next, previous;		/* numbers of address spaces; its own: alone, or not there */
};

/* struct page, of what is ours. */
struct our_page {
	u32 mapcount;			/* entries that map it, or stand in for it while it migrates */
	u32 partly;			/* of the first of a folio: the operation that began to unmap it; 0: none has */
	u16 nr_mapped;			/* of the first: pages of the folio that are mapped */
	u8 order;			/* of the folio */
	bool used;			/* the recording used it */
};

struct allocation {
	u64 nr_pages;			/* ours, from ALLOCATION_FIRST_PFN on */
	struct our_page *pages;
	size_t room;
	struct scan scan;		/* of khugepaged */
	u32 failed_orders;		/* bits: what the recorded kernel wanted last, and did not get */
	u32 nr_ops;			/* so far, to tell what one operation does from what it leaves */
	u64 unused;			/* pages that memory is taken for now, and that were never used */
	u64 last_time;
	unsigned __int128 unused_time;	/* page-nanoseconds */
	struct relatives *relatives;	/* by number of the address space */
	size_t max_relatives;
};

struct allocation *allocation_create(void);
void allocation_destroy(struct allocation *allocation);

/* One operation, in pages of the machine. -ENOMEM or 0. */
int allocation_op(struct rf_machine *machine, const struct rf_op *op);

/* ---- allocation_khugepaged.c ---- */

/* The scans that are due before this operation. -ENOMEM or 0. */
int khugepaged_until(struct rf_machine *machine, const struct rf_op *op);

/* ---- allocation_memory.c ---- */

void allocation_add_rmap(struct rf_machine *machine, pte_t pte, u32 nr);
void allocation_remove_rmap(struct rf_machine *machine, pte_t pte, u32 nr);
void allocation_split_folio(struct rf_machine *machine, pte_t pte, unsigned int order);
/* The recording uses a page of ours; true: for the first time. */
bool allocation_use(struct allocation *allocation, u64 pfn);
/* What was used of nr pages, or of slots of swap, is so of those that take their place. */
void allocation_inherit_use(struct allocation *allocation, u64 to, u64 from, u32 nr);
/* An operation begins. */
void allocation_account(struct rf_machine *machine, u64 time);

/* ---- allocation_pages.c ---- */

static inline bool is_ours(pte_t pte)
{
	return (pte_present(pte) || (pte.val & PTE_SWAP && !(pte.val & PTE_SPECIAL))) &&
	       pte_pfn(pte) >= ALLOCATION_FIRST_PFN && pte_pfn(pte) < ALLOCATION_END_PFN;
}

/* 1 << order frames or slots, aligned. 0 on lack of memory. */
u64 allocation_take(struct allocation *allocation, unsigned int order);
/* Bits of orders: the knob has sizes, from 16K on. */
u32 allocation_enabled_orders(const struct rf_machine *machine);
/* thp_vma_allowable_orders(): any? */
bool allocation_allows(const struct rf_machine *machine, const struct vm_area *vma);
/* Is this the first page of its folio that the recording used? */
bool allocation_stands_for(const struct allocation *allocation, u64 pfn, unsigned int order);
/* Address spaces come, fork and go. -ENOMEM or 0. */
int allocation_note_mm(struct allocation *allocation, const struct rf_op *op);
/* Does nobody but mm map the folio of the entry at addr? Its relatives are asked at the same addresses. */
bool allocation_is_sole(struct rf_machine *machine, struct mm *mm, u64 addr, pte_t pte);

/* ---- what maps folios of ours; of others nobody asks ---- */

/* folio_add_anon_rmap_ptes(): nr entries map pages from that of pte on. */
static inline void folio_add_rmap(struct mm *mm, pte_t pte, u32 nr)
{
	if (mm->machine->allocation && is_ours(pte))
		allocation_add_rmap(mm->machine, pte, nr);
}

/* folio_remove_rmap_ptes(): they are about to go. A slot of swap is no page. */
static inline void folio_remove_rmap(struct mm *mm, pte_t pte, u32 nr)
{
	if (mm->machine->allocation && is_ours(pte) && (pte_present(pte) || is_migration_entry(pte)))
		allocation_remove_rmap(mm->machine, pte, nr);
}

/* The folio of pte becomes folios of this order. */
static inline void folio_note_split(struct mm *mm, pte_t pte, unsigned int order)
{
	if (mm->machine->allocation && is_ours(pte))
		allocation_split_folio(mm->machine, pte, order);
}

#endif
