// SPDX-License-Identifier: MIT
/*
 * Mappings of a file, shared and private, read and written over and over, while the file is truncated and grown again
 * behind them, written back, and moved and enlarged by mremap; with a child. In a small control group the same is
 * reclaim of file pages without swap.
 *
 *	file_maps FILE
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

static sigjmp_buf back;
static volatile unsigned long sum;

static void on_bus_error(int number)
{
	siglongjmp(back, number);
}

/* Until the file's end, beyond which there is SIGBUS. */
static void use(volatile char *area, size_t size, size_t step, int write)
{
	if (sigsetjmp(back, 1))
		return;
	for (size_t at = 0; at < size; at += step * PAGE) {
		sum += area[at];
		if (write)
			area[at] = (char)at;
	}
}

static char *map(size_t size, int flags, int fd)
{
	char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return area;
}

int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR);
	char *shared, *private, *moved;
	struct stat stat;
	size_t size;
	pid_t child;

	if (fd < 0 || fstat(fd, &stat))
		return 1;
	signal(SIGBUS, on_bus_error);
	size = stat.st_size;
	shared = map(size, MAP_SHARED, fd);
	private = map(size, MAP_PRIVATE, fd);
	use(shared, size, 1, 0);
	use(private, size, 3, 1);
	child = fork();
	use(private, size, 5, 1);
	use(shared, size, 7, 1);
	if (child) {
		if (ftruncate(fd, size / 2) || ftruncate(fd, size))
			return 1;
		use(shared, size, 1, 1);
		if (ftruncate(fd, size / 2 + 100) || ftruncate(fd, size))
			return 1;
		msync(shared, size, MS_SYNC);
		use(shared, size, 2, 1);
		moved = mremap(private, size, 2 * size, MREMAP_MAYMOVE);
		if (moved == MAP_FAILED)
			return 1;
		use(moved, 2 * size, 2, 1);
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 16 * PAGE, size / 4))
			perror("fallocate");
		use(moved, size, 3, 0);
		use(shared, size, 1, 0);
		wait(NULL);
	} else {
		use(private, size, 1, 0);
	}
	return 0;
}
