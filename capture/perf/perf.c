// SPDX-License-Identifier: MIT
/*
 * The perf side-band. A dummy software event per CPU carries mmap, comm and task
 * records of the whole system on the clock of the tracepoints; what concerns the
 * recorded processes goes into the trace.
 *
 * A process's first record may be read before the fork that made it ours, because
 * they lie in the rings of different CPUs. So records wait one round: whatever
 * caused them was written before them and is read by the round after at the latest.
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

#include "base/array.h"
#include "capture/snapshot/devices.h"

#define RING_BYTES (512u << 10)
#define FAULTS_RING_BYTES (8u << 20)	/* a round's worth of faults: 200 000 */
#define ROUND_MS 100
#define FLUSH_ROUNDS 10
#define PID_LIMIT (4u << 20)	/* PID_MAX_LIMIT of 64-bit kernels */

struct side_ring {
	int fd;
	int faults_fd;			/* -1, or page faults, into the same ring */
	int stream;
	struct perf_event_mmap_page *page;
	const u8 *data;
};

struct waiting {
	struct rf_record record;	/* record.stream: index of the ring */
	pid_t pid, parent;
	char *path;			/* of the mapped file, or NULL */
	bool is_fork;
	bool fresh;			/* read in this round */
	u32 number;			/* order of reading, to keep equal times stable */
};

struct rf_perf {
	struct rf_writer *writer;
	struct rf_page_cache *cache;
	bool whole_system;
	bool faults;
	u32 page_shift;
	size_t ring_bytes;		/* a power of two */
	pthread_t thread;
	int stop_fd, sync_fd, failed_fd;
	sem_t synced;
	u64 *followed;			/* one bit per pid */
	struct waiting *waiting;
	size_t nr_waiting, room;
	u8 *record;			/* one that wraps around the ring's end, made whole */
	u64 lost;
	int result;
	struct rf_error error;
	size_t nr;
	struct side_ring rings[];
};

static int open_event(struct perf_event_attr *attr, int cpu)
{
	long fd;

	attr->type = PERF_TYPE_SOFTWARE;
	attr->size = sizeof(*attr);
	attr->use_clockid = 1;
	attr->clockid = CLOCK_MONOTONIC;
	attr->watermark = 1;
	attr->wakeup_watermark = RING_BYTES / 4;
	fd = syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

static int open_side_band(int cpu)
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

	return open_event(&attr, cpu);
}

/* Every page fault is a sample. */
static int open_faults(int cpu)
{
	struct perf_event_attr attr = {
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1,
		.sample_type = RF_PERF_FAULT_SAMPLE,
	};

	return open_event(&attr, cpu);
}

static int open_failed(int ret, struct rf_error *err)
{
	return rf_error_set(err, ret, RF_NO_OFFSET, "perf_event_open: %s%s", strerror(-ret),
			    ret == -EACCES || ret == -EPERM ? ": run as root, or see kernel.perf_event_paranoid" : "");
}

int rf_perf_check(struct rf_error *err)
{
	int fd = open_side_band(0);

	if (fd < 0)
		return open_failed(fd, err);
	close(fd);
	return 0;
}

static bool is_followed(const struct rf_perf *perf, pid_t pid)
{
	u32 bit = (u32)pid % PID_LIMIT;

	return perf->whole_system || (__atomic_load_n(&perf->followed[bit / 64], __ATOMIC_RELAXED) >> bit % 64 & 1);
}

static void set_followed(struct rf_perf *perf, pid_t pid, bool follow)
{
	u32 bit = (u32)pid % PID_LIMIT;
	u64 mask = BIT_ULL(bit % 64);

	if (follow)
		__atomic_or_fetch(&perf->followed[bit / 64], mask, __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&perf->followed[bit / 64], ~mask, __ATOMIC_RELAXED);
}

static int add_waiting(struct rf_perf *perf, const struct waiting *one)
{
	if (array_grow(perf->waiting, perf->room, perf->nr_waiting + 1)) {
		free(one->path);
		return rf_error_set(&perf->error, -ENOMEM, RF_NO_OFFSET, "out of memory");
	}
	perf->waiting[perf->nr_waiting] = *one;
	perf->waiting[perf->nr_waiting].number = (u32)perf->nr_waiting;
	perf->nr_waiting++;
	return 0;
}

static int take_record(struct rf_perf *perf, size_t ring, const struct perf_event_header *header)
{
	struct waiting one = { .fresh = true };
	const char *path;

	if (header->type == PERF_RECORD_LOST) {
		u64 lost[2];		/* id, lost */

		memcpy(lost, header + 1, sizeof(lost));
		perf->lost += lost[1];
		return rf_writer_lost(perf->writer, perf->rings[ring].stream, lost[1], &perf->error);
	}
	if (!rf_perf_decode(header, perf->page_shift, &one.record, &one.pid, &one.parent, &path))
		return 0;
	one.record.stream = (u16)ring;
	one.is_fork = header->type == PERF_RECORD_FORK;
	/* Without memory for the name, the file's page frames are unknown: no reason to stop. */
	one.path = path && perf->cache ? strdup(path) : NULL;
	return add_waiting(perf, &one);
}

static int read_ring(struct rf_perf *perf, size_t number)
{
	struct side_ring *ring = &perf->rings[number];
	u64 head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	u64 tail = ring->page->data_tail;
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
		ret = take_record(perf, number, header);
		tail += header->size;
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return ret;
}

static int by_time(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;

	if (x->record.time != y->record.time)
		return x->record.time < y->record.time ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/*
 * A new process of a followed one is followed; one of a stranger is not, even if its pid was once ours. A new
 * thread belongs to its own process: nothing to learn.
 */
static void follow_forks(struct rf_perf *perf)
{
	if (perf->whole_system)
		return;
	for (size_t i = 0; i < perf->nr_waiting; i++) {
		const struct waiting *one = &perf->waiting[i];

		if (one->is_fork && one->pid != one->parent)
			set_followed(perf, one->pid, is_followed(perf, one->parent));
	}
}

/* What a followed process did goes into the trace; of others, nothing. */
static int write_waiting(struct rf_perf *perf, struct waiting *one)
{
	int ret = 0;

	if (is_followed(perf, one->pid)) {
		if (one->path)
			rf_page_cache_note(perf->cache, one->record.f[3], one->record.f[4], one->path);
		if (one->record.kind == RF_MMAP2)
			one->record.f[3] = rf_device_below(one->record.f[3]);
		ret = rf_writer_append(perf->writer, perf->rings[one->record.stream].stream, &one->record, 1,
				       &perf->error);
	}
	free(one->path);
	one->path = NULL;
	return ret;
}

/* A round: read the rings, learn the forks, write what waited since the round before. */
static int do_round(struct rf_perf *perf)
{
	size_t kept = 0;
	int ret = 0;

	for (size_t i = 0; i < perf->nr_waiting; i++)
		perf->waiting[i].fresh = false;
	for (size_t c = 0; c < perf->nr && !ret; c++)
		if (perf->rings[c].fd >= 0)
			ret = read_ring(perf, c);
	if (ret)
		return ret;
	qsort(perf->waiting, perf->nr_waiting, sizeof(*perf->waiting), by_time);
	follow_forks(perf);
	for (size_t i = 0; i < perf->nr_waiting; i++) {
		struct waiting *one = &perf->waiting[i];

		if (one->fresh || ret)
			perf->waiting[kept++] = *one;
		else
			ret = write_waiting(perf, one);
	}
	perf->nr_waiting = kept;
	return ret;
}

static int flush_streams(struct rf_perf *perf)
{
	int ret = 0;

	for (size_t c = 0; c < perf->nr && !ret; c++)
		if (perf->rings[c].fd >= 0)
			ret = rf_writer_flush(perf->writer, perf->rings[c].stream, &perf->error);
	return ret;
}

/* Two rounds: the first reads what is there, the second writes it. */
static int drain(struct rf_perf *perf)
{
	int ret = do_round(perf);

	return ret ? ret : do_round(perf);
}

static void *side_thread(void *argument)
{
	struct rf_perf *perf = argument;
	struct pollfd fds[] = { { .fd = perf->stop_fd, .events = POLLIN }, { .fd = perf->sync_fd, .events = POLLIN } };
	unsigned int round = 0;
	u64 asked;

	while (!perf->result) {
		poll(fds, ARRAY_SIZE(fds), ROUND_MS);
		if (fds[0].revents)
			break;
		if (fds[1].revents && read(perf->sync_fd, &asked, sizeof(asked)) == sizeof(asked)) {
			perf->result = drain(perf);
			sem_post(&perf->synced);
			continue;
		}
		perf->result = do_round(perf);
		if (!perf->result && ++round % FLUSH_ROUNDS == 0)
			perf->result = flush_streams(perf);
	}
	if (!perf->result)
		perf->result = drain(perf);
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
	size_t page_size = (size_t)1 << perf->page_shift;
	struct side_ring *ring = &perf->rings[cpu];
	void *memory;

	ring->fd = open_side_band((int)cpu);
	if (ring->fd == -ENODEV || ring->fd == -EINVAL)
		return 0;		/* the CPU is offline */
	if (ring->fd < 0)
		return open_failed(ring->fd, err);
	memory = mmap(NULL, page_size + perf->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (memory == MAP_FAILED)
		return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot map a perf ring: %s%s", strerror(errno),
				    errno == EPERM ? ": see kernel.perf_event_mlock_kb" : "");
	ring->page = memory;
	ring->data = (const u8 *)memory + page_size;
	ring->stream = rf_writer_add_stream(perf->writer, &info);
	if (ring->stream < 0)
		return rf_error_set(err, ring->stream, RF_NO_OFFSET, "cannot add a stream: %s",
				    strerror(-ring->stream));
	if (!perf->faults)
		return 0;
	ring->faults_fd = open_faults((int)cpu);
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
			munmap(perf->rings[c].page, ((size_t)1 << perf->page_shift) + perf->ring_bytes);
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
	for (size_t i = 0; i < perf->nr_waiting; i++)
		free(perf->waiting[i].path);
	free(perf->followed);
	free(perf->waiting);
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
	perf->writer = writer;
	perf->cache = options->cache;
	perf->whole_system = options->whole_system;
	perf->faults = options->faults;
	perf->ring_bytes = options->faults ? FAULTS_RING_BYTES : RING_BYTES;
	perf->failed_fd = options->failed_fd;
	perf->page_shift = (u32)__builtin_ctzl((unsigned long)sysconf(_SC_PAGESIZE));
	perf->stop_fd = eventfd(0, EFD_CLOEXEC);
	perf->sync_fd = eventfd(0, EFD_CLOEXEC);
	sem_init(&perf->synced, 0, 0);
	perf->record = malloc(65536);	/* perf_event_header.size is 16 bits */
	perf->followed = calloc(PID_LIMIT / 64, sizeof(u64));
	for (size_t c = 0; c < cpus; c++)
		perf->rings[c].fd = perf->rings[c].faults_fd = -1;
	perf->nr = cpus;
	if (!perf->followed || !perf->record)
		ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	for (size_t i = 0; !ret && options->pids && i < options->pids->nr; i++)
		set_followed(perf, options->pids->pids[i], true);
	for (size_t c = 0; c < cpus && !ret; c++)
		ret = open_ring(perf, c, err);
	if (!ret) {
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
	for (u32 word = 0; word < PID_LIMIT / 64; word++) {
		u64 bits = __atomic_load_n(&perf->followed[word], __ATOMIC_RELAXED);

		for (; bits; bits &= bits - 1) {
			pid_t pid = (pid_t)(word * 64 + (u32)__builtin_ctzll(bits));

			if (rf_process_of(pid) == pid && !rf_pid_list_has(pids, pid) && !rf_pid_list_add(pids, pid))
				return -ENOMEM;
		}
	}
	return 0;
}

void rf_perf_sync(struct rf_perf *perf)
{
	u64 one = 1;

	if (write(perf->sync_fd, &one, sizeof(one)) == sizeof(one))
		while (sem_wait(&perf->synced) && errno == EINTR)
			;
}

int rf_perf_stop(struct rf_perf *perf, u64 *lost, struct rf_error *err)
{
	u64 one = 1;
	int ret;

	if (write(perf->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(perf->thread, NULL);
	*lost = perf->lost;
	ret = perf->result;
	if (ret)
		*err = perf->error;
	free_perf(perf);
	return ret;
}
