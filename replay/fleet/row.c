// SPDX-License-Identifier: MIT
/* What a store is given of a report, and which files are stores: with SQLite and without. */
#include <string.h>

#include "base/json.h"
#include "replay/fleet/store.h"

bool rf_store_is_name(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && (!strcmp(dot, ".db") || !strcmp(dot, ".sqlite"));
}

bool rf_store_is_one(const void *bytes, size_t size)
{
	static const char magic[16] = "SQLite format 3";

	return size >= sizeof(magic) && !memcmp(bytes, magic, sizeof(magic));
}

/* What is not 0, by operation and counter. */
static json_t *operations_of(const json_t *policy)
{
	json_t *operations = json_object(), *row, *value, *counts;
	const char *operation, *counter;

	json_object_foreach(json_object_get(policy, "operations"), operation, row) {
		counts = json_object();
		json_object_foreach(row, counter, value)
			if (json_integer_value(value))
				json_object_set(counts, counter, value);
		if (json_object_size(counts))
			json_object_set(operations, operation, counts);
		json_decref(counts);
	}
	return operations;
}

json_t *rf_store_row(const json_t *report)
{
	json_t *row = json_copy(json_array_get(json_object_get(report, "traces"), 0)), *cells, *cell;
	const json_t *policies = json_object_get(report, "policies"), *policy;
	size_t i;

	cells = json_deep_copy(json_object_get(row, "policies"));
	json_array_foreach(cells, i, cell) {
		policy = json_array_get(policies, i);
		json_object_set(cell, "knobs", json_object_get(policy, "knobs"));
		json_object_set_new(cell, "operations", operations_of(policy));
	}
	json_object_set_new(row, "policies", cells);
	json_object_set(row, "warnings", json_object_get(report, "warnings"));
	return row;
}
