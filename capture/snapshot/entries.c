// SPDX-License-Identifier: MIT
/*
 * Page-table entries into records: the words of pagemap for the ranges that are populated, runs of them one record,
 * kpageflags once per folio.
 */
#include <time.h>
#include <unistd.h>

#include "capture/snapshot/snapshotter.h"

/* Swap types from here on are not swap devices: hwpoison, migration, device memory; 31 are PTE markers. */
#define FIRST_SPECIAL_TYPE	23
#define MARKER_TYPE		31
#define MARKER_GUARD		BIT_ULL(2)
#define MAX_RETRIES		200
/* Pages between two regions that are sooner read and thrown away than passed over: another pread() takes as long. */
#define READ_ACROSS		64

static void flush_run(struct rf_snapshotter *s)
{
	struct run *run = &s->run;

	if (run->kind == RF_SNAP_PTE)
		rf_snapshot_emit(s, RF_SNAP_PTE,
				 (u64[RF_RECORD_FIELDS]){ run->addr, run->nr, run->first, run->order, run->flags });
	else if (run->kind == RF_SNAP_SWAP)
		rf_snapshot_emit(s, RF_SNAP_SWAP, (u64[RF_RECORD_FIELDS]){ run->addr, run->nr, run->first });
	s->totals.ptes += run->nr;
	run->kind = 0;
	run->nr = 0;
}

static u64 pte_flags(u64 word)
{
	u64 flags = 0;

	if (word & RF_PAGEMAP_FILE)
		flags |= RF_PTE_FILE;
	if (word & RF_PAGEMAP_EXCLUSIVE)
		flags |= RF_PTE_EXCLUSIVE;
	if (word & RF_PAGEMAP_SOFT_DIRTY)
		flags |= RF_PTE_SOFT_DIRTY;
	if (word & RF_PAGEMAP_UFFD_WP)
		flags |= RF_PTE_UFFD_WP;
	return flags;
}

static u64 folio_flags(u64 kpageflags)
{
	u64 flags = 0;

	if (kpageflags & RF_KPF_ZERO_PAGE)
		flags |= RF_PTE_ZERO;
	if (kpageflags & RF_KPF_SWAPBACKED)
		flags |= RF_PTE_SWAPBACKED;
	if (kpageflags & RF_KPF_ANON)
		flags |= RF_PTE_ANON;
	if (kpageflags & RF_KPF_KSM)
		flags |= RF_PTE_KSM;
	return flags;
}

/* words: this entry's and the left ones after it. */
static void add_present(struct rf_snapshotter *s, u64 addr, const u64 *words, size_t left, u64 extra)
{
	u64 pfn = RF_PAGEMAP_PFN(words[0]), entry_flags = pte_flags(words[0]) | extra;
	struct run *run = &s->run;
	struct rf_folio folio;

	if (run->kind == RF_SNAP_PTE && addr == run->addr + run->nr * s->page_size && pfn == run->first + run->nr &&
	    pfn < run->end_pfn && entry_flags == (run->flags & ~folio_flags(~0ull))) {
		run->nr++;
		return;
	}
	flush_run(s);
	rf_folio_find(&s->folios, words, left, &folio);
	*run = (struct run){
		.kind = RF_SNAP_PTE, .order = folio.order, .addr = addr, .nr = 1, .first = pfn,
		.flags = entry_flags | folio_flags(folio.flags), .end_pfn = folio.head + BIT_ULL(folio.order),
	};
}

static void add_swap(struct rf_snapshotter *s, u64 addr, u64 word)
{
	u64 entry = RF_PAGEMAP_PFN(word);
	struct run *run = &s->run;

	if (run->kind == RF_SNAP_SWAP && addr == run->addr + run->nr * s->page_size &&
	    entry == run->first + run->nr * RF_PAGEMAP_SWAP_STEP) {
		run->nr++;
		return;
	}
	flush_run(s);
	*run = (struct run){ .kind = RF_SNAP_SWAP, .addr = addr, .nr = 1, .first = entry };
}

/* A guard region's marker: nothing is mapped, and nothing may be. */
static void add_guard(struct rf_snapshotter *s, u64 addr)
{
	struct run *run = &s->run;

	if (run->kind == RF_SNAP_PTE && run->flags == RF_PTE_GUARD && addr == run->addr + run->nr * s->page_size) {
		run->nr++;
		return;
	}
	flush_run(s);
	*run = (struct run){ .kind = RF_SNAP_PTE, .addr = addr, .nr = 1, .flags = RF_PTE_GUARD };
}

/* pagemap shows a page under migration as swapped; that lasts microseconds, so look again. */
static u64 settle(struct rf_snapshotter *s, u64 addr, u64 word)
{
	u64 again;

	while ((word & RF_PAGEMAP_SWAP) && RF_PAGEMAP_SWAP_TYPE(word) >= FIRST_SPECIAL_TYPE &&
	       RF_PAGEMAP_SWAP_TYPE(word) != MARKER_TYPE && s->retries < MAX_RETRIES) {
		s->retries++;
		nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
		if (pread(s->pagemap_fd, &again, sizeof(again), (off_t)(addr / s->page_size * sizeof(again))) !=
		    sizeof(again))
			break;
		word = again;
	}
	return word;
}

static void add_words(struct rf_snapshotter *s, u64 addr, u64 *words, size_t nr, u64 extra)
{
	for (size_t i = 0; i < nr; i++, addr += s->page_size) {
		if (words[i] & RF_PAGEMAP_SWAP)
			words[i] = settle(s, addr, words[i]);
		if (words[i] & RF_PAGEMAP_PRESENT)
			add_present(s, addr, &words[i], nr - i, extra);
		else if (!(words[i] & (RF_PAGEMAP_SWAP | RF_PAGEMAP_GUARD)))
			continue;
		else if (words[i] & RF_PAGEMAP_GUARD)
			add_guard(s, addr);
		else if (RF_PAGEMAP_SWAP_TYPE(words[i]) != MARKER_TYPE)
			add_swap(s, addr, words[i]);
		else if (RF_PAGEMAP_PFN(words[i]) / RF_PAGEMAP_SWAP_STEP & MARKER_GUARD)
			add_guard(s, addr);	/* before 6.15 pagemap has no guard bit */
	}
}

/* The words of [start, end) and, by a scan, of the regions near behind, as far as there is room. False: it is gone. */
static bool read_words(struct rf_snapshotter *s, u64 start, u64 end, bool scan)
{
	u64 reach = scan ? max_u64(end, rf_scan_reach(&s->scan, READ_ACROSS * s->page_size)) : end;
	size_t want = min_u64((reach - start) / s->page_size, PAGEMAP_WORDS);
	ssize_t bytes = pread(s->pagemap_fd, s->words, want * sizeof(u64), (off_t)(start / s->page_size * sizeof(u64)));

	s->words_from = start;
	s->words_nr = bytes > 0 ? (size_t)bytes / sizeof(u64) : 0;
	return s->words_nr;
}

static void read_range(struct rf_snapshotter *s, u64 start, u64 end, bool scan, u64 extra)
{
	while (start < end && s->complete) {
		size_t skip = (start - s->words_from) / s->page_size, nr;

		if (start < s->words_from || skip >= s->words_nr) {
			s->complete = read_words(s, start, end, scan);
			continue;
		}
		nr = min_u64((end - start) / s->page_size, s->words_nr - skip);
		add_words(s, start, s->words + skip, nr, extra);
		start += nr * s->page_size;
	}
}

/* A region may begin before the VMA and reach beyond. */
void rf_snapshot_entries(struct rf_snapshotter *s, u64 start, u64 end, bool scan)
{
	const struct rf_scan_region *region;

	if (!scan) {
		read_range(s, start, end, false, 0);
		flush_run(s);
		return;
	}
	while (s->complete && (region = rf_scan_region(&s->scan)) && region->start < end) {
		u64 from = max_u64(region->start, start), to = min_u64(region->end, end);

		if (from < to)
			read_range(s, from, to, true, region->huge ? RF_PTE_PMD : 0);
		if (region->end > end)
			break;
		rf_scan_next(&s->scan);
	}
	s->complete = s->complete && !s->scan.failed;
	flush_run(s);
}
