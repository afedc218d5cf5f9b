/* SPDX-License-Identifier: MIT */
/*
 * The header of a recording: everything about machine, kernel and settings that
 * a reader at the desk needs and cannot ask any more.
 */
#ifndef REFOLD_CAPTURE_HEADER_H
#define REFOLD_CAPTURE_HEADER_H

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
};

/*
 * Keys: arch, buffer_bytes_per_cpu, clock, command, cpus (online), events (those on, "instance:system:name"),
 * events_missing (name: why), fault_around_bytes (if readable), faults (where page faults are from: tracepoint, kprobe
 * or perf), filters (name: kernel filter), gfp_unknown (flags PAGE_ALLOC lacks), kernel, ksm (runs), mode, page_size,
 * pid, pids, privacy (what was kept, dropped, replaced), side_band, snapshots, start_time_s, thp (files of sysfs:
 * setting), tool. The writer adds the format's own.
 *
 * Canonical JSON text (sorted keys, no spaces), to be freed; NULL: out of memory.
 */
char *rf_header_json(const struct rf_header_facts *facts);

#endif
