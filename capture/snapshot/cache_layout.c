// SPDX-License-Identifier: MIT
/*
 * One file's pages in the page cache: map it, ask mincore(2) what is resident, map in just that, read our own
 * pagemap and the folios behind it. MADV_RANDOM keeps the kernel from reading ahead on a fault and from marking
 * pages as accessed when the mapping goes (vma_has_recency()), so that looking changes nothing.
 */
#include "capture/snapshot/cache_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/snapshot/devices.h"
#include "capture/snapshot/maps.h"
#include "capture/snapshot/pagemap.h"

#ifndef MADV_POPULATE_READ	/* Linux 5.14 */
#define MADV_POPULATE_READ 22
#endif
#define SYS_CACHESTAT 451	/* Linux 6.5; the same number on every architecture */

#define WINDOW_PAGES	(256 * 1024)	/* of a file mapped at a time */
#define PAGEMAP_WORDS	4096
#define BATCH_RECORDS	4096

struct rf_cache_layout {
	struct rf_writer *writer;
	int stream;
	struct rf_error *err;
	struct rf_folio_reader folios;
	struct rf_own_memory own;
	int maps_fd;
	unsigned char *resident;	/* mincore(2) of a window */
	u64 max_pages, deadline;
	struct rf_page_cache_totals *totals;
	u64 dev, ino, time;		/* of the file at hand */
	struct rf_record run;		/* the CACHE_RUN being gathered; kind 0: none */
	u64 run_end_pfn;
	bool run_readahead;		/* its folio bears PG_readahead */
	struct rf_record records[BATCH_RECORDS];
	size_t nr;
	u64 words[PAGEMAP_WORDS];
};

static int append(struct rf_cache_layout *l, const struct rf_record *record)
{
	int code = 0;

	if (l->nr == BATCH_RECORDS) {
		code = rf_writer_append(l->writer, l->stream, l->records, l->nr, l->err);
		l->nr = 0;
	}
	l->records[l->nr++] = *record;
	return code;
}

static int end_run(struct rf_cache_layout *l)
{
	struct rf_record *run = &l->run;
	int code = run->kind ? append(l, run) : 0;

	if (!code && run->kind && l->run_readahead) {
		run->kind = RF_CACHE_READAHEAD;
		run->f[3] = run->f[4];
		run->f[4] = run->f[5] = 0;
		code = append(l, run);
	}
	run->kind = 0;
	return code;
}

static int add_page(struct rf_cache_layout *l, u64 index, const u64 *words, size_t left)
{
	u64 pfn = RF_PAGEMAP_PFN(words[0]);
	struct rf_record *run = &l->run;
	struct rf_folio folio;
	int code;

	l->totals->pages++;
	if (run->kind && index == run->f[2] + run->f[3] && pfn == run->f[4] + run->f[3] && pfn < l->run_end_pfn) {
		run->f[3]++;
		return 0;
	}
	code = end_run(l);
	if (code)
		return code;
	rf_folio_find(&l->folios, words, left, &folio);
	*run = (struct rf_record){
		.time = l->time, .kind = RF_CACHE_RUN,
		.f = { rf_device_below(l->dev), l->ino, index, 1, pfn, folio.order },
	};
	l->run_readahead = folio.flags & RF_KPF_RECLAIM;
	l->run_end_pfn = folio.head + BIT_ULL(folio.order);
	return 0;
}

/* Map resident pages in. Not by plain loads: a file cut short meanwhile would raise SIGBUS. */
static void populate(struct rf_cache_layout *l, char *start, size_t pages)
{
	if (!madvise(start, pages * l->own.page_size, MADV_POPULATE_READ) || errno != EINVAL)
		return;
	for (size_t i = 0; i < pages; i++)
		rf_own_memory_touch(&l->own, start + i * l->own.page_size);
}

/* nr pages, all resident a moment ago. */
static int record_resident(struct rf_cache_layout *l, char *start, u64 index, size_t nr)
{
	int code = 0;

	populate(l, start, nr);
	for (size_t done = 0; done < nr && !code;) {
		size_t got = nr - done < PAGEMAP_WORDS ? nr - done : PAGEMAP_WORDS;

		got = rf_own_memory_pagemap(&l->own, start + done * l->own.page_size, l->words, got);
		if (!got)
			break;
		for (size_t i = 0; i < got && !code; i++)
			if (l->words[i] & RF_PAGEMAP_PRESENT)
				code = add_page(l, index + done + i, &l->words[i], got - i);
		done += got;
	}
	return code;
}

/* Whether anything of this part of the file is cached; a huge sparse file is then passed over at once. */
static bool any_cached(struct rf_cache_layout *l, int fd, u64 index, u64 nr)
{
	u64 range[2] = { index * l->own.page_size, nr * l->own.page_size };
	u64 result[5] = { 0 };	/* struct cachestat: nr_cache first */

	return syscall(SYS_CACHESTAT, fd, range, result, 0) != 0 || result[0] != 0;
}

bool rf_cache_layout_exhausted(const struct rf_cache_layout *l)
{
	return l->totals->pages >= l->max_pages || rf_monotonic() >= l->deadline;
}

static int record_window(struct rf_cache_layout *l, char *start, u64 index, size_t nr)
{
	int code = 0;

	rf_folio_reader_forget(&l->folios);
	if (madvise(start, nr * l->own.page_size, MADV_RANDOM) || mincore(start, nr * l->own.page_size, l->resident))
		return 0;
	for (size_t i = 0, end; i < nr && !code; i = end) {
		end = i + 1;
		if (!(l->resident[i] & 1))
			continue;
		while (end < nr && end - i < PAGEMAP_WORDS && (l->resident[end] & 1))
			end++;
		code = record_resident(l, start + i * l->own.page_size, index + i, end - i);
	}
	return code;
}

/*
 * The identity the kernel shows for a mapping, which is what the recording's events and maps have; on btrfs or
 * overlayfs stat(2) tells another device.
 */
static bool same_file(struct rf_cache_layout *l, const void *mapping)
{
	char *text = NULL;
	struct rf_maps maps = { 0 };
	bool same = false;
	size_t length = 0, capacity = 256 * 1024;
	ssize_t bytes;

	text = malloc(capacity);
	while (text && (bytes = pread(l->maps_fd, text + length, capacity - length - 1, (off_t)length)) > 0)
		length += (size_t)bytes;
	if (text) {
		text[length] = '\0';
		if (!rf_maps_parse(&maps, text, l->own.page_size))
			for (size_t i = 0; i < maps.nr; i++)
				if (maps.vmas[i].start == (uintptr_t)mapping)
					same = maps.vmas[i].dev == l->dev && maps.vmas[i].ino == l->ino;
	}
	rf_maps_free(&maps);
	free(text);
	return same;
}

static int record_pages(struct rf_cache_layout *l, int fd, u64 pages)
{
	int code = 0;

	for (u64 index = 0; index < pages && !code; index += WINDOW_PAGES) {
		u64 nr = min_u64(pages - index, WINDOW_PAGES);
		char *start;

		if (!any_cached(l, fd, index, nr))
			continue;
		start = mmap(NULL, nr * l->own.page_size, PROT_READ, MAP_SHARED, fd, (off_t)(index * l->own.page_size));
		if (start == MAP_FAILED)
			break;
		code = record_window(l, start, index, nr);
		munmap(start, nr * l->own.page_size);
		if (rf_cache_layout_exhausted(l) && index + nr < pages) {
			l->totals->skipped++;
			break;
		}
	}
	return code ? code : end_run(l);
}

/* A path leads anywhere by now: open it only if it is a regular file (a device may react to being opened). */
static int open_regular(const char *path, u64 *size)
{
	int handle = open(path, O_PATH | O_CLOEXEC), fd = -1;
	char self[40];
	struct stat st;

	if (handle < 0)
		return -1;
	if (!fstat(handle, &st) && S_ISREG(st.st_mode)) {
		*size = (u64)st.st_size;
		snprintf(self, sizeof(self), "/proc/self/fd/%d", handle);
		fd = open(self, O_RDONLY | O_NOATIME | O_CLOEXEC);
		if (fd < 0)
			fd = open(self, O_RDONLY | O_CLOEXEC);
	}
	close(handle);
	return fd;
}

int rf_cache_layout_file(struct rf_cache_layout *l, u64 dev, u64 ino, const char *path)
{
	u64 size = 0, pages;
	struct rf_record head;
	bool same = false;
	void *probe;
	int fd, code;

	fd = open_regular(path, &size);
	if (fd < 0)
		return 0;
	l->dev = dev;
	l->ino = ino;
	l->time = rf_monotonic();
	probe = mmap(NULL, l->own.page_size, PROT_READ, MAP_SHARED, fd, 0);
	if (probe != MAP_FAILED) {
		same = same_file(l, probe);
		munmap(probe, l->own.page_size);
	}
	if (!same) {
		close(fd);
		return 0;
	}
	pages = (size + l->own.page_size - 1) / l->own.page_size;
	head = (struct rf_record){ .time = l->time, .kind = RF_CACHE_FILE, .f = { rf_device_below(dev), ino, pages } };
	code = append(l, &head);
	if (!code)
		code = record_pages(l, fd, pages);
	close(fd);
	l->totals->recorded++;
	return code ? code : 1;
}

struct rf_cache_layout *rf_cache_layout_open(struct rf_writer *writer, int stream,
					     const struct rf_page_cache_limits *limits,
					     struct rf_page_cache_totals *totals, struct rf_error *err)
{
	struct rf_cache_layout *l = calloc(1, sizeof(*l));

	if (!l)
		goto no_memory;
	l->writer = writer;
	l->stream = stream;
	l->err = err;
	l->totals = totals;
	l->max_pages = limits && limits->pages ? limits->pages : ~0ull;
	l->deadline = limits && limits->nanoseconds ? rf_monotonic() + limits->nanoseconds : ~0ull;
	l->folios.fd = l->own.pagemap_fd = l->own.sink_fd = -1;
	l->maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	l->resident = malloc(WINDOW_PAGES);
	if (l->maps_fd < 0 || !l->resident)
		goto no_memory;
	if (!rf_folio_reader_open(&l->folios, err) && !rf_own_memory_open(&l->own, err))
		return l;
	rf_cache_layout_close(l);
	return NULL;
no_memory:
	if (l)
		rf_cache_layout_close(l);
	rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory for the page cache's layout");
	return NULL;
}

int rf_cache_layout_close(struct rf_cache_layout *l)
{
	int code = l->nr ? rf_writer_append(l->writer, l->stream, l->records, l->nr, l->err) : 0;

	rf_own_memory_close(&l->own);
	rf_folio_reader_close(&l->folios);
	if (l->maps_fd >= 0)
		close(l->maps_fd);
	free(l->resident);
	free(l);
	return code;
}
