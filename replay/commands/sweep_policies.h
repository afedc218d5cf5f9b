/* SPDX-License-Identifier: MIT */
/* Many policies as one writes them: 'linux-7.3+max_dvm_ops={0,8,64}+tlbi={single,range}' is six. */
#ifndef REFOLD_REPLAY_COMMANDS_SWEEP_POLICIES_H
#define REFOLD_REPLAY_COMMANDS_SWEEP_POLICIES_H

#include "base/error.h"

/*
 * The list of policies, separated by commas, that this list with braces stands for, to be freed; in the order in which
 * a shell has them. NULL with err: a brace that does not fit, or more than most.
 */
char *rf_sweep_policies(const char *text, size_t most, struct rf_error *err);

#endif
