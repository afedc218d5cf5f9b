// SPDX-License-Identifier: MIT
/*
 * When an mmu_gather is full, and what pages it takes until then, for each base page size: kernel-model.md 1.5, 3.4 and
 * 3.5. The structure is driven directly here; what zaps make of it is in test_golden.c.
 */
#include "machine_script.h"

#include "engine/tlb.h"

static const struct {
	const char *granule;
	u32 slots;		/* of a batch page */
	u32 batches;		/* pages at most */
	u32 tables;		/* of a table batch */
	u32 cont_ptes, max_dvm_ops;
} geometries[] = {
	{ "granule=4k", 510, 19, 509, 16, 512 },
	{ "granule=16k", 2046, 4, 2045, 128, 2048 },
	{ "granule=64k", 8190, 1, 8189, 32, 8192 },
};

static struct rf_machine *machine_of_granule(const char *policy, const char *granule)
{
	struct rf_machine *machine = machine_of(policy, granule);

	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	return machine;
}

/* Queue runs until there is no room for the next; how many. */
static u32 queue_until_full(struct mmu_gather *tlb, u32 nr)
{
	u32 runs = 1;

	while (!tlb_remove_folio_pages(tlb, nr))
		runs++;
	return runs;
}

static u32 capacity(const char *policy, const char *granule, u32 nr, u64 *allocated)
{
	struct rf_machine *machine = machine_of_granule(policy, granule);
	struct mm *mm = machine_mm(machine, 0);
	struct mmu_gather tlb;
	u32 runs, again;

	tlb_gather_mmu(&tlb, mm);
	runs = queue_until_full(&tlb, nr);
	*allocated = mm->arch.counters->gather_pages;
	/* Pages stay with the gather: the next round takes as many, and no new ones. */
	tlb_flush_mmu(&tlb);
	again = queue_until_full(&tlb, nr);
	assert_int_equal(again, runs);
	assert_int_equal(mm->arch.counters->gather_pages, *allocated);
	tlb_flush_mmu(&tlb);
	rf_machine_destroy(machine);
	return runs;
}

static void test_capacity(void **state)
{
	u64 allocated;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(geometries); i++) {
		u32 slots = geometries[i].slots, batches = geometries[i].batches;

		/* One slot per page, all used. */
		assert_int_equal(capacity("linux-6.8", geometries[i].granule, 1, &allocated), 8 + batches * slots);
		assert_int_equal(allocated, batches);
		/* Two slots per run; a batch is left when less than two are free, for single pages, too. */
		assert_int_equal(capacity("linux-6.9", geometries[i].granule, 1, &allocated),
				 7 + batches * (slots - 1));
		assert_int_equal(allocated, batches);
		assert_int_equal(capacity("linux-6.9", geometries[i].granule, 16, &allocated),
				 4 + batches * (slots / 2));
		assert_int_equal(allocated, batches);
	}
	/* The numbers that 3.4 names. */
	assert_int_equal(capacity("contpte-v3", "", 1, &allocated), 9698);
	assert_int_equal(capacity("linux-6.12", "", 1, &allocated), 9678);
	assert_int_equal(capacity("linux-7.3", "", 512, &allocated), 4849);
}

/* What v3 and v4 promise: room in the active batch and in those to come, for which v3 always takes a page. */
static void test_reservations(void **state)
{
	struct rf_machine *machine = machine_of_granule("contpte-v3", "");
	struct mm *mm = machine_mm(machine, 0);
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, mm);
	assert_int_equal(tlb_get_guaranteed_space(&tlb), 8 + 510);
	assert_int_equal(mm->arch.counters->gather_pages, 1);
	assert_int_equal(tlb_get_guaranteed_space(&tlb), 8 + 510);
	assert_int_equal(mm->arch.counters->gather_pages, 1);
	assert_false(tlb_remove_folio_pages(&tlb, 8));
	assert_int_equal(tlb_get_guaranteed_space(&tlb), 510 + 510);
	assert_int_equal(mm->arch.counters->gather_pages, 2);
	tlb_flush_mmu(&tlb);

	tlb_gather_mmu(&tlb, mm);
	mm->arch.counters->gather_pages = 0;
	assert_int_equal(tlb_reserve_space(&tlb, 8), 8);
	assert_int_equal(mm->arch.counters->gather_pages, 0);
	assert_int_equal(tlb_reserve_space(&tlb, 9), 8 + 510);
	assert_int_equal(mm->arch.counters->gather_pages, 1);
	assert_int_equal(tlb_reserve_space(&tlb, 1029), 8 + 3 * 510);
	assert_int_equal(mm->arch.counters->gather_pages, 3);
	assert_int_equal(tlb_reserve_space(&tlb, 100000), 9698);	/* less than asked for */
	tlb_flush_mmu(&tlb);
	/* With a dirty page's rmap waiting for the flush, no batch beyond the bundle. */
	tlb.delayed_rmap = true;
	assert_false(tlb_remove_folio_pages(&tlb, 8));
	assert_int_equal(tlb_reserve_space(&tlb, 1000), 510);
	tlb_flush_mmu(&tlb);
	rf_machine_destroy(machine);
}

/* A full batch of page tables flushes at once; fullmm: the whole address space, each time. */
static void test_table_batches(void **state)
{
	size_t i;
	u32 nr;

	for (i = 0; i < ARRAY_SIZE(geometries); i++) {
		struct rf_machine *machine = machine_of_granule("linux-6.12", geometries[i].granule);
		struct mm *mm = machine_mm(machine, 0);
		struct mmu_gather tlb;

		tlb_gather_mmu_fullmm(&tlb, mm);
		for (nr = 1; nr < geometries[i].tables; nr++)
			tlb_remove_table(&tlb, nr * pmd_size(mm), 1);
		assert_int_equal(mm->arch.counters->flush_calls, 0);
		tlb_remove_table(&tlb, nr * pmd_size(mm), 1);
		assert_int_equal(mm->arch.counters->tlbi_asid, 1);
		tlb_remove_table(&tlb, 0, 1);
		tlb_finish_mmu(&tlb);
		assert_int_equal(mm->arch.counters->tlbi_asid, 2);
		assert_int_equal(mm->arch.counters->tlbi, 2);
		rf_machine_destroy(machine);
	}
}

static void test_geometries(void **state)
{
	char knobs[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(geometries); i++) {
		struct rf_machine *machine;
		struct arch_flush flush;
		struct mm *mm;

		snprintf(knobs, sizeof(knobs), "%s tlbi=single", geometries[i].granule);
		machine = machine_of_granule("linux-7.2", knobs);
		mm = machine_mm(machine, 0);
		assert_int_equal(mm->arch.geometry->cont_ptes, geometries[i].cont_ptes);
		flush = (struct arch_flush){ .end = (geometries[i].max_dvm_ops - 1) * page_size(mm),
					     .stride = page_size(mm), .last_level = true };
		mm->arch.ops->flush_tlb_range(&mm->arch, &flush);
		assert_int_equal(mm->arch.counters->tlbi_va, geometries[i].max_dvm_ops - 1);
		flush.end += page_size(mm);
		mm->arch.ops->flush_tlb_range(&mm->arch, &flush);
		assert_int_equal(mm->arch.counters->tlbi_asid, 1);
		rf_machine_destroy(machine);
	}
}

/*
 * All of it through a zap, on pages of 16K: folios of 2M are blocks of 128 entries. 8192 single slots until 6.8, so two
 * folios of 64 are forced; runs since 6.9.
 */
static struct rf_machine *zap_2m_folios(const char *policy, const char *granule, u32 folios)
{
	struct rf_machine *machine = machine_of_granule(policy, granule);
	unsigned int shift = rf_machine_policy(machine)->geometry.page_shift, order = 21 - shift;
	u32 i;

	run(machine, .kind = RF_OP_MAP, .addr = G(4), .end = G(4) + M(2) * folios, .vm_flags = RW,
	    .pgoff = G(4) >> shift);
	for (i = 0; i < folios; i++)
		run(machine, .kind = RF_OP_FAULT_ANON, .addr = G(4) + M(2) * i, .pfn = PFN + ((u64)i << order),
		    .order = order, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = G(4), .end = G(4) + M(2) * folios);
	assert_no_anomalies(machine);
	return machine;
}

static void test_zap_of_large_pages(void **state)
{
	static const struct { const char *policy, *granule; u64 pages, forced, tlbi; } cases[] = {
		/* 8192, 8192 and 128 pages; 16512 of them = 8 * 2048 + 2 * 64; 4128 = 2 * 2048 + 16 * 2 */
		{ "linux-6.8", "granule=16k", 4, 2, 3 }, { "linux-6.9", "granule=16k", 1, 0, 2 },
		{ "linux-6.8", "granule=64k", 1, 0, 2 }, { "linux-7.2", "granule=64k", 1, 0, 2 },
	};
	const struct arch_counters *c;
	struct rf_machine *machine;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		machine = zap_2m_folios(cases[i].policy, cases[i].granule, 129);
		c = row_of(machine, RF_ROW_zap_dontneed);
		assert_int_equal(c->gather_pages, cases[i].pages);
		assert_int_equal(c->forced_flushes, cases[i].forced);
		assert_int_equal(c->flush_calls, cases[i].forced + 1);
		assert_int_equal(c->tlbi, cases[i].tlbi);
		assert_int_equal(c->unfold, 0);
		assert_int_equal(c->erased, rf_machine_policy(machine)->arch_knobs.cont ? 129 : 0);
		rf_machine_destroy(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_reservations),
		cmocka_unit_test(test_table_batches),
		cmocka_unit_test(test_geometries),
		cmocka_unit_test(test_zap_of_large_pages),
	};

	return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
