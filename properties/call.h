/* SPDX-License-Identifier: MIT */
/* One helper call on the backend, as the spy saw it: what was there before, what it flushed and counted. */
#ifndef REFOLD_PROPERTIES_CALL_H
#define REFOLD_PROPERTIES_CALL_H

#include "properties/tlb.h"

#define MAX_TABLE_PAGES 8192

enum call_kind {
	CALL_SET,		/* set_ptes, modify_prot_commit_ptes */
	CALL_CLEAR,		/* pte_clear */
	CALL_GET_AND_CLEAR,	/* nr entries, the first one with the A/D of all is returned */
	CALL_CLEAR_FLUSH,
	CALL_WRPROTECT,
	CALL_ACCESS,
	CALL_YOUNG,		/* test_and_clear_young, clear_flush_young */
	CALL_YOUNG_DIRTY,
	CALL_FOLD,
};

struct call {
	const char *name;
	enum call_kind kind;
	struct mm *mm;
	u64 addr;
	pte_t *ptep;
	u32 nr;
	pte_t arg;		/* CALL_SET, CALL_ACCESS */
	bool dirty;		/* CALL_ACCESS: a write fault */
	bool returns;		/* CALL_GET_AND_CLEAR: result is told to the caller */
	bool full;
	bool found;		/* CALL_YOUNG: what it returned */
	pte_t result;
	/* The blocks that the range touches, whole: entries, their first page, and the entries before the call. */
	pte_t *block;
	u32 page, size;
	bool reachable;		/* the hardware can walk to this table */
	struct arch_counters counters;
	u32 flushes, block_flushes;
	pte_t before[MAX_TABLE_PAGES];
	pte_t seen[MAX_TABLE_PAGES];	/* as the TLB oracle last knew them */
};

/* calls.c: the invariants of a single call, after it. */
void check_call_begins(struct trial *t, const struct call *call);
void check_call(struct trial *t, const struct call *call);

#endif
