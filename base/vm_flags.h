/* SPDX-License-Identifier: MIT */
/*
 * Flags of a mapping: the kernel's VM_* by name, in bits of our own. Recordings have them on disk and operations carry
 * them, so that they are numbered here, once, and for good. Above RF_VM_RECORDED both have bits of their own.
 */
#ifndef REFOLD_BASE_VM_FLAGS_H
#define REFOLD_BASE_VM_FLAGS_H

#include "base/types.h"

#define RF_VM_READ	0x0001
#define RF_VM_WRITE	0x0002
#define RF_VM_EXEC	0x0004
#define RF_VM_SHARED	0x0008
#define RF_VM_GROWSDOWN	0x0010		/* gd of VmFlags in /proc/PID/smaps */
#define RF_VM_DONTCOPY	0x0020		/* dc */
#define RF_VM_WIPEONFORK 0x0040		/* wf */
#define RF_VM_HUGEPAGE	0x0080		/* hg */
#define RF_VM_NOHUGEPAGE 0x0100		/* nh */
#define RF_VM_LOCKED	0x0200		/* lo */
#define RF_VM_UFFD	0x0400		/* um, uw, ui */
#define RF_VM_HUGETLB	0x0800		/* ht */
#define RF_VM_PFNMAP	0x1000		/* pf, mm: no folios behind it */

#define RF_VM_RECORDED	0x1fff		/* all of them */

/*
 * Attributes: what else keeps mappings apart (is_mergeable_vma(), vma_policy()), a word of its own beside the flags;
 * on disk both are in one. Keys, contexts, policies and names are numbers that only tell them apart; 0: none.
 */
#define RF_ATTRIBUTE_MERGEABLE	0x2000		/* mg of VmFlags */
#define RF_ATTRIBUTE_DONTDUMP	0x4000		/* dd */
#define RF_ATTRIBUTE_RAND_READ	0x8000		/* rr */
#define RF_ATTRIBUTE_SEQ_READ	BIT_ULL(26)	/* sr */
#define RF_ATTRIBUTE_LOCKONFAULT BIT_ULL(27)	/* lf: locked, but populate_vma_page_range() leaves it alone */
#define RF_ATTRIBUTE_NORESERVE	BIT_ULL(28)	/* nr: never charged to the commit limit */
#define RF_ATTRIBUTE_UFFD_MISSING BIT_ULL(29)	/* um */
#define RF_ATTRIBUTE_UFFD_WP	BIT_ULL(30)	/* uw */
#define RF_ATTRIBUTE_UFFD_MINOR	BIT_ULL(31)	/* ui */
/* ac: charged to the commit limit. Told by snapshots only; who keeps mappings has a place of its own for it. */
#define RF_ATTRIBUTE_ACCOUNT	BIT_ULL(32)
/* Policy, name: only a pointer to it is told. Equal numbers are equal; whether different ones are is not known. */
#define RF_ATTRIBUTE_POLICY_UNREAD BIT_ULL(33)
#define RF_ATTRIBUTE_NAME_UNREAD BIT_ULL(34)
#define RF_ATTRIBUTE_PKEY	(0xfull << 36)	/* protection key */
#define RF_ATTRIBUTE_PKEY_SHIFT	36
#define RF_ATTRIBUTE_CONTEXT	(0xfull << 40)	/* the userfaultfd */
#define RF_ATTRIBUTE_CONTEXT_SHIFT 40
#define RF_ATTRIBUTE_POLICY	(0x3ffull << 44) /* mbind() */
#define RF_ATTRIBUTE_POLICY_SHIFT 44
#define RF_ATTRIBUTE_NAME	(0x3ffull << 54) /* PR_SET_VMA_ANON_NAME */
#define RF_ATTRIBUTE_NAME_SHIFT	54

/* What anon_vma_compatible() does not ask for. */
#define RF_ATTRIBUTES_NOT_OF_ANON_VMA (RF_ATTRIBUTE_NAME | RF_ATTRIBUTE_NAME_UNREAD | RF_ATTRIBUTE_CONTEXT)
/* All that userfaultfd says of a mapping. */
#define RF_ATTRIBUTES_UFFD	(RF_ATTRIBUTE_UFFD_MISSING | RF_ATTRIBUTE_UFFD_WP | RF_ATTRIBUTE_UFFD_MINOR | \
				 RF_ATTRIBUTE_CONTEXT)
/* What dup_mmap() does not hand on, beside RF_VM_LOCKED and RF_VM_UFFD. */
#define RF_ATTRIBUTES_NOT_FORKED (RF_ATTRIBUTES_UFFD | RF_ATTRIBUTE_LOCKONFAULT)

#define RF_ATTRIBUTES_RECORDED	(RF_ATTRIBUTE_MERGEABLE | RF_ATTRIBUTE_DONTDUMP | RF_ATTRIBUTE_RAND_READ | \
				 RF_ATTRIBUTE_SEQ_READ | RF_ATTRIBUTE_LOCKONFAULT | RF_ATTRIBUTE_NORESERVE | \
				 RF_ATTRIBUTE_UFFD_MISSING | RF_ATTRIBUTE_UFFD_WP | RF_ATTRIBUTE_UFFD_MINOR | \
				 RF_ATTRIBUTE_ACCOUNT)

#endif
