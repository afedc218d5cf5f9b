// SPDX-License-Identifier: MIT
/*
 * MADV_PAGEOUT of clean pages of a file, while another thread runs on the other
 * CPU: their flushes are deferred, and done for many pages at once.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEGABYTE (1ul << 20)
#define SIZE (16 * MEGABYTE)
#define PAGE 4096ul

static atomic_bool running, stop;

static void run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void *spin(void *unused)
{
	struct sched_param urgent = { .sched_priority = 1 };

	run_on(1);
	sched_setscheduler(0, SCHED_RR, &urgent);
	atomic_store(&running, true);
	while (!atomic_load(&stop))
		;
	return unused;
}

int main(void)
{
	char name[] = "/var/tmp/pageout_file-XXXXXX";
	int fd = mkstemp(name);
	char *buffer = calloc(1, MEGABYTE);
	pthread_t other;
	char *area;

	if (fd < 0 || unlink(name) || !buffer)
		return 1;
	for (size_t i = 0; i < SIZE; i += MEGABYTE)
		if (write(fd, buffer, MEGABYTE) != (ssize_t)MEGABYTE)
			return 1;
	if (fsync(fd))
		return 1;
	area = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		return 1;
	run_on(0);
	for (size_t i = 0; i < SIZE; i += PAGE)
		(void)*(volatile char *)(area + i);
	pthread_create(&other, NULL, spin, NULL);
	while (!atomic_load(&running))
		;
	madvise(area, SIZE, MADV_PAGEOUT);
	atomic_store(&stop, true);
	pthread_join(other, NULL);
	(void)*(volatile char *)(area + SIZE / 2);
	return 0;
}
