// SPDX-License-Identifier: MIT
/*
 * The rebuilt page tables against what the kernel showed at the end: a snapshot's
 * runs are compared as they come, what lies between them and is mapped in the model
 * only is extra. And the listing that an independent witness is compared with.
 */
#include <inttypes.h>

#include "replay/tracking.h"

const char *const rf_inference_names[] = {
#define X(name) #name,
	RF_INFERENCES(X)
#undef X
	NULL,
};

const char *const rf_tracker_anomaly_names[] = {
#define X(name) #name,
	RF_TRACKER_ANOMALIES(X)
#undef X
	NULL,
};

static void count_extra(void *context, u64 vpn, world_pte pte)
{
	struct rf_fidelity *fidelity = context;

	(void)vpn;
	/* Migration entries are on their way back, pagemap shows them as swap; it never shows what is behind vvar. */
	fidelity->extra += world_pte_present(pte) && world_pte_kind(pte) != WORLD_SPECIAL;
}

/* Everything from where the comparison stands to vpn is empty in the snapshot. */
static void skip_to(struct rf_tracker *tracker, struct snapshot *snapshot, struct world_mm *mm, u64 vpn)
{
	if (vpn > snapshot->at)
		world_walk_sorted(tracker->world, mm, snapshot->at, vpn, count_extra, &tracker->fidelity);
	snapshot->at = max_u64(snapshot->at, vpn);
}

static bool run_of(struct rf_tracker *tracker, const struct rf_record *record, u64 *vpn, u64 *nr)
{
	*vpn = vpn_of(tracker, record->f[0]);
	*nr = record->f[1];
	return record->f[0] < tracker->address_limit && *nr <= BIT_ULL(24);
}

void compare_run(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record)
{
	struct rf_fidelity *fidelity = &tracker->fidelity;
	struct world_mm *mm = world_mm(tracker->world, snapshot->mm);
	u64 vpn, nr, pfn = record->f[2];
	u32 order = (u32)record->f[3];

	if (!run_of(tracker, record, &vpn, &nr))
		return;
	if (record->f[4] & RF_PTE_GUARD)
		return;
	skip_to(tracker, snapshot, mm, vpn);
	for (u64 i = 0; i < nr; i++) {
		world_pte pte = world_get(mm, vpn + i);

		fidelity->ptes++;
		if (!world_pte_present(pte))
			continue;
		fidelity->present++;
		if (world_pte_pfn(pte) != pfn + i)
			continue;
		fidelity->pfn++;
		fidelity->order += !world_pte_mapped(pte) || folio_order(tracker->world, pfn + i) == order;
	}
	snapshot->at = max_u64(snapshot->at, vpn + nr);
}

void compare_swap(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record)
{
	struct world_mm *mm = world_mm(tracker->world, snapshot->mm);
	u64 vpn, nr;

	if (!run_of(tracker, record, &vpn, &nr))
		return;
	skip_to(tracker, snapshot, mm, vpn);
	for (u64 i = 0; i < nr; i++) {
		world_pte pte = world_get(mm, vpn + i);

		tracker->fidelity.swap_ptes++;
		if (world_pte_kind(pte) == WORLD_SWAP || pte & WORLD_MIGRATION)
			tracker->fidelity.swap_present++;
		else
			count_extra(&tracker->fidelity, vpn + i, pte);
	}
	snapshot->at = max_u64(snapshot->at, vpn + nr);
}

void compare_end(struct rf_tracker *tracker, struct snapshot *snapshot)
{
	skip_to(tracker, snapshot, world_mm(tracker->world, snapshot->mm), vpn_of(tracker, tracker->address_limit));
}

/* ---- the listing ------------------------------------------------------------------------- */

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

void write_page_table(struct rf_tracker *tracker, struct world_mm *mm)
{
	struct listing listing = { .tracker = tracker };

	if (!tracker->options.page_tables || !mm->known)
		return;
	fprintf(tracker->options.page_tables, "P\t%u\t%" PRIu64 "\n", mm->pid, tracker->time);
	world_walk_sorted(tracker->world, mm, 0, vpn_of(tracker, tracker->address_limit), list_pte, &listing);
	list_run(&listing);
}
