/* SPDX-License-Identifier: MIT */
/*
 * A machine with larger pages than the recording had: what the kernel of the
 * recording did to small pages, said of the large ones that hold them; also one
 * with pages of the same size in tables of another one. rescale.c has the
 * ranges, rescale_pages.c the pages; both look at the machine's own state, and
 * at what rescale_edges.c remembers, and count what they cannot know
 * (RF_INEXACTS).
 *
 * A granule is a page of the machine, a page one of the recording. Rules:
 *  - a mapping gets all granules it touches, but those that another one has;
 *  - a granule leaves with the last of its pages; other ranges take the
 *    granules of which nothing that is mapped lies outside of them;
 *  - the first fault on any page of a granule maps it, later ones are left out
 *    unless they write where only reading is allowed, or meet a swap entry;
 *  - folios keep their size in bytes, those smaller than a granule become one;
 *  - what the reverse map does to small folios is done to a granule when it is
 *    done to the first of its pages.
 */
#ifndef REFOLD_ENGINE_RESCALE_H
#define REFOLD_ENGINE_RESCALE_H

#include "engine/vma.h"

/* A granule of which only some pages are mapped: bit 0 is its first page. */
struct rescale_edge {
	u64 granule;
	u16 pages;
};

struct rescale_edges {
	struct rescale_edge *list;	/* by granule */
	u32 nr;
	size_t room;
};

struct rescale {
	unsigned int recorded_shift;	/* of a page */
	unsigned int page_shift;	/* of a granule */
	unsigned int shift;		/* log2 of pages in a granule, at most 4 */
	struct rescale_edges *mms;	/* by number of the mm */
	size_t max_mms;
	bool owes_first;		/* the first run of a fault mapped nothing: the next one begins it */
	u64 owed_address;
};

/* What a step of rescaling works on. */
struct rescaling {
	struct rf_machine *machine;
	struct rescale *rescale;
	struct mm *mm;			/* exists, but for NEW, CHILD and MM */
	const struct rf_op *op;
};

struct range {
	u64 start, end;
};

/* One operation of the recording. -ENOMEM or 0. */
int rescale_op(struct rf_machine *machine, const struct rf_op *op);

static inline void count_inexact(const struct rescaling *r, enum rf_inexact what)
{
	r->machine->stats.inexact[what]++;
}

static inline u64 granule_size(const struct rescaling *r)
{
	return 1ull << r->rescale->page_shift;
}

static inline u64 granule_start(const struct rescaling *r, u64 addr)
{
	return ALIGN_DOWN(addr, granule_size(r));
}

static inline bool range_empty(struct range range)
{
	return range.start >= range.end;
}

/* rescale_edges.c: which pages of the granule at addr are mapped. */
u16 rescale_mapped(const struct rescaling *r, u64 addr);
/* The pages of the granule at addr that [start, end) has. */
u16 rescale_pages_in(const struct rescaling *r, u64 addr, u64 start, u64 end);
/* Granules that [start, end) touches. */
struct range rescale_touched(const struct rescaling *r, u64 start, u64 end);
/* The pages of [start, end) are mapped from now on, or not any more. -ENOMEM or 0. */
int rescale_note_pages(const struct rescaling *r, u64 start, u64 end, bool mapped);
/* Room for an address space of this number. -ENOMEM or 0. */
int rescale_make_room(struct rescale *rescale, u32 id);
void rescale_forget_edges(struct rescale *rescale, u32 id);
int rescale_copy_edges(struct rescale *rescale, u32 parent, u32 child);
void rescale_destroy(struct rescale *rescale);

/* Each kind of operation: the column "pages" of RF_OPS says which. -ENOMEM or 0. */
#define X(symbol, name, shape, pages, row) int rescale_##pages(const struct rescaling *r);
RF_OPS(X)
#undef X

/* Before any of RF_SHAPE_FAULT: the first run of the fault before may still owe its place. */
void rescale_fault_begins(const struct rescaling *r);
/* Any of RF_SHAPE_FAULT and RF_SHAPE_RUN with RF_OP_LOAD. */
int rescale_load(const struct rescaling *r);

#endif
