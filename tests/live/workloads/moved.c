// SPDX-License-Identifier: MIT
/*
 * Pages of a file that are unmapped by MADV_PAGEOUT, before the program moves to another CPU, after, and when the
 * kernel has forgotten the first: x86 puts off flushes of reclaim only where another CPU is in mm_cpumask().
 *
 *	moved FILE
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 8

static char *map(int fd)
{
	char *area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	for (unsigned long page = 0; page < PAGES; page++)
		area[page * PAGE] = 1;
	return area;
}

static void page_out(int fd)
{
	for (int i = 0; i < 5; i++) {
		char *area = map(fd);

		madvise(area, PAGES * PAGE, MADV_PAGEOUT);
		munmap(area, PAGES * PAGE);
	}
}

/* Flushes for longer than a second: now and then they take CPUs out of the mask that the program has left. */
static void be_forgotten(int fd)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	for (int i = 0; i < 50; i++) {
		munmap(map(fd), PAGES * PAGE);
		nanosleep(&pause, NULL);
	}
}

static void move_to(int cpu)
{
	cpu_set_t there;

	CPU_ZERO(&there);
	CPU_SET(cpu, &there);
	sched_setaffinity(0, sizeof(there), &there);	/* refused where there is one CPU only: it stays */
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;

	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		return 1;
	for (int cpu = 0; cpu < 2; cpu++) {
		move_to(cpu);
		page_out(fd);
		be_forgotten(fd);
		page_out(fd);
	}
	return 0;
}
