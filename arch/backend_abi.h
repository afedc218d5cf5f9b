/* SPDX-License-Identifier: MIT */
/*
 * The interface between Refold and page-table backends that it loads: docs/adding-a-backend.md. Plain C, no other
 * include of Refold. A backend is a shared object that exports one function, refold_backend(), which returns its table.
 *
 *     cc -shared -fPIC -o mine.so mine.c && refold replay T -p linux-7.3,mine.so
 *
 * A hook does to the entries what the architecture would, and counts what that costs into mm->counters. It may read
 * and write entries of the table that ptep lies in, no others: that table begins at a multiple of its size, which is
 * mm->table_entries * 8 bytes. Hooks of one backend are called from several threads at once, for different tables:
 * there is no state but constants and thread-local variables. A hook that is NULL is Refold's own, knobs and all.
 *
 * What hooks are told and what they return is as in the kernel functions of the same name.
 */
#ifndef REFOLD_BACKEND_ABI_H
#define REFOLD_BACKEND_ABI_H

#include <stdbool.h>
#include <stdint.h>

/* Changes when what is below changes, but for what is added at the ends of structs and lists, which size tells. */
#define REFOLD_BACKEND_ABI 1

/* ---- entries: the same 8 bytes for every backend ---- */

/* What the hardware or the kernel's entry would hold. */
#define REFOLD_PTE_VALID	(1ull << 0)
#define REFOLD_PTE_CONT		(1ull << 1)	/* contiguous: arm64 contpte, riscv NAPOT */
#define REFOLD_PTE_WRITE	(1ull << 2)
#define REFOLD_PTE_RDONLY	(1ull << 3)	/* WRITE and not RDONLY: dirty by hardware */
#define REFOLD_PTE_DIRTY	(1ull << 4)	/* by software (arm64), the D bit (x86) */
#define REFOLD_PTE_AF		(1ull << 5)	/* accessed: young */
#define REFOLD_PTE_SPECIAL	(1ull << 6)
#define REFOLD_PTE_UFFD		(1ull << 7)
#define REFOLD_PTE_PROTNONE	(1ull << 8)	/* present for the kernel, not valid for the hardware */
#define REFOLD_PTE_EXEC		(1ull << 9)
#define REFOLD_PTE_SWAP		(1ull << 10)	/* not present: swap, migration or marker entry */
#define REFOLD_PTE_MIGRATION	(1ull << 11)	/* with SWAP */
#define REFOLD_PTE_PFN_SHIFT	12
#define REFOLD_PTE_PFN_MASK	(0xffffffffffull << REFOLD_PTE_PFN_SHIFT)	/* or the swap slot */
#define REFOLD_PTE_HW_MASK	((1ull << 52) - 1)

/*
 * Facts about the page, for which a kernel has struct page and struct folio. They stay with the entry whatever becomes
 * of its other bits; set_ptes() gives all entries those of its argument. An entry that is cleared is 0.
 */
#define REFOLD_PTE_ORDER_SHIFT	52		/* of the folio, which is naturally aligned */
#define REFOLD_PTE_ORDER_MASK	(0xfull << REFOLD_PTE_ORDER_SHIFT)
#define REFOLD_PTE_ANON		(1ull << 56)
#define REFOLD_PTE_EXCLUSIVE	(1ull << 57)
#define REFOLD_PTE_SHMEM	(1ull << 58)

/* For the backend: carried along with the entry like the others, looked at by nobody. */
#define REFOLD_PTE_PRIVATE_SHIFT 59
#define REFOLD_PTE_PRIVATE_MASK	(0xfull << REFOLD_PTE_PRIVATE_SHIFT)

typedef uint64_t refold_pte;

/* ---- counters: places in mm->counters; refold-report(5) says what they mean ---- */

enum refold_count {
	REFOLD_pte_loads,
	REFOLD_pte_stores,
	REFOLD_pte_atomics,
	REFOLD_pte_lines,	/* 64-byte lines of page table touched, per call */
	REFOLD_fold,
	REFOLD_unfold,
	REFOLD_born,		/* blocks written contiguous */
	REFOLD_erased,		/* blocks that vanished whole */
	REFOLD_flush_calls,
	REFOLD_tlbi,		/* the sum of the next four, less tlbi_local */
	REFOLD_tlbi_va,
	REFOLD_tlbi_range,
	REFOLD_tlbi_asid,
	REFOLD_tlbi_repeat,
	REFOLD_tlbi_local,	/* of tlbi: this CPU only */
	REFOLD_tlbi_walk,	/* of tlbi_va and tlbi_range: cached walks, too */
	REFOLD_tlbi_pages,
	REFOLD_dsb,		/* the sum of the next three */
	REFOLD_dsb_ishst,
	REFOLD_dsb_ish,
	REFOLD_dsb_nsh,
	REFOLD_isb,
};

/* ---- what a hook is told ---- */

/* refold_mm.cpu */
#define REFOLD_CPU_TLBI_RANGE	(1u << 0)
#define REFOLD_CPU_KPTI		(1u << 1)
#define REFOLD_CPU_LPA2		(1u << 2)
#define REFOLD_CPU_BBML3	(1u << 3)
#define REFOLD_CPU_REPEAT_TLBI	(1u << 4)	/* has the erratum */

/* refold_mm.flags */
#define REFOLD_MM_USER		(1u << 0)	/* not init_mm, not the EFI mm */
#define REFOLD_MM_COPYING	(1u << 1)	/* fork copies entries from or to it */
#define REFOLD_MM_FLUSH_PENDING	(1u << 2)	/* mm_tlb_flush_pending() */
#define REFOLD_MM_REMOTE_CPUS	(1u << 3)	/* other CPUs run it */

enum refold_flush_mode {
	REFOLD_FLUSH_SYNC,
	REFOLD_FLUSH_NOSYNC,	/* somebody else waits */
	REFOLD_FLUSH_LOCAL,	/* this CPU only */
};

struct refold_flush {
	uint64_t start, end, stride;	/* bytes */
	uint32_t last_level;		/* no table was freed */
	uint32_t level;			/* 3: entries, 2: PMDs, 0: unknown */
	uint32_t mode;			/* enum refold_flush_mode */
};

struct refold_backend;

/* The address space of a call, as long as the call lasts. */
struct refold_mm {
	uint32_t size;			/* of this struct */
	uint32_t cpu, flags;		/* REFOLD_CPU_*, REFOLD_MM_* */
	uint32_t max_dvm_ops;		/* knob of that name; 0: as many as a table has entries */
	uint32_t page_shift, table_entries, cont_ptes;
	uint64_t *counters;		/* by enum refold_count */
	int64_t *live_blocks;		/* contiguous blocks there are: kept by the hooks that make and end them */
	/*
	 * What NULL hooks are: Refold's own, for hooks that do something before or after. What they flush goes through
	 * the backend's table.
	 */
	const struct refold_backend *own;
	/*
	 * To be told of each flush as it is asked for, before it is counted; flush is NULL if it is of the whole mm.
	 * The pointer is NULL if nobody wants to know. While it runs it may call hooks of this backend.
	 */
	void (*flush_seen)(struct refold_mm *mm, const struct refold_flush *flush);
	/* Something is not as the backend takes for granted: a WARN_ON() of a kernel. where: "file.c:12". */
	void (*warn)(struct refold_mm *mm, const char *where, const char *what);
	void *host;			/* Refold's */
};

/* ---- the table ---- */

/* refold_backend.flags */
#define REFOLD_BACKEND_REPEAT_OLD	(1u << 0)	/* knows the work-around of this kind only: each TLBI */
#define REFOLD_BACKEND_REPEAT_NEW	(1u << 1)	/* each wait */
#define REFOLD_BACKEND_NO_BBML3		(1u << 2)	/* does not look at REFOLD_CPU_BBML3 */

struct refold_backend {
	uint32_t abi;			/* REFOLD_BACKEND_ABI */
	uint32_t size;			/* of this struct as the backend knows it: hooks past it are NULL */
	const char *arch;		/* "arm64": whose hooks are inherited, and what it is to core mm */
	const char *base;		/* the named policy whose core mm and knobs go with it: "linux-7.3" */
	const char *release;		/* what it is, for people: "one TLBI per flush"; a kernel's "7.3.4" */
	uint32_t page_shift;		/* what it is for: 12, 14, 16; 0: any */
	uint32_t cont_ptes;		/* entries of a block; 0: as the architecture has it for the page size */
	uint32_t flags;			/* REFOLD_BACKEND_* */
	/* What it was made of, for reports, or NULL. */
	const char *tree;		/* a path */
	const char *revision;		/* git describe */
	const char *files;		/* hash of the files used */
	const char *compiler, *compiler_flags;

	refold_pte (*ptep_get)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep);
	refold_pte (*ptep_get_lockless)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep);
	/* Entries from this one to the end of its block. This and the two above are asked of contiguous blocks only. */
	uint32_t (*pte_batch_hint)(struct refold_mm *mm, uint64_t addr, refold_pte pte);

	/* nr entries of consecutive pfns; if several, there is nothing present yet. */
	void (*set_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte pte, uint32_t nr);
	void (*pte_clear)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep);
	refold_pte (*ptep_get_and_clear)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep);
	/* nr present entries of one folio; full: the whole address space goes. */
	void (*clear_full_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr, bool full);
	refold_pte (*get_and_clear_full_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr,
					      bool full);
	void (*wrprotect_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr);
	bool (*ptep_set_access_flags)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte entry,
				      bool dirty);
	bool (*test_and_clear_young_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr);
	bool (*clear_flush_young_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr);
	void (*clear_young_dirty_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr, bool young,
				       bool dirty);
	refold_pte (*modify_prot_start_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr);
	void (*modify_prot_commit_ptes)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte old,
					refold_pte pte, uint32_t nr);
	refold_pte (*ptep_clear_flush)(struct refold_mm *mm, uint64_t addr, refold_pte *ptep);

	bool (*pte_needs_flush)(struct refold_mm *mm, refold_pte old, refold_pte new_pte);
	/* The flush of pmdp_set_access_flags() for a write fault. */
	void (*flush_pmd_access)(struct refold_mm *mm, uint64_t addr);
	void (*flush_tlb_range)(struct refold_mm *mm, const struct refold_flush *flush);
	void (*flush_tlb_page)(struct refold_mm *mm, uint64_t addr, uint32_t mode);
	void (*flush_tlb_mm)(struct refold_mm *mm);
	void (*tlb_flush)(struct refold_mm *mm, const struct refold_flush *flush, bool fullmm, bool freed_tables);
	void (*tlbbatch_add_pending)(struct refold_mm *mm, uint64_t addr, uint32_t nr);
	void (*tlbbatch_flush)(struct refold_mm *mm);
	void (*flush_tlb_batched_pending)(struct refold_mm *mm);	/* only while something is pending */
	void (*flush_tlb_fix_spurious_fault)(struct refold_mm *mm, uint64_t addr);
};

/* The one symbol of a backend; what it returns stays as it is. */
const struct refold_backend *refold_backend(void);

#endif
