// SPDX-License-Identifier: MIT
/*
 * Calls from places that have names: a server that gives memory back from one, protects it from another, and maps it
 * from a third. Said on standard output is how often; then it waits for a line, and does it all again.
 *
 *	call_sites [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES (64ul << 10)

/* A function of this name, and no copy of it; clang makes none, and does not know the word. */
#ifdef __clang__
#define A_FRAME __attribute__((noinline))
#else
#define A_FRAME __attribute__((noinline, noclone))
#endif
/* Nothing is done behind a call by whoever made it, but no frame is left out for that. */
#define STAYS() __asm__ volatile("" ::: "memory")

static A_FRAME void give_back(char *memory)
{
	madvise(memory, BYTES, MADV_DONTNEED);
	STAYS();
}

static A_FRAME void seal(char *memory)
{
	mprotect(memory, BYTES, PROT_READ);
	mprotect(memory, BYTES, PROT_READ | PROT_WRITE);
	STAYS();
}

/* Room that is not used: a frame of half a page. */
static A_FRAME void serve(char *memory, int rounds)
{
	volatile char room[2048];

	for (int i = 0; i < rounds; i++) {
		room[i % 2048] = (char)i;
		memset(memory, i, BYTES);
		give_back(memory);
		memset(memory, i, BYTES);
		if (room[i % 2048] % 4 == 0)
			seal(memory);
	}
	STAYS();
}

static A_FRAME void work(int rounds)
{
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		exit(1);
	serve(memory, rounds);
	munmap(memory, BYTES);
	STAYS();
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100;
	char line[16];

	work(rounds);
	printf("%d\n", rounds);
	fflush(stdout);
	if (read(STDIN_FILENO, line, sizeof(line)) > 0)
		work(rounds);
	return 0;
}
