// SPDX-License-Identifier: MIT
/*
 * The checks: R1 to R6 of kernel-model.md 5.4 with the corrections of its section 10, stronger forms of them that some
 * getters have and others have not, what the two classes of walkers require, and what writers owe to the hardware.
 * What the checks know of the past is kept in the state; no getter looks at it.
 */
#include <assert.h>

#include "race/scene.h"

const struct race_name race_checks[RACE_NR_CHECKS] = {
	[RACE_R1] = { "R1", "a result, but for accessed and dirty, is what the entry was at one instant of the read" },
	[RACE_R2] = { "R2", "every entry that a folded result was gathered from was of that block when it was loaded" },
	[RACE_R2_WHOLE] = { "R2-whole", "a folded result was gathered from all entries of the block" },
	[RACE_R3] = { "R3", "an accessed or dirty result means that some entry of the block was so during the read" },
	[RACE_R3_QUIET] = { "R3-quiet", "with nobody else at work a result is exactly what ptep_get() would give" },
	[RACE_R3_PAIRS] = { "R3-pairs", "a result is not dirty without young, or young without dirty, if no entry was" },
	[RACE_R3_COMPARE] = { "R3-compare", "with nobody else at work the comparison under the lock succeeds" },
	[RACE_R4] = { "R4", "a read starts again only if a writer was inside a helper during the pass that failed" },
	[RACE_R4_STRICT] = { "R4-strict", "a read starts again only if a writer made a step during the pass that failed" },
	[RACE_R4_ENDS] = { "R4-ends", "a read ends even if a writer stands still inside a helper" },
	[RACE_R5] = { "R5", "a page whose pin is kept was mapped by the entry at an instant after it was pinned" },
	[RACE_R5_BLOCK] = { "R5-block", "what keeps a pin was gathered from one block, not equal by chance" },
	[RACE_R6] = { "R6", "a result is valid, or none, only if the entry was so at an instant of the read" },
	[RACE_A] = { "A", "a walker that acts under the lock acts on what it had read" },
	[RACE_I19] = { "I19", "the block never holds folded and single entries at once" },
	[RACE_I20] = { "I20", "TLBs never hold translations of folded and single entries of the block at once" },
};

#define READ_PROMISES (BIT(RACE_R1) | BIT(RACE_R3) | BIT(RACE_R4) | BIT(RACE_R6))
#define ONE_PASS (BIT(RACE_R4_STRICT) | BIT(RACE_R4_ENDS))
#define ONE_BLOCK (BIT(RACE_R2) | BIT(RACE_R5_BLOCK))

u32 race_getter_promises(enum race_getter getter)
{
	static const u32 promises[RACE_NR_GETTERS] = {
		[RACE_GET_ONE] = READ_PROMISES | ONE_PASS | ONE_BLOCK | BIT(RACE_R3_PAIRS),
		[RACE_GET_ALL] = READ_PROMISES | ONE_PASS | BIT(RACE_R3_QUIET) | BIT(RACE_R3_PAIRS),
		[RACE_GET_EARLY] = READ_PROMISES | ONE_PASS | BIT(RACE_R3_QUIET),
		[RACE_GET_CHECKED] = READ_PROMISES | ONE_BLOCK | BIT(RACE_R2_WHOLE) | BIT(RACE_R3_QUIET) |
				     BIT(RACE_R3_PAIRS),
		[RACE_GET_CHECKED_EARLY] = READ_PROMISES | ONE_BLOCK | BIT(RACE_R3_QUIET),
		[RACE_GET_BOUNDED] = READ_PROMISES | ONE_BLOCK | BIT(RACE_R4_ENDS) | BIT(RACE_R3_QUIET) |
				     BIT(RACE_R3_PAIRS),
		[RACE_GET_TORN] = READ_PROMISES | ONE_PASS,
		[RACE_GET_NOTHING] = 0,
	};

	return promises[getter];
}

u32 race_policy_promises(const struct race_policy *policy)
{
	return BIT(RACE_R3_COMPARE) | BIT(RACE_R5) | BIT(RACE_A) | BIT(RACE_I19) | (policy->bbml3 ? 0 : BIT(RACE_I20));
}

void race_report(struct race_event *event, u32 promised, u32 failing)
{
	event->broken |= failing & promised;
	event->relaxed |= failing & ~promised;
}

u32 race_note_failures(struct race_result *result, const struct race_event *event, unsigned int nr)
{
	u32 failing = event->broken | event->relaxed, keep = 0;
	unsigned int check;

	for (check = 0; failing && check < RACE_NR_CHECKS; check++) {
		const struct race_schedule *kept = result->shortest[check];
		u32 bit = BIT(check);

		if (!(failing & bit))
			continue;
		/* A broken promise is what to tell, even where the same check was seen to fail unpromised. */
		if (!kept || (event->broken & bit && !(result->broken & bit)) ||
		    (nr < kept->nr && (event->broken & bit || !(result->broken & bit))))
			keep |= bit;
	}
	result->broken |= event->broken;
	result->relaxed |= event->relaxed;
	return keep;
}

/* ---- what is remembered ---- */

static void see_entry(struct race_call *call, u32 entry)
{
	u32 identity = race_identity(entry);
	unsigned int i;

	for (i = 0; i < call->nr_seen; i++)
		if (call->seen[i] == identity)
			return;
	assert(call->nr_seen < RACE_SEEN_VALUES);
	call->seen[call->nr_seen++] = identity;
}

static void see_pair(struct race_call *call, u32 entry)
{
	if (pte_valid((pte_t){ entry }))
		call->pairs |= BIT(race_ad(entry));
}

void race_begin_pass(const struct race_scene *scene, struct race_state *state)
{
	struct race_call *call = &state->call;

	race_end_pass(state);
	if (race_writer_busy(scene, state))
		call->facts |= RACE_PASS_WRITER_BUSY;
}

void race_end_pass(struct race_state *state)
{
	state->call.facts &= RACE_CALL_DISTURBED;
	state->call.visited = 0;
	state->call.unfit = 0;
}

void race_begin_call(const struct race_scene *scene, struct race_state *state)
{
	struct race_call *call = &state->call;
	unsigned int i;

	*call = (struct race_call){ .facts = race_writer_busy(scene, state) ? RACE_CALL_DISTURBED : 0 };
	if (scene->setup->reader == RACE_FAULT && state->phase == RACE_READ_FIRST)
		state->disturbed = call->facts;
	see_entry(call, state->entries[state->target]);
	for (i = 0; i < scene->setup->n; i++)
		see_pair(call, state->entries[i]);
}

static bool call_in_progress(const struct race_state *state)
{
	return state->call.nr_seen > 0;
}

static unsigned int table_kinds(const struct race_scene *scene, const struct race_state *state)
{
	unsigned int i, kinds = 0;

	for (i = 0; i < scene->setup->n; i++)
		if (pte_valid((pte_t){ state->entries[i] }))
			kinds |= pte_cont((pte_t){ state->entries[i] }) ? RACE_TLB_CONT : RACE_TLB_SINGLE;
	return kinds;
}

static void check_block(const struct race_scene *scene, struct race_state *state, struct race_event *event)
{
	const unsigned int both = RACE_TLB_SINGLE | RACE_TLB_CONT;
	u32 promised = race_policy_promises(scene->setup->policy);
	unsigned int kinds = table_kinds(scene, state);

	/* Any CPU may have walked the table just now. */
	state->tlb |= kinds;
	if (kinds == both)
		race_report(event, promised, BIT(RACE_I19));
	if (state->tlb == both)
		race_report(event, promised, BIT(RACE_I20));
}

void race_note_move(const struct race_scene *scene, struct race_state *state, bool writer, struct race_event *event)
{
	struct race_call *call = &state->call;

	check_block(scene, state, event);
	if (scene->setup->reader == RACE_FAULT && (state->phase != RACE_READ_FIRST || call_in_progress(state)))
		state->disturbed = true;
	if (!call_in_progress(state))
		return;
	call->facts |= RACE_CALL_DISTURBED;
	if (call->at >= RACE_AT_SCAN)
		call->facts |= RACE_PASS_MOVED | (writer ? RACE_PASS_WRITER_MOVED | RACE_PASS_WRITER_BUSY : 0);
	if (event->entry == state->target)
		see_entry(call, state->entries[state->target]);
	see_pair(call, state->entries[event->entry]);
	if (call->at == RACE_AT_WAIT)
		call->at = RACE_AT_ENTRY;
}

void race_note_load(struct race_state *state, unsigned int entry)
{
	struct race_call *call = &state->call;
	u32 value = race_identity(state->entries[entry]);
	u32 wanted = race_identity(call->own) + ((entry - state->target) << PTE_PFN_SHIFT);

	call->visited |= BIT(entry);
	if (call->at >= RACE_AT_SCAN && value != wanted)
		call->unfit |= BIT(entry);
}

bool race_mapped_during_call(const struct race_state *state, u32 value)
{
	unsigned int i;

	for (i = 0; i < state->call.nr_seen; i++) {
		pte_t seen = { state->call.seen[i] };

		if (pte_valid(seen) && pte_pfn(seen) == pte_pfn((pte_t){ value }) &&
		    (pte_write(seen) || !pte_write((pte_t){ value })))
			return true;
	}
	return false;
}

/* ---- what is checked ---- */

void race_check_retry(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
		      struct race_event *event)
{
	u8 facts = state->call.facts;
	u32 failing = 0;

	if (!(facts & RACE_PASS_WRITER_BUSY))
		failing |= BIT(RACE_R4);
	if (!(facts & RACE_PASS_WRITER_MOVED))
		failing |= BIT(RACE_R4_STRICT);
	if (event->verdict == RACE_WAITS)
		failing |= BIT(RACE_R4_ENDS);
	race_report(event, race_getter_promises(getter) | scene->setup->policy->requires, failing);
}

static u32 check_identity(const struct race_state *state, u32 result)
{
	bool was_valid = false, was_invalid = false, was_this = false, valid = pte_valid((pte_t){ result });
	unsigned int i;

	for (i = 0; i < state->call.nr_seen; i++) {
		if (pte_valid((pte_t){ state->call.seen[i] }))
			was_valid = true;
		else
			was_invalid = true;
		was_this |= state->call.seen[i] == race_identity(result);
	}
	return (was_this ? 0 : BIT(RACE_R1)) | ((valid ? was_valid : was_invalid) ? 0 : BIT(RACE_R6));
}

/* Each bit that is set must come from a pair within the result; no bit set, from an entry without any. */
static u32 check_ad(const struct race_state *state, u32 result)
{
	static const u8 with[] = { [0] = BIT(0) | BIT(1) | BIT(2) | BIT(3), [RACE_YOUNG] = BIT(1) | BIT(3),
				   [RACE_DIRTY] = BIT(2) | BIT(3) };
	unsigned int ad = race_ad(result), pairs = state->call.pairs;
	bool whole = ad == (RACE_YOUNG | RACE_DIRTY) || pairs & BIT(ad);
	bool subset = pairs & with[ad & RACE_YOUNG] && pairs & with[ad & RACE_DIRTY];

	if (!pte_valid((pte_t){ result }))
		return 0;
	return (subset ? 0 : BIT(RACE_R3)) | (whole ? 0 : BIT(RACE_R3_PAIRS));
}

/* What ptep_get() gives if nobody interferes: A/D of the block for a folded entry. */
static u32 gathered(const struct race_scene *scene, const struct race_state *state)
{
	u32 value = state->entries[state->target];
	unsigned int i;

	for (i = 0; pte_cont((pte_t){ value }) && i < scene->setup->n; i++)
		value = race_with_ad(value, race_ad(state->entries[i]));
	return value;
}

void race_check_result(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
		       struct race_event *event)
{
	const struct race_call *call = &state->call;
	unsigned int all = (1u << scene->setup->n) - 1;
	u32 result = event->result, failing = check_identity(state, result) | check_ad(state, result);

	if (pte_cont((pte_t){ result }) && !event->gave_up) {
		if (call->unfit)
			failing |= BIT(RACE_R2);
		if (call->visited != all)
			failing |= BIT(RACE_R2_WHOLE);
	}
	if (!(call->facts & RACE_CALL_DISTURBED) && result != gathered(scene, state))
		failing |= BIT(RACE_R3_QUIET);
	race_report(event, race_getter_promises(getter) | scene->setup->policy->requires, failing);
}
