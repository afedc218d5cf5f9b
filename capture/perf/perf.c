// SPDX-License-Identifier: MIT
/*
 * The perf side-band. A dummy software event per CPU carries mmap, comm and task
 * records of the whole system on the clock of the tracepoints; what concerns the
 * recorded processes goes into the trace, by way of rounds.c.
 */
#include "capture/perf/perf.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/perf/rounds.h"
#include "capture/rights/rights.h"

#define ROUND_MS 100		/* or when a ring is a quarter full */
#define RECORD_GUESS 128	/* bytes, where none was read */
#define FLUSH_NS 1000000000ull

struct side_ring {
	int fd;
	int faults_fd;			/* -1, or page faults, into the same ring */
	struct rf_round_stream told;
	struct perf_event_mmap_page *page;
	const u8 *data;
	u64 lost;			/* records, as far as is known */
	u64 gap;			/* the most that were lost between two looks */
	u64 records, bytes;		/* read */
};

struct rf_perf {
	struct rf_rounds rounds;
	bool faults;
	size_t ring_bytes;		/* a power of two */
	pthread_t thread;
	int stop_fd, sync_fd, failed_fd;
	sem_t synced;
	struct pollfd *polled;
	u8 *record;			/* one that wraps around the ring's end, made whole */
	int result;
	struct rf_error error;
	size_t nr;
	struct side_ring rings[];
};

static int open_event(struct perf_event_attr *attr, int cpu, size_t ring_bytes)
{
	long fd;

	attr->type = PERF_TYPE_SOFTWARE;
	attr->size = sizeof(*attr);
	attr->use_clockid = 1;
	attr->clockid = CLOCK_MONOTONIC;
	attr->watermark = 1;
	attr->wakeup_watermark = (u32)(ring_bytes / 4);
	attr->read_format = PERF_FORMAT_LOST;
	fd = syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 && errno == EINVAL) {
		attr->read_format = 0;	/* before Linux 6.0 */
		fd = syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	}
	return fd < 0 ? -errno : (int)fd;
}

static int open_side_band(int cpu, size_t ring_bytes)
{
	struct perf_event_attr attr = {
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		.mmap = 1,
		.mmap2 = 1,
		.mmap_data = 1,
		.comm = 1,
		.comm_exec = 1,
		.task = 1,
		.sample_id_all = 1,
	};

	return open_event(&attr, cpu, ring_bytes);
}

/* Every page fault is a sample. */
static int open_faults(int cpu, size_t ring_bytes)
{
	struct perf_event_attr attr = {
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1,
		.sample_type = RF_PERF_FAULT_SAMPLE,
	};

	return open_event(&attr, cpu, ring_bytes);
}

static int open_failed(int ret, struct rf_error *err)
{
	return rf_error_set(err, ret, RF_NO_OFFSET, "perf_event_open: %s%s", strerror(-ret),
			    ret == -EACCES || ret == -EPERM ? ": CAP_PERFMON is missing, see also kernel.perf_event_paranoid" : "");
}

int rf_perf_check(struct rf_error *err)
{
	int fd = open_side_band(0, RF_PERF_FAULTS_RING);

	if (fd < 0)
		return open_failed(fd, err);
	close(fd);
	return 0;
}

/* One thread writes, others read. */
static void add_to(u64 *value, u64 more)
{
	__atomic_store_n(value, *value + more, __ATOMIC_RELAXED);
}

static int read_ring(struct rf_perf *perf, size_t number)
{
	struct side_ring *ring = &perf->rings[number];
	u64 head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	u64 tail = ring->page->data_tail, records = 0;
	int ret = 0;

	while (tail < head && !ret) {
		size_t at = tail & (perf->ring_bytes - 1);
		const struct perf_event_header *header = (const void *)(ring->data + at);

		if (at + header->size > perf->ring_bytes) {
			size_t first = perf->ring_bytes - at;

			memcpy(perf->record, header, first);
			memcpy(perf->record + first, ring->data, header->size - first);
			header = (const void *)perf->record;
		}
		if (!header->size)
			break;
		ret = rf_round_take(&perf->rounds, &ring->told, header, &perf->error);
		tail += header->size;
		records++;
	}
	add_to(&ring->records, records);
	add_to(&ring->bytes, tail - ring->page->data_tail);
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return ret;
}

/* Records that this ring lost so far. Its events count them at once (Linux 6.0); the ring tells when it has room. */
static u64 count_lost(struct side_ring *ring)
{
	const int fds[] = { ring->fd, ring->faults_fd };
	u64 counts[2], lost = 0;	/* value, lost */

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0 && read(fds[i], counts, sizeof(counts)) == sizeof(counts))
			lost += counts[1];
	return max_u64(lost, ring->told.lost);
}

static void look_for_losses(struct rf_perf *perf)
{
	bool lost = false;

	for (size_t c = 0; c < perf->nr; c++) {
		struct side_ring *ring = &perf->rings[c];
		u64 now = ring->fd >= 0 ? count_lost(ring) : 0;

		if (now <= ring->lost)
			continue;
		lost = true;
		__atomic_store_n(&ring->gap, max_u64(ring->gap, now - ring->lost), __ATOMIC_RELAXED);
		__atomic_store_n(&ring->lost, now, __ATOMIC_RELAXED);
	}
	if (!lost)
		return;
	perf->rounds.births_lost = true;
	rf_followed_relearn(&perf->rounds.followed);
}

/* What a ring has had no record to tell with since. */
static int write_last_losses(struct rf_perf *perf)
{
	int ret = 0;

	look_for_losses(perf);
	for (size_t c = 0; c < perf->nr && !ret; c++) {
		const struct side_ring *ring = &perf->rings[c];
		u64 untold = ring->lost - ring->told.lost;

		if (untold)
			ret = rf_writer_lost(perf->rounds.writer, ring->told.stream, untold, &perf->error);
	}
	return ret;
}

/* A round: read the rings, write what waited since the round before. */
static int do_round(struct rf_perf *perf)
{
	int ret = 0;

	rf_round_begin(&perf->rounds);
	for (size_t c = 0; c < perf->nr && !ret; c++)
		if (perf->rings[c].fd >= 0)
			ret = read_ring(perf, c);
	if (ret)
		return ret;
	rf_round_learn(&perf->rounds);
	look_for_losses(perf);
	return rf_round_write(&perf->rounds, &perf->error);
}

static int flush_streams(struct rf_perf *perf)
{
	int ret = 0;

	for (size_t c = 0; c < perf->nr && !ret; c++)
		if (perf->rings[c].fd >= 0)
			ret = rf_writer_flush(perf->rounds.writer, perf->rings[c].told.stream, &perf->error);
	return ret;
}

/* Two rounds: the first reads what is there, the second writes it. */
static int drain(struct rf_perf *perf)
{
	int ret = do_round(perf);

	return ret ? ret : do_round(perf);
}

enum { STOP_FD, SYNC_FD, FIXED_FDS };

static void *side_thread(void *argument)
{
	struct rf_perf *perf = argument;
	struct pollfd *fds = perf->polled;
	u64 asked, flushed = rf_monotonic();

	rf_rights_limit();
	while (!perf->result) {
		poll(fds, perf->nr + FIXED_FDS, ROUND_MS);
		if (fds[STOP_FD].revents)
			break;
		for (size_t c = 0; c < perf->nr; c++)
			if (fds[FIXED_FDS + c].revents & (POLLHUP | POLLERR))
				fds[FIXED_FDS + c].fd = -1;	/* its CPU went offline: rounds go on all the same */
		if (fds[SYNC_FD].revents && read(perf->sync_fd, &asked, sizeof(asked)) == sizeof(asked)) {
			perf->result = drain(perf);
			sem_post(&perf->synced);
			continue;
		}
		perf->result = do_round(perf);
		if (!perf->result && rf_monotonic() - flushed >= FLUSH_NS) {
			perf->result = flush_streams(perf);
			flushed = rf_monotonic();
		}
	}
	if (!perf->result)
		perf->result = drain(perf);
	if (!perf->result)
		perf->result = write_last_losses(perf);
	sem_post(&perf->synced);	/* whoever asks now need not wait */
	if (perf->result) {
		u64 one = 1;

		if (write(perf->failed_fd, &one, sizeof(one)) < 0)
			return NULL;	/* cannot be: an eventfd takes a small number */
	}
	return NULL;
}

static int open_ring(struct rf_perf *perf, size_t cpu, struct rf_error *err)
{
	struct rf_stream_info info = { .source = RF_SOURCE_PERF, .cpu = (u16)cpu };
	size_t page_size = (size_t)1 << perf->rounds.page_shift;
	struct side_ring *ring = &perf->rings[cpu];
	void *memory;

	ring->fd = open_side_band((int)cpu, perf->ring_bytes);
	if (ring->fd == -ENODEV || ring->fd == -EINVAL)
		return 0;		/* the CPU is offline */
	if (ring->fd < 0)
		return open_failed(ring->fd, err);
	memory = mmap(NULL, page_size + perf->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (memory == MAP_FAILED)
		return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot map a perf ring: %s%s", strerror(errno),
				    errno == EPERM ? ": see kernel.perf_event_mlock_kb, or CAP_IPC_LOCK" : "");
	ring->page = memory;
	ring->data = (const u8 *)memory + page_size;
	ring->told.stream = rf_writer_add_stream(perf->rounds.writer, &info);
	if (ring->told.stream < 0)
		return rf_error_set(err, ring->told.stream, RF_NO_OFFSET, "cannot add a stream: %s",
				    strerror(-ring->told.stream));
	if (!perf->faults)
		return 0;
	ring->faults_fd = open_faults((int)cpu, perf->ring_bytes);
	if (ring->faults_fd < 0)
		return open_failed(ring->faults_fd, err);
	if (ioctl(ring->faults_fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "perf: page faults cannot share a ring: %s",
				    strerror(errno));
	return 0;
}

static void free_perf(struct rf_perf *perf)
{
	for (size_t c = 0; c < perf->nr; c++) {
		if (perf->rings[c].page)
			munmap(perf->rings[c].page, ((size_t)1 << perf->rounds.page_shift) + perf->ring_bytes);
		if (perf->rings[c].faults_fd >= 0)
			close(perf->rings[c].faults_fd);
		if (perf->rings[c].fd >= 0)
			close(perf->rings[c].fd);
	}
	if (perf->stop_fd >= 0)
		close(perf->stop_fd);
	if (perf->sync_fd >= 0)
		close(perf->sync_fd);
	sem_destroy(&perf->synced);
	rf_rounds_free(&perf->rounds);
	free(perf->polled);
	free(perf->record);
	free(perf);
}

struct rf_perf *rf_perf_start(struct rf_writer *writer, const struct rf_perf_options *options, struct rf_error *err)
{
	size_t cpus = (size_t)sysconf(_SC_NPROCESSORS_CONF);
	struct rf_perf *perf = calloc(1, sizeof(*perf) + cpus * sizeof(perf->rings[0]));
	int ret = 0;

	if (!perf) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	perf->rounds.writer = writer;
	perf->rounds.cache = options->cache;
	perf->faults = options->faults;
	perf->ring_bytes = options->ring_bytes;
	perf->failed_fd = options->failed_fd;
	perf->rounds.page_shift = (u32)__builtin_ctzl((unsigned long)sysconf(_SC_PAGESIZE));
	perf->stop_fd = eventfd(0, EFD_CLOEXEC);
	perf->sync_fd = eventfd(0, EFD_CLOEXEC);
	sem_init(&perf->synced, 0, 0);
	perf->record = malloc(65536);	/* perf_event_header.size is 16 bits */
	perf->rounds.followed.learn = options->learn;
	perf->rounds.followed.context = options->context;
	for (size_t c = 0; c < cpus; c++)
		perf->rings[c].fd = perf->rings[c].faults_fd = -1;
	perf->nr = cpus;
	perf->polled = calloc(cpus + FIXED_FDS, sizeof(*perf->polled));
	if (!perf->record || !perf->polled ||
	    (!options->whole_system && rf_followed_start(&perf->rounds.followed, options->pids)))
		ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	else
		rf_followed_look_around(&perf->rounds.followed);
	for (size_t c = 0; c < cpus && !ret; c++)
		ret = open_ring(perf, c, err);
	for (size_t c = 0; c < cpus && !ret; c++)
		perf->polled[FIXED_FDS + c] = (struct pollfd){ .fd = perf->rings[c].fd, .events = POLLIN };
	if (!ret) {
		perf->polled[STOP_FD] = (struct pollfd){ .fd = perf->stop_fd, .events = POLLIN };
		perf->polled[SYNC_FD] = (struct pollfd){ .fd = perf->sync_fd, .events = POLLIN };
		ret = -pthread_create(&perf->thread, NULL, side_thread, perf);
		if (ret)
			rf_error_set(err, ret, RF_NO_OFFSET, "cannot start a thread: %s", strerror(-ret));
	}
	if (ret) {
		free_perf(perf);
		return NULL;
	}
	return perf;
}

int rf_perf_processes(struct rf_perf *perf, struct rf_pid_list *pids)
{
	/* Who was born after the tracing instance began to follow its parent, and before we did. */
	rf_followed_relearn(&perf->rounds.followed);
	return rf_followed_list(&perf->rounds.followed, pids);
}

void rf_perf_sync(struct rf_perf *perf)
{
	u64 one = 1;

	if (write(perf->sync_fd, &one, sizeof(one)) == sizeof(one))
		while (sem_wait(&perf->synced) && errno == EINTR)
			;
}

void rf_perf_so_far(const struct rf_perf *perf, struct rf_perf_losses *losses)
{
	*losses = (struct rf_perf_losses){ 0 };
	for (size_t c = 0; c < perf->nr; c++) {
		const struct side_ring *ring = &perf->rings[c];
		u64 gap = __atomic_load_n(&ring->gap, __ATOMIC_RELAXED);
		u64 records = __atomic_load_n(&ring->records, __ATOMIC_RELAXED);
		u64 bytes = __atomic_load_n(&ring->bytes, __ATOMIC_RELAXED);

		losses->records += __atomic_load_n(&ring->lost, __ATOMIC_RELAXED);
		losses->gap_bytes = max_u64(losses->gap_bytes, gap * (records ? bytes / records : RECORD_GUESS));
	}
}

int rf_perf_stop(struct rf_perf *perf, struct rf_perf_losses *losses, struct rf_error *err)
{
	u64 one = 1;
	int ret;

	if (write(perf->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(perf->thread, NULL);
	rf_perf_so_far(perf, losses);
	ret = perf->result;
	if (ret)
		*err = perf->error;
	free_perf(perf);
	return ret;
}
