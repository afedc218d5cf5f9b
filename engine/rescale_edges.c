// SPDX-License-Identifier: MIT
/*
 * Recordings on machines with larger pages: which pages of a granule are mapped. Mappings that begin or end inside a
 * granule are remembered page by page; all others are known from the machine's VMAs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engine/rescale.h"

static u16 all_pages(const struct rescale *rescale)
{
	return (1u << (1u << rescale->shift)) - 1;
}

/* Index of the first edge at or after a granule. */
static u32 find_edge(const struct rescale_edges *edges, u64 granule)
{
	u32 low = 0, high = edges->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (edges->list[middle].granule < granule)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct rescale_edges *edges_of(const struct rescaling *r)
{
	return &r->rescale->mms[r->mm->id];
}

u16 rescale_mapped(const struct rescaling *r, u64 addr)
{
	const struct rescale_edges *edges = edges_of(r);
	u64 granule = addr >> r->rescale->page_shift;
	u32 index = find_edge(edges, granule);

	if (index < edges->nr && edges->list[index].granule == granule)
		return edges->list[index].pages;
	return vma_lookup(r->mm, granule_start(r, addr)) ? all_pages(r->rescale) : 0;
}

static void remove_edges(struct rescale_edges *edges, u32 first, u32 last)
{
	if (first == last)
		return;		/* there may be no list to move within */
	memmove(&edges->list[first], &edges->list[last], (edges->nr - last) * sizeof(*edges->list));
	edges->nr -= last - first;
}

/* All or nothing is what the VMAs tell. */
static int set_mapped(const struct rescaling *r, u64 addr, u16 pages)
{
	struct rescale_edges *edges = edges_of(r);
	u64 granule = addr >> r->rescale->page_shift;
	u32 index = find_edge(edges, granule);
	bool there = index < edges->nr && edges->list[index].granule == granule;

	if (!pages || pages == all_pages(r->rescale)) {
		if (there)
			remove_edges(edges, index, index + 1);
		return 0;
	}
	if (!there) {
		if (array_grow(edges->list, edges->room, edges->nr + 1ul))
			return -ENOMEM;
		memmove(&edges->list[index + 1], &edges->list[index], (edges->nr - index) * sizeof(*edges->list));
		edges->nr++;
	}
	edges->list[index] = (struct rescale_edge){ granule, pages };
	return 0;
}

/* The pages of the granule at addr that [start, end) has. */
u16 rescale_pages_in(const struct rescaling *r, u64 addr, u64 start, u64 end)
{
	u64 base = granule_start(r, addr), size = granule_size(r);
	u64 from = max_u64(start, base), to = min_u64(end, base + size);
	unsigned int shift = r->rescale->recorded_shift;

	if (from >= to)
		return 0;
	return ((1u << ((to - base) >> shift)) - 1) & ~((1u << ((from - base) >> shift)) - 1);
}

/* Granules that [start, end) touches. */
struct range rescale_touched(const struct rescaling *r, u64 start, u64 end)
{
	return (struct range){ granule_start(r, start), ALIGN_UP(end, granule_size(r)) };
}

/* Change which pages are mapped at both ends of [start, end); whole granules between need no note. */
int rescale_note_pages(const struct rescaling *r, u64 start, u64 end, bool mapped)
{
	struct rescale_edges *edges = edges_of(r);
	struct range range = rescale_touched(r, start, end);
	u64 ends[2] = { range.start, range.end - granule_size(r) };
	u16 old[2] = { rescale_mapped(r, ends[0]), rescale_mapped(r, ends[1]) }, pages;
	int i, err = 0;

	remove_edges(edges, find_edge(edges, ends[0] >> r->rescale->page_shift),
		     find_edge(edges, range.end >> r->rescale->page_shift));
	for (i = 0; i < 2 && !err; i++) {
		pages = rescale_pages_in(r, ends[i], start, end);
		err = set_mapped(r, ends[i], mapped ? old[i] | pages : old[i] & ~pages);
	}
	return err;
}

/* ---- address spaces ------------------------------------------------------------------ */

int rescale_make_room(struct rescale *rescale, u32 id)
{
	return array_grow_zeroed(rescale->mms, rescale->max_mms, id + 1ul);
}

void rescale_forget_edges(struct rescale *rescale, u32 id)
{
	free(rescale->mms[id].list);
	rescale->mms[id] = (struct rescale_edges){ 0 };
}

int rescale_copy_edges(struct rescale *rescale, u32 parent, u32 child)
{
	const struct rescale_edges *from = &rescale->mms[parent];
	struct rescale_edges *to = &rescale->mms[child];

	rescale_forget_edges(rescale, child);
	if (!from->nr)
		return 0;
	if (array_grow(to->list, to->room, from->nr))
		return -ENOMEM;
	memcpy(to->list, from->list, from->nr * sizeof(*to->list));
	to->nr = from->nr;
	return 0;
}

void rescale_destroy(struct rescale *rescale)
{
	u32 i;

	for (i = 0; rescale && i < rescale->max_mms; i++)
		free(rescale->mms[i].list);
	if (rescale)
		free(rescale->mms);
	free(rescale);
}
