// SPDX-License-Identifier: MIT
/*
 * What a process's page tables hold. A snapshot delays the process, so it asks for as little as possible:
 * PAGEMAP_SCAN finds the populated ranges (and which of them a PMD maps), entries.c reads those only. Page tables
 * are the kernel's; the VMAs only say where to look.
 */
#include "capture/snapshot/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "capture/snapshot/devices.h"
#include "capture/snapshot/snapshotter.h"

#define BATCH_RECORDS	16384
#define TEXT_PIECE	16384	/* the least that is read at once */

struct rf_snapshotter *rf_snapshotter_create(struct rf_writer *writer, struct rf_page_cache *cache,
					     struct rf_error *err)
{
	struct rf_snapshotter *s = calloc(1, sizeof(*s));
	struct rf_own_memory own;

	if (!s) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	s->page_size = (u64)sysconf(_SC_PAGESIZE);
	s->folios.fd = -1;
	s->records = malloc(BATCH_RECORDS * sizeof(*s->records));
	if (!s->records) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		goto fail;
	}
	if (rf_own_memory_open(&own, err))	/* only to see whether we may see page frames */
		goto fail;
	rf_own_memory_close(&own);
	if (rf_folio_reader_open(&s->folios, err))
		goto fail;
	s->writer = writer;
	s->cache = cache;
	s->stream = rf_writer_add_stream(writer, &(struct rf_stream_info){ .source = RF_SOURCE_SNAPSHOT });
	if (s->stream < 0) {
		rf_error_set(err, s->stream, RF_NO_OFFSET, "no stream for snapshots: %s", strerror(-s->stream));
		goto fail;
	}
	return s;
fail:
	rf_snapshotter_destroy(s);
	return NULL;
}

void rf_snapshotter_destroy(struct rf_snapshotter *s)
{
	if (!s)
		return;
	rf_folio_reader_close(&s->folios);
	rf_maps_free(&s->maps);
	free(s->text);
	free(s->records);
	free(s);
}

const struct rf_snapshot_totals *rf_snapshotter_totals(const struct rf_snapshotter *s)
{
	return &s->totals;
}

/* In batches: a process may have more pages than the recorder has memory. */
static void append(struct rf_snapshotter *s)
{
	if (!s->code && s->nr)
		s->code = rf_writer_append(s->writer, s->stream, s->records, s->nr, &s->error);
	s->nr = 0;
}

void rf_snapshot_emit(struct rf_snapshotter *s, u8 kind, const u64 f[RF_RECORD_FIELDS])
{
	struct rf_record *record;

	if (s->nr == BATCH_RECORDS)
		append(s);
	record = &s->records[s->nr++];
	*record = (struct rf_record){ .time = s->begin, .tid = (u32)s->pid, .kind = kind };
	memcpy(record->f, f, sizeof(record->f));
}

static void note_file(struct rf_snapshotter *s, const struct rf_maps_vma *vma, enum rf_snap_why why)
{
	char link[64];

	if (!s->cache || !vma->ino)
		return;
	if (vma->path)
		rf_page_cache_note(s->cache, vma->dev, vma->ino, s->tid, vma->path);
	if (why == RF_SNAP_EXIT && vma->path)
		return;
	/* While the process lives this leads to the very file: also if unlinked, a memfd, or in another namespace. */
	snprintf(link, sizeof(link), "/proc/%d/map_files/%llx-%llx", (int)s->tid, (unsigned long long)vma->start,
		 (unsigned long long)vma->end);
	rf_page_cache_note(s->cache, vma->dev, vma->ino, s->tid, link);
}

static void read_address_space(struct rf_snapshotter *s, enum rf_snap_why why)
{
	const struct rf_maps *maps = &s->maps;
	bool scan = maps->nr && rf_scan_start(&s->scan, s->pagemap_fd, maps->vmas[0].start,
					     maps->vmas[maps->nr - 1].end);

	for (size_t i = 0; i < maps->nr && s->complete; i++) {
		const struct rf_maps_vma *vma = &maps->vmas[i];

		rf_snapshot_emit(s, RF_SNAP_VMA, (u64[RF_RECORD_FIELDS]){ vma->start, vma->end - vma->start, vma->pgoff,
							      rf_device_below(vma->dev), vma->ino, vma->flags });
		note_file(s, vma, why);
		rf_snapshot_entries(s, vma->start, vma->end, scan);
	}
}

/* The whole of a /proc file as text; NULL: gone. */
static char *read_text(struct rf_snapshotter *s, int fd)
{
	size_t length = 0;
	ssize_t bytes;

	for (;;) {
		if (array_grow(s->text, s->text_room, length + TEXT_PIECE))
			return NULL;
		bytes = read(fd, s->text + length, s->text_room - length - 1);
		if (bytes < 0)
			return NULL;
		if (bytes == 0)
			break;
		length += (size_t)bytes;
	}
	s->text[length] = '\0';
	return s->text;
}

static u64 status_value(const char *text, const char *key)
{
	const char *found = text ? strstr(text, key) : NULL;

	return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

struct status {
	u64 threads, rss[RF_RSS_MEMBERS];
	bool has_mm;
};

static bool read_status(struct rf_snapshotter *s, int dir, struct status *status)
{
	u64 kib = s->page_size / 1024;
	int fd = openat(dir, "status", O_RDONLY | O_CLOEXEC);
	char *text;

	memset(status, 0, sizeof(*status));
	if (fd < 0)
		return false;
	text = read_text(s, fd);
	close(fd);
	if (!text || !*text)
		return false;
	status->has_mm = strstr(text, "\nVmRSS:") != NULL;
	status->threads = status_value(text, "\nThreads:");
	status->rss[RF_RSS_FILE] = status_value(text, "\nRssFile:") / kib;
	status->rss[RF_RSS_ANON] = status_value(text, "\nRssAnon:") / kib;
	status->rss[RF_RSS_SWAP] = status_value(text, "\nVmSwap:") / kib;
	status->rss[RF_RSS_SHMEM] = status_value(text, "\nRssShmem:") / kib;
	return true;
}

static void read_process(struct rf_snapshotter *s, int dir, enum rf_snap_why why, const struct status *status)
{
	/* maps and pagemap hold on to the address space of this moment: an exec meanwhile cannot mix two of them. */
	bool begins = why == RF_SNAP_ATTACH || why == RF_SNAP_LOSS;
	int maps_fd = openat(dir, begins ? "smaps" : "maps", O_RDONLY | O_CLOEXEC);
	char *text;

	s->pagemap_fd = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	text = maps_fd >= 0 && s->pagemap_fd >= 0 ? read_text(s, maps_fd) : NULL;
	if (!text || rf_maps_parse(&s->maps, text, s->page_size) || !s->maps.nr)
		s->complete = false;
	else
		read_address_space(s, why);
	if (maps_fd >= 0)
		close(maps_fd);
	if (s->pagemap_fd >= 0)
		close(s->pagemap_fd);
	rf_snapshot_emit(s, RF_SNAP_RSS, (u64[RF_RECORD_FIELDS]){ status->rss[RF_RSS_FILE], status->rss[RF_RSS_ANON],
						      status->rss[RF_RSS_SWAP], status->rss[RF_RSS_SHMEM] });
}

void rf_snapshot_read(struct rf_snapshotter *s, pid_t pid, pid_t tid, enum rf_snap_why why)
{
	struct status status;
	char path[32];
	int dir;

	s->pid = pid;
	s->tid = tid;
	s->nr = 0;
	s->run.kind = 0;
	s->run.nr = 0;
	s->retries = 0;
	s->words_nr = 0;
	s->complete = true;
	s->has_mm = true;
	rf_folio_reader_forget(&s->folios);
	s->begin = rf_monotonic();
	snprintf(path, sizeof(path), "/proc/%d", (int)tid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !read_status(s, dir, &status)) {
		s->complete = false;
		rf_snapshot_emit(s, RF_SNAP_BEGIN, (u64[RF_RECORD_FIELDS]){ (u64)pid, why, 0 });
	} else if (!status.has_mm) {
		s->has_mm = false;	/* a kernel thread or a zombie */
	} else {
		rf_snapshot_emit(s, RF_SNAP_BEGIN, (u64[RF_RECORD_FIELDS]){ (u64)pid, why, status.threads });
		read_process(s, dir, why, &status);
	}
	if (dir >= 0)
		close(dir);
	s->end = rf_monotonic();
	s->totals.nanoseconds += s->end - s->begin;
}

int rf_snapshot_append(struct rf_snapshotter *s, bool stopped, struct rf_error *err)
{
	if (!s->has_mm)
		return 0;
	if (s->complete)
		s->totals.taken++;
	else
		s->totals.incomplete++;
	rf_snapshot_emit(s, RF_SNAP_END, (u64[RF_RECORD_FIELDS]){ (u64)s->pid, s->complete, stopped });
	s->records[s->nr - 1].time = s->end;
	append(s);
	if (s->code && err)
		*err = s->error;
	return s->code;
}

int rf_snapshotter_flush(struct rf_snapshotter *s, struct rf_error *err)
{
	append(s);
	if (!s->code)
		s->code = rf_writer_flush(s->writer, s->stream, &s->error);
	if (s->code && err)
		*err = s->error;
	return s->code;
}

int rf_snapshotter_record(struct rf_snapshotter *s, const struct rf_record *record, struct rf_error *err)
{
	append(s);
	if (!s->code)
		s->code = rf_writer_append(s->writer, s->stream, record, 1, &s->error);
	if (s->code && err)
		*err = s->error;
	return s->code;
}

/* The leader has ended: look through any thread that has not. */
static void read_through_threads(struct rf_snapshotter *s, pid_t pid, enum rf_snap_why why)
{
	struct dirent *entry;
	char path[32];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && !s->has_mm && (entry = readdir(tasks))) {
		pid_t tid = atoi(entry->d_name);

		if (tid > 0 && tid != pid)
			rf_snapshot_read(s, pid, tid, why);
	}
	if (tasks)
		closedir(tasks);
}

int rf_snapshot_process(struct rf_snapshotter *s, pid_t pid, enum rf_snap_why why, bool stopped, struct rf_error *err)
{
	rf_snapshot_read(s, pid, pid, why);
	if (!s->has_mm)
		read_through_threads(s, pid, why);
	return rf_snapshot_append(s, stopped, err);
}
