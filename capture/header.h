/* SPDX-License-Identifier: MIT */
/*
 * The header of a recording: everything about machine, kernel and settings that
 * a reader at the desk needs and cannot ask any more.
 */
#ifndef REFOLD_CAPTURE_HEADER_H
#define REFOLD_CAPTURE_HEADER_H

#include "capture/labels.h"
#include "capture/tracefs/session.h"

struct rf_header_facts {
	const struct rf_kernel *kernel;
	const struct rf_decoder *decoder;
	const struct rf_session *session;
	const struct rf_event_status *status;
	enum rf_fault_source faults;
	const char *mode;		/* "command", "pid" or "system" */
	const char *command;		/* NULL, or the name of the program without path and arguments */
	pid_t pid;			/* root of the recorded tree; 0: the whole system */
	const struct rf_pid_list *pids;	/* all roots */
	size_t buffer_bytes;
	bool snapshots;
	bool side_band;			/* perf records are there */
	const struct rf_labels *labels;
	const struct rf_privacy *privacy;	/* NULL: nothing is hidden */
};

/* The header as rf_writer_create() takes it, to be freed; NULL: out of memory. FORMAT.md tells its keys. */
char *rf_header_json(const struct rf_header_facts *facts);

#endif
