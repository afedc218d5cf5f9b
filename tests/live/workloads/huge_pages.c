// SPDX-License-Identifier: MIT
/*
 * hugetlb: private and shared mappings, copy-on-write after fork, DONTNEED, a partial unmapping; beside ordinary
 * memory. Needs some 24 huge pages of 2M.
 *
 *	huge_pages
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE (2ul << 20)

static char *map(size_t size, int flags)
{
	char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return area;
}

static void touch(char *area, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step)
		area[at] = 1;
}

int main(void)
{
	char *private = map(4 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
	char *shared = map(4 * HUGE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB);
	char *small = map(4 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS);
	pid_t child;

	touch(private, 3 * HUGE, HUGE);
	touch(shared, 2 * HUGE, HUGE);
	touch(small, 4 * HUGE, 4096 * 3);
	child = fork();
	touch(private, 2 * HUGE, HUGE);
	touch(shared, 4 * HUGE, HUGE);
	touch(small, HUGE, 4096);
	madvise(private, HUGE, MADV_DONTNEED);
	munmap(private + 2 * HUGE, HUGE);
	mprotect(shared, HUGE, PROT_READ);
	if (child)
		wait(NULL);
	return 0;
}
