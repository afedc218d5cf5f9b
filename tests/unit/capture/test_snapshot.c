// SPDX-License-Identifier: MIT
/*
 * Snapshots of a real process against what that process knows about itself: a child lays out memory of every
 * kind, tells its own pagemap, and waits; folio orders are checked against a plain scan of kpageflags here.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/snapshot/snapshot.h"
#include "kept_records.h"
#include "scanned_order.h"

#define PAGE		4096ul
#define PFN		((1ull << 55) - 1)	/* of a pagemap word */
#define REGION_PAGES	1024
#define MTHP_ENABLED	"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"
#define REGION_BYTES	(REGION_PAGES * PAGE)

#ifndef MADV_GUARD_INSTALL	/* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum region { ANON, MTHP, HUGE, FILE_PRIVATE, SHARED, ZERO, SWAPPED, GUARDED, FLAGGED, SCATTERED, REGIONS };

/* In memory shared with the child. */
struct layout {
	char *at[REGIONS];
	u64 words[REGIONS][REGION_PAGES];	/* the child's own pagemap */
	bool ready, has_guard, has_swap, has_huge, has_64k, has_zero;
	struct stat file;
};

static void fill(char *at, size_t first, size_t nr)
{
	for (size_t i = first; i < first + nr; i++)
		at[i * PAGE] = (char)(i + 1);
}

static char *anonymous(int protection, int flags)
{
	char *at = mmap(NULL, 2 * REGION_BYTES, protection, flags | MAP_ANONYMOUS, -1, 0);

	/* Aligned to a huge page, so that one fits in. */
	return at == MAP_FAILED ? NULL : (char *)(((uintptr_t)at + REGION_BYTES - 1) & ~(REGION_BYTES - 1));
}

/* Large folios of 64K for those who ask; the setting before goes to was. False: not to be had. */
static bool allow_64k(char *was, size_t size)
{
	FILE *file = fopen(MTHP_ENABLED, "r+e");
	char *begin, *end;
	bool ok;

	if (!file || !fgets(was, (int)size, file)) {
		if (file)
			fclose(file);
		return false;
	}
	begin = strchr(was, '[');
	end = begin ? strchr(begin, ']') : NULL;
	ok = end && fseek(file, 0, SEEK_SET) == 0 && fputs("madvise", file) >= 0 && fflush(file) == 0;
	fclose(file);
	if (end) {
		*end = '\0';
		memmove(was, begin + 1, strlen(begin));
	}
	return ok;
}

static void set_64k(const char *value)
{
	FILE *file = fopen(MTHP_ENABLED, "we");

	if (file) {
		fputs(value, file);
		fclose(file);
	}
}

static void lay_out(struct layout *layout)
{
	char was[128];
	char path[] = "/var/tmp/refold-test-XXXXXX", **at = layout->at;
	int fd = mkstemp(path);

	unlink(path);
	(void)!sbrk((intptr_t)PAGE);	/* a heap, whatever malloc() uses */
	if (fd < 0 || ftruncate(fd, (off_t)REGION_BYTES))
		_exit(1);
	fstat(fd, &layout->file);
	for (int i = 0; i < REGIONS; i++)
		at[i] = anonymous(PROT_READ | PROT_WRITE, i == SHARED ? MAP_SHARED : MAP_PRIVATE);
	fill(at[ANON], 3, 100);
	layout->has_64k = allow_64k(was, sizeof(was));
	madvise(at[MTHP], 64 * PAGE, MADV_HUGEPAGE);
	fill(at[MTHP], 20, 40);
	if (layout->has_64k)
		set_64k(was);
	layout->has_huge = !madvise(at[HUGE], REGION_BYTES, MADV_HUGEPAGE);
	fill(at[HUGE], 0, REGION_PAGES);
	layout->has_huge = !madvise(at[HUGE], REGION_BYTES, MADV_COLLAPSE) && layout->has_huge;
	for (size_t i = 0; i < 64; i++)
		(void)!pwrite(fd, path, sizeof(path), (off_t)(i * PAGE));
	at[FILE_PRIVATE] = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	for (size_t i = 0; i < 64; i++)
		(void)*(volatile char *)(at[FILE_PRIVATE] + i * PAGE);
	fill(at[FILE_PRIVATE], 10, 5);
	fill(at[SHARED], 0, 20);
	for (size_t i = 5; i < 25; i++)
		(void)*(volatile char *)(at[ZERO] + i * PAGE);
	fill(at[SWAPPED], 0, 64);
	madvise(at[SWAPPED], 64 * PAGE, MADV_PAGEOUT);
	fill(at[GUARDED], 0, 8);
	layout->has_guard = !madvise(at[GUARDED] + 2 * PAGE, 3 * PAGE, MADV_GUARD_INSTALL);
	/* What is near is read at once, and nothing of what lies between is told. */
	for (size_t i = 0, gap = 1; i < REGION_PAGES; i += gap, gap += 3)
		fill(at[SCATTERED], i, 1);
	fill(at[FLAGGED], 0, 4);
	madvise(at[FLAGGED], REGION_BYTES, MADV_DONTFORK);
	madvise(at[FLAGGED], REGION_BYTES, MADV_NOHUGEPAGE);
	madvise(at[ZERO], REGION_BYTES, MADV_WIPEONFORK);
	syscall(SYS_mlock, at[SHARED], 20 * PAGE);	/* the sanitizers make mlock(3) do nothing */
}

static void __attribute__((noreturn)) child(struct layout *layout)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);

	lay_out(layout);
	for (int i = 0; i < REGIONS; i++) {
		if (pread(pagemap, layout->words[i], sizeof(layout->words[i]),
			  (off_t)((uintptr_t)layout->at[i] / PAGE * 8)) != sizeof(layout->words[i]))
			_exit(2);
		for (size_t j = 0; j < 64; j++)
			layout->has_swap |= i == SWAPPED && (layout->words[i][j] >> 62 & 1);
	}
	/* Pages only read share the zero page; where mm_forbids_zeropage(), each has a frame of its own. */
	layout->has_zero = (layout->words[ZERO][5] & PFN) == (layout->words[ZERO][6] & PFN);
	layout->ready = true;
	raise(SIGSTOP);
	_exit(0);
}

/* What the snapshot has for one address, written out page by page. */
struct entry {
	bool present, swapped, guard;
	u64 pfn, order, flags, swap;
};

static void look_up(const struct rf_writer *writer, u64 addr, struct entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	for (size_t i = 0; i < kept_nr(writer); i++) {
		const struct rf_record *r = kept_record(writer, i);
		u64 page = (addr - r->f[0]) / PAGE;

		if ((r->kind != RF_SNAP_PTE && r->kind != RF_SNAP_SWAP) || addr < r->f[0] || page >= r->f[1])
			continue;
		assert_false(entry->present || entry->swapped || entry->guard);		/* told once */
		if (r->kind == RF_SNAP_SWAP) {
			entry->swapped = true;
			entry->swap = r->f[2] + 32 * page;
		} else if (r->f[4] & RF_PTE_GUARD) {
			entry->guard = true;
		} else {
			entry->present = true;
			entry->pfn = r->f[2] + page;
			entry->order = r->f[3];
			entry->flags = r->f[4];
			/* A run lies inside its folio. */
			assert_true(r->f[2] >> r->f[3] == (r->f[2] + r->f[1] - 1) >> r->f[3]);
		}
	}
}

static const struct rf_record *vma_of(const struct rf_writer *writer, const char *at)
{
	for (size_t i = 0; i < kept_nr(writer); i++) {
		const struct rf_record *r = kept_record(writer, i);

		if (r->kind == RF_SNAP_VMA && (u64)(uintptr_t)at - r->f[0] < r->f[1])
			return r;
	}
	fail_msg("no VMA at %p", (void *)at);
	return NULL;
}

struct fixture {
	struct layout *layout;
	struct rf_writer *writer;
	pid_t pid;
};

/* One child and one snapshot of it for all tests of its contents. */
static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct rf_snapshotter *snapshotter;
	struct rf_error err = { 0 };
	int status;

	*state = f;
	f->writer = kept_create();
	snapshotter = rf_snapshotter_create(f->writer, NULL, &err);
	if (!snapshotter) {
		print_message("no snapshots here: %s\n", err.message);
		return 0;
	}
	f->layout = mmap(NULL, sizeof(*f->layout), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	f->pid = fork();
	if (!f->pid)
		child(f->layout);
	if (waitpid(f->pid, &status, WUNTRACED) != f->pid || !WIFSTOPPED(status) || !f->layout->ready)
		return -1;
	if (rf_snapshot_process(snapshotter, f->pid, RF_SNAP_ATTACH, true, &err))
		return -1;
	rf_snapshotter_destroy(snapshotter);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->pid) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	kept_destroy(f->writer);
	free(f);
	return 0;
}

static struct fixture *fixture(void **state)
{
	struct fixture *f = *state;

	if (!f->pid)
		skip();
	return f;
}

/* Every page of every region: present, page frame, swap slot, as the child reads its own pagemap. */
static void test_entries(void **state)
{
	struct fixture *f = fixture(state);
	size_t present = 0, swapped = 0;
	struct entry e;

	for (int region = 0; region < REGIONS; region++)
		for (size_t i = 0; i < REGION_PAGES; i++) {
			u64 word = f->layout->words[region][i];

			look_up(f->writer, (u64)(uintptr_t)f->layout->at[region] + i * PAGE, &e);
			assert_int_equal(e.present, word >> 63);
			present += e.present;
			if (e.present) {
				assert_int_equal(e.pfn, word & PFN);
				assert_int_equal(e.order, scanned_order(e.pfn));
				assert_int_equal(!!(e.flags & RF_PTE_FILE), word >> 61 & 1);
				assert_int_equal(!!(e.flags & RF_PTE_EXCLUSIVE), word >> 56 & 1);
			} else if (!e.guard) {
				assert_int_equal(e.swapped, word >> 62 & 1);
				swapped += e.swapped;
				if (e.swapped)
					assert_int_equal(e.swap, word & PFN);
			}
		}
	assert_true(present >= 100 + 40 + REGION_PAGES + 64 + 20 + 20);
	print_message("%zu present, %zu swapped\n", present, swapped);
}

static void test_kinds(void **state)
{
	struct fixture *f = fixture(state);
	struct layout *l = f->layout;
	struct entry e;

	look_up(f->writer, (u64)(uintptr_t)l->at[ANON] + 3 * PAGE, &e);
	assert_true(e.flags & RF_PTE_ANON && e.flags & RF_PTE_SWAPBACKED && !(e.flags & RF_PTE_ZERO));
	look_up(f->writer, (u64)(uintptr_t)l->at[ZERO] + 5 * PAGE, &e);
	assert_true(e.present);
	assert_int_equal(e.flags & (RF_PTE_ZERO | RF_PTE_ANON), l->has_zero ? RF_PTE_ZERO : RF_PTE_ANON);
	look_up(f->writer, (u64)(uintptr_t)l->at[FILE_PRIVATE], &e);
	assert_true(e.flags & RF_PTE_FILE && !(e.flags & (RF_PTE_ANON | RF_PTE_SWAPBACKED)));
	look_up(f->writer, (u64)(uintptr_t)l->at[FILE_PRIVATE] + 12 * PAGE, &e);
	assert_true(e.flags & RF_PTE_ANON && !(e.flags & RF_PTE_FILE));
	look_up(f->writer, (u64)(uintptr_t)l->at[SHARED], &e);
	assert_true(e.flags & RF_PTE_FILE && e.flags & RF_PTE_SWAPBACKED && !(e.flags & RF_PTE_ANON));
}

static void test_guard(void **state)
{
	struct fixture *f = fixture(state);
	struct entry e;

	if (!f->layout->has_guard)
		skip();
	for (size_t i = 0; i < 8; i++) {
		look_up(f->writer, (u64)(uintptr_t)f->layout->at[GUARDED] + i * PAGE, &e);
		assert_int_equal(e.guard, i >= 2 && i < 5);
		assert_int_equal(e.present, !e.guard);
	}
}

static void test_swap(void **state)
{
	struct fixture *f = fixture(state);

	if (!f->layout->has_swap) {
		print_message("skipped: nothing was swapped out\n");
		skip();
	}
	assert_true(kept_count(f->writer, RF_SNAP_SWAP) > 0);
}

static void test_huge_page(void **state)
{
	struct fixture *f = fixture(state);
	struct entry e;

	if (!f->layout->has_huge) {
		print_message("skipped: no huge pages\n");
		skip();
	}
	look_up(f->writer, (u64)(uintptr_t)f->layout->at[HUGE] + 7 * PAGE, &e);
	assert_int_equal(e.order, 9);
	assert_true(e.flags & RF_PTE_PMD);
	look_up(f->writer, (u64)(uintptr_t)f->layout->at[ANON] + 3 * PAGE, &e);
	assert_false(e.flags & RF_PTE_PMD);
}

static void test_large_folio(void **state)
{
	struct fixture *f = fixture(state);
	struct entry e;
	size_t large = 0;

	if (!f->layout->has_64k) {
		print_message("skipped: no 64K folios\n");
		skip();
	}
	for (size_t i = 16; i < 64; i++) {
		look_up(f->writer, (u64)(uintptr_t)f->layout->at[MTHP] + i * PAGE, &e);
		large += e.present && e.order == 4;
		if (e.order == 4)
			assert_int_equal(e.pfn % 16, i % 16);
	}
	assert_true(large >= 16);	/* unless memory is in pieces, 48 */
}

static void test_vmas(void **state)
{
	struct fixture *f = fixture(state);
	const struct rf_record *r = vma_of(f->writer, f->layout->at[FILE_PRIVATE]);
	u64 stack = 0, heap = 0, vdso = 0, last = 0;

	assert_int_equal(r->f[0], (u64)(uintptr_t)f->layout->at[FILE_PRIVATE]);
	assert_int_equal(r->f[1], REGION_BYTES);
	assert_int_equal(r->f[4], f->layout->file.st_ino);
	assert_int_equal(r->f[3], (u64)major(f->layout->file.st_dev) << 20 | minor(f->layout->file.st_dev));
	/* accountable_mapping(): private and writable, which is one more thing that keeps mappings apart. */
	assert_int_equal(r->f[5], RF_VM_READ | RF_VM_WRITE | RF_ATTRIBUTE_ACCOUNT);
	assert_true(vma_of(f->writer, f->layout->at[SHARED])->f[5] & RF_VM_SHARED);
	assert_false(vma_of(f->writer, f->layout->at[SHARED])->f[5] & RF_ATTRIBUTE_ACCOUNT);
	assert_true(vma_of(f->writer, f->layout->at[SHARED])->f[5] & RF_VM_LOCKED);
	assert_true(vma_of(f->writer, f->layout->at[ZERO])->f[5] & RF_VM_WIPEONFORK);
	r = vma_of(f->writer, f->layout->at[FLAGGED]);
	assert_true(r->f[5] & RF_VM_DONTCOPY && r->f[5] & RF_VM_NOHUGEPAGE);
	for (size_t i = 0; i < kept_nr(f->writer); i++) {
		r = kept_record(f->writer, i);
		if (r->kind == RF_SNAP_VMA) {
			assert_true(r->f[0] >= last && r->f[0] + r->f[1] <= 1ull << 47);
			last = r->f[0] + r->f[1];
			stack += RF_VMA_NAME(r->f[5]) == RF_VMA_STACK && r->f[5] & RF_VM_GROWSDOWN;
			heap += RF_VMA_NAME(r->f[5]) == RF_VMA_HEAP;
			vdso += RF_VMA_NAME(r->f[5]) == RF_VMA_VDSO;
		} else if (r->kind == RF_SNAP_PTE) {
			/* In address order, inside the VMA told before. */
			assert_true(r->f[0] + r->f[1] * PAGE <= last);
		}
	}
	assert_true(stack == 1 && heap >= 1 && vdso == 1);
}

static void test_frame(void **state)
{
	struct fixture *f = fixture(state);
	const struct rf_record *first = kept_record(f->writer, 0), *rss, *end;
	u64 entries = 0, begin = first->time;

	end = kept_record(f->writer, kept_nr(f->writer) - 1);
	rss = end - 1;
	assert_int_equal(first->kind, RF_SNAP_BEGIN);
	assert_int_equal(first->f[0], f->pid);
	assert_int_equal(first->f[1], RF_SNAP_ATTACH);
	assert_int_equal(first->f[2], 1);
	assert_int_equal(end->kind, RF_SNAP_END);
	assert_true(end->f[1] == 1 && end->f[2] == 1 && end->time > begin);
	for (size_t i = 0; i < kept_nr(f->writer); i++) {
		const struct rf_record *r = kept_record(f->writer, i);

		assert_int_equal(r->tid, f->pid);
		assert_true(r == end || r->time == begin);
		if (r->kind == RF_SNAP_PTE && !(r->f[4] & (RF_PTE_ZERO | RF_PTE_GUARD)))
			entries += r->f[1];
	}
	/* What is mapped is what the kernel counts, but for the vdso, which it does not count. */
	assert_int_equal(rss->kind, RF_SNAP_RSS);
	assert_in_range(entries - (rss->f[0] + rss->f[1] + rss->f[3]), 0, 4);
}

static void test_vanished(void **state)
{
	struct rf_writer *writer = kept_create();
	struct rf_error err = { 0 };
	struct rf_snapshotter *snapshotter = rf_snapshotter_create(writer, NULL, &err);
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	if (!snapshotter)
		skip();
	assert_int_equal(rf_snapshot_process(snapshotter, pid, RF_SNAP_STOP, false, &err), 0);
	assert_int_equal(kept_nr(writer), 2);
	assert_int_equal(kept_record(writer, 0)->kind, RF_SNAP_BEGIN);
	assert_int_equal(kept_record(writer, 1)->kind, RF_SNAP_END);
	assert_int_equal(kept_record(writer, 1)->f[1], 0);
	/* A kernel thread has no page tables of its own: nothing to say. */
	assert_int_equal(rf_snapshot_process(snapshotter, 2, RF_SNAP_STOP, false, &err), 0);
	assert_int_equal(kept_nr(writer), getpid() == 2 ? 3 : 2);
	rf_snapshotter_destroy(snapshotter);
	kept_destroy(writer);
}

static void test_kernel_pages(void **state)
{
	struct fixture *f = fixture(state);
	struct rf_writer *writer = kept_create();
	const struct rf_compat compat = { .nr = 2, .vdso = { 0x77, 0x99 } };
	struct rf_error err = { 0 };
	struct entry e;
	size_t zero = 0, vdso = 0;
	u64 addr = 0;

	assert_int_equal(rf_kernel_pages_record(writer, rf_writer_add_stream(writer, NULL), &compat, &err), 0);
	for (size_t i = 0; i < kept_nr(f->writer); i++)
		if (kept_record(f->writer, i)->kind == RF_SNAP_VMA &&
		    RF_VMA_NAME(kept_record(f->writer, i)->f[5]) == RF_VMA_VDSO)
			addr = kept_record(f->writer, i)->f[0];
	for (size_t i = 0; i < kept_nr(writer); i++) {
		const struct rf_record *r = kept_record(writer, i);

		assert_int_equal(r->kind, RF_KERNEL_PAGE);
		if (r->f[0] == RF_KERNEL_PAGE_ZERO) {
			/* Where a read fault does not map it, only userfaultfd and splits of folios do. */
			look_up(f->writer, (u64)(uintptr_t)f->layout->at[ZERO] + 5 * PAGE, &e);
			assert_int_equal(r->f[2] == e.pfn, f->layout->has_zero);
			zero++;
		} else if (r->f[0] == RF_KERNEL_PAGE_VDSO) {
			/* The same in the child, where it has touched that page. */
			look_up(f->writer, addr + r->f[1] * PAGE, &e);
			if (e.present)
				assert_int_equal(r->f[2], e.pfn);
			vdso++;
		}
	}
	assert_in_range(zero, f->layout->has_zero, 1);
	assert_true(vdso >= 1);
	kept_destroy(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries), cmocka_unit_test(test_kinds), cmocka_unit_test(test_guard),
		cmocka_unit_test(test_swap), cmocka_unit_test(test_huge_page), cmocka_unit_test(test_large_folio),
		cmocka_unit_test(test_vmas), cmocka_unit_test(test_frame), cmocka_unit_test(test_vanished),
		cmocka_unit_test(test_kernel_pages),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
