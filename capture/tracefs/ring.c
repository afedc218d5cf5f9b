// SPDX-License-Identifier: MIT
/*
 * The drain. Whole pages come by splice, which moves them out of the ring without
 * copying; we wake when a ring is half full or a few times a second, never per
 * event. Once a second, and at the end, the page being written is read too, so
 * that a killed recorder loses a second at most.
 */
#include "capture/tracefs/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <kbuffer.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/rights/rights.h"

#define WAKE_MS 200
#define REST_NS 10000000	/* between wakes, where poll(2) of an older kernel reports every event */
#define FLUSH_NS 1000000000ull
#define PIPE_BYTES (256 << 10)
#define EVENT_GUESS 64		/* bytes of an event, where none was read */
#define LEAST_EVENT 8		/* bytes of the smallest event in a ring: header and common fields */

struct ring {
	int fd, stats_fd;
	int stream;
	int compat_stream;	/* -1: none yet */
	enum rf_instance instance;
	/* Written by the drain's thread, read by any. */
	u64 records;
	u64 pages;
	u64 lost;		/* reported to the writer */
	u64 gap;		/* the most of them at once */
	u64 by_kind[RF_RECORD_KIND_MAX];	/* records */
};

struct drain {
	struct rf_rings *rings;
	pthread_t thread;
	bool started;
	int cpu;
	int pipe[2];
	struct ring ring[RF_INSTANCES];
	struct kbuffer *kbuffer;
	u8 *pages;
	size_t pages_bytes;
	struct rf_record *records;
	int result;
	struct rf_error error;
};

struct rf_rings {
	struct rf_session *session;
	const struct rf_decoder *decoder;
	struct rf_writer *writer;
	u32 page_size;
	int stop_fd, failed_fd;
	size_t nr;
	struct drain drains[];
};

size_t rf_decode_page(struct kbuffer *kbuffer, const struct rf_decoder *decoder, void *page,
		      struct rf_record *records, s64 *missed)
{
	unsigned long long time;
	size_t nr = 0;
	void *event;

	kbuffer_load_subbuffer(kbuffer, page);
	*missed = kbuffer_missed_events(kbuffer);
	for (event = kbuffer_read_event(kbuffer, &time); event; event = kbuffer_next_event(kbuffer, &time))
		nr += rf_decode(decoder, event, (u32)kbuffer_event_size(kbuffer), time, &records[nr], RF_DECODE_MAX);
	return nr;
}

static void set(u64 *value, u64 now)
{
	__atomic_store_n(value, now, __ATOMIC_RELAXED);
}

static u64 get(const u64 *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static void note_gap(struct ring *ring, u64 missed)
{
	set(&ring->lost, ring->lost + missed);
	set(&ring->gap, max_u64(ring->gap, missed));
}

/* The kernel told that events are missing here. Where it does not say how many, its counters do. */
static int report_lost(struct drain *drain, struct ring *ring, s64 missed)
{
	struct rf_rings *rings = drain->rings;

	if (missed < 0) {
		u64 all = rf_session_lost(ring->stats_fd);

		missed = all > ring->lost ? (s64)(all - ring->lost) : 1;
	}
	note_gap(ring, (u64)missed);
	return rf_writer_lost(rings->writer, ring->stream, (u64)missed, &drain->error);
}

/* Few recordings have any: the stream is made when it is needed. */
static int compat_stream(struct drain *drain, struct ring *ring)
{
	struct rf_stream_info info = { .source = RF_SOURCE_COMPAT, .cpu = (u16)drain->cpu };

	if (ring->compat_stream < 0)
		ring->compat_stream = rf_writer_add_stream(drain->rings->writer, &info);
	if (ring->compat_stream < 0)
		rf_error_set(&drain->error, ring->compat_stream, RF_NO_OFFSET, "cannot add a stream: %s",
			     strerror(-ring->compat_stream));
	return ring->compat_stream;
}

/* What only 32-bit tasks say goes its own way. */
static int append_records(struct drain *drain, struct ring *ring, size_t nr)
{
	int ret = 0;

	for (size_t begin = 0, end; begin < nr && !ret; begin = end) {
		const struct rf_record *records = &drain->records[begin];
		int stream = records->compat ? compat_stream(drain, ring) : ring->stream;

		if (stream < 0)
			return stream;
		for (end = begin + 1; end < nr && drain->records[end].compat == records->compat; end++)
			;
		ret = rf_writer_append(drain->rings->writer, stream, records, end - begin, &drain->error);
	}
	return ret;
}

static int take_page(struct drain *drain, struct ring *ring, void *page)
{
	struct rf_rings *rings = drain->rings;
	s64 missed;
	size_t nr;
	int ret;

	nr = rf_decode_page(drain->kbuffer, rings->decoder, page, drain->records, &missed);
	if (missed) {
		ret = report_lost(drain, ring, missed);
		if (ret)
			return ret;
	}
	set(&ring->pages, ring->pages + 1);
	if (!nr)
		return 0;
	set(&ring->records, ring->records + nr);
	for (size_t i = 0; i < nr; i++)
		set(&ring->by_kind[drain->records[i].kind], ring->by_kind[drain->records[i].kind] + 1);
	return append_records(drain, ring, nr);
}

/* All whole pages. Returns how many, or a negative errno of the writer. */
static int drain_whole_pages(struct drain *drain, struct ring *ring)
{
	u32 page_size = drain->rings->page_size;
	int pages = 0, ret;

	for (;;) {
		ssize_t nr = splice(ring->fd, NULL, drain->pipe[1], NULL, drain->pages_bytes,
				    SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (nr <= 0)
			return pages;
		for (ssize_t got = 0; got < nr;) {
			ssize_t part = read(drain->pipe[0], drain->pages + got, (size_t)(nr - got));

			if (part <= 0)
				return pages;
			got += part;
		}
		for (ssize_t at = 0; at + page_size <= nr; at += page_size, pages++) {
			ret = take_page(drain, ring, drain->pages + at);
			if (ret)
				return ret;
		}
	}
}

/* What is left, the page being written included. */
static int drain_rest(struct drain *drain, struct ring *ring)
{
	u32 page_size = drain->rings->page_size;
	int ret;

	while (read(ring->fd, drain->pages, page_size) > 0) {
		ret = take_page(drain, ring, drain->pages);
		if (ret)
			return ret;
	}
	return 0;
}

static int drain_all(struct drain *drain, bool rest, int *pages)
{
	*pages = 0;
	for (int i = 0; i < RF_INSTANCES; i++) {
		struct ring *ring = &drain->ring[i];
		int ret;

		if (ring->fd < 0)
			continue;
		ret = drain_whole_pages(drain, ring);
		if (ret < 0)
			return ret;
		*pages += ret;
		if (!rest)
			continue;
		ret = drain_rest(drain, ring);
		if (!ret)
			ret = rf_writer_flush(drain->rings->writer, ring->stream, &drain->error);
		if (!ret && ring->compat_stream >= 0)
			ret = rf_writer_flush(drain->rings->writer, ring->compat_stream, &drain->error);
		if (ret)
			return ret;
	}
	return 0;
}

/* Wait until a ring is half full, WAKE_MS passed, or we shall stop; true: stop. */
static bool wait_for_work(struct drain *drain)
{
	struct pollfd fds[RF_INSTANCES + 1] = { { .fd = drain->rings->stop_fd, .events = POLLIN } };

	for (int i = 0; i < RF_INSTANCES; i++)
		fds[i + 1] = (struct pollfd){ .fd = drain->ring[i].fd, .events = POLLIN };
	poll(fds, RF_INSTANCES + 1, WAKE_MS);
	return fds[0].revents;
}

static void *drain_thread(void *argument)
{
	struct drain *drain = argument;
	const struct timespec rest = { 0, REST_NS };
	u64 flushed = rf_monotonic();
	bool stop = false;
	int pages;

	rf_rights_confine();
	while (!stop) {
		bool flush;

		stop = wait_for_work(drain);
		flush = stop || rf_monotonic() - flushed >= FLUSH_NS;
		drain->result = drain_all(drain, flush, &pages);
		if (drain->result) {
			u64 one = 1;

			if (write(drain->rings->failed_fd, &one, sizeof(one)) < 0)
				return NULL;	/* cannot be: an eventfd takes a small number */
			return NULL;
		}
		if (flush)
			flushed = rf_monotonic();
		/* A half-full ring gives hundreds of pages: few pages mean poll woke us for nothing. */
		if (!stop && pages < 16)
			nanosleep(&rest, NULL);
	}
	return NULL;
}

static int prepare_drain(struct rf_rings *rings, struct drain *drain, int cpu, struct rf_error *err)
{
	static const enum rf_source sources[RF_INSTANCES] = { RF_SOURCE_TASK, RF_SOURCE_SYSTEM };
	int pipe_bytes;

	drain->rings = rings;
	drain->cpu = cpu;
	for (int i = 0; i < RF_INSTANCES; i++) {
		struct rf_stream_info info = { .source = sources[i], .cpu = (u16)cpu };
		struct ring *ring = &drain->ring[i];

		ring->instance = (enum rf_instance)i;
		ring->compat_stream = -1;
		ring->fd = rf_session_open_ring(rings->session, ring->instance, cpu);
		if (ring->fd == -ENOENT) {
			ring->fd = -1;	/* a gap in the CPU numbers */
			continue;
		}
		if (ring->fd < 0)
			return rf_error_set(err, ring->fd, RF_NO_OFFSET, "cannot open the ring of CPU %d: %s", cpu,
					    strerror(-ring->fd));
		ring->stream = rf_writer_add_stream(rings->writer, &info);
		if (ring->stream < 0)
			return rf_error_set(err, ring->stream, RF_NO_OFFSET, "cannot add a stream: %s",
					    strerror(-ring->stream));
		ring->stats_fd = rf_session_open_stats(rings->session, ring->instance, cpu);
	}
	if (pipe2(drain->pipe, O_CLOEXEC | O_NONBLOCK))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot make a pipe: %s", strerror(errno));
	pipe_bytes = fcntl(drain->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	if (pipe_bytes <= 0)
		pipe_bytes = fcntl(drain->pipe[1], F_GETPIPE_SZ);
	drain->pages_bytes = pipe_bytes > 0 ? (size_t)pipe_bytes : rings->page_size;
	drain->pages = malloc(drain->pages_bytes);
	drain->records = malloc(rings->page_size / LEAST_EVENT * sizeof(*drain->records));
	drain->kbuffer = kbuffer_alloc(KBUFFER_LSIZE_SAME_AS_HOST, KBUFFER_ENDIAN_SAME_AS_HOST);
	if (!drain->pages || !drain->records || !drain->kbuffer)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	return 0;
}

static void free_rings(struct rf_rings *rings)
{
	for (size_t c = 0; c < rings->nr; c++) {
		struct drain *drain = &rings->drains[c];

		for (int i = 0; i < RF_INSTANCES; i++) {
			if (drain->ring[i].fd >= 0)
				close(drain->ring[i].fd);
			if (drain->ring[i].stats_fd >= 0)
				close(drain->ring[i].stats_fd);
		}
		for (int i = 0; i < 2; i++)
			if (drain->pipe[i] >= 0)
				close(drain->pipe[i]);
		free(drain->pages);
		free(drain->records);
		if (drain->kbuffer)
			kbuffer_free(drain->kbuffer);
	}
	if (rings->stop_fd >= 0)
		close(rings->stop_fd);
	free(rings);
}

static void end_threads(struct rf_rings *rings)
{
	u64 one = 1;

	if (write(rings->stop_fd, &one, sizeof(one)) < 0)
		return;		/* cannot be */
	for (size_t c = 0; c < rings->nr; c++)
		if (rings->drains[c].started)
			pthread_join(rings->drains[c].thread, NULL);
}

struct rf_rings *rf_rings_start(struct rf_session *session, const struct rf_decoder *decoder,
				struct rf_writer *writer, int failed_fd, struct rf_error *err)
{
	size_t cpus = (size_t)sysconf(_SC_NPROCESSORS_CONF);
	struct rf_rings *rings = calloc(1, sizeof(*rings) + cpus * sizeof(rings->drains[0]));
	int ret = 0;

	if (!rings) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	rings->session = session;
	rings->decoder = decoder;
	rings->writer = writer;
	rings->failed_fd = failed_fd;
	rings->page_size = rf_session_page_size(session);
	rings->stop_fd = eventfd(0, EFD_CLOEXEC);
	for (size_t c = 0; c < cpus; c++) {
		struct drain *drain = &rings->drains[c];

		drain->pipe[0] = drain->pipe[1] = -1;
		for (int i = 0; i < RF_INSTANCES; i++)
			drain->ring[i].fd = drain->ring[i].stats_fd = -1;
	}
	for (rings->nr = 0; rings->nr < cpus && !ret;) {
		struct drain *drain = &rings->drains[rings->nr];

		ret = prepare_drain(rings, drain, (int)rings->nr++, err);
		if (!ret) {
			ret = -pthread_create(&drain->thread, NULL, drain_thread, drain);
			drain->started = !ret;
			if (ret)
				rf_error_set(err, ret, RF_NO_OFFSET, "cannot start a thread: %s", strerror(-ret));
		}
	}
	if (ret) {
		end_threads(rings);
		free_rings(rings);
		return NULL;
	}
	return rings;
}

void rf_rings_so_far(const struct rf_rings *rings, struct rf_rings_totals *totals)
{
	*totals = (struct rf_rings_totals){ 0 };
	for (size_t c = 0; c < rings->nr; c++)
		for (int i = 0; i < RF_INSTANCES; i++) {
			const struct ring *ring = &rings->drains[c].ring[i];
			u64 records = get(&ring->records), bytes = get(&ring->pages) * rings->page_size;
			u64 gap = get(&ring->gap) * (records ? bytes / records : EVENT_GUESS);

			totals->records += records;
			totals->lost += get(&ring->lost);
			totals->gap_bytes[i] = max_u64(totals->gap_bytes[i], gap);
		}
}

u64 rf_rings_records(const struct rf_rings *rings, enum rf_instance instance, u8 kind)
{
	u64 records = 0;

	for (size_t c = 0; c < rings->nr; c++)
		records += get(&rings->drains[c].ring[instance].by_kind[kind]);
	return records;
}

int rf_rings_stop(struct rf_rings *rings, struct rf_rings_totals *totals, struct rf_error *err)
{
	int ret = 0;

	end_threads(rings);
	for (size_t c = 0; c < rings->nr; c++) {
		struct drain *drain = &rings->drains[c];

		if (drain->result && !ret) {
			ret = drain->result;
			*err = drain->error;
		}
		for (int i = 0; i < RF_INSTANCES; i++) {
			struct ring *ring = &drain->ring[i];
			u64 all;

			if (ring->fd < 0)
				continue;
			all = rf_session_lost(ring->stats_fd);
			if (all > ring->lost && !drain->result) {
				rf_writer_lost(rings->writer, ring->stream, all - ring->lost, NULL);
				note_gap(ring, all - ring->lost);
			}
		}
	}
	rf_rings_so_far(rings, totals);
	free_rings(rings);
	return ret;
}
