/* SPDX-License-Identifier: MIT */
/* What the files of librefold share. */
#ifndef REFOLD_REPLAY_LIBRARY_HANDLES_H
#define REFOLD_REPLAY_LIBRARY_HANDLES_H

#include <jansson.h>

#include "replay/library/refold.h"

struct refold_report {
	json_t *json;
	char *text;		/* once it was asked for */
};

/* code, for the caller to return; file: NULL: none. */
int library_error(struct refold_error *err, int code, const char *file, const char *message);
int library_no_memory(struct refold_error *err);

#endif
