/* SPDX-License-Identifier: MIT */
/*
 * A recording in the making: what rf_record() has of it, and all that comes before the first event. Nobody else looks
 * into it.
 */
#ifndef REFOLD_CAPTURE_PREPARE_H
#define REFOLD_CAPTURE_PREPARE_H

#include <sys/stat.h>

#include "capture/follow/ending.h"
#include "capture/follow/follow.h"
#include "capture/kernel.h"
#include "capture/perf/perf.h"
#include "capture/recording.h"
#include "capture/rights/rights.h"
#include "capture/snapshot/compat.h"
#include "capture/tracefs/ring.h"

struct recording {
	struct rf_recording_options options;
	struct rf_recording_result *result;
	struct rf_kernel kernel;
	struct rf_compat compat;
	struct rf_decoder *decoder;
	struct rf_event_status *status;
	enum rf_fault_source faults;
	bool generation;		/* of names in tracefs, not that of the one before */
	struct rf_session *session;
	struct rf_writer *writer;
	struct rf_privacy *privacy;	/* NULL: nothing is hidden */
	struct rf_page_cache *cache;
	struct rf_user user;
	struct rf_follow *follow;
	struct rf_rings *rings;
	struct rf_perf *perf;
	struct rf_snapshotter *snapshotter;
	struct rf_pid_list pids;	/* the roots: given, or the command's */
	int facts_stream;		/* of this thread: PROCESS, kernel pages, page cache */
	struct rf_ending ending;
	struct rf_output output;	/* until the writer has it */
	bool on_disk;
	struct rf_buffers buffers;	/* of a CPU */
	struct rf_call_events *calls;	/* NULL: stacks are not wanted */
	struct rf_watch watch;
	struct rf_budget budget;
	u64 dropped;			/* records that had no room in the file */
	u64 setting_up_ns;		/* until it recorded, and the part before had ended: as the next will take */
	double usual_rate;		/* of the part before */
	bool began;			/* the trace is worth keeping */
	enum rf_end end;
	int ret;			/* why it failed, before its end */
	struct rf_error error;
};

/* One line for the user, in the result; what finds no room is left out. */
void rf_recording_warn(struct recording *rec, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * Find out what this kernel and these processes are, begin the output, and start what reads events. On error, what was
 * begun is still to be finished.
 */
int rf_recording_prepare(struct recording *rec, struct rf_error *err);

#endif
