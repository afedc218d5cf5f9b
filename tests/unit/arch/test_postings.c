// SPDX-License-Identifier: MIT
/*
 * What the postings of the contpte series and ideas beyond them do to folded blocks of 16, where it differs from what
 * was merged. Counts are worked out by hand from the postings: kernel-model.md 2.2, 2.5.
 */
#include "fixture.h"

#define YD (PTE_AF | PTE_DIRTY)
#define RW_YD (PTE_WRITE | YD)

struct expected {
	u64 loads, stores, atomics, flushes, fold, unfold, born, erased;
};

#define expect(f, ...) expect_at(__LINE__, f, (struct expected){ __VA_ARGS__ })

/* Compare, and start counting anew. */
static void expect_at(int line, struct fixture *f, struct expected e)
{
	const struct arch_counters *c = &f->counters;
	struct expected got = { c->pte_loads, c->pte_stores, c->pte_atomics, c->flush_calls,
				c->fold, c->unfold, c->born, c->erased };

	if (memcmp(&got, &e, sizeof(e)))
		fail_msg("line %d, %s: L %llu S %llu X %llu F %llu fold %llu unfold %llu born %llu erased %llu", line,
			 f->policy.name, (unsigned long long)got.loads, (unsigned long long)got.stores,
			 (unsigned long long)got.atomics, (unsigned long long)got.flushes,
			 (unsigned long long)got.fold, (unsigned long long)got.unfold,
			 (unsigned long long)got.born, (unsigned long long)got.erased);
	fixture_zero(f);
}

static struct fixture *mapped(const char *spec, unsigned int nr, u64 bits)
{
	struct fixture *f = fixture_new(spec);

	fixture_map(f, 0, nr, 4, bits);
	fixture_zero(f);
	return f;
}

static pte_t clear_one(struct fixture *f, unsigned int i, bool full)
{
	return f->ops->get_and_clear_full_ptes(&f->mm, fixture_addr(f, i), &f->table[i], 1, full);
}

static void set_one(struct fixture *f, unsigned int i, unsigned int order, u64 bits)
{
	f->ops->set_ptes(&f->mm, fixture_addr(f, i), &f->table[i], fixture_pte(0x100000 + i, order, bits), 1);
}

/* ---- exit of v1 and v2: entry by entry, no unfold, the block half cleared in between ---- */

static void test_exit_tricks(void **state)
{
	static const struct { const char *spec; struct expected first, rest; } cases[] = {
		/* gate, gather, the loop whose result is dropped; then: gate, and an entry that is gone */
		{ "contpte-v1", { 1 + 16 + 16, 0, 1, 0, 0, 0, 0, 0 }, { 15 * 2, 0, 15, 0, 0, 0, 0, 1 } },
		{ "contpte-v1+exit_spread_stored=true", { 33, 16, 1, 0, 0, 0, 0, 0 }, { 30, 0, 15, 0, 0, 0, 0, 1 } },
		{ "contpte-v2", { 1, 0, 1, 0, 0, 0, 0, 0 }, { 15, 0, 15, 0, 0, 0, 0, 1 } },
	};
	struct fixture *f;
	unsigned int j;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 16, RW_YD);
		clear_one(f, 0, true);
		assert_true(pte_cont(f->table[1]));
		assert_int_equal(f->live, 1);
		expect_at(__LINE__, f, cases[i].first);
		for (j = 1; j < 16; j++)
			clear_one(f, j, true);
		assert_int_equal(f->live, 0);
		expect_at(__LINE__, f, cases[i].rest);
		/* A live address space is cleared as ever. */
		fixture_map(f, 16, 16, 4, RW_YD);
		fixture_zero(f);
		clear_one(f, 20, false);
		expect(f, 1, 16, 17, 1, 0, 1, 0, 0);
		free(f);
	}
}

/*
 * The walker marked page 5 by the block's first entry. Once that one is gone, v1 as posted and v2 forget it; v1 as
 * meant does not, and tells it of every page.
 */
static void test_exit_loses_dirty(void **state)
{
	static const struct { const char *spec; bool seen; } cases[] = {
		{ "contpte-v1", false }, { "contpte-v2", false }, { "contpte-v1+exit_spread_stored=true", true },
	};
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 16, PTE_WRITE);
		f->table[0] = pte_mkdirty(f->table[0]);
		assert_true(pte_dirty(f->ops->ptep_get(&f->mm, fixture_addr(f, 5), &f->table[5])));
		assert_true(pte_dirty(clear_one(f, 0, true)));
		assert_int_equal(pte_dirty(f->ops->ptep_get(&f->mm, fixture_addr(f, 5), &f->table[5])), cases[i].seen);
		assert_int_equal(pte_dirty(clear_one(f, 5, true)), cases[i].seen);
		free(f);
	}
}

/* A run is the same trick entry by entry; the run's own A/D are those of all its entries. */
static void test_exit_trick_of_run(void **state)
{
	struct fixture *f = mapped("contpte-v2", 32, PTE_WRITE);
	pte_t pte;

	f->table[20].val |= PTE_AF;
	pte = f->ops->get_and_clear_full_ptes(&f->mm, fixture_addr(f, 8), &f->table[8], 24, true);
	assert_true(pte_young(pte) && !pte_dirty(pte));
	assert_int_equal(pte_pfn(pte), 0x100008);
	assert_int_equal(f->live, 1);
	expect(f, 24, 0, 24, 0, 0, 0, 0, 1);
	free(f);
}

/* ---- access flags of v1 ---- */

static void access_one(struct fixture *f, unsigned int i, bool write)
{
	pte_t entry = pte_mkdirty(pte_mkyoung(f->table[i]));

	assert_true(f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, i), &f->table[i],
						  write ? pte_mkwrite(entry) : entry, true));
}

static void test_access_without_flush(void **state)
{
	struct fixture *f = mapped("contpte-v1", 16, PTE_WRITE);

	access_one(f, 3, true);			/* writable before: only A and D */
	expect(f, 1 + 1 + 16 + 16, 0, 16, 0, 0, 0, 0, 0);
	free(f);
	f = mapped("contpte-v1", 16, 0);
	access_one(f, 3, true);			/* unfolding flushes, what follows does not */
	expect(f, 1 + 1 + 16 + 1, 16, 17, 1, 0, 1, 0, 0);
	access_one(f, 3 + 1, true);		/* not folded any more: flushed as by everybody */
	expect(f, 2, 0, 1, 1, 0, 0, 0, 0);
	free(f);
	f = mapped("contpte-v1+access_flush=dirty", 16, PTE_WRITE);
	access_one(f, 3, true);
	expect(f, 34, 0, 16, 1, 0, 0, 0, 0);
	free(f);
	f = mapped("contpte-v2", 16, 0);
	access_one(f, 3, true);
	expect(f, 19, 16, 17, 2, 0, 1, 0, 0);
	free(f);
}

/* ---- what folds ---- */

static void test_v1_folds_what_is_present(void **state)
{
	static const struct { const char *spec; u64 folds; } cases[] = { { "contpte-v1", 1 }, { "contpte-v2", 0 } };
	struct fixture *f;
	unsigned int j;
	size_t i;
	pte_t pte;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = fixture_new(cases[i].spec);
		for (j = 0; j < 16; j++) {
			pte = pte_modify(fixture_pte(0x100000 + j, 4, YD), false, false, true);
			f->ops->set_ptes(&f->mm, fixture_addr(f, j), &f->table[j], pte, 1);
		}
		assert_int_equal(f->counters.fold, cases[i].folds);
		assert_int_equal(pte_cont(f->table[0]), cases[i].folds);	/* pte_mkcont() makes it valid */
		assert_int_equal(f->live, cases[i].folds);
		fixture_zero(f);
		for (j = 16; j < 32; j++)
			set_one(f, j, 4, YD | PTE_SPECIAL);
		assert_int_equal(f->counters.fold, cases[i].folds);
		free(f);
	}
}

/* fold_sites=any: the order of writes does not matter, and write faults win back the block that the first has cost. */
static void test_fold_any(void **state)
{
	struct fixture *f = fixture_new("linux-6.12+fold_sites=any");
	unsigned int j;

	for (j = 16; j--;)
		set_one(f, j, 4, RW_YD);
	assert_int_equal(f->live, 1);
	expect(f, 16 + 15 + 16, 32, 16, 1, 1, 0, 0, 0);
	free(f);

	f = mapped("linux-6.12+fold_sites=any", 16, YD);
	for (j = 0; j < 16; j++)
		access_one(f, j, true);
	assert_int_equal(f->live, 1);
	/* 34 without attempts; 2 at once; reload and j + 2 each; reload and all */
	expect(f, 34 + 2 + 147 + 17, 32, 48, 18, 1, 1, 0, 0);

	for (j = 0; j < 16; j++)
		f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, j), &f->table[j], 1);
	assert_int_equal(f->counters.fold, 1);
	assert_int_equal(f->live, 1);
	free(f);
}

static void test_fold_span(void **state)
{
	struct fixture *f = fixture_new("linux-6.12+fold_scope=span");
	unsigned int j;

	for (j = 0; j < 16; j++)
		set_one(f, j, 0, RW_YD);
	expect(f, 16 + 16, 32, 16, 1, 1, 0, 0, 0);
	clear_one(f, 7, false);
	assert_int_equal(f->live, 0);
	assert_int_equal(pte_folio_order(f->table[6]), 0);
	expect(f, 1, 16, 17, 1, 0, 1, 0, 0);
	free(f);
}

/* ---- v4 ---- */

/* fork says that it copies everything: single entries are not probed and not folded. */
static void test_v4_fork_helpers(void **state)
{
	struct fixture *f = mapped("contpte-v4", 16, RW_YD);
	unsigned int j;

	f->mm.copying = true;
	for (j = 16; j < 32; j++)
		set_one(f, j, 4, YD);
	expect(f, 0, 16, 0, 0, 0, 0, 0, 0);
	f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 15), &f->table[15], 1);
	expect(f, 1, 16, 17, 1, 0, 1, 0, 0);
	/* A run of a part is tried nevertheless: probe, 4, the last again, a scan that fails at once. */
	f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 12), &f->table[12], 4);
	expect(f, 1 + 4 + 1 + 1, 0, 4, 0, 0, 0, 0, 0);
	f->mm.copying = false;
	set_one(f, 32, 4, YD);
	expect(f, 1, 1, 0, 0, 0, 0, 0, 0);
	f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 0), &f->table[0], 1);
	expect(f, 2, 0, 1, 0, 0, 0, 0, 0);
	free(f);
}

static void test_v4_set_and_clear(void **state)
{
	struct fixture *f = fixture_new("contpte-v4");

	fixture_map(f, 0, 16, 4, RW_YD);
	expect(f, 17, 16, 0, 0, 0, 0, 1, 0);
	f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 0), f->table, 16);
	expect(f, 16, 0, 16, 0, 0, 0, 0, 0);
	f->ops->clear_full_ptes(&f->mm, fixture_addr(f, 0), f->table, 16, true);
	expect(f, 0, 0, 16, 0, 0, 0, 0, 1);
	free(f);
}

/* ---- v5: the arch layer first takes runs apart ---- */

static void test_v5_stages(void **state)
{
	static const struct { const char *spec; struct expected wrprotect, clear, ascending; } cases[] = {
		{ "contpte-v5-basic", { 32, 16, 32, 1, 0, 1, 0, 0 }, { 16, 16, 32, 1, 0, 1, 0, 0 },
		  { 16, 16, 0, 0, 0, 0, 0, 0 } },
		{ "contpte-v5-batch", { 16, 0, 16, 0, 0, 0, 0, 0 }, { 0, 0, 16, 0, 0, 0, 0, 1 },
		  { 16, 16, 0, 0, 0, 0, 0, 0 } },
		{ "contpte-v5-fold", { 16, 0, 16, 0, 0, 0, 0, 0 }, { 0, 0, 16, 0, 0, 0, 0, 1 },
		  { 32, 32, 16, 1, 1, 0, 0, 0 } },
	};
	struct fixture *f;
	unsigned int j;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 32, RW_YD);
		f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 0), f->table, 16);
		expect_at(__LINE__, f, cases[i].wrprotect);
		f->ops->clear_full_ptes(&f->mm, fixture_addr(f, 16), &f->table[16], 16, false);
		expect_at(__LINE__, f, cases[i].clear);
		for (j = 32; j < 48; j++)
			set_one(f, j, 4, RW_YD);
		expect_at(__LINE__, f, cases[i].ascending);
		assert_int_equal(f->ops->pte_batch_hint(&f->mm, fixture_addr(f, 3), (pte_t){ PTE_VALID | PTE_CONT }),
				 i ? 13 : 1);
		free(f);
	}
}

/* ---- PROT_NONE: valid blocks, entries with a stray bit, plain entries ---- */

static void test_protnone(void **state)
{
	static const struct { const char *spec; u64 bits, born, dsb; } cases[] = {
		{ "linux-6.12.107", PTE_CONT | PTE_VALID, 1, 16 }, { "linux-6.12", 0, 0, 0 },
		{ "linux-6.17", PTE_CONT, 0, 0 }, { "linux-7.2", PTE_CONT, 0, 0 }, { "linux-7.3", 0, 0, 0 },
	};
	struct fixture *f;
	size_t i;
	pte_t pte;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = fixture_new(cases[i].spec);
		pte = pte_modify(fixture_pte(0x100000, 5, YD), false, false, true);
		f->ops->set_ptes(&f->mm, fixture_addr(f, 8), &f->table[8], pte_advance_pfn(pte, 8), 24);
		assert_int_equal(f->table[8].val & (PTE_CONT | PTE_VALID), 0);
		assert_int_equal(f->table[16].val & (PTE_CONT | PTE_VALID), cases[i].bits);
		assert_int_equal(f->live, cases[i].born);
		assert_int_equal(f->counters.dsb, cases[i].dsb);
		expect(f, 0, 24, 0, 0, 0, 0, cases[i].born, 0);
		/* The bit alone makes no block: it is neither gathered nor unfolded. */
		f->ops->ptep_get(&f->mm, fixture_addr(f, 16), &f->table[16]);
		assert_int_equal(f->counters.pte_loads, cases[i].born ? 17 : 1);
		free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_tricks),
		cmocka_unit_test(test_exit_loses_dirty),
		cmocka_unit_test(test_exit_trick_of_run),
		cmocka_unit_test(test_access_without_flush),
		cmocka_unit_test(test_v1_folds_what_is_present),
		cmocka_unit_test(test_fold_any),
		cmocka_unit_test(test_fold_span),
		cmocka_unit_test(test_v4_fork_helpers),
		cmocka_unit_test(test_v4_set_and_clear),
		cmocka_unit_test(test_v5_stages),
		cmocka_unit_test(test_protnone),
	};

	return cmocka_run_group_tests_name("postings", tests, NULL, NULL);
}
