/* SPDX-License-Identifier: MIT */
/* One operation in the machine's own pages (dispatch.c). */
#ifndef REFOLD_ENGINE_DISPATCH_H
#define REFOLD_ENGINE_DISPATCH_H

#include "engine/mm.h"

/* -ENOMEM or 0. */
int machine_run_op(struct rf_machine *machine, const struct rf_op *op);

#endif
