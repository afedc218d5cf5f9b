/* SPDX-License-Identifier: MIT */
/*
 * Arguments of system calls as Linux's asm-generic headers number them: records
 * carry these values whatever machine they come from or are replayed on.
 */
#ifndef REFOLD_REPLAY_TRACKER_STORIES_ABI_H
#define REFOLD_REPLAY_TRACKER_STORIES_ABI_H

#include "base/types.h"

#define PROT_READ		0x1
#define PROT_WRITE		0x2
#define PROT_EXEC		0x4

#define MAP_SHARED		0x01
#define MAP_FIXED		0x10
#define MAP_ANONYMOUS		0x20
#define MAP_GROWSDOWN		0x100
#define MAP_LOCKED		0x2000
#define MAP_NORESERVE		0x4000
#define MAP_POPULATE		0x8000
#define MAP_NONBLOCK		0x10000
#define MAP_STACK		0x20000
#define MAP_HUGETLB		0x40000
#define MAP_HUGE_SHIFT		26
#define MAP_HUGE_MASK		0x3f

#define MREMAP_FIXED		2
#define MREMAP_DONTUNMAP	4

#define MLOCK_ONFAULT		1
#define MCL_CURRENT		1
#define MCL_FUTURE		2
#define MCL_ONFAULT		4

#define MADV_NORMAL		0
#define MADV_RANDOM		1
#define MADV_SEQUENTIAL		2
#define MADV_WILLNEED		3
#define MADV_DONTNEED		4
#define MADV_FREE		8
#define MADV_REMOVE		9
#define MADV_DONTFORK		10
#define MADV_DOFORK		11
#define MADV_MERGEABLE		12
#define MADV_UNMERGEABLE	13
#define MADV_HUGEPAGE		14
#define MADV_NOHUGEPAGE		15
#define MADV_DONTDUMP		16
#define MADV_DODUMP		17
#define MADV_WIPEONFORK		18
#define MADV_KEEPONFORK		19
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#define MADV_DONTNEED_LOCKED	24
#define MADV_COLLAPSE		25
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103

#define UFFD_API			0xaa
#define UFFD_FEATURE_WP_UNPOPULATED	BIT_ULL(13)
#define UFFD_FEATURE_WP_ASYNC		BIT_ULL(15)	/* with it, the other, too */

#define MS_SYNC			4

#define PR_SET_VMA_ANON_NAME	0

#define CLONE_VM		0x100
#define CLONE_THREAD		0x10000
#define CLONE_UNTRACED		0x800000

/* What a call returned is an error: addresses are no errors, however high. */
static inline bool failed(s64 ret)
{
	return ret < 0 && ret > -4096;
}

#endif
