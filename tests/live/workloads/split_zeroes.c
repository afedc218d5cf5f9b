// SPDX-License-Identifier: MIT
/*
 * Splits of folios that hold mostly zeroes, whose pages become the zero page:
 * of 64K folios by each advice that splits, of a 2M page that a PMD maps, and
 * of folios that a child maps, too. To be begun on one CPU: x86 unmaps a folio with one
 * flush where mm_cpumask() has another one, and since 6.14 when it forgets one
 * that the program has left is a matter of time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define FOLIO (16 * PAGE)
#define HUGE (512 * PAGE)
#define FOLIOS 8

static char *map(size_t size)
{
	char *area = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return (char *)(((unsigned long)area + HUGE - 1) & ~(HUGE - 1));
}

/* Pages 3 and 9 of each folio hold something; the advice is on page 9 of one, on page 0 of the next. */
static void split_small(int advice)
{
	char *area = map(FOLIOS * FOLIO);

	for (int i = 0; i < FOLIOS; i++) {
		area[i * FOLIO + 3 * PAGE] = 1;
		area[i * FOLIO + 9 * PAGE] = 1;
		madvise(area + i * FOLIO + (i & 1 ? 0 : 9 * PAGE), PAGE, advice);
	}
	area[PAGE] = 1;		/* a copy of the zero page, if it is one now */
}

static void split_huge(int advice, int written, int advised)
{
	char *area = map(HUGE);

	madvise(area, HUGE, MADV_HUGEPAGE);
	area[written * PAGE] = 1;
	madvise(area + advised * PAGE, PAGE, advice);
	area[PAGE] = 1;
}

/* The child has let go of its page table's other half, so the folio is split where both map it. */
static void split_shared(void)
{
	char *area = map(FOLIOS * FOLIO);
	pid_t child;

	for (int i = 0; i < FOLIOS; i++)
		area[i * FOLIO + 5 * PAGE] = 1;
	child = fork();
	if (!child) {
		munmap(area, FOLIOS * FOLIO / 2);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	madvise(area + 2 * PAGE, FOLIOS * FOLIO / 2, MADV_FREE);
	madvise(area + FOLIOS * FOLIO / 2 + PAGE, PAGE, MADV_COLD);
}

int main(void)
{
	static const int advice[] = { MADV_FREE, MADV_COLD, MADV_PAGEOUT };

	for (int i = 0; i < 3; i++)
		split_small(advice[i]);
	split_huge(MADV_FREE, 0, 300);
	split_huge(MADV_COLD, 300, 300);
	split_huge(MADV_COLD, 511, 2);
	split_shared();
	return 0;
}
