// SPDX-License-Identifier: MIT
/*
 * process_vm_readv() of a child's memory, one area after the other, each between marks in a trace_marker: a folio of
 * 64K, a huge page of 2M, two of them of which the second has not been touched; and of 1G, if asked for.
 *
 *	pins TRACE_MARKER [gigantic]
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL (64ul << 10)
#define HUGE (2ul << 20)
#define GIGANTIC (1ul << 30)
#define HUGE_SHIFT_OF(n) ((n) << 26)

static int marks;

static void *map(size_t size, int flags)
{
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags,
			  -1, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return area;
}

static void pin(const char *label, pid_t child, void *into, void *from, size_t size)
{
	struct iovec local = { into, size }, remote = { from, size };

	if (dprintf(marks, "WL BEGIN %s\n", label) < 0 ||
	    process_vm_readv(child, &local, 1, &remote, 1, 0) != (ssize_t)size ||
	    dprintf(marks, "WL END %s\n", label) < 0) {
		perror(label);
		kill(child, SIGKILL);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	bool gigantic = argc > 2 && !strcmp(argv[2], "gigantic");
	char *folios, *small, *huge, *two, *giant = NULL, *into;
	pid_t child;
	int ready[2];
	char byte = 0;

	marks = argc > 1 ? open(argv[1], O_WRONLY) : -1;
	folios = map(2 * SMALL, 0);
	small = (char *)(((unsigned long)folios + SMALL - 1) & ~(SMALL - 1));
	huge = map(HUGE, MAP_HUGETLB);
	two = map(2 * HUGE, MAP_HUGETLB | (int)HUGE_SHIFT_OF(21));
	if (gigantic)
		giant = map(GIGANTIC, MAP_HUGETLB | (int)HUGE_SHIFT_OF(30));
	if (marks < 0 || pipe(ready))
		return 1;
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(small, 1, SMALL);
		*huge = 1;
		*two = 1;
		if (giant)
			*giant = 1;
		if (write(ready[1], &byte, 1) != 1)
			return 1;
		pause();
		return 0;
	}
	into = map(gigantic ? GIGANTIC : 2 * HUGE, MAP_POPULATE);
	if (child < 0 || read(ready[0], &byte, 1) != 1)
		return 1;
	pin("folio", child, into, small, SMALL);
	pin("huge", child, into, huge, HUGE);
	pin("part", child, into, huge + 100, HUGE / 2);
	pin("two", child, into, two, 2 * HUGE);
	if (gigantic)
		pin("gigantic", child, into, giant, GIGANTIC);
	kill(child, SIGTERM);
	return waitpid(child, NULL, 0) != child;
}
