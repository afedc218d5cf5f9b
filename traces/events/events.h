/* SPDX-License-Identifier: MIT */
/*
 * The events we record: which tracepoint gives which record, why it is needed and
 * what is lost on a kernel without it. The one table everything else follows:
 * session.c enables it, decode.c reads it, doctor.c prints it.
 */
#ifndef REFOLD_TRACES_EVENTS_EVENTS_H
#define REFOLD_TRACES_EVENTS_EVENTS_H

#include "traces/events/kernel.h"
#include "traces/record.h"

/* The two private tracefs instances. */
enum rf_instance {
	RF_INSTANCE_TASK,	/* only the recorded tasks: what they do themselves */
	RF_INSTANCE_SYSTEM,	/* every task: what others do to the recorded page tables */
	RF_INSTANCES,
};

/* Where page faults are learnt from. */
enum rf_fault_source {
	RF_FAULTS_BEST,		/* the first of the others that there is */
	RF_FAULTS_TRACEPOINT,
	RF_FAULTS_KPROBE,
	RF_FAULTS_PERF,
	RF_FAULT_SOURCES,
};

struct rf_fault_source_info {
	const char *name;	/* as --fault-source says */
	const char *what;	/* what it is */
	const char *less;	/* what it does not tell; NULL: it is what the others stand in for */
};

/* What it means when the kernel lacks an event. */
enum rf_need {
	RF_NEED_ESSENTIAL,	/* a recording without it says nothing: refuse */
	RF_NEED_WANTED,		/* fidelity suffers: warn */
	RF_NEED_EXTRA,		/* an optional check, or a call this architecture does without: say nothing */
	RF_NEED_STAND_IN,	/* used only where no event of this kind and instance before it is to be had */
};

/* How a field of the record is made from the field of the event. */
enum rf_rule {
	RF_RULE_NONE,
	RF_RULE_LOAD,		/* as it is, sign-extended where the event's field is signed */
	RF_RULE_S32,		/* the low 32 bits, sign-extended: int arguments of system calls */
	RF_RULE_U32,		/* the low 32 bits */
	RF_RULE_VALUE,		/* no field: a constant */
	RF_RULE_FAULT_USER,	/* error code of the architecture -> RF_FAULT_* */
	RF_RULE_FAULT_KERNEL,
	RF_RULE_FAULT_MM,	/* FAULT_FLAG_* of handle_mm_fault() -> RF_FAULT_* */
	RF_RULE_GFP,		/* gfp flags of this kernel -> RF_GFP_* */
	RF_RULE_PAGES,		/* signed bytes -> pages */
	RF_RULE_BYTES,		/* pages -> bytes */
	RF_RULE_GUP,		/* FOLL_* of get_user_pages_fast() and its like -> RF_GUP_* */
	RF_RULE_MIGRATION_PFN,	/* migration entry -> pfn of the page that leaves */
	RF_RULE_PTE_PFN,	/* present entry -> pfn */
	RF_RULE_PTE_FLAGS,	/* present entry -> RF_PTE_WRITE */
	RF_RULE_POINTER,	/* kernel address -> a number that only tells objects apart */
	RF_RULE_CALL_NUMBER,	/* of raw_syscalls: the call's number, all of its arguments, its result */
	RF_RULE_CALL_ARGUMENTS,
	RF_RULE_CALL_RESULT,
	RF_RULE_TEXT,		/* eight characters; value: which eight. "a/b": as many of a as b says */
};

struct rf_event_field {
	/*
	 * Name of the event's field; "#N": argument N of the system call; "a|b": b where there is no a; "a?": a kernel
	 * may be without it, the value stands for it.
	 */
	const char *source;
	enum rf_rule rule;
	s64 value;
};

/* Instead of a kind: it follows from the number of the call, see calls.h. */
#define RF_BY_NUMBER		0xff

struct rf_event {
	const char *system, *name;
	u8 kind;		/* enum rf_record_kind, or RF_BY_NUMBER */
	u8 instance;		/* enum rf_instance */
	u8 need;		/* enum rf_need */
	/*
	 * Kernel-side filter. $MOVABLE is the gfp bit of that name, $OUTPUT_DEV and $OUTPUT_INO are the file being
	 * written, whose own page cache is no part of the recorded world, $MARKER_DEV and $MARKER_INO are trace_marker,
	 * $CALLS are the numbers of the calls that are wanted.
	 */
	const char *filter;
	struct rf_event_field fields[RF_RECORD_FIELDS];
	const char *why;	/* what it tells */
	const char *without;	/* what is lost without it, and what stands in */
	const char *probe;	/* no tracepoint but a kprobe on the function "name", with these arguments */
};

extern const struct rf_event rf_events[];
extern const size_t rf_nr_events;
extern const struct rf_fault_source_info rf_fault_sources[RF_FAULT_SOURCES];

/* Both rows give the same kind of record in the same instance: one may stand in for the other. */
bool rf_event_same(size_t a, size_t b);

#endif
