// SPDX-License-Identifier: MIT
/*
 * Regions for khugepaged: with a hole, with pages that were read only (the zero
 * page), with many holes, full. Ends when it has collapsed
 * them, or after some seconds.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul
#define HUGE (512 * PAGE)
#define REGIONS 4
#define SECONDS 15

static unsigned long huge_kilobytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	unsigned long found = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "AnonHugePages: %lu", &found);
	if (file)
		fclose(file);
	return found;
}

int main(void)
{
	char *area = mmap(NULL, (REGIONS + 1) * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile char *memory = (char *)(((unsigned long)area + HUGE - 1) & ~(HUGE - 1));

	if (area == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	madvise((void *)memory, REGIONS * HUGE, MADV_NOHUGEPAGE);
	for (unsigned long page = 0; page < REGIONS * 512; page++) {
		unsigned long region = page / 512, index = page % 512;

		if (region == 0 && index < 16)
			continue;
		if (region == 1 && index % 32 == 5)
			(void)memory[page * PAGE];
		else if (region != 2 || index % 16 != 7)
			memory[page * PAGE] = 1;
	}
	madvise((void *)memory, REGIONS * HUGE, MADV_HUGEPAGE);
	for (int i = 0; i < SECONDS * 10 && huge_kilobytes() < REGIONS * HUGE / 1024; i++)
		usleep(100000);
	memory[3 * PAGE] = 1;		/* was a hole */
	return huge_kilobytes() ? 0 : 77;
}
