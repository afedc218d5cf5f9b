// SPDX-License-Identifier: MIT
/*
 * Files of tmpfs that write(2) filled, mapped folio by folio or by PMDs, PMDs
 * that are split by a copy and by calls on a part of them, files that faults
 * and writes fill while others map them.
 *
 *	tmpfs_folios DIRECTORY		on a tmpfs, of any huge=
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096l
#define HUGE (512 * PAGE)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static const char *directory;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int make_file(const char *name, long size)
{
	char path[4096], *buffer = calloc(1, size);
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || !buffer || write(fd, buffer, size) != size)
		die(path);
	free(buffer);
	return fd;
}

/* Aligned to 2M. */
static volatile char *map(int fd, long size, int prot, int flags)
{
	char *area = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		die("mmap");
	area = (char *)(((unsigned long)area + HUGE - 1) & ~(HUGE - 1));
	area = mmap(area, size, prot, flags | MAP_FIXED, fd, 0);
	if (area == MAP_FAILED)
		die("mmap");
	return area;
}

static void copy_one(void)
{
	volatile char *area = map(make_file("private", 2 * HUGE), 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	(void)area[0];
	area[7 * PAGE] = 1;
	(void)area[0];
	(void)area[100 * PAGE];
}

static void change_parts(void)
{
	int fd = make_file("shared", 3 * HUGE);
	volatile char *area = map(fd, 3 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	area[19 * PAGE] = 1;
	munmap((void *)(area + 16 * PAGE), 16 * PAGE);
	(void)area[48 * PAGE];
	(void)area[15 * PAGE];
	area = map(fd, 3 * HUGE, PROT_READ, MAP_SHARED);
	for (int i = 0; i < 3; i++)
		(void)area[i * HUGE];
	mprotect((void *)(area + PAGE), 2 * PAGE, PROT_NONE);
	munmap((void *)(area + HUGE + HUGE / 2), PAGE);
	madvise((void *)(area + 2 * HUGE + 9 * PAGE), 20 * PAGE, MADV_DONTNEED);
	for (int i = 0; i < 3; i++)
		(void)area[i * HUGE];
	(void)area[50 * PAGE];
}

static void populate(void)
{
	long size = 123 * PAGE;
	int fd = make_file("odd", size);
	volatile char *area = map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);

	for (long i = 0; i < size; i += 5 * PAGE)
		area[i] = 1;
	map(fd, size, PROT_READ, MAP_SHARED | MAP_POPULATE);
	area = map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
	madvise((void *)area, size, MADV_POPULATE_WRITE);
}

static void fill_meanwhile(void)
{
	int fd = make_file("sparse", PAGE);
	volatile char *area, *other;

	if (ftruncate(fd, HUGE))
		die("ftruncate");
	area = map(fd, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	area[3 * PAGE] = 1;
	area[9 * PAGE] = 1;
	area[200 * PAGE] = 1;
	other = map(fd, HUGE, PROT_READ, MAP_SHARED);
	(void)other[4 * PAGE];
	if (pwrite(fd, "x", 1, 12 * PAGE) != 1)
		die("pwrite");
	(void)other[0];
	(void)other[199 * PAGE];
	other = map(fd, HUGE, PROT_READ, MAP_SHARED);
	(void)other[8 * PAGE];
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	directory = argv[1];
	copy_one();
	change_parts();
	populate();
	fill_meanwhile();
	return 0;
}
