// SPDX-License-Identifier: MIT
/*
 * Unwinding by the tables of each frame's file, and by frame pointers where there are none. Nothing is believed: a
 * return address is one if it lies in code, and each caller's frame lies above its callee's.
 */
#include "capture/stacks/unwind.h"

#include <string.h>

const struct rf_unwind_rule rf_frame_pointer_rule = {
	.by_fp = true, .known = true, .fp = RF_SAVED_AT, .ra = RF_SAVED_AT,
	.cfa_offset = RF_FRAME_CFA, .fp_offset = RF_FRAME_FP, .ra_offset = RF_FRAME_RA,
};

struct state {
	const struct rf_stack_sample *sample;
	u64 registers[RF_STACK_REGISTERS];
	bool innermost;		/* nothing has been called from it: a register may hold its return address */
};

static bool load(const struct state *state, u64 address, u64 *value)
{
	u64 at = address - state->sample->registers[RF_STACK_SP];

	if (state->sample->size < sizeof(*value) || at > state->sample->size - sizeof(*value))
		return false;
	memcpy(value, state->sample->bytes + at, sizeof(*value));
	return true;
}

/* Into the caller's frame. False: there is none, or its place is not known. */
static bool step(struct state *state, const struct rf_unwind_rule *rule)
{
	u64 *registers = state->registers, before = registers[RF_STACK_SP];
	u64 cfa = registers[rule->by_fp ? RF_STACK_FP : RF_STACK_SP] + (u64)(s64)rule->cfa_offset, pc;

	if (!rule->known || cfa < before || (cfa == before && !state->innermost))
		return false;
	if (rule->ra == RF_SAVED_AT ? !load(state, cfa + (u64)(s64)rule->ra_offset, &pc) :
				      rule->ra != RF_SAVED_SAME || !state->innermost)
		return false;
	if (rule->ra == RF_SAVED_SAME)
		pc = registers[RF_STACK_RA];
	if (rule->fp == RF_SAVED_AT && !load(state, cfa + (u64)(s64)rule->fp_offset, &registers[RF_STACK_FP]))
		return false;
	registers[RF_STACK_PC] = pc;
	registers[RF_STACK_SP] = cfa;
	state->innermost = false;
	return pc != 0;
}

size_t rf_unwind(struct rf_spaces *spaces, const struct rf_stack_sample *sample, struct rf_frame *frames)
{
	struct state state = { .sample = sample, .innermost = true };
	size_t nr = 0;

	memcpy(state.registers, sample->registers, sizeof(state.registers));
	while (nr < RF_STACK_FRAMES_MAX) {
		/* Of a caller, the call: what it returns to may be another function. */
		u64 address = state.registers[RF_STACK_PC] - !state.innermost;
		const struct rf_code *code = rf_spaces_find(spaces, (pid_t)sample->pid, address);
		struct rf_unwind_rule rule = rf_frame_pointer_rule;
		u64 offset;

		if (!code)
			break;
		offset = code->module ? code->offset + (address - code->start) : 0;
		if (code->module && code->module->rules) {
			offset = rf_rules_address(code->module->rules, offset);
			rule = rf_rules_at(code->module->rules, offset);
		}
		frames[nr++] = (struct rf_frame){ code->module, offset };
		if (!step(&state, &rule))
			break;
	}
	return nr;
}
