// SPDX-License-Identifier: MIT
/*
 * usage: faults MIB ROUNDS
 *
 * What a fault and an unmapped page take: maps MIB of memory, touches each page, and unmaps it, ROUNDS times. Prints
 * ns of a fault and of an unmapped page (the median of the rounds), and the CPU time of it all in ns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MOST_ROUNDS 1000

/* Others run here, too. */
static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, int nr)
{
	qsort(values, (size_t)nr, sizeof(*values), by_value);
	return values[nr / 2];
}

int main(int argc, char **argv)
{
	size_t size = (size_t)(argc > 1 ? atoi(argv[1]) : 16) << 20, page = (size_t)sysconf(_SC_PAGESIZE);
	int rounds = argc > 2 ? atoi(argv[2]) : 10;
	static double touched[MOST_ROUNDS], unmapped[MOST_ROUNDS];
	struct rusage usage;

	if (rounds < 1 || rounds > MOST_ROUNDS)
		return 2;
	for (int i = 0; i < rounds; i++) {
		char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		double began, filled;

		if (memory == MAP_FAILED || madvise(memory, size, MADV_NOHUGEPAGE))
			return 1;
		began = now();
		for (size_t at = 0; at < size; at += page)
			memory[at] = 1;
		filled = now();
		munmap(memory, size);
		touched[i] = (filled - began) / (double)(size / page);
		unmapped[i] = (now() - filled) / (double)(size / page);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("%.1f %.1f %.0f\n", median(touched, rounds), median(unmapped, rounds),
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3);
	return 0;
}
