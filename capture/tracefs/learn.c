// SPDX-License-Identifier: MIT
/*
 * What of the event table this kernel offers. One pass in the table's order: a row
 * that stands in comes after those it stands in for, so that a kprobe is made only
 * where it is needed.
 */
#include "capture/tracefs/learn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tracefs.h>

#include "capture/perf/perf.h"
#include "capture/tracefs/probes.h"

static bool stands_in(size_t i)
{
	return rf_events[i].need == RF_NEED_STAND_IN;
}

/* A row before this one that gives the same records is there. */
static bool found_before(const struct rf_event_status *status, size_t number)
{
	for (size_t i = 0; i < number; i++)
		if (rf_event_same(i, number) && status[i].state == RF_EVENT_FOUND)
			return true;
	return false;
}

static bool found_stand_in(const struct rf_event_status *status, size_t number)
{
	for (size_t i = number + 1; i < rf_nr_events; i++)
		if (stands_in(i) && rf_event_same(i, number) && status[i].state == RF_EVENT_FOUND)
			return true;
	return false;
}

/* What only kernels need that count in batches. */
static bool is_of_batches(size_t number)
{
	return rf_events[number].kind == RF_RSS_CHANGE || rf_events[number].kind == RF_SET_PTE;
}

/* Page faults may have been asked for from elsewhere. */
static bool is_unwanted(size_t number, enum rf_fault_source faults)
{
	if (rf_events[number].kind != RF_FAULT || faults == RF_FAULTS_BEST)
		return false;
	return faults != (stands_in(number) ? RF_FAULTS_KPROBE : RF_FAULTS_TRACEPOINT);
}

__attribute__((format(printf, 3, 4))) static void set_state(struct rf_event_status *status, enum rf_event_state state,
							    const char *format, ...)
{
	va_list args;

	status->state = state;
	va_start(args, format);
	vsnprintf(status->reason, sizeof(status->reason), format, args);
	va_end(args);
}

/* The text of the event's format file, NULL where there is none; a kprobe is made first. */
static char *read_format(const struct rf_event *event, struct rf_event_status *status)
{
	struct rf_error why = { 0 };
	char *text;

	if (event->probe && rf_probe_create(event, &why)) {
		set_state(status, RF_EVENT_MISSING, "%s:%s: %.100s", event->system, event->name, why.message);
		return NULL;
	}
	text = tracefs_event_file_read(NULL, rf_event_group(event), event->name, "format", NULL);
	if (!text)
		set_state(status, RF_EVENT_MISSING, "this kernel has no %s:%s", event->system, event->name);
	return text;
}

static void learn_event(struct rf_decoder *decoder, size_t number, struct rf_event_status *status)
{
	const struct rf_event *event = &rf_events[number];
	struct rf_error why = { 0 };
	char *format = read_format(event, status);

	if (!format) {
		/* Calls are traced all or none: a kernel without this one has nothing to tell about it. */
		if (event->need == RF_NEED_EXTRA && !strcmp(event->system, "syscalls"))
			set_state(status, RF_EVENT_SPARE, "%s", "");
		return;
	}
	if (rf_decoder_learn(decoder, number, format, &why))
		set_state(status, RF_EVENT_UNREADABLE, "%s:%s: %.100s", event->system, event->name, why.message);
	/* Marks come by an option of the instance, not by an event's switch. */
	else if (!strcmp(event->system, "ftrace") && !rf_tracefs_has(RF_MARKS_OPTION))
		set_state(status, RF_EVENT_MISSING,
			  "this kernel does not copy marks into an instance (no option copy_trace_marker)");
	else
		status->state = RF_EVENT_FOUND;
	free(format);
}

/* What page faults are learnt from, or RF_FAULTS_BEST: nothing gives them. */
static enum rf_fault_source found_faults(const struct rf_event_status *status, enum rf_fault_source asked)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (rf_events[i].kind == RF_FAULT && status[i].state == RF_EVENT_FOUND)
			return stands_in(i) ? RF_FAULTS_KPROBE : RF_FAULTS_TRACEPOINT;
	if ((asked == RF_FAULTS_BEST || asked == RF_FAULTS_PERF) && !rf_perf_check(NULL))
		return RF_FAULTS_PERF;
	return RF_FAULTS_BEST;
}

static int no_faults(const struct rf_event_status *status, enum rf_fault_source asked, struct rf_error *err)
{
	struct rf_error perf = { 0 };
	const char *why = "";

	for (size_t i = 0; i < rf_nr_events; i++)
		if (rf_events[i].kind == RF_FAULT && status[i].reason[0])
			why = status[i].reason;
	if (asked == RF_FAULTS_PERF && rf_perf_check(&perf))
		why = perf.message;
	return rf_error_set(err, -EOPNOTSUPP, RF_NO_OFFSET, "no page faults from the %s: %s",
			    rf_fault_sources[asked].what, why);
}

/* ---- system calls by number ------------------------------------------------------ */

static bool is_call_event(size_t i)
{
	return !strcmp(rf_events[i].system, "syscalls");
}

/* The kernel has no events of calls at all, but numbers: CONFIG_FTRACE_SYSCALLS is off. */
static bool only_numbers(const struct rf_event_status *status)
{
	bool numbers = false;

	for (size_t i = 0; i < rf_nr_events; i++) {
		if (is_call_event(i) && status[i].state == RF_EVENT_FOUND)
			return false;
		numbers |= rf_events[i].kind == RF_BY_NUMBER && status[i].state == RF_EVENT_FOUND;
	}
	return numbers;
}

/*
 * Every call passes the filter of these events: they are used where there is something that only they tell. compat: the
 * machine runs 32-bit programs.
 */
static void choose_numbers(struct rf_decoder *decoder, bool compat, struct rf_event_status *status)
{
	bool needed = only_numbers(status);

	for (size_t i = 0; i < rf_nr_events; i++) {
		if (needed && is_call_event(i) && rf_decoder_by_number(decoder, i))
			status[i].replaced = true;
		if (!needed && !compat && rf_events[i].kind == RF_BY_NUMBER && status[i].state == RF_EVENT_FOUND)
			status[i].state = RF_EVENT_SPARE;
	}
}

int rf_events_learn(struct rf_decoder *decoder, const struct rf_kernel *kernel, enum rf_fault_source *faults,
		    struct rf_event_status *status, struct rf_error *err)
{
	enum rf_fault_source asked = *faults;
	bool elsewhere;

	memset(status, 0, rf_nr_events * sizeof(*status));
	for (size_t i = 0; i < rf_nr_events; i++) {
		if (is_unwanted(i, asked) || (stands_in(i) && found_before(status, i)) ||
		    (is_of_batches(i) && !kernel->batches_rss))
			status[i].state = RF_EVENT_SPARE;
		else
			learn_event(decoder, i, &status[i]);
	}
	choose_numbers(decoder, kernel->compat, status);
	*faults = found_faults(status, asked);
	elsewhere = *faults == RF_FAULTS_PERF;
	for (size_t i = 0; i < rf_nr_events; i++) {
		if (status[i].state == RF_EVENT_FOUND || status[i].state == RF_EVENT_SPARE)
			continue;
		status[i].replaced |= found_stand_in(status, i) || (elsewhere && rf_events[i].kind == RF_FAULT);
		if (!status[i].replaced && rf_events[i].need == RF_NEED_ESSENTIAL)
			return rf_error_set(err, -EOPNOTSUPP, RF_NO_OFFSET, "%s: %s", status[i].reason,
					    rf_events[i].without);
	}
	return *faults == RF_FAULTS_BEST ? no_faults(status, asked, err) : 0;
}
