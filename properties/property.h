/* SPDX-License-Identifier: MIT */
/*
 * What must hold on every page-table backend: random operations on one machine and on a naive reference, compared after
 * each. For refold backend check (check.h), and for the tests of our own backends. The oracles are named after the
 * invariants of kernel-model.md section 8; names.c says in words what each stands for.
 *
 *   reference.h      what the entries should be, page by page
 *   generate.c       which operation comes next
 *   spy.c, calls.c   a wrapped backend: each helper call is checked (I4, I5, I7, I13-I15, I18)
 *   tlb.c            what TLBs may still hold (I9)
 *   flush_cost.c     what flushes cost, recomputed (I8)
 *   compare.c        tables against the reference (I1-I3, I6, I11, I12, I14, I16)
 *   crash.c          hooks that end in a signal, or never
 *   run.c, shrink.c  one run; the shortest list of operations that still fails
 *   tell.c           that list, and the helper calls it makes
 *
 * Which VMAs there are, and whether fork copies one, is read from the machine: the rules of merging are tested
 * elsewhere and show in no page table. One trial at a time in a process: the wrapped backend has no room for more.
 */
#ifndef REFOLD_PROPERTIES_PROPERTY_H
#define REFOLD_PROPERTIES_PROPERTY_H

#include <setjmp.h>
#include <stdio.h>

#include "engine/pgtable.h"
#include "engine/tlb.h"
#include "properties/reference.h"

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
	u32 skipped;			/* properties that may fail, a bit each: names.c */
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
	bool hangs;		/* a hook does not return: each time costs some seconds */
	char oracle[8];
	char text[400];
	size_t step;
};

/* A helper call, of those that change entries or flush, as it is told of afterwards. */
struct logged_call {
	size_t step;
	const char *name;
	u32 mm, nr;		/* nr 0: the whole mm */
	u64 addr;
};

struct call_log {
	struct logged_call *calls;
	size_t nr, room;
};

/* Entries that the current step may have changed, by address space and table. */
struct extent {
	u32 first, last;
	bool any;
};

struct call;
struct tlb;

struct trial {
	const struct config *config;
	struct rf_machine *machine;
	const struct arch_ops *backend;
	bool arm64;
	const struct arch_loaded *loaded;	/* the backend, if it is a loaded one */
	struct reference *reference;
	struct call *call;		/* the helper call in progress */
	struct tlb *tlb;
	struct flush_totals *flushes;
	struct extent extents[REFERENCE_MMS][MAX_TABLES];
	u8 *folded;			/* by address space and block: was it folded when last looked at? */
	s64 nr_folded;
	bool deferring;			/* amid tlbbatch_add_pending() */
	size_t step_number;
	const struct step *step;
	u64 random, next_pfn;
	struct failure failure;
	struct call_log *log;		/* NULL: nobody asks */
	jmp_buf escape;
};

/* ---- run.c ---- */

/* false: no such policy, knob or value. */
bool config_init(struct config *config, const char *spec, u64 seed);
/* The same of a policy that is there, loaded ones too. */
void config_of(struct config *config, const struct rf_policy *policy, u64 seed);
struct trial *trial_create(const struct config *config);
void trial_destroy(struct trial *t);
/* Execute and check one step; false once anything has failed. */
bool trial_step(struct trial *t, const struct step *step);
/* Look at everything, not only at what the last step touched. */
bool trial_check_all(struct trial *t);


/* Steps of one machine, as they came; freed by who asked for them. */
struct episode {
	struct step *steps;
	size_t nr;
	struct failure failure;
};

/*
 * Run nr random steps, unless one fails before. ended, unless NULL, gets to see the trial before it goes. 0, or
 * -ENOMEM: then nothing ran.
 */
int run_episode(const struct config *config, size_t nr, struct episode *episode,
		void (*ended)(void *context, const struct trial *t), void *context);

u64 roll(struct trial *t, u64 below);

/* An oracle speaks. Does not return, unless it is not the one that may. */
void violation(struct trial *t, const char *oracle, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define require(t, oracle, condition, ...)                                                         \
	do {                                                                                       \
		if (__builtin_expect(!(condition), 0))                                             \
			violation(t, oracle, __VA_ARGS__);                                         \
	} while (0)

void touch(struct trial *t, u32 mm, u32 first, u32 last);

/* ---- addresses: pages of both windows are numbered from 0 ---- */

#define NO_PAGE (~0u)

u64 page_addr(const struct trial *t, u32 page);
u32 addr_page(const struct trial *t, u64 addr);
u32 nr_pages(const struct trial *t);

/* The entry of a page as it stands in its table, or as part of a leaf. */
pte_t entry_of(struct trial *t, u32 mm, u32 page);
struct mm *mm_of(const struct trial *t, u32 mm);
bool is_leaf(struct trial *t, u32 mm, u32 page);

/* ---- generate.c, accept.c ---- */

struct step generate(struct trial *t);
/* Would a kernel do this, in this state? What it would not is skipped when a list of steps is shortened. */
bool acceptable(struct trial *t, const struct rf_op *op);

/* ---- spy.c ---- */

void spy_attach(struct trial *t, struct rf_policy *policy);
void spy_release(struct trial *t);

/* ---- compare.c ---- */

void compare_extents(struct trial *t);
void compare_all(struct trial *t);
void check_fork(struct trial *t, u32 parent, u32 child);
void forget_folded(struct trial *t, u32 mm);

/* ---- crash.c ---- */

/*
 * Call run(context) on a thread of its own, so that a hook that was left halfway leaves nothing behind. Signals of its
 * hooks, and hooks that do not return within some seconds, are violations of the trial that crash_watch() names.
 */
int crash_run(void (*run)(void *context), void *context);
void crash_watch(struct trial *t);

/* ---- shrink.c, tell.c, names.c ---- */

/* Leave out what is not needed for the failure; fewer steps are left, and how they fail. */
size_t shrink(const struct config *config, struct step *steps, size_t nr, struct failure *failure);
/* What failed, and the run again: operations and the helper calls that each makes, the failing one last. */
void tell_failure(FILE *out, const struct config *config, const struct step *steps, size_t nr,
		  const struct failure *failure);

/* What an oracle is about. */
struct property {
	const char *oracle, *name, *what;
	const char *kernel;	/* the function of a kernel that sees to it, where there is one */
};

extern const struct property properties[];
extern const size_t nr_properties;

/* By oracle or name; NULL. */
const struct property *property_find(const char *name);

#endif
