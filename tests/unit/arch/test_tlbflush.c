// SPDX-License-Identifier: MIT
/* What flushes cost: the worked numbers of kernel-model.md section 3, and x86 as measured on a running 6.18. */
#include "fixture.h"

static void flush_range(struct fixture *f, u64 start, u64 pages, u64 stride, enum arch_flush_mode mode)
{
	struct arch_flush flush = { start, start + pages * f->page, stride, true, FLUSH_LEVEL_PTE, mode };

	fixture_zero(f);
	f->ops->flush_tlb_range(&f->mm, &flush);
}

/* T = the digits of P / 2 in base 32 that are not zero, and one for an odd page. */
static void test_range_instructions(void **state)
{
	static const struct { u64 pages, tlbi; } worked[] = {
		{ 1, 1 }, { 2, 1 }, { 3, 2 }, { 15, 2 }, { 16, 1 }, { 17, 2 }, { 31, 2 }, { 32, 1 }, { 63, 2 },
		{ 64, 1 },
		{ 100, 2 }, { 127, 3 }, { 128, 1 }, { 255, 3 }, { 511, 3 }, { 512, 1 }, { 513, 2 }, { 1000, 2 },
		{ 2047, 3 }, { 4095, 4 }, { 65536, 1 }, { 131073, 2 }, { 262144, 1 }, { 2097151, 5 }, { 2097152, 1 },
	};
	struct fixture *f = fixture_new("linux-6.12");
	u64 pages, digits, half;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(worked); i++) {
		flush_range(f, FIXTURE_BASE, worked[i].pages, f->page, FLUSH_SYNC);
		if (f->counters.tlbi != worked[i].tlbi)
			fail_msg("%llu pages: %llu", (unsigned long long)worked[i].pages,
				 (unsigned long long)f->counters.tlbi);
		assert_int_equal(f->counters.tlbi_asid, 0);
		assert_int_equal(f->counters.tlbi_pages, worked[i].pages);
		assert_int_equal(f->counters.dsb, 2);
	}
	for (pages = 1; pages < 2097152; pages += 1 + pages / 7) {
		digits = pages & 1;
		for (half = pages / 2; half; half /= 32)
			digits += half % 32 != 0;
		flush_range(f, FIXTURE_BASE + 3 * f->page, pages, f->page, FLUSH_SYNC);
		assert_int_equal(f->counters.tlbi, digits);
		assert_int_equal(f->counters.tlbi_va, pages & 1);
	}
	free(f);
}

/* One page too many, and the whole ASID goes. */
static void test_limits(void **state)
{
	static const struct { const char *spec; u64 most; } cases[] = {
		{ "linux-6.12", 2097152 }, { "linux-6.9", 2097151 }, { "linux-6.12+tlbi=single", 511 },
		{ "linux-6.12+tlbi=single+granule=16k", 2047 }, { "linux-6.12+tlbi=single+granule=64k", 8191 },
		{ "linux-6.12+tlbi=single+max_dvm_ops=64", 63 },
	};
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = fixture_new(cases[i].spec);
		flush_range(f, 0, cases[i].most, f->page, FLUSH_SYNC);
		assert_int_equal(f->counters.tlbi_asid, 0);
		assert_int_equal(f->counters.tlbi_pages, cases[i].most);
		flush_range(f, 0, cases[i].most + 1, f->page, FLUSH_NOSYNC);
		assert_int_equal(f->counters.tlbi, 1);
		assert_int_equal(f->counters.tlbi_asid, 1);
		assert_int_equal(f->counters.tlbi_pages, 0);
		assert_int_equal(f->counters.dsb, 2); /* C8: it waits although it was not asked to */
		flush_range(f, 0, cases[i].most + 1, f->page, FLUSH_SYNC);
		assert_int_equal(f->counters.tlbi, 1);
		assert_int_equal(f->counters.dsb, 3); /* and its caller does not know that it has */
		free(f);
	}
	f = fixture_new("linux-7.3+tlbi=single+repeat_tlbi=new");
	flush_range(f, 0, 512, f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi, 2);
	assert_int_equal(f->counters.dsb_ish, 2);
	free(f);
	f = fixture_new("linux-6.12+tlbi=single+repeat_tlbi=new");
	flush_range(f, 0, 512, f->page, FLUSH_SYNC); /* Neoverse N1 counted: 3 instructions, 4 waits */
	assert_int_equal(f->counters.tlbi, 3);
	assert_int_equal(f->counters.dsb_ish, 4);
	free(f);
	/* The limit is in units of stride: freed page tables. */
	f = fixture_new("linux-6.12+tlbi=single");
	flush_range(f, 0, 512 * 511, 512 * f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi_va, 511);
	flush_range(f, f->page, 512, 512 * f->page, FLUSH_SYNC); /* rounded to the stride */
	assert_int_equal(f->counters.tlbi_va, 2);
	free(f);
}

/*
 * Freed upper tables: strides of 1G. Few are issued one by one, but until 7.1 more pages than range TLBI could take
 * flush everything on CPUs that have none.
 */
static void test_range_limit_of_other_cpus(void **state)
{
	static const struct { const char *spec; u64 tlbi_va; } cases[] = {
		{ "linux-6.9+tlbi=single", 0 }, { "linux-6.12+tlbi=single", 0 }, { "linux-6.17+tlbi=single", 0 },
		{ "linux-7.2+tlbi=single", 9 }, { "linux-7.3+tlbi=single", 9 },
	};
	const u64 gigabyte = 1 << 18;
	struct fixture *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f = fixture_new(cases[i].spec);
		flush_range(f, 0, 9 * gigabyte, gigabyte * f->page, FLUSH_SYNC);
		assert_int_equal(f->counters.tlbi_va, cases[i].tlbi_va);
		assert_int_equal(f->counters.tlbi_asid, !cases[i].tlbi_va);
		flush_range(f, 0, 7 * gigabyte, gigabyte * f->page, FLUSH_SYNC);
		assert_int_equal(f->counters.tlbi_va, 7);
		flush_range(f, 0, 512 * gigabyte, gigabyte * f->page, FLUSH_SYNC);
		assert_int_equal(f->counters.tlbi_asid, 1);
		free(f);
	}
	/* With range TLBI the limit is the same everywhere. */
	f = fixture_new("linux-7.2");
	flush_range(f, 0, 8 * gigabyte, gigabyte * f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi_range, 1);
	flush_range(f, 0, 9 * gigabyte, gigabyte * f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi_asid, 1);
	free(f);
}

/* A flush of one CPU for too much is one of all CPUs: there is no local flush_tlb_mm(). */
static void test_local_limit(void **state)
{
	struct fixture *f = fixture_new("linux-7.2+tlbi=single");

	flush_range(f, 0, 511, f->page, FLUSH_LOCAL);
	assert_int_equal(f->counters.tlbi_local, 511);
	flush_range(f, 0, 512, f->page, FLUSH_LOCAL);
	assert_int_equal(f->counters.tlbi_local, 0);
	assert_int_equal(f->counters.tlbi_asid, 1);
	assert_int_equal(f->counters.dsb_ish, 1);
	free(f);
}

static void test_lpa2(void **state)
{
	struct fixture *f = fixture_new("linux-7.3+lpa2=true");

	flush_range(f, FIXTURE_BASE + f->page, 512, f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi_va, 16); /* 15 to the boundary, one odd page at the end */
	assert_int_equal(f->counters.tlbi, 18);
	flush_range(f, FIXTURE_BASE, 512, f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi, 1);
	free(f);
	/* 64K are four pages of 16K: at most three come before. */
	f = fixture_new("linux-7.3+lpa2=true+granule=16k");
	flush_range(f, FIXTURE_BASE + f->page, 2047, f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi_va, 3);		/* 2044 = 31 * 64 + 60 */
	assert_int_equal(f->counters.tlbi_range, 2);
	free(f);
	/* The most that the source reckons with: 15 pages, four scales, one page. */
	f = fixture_new("linux-7.3+lpa2=true");
	flush_range(f, FIXTURE_BASE + f->page, 15 + 65536 + 2048 + 64 + 2 + 1, f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi, 20);
	free(f);
}

static void expect_costs(const char *spec, enum arch_flush_mode mode, u64 tlbi, u64 repeat, u64 ishst, u64 ish,
			 u64 nsh)
{
	struct fixture *f = fixture_new(spec);

	flush_range(f, FIXTURE_BASE, 16, f->page, mode);
	assert_int_equal(f->counters.tlbi, tlbi);
	assert_int_equal(f->counters.tlbi_repeat, repeat);
	assert_int_equal(f->counters.tlbi_va + f->counters.tlbi_range, tlbi - repeat);
	assert_int_equal(f->counters.tlbi_local, mode == FLUSH_LOCAL ? tlbi : 0);
	assert_int_equal(f->counters.dsb_ishst, ishst);
	assert_int_equal(f->counters.dsb_ish, ish);
	assert_int_equal(f->counters.dsb_nsh, nsh);
	assert_int_equal(f->counters.dsb, ishst + ish + nsh);
	assert_int_equal(f->counters.flush_calls, 1);
	free(f);
}

static void test_barriers_and_errata(void **state)
{
	expect_costs("linux-6.12", FLUSH_SYNC, 1, 0, 1, 1, 0);
	expect_costs("linux-6.12", FLUSH_NOSYNC, 1, 0, 1, 0, 0);
	expect_costs("linux-6.12", FLUSH_LOCAL, 1, 0, 0, 0, 2);
	expect_costs("linux-6.12+tlbi=single", FLUSH_SYNC, 16, 0, 1, 1, 0);
	expect_costs("linux-6.12+kpti=true", FLUSH_SYNC, 2, 0, 1, 1, 0);
	expect_costs("linux-6.12+kpti=true+tlbi=single", FLUSH_LOCAL, 32, 0, 0, 0, 2);
	expect_costs("linux-6.12+repeat_tlbi=new", FLUSH_SYNC, 2, 1, 1, 2, 0);
	expect_costs("linux-6.12+repeat_tlbi=new", FLUSH_NOSYNC, 1, 0, 1, 0, 0);
	expect_costs("linux-6.12+repeat_tlbi=new", FLUSH_LOCAL, 1, 0, 0, 0, 2);
	expect_costs("linux-6.12+repeat_tlbi=new+kpti=true", FLUSH_SYNC, 3, 1, 1, 2, 0);
	expect_costs("linux-6.8+repeat_tlbi=old+tlbi=single", FLUSH_SYNC, 32, 16, 1, 17, 0);
	expect_costs("linux-6.8+repeat_tlbi=old+kpti=true", FLUSH_SYNC, 4, 2, 1, 3, 0);
}

/* flush_tlb_mm(), and waiting for what was deferred. */
static void test_errata_elsewhere(void **state)
{
	struct fixture *f = fixture_new("linux-7.2+repeat_tlbi=new+kpti=true");

	f->ops->flush_tlb_mm(&f->mm);
	assert_int_equal(f->counters.tlbi_asid, 2);
	assert_int_equal(f->counters.tlbi_repeat, 1);
	assert_int_equal(f->counters.dsb, 3);
	fixture_zero(f);
	f->ops->tlbbatch_add_pending(&f->mm, FIXTURE_BASE, 1);
	assert_int_equal(f->counters.tlbi_repeat, 0);
	f->ops->tlbbatch_flush(&f->mm);
	assert_int_equal(f->counters.tlbi_repeat, 1);
	assert_int_equal(f->counters.tlbi, 3);
	assert_int_equal(f->counters.dsb, 3);
	free(f);
}

static void test_gather_flush(void **state)
{
	struct arch_flush flush = { FIXTURE_BASE, FIXTURE_BASE + 0x200000, 0x1000, true, FLUSH_LEVEL_PTE, FLUSH_SYNC };
	struct fixture *f = fixture_new("linux-6.12");

	f->ops->tlb_flush(&f->mm, &flush, true, false);
	assert_int_equal(f->counters.flush_calls, 0); /* exit: nobody will use the ASID again */
	f->ops->tlb_flush(&f->mm, &flush, true, true);
	assert_int_equal(f->counters.tlbi_asid, 1);
	f->ops->tlb_flush(&f->mm, &flush, false, true);
	assert_int_equal(f->counters.tlbi_range, 1);
	assert_int_equal(f->counters.flush_calls, 2);
	assert_false(f->ops->merges_vmas);
	free(f);

	/* The generic form flushes in any case, and all of it: the range is that of the whole address space. */
	f = fixture_new("linux-6.12+fullmm_skip=false");
	flush.start = 0;
	flush.end = ~0ull;
	f->ops->tlb_flush(&f->mm, &flush, true, false);
	assert_int_equal(f->counters.tlbi_asid, 1);
	assert_int_equal(f->counters.tlbi, 1);
	assert_int_equal(f->counters.dsb, 2);
	free(f);
}

static void test_deferred(void **state)
{
	struct fixture *f = fixture_new("linux-6.12");

	f->ops->flush_tlb_batched_pending(&f->mm);
	assert_int_equal(f->counters.dsb, 0);
	f->ops->tlbbatch_add_pending(&f->mm, FIXTURE_BASE, 16);
	assert_int_equal(f->counters.flush_calls, 16);
	assert_int_equal(f->counters.dsb, 16);
	f->ops->tlbbatch_flush(&f->mm);
	assert_int_equal(f->counters.dsb, 17);
	assert_int_equal(f->counters.flush_calls, 16);
	f->ops->flush_tlb_batched_pending(&f->mm);
	assert_int_equal(f->counters.tlbi_asid, 1);
	f->ops->flush_tlb_batched_pending(&f->mm);
	assert_int_equal(f->counters.tlbi_asid, 1);
	free(f);

	f = fixture_new("linux-7.3");
	f->ops->tlbbatch_add_pending(&f->mm, FIXTURE_BASE, 16);
	assert_int_equal(f->counters.flush_calls, 1);
	assert_int_equal(f->counters.tlbi, 1);
	f->ops->flush_tlb_fix_spurious_fault(&f->mm, FIXTURE_BASE);
	assert_int_equal(f->counters.tlbi_local, 1);
	free(f);

	f = fixture_new("linux-6.9");
	f->ops->tlbbatch_add_pending(&f->mm, FIXTURE_BASE, 1);
	f->ops->flush_tlb_batched_pending(&f->mm);
	assert_int_equal(f->counters.tlbi, 1);
	assert_int_equal(f->counters.dsb, 2);
	f->ops->flush_tlb_fix_spurious_fault(&f->mm, FIXTURE_BASE);
	assert_int_equal(f->counters.tlbi, 1);
	free(f);
}

static void test_arm64_needs_flush(void **state)
{
	pte_t rw = fixture_pte(1, 0, PTE_WRITE | PTE_DIRTY | PTE_AF), ro = pte_wrprotect(rw);
	pte_t none = pte_modify(rw, false, false, true);
	struct fixture *f = fixture_new("linux-6.12");

	assert_true(f->ops->pte_needs_flush(&f->mm, none, rw)); /* always */
	free(f);
	f = fixture_new("linux-7.3");
	assert_false(f->ops->pte_needs_flush(&f->mm, none, rw));
	assert_true(f->ops->pte_needs_flush(&f->mm, rw, none));
	assert_true(f->ops->pte_needs_flush(&f->mm, rw, ro));
	assert_true(f->ops->pte_needs_flush(&f->mm, ro, rw));
	assert_false(f->ops->pte_needs_flush(&f->mm, ro, (pte_t){ ro.val | PTE_UFFD }));
	free(f);
}

/*
 * tlb:tlb_flush on 6.18 for mprotect of ten touched private pages: one local flush of ten pages for RW to RO, RO to RW,
 * RW to RX, RX to R, R to RX, RX to NONE; none for NONE to RW.
 */
static void test_x86_needs_flush(void **state)
{
	struct fixture *f = fixture_new("x86-6.18");
	pte_t rw = fixture_pte(1, 0, PTE_WRITE | PTE_DIRTY | PTE_AF);
	pte_t ro = pte_modify(rw, false, false, false), rx = pte_modify(rw, false, true, false);
	pte_t none = pte_modify(rw, false, false, true);

	assert_true(f->ops->pte_needs_flush(&f->mm, rw, ro));
	assert_true(f->ops->pte_needs_flush(&f->mm, ro, rw));
	assert_true(f->ops->pte_needs_flush(&f->mm, rw, rx));
	assert_true(f->ops->pte_needs_flush(&f->mm, rx, ro));
	assert_true(f->ops->pte_needs_flush(&f->mm, ro, rx));
	assert_true(f->ops->pte_needs_flush(&f->mm, rx, none));
	assert_false(f->ops->pte_needs_flush(&f->mm, none, rw));
	assert_false(f->ops->pte_needs_flush(&f->mm, ro, pte_mkold(ro)));
	assert_true(f->ops->pte_needs_flush(&f->mm, ro, pte_mkclean(ro)));
	assert_false(f->ops->pte_needs_flush(&f->mm, pte_mkclean(ro), ro));
	free(f);
}

static void test_x86_flushes(void **state)
{
	struct fixture *f = fixture_new("x86-6.18");
	pte_t pte = fixture_pte(0x1000, 4, PTE_AF);

	assert_true(f->ops->merges_vmas);
	flush_range(f, FIXTURE_BASE, 33, f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi_va, 33);
	assert_int_equal(f->counters.ipis, 0);
	f->mm.remote_cpus = true;
	flush_range(f, FIXTURE_BASE, 34, f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi_asid, 1);
	assert_int_equal(f->counters.tlbi, 1);
	assert_int_equal(f->counters.ipis, 1);
	flush_range(f, FIXTURE_BASE, 512 * 3, 512 * f->page, FLUSH_SYNC);
	assert_int_equal(f->counters.tlbi_va, 3);
	assert_int_equal(f->counters.tlbi_pages, 1536);

	/* A write fault that reuses its page does not flush; clear_flush_young neither. */
	fixture_zero(f);
	f->ops->set_ptes(&f->mm, FIXTURE_BASE, f->table, pte, 16);
	assert_true(f->ops->ptep_set_access_flags(&f->mm, FIXTURE_BASE, f->table, pte_mkdirty(pte_mkwrite(pte)), true));
	assert_true(pte_write(f->table[0]) && pte_dirty(f->table[0]) && !pte_write(f->table[1]));
	assert_true(f->ops->clear_flush_young_ptes(&f->mm, FIXTURE_BASE, f->table, 16));
	assert_int_equal(f->counters.flush_calls, 0);
	assert_int_equal(f->counters.pte_loads, 17);
	assert_int_equal(f->counters.pte_atomics, 16);
	f->ops->ptep_clear_flush(&f->mm, FIXTURE_BASE, f->table);
	assert_int_equal(f->counters.flush_calls, 1);
	f->ops->ptep_clear_flush(&f->mm, FIXTURE_BASE, f->table);
	assert_int_equal(f->counters.flush_calls, 1);

	/* Exit clears without atomics. */
	fixture_zero(f);
	f->ops->clear_full_ptes(&f->mm, FIXTURE_BASE, f->table, 16, true);
	assert_int_equal(f->counters.pte_atomics, 0);
	assert_int_equal(f->counters.pte_stores, 16);
	assert_int_equal(f->live, 0);
	free(f);
}

/* Whatever flushes goes through the table: a backend that replaces one hook is asked. */
static unsigned int asked;

static void asked_range(struct arch_mm *mm, const struct arch_flush *flush)
{
	asked++;
}

static void asked_mm(struct arch_mm *mm)
{
	asked += 100;
}

static void test_through_the_table(void **state)
{
	static const struct {
		const char *policy;
		unsigned int precise, full, pending, access;
	} rows[] = {
		{ "linux-7.3", 1, 0, 100, 1 }, { "linux-6.9", 1, 0, 0, 1 }, { "x86-6.18", 1, 100, 100, 0 },
		{ "riscv-7.3", 1, 100, 100, 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture *f = fixture_new(rows[i].policy);
		struct arch_ops ops = *f->ops;
		const struct arch_flush flush = { .start = FIXTURE_BASE, .end = FIXTURE_BASE + f->page,
						  .stride = f->page, .last_level = true, .level = FLUSH_LEVEL_PTE };

		ops.flush_tlb_range = asked_range;
		ops.flush_tlb_mm = asked_mm;
		f->mm.ops = &ops;
		asked = 0;
		ops.tlb_flush(&f->mm, &flush, false, false);
		assert_int_equal(asked, rows[i].precise);
		asked = 0;
		ops.tlb_flush(&f->mm, &flush, true, false);
		assert_int_equal(asked, rows[i].full);
		asked = 0;
		f->mm.tlbbatch_pending = 1;
		ops.flush_tlb_batched_pending(&f->mm);
		assert_int_equal(asked, rows[i].pending);
		asked = 0;
		ops.flush_pmd_access(&f->mm, FIXTURE_BASE);
		assert_int_equal(asked, rows[i].access);
		free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_instructions),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_range_limit_of_other_cpus),
		cmocka_unit_test(test_local_limit),
		cmocka_unit_test(test_lpa2),
		cmocka_unit_test(test_barriers_and_errata),
		cmocka_unit_test(test_errata_elsewhere),
		cmocka_unit_test(test_gather_flush),
		cmocka_unit_test(test_deferred),
		cmocka_unit_test(test_arm64_needs_flush),
		cmocka_unit_test(test_x86_needs_flush),
		cmocka_unit_test(test_x86_flushes),
		cmocka_unit_test(test_through_the_table),
	};

	return cmocka_run_group_tests_name("tlbflush", tests, NULL, NULL);
}
