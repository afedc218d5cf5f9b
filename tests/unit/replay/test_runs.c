// SPDX-License-Identifier: MIT
/*
 * Entries and page frames kept by the run are what single ones are: folios of all sizes are mapped, in order and not,
 * forked, protected, moved and unmapped, whole and in part, and each entry, each page's mappings in their order, and
 * what else is known of a page are compared with a plain model that knows no runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replay/world/world.h"

#define ADDRESS_SPACES 90	/* so that a page has a long list, which is indexed */
#define VPNS 2048
#define PFNS 2048
#define FIRST_PFN 1024

struct mapping {
	u32 mm;
	u64 vpn;
};

/* The newest mapping is the last. */
struct page {
	struct mapping *mappings;
	size_t nr, room;
	u32 order, cached_at;
	bool readahead;
};

struct model {
	struct world *world;
	struct world_mm *mms[ADDRESS_SPACES];	/* NULL: none */
	world_pte ptes[ADDRESS_SPACES][VPNS];
	struct page pages[PFNS];
	bool coarse;		/* nothing is done to a part of a run */
	u64 whole;		/* runs seen: entries, and page frames */
	size_t longest;		/* list of one page, and of one that is of a run */
	size_t longest_whole;
};

static u64 below(u64 limit)
{
	return (u64)random() % limit;
}

/* ---- the plain way, entry by entry ------------------------------------------------------------- */

static struct page *page_of(struct model *m, world_pte pte)
{
	return &m->pages[world_pte_pfn(pte) - FIRST_PFN];
}

static void page_add(struct page *page, u32 mm, u64 vpn)
{
	if (page->nr == page->room) {
		page->room = page->room ? page->room * 2 : 4;
		page->mappings = realloc(page->mappings, page->room * sizeof(*page->mappings));
		assert_non_null(page->mappings);
	}
	page->mappings[page->nr++] = (struct mapping){ mm, vpn };
}

static void page_remove(struct page *page, u32 mm, u64 vpn)
{
	/* The newest: of a page that takes its own place, the one that was just added. */
	for (size_t i = page->nr; i--;)
		if (page->mappings[i].mm == mm && page->mappings[i].vpn == vpn) {
			memmove(&page->mappings[i], &page->mappings[i + 1],
				(--page->nr - i) * sizeof(*page->mappings));
			return;
		}
	fail();
}

static void plain_set(struct model *m, u32 mm, u64 vpn, world_pte pte)
{
	world_pte old = m->ptes[mm][vpn];

	if (world_pte_mapped(pte))
		page_add(page_of(m, pte), mm, vpn);
	if (world_pte_mapped(old))
		page_remove(page_of(m, old), mm, vpn);
	m->ptes[mm][vpn] = pte;
}

/* ---- both ways --------------------------------------------------------------------------------- */

static u32 some_mm(struct model *m)
{
	u32 mm = (u32)below(ADDRESS_SPACES);

	/* One has many children. */
	return m->mms[mm] && below(2) ? mm : 0;
}

static void range(const struct model *m, u64 *start, u64 *nr)
{
	*start = below(VPNS);
	*nr = 1 + below(below(4) ? 64 : VPNS);
	if (m->coarse || below(2)) {
		*start &= ~15ull;
		*nr = (*nr | 15) + 1;
	}
	*nr = min_u64(*nr, VPNS - *start);
}

static void map_folio(struct model *m)
{
	u32 mm = some_mm(m), order = m->coarse || below(3) ? 4 + (u32)below(6) : (u32)below(4);
	u64 nr = BIT_ULL(order), pfn = FIRST_PFN + (below(PFNS) & ~(nr - 1));
	u64 vpn = below(VPNS) & ~(nr - 1), skipped = 0;
	world_pte pte;

	if (!m->coarse && !below(8))	/* not as it lies in memory */
		vpn = min_u64(vpn + below(16), VPNS - nr);
	if (!m->coarse && !below(8)) {	/* a part of it */
		skipped = below(nr);
		nr -= skipped;
	}
	/* As in a kernel, its page frames are of one folio from now on, whatever maps them. */
	folio_set(m->world, pfn, order);
	for (u64 i = 0; i < BIT_ULL(order); i++)
		m->pages[pfn - FIRST_PFN + i].order = order;
	pte = world_mkpte(below(2) ? WORLD_ANON : WORLD_FILE, pfn + skipped, WORLD_WRITE | WORLD_EXCLUSIVE);
	world_set_pages(m->world, m->mms[mm], vpn, pte, nr);
	for (u64 i = 0; i < nr; i++)
		plain_set(m, mm, vpn + i, pte + i);
}

static void set_one(struct model *m)
{
	u32 mm = some_mm(m);
	u64 vpn = below(VPNS);
	world_pte pte = below(2) ? 0 : world_mkpte(below(3) ? WORLD_FILE : WORLD_ZERO, FIRST_PFN + below(PFNS), 0);

	if (m->coarse)
		return;
	assert_int_equal(world_set(m->world, m->mms[mm], vpn, pte), m->ptes[mm][vpn]);
	plain_set(m, mm, vpn, pte);
}

static void set_flags(struct model *m)
{
	static const u64 flags[] = { WORLD_WRITE, WORLD_EXCLUSIVE, WORLD_LAZYFREE, WORLD_MIGRATION };
	u64 set = flags[below(4)], clear = flags[below(4)], start, nr;
	u32 mm = some_mm(m);

	range(m, &start, &nr);
	world_set_flags(m->world, m->mms[mm], start, nr, set, clear);
	for (u64 vpn = start; vpn < start + nr; vpn++)
		if (m->ptes[mm][vpn])
			m->ptes[mm][vpn] = (m->ptes[mm][vpn] & ~clear) | set;
}

static void zap(struct model *m)
{
	u64 start, nr, present = 0;
	u32 mm = some_mm(m);

	range(m, &start, &nr);
	for (u64 vpn = start; vpn < start + nr; vpn++) {
		present += world_pte_present(m->ptes[mm][vpn]);
		plain_set(m, mm, vpn, 0);
	}
	assert_int_equal(world_zap(m->world, m->mms[mm], start, start + nr), present);
	assert_true(world_range_none(m->mms[mm], start, nr));
}

static void move(struct model *m)
{
	u64 start, nr, dst;
	u32 mm = some_mm(m);

	range(m, &start, &nr);
	nr = min_u64(nr, VPNS / 4);
	dst = (start + nr + below(below(2) ? 64 : VPNS)) % VPNS;	/* near: in the same table */
	if (m->coarse)
		dst &= ~15ull;
	if (dst + nr > VPNS || (dst < start + nr && start < dst + nr))
		return;
	world_move(m->world, m->mms[mm], start, start + nr, dst);
	for (u64 i = 0; i < nr; i++)
		if (m->ptes[mm][start + i]) {
			plain_set(m, mm, dst + i, m->ptes[mm][start + i]);
			plain_set(m, mm, start + i, 0);
		}
}

static void new_mm(struct model *m, u32 mm)
{
	m->mms[mm] = world_mm_new(m->world);
	assert_non_null(m->mms[mm]);
}

static void fork_one(struct model *m)
{
	struct world_vma vma = { .start = 0, .end = VPNS << 12, .flags = RF_VM_READ | RF_VM_WRITE, .anon_vma = 1 };
	u32 parent = some_mm(m), child = (u32)below(ADDRESS_SPACES);

	if (m->mms[child])
		return;
	new_mm(m, child);
	if (!world_vma_first(m->mms[parent]))
		assert_non_null(world_vma_insert(m->world, m->mms[parent], &vma));
	world_fork(m->world, m->mms[parent], m->mms[child]);
	for (u64 vpn = 0; vpn < VPNS; vpn++) {
		if (!m->ptes[parent][vpn])
			continue;
		m->ptes[parent][vpn] &= ~(WORLD_WRITE | WORLD_EXCLUSIVE);
		plain_set(m, child, vpn, m->ptes[parent][vpn]);
	}
}

static void exit_one(struct model *m)
{
	u32 mm = some_mm(m);

	if (!mm)	/* one stays */
		return;
	world_mm_free(m->world, m->mms[mm]);
	m->mms[mm] = NULL;
	for (u64 vpn = 0; vpn < VPNS; vpn++)
		plain_set(m, mm, vpn, 0);
}

/* A page frame of its own, or a whole folio, gets what no mapping has. */
static void know(struct model *m)
{
	u64 page = below(PFNS) & ~15ull;
	u32 at = (u32)below(3);

	if (m->coarse || !below(4)) {
		folio_set_cached(m->world, FIRST_PFN + page, 4, at);
		for (u64 i = 0; i < 16; i++)
			m->pages[page + i].cached_at = at;
		return;
	}
	page += below(16);
	m->pages[page].readahead = below(2);
	m->pages[page].cached_at = at;
	world_page(m->world, FIRST_PFN + page)->readahead = m->pages[page].readahead;
	world_page(m->world, FIRST_PFN + page)->cached_at = at;
}

/* ---- are they the same? ------------------------------------------------------------------------ */

struct seen {
	struct model *m;
	const world_pte *ptes;
	u64 next;
};

static void see_run(void *context, u64 vpn, world_pte pte, u32 nr)
{
	struct seen *seen = context;

	assert_true(nr == 1 || (nr == WORLD_RUN && vpn % WORLD_RUN == 0));
	for (; seen->next < vpn; seen->next++)
		assert_int_equal(seen->ptes[seen->next], 0);
	for (u32 i = 0; i < nr; i++)
		assert_int_equal(seen->ptes[seen->next++], pte + i);
	seen->m->whole += nr > 1;
}

static void compare_mm(struct model *m, u32 mm)
{
	struct seen seen = { .m = m, .ptes = m->ptes[mm] };
	s64 counted[RF_RSS_MEMBERS] = { 0 };

	for (u64 vpn = 0; vpn < VPNS; vpn++) {
		world_pte pte = m->ptes[mm][vpn];

		assert_int_equal(world_get(m->mms[mm], vpn), pte);
		counted[RF_RSS_ANON] += world_pte_kind(pte) == WORLD_ANON;
		counted[RF_RSS_FILE] += world_pte_kind(pte) == WORLD_FILE;
	}
	assert_memory_equal(counted, m->mms[mm]->counted, sizeof(counted));
	world_walk_runs(m->mms[mm], 0, VPNS, see_run, &seen);
	for (; seen.next < VPNS; seen.next++)
		assert_int_equal(seen.ptes[seen.next], 0);
}

static void compare_page(struct model *m, u64 number)
{
	const struct world_page *known = world_page_find(m->world, FIRST_PFN + number);
	const struct page *page = &m->pages[number];
	const struct world_map *maps;

	assert_int_equal(rmap_collect(m->world, FIRST_PFN + number, &maps), page->nr);
	assert_int_equal(rmap_is_mapped(m->world, FIRST_PFN + number), page->nr > 0);
	for (size_t i = 0; i < page->nr; i++) {
		const struct mapping *mapping = &page->mappings[page->nr - 1 - i];

		assert_int_equal(maps[i].vpn, mapping->vpn);
		assert_int_equal(maps[i].mm, m->mms[mapping->mm]->id);
	}
	m->longest = max_u64(m->longest, page->nr);
	if (world_page_run(m->world, FIRST_PFN + number))
		m->longest_whole = max_u64(m->longest_whole, page->nr);
	assert_int_equal(folio_order(m->world, FIRST_PFN + number), page->order);
	assert_int_equal(known ? known->cached_at : 0, page->cached_at);
	assert_int_equal(known ? known->readahead : 0, page->readahead);
	for (u64 i = 0; i < world_page_span(m->world, FIRST_PFN + number); i++)
		assert_ptr_equal(world_page_find(m->world, FIRST_PFN + number + i), known);
}

static void compare(struct model *m)
{
	for (u32 mm = 0; mm < ADDRESS_SPACES; mm++)
		if (m->mms[mm])
			compare_mm(m, mm);
	for (u64 number = 0; number < PFNS; number++)
		compare_page(m, number);
	assert_false(world_out_of_memory(m->world));
}

static void step(struct model *m, u64 forks)
{
	u64 dice = below(100);

	if (below(100) < forks)
		fork_one(m);
	else if (dice < 35)
		map_folio(m);
	else if (dice < 45)
		set_one(m);
	else if (dice < 60)
		set_flags(m);
	else if (dice < 70)
		zap(m);
	else if (dice < 80)
		move(m);
	else if (dice < 87)
		exit_one(m);
	else
		know(m);
}

/* Some have few address spaces, some many, so that lists get long, while what is mapped is whole and when it is not. */
static void check(unsigned int seed, int steps, u64 forks, size_t longest)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->world = world_create(12, sizeof(struct world_mm));
	assert_non_null(m->world);
	srandom(seed);
	new_mm(m, 0);
	for (int i = 0; i < steps; i++) {
		m->coarse = i < steps / 2;
		step(m, forks);
		if (i % 50 == 0)
			compare(m);
		if (i == steps / 2)
			assert_true(m->whole && m->longest_whole >= longest);
	}
	compare(m);
	assert_true(m->longest >= longest);
	for (u64 number = 0; number < PFNS; number++)
		free(m->pages[number].mappings);
	for (u32 mm = 0; mm < ADDRESS_SPACES; mm++)
		if (m->mms[mm])
			world_mm_free(m->world, m->mms[mm]);
	world_destroy(m->world);
	free(m);
}

static void are_single_ones(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 20; seed++)
		check(seed, 600, seed % 2 ? 3 : 10, 0);
}

static void are_single_ones_in_many_address_spaces(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 3; seed++)
		check(seed, 1200, 50, 65);
}

/* What was taken apart is whole again in the next folio, and in the next table. */
static void come_back(void **state)
{
	const world_pte pte = world_mkpte(WORLD_ANON, FIRST_PFN, 0);
	struct world *world = world_create(12, sizeof(struct world_mm));
	struct world_mm *mm = world ? world_mm_new(world) : NULL;

	(void)state;
	assert_non_null(mm);
	for (int i = 0; i < 3; i++) {
		folio_set(world, FIRST_PFN, 5);
		assert_int_equal(world_page_span(world, FIRST_PFN), WORLD_RUN);
		world_set_pages(world, mm, 0, pte, 32);
		assert_int_equal(world_page_span(world, FIRST_PFN), WORLD_RUN);
		world_set(world, mm, 3, 0);
		assert_int_equal(world_page_span(world, FIRST_PFN), 1);
		assert_int_equal(world_page_span(world, FIRST_PFN + WORLD_RUN), WORLD_RUN);
		assert_int_equal(world_zap(world, mm, 0, 32), 31);
	}
	world_mm_free(world, mm);
	world_destroy(world);
}

/* Of the pages of a run, one is not like the others: does it stay so in a new folio? */
static void one_apart(struct world *world, void (*set)(struct world_page *page),
		      bool (*is_set)(const struct world_page *page))
{
	folio_set(world, FIRST_PFN, 0);
	set(world_page(world, FIRST_PFN + 5));
	folio_set(world, FIRST_PFN, 4);
	for (u64 i = 0; i < WORLD_RUN; i++)
		assert_int_equal(is_set(world_page_find(world, FIRST_PFN + i)), i == 5);
	*world_page(world, FIRST_PFN + 5) = (struct world_page){ 0 };
	folio_set(world, FIRST_PFN, 4);
	assert_int_equal(world_page_span(world, FIRST_PFN), WORLD_RUN);
}

#define APART(member)								\
static void set_##member(struct world_page *page)				\
{										\
	page->member = 1;							\
}										\
										\
static bool has_##member(const struct world_page *page)				\
{										\
	return page->member;							\
}

APART(mm)
APART(slot)
APART(readahead)
APART(leaves)
APART(cached_at)

static void are_apart(void **state)
{
	struct world *world = world_create(12, sizeof(struct world_mm));

	(void)state;
	assert_non_null(world);
	one_apart(world, set_mm, has_mm);
	one_apart(world, set_slot, has_slot);
	one_apart(world, set_readahead, has_readahead);
	one_apart(world, set_leaves, has_leaves);
	one_apart(world, set_cached_at, has_cached_at);
	world_destroy(world);
}

/* As damaged traces have them: not aligned to their size. */
static void may_lie_anywhere(void **state)
{
	struct world *world = world_create(12, sizeof(struct world_mm));

	(void)state;
	assert_non_null(world);
	folio_set(world, FIRST_PFN, 8);
	folio_set(world, FIRST_PFN + 3, 5);
	folio_set_cached(world, FIRST_PFN + 68, 5, 7);
	folio_set_cached(world, FIRST_PFN + 128, 2, 7);
	for (u64 i = 0; i < 256; i++) {
		const struct world_page *page = world_page_find(world, FIRST_PFN + i);

		assert_int_equal(page->order, i >= 3 && i < 35 ? 5 : 8);
		assert_int_equal(page->cached_at, (i >= 68 && i < 100) || (i >= 128 && i < 132) ? 7 : 0);
	}
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(are_single_ones),
		cmocka_unit_test(are_single_ones_in_many_address_spaces),
		cmocka_unit_test(come_back),
		cmocka_unit_test(are_apart),
		cmocka_unit_test(may_lie_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
