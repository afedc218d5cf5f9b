/* SPDX-License-Identifier: MIT */
/*
 * Our two private tracefs instances: made, set up, switched, always removed.
 * Nothing outside them is written.
 */
#ifndef REFOLD_CAPTURE_TRACEFS_SESSION_H
#define REFOLD_CAPTURE_TRACEFS_SESSION_H

#include <sys/stat.h>

#include "base/error.h"
#include "capture/tracefs/learn.h"
#include "capture/tracefs/probes.h"
#include "capture/follow/tasks.h"
#include "traces/events/calls.h"

/* The directory where instances are made; false: tracefs is not mounted. */
bool rf_tracefs_instances(char *path, size_t size);
/* tracefs is there and may be used; err says what to do if not. */
int rf_tracefs_check(struct rf_error *err);
/*
 * Remove the instances of recorders that are dead, and their kprobes. told, which may be NULL, is called for each.
 * Returns how many instances.
 */
int rf_remove_stale_instances(rf_removal_told *told, void *context);

struct rf_session;

struct rf_session_options {
	bool whole_system;	/* the task instance is not filtered by pid */
	bool generation;	/* two sessions of a process are of different ones */
	u64 buffer_bytes[RF_INSTANCES];	/* per CPU */
	const struct stat *output;
};

/* Make both instances: switched off, nothing enabled. */
struct rf_session *rf_session_create(const struct rf_decoder *decoder, const struct rf_session_options *options,
				     struct rf_error *err);
/* Follow these threads and whatever they fork (task instance). */
int rf_session_follow(struct rf_session *session, const struct rf_pid_list *tids, struct rf_error *err);
/* Add those that are followed now. The kernel keeps that list by itself, whatever is lost. 0, or -ENOMEM. */
int rf_session_followed(const struct rf_session *session, struct rf_pid_list *tids);
/* Keep these threads, and only these, out of the task instance: for the whole system, ourselves. */
int rf_session_hide(struct rf_session *session, const struct rf_pid_list *tids, struct rf_error *err);
/* Set the filters and enable the events that were found; status becomes ON or REFUSED. Still switched off. */
int rf_session_enable(struct rf_session *session, struct rf_event_status *status, struct rf_error *err);
/* This one, which was enabled, no more. 0 or -EIO. */
int rf_session_leave_out(struct rf_session *session, size_t event);
/* Switch on: from here on events are recorded. */
int rf_session_start(struct rf_session *session, struct rf_error *err);
/* Nothing is written to the ring buffers any more; what is in them can still be read. */
void rf_session_stop(struct rf_session *session);
/* Remove both instances, or the negative errno by which one stays. The rings must be closed before. */
int rf_session_destroy(struct rf_session *session);

/* A CPU's ring as a descriptor of raw pages, not blocking; -ENOENT: no such CPU. */
int rf_session_open_ring(const struct rf_session *session, enum rf_instance instance, int cpu);
/* A CPU's counters, for rf_session_lost(), by who may not open files any more; negative: there are none. */
int rf_session_open_stats(const struct rf_session *session, enum rf_instance instance, int cpu);
/* Events of this ring lost so far, for whatever reason, by the kernel's own count. */
u64 rf_session_lost(int stats_fd);
u32 rf_session_page_size(const struct rf_session *session);	/* of the rings */
#define RF_FILTER_MAX RF_CALL_FILTER_MAX
/* The filter of an event as written to the kernel; false: none. */
bool rf_session_filter(const struct rf_session *session, size_t event, char filter[RF_FILTER_MAX]);

#endif
