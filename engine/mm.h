/* SPDX-License-Identifier: MIT */
/*
 * An address space and the machine it is in: what the files of engine/ share,
 * as mm/internal.h does for mm/. What works on them has headers named as the
 * kernel's: vma.h, pgtable.h, folio.h, tlb.h, rmap.h, huge_mm.h. Nobody outside
 * engine/ and its unit tests includes any of these.
 */
#ifndef REFOLD_ENGINE_MM_H
#define REFOLD_ENGINE_MM_H

#include "base/ranges.h"
#include "engine/machine.h"

struct accounts;
struct allocation;
struct coalescing;
struct directory;
struct huge_page;
struct huge_pmd;
struct rescale;
struct table_pool;
struct vma_slab;

struct vm_area {
	u64 start, end;
	u64 pgoff;
	u64 file;			/* 0: anonymous */
	u64 attributes;			/* RF_ATTRIBUTE_* */
	u32 flags;			/* RF_VM_*, VM_ACCOUNT */
	u32 anon_vma;			/* 0: none yet */
	bool anon_chain_shared;		/* anon_vma_chain is not singular: inherited by fork */
	RANGE_LINKS(struct vm_area) links;
};

DEFINE_RANGES(vma_tree, struct vm_area)

/*
 * A slot of a PMD table: nothing, a table of entries, or a leaf. Leaves are
 * told by a bit that neither user pointers nor struct pte_t use.
 */
typedef struct { u64 val; } pmd_t;

#define PMD_LEAF	BIT_ULL(63)

/* What the operations of one MADV_PAGEOUT gathered in a VMA so far; nothing: no flag is set. */
struct pageout_gather {
	u64 start, end;
	bool ptes, pmds;
};

/* What mmu_gather remembers with gather_sets: more ranges are one from there on. */
#define MAX_GATHER_SETS 64

struct gather_set {
	u64 start, end;
};

/* Huge pages of hugetlb, in order of address (huge_pages.c). */
struct huge_pages {
	struct huge_page *pages;
	size_t max;
	u32 nr;
};

/* A PMD table of hugetlb that can be shared with others, and what it maps here begins. */
struct huge_pmd_slot {
	u64 addr;
	struct huge_pmd *pmd;
	u32 user;			/* the place of this address space among the table's users */
};

struct mm {
	struct arch_mm arch;
	struct rf_machine *machine;
	u32 id;
	struct vma_tree vmas;
	struct vm_area *last_vma;	/* where the last lookup ended; NULL: it is gone */
	bool tlb_flush_nested;		/* of the operation in progress: RF_OP_NESTED */
	struct directory *root;
	u64 cached_pmd_index;		/* addr >> pmd_shift of cached_pmd */
	pmd_t *cached_pmd;
	struct huge_pages huge_pages;	/* but for those in the tables of huge_pmds */
	struct huge_pmd_slot *huge_pmds; /* in order of address */
	size_t max_huge_pmds;
	u32 nr_huge_pmds;
	struct pageout_gather pageout;
	struct mm *next_free;
};

/* How far the scans of the knob khuge_cont have come. */
struct scan {
	u64 next;			/* when the next one is due; 0: not yet begun */
	u32 mm;
	u64 addr;
};

struct rf_machine {
	struct rf_policy policy;
	struct arch_knobs arch_knobs;	/* the backend's: the policy's, less what readers.h does itself */
	struct rf_stats stats;
	enum rf_row row;		/* where work is counted now; arch.counters of the operation's mm point there,
					 * or to stats.loaded: dispatch.c sets both, machine_set_row() in between */
	struct mm **mms;		/* by the tracker's number */
	size_t max_mms;
	struct mm *free_mms;
	struct table_pool *tables;
	struct vm_area *free_vmas;	/* next in links */
	struct vma_slab *vma_slabs;
	struct arch_batches *load_batches;	/* of RF_OP_LOAD: nobody asks for them */
	u32 next_anon_vma;
	bool flush_required;		/* of the reclaim batch: tlb_ubc->flush_required */
	bool flush_writable;		/* tlb_ubc->writable: a dirty entry is among them */
	struct gather_set gather_sets[MAX_GATHER_SETS];	/* of the mmu_gather that is open */
	s64 last_live;			/* live_blocks since last_change */
	u64 last_change;
	unsigned __int128 live_time;	/* block-nanoseconds */
	struct scan scan;
	struct accounts *accounts;	/* what the operations of each owner counted; NULL: nobody wants to know */
	u32 owner;			/* of the operation in progress */
	bool owned;			/* that is somebody else than its address space */
	u64 norecency_sites;		/* bits: these read one entry of a folded block */
	struct allocation *allocation;	/* of policies that allocate anonymous folios themselves; or NULL */
	struct coalescing *coalescing;	/* of policies that ask what hardware could coalesce; or NULL */
	struct huge_pmd **huge_pmds;	/* of hugetlb, that can be shared: buckets (huge_pages.c); NULL: never any */
	struct rescale *rescale;	/* of recordings with smaller pages; NULL: ours */
	bool steps_only;		/* nothing is repeated (repeat.h): tests hold what is against this */
	u64 folios_repeated;
	int error;
};

/* No geometry has larger tables. */
#define MAX_PTRS_PER_PTE (1u << 13)

/* More pages than any folio has: no operation on one run is longer. */
#define MAX_RUN (1u << 16)

/* update_mmu_cache_range(), update_mmu_cache_pmd() */
static inline void update_mmu_cache(struct mm *mm, u64 addr, u32 nr)
{
	if (mm->arch.ops->update_mmu_cache)
		mm->arch.ops->update_mmu_cache(&mm->arch, addr, nr);
}

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

/* Nothing more can be run: rf_machine_run() returns it. Only errors count. */
static inline void mm_error(struct mm *mm, int err)
{
	if (err < 0)
		mm->machine->error = err;
}

/* Count into another row from here on; returns the old one. */
enum rf_row machine_set_row(struct rf_machine *machine, struct mm *mm, enum rf_row row);
struct mm *machine_mm(struct rf_machine *machine, u32 id);
struct mm *machine_new_mm(struct rf_machine *machine, u32 id);
/* Its page tables go without a trace in the counters: MM_EXIT comes first. */
void machine_free_mm(struct rf_machine *machine, struct mm *mm);

/* do_vmi_munmap() of [start, end), in zap.c. */
int do_munmap(struct mm *mm, u64 start, u64 end);

#endif
