/* SPDX-License-Identifier: MIT */
/*
 * Operations: what core mm did to one address space. The tracker in replay/
 * makes them from records; every machine executes the same operations under
 * its own policy. An operation carries recorded facts only (which folio was
 * mapped where, what was unmapped, who forked); what a kernel would decide
 * (batches, folds, flushes, splits of a PMD) is decided by the machine.
 *
 * Addresses and lengths are bytes and page aligned unless said otherwise (GUP_*: any); pfns
 * count pages of the recorded page size.
 */
#ifndef REFOLD_ENGINE_OPS_H
#define REFOLD_ENGINE_OPS_H

#include "base/types.h"

/*
 * Symbol, text name, what it means and which fields of struct rf_op it uses (mm, addr and time always count).
 */
#define RF_OPS(X)                                                                                  \
	/* --- address spaces --- */                                                               \
	X(MM_NEW, "mm_new")         /* an empty address space */                                   \
	X(MM_EXIT, "mm_exit")       /* exit_mmap(): unmap everything; mm is dead afterwards */     \
	X(FORK, "fork")             /* dup_mmap(): mm2 is the child, which must not exist */       \
	X(EXEC_STACK, "exec_stack") /* setup_arg_pages(): the stack of [addr, end) moves to end at addr2 */ \
	/* --- VMAs, no page-table work of their own --- */                                        \
	X(MAP, "map")               /* new VMA [addr, end): vm_flags, pgoff, file; the range is empty */ \
	X(VMA_FLAGS, "vma_flags")   /* set (vm_flags) and clear (aux) flags in [addr, end) */      \
	X(VMA_GROW, "vma_grow")     /* expand_stack(): the VMA that starts at end now starts at addr */ \
	/* --- faults; RF_OP_POPULATE: by GUP, not by a hardware fault --- */                      \
	X(FAULT_ANON, "fault_anon") /* do_anonymous_page(): folio {pfn, order} mapped at ALIGN_DOWN(addr, its size) */ \
	X(FAULT_ZERO, "fault_zero") /* read fault: the zero page at addr; order 9: the huge one */ \
	X(FAULT_FILE, "fault_file") /* set_pte_range() of one run: nr pages at addr from pfn, folio of order; aux: the faulting address */ \
	X(FAULT_COW, "fault_cow")   /* wp_page_copy(), do_cow_fault(): new page pfn (order 0, or a folio) replaces what addr held */ \
	X(FAULT_REUSE, "fault_reuse") /* wp_page_reuse(): addr becomes writable */                 \
	X(FAULT_SWAP, "fault_swap") /* do_swap_page(): nr pages at addr from pfn, folio of order */ \
	X(FAULT_NONE, "fault_none") /* a fault that changed no entry: raced, spurious, retried */  \
	X(FAULT_HUGETLB, "fault_hugetlb") /* hugetlb_fault(): the huge page around addr; order: log2 of its size in bytes */ \
	/* --- get_user_pages(): what it faults in comes first, as FAULT_* with RF_OP_POPULATE --- */ \
	X(GUP_SLOW, "gup_slow")     /* __get_user_pages() of what pages [addr, end) touches; nr: so many base pages hold the array of one call, 0: all at once */ \
	X(GUP_FAST, "gup_fast")     /* gup_fast() of [addr, end); what it does not get, __get_user_pages() does */ \
	/* --- unmapping --- */                                                                    \
	X(MUNMAP, "munmap")         /* VMAs and entries of [addr, end) go; why: RF_WHY_MUNMAP... */ \
	X(ZAP, "zap")               /* entries of [addr, end) go, VMAs stay; why: RF_WHY_DONTNEED... */ \
	/* --- changing --- */                                                                     \
	X(MPROTECT, "mprotect")     /* [addr, end) gets vm_flags' READ/WRITE/EXEC */               \
	X(MREMAP, "mremap")         /* VMAs and entries of [addr, end) move to addr2; the moved area is nr pages long afterwards */ \
	X(VMA_EXPAND, "vma_expand") /* mremap in place: the VMA that ends at addr now ends at end */ \
	X(MADV_FREE, "madv_free")                                                                  \
	X(MADV_COLD, "madv_cold")                                                                  \
	X(MADV_PAGEOUT, "madv_pageout") /* the advice itself, table by table; what it reclaims follows as UNMAP_* */ \
	/* --- done to the mm by others (or by madvise, migrate_pages...), found through the reverse map --- */ \
	X(UNMAP_SWAP, "unmap_swap") /* try_to_unmap(): nr entries at addr become swap slots pfn...; order of the folio */ \
	X(UNMAP_FILE, "unmap_file") /* try_to_unmap() of clean file or lazyfree pages: nr entries at addr vanish */ \
	X(MIGRATE_OUT, "migrate_out") /* try_to_migrate(): nr entries at addr become migration entries of pfn... */ \
	X(MIGRATE_IN, "migrate_in") /* remove_migration_ptes(): nr entries at addr map pfn... again, folio of order */ \
	X(RECLAIM_FLUSH, "reclaim_flush") /* try_to_unmap_flush(): end of a batch of UNMAP_* or MIGRATE_OUT; RF_OP_WRITE: ..._dirty() */ \
	X(COLLAPSE, "collapse")     /* khugepaged or MADV_COLLAPSE: the 2M at addr become folio pfn */ \
	X(FOLIO_SPLIT, "folio_split") /* nr entries at addr belong to folios of this order now; a PMD is split */ \
	X(MKCLEAN, "mkclean")       /* page_mkclean_one(): nr file entries at addr written back */ \
	/* --- the recording --- */                                                                \
	X(WINDOW, "window")         /* a named phase begins or ends; aux: the tracker's number of it, nr: 1 begin 0 end */

enum rf_op_kind {
#define X(symbol, name) RF_OP_##symbol,
	RF_OPS(X)
#undef X
	RF_NR_OPS
};

extern const char *const rf_op_names[RF_NR_OPS];

/* Why a range is unmapped; selects the row of the report. */
enum rf_why {
	RF_WHY_NONE,
	RF_WHY_MUNMAP, RF_WHY_BRK, RF_WHY_MMAP_FIXED, RF_WHY_MREMAP, RF_WHY_SHMDT,	/* MUNMAP */
	RF_WHY_DONTNEED, RF_WHY_GUARD, RF_WHY_REMOVE, RF_WHY_TRUNCATE, RF_WHY_OTHER,	/* ZAP */
	RF_WHY_PROCESS_EXIT, RF_WHY_EXEC,						/* MM_EXIT */
};

/* rf_op.flags */
#define RF_OP_WRITE	0x0001	/* FAULT_*, GUP_*: a write access; MIGRATE_IN: the new entry is writable; RECLAIM_FLUSH: see there */
#define RF_OP_POPULATE	0x0002	/* FAULT_*: by GUP, MAP_POPULATE, mlock... */
#define RF_OP_SHMEM	0x0004	/* FAULT_FILE: shmem page */
#define RF_OP_FIRST	0x0008	/* FAULT_FILE: first run of this fault (a fault-around has several) */
#define RF_OP_FAULT_AROUND 0x0010 /* FAULT_FILE: by filemap_map_pages() */
#define RF_OP_EXCLUSIVE	0x0020	/* FAULT_SWAP, MIGRATE_IN: PageAnonExclusive */
#define RF_OP_INFERRED	0x0040	/* a fact of this operation was inferred, not recorded */
#define RF_OP_DEFERRED	0x0080	/* UNMAP_*, MIGRATE_OUT: flush may wait for RECLAIM_FLUSH */
#define RF_OP_CACHED	0x0100	/* FAULT_SWAP: the page was still in the swap cache */
#define RF_OP_EXEC	0x0200	/* FAULT_ANON: argument page of execve, before the mm runs */
#define RF_OP_ANON	0x0400	/* MIGRATE_IN, UNMAP_*: anonymous page */
#define RF_OP_NESTED	0x0800	/* another thread was inside an mmu_gather on this mm: mm_tlb_flush_nested() */
#define RF_OP_DONTUNMAP	0x2000	/* MREMAP: the old VMAs stay, empty, and so do their tables */
#define RF_OP_RELOCK	0x4000	/* FOLIO_SPLIT: madvise() has split a folio and takes the page-table lock again */
#define RF_OP_LOAD	0x1000	/* state found at attach: set it, count it apart (load.c). Anonymous pages come as
				 * FAULT_SWAP, whole PMDs of them as FAULT_ANON, swap entries as UNMAP_SWAP. UNMAP_FILE
				 * takes back an entry that was never there */

/* rf_op.vm_flags: the kernel's VM_* by name. */
#define RF_VM_READ	0x0001
#define RF_VM_WRITE	0x0002
#define RF_VM_EXEC	0x0004
#define RF_VM_SHARED	0x0008
#define RF_VM_GROWSDOWN	0x0010
#define RF_VM_DONTCOPY	0x0020
#define RF_VM_WIPEONFORK 0x0040
#define RF_VM_HUGEPAGE	0x0080
#define RF_VM_NOHUGEPAGE 0x0100
#define RF_VM_LOCKED	0x0200
#define RF_VM_UFFD	0x0400
#define RF_VM_HUGETLB	0x0800
#define RF_VM_PFNMAP	0x1000
#define RF_VM_SHMEM	0x2000	/* file is shmem or shared anonymous */
#define RF_VM_SPECIAL	0x4000	/* vdso, vvar: special mapping, never merged */

struct rf_op {
	u8 kind;		/* enum rf_op_kind */
	u8 why;			/* enum rf_why */
	u8 order;		/* of the folio */
	bool remote_cpus;	/* other CPUs run this mm, too: flushes of x86 and riscv interrupt them */
	u16 flags;		/* RF_OP_* */
	u16 vm_flags;		/* RF_VM_* */
	u32 mm;			/* the tracker's number of the address space, from 0, never reused */
	u32 nr;			/* pages */
	u64 time;		/* ns; for time-weighted counters only */
	u64 addr, end;
	u64 pfn;		/* first page of the run, or swap slot */
	union {
		u64 addr2;	/* MREMAP, EXEC_STACK: the new address */
		u64 mm2;	/* FORK: the child */
		u64 file;	/* MAP: identity of the file, 0: anonymous */
	};
	union {
		u64 aux;
		u64 pgoff;	/* MAP: page offset of addr in the file (anonymous: addr >> page shift) */
	};
};

#endif
