/* SPDX-License-Identifier: MIT */
/*
 * Page frames as the kernel shows them: the words of /proc/PID/pagemap, the folio around a page frame from
 * /proc/kpageflags, and what backs this process's own memory.
 */
#ifndef REFOLD_CAPTURE_SNAPSHOT_PAGEMAP_H
#define REFOLD_CAPTURE_SNAPSHOT_PAGEMAP_H

#include "base/error.h"

/* A pagemap word; Documentation/admin-guide/mm/pagemap.rst. */
#define RF_PAGEMAP_PFN(word)	((word) & ((1ull << 55) - 1))	/* swap: type | offset << 5 */
#define RF_PAGEMAP_SOFT_DIRTY	BIT_ULL(55)
#define RF_PAGEMAP_EXCLUSIVE	BIT_ULL(56)
#define RF_PAGEMAP_UFFD_WP	BIT_ULL(57)
#define RF_PAGEMAP_GUARD	BIT_ULL(58)
#define RF_PAGEMAP_FILE		BIT_ULL(61)
#define RF_PAGEMAP_SWAP		BIT_ULL(62)
#define RF_PAGEMAP_PRESENT	BIT_ULL(63)
#define RF_PAGEMAP_SWAP_TYPE(word)	((word) & 31)
#define RF_PAGEMAP_SWAP_STEP		32	/* from one slot to the next of the same device */

/* /proc/kpageflags bits, uapi/linux/kernel-page-flags.h. */
#define RF_KPF_RECLAIM		BIT_ULL(9)	/* PG_reclaim, which is PG_readahead where no page is written back */
#define RF_KPF_ANON		BIT_ULL(12)
#define RF_KPF_SWAPBACKED	BIT_ULL(14)
#define RF_KPF_COMPOUND_HEAD	BIT_ULL(15)
#define RF_KPF_COMPOUND_TAIL	BIT_ULL(16)
#define RF_KPF_KSM		BIT_ULL(21)
#define RF_KPF_ZERO_PAGE	BIT_ULL(24)

struct rf_folio {
	u64 head;		/* page frame of its first page */
	u64 flags;		/* RF_KPF_* of its first page */
	u8 order;
};

#define RF_FOLIO_WINDOW 32

/* Reads /proc/kpageflags as little as possible: each word costs the kernel a cache miss on a struct page. */
struct rf_folio_reader {
	int fd;
	struct rf_folio last;		/* the folio found last, if last_valid */
	bool last_valid;
	u64 window_pfn;			/* page frames read ahead */
	size_t window_nr;
	u64 window[RF_FOLIO_WINDOW];
};

/* -ENOENT, -EPERM: this kernel, or our rights, do not show it. */
int rf_folio_reader_open(struct rf_folio_reader *reader, struct rf_error *err);
void rf_folio_reader_close(struct rf_folio_reader *reader);
/* Forget what was read: flags and orders change over time. */
void rf_folio_reader_forget(struct rf_folio_reader *reader);
/* The folio that holds the page of the first of these pagemap words; the others will be asked for next. */
void rf_folio_find(struct rf_folio_reader *reader, const u64 *words, size_t nr, struct rf_folio *folio);

/* This process's own memory, to learn the page frames of files and of kernel pages. */
struct rf_own_memory {
	int pagemap_fd;
	int sink_fd;
	u64 page_size;
};

/* -EPERM where page frames read as 0 (no CAP_SYS_ADMIN). */
int rf_own_memory_open(struct rf_own_memory *own, struct rf_error *err);
void rf_own_memory_close(struct rf_own_memory *own);
/* Fault a page in for reading; -EFAULT where a plain load would raise SIGBUS or SIGSEGV. */
int rf_own_memory_touch(struct rf_own_memory *own, const void *address);
/* pagemap words of nr pages; returns how many were read. */
size_t rf_own_memory_pagemap(struct rf_own_memory *own, const void *address, u64 *words, size_t nr);

#endif
