// SPDX-License-Identifier: MIT
/* Groups of operations: made as operations are tracked, and told in words when all are known. */
#include "replay/attribution/attribution.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "engine/machine.h"
#include "replay/attribution/calls.h"

void rf_attribution_start(struct rf_attribution *attribution, const struct rf_by_list *by, u32 page_shift)
{
	*attribution = (struct rf_attribution){ .by = *by, .page_shift = page_shift };
	rf_areas_start(&attribution->areas, rf_by_has(by, RF_BY_vma), page_shift);
	if (array_grow(attribution->groups, attribution->room, 1))
		attribution->failed = true;
	else
		attribution->groups[attribution->nr++] = (struct rf_group){ 0 };
}

void rf_attribution_free(struct rf_attribution *attribution)
{
	rf_areas_free(&attribution->areas);
	rf_stack_list_free(&attribution->stacks);
	free(attribution->groups);
	group_table_free(&attribution->by_key);
	free(attribution->pending);
	*attribution = (struct rf_attribution){ 0 };
}

/* ---- which group ---------------------------------------------------------------- */

struct wanted {
	const struct rf_group *groups, *group;
};

static bool is_group(const struct rf_group *a, const struct rf_group *b)
{
	return a->mm == b->mm && a->area == b->area && a->thread == b->thread && a->call == b->call &&
	       a->stack == b->stack && a->size == b->size && a->row == b->row;
}

static bool is_same(const void *context, u32 number)
{
	const struct wanted *wanted = context;

	return is_group(wanted->group, &wanted->groups[number - 1]);
}

static u64 key_of(const struct rf_group *group)
{
	u64 key = (u64)group->mm << 32 | group->area;

	key = key * 0x9e3779b97f4a7c15ull + ((u64)group->thread << 32 | group->call);
	key = key * 0x9e3779b97f4a7c15ull + group->stack;
	return key * 0x9e3779b97f4a7c15ull + ((u64)group->size << 8 | group->row);
}

static u32 group_of(struct rf_attribution *attribution, const struct rf_group *group)
{
	struct wanted wanted = { attribution->groups, group };
	u64 key;
	u32 number;

	if (attribution->last && is_group(group, &attribution->groups[attribution->last]))
		return attribution->last;
	key = key_of(group);
	number = group_table_match(&attribution->by_key, key, is_same, &wanted);
	if (number)
		return attribution->last = number - 1;
	if (array_grow(attribution->groups, attribution->room, attribution->nr + 1ul) ||
	    group_table_add(&attribution->by_key, key, attribution->nr + 1)) {
		attribution->failed = true;
		return 0;
	}
	attribution->groups[attribution->nr] = *group;
	return attribution->last = attribution->nr++;
}

static u8 size_class(u64 bytes)
{
	return bytes ? (u8)(64 - __builtin_clzll(bytes)) : 0;
}

static bool by_brk(const struct rf_cause *cause)
{
	const struct rf_record *told = &cause->told.record;

	return cause->began.record.kind == RF_SYS_BRK ||
	       ((told->kind == RF_SNAP_VMA || told->kind == RF_MMAP2) && RF_VMA_NAME(told->f[5]) == RF_VMA_HEAP);
}

/* Numbers of stacks, above those of what is no call or has none. */
enum { NO_STACK = 255, FIRST_STACK };

static u32 stack_of(struct rf_attribution *attribution, const struct rf_op *op, const struct rf_cause *cause)
{
	const struct rf_told *began = cause->began.number ? &cause->began : &cause->told;
	u32 call = rf_call_of(op, cause), stack;

	if (!rf_call_did(call, &began->record))
		return call >> 8 ? NO_STACK : 1 + call;
	stack = rf_stack_of_call(&attribution->stacks, began);
	return stack ? FIRST_STACK + stack : began->record.kind == RF_SYS_EXIT ? 1 + call : NO_STACK;
}

static void note(struct rf_attribution *attribution, const struct rf_op *op, const struct rf_cause *cause, u32 *number)
{
	const struct rf_by_list *by = &attribution->by;
	struct rf_group group = { .mm = op->mm };

	if (rf_by_has(by, RF_BY_vma) || rf_by_has(by, RF_BY_mapping))
		group.area = rf_areas_take(&attribution->areas, op, by_brk(cause));
	if (rf_by_has(by, RF_BY_thread))
		group.thread = cause->began.number ? cause->began.thread : cause->told.thread;
	if (rf_by_has(by, RF_BY_call))
		group.call = rf_call_of(op, cause);
	if (rf_by_has(by, RF_BY_stack))
		group.stack = stack_of(attribution, op, cause);
	if (rf_by_has(by, RF_BY_size))
		group.size = size_class(rf_call_bytes(op, cause, attribution->page_shift));
	if (rf_by_has(by, RF_BY_site))
		group.row = (u8)(rf_op_row(op) + 1);
	*number = group_of(attribution, &group);
	if (!attribution->failed && !(op->flags & RF_OP_LOAD))
		attribution->groups[*number].bytes += rf_op_bytes(op, attribution->page_shift);
}

int rf_attribution_note(struct rf_attribution *attribution, const struct rf_op *ops, const struct rf_cause *causes,
			size_t nr)
{
	if (array_grow(attribution->pending, attribution->pending_room, nr))
		attribution->failed = true;
	for (size_t i = 0; i < nr && !attribution->failed; i++) {
		if (ops[i].kind == RF_OP_WINDOW)
			attribution->pending[i] = RF_OWNER_MACHINE;
		else
			note(attribution, &ops[i], &causes[i], &attribution->pending[i]);
	}
	attribution->failed |= attribution->areas.failed;
	return attribution->failed ? -ENOMEM : 0;
}

/* ---- in words ------------------------------------------------------------------- */

void rf_attribution_name_files(struct rf_attribution *attribution, const struct rf_tracker *tracker)
{
	for (u32 i = 0; i < attribution->areas.nr; i++) {
		struct rf_area *area = &attribution->areas.list[i];

		if (area->file)
			rf_tracker_file(tracker, area->file, &area->dev, &area->ino);
	}
}

/* "8K", "12M": the largest unit that divides it. */
static const char *short_size(u64 bytes, char text[32])
{
	static const char units[] = "KMGTP";
	int unit = -1;

	while (unit + 1 < (int)sizeof(units) - 1 && bytes && !(bytes & 1023)) {
		bytes >>= 10;
		unit++;
	}
	snprintf(text, 32, unit < 0 ? "%" PRIu64 : "%" PRIu64 "%c", bytes, unit < 0 ? 'B' : units[unit]);
	return text;
}

static void put_mapping(struct rf_line *line, const struct rf_area *area)
{
	rf_line_add(line, "%s", rf_mapping_names[area->mapping]);
	if (area->mapping != RF_MAPPING_FILE)
		return;
	if (area->ino)
		rf_line_add(line, " %" PRIu64 ":%" PRIu64 " inode %" PRIu64, area->dev >> 20, area->dev & 0xfffff,
			    area->ino);
	else
		rf_line_add(line, " (which one is not known)");
}

static void put_process(struct rf_line *line, const struct rf_processes *processes, u32 mm)
{
	const struct rf_process *process = &processes->list[rf_process_of(processes, mm)];

	if (!process->pid)
		rf_line_add(line, "no known process");
	else
		rf_line_add(line, "%s (%" PRIu32 ")", process->command[0] ? process->command : "?", process->pid);
}

static void put_thread(struct rf_line *line, const struct rf_processes *processes, u32 number)
{
	const struct rf_thread *thread = &processes->threads[number];

	if (!number)
		rf_line_add(line, "no known thread");
	else
		rf_line_add(line, "%s (%" PRIu32 ")", thread->name[0] ? thread->name : "?", thread->tid);
}

int rf_attribution_name_stacks(struct rf_attribution *attribution, const char *directory)
{
	bool *wanted = calloc(attribution->stacks.nr_stacks + 1, sizeof(*wanted));
	int ret = wanted ? 0 : -ENOMEM;

	for (u32 i = 0; i < attribution->nr && !ret; i++)
		if (attribution->groups[i].stack > FIRST_STACK)
			wanted[attribution->groups[i].stack - FIRST_STACK] = true;
	if (!ret)
		ret = rf_stack_list_name(&attribution->stacks, wanted, directory);
	free(wanted);
	return ret;
}

u32 rf_attribution_stack(const struct rf_attribution *attribution, u32 group)
{
	u32 stack = attribution->groups[group].stack;

	return stack > FIRST_STACK ? attribution->stacks.stacks[stack - FIRST_STACK].same : 0;
}

static void put_stack(struct rf_line *line, const struct rf_attribution *attribution, u32 number)
{
	u32 stack = attribution->groups[number].stack;
	char text[RF_STACK_TEXT] = "no stack";

	if (stack > FIRST_STACK)
		rf_stack_text(&attribution->stacks, stack - FIRST_STACK, text, sizeof(text));
	else if (stack < NO_STACK)
		rf_call_text(stack - 1, text, sizeof(text));
	rf_line_add(line, "%s", text);
}

static void put_size(struct rf_line *line, u8 class)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

	if (!class)
		rf_line_add(line, "no length");
	else
		rf_line_add(line, "%u %s", 1u << (class - 1) % 10, units[(class - 1) / 10]);
}

void rf_attribution_text(const struct rf_attribution *attribution, const struct rf_processes *processes, enum rf_by key,
			 u32 number, u32 row, char *text, size_t size)
{
	const struct rf_group *group = &attribution->groups[number];
	const struct rf_area *area = group->area ? &attribution->areas.list[group->area - 1] : NULL;
	struct rf_line line;
	char length[32];

	rf_line_begin(&line, text, size);
	if (number == RF_OWNER_MACHINE && key != RF_BY_site) {
		rf_line_add(&line, "the policy's own scans");
		return;
	}
	switch (key) {
	case RF_BY_vma:
		put_mapping(&line, area);
		if (area->end)
			rf_line_add(&line, " 0x%" PRIx64 "+%s", area->start,
				    short_size(area->end - area->start, length));
		rf_line_add(&line, " of ");
		put_process(&line, processes, group->mm);
		break;
	case RF_BY_mapping:
		put_mapping(&line, area);
		break;
	case RF_BY_thread:
		put_thread(&line, processes, group->thread);
		break;
	case RF_BY_process:
		put_process(&line, processes, group->mm);
		break;
	case RF_BY_call:
		rf_call_text(group->call, length, sizeof(length));
		rf_line_add(&line, "%s", length);
		break;
	case RF_BY_stack:
		put_stack(&line, attribution, number);
		break;
	case RF_BY_size:
		put_size(&line, group->size);
		break;
	case RF_BY_site:
		rf_line_add(&line, "%s", rf_row_names[row]);
		break;
	case RF_NR_BYS:
		break;
	}
}
