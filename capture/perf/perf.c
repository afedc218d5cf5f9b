// SPDX-License-Identifier: MIT
/*
 * The perf side-band. A dummy software event per CPU carries mmap, comm and task
 * records of the whole system on the clock of the tracepoints; what concerns the
 * recorded processes goes into the trace, by way of rounds.c.
 */
#include "capture/perf/perf.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/perf/calls.h"
#include "capture/perf/rounds.h"
#include "capture/rights/rights.h"

#define ROUND_MS 100		/* or when a ring is a quarter full */
#define RECORD_GUESS 128	/* bytes, where none was read */
#define FLUSH_NS 1000000000ull

struct side_ring {
	int fd;
	int faults_fd;			/* -1, or page faults, into the same ring */
	struct rf_round_stream told;
	struct rf_perf_ring ring;
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
	struct rf_call_events *calls;	/* NULL, or whose stacks are taken; the caller's */
	struct pollfd *polled;
	size_t nr_polled;
	u8 *record;			/* one that wraps around the ring's end, made whole */
	int result;
	struct rf_error error;
	size_t nr;
	struct side_ring rings[];
};

static int open_side_band(int cpu, size_t ring_bytes)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
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

	return rf_perf_open(&attr, -1, cpu, ring_bytes);
}

/* Every page fault is a sample. */
static int open_faults(int cpu, size_t ring_bytes)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1,
		.sample_type = RF_PERF_FAULT_SAMPLE,
	};

	return rf_perf_open(&attr, -1, cpu, ring_bytes);
}

int rf_perf_check(struct rf_error *err)
{
	int fd = open_side_band(0, RF_PERF_FAULTS_RING);

	if (fd < 0)
		return rf_perf_open_failed(fd, err);
	close(fd);
	return 0;
}

/* One thread writes, others read. */
static void add_to(u64 *value, u64 more)
{
	__atomic_store_n(value, *value + more, __ATOMIC_RELAXED);
}

struct reading {
	struct rf_perf *perf;
	void *ring;
};

static int take_side(void *context, const struct perf_event_header *header)
{
	struct reading *reading = context;
	struct side_ring *ring = reading->ring;

	return rf_round_take(&reading->perf->rounds, &ring->told, header, &reading->perf->error);
}

static int read_ring(struct rf_perf *perf, size_t number)
{
	struct reading reading = { perf, &perf->rings[number] };
	struct side_ring *ring = reading.ring;
	u64 records, bytes;
	int ret = rf_perf_ring_read(&ring->ring, rf_perf_ring_head(&ring->ring), perf->record, take_side, &reading,
				    &records, &bytes);

	add_to(&ring->records, records);
	add_to(&ring->bytes, bytes);
	return ret;
}

static int take_call(void *context, const struct perf_event_header *header)
{
	struct reading *reading = context;
	struct rf_call_ring *ring = reading->ring;
	struct { struct perf_event_header header; u64 id, lost; } told;

	if (header->type == PERF_RECORD_LOST && header->size >= sizeof(told)) {
		memcpy(&told, header, sizeof(told));
		ring->told += told.lost;
		return 0;
	}
	return rf_round_take_call(&reading->perf->rounds, ring->stream, reading->perf->calls->isa, header,
				  &reading->perf->error);
}

/* Calls, and how many there was no room for. */
static int read_calls(struct rf_perf *perf)
{
	int ret = 0;

	if (perf->calls)
		rf_call_events_count_lost(perf->calls);
	for (size_t c = 0; perf->calls && c < perf->calls->nr && !ret; c++) {
		struct rf_call_ring *ring = &perf->calls->rings[c];
		struct reading reading = { perf, ring };
		u64 records, bytes, lost;

		if (ring->fd < 0)
			continue;
		ret = rf_perf_ring_read(&ring->ring, ring->head, perf->record, take_call, &reading, &records, &bytes);
		lost = max_u64(ring->counted, ring->told);
		if (lost > ring->lost) {
			rf_stacks_missed(perf->rounds.stacks, RF_NO_STACK_RING, lost - ring->lost);
			ring->lost = lost;
		}
	}
	return ret;
}

/* Records that this ring lost so far. Its events count them at once (Linux 6.0); the ring tells when it has room. */
static u64 count_lost(struct side_ring *ring)
{
	return max_u64(rf_perf_lost(ring->fd) + rf_perf_lost(ring->faults_fd), ring->told.lost);
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
	/* What was mapped before these calls is in the other rings by now. */
	for (size_t c = 0; perf->calls && c < perf->calls->nr; c++)
		if (perf->calls->rings[c].fd >= 0)
			perf->calls->rings[c].head = rf_perf_ring_head(&perf->calls->rings[c].ring);
	for (size_t c = 0; c < perf->nr && !ret; c++)
		if (perf->rings[c].fd >= 0)
			ret = read_ring(perf, c);
	if (!ret)
		ret = read_calls(perf);
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
	for (size_t c = 0; perf->calls && c < perf->calls->nr && !ret; c++)
		if (perf->calls->rings[c].fd >= 0)
			ret = rf_writer_flush(perf->rounds.writer, perf->calls->rings[c].stream, &perf->error);
	if (perf->rounds.stacks && !ret)
		ret = rf_stacks_flush(perf->rounds.stacks, &perf->error);
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
		poll(fds, perf->nr_polled, ROUND_MS);
		if (fds[STOP_FD].revents)
			break;
		for (size_t i = FIXED_FDS; i < perf->nr_polled; i++)
			if (fds[i].revents & (POLLHUP | POLLERR))
				fds[i].fd = -1;	/* its CPU went offline: rounds go on all the same */
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
	if (!perf->result && perf->rounds.stacks)
		perf->result = rf_stacks_finish(perf->rounds.stacks, &perf->error);
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
	struct side_ring *ring = &perf->rings[cpu];
	int ret;

	ring->fd = open_side_band((int)cpu, perf->ring_bytes);
	if (ring->fd == -ENODEV || ring->fd == -EINVAL)
		return 0;		/* the CPU is offline */
	if (ring->fd < 0)
		return rf_perf_open_failed(ring->fd, err);
	ret = rf_perf_ring_map(&ring->ring, ring->fd, perf->ring_bytes, err);
	if (ret)
		return ret;
	ring->told.stream = rf_writer_add_stream(perf->rounds.writer, &info);
	if (ring->told.stream < 0)
		return rf_error_set(err, ring->told.stream, RF_NO_OFFSET, "cannot add a stream: %s",
				    strerror(-ring->told.stream));
	if (!perf->faults)
		return 0;
	ring->faults_fd = open_faults((int)cpu, perf->ring_bytes);
	if (ring->faults_fd < 0)
		return rf_perf_open_failed(ring->faults_fd, err);
	if (ioctl(ring->faults_fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "perf: page faults cannot share a ring: %s",
				    strerror(errno));
	return 0;
}

static void free_perf(struct rf_perf *perf)
{
	for (size_t c = 0; c < perf->nr; c++) {
		rf_perf_ring_unmap(&perf->rings[c].ring);
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
	rf_stacks_destroy(perf->rounds.stacks);
	free(perf->polled);
	free(perf->record);
	free(perf);
}

static int begin_calls(struct rf_perf *perf, const struct rf_perf_options *options, struct rf_error *err)
{
	perf->calls = options->calls;
	perf->rounds.stacks = rf_stacks_create(perf->rounds.writer, err);
	if (!perf->rounds.stacks)
		return err->code;
	if (options->command)
		rf_spaces_emptied(rf_stacks_spaces(perf->rounds.stacks), options->command);
	for (size_t i = 0; options->pids && i < options->pids->nr; i++)
		rf_spaces_look(rf_stacks_spaces(perf->rounds.stacks), options->pids->pids[i]);
	for (size_t c = 0; c < perf->calls->nr; c++) {
		struct rf_stream_info info = { .source = RF_SOURCE_PERF, .cpu = (u16)c };
		struct rf_call_ring *ring = &perf->calls->rings[c];

		ring->stream = ring->fd >= 0 ? rf_writer_add_stream(perf->rounds.writer, &info) : 0;
		if (ring->stream < 0)
			return rf_error_set(err, ring->stream, RF_NO_OFFSET, "cannot add a stream: %s",
					    strerror(-ring->stream));
	}
	if (!options->whole_system && rf_call_events_follow(perf->calls, options->pids))
		return 0;
	return rf_call_events_enable(perf->calls, err);
}

static void poll_one(struct rf_perf *perf, int fd)
{
	perf->polled[perf->nr_polled++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static void poll_all(struct rf_perf *perf)
{
	poll_one(perf, perf->stop_fd);
	poll_one(perf, perf->sync_fd);
	for (size_t c = 0; c < perf->nr; c++)
		poll_one(perf, perf->rings[c].fd);
	for (size_t c = 0; perf->calls && c < perf->calls->nr; c++)
		poll_one(perf, perf->calls->rings[c].fd);
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
	perf->record = malloc(RF_PERF_RECORD_MAX);
	perf->rounds.followed.learn = options->learn;
	perf->rounds.followed.context = options->context;
	for (size_t c = 0; c < cpus; c++)
		perf->rings[c].fd = perf->rings[c].faults_fd = -1;
	perf->nr = cpus;
	perf->polled = calloc(2 * cpus + FIXED_FDS, sizeof(*perf->polled));
	if (!perf->record || !perf->polled ||
	    (!options->whole_system && rf_followed_start(&perf->rounds.followed, options->pids)))
		ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	else
		rf_followed_look_around(&perf->rounds.followed);
	for (size_t c = 0; c < cpus && !ret; c++)
		ret = open_ring(perf, c, err);
	if (!ret && options->calls)
		ret = begin_calls(perf, options, err);
	if (!ret) {
		poll_all(perf);
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
	if (perf->rounds.stacks)
		losses->without_stack = rf_stacks_nr_missed(perf->rounds.stacks);
	ret = perf->result;
	if (ret)
		*err = perf->error;
	free_perf(perf);
	return ret;
}
