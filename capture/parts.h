/* SPDX-License-Identifier: MIT */
/*
 * A recording in parts, for what is watched for days: each is a trace of its own, which
 * begins with snapshots and can be replayed alone. The next one begins before one ends: what
 * happens meanwhile is in both. Part of it is before the next one's snapshots; what lives only
 * then is as what ends while a recording attaches.
 */
#ifndef REFOLD_CAPTURE_PARTS_H
#define REFOLD_CAPTURE_PARTS_H

#include "capture/recording.h"

struct rf_rotation {
	double seconds;		/* of a part; 0: a part has no time */
	u64 bytes;		/* of a part; 0: no size */
	u64 keep;		/* so many parts are on the disk, the one in the making included; 0: all */
};

/* A part has ended, and is whole. */
typedef void rf_part_ended(void *context, const char *output, const struct rf_recording_result *result);

/* NAME.mmt.zst is NAME.000001.mmt.zst, other names get the number at their end. To be freed; NULL: out of memory. */
char *rf_part_name(const char *output, u64 number);
/*
 * Record until something else than the rotation, or SIGUSR1 where asked_ends, ends a part; of those that SIGUSR1 ends,
 * each and the one before it are not removed. *last: of the last part, but
 * what was lost in all of them. An error ends it; what was recorded until then is kept. ended is called with
 * options->context.
 */
int rf_record_parts(const struct rf_recording_options *options, const struct rf_rotation *rotation,
		    rf_part_ended *ended, struct rf_recording_result *last, struct rf_error *err);

#endif
