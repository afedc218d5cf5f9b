// SPDX-License-Identifier: MIT
/*
 * More memory than its control group allows: touch it all, walk it at random,
 * fork, let both sides go on, exit. With a limit below MEGABYTES this swaps out
 * and in throughout.
 *
 *	press [MEGABYTES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

static unsigned int seed = 7;
static size_t pages;
static volatile char *memory;

static size_t random_page(void)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 4) % pages * PAGE;
}

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 96) << 20;
	pid_t child;
	int status;

	pages = size / PAGE;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("press: mmap");
		return 1;
	}
	/* Contents that do not compress to nothing. */
	for (size_t i = 0; i < size; i += 64)
		memory[i] = (char)(i * 2654435761u >> 24);
	for (size_t i = 0; i < pages / 4; i++) {
		size_t page = random_page();

		if (seed & 0x100)
			memory[page] = 1;
		else
			(void)memory[page];
	}
	child = fork();
	if (!child) {
		for (int i = 0; i < 500; i++)
			memory[random_page()] = 2;
		_exit(0);
	}
	waitpid(child, &status, 0);
	for (int i = 0; i < 1000; i++)
		(void)memory[random_page()];
	return 0;
}
