/* SPDX-License-Identifier: MIT */
/*
 * Entries and descriptors: memory keeps Refold's entries, the kernel's code sees descriptors of its tree. One becomes
 * the other through tables that are made of the tree's own macros, so that it may change what bits mean.
 */

#ifdef PTE_UFFD
#define SHIM_UFFD PTE_UFFD
#else
#define SHIM_UFFD PTE_UFFD_WP
#endif

/* Software bits of the tree that Refold knows nothing of, up to four: they travel in the private bits of an entry. */
#ifndef SHIM_PRIVATE_BITS
#define SHIM_PRIVATE_BITS 57, 59, 60, 63
#endif
static const int private_bits[4] = { SHIM_PRIVATE_BITS };

#define LOW_BITS 12		/* below the frame number */
#define HIGH_SHIFT 51		/* above it */

static u64 low_plain[4096], low_lpa2[4096];	/* by the low 12 bits of an entry */
static u64 from_low[1 << LOW_BITS], from_high[1 << (64 - HIGH_SHIFT)];	/* of a present descriptor */
static u64 private_out[16];

#define PRESENT_BITS (PTE_VALID | PTE_PRESENT_INVALID)
#define FACTS (~REFOLD_PTE_HW_MASK & ~REFOLD_PTE_PRIVATE_MASK)

/* A swap entry is neither valid nor PRESENT_INVALID; its flags are below the slot. */
#define SWAP_MARK BIT(5)
#define SWAP_FLAGS(X)                                                                              \
	X(2, MIGRATION) X(3, SPECIAL) X(4, UFFD) X(6, DIRTY) X(7, WRITE) X(8, AF) X(9, RDONLY) X(10, EXEC)

static u64 descriptor_of_low(u64 e)
{
	u64 v;

	if (e & REFOLD_PTE_PROTNONE)
		v = pgprot_val(PAGE_NONE) | (e & REFOLD_PTE_VALID ? PTE_TYPE_PAGE : 0);
	else
		v = e & REFOLD_PTE_EXEC ? _PAGE_READONLY_EXEC : _PAGE_READONLY;
	v &= ~(PTE_AF | PTE_RDONLY);
	v |= e & REFOLD_PTE_AF ? PTE_AF : 0;
	v |= e & REFOLD_PTE_RDONLY ? PTE_RDONLY : 0;
	v |= e & REFOLD_PTE_WRITE ? PTE_WRITE : 0;
	v |= e & REFOLD_PTE_CONT ? PTE_CONT : 0;
	v |= e & REFOLD_PTE_DIRTY ? PTE_DIRTY : 0;
	v |= e & REFOLD_PTE_SPECIAL ? PTE_SPECIAL : 0;
	v |= e & REFOLD_PTE_UFFD ? SHIM_UFFD : 0;
	return v;
}

static u64 entry_of_descriptor(u64 v)
{
	u64 e = 0;
	int i;

	e |= v & PTE_VALID ? REFOLD_PTE_VALID : 0;
	e |= v & PTE_AF ? REFOLD_PTE_AF : 0;
	e |= v & PTE_RDONLY ? REFOLD_PTE_RDONLY : 0;
	e |= v & PTE_WRITE ? REFOLD_PTE_WRITE : 0;
	e |= v & PTE_CONT ? REFOLD_PTE_CONT : 0;
	e |= v & PTE_DIRTY ? REFOLD_PTE_DIRTY : 0;
	e |= v & PTE_SPECIAL ? REFOLD_PTE_SPECIAL : 0;
	e |= v & SHIM_UFFD ? REFOLD_PTE_UFFD : 0;
	for (i = 0; i < 4; i++)
		e |= v & BIT(private_bits[i]) ? 1ull << (REFOLD_PTE_PRIVATE_SHIFT + i) : 0;
	return e;
}

static __attribute__((constructor)) void build_tables(void)
{
	u64 i, low = GENMASK(LOW_BITS - 1, 0);
	int b;

	_Static_assert(((PTE_VALID | PTE_AF | PTE_RDONLY | PTE_USER | PTE_NG) & ~GENMASK(LOW_BITS - 1, 0)) == 0,
		       "bits below the frame number");
	_Static_assert(((PTE_WRITE | PTE_CONT | PTE_DIRTY | PTE_SPECIAL | SHIM_UFFD | PTE_UXN) &
			GENMASK(HIGH_SHIFT - 1, 0)) == 0, "bits above the frame number");
	for (i = 0; i < 4096; i++) {
		low_plain[i] = descriptor_of_low(i);
		low_lpa2[i] = low_plain[i] & ~PTE_SHARED;
	}
	for (i = 0; i <= low; i++) {
		from_low[i] = entry_of_descriptor(i);
		/* No user access: PROT_NONE, also where pte_mkcont() has made it valid. */
		if (!(i & PTE_VALID) || !(i & PTE_USER))
			from_low[i] |= REFOLD_PTE_PROTNONE;
	}
	for (i = 0; i < 1 << (64 - HIGH_SHIFT); i++) {
		from_high[i] = entry_of_descriptor(i << HIGH_SHIFT);
		if (!(i << HIGH_SHIFT & PTE_UXN))
			from_high[i] |= REFOLD_PTE_EXEC;
	}
	for (i = 0; i < 16; i++)
		for (b = 0; b < 4; b++)
			private_out[i] |= i & BIT(b) ? BIT(private_bits[b]) : 0;
}

/*
 * Refold's frame numbers are wider than a descriptor's. Those that it invented for pages that no event named have their
 * highest bit, which becomes the highest bit of the address field.
 */
#define INVENTED_PFN BIT(39)
#define ADDR_TOP (63 - __builtin_clzll(PTE_ADDR_LOW))

static inline u64 address_of_pfn(u64 e)
{
	u64 pfn = (e & REFOLD_PTE_PFN_MASK) >> REFOLD_PTE_PFN_SHIFT;

	return (pfn << PAGE_SHIFT & (BIT(ADDR_TOP) - 1)) | (pfn & INVENTED_PFN) >> 39 << ADDR_TOP;
}

static inline u64 pfn_of_address(u64 v)
{
	u64 pfn = (v & PTE_ADDR_LOW & (BIT(ADDR_TOP) - 1)) >> PAGE_SHIFT;

	return (pfn | (v >> ADDR_TOP & 1) << 39) << REFOLD_PTE_PFN_SHIFT;
}

/* low: low_plain or low_lpa2. */
static inline u64 descriptor_of(const u64 *low, u64 e)
{
	u64 v;

	if (!(e & REFOLD_PTE_HW_MASK))
		return 0;
	if (likely(!(e & REFOLD_PTE_SWAP)))
		return low[e & 0xfff] | private_out[e >> REFOLD_PTE_PRIVATE_SHIFT & 15] | address_of_pfn(e);
	v = (e & REFOLD_PTE_PFN_MASK) | SWAP_MARK;
#define X(bit, name) v |= e & REFOLD_PTE_##name ? BIT(bit) : 0;
	SWAP_FLAGS(X)
#undef X
	return v;
}

static inline u64 entry_of(u64 v)
{
	u64 e;

	if (likely(v & PRESENT_BITS))
		return from_low[v & GENMASK(LOW_BITS - 1, 0)] | from_high[v >> HIGH_SHIFT] | pfn_of_address(v);
	if (!v)
		return 0;
	e = (v & REFOLD_PTE_PFN_MASK) | REFOLD_PTE_SWAP;
#define X(bit, name) e |= v & BIT(bit) ? REFOLD_PTE_##name : 0;
	SWAP_FLAGS(X)
#undef X
	return e;
}
