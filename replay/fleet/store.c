// SPDX-License-Identifier: MIT
/*
 * Writing a store. WAL, so that others read meanwhile and a writer that is killed leaves what was committed; a
 * transaction begins as a writer (IMMEDIATE), so that several programs take turns instead of failing half-way.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/fleet/store.h"
#include "replay/fleet/store_internal.h"
#include "replay/fleet/store_tables.h"

#define WAIT_MS 60000	/* for other writers */
#define RETRY_MS 20
#define TEXT (JSON_COMPACT | JSON_SORT_KEYS)

/* Statements that are prepared once. */
#define STATEMENTS(X)										\
	X(begin, "BEGIN IMMEDIATE")								\
	X(commit, "COMMIT")									\
	X(rollback, "ROLLBACK")									\
	X(facts, "SELECT facts FROM traces WHERE digest = ?")					\
	X(trace, "INSERT INTO traces(digest, name, kernel, arch, cpus, duration_ns, records, faults, "	\
		 "address_spaces, lost_events, complete, trust, facts) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) " \
		 "ON CONFLICT(digest) DO UPDATE SET name = excluded.name, trust = excluded.trust, "	\
		 "facts = excluded.facts RETURNING id")						\
	X(label, "INSERT OR REPLACE INTO labels VALUES(?, ?, ?)")				\
	X(warning, "INSERT OR IGNORE INTO warnings VALUES(?, ?)")				\
	X(policy, "INSERT INTO policies(name, definition, knobs) VALUES(?, ?, ?) "		\
		  "ON CONFLICT(name, definition) DO UPDATE SET knobs = coalesce(excluded.knobs, knobs) RETURNING id") \
	X(cell, "INSERT INTO cells(trace, policy, version, operations) VALUES(?, ?, ?, ?) "	\
		"ON CONFLICT(trace, policy) DO UPDATE SET version = excluded.version, "		\
		"operations = excluded.operations RETURNING id")				\
	X(count, "INSERT OR REPLACE INTO counts VALUES(?, ?, ?)")				\
	X(succeeded, "DELETE FROM failures WHERE digest = ?")					\
	X(was_read, "DELETE FROM failures WHERE digest = '' AND name = ?")			\
	X(failure, "INSERT OR REPLACE INTO failures VALUES(?, ?, ?)")				\
	X(has, "SELECT 1 FROM cells JOIN traces ON traces.id = trace JOIN policies ON policies.id = policy " \
	       "WHERE digest = ? AND policies.name = ? AND definition = ? AND version = ?")

enum statement {
#define X(name, text) STATEMENT_##name,
	STATEMENTS(X)
#undef X
	NR_STATEMENTS
};

struct rf_store {
	sqlite3 *database;
	sqlite3_stmt *statements[NR_STATEMENTS];
};

/* ---- errors --------------------------------------------------------------------- */

int store_error(sqlite3 *database, int result, struct rf_error *err)
{
	switch (result & 0xff) {
	case SQLITE_FULL:
		return rf_error_set(err, -ENOSPC, RF_NO_OFFSET, "no room for more: what was put in before is there, "
				    "nothing of this trace is; make room and run it again");
	case SQLITE_NOTADB:
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "is no database: a store of refold is one, of SQLite");
	case SQLITE_CORRUPT:
		return rf_error_set(err, -EBADMSG, RF_NO_OFFSET, "is corrupt (%s); the sqlite3 program's .recover may "
				    "save what is left of it", sqlite3_errstr(result));
	case SQLITE_BUSY:
		return rf_error_set(err, -EBUSY, RF_NO_OFFSET, "another program writes to it for more than a minute");
	case SQLITE_NOMEM:
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	case SQLITE_IOERR:
		return rf_error_set(err, -EIO, RF_NO_OFFSET, "cannot write or read it (%s): what was put in before is "
				    "there, nothing of this trace is", strerror(sqlite3_system_errno(database)));
	default:
		return rf_error_set(err, -EIO, RF_NO_OFFSET, "cannot use it as a store: %s", sqlite3_errmsg(database));
	}
}

static int execute(sqlite3 *database, const char *text, struct rf_error *err)
{
	int result = sqlite3_exec(database, text, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : store_error(database, result, err);
}

static s64 pragma(sqlite3 *database, const char *text, int *result)
{
	sqlite3_stmt *statement;
	s64 value = -1;

	*result = sqlite3_prepare_v2(database, text, -1, &statement, NULL);
	if (*result != SQLITE_OK)
		return -1;
	*result = sqlite3_step(statement);
	if (*result == SQLITE_ROW) {
		value = sqlite3_column_int64(statement, 0);
		*result = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return value;
}

int store_check(sqlite3 *database, struct rf_error *err)
{
	bool alone = sqlite3_get_autocommit(database);
	s64 application = -1, version = -1, tables = -1;
	int result;

	/* All as of one moment: somebody else may be making the tables. */
	result = alone ? sqlite3_exec(database, "BEGIN", NULL, NULL, NULL) : SQLITE_OK;
	if (result == SQLITE_OK)
		tables = pragma(database, "SELECT count(*) FROM sqlite_master", &result);
	if (result == SQLITE_OK)
		application = pragma(database, "PRAGMA application_id", &result);
	if (result == SQLITE_OK)
		version = pragma(database, "PRAGMA user_version", &result);
	if (alone)
		sqlite3_exec(database, "COMMIT", NULL, NULL, NULL);
	if (result != SQLITE_OK)
		return store_error(database, result, err);
	if (!application && !version && !tables)
		return 1;
	if (application != RF_STORE_APPLICATION)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "is a database, but no store of refold");
	if (version != RF_STORE_VERSION)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "is a store of version %lld, this refold has %d; use "
				    "the refold that wrote it", (long long)version, RF_STORE_VERSION);
	return 0;
}

/* ---- opening --------------------------------------------------------------------- */

static int make_tables(sqlite3 *database, struct rf_error *err)
{
	char marks[100];
	int ret;

	/* Of several that make it at once, the others find it made. */
	ret = execute(database, "BEGIN IMMEDIATE", err);
	if (ret)
		return ret;
	ret = store_check(database, err);
	snprintf(marks, sizeof(marks), "PRAGMA application_id = %d; PRAGMA user_version = %d", RF_STORE_APPLICATION,
		 RF_STORE_VERSION);
	if (ret == 1) {
		ret = execute(database, store_tables, err);
		ret = ret ? ret : execute(database, store_views, err);
		ret = ret ? ret : execute(database, marks, err);
	}
	if (ret)
		sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
	return ret ? ret : execute(database, "COMMIT", err);
}

static int prepare(struct rf_store *store, struct rf_error *err)
{
	static const char *const texts[] = {
#define X(name, text) text,
		STATEMENTS(X)
#undef X
	};
	int result;

	for (size_t i = 0; i < NR_STATEMENTS; i++) {
		result = sqlite3_prepare_v3(store->database, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &store->statements[i], NULL);
		if (result != SQLITE_OK)
			return store_error(store->database, result, err);
	}
	return 0;
}

/* Which log a database has is changed while nobody has it open; SQLite does not wait for that moment. */
static int set_modes(sqlite3 *database, struct rf_error *err)
{
	int ret = -EBUSY;

	for (int waited = 0; ret == -EBUSY && waited < WAIT_MS; waited += RETRY_MS) {
		ret = execute(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
					"PRAGMA foreign_keys = ON", err);
		if (ret == -EBUSY)
			sqlite3_sleep(RETRY_MS);
	}
	return ret;
}

struct rf_store *rf_store_open(const char *path, struct rf_error *err)
{
	struct rf_store *store = calloc(1, sizeof(*store));
	int result, ret;

	if (!store) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	result = sqlite3_open_v2(path, &store->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	/* Without memory there is not even one that is closed. */
	if (store->database)
		sqlite3_busy_timeout(store->database, WAIT_MS);
	ret = result == SQLITE_OK ? store_check(store->database, err) : store_error(store->database, result, err);
	if (ret >= 0 && set_modes(store->database, err))
		ret = err->code;
	if (ret == 1)
		ret = make_tables(store->database, err);
	ret = ret ? ret : prepare(store, err);
	if (!ret)
		return store;
	rf_store_close(store);
	return NULL;
}

void rf_store_close(struct rf_store *store)
{
	for (size_t i = 0; i < NR_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->database);
	free(store);
}

/* ---- writing ---------------------------------------------------------------------- */

/* One letter a value: s text, i number, n text or NULL. Run the statement; *id: of its first row. */
static int run(struct rf_store *store, enum statement which, s64 *id, const char *kinds, ...)
{
	sqlite3_stmt *statement = store->statements[which];
	va_list values;
	int result;

	va_start(values, kinds);
	for (int i = 1; *kinds; kinds++, i++) {
		if (*kinds == 'i')
			sqlite3_bind_int64(statement, i, va_arg(values, s64));
		else
			sqlite3_bind_text(statement, i, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
	}
	va_end(values);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW) {
		if (id)
			*id = sqlite3_column_int64(statement, 0);
		result = sqlite3_step(statement);
	}
	sqlite3_reset(statement);
	return result == SQLITE_DONE || result == SQLITE_ROW ? SQLITE_OK : result;
}

/* With what the store says of this trace already. *new: nothing is there. To be freed. */
static json_t *joined_facts(struct rf_store *store, const json_t *row, struct rf_error *err)
{
	sqlite3_stmt *statement = store->statements[STATEMENT_facts];
	struct rf_fleet fleet;
	json_t *there, *facts;
	int ret = 0;

	if (rf_fleet_init(&fleet))
		return NULL;
	sqlite3_bind_text(statement, 1, rf_json_string(row, "digest"), -1, SQLITE_TRANSIENT);
	if (sqlite3_step(statement) == SQLITE_ROW) {
		there = json_loads((const char *)sqlite3_column_text(statement, 0), 0, NULL);
		json_object_set_new(there, "policies", json_array());
		ret = rf_fleet_add(&fleet, there, NULL, err);
		json_decref(there);
	}
	sqlite3_reset(statement);
	ret = ret ? ret : rf_fleet_add(&fleet, row, NULL, err);
	facts = ret ? NULL : json_loads(fleet.traces[0].facts, 0, NULL);
	rf_fleet_free(&fleet);
	return facts;
}

static int add_trace(struct rf_store *store, const json_t *facts, s64 *trace)
{
	const json_t *kinds = json_object_get(facts, "records_by_kind");
	char *text = json_dumps(facts, TEXT);
	json_t *warning, *value;
	const char *key;
	size_t i;
	int result = run(store, STATEMENT_trace, trace, "ssssiiiiiiiss", rf_json_string(facts, "digest"),
			 rf_json_string(facts, "name"), rf_json_string(facts, "kernel"), rf_json_string(facts, "arch"),
			 rf_json_number(facts, "cpus"), rf_json_number(facts, "duration_ns"),
			 rf_json_number(facts, "records"), rf_json_number(kinds, "fault"),
			 rf_json_number(facts, "address_spaces"), rf_json_number(facts, "lost_events"),
			 (s64)json_is_true(json_object_get(facts, "complete")), rf_json_string(facts, "trust"),
			 text ? text : "{}");

	free(text);
	json_object_foreach(json_object_get(facts, "labels"), key, value)
		if (result == SQLITE_OK)
			result = run(store, STATEMENT_label, NULL, "iss", *trace, key, json_string_value(value));
	json_array_foreach(json_object_get(facts, "warnings"), i, warning)
		if (result == SQLITE_OK)
			result = run(store, STATEMENT_warning, NULL, "is", *trace, json_string_value(warning));
	return result;
}

static int add_cell(struct rf_store *store, s64 trace, const json_t *policy)
{
	char *knobs = json_dumps(json_object_get(policy, "knobs"), TEXT);
	char *operations = json_dumps(json_object_get(policy, "operations"), TEXT);
	const char *counter;
	json_t *value;
	s64 id = 0, cell = 0;
	int result = run(store, STATEMENT_policy, &id, "ssn", rf_json_string(policy, "name"),
			 rf_json_string(policy, "definition"), knobs);

	if (result == SQLITE_OK)
		result = run(store, STATEMENT_cell, &cell, "iisn", trace, id, rf_json_string(policy, "version"),
			     operations);
	json_object_foreach(json_object_get(policy, "totals"), counter, value)
		if (result == SQLITE_OK)
			result = run(store, STATEMENT_count, NULL, "isi", cell, counter, json_integer_value(value));
	free(knobs);
	free(operations);
	return result;
}

static int add_row(struct rf_store *store, const json_t *row, const json_t *facts)
{
	json_t *policy;
	s64 trace = 0;
	size_t i;
	int result = add_trace(store, facts, &trace);

	json_array_foreach(json_object_get(row, "policies"), i, policy)
		if (result == SQLITE_OK)
			result = add_cell(store, trace, policy);
	if (result == SQLITE_OK)
		result = run(store, STATEMENT_succeeded, NULL, "s", rf_json_string(row, "digest"));
	return result;
}

int rf_store_add(struct rf_store *store, const json_t *row, struct rf_error *err)
{
	int result = run(store, STATEMENT_begin, NULL, "");
	json_t *facts;

	if (result != SQLITE_OK)
		return store_error(store->database, result, err);
	facts = joined_facts(store, row, err);
	if (!facts) {
		run(store, STATEMENT_rollback, NULL, "");
		return err->code;
	}
	result = add_row(store, row, facts);
	json_decref(facts);
	if (result == SQLITE_OK)
		result = run(store, STATEMENT_commit, NULL, "");
	if (result == SQLITE_OK)
		return 0;
	store_error(store->database, result, err);
	run(store, STATEMENT_rollback, NULL, "");
	return err->code;
}

int rf_store_add_failure(struct rf_store *store, const char *name, const char *digest, const char *error,
			 struct rf_error *err)
{
	int result = run(store, STATEMENT_failure, NULL, "sss", name, digest, error);

	return result == SQLITE_OK ? 0 : store_error(store->database, result, err);
}

int rf_store_was_read(struct rf_store *store, const char *name, struct rf_error *err)
{
	int result = run(store, STATEMENT_was_read, NULL, "s", name);

	return result == SQLITE_OK ? 0 : store_error(store->database, result, err);
}

bool rf_store_has(struct rf_store *store, const char *digest, const char *policy, const char *definition)
{
	s64 found = 0;

	run(store, STATEMENT_has, &found, "ssss", digest, policy, definition, REFOLD_VERSION);
	return found;
}
