/* SPDX-License-Identifier: MIT */
/*
 * Rows in a SQLite database, so that anybody can ask them anything: one transaction a trace, so that whatever ends a
 * writer, whole traces are there and can be read meanwhile. docs/fleet.md has the tables and views.
 *
 * Built without SQLite, every function but rf_store_is_one() says so: -ENOSYS.
 */
#ifndef REFOLD_REPLAY_FLEET_STORE_H
#define REFOLD_REPLAY_FLEET_STORE_H

#include "replay/fleet/fleet.h"

/* Is it the name of a store that is to be written? NAME.db, NAME.sqlite. */
bool rf_store_is_name(const char *path);
/* Do these bytes, the first of a file, begin a database? */
bool rf_store_is_one(const void *bytes, size_t size);

struct rf_store;

/* Open, or make: what is there stays. -EBADMSG: corrupt; -EPROTO: no store, or of a newer refold. */
struct rf_store *rf_store_open(const char *path, struct rf_error *err);
void rf_store_close(struct rf_store *store);

/*
 * Put in what a report of one trace says; row: of rf_store_row(). What the same version counted of the trace before is
 * replaced. -ENOSPC and others: nothing of it is in the store.
 */
int rf_store_add(struct rf_store *store, const json_t *row, struct rf_error *err);
/* A trace that could not be replayed; digest: "" if it could not be read either. */
int rf_store_add_failure(struct rf_store *store, const char *name, const char *digest, const char *error,
			 struct rf_error *err);
/* It can be read now: of a failure without a digest nothing else tells that it is over. */
int rf_store_was_read(struct rf_store *store, const char *name, struct rf_error *err);

/*
 * The row of a report of one trace: its member of "traces" with "warnings", and in each policy "knobs" and what
 * "operations" counted, as far as it is not 0. To be released.
 */
json_t *rf_store_row(const json_t *report);

/* Is this trace counted by this version of refold under the policy? */
bool rf_store_has(struct rf_store *store, const char *digest, const char *policy, const char *definition);

/* Join all that is in it. */
int rf_store_read(struct rf_fleet *fleet, const char *path, struct rf_error *err);

#endif
