// SPDX-License-Identifier: MIT
/* What flushes cost where they are not arm64's: kernel-model.md 1.3, 3.6 and 3.7, at both sides of every threshold. */
#include "fixture.h"

static void flush_pages(struct fixture *f, u64 pages)
{
	struct arch_flush flush = { FIXTURE_BASE, FIXTURE_BASE + pages * f->page, f->page, true, FLUSH_LEVEL_PTE,
				    FLUSH_SYNC };

	fixture_zero(f);
	f->ops->flush_tlb_range(&f->mm, &flush);
}

static void flush_tables(struct fixture *f, bool fullmm, bool freed_tables)
{
	struct arch_flush flush = { FIXTURE_BASE, FIXTURE_BASE + 2 * f->page, f->page, true, FLUSH_LEVEL_PTE,
				    FLUSH_SYNC };

	fixture_zero(f);
	f->ops->tlb_flush(&f->mm, &flush, fullmm, freed_tables);
}

#define expect(f, field, value) assert_int_equal((f)->counters.field, value)

/* Up to the ceiling page by page, above it everything. */
static void expect_ceiling(const char *spec, u64 ceiling)
{
	struct fixture *f = fixture_new(spec);

	flush_pages(f, ceiling);
	expect(f, tlbi_va, ceiling);
	expect(f, tlbi_asid, 0);
	expect(f, tlbi_pages, ceiling);
	flush_pages(f, ceiling + 1);
	expect(f, tlbi_va, 0);
	expect(f, tlbi_asid, 1);
	expect(f, tlbi, 1);
	free(f);
}

static void test_ceilings(void **state)
{
	expect_ceiling("x86-7.3", 33);
	expect_ceiling("x86-7.3+flush_ceiling=5", 5);
	expect_ceiling("riscv-7.3", 64);
	expect_ceiling("riscv-7.3+svinval=true", 64);
	expect_ceiling("svnapot-user", 64);
	expect_ceiling("powerpc-8xx", 1);
	expect_ceiling("powerpc-8xx+granule=16k", 1);
}

/* A stride of 2 MiB: units, not pages. */
static void test_strides(void **state)
{
	static const char *const specs[] = { "x86-7.3", "riscv-7.3" };
	u64 pmd = 2 << 20;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		struct fixture *f = fixture_new(specs[i]);
		struct arch_flush flush = { FIXTURE_BASE, FIXTURE_BASE + 30 * pmd, pmd, true, FLUSH_LEVEL_PMD,
					    FLUSH_SYNC };

		f->ops->flush_tlb_range(&f->mm, &flush);
		expect(f, tlbi_va, 30);
		expect(f, tlbi_pages, 30 * 512);
		free(f);
	}
}

/* Two fences around several pages; one page is a plain SFENCE.VMA. */
static void test_svinval(void **state)
{
	struct fixture *f = fixture_new("riscv-7.3+svinval=true");

	flush_pages(f, 1);
	expect(f, dsb, 0);
	flush_pages(f, 2);
	expect(f, dsb_nsh, 2);
	expect(f, tlbi_va, 2);
	flush_pages(f, 65);
	expect(f, dsb, 0);
	free(f);
}

/* An IPI for each call, none where nobody else runs the mm. */
static void test_ipis(void **state)
{
	static const char *const specs[] = { "x86-7.3", "riscv-7.3" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		struct fixture *f = fixture_new(specs[i]);

		flush_pages(f, 20);
		expect(f, ipis, 0);
		f->mm.remote_cpus = true;
		flush_pages(f, 20);
		expect(f, ipis, 1);
		expect(f, tlbi_local, 20);
		fixture_zero(f);
		f->ops->flush_tlb_mm(&f->mm);
		expect(f, ipis, 1);
		free(f);
	}
}

/* OpenSBI fences one page, or the ASID; alone, the kernel does it as ever. */
static void test_rfence(void **state)
{
	struct fixture *f = fixture_new("riscv-7.3+rfence=sbi+svinval=true");

	flush_pages(f, 20);
	expect(f, tlbi_va, 20);
	f->mm.remote_cpus = true;
	flush_pages(f, 1);
	expect(f, tlbi_va, 1);
	expect(f, ipis, 1);
	flush_pages(f, 2);
	expect(f, tlbi_va, 0);
	expect(f, tlbi_asid, 1);
	expect(f, tlbi_pages, 0);
	expect(f, dsb, 0);
	expect(f, ipis, 1);
	free(f);
}

/* Without Svvptc an entry that became valid is fenced here, and a change of access flags is left to that. */
static void test_svvptc(void **state)
{
	struct fixture *f = fixture_new("riscv-7.3");
	pte_t *ptep = f->table, wider;

	f->mm.remote_cpus = true;
	ptep->val = PTE_VALID | PTE_RDONLY;
	wider = pte_mkyoung(*ptep);
	f->ops->update_mmu_cache(&f->mm, FIXTURE_BASE, 16);
	expect(f, tlbi, 0);
	assert_true(f->ops->ptep_set_access_flags(&f->mm, FIXTURE_BASE, ptep, wider, false));
	assert_false(f->ops->ptep_set_access_flags(&f->mm, FIXTURE_BASE, ptep, wider, false));
	expect(f, tlbi_va, 1);
	expect(f, flush_calls, 1);
	free(f);
	f = fixture_new("riscv-6.6");
	f->mm.remote_cpus = true;
	ptep = f->table;
	ptep->val = PTE_VALID | PTE_RDONLY;
	assert_true(f->ops->ptep_set_access_flags(&f->mm, FIXTURE_BASE, ptep, wider, false));
	assert_true(f->ops->ptep_set_access_flags(&f->mm, FIXTURE_BASE, ptep, wider, false));
	f->ops->flush_pmd_access(&f->mm, FIXTURE_BASE);
	expect(f, flush_calls, 0);
	f->ops->update_mmu_cache(&f->mm, FIXTURE_BASE, 16);
	expect(f, tlbi, 16);
	expect(f, tlbi_new, 16);
	expect(f, tlbi_local, 16);
	expect(f, ipis, 0);
	expect(f, flush_calls, 0);
	free(f);
}

static void test_riscv_tables(void **state)
{
	struct fixture *f = fixture_new("riscv-7.3");

	flush_tables(f, false, false);
	expect(f, tlbi_va, 2);
	flush_tables(f, false, true);
	expect(f, tlbi_asid, 1);
	flush_tables(f, true, false);
	expect(f, tlbi_asid, 1);
	assert_false(f->ops->merges_vmas);
	free(f);
	/* Until 6.6 tlb_flush() is flush_tlb_mm(), whatever was gathered. */
	f = fixture_new("riscv-6.6");
	flush_tables(f, false, false);
	expect(f, tlbi_asid, 1);
	expect(f, tlbi_va, 0);
	free(f);
}

/* Reclaim: nothing until the end of the batch, then everything at once. */
static void test_reclaim(void **state)
{
	static const char *const specs[] = { "x86-7.3", "riscv-7.3" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		struct fixture *f = fixture_new(specs[i]);

		f->ops->tlbbatch_add_pending(&f->mm, FIXTURE_BASE, 16);
		f->ops->tlbbatch_add_pending(&f->mm, FIXTURE_BASE + 16 * f->page, 16);
		expect(f, tlbi, 0);
		f->ops->tlbbatch_flush(&f->mm);
		expect(f, tlbi, 1);
		expect(f, tlbi_asid, 1);
		free(f);
	}
}

/* Steps of 8 pages and one TLBSYNC, no IPI; without other CPUs it is INVLPG as ever. */
static void test_invlpgb(void **state)
{
	struct fixture *f = fixture_new("x86-7.3-invlpgb+invlpgb_min_cpus=0");

	flush_pages(f, 20);
	expect(f, tlbi_va, 20);
	expect(f, tlbi_local, 20);
	expect(f, dsb, 0);
	f->mm.remote_cpus = true;
	flush_pages(f, 20);
	expect(f, tlbi_range, 3);
	expect(f, tlbi_va, 0);
	expect(f, tlbi_local, 0);
	expect(f, tlbi_pages, 20);
	expect(f, dsb_ish, 1);
	expect(f, ipis, 0);
	flush_pages(f, 17);
	expect(f, tlbi_range, 2);
	expect(f, tlbi_va, 1);
	flush_pages(f, 34);
	expect(f, tlbi_asid, 1);
	expect(f, tlbi_local, 0);
	expect(f, dsb_ish, 1);
	fixture_zero(f);
	f->ops->tlbbatch_flush(&f->mm);
	expect(f, tlbi_asid, 1);
	expect(f, tlbi_local, 0);
	expect(f, ipis, 0);
	free(f);
	f = fixture_new("x86-7.3-invlpgb+invlpgb_min_cpus=0+invlpgb_count_max=1");
	f->mm.remote_cpus = true;
	flush_pages(f, 20);
	expect(f, tlbi_va, 20);
	expect(f, tlbi_local, 0);
	free(f);
}

/* consider_global_asid(): IPIs up to and with the flush that finds four CPUs; broadcast for good after it. */
static void test_invlpgb_min_cpus(void **state)
{
	struct fixture *f = fixture_new("x86-7.3-invlpgb");

	f->mm.remote_cpus = true;
	f->mm.cpus = 3;
	flush_pages(f, 1);
	expect(f, ipis, 1);
	expect(f, tlbi_local, 1);
	f->mm.cpus = 4;
	flush_pages(f, 1);
	expect(f, ipis, 1);
	expect(f, tlbi_local, 1);
	f->mm.cpus = 1;
	f->mm.remote_cpus = false;
	flush_pages(f, 1);
	expect(f, ipis, 0);
	expect(f, tlbi_va, 1);
	expect(f, tlbi_local, 0);
	expect(f, dsb_ish, 1);
	free(f);
}

/* A page of 16K is four cells, each of which is stored. */
static void test_8xx_cells(void **state)
{
	static const struct { const char *spec; unsigned int cells; } cases[] = {
		{ "powerpc-8xx", 1 }, { "powerpc-8xx+granule=16k", 4 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture *f = fixture_new(cases[i].spec);

		fixture_zero(f);
		fixture_map(f, 0, 16, 4, PTE_WRITE | PTE_DIRTY);
		expect(f, pte_stores, 16 * cases[i].cells);
		fixture_zero(f);
		f->ops->wrprotect_ptes(&f->mm, FIXTURE_BASE, f->table, 16);
		expect(f, pte_loads, 16);
		expect(f, pte_stores, 16 * cases[i].cells);
		expect(f, pte_atomics, 0);
		expect(f, tlbi, 0);
		flush_tables(f, false, false);
		expect(f, tlbi_asid, 1);
		free(f);
	}
}

/* Entries are invalidated where they change, 192 at once; the flushes of core mm do nothing. */
static void test_hash(void **state)
{
	struct fixture *f = fixture_new("powerpc-hash");

	fixture_map(f, 0, 512, 9, PTE_WRITE | PTE_DIRTY);
	fixture_zero(f);
	f->ops->get_and_clear_full_ptes(&f->mm, FIXTURE_BASE, f->table, 512, false);
	expect(f, tlbi_va, 512);
	expect(f, tlbi_local, 512);
	expect(f, flush_calls, 3);
	expect(f, dsb_ishst, 3);
	expect(f, dsb_ish, 3);
	fixture_zero(f);
	f->ops->get_and_clear_full_ptes(&f->mm, FIXTURE_BASE, f->table, 512, false);	/* nothing is there */
	expect(f, tlbi, 0);
	flush_pages(f, 512);
	f->ops->flush_tlb_mm(&f->mm);
	flush_tables(f, true, true);
	expect(f, flush_calls, 0);
	fixture_map(f, 0, 1, 0, PTE_WRITE | PTE_DIRTY);
	f->mm.remote_cpus = true;
	fixture_zero(f);
	f->ops->wrprotect_ptes(&f->mm, FIXTURE_BASE, f->table, 1);
	expect(f, tlbi_va, 1);
	expect(f, tlbi_local, 0);
	free(f);
}

/* A block of 64K that is unfolded is cleared, flushed page by page, and written; bbml3 leaves the flush out. */
static void test_svnapot_user(void **state)
{
	static const char *const specs[] = { "svnapot-user", "svnapot-user+bbml3=true" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		struct fixture *f = fixture_new(specs[i]);

		fixture_map(f, 0, 16, 4, PTE_WRITE | PTE_DIRTY | PTE_AF);
		expect(f, born, 1);
		assert_true(pte_cont(f->table[15]));
		assert_int_equal(f->ops->pte_batch_hint(&f->mm, FIXTURE_BASE, f->table[0]), 16);
		fixture_zero(f);
		f->ops->wrprotect_ptes(&f->mm, FIXTURE_BASE, f->table, 1);
		expect(f, unfold, 1);
		expect(f, tlbi_va, i ? 0 : 16);
		expect(f, tlbi_local, i ? 0 : 16);
		expect(f, pte_stores, 16);
		free(f);
	}
}

/* Without it, nothing folds. */
static void test_riscv_has_no_blocks(void **state)
{
	struct fixture *f = fixture_new("riscv-7.3");

	fixture_map(f, 0, 64, 4, PTE_WRITE | PTE_DIRTY);
	expect(f, born, 0);
	assert_false(pte_cont(f->table[0]));
	assert_int_equal(f->ops->pte_batch_hint(&f->mm, FIXTURE_BASE, f->table[0]), 1);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_strides),
		cmocka_unit_test(test_svinval),
		cmocka_unit_test(test_ipis),
		cmocka_unit_test(test_rfence),
		cmocka_unit_test(test_svvptc),
		cmocka_unit_test(test_riscv_tables),
		cmocka_unit_test(test_reclaim),
		cmocka_unit_test(test_invlpgb), cmocka_unit_test(test_invlpgb_min_cpus),
		cmocka_unit_test(test_8xx_cells),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_svnapot_user),
		cmocka_unit_test(test_riscv_has_no_blocks),
	};

	return cmocka_run_group_tests_name("flush models", tests, NULL, NULL);
}
