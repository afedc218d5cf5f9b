/* SPDX-License-Identifier: MIT */
/* The page-table radix (pgtable.c), and the kernel's constructors of entries on the simulated layout. */
#ifndef REFOLD_ENGINE_PGTABLE_H
#define REFOLD_ENGINE_PGTABLE_H

#include "engine/tables.h"
#include "engine/vma.h"

static inline bool pmd_none(pmd_t pmd)
{
	return !pmd.val;
}

static inline bool pmd_leaf(pmd_t pmd)
{
	return pmd.val & PMD_LEAF;
}

static inline bool pmd_table(pmd_t pmd)
{
	return pmd.val && !(pmd.val & PMD_LEAF);
}

/* Of a plain one: see pte_offset(). */
static inline pte_t *pmd_ptes(pmd_t pmd)
{
	return (pte_t *)(uintptr_t)pmd.val;
}

static inline pte_t pmd_pte(pmd_t pmd)
{
	return (pte_t){ pmd.val & ~PMD_LEAF };
}

static inline void set_pmd_leaf(pmd_t *pmd, pte_t pte)
{
	pmd->val = pte.val | PMD_LEAF;
}

pmd_t *pmd_walk(struct mm *mm, u64 addr);
pmd_t *pmd_walk_alloc(struct mm *mm, u64 addr);

/* The slot of the PMD table that maps addr, or NULL. */
static inline pmd_t *pmd_offset(struct mm *mm, u64 addr)
{
	if (addr >> pmd_shift(mm) == mm->cached_pmd_index)
		return mm->cached_pmd;
	return pmd_walk(mm, addr);
}

static inline pmd_t *pmd_alloc(struct mm *mm, u64 addr)
{
	if (addr >> pmd_shift(mm) == mm->cached_pmd_index)
		return mm->cached_pmd;
	return pmd_walk_alloc(mm, addr);
}

/* The table of *pmd, which is compact, as a plain one from now on. */
pte_t *pte_table_expand(struct mm *mm, pmd_t *pmd, u64 addr);

/* The entry of addr in the table of *pmd, which must be one. Good until the next pmd_next() of any mm. */
static inline pte_t *pte_offset(struct mm *mm, pmd_t *pmd, u64 addr)
{
	if (unlikely(pmd->val & TABLE_COMPACT))
		return pte_table_expand(mm, pmd, addr) + pte_index(mm, addr);
	return pmd_ptes(*pmd) + pte_index(mm, addr);
}

/* What maps addr, leaves as if they were entries; nothing is made plain for that. */
pte_t pte_peek(const struct mm *mm, u64 addr);

/* pte_alloc(): the entry of addr, its table made if there is none; NULL on lack of memory. *pmd must not be a leaf. */
pte_t *pte_alloc(struct mm *mm, pmd_t *pmd, u64 addr);

/*
 * The next populated PMD slot at or after *addr, before end; moves *addr there. Directories that do not exist are
 * stepped over whole, as the *_none_or_clear_bad() tests do. NULL: no more. What was found before, slots and entries,
 * may have moved.
 */
pmd_t *pmd_next(struct mm *mm, u64 *addr, u64 end);

struct mmu_gather;

/* free_pgd_range(): floor 0 and ceiling 0 are the bottom and the top of the address space. */
void free_pgd_range(struct mmu_gather *tlb, u64 addr, u64 end, u64 floor, u64 ceiling);
/* free_pte(): the table that maps [addr, addr + pmd_size) goes. */
void free_pte_table(struct mmu_gather *tlb, pmd_t *pmd, u64 addr);
/* All directories go, without any cost: the end of an mm. */
void pgtable_destroy(struct mm *mm);
/* Move the whole table of *from to *to, which is none and maps to_addr. */
void pmd_move(struct mm *mm, pmd_t *to, u64 to_addr, pmd_t *from);
/* How much a table of PMDs maps; and move that of from, if there is one and none at to. */
u64 pud_size(const struct mm *mm);
bool pud_move(struct mm *mm, u64 to, u64 from);

/*
 * Between operations, and in long ones where they hold on to no slot or entry: tables that were not walked to for a
 * while get their compact form, if they are sparse.
 */
void tables_settle_some(struct rf_machine *machine);

static inline void tables_settle(struct rf_machine *machine)
{
	if (unlikely(table_recent_are_many(machine->tables)))
		tables_settle_some(machine);
}

/* ---- entries -------------------------------------------------------------------- */

static inline bool pte_special(pte_t pte)
{
	return pte.val & PTE_SPECIAL;
}

/*
 * Hardware sets the dirty bit of a writable entry without a word (x86, arm64 with FEAT_HAFDBS, riscv with Svadu).
 * Shared memory that may be written without a fault is taken to have been: what a program reads of it first, or has
 * populated, it mostly writes later.
 */
static inline bool pte_may_be_dirty(pte_t pte)
{
	return pte_dirty(pte) || (pte_write(pte) && !(pte.val & PTE_ANON));
}

/* vma->vm_page_prot: never writable where a write must fault first (COW, vma_wants_writenotify()). */
static inline u64 vm_page_prot(const struct vm_area *vma)
{
	u64 prot = PTE_RDONLY;

	if (!(vma->flags & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)))
		return prot | PTE_PROTNONE;
	prot |= PTE_VALID;
	if (vma->flags & RF_VM_EXEC)
		prot |= PTE_EXEC;
	if ((vma->flags & (RF_VM_SHARED | RF_VM_WRITE)) == (RF_VM_SHARED | RF_VM_WRITE) &&
	    (vma->flags & (RF_VM_SHMEM | RF_VM_PFNMAP)))
		prot |= PTE_WRITE;
	return prot;
}

/* facts: PTE_ANON, PTE_EXCLUSIVE, PTE_SHMEM, PTE_SPECIAL. */
static inline pte_t mk_pte(const struct vm_area *vma, u64 pfn, unsigned int order, u64 facts)
{
	return (pte_t){ ((pfn << PTE_PFN_SHIFT) & PTE_PFN_MASK) | ((u64)order << PTE_ORDER_SHIFT) | facts |
			PTE_AF | vm_page_prot(vma) };
}

static inline pte_t maybe_mkwrite(pte_t pte, const struct vm_area *vma)
{
	return vma->flags & RF_VM_WRITE ? pte_mkwrite(pte) : pte;
}

/* pte_modify() to vm_page_prot. */
static inline pte_t pte_modify_to(pte_t pte, const struct vm_area *vma)
{
	u64 prot = vm_page_prot(vma);

	return pte_modify(pte, prot & PTE_WRITE, prot & PTE_EXEC, prot & PTE_PROTNONE);
}

static inline bool pte_swap(pte_t pte)
{
	return pte.val & PTE_SWAP;
}

static inline bool is_migration_entry(pte_t pte)
{
	return (pte.val & (PTE_SWAP | PTE_MIGRATION)) == (PTE_SWAP | PTE_MIGRATION);
}

/* A guard of MADV_GUARD_INSTALL: a swap entry without a slot. */
#define PTE_GUARD_MARKER (PTE_SWAP | PTE_SPECIAL)

static inline bool is_guard_marker(pte_t pte)
{
	return (pte.val & (PTE_SWAP | PTE_SPECIAL)) == PTE_GUARD_MARKER;
}

#endif
