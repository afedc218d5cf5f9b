/* SPDX-License-Identifier: MIT */
/*
 * What of the event table this kernel offers, and what stands in for the rest.
 */
#ifndef REFOLD_CAPTURE_TRACEFS_LEARN_H
#define REFOLD_CAPTURE_TRACEFS_LEARN_H

#include "base/error.h"
#include "traces/events/decode.h"

/* The file of an instance that has marks copied into it, since Linux 6.16. */
#define RF_MARKS_OPTION "options/copy_trace_marker"

enum rf_event_state {
	RF_EVENT_UNKNOWN,
	RF_EVENT_FOUND,		/* the kernel has it and we can read it */
	RF_EVENT_ON,
	RF_EVENT_MISSING,	/* the kernel has no such tracepoint */
	RF_EVENT_UNREADABLE,	/* its format lacks a field, or its entries cannot be read on this architecture */
	RF_EVENT_SPARE,		/* not needed: another is there, or was asked for; or there is no such system call */
	RF_EVENT_REFUSED,	/* the kernel would not filter or enable it */
};

struct rf_event_status {
	enum rf_event_state state;
	bool replaced;		/* not to be had, but another stands in */
	char reason[160];	/* one line; empty for FOUND, ON and SPARE */
};

/*
 * Learn every event of rf_events[]; status has room for rf_nr_events. Makes the kprobes that are needed: whatever it
 * returns, rf_probes_remove() has to follow. *faults: where page faults are
 * to be learnt from, and what was found. Fails where an essential event is missing and nothing stands in for it.
 */
int rf_events_learn(struct rf_decoder *decoder, const struct rf_kernel *kernel, enum rf_fault_source *faults,
		    struct rf_event_status *status, struct rf_error *err);

#endif
