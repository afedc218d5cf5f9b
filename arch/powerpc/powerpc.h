/* SPDX-License-Identifier: MIT */
/*
 * The powerpc backends: 8xx.c, whose CPUs are told page by page what to load into their TLBs, and hash.c, whose page
 * table is a cache of a hashed one.
 */
#ifndef REFOLD_ARCH_POWERPC_POWERPC_H
#define REFOLD_ARCH_POWERPC_POWERPC_H

#include "arch/entry.h"

extern const struct arch_ops powerpc_8xx_ops;
extern const struct arch_ops powerpc_hash_ops;

#endif
