// SPDX-License-Identifier: MIT
/* Reading a store: rows again, as reports have them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/fleet/store.h"
#include "replay/fleet/store_internal.h"

static const char cells_text[] =
	"SELECT traces.id, cells.id, facts, policies.name, definition, version, knobs, operations "
	"FROM traces LEFT JOIN cells ON cells.trace = traces.id LEFT JOIN policies ON policies.id = cells.policy "
	"ORDER BY traces.id";
static const char counts_text[] = "SELECT counter, value FROM counts WHERE cell = ?";
static const char failures_text[] = "SELECT name, digest, error FROM failures";

static const char *text_at(sqlite3_stmt *statement, int column)
{
	return (const char *)sqlite3_column_text(statement, column);
}

/* A member of JSON text, unless it is NULL. */
static void set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_loads(text, 0, NULL));
}

static json_t *cell_of(const struct rf_fleet *fleet, sqlite3_stmt *cells, sqlite3_stmt *counts, int *result)
{
	json_t *totals = json_object(), *cell;

	sqlite3_bind_int64(counts, 1, sqlite3_column_int64(cells, 1));
	while ((*result = sqlite3_step(counts)) == SQLITE_ROW)
		json_object_set_new(totals, text_at(counts, 0), json_integer(sqlite3_column_int64(counts, 1)));
	sqlite3_reset(counts);
	cell = json_pack("{s:s, s:s, s:s, s:o}", "name", text_at(cells, 3), "definition", text_at(cells, 4),
			 "version", text_at(cells, 5), "totals", totals);
	if (fleet->whole) {
		set_text(cell, "knobs", text_at(cells, 6));
		set_text(cell, "operations", text_at(cells, 7));
	}
	return cell;
}

static int add_row(struct rf_fleet *fleet, json_t *row, struct rf_error *err)
{
	int ret = row ? rf_fleet_add(fleet, row, NULL, err) : 0;

	json_decref(row);
	return ret;
}

/* A row is complete when the next trace begins. */
static int read_traces(struct rf_fleet *fleet, sqlite3 *database, sqlite3_stmt *cells, sqlite3_stmt *counts,
		       struct rf_error *err)
{
	int result = SQLITE_OK, ret = 0;
	json_t *row = NULL;
	s64 last = -1;

	while (!ret && (result = sqlite3_step(cells)) == SQLITE_ROW) {
		if (sqlite3_column_int64(cells, 0) != last) {
			ret = add_row(fleet, row, err);
			row = json_loads(text_at(cells, 2), 0, NULL);
			json_object_set_new(row, "policies", json_array());
			last = sqlite3_column_int64(cells, 0);
		}
		if (sqlite3_column_type(cells, 1) == SQLITE_NULL)
			continue;
		json_array_append_new(json_object_get(row, "policies"), cell_of(fleet, cells, counts, &result));
		if (result != SQLITE_DONE)
			break;
	}
	if (!ret && result != SQLITE_DONE)
		ret = store_error(database, result, err);
	if (!ret)
		return add_row(fleet, row, err);
	json_decref(row);
	return ret;
}

static int read_failures(struct rf_fleet *fleet, sqlite3 *database, sqlite3_stmt *failures, struct rf_error *err)
{
	int result;

	while ((result = sqlite3_step(failures)) == SQLITE_ROW)
		rf_fleet_add_failure(fleet, text_at(failures, 0), text_at(failures, 1), text_at(failures, 2));
	return result == SQLITE_DONE ? 0 : store_error(database, result, err);
}

static int read_all(struct rf_fleet *fleet, sqlite3 *database, struct rf_error *err)
{
	sqlite3_stmt *cells = NULL, *counts = NULL, *failures = NULL;
	int result, ret;

	/* All of it as it was at one moment, while others may write. */
	sqlite3_exec(database, "BEGIN", NULL, NULL, NULL);
	result = sqlite3_prepare_v2(database, cells_text, -1, &cells, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_prepare_v2(database, counts_text, -1, &counts, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_prepare_v2(database, failures_text, -1, &failures, NULL);
	ret = result == SQLITE_OK ? read_traces(fleet, database, cells, counts, err) :
				    store_error(database, result, err);
	ret = ret ? ret : read_failures(fleet, database, failures, err);
	sqlite3_finalize(cells);
	sqlite3_finalize(counts);
	sqlite3_finalize(failures);
	return ret;
}

/*
 * As one that may write where it can be, because only such a one takes the log and its index away again. In a directory
 * that cannot be written to, a database without a log can only be read as one that nobody changes.
 */
static int open_to_read(const char *path, sqlite3 **database)
{
	int result = sqlite3_open_v2(path, database, SQLITE_OPEN_READWRITE, NULL);
	char *address;

	if (result == SQLITE_OK)
		result = sqlite3_exec(*database, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
	if ((result & 0xff) != SQLITE_CANTOPEN && (result & 0xff) != SQLITE_READONLY)
		return result;
	sqlite3_close(*database);
	*database = NULL;
	address = sqlite3_mprintf("file:%s?immutable=1", path);
	if (!address)
		return SQLITE_NOMEM;
	result = sqlite3_open_v2(address, database, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	sqlite3_free(address);
	return result;
}

int rf_store_read(struct rf_fleet *fleet, const char *path, struct rf_error *err)
{
	sqlite3 *database = NULL;
	int result = open_to_read(path, &database), ret;

	ret = result == SQLITE_OK ? store_check(database, err) : store_error(database, result, err);
	if (ret == 1)
		ret = 0;	/* made, and nothing put in */
	else if (!ret)
		ret = read_all(fleet, database, err);
	sqlite3_close(database);
	return ret;
}
