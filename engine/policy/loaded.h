/* SPDX-License-Identifier: MIT */
/* Policies whose page-table backend is loaded: what of a policy's text says so, and where the backend comes from. */
#ifndef REFOLD_ENGINE_POLICY_LOADED_H
#define REFOLD_ENGINE_POLICY_LOADED_H

#include "engine/policy/policy.h"

/*
 * Start from text if it begins with a loaded backend: FILE.so with the core mm that it names, NAME+backend=FILE.so;
 * kernel=TREE, NAME+kernel=TREE for the code of a kernel tree, which is built then. A "+" in these paths is their own
 * unless "=" follows before the next one; "~/" is the home directory. *knobs is what comes behind, "" or "+knob=value";
 * NULL: text is of another kind.
 */
int rf_policy_start_loaded(const char *text, struct rf_policy *policy, const char **knobs, struct rf_error *err);

/*
 * Build the page-table code of a kernel tree ("~/linux") for pages of "4k", "16k" or "64k" and core mm of the policy
 * base (NULL: what fits the tree). output: where the shared object goes, or NULL; keep: a folder for what the compiler
 * is given, or NULL. NULL with err.
 */
struct arch_loaded *rf_policy_build_kernel(const char *tree, const char *base, const char *page_size,
					   const char *output, const char *keep, struct rf_error *err);

#endif
