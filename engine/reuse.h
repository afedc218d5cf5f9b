/* SPDX-License-Identifier: MIT */
/* Write faults that keep their page (reuse.c). */
#ifndef REFOLD_ENGINE_REUSE_H
#define REFOLD_ENGINE_REUSE_H

#include "engine/mm.h"

/* With reuse_around: a recorded RF_OP_FAULT_REUSE that would not fault here. What it tells of the page is noted. */
bool reuse_happened(struct rf_machine *machine, const struct rf_op *op);

#endif
