// SPDX-License-Identifier: MIT
/* perf events and their rings: opened, mapped, read. */
#include "capture/perf/rings.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int rf_perf_open(struct perf_event_attr *attr, pid_t task, int cpu, size_t ring_bytes)
{
	long fd;

	attr->size = sizeof(*attr);
	attr->use_clockid = 1;
	attr->clockid = CLOCK_MONOTONIC;
	attr->watermark = 1;
	attr->wakeup_watermark = (u32)(ring_bytes / 4);
	attr->read_format = PERF_FORMAT_LOST;
	fd = syscall(SYS_perf_event_open, attr, task, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 && errno == EINVAL) {
		attr->read_format = 0;	/* before Linux 6.0 */
		fd = syscall(SYS_perf_event_open, attr, task, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	}
	return fd < 0 ? -errno : (int)fd;
}

int rf_perf_open_failed(int ret, struct rf_error *err)
{
	return rf_error_set(err, ret, RF_NO_OFFSET, "perf_event_open: %s%s", strerror(-ret),
			    ret == -EACCES || ret == -EPERM ? ": CAP_PERFMON is missing, see also kernel.perf_event_paranoid" : "");
}

int rf_perf_ring_map(struct rf_perf_ring *ring, int fd, size_t bytes, struct rf_error *err)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page_size + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot map a perf ring: %s%s", strerror(errno),
				    errno == EPERM ? ": see kernel.perf_event_mlock_kb, or CAP_IPC_LOCK" : "");
	ring->page = memory;
	ring->data = (const u8 *)memory + page_size;
	ring->bytes = bytes;
	return 0;
}

void rf_perf_ring_unmap(struct rf_perf_ring *ring)
{
	if (ring->page)
		munmap(ring->page, (size_t)sysconf(_SC_PAGESIZE) + ring->bytes);
	ring->page = NULL;
}

u64 rf_perf_ring_head(const struct rf_perf_ring *ring)
{
	return __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
}

int rf_perf_ring_read(struct rf_perf_ring *ring, u64 head, u8 *whole, rf_perf_take *take, void *context, u64 *records,
		      u64 *bytes)
{
	u64 tail = ring->page->data_tail, begin = tail;
	int ret = 0;

	*records = 0;
	while (tail < head && !ret) {
		size_t at = tail & (ring->bytes - 1);
		const struct perf_event_header *header = (const void *)(ring->data + at);

		if (at + header->size > ring->bytes) {
			size_t first = ring->bytes - at;

			memcpy(whole, header, first);
			memcpy(whole + first, ring->data, header->size - first);
			header = (const void *)whole;
		}
		if (!header->size)
			break;
		ret = take(context, header);
		tail += header->size;
		++*records;
	}
	*bytes = tail - begin;
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return ret;
}

u64 rf_perf_lost(int fd)
{
	u64 counts[2];	/* value, lost */

	return fd >= 0 && read(fd, counts, sizeof(counts)) == sizeof(counts) ? counts[1] : 0;
}
