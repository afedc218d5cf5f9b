// SPDX-License-Identifier: MIT
/*
 * Two threads that fault at the same moment: on two pages of one folio to be, and
 * of one window of fault-around.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FOLIO 65536l
#define ROUNDS 500
#define TOO_LONG 100000000l	/* turns: the other thread does not run */

static char *memory;
static const volatile char *file;
static atomic_long arrived;

static void meet(long round)
{
	atomic_fetch_add(&arrived, 1);
	for (long n = 0; atomic_load(&arrived) < 2 * round && n < TOO_LONG; n++)
		;
}

static void *touch(void *argument)
{
	long me = (long)argument, round = 0;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(me, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	for (long i = 0; i < ROUNDS; i++) {
		meet(++round);
		memory[i * FOLIO + me * FOLIO / 2] = 1;
	}
	for (long i = 0; file && i < ROUNDS; i++) {
		meet(++round);
		(void)file[i * FOLIO + me * FOLIO / 2];
	}
	return NULL;
}

/* Written by the kernel, so that its pages are in the page cache and nowhere mapped. */
static const char *map_file(void)
{
	static char buffer[FOLIO];
	char name[] = "/var/tmp/fault_race-XXXXXX";
	int fd = mkstemp(name);
	char *area;

	if (fd < 0 || unlink(name))
		return NULL;
	for (long i = 0; i < ROUNDS; i++)
		if (write(fd, buffer, sizeof(buffer)) != sizeof(buffer))
			return NULL;
	fsync(fd);
	area = mmap(NULL, ROUNDS * FOLIO, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return area == MAP_FAILED ? NULL : area;
}

int main(void)
{
	pthread_t threads[2];
	char *area = mmap(NULL, (ROUNDS + 1) * FOLIO, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	memory = (char *)(((long)area + FOLIO - 1) & ~(FOLIO - 1));
	file = map_file();
	for (long i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, touch, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
