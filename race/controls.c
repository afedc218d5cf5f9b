// SPDX-License-Identifier: MIT
/*
 * Negative controls: mistakes, each in a kernel that is right but for it, and the check that must catch it. A checker
 * that finds nothing is worth something only if it finds these.
 */
#include "race/race.h"

/* First read, second under the lock, second after the pin. */
#define READERS(first, under_lock, after_pin) \
	.lockless = RACE_GET_##first, .locked = RACE_GET_##under_lock, .recheck = RACE_GET_##after_pin

const struct race_control race_controls[] = {
	{ "torn-getter", "an entry is read as two halves",
	  RACE_CLEAR, RACE_PERF, { READERS(TORN, ALL, ALL) }, RACE_R1 },
	{ "unchecked-gather", "ptep_get() without the lock, where all must be of one block",
	  RACE_UNFOLD, RACE_PERF, { READERS(ALL, ALL, ALL), .requires = BIT(RACE_R2) }, RACE_R2 },
	{ "norecency-full-compare", "A/D of one entry are compared with those of its block: a storm of retries",
	  RACE_YOUNG_CLEAR, RACE_FAULT, { READERS(ONE, ALL, ALL) }, RACE_R3_COMPARE },
	{ "early-as-exact", "the early getter, where no A/D may be seen that no entry had",
	  RACE_YOUNG_DIRTY_CLEAR, RACE_PERF,
	  { READERS(CHECKED_EARLY, EARLY, CHECKED_EARLY), .requires = BIT(RACE_R3_PAIRS) }, RACE_R3_PAIRS },
	{ "half-cleared-exit", "exit leaves half a block (contpte v2), the lockless getter does not skip what is gone",
	  RACE_EXIT, RACE_PERF, { READERS(CHECKED, ALL, ALL) }, RACE_R4 },
	{ "pin-without-recheck", "GUP fast keeps the pin without a second look",
	  RACE_CLEAR, RACE_GUP_FAST, { READERS(CHECKED, ALL, NOTHING) }, RACE_R5 },
	{ "get-as-recheck", "GUP fast looks again with ptep_get(), which may be equal by chance",
	  RACE_REPLACE, RACE_GUP_FAST, { READERS(CHECKED, ALL, ALL), .requires = BIT(RACE_R5_BLOCK) }, RACE_R5_BLOCK },
	{ "fault-without-recheck", "the fault handler acts on what it read before it had the lock",
	  RACE_CLEAR, RACE_FAULT, { READERS(CHECKED, NOTHING, ALL) }, RACE_A },
	{ "fold-without-break", "folded entries are stored over single ones",
	  RACE_FOLD_WITHOUT_BREAK, RACE_PERF, { READERS(CHECKED, ALL, ALL) }, RACE_I19 },
	{ "unfold-flushes-late", "single entries are stored before the folded translation is flushed",
	  RACE_UNFOLD_FLUSHES_LATE, RACE_PERF, { READERS(CHECKED, ALL, ALL) }, RACE_I20 },
	{ 0 }
};
