// SPDX-License-Identifier: MIT
/*
 * Four phases with counts that can be told beforehand, on small pages whatever the machine's settings are, each between
 * marks in a trace_marker.
 *
 *	phases TRACE_MARKER
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 512ul
#define SIZE (PAGES * PAGE)

static int marks;

static void mark(const char *what, const char *label)
{
	if (dprintf(marks, "WL %s %s\n", what, label) < 0)
		exit(1);
}

static void write_all(volatile char *area)
{
	for (size_t i = 0; i < SIZE; i += PAGE)
		area[i] = 1;
}

int main(int argc, char **argv)
{
	pid_t child;
	char *area;

	marks = argc > 1 ? open(argv[1], O_WRONLY) : -1;
	area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (marks < 0 || area == MAP_FAILED || madvise(area, SIZE, MADV_NOHUGEPAGE))
		return 1;
	mark("BEGIN", "touch");
	write_all(area);
	mark("END", "touch");
	child = fork();
	if (!child) {
		mark("BEGIN", "copy");
		write_all(area);
		mark("END", "copy");
		_exit(0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		return 1;
	mark("BEGIN", "drop");
	if (madvise(area, SIZE / 2, MADV_DONTNEED))
		return 1;
	mark("END", "drop");
	mark("BEGIN", "unmap");
	if (munmap(area, SIZE))
		return 1;
	mark("END", "unmap");
	return 0;
}
