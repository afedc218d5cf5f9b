// SPDX-License-Identifier: MIT
/*
 * A 32-bit program (gcc -m32): every call that changes its mappings, by itself, in threads, forked children and new
 * programs, and from the kernel's two ways to map for it that pass their arguments otherwise: the old mmap() and ipc().
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1u << 20)

static void require(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	exit(1);
}

static char *map(size_t size)
{
	char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(area != MAP_FAILED, "mmap");
	return area;
}

/* Halves, holes, a move, a growth. */
static void *change(void *unused)
{
	char *area = map(2 * MIB), *moved;

	(void)unused;
	memset(area, 1, 2 * MIB);
	require(!munmap(area + MIB, MIB / 2), "munmap");
	require(!madvise(area, MIB / 4, MADV_DONTNEED), "madvise");
	require(!mprotect(area + MIB / 2, MIB / 4, PROT_READ), "mprotect");
	area[MIB / 8] = 2;
	moved = mremap(area + MIB * 3 / 2, MIB / 2, MIB * 4, MREMAP_MAYMOVE);
	require(moved != MAP_FAILED, "mremap");
	memset(moved + MIB, 3, MIB);
	require(!mlock(map(MIB / 4), MIB / 4), "mlock");
	return NULL;
}

/* A file from an offset beyond what a 32-bit register counts in bytes is what mmap2() is for; a page of it will do. */
static void map_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	long page = sysconf(_SC_PAGESIZE);
	volatile char *file;

	require(fd >= 0, path);
	file = mmap(NULL, 4 * page, PROT_READ, MAP_PRIVATE, fd, 2 * page);
	require(file != MAP_FAILED, "mmap of a file");
	(void)file[page];
	close(fd);
}

static void old_mmap(void)
{
#ifdef __i386__
	struct {
		uint32_t addr, len, prot, flags, fd, offset;
	} arguments = { 0, MIB / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint32_t)-1, 0 };
	char *area = (char *)syscall(SYS_mmap, &arguments);

	require(area != MAP_FAILED, "old mmap");
	memset(area, 4, MIB / 4);
	require(!munmap(area, MIB / 8), "munmap of it");
#endif
}

static void attach(void)
{
	int id = shmget(IPC_PRIVATE, MIB, IPC_CREAT | 0600);
	char *kept, *gone;

	if (id < 0)
		return;		/* a kernel without System V IPC */
	kept = shmat(id, NULL, 0);
	gone = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	require(kept != (void *)-1 && gone != (void *)-1, "shmat");
	memset(kept, 5, MIB / 2);
	memset(gone, 6, MIB / 4);
	require(!shmdt(gone), "shmdt");
}

static void grow_heap(void)
{
	char *heap = sbrk(MIB);

	require(heap != (void *)-1, "sbrk");
	memset(heap, 7, MIB);
	require(sbrk(-(int)(MIB / 2)) != (void *)-1, "sbrk back");
}

static void wait_for(pid_t child)
{
	int status;

	require(child > 0 && waitpid(child, &status, 0) == child && !status, "child");
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	char *shared = map(MIB);
	pid_t child;

	if (argc > 1) {
		change(NULL);
		return 0;
	}
	memset(shared, 8, MIB);
	grow_heap();
	map_file(argv[0]);
	old_mmap();
	attach();
	for (int i = 0; i < 2; i++)
		require(!pthread_create(&threads[i], NULL, change, NULL), "pthread_create");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	child = fork();
	if (!child) {
		shared[MIB / 2] = 9;
		change(NULL);
		_exit(0);
	}
	wait_for(child);
	child = vfork();
	if (!child)
		_exit(execl(argv[0], argv[0], "again", NULL));
	wait_for(child);
	return 0;
}
