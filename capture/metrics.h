/* SPDX-License-Identifier: MIT */
/*
 * How a recording goes, for a monitor: a text file of OpenMetrics (node_exporter's textfile collector takes it), put in
 * its place by rename, so that nobody reads half of it. It is for everybody to read: it has counts and labels only.
 */
#ifndef REFOLD_CAPTURE_METRICS_H
#define REFOLD_CAPTURE_METRICS_H

#include "capture/labels.h"
#include "capture/tracefs/probes.h"
#include "capture/watch.h"

/* Write it anew, each metric with these labels. 0 or a negative errno: a recording goes on without. */
int rf_metrics_write(const char *path, const struct rf_labels *labels, const struct rf_progress *progress,
		     bool running);
/* Remove what a recorder that was killed had in the making there; told, as rf_remove_stale_instances() does. */
int rf_metrics_remove_stale(const char *path, rf_removal_told *told, void *context);

#endif
