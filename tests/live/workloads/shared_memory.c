// SPDX-License-Identifier: MIT
/*
 * Shared memory that is mapped without a write, and written by hardware alone: read first, or populated; of memfds and
 * anonymous; and some that may only be read. Each piece lies in two page tables, and unmapping it flushes once a table
 * that has a dirty page. To be begun as a real-time process on one CPU: a zap that need_resched() cuts flushes once
 * more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul
#define TABLE (512 * PAGE)
#define PAGES 16ul		/* of a piece, half of them in each table */

static void *checked(void *area)
{
	if (area == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return area;
}

/* fd -1: anonymous. Amid the tables that it reserves. */
static volatile char *map(int fd, int prot, int flags)
{
	char *room = checked(mmap(NULL, 3 * TABLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	char *at = (char *)(((unsigned long)room + 2 * TABLE - 1) & ~(TABLE - 1)) - PAGES / 2 * PAGE;

	flags |= MAP_SHARED | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);
	return checked(mmap(at, PAGES * PAGE, prot, flags, fd, 0));
}

static void touch(volatile char *area, int write)
{
	for (unsigned long page = 0; page < PAGES; page++)
		if (write)
			area[page * PAGE] = 1;
		else
			(void)area[page * PAGE];
}

static void unmap(volatile char *area)
{
	if (munmap((void *)area, PAGES * PAGE))
		exit(1);
}

static int memfd(void)
{
	int fd = memfd_create("shared", 0);

	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		exit(1);
	return fd;
}

static void use(int fd)
{
	volatile char *area = map(fd, PROT_READ | PROT_WRITE, 0);

	touch(area, 0);
	touch(area, 1);
	unmap(area);
	area = map(fd, PROT_READ | PROT_WRITE, MAP_POPULATE);
	touch(area, 1);
	unmap(area);
}

/* Written through one mapping, read through another, which stays clean. */
static void only_read(int fd)
{
	volatile char *area = map(fd, PROT_READ, 0);

	touch(area, 0);
	unmap(area);
	area = map(fd, PROT_READ, MAP_POPULATE);
	unmap(area);
}

int main(void)
{
	for (int round = 0; round < 8; round++) {
		int fd = memfd();

		use(-1);
		use(fd);
		only_read(fd);
		close(fd);
	}
	return 0;
}
