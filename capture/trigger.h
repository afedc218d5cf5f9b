/* SPDX-License-Identifier: MIT */
/*
 * A command of the shell whose end ends a recording: what waits for the moment that is to be looked at, as an alert.
 */
#ifndef REFOLD_CAPTURE_TRIGGER_H
#define REFOLD_CAPTURE_TRIGGER_H

#include <sys/types.h>

#include "base/error.h"

struct rf_trigger {
	int fd;			/* above the standard ones; readable once it has ended. 0: there is none */
	pid_t group;		/* of processes: the command, and who waits for it */
};

/* Start it. Call it before rf_record(), which has signals blocked and gives up rights. */
int rf_trigger_start(struct rf_trigger *trigger, const char *command, struct rf_error *err);
/* It need not go on: SIGTERM, if it still runs. */
void rf_trigger_end(struct rf_trigger *trigger);

#endif
