/* SPDX-License-Identifier: MIT */
/*
 * Inside the race explorer: the state of a race, the steps of its actors, and what the checks remember. race.h is for
 * everybody else.
 */
#ifndef REFOLD_RACE_SCENE_H
#define REFOLD_RACE_SCENE_H

#include "race/race.h"

/* ---- the block ------------------------------------------------------------ */

/* Three folios that entries may map; each covers the whole block. */
#define RACE_FOLIO_PFN	0x100	/* what is mapped at first */
#define RACE_OTHER_PFN	0x200	/* what RACE_REPLACE maps */
#define RACE_COPY_PFN	0x305	/* what RACE_COW maps: one page */

/* An entry without accessed and dirty, however the latter is encoded: what must never be torn. */
static inline u32 race_identity(u32 entry)
{
	return entry ? pte_mkold(pte_mkclean((pte_t){ entry })).val : 0;
}

/* ---- writers -------------------------------------------------------------- */

enum race_access { RACE_LOAD, RACE_STORE, RACE_XCHG, RACE_CMPXCHG, RACE_FLUSH };

/* The value that is stored: made of the value loaded before, or a new one with the A/D that the writer collected. */
enum race_value {
	RACE_ZERO,
	RACE_LOADED_OLD, RACE_LOADED_CLEAN, RACE_LOADED_OLD_CLEAN, RACE_LOADED_WRPROTECTED, RACE_LOADED_ACCESSED,
	RACE_LOADED_WRITABLE,
	RACE_NEW_FOLDED, RACE_NEW_UNFOLDED, RACE_NEW_READONLY, RACE_NEW_OTHER, RACE_NEW_COPY,
};

struct race_step {
	u8 access;	/* enum race_access */
	u8 entry;
	u8 value;	/* enum race_value */
	bool unlocks;	/* the helper, and what the lock is held for, ends with this step */
};

enum race_block { RACE_BLOCK_NONE, RACE_BLOCK_UNFOLDED, RACE_BLOCK_FOLDED, RACE_BLOCK_READONLY };

#define RACE_MAX_PROGRAM 64

struct race_program {
	enum race_block before;
	unsigned int nr;
	struct race_step steps[RACE_MAX_PROGRAM];
};

void race_build_program(enum race_writer writer, unsigned int n, bool bbml3, struct race_program *program);

/* ---- a state -------------------------------------------------------------- */

enum race_phase {
	RACE_READ_FIRST,
	RACE_TAKE_LOCK, RACE_READ_LOCKED,	/* RACE_FAULT */
	RACE_PIN_PAGE, RACE_READ_AGAIN,		/* RACE_GUP_FAST */
	RACE_FINISHED,
};

/* Where a getter is. A pass is what is between ENTRY and the next attempt. */
enum race_at {
	RACE_AT_GATE,		/* the inline part: is the entry of a folded block? */
	RACE_AT_ENTRY,		/* loads the entry once more, which begins a pass */
	RACE_AT_WAIT,		/* would repeat its last pass as it was until somebody else moves */
	RACE_AT_SCAN, RACE_AT_SCAN_FOR_YOUNG, RACE_AT_SCAN_FOR_DIRTY,
};

/* What happened during a call, or since its last pass began. */
#define RACE_CALL_DISTURBED	BIT(0)	/* somebody else moved, or a writer was inside a helper when it began */
#define RACE_PASS_MOVED		BIT(1)	/* somebody else moved */
#define RACE_PASS_WRITER_MOVED	BIT(2)
#define RACE_PASS_WRITER_BUSY	BIT(3)	/* a writer was inside a helper at some instant */

#define RACE_SEEN_VALUES 4

/* One call of a getter. Zero outside of calls, so that states which differ only in the past are one. */
struct race_call {
	u8 at;
	u8 index;		/* the entry that the scan loads next */
	u8 passes;		/* RACE_GET_BOUNDED: that failed */
	u8 facts;
	/* The getter's registers. */
	u32 value;		/* what it has so far */
	u32 own;		/* the entry itself, as the pass began with it */
	/* Not known to the getter: what its result is checked against. */
	u32 seen[RACE_SEEN_VALUES];	/* identities that the entry had during the call, the first nr_seen */
	u8 nr_seen;
	u8 pairs;		/* BIT(A/D pair) that valid entries of the block had during the call */
	u16 visited;		/* entries that this pass has loaded */
	u16 unfit;		/* those that were not of one block with own when loaded */
	u16 unused;
};

/* No padding, and the entries last: the first n of them and all before is what tells states apart. */
struct race_state {
	u8 writer_at;		/* index of its next step */
	u8 writer_collected;	/* RACE_YOUNG, RACE_DIRTY of entries that it took away */
	u8 tlb;			/* RACE_TLB_*: what translations TLBs may hold */
	u8 hardware_left;
	u32 writer_loaded;
	u8 phase;
	u8 target;		/* the entry that the reader is after */
	u8 locked;		/* by the reader */
	u8 disturbed;		/* RACE_FAULT: as RACE_CALL_DISTURBED, since the reader began */
	u32 first;		/* the result of the first call */
	struct race_call call;
	u32 entries[RACE_MAX_ENTRIES];
};

#define RACE_YOUNG BIT(0)
#define RACE_DIRTY BIT(1)
#define RACE_TLB_SINGLE BIT(0)
#define RACE_TLB_CONT BIT(1)

static inline unsigned int race_ad(u32 entry)
{
	pte_t pte = { entry };

	return (pte_young(pte) ? RACE_YOUNG : 0) | (pte_dirty(pte) ? RACE_DIRTY : 0);
}

static inline u32 race_with_ad(u32 entry, unsigned int ad)
{
	pte_t pte = { entry };

	if (ad & RACE_YOUNG)
		pte = pte_mkyoung(pte);
	if (ad & RACE_DIRTY)
		pte = pte_mkdirty(pte);
	return pte.val;
}

/* ---- steps ---------------------------------------------------------------- */

enum race_verdict {
	RACE_GOES_ON,
	RACE_STARTS_AGAIN,	/* the getter */
	RACE_WAITS,		/* starts again, and will until somebody else moves */
	RACE_BELIEVES,		/* RACE_PERF ends */
	RACE_ACTS, RACE_REFAULTS,	/* RACE_FAULT ends */
	RACE_KEEPS_PIN, RACE_FALLS_BACK,	/* RACE_GUP_FAST ends */
};

struct race_event {
	enum race_access access;
	bool takes_lock, pins;	/* instead of an access */
	bool failed;		/* a compare-and-exchange */
	bool gave_up;		/* RACE_GET_BOUNDED returns one load */
	u8 entry;
	u32 before, after;	/* of the entry */
	enum race_verdict verdict;
	bool returned;		/* the getter, with */
	u32 result;
	u32 broken, relaxed;	/* checks that fail at this step, promised or not */
};

struct race_scene {
	const struct race_setup *setup;
	struct race_program program;
};

void race_scene_init(struct race_scene *scene, const struct race_setup *setup);
/* The initial states: every entry as the one asked for, every placement of accessed and dirty bits. */
u64 race_nr_starts(const struct race_scene *scene);
void race_start(const struct race_scene *scene, u64 start, struct race_state *state);
/* Who may move; at most RACE_MAX_ACTIONS. None once the reader has finished. */
#define RACE_MAX_ACTIONS (2 + 2 * RACE_MAX_ENTRIES)
unsigned int race_enabled(const struct race_scene *scene, const struct race_state *state,
			  struct race_action *actions);
void race_move(const struct race_scene *scene, struct race_state *state, struct race_action action,
	       struct race_event *event);

/* A writer is inside a helper, and so holds the lock. */
bool race_writer_busy(const struct race_scene *scene, const struct race_state *state);
void race_move_writer(const struct race_scene *scene, struct race_state *state, struct race_event *event);
void race_move_reader(const struct race_scene *scene, struct race_state *state, struct race_event *event);

/* ---- one call of a getter ------------------------------------------------- */

/* The next load of the call in progress; true once it has its result, in event->result. */
bool race_getter_step(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
		      struct race_event *event);

/* ---- checks --------------------------------------------------------------- */

/* A call begins: what the block is now, it was during the call. */
void race_begin_call(const struct race_scene *scene, struct race_state *state);
void race_begin_pass(const struct race_scene *scene, struct race_state *state);
/* A writer or the hardware has made a step; event->entry may have changed. */
void race_note_move(const struct race_scene *scene, struct race_state *state, bool writer, struct race_event *event);
/* The getter has loaded an entry. */
void race_note_load(struct race_state *state, unsigned int entry);
void race_check_retry(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
		      struct race_event *event);
void race_check_result(const struct race_scene *scene, struct race_state *state, enum race_getter getter,
		       struct race_event *event);
/* Enter failing checks into the event, by whether they were promised. */
void race_report(struct race_event *event, u32 promised, u32 failing);
/* Enter the event's into the result, where nr steps led to it; returns those for which that is the schedule to keep. */
u32 race_note_failures(struct race_result *result, const struct race_event *event, unsigned int nr);
/* At some instant of the present call the entry mapped the page of value, with no less permission. */
bool race_mapped_during_call(const struct race_state *state, u32 value);
/* The pass failed, or the call is over: forget. */
void race_end_pass(struct race_state *state);

#endif
