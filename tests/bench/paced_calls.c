// SPDX-License-Identifier: MIT
/*
 * usage: paced_calls CALLS PAUSE
 *
 * What a call takes that changes mappings, made so often: CALLS times four pages are touched and given back, from ten
 * functions deep, and PAUSE us of CPU time go by. Prints us of CPU time of a call, with its faults, without the pause.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BYTES 16384ul
#define SOME_TURNS 20000000l

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static __attribute__((noinline)) void give_back(char *memory, int depth)
{
	if (depth)
		give_back(memory, depth - 1);
	else
		madvise(memory, BYTES, MADV_DONTNEED);
	__asm__ volatile("" ::: "memory");
}

/* No system call goes by. */
static __attribute__((noinline)) void spin(long turns)
{
	for (volatile long i = 0; i < turns; i++)
		;
}

int main(int argc, char **argv)
{
	long calls = argc > 1 ? atol(argv[1]) : 40000;
	double pause = argc > 2 ? atof(argv[2]) : 60, begin = now(), turn;
	long turns;
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	spin(SOME_TURNS);
	turn = (now() - begin) / SOME_TURNS;
	turns = (long)(pause / turn);
	begin = now();
	for (long i = 0; memory != MAP_FAILED && i < calls; i++) {
		memset(memory, 1, BYTES);
		give_back(memory, 10);
		spin(turns);
	}
	printf("%.2f\n", (now() - begin) / (double)calls - (double)turns * turn);
	return 0;
}
