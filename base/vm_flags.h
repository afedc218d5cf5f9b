/* SPDX-License-Identifier: MIT */
/*
 * Flags of a mapping: the kernel's VM_* by name, in bits of our own. Recordings have them on disk and operations carry
 * them, so that they are numbered here, once, and for good. Above RF_VM_RECORDED both have bits of their own.
 */
#ifndef REFOLD_BASE_VM_FLAGS_H
#define REFOLD_BASE_VM_FLAGS_H

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

#endif
