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
#include "base/vm_flags.h"

/* Which fields of struct rf_op say something, beside mm, time, flags and why; others are ignored. */
enum rf_shape {
	RF_SHAPE_NEW,		/* none: mm is made */
	RF_SHAPE_CHILD,		/* mm2, which is made, of mm */
	RF_SHAPE_MM,		/* none */
	RF_SHAPE_RANGE,		/* [addr, end) */
	RF_SHAPE_MOVE,		/* [addr, end), which goes to addr2, and nr: how long it is there */
	RF_SHAPE_MOVE_END,	/* [addr, end), which is to end at addr2 */
	RF_SHAPE_BYTES,		/* [addr, end), not aligned */
	RF_SHAPE_FAULT,		/* addr, touched or where a run of nr pages begins; pfn, and order of the folio */
	RF_SHAPE_FAULT_HUGE,	/* addr, in a huge page; pfn; order: log2 of its size in bytes */
	RF_SHAPE_RUN,		/* nr pages at addr, pfn, order of the folio */
	RF_SHAPE_MARK,		/* aux and nr; of no address space */
};

/*
 * One row for each operation, from which all that depends on it is made (docs/adding-an-operation.md):
 *  symbol, name: RF_OP_symbol; the name in texts, and op_name() is the function that does it (engine/operations.h);
 *  shape: RF_SHAPE_shape;
 *  pages: rescale_pages(), which says it of pages larger than the recording's (engine/rescale.h);
 *  row: where the report counts it (engine/stats.h), unless why says.
 */
#define RF_OPS(X)                                                                                  \
	/* --- address spaces --- */                                                               \
	/* an empty address space */                                                               \
	X(MM_NEW, mm_new, NEW, forget, vma)                                                        \
	/* exit_mmap(): unmap everything; mm is dead afterwards. why: RF_WHY_PROCESS_EXIT... */    \
	X(MM_EXIT, mm_exit, MM, forget, zap_other)                                                 \
	/* dup_mmap(): mm2 is the child, which must not exist */                                   \
	X(FORK, fork, CHILD, fork, fork)                                                           \
	/* setup_arg_pages(): the stack of [addr, end) moves to end at addr2 */                    \
	X(EXEC_STACK, exec_stack, MOVE_END, exec_stack, exec)                                      \
	/* --- VMAs, no page-table work of their own --- */                                        \
	/* new VMA [addr, end): vm_flags, attributes, pgoff, file; the range is empty. RF_OP_INFERRED: it is made */ \
	/* up, and takes the place of what was made up there before, but for its pages */          \
	X(MAP, map, RANGE, map, vma)                                                               \
	/* set (vm_flags, attributes) and clear (aux, attributes_clear) flags and attributes in [addr, end) */ \
	X(VMA_FLAGS, vma_flags, RANGE, range, vma)                                                 \
	/* expand_stack(): the VMA that starts at end now starts at addr */                        \
	X(VMA_GROW, vma_grow, RANGE, grow, vma)                                                    \
	/* --- faults; RF_OP_POPULATE: by GUP, not by a hardware fault --- */                      \
	/* do_anonymous_page(): folio {pfn, order} mapped at ALIGN_DOWN(addr, its size) */         \
	X(FAULT_ANON, fault_anon, FAULT, fault_folio, fault_anon)                                  \
	/* read fault: the zero page at addr; order 9: the huge one */                             \
	X(FAULT_ZERO, fault_zero, FAULT, fault_zero, fault_zero)                                   \
	/* set_pte_range() of one run: nr pages at addr from pfn, folio of order; aux: the faulting address */ \
	X(FAULT_FILE, fault_file, FAULT, fault_file, fault_file)                                   \
	/* wp_page_copy(), do_cow_fault(): new page pfn (order 0, or a folio) replaces what addr held */ \
	X(FAULT_COW, fault_cow, FAULT, fault_folio, cow)                                           \
	/* wp_page_reuse(): addr becomes writable */                                               \
	X(FAULT_REUSE, fault_reuse, FAULT, fault_reuse, reuse)                                     \
	/* do_swap_page(): nr pages at addr from pfn, folio of order */                            \
	X(FAULT_SWAP, fault_swap, FAULT, fault_swap, fault_swap)                                   \
	/* a fault that changed no entry: raced, spurious, retried */                              \
	X(FAULT_NONE, fault_none, FAULT, as_is, fault_none)                                        \
	/* hugetlb_fault(): the huge page around addr; order: log2 of its size in bytes */         \
	X(FAULT_HUGETLB, fault_hugetlb, FAULT_HUGE, as_is, fault_hugetlb)                          \
	/* --- get_user_pages(): what it faults in comes first, as FAULT_* with RF_OP_POPULATE --- */ \
	/* __get_user_pages() of what pages [addr, end) touches; nr: so many base pages hold the array of one call, */ \
	/* 0: all at once */                                                                       \
	X(GUP_SLOW, gup_slow, BYTES, as_is, gup_slow)                                              \
	/* gup_fast() of [addr, end); what it does not get, __get_user_pages() does */             \
	X(GUP_FAST, gup_fast, BYTES, as_is, gup_fast)                                              \
	/* --- unmapping --- */                                                                    \
	/* VMAs and entries of [addr, end) go; why: RF_WHY_MUNMAP... */                            \
	X(MUNMAP, munmap, RANGE, munmap, zap_other)                                                \
	/* entries of [addr, end) go, VMAs stay; why: RF_WHY_DONTNEED... */                        \
	X(ZAP, zap, RANGE, range, zap_other)                                                       \
	/* --- changing --- */                                                                     \
	/* [addr, end) gets vm_flags' READ/WRITE/EXEC; attributes set and cleared as above */      \
	X(MPROTECT, mprotect, RANGE, mprotect, mprotect)                                           \
	/* VMAs and entries of [addr, end) move to addr2; the moved area is nr pages long afterwards */ \
	X(MREMAP, mremap, MOVE, mremap, mremap)                                                    \
	/* mremap in place: the VMA that ends at addr now ends at end */                           \
	X(VMA_EXPAND, vma_expand, RANGE, expand, vma)                                              \
	/* of the range, [addr2, aux) was advised just before, and not used since */               \
	X(MADV_FREE, madv_free, RANGE, range, madv_free)                                           \
	/* likewise */                                                                             \
	X(MADV_COLD, madv_cold, RANGE, range, madv_cold)                                           \
	/* the advice itself, table by table, until aux; what it reclaims follows as UNMAP_* */     \
	X(MADV_PAGEOUT, madv_pageout, RANGE, range, madv_pageout)                                  \
	/* move_pages() of a userfaultfd: what is mapped in [addr, end), nr pages, goes to addr2, where nothing is */ \
	X(UFFD_MOVE, uffd_move, MOVE, uffd_move, uffd_move)                                        \
	/* mwriteprotect_range(): [addr, end) is write-protected; RF_OP_WRITE: no more */          \
	X(UFFD_WP, uffd_wp, RANGE, range, uffd_wp)                                                 \
	/* --- done to the mm by others (or by madvise, migrate_pages...), found through the reverse map --- */ \
	/* try_to_unmap(): nr entries at addr become swap slots pfn...; order of the folio */      \
	X(UNMAP_SWAP, unmap_swap, RUN, run, unmap_swap)                                            \
	/* try_to_unmap() of clean file or lazyfree pages: nr entries at addr vanish; RF_OP_WRITE: none, dirty */ \
	X(UNMAP_FILE, unmap_file, RUN, run, unmap_file)                                            \
	/* try_to_migrate(): nr entries at addr become migration entries of pfn... */              \
	X(MIGRATE_OUT, migrate_out, RUN, run, migrate)                                             \
	/* remove_migration_ptes(): nr entries at addr map pfn... again, folio of order; RF_OP_ZERO: the zero page */ \
	X(MIGRATE_IN, migrate_in, RUN, run, migrate)                                               \
	/* try_to_unmap_flush(): end of a batch of UNMAP_* or MIGRATE_OUT; RF_OP_WRITE: ..._dirty() */ \
	X(RECLAIM_FLUSH, reclaim_flush, MM, as_is, reclaim_flush)                                  \
	/* khugepaged or MADV_COLLAPSE: the 2M at addr become folio pfn */                         \
	X(COLLAPSE, collapse, RUN, collapse, collapse)                                             \
	/* nr entries at addr belong to folios of this order now; a PMD is split, by its own order: the PMD alone */ \
	X(FOLIO_SPLIT, folio_split, RUN, run, folio_split)                                         \
	/* page_mkclean_one(): nr file entries at addr written back */                             \
	X(MKCLEAN, mkclean, RUN, run, mkclean)                                                     \
	/* --- the recording --- */                                                                \
	/* a named phase begins or ends; aux: the tracker's number of it, nr: 1 begin 0 end */     \
	X(WINDOW, window, MARK, as_is, vma)                                                        \
	/* a fault of the recorded kernel wanted a folio of order nr, and memory had none: alloc_anon_folio() */ \
	X(ALLOC_FAILED, alloc_failed, MARK, as_is, vma)

enum rf_op_kind {
#define X(symbol, name, shape, pages, row) RF_OP_##symbol,
	RF_OPS(X)
#undef X
	RF_NR_OPS
};

extern const char *const rf_op_names[RF_NR_OPS];
extern const u8 rf_op_shapes[RF_NR_OPS];	/* enum rf_shape */

/* Why a range is unmapped, and the row of the report that this makes of it. */
#define RF_WHYS(X)                                                                                 \
	/* MUNMAP */                                                                               \
	X(MUNMAP, zap_munmap) X(BRK, zap_brk) X(MMAP_FIXED, zap_mmap_fixed) X(MREMAP, zap_mremap)  \
	X(SHMDT, zap_shmdt)                                                                        \
	/* ZAP */                                                                                  \
	X(DONTNEED, zap_dontneed) X(GUARD, zap_guard) X(REMOVE, zap_remove) X(TRUNCATE, zap_truncate) \
	X(OTHER, zap_other)                                                                        \
	/* MM_EXIT */                                                                              \
	X(PROCESS_EXIT, zap_exit) X(EXEC, zap_exec)

enum rf_why {
	RF_WHY_NONE,		/* the operation's own row */
#define X(symbol, row) RF_WHY_##symbol,
	RF_WHYS(X)
#undef X
	RF_NR_WHYS
};

/* rf_op.flags */
#define RF_OP_WRITE	0x0001	/* FAULT_*, GUP_*: a write access; MIGRATE_IN: writable; others: above */
#define RF_OP_POPULATE	0x0002	/* FAULT_*: by GUP, MAP_POPULATE, mlock... */
#define RF_OP_SHMEM	0x0004	/* FAULT_FILE: shmem page */
#define RF_OP_FIRST	0x0008	/* FAULT_FILE: first run of this fault (a fault-around has several) */
#define RF_OP_FAULT_AROUND 0x0010 /* FAULT_FILE: by filemap_map_pages() */
#define RF_OP_EXCLUSIVE	0x0020	/* FAULT_SWAP, MIGRATE_IN: PageAnonExclusive; MAP: not merged with its neighbours */
#define RF_OP_INFERRED	0x0040	/* a fact of this operation was inferred, not recorded */
#define RF_OP_DEFERRED	0x0080	/* UNMAP_*, MIGRATE_OUT: flush may wait for RECLAIM_FLUSH */
#define RF_OP_CACHED	0x0100	/* FAULT_SWAP: the page was still in the swap cache */
#define RF_OP_EXEC	0x0200	/* FAULT_ANON, MPROTECT: of the stack of arguments, before the mm runs */
#define RF_OP_ANON	0x0400	/* MIGRATE_IN, UNMAP_*: anonymous page */
#define RF_OP_NESTED	0x0800	/* another thread was inside an mmu_gather on this mm: mm_tlb_flush_nested() */
#define RF_OP_DONTUNMAP	0x2000	/* MREMAP: the old VMAs stay, empty, and so do their tables */
#define RF_OP_RELOCK	0x4000	/* FOLIO_SPLIT: madvise() has split a folio and takes the page-table lock again */
#define RF_OP_ZERO	0x8000	/* MIGRATE_IN: of a split, and pages of zeroes: try_to_map_unused_to_zeropage() */
#define RF_OP_LOAD	0x1000	/* state found at attach: set it, count it apart (load.c). Anonymous pages come as
				 * FAULT_SWAP, whole PMDs of them as FAULT_ANON, swap entries as UNMAP_SWAP. UNMAP_FILE
				 * takes back an entry that was never there, MM_EXIT an address space that another takes
				 * the place of */

/* rf_op.vm_flags: RF_VM_* of base/vm_flags.h, and what a recording has no bit for. */
#define RF_VM_SHMEM	0x2000	/* file is shmem or shared anonymous */
#define RF_VM_SPECIAL	0x4000	/* vdso, vvar: special mapping, never merged */
_Static_assert(!((RF_VM_SHMEM | RF_VM_SPECIAL) & RF_VM_RECORDED), "one bit, one meaning");

struct rf_op {
	u8 kind;		/* enum rf_op_kind */
	u8 why;			/* enum rf_why */
	u8 order;		/* of the folio */
	bool remote_cpus : 1;	/* other CPUs run this mm, too: flushes of x86 and riscv interrupt them */
	bool other_cpus : 1;	/* others than this one are in mm_cpumask(): it has run there */
	u8 cpus : 6;		/* how many run this mm now, 63 at most */
	u16 flags;		/* RF_OP_* */
	u16 vm_flags;		/* RF_VM_* */
	u32 mm;			/* the tracker's number of the address space, from 0, never reused */
	u32 nr;			/* pages */
	u64 time;		/* ns; for time-weighted counters only */
	u64 addr, end;
	union {
		u64 pfn;	/* first page of the run, or swap slot */
		u64 attributes;	/* MAP, VMA_FLAGS, MPROTECT: RF_ATTRIBUTE_* */
	};
	union {
		u64 addr2;	/* MREMAP, EXEC_STACK: the new address; MADV_FREE, MADV_COLD: above */
		u64 mm2;	/* FORK: the child */
		u64 file;	/* MAP: identity of the file, 0: anonymous */
		u64 attributes_clear;	/* VMA_FLAGS, MPROTECT */
	};
	union {
		u64 aux;
		u64 pgoff;	/* MAP: page offset of addr in the file (anonymous: addr >> page shift) */
	};
};

#endif
