// SPDX-License-Identifier: MIT
/*
 * The rebuilt page tables against what the kernel showed at the end: a snapshot's runs are compared as they come, what
 * lies between them and is mapped in the model only is extra.
 */
#include "engine/ops.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/snapshot.h"

enum { MISSING, OTHER_PFN, OTHER_ORDER, EXTRA, SWAP_MISSING };

static void differs(struct rf_tracker *tracker, struct snapshot *snapshot, u64 vpn, world_pte pte, u8 what)
{
	if (world_grow(tracker->world, (void **)&snapshot->differences, sizeof(*snapshot->differences),
		       &snapshot->differences_size, snapshot->nr_differences + 1ull))
		snapshot->differences[snapshot->nr_differences++] = (struct difference){ vpn, pte, what };
}

struct extra {
	struct rf_tracker *tracker;
	struct snapshot *snapshot;
};

static void note_extra(void *context, u64 vpn, world_pte pte)
{
	struct extra *extra = context;

	/* Migration entries are on their way back, pagemap shows them as swap; it never shows what is behind vvar. */
	if (world_pte_present(pte) && world_pte_kind(pte) != WORLD_SPECIAL)
		differs(extra->tracker, extra->snapshot, vpn, pte, EXTRA);
}

/* Everything from where the comparison stands to vpn is empty in the snapshot. */
static void skip_to(struct rf_tracker *tracker, struct snapshot *snapshot, struct tracked_mm *mm, u64 vpn)
{
	struct extra extra = { tracker, snapshot };

	if (vpn > snapshot->at)
		world_walk_sorted(tracker->world, &mm->world, snapshot->at, vpn, note_extra, &extra);
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
	struct tracked_mm *mm = tracked_mm(tracker->world, snapshot->mm);
	u64 vpn, nr, nr_right = 0, pfn = record->f[2];
	const struct world_vma *vma;
	u32 order = (u32)record->f[3];

	if (!run_of(tracker, record, &vpn, &nr) || record->f[4] & RF_PTE_GUARD)
		return;
	/* Of huge pages of hugetlb nothing tells the page frame: they are not in this world. */
	vma = mm ? world_vma_find(&mm->world, record->f[0]) : NULL;
	if (vma && vma->flags & RF_VM_HUGETLB)
		return;
	skip_to(tracker, snapshot, mm, vpn);
	fidelity->ptes += nr;
	for (u64 i = 0; i < nr; i++) {
		world_pte pte = world_get(&mm->world, vpn + i);

		if (!world_pte_present(pte))
			differs(tracker, snapshot, vpn + i, pte, MISSING);
		else if (world_pte_pfn(pte) != pfn + i)
			differs(tracker, snapshot, vpn + i, pte, OTHER_PFN);
		else if (world_pte_mapped(pte) && folio_order(tracker->world, pfn + i) != order)
			differs(tracker, snapshot, vpn + i, pte, OTHER_ORDER);
		else
			nr_right++;
	}
	fidelity->present += nr_right;
	fidelity->pfn += nr_right;
	fidelity->order += nr_right;
	snapshot->at = max_u64(snapshot->at, vpn + nr);
}

void compare_swap(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record)
{
	struct tracked_mm *mm = tracked_mm(tracker->world, snapshot->mm);
	u64 vpn, nr;

	if (!run_of(tracker, record, &vpn, &nr))
		return;
	skip_to(tracker, snapshot, mm, vpn);
	tracker->fidelity.swap_ptes += nr;
	for (u64 i = 0; i < nr; i++) {
		world_pte pte = world_get(&mm->world, vpn + i);

		if (world_pte_kind(pte) == WORLD_SWAP || pte & WORLD_MIGRATION) {
			tracker->fidelity.swap_present++;
			continue;
		}
		differs(tracker, snapshot, vpn + i, pte, SWAP_MISSING);
		if (world_pte_present(pte))
			differs(tracker, snapshot, vpn + i, pte, EXTRA);
	}
	snapshot->at = max_u64(snapshot->at, vpn + nr);
}

void compare_end(struct rf_tracker *tracker, struct snapshot *snapshot, struct tracked_mm *mm)
{
	struct rf_fidelity *fidelity = &tracker->fidelity;
	if (mm)
		skip_to(tracker, snapshot, mm, vpn_of(tracker, tracker->address_limit));
	for (u32 i = 0; i < snapshot->nr_differences; i++) {
		const struct difference *difference = &snapshot->differences[i];
		bool changed = !mm || world_get(&mm->world, difference->vpn) != difference->pte;

		if (!changed)
			mark_mm(tracker, mm, RF_REASON_snapshot_differs);
		switch (difference->what) {
		case MISSING:
			fidelity->ptes -= changed;
			break;
		case OTHER_PFN:
			fidelity->ptes -= changed;
			fidelity->present += !changed;
			break;
		case OTHER_ORDER:
			fidelity->ptes -= changed;
			fidelity->present += !changed;
			fidelity->pfn += !changed;
			break;
		case EXTRA:
			fidelity->extra += !changed;
			break;
		case SWAP_MISSING:
			fidelity->swap_ptes -= changed;
			break;
		}
	}
	snapshot->nr_differences = 0;
}
