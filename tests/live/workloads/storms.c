// SPDX-License-Identifier: MIT
/*
 * Too much to be recorded without loss, for a while: processes that are born, touch memory and die (fork), calls that
 * change mappings from several threads (mmap), programs that are executed (exec), files whose pages come and go
 * (cache). Most processes are short, some live through it all. Also what a recorder attaches to: the mappings' threads
 * beside one that forks (race), a program that forks when it is told to (forks); and what it hears of others (noise).
 *
 *	storms SHAPE SECONDS DIRECTORY
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KB (1ul << 10)
#define MB (1ul << 20)
#define PAGE (4 * KB)
#define AREA MB
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define THREADS 3
#define FILES 8

static const char *program, *directory;
static double end_time;
static volatile char sink;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

static char *map(size_t size, int flags, int fd)
{
	char *addr = mmap(NULL, size, READ_WRITE, flags, fd, 0);

	if (addr == MAP_FAILED) {
		perror("storms: mmap");
		exit(1);
	}
	return addr;
}

static void touch(char *addr, size_t size, unsigned int *seed, int times)
{
	while (times--)
		addr[next_random(seed) % (size / PAGE) * PAGE]++;
}

/* A page may be beyond the end of a file that somebody truncates: let the kernel look. */
static void look(const char *addr, size_t size, unsigned int *seed, int times)
{
	static int null = -1;

	if (null < 0)
		null = open("/dev/null", O_WRONLY);
	while (times--)
		(void)!write(null, addr + next_random(seed) % (size / PAGE) * PAGE, 1);
}

static void reap(void)
{
	while (wait(NULL) > 0)
		;
}

/* ---- fork: children of children, each of which changes some of what it got --------------------------------- */

static void family(char *area, unsigned int seed, int depth)
{
	for (int i = 0; i < 3; i++) {
		if (fork())
			continue;
		seed += (unsigned int)(depth * 7 + i);
		touch(area, AREA, &seed, 64);
		touch(map(256 * KB, MAP_PRIVATE | MAP_ANONYMOUS, -1), 256 * KB, &seed, 8);
		if (depth)
			family(area, seed, depth - 1);
		_exit(0);
	}
	touch(area, AREA, &seed, 32);
	reap();
}

static void fork_storm(void)
{
	char *area = map(AREA, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	unsigned int seed = 1;

	touch(area, AREA, &seed, 500);
	while (now() < end_time)
		family(area, next_random(&seed), 1);
}

/* ---- mmap: threads that map, cut, move, protect and forget -------------------------------------------------- */

static void *change_mappings(void *argument)
{
	unsigned int seed = (unsigned int)(size_t)argument;
	char *area = map(AREA, MAP_PRIVATE | MAP_ANONYMOUS, -1), *part;

	while (now() < end_time) {
		size_t offset = next_random(&seed) % 192 * PAGE, size = (1 + next_random(&seed) % 64) * PAGE;

		touch(area, AREA, &seed, 16);
		switch (next_random(&seed) % 6) {
		case 0:
			mprotect(area + offset, size, PROT_READ);
			mprotect(area + offset, size, READ_WRITE);
			break;
		case 1:
			madvise(area + offset, size, MADV_DONTNEED);
			break;
		case 2:
			mmap(area + offset, size, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 3:
			part = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
			memset(part, 1, size);
			mremap(part, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, area + offset);
			break;
		case 4:
			part = map(2 * size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
			memset(part, 1, 2 * size);
			munmap(part, size);
			munmap(part + size, size);
			break;
		case 5:
			madvise(area + offset, size, MADV_FREE);
			break;
		}
	}
	return NULL;
}

static void mmap_storm(void)
{
	pthread_t threads[THREADS];

	if (!fork()) {	/* a second process, quiet: it must not be taken for sound either */
		unsigned int seed = 9;
		char *area = map(AREA, MAP_PRIVATE | MAP_ANONYMOUS, -1);

		while (now() < end_time) {
			touch(area, AREA, &seed, 1);
			usleep(1000);
		}
		_exit(0);
	}
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, change_mappings, (void *)(i + 1)))
			exit(1);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	reap();
}

/* ---- race: the same beside a thread that forks, as servers do that save by a child --------------------------- */

static void race_storm(void)
{
	pthread_t threads[THREADS];
	char *area = map(AREA, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	unsigned int seed = 5;

	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, change_mappings, (void *)(i + 1)))
			exit(1);
	while (now() < end_time) {
		touch(area, AREA, &seed, 16);
		if (!fork()) {
			touch(area, AREA, &seed, 16);
			_exit(0);
		}
		usleep(2000);
		reap();
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- forks: children, one after the other, once the file "go" is there --------------------------------------- */

static void forks(void)
{
	char *area = map(AREA, MAP_PRIVATE | MAP_ANONYMOUS, -1), path[512];

	memset(area, 1, AREA);
	for (int error = 0; error < 134; error++)
		sink = (char)strlen(strerror(error));	/* the C library's read-only data */
	snprintf(path, sizeof(path), "%s/go", directory);
	while (access(path, F_OK))
		usleep(10000);
	for (int i = 0; i < 20; i++) {
		if (!fork()) {
			for (int error = 0; error < 134; error++)
				sink = (char)strlen(strerror(error));
			_exit(0);
		}
		reap();
	}
}

/* ---- exec: programs, by fork and by vfork, which start some more -------------------------------------------- */

static void execute(const char *what)
{
	execl(program, program, what, "0", directory, NULL);
	_exit(127);
}

static void start(const char *what, int by_vfork)
{
	pid_t child = by_vfork ? vfork() : fork();

	if (!child)
		execute(what);
}

static void exec_storm(void)
{
	for (unsigned int i = 0; now() < end_time; i++) {
		start(i % 3 ? "leaf" : "branch", i % 2);
		if (i % 4 == 3)
			reap();
	}
	reap();
}

static void leaf(void)
{
	unsigned int seed = 3;

	touch(map(MB, MAP_PRIVATE | MAP_ANONYMOUS, -1), MB, &seed, 30);
}

static void branch(void)
{
	for (int i = 0; i < 2; i++)
		start("leaf", 0);
	leaf();
	reap();
}

/* ---- cache: files that are written, mapped, read, dropped and cut ------------------------------------------- */

static void cache_worker(unsigned int seed)
{
	static char data[256 * KB];
	char path[512];

	while (now() < end_time) {
		char *shared, *private;
		int fd;

		snprintf(path, sizeof(path), "%s/file%u", directory, next_random(&seed) % FILES);
		fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0)
			exit(1);
		if (next_random(&seed) % 4 == 0)
			(void)!ftruncate(fd, 0);
		(void)!pwrite(fd, data, sizeof(data), next_random(&seed) % 4 * sizeof(data));
		shared = map(MB, MAP_SHARED, fd);
		private = map(MB, MAP_PRIVATE, fd);
		look(shared, MB, &seed, 20);
		look(private, MB, &seed, 20);
		if (next_random(&seed) % 2)
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		if (next_random(&seed) % 8 == 0 && !fork()) {
			look(private, MB, &seed, 20);
			_exit(0);
		}
		close(fd);
		if (next_random(&seed) % 4) {
			munmap(shared, MB);
			munmap(private, MB);
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	reap();
	_exit(0);
}

static void cache_storm(void)
{
	for (unsigned int i = 0; i < THREADS; i++)
		if (!fork())
			cache_worker(i + 1);
	reap();
}

/* ---- noise: what a recorder that follows somebody else hears all the same: perf tells of each mapping ------- */

static void noise(void)
{
	while (now() < end_time) {
		for (int i = 0; i < 200; i++)
			munmap(map(PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1), PAGE);
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} shapes[] = {
		{ "fork", fork_storm }, { "mmap", mmap_storm }, { "exec", exec_storm },
		{ "cache", cache_storm }, { "leaf", leaf },     { "branch", branch },
		{ "noise", noise },   { "race", race_storm }, { "forks", forks },
	};

	if (argc != 4) {
		fprintf(stderr, "usage: storms fork|mmap|exec|cache|noise|race|forks SECONDS DIRECTORY\n");
		return 2;
	}
	program = argv[0];
	directory = argv[3];
	/* Without a time to keep, the clock is left alone: pages of the vdso are not what is counted. */
	if (strcmp(argv[2], "0"))
		end_time = now() + strtod(argv[2], NULL);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		if (strcmp(argv[1], shapes[i].name))
			continue;
		shapes[i].run();
		return 0;
	}
	return 2;
}
