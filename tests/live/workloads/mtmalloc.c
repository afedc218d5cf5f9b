// SPDX-License-Identifier: MIT
/*
 * Threads that allocate, touch and free blocks of mixed sizes: arenas, trims and
 * mmapped blocks of several threads in one address space.
 *
 *	mtmalloc [THREADS [ITERATIONS]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 64
#define SLOTS 256

static int iterations = 20000;

static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

/* Mostly small, some of many pages, a few that malloc maps on their own. */
static size_t choose_size(unsigned int *seed)
{
	unsigned int lot = next_random(seed) % 100;
	unsigned int size = next_random(seed);

	if (lot < 95)
		return 16 + size % 4000;
	if (lot < 99)
		return 4096 + size % 65536;
	return 200000 + size % 800000;
}

static void *churn(void *number)
{
	unsigned int seed = (unsigned int)(size_t)number * 7919 + 1;
	void *blocks[SLOTS] = { NULL };

	for (int i = 0; i < iterations; i++) {
		unsigned int slot = next_random(&seed) % SLOTS;
		size_t size = choose_size(&seed);

		free(blocks[slot]);
		blocks[slot] = malloc(size);
		if (!blocks[slot])
			exit(1);
		memset(blocks[slot], 1, size > 65536 ? size / 2 : size);
	}
	/* What is still allocated stays, for the page table at exit. */
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 4;
	pthread_t ids[MAX_THREADS];

	if (argc > 2)
		iterations = atoi(argv[2]);
	if (threads < 1 || threads > MAX_THREADS)
		return 2;
	for (int i = 0; i < threads; i++) {
		if (pthread_create(&ids[i], NULL, churn, (void *)(size_t)i)) {
			fprintf(stderr, "mtmalloc: cannot create a thread\n");
			return 1;
		}
	}
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	return 0;
}
