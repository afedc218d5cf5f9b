/* SPDX-License-Identifier: MIT */
/*
 * The kprobes of the event table: events that a kernel does not have by itself.
 * They are global, so they are made in a group that carries our pid, used only in
 * our instances and removed after them.
 */
#ifndef REFOLD_CAPTURE_TRACEFS_PROBES_H
#define REFOLD_CAPTURE_TRACEFS_PROBES_H

#include "base/error.h"
#include "traces/events/events.h"

/* tracefs is mounted somewhere. Most calls of libtracefs would mount it where it is not. */
bool rf_tracefs_is_mounted(void);
/* tracefs has this file at its top. */
bool rf_tracefs_has(const char *file);
/* The directory of an event below "events": its system, or, of a kprobe, the group of this process. */
const char *rf_event_group(const struct rf_event *event);
/* Make the kprobe of an event (its "probe" is set). Its format can be read when this returns 0. */
int rf_probe_create(const struct rf_event *event, struct rf_error *err);
/* Remove all that this process has made. No instance may use them any more. */
void rf_probes_remove(void);
/* Something of a dead recorder, of this kind and name, was removed, or why not (errno). */
typedef void rf_removal_told(void *context, const char *kind, const char *name, int error);
/* Remove those of recorders that are dead, after their instances. told: for each, or NULL. Returns how many. */
int rf_probes_remove_stale(rf_removal_told *told, void *context);

#endif
