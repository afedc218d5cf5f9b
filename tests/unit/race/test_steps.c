// SPDX-License-Identifier: MIT
/*
 * The explorer's step lists against the backend that replays run on: with nobody else at work, a writer leaves the same
 * entries with as many stores and atomics, and a reader gets the same value with as many loads.
 */
#include "race/scene.h"
#include "tests/unit/arch/fixture.h"

#define N 16
#define FOLIO_ORDER ((u64)4 << PTE_ORDER_SHIFT)

static void load_table(struct fixture *f, const struct race_state *state)
{
	unsigned int i;

	for (i = 0; i < N; i++)
		f->table[i].val = state->entries[i] ? state->entries[i] | FOLIO_ORDER : 0;
	fixture_zero(f);
}

/* A random start; young and dirty may be set separately, as hardware would. */
static void random_start(const struct race_scene *scene, struct race_state *state)
{
	unsigned int i;

	race_start(scene, (u64)rand() % race_nr_starts(scene), state);
	for (i = 0; i < N; i++) {
		if (rand() % 8 == 0 && state->entries[i])
			state->entries[i] |= PTE_AF;
		if (rand() % 8 == 0 && state->entries[i] & PTE_WRITE)
			state->entries[i] &= ~(u32)PTE_RDONLY;
	}
}

/* ---- readers ---- */

static void compare_reader(const char *kernel, const struct race_policy *policy)
{
	struct race_setup setup = { policy, RACE_UNFOLD, RACE_PERF, N, 0 };
	struct fixture *f = fixture_new(kernel);
	struct race_event event = { 0 };
	struct race_scene scene;
	struct race_state state;
	unsigned int round, loads;
	pte_t value;

	race_scene_init(&scene, &setup);
	for (round = 0; round < 2000; round++) {
		random_start(&scene, &state);
		load_table(f, &state);
		value = f->ops->ptep_get_lockless(&f->mm, fixture_addr(f, state.target), &f->table[state.target]);
		for (loads = 0; state.phase != RACE_FINISHED; loads++)
			race_move(&scene, &state, (struct race_action){ RACE_READER, 0 }, &event);
		assert_int_equal(event.result, value.val & PTE_HW_MASK);
		assert_int_equal(loads, f->counters.pte_loads);
	}
	free(f);
}

static void test_readers(void **state)
{
	compare_reader("linux-6.12", &(struct race_policy){ .lockless = RACE_GET_CHECKED });
	compare_reader("linux-7.3", &(struct race_policy){ .lockless = RACE_GET_CHECKED_EARLY });
	compare_reader("norecency-rfc", &(struct race_policy){ .lockless = RACE_GET_ONE });
	compare_reader("linux-6.12+lockless=unlocked_get", &(struct race_policy){ .lockless = RACE_GET_ALL });
	compare_reader("linux-7.3+lockless=unlocked_get", &(struct race_policy){ .lockless = RACE_GET_EARLY });
	compare_reader("linux-6.12+lockless=bounded",
		       &(struct race_policy){ .lockless = RACE_GET_BOUNDED, .max_passes = 3 });
}

/* ---- writers ---- */

static void call_helper(struct fixture *f, enum race_writer writer)
{
	u64 addr = fixture_addr(f, 0), last = fixture_addr(f, N - 1);
	pte_t pte = f->table[0];

	switch (writer) {
	case RACE_FOLD: /* by writing the last entry as it is */
		f->ops->set_ptes(&f->mm, last, &f->table[N - 1], f->table[N - 1], 1);
		break;
	case RACE_CLEAR:
		f->ops->clear_full_ptes(&f->mm, addr, f->table, N, false);
		break;
	case RACE_WRPROTECT:
		f->ops->wrprotect_ptes(&f->mm, addr, f->table, N);
		break;
	case RACE_YOUNG_CLEAR:
		f->ops->test_and_clear_young_ptes(&f->mm, addr, f->table, N);
		break;
	case RACE_DIRTY_CLEAR:
		f->ops->clear_young_dirty_ptes(&f->mm, addr, f->table, N, false, true);
		break;
	case RACE_YOUNG_DIRTY_CLEAR:
		f->ops->clear_young_dirty_ptes(&f->mm, addr, f->table, N, true, true);
		break;
	case RACE_BORN:
		pte = fixture_pte(RACE_FOLIO_PFN, 4, PTE_WRITE);
		f->ops->set_ptes(&f->mm, addr, f->table, pte, N);
		break;
	case RACE_ACCESS:
		f->ops->ptep_set_access_flags(&f->mm, addr, f->table, pte_mkyoung(pte_mkdirty(pte)), true);
		break;
	case RACE_REUSE:
		pte = pte_mkyoung(pte_mkdirty(pte_mkwrite(f->table[N / 2])));
		f->ops->ptep_set_access_flags(&f->mm, fixture_addr(f, N / 2), &f->table[N / 2], pte, true);
		break;
	default:
		fail();
	}
}

static void compare_writer(enum race_writer writer)
{
	static const struct race_policy policy = { .lockless = RACE_GET_ONE };
	struct race_setup setup = { &policy, writer, RACE_PERF, N, 0 };
	struct fixture *f = fixture_new("linux-7.3");
	unsigned int round, i, stores, atomics, flushes;
	struct race_event event = { 0 };
	struct race_scene scene;
	struct race_state state;

	race_scene_init(&scene, &setup);
	for (round = 0; round < 200; round++) {
		random_start(&scene, &state);
		load_table(f, &state);
		call_helper(f, writer);
		stores = atomics = flushes = 0;
		while (state.writer_at < scene.program.nr) {
			race_move(&scene, &state, (struct race_action){ RACE_WRITER, 0 }, &event);
			assert_false(event.failed);
			stores += event.access == RACE_STORE;
			atomics += event.access == RACE_XCHG || event.access == RACE_CMPXCHG;
			flushes += event.access == RACE_FLUSH;
		}
		for (i = 0; i < N; i++)
			assert_int_equal(state.entries[i], f->table[i].val & PTE_HW_MASK);
		/* Those of fold and of access flags depend on what was there before. */
		if (writer != RACE_FOLD && writer != RACE_ACCESS && writer != RACE_REUSE) {
			assert_int_equal(stores, f->counters.pte_stores);
			assert_int_equal(atomics, f->counters.pte_atomics);
			assert_int_equal(flushes, f->counters.flush_calls + (writer == RACE_CLEAR));
		}
	}
	free(f);
}

static void test_writers(void **state)
{
	static const enum race_writer writers[] = {
		RACE_FOLD, RACE_CLEAR, RACE_WRPROTECT, RACE_YOUNG_CLEAR, RACE_DIRTY_CLEAR, RACE_YOUNG_DIRTY_CLEAR,
		RACE_BORN, RACE_ACCESS, RACE_REUSE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(writers); i++)
		compare_writer(writers[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_readers), cmocka_unit_test(test_writers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
