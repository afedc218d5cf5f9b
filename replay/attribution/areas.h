/* SPDX-License-Identifier: MIT */
/*
 * Which mapping an operation is in. Operations tell when VMAs come, change and go; this follows them, for names: a VMA
 * keeps its identity while it grows, shrinks, is cut and merged, and is named by the most it was.
 */
#ifndef REFOLD_REPLAY_ATTRIBUTION_AREAS_H
#define REFOLD_REPLAY_ATTRIBUTION_AREAS_H

#include "base/table.h"
#include "engine/ops.h"

enum rf_mapping {
	RF_MAPPING_WHOLE,	/* the whole address space */
	RF_MAPPING_SEVERAL,	/* more than one */
	RF_MAPPING_UNKNOWN,	/* no mapping is known there */
	RF_MAPPING_RESERVED,	/* anonymous, without permissions */
	RF_MAPPING_ANON, RF_MAPPING_HEAP, RF_MAPPING_STACK, RF_MAPPING_SHMEM, RF_MAPPING_HUGETLB, RF_MAPPING_SPECIAL,
	RF_MAPPING_FILE,
};

extern const char *const rf_mapping_names[];

/* A mapping that operations were in. */
struct rf_area {
	u8 mapping;		/* enum rf_mapping */
	u32 mm;			/* 0, and no addresses, if they are not told apart */
	u64 start, end;
	u32 file;		/* the tracker's number, 0: none */
	u64 dev, ino;		/* of the file; ino 0: not known */
};

DEFINE_TABLE(area_table, u64, u32);	/* number + 1 */

struct space;

struct rf_areas {
	bool apart;		/* VMA by VMA, else by what is mapped */
	u32 page_shift;
	struct space *spaces;	/* by address space */
	size_t nr_spaces;
	u32 next_identity;
	struct rf_area *list;
	u32 nr;
	size_t room;
	struct area_table by_key;
	bool failed;		/* out of memory */
};

void rf_areas_start(struct rf_areas *areas, bool apart, u32 page_shift);
void rf_areas_free(struct rf_areas *areas);
/*
 * The number of the operation's area in the list, + 1; and what it does to VMAs is noted. heap: what it maps is of the
 * kind that brk() makes.
 */
u32 rf_areas_take(struct rf_areas *areas, const struct rf_op *op, bool heap);

#endif
