// SPDX-License-Identifier: MIT
/*
 * Two negative controls that belong to readers without the lock (kernel-model.md 5.4, S0 and S2).
 *
 * R3: a page fault reads an entry, takes the lock, reads again and goes on if both are equal. A first read that does
 * not gather A/D makes it retry for ever on a folded block whose A/D sit in another entry, with nobody racing.
 *
 * R5: GUP-fast reads an entry, pins the page, reads again. If the second read gathers from several entries and does
 * not check that they still are one block, it can put together what was read first, although by then it is nowhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/arch/fixture.h"

/* ---- R3 ---- */

#define RETRY_BOUND 1000

/* A fault on entry index: how often does it find that the entry has changed? */
static unsigned int fault_retries(struct fixture *f, unsigned int index, u64 compared)
{
	u64 addr = fixture_addr(f, index);
	unsigned int retries;
	pte_t seen, locked;

	for (retries = 0; retries < RETRY_BOUND; retries++) {
		seen = f->ops->ptep_get_lockless(&f->mm, addr, &f->table[index]);
		locked = f->ops->ptep_get(&f->mm, addr, &f->table[index]);
		if (!((seen.val ^ locked.val) & compared))
			break;
	}
	return retries;
}

static struct fixture *block_with_bits_elsewhere(const char *spec)
{
	struct fixture *f = fixture_new(spec);

	fixture_map(f, 0, f->n, __builtin_ctz(f->n), PTE_WRITE);
	f->table[f->n / 2] = pte_mkdirty(pte_mkyoung(f->table[f->n / 2]));
	return f;
}

static void test_norecency_and_full_compare(void **state)
{
	const u64 all = PTE_HW_MASK, without_bits = all & ~(PTE_AF | PTE_DIRTY | PTE_RDONLY);
	const struct rf_policy *policy;
	struct fixture *f;
	size_t i;

	f = block_with_bits_elsewhere("norecency-rfc");
	assert_true(pte_cont(f->table[0]));
	assert_int_equal(fault_retries(f, 0, all), RETRY_BOUND);
	/* What the RFC does: A/D are not compared. And the entry that has them itself is not in question. */
	assert_int_equal(fault_retries(f, 0, without_bits), 0);
	assert_int_equal(fault_retries(f, f->n / 2, all), 0);
	free(f);
	for (i = 0; (policy = rf_policy_named(i)); i++) {
		if (policy->arch_knobs.lockless == LOCKLESS_NORECENCY || policy->geometry.cont_ptes == 1)
			continue;
		f = block_with_bits_elsewhere(policy->name);
		assert_int_equal(fault_retries(f, 0, all), 0);
		free(f);
	}
}

/* ---- R5: all interleavings of one writer and one reader, a block of 4 ---- */

#define N 4
#define TARGET 0		/* the entry that GUP-fast is at */
#define MAX_RESTARTS 2

struct race {
	pte_t table[N];
	unsigned int written;	/* steps of the writer */
	/* The reader's second read: step 0 loads the target, 1..N the entries of its block. */
	unsigned int step, restarts;
	pte_t value;
	bool done, was_true;	/* was what was read first the truth at any moment of the second read? */
};

static const u64 old_pfn = 0x100, new_pfn = 0x201;	/* the new pages are not aligned: nothing folds */
static bool checks_block;	/* ptep_get_lockless(); false: ptep_get() */
static unsigned long paths, accepted, false_matches;

static pte_t old_entry(unsigned int i, bool dirty)
{
	return fixture_pte(old_pfn + i, 2, PTE_AF | PTE_CONT | PTE_WRITE | (dirty ? PTE_DIRTY : 0));
}

/* The first read was made, and the page pinned, while the block was folded and one of its entries dirty. */
static pte_t first_read(void)
{
	return pte_mkdirty(old_entry(TARGET, false));
}

/*
 * One step of the writer at a time: the block is cleaned, then unmapped, then other pages are mapped there, dirty.
 * Every step is legal under the lock, which GUP-fast does not take.
 */
#define WRITER_STEPS (3 * N)

static void write_step(struct race *race)
{
	unsigned int i = race->written % N;

	switch (race->written++ / N) {
	case 0:
		race->table[i] = pte_mkclean(race->table[i]);
		break;
	case 1:
		race->table[i].val = 0;
		break;
	default:
		race->table[i] = fixture_pte(new_pfn + i, 0, PTE_AF | PTE_WRITE | PTE_DIRTY);
	}
}

/* What the target maps now, with the A/D of its block. */
static pte_t truth(const struct race *race)
{
	pte_t pte = race->table[TARGET];
	unsigned int i;

	for (i = 0; pte_cont(pte) && i < N; i++)
		if (pte_cont(race->table[i]) && pte_dirty(race->table[i]))
			pte = pte_mkdirty(pte);
	return pte;
}

static void restart(struct race *race)
{
	race->step = 0;
	race->was_true = false;
	race->done = ++race->restarts > MAX_RESTARTS;
}

static void read_step(struct race *race)
{
	unsigned int i = race->step - 1;
	pte_t pte;

	if (race->step++ == 0) {
		race->value = race->table[TARGET];
		race->done = !pte_cont(race->value);
		return;
	}
	pte = race->table[i];
	if (checks_block && (!pte_cont(pte) || pte_pfn(pte) != pte_pfn(race->value) - TARGET + i)) {
		restart(race);
		return;
	}
	if (pte_dirty(pte))
		race->value = pte_mkdirty(race->value);
	race->done = race->step == N + 1;
}

static void note_truth(struct race *race)
{
	if (race->step && truth(race).val == first_read().val)
		race->was_true = true;
}

static void explore(struct race race)
{
	struct race next;

	if (race.done) {
		paths++;
		if (race.restarts > MAX_RESTARTS || race.value.val != first_read().val)
			return;
		accepted++;
		false_matches += !race.was_true;
		return;
	}
	next = race;
	read_step(&next);
	note_truth(&next);
	explore(next);
	if (race.written == WRITER_STEPS)
		return;
	next = race;
	write_step(&next);
	note_truth(&next);
	explore(next);
}

static void explore_all(bool checks)
{
	struct race race = { .written = 0 };
	unsigned int i;

	for (i = 0; i < N; i++)
		race.table[i] = old_entry(i, i == N / 2);
	assert_true(truth(&race).val == first_read().val);
	checks_block = checks;
	paths = accepted = false_matches = 0;
	explore(race);
	print_message("%s: %lu interleavings, %lu accept, %lu of them what was not there\n",
		      checks ? "ptep_get_lockless" : "ptep_get", paths, accepted, false_matches);
	assert_true(accepted > 0);
}

static void test_recheck_with_plain_getter(void **state)
{
	explore_all(false);
	assert_true(false_matches > 0);
	explore_all(true);
	assert_true(false_matches == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_norecency_and_full_compare),
		cmocka_unit_test(test_recheck_with_plain_getter),
	};

	return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
