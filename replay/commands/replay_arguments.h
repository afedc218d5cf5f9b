/* SPDX-License-Identifier: MIT */
/*
 * What the command line of refold replay says: parsed in replay_arguments.c, carried out in replay.c.
 */
#ifndef RF_REPLAY_ARGUMENTS_H
#define RF_REPLAY_ARGUMENTS_H

#include <jansson.h>

#include "engine/policy/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/limits.h"
#include "replay/report/report.h"

struct rf_replay_arguments {
	char **traces;
	int nr_traces;
	struct rf_policy policies[RF_MAX_POLICIES];
	int nr_policies;
	const char *output;
	const char *page_tables;
	const char *operations;
	struct rf_operations_filter only;
	const char *window_begin, *window_end;
	struct rf_window_patterns patterns;
	struct rf_by_list by;
	u64 top;
	char *folded;			/* NULL, or a counter */
	const char *folded_policy;
	const char *symbols;
	u64 interval;			/* ns, 0: none */
	struct rf_view view;
	bool json, quiet, limited, filtered, readers, windows, processes, check_backend, isolate,
	     keep_backend;
	json_t *left_out;		/* sentences: columns that --isolate gave up */
	u64 max_loss;
	struct rf_limits limits;
	u64 stop_at;
};

/* 0: go on; -1: help was given; else an exit code, and what is wrong has been said. */
int rf_replay_parse_arguments(int argc, char **argv, struct rf_replay_arguments *arguments);

#endif
