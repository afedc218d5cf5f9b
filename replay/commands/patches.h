/* SPDX-License-Identifier: MIT */
/* Patches as refold patches and refold policies tell of them. */
#ifndef REFOLD_REPLAY_COMMANDS_PATCHES_H
#define REFOLD_REPLAY_COMMANDS_PATCHES_H

#include "engine/policy/patches.h"

void rf_patch_print(const struct rf_patch *patch);
/* In its id, title, knobs, backports; "" is in all. */
bool rf_patch_mentions(const struct rf_patch *patch, const char *word);
/* Those that lie between "A..B", and what differs beside; RF_EXIT_DONE or RF_EXIT_USAGE, which it has told. */
int rf_patches_between(const char *range);

#endif
