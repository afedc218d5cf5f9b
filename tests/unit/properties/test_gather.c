// SPDX-License-Identifier: MIT
/*
 * mmu_gather against a gather that really keeps what is queued (I9, I10): every page queued is freed once, after a
 * flush that covers it; no batch holds more than fits, and there are no more batches than may be; the flush is the hull
 * of what was recorded, and there is one for each time that something was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/pgtable.h"
#include "engine/tlb.h"
#include "tests/unit/engine/random.h"

#define BUNDLE 8
#define MAX_BATCHES 64
#define RUNS 4000

/* One slot of a batch: a page, or since 6.9 the number of pages that begin with the one before. */
struct slot {
	u64 addr;
	u32 nr;
};

struct batch {
	u32 max, used;
	struct slot *slots;
};

static struct gather {
	const struct rf_policy *policy;
	u32 nr_batches, active, pages_allocated;
	struct batch batches[MAX_BATCHES];
	u64 start, end;			/* of what was recorded since the last flush */
	u64 flushed_start, flushed_end;	/* since the last time that pages were freed: all flushes */
	u64 queued, freed, flushes, expected_flushes;
	bool delayed_rmap;
} gather;

static u64 page_bytes(void)
{
	return 1ull << gather.policy->geometry.page_shift;
}

static u32 slots_per_page(void)
{
	return (page_bytes() - 16) / 8;
}

static void add_batch(void)
{
	struct batch *batch = &gather.batches[gather.nr_batches++];

	assert_true(gather.nr_batches <= MAX_BATCHES);
	batch->max = gather.nr_batches == 1 ? BUNDLE : slots_per_page();
	batch->used = 0;
	batch->slots = calloc(batch->max, sizeof(*batch->slots));
	assert_non_null(batch->slots);
	/* The first is on the stack; kernel-model.md 1.5 has the numbers. */
	gather.pages_allocated += gather.nr_batches > 1;
	assert_true(gather.nr_batches - 1 <= 10000 / slots_per_page());
}

static void begin(const struct rf_policy *policy)
{
	u32 i;

	for (i = 0; i < gather.nr_batches; i++)
		free(gather.batches[i].slots);
	gather = (struct gather){ .policy = policy, .start = ~0ull, .flushed_start = ~0ull };
	add_batch();
}

static bool more_batches(void)
{
	if (gather.delayed_rmap && gather.active)
		return false;
	return gather.active + 1 < gather.nr_batches || gather.nr_batches <= 10000 / slots_per_page();
}

/* The next slot goes into another batch. */
static void move_on(void)
{
	assert_true(more_batches());
	if (++gather.active == gather.nr_batches)
		add_batch();
	gather.batches[gather.active].used = 0;
}

static void put(u64 addr, u32 nr)
{
	struct batch *batch = &gather.batches[gather.active];

	assert_true(batch->used < batch->max);
	batch->slots[batch->used++] = (struct slot){ addr, nr };
}

/* What the machine's gather says of being full must be what this one finds. */
static bool queue(u64 addr, u32 nr)
{
	const struct batch *batch;
	u32 i;

	gather.queued += nr;
	if (gather.policy->mm.gather == GATHER_FOLIO2SLOT) {
		put(addr, nr);
		if (nr > 1)
			put(addr, nr);
		/* There is always room for one more of two slots. */
		batch = &gather.batches[gather.active];
		if (batch->max - batch->used > 1)
			return false;
		if (!more_batches())
			return true;
		move_on();
		return false;
	}
	for (i = 0; i < nr; i++) {
		put(addr + i * page_bytes(), 1);
		batch = &gather.batches[gather.active];
		if (batch->used < batch->max)
			continue;
		if (!more_batches()) {
			assert_int_equal(i, nr - 1);	/* callers reserved room: nothing may be left over */
			return true;
		}
		move_on();
	}
	return false;
}

static void free_pages(void)
{
	const struct batch *batch;
	u32 i, j;

	for (i = 0; i <= gather.active; i++) {
		batch = &gather.batches[i];
		for (j = 0; j < batch->used; j++) {
			const struct slot *slot = &batch->slots[j];
			bool run = j + 1 < batch->used && slot->nr > 1;

			assert_true(slot->addr >= gather.flushed_start);
			assert_true(slot->addr + slot->nr * page_bytes() <= gather.flushed_end);
			gather.freed += slot->nr;
			j += run;
		}
	}
	for (i = 0; i < gather.nr_batches; i++)
		gather.batches[i].used = 0;
	gather.active = 0;
	gather.flushed_start = ~0ull;
	gather.flushed_end = 0;
}

static void watch_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	assert_true(flush->start == gather.start && flush->end == gather.end);
	gather.flushed_start = min_u64(gather.flushed_start, flush->start);
	gather.flushed_end = max_u64(gather.flushed_end, flush->end);
	gather.start = ~0ull;
	gather.end = 0;
	gather.flushes++;
}

static void record(struct mmu_gather *tlb, u64 addr, u32 nr)
{
	tlb_flush_pte_range(tlb, addr, nr * page_bytes());
	gather.start = min_u64(gather.start, addr);
	gather.end = max_u64(gather.end, addr + nr * page_bytes());
}

static void expect_flush(void)
{
	gather.expected_flushes += gather.end != 0;
}

/* How many of a run the policy's zap would take at once. */
static u32 room_for(struct mmu_gather *tlb, u32 nr)
{
	u32 room = nr;

	switch (tlb->mm->machine->policy.mm.gather) {
	case GATHER_PER_PAGE:
		return 1;
	case GATHER_GUARANTEED:
		room = tlb_get_guaranteed_space(tlb);
		break;
	case GATHER_RESERVE:
		room = tlb_reserve_space(tlb, nr);
		break;
	case GATHER_FOLIO2SLOT:
		break;
	}
	/* What was asked for, and allocated on the way, is there to be used. */
	while (tlb->batch_count > gather.nr_batches - 1)
		add_batch();
	assert_true(room);
	return nr < room ? nr : room;
}

static void one_gather(struct mm *mm, unsigned int runs)
{
	u64 addr = 0x40000000;
	struct mmu_gather tlb;
	bool full;
	u32 nr;

	tlb_gather_mmu(&tlb, mm);
	while (runs--) {
		if (!random_below(500))
			tlb.delayed_rmap = gather.delayed_rmap = true;
		nr = room_for(&tlb, random_below(3) ? 1u << random_below(10) : 1 + random_below(600));
		addr = random_below(20) ? addr + nr * page_bytes() : 0x40000000 + (random_below(1 << 24) << 16);
		record(&tlb, addr, nr);
		full = queue(addr, nr);
		assert_int_equal(tlb_remove_folio_pages(&tlb, nr), full);
		if (!random_below(400)) {	/* the end of a VMA */
			expect_flush();
			tlb_flush_mmu_tlbonly(&tlb);
		}
		if (!full)
			continue;
		expect_flush();
		tlb.delayed_rmap = gather.delayed_rmap = false;
		tlb_flush_mmu(&tlb);
		free_pages();
	}
	expect_flush();
	tlb_finish_mmu(&tlb);
	free_pages();
	gather.delayed_rmap = false;
}

static void check_policy(const char *name, const char *granule)
{
	const struct rf_policy *named = rf_policy_find(name);
	struct rf_machine *machine;
	struct rf_policy policy;
	struct arch_ops ops;
	struct rf_error err;
	struct mm *mm;
	u32 i;

	assert_non_null(named);
	policy = *named;
	assert_int_equal(rf_policy_set(&policy, "granule", granule, &err), 0);
	ops = *policy.arch;
	ops.tlb_flush = watch_flush;
	policy.arch = &ops;
	machine = rf_machine_create(&policy);
	assert_non_null(machine);
	mm = machine_new_mm(machine, 0);
	assert_non_null(mm);
	for (i = 0; i < 40; i++) {
		begin(&policy);
		memset(mm->arch.counters, 0, sizeof(*mm->arch.counters));
		one_gather(mm, i < 30 ? random_below(40) : RUNS);
		assert_true(gather.freed == gather.queued);
		assert_true(gather.flushes == gather.expected_flushes);
		assert_true(mm->arch.counters->gather_pages == gather.pages_allocated);
	}
	rf_machine_destroy(machine);
}

static void test_gather(void **state)
{
	static const char *const policies[] = { "linux-6.8", "contpte-v3", "contpte-v4", "linux-6.9", "linux-7.3" };
	static const char *const granules[] = { "4k", "16k", "64k" };
	const char *seed = getenv("REFOLD_SEED");
	size_t i, g;

	rng = seed ? strtoull(seed, NULL, 0) * 2 + 1 : 0x5eed2026;
	for (i = 0; i < ARRAY_SIZE(policies); i++)
		for (g = 0; g < ARRAY_SIZE(granules); g++)
			check_policy(policies[i], granules[g]);
	begin(rf_policy_find("linux-6.8"));
	free(gather.batches[0].slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_gather) };

	return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
