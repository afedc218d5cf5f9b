// SPDX-License-Identifier: MIT
/*
 * Split independence (I17): a range taken at once, or in any pieces, leaves the same mappings and the same A/D of each
 * folio. Helper by helper on random tables, for every named policy; then one operation on a machine, and a batch test
 * that ignores CONT, which must not get through. (Whole streams with operations in pieces are in test_properties.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mutants.h"
#include "tests/unit/arch/fixture.h"
#include "tests/unit/engine/machine_script.h"
#include "tests/unit/engine/random.h"

#define ENTRIES 1024
#define ROUNDS 600

/* ---- helpers ---- */

enum helper { SET, CLEAR, WRPROTECT, YOUNG, YOUNG_DIRTY, PROTECT, NR_HELPERS };

static const char *const helper_names[] = {
	"set_ptes", "get_and_clear_full_ptes", "wrprotect_ptes", "test_and_clear_young_ptes", "clear_young_dirty_ptes",
	"modify_prot_*",
};

/* What a call, or all of its pieces, told: A/D that were taken out of the table. */
struct told {
	u64 bits;
	bool young;
};

static u64 access_bits(pte_t pte)
{
	return (pte_young(pte) ? PTE_AF : 0) | (pte_dirty(pte) ? PTE_DIRTY : 0);
}

static void call(struct fixture *f, enum helper helper, unsigned int index, unsigned int nr, pte_t arg,
		 struct told *told)
{
	u64 addr = fixture_addr(f, index);
	pte_t *ptep = &f->table[index], old;

	switch (helper) {
	case SET:
		f->ops->set_ptes(&f->mm, addr, ptep, arg, nr);
		break;
	case CLEAR:
		told->bits |= access_bits(f->ops->get_and_clear_full_ptes(&f->mm, addr, ptep, nr, false));
		break;
	case WRPROTECT:
		f->ops->wrprotect_ptes(&f->mm, addr, ptep, nr);
		break;
	case YOUNG:
		told->young |= f->ops->test_and_clear_young_ptes(&f->mm, addr, ptep, nr);
		break;
	case YOUNG_DIRTY:
		f->ops->clear_young_dirty_ptes(&f->mm, addr, ptep, nr, true, true);
		break;
	default:
		old = f->ops->modify_prot_start_ptes(&f->mm, addr, ptep, nr);
		f->ops->modify_prot_commit_ptes(&f->mm, addr, ptep, old, pte_modify(old, false, true, false), nr);
	}
}

static void call_in_pieces(struct fixture *f, enum helper helper, unsigned int index, unsigned int nr, pte_t arg,
			   struct told *told)
{
	unsigned int piece;

	for (; nr; nr -= piece, index += piece, arg = pte_advance_pfn(arg, piece)) {
		piece = random_below(2) ? 1 + random_below(nr) : 1 + random_below(nr < 20 ? nr : 20);
		call(f, helper, index, piece, arg, told);
	}
}

static u64 map_bits(pte_t pte)
{
	u64 bits = pte.val & (PTE_PFN_MASK | PTE_WRITE | PTE_EXEC | PTE_SPECIAL | PTE_UFFD | PTE_PROTNONE | PTE_SWAP);

	return bits | (pte.val & PTE_PROTNONE ? 0 : pte.val & PTE_VALID);
}

static unsigned int folded(const struct fixture *f)
{
	unsigned int i, blocks = 0;

	for (i = 0; i < ENTRIES; i += f->n)
		blocks += pte_cont(f->table[i]);
	return blocks;
}

static bool same_folio(pte_t a, pte_t b)
{
	return pte_present(a) && pte_present(b) && pte_folio_pfn(a) == pte_folio_pfn(b);
}

/* A/D of all entries of the folio at index; *end: the first one after it. */
static u64 folio_bits(const struct fixture *f, unsigned int index, unsigned int *end)
{
	u64 bits = 0;

	for (*end = index; *end < ENTRIES && (*end == index || same_folio(f->table[index], f->table[*end])); ++*end)
		bits |= pte_present(f->table[*end]) ? access_bits(f->table[*end]) : 0;
	return bits;
}

/* Folios, some of them unfolded, protected, accessed in part. */
static void fill(struct fixture *f)
{
	unsigned int index, order, nr, i;
	u64 pfn = 0x10000;

	for (index = 0; index < ENTRIES; index += nr) {
		order = random_below(4) ? 2 + random_below(7) : 0;
		nr = 1u << order;
		if (index & (nr - 1) || index + nr > ENTRIES)
			nr = 1, order = 0;
		pfn = ALIGN_UP(pfn, nr);
		f->ops->set_ptes(&f->mm, fixture_addr(f, index), &f->table[index],
				 fixture_pte(pfn, order, PTE_ANON | (random_below(2) ? PTE_WRITE : 0)), nr);
		pfn += nr;
		if (!random_below(3)) {
			i = random_below(nr);
			f->ops->wrprotect_ptes(&f->mm, fixture_addr(f, index + i), &f->table[index + i],
					       1 + random_below(nr - i));
		}
		for (i = 0; i < nr; i++) {
			f->table[index + i].val |= random_below(8) ? 0 : PTE_AF;
			if (pte_write(f->table[index + i]) && !random_below(12))
				f->table[index + i].val &= ~PTE_RDONLY;
		}
	}
}

/* Entries from index that a kernel could take at once, whatever of them is folded. */
static unsigned int run_length(const struct fixture *f, unsigned int index)
{
	const u64 alike = PTE_VALID | PTE_PROTNONE | PTE_WRITE | PTE_EXEC;
	unsigned int i;

	for (i = 1; index + i < ENTRIES && same_folio(f->table[index], f->table[index + i]); i++)
		if ((f->table[index].val ^ f->table[index + i].val) & alike)
			break;
	return i;
}

static void compare(const struct fixture *whole, const struct fixture *pieces, enum helper helper, const char *spec)
{
	unsigned int i, end, end2;

	for (i = 0; i < ENTRIES; i++)
		if (map_bits(whole->table[i]) != map_bits(pieces->table[i]))
			fail_msg("%s: %s in pieces leaves %#llx at %u, at once %#llx", spec, helper_names[helper],
				 (unsigned long long)pieces->table[i].val, i, (unsigned long long)whole->table[i].val);
	for (i = 0; i < ENTRIES; i = end)
		if (folio_bits(whole, i, &end) != folio_bits(pieces, i, &end2))
			fail_msg("%s: %s in pieces leaves other A/D at %u", spec, helper_names[helper], i);
}

static void one_round(const char *spec)
{
	struct fixture *whole = fixture_new(spec), *pieces = fixture_new(spec);
	enum helper helper = random_below(NR_HELPERS);
	struct told told_whole = { 0 }, told_pieces = { 0 };
	unsigned int index = random_below(ENTRIES), nr;
	pte_t arg = { 0 };

	fill(whole);
	memcpy(pieces->table, whole->table, sizeof(pieces->table));
	pieces->live = whole->live;
	if (random_below(2))
		index &= ~(whole->n - 1);
	nr = run_length(whole, index);
	if (random_below(3))
		nr = 1 + random_below(nr);
	if (helper == SET) {
		arg = whole->table[index];
		arg.val &= ~PTE_CONT;
		call(whole, CLEAR, index, nr, arg, &told_whole);
		call(pieces, CLEAR, index, nr, arg, &told_pieces);
	}
	call(whole, helper, index, nr, arg, &told_whole);
	call_in_pieces(pieces, helper, index, nr, arg, &told_pieces);
	compare(whole, pieces, helper, spec);
	assert_true(told_whole.young == told_pieces.young);
	assert_true(told_whole.bits == told_pieces.bits);
	/* Whole blocks, merged code: pieces can only lose coverage. */
	if (!((index | nr) & (whole->n - 1)) && whole->policy.arch_knobs.fold_sites <= FOLD_SET1)
		assert_true(folded(pieces) <= folded(whole));
	free(whole);
	free(pieces);
}

static void test_helpers(void **state)
{
	const char *seed = getenv("REFOLD_SEED");
	const struct rf_policy *policy;
	char spec[sizeof(policy->name) + 16];
	size_t i, round;

	rng = seed ? strtoull(seed, NULL, 0) * 2 + 1 : 0x5eed2026;
	for (i = 0; (policy = rf_policy_named(i)); i++) {
		for (round = 0; round < ROUNDS; round++) {
			snprintf(spec, sizeof(spec), "%s%s", policy->name,
				 round % 4 || strcmp(policy->arch->name, "arm64") ? "" : "+granule=64k");
			one_round(spec);
		}
	}
}

/* ---- operations ---- */

#define NR_PAGES 32

/*
 * A folio of two blocks, of which the second has lost a page to a copy. Then mprotect(), at once or page by page; what
 * every page maps afterwards.
 */
static void protect(const struct rf_policy *policy, bool in_pieces, pte_t *after)
{
	struct rf_machine *machine = rf_machine_create(policy);
	u64 step = in_pieces ? K(4) : K(4) * NR_PAGES, addr;
	u32 i;

	assert_non_null(machine);
	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	map_anon(machine, 0, BASE, M(2));
	fault_anon(machine, 0, BASE, K(4) * NR_PAGES, 5, PFN);
	run(machine, .kind = RF_OP_FORK, .mm = 0, .mm2 = 1);
	run(machine, .kind = RF_OP_FAULT_COW, .mm = 0, .addr = BASE + K(4) * 20, .pfn = 0x777);
	for (addr = BASE; addr < BASE + K(4) * NR_PAGES; addr += step)
		run(machine, .kind = RF_OP_MPROTECT, .mm = 0, .addr = addr, .end = addr + step, .vm_flags = RF_VM_READ);
	assert_no_anomalies(machine);
	for (i = 0; i < NR_PAGES; i++)
		after[i] = rf_machine_lookup(machine, 0, BASE + K(4) * i);
	rf_machine_destroy(machine);
}

static bool split_independent(const struct rf_policy *policy)
{
	pte_t at_once[NR_PAGES], in_pieces[NR_PAGES];
	u32 i;

	protect(policy, false, at_once);
	protect(policy, true, in_pieces);
	for (i = 0; i < NR_PAGES; i++)
		if (map_bits(at_once[i]) != map_bits(in_pieces[i]))
			return false;
	return true;
}

static void test_operations(void **state)
{
	const struct rf_policy *policy;
	size_t i;

	for (i = 0; (policy = rf_policy_named(i)); i++)
		if (!split_independent(policy))
			fail_msg("%s: mprotect page by page is something else", policy->name);
}

static void test_batch_that_ignores_cont(void **state)
{
	struct rf_policy policy = *rf_policy_find("linux-7.3");
	struct arch_ops ops = {};
	size_t i;

	for (i = 0; i < nr_mutants; i++)
		if (mutants[i].hooks.pte_batch_hint)
			ops = mutated(policy.arch, &mutants[i]);
	policy.arch = &ops;
	assert_false(split_independent(&policy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_helpers),
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_batch_that_ignores_cont),
	};

	return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
