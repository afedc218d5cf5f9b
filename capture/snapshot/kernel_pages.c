// SPDX-License-Identifier: MIT
/*
 * Page frames the kernel maps into every process: the zero page, the huge zero page, the vdso. They are
 * constants of a boot with no event of their own, so this process looks at its own copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/snapshot/pagemap.h"
#include "capture/snapshot/snapshot.h"

#define MAX_KERNEL_PAGES 64

struct found {
	struct rf_record records[MAX_KERNEL_PAGES];
	size_t nr;
	u64 time;
};

static void add(struct found *found, enum rf_kernel_page what, u64 index, u64 pfn)
{
	if (found->nr == MAX_KERNEL_PAGES)
		return;
	found->records[found->nr++] = (struct rf_record){
		.time = found->time, .kind = RF_KERNEL_PAGE, .f = { what, index, pfn },
	};
}

/* The page frame behind page, if it is the zero page. */
static bool add_zero_page(struct rf_own_memory *own, struct rf_folio_reader *reader, const char *page,
			  struct found *found)
{
	struct rf_folio folio;
	u64 word;

	if (rf_own_memory_pagemap(own, page, &word, 1) != 1 || !(word & RF_PAGEMAP_PRESENT))
		return false;
	rf_folio_find(reader, &word, 1, &folio);
	if (folio.flags & RF_KPF_ZERO_PAGE)
		add(found, RF_KERNEL_PAGE_ZERO, 0, RF_PAGEMAP_PFN(word));
	return folio.flags & RF_KPF_ZERO_PAGE;
}

/* mfill_atomic_pte_zeropage() puts it there by order. */
static bool order_zero_page(char *page, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .range = { (uintptr_t)page, size }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_zeropage zero = { .range = area.range };
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	bool done;

	if (uffd < 0)
		return false;
	done = !ioctl(uffd, UFFDIO_API, &api) && !ioctl(uffd, UFFDIO_REGISTER, &area) &&
	       !ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
	close(uffd);
	return done;
}

/*
 * Read-fault one page of anonymous memory: do_anonymous_page() maps the zero page, unless mm_forbids_zeropage(). Some
 * guests' kernels do not there, but where a folio is split all the same: they map it when told to.
 */
static void find_zero_page(struct rf_own_memory *own, struct rf_folio_reader *reader, struct found *found)
{
	char *pages = mmap(NULL, 2 * own->page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *ordered = pages + own->page_size;

	if (pages == MAP_FAILED)
		return;
	if ((rf_own_memory_touch(own, pages) || !add_zero_page(own, reader, pages, found)) &&
	    order_zero_page(ordered, own->page_size))
		add_zero_page(own, reader, ordered, found);
	munmap(pages, 2 * own->page_size);
}

static u64 pmd_size(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "re");
	unsigned long long size = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &size) != 1)
		size = 0;
	fclose(file);
	return size;
}

/*
 * The same with a PMD's worth of memory: do_huge_pmd_anonymous_page() maps the huge zero page if huge pages and
 * use_zero_page are enabled. This mm holds on to it as long as it lives, so it stays the one of the recording.
 */
static void find_huge_zero_page(struct rf_own_memory *own, struct rf_folio_reader *reader, struct found *found)
{
	u64 size = pmd_size(), word;
	struct rf_folio folio;
	char *area, *page;

	if (!size)
		return;
	area = mmap(NULL, 2 * size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return;
	page = (char *)ALIGN_UP((uintptr_t)area, size);
	madvise(page, size, MADV_HUGEPAGE);
	/* Only if the page behind the touched one got mapped too was it a huge page. */
	if (!rf_own_memory_touch(own, page) &&
	    rf_own_memory_pagemap(own, page + size - own->page_size, &word, 1) == 1 && (word & RF_PAGEMAP_PRESENT)) {
		rf_folio_find(reader, &word, 1, &folio);
		if (folio.flags & RF_KPF_ZERO_PAGE)
			add(found, RF_KERNEL_PAGE_HUGE_ZERO, 0,
			    ALIGN_DOWN(RF_PAGEMAP_PFN(word), size / own->page_size));
	}
	munmap(area, 2 * size);
}

/* Pages a kernel keeps from being seen (VM_PFNMAP: [vvar]) are not seen in anybody's snapshot either. */
static void find_special(struct rf_own_memory *own, const char *line, const char *name, enum rf_kernel_page what,
			 struct found *found)
{
	unsigned long start, end;
	u64 word;

	if (!strstr(line, name) || sscanf(line, "%lx-%lx", &start, &end) != 2)
		return;
	for (unsigned long a = start; a < end; a += own->page_size) {
		rf_own_memory_touch(own, (void *)a);
		if (rf_own_memory_pagemap(own, (void *)a, &word, 1) == 1 && (word & RF_PAGEMAP_PRESENT))
			add(found, what, (a - start) / own->page_size, RF_PAGEMAP_PFN(word));
	}
}

static void find_specials(struct rf_own_memory *own, struct found *found)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t size = 0;

	if (!maps)
		return;
	while (getline(&line, &size, maps) > 0) {
		find_special(own, line, " [vdso]", RF_KERNEL_PAGE_VDSO, found);
		find_special(own, line, " [vvar]", RF_KERNEL_PAGE_VVAR, found);
		find_special(own, line, " [vvar_vclock]", RF_KERNEL_PAGE_VVAR_VCLOCK, found);
	}
	free(line);
	fclose(maps);
}

static int compare(const void *a, const void *b)
{
	const struct rf_record *x = a, *y = b;

	for (int i = 0; i < 2; i++)
		if (x->f[i] != y->f[i])
			return x->f[i] < y->f[i] ? -1 : 1;
	return 0;
}

int rf_kernel_pages_record(struct rf_writer *writer, int stream, const struct rf_compat *compat, struct rf_error *err)
{
	struct found found = { .nr = 0, .time = rf_monotonic() };
	struct rf_folio_reader reader;
	struct rf_own_memory own;
	int code;

	code = rf_folio_reader_open(&reader, err);
	if (code)
		return code;
	code = rf_own_memory_open(&own, err);
	if (code) {
		rf_folio_reader_close(&reader);
		return code;
	}
	find_zero_page(&own, &reader, &found);
	find_huge_zero_page(&own, &reader, &found);
	find_specials(&own, &found);
	for (size_t i = 0; i < compat->nr; i++)
		add(&found, RF_KERNEL_PAGE_VDSO_COMPAT, i, compat->vdso[i]);
	rf_own_memory_close(&own);
	rf_folio_reader_close(&reader);
	qsort(found.records, found.nr, sizeof(found.records[0]), compare);
	return rf_writer_append(writer, stream, found.records, found.nr, err);
}
