/* SPDX-License-Identifier: MIT */
/*
 * The hook in progress, and the accesses to entries that the tree's code makes meanwhile: each is translated and
 * counted. What becomes of blocks is told from the entries, not from the functions that change them: an edit cannot
 * fool that.
 */

#define MAX_ENTRIES PTRS_PER_PTE
#define MAX_BLOCKS (MAX_ENTRIES / CONT_PTES)
#define MAX_LINES (MAX_ENTRIES / 8)
#define FOLDED (REFOLD_PTE_VALID | REFOLD_PTE_CONT)

/* hook.blocks */
enum { BLOCK_TOUCHED = 1, BLOCK_FOLDED = 2, BLOCK_MAPPED = 4 };

struct hook {
	uintptr_t table, size;		/* of the entries that it may touch; size 0: none */
	u64 *counters;
	const u64 *low;			/* for descriptor_of() */
	u64 lines[(MAX_LINES + 63) / 64];
	struct refold_mm *mm;
	u64 *ptep;			/* what it was called for */
	u64 entry;			/* what it is to write; 0: nothing */
	unsigned int zero_first, zero_last;	/* entries that became none */
	unsigned int nr_touched;
	/* Of flushes: flushes.h. */
	unsigned long stride;
	unsigned int tlbi;		/* since the barrier before them */
	bool synced;			/* a flush has waited: another TLBI repeats */
	bool observed;			/* somebody wants to be told of flushes */
	bool flushing;			/* one has begun that nobody was told of yet */
	struct refold_flush flush;
	unsigned char touched[MAX_BLOCKS];
	unsigned char blocks[MAX_BLOCKS];
};

/* A pointer for each thread: there is little room for thread-local memory of what is loaded late. */
static __thread struct hook *hook_ __attribute__((tls_model("initial-exec")));
#define st (*hook_)

static noinline void tell_flush(void);

static inline bool shim_is_entry(const volatile void *p)
{
	return (uintptr_t)p - st.table < st.size;
}

static inline void touch_line(const volatile void *p)
{
	unsigned int line = ((uintptr_t)p - st.table) >> 6;

	st.lines[MAX_LINES > 64 ? line / 64 : 0] |= 1ull << line % 64;
}

static inline u64 shim_load(const volatile void *p)
{
	st.counters[REFOLD_pte_loads]++;
	touch_line(p);
	return descriptor_of(st.low, *(const volatile u64 *)p);
}

/* Entry old becomes v: what that does to the block it is of. Facts stay, until the hook is over. */
static inline void put(volatile void *p, u64 old, u64 v)
{
	unsigned int index = ((uintptr_t)p - st.table) >> 3;
	unsigned char *block = &st.blocks[index / CONT_PTES];
	bool cont = (v & (PTE_VALID | PTE_CONT)) == (PTE_VALID | PTE_CONT);

	if (unlikely(st.flushing))
		tell_flush();
	touch_line(p);
	if (!*block) {
		*block = BLOCK_TOUCHED | ((old & FOLDED) == FOLDED ? BLOCK_FOLDED : 0);
		st.touched[st.nr_touched++] = index / CONT_PTES;
	}
	if (old & REFOLD_PTE_VALID)
		*block |= BLOCK_MAPPED;
	if (!v) {
		if (index < st.zero_first)
			st.zero_first = index;
		if (index > st.zero_last)
			st.zero_last = index;
		*(volatile u64 *)p = old & FACTS;
		return;
	}
	if (cont && !(*block & BLOCK_FOLDED)) {
		st.counters[*block & BLOCK_MAPPED ? REFOLD_fold : REFOLD_born]++;
		++*st.mm->live_blocks;
		*block |= BLOCK_FOLDED;
	} else if (!cont && *block & BLOCK_FOLDED) {
		st.counters[REFOLD_unfold]++;
		--*st.mm->live_blocks;
		*block &= ~BLOCK_FOLDED;
	}
	if (v & PTE_VALID)
		*block |= BLOCK_MAPPED;
	*(volatile u64 *)p = (old & FACTS) | entry_of(v);
}

static inline void shim_store(volatile void *p, u64 v)
{
	st.counters[REFOLD_pte_stores]++;
	put(p, *(volatile u64 *)p, v);
}

static inline u64 shim_xchg(volatile void *p, u64 v)
{
	u64 old = *(volatile u64 *)p;

	st.counters[REFOLD_pte_atomics]++;
	put(p, old, v);
	return descriptor_of(st.low, old);
}

static inline u64 shim_cmpxchg(volatile void *p, u64 expected, u64 v)
{
	u64 old = *(volatile u64 *)p, now = descriptor_of(st.low, old);

	st.counters[REFOLD_pte_atomics]++;
	if (now == expected)
		put(p, old, v);
	else
		touch_line(p);
	return now;
}

static inline bool order_from(u64 e, unsigned long pfn, unsigned int *order)
{
	*order = (e & REFOLD_PTE_ORDER_MASK) >> REFOLD_PTE_ORDER_SHIFT;
	return e & (REFOLD_PTE_VALID | REFOLD_PTE_PROTNONE) && ((address_of_pfn(e) >> PAGE_SHIFT) ^ pfn) >> *order == 0;
}

/* Entries know the orders of their folios: what the hook is about, or any entry that maps the same one. */
static inline unsigned int shim_folio_order(unsigned long pfn)
{
	const u64 *table = (const u64 *)st.table;
	unsigned long i, n = st.size / 8;
	unsigned int order;

	if (!n)
		return 0;
	if (order_from(st.entry, pfn, &order) || order_from(*st.ptep, pfn, &order))
		return order;
	for (i = 0; i < n; i++)
		if (order_from(table[i], pfn, &order))
			return order;
	return 0;
}

/* ---- begin and end of a hook ---- */

static inline void enter(struct refold_mm *mm)
{
	if (unlikely(!hook_)) {
		hook_ = calloc(1, sizeof(*hook_));
		if (!hook_)
			abort();
	}
	st.mm = mm;
	st.counters = mm->counters;
	st.low = mm->cpu & REFOLD_CPU_LPA2 ? low_lpa2 : low_plain;
	st.stride = PAGE_SIZE;
	st.size = 0;
	st.observed = mm->flush_seen;
	st.flushing = false;
}

static inline void leave(void)
{
	if (unlikely(st.flushing))
		tell_flush();
}

static inline void enter_entries(struct refold_mm *mm, refold_pte *ptep)
{
	enter(mm);
	st.table = (uintptr_t)ptep & ~(MAX_ENTRIES * 8 - 1);
	st.size = MAX_ENTRIES * 8;
	st.ptep = ptep;
	st.entry = 0;
	st.zero_first = MAX_ENTRIES;
	st.zero_last = 0;
}

/* Mostly one or two: the builtin would call a function. */
static inline void count_lines(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(st.lines); i++)
		for (; st.lines[i]; st.lines[i] &= st.lines[i] - 1)
			st.counters[REFOLD_pte_lines]++;
}

static inline void leave_block(unsigned int b)
{
	const u64 *block = (const u64 *)st.table + b * CONT_PTES;
	unsigned int i;

	if (!(st.blocks[b] & BLOCK_FOLDED))
		return;
	for (i = 0; i < CONT_PTES; i++)
		if ((block[i] & FOLDED) == FOLDED)
			return;
	st.counters[REFOLD_erased]++;
	--*st.mm->live_blocks;
}

static inline void leave_entries(void)
{
	u64 *table = (u64 *)st.table;
	unsigned int i;

	count_lines();
	for (i = 0; i < st.nr_touched; i++) {
		leave_block(st.touched[i]);
		st.blocks[st.touched[i]] = 0;
	}
	st.nr_touched = 0;
	for (i = st.zero_first; i <= st.zero_last && i < MAX_ENTRIES; i++)
		if (!(table[i] & REFOLD_PTE_HW_MASK))
			table[i] = 0;
	leave();
}

/* Entries that are written have the facts of what is written. */
static inline void bring_facts(refold_pte *ptep, refold_pte pte, uint32_t nr)
{
	uint32_t i;

	st.entry = pte;
	for (i = 0; i < nr; i++)
		ptep[i] = (ptep[i] & ~FACTS) | (pte & FACTS);
}
