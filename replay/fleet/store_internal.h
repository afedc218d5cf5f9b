/* SPDX-License-Identifier: MIT */
/* What the writer and the reader of a store share. */
#ifndef REFOLD_REPLAY_FLEET_STORE_INTERNAL_H
#define REFOLD_REPLAY_FLEET_STORE_INTERNAL_H

#include <sqlite3.h>

#include "base/error.h"

/* Fill err by what SQLite says; returns its code. */
int store_error(sqlite3 *database, int result, struct rf_error *err);
/* 0: a store of this version; 1: an empty database; else an error. */
int store_check(sqlite3 *database, struct rf_error *err);

#endif
