// SPDX-License-Identifier: MIT
/*
 * VMAs that grow with a fault, and VMAs that no record told: what exec maps where there is no side band, everything
 * that was there before an imported recording began. A fault makes one up for its page. More is learned later, and the
 * pieces become one: a fault-around window lies in one VMA, a write makes all of it writable, an mprotect() mostly
 * is of one. How many VMAs there are decides how many flushes, and what fork copies.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tracking.h"

/* The access of what is made up: anonymous memory is written to, most of a file's is code. */
#define MADE_UP_ANON (RF_VM_READ | RF_VM_WRITE)
#define MADE_UP_FILE (RF_VM_READ | RF_VM_EXEC)

/* No call has told its access. */
static bool is_guess(const struct world_vma *vma)
{
	if (!vma->implicit)
		return false;
	return vma->file ? (vma->flags | RF_VM_WRITE) == (MADE_UP_FILE | RF_VM_WRITE) : vma->flags == MADE_UP_ANON;
}

/* Pages of one file in sequence, or of no file that is known. */
static bool fits(const struct rf_tracker *tracker, const struct world_vma *whole, const struct world_vma *part)
{
	return !whole->file || !part->file ||
	       (whole->file == part->file &&
		whole->pgoff - vpn_of(tracker, whole->start) == part->pgoff - vpn_of(tracker, part->start));
}

/* ---- faults ----------------------------------------------------------------------------------- */

/* How far below the stack a fault may grow it. */
#define STACK_GROWTH_MAX BIT_ULL(30)

static struct world_vma *grow_stack(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr)
{
	struct world_vma *vma = world_vma_next(&mm->world, addr);
	u64 start = ALIGN_DOWN(addr, BIT_ULL(tracker->page_shift));
	struct rf_op *op;

	if (!vma || !(vma->flags & RF_VM_GROWSDOWN) || vma->end - addr > STACK_GROWTH_MAX)
		return NULL;
	op = emit(tracker, RF_OP_VMA_GROW, mm);
	op->addr = start;
	op->end = vma->start;
	vma->pgoff -= (vma->start - start) >> tracker->page_shift;
	vma->start = start;
	return vma;
}

static struct world_vma *make_up(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr)
{
	struct world_vma guess = { .flags = MADE_UP_ANON, .implicit = true };

	guess.start = ALIGN_DOWN(addr, BIT_ULL(tracker->page_shift));
	guess.end = guess.start + BIT_ULL(tracker->page_shift);
	guess.pgoff = vpn_of(tracker, addr);
	mark_mm(tracker, mm, RF_REASON_vma_implicit);
	return map_vma(tracker, mm, &guess);
}

struct world_vma *fault_vma(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr)
{
	struct world_vma *vma = world_vma_find(&mm->world, addr);

	if (!vma)
		vma = grow_stack(tracker, mm, addr);
	return vma ? vma : make_up(tracker, mm, addr);
}

static void make_writable(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	const struct world_vma_change change = { .set = RF_VM_WRITE };

	change_vmas(tracker, mm, start, end, &change, NULL);
}

struct world_vma *written_vma(struct rf_tracker *tracker, struct tracked_mm *mm, u64 addr)
{
	struct world_vma *vma = world_vma_find(&mm->world, addr);
	u64 start = ALIGN_DOWN(addr, BIT_ULL(tracker->page_shift));

	if (!vma || !vma->implicit || vma->flags & RF_VM_WRITE)
		return vma;
	if (is_guess(vma))
		make_writable(tracker, mm, vma->start, vma->end);
	else
		make_writable(tracker, mm, start, start + BIT_ULL(tracker->page_shift));
	return world_vma_find(&mm->world, addr);
}

/* ---- pieces ----------------------------------------------------------------------------------- */

/* What lies in it, all of it made up, becomes this one. Pages stay. */
static struct world_vma *unite(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma whole)
{
	struct world_vma *vma;

	for (vma = world_vma_next(&mm->world, whole.start); vma && vma->start < whole.end; vma = world_vma_above(vma)) {
		if (!whole.anon_vma) {
			whole.anon_vma = vma->anon_vma;
			whole.anon_chain_shared = vma->anon_chain_shared;
		}
	}
	world_vma_remove(tracker->world, &mm->world, whole.start, whole.end);
	return map_vma(tracker, mm, &whole);
}

/* ---- files ------------------------------------------------------------------------------------ */

#define FAULT_AROUND 16

/*
 * The page a fault-around window begins with: an aligned one, unless the VMA begins later. Then it is the one that
 * goes with the file's page, as linkers align segments (to 64 KiB for arm64, whatever the size of a page).
 */
static u64 window_base(u64 vpn, u64 first, u64 last)
{
	u64 base = ALIGN_DOWN(vpn, FAULT_AROUND);

	if (vpn - base > last - first)
		base += first % FAULT_AROUND;
	return base <= vpn && vpn - base <= last - first ? base : vpn;
}

static bool has_anon(const struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	for (u64 vpn = vpn_of(tracker, start); vpn < vpn_of(tracker, end); vpn++)
		if (world_pte_kind(world_get(&mm->world, vpn)) == WORLD_ANON)
			return true;
	return false;
}

/* What is known not to be of this VMA bounds it; what is made up tells whether it is written to. */
static void clip_window(const struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *whole, u64 addr)
{
	const struct world_vma *vma;
	u64 end = whole->end;

	for (vma = world_vma_next(&mm->world, whole->start); vma && vma->start < end; vma = world_vma_above(vma)) {
		if (vma->implicit && fits(tracker, whole, vma)) {
			if (!is_guess(vma))
				whole->flags = vma->flags;
			else if (vma->file ? vma->flags & RF_VM_WRITE
					   : has_anon(tracker, mm, max_u64(vma->start, whole->start),
						      min_u64(vma->end, end)))
				whole->flags |= RF_VM_WRITE;
		} else if (vma->start > addr) {
			whole->end = vma->start;
			return;
		} else {
			whole->pgoff += vpn_of(tracker, vma->end - whole->start);
			whole->start = vma->end;
			whole->flags = MADE_UP_FILE;
		}
	}
}

/* Of two pieces of a file in sequence that are one VMA, one is written to: so is the other. */
static void spread_write(struct rf_tracker *tracker, struct tracked_mm *mm, u64 boundary)
{
	struct world_vma *below = world_vma_find(&mm->world, boundary - 1);
	struct world_vma *above = world_vma_find(&mm->world, boundary), *other;

	/* A window that begins or ends elsewhere begins or ends with its VMA. */
	if (vpn_of(tracker, boundary) % FAULT_AROUND || !below || !above || below == above || !below->file ||
	    !above->file || !is_guess(below) || !is_guess(above) || !fits(tracker, below, above) ||
	    !((below->flags ^ above->flags) & RF_VM_WRITE))
		return;
	other = below->flags & RF_VM_WRITE ? above : below;
	make_writable(tracker, mm, other->start, other->end);
}

void adopt_file(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, u32 file, u64 first, u64 last, bool writes)
{
	struct world_vma whole = { .file = file, .flags = MADE_UP_FILE, .pgoff = first, .implicit = true };
	u64 start = window_base(vpn, first, last);

	whole.start = start << tracker->page_shift;
	whole.end = (start + min_u64(last - first + 1, FAULT_AROUND)) << tracker->page_shift;
	world_zap(tracker->world, &mm->world, vpn, vpn + 1);
	clip_window(tracker, mm, &whole, vpn << tracker->page_shift);
	if (writes)
		whole.flags |= RF_VM_WRITE;
	unite(tracker, mm, whole);
	spread_write(tracker, mm, whole.start);
	spread_write(tracker, mm, whole.end);
}

/* ---- calls ------------------------------------------------------------------------------------ */

/* Pieces that become one, and the gaps between them. */
struct run {
	struct world_vma whole;
	u32 parts;
};

static void begin_run(const struct rf_tracker *tracker, struct run *run, u64 start, u16 flags)
{
	*run = (struct run){ .whole = { .start = start, .end = start, .pgoff = vpn_of(tracker, start), .flags = flags,
					.implicit = true } };
}

static bool add_part(const struct rf_tracker *tracker, struct run *run, const struct world_vma *part, u64 end)
{
	struct world_vma *whole = &run->whole;
	u64 before = vpn_of(tracker, part->start) - vpn_of(tracker, whole->start);

	if (!is_guess(part) || !fits(tracker, whole, part) || (part->file && part->start > whole->start &&
							       part->pgoff < before))
		return false;
	if (part->file && !whole->file) {
		whole->file = part->file;
		whole->pgoff = part->pgoff - before;
	}
	whole->flags = run->parts++ ? whole->flags | part->flags : part->flags;
	whole->end = min_u64(part->end, end);
	return true;
}

static void end_run(struct rf_tracker *tracker, struct tracked_mm *mm, const struct run *run, u64 end)
{
	struct world_vma whole = run->whole;
	const struct world_vma *first = run->parts ? world_vma_find(&mm->world, whole.start) : NULL;

	whole.end = end;
	if (whole.start >= end || (first && first->end >= end))
		return;
	if (!run->parts)
		mark_mm(tracker, mm, RF_REASON_vma_implicit);
	unite(tracker, mm, whole);
}

void unite_implicit(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end, u16 flags)
{
	struct world_vma *vma;
	struct run run;

	begin_run(tracker, &run, start, flags);
	for (u64 at = start; at < end && (vma = world_vma_next(&mm->world, at)) && vma->start < end;) {
		at = vma->end;
		if (add_part(tracker, &run, vma, end))
			continue;
		/* Not of the run: told by a record, or another file. It may begin the next. */
		end_run(tracker, mm, &run, max_u64(vma->start, start));
		vma = world_vma_find(&mm->world, at - 1);
		begin_run(tracker, &run, is_guess(vma) ? max_u64(vma->start, start) : at, flags);
		add_part(tracker, &run, vma, end);
	}
	end_run(tracker, mm, &run, end);
}
