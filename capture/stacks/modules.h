/* SPDX-License-Identifier: MIT */
/* Files with code that recorded processes have mapped: their build ids, names, and how to unwind their frames. */
#ifndef REFOLD_CAPTURE_STACKS_MODULES_H
#define REFOLD_CAPTURE_STACKS_MODULES_H

#include <sys/types.h>

#include "base/table.h"
#include "capture/stacks/rules.h"

struct rf_module {
	u64 dev, ino;
	char *path;		/* as its process named it */
	u8 build_id[RF_BUILD_ID_MAX];
	u8 build_id_size;	/* 0: not known */
	struct rf_rules *rules;	/* NULL: none */
	u32 number;		/* in the trace; 0: not written yet */
};

DEFINE_TABLE(module_table, u64, struct rf_module *);

struct rf_modules {
	struct module_table table;
};

/* The file that a process maps under this name, which is read when it is seen first. NULL: too many, or no memory. */
struct rf_module *rf_modules_get(struct rf_modules *modules, u64 dev, u64 ino, pid_t pid, const char *path);
void rf_modules_free(struct rf_modules *modules);

#endif
