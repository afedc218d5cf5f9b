// SPDX-License-Identifier: MIT
/*
 * MADV_PAGEOUT of what it meets: folios to be swapped, lazily freed ones that
 * are clean, dirty again, or dirty again in part, pages that somebody else
 * refers to (a pipe, so that they are unmapped and kept), shared memory, a 2M
 * page, all of them in several page tables; then some of it is touched again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096ul
#define FOLIO (16 * PAGE)
#define HUGE (512 * PAGE)

static char *map(size_t size, int flags)
{
	char *area = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return (char *)(((unsigned long)area + HUGE - 1) & ~(HUGE - 1));
}

static void fill(char *area, size_t size)
{
	for (size_t i = 0; i < size; i += 64)
		area[i] = (char)(i / 64 * 37 + i / PAGE);
}

static void pageout(char *area, size_t size)
{
	if (madvise(area, size, MADV_PAGEOUT))
		perror("MADV_PAGEOUT");
}

/* The pipe holds on to these pages. */
static void refer(int pipe, char *page, size_t size)
{
	struct iovec iovec = { page, size };

	if (vmsplice(pipe, &iovec, 1, SPLICE_F_NONBLOCK) != (ssize_t)size)
		perror("vmsplice");
}

int main(void)
{
	char *area = map(3 * HUGE, MAP_PRIVATE);
	int pipes[2];

	if (pipe(pipes))
		return 1;
	fill(area, 2 * HUGE);
	/* Kept: the first folio, one in the middle, the last of the first table, the last of all. */
	refer(pipes[1], area, PAGE);
	refer(pipes[1], area + 10 * FOLIO + 3 * PAGE, 2 * PAGE);
	refer(pipes[1], area + HUGE - PAGE, PAGE);
	refer(pipes[1], area + 2 * HUGE - FOLIO, PAGE);
	pageout(area, 2 * HUGE);
	area[5 * PAGE] = 1;
	area[10 * FOLIO] = 1;
	area[2 * HUGE - FOLIO + PAGE] = 1;

	area = map(2 * HUGE, MAP_PRIVATE);
	fill(area, 2 * HUGE);
	madvise(area, 2 * HUGE, MADV_FREE);
	area[3 * FOLIO] = 1;			/* dirty again at its start, in its middle, and all of it */
	area[7 * FOLIO + 9 * PAGE] = 1;
	fill(area + HUGE + 2 * FOLIO, FOLIO);
	pageout(area, 2 * HUGE);
	area[3 * FOLIO + PAGE] = 1;
	area[HUGE] = 1;
	pageout(area + 2 * FOLIO, HUGE);	/* those that were dirty are swapped now */

	area = map(HUGE, MAP_SHARED);
	fill(area, HUGE / 2);
	pageout(area, HUGE);
	area[4 * PAGE] = 1;

	area = map(HUGE, MAP_PRIVATE);
	madvise(area, HUGE, MADV_HUGEPAGE);
	fill(area, HUGE);
	pageout(area, HUGE);
	area[17 * PAGE] = 1;
	return 0;
}
