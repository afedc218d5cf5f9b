/* SPDX-License-Identifier: MIT */
/* Records of a trace in merged order, decoded on a thread of their own while the tracker is at those before. */
#ifndef REFOLD_REPLAY_TRACKER_GROUND_DECODING_H
#define REFOLD_REPLAY_TRACKER_GROUND_DECODING_H

#include "replay/tracker/ground/compat.h"
#include "traces/merge.h"

/* Records decoded at once. Few: they are used before they have left the cache. */
#define DECODED_AT_ONCE 2048

struct decoding;

/* compat is the decoder's until it is stopped. one_thread: decode when asked. NULL: out of memory. */
struct decoding *decoding_start(struct rf_reader *reader, struct compat_tasks *compat, bool one_thread,
				struct rf_error *err);
/* The next records, DECODED_AT_ONCE at most; 0: there are no more. */
size_t decoding_next(struct decoding *decoding, struct rf_record *out);
void decoding_stop(struct decoding *decoding);

#endif
