// SPDX-License-Identifier: MIT
/*
 * Mappings that calls split and merge again, each kind in a process of its own: some pages are read, the pieces made
 * different, written to in part, and copied by fork. What fork copies, how far folios and fault-around reach, all
 * depends on where one VMA ends.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 256ul
#define MPOL_INTERLEAVE_ 3

static int uffd = -1;

static void lock(char *at, size_t len, int on)
{
	if (on ? mlock(at, len) : munlock(at, len))
		perror("mlock");
}

static void lock_on_fault(char *at, size_t len, int on)
{
	if (on ? syscall(SYS_mlock2, at, len, 1) : munlock(at, len))
		perror("mlock2");
}

static void advise(char *at, size_t len, int advice)
{
	madvise(at, len, advice);	/* kernels lack some: then nothing is split */
}

static void dump(char *at, size_t len, int on)
{
	advise(at, len, on ? MADV_DONTDUMP : MADV_DODUMP);
}

static void read_ahead(char *at, size_t len, int on)
{
	advise(at, len, on ? MADV_RANDOM : MADV_NORMAL);
}

static void sequential(char *at, size_t len, int on)
{
	advise(at, len, on ? MADV_SEQUENTIAL : MADV_NORMAL);
}

static void merge(char *at, size_t len, int on)
{
	advise(at, len, on ? MADV_MERGEABLE : MADV_UNMERGEABLE);
}

static void huge(char *at, size_t len, int on)
{
	advise(at, len, on ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
}

static void forked(char *at, size_t len, int on)
{
	advise(at, len, on ? MADV_DONTFORK : MADV_DOFORK);
}

static void wiped(char *at, size_t len, int on)
{
	advise(at, len, on ? MADV_WIPEONFORK : MADV_KEEPONFORK);
}

/* Two masks of the same content at two addresses, then none. */
static void bind(char *at, size_t len, int on)
{
	unsigned long one = 1, another = 1;

	int mode = on ? MPOL_INTERLEAVE_ : 0, bits = on ? 64 : 0;

	syscall(SYS_mbind, at, len / 2, mode, on ? &one : NULL, bits, 0);
	syscall(SYS_mbind, at + len / 2, len - len / 2, mode, on ? &another : NULL, bits, 0);
}

static void name(char *at, size_t len, int on)
{
	prctl(0x53564d41, 0, at, len, on ? "a piece" : NULL);
}

static void key(char *at, size_t len, int on)
{
	static int allocated = -1;

	if (allocated < 0)
		allocated = pkey_alloc(0, 0);
	if (allocated >= 0)
		pkey_mprotect(at, len, PROT_READ | PROT_WRITE, on ? allocated : 0);
}

static void registered(char *at, size_t len, int on)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register to = { .range = { (unsigned long)at, len }, .mode = UFFDIO_REGISTER_MODE_WP };

	if (uffd < 0) {
		uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
			return;
	}
	if (on)
		ioctl(uffd, UFFDIO_REGISTER, &to);
	else
		ioctl(uffd, UFFDIO_UNREGISTER, &to.range);
}

static const struct kind {
	const char *name;
	void (*change)(char *at, size_t len, int on);
} kinds[] = {
	{ "lock", lock }, { "lock_on_fault", lock_on_fault }, { "dump", dump }, { "random", read_ahead },
	{ "sequential", sequential }, { "merge", merge }, { "huge", huge }, { "fork", forked }, { "wipe", wiped },
	{ "bind", bind }, { "name", name }, { "key", key }, { "uffd", registered },
};

static void fork_once(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void read_pages(const volatile char *at, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		(void)at[i * PAGE];
}

static void write_pages(volatile char *at, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		at[i * PAGE] = 1;
}

static char *area(int fd)
{
	char *hole = mmap(NULL, 3 * PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mmap(hole + PAGES * PAGE, PAGES * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
}

/* A piece in the middle: split, written below; merged again, written in the middle. */
static void split_and_merge(const struct kind *kind)
{
	char *at = area(-1);

	read_pages(at, 0, PAGES);
	kind->change(at + 80 * PAGE, 64 * PAGE, 1);
	write_pages(at, 3, 5);
	fork_once();
	kind->change(at + 80 * PAGE, 64 * PAGE, 0);
	write_pages(at, 100, 101);
	fork_once();
}

/* Pieces that become one again because both are changed. */
static void change_all(const struct kind *kind)
{
	char *at = area(-1);

	kind->change(at, 48 * PAGE, 1);
	read_pages(at, 0, 96);
	kind->change(at + 48 * PAGE, (PAGES - 48) * PAGE, 1);
	write_pages(at, 0, 1);
	write_pages(at, 120, 121);
	fork_once();
}

/* Fault-around ends where the VMA does. */
static void split_file(const struct kind *kind)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	char *at = area(fd);

	kind->change(at + PAGE, PAGE, 1);
	read_pages(at, 0, 1);
	read_pages(at, 2, 3);
	write_pages(at, 3, 4);
	close(fd);
	fork_once();
}

int main(void)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		pid_t pid = fork();

		if (!pid) {
			split_and_merge(&kinds[i]);
			change_all(&kinds[i]);
			split_file(&kinds[i]);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return 0;
}
