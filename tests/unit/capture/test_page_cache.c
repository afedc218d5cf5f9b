// SPDX-License-Identifier: MIT
/*
 * The layout of a file in the page cache against what a mapping of it shows, and that looking at it left the cache as
 * it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/snapshot/page_cache.h"
#include "kept_records.h"
#include "scanned_order.h"

#define PAGE 4096ul
#define CACHE_PAGES 300

/* A file of which pages 50..99 and 200..299 are cached, some at the start, and the others are not. */
static int make_cached_file(char *path, struct stat *st)
{
	static char page[PAGE];
	int fd = mkstemp(path);

	for (size_t i = 0; i < CACHE_PAGES; i++)
		assert_int_equal(pwrite(fd, page, sizeof(page), (off_t)(i * PAGE)), sizeof(page));
	assert_int_equal(fsync(fd), 0);
	posix_fadvise(fd, (off_t)(100 * PAGE), (off_t)(100 * PAGE), POSIX_FADV_DONTNEED);
	posix_fadvise(fd, 0, (off_t)(50 * PAGE), POSIX_FADV_DONTNEED);
	/* Reads some behind it as well, of which the first bears PG_readahead. */
	assert_int_equal(pread(fd, page, sizeof(page), 0), sizeof(page));
	fstat(fd, st);
	return fd;
}

static void read_residency(int fd, unsigned char *resident)
{
	void *at = mmap(NULL, CACHE_PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	assert_int_equal(mincore(at, CACHE_PAGES * PAGE, resident), 0);
	munmap(at, CACHE_PAGES * PAGE);
}

static void read_frames(int fd, const unsigned char *resident, u64 *frames)
{
	volatile char *at = mmap(NULL, CACHE_PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	int pagemap = open("/proc/self/pagemap", O_RDONLY);

	madvise((void *)at, CACHE_PAGES * PAGE, MADV_RANDOM);
	for (size_t i = 0; i < CACHE_PAGES; i++) {
		frames[i] = 0;
		if (!(resident[i] & 1))
			continue;
		(void)at[i * PAGE];
		assert_int_equal(pread(pagemap, &frames[i], 8, (off_t)(((uintptr_t)at / PAGE + i) * 8)), 8);
		frames[i] &= (1ull << 55) - 1;
	}
	close(pagemap);
	munmap((void *)at, CACHE_PAGES * PAGE);
}

static void test_page_cache(void **state)
{
	char path[] = "/var/tmp/refold-test-XXXXXX", link[64];
	unsigned char before[CACHE_PAGES], after[CACHE_PAGES];
	u64 frames[CACHE_PAGES], seen[CACHE_PAGES] = { 0 }, dev, resident = 0, nr_readahead = 0;
	struct rf_page_cache *cache = rf_page_cache_create();
	struct rf_page_cache_totals totals;
	struct rf_writer *writer = kept_create();
	struct rf_error err = { 0 };
	struct stat st;
	int fd = make_cached_file(path, &st), stream, code;

	(void)state;
	dev = (u64)major(st.st_dev) << 20 | minor(st.st_dev);
	read_residency(fd, before);
	rf_page_cache_note(cache, dev, st.st_ino, getpid(), path);
	/* Later names, both wrong: the link must do. */
	rf_page_cache_note(cache, dev, st.st_ino, getpid(), "/no/such/file");
	rf_page_cache_note(cache, dev, st.st_ino, getpid(), "/no/such/file/either");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	rf_page_cache_note(cache, dev, st.st_ino, getpid(), link);
	rf_page_cache_note(cache, dev, st.st_ino + 1, getpid(), path);		/* leads to another file */
	rf_page_cache_note(cache, dev, 77, getpid(), "/proc/self/mem");		/* not a regular file */
	stream = rf_writer_add_stream(writer, NULL);
	code = rf_page_cache_record(cache, writer, stream, NULL, &totals, &err);
	unlink(path);
	if (code == -EPERM || code == -ENOENT) {
		print_message("skipped: %s\n", err.message);
		skip();
	}
	assert_int_equal(code, 0);
	assert_int_equal(totals.files, 3);
	assert_int_equal(totals.recorded, 1);
	assert_int_equal(totals.gone, 2);
	/* Looking brought nothing in and threw nothing out. */
	read_residency(fd, after);
	assert_memory_equal(before, after, CACHE_PAGES);
	read_frames(fd, before, frames);
	for (size_t i = 0; i < kept_nr(writer); i++) {
		const struct rf_record *r = kept_record(writer, i);

		assert_int_equal(r->f[0], dev);
		assert_int_equal(r->f[1], st.st_ino);
		if (r->kind == RF_CACHE_FILE) {
			assert_int_equal(r->f[2], CACHE_PAGES);
			continue;
		}
		if (r->kind == RF_CACHE_READAHEAD) {
			assert_int_equal(seen[r->f[2]], r->f[3]);
			nr_readahead++;
			continue;
		}
		assert_int_equal(r->kind, RF_CACHE_RUN);
		assert_true(r->f[4] >> r->f[5] == (r->f[4] + r->f[3] - 1) >> r->f[5]);
		for (u64 j = 0; j < r->f[3]; j++) {
			assert_int_equal(seen[r->f[2] + j], 0);
			seen[r->f[2] + j] = r->f[4] + j;
			assert_int_equal(r->f[5], scanned_order(r->f[4] + j));
		}
	}
	for (size_t i = 0; i < CACHE_PAGES; i++) {
		assert_int_equal(seen[i], frames[i]);
		resident += before[i] & 1;
	}
	assert_int_equal(totals.pages, resident);
	assert_int_equal(nr_readahead, 1);
	assert_true(resident >= 150);
	print_message("%llu of %d pages resident, %llu of them with PG_readahead\n", (unsigned long long)resident, CACHE_PAGES,
		      (unsigned long long)nr_readahead);
	close(fd);
	rf_page_cache_destroy(cache);
	kept_destroy(writer);
}

/* A program in a chroot sees another name than we do; which of the two comes last is chance. */
static void test_other_root(void **state)
{
	for (int last = 0; last < 2; last++) {
		char path[] = "/var/tmp/refold-test-XXXXXX";
		struct rf_page_cache *cache = rf_page_cache_create();
		struct rf_page_cache_totals totals;
		struct rf_writer *writer = kept_create();
		struct rf_error err = { 0 };
		struct stat st;
		int fd = make_cached_file(path, &st), code;
		u64 dev = (u64)major(st.st_dev) << 20 | minor(st.st_dev);

		rf_page_cache_note(cache, dev, st.st_ino, getpid(), last ? "/no/such/file" : path);
		rf_page_cache_note(cache, dev, st.st_ino, getpid(), last ? path : "/no/such/file");
		code = rf_page_cache_record(cache, writer, rf_writer_add_stream(writer, NULL), NULL, &totals, &err);
		unlink(path);
		close(fd);
		rf_page_cache_destroy(cache);
		kept_destroy(writer);
		if (code == -EPERM || code == -ENOENT) {
			print_message("skipped: %s\n", err.message);
			skip();
		}
		assert_int_equal(code, 0);
		assert_int_equal(totals.recorded, 1);
		assert_int_equal(totals.gone, 0);
	}
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/*
 * The process that a file's name comes from, for which DIRECTORY is the root: by chroot, or in its own namespace. -1:
 * that cannot be, as without root, or where / is no mount point.
 */
static pid_t start_in(const char *directory, bool in_namespace)
{
	int ready[2];
	char byte = 'n';
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		bool mounted = in_namespace && !unshare(CLONE_NEWNS) &&
			       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
			       !mount(directory, "/mnt", NULL, MS_BIND, NULL);

		byte = mounted == in_namespace && !chroot(in_namespace ? "/mnt" : directory) ? 'y' : 'n';
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	if (byte == 'y')
		return pid;
	end(pid);
	return -1;
}

/* false: this machine does not show page frames. */
static bool look_in(const char *directory, pid_t pid, bool gone)
{
	struct rf_page_cache *cache = rf_page_cache_create();
	struct rf_page_cache_totals totals;
	struct rf_writer *writer = kept_create();
	struct rf_error err = { 0 };
	struct stat st, other;
	char path[64], neighbour[64];
	int fd, code;
	u64 dev;

	snprintf(path, sizeof(path), "%s/XXXXXX", directory);
	snprintf(neighbour, sizeof(neighbour), "%s/XXXXXX", directory);
	fd = make_cached_file(path, &st);
	close(make_cached_file(neighbour, &other));
	dev = (u64)major(st.st_dev) << 20 | minor(st.st_dev);
	rf_page_cache_note(cache, dev, st.st_ino, pid, strrchr(path, '/'));
	if (gone)
		end(pid);
	/* Its process had come and gone before it could be looked at. */
	rf_page_cache_note(cache, dev, other.st_ino, pid + 1000000, strrchr(neighbour, '/'));
	code = rf_page_cache_record(cache, writer, rf_writer_add_stream(writer, NULL), NULL, &totals, &err);
	if (!gone)
		end(pid);
	unlink(path);
	unlink(neighbour);
	close(fd);
	rf_page_cache_destroy(cache);
	kept_destroy(writer);
	if (code == -EPERM || code == -ENOENT)
		return false;
	assert_int_equal(code, 0);
	assert_int_equal(totals.recorded, 2);
	return true;
}

/*
 * A name that leads nowhere from our root, told by a process that is gone in the end. In our mount namespace its root
 * has a path; into another one a second process leads that lives.
 */
static void test_name_in_other_root(void **state)
{
	int tried = 0;

	(void)state;
	for (int in_namespace = 0; in_namespace < 2; in_namespace++) {
		char directory[] = "/var/tmp/refold-test-root-XXXXXX";
		bool allowed;
		pid_t pid;

		assert_non_null(mkdtemp(directory));
		pid = start_in(directory, in_namespace);
		allowed = pid > 0 && look_in(directory, pid, !in_namespace);
		assert_int_equal(rmdir(directory), 0);
		print_message("%s: %s\n", in_namespace ? "namespace" : "chroot", allowed ? "found" : "not possible");
		tried += allowed;
	}
	if (!tried)
		skip();
}

static void test_page_cache_limit(void **state)
{
	char path[] = "/var/tmp/refold-test-XXXXXX";
	struct rf_page_cache *cache = rf_page_cache_create();
	struct rf_page_cache_limits limits = { .pages = 1 };
	struct rf_page_cache_totals totals;
	struct rf_writer *writer = kept_create();
	struct rf_error err = { 0 };
	struct stat st;
	int fd = make_cached_file(path, &st), code;
	u64 dev = (u64)major(st.st_dev) << 20 | minor(st.st_dev);

	(void)state;
	rf_page_cache_note(cache, dev, st.st_ino, getpid(), path);
	rf_page_cache_note(cache, dev + 1, 1, getpid(), path);	/* comes after it in order */
	code = rf_page_cache_record(cache, writer, rf_writer_add_stream(writer, NULL), &limits, &totals, &err);
	unlink(path);
	close(fd);
	if (!code) {
		assert_int_equal(totals.recorded, 1);
		assert_int_equal(totals.skipped, 1);
	}
	rf_page_cache_destroy(cache);
	kept_destroy(writer);
	if (code)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_cache),
		cmocka_unit_test(test_other_root), cmocka_unit_test(test_name_in_other_root),
		cmocka_unit_test(test_page_cache_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
