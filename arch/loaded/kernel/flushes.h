/* SPDX-License-Identifier: MIT */
/*
 * TLB maintenance: the instructions and barriers of the tree's tlbflush.h, counted by their operands. Who watches is
 * told of a flush that a hook makes by itself when it is over, of one that it was asked for as it was asked.
 */

/* The observer may call hooks for itself. */
static noinline void tell(const struct refold_flush *flush)
{
	struct hook saved = st;

	memset(st.lines, 0, sizeof(st.lines));
	memset(st.blocks, 0, sizeof(st.blocks));
	st.nr_touched = 0;
	saved.mm->flush_seen(saved.mm, flush);
	st = saved;
}

/* A flush that this hook made is over, or something else begins without waiting for it. */
static noinline void tell_flush(void)
{
	st.flushing = false;
	tell(st.flush.stride ? &st.flush : NULL);
}

static void note_flush(bool local)
{
	st.flushing = true;
	st.flush = (struct refold_flush){
		.start = ~0ull, .stride = st.stride, .level = 3,
		.mode = local ? REFOLD_FLUSH_LOCAL : REFOLD_FLUSH_NOSYNC,
	};
}

static void note_tlbi(u64 start, u64 pages, bool leaf)
{
	if (start < st.flush.start)
		st.flush.start = start;
	if (start + pages * PAGE_SIZE > st.flush.end)
		st.flush.end = start + pages * PAGE_SIZE;
	st.flush.last_level = leaf;
}

/* opt: "ishst", "ish", "nshst", "nsh". */
static inline void shim_dsb(const char *opt)
{
	bool nsh = opt[0] == 'n', stores = opt[3] == 's';

	st.counters[REFOLD_dsb]++;
	st.counters[nsh ? REFOLD_dsb_nsh : stores ? REFOLD_dsb_ishst : REFOLD_dsb_ish]++;
	if (stores) {
		if (unlikely(st.flushing))
			tell_flush();
		st.counters[REFOLD_flush_calls]++;
		st.tlbi = 0;
		st.synced = false;
		if (unlikely(st.observed))
			note_flush(nsh);
		return;
	}
	if (unlikely(st.flushing)) {
		if (!nsh)
			st.flush.mode = REFOLD_FLUSH_SYNC;
		tell_flush();
	}
	st.synced = true;
}

/* Right after a store barrier it belongs to an entry of the kernel, not to a flush. */
static inline void shim_isb(void)
{
	st.counters[REFOLD_isb]++;
	if (!st.tlbi && !st.synced) {
		st.counters[REFOLD_flush_calls]--;
		st.flushing = false;
	}
}

/* The level that the operand names is that of PMDs. */
static inline bool tlbi_of_pmd(u64 arg)
{
	return (arg >> 44 & 3) == 2 && (arg >> 46 & 3);
}

static void tell_tlbi(bool range, bool leaf, u64 arg, u64 pages)
{
	u64 start = range ? (arg & GENMASK(36, 0)) << (shim_cpu(REFOLD_CPU_LPA2) ? 16 : PAGE_SHIFT) :
			    (arg & GENMASK(43, 0)) << 12;

	if (!range && tlbi_of_pmd(arg)) {
		st.flush.stride = PMD_SIZE;
		st.flush.level = 2;
	}
	note_tlbi(start, pages, leaf);
}

/* op: "vale1is", "rvae1is", "aside1is", ...; inlined, it is known where it is called. */
static inline void shim_tlbi(const char *op, u64 arg)
{
	bool range = op[0] == 'r', local = op[strlen(op) - 1] != 's', asid = op[0] == 'a';
	const char *kind = range ? op + 1 : op;
	u64 *c = st.counters, pages;

	c[REFOLD_tlbi]++;
	if (st.synced) {
		c[REFOLD_tlbi_repeat]++;
		return;
	}
	st.tlbi++;
	if (asid || !strncmp(op, "vmall", 5)) {
		c[REFOLD_tlbi_asid]++;
		st.flush.stride = 0;
		return;
	}
	c[range ? REFOLD_tlbi_range : REFOLD_tlbi_va]++;
	c[REFOLD_tlbi_local] += local;
	c[REFOLD_tlbi_walk] += kind[2] == 'e';
	/* The second of two for one page. */
	if (arg & USER_ASID_FLAG && shim_cpu(REFOLD_CPU_KPTI))
		return;
	if (range)
		pages = ((arg >> 39 & 31) + 1) << (5 * (arg >> 44 & 3) + 1);
	else
		pages = tlbi_of_pmd(arg) ? PTRS_PER_PTE : st.stride >> PAGE_SHIFT;
	c[REFOLD_tlbi_pages] += pages;
	if (unlikely(st.flushing))
		tell_tlbi(range, kind[2] == 'l', arg, pages);
}

/* A hook that is a flush: it is told as it was asked for, and what it does is not told. */
static inline void asked(const struct refold_flush *flush)
{
	if (unlikely(st.observed)) {
		st.observed = false;
		tell(flush);
	}
}

static inline void asked_page(uint64_t addr, uint32_t mode)
{
	const struct refold_flush flush = {
		.start = addr & PAGE_MASK, .end = (addr & PAGE_MASK) + PAGE_SIZE, .stride = PAGE_SIZE,
		.last_level = 1, .level = 3, .mode = mode,
	};

	asked(&flush);
}
