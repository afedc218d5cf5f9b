// SPDX-License-Identifier: MIT
/*
 * workloads NAME MIB TAG: what the emulated kernel is made to do, the same in every run. Each workload is a row of
 * phases; a phase is a window, labelled NAME/TAG/PHASE, that the recording knows from trace_marker and the emulator's
 * plugin (tlbicount.c) from an instruction that does nothing.
 *
 * What a program does depends on how large pages are: with $WORKLOAD_PAGE it does what it would with pages so large.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define BLOCK 65536ul
#define CGROUP "/sys/fs/cgroup/"
#define TRACEFS "/sys/kernel/tracing/"

#define HINT_BEGIN 0x5a01
#define HINT_END 0x5a02

static const char *workload, *tag;
static size_t page, size;
static int marker;
static char label[200], end_mark[256];

#ifdef __x86_64__
/* nopl number(%rax) with rdi pointing to the label; rsi is the process. */
#define HINT(number, text) \
	asm volatile(".byte 0x0f, 0x1f, 0x80; .long %c0" :: "i"(number), "D"(text), "S"((long)getpid()) : "memory")
#else
/* movz xzr, #number with x0 pointing to the label. */
#define HINT(number, text) do {                                                                    \
	register const char *x0 asm("x0") = (text);                                                \
	asm volatile(".inst %c1" :: "r"(x0), "i"(0xd280001fu | (number) << 5) : "memory");         \
} while (0)
#endif

/*
 * The trace_marker of the recording that started us: kernels before 6.16 do not copy there what is written to the
 * common one.
 */
static int open_marker(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), TRACEFS "instances/refold-task-%d/trace_marker", getppid());
	fd = open(path, O_WRONLY);
	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static void mark(const char *text)
{
	if (write(marker, text, strlen(text)) < 0)
		exit(3);
}

/* Both marks are made here: between the hint and the mark of an end nothing may be written, that could be a fault. */
static void begin(const char *phase)
{
	char text[sizeof(end_mark)];

	snprintf(label, sizeof(label), "%s/%s/%s", workload, tag, phase);
	snprintf(text, sizeof(text), "WL BEGIN %s\n", label);
	snprintf(end_mark, sizeof(end_mark), "WL END %s\n", label);
	mark(text);
	HINT(HINT_BEGIN, label);
}

static void end(void)
{
	HINT(HINT_END, label);
	mark(end_mark);
}

#define WINDOW(phase, work) do { begin(phase); work; end(); } while (0)

/* ---- memory ----------------------------------------------------------------- */

/* At a fixed place that is 2M aligned, so that every run has the same page tables. */
static char *region(void)
{
	char *memory = mmap((void *)0x4000000000ul, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return memory;
}

static void write_all(char *memory, size_t length, size_t step)
{
	size_t i;

	for (i = 0; i < length; i += step)
		((volatile char *)memory)[i] = 1;
}

static void read_all(const char *memory, size_t length, size_t step)
{
	size_t i;

	for (i = 0; i < length; i += step)
		(void)((const volatile char *)memory)[i];
}

static char *touched(void)
{
	char *memory = region();

	write_all(memory, size, page);
	return memory;
}

static void run_anon(void)
{
	char *memory = region();

	WINDOW("touch", write_all(memory, size, page));
	WINDOW("rewrite", write_all(memory, size, page));
	WINDOW("munmap", munmap(memory, size));
}

static void run_anon_read(void)
{
	char *memory = region();

	WINDOW("read-zero", read_all(memory, size, page));
	WINDOW("write-after-read", write_all(memory, size, page));
	WINDOW("munmap", munmap(memory, size));
}

/* ---- fork ------------------------------------------------------------------- */

static int to_child[2], to_parent[2];

static void tell(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(3);
}

static void await(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(3);
}

static pid_t fork_child(void)
{
	pid_t child;

	if (pipe(to_child) || pipe(to_parent))
		exit(2);
	child = fork();
	if (child < 0) {
		perror("fork");
		exit(2);
	}
	return child;
}

static void child_exits(pid_t child)
{
	begin("child-exit");
	tell(to_child[1]);
	waitpid(child, NULL, 0);
	end();
}

static void run_fork_exit(void)
{
	char *memory = touched();
	pid_t child;

	begin("fork");
	child = fork_child();
	if (!child) {
		tell(to_parent[1]);
		await(to_child[0]);
		_exit(0);
	}
	await(to_parent[0]);
	end();
	child_exits(child);
	WINDOW("parent-write-all", write_all(memory, size, page));
	WINDOW("munmap", munmap(memory, size));
}

/* The child writes a page in each child_step bytes, the parent one in each parent_step; 0: none. */
static void fork_and_write(const char *child_phase, size_t child_step, const char *parent_phase, size_t parent_step)
{
	char *memory = touched();
	pid_t child;

	begin("fork");
	child = fork_child();
	if (!child) {
		tell(to_parent[1]);
		await(to_child[0]);
		if (child_step)
			write_all(memory, size, child_step);
		tell(to_parent[1]);
		await(to_child[0]);
		_exit(0);
	}
	await(to_parent[0]);
	end();
	begin(child_phase);
	tell(to_child[1]);
	await(to_parent[0]);
	end();
	if (parent_step) {
		begin(parent_phase);
		write_all(memory, size, parent_step);
		end();
	}
	child_exits(child);
	WINDOW("parent-write-all-after", write_all(memory, size, page));
	WINDOW("munmap", munmap(memory, size));
}

static void run_cow_child_all(void)
{
	fork_and_write("child-write-all", page, NULL, 0);
}

static void run_cow_child_1per64k(void)
{
	fork_and_write("child-write-1per64k", BLOCK, NULL, 0);
}

static void run_cow_parent_all(void)
{
	fork_and_write("child-idle", 0, "parent-write-all", page);
}

static void run_cow_parent_1per64k(void)
{
	fork_and_write("child-idle", 0, "parent-write-1per64k", BLOCK);
}

/* ---- changing and unmapping ------------------------------------------------- */

static void protect(const char *phase, char *memory, size_t length, int protection)
{
	begin(phase);
	mprotect(memory, length, protection);
	end();
}

static void rewrite(const char *phase, char *memory, size_t length)
{
	begin(phase);
	write_all(memory, length, page);
	end();
}

static void run_mprotect(void)
{
	char *memory = touched(), *odd = memory + 5 * page;
	size_t odd_length = size / 2 + 6 * page;

	protect("ro-half", memory, size / 2, PROT_READ);
	protect("rw-half", memory, size / 2, PROT_READ | PROT_WRITE);
	rewrite("write-half", memory, size / 2);
	protect("ro-whole", memory, size, PROT_READ);
	protect("rw-whole", memory, size, PROT_READ | PROT_WRITE);
	rewrite("write-whole", memory, size);
	protect("ro-misaligned", odd, odd_length, PROT_READ);
	protect("rw-misaligned", odd, odd_length, PROT_READ | PROT_WRITE);
	rewrite("write-misaligned", memory, size);
	protect("none-whole", memory, size, PROT_NONE);
	protect("rw-whole2", memory, size, PROT_READ | PROT_WRITE);
	WINDOW("munmap", munmap(memory, size));
}

/* One page in the middle of each block. */
static void advise_pages(char *memory, size_t length, int advice)
{
	size_t i;

	for (i = 7 * page; i < length; i += BLOCK)
		madvise(memory + i, page, advice);
}

static void run_dontneed(void)
{
	char *memory = touched();
	size_t i;

	WINDOW("single-mid-pages", advise_pages(memory, size, MADV_DONTNEED));
	WINDOW("refault", write_all(memory + 7 * page, size - 7 * page, BLOCK));
	WINDOW("whole", madvise(memory, size, MADV_DONTNEED));
	rewrite("retouch", memory, size);
	begin("whole-blocks-each");
	for (i = 0; i < size; i += BLOCK)
		madvise(memory + i, BLOCK, MADV_DONTNEED);
	end();
	rewrite("retouch2", memory, size);
	WINDOW("misaligned-range", madvise(memory + 3 * page, size - 8 * page, MADV_DONTNEED));
	WINDOW("munmap", munmap(memory, size));
}

static void run_free(void)
{
	char *memory = touched();

	WINDOW("free-whole", madvise(memory, size, MADV_FREE));
	rewrite("rewrite", memory, size);
	WINDOW("free-single-mid-pages", advise_pages(memory, size / 4, MADV_FREE));
	rewrite("rewrite2", memory, size);
	WINDOW("munmap", munmap(memory, size));
}

static char *move(const char *phase, char *from, uintptr_t to)
{
	char *moved;

	begin(phase);
	moved = mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to);
	end();
	return moved;
}

static void run_mremap(void)
{
	char *memory = move("move-2M-aligned", touched(), 0x5000000000ul);

	memory = move("move-64K-aligned", memory, 0x6000010000ul);
	rewrite("write-64K-aligned", memory, size);
	memory = move("move-misaligned", memory, 0x7000000000ul + page);
	rewrite("write-misaligned", memory, size);
	memory = move("move-back", memory, 0x5000000000ul);
	rewrite("write-back", memory, size);
	WINDOW("munmap", munmap(memory, size));
}

static void run_partial(void)
{
	char *memory = touched();

	WINDOW("munmap-one-page", munmap(memory + 7 * page, page));
	WINDOW("munmap-misaligned", munmap(memory + size / 4 + 5 * page, size / 2 + 6 * page));
	begin("mmap-fixed-over");
	if (mmap(memory + BLOCK * 2, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	    MAP_FAILED)
		perror("mmap");
	end();
	WINDOW("munmap", munmap(memory, size));
}

static void run_populate(void)
{
	char *memory = region();
	pid_t child;

	WINDOW("populate-write", madvise(memory, size, MADV_POPULATE_WRITE));
	begin("exit-unmap");
	child = fork();
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
	end();
	WINDOW("munmap", munmap(memory, size));
}

static void run_brk(void)
{
	size_t i;

	begin("grow-touch");
	for (i = 0; i < size; i += BLOCK * 2)
		write_all(sbrk(BLOCK * 2), BLOCK * 2, page);
	end();
	begin("shrink");
	for (i = 0; i < size; i += BLOCK * 2)
		if (sbrk(-(intptr_t)(BLOCK * 2 - (i ? 0 : page))) == (void *)-1)
			perror("sbrk");
	end();
}

/* ---- folios and reclaim ----------------------------------------------------- */

static void run_collapse(void)
{
	char *memory = touched();

	WINDOW("collapse", madvise(memory, size, MADV_COLLAPSE));
	protect("ro-one-page", memory + 7 * page, page, PROT_READ);
	protect("rw-one-page", memory + 7 * page, page, PROT_READ | PROT_WRITE);
	WINDOW("munmap", munmap(memory, size));
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* Every other block is free: compaction moves the rest together. */
static void run_compact(void)
{
	char *memory = touched();
	size_t i;

	for (i = 0; i < size; i += BLOCK * 2)
		madvise(memory + i, BLOCK, MADV_DONTNEED);
	WINDOW("compact", write_file("/proc/sys/vm/compact_memory", "1"));
	WINDOW("munmap", munmap(memory, size));
}

static void run_reclaim(void)
{
	char *memory = touched();

	WINDOW("cold-single-mid-pages", advise_pages(memory, size / 4, MADV_COLD));
	WINDOW("cold-whole", madvise(memory, size, MADV_COLD));
	WINDOW("reaccess", read_all(memory, size, page));
	rewrite("rewrite", memory, size);
	WINDOW("pageout-misaligned", madvise(memory + 5 * page, size / 4, MADV_PAGEOUT));
	WINDOW("pageout-whole", madvise(memory, size, MADV_PAGEOUT));
	rewrite("swapin-write", memory, size);
	WINDOW("munmap", munmap(memory, size));
}

/* The kernel reclaims a quarter of the memory of a cgroup of ours; the guest made it. */
static void run_memcg(void)
{
	char pid[32], quarter[32];
	char *memory;

	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(quarter, sizeof(quarter), "%zu", size / 4);
	write_file(CGROUP "wl/cgroup.procs", pid);
	memory = touched();
	WINDOW("reclaim-quarter", write_file(CGROUP "wl/memory.reclaim", quarter));
	WINDOW("reread", read_all(memory, size, page));
	WINDOW("reclaim-quarter-again", write_file(CGROUP "wl/memory.reclaim", quarter));
	rewrite("rewrite", memory, size);
	WINDOW("munmap", munmap(memory, size));
	write_file(CGROUP "cgroup.procs", pid);
}

/* ---- files ------------------------------------------------------------------ */

static int whole_file(const char *path)
{
	static char bytes[1 << 20];
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	size_t i;

	if (fd < 0) {
		perror(path);
		exit(2);
	}
	memset(bytes, 7, sizeof(bytes));
	for (i = 0; i < size; i += sizeof(bytes))
		if (write(fd, bytes, sizeof(bytes)) < 0)
			perror(path);
	fsync(fd);
	return fd;
}

static char *map_file(int fd, int protection, int flags)
{
	char *memory = mmap((void *)0x4000000000ul, size, protection, flags | MAP_FIXED_NOREPLACE, fd, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return memory;
}

static void run_file(void)
{
	int fd = whole_file(getenv("WORKLOAD_FILE"));
	char *memory = map_file(fd, PROT_READ, MAP_SHARED);
	pid_t child;

	WINDOW("read", read_all(memory, size, page));
	begin("fork-exit");
	child = fork();
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
	end();
	WINDOW("munmap", munmap(memory, size));
	memory = map_file(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	WINDOW("private-read", read_all(memory, size, page));
	WINDOW("private-write-1per64k", write_all(memory + 7 * page, size - 7 * page, BLOCK));
	WINDOW("private-munmap", munmap(memory, size));
	memory = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	rewrite("shared-write", memory, size);
	WINDOW("msync-clean", msync(memory, size, MS_SYNC));
	rewrite("shared-rewrite", memory, size);
	WINDOW("shared-munmap", munmap(memory, size));
}

/* ----------------------------------------------------------------------------- */

/* A name may go on behind the one that is listed: file_tmpfs, memcg_lrugen0. */
static const struct {
	const char *name;
	void (*run)(void);
} workloads[] = {
	{ "anon_read", run_anon_read },
	{ "anon", run_anon },
	{ "fork_exit", run_fork_exit },
	{ "cow_child_all", run_cow_child_all },
	{ "cow_child_1per64k", run_cow_child_1per64k },
	{ "cow_parent_all", run_cow_parent_all },
	{ "cow_parent_1per64k", run_cow_parent_1per64k },
	{ "mprotect", run_mprotect },
	{ "dontneed", run_dontneed },
	{ "free", run_free },
	{ "mremap", run_mremap },
	{ "partial", run_partial },
	{ "populate", run_populate },
	{ "brk", run_brk },
	{ "collapse", run_collapse },
	{ "compact", run_compact },
	{ "reclaim", run_reclaim },
	{ "memcg", run_memcg },
	{ "file", run_file },
};

int main(int argc, char **argv)
{
	size_t i;

	if (argc != 4)
		return 2;
	workload = argv[1];
	size = strtoul(argv[2], NULL, 10) << 20;
	tag = argv[3];
	page = getenv("WORKLOAD_PAGE") ? strtoul(getenv("WORKLOAD_PAGE"), NULL, 10) : (size_t)sysconf(_SC_PAGESIZE);
	marker = open_marker();
	for (i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (!strncmp(workload, workloads[i].name, strlen(workloads[i].name))) {
			workloads[i].run();
			return 0;
		}
	}
	return 2;
}
