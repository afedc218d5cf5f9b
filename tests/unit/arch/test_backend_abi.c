// SPDX-License-Identifier: MIT
/*
 * The interface of loaded backends as those have it that were compiled against it: where each member is, and which
 * number a counter has. What changes here needs another REFOLD_BACKEND_ABI; what is added, is added at ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/backend_abi.h"
#include "arch/loaded/loaded.h"

#define IS_AT(type, member, offset) assert_int_equal(offsetof(struct type, member), offset)

static void test_structs(void **state)
{
	assert_int_equal(REFOLD_BACKEND_ABI, 1);
	IS_AT(refold_flush, start, 0);
	IS_AT(refold_flush, end, 8);
	IS_AT(refold_flush, stride, 16);
	IS_AT(refold_flush, last_level, 24);
	IS_AT(refold_flush, level, 28);
	IS_AT(refold_flush, mode, 32);
	assert_int_equal(sizeof(struct refold_flush), 40);	/* has no size: nothing can be added */

	IS_AT(refold_mm, size, 0);
	IS_AT(refold_mm, cpu, 4);
	IS_AT(refold_mm, flags, 8);
	IS_AT(refold_mm, max_dvm_ops, 12);
	IS_AT(refold_mm, page_shift, 16);
	IS_AT(refold_mm, table_entries, 20);
	IS_AT(refold_mm, cont_ptes, 24);
	IS_AT(refold_mm, counters, 32);
	IS_AT(refold_mm, live_blocks, 40);
	IS_AT(refold_mm, own, 48);
	IS_AT(refold_mm, flush_seen, 56);
	IS_AT(refold_mm, warn, 64);
	IS_AT(refold_mm, host, 72);

	IS_AT(refold_backend, abi, 0);
	IS_AT(refold_backend, size, 4);
	IS_AT(refold_backend, arch, 8);
	IS_AT(refold_backend, base, 16);
	IS_AT(refold_backend, release, 24);
	IS_AT(refold_backend, page_shift, 32);
	IS_AT(refold_backend, cont_ptes, 36);
	IS_AT(refold_backend, flags, 40);
	IS_AT(refold_backend, tree, 48);
	IS_AT(refold_backend, revision, 56);
	IS_AT(refold_backend, files, 64);
	IS_AT(refold_backend, compiler, 72);
	IS_AT(refold_backend, compiler_flags, 80);
}

/* In this order, from ptep_get() on; nothing is between them. */
static void test_hooks(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
	} hooks[] = {
#define HOOK(name) { #name, offsetof(struct refold_backend, name) },
		LOADED_HOOKS(HOOK)
#undef HOOK
	};
	static const char *const order[] = {
		"ptep_get", "ptep_get_lockless", "pte_batch_hint", "set_ptes", "pte_clear", "ptep_get_and_clear",
		"clear_full_ptes", "get_and_clear_full_ptes", "wrprotect_ptes", "ptep_set_access_flags",
		"test_and_clear_young_ptes", "clear_flush_young_ptes", "clear_young_dirty_ptes",
		"modify_prot_start_ptes", "modify_prot_commit_ptes", "ptep_clear_flush", "pte_needs_flush",
		"flush_pmd_access", "flush_tlb_range", "flush_tlb_page", "flush_tlb_mm", "tlb_flush",
		"tlbbatch_add_pending", "tlbbatch_flush", "flush_tlb_batched_pending",
		"flush_tlb_fix_spurious_fault",
	};
	size_t i;

	assert_true(ARRAY_SIZE(hooks) >= ARRAY_SIZE(order));
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		assert_string_equal(hooks[i].name, order[i]);
		assert_int_equal(hooks[i].offset, 88 + 8 * i);
	}
	/* Each member is in the list of hooks. */
	assert_int_equal(sizeof(struct refold_backend), 88 + 8 * ARRAY_SIZE(hooks));
}

static void test_counters(void **state)
{
	static const int numbers[] = {
		REFOLD_pte_loads, REFOLD_pte_stores, REFOLD_pte_atomics, REFOLD_pte_lines, REFOLD_fold, REFOLD_unfold,
		REFOLD_born, REFOLD_erased, REFOLD_flush_calls, REFOLD_tlbi, REFOLD_tlbi_va, REFOLD_tlbi_range,
		REFOLD_tlbi_asid, REFOLD_tlbi_repeat, REFOLD_tlbi_local, REFOLD_tlbi_walk, REFOLD_tlbi_pages,
		REFOLD_dsb, REFOLD_dsb_ishst, REFOLD_dsb_ish, REFOLD_dsb_nsh, REFOLD_isb,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		assert_int_equal(numbers[i], i);
}

static void test_bits(void **state)
{
	static const uint64_t bits[] = {
		REFOLD_PTE_VALID, REFOLD_PTE_CONT, REFOLD_PTE_WRITE, REFOLD_PTE_RDONLY, REFOLD_PTE_DIRTY, REFOLD_PTE_AF,
		REFOLD_PTE_SPECIAL, REFOLD_PTE_UFFD, REFOLD_PTE_PROTNONE, REFOLD_PTE_EXEC, REFOLD_PTE_SWAP,
		REFOLD_PTE_MIGRATION,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bits); i++)
		assert_int_equal(bits[i], 1ull << i);
	assert_int_equal(REFOLD_PTE_PFN_MASK, 0xffffffffff000ull);
	assert_int_equal(REFOLD_PTE_ORDER_MASK, 0xfull << 52);
	assert_int_equal(REFOLD_PTE_ANON, 1ull << 56);
	assert_int_equal(REFOLD_PTE_EXCLUSIVE, 1ull << 57);
	assert_int_equal(REFOLD_PTE_SHMEM, 1ull << 58);
	assert_int_equal(REFOLD_PTE_PRIVATE_MASK, 0xfull << 59);
	assert_int_equal(REFOLD_CPU_REPEAT_TLBI, 1u << 4);
	assert_int_equal(REFOLD_MM_REMOTE_CPUS, 1u << 3);
	assert_int_equal(REFOLD_BACKEND_REPEAT_NEW, 1u << 1);
	assert_int_equal(REFOLD_BACKEND_NO_BBML3, 1u << 2);
}

/* A knob of a backend without a row in loaded.c would be refused on all that are loaded, for a reason that is wrong. */
static void test_knobs(void **state)
{
	static const struct arch_loaded nothing_replaced;
	const struct arch_ops *const *ops;
	const struct knob *const *table, *knob;
	unsigned int nr = 0;

	for (ops = arch_list; *ops; ops++) {
		for (table = (*ops)->knobs; *table; table++) {
			for (knob = *table; knob->name; knob++, nr++) {
				if (arch_loaded_refuses(&nothing_replaced, knob, 0))
					fail_msg("%s of %s: no hook looks at it, says loaded.c", knob->name,
						 (*ops)->name);
			}
		}
	}
	assert_true(nr > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structs),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_knobs),
	};

	return cmocka_run_group_tests_name("backend_abi", tests, NULL, NULL);
}
