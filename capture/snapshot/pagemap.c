// SPDX-License-Identifier: MIT
/*
 * Page frames as the kernel shows them. Folio orders come from the head and tail flags of kpageflags. Because
 * a folio is aligned to its size and its tails are contiguous, log2(size) words tell where it begins and how
 * large it is; reading the whole block around it would cost some 100 ns per page.
 */
#include "capture/snapshot/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_FOLIO_ORDER 18	/* a gigantic hugetlb page of 4K base pages */

int rf_folio_reader_open(struct rf_folio_reader *reader, struct rf_error *err)
{
	int code;

	memset(reader, 0, sizeof(*reader));
	reader->fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (reader->fd >= 0)
		return 0;
	code = errno == EACCES ? -EPERM : -errno;
	return rf_error_set(err, code, RF_NO_OFFSET, "/proc/kpageflags: %s; snapshots need root and %s",
			    strerror(errno), "CONFIG_PROC_PAGE_MONITOR");
}

void rf_folio_reader_close(struct rf_folio_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
}

void rf_folio_reader_forget(struct rf_folio_reader *reader)
{
	reader->last_valid = false;
	reader->window_nr = 0;
}

/* One word; 0 for page frames without a struct page. */
static u64 page_flags(struct rf_folio_reader *reader, u64 pfn)
{
	u64 word;

	if (pfn - reader->window_pfn < reader->window_nr)
		return reader->window[pfn - reader->window_pfn];
	if (pread(reader->fd, &word, sizeof(word), (off_t)(pfn * sizeof(word))) != sizeof(word))
		return 0;
	return word;
}

/* Small folios are neighbours in page tables more often than not; of a large one, little of this is wanted. */
static void read_ahead(struct rf_folio_reader *reader, u64 pfn, size_t nr)
{
	ssize_t bytes;

	bytes = pread(reader->fd, reader->window, nr * sizeof(u64), (off_t)(pfn * sizeof(u64)));
	reader->window_pfn = pfn;
	reader->window_nr = bytes > 0 ? (size_t)bytes / sizeof(u64) : 0;
}

/* How many of the entries, from the first on, are present in page frames that go up, or down, one by one. */
static size_t run_of_frames(const u64 *words, size_t nr, u64 step)
{
	u64 pfn = RF_PAGEMAP_PFN(words[0]);
	size_t found = 1;

	while (found < nr && found < RF_FOLIO_WINDOW && (words[found] & RF_PAGEMAP_PRESENT) &&
	       RF_PAGEMAP_PFN(words[found]) == pfn + found * step)
		found++;
	return found;
}

void rf_folio_find(struct rf_folio_reader *reader, const u64 *words, size_t nr, struct rf_folio *folio)
{
	struct rf_folio *last = &reader->last;
	u64 flags, pfn = RF_PAGEMAP_PFN(words[0]);
	size_t up, down;

	if (reader->last_valid && pfn >= last->head && pfn - last->head < BIT_ULL(last->order)) {
		*folio = *last;
		return;
	}
	if (pfn - reader->window_pfn >= reader->window_nr) {
		/* Files that were read page by page lie in memory backwards more often than not. */
		up = run_of_frames(words, nr, 1);
		down = up > 1 ? 1 : run_of_frames(words, nr, -1ull);
		if (up > 1 || down > 1)
			read_ahead(reader, pfn - (down - 1), max_u64(up, down));
	}
	flags = page_flags(reader, pfn);
	last->head = pfn;
	last->order = 0;
	/* Every ALIGN_DOWN(pfn, 2^k) inside the folio is a tail, except its head. */
	for (unsigned int k = 1; (flags & RF_KPF_COMPOUND_TAIL) && k <= MAX_FOLIO_ORDER; k++) {
		if (ALIGN_DOWN(pfn, BIT_ULL(k)) == last->head)
			continue;
		last->head = ALIGN_DOWN(pfn, BIT_ULL(k));
		flags = page_flags(reader, last->head);
	}
	/* head + 2^k is a tail for every k below the order; the page right after a folio never is. */
	if (flags & RF_KPF_COMPOUND_HEAD)
		while (last->order < MAX_FOLIO_ORDER &&
		       (page_flags(reader, last->head + BIT_ULL(last->order)) & RF_KPF_COMPOUND_TAIL))
			last->order++;
	/* Split or freed between two reads (only a process that runs sees that): take the page by itself. */
	if (pfn - last->head >= BIT_ULL(last->order)) {
		last->head = pfn;
		last->order = 0;
	}
	last->flags = flags;
	reader->last_valid = true;
	*folio = *last;
}

int rf_own_memory_open(struct rf_own_memory *own, struct rf_error *err)
{
	u64 word = 0;
	int code;

	own->page_size = (u64)sysconf(_SC_PAGESIZE);
	own->sink_fd = -1;
	own->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (own->pagemap_fd < 0) {
		code = -errno;
		goto fail;
	}
	own->sink_fd = memfd_create("refold-touch", MFD_CLOEXEC);
	if (own->sink_fd < 0) {
		code = -errno;
		goto fail;
	}
	/* word lies on this stack, so its page is present; without CAP_SYS_ADMIN its page frame reads as 0. */
	if (rf_own_memory_pagemap(own, &word, &word, 1) != 1 || !RF_PAGEMAP_PFN(word)) {
		code = -EPERM;
		goto fail;
	}
	return 0;
fail:
	rf_own_memory_close(own);
	return rf_error_set(err, code, RF_NO_OFFSET, "/proc/self/pagemap: %s; page frames need CAP_SYS_ADMIN",
			    strerror(-code));
}

void rf_own_memory_close(struct rf_own_memory *own)
{
	if (own->pagemap_fd >= 0)
		close(own->pagemap_fd);
	if (own->sink_fd >= 0)
		close(own->sink_fd);
	own->pagemap_fd = own->sink_fd = -1;
}

/* copy_from_user() turns what would be SIGBUS here (a file cut short, an unbacked vvar page) into EFAULT. */
int rf_own_memory_touch(struct rf_own_memory *own, const void *address)
{
	return pwrite(own->sink_fd, address, 1, 0) == 1 ? 0 : -EFAULT;
}

size_t rf_own_memory_pagemap(struct rf_own_memory *own, const void *address, u64 *words, size_t nr)
{
	ssize_t bytes = pread(own->pagemap_fd, words, nr * sizeof(u64),
			      (off_t)((uintptr_t)address / own->page_size * sizeof(u64)));

	return bytes > 0 ? (size_t)bytes / sizeof(u64) : 0;
}
