// SPDX-License-Identifier: MIT
/*
 * Writers: what page-table helpers do to one block, as lists of single accesses. kernel-model.md 2.4 and 2.5; loads
 * that only decide whether to begin are left out, nobody can see them.
 */
#include "race/scene.h"

const struct race_name race_writers[RACE_NR_WRITERS] = {
	[RACE_FOLD] = { "fold", "entries become a folded block: all taken away, flush, all stored" },
	[RACE_UNFOLD] = { "unfold", "a folded block becomes single entries: all taken away, flush, all stored" },
	[RACE_CLEAR] = { "clear", "munmap of the whole block in one batch, flush afterwards" },
	[RACE_WRPROTECT] = { "wrprotect", "fork makes the whole block read-only, entry by entry" },
	[RACE_YOUNG_CLEAR] = { "young-clear", "aging clears accessed, entry by entry" },
	[RACE_DIRTY_CLEAR] = { "dirty-clear", "dirty is cleared, entry by entry" },
	[RACE_YOUNG_DIRTY_CLEAR] = { "young-dirty-clear", "MADV_FREE clears both, by load and plain store" },
	[RACE_BORN] = { "born", "fault-around maps a whole block, clean and old, where nothing was" },
	[RACE_ACCESS] = { "access", "a fault sets accessed and dirty, no change of permission" },
	[RACE_PROTECT] = { "protect", "mprotect in one batch: all taken away, all stored read-only, flush" },
	[RACE_REPLACE] = { "replace", "munmap of the block, flush, then another folio is mapped there" },
	[RACE_COW] = { "cow", "a write fault copies one page: unfold, take it away, flush, store the copy" },
	[RACE_REUSE] = { "reuse", "a write fault makes one page writable: unfold, then change its entry" },
	[RACE_EXIT] = { "exit", "contpte v1, v2: exit clears a folded block by one helper call per entry" },
	[RACE_FOLD_WITHOUT_BREAK] = { "fold-without-break", "wrong: stores the folded entries over the old ones" },
	[RACE_UNFOLD_FLUSHES_LATE] = { "unfold-flushes-late", "wrong: stores the new entries before the flush" },
};

static void add(struct race_program *program, enum race_access access, unsigned int entry, enum race_value value)
{
	program->steps[program->nr++] = (struct race_step){ .access = access, .entry = entry, .value = value };
}

static void unlock(struct race_program *program)
{
	program->steps[program->nr - 1].unlocks = true;
}

static void add_xchg_all(struct race_program *program, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		add(program, RACE_XCHG, i, RACE_ZERO);
}

static void add_store_all(struct race_program *program, unsigned int n, enum race_value value)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		add(program, RACE_STORE, i, value);
}

static void add_flush(struct race_program *program)
{
	add(program, RACE_FLUSH, 0, RACE_ZERO);
}

/* contpte_convert() */
static void add_convert(struct race_program *program, unsigned int n, enum race_value value, bool bbml3)
{
	add_xchg_all(program, n);
	if (!bbml3)
		add_flush(program);
	add_store_all(program, n, value);
}

/* A load and what is made of it, for each entry; a compare-and-exchange is repeated if the hardware came between. */
static void add_change_all(struct race_program *program, unsigned int n, enum race_access access, enum race_value value)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		add(program, RACE_LOAD, i, RACE_ZERO);
		add(program, access, i, value);
	}
}

/* Helpers that change a folded block in place. */
static void build_change(enum race_writer writer, unsigned int n, struct race_program *program)
{
	static const u8 values[RACE_NR_WRITERS] = {
		[RACE_WRPROTECT] = RACE_LOADED_WRPROTECTED,
		[RACE_YOUNG_CLEAR] = RACE_LOADED_OLD,
		[RACE_DIRTY_CLEAR] = RACE_LOADED_CLEAN,
		[RACE_YOUNG_DIRTY_CLEAR] = RACE_LOADED_OLD_CLEAN,
		[RACE_ACCESS] = RACE_LOADED_ACCESSED,
	};

	add_change_all(program, n, writer == RACE_YOUNG_DIRTY_CLEAR ? RACE_STORE : RACE_CMPXCHG, values[writer]);
	unlock(program);
}

/* Helpers that take a folded block away, and what may follow. */
static void build_clear(enum race_writer writer, unsigned int n, struct race_program *program)
{
	unsigned int i;

	add_xchg_all(program, n);
	switch (writer) {
	case RACE_EXIT: /* the loop that calls may stop, and drop the lock, between any two */
		for (i = 0; i < n; i++)
			program->steps[i].unlocks = true;
		return;
	case RACE_PROTECT:
		add_store_all(program, n, RACE_NEW_READONLY);
		unlock(program);
		add_flush(program);
		break;
	default:
		unlock(program);
		add_flush(program);
		unlock(program);
		if (writer == RACE_REPLACE)
			add_store_all(program, n, RACE_NEW_OTHER);
		break;
	}
	unlock(program);
}

/* Write faults on one page of the block. */
static void build_write_fault(enum race_writer writer, unsigned int n, bool bbml3, struct race_program *program)
{
	unsigned int entry = n / 2;

	program->before = RACE_BLOCK_READONLY;
	add_convert(program, n, RACE_NEW_UNFOLDED, bbml3);
	if (writer == RACE_COW) {
		add(program, RACE_XCHG, entry, RACE_ZERO);
		add_flush(program);
		add(program, RACE_STORE, entry, RACE_NEW_COPY);
	} else {
		add(program, RACE_LOAD, entry, RACE_ZERO);
		add(program, RACE_CMPXCHG, entry, RACE_LOADED_WRITABLE);
		add_flush(program);
	}
	unlock(program);
}

void race_build_program(enum race_writer writer, unsigned int n, bool bbml3, struct race_program *program)
{
	*program = (struct race_program){ .before = RACE_BLOCK_FOLDED };
	switch (writer) {
	case RACE_FOLD:
		program->before = RACE_BLOCK_UNFOLDED;
		add_convert(program, n, RACE_NEW_FOLDED, bbml3);
		break;
	case RACE_FOLD_WITHOUT_BREAK:
		program->before = RACE_BLOCK_UNFOLDED;
		add_store_all(program, n, RACE_NEW_FOLDED);
		add_flush(program);
		break;
	case RACE_UNFOLD:
		add_convert(program, n, RACE_NEW_UNFOLDED, bbml3);
		break;
	case RACE_UNFOLD_FLUSHES_LATE:
		add_convert(program, n, RACE_NEW_UNFOLDED, true);
		add_flush(program);
		break;
	case RACE_BORN:
		program->before = RACE_BLOCK_NONE;
		add_store_all(program, n, RACE_NEW_FOLDED);
		break;
	case RACE_COW:
	case RACE_REUSE:
		build_write_fault(writer, n, bbml3, program);
		break;
	case RACE_CLEAR:
	case RACE_REPLACE:
	case RACE_PROTECT:
	case RACE_EXIT:
		build_clear(writer, n, program);
		break;
	default:
		build_change(writer, n, program);
		break;
	}
	unlock(program);
}

/* ---- stepping ---- */

bool race_writer_busy(const struct race_scene *scene, const struct race_state *state)
{
	return state->writer_at && !scene->program.steps[state->writer_at - 1].unlocks;
}

static u32 loaded_value(enum race_value value, u32 loaded)
{
	pte_t pte = { loaded };

	switch (value) {
	case RACE_LOADED_OLD:
		return pte_mkold(pte).val;
	case RACE_LOADED_CLEAN:
		return pte_mkclean(pte).val;
	case RACE_LOADED_OLD_CLEAN:
		return pte_mkold(pte_mkclean(pte)).val;
	case RACE_LOADED_WRPROTECTED:
		return pte_wrprotect(pte).val;
	case RACE_LOADED_WRITABLE:
		pte = pte_mkwrite(pte);
		/* fallthrough */
	default:
		return pte_mkyoung(pte_mkdirty(pte)).val;
	}
}

/* A new entry is clean and old but for what was collected; what a fault maps is accessed and dirty from the start. */
static u32 new_value(const struct race_scene *scene, const struct race_state *state, const struct race_step *step)
{
	bool write = scene->program.before != RACE_BLOCK_READONLY;
	u32 folio = RACE_FOLIO_PFN + step->entry, bits = PTE_VALID | PTE_RDONLY;
	unsigned int ad = state->writer_collected;

	switch (step->value) {
	case RACE_NEW_FOLDED:
		bits |= PTE_CONT;
		break;
	case RACE_NEW_READONLY:
		bits |= PTE_CONT;
		write = false;
		break;
	case RACE_NEW_OTHER:
		folio = RACE_OTHER_PFN + step->entry;
		bits |= PTE_CONT;
		ad = RACE_YOUNG | RACE_DIRTY;
		break;
	case RACE_NEW_COPY:
		folio = RACE_COPY_PFN;
		write = true;
		ad = RACE_YOUNG | RACE_DIRTY;
		break;
	default:
		break;
	}
	return race_with_ad(bits | (write ? PTE_WRITE : 0) | folio << PTE_PFN_SHIFT, ad);
}

static u32 stored_value(const struct race_scene *scene, const struct race_state *state, const struct race_step *step)
{
	if (step->value == RACE_ZERO)
		return 0;
	return step->value < RACE_NEW_FOLDED ? loaded_value(step->value, state->writer_loaded)
					     : new_value(scene, state, step);
}

void race_move_writer(const struct race_scene *scene, struct race_state *state, struct race_event *event)
{
	const struct race_step *step = &scene->program.steps[state->writer_at];
	u32 *entry = &state->entries[step->entry];

	event->access = step->access;
	event->entry = step->entry;
	event->before = *entry;
	switch (event->access) {
	case RACE_LOAD:
		state->writer_loaded = *entry;
		break;
	case RACE_CMPXCHG:
		if (*entry != state->writer_loaded) {
			event->failed = true;
			state->writer_loaded = *entry;
			break;
		}
		/* fallthrough */
	case RACE_STORE:
	case RACE_XCHG:
		if (step->access == RACE_XCHG)
			state->writer_collected |= race_ad(*entry);
		*entry = stored_value(scene, state, step);
		state->writer_loaded = 0;
		break;
	case RACE_FLUSH:
		state->tlb = 0;
		break;
	}
	event->after = *entry;
	if (!event->failed)
		state->writer_at++;
	if (step->unlocks)
		state->writer_collected = 0;
	race_note_move(scene, state, true, event);
}
