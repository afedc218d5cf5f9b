/* SPDX-License-Identifier: MIT */
/*
 * System calls by number. The raw_syscalls events tell of every call its number and six words; what a number is depends
 * on the ABI that the task calls the kernel by. Which record a call becomes is in the event table, as for calls that
 * have events of their own: here is only how each ABI numbers and passes it.
 */
#ifndef REFOLD_TRACES_EVENTS_CALLS_H
#define REFOLD_TRACES_EVENTS_CALLS_H

#include "traces/events/events.h"

/* How calls are numbered. */
enum rf_numbering {
	RF_NUMBERS_X86_64,
	RF_NUMBERS_GENERIC,	/* arm64, riscv64 and whatever came after: asm-generic/unistd.h */
	RF_NUMBERS_I386,
	RF_NUMBERS_X32,		/* of x86-64 kernels, with bit 30 */
	RF_NUMBERS_ARM,		/* EABI */
	RF_NUMBERINGS,
};

/* Of a kernel's own tasks; false: we do not know. */
bool rf_calls_native(enum rf_isa isa, enum rf_numbering *numbering);
/* Of the 32-bit task that made this call, if it was one; false: none could make it. */
bool rf_calls_compat(enum rf_isa isa, u64 number, enum rf_numbering *numbering);

/* The number of a call by its name in "sys_enter_NAME"; 0: it has none. */
u64 rf_call_number(enum rf_numbering numbering, const char *name);

/*
 * The record of a call's entry and of its return; false: not a call that is recorded. Kind and fields are set, nothing
 * else. *row: its row of rf_events[].
 */
bool rf_call_entry(enum rf_numbering numbering, u64 number, const u64 arguments[6], struct rf_record *record,
		   size_t *row);
bool rf_call_return(enum rf_numbering numbering, u64 number, u64 result, struct rf_record *record, size_t *row);

#define RF_CALL_FILTER_MAX 3072

/* The kernel's filter on raw_syscalls events: calls of 32-bit tasks, and, with native, of the kernel's own as well. */
void rf_calls_filter(enum rf_isa isa, bool native, char filter[RF_CALL_FILTER_MAX]);
/* Of the kernel's own tasks, calls of these names. False: the numbers are not known. */
bool rf_calls_filter_of(enum rf_isa isa, const char *const *names, size_t nr_names, char filter[RF_CALL_FILTER_MAX]);

#endif
