// SPDX-License-Identifier: MIT
/*
 * A GiB of hugetlb that a child inherits, with four huge pages: it reads them, makes the GiB read-only, reads them once
 * more. Each step is between marks in a trace_marker. All on one CPU: whom mprotect() interrupts depends on where the
 * child has run before.
 *
 *	shared_tables TRACE_MARKER
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE (2ul << 20)
#define GIB (1ul << 30)
#define PAGES 4

static void touch(const char *label, int marks, volatile char *area, char write)
{
	int i;

	dprintf(marks, "WL BEGIN %s\n", label);
	for (i = 0; i < PAGES; i++)
		if (write)
			area[i * HUGE] = write;
		else
			(void)area[i * HUGE];
	dprintf(marks, "WL END %s\n", label);
}

int main(int argc, char **argv)
{
	/* A multiple of a GiB; reserved, the GiB would be the pool's. */
	char *area = mmap((void *)(1ul << 42), GIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB |
			  MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	int marks = argc == 2 ? open(argv[1], O_WRONLY) : -1, status;
	cpu_set_t here;
	pid_t child;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (area == MAP_FAILED || marks < 0 || sched_setaffinity(0, sizeof(here), &here)) {
		perror(argv[0]);
		return 1;
	}
	touch("first", marks, area, 1);
	child = fork();
	if (!child) {
		touch("inherited", marks, area, 0);
		dprintf(marks, "WL BEGIN protect\n");
		if (mprotect(area, GIB, PROT_READ))
			_exit(1);
		dprintf(marks, "WL END protect\n");
		touch("again", marks, area, 0);
		_exit(0);
	}
	return child < 0 || waitpid(child, &status, 0) != child || status;
}
