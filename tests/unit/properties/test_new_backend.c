// SPDX-License-Identifier: MIT
/*
 * docs/adding-a-backend.md, tried: "toy", an architecture that exists only here. Its CPUs flush whole tables, by a
 * broadcast instruction and a wait. It is put into a list like arch_list, and must pass what every backend must: random
 * operations under all oracles.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/plain.h"
#include "properties/property.h"
#include "properties/tlb.h"

/* ---- step 2: what flushes cost ---- */

static u64 tables_of(const struct arch_geometry *geometry, const struct arch_flush *flush)
{
	u64 span = 1ull << (geometry->page_shift + geometry->table_shift);

	return (ALIGN_UP(flush->end, span) - ALIGN_DOWN(flush->start, span)) / span;
}

static void flush_call(struct arch_mm *mm, const struct arch_flush *flush)
{
	struct arch_counters *c = mm->counters;

	if (mm->observer)
		mm->observer->flush(mm->observer, flush);
	c->flush_calls++;
	c->dsb++;
	c->dsb_ish++;
	if (!flush) {
		c->tlbi++;
		c->tlbi_asid++;
		return;
	}
	c->tlbi += tables_of(mm->geometry, flush);
	c->tlbi_range += tables_of(mm->geometry, flush);
	c->tlbi_pages += tables_of(mm->geometry, flush) << mm->geometry->table_shift;
}

static void toy_flush_tlb_range(struct arch_mm *mm, const struct arch_flush *flush)
{
	flush_call(mm, flush);
}

static void toy_flush_tlb_mm(struct arch_mm *mm)
{
	flush_call(mm, NULL);
}

static void toy_tlb_flush(struct arch_mm *mm, const struct arch_flush *flush, bool fullmm, bool freed_tables)
{
	flush_call(mm, fullmm || freed_tables ? NULL : flush);
}

static void toy_flush_at(struct arch_mm *mm, u64 addr)
{
}

/* ---- step 3: the helpers that are not the plain ones ---- */

/* No atomics: the walker of this machine never writes. */
static void toy_wrprotect_ptes(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	unsigned int i;

	arch_count_batch(mm, ARCH_HELPER_wrprotect_ptes, nr);
	arch_count_lines(mm, addr, nr);
	for (i = 0; i < nr; i++)
		ptep[i] = pte_wrprotect(ptep[i]);
	mm->counters->pte_loads += nr;
	mm->counters->pte_stores += nr;
}

static bool toy_ptep_set_access_flags(struct arch_mm *mm, u64 addr, pte_t *ptep, pte_t entry, bool dirty)
{
	bool changed = plain_widen(ptep, entry);

	arch_count_batch(mm, ARCH_HELPER_ptep_set_access_flags, 1);
	mm->counters->pte_lines++;
	mm->counters->pte_loads++;
	mm->counters->pte_stores += changed;
	return changed;
}

/* ---- step 4: the table, and the list it stands in ---- */

static const char *const toy_machines[] = { "toy64", NULL };

static const struct arch_geometry toy_geometries[] = {
	{ .page_shift = 12, .table_shift = 9, .levels = 4, .cont_ptes = 1 },
	{ 0 },
};

static const struct knob *const toy_knobs[] = { NULL };

static const struct arch_ops toy_ops = {
	.name = "toy",
	.machines = toy_machines,
	.geometries = toy_geometries,
	.knobs = toy_knobs,
	.ptep_get = plain_ptep_get,
	.ptep_get_lockless = plain_ptep_get_lockless,
	.pte_batch_hint = plain_pte_batch_hint,
	.set_ptes = plain_set_ptes,
	.pte_clear = plain_pte_clear,
	.ptep_get_and_clear = plain_ptep_get_and_clear,
	.clear_full_ptes = plain_clear_full_ptes,
	.get_and_clear_full_ptes = plain_get_and_clear_full_ptes,
	.wrprotect_ptes = toy_wrprotect_ptes,
	.ptep_set_access_flags = toy_ptep_set_access_flags,
	.flush_pmd_access = toy_flush_at,
	.test_and_clear_young_ptes = plain_test_and_clear_young_ptes,
	.clear_flush_young_ptes = plain_clear_flush_young_ptes,
	.clear_young_dirty_ptes = plain_clear_young_dirty_ptes,
	.modify_prot_start_ptes = plain_modify_prot_start_ptes,
	.modify_prot_commit_ptes = plain_modify_prot_commit_ptes,
	.ptep_clear_flush = plain_ptep_clear_flush,
	.pte_needs_flush = plain_pte_needs_flush,
	.flush_tlb_range = toy_flush_tlb_range,
	.flush_tlb_page = plain_flush_tlb_page,
	.flush_tlb_mm = toy_flush_tlb_mm,
	.tlb_flush = toy_tlb_flush,
	.tlbbatch_add_pending = plain_tlbbatch_add_pending,
	.tlbbatch_flush = toy_flush_tlb_mm,
	.flush_tlb_batched_pending = plain_flush_tlb_batched_pending,
	.flush_tlb_fix_spurious_fault = toy_flush_at,
};

static const struct arch_ops *const list[] = { &toy_ops, NULL };

/* ---- step 5: what flushes should cost, a second time, and the random operations ---- */

static void toy_flush_cost(struct flush_totals *totals, const struct rf_policy *policy, const struct arch_flush *flush)
{
	unsigned int shift = policy->geometry.page_shift + policy->geometry.table_shift;
	u64 tables = flush ? ((flush->end - 1) >> shift) - (flush->start >> shift) + 1 : 0;

	totals->dsb_ish++;
	totals->tlbi += flush ? tables : 1;
	totals->tlbi_range += tables;
	totals->tlbi_asid += !flush;
	totals->tlbi_pages += tables << policy->geometry.table_shift;
}

static bool passes(const struct arch_ops *ops, u64 seed, struct failure *failure)
{
	struct config config;
	struct step step;
	struct trial *t;
	size_t i;
	bool good = true;

	assert_true(config_init(&config, "x86-7.3", seed));
	config.policy.arch = config.backend = ops;
	config.flush_cost = toy_flush_cost;
	t = trial_create(&config);
	for (i = 0; i < 4000 && good; i++) {
		step = generate(t);
		good = trial_step(t, &step) && (i % 500 || trial_check_all(t));
	}
	*failure = t->failure;
	trial_destroy(t);
	return good;
}

static void test_conforms(void **state)
{
	const struct arch_ops *const *ops;
	struct failure failure;
	u64 seed;

	for (ops = list; *ops; ops++)
		for (seed = 1; seed <= 5; seed++)
			if (!passes(*ops, seed, &failure))
				fail_msg("%s, seed %llu: %s: %s", (*ops)->name, (unsigned long long)seed,
					 failure.oracle, failure.text);
}

static void forgetful_wrprotect(struct arch_mm *mm, u64 addr, pte_t *ptep, unsigned int nr)
{
	toy_wrprotect_ptes(mm, addr, ptep, nr > 1 ? nr - 1 : nr);
}

static void free_flush(struct arch_mm *mm, const struct arch_flush *flush)
{
}

/* A backend that is wrong does not pass. */
static void test_mistakes_are_found(void **state)
{
	struct arch_ops forgets = toy_ops, silent = toy_ops;
	struct failure failure;

	forgets.wrprotect_ptes = forgetful_wrprotect;
	assert_false(passes(&forgets, 1, &failure));
	silent.flush_tlb_range = free_flush;
	assert_false(passes(&silent, 1, &failure));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conforms),
		cmocka_unit_test(test_mistakes_are_found),
	};

	return cmocka_run_group_tests_name("new backend", tests, NULL, NULL);
}
