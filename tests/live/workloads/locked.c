// SPDX-License-Identifier: MIT
/* Locked memory: which calls populate it, and which leave it to faults. Each kind in a process of its own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KB 1024ul
#define MB (1024 * KB)
#define ONFAULT 4	/* MCL_ONFAULT */

static char *anonymous(size_t len, int prot, int flags)
{
	return mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void *nothing(void *argument)
{
	return argument;
}

static void thread(void)
{
	pthread_t id;

	pthread_create(&id, NULL, nothing, NULL);
	pthread_join(id, NULL);
}

static void all_now(void)
{
	char *at = anonymous(MB, PROT_READ | PROT_WRITE, 0);

	anonymous(MB, PROT_READ, 0);
	at[5 * KB] = 1;
	mlockall(MCL_CURRENT);
	anonymous(MB, PROT_READ | PROT_WRITE, 0);	/* not locked */
	munlockall();
	mlock(at + 64 * KB, 16 * KB);
}

static void all_to_come(void)
{
	char *at;

	mlockall(MCL_FUTURE);
	anonymous(MB, PROT_READ | PROT_WRITE, 0);
	anonymous(MB, PROT_READ, 0);
	at = anonymous(MB, PROT_NONE, 0);
	mprotect(at + 100 * KB, 200 * KB, PROT_READ | PROT_WRITE);
	mprotect(at + 400 * KB, 100 * KB, PROT_READ);
	mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	thread();
	(void)!sbrk(300 * KB);
	munlockall();
	anonymous(MB, PROT_READ | PROT_WRITE, 0);
}

static void all_on_fault(void)
{
	char *at;

	mlockall(MCL_CURRENT | MCL_FUTURE | ONFAULT);
	at = anonymous(MB, PROT_READ | PROT_WRITE, MAP_POPULATE);
	at[300 * KB] = 1;
	thread();
	(void)!sbrk(300 * KB);
	mlock(at, 100 * KB);
}

/* The stack grows under a lock: by the page touched only. */
static __attribute__((noinline)) void deep(int levels)
{
	volatile char frame[40 * KB];

	memset((char *)frame, levels, KB);
	if (levels)
		deep(levels - 1);
	frame[1] = frame[0];
}

static void stack(void)
{
	mlockall(MCL_CURRENT | MCL_FUTURE);
	deep(8);
}

static void mappings(void)
{
	char *at = anonymous(MB, PROT_READ | PROT_WRITE, MAP_LOCKED), *other;

	at = mremap(at, MB, MB + 300 * KB, MREMAP_MAYMOVE);
	at = mremap(at, MB + 300 * KB, 600 * KB, 0);
	other = anonymous(MB, PROT_READ | PROT_WRITE, 0);
	syscall(SYS_mlock2, other, MB, 1);
	other[700 * KB] = 1;
	other = mremap(other, MB, 2 * MB, MREMAP_MAYMOVE);
	mlock(other + 64 * KB, 64 * KB);
	madvise(at, 64 * KB, 24);	/* MADV_DONTNEED_LOCKED */
	munlock(at, 100 * KB);
}

static void limits(void)
{
	char *at = anonymous(MB, PROT_READ | PROT_WRITE, 0);

	munmap(at + 512 * KB, 64 * KB);
	mlock(at, MB);			/* a hole: locked up to it, not populated */
	at[100 * KB] = 1;
	mprotect(at, 128 * KB, PROT_READ);
	mprotect(at, 128 * KB, PROT_READ | PROT_WRITE);
}

int main(void)
{
	static void (*const kinds[])(void) = { all_now, all_to_come, all_on_fault, stack, mappings, limits };

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
