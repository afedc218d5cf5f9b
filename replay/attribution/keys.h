/* SPDX-License-Identifier: MIT */
/* By what counts are attributed: the keys of refold replay --by. */
#ifndef REFOLD_REPLAY_ATTRIBUTION_KEYS_H
#define REFOLD_REPLAY_ATTRIBUTION_KEYS_H

#include "base/error.h"

/* Key, and its meaning, as the schema and refold-report(5) give it. */
#define RF_BYS(X) \
	X(vma, "The mapping that the operation is in: what it maps, its address and length (its largest), and its process.") \
	X(mapping, "What is mapped: anon, reserved (no permissions), heap, stack, shmem, hugetlb, special, or a file by " \
		   "device and inode.") \
	X(thread, "The thread that did it, not always one of the process whose page table it was.") \
	X(process, "The process whose page table it was.") \
	X(call, "What the operation was part of: a system call, a fault, an exit, reclaim...") \
	X(stack, "Where the call was made from, as refold-capture -g told: its innermost functions; \"no stack\", or what it was " \
		 "that is no call.") \
	X(size, "The length that the call named, or else the operation's: from this power of two up to the next.") \
	X(site, "The place in core mm where it was counted: the names of \"operations\".")

enum rf_by {
#define X(name, meaning) RF_BY_##name,
	RF_BYS(X)
#undef X
	RF_NR_BYS
};

extern const char *const rf_by_names[RF_NR_BYS];

/* Keys in the order in which they were asked for. */
struct rf_by_list {
	u8 keys[RF_NR_BYS];	/* enum rf_by */
	u32 nr;			/* 0: nothing is attributed */
};

/* "vma,call". -EINVAL: a word is no key, or comes twice. */
int rf_by_parse(struct rf_by_list *by, const char *text, struct rf_error *err);
bool rf_by_has(const struct rf_by_list *by, enum rf_by key);

#endif
