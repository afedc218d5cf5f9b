// SPDX-License-Identifier: MIT
/*
 * To be preloaded: the nth call of a kind fails, FAIL_NTH being n, and with FAIL_ALL=1 all that follow. FAIL_WHAT:
 * allocation (without it), read (EIO) or write (ENOSPC); of these, what a program itself calls: what libc does within
 * stdio is not seen, its allocations are; and not of eventfds and the like, which cannot fail. In the file FAIL_TOLD,
 * of a byte, stands 1 once one has failed. Programs that the program starts are left alone, processes that it forks are
 * not: they share the byte, and count for themselves.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nr, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t align, size_t size);
void *malloc(size_t size);
void *calloc(size_t nr, size_t size);
void *realloc(void *memory, size_t size);
void *aligned_alloc(size_t align, size_t size);

enum what { ALLOCATION, READ, WRITE };

static const char *const names[] = { [ALLOCATION] = "allocation", [READ] = "read", [WRITE] = "write" };
static const int errors[] = { [ALLOCATION] = ENOMEM, [READ] = EIO, [WRITE] = ENOSPC };

static long nth = -1;
static int all;
static enum what fails_at;
static long nr_asked;
static char not_told, *told = &not_told;

static ssize_t (*next_read)(int fd, void *to, size_t size);
static ssize_t (*next_pread)(int fd, void *to, size_t size, off_t offset);
static ssize_t (*next_write)(int fd, const void *from, size_t size);
static ssize_t (*next_pwrite)(int fd, const void *from, size_t size, off_t offset);
static ssize_t (*next_writev)(int fd, const struct iovec *from, int nr);

static void find(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(function, &found, sizeof(found));
}

static void share_told(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *shared = fd < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (shared == MAP_FAILED)
		_exit(127);
	told = shared;
	close(fd);
}

/* Before main() all is well: the dynamic linker is not under test. */
__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("FAIL_NTH"), *what = getenv("FAIL_WHAT"), *path = getenv("FAIL_TOLD");

	find(&next_read, "read");
	find(&next_pread, "pread64");
	find(&next_write, "write");
	find(&next_pwrite, "pwrite64");
	find(&next_writev, "writev");
	for (size_t i = 0; what && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(what, names[i]))
			fails_at = (enum what)i;
	if (path)
		share_told(path);
	all = getenv("FAIL_ALL") != NULL;
	nth = text ? atol(text) : 0;
	unsetenv("LD_PRELOAD");
}

/* eventfd, signalfd, pidfd: the kernel's own memory. */
static int is_of_kernel(int fd)
{
	char name[32] = "", path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, name, sizeof(name) - 1) > 0 && !strncmp(name, "anon_inode:", strlen("anon_inode:"));
}

static int fails(enum what what)
{
	long asked;

	if (nth <= 0 || what != fails_at)
		return 0;
	asked = __atomic_add_fetch(&nr_asked, 1, __ATOMIC_RELAXED);
	if (asked != nth && !(all && asked > nth))
		return 0;
	*told = '1';
	errno = errors[what];
	return 1;
}

static int fails_at_fd(enum what what, int fd)
{
	return what == fails_at && nth > 0 && !is_of_kernel(fd) && fails(what);
}

void *malloc(size_t size)
{
	return fails(ALLOCATION) ? NULL : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return fails(ALLOCATION) ? NULL : __libc_calloc(nr, size);
}

void *realloc(void *memory, size_t size)
{
	return fails(ALLOCATION) ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return fails(ALLOCATION) ? NULL : __libc_memalign(align, size);
}

ssize_t read(int fd, void *to, size_t size)
{
	return fails_at_fd(READ, fd) ? -1 : next_read(fd, to, size);
}

/* By large files, of which the build is, pread64() and pwrite64() below. */
ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
	return fails_at_fd(READ, fd) ? -1 : next_pread(fd, to, size, offset);
}

ssize_t write(int fd, const void *from, size_t size)
{
	return fails_at_fd(WRITE, fd) ? -1 : next_write(fd, from, size);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t offset)
{
	return fails_at_fd(WRITE, fd) ? -1 : next_pwrite(fd, from, size, offset);
}

ssize_t writev(int fd, const struct iovec *from, int nr)
{
	return fails_at_fd(WRITE, fd) ? -1 : next_writev(fd, from, nr);
}
