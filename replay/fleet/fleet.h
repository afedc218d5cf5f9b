/* SPDX-License-Identifier: MIT */
/*
 * Many traces: what reports and stores say of each, as rows that can be put together in any order and as often as one
 * likes. A trace is known by its digest, a policy by its name and definition; a cell is one trace under one policy.
 *
 * Adding is a join: what is there twice is there once, and where two rows contradict each other, the same one stays
 * whoever came first. So merging shards is associative, commutative and idempotent.
 */
#ifndef REFOLD_REPLAY_FLEET_FLEET_H
#define REFOLD_REPLAY_FLEET_FLEET_H

#include <stdio.h>

#include <jansson.h>

#include "base/error.h"
#include "base/table.h"
#include "traces/digest.h"

#define RF_FLEET_SCHEMA "refold-fleet/1"
#define RF_VERSION_SIZE 24

struct rf_fleet_cell {
	u32 policy;			/* of the fleet's */
	char version[RF_VERSION_SIZE];	/* of the refold that counted */
	u32 nr;				/* values; counters beyond are unknown */
	char *rest;			/* JSON: other members, of a whole fleet; NULL: none */
	s64 *values;			/* by number of the fleet's counters; -1: unknown */
};

struct rf_fleet_trace {
	char digest[RF_DIGEST_SIZE];
	char *facts;			/* canonical JSON: a member of "traces" of a report without "policies", but with
					   "warnings" */
	struct rf_fleet_cell *cells;	/* after rf_fleet_sort(): by the policies' names */
	size_t nr, room;
};

struct rf_fleet_policy {
	char *name;
	char definition[RF_DIGEST_SIZE];
};

DEFINE_TABLE(fleet_places, u64, u32);

struct rf_fleet {
	bool whole;			/* keep what no summary needs: knobs, operations */
	struct rf_fleet_trace *traces;	/* after rf_fleet_sort(): by digest */
	size_t nr, room;
	struct fleet_places places;	/* of digests, + 1 */
	struct rf_fleet_policy *policies;
	size_t nr_policies, policies_room;
	char **counters;
	size_t nr_counters, counters_room;
	json_t *failures;		/* {"name", "digest", "error"} of traces that could not be replayed */
	json_t *notes;			/* sentences: what contradicts each other, what is there twice */
};

/* 0 or -ENOMEM. */
int rf_fleet_init(struct rf_fleet *fleet);
void rf_fleet_free(struct rf_fleet *fleet);

/*
 * Join one trace. row: a member of a report's "traces"; warnings: sentences for it, NULL: those the row has. -EPROTO:
 * it is none.
 */
int rf_fleet_add(struct rf_fleet *fleet, const json_t *row, const json_t *warnings, struct rf_error *err);
int rf_fleet_add_failure(struct rf_fleet *fleet, const char *name, const char *digest, const char *error);

/* Is the file a document of rf_fleet_write() or a store? What cannot be read is none. */
bool rf_fleet_is_one(const char *path);
/* Report, document of rf_fleet_write() or store: join all that is in it. What could be joined before an error stays. */
int rf_fleet_read(struct rf_fleet *fleet, const char *path, struct rf_error *err);

/* The order in which rows are written and summed, so that results do not depend on that of the files. */
void rf_fleet_sort(struct rf_fleet *fleet);
/* All of a sorted one as JSON, a line for each trace. 0, or -EIO. */
int rf_fleet_write(const struct rf_fleet *fleet, FILE *out);

/* The row of a trace again, to be released. */
json_t *rf_fleet_row(const struct rf_fleet *fleet, const struct rf_fleet_trace *trace);
/* UINT32_MAX: there is none. */
u32 rf_fleet_counter(const struct rf_fleet *fleet, const char *name);

#endif
