/* SPDX-License-Identifier: MIT */
/*
 * A trace.dat of trace-cmd becomes a trace of ours: the same events, through the
 * same table and the same decoding as a live recording.
 */
#ifndef REFOLD_TRACES_IMPORT_IMPORT_H
#define REFOLD_TRACES_IMPORT_IMPORT_H

#include "base/error.h"

struct rf_import_options {
	const char *input, *output;
	const char *fault_event;	/* "SYSTEM:NAME" of a probe on handle_mm_fault(); NULL: find it */
	const char *machine;		/* of rf_import_machine(), for files that do not tell; NULL: the file tells */
};

#define RF_IMPORT_WARNINGS 32

struct rf_import_result {
	u64 events;		/* in the file */
	u64 records;		/* written */
	u64 lost;		/* events that trace-cmd lost */
	u64 bytes;		/* written */
	bool wrote;		/* there is an output file; of a damaged input one that says so */
	bool output_failed;	/* the error is about the output, not the input */
	u32 nr_warnings;
	char warnings[RF_IMPORT_WARNINGS][400];	/* what is less than it could be; one line each */
};

/* A machine as uname -m says it, whatever people call it (arm64, amd64); NULL: none that can be replayed. */
const char *rf_import_machine(const char *name);

/* -EBADMSG: the file is damaged; -EPROTO: nothing we could import. */
int rf_import(const struct rf_import_options *options, struct rf_import_result *result, struct rf_error *err);

#endif
