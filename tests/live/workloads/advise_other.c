// SPDX-License-Identifier: MIT
/*
 * process_madvise() of another process, and of the own: pages called cold, and paged out piece by piece; of a process
 * that runs on meanwhile, of pages that it shares, and of a file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define KB 1024ul
#define MB (1024 * KB)

static char *map(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void write_pages(volatile char *at, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		at[i * PAGE] = (char)(i | 1);
}

static void read_pages(const volatile char *at, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		(void)at[i * PAGE];
}

static void advise(int pidfd, struct iovec *pieces, size_t nr, int advice)
{
	if (syscall(SYS_process_madvise, pidfd, pieces, nr, advice, 0) < 0)
		perror("process_madvise");
}

/* Of a child, which then looks at what was paged out. */
static void of_child(char *file)
{
	char *area = map(4 * MB), *other = map(MB), *shared = map(MB), byte = 0;
	struct iovec pieces[] = {
		{ area + 128 * KB, MB }, { other, 512 * KB }, { area + 2 * MB + 100 * KB, 1500 * KB },
		{ shared, MB }, { file, MB },
	};
	int to[2], from[2];
	pid_t pid;

	write_pages(shared, 0, 256);
	if (pipe(to) || pipe(from))
		exit(1);
	pid = fork();
	if (!pid) {
		write_pages(area, 0, 1024);
		write_pages(other, 0, 256);
		read_pages(file, 0, 256);
		(void)!write(from[1], &byte, 1);
		(void)!read(to[0], &byte, 1);
		read_pages(area, 10, 50);
		write_pages(other, 20, 60);
		_exit(0);
	}
	(void)!read(from[0], &byte, 1);
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	advise(pidfd, pieces, 2, MADV_COLD);
	advise(pidfd, pieces, sizeof(pieces) / sizeof(*pieces), MADV_PAGEOUT);
	(void)!write(to[1], &byte, 1);
	waitpid(pid, NULL, 0);
	read_pages(shared, 0, 256);
}

static void of_itself(char *file)
{
	char *area = map(4 * MB);
	struct iovec pieces[] = {
		{ area, 512 * KB }, { area + 2 * MB, MB }, { file, 128 * KB }, { area + MB, 64 * KB },
	};
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);

	write_pages(area, 0, 1024);
	read_pages(file, 0, 64);
	advise(pidfd, pieces, 4, MADV_PAGEOUT);
	read_pages(area, 0, 32);
}

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 1], O_RDONLY);
	char *file = mmap(NULL, MB, PROT_READ, MAP_PRIVATE, fd, 0);
	pid_t pid;

	of_child(file);
	pid = fork();
	if (!pid) {
		of_itself(file);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return 0;
}
