/* SPDX-License-Identifier: MIT */
/* The reports, directories and stores that commands about many traces are given. */
#ifndef REFOLD_REPLAY_COMMANDS_FLEET_SOURCES_H
#define REFOLD_REPLAY_COMMANDS_FLEET_SOURCES_H

#include "replay/fleet/fleet.h"

/*
 * Join all that is in them; of directories, all files under it whose names end in .json, .db or .sqlite. What cannot
 * be read is told, and the rest goes on. RF_EXIT_DONE; RF_EXIT_DAMAGED: not all of them; RF_EXIT_FAILED: none.
 */
int rf_fleet_read_sources(struct rf_fleet *fleet, char **sources, int nr);

#endif
