/* SPDX-License-Identifier: MIT */
/*
 * What unwinding needs to know of an architecture: which registers perf is to sample, what DWARF calls them, and where
 * a frame pointer leads. An architecture is a set of these.
 */
#ifndef REFOLD_CAPTURE_STACKS_REGISTERS_H
#define REFOLD_CAPTURE_STACKS_REGISTERS_H

#include "base/types.h"

/* The registers of a frame. Return address: where it is in a register. */
enum rf_stack_register { RF_STACK_PC, RF_STACK_SP, RF_STACK_FP, RF_STACK_RA, RF_STACK_REGISTERS };

#if defined(__x86_64__)
/* asm/perf_regs.h: BP 6, SP 7, IP 8. The return address has a number and no register. */
#define RF_STACKS_KNOWN		1
#define RF_STACK_MASK		(BIT_ULL(6) | BIT_ULL(7) | BIT_ULL(8))
#define RF_STACK_ORDER		{ RF_STACK_FP, RF_STACK_SP, RF_STACK_PC }
#define RF_DWARF_SP		7
#define RF_DWARF_FP		6
#define RF_DWARF_RA		16
#define RF_FRAME_CFA		16	/* from the frame pointer; what it saves, from there */
#define RF_FRAME_FP		(-16)
#define RF_FRAME_RA		(-8)
#elif defined(__aarch64__)
/* X29 29, LR 30, SP 31, PC 32 */
#define RF_STACKS_KNOWN		1
#define RF_STACK_MASK		(BIT_ULL(29) | BIT_ULL(30) | BIT_ULL(31) | BIT_ULL(32))
#define RF_STACK_ORDER		{ RF_STACK_FP, RF_STACK_RA, RF_STACK_SP, RF_STACK_PC }
#define RF_DWARF_SP		31
#define RF_DWARF_FP		29
#define RF_DWARF_RA		30
#define RF_FRAME_CFA		16
#define RF_FRAME_FP		(-16)
#define RF_FRAME_RA		(-8)
#elif defined(__riscv) && __riscv_xlen == 64
/* PC 0, RA 1, SP 2, S0 8 */
#define RF_STACKS_KNOWN		1
#define RF_STACK_MASK		(BIT_ULL(0) | BIT_ULL(1) | BIT_ULL(2) | BIT_ULL(8))
#define RF_STACK_ORDER		{ RF_STACK_PC, RF_STACK_RA, RF_STACK_SP, RF_STACK_FP }
#define RF_DWARF_SP		2
#define RF_DWARF_FP		8
#define RF_DWARF_RA		1
#define RF_FRAME_CFA		0
#define RF_FRAME_FP		(-16)
#define RF_FRAME_RA		(-8)
#else
#define RF_STACKS_KNOWN		0
#define RF_STACK_MASK		0ull
#define RF_STACK_ORDER		{ RF_STACK_PC }
#define RF_DWARF_SP		0
#define RF_DWARF_FP		0
#define RF_DWARF_RA		0
#define RF_FRAME_CFA		0
#define RF_FRAME_FP		0
#define RF_FRAME_RA		0
#endif

#endif
