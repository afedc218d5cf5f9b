// SPDX-License-Identifier: MIT
/*
 * One of each: the virtual memory calls a page-table model has to get right, in
 * a fixed order and with a fixed seed, ending in a mixed state so that the page
 * table at exit says something about all of them.
 *
 *	vmops [ROUNDS]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define KB (1ul << 10)
#define MB (1ul << 20)
#define PAGE (4 * KB)
#define PMD (2 * MB)
#define READ_WRITE (PROT_READ | PROT_WRITE)

static volatile char sink;
static unsigned int seed = 12345;

static unsigned int next_random(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 8;
}

static char *map(size_t size, int flags, int fd)
{
	char *addr = mmap(NULL, size, READ_WRITE, flags, fd, 0);

	if (addr == MAP_FAILED) {
		perror("vmops: mmap");
		exit(1);
	}
	return addr;
}

static char *map_anon(size_t size)
{
	return map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static char *pmd_aligned(char *addr)
{
	return (char *)(((unsigned long)addr + PMD - 1) & ~(PMD - 1));
}

static void write_pages(char *addr, size_t size, size_t stride, char value)
{
	for (size_t i = 0; i < size; i += stride)
		addr[i] = value;
}

static void write_randomly(char *addr, unsigned int pages, int times, char value)
{
	for (int i = 0; i < times; i++)
		addr[next_random() % pages * PAGE] = value;
}

static void *moved(void *addr)
{
	if (addr == MAP_FAILED) {
		perror("vmops: mremap");
		exit(1);
	}
	return addr;
}

struct areas {
	char *dense, *sparse, *target, *shared, *populated, *zeroes, *huge, *collapsed;
};

/* Dense, sparse and zero-page memory; holes and protections inside large folios. */
static void touch_and_change(struct areas *a)
{
	a->dense = map_anon(8 * MB);
	memset(a->dense, 1, 8 * MB);
	a->sparse = map_anon(4 * MB);
	write_pages(a->sparse, 4 * MB, 3 * PAGE, 1);
	a->zeroes = map_anon(MB);
	for (size_t i = 0; i < MB; i += PAGE)
		sink = a->zeroes[i];
	write_pages(a->zeroes, MB / 2, PAGE, 2);		/* copy-on-write of the zero page */

	munmap(a->dense + MB + 3 * PAGE, 512 * KB + 5 * PAGE);	/* cuts folios at both ends */
	mprotect(a->dense + 2 * MB + PAGE, 300 * KB, PROT_READ);
	mprotect(a->dense + 2 * MB + PAGE, 100 * PAGE, READ_WRITE);
	write_pages(a->dense + 2 * MB + PAGE, 100 * PAGE, PAGE, 3);
	madvise(a->dense + 4 * MB + 2 * PAGE, 128 * KB, MADV_DONTNEED);
	madvise(a->dense + 5 * MB, 256 * KB, MADV_FREE);
	write_pages(a->dense + 4 * MB + 2 * PAGE, 64 * KB, PAGE, 4);
	madvise(a->sparse, 64 * KB, MADV_POPULATE_WRITE);
}

/* Growing and moving, moving to a fixed and misaligned place, shrinking in place. */
static void move(struct areas *a)
{
	a->sparse = moved(mremap(a->sparse, 4 * MB, 6 * MB, MREMAP_MAYMOVE));
	write_randomly(a->sparse, 1536, 200, 5);
	a->target = map_anon(2 * MB + 64 * KB);
	moved(mremap(a->dense + 6 * MB, MB + 8 * PAGE, MB + 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     a->target + 5 * PAGE));
	moved(mremap(a->dense + 7 * MB + 16 * PAGE, 256 * KB, 128 * KB, 0));
}

static void map_files(struct areas *a)
{
	char *file;
	int fd;

	a->shared = map(2 * MB, MAP_SHARED | MAP_ANONYMOUS, -1);
	write_pages(a->shared, 2 * MB, 2 * PAGE, 1);
	fd = open("/proc/self/exe", O_RDONLY);
	file = map(4 * PAGE, MAP_PRIVATE, fd);
	sink = file[0];
	file[0] = sink;						/* read, then copy-on-write */
	sink = file[PAGE];
	file[PAGE] = 1;
	close(fd);
	a->populated = map(MB, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
	a->populated[0] = 1;
}

/* A folio mapped by a PMD that is split; base pages that are collapsed. */
static void use_huge_pages(struct areas *a)
{
	char *aligned;

	a->huge = map_anon(4 * MB);
	aligned = pmd_aligned(a->huge);
	madvise(aligned, PMD, MADV_HUGEPAGE);
	memset(aligned, 1, PMD);
	munmap(aligned + 7 * PAGE, PAGE);

	a->collapsed = map_anon(4 * MB);
	aligned = pmd_aligned(a->collapsed);
	madvise(aligned, PMD, MADV_NOHUGEPAGE);
	write_pages(aligned, PMD, PAGE, 1);
	madvise(aligned, PMD, MADV_HUGEPAGE);
	madvise(aligned, PMD, MADV_COLLAPSE);
}

static void run_child(struct areas *a)
{
	char *own;

	write_randomly(a->dense, 200, 300, 6);
	write_randomly(a->sparse, 1024, 100, 7);
	munmap(a->sparse, MB);
	sink = a->shared[0];
	own = map_anon(MB);
	memset(own, 1, MB);
	pmd_aligned(a->huge)[50 * PAGE] = 2;
	pmd_aligned(a->collapsed)[9 * PAGE] = 3;
	_exit(0);
}

/* Copy-on-write on both sides of a fork, then reuse; a vfork that execs. */
static void fork_and_share(struct areas *a)
{
	pid_t child = fork();
	int status;

	if (!child)
		run_child(a);
	write_randomly(a->dense, 200, 100, 8);
	waitpid(child, &status, 0);
	write_randomly(a->dense, 200, 100, 9);

	child = vfork();
	if (!child) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	waitpid(child, &status, 0);
}

static void use_heap_and_stack(void)
{
	char *heap = sbrk(0), stack[300 * KB];

	if (sbrk(512 * KB) == (void *)-1)
		exit(1);
	memset(heap, 1, 500 * KB);
	sbrk(-256 * (long)KB);
	memset(stack, 1, sizeof(stack));
	sink = stack[100];
}

static void unmap_some(struct areas *a)
{
	munmap(a->sparse, 6 * MB);
	munmap(a->populated, MB);
	munmap(a->shared, 2 * MB);
	munmap(a->target, 2 * MB + 64 * KB);
	munmap(a->zeroes, MB);
	munmap(a->huge, 4 * MB);
	munmap(a->collapsed, 4 * MB);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;
	struct areas areas;

	for (int round = 1; round <= rounds; round++) {
		touch_and_change(&areas);
		move(&areas);
		map_files(&areas);
		use_huge_pages(&areas);
		fork_and_share(&areas);
		use_heap_and_stack();
		if (round < rounds)
			unmap_some(&areas);
	}
	return 0;
}
