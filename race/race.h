/* SPDX-License-Identifier: MIT */
/*
 * The race explorer: what readers without the page-table lock may see of one contiguous block while a writer and the
 * hardware are at work on it.
 *
 * Three actors share one block of n entries. The writer runs one page-table helper as a list of steps; the reader runs
 * one lockless walker; the hardware sets accessed and dirty bits where it may. Each step is one access to one entry,
 * and loads see what was stored last: the races are those of interleaving, not of weakly ordered memory.
 * race_explore() visits every state that any order of the steps can reach, race_sample() follows random orders. After
 * each step the checks of kernel-model.md 5.4, with the corrections of its section 10, are evaluated.
 */
#ifndef REFOLD_RACE_RACE_H
#define REFOLD_RACE_RACE_H

#include "arch/arch.h"

#define RACE_MAX_ENTRIES 16

/* ---- who takes part ------------------------------------------------------- */

/* What a writer does to the block; race_writers[] has a row for each. */
enum race_writer {
	RACE_FOLD, RACE_UNFOLD, RACE_CLEAR, RACE_WRPROTECT, RACE_YOUNG_CLEAR, RACE_DIRTY_CLEAR, RACE_YOUNG_DIRTY_CLEAR,
	RACE_BORN, RACE_ACCESS, RACE_PROTECT, RACE_REPLACE, RACE_COW, RACE_REUSE, RACE_EXIT,
	/* Wrong on purpose: negative controls. */
	RACE_FOLD_WITHOUT_BREAK, RACE_UNFOLD_FLUSHES_LATE,
	RACE_NR_WRITERS
};

/* The walkers, by what they do with what they read: docs/lockless-walkers.md. */
enum race_reader {
	RACE_PERF,	/* class B at its simplest: reads once and believes it */
	RACE_FAULT,	/* class A: reads, takes the lock, reads again, acts if both are equal */
	RACE_GUP_FAST,	/* class B: reads, pins the page, reads again, keeps the pin if both are equal */
	RACE_NR_READERS
};

/* How an entry of a folded block is read, load by load: getters.c. */
enum race_getter {
	RACE_GET_ONE,		/* one load: norecency, or a getter that does not gather */
	RACE_GET_ALL,		/* ptep_get(): gathers A/D from all entries, checks nothing */
	RACE_GET_EARLY,		/* the same until both bits are known */
	RACE_GET_CHECKED,	/* ptep_get_lockless(): gathers from all entries, starts again if one does not fit */
	RACE_GET_CHECKED_EARLY,	/* the same until both bits are known */
	RACE_GET_BOUNDED,	/* CHECKED, but gives up A/D after race_policy.max_passes */
	/* Wrong on purpose: negative controls. */
	RACE_GET_TORN,		/* the page of one load, all else of another */
	RACE_GET_NOTHING,	/* no second read: acts on the first */
	RACE_NR_GETTERS
};

/* What distinguishes kernels for a race. Two policies that agree in all of this behave alike. */
struct race_policy {
	u32 writers;			/* BIT(enum race_writer) of those that it has */
	enum race_getter lockless;	/* the first read of every walker */
	enum race_getter locked;	/* the second read of RACE_FAULT, under the lock */
	enum race_getter recheck;	/* the second read of RACE_GUP_FAST */
	bool compare_ignores_ad;	/* the comparisons of both leave out accessed and dirty */
	bool bbml3;			/* folds and unfolds do not flush */
	u8 max_passes;			/* of RACE_GET_BOUNDED; at least 1 */
	u32 requires;			/* BIT(enum race_check) that its walkers need, promised by getters or not */
};

struct race_name {
	const char *name;
	const char *summary;
};

extern const struct race_name race_writers[RACE_NR_WRITERS];
extern const struct race_name race_readers[RACE_NR_READERS];

/* ---- what is checked ------------------------------------------------------ */

/* race_checks[] says each as a sentence. */
enum race_check {
	RACE_R1, RACE_R2, RACE_R2_WHOLE, RACE_R3, RACE_R3_QUIET, RACE_R3_PAIRS, RACE_R3_COMPARE, RACE_R4,
	RACE_R4_STRICT,
	RACE_R4_ENDS, RACE_R5, RACE_R5_BLOCK, RACE_R6, RACE_A, RACE_I19, RACE_I20,
	RACE_NR_CHECKS
};

extern const struct race_name race_checks[RACE_NR_CHECKS];

/*
 * The table of promises: the checks that a read by this getter must pass. What it does not promise is evaluated all the
 * same, and found relaxations are told. Checks that are not about one read are promised as race_policy_promises() says.
 */
u32 race_getter_promises(enum race_getter getter);
u32 race_policy_promises(const struct race_policy *policy);

/* ---- exploring ------------------------------------------------------------ */

struct race_setup {
	const struct race_policy *policy;
	enum race_writer writer;
	enum race_reader reader;
	unsigned int n;		/* entries of the block: a power of two, 2 to RACE_MAX_ENTRIES */
	unsigned int hardware;	/* at most so many A/D updates */
};

enum race_actor { RACE_WRITER, RACE_READER, RACE_HW_ACCESS, RACE_HW_WRITE };

/* One step of a schedule: whose turn it is; the entry is of the hardware's choosing. */
struct race_action {
	u8 actor;
	u8 entry;
};

#define RACE_MAX_STEPS 2048

/* A schedule that ends with the step at which a check fails. */
struct race_schedule {
	u64 start;			/* which of the initial states */
	unsigned int nr;
	struct race_action actions[RACE_MAX_STEPS];
};

struct race_result {
	u64 states;			/* visited; 0 when sampled */
	u64 schedules;			/* different orders of steps, from all initial states together; those sampled */
	bool schedules_overflow;	/* there are more than fit */
	u32 broken;			/* BIT(enum race_check): promised, and does not hold */
	u32 relaxed;			/* not promised, and does not hold */
	/* The shortest schedule to each of them (of those sampled), for a broken promise if there is one; else NULL. */
	struct race_schedule *shortest[RACE_NR_CHECKS];
};

/* Every state there is. -ENOMEM, or -E2BIG if there are more than max_states. The result is to be released. */
int race_explore(const struct race_setup *setup, size_t max_states, struct race_result *result);
/* count random schedules; the same seed gives the same ones. */
int race_sample(const struct race_setup *setup, u64 count, u64 seed, struct race_result *result);
void race_result_release(struct race_result *result);

/* ---- telling a schedule --------------------------------------------------- */

/* What happened at a step. Texts are sized for one line of a terminal. */
struct race_told {
	char actor[12];		/* "writer" */
	char access[64];	/* "xchg 2: cwyd -> ...." */
	char entries[RACE_MAX_ENTRIES * 7];
	char conclusion[160];	/* what the reader makes of it, and which checks fail; empty for most */
};

/*
 * Retell a schedule: step 0 is the block before it, then one per action. Returns false past the end. The setup must be
 * the one that the schedule was found with.
 */
bool race_tell(const struct race_setup *setup, const struct race_schedule *schedule, unsigned int step,
	       struct race_told *told);
/* The entry that the reader asks for in this schedule. */
unsigned int race_schedule_target(const struct race_setup *setup, const struct race_schedule *schedule);

/* ---- negative controls ---------------------------------------------------- */

/* A mistake that the checks must catch. */
struct race_control {
	const char *name;
	const char *mistake;
	enum race_writer writer;
	enum race_reader reader;
	struct race_policy policy;
	enum race_check caught_by;
};

/* Ended by a NULL name. */
extern const struct race_control race_controls[];

#endif
