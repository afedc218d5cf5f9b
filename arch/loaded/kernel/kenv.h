/* SPDX-License-Identifier: MIT */
/*
 * What the kernel gives arch/arm64/mm/contpte.c, asm/pgtable.h and asm/tlbflush.h, for user space. Accesses to entries,
 * TLB instructions and barriers go through shim_*(), which count. Each <linux/...> and <asm/...> header that is not the
 * tree's is a line that includes this file: build.sh.
 */
#ifndef REFOLD_KENV_H
#define REFOLD_KENV_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <backend_abi.h>

/* ---- config (page size comes from the command line: SHIM_PAGE_SHIFT) ---- */
#define CONFIG_MMU 1
#define CONFIG_64BIT 1
#define CONFIG_ARM64 1
#define CONFIG_ARM64_CONTPTE 1
#define CONFIG_TRANSPARENT_HUGEPAGE 1
#define CONFIG_ARM64_LPA2 1		/* so that lpa2 is a run-time switch */
#define CONFIG_ARM64_PA_BITS 48
#define CONFIG_HAVE_ARCH_USERFAULTFD_WP 1
#define CONFIG_ARCH_HAS_PTE_PROTNONE 1	/* 7.3 */
#define CONFIG_NUMA_BALANCING 1		/* 6.12: same thing */
#define CONFIG_ARCH_HAS_PTE_DEVMAP 1	/* 6.12 */
#define CONFIG_ARM64_CONT_PMD_SHIFT 4
#if SHIM_PAGE_SHIFT == 12
#define CONFIG_ARM64_4K_PAGES 1
#define CONFIG_PGTABLE_LEVELS 4
#define CONFIG_ARM64_VA_BITS 48
#define CONFIG_ARM64_CONT_PTE_SHIFT 4
#elif SHIM_PAGE_SHIFT == 14
#define CONFIG_ARM64_16K_PAGES 1
#define CONFIG_PGTABLE_LEVELS 4
#define CONFIG_ARM64_VA_BITS 48
#define CONFIG_ARM64_CONT_PTE_SHIFT 7
#elif SHIM_PAGE_SHIFT == 16
#define CONFIG_ARM64_64K_PAGES 1
#define CONFIG_PGTABLE_LEVELS 3
#define CONFIG_ARM64_VA_BITS 48
#define CONFIG_ARM64_CONT_PTE_SHIFT 5
#else
#error "SHIM_PAGE_SHIFT must be 12, 14 or 16"
#endif
#define VA_BITS CONFIG_ARM64_VA_BITS
#define VA_BITS_MIN VA_BITS

/* ---- types and compiler words ---- */
typedef uint8_t u8;   typedef uint16_t u16; typedef uint32_t u32;
typedef uint64_t u64; typedef int64_t s64;  typedef int32_t s32;
typedef u64 phys_addr_t; typedef u64 dma_addr_t;
typedef unsigned int gfp_t;
typedef unsigned long pgoff_t;
typedef struct page *pgtable_t;
typedef struct { u64 val; } swp_entry_t;
typedef struct { u64 val; } pfn_t;
#define __bitwise
#define __force
#define __user
#define __iomem
#define __init
#define __ro_after_init
#define __read_mostly
#define __pure __attribute__((pure))
#define __always_unused __attribute__((unused))
#define __maybe_unused __attribute__((unused))
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define noinline __attribute__((noinline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" ::: "memory")
#define __must_check
#define fallthrough do {} while (0)
#define IS_ENABLED(x) 0
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)

#include <linux/const.h>		/* the host's own copy: _AC, _AT */
#define UL(x) _AC(x, UL)
#define ULL(x) _AC(x, ULL)
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK_ULL(h, l) (((~0ULL) << (l)) & (~0ULL >> (63 - (h))))
#define GENMASK(h, l) GENMASK_ULL(h, l)
#define FIELD_PREP(mask, val) (((u64)(val) << __builtin_ctzll(mask)) & (mask))
#define FIELD_GET(mask, reg) (((u64)(reg) & (mask)) >> __builtin_ctzll(mask))
#define FIELD_MODIFY(mask, regp, val) \
	(*(regp) = (*(regp) & ~(mask)) | FIELD_PREP(mask, val))
#define SZ_4K 0x1000UL
#define SZ_16K 0x4000UL
#define SZ_64K 0x10000UL
#define SZ_2M 0x200000UL
#define SZ_8M 0x800000UL
#define __ALIGN_MASK_(x, m) (((x) + (m)) & ~(m))
#define ALIGN(x, a) __ALIGN_MASK_(x, (typeof(x))(a) - 1)
#define ALIGN_DOWN(x, a) ((x) & ~((typeof(x))(a) - 1))
#define PTR_ALIGN_DOWN(p, a) ((typeof(p))ALIGN_DOWN((unsigned long)(p), (unsigned long)(a)))
#define IS_ALIGNED(x, a) (((x) & ((typeof(x))(a) - 1)) == 0)
#define round_down(x, y) ALIGN_DOWN(x, y)
#define round_up(x, y) ALIGN(x, y)
#define min(a, b) ({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define min_t(t, a, b) ({ t a_ = (a); t b_ = (b); a_ < b_ ? a_ : b_; })
#define ilog2(n) (63 - __builtin_clzll(n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- diagnostics ---- */
static void shim_warn(const char *where, const char *what);
#define SHIM_TEXT(x) #x
#define SHIM_LINE(line) SHIM_TEXT(line)
#define SHIM_WHERE __FILE__ ":" SHIM_LINE(__LINE__)
#define BUG() do { shim_warn(SHIM_WHERE, "BUG()"); abort(); } while (0)
#define BUG_ON(c) do { if (c) BUG(); } while (0)
#define BUILD_BUG() do {} while (0)
#define BUILD_BUG_ON(c) do {} while (0)
#define WARN_ON(c) ({ int w_ = !!(c); if (w_) shim_warn(SHIM_WHERE, #c); w_; })
#define WARN_ON_ONCE(c) WARN_ON(c)
#define WARN_ONCE(c, ...) WARN_ON(c)
/* What CONFIG_DEBUG_VM checks is checked. */
#define VM_WARN_ON(c) ((void)WARN_ON(c))
#define VM_WARN_ON_ONCE(c) ((void)WARN_ON(c))
#define VM_WARN_ONCE(c, ...) do { } while (0)
#define VM_WARN_ON_FOLIO(c, f) ((void)WARN_ON(c))
#define VM_WARN_ON_ONCE_PAGE(c, p) ((void)WARN_ON(c))
#define VM_BUG_ON(c) BUG_ON(c)
#define VM_BUG_ON_FOLIO(c, f) BUG_ON(c)
#define pr_err(...) do { } while (0)
#define pr_warn(...) do { } while (0)

/* ---- counted primitives ---- */
/*
 * Entries in memory are Refold's; what the kernel's code sees of them are descriptors. Everything else of 8 bytes that
 * it reads or writes with these macros is left alone: shim_is_entry() looks at the address.
 */
static inline bool shim_is_entry(const volatile void *p);
static inline u64 shim_load(const volatile void *p);
static inline void shim_store(volatile void *p, u64 v);
static inline u64 shim_xchg(volatile void *p, u64 v);
static inline u64 shim_cmpxchg(volatile void *p, u64 old, u64 v);
static inline void shim_tlbi(const char *op, u64 arg);
static inline void shim_dsb(const char *opt);
static inline void shim_isb(void);

#define READ_ONCE(x) ({						\
	union { typeof(x) v; u64 w; } u_;			\
	if (sizeof(x) == 8 && shim_is_entry(&(x)))		\
		u_.w = shim_load(&(x));				\
	else							\
		u_.v = *(const volatile typeof(x) *)&(x);	\
	u_.v; })
#define WRITE_ONCE(x, val) do {					\
	union { typeof(x) v; u64 w; } u_ = { .v = (val) };	\
	if (sizeof(x) == 8 && shim_is_entry(&(x)))		\
		shim_store(&(x), u_.w);				\
	else							\
		*(volatile typeof(x) *)&(x) = u_.v;		\
	} while (0)
#define xchg_relaxed(p, val) ({					\
	union { typeof(*(p)) v; u64 w; } u_ = { .v = (val) };	\
	if (sizeof(*(p)) == 8 && shim_is_entry(p)) {		\
		u_.w = shim_xchg((p), u_.w);			\
	} else {						\
		typeof(*(p)) o_ = *(p); *(p) = u_.v; u_.v = o_;	\
	}							\
	u_.v; })
#define xchg(p, v) xchg_relaxed(p, v)
#define xchg_acquire(p, v) xchg_relaxed(p, v)
#define xchg_release(p, v) xchg_relaxed(p, v)
#define cmpxchg_relaxed(p, o, n) ({				\
	union { typeof(*(p)) v; u64 w; } o_ = { .v = (o) }, n_ = { .v = (n) }; \
	if (sizeof(*(p)) == 8 && shim_is_entry(p)) {		\
		o_.w = shim_cmpxchg((p), o_.w, n_.w);		\
	} else {						\
		typeof(*(p)) c_ = *(p); if (!memcmp(&c_, &o_.v, sizeof(c_))) *(p) = n_.v; o_.v = c_; \
	}							\
	o_.v; })
#define cmpxchg(p, o, n) cmpxchg_relaxed(p, o, n)
#define cmpxchg_acquire(p, o, n) cmpxchg_relaxed(p, o, n)
#define cmpxchg_release(p, o, n) cmpxchg_relaxed(p, o, n)
#define try_cmpxchg(p, op, n) ({				\
	typeof(*(p)) t_ = *(op);				\
	typeof(*(p)) r_ = cmpxchg_relaxed(p, t_, n);		\
	bool ok_ = !memcmp(&r_, &t_, sizeof(r_)); if (!ok_) *(op) = r_; ok_; })
#define try_cmpxchg_relaxed(p, op, n) try_cmpxchg(p, op, n)
#define smp_load_acquire(p) READ_ONCE(*(p))
#define smp_store_release(p, v) WRITE_ONCE(*(p), v)
#define dsb(opt) shim_dsb(#opt)
#define isb() shim_isb()
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#define smp_mb() barrier()
#define test_and_set_bit(n, p) ({ unsigned long m_ = 1UL << (n); bool o_ = *(p) & m_; *(p) |= m_; o_; })
#define set_bit(n, p) (*(p) |= 1UL << (n))
#define clear_bit(n, p) (*(p) &= ~(1UL << (n)))
#define test_bit(n, p) (!!(*(p) & (1UL << (n))))

/* ---- run-time CPU features ---- */
static inline bool shim_cpu(unsigned int feature);
#define system_supports_tlb_range() shim_cpu(REFOLD_CPU_TLBI_RANGE)
#define system_supports_bbml3() shim_cpu(REFOLD_CPU_BBML3)
#define system_supports_bbml2_noabort() shim_cpu(REFOLD_CPU_BBML3)
#define arm64_kernel_unmapped_at_el0() shim_cpu(REFOLD_CPU_KPTI)
#define ARM64_HAS_ARMv8_4_TTL 1
#define ARM64_WORKAROUND_REPEAT_TLBI 2
#define ARM64_WORKAROUND_REPEAT_TLBI_SYNC 2
#define ARM64_WORKAROUND_2645198 3
#define ARM64_HAS_STAGE2_FWB 4
#define ARM64_WORKAROUND_4193714 5
#define ARM64_ALWAYS_BOOT 6
#define ARM64_HAS_VA52 7
#define vabits_actual VA_BITS
#define set_fixmap_offset(i, a) ((unsigned long)(a))
#define clear_fixmap(i) do { } while (0)
#define FIX_PTE 0
#define FIX_PMD 0
#define FIX_PUD 0
#define FIX_P4D 0
#define FIX_PGD 0
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)
static inline bool alternative_has_cap_unlikely(int cap)
{
	return cap == ARM64_WORKAROUND_REPEAT_TLBI ? shim_cpu(REFOLD_CPU_REPEAT_TLBI) :
	       cap == ARM64_WORKAROUND_2645198 ? false :
	       cap == ARM64_HAS_ARMv8_4_TTL;
}
#define alternative_has_cap_likely(c) alternative_has_cap_unlikely(c)
#define cpus_have_final_cap(c) 0
#define TCR_EL1_DS (UL(1) << 59)
static inline u64 read_tcr(void) { return shim_cpu(REFOLD_CPU_LPA2) ? ~0ULL : 0; }
#define USER_ASID_FLAG (UL(1) << 48)
#define TTBR_ASID_MASK (UL(0xffff) << 48)
#define system_supports_mte() 0
#define system_supports_poe() 0
#define system_supports_haft() 0
#define system_supports_bti_kernel() 0
#define cpu_has_hw_af() 1
#define kvm_lpa2_is_enabled() 0
#define is_realm_world() 0
#define read_sysreg_s(r) 0
#define SYS_POR_EL0 0
#define por_elx_allows_read(p, k) 1
#define por_elx_allows_write(p, k) 1
#define por_elx_allows_exec(p, k) 1
#define mte_sync_tags(p, n) do { } while (0)
#define is_lazy_mmu_mode_active() 0
#define test_thread_flag(f) 0
#define set_thread_flag(f) do { } while (0)
#define test_and_clear_thread_flag(f) 0
#define in_interrupt() 0
#define TIF_LAZY_MMU_PENDING 0

/* ---- memory geometry ---- */
#define PAGE_SHIFT SHIM_PAGE_SHIFT
#define PAGE_SIZE (UL(1) << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(a) ALIGN(a, PAGE_SIZE)
#define PAGE_OFFSET UL(0xffff000000000000)
#define VMEMMAP_START UL(0xffffc00000000000)
#define memstart_addr UL(0)
#define TASK_SIZE (UL(1) << VA_BITS)
#define FIRST_USER_ADDRESS 0UL
#define MT_NORMAL 0
#define MT_NORMAL_TAGGED 1
#define MT_NORMAL_NC 2
#define MT_DEVICE_nGnRnE 3
#define MT_DEVICE_nGnRE 4
#define __va(x) ((void *)((unsigned long)(x)))
#define __pa(x) ((unsigned long)(x))
#define __pa_symbol(x) ((unsigned long)(x))
#define __phys_to_virt(x) ((unsigned long)(x))
#define __virt_to_phys(x) ((unsigned long)(x))
#define __phys_to_kimg(x) ((unsigned long)(x))
#define __phys_to_pfn(x) ((unsigned long)(x) >> PAGE_SHIFT)
#define __pfn_to_phys(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define PFN_DOWN(x) ((x) >> PAGE_SHIFT)
#define PFN_PHYS(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define PHYS_PFN(x) ((unsigned long)((x) >> PAGE_SHIFT))
#define phys_to_page(p) pfn_to_page((p) >> PAGE_SHIFT)
#define virt_addr_valid(p) 0
#define virt_to_page(p) ((struct page *)0)
#define PageTable(p) 0

/* ---- pages and folios: addresses that nobody looks at; a folio is found by the entries that map it ---- */
struct page { unsigned long flags; };
struct folio { struct page page; };
#define shim_pages ((struct page *)0x100000000000UL)
#define pfn_to_page(pfn) (shim_pages + (pfn))
#define page_to_pfn(p) ((unsigned long)((p) - shim_pages))
#define page_to_phys(p) ((phys_addr_t)page_to_pfn(p) << PAGE_SHIFT)
static inline unsigned int shim_folio_order(unsigned long pfn);
static inline struct folio *page_folio_(unsigned long pfn)
{
	return (struct folio *)pfn_to_page(pfn & ~((1UL << shim_folio_order(pfn)) - 1));
}
#define page_folio(p) page_folio_(page_to_pfn(p))
#define pfn_folio(pfn) page_folio_(pfn)
static inline unsigned long folio_pfn(struct folio *f) { return page_to_pfn(&f->page); }
static inline unsigned int folio_order(struct folio *f) { return shim_folio_order(folio_pfn(f)); }
static inline unsigned long folio_nr_pages(struct folio *f) { return 1UL << folio_order(f); }
static inline size_t folio_size(struct folio *f) { return PAGE_SIZE << folio_order(f); }
#define folio_test_large(f) (folio_order(f) > 0)

/* ---- mm, vma, task ---- */
typedef struct { int counter; } atomic_t;
#define atomic_read(a) ((a)->counter)
typedef struct { u64 id; } mm_context_t;
struct mm_struct { int id; mm_context_t context; atomic_t mm_users; void *pgd; };
struct vm_area_struct { struct mm_struct *vm_mm; unsigned long vm_flags, vm_start, vm_end; };
struct vm_fault; struct file; struct cpumask; struct arch_tlbflush_unmap_batch { int dummy; };
struct task_struct { struct mm_struct *mm, *active_mm; };
extern struct mm_struct init_mm, efi_mm;
extern struct task_struct *shim_current;
#define current shim_current
#define ASID(mm) ((mm)->context.id & 0xffff)
#define mm_is_efi(mm) ((mm) == &efi_mm)
static inline bool shim_flush_pending(void);
#define mm_tlb_flush_pending(mm) shim_flush_pending()
#define VM_FLAGS_NONE 0
#define VM_SHARED 8UL
#define VM_WRITE 2UL
#define VM_SOFTDIRTY 0
#define VM_SHADOW_STACK 0
#define TLB_FLUSH_VMA(mm, flags) { .vm_mm = (mm), .vm_flags = (flags) }
typedef int cydp_t;
#define CYDP_CLEAR_YOUNG 1
#define CYDP_CLEAR_DIRTY 2
/* What asm/tlb.h's tlb_flush() looks at. */
struct mmu_gather {
	struct mm_struct *mm;
	unsigned long start, end, stride;
	bool fullmm, freed_tables, unshared_tables, cleared_ptes, cleared_pmds, cleared_puds, cleared_p4ds;
};
#define tlb_get_unmap_size(tlb) ((tlb)->stride)
#define mmu_notifier_arch_invalidate_secondary_tlbs(mm, start, end) do { } while (0)

/* ---- page_table_check: compiled out ---- */
#define page_table_check_ptes_set(...) do { } while (0)
#define page_table_check_pte_clear(...) do { } while (0)
#define page_table_check_pmd_set(...) do { } while (0)
#define page_table_check_pmds_set(...) do { } while (0)
#define page_table_check_pmd_clear(...) do { } while (0)
#define page_table_check_pud_set(...) do { } while (0)
#define page_table_check_puds_set(...) do { } while (0)
#define page_table_check_pud_clear(...) do { } while (0)
#define page_table_check_pte_clear_range(...) do { } while (0)

#endif
