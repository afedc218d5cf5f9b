// SPDX-License-Identifier: MIT
/*
 * The entries of a page table as pagemap and kpageflags show them: present ones
 * in runs inside one folio, and swap entries.
 */
#include "truth_entries.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGEMAP_PFN ((1ull << 55) - 1)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_PRESENT (1ull << 63)
#define KPF_COMPOUND_HEAD (1ull << 15)
#define KPF_COMPOUND_TAIL (1ull << 16)
#define KPF_HUGE (1ull << 17)
#define TASK_END (1ull << 47)		/* the vsyscall page lies above and is in no page table of the process */
#define LARGE (1ull << 30)
#define FOLIO_PAGES 1024		/* more than any folio that a page-table page can map */

static FILE *out;
static int kpageflags;
static size_t page_size;

int truth_entries_open(void)
{
	page_size = sysconf(_SC_PAGESIZE);
	kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	return kpageflags < 0 ? -1 : 0;
}

static struct {
	uint64_t addr, nr, pfn, head;
	int order;
	bool swap;
} run;

static void run_flush(void)
{
	if (run.nr && run.swap)
		fprintf(out, "S\t%" PRIx64 "\t%" PRIu64 "\n", run.addr, run.nr);
	else if (run.nr)
		fprintf(out, "E\t%" PRIx64 "\t%" PRIu64 "\t%" PRIx64 "\t%" PRIx64 "\t%d\n",
			run.addr, run.nr, run.pfn, run.head, run.order);
	run.nr = 0;
}

/* The last window of kpageflags that was read; valid for one process, the others run on meanwhile. */
static uint64_t flags_window = UINT64_MAX, flags[2 * FOLIO_PAGES];

/*
 * Head and order of the folio of pfn. Folios are naturally aligned powers of two. False: it is of hugetlb, whose page
 * frames no event tells, so that they are not rebuilt.
 */
static bool read_folio(uint64_t pfn, uint64_t *head, int *order)
{
	uint64_t window = pfn & ~(uint64_t)(FOLIO_PAGES - 1), pages;
	size_t at = pfn - window, begin, end;

	if (flags_window != window) {
		ssize_t got = pread(kpageflags, flags, sizeof(flags), window * sizeof(*flags));

		if (got < 0)
			got = 0;
		memset((char *)flags + got, 0, sizeof(flags) - got);
		flags_window = window;
	}
	*head = pfn;
	*order = 0;
	if (flags[at] & KPF_HUGE)
		return false;
	if (!(flags[at] & (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL)))
		return true;
	for (begin = at; begin && !(flags[begin] & KPF_COMPOUND_HEAD); begin--)
		;
	for (end = begin + 1; end < 2 * FOLIO_PAGES; end++) {
		if ((flags[end] & (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL)) != KPF_COMPOUND_TAIL)
			break;
	}
	*head = window + begin;
	for (pages = end - begin; pages > 1; pages /= 2)
		++*order;
	return true;
}

static void write_entry(uint64_t addr, uint64_t entry)
{
	uint64_t pfn = entry & PAGEMAP_PFN, head;
	bool follows = run.nr && addr == run.addr + run.nr * page_size;
	int order;

	if (!(entry & PAGEMAP_PRESENT)) {
		if (follows && run.swap) {
			run.nr++;
			return;
		}
		run_flush();
		run.addr = addr;
		run.nr = 1;
		run.swap = true;
		return;
	}
	if (!read_folio(pfn, &head, &order)) {
		run_flush();
		return;
	}
	if (follows && !run.swap && pfn == run.pfn + run.nr && head == run.head && order == run.order) {
		run.nr++;
		return;
	}
	run_flush();
	run.addr = addr;
	run.nr = 1;
	run.pfn = pfn;
	run.head = head;
	run.order = order;
	run.swap = false;
}

static void write_populated(int pagemap, uint64_t start, uint64_t end)
{
	static uint64_t entries[16384];

	while (start < end) {
		uint64_t want = (end - start) / page_size;
		ssize_t got;

		if (want > sizeof(entries) / sizeof(*entries))
			want = sizeof(entries) / sizeof(*entries);
		got = pread(pagemap, entries, want * sizeof(*entries), start / page_size * sizeof(*entries));
		if (got <= 0)
			return;
		for (size_t i = 0; i < got / sizeof(*entries); i++, start += page_size) {
			if (entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
				write_entry(start, entries[i]);
		}
	}
}

/* struct pm_scan_arg and its region of uapi/linux/fs.h (6.7), which older headers do not have. */
struct populated {
	uint64_t start, end, categories;
};

struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_PRESENT_OR_SWAPPED (1ull << 3 | 1ull << 4)

/* Sanitizers reserve terabytes: of what is large only the populated parts are read, where the kernel tells them. */
static void write_range(int pagemap, uint64_t start, uint64_t end)
{
	static struct populated found[1024];

	while (end - start > LARGE) {
		struct scan scan = { .size = sizeof(scan), .start = start, .end = end, .vec = (uintptr_t)found,
				     .vec_len = sizeof(found) / sizeof(*found),
				     .category_anyof_mask = SCAN_PRESENT_OR_SWAPPED,
				     .return_mask = SCAN_PRESENT_OR_SWAPPED };
		int nr = ioctl(pagemap, _IOWR('f', 16, struct scan), &scan);

		if (nr < 0)
			break;
		for (int i = 0; i < nr; i++)
			write_populated(pagemap, found[i].start, found[i].end);
		if (scan.walk_end <= start)
			return;
		start = scan.walk_end;
	}
	if (start < end)
		write_populated(pagemap, start, end);
}

void truth_entries_write(FILE *file, FILE *maps, int pagemap)
{
	uint64_t start, end;
	char line[4608];

	out = file;
	flags_window = UINT64_MAX;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 && start < TASK_END)
			write_range(pagemap, start, end);
	}
	run_flush();
}
