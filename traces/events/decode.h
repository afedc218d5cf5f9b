/* SPDX-License-Identifier: MIT */
/*
 * Raw ring-buffer events into records, at offsets learnt once from the kernel's
 * format files. Everything that differs between kernels ends here.
 */
#ifndef REFOLD_TRACES_EVENTS_DECODE_H
#define REFOLD_TRACES_EVENTS_DECODE_H

#include "base/error.h"
#include "traces/capabilities.h"
#include "traces/events/events.h"

struct rf_decoder;

struct rf_decoder *rf_decoder_create(const struct rf_kernel *kernel, struct rf_error *err);
void rf_decoder_destroy(struct rf_decoder *decoder);

/*
 * Learn event number "event" of rf_events[] from the text of its format file; the name in it may be another's, as
 * users name their probes as they like.
 * -ENOENT: the kernel's event lacks a field we need (err names it); -EOPNOTSUPP: entries of this architecture
 * cannot be read; -EINVAL: not a format.
 */
int rf_decoder_learn(struct rf_decoder *decoder, size_t event, const char *format, struct rf_error *err);
bool rf_decoder_knows(const struct rf_decoder *decoder, size_t event);
/*
 * The calls that this row of a system call would tell are taken from raw_syscalls, by their number. False: it has none
 * on this machine.
 */
bool rf_decoder_by_number(struct rf_decoder *decoder, size_t event);
bool rf_decoder_has_calls_by_number(const struct rf_decoder *decoder);
/* The kernel's filter for the events of raw_syscalls. */
void rf_decoder_call_filter(const struct rf_decoder *decoder, char *filter);

/* The kernel's number of a gfp flag by its RF_GFP_* bit; 0: the format does not tell. */
u64 rf_decoder_gfp(const struct rf_decoder *decoder, u64 rf_gfp);

/* What the kernel does, by its release and by the formats that were learnt. */
struct rf_capabilities rf_decoder_capabilities(const struct rf_decoder *decoder);

/* As many records as any event becomes. */
#define RF_DECODE_MAX RF_MARK_RECORDS

/*
 * Decode one event into at most max records; returns how many, 0: none of ours. A long mark has more than one; a call
 * by number has up to two that exclude each other (max is 2 at least): the one with "compat" goes into a stream of its
 * own, whose readers know the task. stream is left to the caller.
 */
size_t rf_decode(const struct rf_decoder *decoder, const void *data, u32 size, u64 time, struct rf_record *records,
		 size_t max);
/* The same without what the record's fields are: 0 or 1; kind RF_BY_NUMBER: it may be none, or two. */
size_t rf_decode_head(const struct rf_decoder *decoder, const void *data, u32 size, u64 time, struct rf_record *record);

#endif
