// SPDX-License-Identifier: MIT
/*
 * The page cache's layout, file by file: map it, ask mincore(2) what is resident, map in just that, read our
 * own pagemap and the folios behind it. MADV_RANDOM keeps the kernel from reading ahead on a fault and from
 * marking pages as accessed when the mapping goes (vma_has_recency()), so that looking changes nothing.
 */
#include "capture/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture/maps.h"
#include "capture/pagemap.h"

#ifndef MADV_POPULATE_READ	/* Linux 5.14 */
#define MADV_POPULATE_READ 22
#endif
#define SYS_CACHESTAT 451	/* Linux 6.5; the same number on every architecture */

#define WINDOW_PAGES	(256 * 1024)	/* of a file mapped at a time */
#define PAGEMAP_WORDS	4096
#define BATCH_RECORDS	4096
#define MAX_FILES	(1024 * 1024)

struct file {
	struct file *next;	/* in its hash bucket */
	u64 dev, ino;
	char *path;		/* by name; NULL: never seen with one */
	char *link;		/* /proc/PID/map_files/...: leads there as long as that process lives */
};

struct rf_page_cache {
	pthread_mutex_t lock;
	struct file **buckets;
	size_t nr_buckets, nr;
};

struct rf_page_cache *rf_page_cache_create(void)
{
	struct rf_page_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->nr_buckets = 1024;
	cache->buckets = calloc(cache->nr_buckets, sizeof(*cache->buckets));
	if (!cache->buckets) {
		free(cache);
		return NULL;
	}
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void rf_page_cache_destroy(struct rf_page_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->nr_buckets; i++) {
		struct file *next;

		for (struct file *file = cache->buckets[i]; file; file = next) {
			next = file->next;
			free(file->path);
			free(file->link);
			free(file);
		}
	}
	free(cache->buckets);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static size_t bucket_of(const struct rf_page_cache *cache, u64 dev, u64 ino)
{
	return (size_t)(((ino + (dev << 32)) * 0x9e3779b97f4a7c15ull) >> 40) & (cache->nr_buckets - 1);
}

static void grow(struct rf_page_cache *cache)
{
	struct rf_page_cache larger = { .nr_buckets = 4 * cache->nr_buckets };

	larger.buckets = calloc(larger.nr_buckets, sizeof(*larger.buckets));
	if (!larger.buckets)
		return;		/* slower, not wrong */
	for (size_t i = 0; i < cache->nr_buckets; i++) {
		struct file *next;

		for (struct file *file = cache->buckets[i]; file; file = next) {
			size_t bucket = bucket_of(&larger, file->dev, file->ino);

			next = file->next;
			file->next = larger.buckets[bucket];
			larger.buckets[bucket] = file;
		}
	}
	free(cache->buckets);
	cache->buckets = larger.buckets;
	cache->nr_buckets = larger.nr_buckets;
}

static struct file *find_or_add(struct rf_page_cache *cache, u64 dev, u64 ino)
{
	size_t bucket = bucket_of(cache, dev, ino);
	struct file *file;

	for (file = cache->buckets[bucket]; file; file = file->next)
		if (file->ino == ino && file->dev == dev)
			return file;
	if (cache->nr == MAX_FILES)
		return NULL;
	if (cache->nr >= 2 * cache->nr_buckets) {
		grow(cache);
		bucket = bucket_of(cache, dev, ino);
	}
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->dev = dev;
	file->ino = ino;
	file->next = cache->buckets[bucket];
	cache->buckets[bucket] = file;
	cache->nr++;
	return file;
}

static bool is_link(const char *path)
{
	return !strncmp(path, "/proc/", 6);
}

/* "//anon", "/memfd:x (deleted)", "/SYSV0 (deleted)": names perf and maps give to what has none. */
static bool is_path(const char *path)
{
	size_t length = strlen(path);

	return path[0] == '/' && path[1] != '/' && !(length > 10 && !strcmp(path + length - 10, " (deleted)"));
}

void rf_page_cache_note(struct rf_page_cache *cache, u64 dev, u64 ino, const char *path)
{
	struct file *file;
	char **name;

	if (!ino || !is_path(path))
		return;
	pthread_mutex_lock(&cache->lock);
	file = find_or_add(cache, dev, ino);
	if (file) {
		name = is_link(path) ? &file->link : &file->path;
		/* The latest name is the likeliest to be true at the end. */
		if (!*name || strcmp(*name, path)) {
			free(*name);
			*name = strdup(path);
		}
	}
	pthread_mutex_unlock(&cache->lock);
}

/* What one recording of layouts needs. */
struct layout {
	struct rf_writer *writer;
	int stream;
	struct rf_error *err;
	struct rf_folio_reader folios;
	struct rf_own_memory own;
	int maps_fd;
	unsigned char *resident;	/* mincore(2) of a window */
	u64 max_pages, deadline;
	struct rf_page_cache_totals *totals;
	u64 time;
	struct rf_record run;		/* the CACHE_RUN being gathered; kind 0: none */
	u64 run_end_pfn;
	struct rf_record records[BATCH_RECORDS];
	size_t nr;
	u64 words[PAGEMAP_WORDS];
};

static int append(struct layout *l, const struct rf_record *record)
{
	int code = 0;

	if (l->nr == BATCH_RECORDS) {
		code = rf_writer_append(l->writer, l->stream, l->records, l->nr, l->err);
		l->nr = 0;
	}
	l->records[l->nr++] = *record;
	return code;
}

static int end_run(struct layout *l)
{
	int code = l->run.kind ? append(l, &l->run) : 0;

	l->run.kind = 0;
	return code;
}

static int add_page(struct layout *l, const struct file *file, u64 index, const u64 *words, size_t left)
{
	u64 pfn = RF_PAGEMAP_PFN(words[0]);
	struct rf_record *run = &l->run;
	struct rf_folio folio;
	size_t consecutive = 1;
	int code;

	l->totals->pages++;
	if (run->kind && index == run->f[2] + run->f[3] && pfn == run->f[4] + run->f[3] && pfn < l->run_end_pfn) {
		run->f[3]++;
		return 0;
	}
	code = end_run(l);
	if (code)
		return code;
	while (consecutive < left && consecutive < RF_FOLIO_WINDOW &&
	       (words[consecutive] & RF_PAGEMAP_PRESENT) && RF_PAGEMAP_PFN(words[consecutive]) == pfn + consecutive)
		consecutive++;
	rf_folio_find(&l->folios, pfn, consecutive, &folio);
	*run = (struct rf_record){
		.time = l->time, .kind = RF_CACHE_RUN, .f = { file->dev, file->ino, index, 1, pfn, folio.order },
	};
	l->run_end_pfn = folio.head + BIT_ULL(folio.order);
	return 0;
}

/* Map resident pages in. Not by plain loads: a file cut short meanwhile would raise SIGBUS. */
static void populate(struct layout *l, char *start, size_t pages)
{
	if (!madvise(start, pages * l->own.page_size, MADV_POPULATE_READ) || errno != EINVAL)
		return;
	for (size_t i = 0; i < pages; i++)
		rf_own_memory_touch(&l->own, start + i * l->own.page_size);
}

/* nr pages, all resident a moment ago. */
static int record_resident(struct layout *l, const struct file *file, char *start, u64 index, size_t nr)
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
				code = add_page(l, file, index + done + i, &l->words[i], got - i);
		done += got;
	}
	return code;
}

/* Whether anything of this part of the file is cached; a huge sparse file is then passed over at once. */
static bool any_cached(struct layout *l, int fd, u64 index, u64 nr)
{
	u64 range[2] = { index * l->own.page_size, nr * l->own.page_size };
	u64 result[5] = { 0 };	/* struct cachestat: nr_cache first */

	return syscall(SYS_CACHESTAT, fd, range, result, 0) != 0 || result[0] != 0;
}

static bool exhausted(const struct layout *l)
{
	return l->totals->pages >= l->max_pages || rf_monotonic() >= l->deadline;
}

static int record_window(struct layout *l, const struct file *file, char *start, u64 index, size_t nr)
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
		code = record_resident(l, file, start + i * l->own.page_size, index + i, end - i);
	}
	return code;
}

/*
 * The identity the kernel shows for a mapping, which is what the recording's events and maps have; on btrfs or
 * overlayfs stat(2) tells another device.
 */
static bool same_file(struct layout *l, const struct file *file, const void *mapping)
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
					same = maps.vmas[i].dev == file->dev && maps.vmas[i].ino == file->ino;
	}
	rf_maps_free(&maps);
	free(text);
	return same;
}

static int record_pages(struct layout *l, const struct file *file, int fd, u64 pages)
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
		code = record_window(l, file, start, index, nr);
		munmap(start, nr * l->own.page_size);
		if (exhausted(l) && index + nr < pages) {
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

/* 1: recorded; 0: this path does not lead to the file; negative: cannot write. */
static int record_path(struct layout *l, const struct file *file, const char *path)
{
	u64 size = 0, pages;
	struct rf_record head;
	bool same = false;
	void *probe;
	int fd, code;

	fd = path ? open_regular(path, &size) : -1;
	if (fd < 0)
		return 0;
	l->time = rf_monotonic();
	probe = mmap(NULL, l->own.page_size, PROT_READ, MAP_SHARED, fd, 0);
	if (probe != MAP_FAILED) {
		same = same_file(l, file, probe);
		munmap(probe, l->own.page_size);
	}
	if (!same) {
		close(fd);
		return 0;
	}
	pages = (size + l->own.page_size - 1) / l->own.page_size;
	head = (struct rf_record){ .time = l->time, .kind = RF_CACHE_FILE, .f = { file->dev, file->ino, pages } };
	code = append(l, &head);
	if (!code)
		code = record_pages(l, file, fd, pages);
	close(fd);
	l->totals->recorded++;
	return code ? code : 1;
}

static int compare(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int record_files(struct layout *l, const struct file *files, size_t nr)
{
	int code = 0;

	for (size_t i = 0; i < nr && code >= 0; i++) {
		if (exhausted(l)) {
			l->totals->skipped += nr - i;
			break;
		}
		code = record_path(l, &files[i], files[i].path);
		if (!code)
			code = record_path(l, &files[i], files[i].link);
		if (!code)
			l->totals->gone++;
	}
	if (code >= 0 && l->nr)
		code = rf_writer_append(l->writer, l->stream, l->records, l->nr, l->err);
	return code < 0 ? code : 0;
}

static void free_files(struct file *files, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		free(files[i].path);
		free(files[i].link);
	}
	free(files);
}

/* A copy, so that files can be noted while layouts are read. NULL: out of memory. */
static struct file *sorted_files(struct rf_page_cache *cache, size_t *nr)
{
	struct file *files;

	*nr = 0;
	pthread_mutex_lock(&cache->lock);
	files = malloc((cache->nr + 1) * sizeof(*files));
	for (size_t i = 0; files && i < cache->nr_buckets; i++)
		for (const struct file *file = cache->buckets[i]; file; file = file->next)
			files[(*nr)++] = (struct file){
				.dev = file->dev, .ino = file->ino, .path = file->path ? strdup(file->path) : NULL,
				.link = file->link ? strdup(file->link) : NULL,
			};
	pthread_mutex_unlock(&cache->lock);
	if (files)
		qsort(files, *nr, sizeof(*files), compare);
	return files;
}

static int open_layout(struct layout *l, struct rf_error *err)
{
	int code = rf_folio_reader_open(&l->folios, err);

	if (code)
		return code;
	code = rf_own_memory_open(&l->own, err);
	if (code) {
		rf_folio_reader_close(&l->folios);
		return code;
	}
	l->maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	l->resident = malloc(WINDOW_PAGES);
	return 0;
}

static void close_layout(struct layout *l)
{
	rf_own_memory_close(&l->own);
	rf_folio_reader_close(&l->folios);
	if (l->maps_fd >= 0)
		close(l->maps_fd);
	free(l->resident);
}

int rf_page_cache_record(struct rf_page_cache *cache, struct rf_writer *writer, int stream,
			 const struct rf_page_cache_limits *limits, struct rf_page_cache_totals *totals,
			 struct rf_error *err)
{
	struct layout *l = calloc(1, sizeof(*l));
	struct file *files;
	size_t nr;
	int code;

	memset(totals, 0, sizeof(*totals));
	if (!l)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	l->writer = writer;
	l->stream = stream;
	l->err = err;
	l->totals = totals;
	l->max_pages = limits && limits->pages ? limits->pages : ~0ull;
	l->deadline = limits && limits->nanoseconds ? rf_monotonic() + limits->nanoseconds : ~0ull;
	code = open_layout(l, err);
	if (!code) {
		files = sorted_files(cache, &nr);
		totals->files = nr;
		code = files && l->resident && l->maps_fd >= 0 ? record_files(l, files, nr) :
		       rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory for the page-cache layout");
		free_files(files, nr);
		close_layout(l);
	}
	free(l);
	return code;
}
