// SPDX-License-Identifier: MIT
/*
 * Calls that act on memory which they name in a buffer, or that is not their own: process_vm_writev() and
 * process_vm_readv() of a child, process_madvise(), userfaultfd, remap_file_pages(). Each in a process of its own.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define KB 1024ul
#define MB (1024 * KB)

static char *map(size_t len, int flags)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
}

static void write_pages(volatile char *at, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		at[i * PAGE] = 1;
}

/* A child that waits until it is told to go on and end. */
static pid_t waiting_child(int *go)
{
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe(ends))
		exit(1);
	pid = fork();
	if (!pid) {
		close(ends[1]);
		(void)!read(ends[0], &byte, 1);
		_exit(0);
	}
	close(ends[0]);
	*go = ends[1];
	return pid;
}

/* Into what is there, what is shared, what is missing, what is of a file; several pieces, not of whole pages. */
static void into_child(void)
{
	char *area = map(2 * MB, MAP_PRIVATE), *shared = map(MB, MAP_SHARED), *buffer = map(MB, MAP_PRIVATE);
	int self = open("/proc/self/exe", O_RDONLY), go;
	char *file = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self, 0);
	struct iovec local = { buffer, MB }, remote[5];
	pid_t pid;

	write_pages(area, 0, 40);
	memset(buffer, 1, MB);
	pid = waiting_child(&go);
	remote[0] = (struct iovec){ area + 10 * PAGE + 100, 5 * PAGE };
	remote[1] = (struct iovec){ area + MB, 100 * PAGE + 1 };
	remote[2] = (struct iovec){ shared + 64 * KB, 64 * KB };
	remote[3] = (struct iovec){ file + 100, 2 * PAGE };
	remote[4] = (struct iovec){ area + 38 * PAGE, 20 * PAGE };
	if (process_vm_writev(pid, &local, 1, remote, 5, 0) < 0)
		perror("process_vm_writev");
	close(go);
	waitpid(pid, NULL, 0);
}

/* What is read must be the child's own: pages shared since the fork are copied, missing ones are read as zero. */
static void out_of_child(void)
{
	char *area = map(MB, MAP_PRIVATE), *buffer = map(MB, MAP_PRIVATE);
	struct iovec remote[2] = { { area + 8 * PAGE, 40 * PAGE }, { area + 100 * PAGE, 3 * PAGE } };
	struct iovec local = { buffer, MB };
	pid_t pid;
	int go;

	write_pages(area, 0, 40);
	memset(buffer, 1, MB);
	pid = waiting_child(&go);
	write_pages(area, 0, 12);
	if (process_vm_readv(pid, &local, 1, remote, 2, 0) < 0)
		perror("process_vm_readv");
	close(go);
	waitpid(pid, NULL, 0);
}

static void advise_pieces(void)
{
	char *area = map(2 * MB, MAP_PRIVATE), *other = map(MB, MAP_PRIVATE);
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	struct iovec pieces[3] = {
		{ area + 64 * KB, 128 * KB }, { other + 4 * KB, 100 * KB }, { area + MB, 512 * KB }
	};

	write_pages(area, 0, 512);
	write_pages(other, 0, 256);
	syscall(SYS_process_madvise, pidfd, pieces, 3, MADV_COLD, 0);
	syscall(SYS_process_madvise, pidfd, pieces, 3, MADV_DONTNEED, 0);	/* since 6.13 */
	write_pages(area, 20, 24);
	syscall(SYS_process_madvise, pidfd, pieces + 2, 1, MADV_DONTDUMP, 0);
	write_pages(area, 250, 260);
}

static void fill(void)
{
	char *area = map(2 * MB, MAP_PRIVATE), *shared = map(MB, MAP_SHARED), *from = map(MB, MAP_PRIVATE);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register to = { .range = { (unsigned long)area, 2 * MB }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .src = (unsigned long)from };
	struct uffdio_zeropage zero = { .range = { (unsigned long)area + MB, 10 * PAGE } };

	write_pages(from, 0, 256);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &to))
		return;
	to.range = (struct uffdio_range){ (unsigned long)shared, MB };
	ioctl(fd, UFFDIO_REGISTER, &to);
	copy.dst = (unsigned long)area + 3 * PAGE;
	copy.len = 20 * PAGE;
	ioctl(fd, UFFDIO_COPY, &copy);
	for (int i = 0; i < 5; i++) {
		copy.dst = (unsigned long)area + (40 + 2 * i) * PAGE;
		copy.len = PAGE;
		ioctl(fd, UFFDIO_COPY, &copy);
	}
	copy.dst = (unsigned long)area + PAGE;	/* three pages, then one that is there */
	copy.len = 4 * PAGE;
	ioctl(fd, UFFDIO_COPY, &copy);
	copy.dst = (unsigned long)shared + 5 * PAGE;
	copy.len = 7 * PAGE;
	ioctl(fd, UFFDIO_COPY, &copy);
	ioctl(fd, UFFDIO_ZEROPAGE, &zero);
	write_pages(area, 256, 258);
	to.range = (struct uffdio_range){ (unsigned long)area, 2 * MB };
	ioctl(fd, UFFDIO_UNREGISTER, &to.range);
	write_pages(area, 60, 70);
}

static void remap(void)
{
	char *area = map(MB, MAP_SHARED);

	write_pages(area, 0, 32);
	for (int i = 0; i < 8; i++)
		remap_file_pages(area + i * PAGE, PAGE, 0, 31 - i, 0);
	remap_file_pages(area + 64 * PAGE, 8 * PAGE, 0, 8, 0);
	remap_file_pages(area + 128 * PAGE, 8 * PAGE, 0, 8, MAP_NONBLOCK);
	write_pages(area, 0, 12);
	write_pages(area, 66, 68);
	write_pages(area, 130, 131);
}

int main(void)
{
	static void (*const kinds[])(void) = { into_child, out_of_child, advise_pieces, fill, remap };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		pid_t pid = fork();

		if (!pid) {
			kinds[i]();
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return 0;
}
