// SPDX-License-Identifier: MIT
/* The listing of a rebuilt page table, for an independent witness to compare with. */
#include <inttypes.h>

#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/snapshot.h"

struct listing {
	struct rf_tracker *tracker;
	u64 vpn, nr, pfn;	/* of the run under construction */
	u32 order;
	bool swap;
};

static void list_run(struct listing *listing)
{
	FILE *out = listing->tracker->options.page_tables;
	u64 addr = listing->vpn << listing->tracker->page_shift;

	if (!listing->nr)
		return;
	if (listing->swap)
		fprintf(out, "S\t%" PRIx64 "\t%" PRIu64 "\n", addr, listing->nr);
	else
		fprintf(out, "E\t%" PRIx64 "\t%" PRIu64 "\t%" PRIx64 "\t%" PRIx64 "\t%u\n", addr, listing->nr,
			listing->pfn, folio_head(listing->pfn, listing->order), listing->order);
	listing->nr = 0;
}

static void list_pte(void *context, u64 vpn, world_pte pte)
{
	struct listing *listing = context;
	bool swap = world_pte_kind(pte) == WORLD_SWAP || pte & WORLD_MIGRATION, present = world_pte_present(pte);
	u64 pfn = world_pte_pfn(pte);
	u32 order = world_pte_mapped(pte) ? folio_order(listing->tracker->world, pfn) : 0;
	bool follows = listing->nr && listing->swap == swap && vpn == listing->vpn + listing->nr;

	if (!swap && (!present || world_pte_kind(pte) == WORLD_SPECIAL))
		return;
	if (follows && !swap)
		follows = pfn == listing->pfn + listing->nr && order == listing->order &&
			  folio_head(pfn, order) == folio_head(listing->pfn, order);
	if (!follows) {
		list_run(listing);
		listing->vpn = vpn;
		listing->pfn = pfn;
		listing->order = order;
		listing->swap = swap;
	}
	listing->nr++;
}

/* Why it cannot be relied on. */
static void list_marks(const struct rf_tracker *tracker, const struct tracked_mm *mm)
{
	const struct rf_trust *trust = &tracker->trust;

	for (u32 at = mm->marked ? trust->mms[mm->marked - 1].first : 0; at; at = trust->marks[at - 1].next) {
		const struct rf_mark *mark = &trust->marks[at - 1];

		fprintf(tracker->options.page_tables, "M\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n",
			rf_reason_names[mark->reason], mark->time, mark->record, mark->nr);
	}
}

void write_page_table(struct rf_tracker *tracker, struct tracked_mm *mm, u32 pid)
{
	struct listing listing = { .tracker = tracker };

	if (!tracker->options.page_tables || !mm->known)
		return;
	fprintf(tracker->options.page_tables, "P\t%u\t%" PRIu64 "\t%u\n", pid, tracker->time, mm->world.id);
	list_marks(tracker, mm);
	world_walk_sorted(tracker->world, &mm->world, 0, vpn_of(tracker, tracker->address_limit), list_pte, &listing);
	list_run(&listing);
}
