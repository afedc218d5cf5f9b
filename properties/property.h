/* SPDX-License-Identifier: MIT */
/*
 * Property tests of the machine: random operations on one machine and on a
 * naive reference, compared after each. The oracles are named after the
 * invariants of kernel-model.md section 8, so that a failure says which one.
 *
 *   reference.h      what the entries should be, page by page
 *   generate.c       which operation comes next
 *   spy.c, calls.c   a wrapped backend: each helper call is checked (I4, I5, I7, I13-I15, I18)
 *   tlb.c            what TLBs may still hold (I9)
 *   flush_cost.c     what flushes cost, recomputed (I8)
 *   compare.c        tables against the reference (I1-I3, I6, I11, I12, I14, I16)
 *   run.c, shrink.c  one run; the shortest list of operations that still fails
 *
 * Which VMAs there are, and whether fork copies one, is read from the machine:
 * the rules of merging are tested elsewhere and show in no page table.
 */
#ifndef TESTS_PROPERTIES_PROPERTY_H
#define TESTS_PROPERTIES_PROPERTY_H

#include <setjmp.h>
#include <stdio.h>

#include "engine/pgtable.h"
#include "engine/tlb.h"
#include "reference.h"

#define MAX_TABLES 4	/* tables in the two windows of addresses */

struct flush_totals;

/* What is run: "NAME+knob=value+...", operations of this seed; everything else follows. */
struct config {
	char spec[RF_POLICY_NAME + 256];
	struct rf_policy policy;
	const struct arch_ops *backend;	/* the policy's, or a mutant of it */
	/* Of a backend that flush_cost.c does not know; NULL. */
	void (*flush_cost)(struct flush_totals *totals, const struct rf_policy *policy, const struct arch_flush *flush);
	const char *only;		/* NULL, or the one oracle that may speak: negative controls */
	u64 seed;
};

/* One operation, and the dice of those parts that the operation leaves open. */
struct step {
	struct rf_op op;
	u64 choice;
};

/* Not an operation of core mm: a CPU's table walker reads addr, or writes (RF_OP_WRITE). */
#define STEP_HARDWARE 255

struct failure {
	bool failed;
	char oracle[8];
	char text[400];
	size_t step;
};

/* Entries that the current step may have changed, by address space and table. */
struct extent {
	u32 first, last;
	bool any;
};

struct call;
struct tlb;

struct world {
	const struct config *config;
	struct rf_machine *machine;
	const struct arch_ops *backend;
	bool arm64;
	struct reference *reference;
	struct call *call;		/* the helper call in progress */
	struct tlb *tlb;
	struct flush_totals *flushes;
	struct extent extents[REFERENCE_MMS][MAX_TABLES];
	u8 *folded;			/* by address space and block: was it folded when last looked at? */
	s64 nr_folded;
	size_t step_number;
	const struct step *step;
	u64 random, next_pfn;
	struct failure failure;
	jmp_buf escape;
};

/* ---- run.c ---- */

/* false: no such policy, knob or value. */
bool config_init(struct config *config, const char *spec, u64 seed);
struct world *world_create(const struct config *config);
void world_destroy(struct world *w);
/* Execute and check one step; false once anything has failed. */
bool world_step(struct world *w, const struct step *step);
/* Look at everything, not only at what the last step touched. */
bool world_check_all(struct world *w);

u64 roll(struct world *w, u64 below);

/* An oracle speaks. Does not return, unless it is not the one that may. */
void violation(struct world *w, const char *oracle, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define require(w, oracle, condition, ...)                                                         \
	do {                                                                                       \
		if (__builtin_expect(!(condition), 0))                                             \
			violation(w, oracle, __VA_ARGS__);                                         \
	} while (0)

void touch(struct world *w, u32 mm, u32 first, u32 last);

/* ---- addresses: pages of both windows are numbered from 0 ---- */

#define NO_PAGE (~0u)

u64 page_addr(const struct world *w, u32 page);
u32 addr_page(const struct world *w, u64 addr);
u32 nr_pages(const struct world *w);

/* The entry of a page as it stands in its table, or as part of a leaf. */
pte_t entry_of(struct world *w, u32 mm, u32 page);
struct mm *mm_of(const struct world *w, u32 mm);
bool is_leaf(struct world *w, u32 mm, u32 page);

/* ---- generate.c, accept.c ---- */

struct step generate(struct world *w);
/* Would a kernel do this, in this state? What it would not is skipped when a list of steps is shortened. */
bool acceptable(struct world *w, const struct rf_op *op);

/* ---- spy.c ---- */

extern const char *const call_names[];
void spy_attach(struct world *w, struct rf_policy *policy);
void spy_release(struct world *w);

/* ---- compare.c ---- */

void compare_extents(struct world *w);
void compare_all(struct world *w);
void check_fork(struct world *w, u32 parent, u32 child);
void forget_folded(struct world *w, u32 mm);

/* ---- shrink.c ---- */

/* Print the failure and a short list of steps that leads to it. */
void report_failure(const struct config *config, const struct step *steps, size_t nr, const struct failure *failure);

#endif
