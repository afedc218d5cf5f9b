// SPDX-License-Identifier: MIT
/*
 * Memory that the kernel reads into and writes from without a fault of the program's (get_user_pages): O_DIRECT reads
 * into fresh memory, into memory shared with a child, into a mapping of a file; vmsplice; a futex in fresh memory.
 *
 *	direct_io FILE
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (1ul << 20)

static char *map(int flags, int fd)
{
	char *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return area;
}

static void read_into(int fd, char *area)
{
	for (size_t at = 0; at < SIZE; at += SIZE / 4) {
		if (pread(fd, area + at, SIZE / 4, at) < 0)
			perror("O_DIRECT");
	}
}

int main(int argc, char **argv)
{
	int direct = open(argv[1], O_RDONLY | O_DIRECT), file = open(argv[1], O_RDWR), ends[2];
	char *fresh = map(MAP_PRIVATE | MAP_ANONYMOUS, -1), *shared = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *mapped = map(MAP_PRIVATE, file), *gift = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct iovec part = { .iov_base = gift, .iov_len = 8 * 4096 };

	if (direct < 0 || file < 0 || pipe(ends))
		return 1;
	read_into(direct, fresh);
	for (size_t at = 0; at < SIZE; at += 4096)
		shared[at] = 1;
	if (!fork()) {
		read_into(direct, shared);
		read_into(direct, mapped);
		_exit(0);
	}
	read_into(direct, shared);
	if (vmsplice(ends[1], &part, 1, 0) < 0)
		perror("vmsplice");
	syscall(SYS_futex, gift + SIZE / 2, FUTEX_WAKE, 1, NULL, NULL, 0);
	wait(NULL);
	return 0;
}
