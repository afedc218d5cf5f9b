// SPDX-License-Identifier: MIT
/*
 * The machine's tables against the reference: the same mappings (I11), accessed and dirty within their bounds (I12),
 * blocks that are blocks (I1-I3), and as many as were counted (I6).
 */
#include <string.h>

#include "properties/tlb.h"

/* Entries of one table, or of the leaf in its place. */
struct view {
	struct trial *t;
	u32 mm, table;
	const pte_t *entries;	/* NULL: nothing there, or a leaf */
	pte_t leaf;		/* none if it is a table */
};

static struct view view_of(struct trial *t, u32 mm, u32 table)
{
	struct view view = { .t = t, .mm = mm, .table = table };
	struct mm *space = mm_of(t, mm);
	pmd_t *pmd = space ? pmd_offset(space, page_addr(t, table * t->reference->table_pages)) : NULL;

	if (pmd && pmd_table(*pmd))
		view.entries = pmd_ptes(*pmd);
	else if (pmd && pmd_leaf(*pmd))
		view.leaf = pmd_pte(*pmd);
	return view;
}

static pte_t view_entry(const struct view *view, u32 index)
{
	if (view->entries)
		return view->entries[index];
	return view->leaf.val ? pte_advance_pfn(view->leaf, index) : view->leaf;
}

/* ---- one page ---- */

#define page_name(view, page) (view)->mm, (unsigned long long)page_addr((view)->t, page)

/* Bits that may be (most) and must be (least) there; everything else of the entry has one right value. */
static void check_bound(const struct view *view, u32 page, const char *oracle, const char *what, bool has, u16 bits,
			u16 must, u16 may)
{
	require(view->t, oracle, has || !(bits & must), "mm %u: %llx should be %s", page_name(view, page), what);
	require(view->t, oracle, !has || (bits & may), "mm %u: %llx should not be %s", page_name(view, page), what);
}

static void check_present(const struct view *view, u32 page, const struct ref_page *expected, pte_t pte)
{
	const struct arch_knobs *knobs = &view->t->config->policy.arch_knobs;
	struct trial *t = view->t;
	u16 bits = expected->bits;
	bool cont_protnone = knobs->protnone_cont == PROTNONE_CONT_VALID || knobs->fold_present;

	require(t, "I11", pte_present(pte) && !pte_swap(pte), "mm %u: %llx is %llx, not present", page_name(view, page),
		(unsigned long long)pte.val);
	require(t, "I11", pte_pfn(pte) == expected->pfn, "mm %u: %llx maps %llx, not %llx", page_name(view, page),
		(unsigned long long)pte_pfn(pte), (unsigned long long)expected->pfn);
	require(t, "I11", !(pte.val & PTE_EXEC) == !(bits & REF_EXEC), "mm %u: %llx may be executed, or may not",
		page_name(view, page));
	require(t, "I11", !(pte.val & PTE_SPECIAL) == !(bits & REF_SPECIAL), "mm %u: %llx is special, or is not",
		page_name(view, page));
	require(t, "I11", !(pte.val & PTE_PROTNONE) == !(bits & REF_PROTNONE), "mm %u: %llx is PROT_NONE, or is not",
		page_name(view, page));
	require(t, "I11", pte_valid(pte) == !(bits & REF_PROTNONE) || (cont_protnone && pte_cont(pte)) ||
		cont_protnone, "mm %u: %llx is valid, or is not", page_name(view, page));
	require(t, "I11", pte_folio_order(pte) <= expected->order, "mm %u: %llx is of a folio of order %u, not %u",
		page_name(view, page), pte_folio_order(pte), expected->order);
	check_bound(view, page, "I11", "writable", pte_write(pte), bits, REF_WRITE_MUST, REF_WRITE_MAY);
	require(t, "I14", pte_write(pte) || (pte.val & PTE_RDONLY), "mm %u: %llx lets writes through",
		page_name(view, page));
	check_bound(view, page, "I12", "young", pte_young(pte), bits, REF_YOUNG_MUST, REF_YOUNG_MAY);
	check_bound(view, page, "I12", "dirty", pte_dirty(pte), bits, REF_DIRTY_MUST, REF_DIRTY_MAY);
}

static void check_migration(const struct view *view, u32 page, const struct ref_page *expected, pte_t pte)
{
	u16 bits = expected->bits;

	require(view->t, "I11", is_migration_entry(pte) && pte_pfn(pte) == expected->pfn,
		"mm %u: %llx is %llx, not the migration entry of %llx", page_name(view, page),
		(unsigned long long)pte.val, (unsigned long long)expected->pfn);
	check_bound(view, page, "I11", "writable", pte_write(pte), bits, REF_WRITE_MUST, REF_WRITE_MAY);
	check_bound(view, page, "I12", "young", pte_young(pte), bits, REF_YOUNG_MUST, REF_YOUNG_MAY);
	check_bound(view, page, "I12", "dirty", pte.val & PTE_DIRTY, bits, REF_DIRTY_MUST, REF_DIRTY_MAY);
}

static u64 facts_of(const struct ref_page *expected)
{
	return (expected->bits & REF_ANON ? PTE_ANON : 0) | (expected->bits & REF_EXCLUSIVE ? PTE_EXCLUSIVE : 0) |
	       (expected->bits & REF_SHMEM ? PTE_SHMEM : 0);
}

/*
 * pte: with the A/D of its block, as ptep_get() has it. With anon_folios the machine maps what no operation tells: the
 * reference would have to decide likewise.
 */
static void check_page(const struct view *view, u32 page, pte_t pte)
{
	const struct ref_page *expected = &view->t->reference->pages[view->mm][page];
	struct trial *t = view->t;
	u64 facts = pte.val & (PTE_ANON | PTE_EXCLUSIVE | PTE_SHMEM | PTE_REFAULT); /* the last: never now */

	if (t->config->policy.mm.anon_folios)
		return;
	switch (expected->kind) {
	case REF_NONE:
		require(t, "I11", pte_none(pte), "mm %u: %llx is %llx, not none", page_name(view, page),
			(unsigned long long)pte.val);
		return;
	case REF_PRESENT:
		check_present(view, page, expected, pte);
		break;
	case REF_SWAP:
		require(t, "I11", pte_swap(pte) && !is_migration_entry(pte) && !is_guard_marker(pte) &&
			pte_pfn(pte) == expected->pfn, "mm %u: %llx is %llx, not swap slot %llx", page_name(view, page),
			(unsigned long long)pte.val, (unsigned long long)expected->pfn);
		break;
	case REF_MIGRATION:
		check_migration(view, page, expected, pte);
		break;
	case REF_GUARD:
		require(t, "I11", is_guard_marker(pte), "mm %u: %llx is %llx, not a guard", page_name(view, page),
			(unsigned long long)pte.val);
		break;
	}
	require(t, "I11", facts == facts_of(expected),
		"mm %u: %llx: the page is %llx, not %llx (anonymous, exclusive, shmem)", page_name(view, page),
		(unsigned long long)facts, (unsigned long long)facts_of(expected));
}

/* ---- one block ---- */

static bool check_block(const struct view *view, u32 first, const pte_t *block, u32 n)
{
	const u64 varies = PTE_AF | PTE_DIRTY | PTE_RDONLY | PTE_PFN_MASK;
	const struct arch_knobs *knobs = &view->t->config->policy.arch_knobs;
	struct trial *t = view->t;
	bool folded = pte_cont(block[0]);
	u32 i;

	for (i = 0; i < n; i++) {
		require(t, "I1", pte_cont(block[i]) == folded, "mm %u: %llx is folded in part", page_name(view, first));
		require(t, "I3", !(block[i].val & PTE_CONT) || folded || knobs->protnone_cont == PROTNONE_CONT_STRAY,
			"mm %u: %llx has CONT and is not valid", page_name(view, first + i));
		require(t, "I3", !(block[i].val & PTE_CONT) || !(block[i].val & PTE_PROTNONE) || knobs->fold_present ||
			knobs->protnone_cont != PROTNONE_CONT_NONE, "mm %u: %llx is PROT_NONE and has CONT",
			page_name(view, first + i));
	}
	if (!folded)
		return false;
	require(t, "I2", pte_pfn(block[0]) % n == 0, "mm %u: folded at %llx: the pages are not aligned",
		page_name(view, first));
	for (i = 0; i < n; i++) {
		require(t, "I2", pte_pfn(block[i]) == pte_pfn(block[0]) + i,
			"mm %u: folded at %llx: not pages in a row", page_name(view, first));
		require(t, "I2", !((block[i].val ^ block[0].val) & PTE_HW_MASK & ~varies),
			"mm %u: folded at %llx: entries differ", page_name(view, first));
		require(t, "I2", pte_folio_pfn(block[i]) == pte_folio_pfn(block[0]),
			"mm %u: folded at %llx: of several folios", page_name(view, first));
		require(t, "I2", knobs->fold_present || !pte_special(block[i]), "mm %u: folded at %llx: special",
			page_name(view, first));
	}
	return true;
}

static void check_entries(const struct view *view, u32 first, u32 last)
{
	struct trial *t = view->t;
	u32 n = t->config->policy.geometry.cont_ptes, table = view->table * t->reference->table_pages, page, i;
	u8 *was = t->folded + (view->mm * nr_pages(t) + first) / n;
	pte_t pte, gathered;
	bool folded;

	for (page = first; page < last; page += n, was++) {
		const pte_t *block = view->entries ? view->entries + (page - table) : NULL;

		folded = block && check_block(view, page, block, n);
		t->nr_folded += folded - *was;
		*was = folded;
		gathered.val = 0;
		for (i = 0; folded && i < n; i++)
			gathered.val |= (pte_young(block[i]) ? PTE_AF : 0) | (pte_dirty(block[i]) ? PTE_DIRTY : 0);
		for (i = 0; i < n; i++) {
			pte = view_entry(view, page + i - table);
			pte.val |= gathered.val;
			check_page(view, page + i, pte);
		}
	}
}

void forget_folded(struct trial *t, u32 mm)
{
	u32 n = t->config->policy.geometry.cont_ptes, i;
	u8 *folded = t->folded + mm * nr_pages(t) / n;

	for (i = 0; i < nr_pages(t) / n; i++) {
		t->nr_folded -= folded[i];
		folded[i] = 0;
	}
}

/* ---- after a step ---- */

static void check_balance(struct trial *t)
{
	const struct rf_stats *stats = rf_machine_stats(t->machine);
	const struct arch_counters *loaded = &stats->loaded;
	struct arch_counters c;
	s64 balance;
	u32 i;

	rf_stats_totals(stats, &c);
	balance = c.born + c.fold - c.unfold - c.erased + loaded->born + loaded->fold - loaded->unfold - loaded->erased;
	require(t, "I6", balance == stats->live_blocks && t->nr_folded == stats->live_blocks,
		"%lld blocks are folded, %lld counted, events make %lld", (long long)t->nr_folded,
		(long long)stats->live_blocks, (long long)balance);
	for (i = 0; i < RF_NR_ANOMALIES; i++)
		require(t, "anomaly", !stats->anomalies[i], "%s", rf_anomaly_names[i]);
}

/* Also a few blocks that nothing should have touched. */
static void check_samples(struct trial *t)
{
	u32 n = t->config->policy.geometry.cont_ptes, i, mm, page;
	struct view view;

	for (i = 0; i < 2; i++) {
		mm = roll(t, REFERENCE_MMS);
		page = roll(t, nr_pages(t)) & ~(n - 1);
		view = view_of(t, mm, page / t->reference->table_pages);
		check_entries(&view, page, page + n);
	}
}

void compare_extents(struct trial *t)
{
	u32 n = t->config->policy.geometry.cont_ptes, mm, table;
	struct extent *extent;
	struct view view;

	for (mm = 0; mm < REFERENCE_MMS; mm++) {
		for (table = 0; table < MAX_TABLES; table++) {
			extent = &t->extents[mm][table];
			if (extent->any)
				reference_spread(t->reference, mm, extent->first, extent->last);
		}
	}
	for (mm = 0; mm < REFERENCE_MMS; mm++) {
		for (table = 0; table < MAX_TABLES; table++) {
			extent = &t->extents[mm][table];
			if (!extent->any)
				continue;
			view = view_of(t, mm, table);
			check_entries(&view, extent->first & ~(n - 1), (extent->last | (n - 1)) + 1);
			extent->any = false;
		}
	}
	check_samples(t);
	check_balance(t);
	flush_cost_check(t);
}

void compare_all(struct trial *t)
{
	u32 size = t->reference->table_pages, mm, table;
	struct view view;

	for (mm = 0; mm < REFERENCE_MMS; mm++) {
		for (table = 0; table < nr_pages(t) / size; table++) {
			view = view_of(t, mm, table);
			check_entries(&view, table * size, (table + 1) * size);
		}
	}
	check_balance(t);
}

/* I16, in words of its own: what a child has, its parent has; it is old; nobody can write what is private. */
void check_fork(struct trial *t, u32 parent, u32 child)
{
	u32 page;

	for (page = 0; page < nr_pages(t); page++) {
		pte_t from = entry_of(t, parent, page), to = entry_of(t, child, page);
		bool shared = t->reference->pages[parent][page].vma & RF_VM_SHARED;
		unsigned long long addr = page_addr(t, page);

		if (!pte_present(to))
			continue;
		require(t, "I16", pte_present(from) && pte_pfn(from) == pte_pfn(to),
			"%llx of the child is not the parent's", addr);
		require(t, "I16", !pte_young(to), "%llx of the child is young", addr);
		require(t, "I16", !shared || !pte_dirty(to), "%llx of the child is dirty", addr);
		require(t, "I16", shared || (!pte_write(to) && !pte_write(from)), "%llx is private and writable", addr);
	}
}
