// SPDX-License-Identifier: MIT
/*
 * What a userfaultfd does to pages that are there: moves, write protection with a thread that resolves it and without,
 * pages of the page cache, another process's memory. Each in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define KB 1024ul
#define MB (1024 * KB)

/* Since Linux 6.8; older headers do not have it. */
struct move {
	uint64_t dst, src, len, mode;
	int64_t moved;
};
#define MOVE			_IOWR(UFFDIO, 5, struct move)
#define MOVE_ALLOW_SRC_HOLES	2
#define FEATURE_WP_ASYNC	(1 << 15)

static char *map(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *map_aligned(size_t len)
{
	return (char *)(((uintptr_t)map(len + 2 * MB) + 2 * MB - 1) & ~(2 * MB - 1));
}

static void write_pages(volatile char *at, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		at[i * PAGE] = 1;
}

static void read_pages(const volatile char *at, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		(void)at[i * PAGE];
}

static int open_userfaultfd(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		_exit(1);
	return fd;
}

static void watch(int fd, const char *at, size_t len, uint64_t mode)
{
	struct uffdio_register area = { .range = { (uintptr_t)at, len }, .mode = mode };

	if (ioctl(fd, UFFDIO_REGISTER, &area))
		_exit(1);
}

static void unwatch(int fd, const char *at, size_t len)
{
	struct uffdio_range range = { (uintptr_t)at, len };

	ioctl(fd, UFFDIO_UNREGISTER, &range);
}

static int move(int fd, const char *to, const char *from, size_t len, uint64_t mode)
{
	struct move move = { (uintptr_t)to, (uintptr_t)from, len, mode, 0 };

	return ioctl(fd, MOVE, &move);
}

static void protect(int fd, const char *at, size_t len, uint64_t mode)
{
	struct uffdio_writeprotect range = { .range = { (uintptr_t)at, len }, .mode = mode };

	ioctl(fd, UFFDIO_WRITEPROTECT, &range);
}

/* Small pages and large folios, the zero page, holes; to where something is; what a fork shares; back again. */
static void moves(void)
{
	char *from = map(2 * MB), *to = map(2 * MB);
	int fd = open_userfaultfd(0);
	pid_t pid;

	write_pages(from, 0, 200);
	read_pages(from, 210, 215);
	watch(fd, to, 2 * MB, UFFDIO_REGISTER_MODE_MISSING);
	watch(fd, from, 2 * MB, UFFDIO_REGISTER_MODE_MISSING);
	move(fd, to + 3 * PAGE, from + 3 * PAGE, 20 * PAGE, 0);
	move(fd, to + 64 * PAGE, from + 70 * PAGE, 60 * PAGE, 0);
	move(fd, to + 205 * PAGE, from + 205 * PAGE, 20 * PAGE, MOVE_ALLOW_SRC_HOLES);
	move(fd, to + 120 * PAGE, from + 198 * PAGE, 20 * PAGE, 0);	/* -EAGAIN: only two are there */
	write_pages(to, 64, 70);
	move(fd, to + 60 * PAGE, from + 30 * PAGE, 20 * PAGE, 0);	/* -EAGAIN: the fifth place is taken */
	move(fd, from + 3 * PAGE, to + 3 * PAGE, 2 * PAGE, 0);
	unwatch(fd, from, 2 * MB);
	write_pages(from, 0, 40);
	pid = fork();
	if (!pid)
		_exit(0);
	move(fd, to + 300 * PAGE, from + 140 * PAGE, 4 * PAGE, 0);	/* shared with the child, or were */
	waitpid(pid, NULL, 0);
}

/* Whole huge pages, and parts of one. */
static void huge_moves(void)
{
	char *from = map_aligned(8 * MB), *to = map_aligned(8 * MB);
	int fd = open_userfaultfd(0);

	madvise(from, 8 * MB, MADV_HUGEPAGE);
	write_pages(from, 0, 2048);
	watch(fd, to, 8 * MB, UFFDIO_REGISTER_MODE_MISSING);
	move(fd, to, from, 4 * MB, 0);
	move(fd, to + 4 * MB + 5 * PAGE, from + 4 * MB + 100 * PAGE, 30 * PAGE, 0);
	write_pages(to, 0, 1024);
}

static int handler_fd;

/* What somebody waits for is moved to him, or may be written again. */
static void *resolve(void *spare)
{
	struct uffd_msg message;
	char *next = spare;

	while (read(handler_fd, &message, sizeof(message)) == sizeof(message)) {
		char *at = (char *)(uintptr_t)(message.arg.pagefault.address & ~(PAGE - 1));

		if (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
			protect(handler_fd, at, PAGE, 0);
		} else {
			move(handler_fd, at, next, PAGE, 0);
			next += PAGE;
		}
	}
	return NULL;
}

static void handled(void)
{
	char *area = map(2 * MB), *spare = map(2 * MB);
	pthread_t thread;

	madvise(area, 2 * MB, MADV_NOHUGEPAGE);
	write_pages(spare, 0, 200);
	handler_fd = open_userfaultfd(0);
	watch(handler_fd, area, 2 * MB, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
	pthread_create(&thread, NULL, resolve, spare);
	write_pages(area, 0, 100);
	read_pages(area, 100, 120);
	protect(handler_fd, area, 2 * MB, UFFDIO_WRITEPROTECT_MODE_WP);
	write_pages(area, 20, 60);
	mprotect(area, 10 * PAGE, PROT_READ);
	mprotect(area, 10 * PAGE, PROT_READ | PROT_WRITE);
	write_pages(area, 5, 15);
	madvise(area + 50 * PAGE, 5 * PAGE, MADV_DONTNEED);
	write_pages(area, 48, 58);
	unwatch(handler_fd, area, 2 * MB);
	write_pages(area, 0, 130);
}

/* Who writes, gets the zero page, and copies it, mostly before the call that has put it there returns. */
static void *fill_with_zeroes(void *unused)
{
	struct uffdio_zeropage zeroes = { .range.len = 2 * PAGE };
	struct uffd_msg message;

	(void)unused;
	while (read(handler_fd, &message, sizeof(message)) == sizeof(message)) {
		zeroes.range.start = message.arg.pagefault.address & ~(PAGE - 1);
		ioctl(handler_fd, UFFDIO_ZEROPAGE, &zeroes);
	}
	return NULL;
}

static void zeroed(void)
{
	char *area = map(MB);
	pthread_t thread;

	madvise(area, MB, MADV_NOHUGEPAGE);
	handler_fd = open_userfaultfd(0);
	watch(handler_fd, area, MB, UFFDIO_REGISTER_MODE_MISSING);
	pthread_create(&thread, NULL, fill_with_zeroes, NULL);
	write_pages(area, 0, 200);
}

/* The kernel resolves it itself: a log of what is written to. */
static void logged(void)
{
	char *area = map(MB);
	int fd = open_userfaultfd(FEATURE_WP_ASYNC);

	write_pages(area, 0, 256);	/* empty entries would get markers */
	watch(fd, area, MB, UFFDIO_REGISTER_MODE_WP);
	for (int i = 0; i < 3; i++) {
		pid_t pid;

		protect(fd, area, MB, UFFDIO_WRITEPROTECT_MODE_WP);
		write_pages(area, 10 * i, 100);
		pid = fork();
		if (!pid) {
			write_pages(area, 50, 120);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		write_pages(area, 90, 140);
	}
}

/* Pages of the page cache that a second mapping has filled. */
static void continued(void)
{
	int memory = memfd_create("pages", MFD_CLOEXEC), fd = open_userfaultfd(UFFD_FEATURE_MINOR_SHMEM);
	struct uffdio_continue range = { 0 };
	char *one, *two;

	if (ftruncate(memory, MB))
		_exit(1);
	one = mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	two = mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	watch(fd, two, MB, UFFDIO_REGISTER_MODE_MINOR);
	write_pages(one, 0, 64);
	range.range = (struct uffdio_range){ (uintptr_t)two + 4 * PAGE, 20 * PAGE };
	ioctl(fd, UFFDIO_CONTINUE, &range);
	range.range = (struct uffdio_range){ (uintptr_t)two + 40 * PAGE, PAGE };
	ioctl(fd, UFFDIO_CONTINUE, &range);
	read_pages(two, 4, 24);
}

static void send_fd(int socket, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .space = { 0 } };
	struct iovec byte = { &control, 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control.space) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	sendmsg(socket, &message, 0);
}

static int receive_fd(int socket)
{
	char space[CMSG_SPACE(sizeof(int))], byte;
	struct iovec one = { &byte, 1 };
	struct msghdr message = { .msg_iov = &one, .msg_iovlen = 1, .msg_control = space,
				  .msg_controllen = sizeof(space) };
	int fd = -1;

	if (recvmsg(socket, &message, 0) > 0)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* The child's memory, by its descriptor. */
static void of_child(void)
{
	char *area = map(MB), *from = map(MB), *pages = map(MB), byte;
	struct uffdio_copy copy = { .dst = (uintptr_t)area + 50 * PAGE, .src = (uintptr_t)pages, .len = 10 * PAGE };
	int ends[2], fd;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		_exit(1);
	pid = fork();
	if (!pid) {
		close(ends[1]);
		write_pages(from, 0, 100);
		fd = open_userfaultfd(0);
		watch(fd, area, MB, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
		send_fd(ends[0], fd);
		(void)!read(ends[0], &byte, 1);
		_exit(0);
	}
	close(ends[0]);
	write_pages(pages, 0, 20);
	fd = receive_fd(ends[1]);
	move(fd, area + 2 * PAGE, from + 5 * PAGE, 30 * PAGE, 0);
	ioctl(fd, UFFDIO_COPY, &copy);
	protect(fd, area, 20 * PAGE, UFFDIO_WRITEPROTECT_MODE_WP);
	close(ends[1]);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	static void (*const kinds[])(void) = { moves, huge_moves, handled, zeroed, logged, continued, of_child };

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
