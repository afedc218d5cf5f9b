// SPDX-License-Identifier: MIT
/*
 * Which events of the file are used for which rows of the event table. What stands
 * in for another is used only where that one never happened: a format in the file
 * does not mean that the event was on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "traces/import/importing.h"

static u64 count_of(const struct importing *importing, const struct rf_dat_format *format)
{
	return format ? importing->counts[format->id] : 0;
}

/* ---- page faults by a probe ------------------------------------------------------ */

static bool has_field(const struct rf_dat_format *format, const char *name)
{
	u32 offset, size;

	return rf_dat_field(format, name, &offset, &size);
}

/* A probe, of whatever name, that gives what handle_mm_fault() is called with. */
static bool could_be_faults(const struct rf_dat_format *format)
{
	return has_field(format, "__probe_ip") && has_field(format, "flags") &&
	       (has_field(format, "addr") || has_field(format, "address")) && strstr(format->name, "fault");
}

static int find_named_faults(struct importing *importing, struct rf_error *err)
{
	const char *wanted = importing->options->fault_event, *colon = strchr(wanted, ':');

	for (size_t i = 0; colon && i < importing->dat.nr_formats; i++) {
		const struct rf_dat_format *format = &importing->dat.formats[i];

		if (!strncmp(format->system, wanted, (size_t)(colon - wanted)) &&
		    strlen(format->system) == (size_t)(colon - wanted) && !strcmp(format->name, colon + 1))
			importing->faults = format;
	}
	if (!importing->faults)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "there is no event %s in it", wanted);
	if (!has_field(importing->faults, "flags") ||
	    !(has_field(importing->faults, "addr") || has_field(importing->faults, "address")))
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET,
				    "event %s does not have the fields addr and flags of handle_mm_fault()", wanted);
	return 0;
}

static int find_faults(struct importing *importing, struct rf_error *err)
{
	if (importing->options->fault_event)
		return find_named_faults(importing, err);
	for (size_t i = 0; i < importing->dat.nr_formats; i++) {
		const struct rf_dat_format *format = &importing->dat.formats[i];

		if (!could_be_faults(format) || !count_of(importing, format))
			continue;
		if (importing->faults)
			return rf_error_set(err, -EPROTO, RF_NO_OFFSET,
					    "%s:%s and %s:%s may both be page faults; name one with --fault-event",
					    importing->faults->system, importing->faults->name, format->system,
					    format->name);
		importing->faults = format;
	}
	return 0;
}

/* ---- rows ------------------------------------------------------------------------- */

static bool is_stand_in(size_t i)
{
	return rf_events[i].need == RF_NEED_STAND_IN;
}

/* The row whose events a probe gives that users name as they like. */
static bool is_fault_probe(size_t i)
{
	return rf_events[i].kind == RF_FAULT && is_stand_in(i);
}

/* Rows that stand in, or those they stand in for, gave the same records in this file. */
static bool told_by(const struct importing *importing, bool stand_ins, size_t number)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (is_stand_in(i) == stand_ins && rf_event_same(i, number) &&
		    count_of(importing, importing->rows[i].format))
			return true;
	return false;
}

static u64 numbers_told(const struct importing *importing)
{
	u64 count = 0;

	for (size_t i = 0; i < rf_nr_events; i++)
		if (rf_events[i].kind == RF_BY_NUMBER)
			count += count_of(importing, importing->rows[i].format);
	return count;
}

/* A call whose own events never happened, entry and return: if it was made, raw_syscalls have it. */
static bool is_told_by_number(const struct importing *importing, size_t number)
{
	const char *name = strchr(rf_events[number].name + strlen("sys_e"), '_');

	if (strcmp(rf_events[number].system, "syscalls") || !numbers_told(importing))
		return false;
	for (size_t i = 0; i < rf_nr_events; i++)
		if (!strcmp(rf_events[i].system, "syscalls") && count_of(importing, importing->rows[i].format) &&
		    !strcmp(strchr(rf_events[i].name + strlen("sys_e"), '_'), name))
			return false;
	return rf_decoder_by_number(importing->decoder, number);
}

static bool is_spare(const struct importing *importing, size_t i)
{
	const struct rf_event *event = &rf_events[i];

	if (event->kind == RF_BY_NUMBER)
		return !count_of(importing, importing->rows[i].format);
	if (is_told_by_number(importing, i))
		return true;

	if (event->kind == RF_FAULT && importing->options->fault_event)
		return !is_fault_probe(i);
	/* The file has no pid filter: what khugepaged does is among the rest. */
	if (event->instance == RF_INSTANCE_SYSTEM && event->kind == RF_PAGE_ALLOC)
		return true;
	/* Our own probes; of other people's we know only what handle_mm_fault() is called with. */
	if (event->probe && !is_fault_probe(i))
		return true;
	if (is_stand_in(i))
		return told_by(importing, false, i);
	return !told_by(importing, false, i) && told_by(importing, true, i);
}

static void learn_row(struct importing *importing, size_t i)
{
	struct import_row *row = &importing->rows[i];
	struct rf_error why = { 0 };

	if (!row->format)
		snprintf(row->reason, sizeof(row->reason), "%s:%s was not recorded", rf_events[i].system,
			 rf_events[i].name);
	else if (rf_decoder_learn(importing->decoder, i, row->format->text, &why))
		snprintf(row->reason, sizeof(row->reason), "%s:%s: %.100s", row->format->system, row->format->name,
			 why.message);
	else
		row->used = true;
	if (row->used && rf_events[i].kind == RF_BY_NUMBER)
		importing->has_numbers = importing->by_number[row->format->id] = true;
}

static bool is_replaced(const struct importing *importing, size_t number)
{
	for (size_t i = 0; i < rf_nr_events && !importing->rows[number].used; i++)
		if (is_stand_in(i) && rf_event_same(i, number) && importing->rows[i].used)
			return true;
	return false;
}

static bool is_missed(const struct importing *importing, size_t i)
{
	const struct import_row *row = &importing->rows[i];

	return !row->used && !row->spare && !row->replaced && rf_events[i].need <= RF_NEED_WANTED;
}

static void warn_of_missing(struct importing *importing)
{
	char calls[300];
	struct rf_line line;

	rf_line_begin(&line, calls, sizeof(calls));
	for (size_t i = 0; i < rf_nr_events; i++) {
		const struct rf_event *event = &rf_events[i];

		if (!is_missed(importing, i))
			continue;
		if (strcmp(event->system, "syscalls"))
			import_warn(importing, "%s: %s", importing->rows[i].reason, event->without);
		else if (!strncmp(event->name, "sys_enter_", 10))
			rf_line_add(&line, "%s%s", line.used ? ", " : "", event->name + 10);
	}
	if (line.used)
		import_warn(importing, "system calls that were not recorded: %s: what they change is missed", calls);
}

static u64 count_of_kind(const struct importing *importing, u8 kind)
{
	u64 count = 0;

	for (size_t i = 0; i < rf_nr_events; i++)
		if (rf_events[i].kind == kind && importing->rows[i].used)
			count += count_of(importing, importing->rows[i].format);
	return count;
}

/* No format of it in the file, or none that tells enough; or pages came and went without a fault, so it was not on. */
static bool is_essential_missing(const struct importing *importing, size_t i)
{
	const struct import_row *row = &importing->rows[i];

	if (rf_events[i].need != RF_NEED_ESSENTIAL || row->spare || row->replaced)
		return false;
	return !row->used || (rf_events[i].kind == RF_FAULT && count_of_kind(importing, RF_RSS_STAT) &&
			      !count_of_kind(importing, RF_FAULT));
}

/* What a recording cannot do without: a replay of it would say nothing, or be wrong everywhere. */
static int check_essential(struct importing *importing, struct rf_error *err)
{
	char names[200];
	struct rf_line line;

	rf_line_begin(&line, names, sizeof(names));
	for (size_t i = 0; i < rf_nr_events; i++)
		if (is_essential_missing(importing, i) && !(i && rf_events[i].name == rf_events[i - 1].name))
			rf_line_add(&line, "%s%s:%s", line.used ? ", " : "", rf_events[i].system, rf_events[i].name);
	if (!line.used)
		return 0;
	return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "without %s a replay would be wrong everywhere: record "
			    "again, as refold-import(1) says", names);
}

int import_choose(struct importing *importing, struct rf_error *err)
{
	int ret = find_faults(importing, err);
	u64 usable = 0;

	if (ret)
		return ret;
	for (size_t i = 0; i < rf_nr_events; i++)
		importing->rows[i].format = is_fault_probe(i) ? importing->faults :
								rf_dat_format(&importing->dat, rf_events[i].system,
									      rf_events[i].name);
	for (size_t i = 0; i < rf_nr_events; i++) {
		importing->rows[i].spare = is_spare(importing, i);
		if (!importing->rows[i].spare)
			learn_row(importing, i);
		if (importing->rows[i].used && rf_events[i].kind != RF_MARKER)
			usable += count_of(importing, importing->rows[i].format);
	}
	for (size_t i = 0; i < rf_nr_events; i++)
		importing->rows[i].replaced = is_replaced(importing, i);
	if (!usable)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET,
				    "none of its %llu events tells anything about page tables; refold-import(1) says "
				    "what to record", (unsigned long long)importing->result->events);
	ret = check_essential(importing, err);
	if (!ret)
		warn_of_missing(importing);
	return ret;
}
