// SPDX-License-Identifier: MIT
/* A build without SQLite: everything says so. */
#include <errno.h>

#include "replay/fleet/store.h"

static int missing(struct rf_error *err)
{
	return rf_error_set(err, -ENOSYS, RF_NO_OFFSET, "this refold was built without SQLite: install libsqlite3-dev "
			    "and build it again, or write reports (-o NAME.json)");
}

struct rf_store *rf_store_open(const char *path, struct rf_error *err)
{
	missing(err);
	return NULL;
}

void rf_store_close(struct rf_store *store)
{
}

int rf_store_add(struct rf_store *store, const json_t *row, struct rf_error *err)
{
	return missing(err);
}

int rf_store_add_failure(struct rf_store *store, const char *name, const char *digest, const char *error,
			 struct rf_error *err)
{
	return missing(err);
}

int rf_store_was_read(struct rf_store *store, const char *name, struct rf_error *err)
{
	return missing(err);
}

bool rf_store_has(struct rf_store *store, const char *digest, const char *policy, const char *definition)
{
	return false;
}

int rf_store_read(struct rf_fleet *fleet, const char *path, struct rf_error *err)
{
	return missing(err);
}
