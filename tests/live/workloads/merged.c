// SPDX-License-Identifier: MIT
/*
 * Equal pages in parent and child, that KSM is asked to merge (MADV_MERGEABLE) and are written to afterwards. ksmd must
 * be running; it is waited for, but not for longer than some seconds.
 *
 *	merged
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 512ul

static long merged_pages(void)
{
	long nr = 0;
	FILE *file = fopen("/proc/self/ksm_stat", "r");
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "ksm_merging_pages %ld", &nr) == 1)
			break;
	}
	if (file)
		fclose(file);
	return nr;
}

static void run(int seed)
{
	char *area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED || madvise(area, PAGES * PAGE, MADV_MERGEABLE))
		exit(1);
	for (size_t i = 0; i < PAGES; i++)
		memset(area + i * PAGE, i % 8, PAGE);
	for (int tries = 0; tries < 100 && merged_pages() < (long)PAGES / 2; tries++)
		usleep(20000);
	for (size_t i = seed; i < PAGES; i += 5)
		area[i * PAGE] = 'w';
	munmap(area + 16 * PAGE, 32 * PAGE);
	if (seed == 1 && madvise(area, PAGES * PAGE / 2, MADV_UNMERGEABLE))
		printf("partly unmapped\n");
}

int main(void)
{
	pid_t child = fork();

	run(child ? 1 : 2);
	if (child)
		wait(NULL);
	return 0;
}
