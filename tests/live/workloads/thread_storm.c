// SPDX-License-Identifier: MIT
/*
 * Threads that come and go, and map, move, protect and unmap memory of their own and of each other, with forks amid.
 *
 *	thread_storm ROUNDS
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 16
#define SIZE (256ul << 10)
#define PAGE 4096ul

static char *common;

static void *work(void *number)
{
	size_t seed = (size_t)number, half = SIZE / 2;
	char *own = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *moved;

	if (own == MAP_FAILED)
		exit(1);
	for (size_t at = 0; at < SIZE; at += PAGE * (1 + seed % 3))
		own[at] = common[(at + seed * PAGE * 5) % SIZE] = 1;
	mprotect(own, half, PROT_READ);
	mprotect(own, half, PROT_READ | PROT_WRITE);
	madvise(own + half, half / 2, MADV_DONTNEED);
	moved = mremap(own, SIZE, 2 * SIZE, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED)
		exit(1);
	memset(moved + SIZE, 2, SIZE / 4);
	if (seed % 4 == 0)
		madvise(common + seed % 32 * PAGE, 4 * PAGE, MADV_DONTNEED);
	munmap(moved + PAGE * (seed % 8), SIZE);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	common = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int round = 0, rounds = atoi(argv[1]); round < rounds; round++) {
		for (size_t i = 0; i < THREADS; i++) {
			if (pthread_create(&threads[i], NULL, work, (void *)(i + round)))
				return 1;
		}
		if (round % 4 == 0 && !fork()) {
			memset(common, 3, SIZE);
			_exit(0);
		}
		for (size_t i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
