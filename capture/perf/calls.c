// SPDX-License-Identifier: MIT
/*
 * The event is that of all system calls, with a filter in the kernel on the numbers of those that change mappings. A
 * sample has the registers that unwinding begins with and a copy of the top of the stack, which is not kept. As that
 * costs whoever calls some microseconds, and the ring room, the event is that of the tasks recorded where it can be.
 */
#include "capture/perf/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "traces/events/calls.h"

#define SAMPLE_TYPE (PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_RAW | PERF_SAMPLE_REGS_USER | \
		     PERF_SAMPLE_STACK_USER)
#define RAW_ID 8	/* struct syscall_trace_enter: behind the common fields the call's number, and its arguments */

static const char *const names[] = {
	"mmap", "munmap", "mprotect", "pkey_mprotect", "mremap", "madvise", "process_madvise", "brk", "mlock", "mlock2",
	"munlock", "mlockall", "munlockall", "mbind", "msync", "shmat", "shmdt", "remap_file_pages", "clone", "clone3",
	"fork", "vfork", "execve", "execveat",
};

static struct perf_event_attr attributes(u64 event)
{
	return (struct perf_event_attr){
		.type = PERF_TYPE_TRACEPOINT,
		.config = event,
		.sample_period = 1,
		.sample_type = SAMPLE_TYPE,
		.sample_regs_user = RF_STACK_MASK,
		.sample_stack_user = RF_STACK_BYTES_MAX,
	};
}

/* Everybody's event, which is there first, and the ring for its samples or for those of others on this CPU. */
static int open_ring(struct rf_call_events *events, int cpu, struct rf_error *err)
{
	struct perf_event_attr attr = attributes(events->event);
	struct rf_call_ring *ring = &events->rings[cpu];

	attr.disabled = 1;
	ring->fd = rf_perf_open(&attr, -1, cpu, events->ring_bytes);
	if (ring->fd == -ENODEV) {
		ring->fd = -1;		/* the CPU is offline */
		return 0;
	}
	if (ring->fd < 0)
		return rf_perf_open_failed(ring->fd, err);
	if (ioctl(ring->fd, PERF_EVENT_IOC_SET_FILTER, events->filter))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "perf takes no filter for system calls: %s",
				    strerror(errno));
	return rf_perf_ring_map(&ring->ring, ring->fd, events->ring_bytes, err);
}

struct rf_call_events *rf_call_events_open(enum rf_isa isa, u64 event, size_t ring_bytes, struct rf_error *err)
{
	size_t cpus = (size_t)sysconf(_SC_NPROCESSORS_CONF);
	struct rf_call_events *events = calloc(1, sizeof(*events) + cpus * sizeof(events->rings[0]));
	int ret = 0;

	if (!events) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	events->isa = isa;
	events->event = event;
	events->ring_bytes = ring_bytes;
	events->nr = cpus;
	for (size_t c = 0; c < cpus; c++)
		events->rings[c].fd = -1;
	if (!rf_calls_filter_of(isa, names, ARRAY_SIZE(names), events->filter))
		ret = rf_error_set(err, -EOPNOTSUPP, RF_NO_OFFSET, "the calls of this architecture are not known");
	for (size_t c = 0; c < cpus && !ret; c++)
		ret = open_ring(events, (int)c, err);
	if (!ret)
		return events;
	rf_call_events_close(events);
	return NULL;
}

/* A thread that has ended meanwhile needs none. */
static bool follow_thread(struct rf_call_events *events, pid_t tid)
{
	struct perf_event_attr attr = attributes(events->event);

	attr.inherit = 1;
	attr.disabled = 1;
	for (size_t c = 0; c < events->nr; c++) {
		int fd;

		if (events->rings[c].fd < 0)
			continue;
		if (events->nr_of_tasks == RF_CALL_EVENTS_OF_TASKS)
			return false;
		fd = rf_perf_open(&attr, tid, (int)c, events->ring_bytes);
		if (fd == -ESRCH)
			return true;
		if (fd < 0)
			return false;
		events->of_tasks[events->nr_of_tasks++] = (struct rf_call_event_of_task){ fd, (u32)c };
		if (ioctl(fd, PERF_EVENT_IOC_SET_FILTER, events->filter) ||
		    ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, events->rings[c].fd) ||
		    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
			return false;
	}
	return true;
}

static void forget_tasks(struct rf_call_events *events)
{
	while (events->nr_of_tasks)
		close(events->of_tasks[--events->nr_of_tasks].fd);
}

bool rf_call_events_follow(struct rf_call_events *events, const struct rf_pid_list *pids)
{
	struct rf_pid_list tids = { 0 };
	size_t done = 0;
	bool can = true;

	/*
	 * Threads begun before their parent had its events are in the next listing. One that has inherited them
	 * already is sampled twice, which says the same twice.
	 */
	for (int round = 0; can && round < 2; round++) {
		for (size_t i = 0; can && i < pids->nr; i++) {
			int added = rf_threads_of(pids->pids[i], &tids);

			can = added >= 0 || added == -ESRCH;
		}
		for (; can && done < tids.nr; done++)
			can = follow_thread(events, tids.pids[done]);
	}
	rf_pid_list_free(&tids);
	if (!can)
		forget_tasks(events);
	return can;
}

int rf_call_events_enable(struct rf_call_events *events, struct rf_error *err)
{
	for (size_t c = 0; c < events->nr; c++)
		if (events->rings[c].fd >= 0 && ioctl(events->rings[c].fd, PERF_EVENT_IOC_ENABLE, 0))
			return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot enable a perf event: %s",
					    strerror(errno));
	return 0;
}

void rf_call_events_count_lost(struct rf_call_events *events)
{
	for (size_t c = 0; c < events->nr; c++)
		events->rings[c].counted = rf_perf_lost(events->rings[c].fd);
	for (size_t i = 0; i < events->nr_of_tasks; i++)
		events->rings[events->of_tasks[i].cpu].counted += rf_perf_lost(events->of_tasks[i].fd);
}

void rf_call_events_close(struct rf_call_events *events)
{
	if (!events)
		return;
	forget_tasks(events);
	for (size_t c = 0; c < events->nr; c++) {
		rf_perf_ring_unmap(&events->rings[c].ring);
		if (events->rings[c].fd >= 0)
			close(events->rings[c].fd);
	}
	free(events);
}

/* ---- samples --------------------------------------------------------------------- */

struct sample_head {
	struct perf_event_header header;
	u32 pid, tid;
	u64 time;
};

bool rf_call_event_task(const struct perf_event_header *header, pid_t *pid, u64 *time)
{
	struct sample_head head;

	if (header->type != PERF_RECORD_SAMPLE || header->size < sizeof(head))
		return false;
	memcpy(&head, header, sizeof(head));
	*pid = (pid_t)head.pid;
	*time = head.time;
	return true;
}

struct bytes {
	const u8 *next;
	size_t left;
};

static bool take(struct bytes *bytes, void *to, size_t size)
{
	if (bytes->left < size)
		return false;
	if (to)
		memcpy(to, bytes->next, size);
	bytes->next += size;
	bytes->left -= size;
	return true;
}

/* Which of the calls. What was recorded of it is what its event tells; here only its kind is wanted. */
static bool take_call(enum rf_isa isa, struct bytes *bytes, u8 *kind)
{
	static const u64 no_arguments[6];
	struct rf_record record = { 0 };
	enum rf_numbering numbering;
	u8 raw[RAW_ID + sizeof(u64)];
	u64 number;
	size_t row;
	u32 size;

	if (!take(bytes, &size, sizeof(size)) || size < sizeof(raw) || !take(bytes, raw, sizeof(raw)) ||
	    !take(bytes, NULL, size - sizeof(raw)))
		return false;
	memcpy(&number, raw + RAW_ID, sizeof(number));
	if (!rf_calls_native(isa, &numbering) || !rf_call_entry(numbering, number, no_arguments, &record, &row))
		return false;
	*kind = record.kind;
	return true;
}

static bool take_registers(struct bytes *bytes, u64 registers[RF_STACK_REGISTERS])
{
	static const u8 order[] = RF_STACK_ORDER;
	u64 abi;

	if (!take(bytes, &abi, sizeof(abi)) || abi != PERF_SAMPLE_REGS_ABI_64)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (!take(bytes, &registers[order[i]], sizeof(u64)))
			return false;
	return true;
}

bool rf_call_event_sample(enum rf_isa isa, const struct perf_event_header *header, struct rf_stack_sample *sample)
{
	struct bytes bytes = { (const u8 *)header + sizeof(struct sample_head),
			       header->size - sizeof(struct sample_head) };
	u64 size = 0, used = 0;
	struct sample_head head;

	memcpy(&head, header, sizeof(head));
	*sample = (struct rf_stack_sample){ .time = head.time, .pid = head.pid, .tid = head.tid };
	if (!take_call(isa, &bytes, &sample->call) || !take_registers(&bytes, sample->registers) ||
	    !take(&bytes, &size, sizeof(size)))
		return false;
	sample->bytes = bytes.next;
	if (size && (!take(&bytes, NULL, size) || !take(&bytes, &used, sizeof(used)) || used > size ||
		     used > RF_STACK_BYTES_MAX))
		return false;
	sample->size = (u32)used;
	return true;
}
