// SPDX-License-Identifier: MIT
/*
 * What helpers cost on folded blocks: the counts of kernel-model.md 2.5, 2.6 and 10, for 2M of 64K folios on 4K pages
 * unless said otherwise. Those that real code gave are named "measured"; all others were derived by hand.
 */
#include "fixture.h"

#define YD (PTE_AF | PTE_DIRTY)
#define RW_YD (PTE_WRITE | YD)

/* Compare the counters that are named; the rest is free. -1: any. */
struct expected {
	s64 loads, stores, atomics, flushes, tlbi, dsb;
	s64 fold, unfold, born, erased;
};

static void expect_one(const char *spec, const char *what, s64 wanted, u64 got)
{
	if (wanted >= 0 && (u64)wanted != got)
		fail_msg("%s: %s is %llu, not %lld", spec, what, (unsigned long long)got, (long long)wanted);
}

static void expect(struct fixture *f, const char *spec, struct expected e)
{
	const struct arch_counters *c = &f->counters;

	expect_one(spec, "loads", e.loads, c->pte_loads);
	expect_one(spec, "stores", e.stores, c->pte_stores);
	expect_one(spec, "atomics", e.atomics, c->pte_atomics);
	expect_one(spec, "flush_calls", e.flushes, c->flush_calls);
	expect_one(spec, "tlbi", e.tlbi, c->tlbi);
	expect_one(spec, "dsb", e.dsb, c->dsb);
	expect_one(spec, "fold", e.fold, c->fold);
	expect_one(spec, "unfold", e.unfold, c->unfold);
	expect_one(spec, "born", e.born, c->born);
	expect_one(spec, "erased", e.erased, c->erased);
	assert_int_equal(c->dsb, c->dsb_ishst + c->dsb_ish + c->dsb_nsh);
	assert_int_equal(c->tlbi, c->tlbi_va + c->tlbi_range + c->tlbi_asid + c->tlbi_repeat);
	free(f);
}

static struct fixture *mapped(const char *spec, unsigned int nr, unsigned int order, u64 bits)
{
	struct fixture *f = fixture_new(spec);

	fixture_map(f, 0, nr, order, bits);
	fixture_zero(f);
	return f;
}

static void test_fault_in(void **state)
{
	static const struct { const char *spec; s64 loads; } cases[] = {
		{ "contpte-v3", 544 }, { "linux-6.9", 0 }, { "linux-6.12", 0 }, { "linux-7.3", 0 }, { "linux-6.8", 0 },
	};
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = fixture_new(cases[i].spec);
		fixture_map(f, 0, 512, 4, RW_YD);
		assert_int_equal(f->live, f->policy.arch_knobs.cont ? 32 : 0);
		expect(f, cases[i].spec, (struct expected){ .loads = cases[i].loads, .stores = 512,
							    .born = f->live });
	}
}

static void test_ptep_get(void **state)
{
	static const struct { const char *spec; u64 bits; s64 loads, lines; } cases[] = {
		{ "contpte-v3", YD, 17, 2 }, { "linux-6.12", YD, 17, 2 }, { "linux-6.12", 0, 17, 2 },
		{ "linux-7.3", YD, 3, 1 }, { "linux-7.3", 0, 17, 2 }, { "linux-7.3", PTE_AF, 17, 2 },
		{ "linux-7.3", PTE_DIRTY, 18, 2 }, /* C5 */
		{ "linux-7.3+getter=raw", YD, 1, 1 }, { "linux-6.8", YD, 1, 1 },
	};
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 16, 4, cases[i].bits);
		f->ops->ptep_get(&f->mm, fixture_addr(f, 3), &f->table[3]);
		assert_int_equal(f->counters.ptep_get, 1);
		assert_int_equal(f->counters.pte_lines, cases[i].lines);
		expect(f, cases[i].spec, (struct expected){ .loads = cases[i].loads });
	}
}

/* Where the first A and D are decides how far the early getter goes: kernel-model.md 2.5. */
static void test_early_getter_positions(void **state)
{
	static const struct { u64 young, dirty; s64 loads; } cases[] = {
		{ 1 << 5, 0, 1 + 16 }, { 0, 1 << 5, 1 + 6 + 11 }, { 1 << 5, 1 << 9, 1 + 10 },
		{ 1 << 9, 1 << 5, 1 + 11 },
		{ 1 << 15, 1 << 15, 1 + 17 }, { 1 << 3, 1 << 3, 1 + 5 }, { 0, 1 << 15, 1 + 17 }, { 1 << 15, 0, 1 + 16 },
		{ 1 | 1 << 7, 1 << 7, 1 + 8 },
	};
	struct fixture *f;
	unsigned int j;
	size_t i;
	pte_t pte;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped("linux-7.3", 16, 4, 0);
		for (j = 0; j < 16; j++) {
			f->table[j].val |= cases[i].young >> j & 1 ? PTE_AF : 0;
			f->table[j].val |= cases[i].dirty >> j & 1 ? PTE_DIRTY : 0;
		}
		pte = f->ops->ptep_get(&f->mm, fixture_addr(f, 0), &f->table[0]);
		assert_int_equal(pte_young(pte), !!cases[i].young);
		assert_int_equal(pte_dirty(pte), !!cases[i].dirty);
		pte = f->ops->ptep_get_lockless(&f->mm, fixture_addr(f, 0), &f->table[0]);
		assert_int_equal(pte_young(pte), !!cases[i].young);
		expect(f, "linux-7.3", (struct expected){ .loads = 2 * cases[i].loads + 1 });
	}
}

static void test_lockless(void **state)
{
	static const struct { const char *spec; s64 loads; } cases[] = {
		{ "linux-6.12", 18 }, { "linux-7.3", 4 }, { "norecency-rfc", 1 }, { "contpte-v3", 18 },
		{ "linux-6.12+lockless=unlocked_get", 17 }, { "linux-6.8", 1 },
	};
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 16, 4, YD);
		f->ops->ptep_get_lockless(&f->mm, fixture_addr(f, 15), &f->table[15]);
		assert_int_equal(f->counters.ptep_get_lockless, 1);
		assert_int_equal(f->counters.ptep_get, 0);
		expect(f, cases[i].spec, (struct expected){ .loads = cases[i].loads });
	}
}

static void test_get_and_clear_one(void **state)
{
	static const struct { const char *spec; struct expected e; } cases[] = {
		{ "contpte-v3", { 1, 16, 17, 1, 1, 2, 0, 1, 0, 0 } },
		{ "linux-6.12", { 1, 16, 17, 1, 1, 2, 0, 1, 0, 0 } },
		{ "linux-7.3", { 1, 16, 17, 1, 1, 2, 0, 1, 0, 0 } },
		{ "linux-7.3+tlbi=single", { 1, 16, 17, 1, 16, 2, 0, 1, 0, 0 } },
		{ "linux-7.3+bbml3=true", { 1, 16, 17, 0, 0, 0, 0, 1, 0, 0 } },
		{ "linux-6.8", { 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 } },
	};
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 512, 4, RW_YD);
		f->ops->ptep_get_and_clear(&f->mm, fixture_addr(f, 37), &f->table[37]);
		expect(f, cases[i].spec, cases[i].e);
	}
}

static void test_wrprotect(void **state)
{
	static const struct { const char *spec; struct expected e; } one[] = {
		{ "contpte-v3", { 3, 16, 17, 1, 1, 2, 0, 1, 0, 0 } },
		{ "linux-6.9", { 1, 16, 17, 1, 1, 2, 0, 1, 0, 0 } },
		{ "linux-7.3", { 1, 16, 17, 1, 1, 2, 0, 1, 0, 0 } },
		{ "linux-6.8", { 1, 0, 1, 0, 0, 0, 0, 0, 0, 0 } },
	};
	static const char *const all[] = { "contpte-v3", "linux-6.12", "linux-7.3", "linux-6.8", "generic-batch" };
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(one); i++) {
		f = mapped(one[i].spec, 512, 4, RW_YD);
		f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 37), &f->table[37], 1);
		expect(f, one[i].spec, one[i].e);
	}
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		f = mapped(all[i], 512, 9, RW_YD);
		f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 0), f->table, 512);
		assert_int_equal(f->live, f->policy.arch_knobs.cont ? 32 : 0);
		assert_int_equal(f->counters.pte_lines, 64);
		expect(f, all[i], (struct expected){ .loads = 512, .atomics = 512 });
	}
	/* C2, measured: the entry's own A/D differ from the block's, so the cmpxchg fails once. */
	f = mapped("linux-6.12", 16, 4, PTE_WRITE | PTE_AF);
	f->table[9].val &= ~PTE_RDONLY;
	f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 2), &f->table[2], 1);
	assert_true(pte_dirty(f->table[2]) && !pte_write(f->table[2]));
	expect(f, "C2", (struct expected){ 1, 16, 18, 1, 1, 2, 0, 1, 0, 0 });
}

/* A sweep of single write protections ends in a fold in the v3 era, and only unfolds later. */
static void test_wrprotect_sweep(void **state)
{
	static const struct { const char *spec; struct expected e; } cases[] = {
		/* 512 ptep_get: 32 x (17 + 15); per entry probe, load, second load; fold checks */
		{ "contpte-v3", { 3072, 1024, 1536, 64, 64, 128, 32, 32, 0, 0 } },
		{ "linux-6.12", { 1536, 512, 1024, 32, 32, 64, 0, 32, 0, 0 } },
		{ "linux-7.3", { 1088, 512, 1024, 32, 32, 64, 0, 32, 0, 0 } },
	};
	struct fixture *f;
	unsigned int j;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 512, 4, RW_YD);
		for (j = 0; j < 512; j++) {
			f->ops->ptep_get(&f->mm, fixture_addr(f, j), &f->table[j]);
			f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, j), &f->table[j], 1);
		}
		expect(f, cases[i].spec, cases[i].e);
	}
	/* The series before patches 14 and 15: a batch is a loop of singles, in wrprotect and in clear. */
	f = mapped("contpte-v3-noopt", 512, 9, RW_YD);
	f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, 0), f->table, 512);
	expect(f, "noopt wrprotect", (struct expected){ 2048, 1024, 1536, 64, 64, 128, 32, 32, 0, 0 });
	f = mapped("contpte-v3-noopt+tlbi=single", 512, 9, RW_YD);
	f->ops->clear_full_ptes(&f->mm, fixture_addr(f, 0), f->table, 512, true);
	expect(f, "noopt clear", (struct expected){ 512, 512, 1024, 32, 512, 64, 0, 32, 0, 0 });
}

static void test_clear(void **state)
{
	static const char *const specs[] = { "contpte-v3", "linux-6.9", "linux-6.12", "linux-7.3" };
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		f = mapped(specs[i], 512, 9, RW_YD);
		f->ops->clear_full_ptes(&f->mm, fixture_addr(f, 0), f->table, 512, false);
		assert_int_equal(f->live, 0);
		expect(f, specs[i], (struct expected){ .atomics = 512, .erased = 32 });

		f = mapped(specs[i], 512, 9, RW_YD);
		f->ops->get_and_clear_full_ptes(&f->mm, fixture_addr(f, 8), &f->table[8], 496, false);
		assert_int_equal(f->live, 0);
		assert_int_equal(f->counters.pte_lines, 64);
		expect(f, specs[i], (struct expected){ 2, 32, 528, 2, 2, 4, 0, 2, 0, 30 });
	}
	/* Both edges in one block: the second probe finds it unfolded. */
	f = mapped("linux-6.12+tlbi=single", 16, 4, RW_YD);
	f->ops->clear_full_ptes(&f->mm, fixture_addr(f, 2), &f->table[2], 5, false);
	assert_int_equal(f->counters.pte_lines, 2);
	expect(f, "one block", (struct expected){ 2, 16, 21, 1, 16, 2, 0, 1, 0, 0 });
}

/* Per entry, as munmap did before 6.9, with the flush of the whole at the end. */
static void test_zap_per_pte(void **state)
{
	static const struct { const char *spec; struct expected e; } cases[] = {
		{ "contpte-v3", { 1536, 512, 1024, 33, 33, 66, 0, 32, 0, 0 } },
		{ "linux-6.12", { 1536, 512, 1024, 33, 33, 66, 0, 32, 0, 0 } },
		/*
		 * 512 pages are too many without ranges: flush_tlb_mm() waits, and until 7.2 its caller does once more.
		 */
		{ "linux-6.12+tlbi=single", { 1536, 512, 1024, 33, 513, 67, 0, 32, 0, 0 } },
		{ "linux-7.3+tlbi=single", { 1088, 512, 1024, 33, 513, 66, 0, 32, 0, 0 } },
		{ "linux-7.3", { 1088, 512, 1024, 33, 33, 66, 0, 32, 0, 0 } },
	};
	struct arch_flush flush = { FIXTURE_BASE, FIXTURE_BASE + 0x200000, 0x1000, true, FLUSH_LEVEL_PTE, FLUSH_SYNC };
	struct fixture *f;
	unsigned int j;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 512, 4, RW_YD);
		for (j = 0; j < 512; j++) {
			f->ops->ptep_get(&f->mm, fixture_addr(f, j), &f->table[j]);
			f->ops->clear_full_ptes(&f->mm, fixture_addr(f, j), &f->table[j], 1, false);
		}
		f->ops->tlb_flush(&f->mm, &flush, false, false);
		expect(f, cases[i].spec, cases[i].e);
	}
}

/* mprotect entry by entry: unfolded at the first of a block, folded again at the last. */
static void test_mprotect(void **state)
{
	struct fixture *f = mapped("linux-6.12", 512, 4, RW_YD);
	unsigned int j;
	pte_t old;

	for (j = 0; j < 512; j++) {
		f->ops->ptep_get(&f->mm, fixture_addr(f, j), &f->table[j]);
		old = f->ops->modify_prot_start_ptes(&f->mm, fixture_addr(f, j), &f->table[j], 1);
		f->ops->modify_prot_commit_ptes(&f->mm, fixture_addr(f, j), &f->table[j], old,
						pte_modify(old, false, false, false), 1);
	}
	expect(f, "6.12 all", (struct expected){ 2560, 1536, 1536, 64, 64, 128, 32, 32, 0, 0 });

	f = mapped("linux-7.3", 512, 9, RW_YD);
	old = f->ops->modify_prot_start_ptes(&f->mm, fixture_addr(f, 0), f->table, 512);
	f->ops->modify_prot_commit_ptes(&f->mm, fixture_addr(f, 0), f->table, old, pte_modify(old, false, false, false),
					512);
	assert_int_equal(f->live, 32);
	expect(f, "7.3 all", (struct expected){ 0, 512, 512, 0, 0, 0, 0, 0, 32, 32 });
}

static void test_mremap_destination(void **state)
{
	struct fixture *f = fixture_new("linux-6.12");
	unsigned int j;

	for (j = 0; j < 512; j++)
		f->ops->set_ptes(&f->mm, fixture_addr(f, j), &f->table[j], fixture_pte(0x100000 + j, 4, RW_YD), 1);
	expect(f, "congruent", (struct expected){ 1024, 1024, 512, 32, 32, 64, 32, 0, 0, 0 });
	/* One page off: the gate never opens. */
	f = fixture_new("linux-6.12");
	for (j = 0; j < 512; j++)
		f->ops->set_ptes(&f->mm, fixture_addr(f, j + 1), &f->table[j + 1], fixture_pte(0x100000 + j, 4, RW_YD),
				 1);
	expect(f, "not congruent", (struct expected){ 512, 512, 0, 0, 0, 0, 0, 0, 0, 0 });
}

/* What does not fold: order, folios that are too small, special, other permissions. */
static void test_no_fold(void **state)
{
	struct fixture *f = fixture_new("linux-6.12");
	int j;

	for (j = 15; j >= 0; j--) /* from the last to the first */
		f->ops->set_ptes(&f->mm, fixture_addr(f, j), &f->table[j], fixture_pte(0x100000 + j, 4, RW_YD), 1);
	expect(f, "downwards", (struct expected){ 17, 16, 0, 0, 0, 0, 0, 0, 0, 0 });

	f = fixture_new("linux-6.12");
	for (j = 0; j < 16; j++) /* two folios of order 3 that happen to be adjacent */
		f->ops->set_ptes(&f->mm, fixture_addr(f, j), &f->table[j], fixture_pte(0x100000 + j, 3, RW_YD), 1);
	expect(f, "two folios", (struct expected){ 16, 16, 0, 0, 0, 0, 0, 0, 0, 0 });

	f = fixture_new("linux-6.12");
	for (j = 0; j < 16; j++)
		f->ops->set_ptes(&f->mm, fixture_addr(f, j), &f->table[j],
				 fixture_pte(0x100000 + j, 4, YD | PTE_SPECIAL), 1);
	expect(f, "special", (struct expected){ 16, 16, 0, 0, 0, 0, 0, 0, 0, 0 });

	f = fixture_new("linux-6.12");
	for (j = 0; j < 16; j++)
		f->ops->set_ptes(&f->mm, fixture_addr(f, j), &f->table[j],
				 fixture_pte(0x100000 + j, 4, YD | (j == 9 ? PTE_WRITE : 0)), 1);
	expect(f, "one is writable", (struct expected){ 16 + 10, 16, 0, 0, 0, 0, 0, 0, 0, 0 });

	f = fixture_new("linux-6.12");
	f->mm.user = false;
	for (j = 0; j < 16; j++)
		f->ops->set_ptes(&f->mm, fixture_addr(f, j), &f->table[j], fixture_pte(0x100000 + j, 4, YD), 1);
	expect(f, "init_mm", (struct expected){ 16, 16, 0, 0, 0, 0, 0, 0, 0, 0 });
}

/* After fork: each page of a folded block faults to become writable again. */
static void test_write_fault_reuse(void **state)
{
	static const struct { const char *spec; struct expected e; s64 local; } cases[] = {
		{ "contpte-v3", { 49, 16, 32, 17, 17, 34, 0, 1, 0, 0 }, 0 },
		{ "linux-6.9", { 49, 16, 32, 17, 17, 34, 0, 1, 0, 0 }, 0 },
		{ "linux-6.12", { 34, 16, 32, 17, 17, 34, 0, 1, 0, 0 }, 0 },	/* C1, measured */
		{ "linux-6.12+tlbi=single", { 34, 16, 32, 17, 32, 34, 0, 1, 0, 0 }, 0 },
		{ "linux-7.3", { 34, 16, 32, 17, 17, 34, 0, 1, 0, 0 }, 16 },
	};
	struct fixture *f;
	unsigned int j;
	size_t i;
	pte_t entry;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 16, 4, YD);
		for (j = 0; j < 16; j++) {
			entry = pte_mkdirty(pte_mkwrite(f->table[j]));
			assert_true(
				f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, j), &f->table[j], entry, true));
		}
		assert_int_equal(f->live, 0);
		assert_int_equal(f->counters.tlbi_local, cases[i].local);
		expect(f, cases[i].spec, cases[i].e);
	}
	/* The attempt that v3 makes after unfolding finds the siblings read-only: one load wasted. */
	f = mapped("contpte-v3", 16, 4, YD);
	entry = pte_mkdirty(pte_mkwrite(f->table[15]));
	f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, 15), &f->table[15], entry, true);
	expect(f, "dead fold site", (struct expected){ 20, 16, 17, 2, 2, 4, 0, 1, 0, 0 });
}

/* Access flags without a change of the write bit: the block stays folded. C9. */
static void test_access_in_place(void **state)
{
	struct fixture *f = mapped("linux-6.12", 16, 4, PTE_WRITE);
	pte_t entry = pte_mkyoung(f->table[3]);

	assert_true(f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, 3), &f->table[3], entry, false));
	assert_true(pte_young(f->table[0]) && pte_young(f->table[15]));
	expect(f, "young", (struct expected){ 3 + 16, 0, 16, 0, 0, 0, 0, 0, 0, 0 });

	f = mapped("linux-7.3+tlbi=single", 16, 4, PTE_WRITE);
	entry = pte_mkdirty(pte_mkyoung(f->table[3]));
	f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, 3), &f->table[3], entry, true);
	assert_int_equal(f->counters.tlbi_local, 16);
	assert_int_equal(f->counters.dsb_nsh, 2);
	expect(f, "dirty", (struct expected){ 3 + 16, 0, 16, 1, 16, 2, 0, 0, 0, 0 });

	f = mapped("linux-7.3", 16, 4, RW_YD);
	assert_false(f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, 3), &f->table[3], f->table[3], true));
	expect(f, "no change", (struct expected){ 17, 0, 0, 0, 0, 0, 0, 0, 0, 0 });

	f = mapped("linux-6.9", 16, 4, RW_YD);
	assert_false(f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, 3), &f->table[3], f->table[3], true));
	assert_int_equal(f->counters.pte_lines, 2);
	expect(f, "no change, gathered", (struct expected){ 18, 0, 0, 0, 0, 0, 0, 0, 0, 0 });

	/* v3 compared an entry with CONT and one without: it never saw that there was nothing to do. */
	f = mapped("contpte-v3", 16, 4, RW_YD);
	assert_true(f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, 3), &f->table[3], f->table[3], true));
	expect(f, "no change, v3", (struct expected){ 18 + 16, 0, 16, 1, 1, 2, 0, 0, 0, 0 });
}

static void test_young(void **state)
{
	struct fixture *f = mapped("linux-6.12", 16, 4, RW_YD);
	unsigned int j;

	for (j = 0; j < 16; j++)
		assert_int_equal(f->ops->clear_flush_young_ptes(&f->mm, fixture_addr(f, j), &f->table[j], 1), j == 0);
	expect(f, "6.12 singles", (struct expected){ 272, 0, 256, 1, 1, 1, 0, 0, 0, 0 });

	f = mapped("linux-6.12", 16, 4, RW_YD);
	f->ops->clear_flush_young_ptes(&f->mm, fixture_addr(f, 0), f->table, 16);
	expect(f, "6.12 run", (struct expected){ 272, 0, 256, 1, 1, 1, 0, 0, 0, 0 });

	f = mapped("linux-7.3", 16, 4, RW_YD);
	f->ops->clear_flush_young_ptes(&f->mm, fixture_addr(f, 0), f->table, 16);
	expect(f, "7.3 run", (struct expected){ 20, 0, 16, 1, 1, 1, 0, 0, 0, 0 });

	/* C5, measured. */
	f = mapped("linux-7.3", 16, 4, RW_YD);
	f->ops->test_and_clear_young_ptes(&f->mm, fixture_addr(f, 5), &f->table[5], 1);
	expect(f, "7.3 test", (struct expected){ 19, 0, 16, 0, 0, 0, 0, 0, 0, 0 });
	f = mapped("linux-7.3", 16, 4, RW_YD);
	f->ops->clear_flush_young_ptes(&f->mm, fixture_addr(f, 5), &f->table[5], 1);
	expect(f, "7.3 clear", (struct expected){ 21, 0, 16, 1, 1, 1, 0, 0, 0, 0 });

	/* C3, measured. */
	f = mapped("linux-6.12", 16, 4, RW_YD);
	f->ops->clear_young_dirty_ptes(&f->mm, fixture_addr(f, 5), &f->table[5], 1, true, true);
	assert_false(pte_young(f->table[0]) || pte_dirty(f->table[0]));
	expect(f, "6.12 young and dirty", (struct expected){ 19, 16, 0, 0, 0, 0, 0, 0, 0, 0 });
	f = mapped("linux-6.12", 1, 0, RW_YD);
	f->ops->clear_young_dirty_ptes(&f->mm, fixture_addr(f, 0), f->table, 1, true, false);
	expect(f, "6.12 one small page", (struct expected){ 2, 0, 1, 0, 0, 0, 0, 0, 0, 0 });
}

/*
 * try_to_unmap_one() over a 64K folio: read, clear, note the flush, write the swap entry; one DSB for all at the end.
 */
static void test_swap_out(void **state)
{
	static const struct { const char *spec; struct expected e; } cases[] = {
		{ "linux-6.12", { 64, 32, 32, 17, 17, 18, 0, 1, 0, 0 } },
		{ "linux-6.12+tlbi=single", { 64, 32, 32, 17, 32, 18, 0, 1, 0, 0 } },
		{ "linux-7.3", { 50, 32, 32, 17, 17, 18, 0, 1, 0, 0 } },
	};
	struct fixture *f;
	unsigned int j;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = mapped(cases[i].spec, 16, 4, RW_YD);
		for (j = 0; j < 16; j++) {
			f->ops->ptep_get(&f->mm, fixture_addr(f, j), &f->table[j]);
			f->ops->ptep_get_and_clear(&f->mm, fixture_addr(f, j), &f->table[j]);
			f->ops->tlbbatch_add_pending(&f->mm, fixture_addr(f, j), 1);
			f->ops->set_ptes(&f->mm, fixture_addr(f, j), &f->table[j],
					 (pte_t){ (u64)(100 + j) << PTE_PFN_SHIFT | PTE_SWAP }, 1);
		}
		assert_true(f->mm.tlbbatch_pending);
		expect(f, cases[i].spec, cases[i].e);
	}
}

/*
 * C4, measured: 6.12.107 makes a valid block of PROT_NONE, with barriers as for the kernel's own entries; 6.12.117 and
 * 7.3 do not.
 */
static void test_protnone_block(void **state)
{
	struct fixture *f = fixture_new("linux-6.12.107");
	pte_t pte = pte_modify(fixture_pte(0x100000, 4, YD), false, false, true);

	f->ops->set_ptes(&f->mm, fixture_addr(f, 0), f->table, pte, 16);
	assert_true(pte_cont(f->table[0]));
	assert_int_equal(f->counters.isb, 16);
	expect(f, "6.12.107", (struct expected){ 0, 16, 0, 0, 0, 16, 0, 0, 1, 0 });
	f = fixture_new("linux-6.12");
	f->ops->set_ptes(&f->mm, fixture_addr(f, 0), f->table, pte, 16);
	assert_true(pte_protnone(f->table[0]) && !(f->table[0].val & PTE_CONT));
	expect(f, "6.12", (struct expected){ 0, 16, 0, 0, 0, 0, 0, 0, 0, 0 });
	f = fixture_new("linux-7.3");
	f->ops->set_ptes(&f->mm, fixture_addr(f, 0), f->table, pte, 16);
	assert_true(pte_protnone(f->table[0]) && !(f->table[0].val & PTE_CONT));
	expect(f, "7.3", (struct expected){ 0, 16, 0, 0, 0, 0, 0, 0, 0, 0 });
}

/* Facts about pages stay with their entries when a block is converted. */
static void test_conversion_keeps_page_facts(void **state)
{
	struct fixture *f = mapped("linux-6.12", 16, 4, RW_YD | PTE_ANON);

	f->table[7].val |= PTE_EXCLUSIVE;
	f->ops->pte_clear(&f->mm, fixture_addr(f, 0), &f->table[0]);
	assert_true(f->table[7].val & PTE_EXCLUSIVE);
	assert_false(f->table[6].val & PTE_EXCLUSIVE);
	assert_int_equal(pte_folio_order(f->table[6]), 4);
	assert_int_equal(pte_pfn(f->table[7]), 0x100007);
	expect(f, "6.12", (struct expected){ 1, 17, 16, 1, 1, 2, 0, 1, 0, 0 });
}

/* v1-v3: targets of set_ptes() may be present. */
static void test_v3_set_over_present(void **state)
{
	struct fixture *f = mapped("contpte-v3", 16, 4, RW_YD);

	f->ops->set_ptes(&f->mm, fixture_addr(f, 0), f->table, fixture_pte(0x200000, 4, YD), 16);
	assert_int_equal(f->live, 1);
	/* one load; clear by stores, flush, set */
	expect(f, "whole block", (struct expected){ 1, 32, 0, 1, 1, 2, 0, 0, 1, 1 });
	f = mapped("contpte-v3", 16, 4, RW_YD);
	f->ops->set_ptes(&f->mm, fixture_addr(f, 4), &f->table[4], fixture_pte(0x200004, 4, YD), 4);
	assert_int_equal(f->live, 0);
	expect(f, "part of a block", (struct expected){ 2, 20, 16, 1, 1, 2, 0, 1, 0, 0 });
}

/* Other granules: blocks of 128 and 32. */
static void test_granules(void **state)
{
	struct fixture *f = mapped("linux-6.12+granule=16k", 2048, 11, RW_YD);

	assert_int_equal(f->live, 16);
	f->ops->ptep_get_and_clear(&f->mm, fixture_addr(f, 300), &f->table[300]);
	assert_int_equal(f->counters.pte_lines, 16);
	expect(f, "16k", (struct expected){ 1, 128, 129, 1, 1, 2, 0, 1, 0, 0 });
	f = mapped("linux-7.3+granule=64k+tlbi=single", 8192, 13, RW_YD);
	assert_int_equal(f->live, 256);
	f->ops->clear_full_ptes(&f->mm, fixture_addr(f, 1), &f->table[1], 8190, false);
	expect(f, "64k", (struct expected){ 2, 64, 8254, 2, 64, 4, 0, 2, 0, 254 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_in),
		cmocka_unit_test(test_ptep_get),
		cmocka_unit_test(test_early_getter_positions),
		cmocka_unit_test(test_lockless),
		cmocka_unit_test(test_get_and_clear_one),
		cmocka_unit_test(test_wrprotect),
		cmocka_unit_test(test_wrprotect_sweep),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_zap_per_pte),
		cmocka_unit_test(test_mprotect),
		cmocka_unit_test(test_mremap_destination),
		cmocka_unit_test(test_no_fold),
		cmocka_unit_test(test_write_fault_reuse),
		cmocka_unit_test(test_access_in_place),
		cmocka_unit_test(test_young),
		cmocka_unit_test(test_swap_out),
		cmocka_unit_test(test_protnone_block),
		cmocka_unit_test(test_conversion_keeps_page_facts),
		cmocka_unit_test(test_v3_set_over_present),
		cmocka_unit_test(test_granules),
	};

	return cmocka_run_group_tests_name("contpte", tests, NULL, NULL);
}
