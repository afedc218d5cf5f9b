/* SPDX-License-Identifier: MIT */
/*
 * A tracefs instance of ours: made, and set to what a recording needs, whatever
 * the top-level one, which new instances take after, is set to.
 */
#ifndef REFOLD_CAPTURE_TRACEFS_INSTANCE_H
#define REFOLD_CAPTURE_TRACEFS_INSTANCE_H

#include <tracefs.h>

#include "base/error.h"

/* Make it, switched off, nothing enabled. NULL: err tells why, also where another of this name is in use. */
struct tracefs_instance *rf_instance_create(const char *name, size_t buffer_bytes, struct rf_error *err);
/* Write text to one of its files. 0 or a negative errno. */
int rf_instance_write(struct tracefs_instance *instance, const char *file, const char *text, struct rf_error *err);
/* Remove it from the open directory of all. 0 or a negative errno; it is freed in any case. */
int rf_instance_destroy(struct tracefs_instance *instance, int directory);

#endif
