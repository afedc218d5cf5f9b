/* SPDX-License-Identifier: MIT */
/*
 * What the files of engine/ share, as mm/internal.h does for mm/: address
 * spaces, VMAs, the page-table radix and mmu_gather. Nobody outside engine/
 * and its unit tests includes it.
 */
#ifndef REFOLD_ENGINE_MM_H
#define REFOLD_ENGINE_MM_H

#include "engine/machine.h"

/* ---- address spaces ------------------------------------------------------- */

/* Flags of a VMA that no operation carries, above RF_VM_*. */
#define VM_ACCOUNT	0x10000u	/* charged to the commit limit: keeps VMAs of equal protection apart */

struct vm_area {
	u64 start, end;
	u64 pgoff;
	u64 file;			/* 0: anonymous */
	u32 flags;			/* RF_VM_*, VM_ACCOUNT */
	u32 anon_vma;			/* 0: none yet */
	bool anon_chain_shared;		/* anon_vma_chain is not singular: inherited by fork */
};

/*
 * A slot of a PMD table: nothing, a table of entries, or a leaf. Leaves are
 * told by a bit that neither user pointers nor struct pte_t use.
 */
typedef struct { u64 val; } pmd_t;

#define PMD_LEAF	BIT_ULL(63)

struct table_pool;
struct directory;
struct huge_page;
struct rescale;

struct mm {
	struct arch_mm arch;
	struct rf_machine *machine;
	u32 id;
	struct vm_area *vmas;		/* ordered by address, no overlap */
	u32 nr_vmas, max_vmas;
	u32 last_vma;			/* where the last lookup ended */
	bool tlb_flush_nested;		/* of the operation in progress: RF_OP_NESTED */
	struct directory *root;
	u64 cached_pmd_index;		/* addr >> pmd_shift of cached_pmd */
	pmd_t *cached_pmd;
	struct huge_page *huge_pages;	/* of hugetlb, in order of address (hugetlb.c) */
	u32 nr_huge_pages, max_huge_pages;
	struct mm *next_free;
};

struct rf_machine {
	struct rf_policy policy;
	struct arch_knobs arch_knobs;	/* the backend's: the policy's, less what readers.h does itself */
	struct rf_stats stats;
	enum rf_row row;		/* where work is counted now */
	struct mm **mms;		/* by the tracker's number */
	u32 max_mms;
	struct mm *free_mms;
	struct table_pool *tables;
	struct arch_batches *load_batches;	/* of RF_OP_LOAD: nobody asks for them */
	u32 next_anon_vma;
	bool flush_required;		/* of the reclaim batch: tlb_ubc->flush_required */
	bool flush_writable;		/* tlb_ubc->writable: a dirty entry is among them */
	s64 last_live;			/* live_blocks since last_change */
	u64 last_change;
	unsigned __int128 live_time;	/* block-nanoseconds */
	struct accounts *accounts;	/* what each address space counted; NULL: nobody wants to know */
	u64 norecency_sites;		/* bits: these read one entry of a folded block */
	u64 *exclusive_bits;		/* scratch of one table, for runs of mixed PageAnonExclusive */
	struct rescale *rescale;	/* of recordings with smaller pages; NULL: ours */
	int error;
};

/* More pages than any folio has: no operation on one run is longer. */
#define MAX_RUN (1u << 16)

/* ---- account.c ----------------------------------------------------------------- */

void accounts_destroy(struct accounts *accounts);
/* An operation on mm begins, and will be counted in row. -ENOMEM or 0. */
int account_op(struct rf_machine *machine, u32 mm, enum rf_row row);
/* The operation goes on in this row. */
void account_row(struct rf_machine *machine, enum rf_row row);

static inline u64 page_size(const struct mm *mm)
{
	return 1ull << mm->arch.geometry->page_shift;
}

static inline unsigned int pmd_shift(const struct mm *mm)
{
	return mm->arch.geometry->page_shift + mm->arch.geometry->table_shift;
}

static inline u64 pmd_size(const struct mm *mm)
{
	return 1ull << pmd_shift(mm);
}

static inline u32 ptrs_per_pte(const struct mm *mm)
{
	return 1u << mm->arch.geometry->table_shift;
}

static inline u32 pte_index(const struct mm *mm, u64 addr)
{
	return (addr >> mm->arch.geometry->page_shift) & (ptrs_per_pte(mm) - 1);
}

/* First address after addr that another PTE table maps, or end. */
static inline u64 pmd_addr_end(const struct mm *mm, u64 addr, u64 end)
{
	u64 next = ALIGN_DOWN(addr, pmd_size(mm)) + pmd_size(mm);

	return next - 1 < end - 1 ? next : end;
}

static inline const struct rf_mm_knobs *mm_knobs(const struct mm *mm)
{
	return &mm->machine->policy.mm;
}

static inline void count_anomaly(struct rf_machine *machine, enum rf_anomaly anomaly)
{
	machine->stats.anomalies[anomaly]++;
}

/* machine.c: count into another row from here on; returns the old one. */
enum rf_row machine_set_row(struct rf_machine *machine, struct mm *mm, enum rf_row row);
struct mm *machine_mm(struct rf_machine *machine, u32 id);
struct mm *machine_new_mm(struct rf_machine *machine, u32 id);
/* Its page tables go without a trace in the counters: exit_mmap() comes first. */
void machine_free_mm(struct rf_machine *machine, struct mm *mm);

/* ---- pgtable.c ------------------------------------------------------------- */

struct table_pool *table_pool_create(unsigned int table_shift);
void table_pool_destroy(struct table_pool *pool);
void *table_alloc(struct table_pool *pool);
/* The table must be all zero again. */
void table_free(struct table_pool *pool, void *table);

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

/* The entry of addr in the table of *pmd, which must be one. */
static inline pte_t *pte_offset(struct mm *mm, pmd_t *pmd, u64 addr)
{
	return pmd_ptes(*pmd) + pte_index(mm, addr);
}

/* pte_alloc(): the entry of addr, its table made if there is none; NULL on lack of memory. *pmd must not be a leaf. */
pte_t *pte_alloc(struct mm *mm, pmd_t *pmd, u64 addr);

/*
 * The next populated PMD slot at or after *addr, before end; moves *addr there. Directories that do not exist are
 * stepped over whole, as the *_none_or_clear_bad() tests do. NULL: no more.
 */
pmd_t *pmd_next(struct mm *mm, u64 *addr, u64 end);

struct mmu_gather;

/* free_pgd_range(): floor 0 and ceiling 0 are the bottom and the top of the address space. */
void free_pgd_range(struct mmu_gather *tlb, u64 addr, u64 end, u64 floor, u64 ceiling);
/* free_pte(): the table that maps [addr, addr + pmd_size) goes. */
void free_pte_table(struct mmu_gather *tlb, pmd_t *pmd, u64 addr);
/* All directories go, without any cost: the end of an mm. */
void pgtable_destroy(struct mm *mm);
/* Move the whole table of *from to *to, which is none. */
void pmd_move(pmd_t *to, pmd_t *from);

/* ---- vma.c ------------------------------------------------------------------ */

/* The VMA that contains addr, or NULL. Pointers are good until the next insertion or removal. */
struct vm_area *vma_lookup(struct mm *mm, u64 addr);
/* Index of the first VMA that ends after addr; nr_vmas if there is none. */
u32 vma_find(struct mm *mm, u64 addr);
/* Insert, merge with the neighbours as vma_merge() would; index of the result, or negative errno. */
int vma_insert(struct mm *mm, const struct vm_area *vma);
/* Split so that addr is a boundary. 0, or -ENOMEM. */
int vma_split(struct mm *mm, u64 addr);
/* Merge the VMA at index with its neighbours where the kernel would; its index afterwards. */
u32 vma_merge(struct mm *mm, u32 index);
/* The same for all VMAs of [start, end) and their neighbours, after their flags changed. */
void vma_merge_range(struct mm *mm, u64 start, u64 end);
void vma_remove(struct mm *mm, u32 first, u32 nr);
/* anon_vma_prepare() */
void vma_anon_prepare(struct mm *mm, struct vm_area *vma);
/* The VMA of a fault; makes one, and counts an anomaly, where the operations never mapped any. */
struct vm_area *vma_of_fault(struct mm *mm, u64 addr, bool file);
int vmas_duplicate(struct mm *child, struct mm *parent);

static inline bool is_cow_mapping(const struct vm_area *vma)
{
	return !(vma->flags & RF_VM_SHARED);	/* VM_MAYWRITE: all private mappings here */
}

/* ---- entries: the kernel's pte_* constructors on the simulated layout --------- */

static inline bool pte_special(pte_t pte)
{
	return pte.val & PTE_SPECIAL;
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

/* ---- batches (folio.c) -------------------------------------------------------- */

/* folio_pte_batch()'s flags, by what makes a run end. */
#define FPB_RESPECT_DIRTY BIT(0)
#define FPB_RESPECT_WRITE BIT(1)
/* The caller does not use what was seen of A and D. */
#define FPB_NORECENCY BIT(2)

/* What folio_pte_batch() saw in the run beyond its first entry. */
struct pte_batch {
	bool any_writable, any_young, any_dirty;
};

/* Entries from ptep that map consecutive pages of one folio alike; pte is the value read from ptep. At least 1. */
u32 folio_pte_batch(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr, unsigned int flags,
		    struct pte_batch *seen);
u32 swap_pte_batch(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte, u32 max_nr);
/* Entries from ptep that are none, at most max_nr; read with ptep_get, as the walks over a table do. */
u32 skip_none_ptes(struct mm *mm, const pte_t *ptep, u32 max_nr, enum rf_site site);
/* set_pte_at() */
void set_pte_at(struct mm *mm, u64 addr, pte_t *ptep, pte_t pte);

/*
 * PageAnonExclusive belongs to pages but lives in entries here, so writing a run from its first entry must not spread
 * it. Saved before, restored after.
 */
struct exclusive_run {
	bool mixed;
};

struct exclusive_run exclusive_save(struct mm *mm, const pte_t *ptep, u32 nr);
void exclusive_restore(struct mm *mm, pte_t *ptep, u32 nr, struct exclusive_run run);

/* ---- mmu_gather.c --------------------------------------------------------------- */

struct mmu_gather {
	struct mm *mm;
	u64 start, end;
	bool fullmm, freed_tables, delayed_rmap;
	bool cleared_ptes, cleared_pmds, cleared_puds, cleared_p4ds;
	u32 active;			/* the batch being filled; 0: the bundle on the stack */
	u32 nr;				/* slots used in it */
	u32 batch_count;		/* pages allocated */
	u32 nr_tables;			/* in the table batch */
};

void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm);
void tlb_gather_mmu_fullmm(struct mmu_gather *tlb, struct mm *mm);
void tlb_finish_mmu(struct mmu_gather *tlb);
void tlb_flush_mmu_tlbonly(struct mmu_gather *tlb);
void tlb_flush_mmu(struct mmu_gather *tlb);
void tlb_end_vma(struct mmu_gather *tlb, const struct vm_area *vma);
void tlb_flush_pte_range(struct mmu_gather *tlb, u64 addr, u64 size);
void tlb_flush_pmd_range(struct mmu_gather *tlb, u64 addr, u64 size);
void tlb_flush_pud_range(struct mmu_gather *tlb, u64 addr, u64 size);
/* A table at this level goes: 1 holds entries, 2 PMDs... */
void tlb_remove_table(struct mmu_gather *tlb, u64 addr, unsigned int level);
/* Queue a run of one folio; true: full, flush. */
bool tlb_remove_folio_pages(struct mmu_gather *tlb, u32 nr);
/* v3: how many pages fit for certain. */
u32 tlb_get_guaranteed_space(struct mmu_gather *tlb);
/* v4 */
u32 tlb_reserve_space(struct mmu_gather *tlb, u32 nr);

/* ---- TLB flushes of core mm (rmap.c) ---------------------------------------------- */

void flush_tlb_range(struct mm *mm, u64 start, u64 end);
void flush_pmd_tlb_range(struct mm *mm, u64 start, u64 end);

static inline void flush_tlb_batched_pending(struct mm *mm)
{
	if (mm->arch.tlbbatch_pending)
		mm->arch.ops->flush_tlb_batched_pending(&mm->arch);
}

/* ---- reverse map (rmap.c, migrate.c) --------------------------------------------------- */

pte_t *rmap_pte(struct mm *mm, u64 addr);
/* page_vma_mapped_walk() arrives at an entry; first: the one it takes the lock for. */
void rmap_walk_reads(struct mm *mm, u64 addr, pte_t *ptep, bool first);
/* Does a walk that has visited so many entries start anew at addr? */
bool rmap_walk_begins(struct mm *mm, u64 addr, u32 done);
u32 rmap_run_limit(struct mm *mm, u64 addr, u32 left);
bool defers_flush(const struct mm *mm, const struct rf_op *op);
pte_t unmap_clear_run(struct mm *mm, u64 addr, pte_t *ptep, u32 nr, bool defer);
void split_folio_ptes(struct mm *mm, const struct vm_area *vma, u64 addr, pte_t *ptep, unsigned int new_order);
/* The same for a folio mapped by a PMD: afterwards *pmd is a table. -ENOMEM sets the machine's error. */
int split_huge_folio(struct mm *mm, const struct vm_area *vma, pmd_t *pmd, u64 addr, unsigned int new_order);

/* ---- operations --------------------------------------------------------------------- */

void op_fault_anon(struct mm *mm, const struct rf_op *op);
void op_fault_zero(struct mm *mm, const struct rf_op *op);
void op_fault_file(struct mm *mm, const struct rf_op *op);
void op_fault_cow(struct mm *mm, const struct rf_op *op);
void op_fault_reuse(struct mm *mm, const struct rf_op *op);
void op_fault_swap(struct mm *mm, const struct rf_op *op);
void op_fault_none(struct mm *mm, const struct rf_op *op);

int op_map(struct mm *mm, const struct rf_op *op);
int op_vma_flags(struct mm *mm, const struct rf_op *op);
void op_vma_grow(struct mm *mm, const struct rf_op *op);
void op_vma_expand(struct mm *mm, const struct rf_op *op);
int op_munmap(struct mm *mm, const struct rf_op *op);
void op_zap(struct mm *mm, const struct rf_op *op);
int op_fork(struct mm *parent, struct mm *child);
void exit_mmap(struct mm *mm);

/* do_vmi_munmap() of [start, end). */
int do_munmap(struct mm *mm, u64 start, u64 end);
/* Which entries a zap spares. */
struct zap_details {
	bool keep_anon;			/* !even_cows: hole punching leaves COWed pages */
	bool reclaim_pt;		/* free tables that the zap empties */
};
void unmap_page_range(struct mmu_gather *tlb, const struct vm_area *vma, u64 addr, u64 end,
		      const struct zap_details *details);

int op_mprotect(struct mm *mm, const struct rf_op *op);
int op_mremap(struct mm *mm, const struct rf_op *op);
int op_exec_stack(struct mm *mm, const struct rf_op *op);
void op_madv_free(struct mm *mm, const struct rf_op *op);
void op_madv_cold(struct mm *mm, const struct rf_op *op);
void op_madv_pageout(struct mm *mm, const struct rf_op *op);

void op_unmap(struct mm *mm, const struct rf_op *op);
void op_mkclean(struct mm *mm, const struct rf_op *op);
void op_reclaim_flush(struct mm *mm, const struct rf_op *op);
void op_migrate_out(struct mm *mm, const struct rf_op *op);
void op_migrate_in(struct mm *mm, const struct rf_op *op);
void op_folio_split(struct mm *mm, const struct rf_op *op);
void op_collapse(struct mm *mm, const struct rf_op *op);

/* gup.c */
void op_gup_slow(struct mm *mm, const struct rf_op *op);
void op_gup_fast(struct mm *mm, const struct rf_op *op);
/* One step of slow GUP, before or after it faults addr in. */
void gup_looks(struct mm *mm, u64 addr, bool faulted_in);

/* load.c */
void op_load(struct mm *mm, const struct rf_op *op);

/* khugepaged.c: __split_huge_pmd() of the leaf at *pmd, which maps addr. -ENOMEM. */
int split_huge_pmd(struct mm *mm, const struct vm_area *vma, pmd_t *pmd, u64 addr);

#endif
