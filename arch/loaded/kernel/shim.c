// SPDX-License-Identifier: MIT
/*
 * The arm64 page-table code of a kernel tree as a backend of Refold: compiled by build.sh against contpte.c and
 * headers of that tree, none of which are in here. What comes out is built from that code, and under its license.
 */
#include <kenv.h>
#include <linux/pgtable.h>
#include <entries.h>
#include <accesses.h>
#include <flushes.h>
#include CONTPTE_C
#include <extracted.h>

/* ---- what the tree's code finds around it ---- */

struct mm_struct init_mm = { .id = 1 };
struct mm_struct efi_mm = { .id = 2 };
/* An even ASID: that of the kernel half is odd under KPTI. */
static struct mm_struct user_mm = { .id = 0, .context = { 2 }, .mm_users = { 2 } };
static struct task_struct task = { &user_mm, &user_mm };
struct task_struct *shim_current = &task;
bool arm64_use_ng_mappings = true;
unsigned long prot_ns_shared;

void __sync_icache_dcache(pte_t pteval) { }
bool pgattr_change_is_safe(SHIM_PGATTR_T a, SHIM_PGATTR_T b) { return true; }

static void shim_warn(const char *where, const char *what)
{
	st.mm->warn(st.mm, where, what);
}

static inline bool shim_cpu(unsigned int feature)
{
	return st.mm->cpu & feature;
}

static inline bool shim_flush_pending(void)
{
	return st.mm->flags & REFOLD_MM_FLUSH_PENDING;
}

/* ---- hooks: entries ---- */

#define MM (mm->flags & REFOLD_MM_USER ? &user_mm : &init_mm)
#define VMA struct vm_area_struct vma_ = { .vm_mm = MM }, *vma = &vma_
#define PTEP(p) ((pte_t *)(p))
#define PRESENT (REFOLD_PTE_VALID | REFOLD_PTE_PROTNONE)
#define DESCRIPTOR(e) __pte(descriptor_of(st.low, e))

static inline refold_pte value_read(pte_t pte, u64 facts)
{
	return entry_of(pte_val(pte)) | (facts & FACTS);
}

static refold_pte shim_ptep_get(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	pte_t pte;

	enter_entries(mm, ptep);
	pte = ptep_get(PTEP(ptep));
	count_lines();
	leave();
	return value_read(pte, *ptep);
}

static refold_pte shim_ptep_get_lockless(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	pte_t pte;

	enter_entries(mm, ptep);
	pte = ptep_get_lockless(PTEP(ptep));
	count_lines();
	leave();
	return value_read(pte, *ptep);
}

static uint32_t shim_pte_batch_hint(struct refold_mm *mm, uint64_t addr, refold_pte pte)
{
	enter(mm);
	/* It looks at the place in the table only. */
	return pte_batch_hint(PTEP((addr >> PAGE_SHIFT & (MAX_ENTRIES - 1)) * 8), DESCRIPTOR(pte));
}

static void shim_set_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte pte, uint32_t nr)
{
	enter_entries(mm, ptep);
	bring_facts(ptep, pte, nr);
	if (pte & PRESENT) {
		set_ptes(MM, addr, PTEP(ptep), DESCRIPTOR(pte & ~REFOLD_PTE_CONT), nr);
	} else {
		/* A kernel writes swap and migration entries one by one: what is next is not a page further. */
		for (; nr; nr--, ptep++, addr += PAGE_SIZE, pte += 1ull << REFOLD_PTE_PFN_SHIFT)
			set_ptes(MM, addr, PTEP(ptep), DESCRIPTOR(pte), 1);
	}
	leave_entries();
}

static void shim_pte_clear(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	enter_entries(mm, ptep);
	pte_clear(MM, addr, PTEP(ptep));
	leave_entries();
}

static refold_pte shim_ptep_get_and_clear(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	u64 facts = *ptep;
	pte_t pte;

	enter_entries(mm, ptep);
	pte = ptep_get_and_clear(MM, addr, PTEP(ptep));
	leave_entries();
	return value_read(pte, facts);
}

static void shim_clear_full_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr, bool full)
{
	enter_entries(mm, ptep);
	clear_full_ptes(MM, addr, PTEP(ptep), nr, full);
	leave_entries();
}

static refold_pte shim_get_and_clear_full_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr,
					       bool full)
{
	u64 facts = *ptep;
	pte_t pte;

	enter_entries(mm, ptep);
	pte = get_and_clear_full_ptes(MM, addr, PTEP(ptep), nr, full);
	leave_entries();
	return value_read(pte, facts);
}

static void shim_wrprotect_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr)
{
	enter_entries(mm, ptep);
	wrprotect_ptes(MM, addr, PTEP(ptep), nr);
	leave_entries();
}

static bool shim_ptep_set_access_flags(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte entry,
				       bool dirty)
{
	bool changed;
	VMA;

	enter_entries(mm, ptep);
	changed = ptep_set_access_flags(vma, addr, PTEP(ptep), DESCRIPTOR(entry & ~REFOLD_PTE_CONT), dirty);
	leave_entries();
	return changed;
}

/* Until 7.0 core mm asks for one entry after the other. */
#ifdef SHIM_YOUNG_PTES
#define young_ptes(batch, single) (batch)
#else
#define young_ptes(batch, single) ({                                                               \
	bool young_ = false;                                                                       \
	for (; nr; nr--, ptep++, addr += PAGE_SIZE) {                                              \
		young_ |= (single);                                                                \
		count_lines();                                                                     \
	}                                                                                          \
	young_; })
#endif

static bool shim_test_and_clear_young_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr)
{
	bool young;
	VMA;

	enter_entries(mm, ptep);
	young = young_ptes(test_and_clear_young_ptes(vma, addr, PTEP(ptep), nr),
			   ptep_test_and_clear_young(vma, addr, PTEP(ptep)));
	leave_entries();
	return young;
}

static bool shim_clear_flush_young_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr)
{
	bool young;
	VMA;

	enter_entries(mm, ptep);
	young = young_ptes(clear_flush_young_ptes(vma, addr, PTEP(ptep), nr),
			   ptep_clear_flush_young(vma, addr, PTEP(ptep)));
	leave_entries();
	return young;
}

static void shim_clear_young_dirty_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr,
					bool young, bool dirty)
{
	VMA;

	enter_entries(mm, ptep);
#ifdef clear_young_dirty_ptes
	clear_young_dirty_ptes(vma, addr, PTEP(ptep), nr,
			       (young ? CYDP_CLEAR_YOUNG : 0) | (dirty ? CYDP_CLEAR_DIRTY : 0));
#else
	/* Before 6.10 nobody asks: core mm gets and clears, and sets. */
	(void)vma;
	shim_warn("core mm", "clear_young_dirty_ptes() is not in this tree");
#endif
	leave_entries();
}

#ifdef SHIM_MODIFY_PROT_PTES
#define modify_prot_start(vma, addr, ptep, nr) modify_prot_start_ptes(vma, addr, ptep, nr)
#define modify_prot_commit(vma, addr, ptep, old, pte, nr) modify_prot_commit_ptes(vma, addr, ptep, old, pte, nr)
#else
#define modify_prot_start(vma, addr, ptep, nr) ptep_modify_prot_start(vma, addr, ptep)
#define modify_prot_commit(vma, addr, ptep, old, pte, nr) ptep_modify_prot_commit(vma, addr, ptep, old, pte)
#endif

static refold_pte shim_modify_prot_start_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, uint32_t nr)
{
	u64 facts = *ptep;
	pte_t pte;
	VMA;

	enter_entries(mm, ptep);
	pte = modify_prot_start(vma, addr, PTEP(ptep), nr);
	leave_entries();
	return value_read(pte, facts);
}

static void shim_modify_prot_commit_ptes(struct refold_mm *mm, uint64_t addr, refold_pte *ptep, refold_pte old,
					 refold_pte pte, uint32_t nr)
{
	VMA;

	enter_entries(mm, ptep);
	bring_facts(ptep, pte, nr);
	modify_prot_commit(vma, addr, PTEP(ptep), DESCRIPTOR(old), DESCRIPTOR(pte), nr);
	leave_entries();
}

static refold_pte shim_ptep_clear_flush(struct refold_mm *mm, uint64_t addr, refold_pte *ptep)
{
	u64 facts = *ptep;
	pte_t pte;
	VMA;

	enter_entries(mm, ptep);
	pte = ptep_clear_flush(vma, addr, PTEP(ptep));
	leave_entries();
	return value_read(pte, facts);
}

/* ---- hooks: flushes ---- */

static bool shim_pte_needs_flush(struct refold_mm *mm, refold_pte old, refold_pte new)
{
	enter(mm);
#ifdef pte_needs_flush
	return pte_needs_flush(DESCRIPTOR(old), DESCRIPTOR(new));
#else
	return true;
#endif
}

/* The entry is none of Refold's, so that only the flush counts. */
static void shim_flush_pmd_access(struct refold_mm *mm, uint64_t addr)
{
	pmd_t pmd = __pmd(pgprot_val(PAGE_READONLY) & ~PTE_AF), entry = __pmd(pgprot_val(PAGE_SHARED) | PTE_AF);
	VMA;

	enter(mm);
	pmdp_set_access_flags(vma, addr & PMD_MASK, &pmd, entry, 1);
	leave();
}

static inline int level_of(const struct refold_flush *flush)
{
	return flush->level ? (int)flush->level : TLBI_TTL_UNKNOWN;
}

static void shim_flush_tlb_range(struct refold_mm *mm, const struct refold_flush *f)
{
	VMA;

	enter(mm);
	asked(f);
	st.stride = f->stride;
#ifdef TLBF_NONE
	__flush_tlb_range(vma, f->start, f->end, f->stride, level_of(f),
			  (f->last_level ? TLBF_NOWALKCACHE : 0) | (f->mode == REFOLD_FLUSH_NOSYNC ? TLBF_NOSYNC : 0) |
			  (f->mode == REFOLD_FLUSH_LOCAL ? TLBF_NOBROADCAST : 0));
#else
	if (f->mode == REFOLD_FLUSH_NOSYNC)
		__flush_tlb_range_nosync(SHIM_NOSYNC_ARG, f->start, f->end, f->stride, f->last_level, level_of(f));
	else
		__flush_tlb_range(vma, f->start, f->end, f->stride, f->last_level, level_of(f));
#endif
	leave();
}

static void shim_flush_tlb_page(struct refold_mm *mm, uint64_t addr, uint32_t mode)
{
	VMA;

	enter(mm);
	asked_page(addr, mode);
#ifdef TLBF_NONE
	__flush_tlb_page(vma, addr, (mode == REFOLD_FLUSH_NOSYNC ? TLBF_NOSYNC : 0) |
			 (mode == REFOLD_FLUSH_LOCAL ? TLBF_NOBROADCAST : 0));
#else
	if (mode == REFOLD_FLUSH_NOSYNC)
		flush_tlb_page_nosync(vma, addr);
	else
		flush_tlb_page(vma, addr);
#endif
	leave();
}

static void shim_flush_tlb_mm(struct refold_mm *mm)
{
	enter(mm);
	asked(NULL);
	flush_tlb_mm(MM);
	leave();
}

static void shim_tlb_flush(struct refold_mm *mm, const struct refold_flush *f, bool fullmm, bool freed_tables)
{
	struct mmu_gather tlb = {
		.mm = MM, .start = f->start, .end = f->end, .stride = f->stride,
		.fullmm = fullmm, .freed_tables = freed_tables,
		.cleared_ptes = f->level != 2, .cleared_pmds = f->level != 3,
	};
	struct refold_flush precise = *f;

	enter(mm);
	if (!fullmm) {
		precise.last_level = !freed_tables;
		asked(&precise);
	}
	st.stride = f->stride;
	tlb_flush(&tlb);
	leave();
}

static void shim_tlbbatch_add_pending(struct refold_mm *mm, uint64_t addr, uint32_t nr)
{
	enter(mm);
#ifdef SHIM_TLBBATCH_RANGE
	arch_tlbbatch_add_pending(NULL, MM, addr, addr + nr * PAGE_SIZE);
#else
	for (; nr; nr--, addr += PAGE_SIZE)
		arch_tlbbatch_add_pending(NULL, MM, addr);
#endif
	leave();
}

static void shim_tlbbatch_flush(struct refold_mm *mm)
{
	enter(mm);
	arch_tlbbatch_flush(NULL);
	leave();
}

static void shim_flush_tlb_batched_pending(struct refold_mm *mm)
{
	enter(mm);
#ifdef SHIM_BATCHED_PENDING
	arch_flush_tlb_batched_pending(MM);
#else
	flush_tlb_mm(MM);
#endif
	leave();
}

static void shim_flush_tlb_fix_spurious_fault(struct refold_mm *mm, uint64_t addr)
{
	VMA;

	enter(mm);
	(void)vma;
	flush_tlb_fix_spurious_fault(vma, addr, NULL);
	leave();
}

static const struct refold_backend backend = {
	.abi = REFOLD_BACKEND_ABI,
	.size = sizeof(struct refold_backend),
	.arch = "arm64",
	.base = SHIM_BASE,
	.release = SHIM_RELEASE,
	.page_shift = PAGE_SHIFT,
	.cont_ptes = CONT_PTES,
	.flags = SHIM_FLAGS,
	.tree = SHIM_TREE,
	.revision = SHIM_REVISION,
	.files = SHIM_FILES,
	.compiler = SHIM_COMPILER,
	.compiler_flags = SHIM_COMPILER_FLAGS,
#define HOOK(name) .name = shim_##name
	HOOK(ptep_get), HOOK(ptep_get_lockless), HOOK(pte_batch_hint), HOOK(set_ptes), HOOK(pte_clear),
	HOOK(ptep_get_and_clear), HOOK(clear_full_ptes), HOOK(get_and_clear_full_ptes), HOOK(wrprotect_ptes),
	HOOK(ptep_set_access_flags), HOOK(test_and_clear_young_ptes), HOOK(clear_flush_young_ptes),
	HOOK(clear_young_dirty_ptes), HOOK(modify_prot_start_ptes), HOOK(modify_prot_commit_ptes),
	HOOK(ptep_clear_flush), HOOK(pte_needs_flush), HOOK(flush_pmd_access), HOOK(flush_tlb_range),
	HOOK(flush_tlb_page), HOOK(flush_tlb_mm), HOOK(tlb_flush), HOOK(tlbbatch_add_pending), HOOK(tlbbatch_flush),
	HOOK(flush_tlb_batched_pending), HOOK(flush_tlb_fix_spurious_fault),
};

__attribute__((visibility("default"))) const struct refold_backend *refold_backend(void)
{
	return &backend;
}
