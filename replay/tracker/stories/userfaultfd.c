// SPDX-License-Identifier: MIT
/*
 * What a userfaultfd does to an address space: mappings that are registered with it, pages that are put there, moved
 * there, and write-protected. Success of its calls is not recorded, failure is: what they do is done at their entry, if
 * no failure lies ahead, because threads that wait for it go on before the call returns. What it poisons is not
 * followed, but marked.
 */
#include <errno.h>

#include "engine/ops.h"
#include "replay/tracker/effects/vma.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/kernel_pages.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"
#include "replay/tracker/stories/fault.h"

/* linux/userfaultfd.h: the number in the command. */
enum {
	UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_WAKE, UFFDIO_COPY, UFFDIO_ZEROPAGE, UFFDIO_MOVE,
	UFFDIO_WRITEPROTECT, UFFDIO_CONTINUE, UFFDIO_POISON,
};

#define REGISTER_MISSING	1
#define REGISTER_WP		2
#define REGISTER_MINOR		4

static u32 command_of(const struct task *task)
{
	return task->call.args[1] & 0xff;
}

/* Where the command names its range, and how long it is. */
static u64 range_of(const struct task *task, const struct task_call_data *data, u64 *len)
{
	bool moves = command_of(task) == UFFDIO_COPY || command_of(task) == UFFDIO_MOVE;

	*len = data->words[moves ? 2 : 1];
	return data->words[0];
}

static bool registered_at(struct tracked_mm *mm, u64 addr)
{
	const struct world_vma *vma = mm && !mm->dead && mm->known ? world_vma_find(&mm->world, addr) : NULL;

	return vma && vma->flags & RF_VM_UFFD;
}

/*
 * Whose memory the command is about: the descriptor may have come from another process. The caller's own, if it is
 * registered there, or the only one that is registered at that address; else NULL.
 */
static struct tracked_mm *subject_of(struct rf_tracker *tracker, const struct task *task, u64 addr)
{
	struct tracked_mm *found = NULL, *mm;

	if (registered_at(task->mm, addr))
		return task->mm;
	for (u32 id = 0; id < tracker->world->nr_mms; id++) {
		mm = tracked_mm(tracker->world, id);
		if (!registered_at(mm, addr))
			continue;
		if (found)
			return NULL;
		found = mm;
	}
	return found;
}

/* Nobody knows what it did, or to whom: it can be anybody who has registered something. */
static void mark_registered(struct rf_tracker *tracker, const struct task *task)
{
	mark_mm(tracker, task->mm, RF_REASON_call_unknown);
	for (u32 id = 0; id < tracker->world->nr_mms; id++) {
		struct tracked_mm *mm = tracked_mm(tracker->world, id);

		const struct world_vma *vma = mm && !mm->dead ? world_vma_first(&mm->world) : NULL;

		for (; vma; vma = world_vma_above(vma)) {
			if (!(vma->flags & RF_VM_UFFD))
				continue;
			mark_mm(tracker, mm, RF_REASON_call_unknown);
			break;
		}
	}
}

/* What the call will return, 0: it succeeds. */
static s64 result_ahead(struct rf_tracker *tracker, const struct task *task)
{
	const struct rf_record *record;

	for (size_t i = 0; i < LOOK_AHEAD_CALL && (record = look_ahead(tracker, i)); i++) {
		if (record->tid != task->tid)
			continue;
		if (record->kind == RF_SYS_RET)
			return (s64)record->f[1];
		if ((record->kind >= RF_SYS_MMAP && record->kind < RF_SYS_RET) || record->kind == RF_FAULT ||
		    record->kind == RF_CALL_DATA)
			return 0;
	}
	return 0;
}

/* ---- write protection ------------------------------------------------------------------------ */

struct write_protect {
	struct rf_tracker *tracker;
	struct tracked_mm *mm;
	const struct world_vma *vma;
};

static void protect_run(void *context, u64 vpn, world_pte pte, u32 nr)
{
	struct write_protect *protect = context;

	if (world_pte_mapped(pte) || world_pte_kind(pte) == WORLD_SWAP)
		world_set_flags(protect->tracker->world, &protect->mm->world, vpn, nr, WORLD_UFFD_WP, WORLD_WRITE);
}

/* can_change_pte_writable(): our own page. */
static void resolve_run(void *context, u64 vpn, world_pte pte, u32 nr)
{
	struct write_protect *protect = context;
	bool writable = protect->vma->flags & RF_VM_WRITE && world_pte_kind(pte) == WORLD_ANON && pte & WORLD_EXCLUSIVE;

	world_set_flags(protect->tracker->world, &protect->mm->world, vpn, nr, writable ? WORLD_WRITE : 0,
			WORLD_UFFD_WP);
}

/* uffd_wp_range(), of one VMA. */
static void protect_vma(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u64 start,
			u64 end, bool enable)
{
	struct write_protect protect = { tracker, mm, vma };
	struct rf_op *op = emit(tracker, RF_OP_UFFD_WP, mm);

	op->addr = start;
	op->end = end;
	op->flags = enable ? 0 : RF_OP_WRITE;
	world_walk_runs(&mm->world, vpn_of(tracker, start), vpn_of(tracker, end), enable ? protect_run : resolve_run,
		   &protect);
}

/* Of memory of files empty entries get markers, too, and nothing is known of these. */
static bool protects_known(struct tracked_mm *mm, u64 start, u64 end)
{
	const struct world_vma *vma;

	for (u64 at = start; at < end; at = vma->end) {
		vma = world_vma_find(&mm->world, at);
		if (!vma || !(vma->attributes & RF_ATTRIBUTE_UFFD_WP) || vma->file || vma->flags & RF_VM_SHARED)
			return false;
	}
	return true;
}

static void count_pte(void *context, u64 vpn, world_pte pte)
{
	u64 *nr = context;

	(void)vpn;
	*nr += pte != 0;
}

/* userfaultfd_wp_use_markers(): with these features empty entries of private memory get them, too. */
static bool leaves_markers(const struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	u64 nr = 0;

	if (!(mm->uffd_features & (UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC)))
		return false;
	world_walk(&mm->world, vpn_of(tracker, start), vpn_of(tracker, end), count_pte, &nr);
	return nr < vpn_of(tracker, end - start);
}

/* mwriteprotect_range() */
static void write_protect(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm, u64 start, u64 end,
			  bool enable)
{
	const struct world_vma *vma;

	settle_others(tracker, mm, task, tracker->time);
	for (u64 at = start; at < end && (vma = world_vma_find(&mm->world, at)); at = vma->end)
		protect_vma(tracker, mm, vma, at, min_u64(vma->end, end), enable);
}

/* ---- registration ---------------------------------------------------------------------------- */

/* userfaultfd_clear_vma(): what is write-protected is no more. */
static void unprotect_range(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	const struct world_vma *vma;

	for (u64 at = start; (vma = world_vma_next(&mm->world, at)) && vma->start < end; at = vma->end)
		if (vma->attributes & RF_ATTRIBUTE_UFFD_WP && !vma->file && !(vma->flags & RF_VM_SHARED))
			protect_vma(tracker, mm, vma, max_u64(at, vma->start), min_u64(vma->end, end), false);
}

/* userfaultfd_register(); the descriptor tells contexts apart. */
static void register_range(struct rf_tracker *tracker, struct task *task, const struct task_call_data *data)
{
	struct world_vma_change change = { .attributes_clear = RF_ATTRIBUTES_UFFD };
	u64 mode = data->words[2], end;

	if (!call_range(tracker, data->words[0], data->words[1], &end))
		return;
	if (command_of(task) == UFFDIO_REGISTER) {
		change.set = RF_VM_UFFD;
		change.attributes_set = (mode & REGISTER_MISSING ? RF_ATTRIBUTE_UFFD_MISSING : 0) |
					(mode & REGISTER_WP ? RF_ATTRIBUTE_UFFD_WP : 0) |
					(mode & REGISTER_MINOR ? RF_ATTRIBUTE_UFFD_MINOR : 0) |
					(task->call.args[0] % 15 + 1) << RF_ATTRIBUTE_CONTEXT_SHIFT;
	} else {
		change.clear = RF_VM_UFFD;
		settle_others(tracker, task->mm, task, tracker->time);
		unprotect_range(tracker, task->mm, data->words[0], end);
	}
	change_vmas(tracker, task->mm, data->words[0], end, &change, NULL);
}

/* ---- moves ----------------------------------------------------------------------------------- */

#define MOVE_ALLOW_SRC_HOLES	2

/* A move: from where, to where, how many pages. */
struct uffd_move {
	struct tracked_mm *mm;
	u64 src, dst, nr;	/* vpns */
	bool holes;
};

static bool move_of(const struct rf_tracker *tracker, const struct task_call_data *data, struct tracked_mm *mm,
		    struct uffd_move *move)
{
	u64 end;

	if (!call_range(tracker, data->words[0], data->words[2], &end) ||
	    !call_range(tracker, data->words[1], data->words[2], &end))
		return false;
	*move = (struct uffd_move){
		.mm = mm, .src = vpn_of(tracker, data->words[1]), .dst = vpn_of(tracker, data->words[0]),
		.nr = vpn_of(tracker, data->words[2]), .holes = data->words[3] & MOVE_ALLOW_SRC_HOLES };
	return true;
}

/* How many pages go at once at the i-th: a PMD, or one; 0: it cannot be moved, or not before its folio is split. */
static u64 movable(const struct rf_tracker *tracker, const struct uffd_move *move, u64 i)
{
	u64 pmd = BIT_ULL(tracker->pmd_order);
	world_pte pte = world_get(&move->mm->world, move->src + i);
	u32 order = world_pte_kind(pte) == WORLD_ANON ? folio_order(tracker->world, world_pte_pfn(pte)) : 0;

	if (!pte)
		return move->holes;
	if (world_get(&move->mm->world, move->dst + i) || pte & WORLD_MIGRATION)
		return 0;
	if (world_pte_kind(pte) != WORLD_ZERO &&
	    ((world_pte_kind(pte) != WORLD_ANON && world_pte_kind(pte) != WORLD_SWAP) || !(pte & WORLD_EXCLUSIVE)))
		return 0;
	if (!order)
		return 1;
	return order == tracker->pmd_order && !((move->src + i) & (pmd - 1)) && !((move->dst + i) & (pmd - 1)) &&
	       move->nr - i >= pmd && world_range_none(&move->mm->world, move->dst + i, pmd) ? pmd : 0;
}

static void move_entries(struct rf_tracker *tracker, const struct uffd_move *move, u64 first, u64 end)
{
	struct tracked_mm *mm = move->mm;
	struct rf_op *op;

	for (u64 i = first; i < end; i++) {
		world_pte pte = world_set(tracker->world, &mm->world, move->src + i, 0);

		if (world_pte_kind(pte) == WORLD_ANON)
			pte = (pte & ~(WORLD_UFFD_WP | WORLD_LAZYFREE)) | WORLD_WRITE;
		if (pte)
			world_set(tracker->world, &mm->world, move->dst + i, pte);
	}
	op = emit(tracker, RF_OP_UFFD_MOVE, mm);
	op->addr = (move->src + first) << tracker->page_shift;
	op->end = (move->src + end) << tracker->page_shift;
	op->addr2 = (move->dst + first) << tracker->page_shift;
	op->nr = (u32)(end - first);
}

/* A huge page that cannot go as a whole: its PMD is split first, then its folio, which is told. */
static void split_pmd_of_move(struct rf_tracker *tracker, const struct uffd_move *move, u64 i)
{
	u64 vpn = move->src + i, nr = BIT_ULL(tracker->pmd_order);
	world_pte pte = world_get(&move->mm->world, vpn);
	struct rf_op *op;

	if (world_pte_kind(pte) != WORLD_ANON || folio_order(tracker->world, world_pte_pfn(pte)) != tracker->pmd_order)
		return;
	op = emit(tracker, RF_OP_FOLIO_SPLIT, move->mm);
	op->addr = ALIGN_DOWN(vpn, nr) << tracker->page_shift;
	op->nr = (u32)nr;
	op->pfn = ALIGN_DOWN(world_pte_pfn(pte), nr);
	op->order = (u8)tracker->pmd_order;
}

/* move_pages(), from where it stands as far as it gets. True: to the end. */
static bool move_pages(struct rf_tracker *tracker, struct task *task, const struct uffd_move *move)
{
	struct world_vma *vma = world_vma_find(&move->mm->world, move->dst << tracker->page_shift);
	u64 first = task->call.walked, i = first, pages;

	if (!vma)
		return false;
	settle_others(tracker, move->mm, task, tracker->time);
	while (i < move->nr && (pages = movable(tracker, move, i)))
		i += pages;
	if (i > first) {
		world_vma_anon_prepare(tracker->world, &move->mm->world, vma);
		move_entries(tracker, move, first, i);
		call_walked(&task->call, i);
	}
	if (i < move->nr)
		split_pmd_of_move(tracker, move, i);
	return i == move->nr;
}

static void move_on(struct rf_tracker *tracker, struct task *task, const struct task_call_data *data)
{
	struct tracked_mm *mm = subject_of(tracker, task, data->words[0]);
	struct uffd_move move;

	if (mm && move_of(tracker, data, mm, &move))
		move_pages(tracker, task, &move);
}

/* A folio in its way has been split: split_folio() of move_pages_ptes(). */
void move_has_split(struct rf_tracker *tracker, u32 tid)
{
	struct task *task = task_find(tracker, tid);
	const struct task_call_data *data = task ? call_data(task) : NULL;

	if (data && task->call.kind == RF_SYS_IOCTL && command_of(task) == UFFDIO_MOVE && task->call.moved)
		move_on(tracker, task, data);
}

/* -EAGAIN: some of it was moved, and what comes next could not be. Any other error: none. */
static bool move_ends(struct rf_tracker *tracker, struct task *task, const struct task_call_data *data,
		      struct tracked_mm *mm, s64 ret)
{
	struct uffd_move move;
	bool all;

	if (!move_of(tracker, data, mm, &move))
		return false;
	all = move_pages(tracker, task, &move);
	return ret ? !all : all;
}

/* ---- the call -------------------------------------------------------------------------------- */

/* mfill_atomic(): page by page upwards, each counted. */
static bool fills(const struct task *task)
{
	return command_of(task) == UFFDIO_COPY || command_of(task) == UFFDIO_ZEROPAGE ||
	       command_of(task) == UFFDIO_CONTINUE;
}

#define MODE_WP 2	/* of COPY and CONTINUE */
#define WRITEPROTECT_WP 1

/* ioctl(UFFDIO_API): it has no record of its own, and a range does not begin at its first word. */
void uffd_begins(struct task *task)
{
	if (task->mm && task->data.call == RF_SYS_IOCTL && task->data.words[0] == UFFD_API)
		task->mm->uffd_features |= task->data.words[1];
}

void ioctl_entry(struct rf_tracker *tracker, struct task *task)
{
	const struct task_call_data *data = call_data(task);
	struct tracked_mm *mm;
	u64 start, len, end;
	s64 ret;

	if (!data)
		return;
	start = range_of(task, data, &len);
	mm = subject_of(tracker, task, start);
	if (fills(task)) {
		if (mm && call_range(tracker, start, len, &end)) {
			call_moved(&task->call);
			populate_fill(tracker, task, mm, start, end);
		}
		return;
	}
	ret = result_ahead(tracker, task);
	if (!ret && command_of(task) <= UFFDIO_UNREGISTER)
		register_range(tracker, task, data);
	if (!mm || !call_range(tracker, start, len, &end))
		return;
	if (command_of(task) == UFFDIO_MOVE && (!ret || ret == -EAGAIN)) {
		call_moved(&task->call);
		move_on(tracker, task, data);
	} else if (command_of(task) == UFFDIO_WRITEPROTECT && !ret && protects_known(mm, start, end)) {
		if (!(data->words[2] & WRITEPROTECT_WP) || !leaves_markers(tracker, mm, start, end))
			call_moved(&task->call);
		write_protect(tracker, task, mm, start, end, data->words[2] & WRITEPROTECT_WP);
	}
}

/* mfill_atomic_pte_zeropage(): the zero page is counted nowhere. */
static void fill_with_zero(struct rf_tracker *tracker, struct tracked_mm *mm, u64 start, u64 end)
{
	const struct world_vma *vma;
	u64 pfn = 0;
	struct rf_op *op;

	kernel_page(tracker, RF_KERNEL_PAGE_ZERO, 0, &pfn);
	for (u64 vpn = vpn_of(tracker, start); vpn < vpn_of(tracker, end); vpn++) {
		vma = world_vma_find(&mm->world, vpn << tracker->page_shift);
		if (!vma)
			return;
		if (vma->flags & RF_VM_SHARED || world_get(&mm->world, vpn))
			continue;
		world_set(tracker->world, &mm->world, vpn, world_mkpte(WORLD_ZERO, pfn, 0));
		op = emit(tracker, RF_OP_FAULT_ZERO, mm);
		op->addr = vpn << tracker->page_shift;
		op->pfn = pfn;
		op->nr = 1;
		op->flags = RF_OP_POPULATE;
	}
}

/* Does the task's call put the zero page at addr? It fails where something is. */
static bool fills_with_zero(struct rf_tracker *tracker, const struct task *task, const struct tracked_mm *mm, u64 addr)
{
	const struct task_call_data *data = call_data(task);
	u64 start, len, end;

	if (!data || task->call.kind != RF_SYS_IOCTL || command_of(task) != UFFDIO_ZEROPAGE)
		return false;
	start = range_of(task, data, &len);
	return call_range(tracker, start, len, &end) && addr >= start && addr < end &&
	       subject_of(tracker, task, start) == mm && !result_ahead(tracker, task);
}

void uffd_wakes(struct rf_tracker *tracker, struct tracked_mm *mm, const struct world_vma *vma, u64 vpn)
{
	u64 addr = vpn << tracker->page_shift;

	if (!(vma->attributes & RF_ATTRIBUTE_UFFD_MISSING) || world_get(&mm->world, vpn))
		return;
	for (const struct task *task = tracker->running; task; task = task->running_next) {
		if (!fills_with_zero(tracker, task, mm, addr))
			continue;
		fill_with_zero(tracker, mm, addr, addr + BIT_ULL(tracker->page_shift));
		return;
	}
}

#define ZEROPAGES_MAX BIT_ULL(20)

/* Nothing was done. mwriteprotect_range() may stop at a second VMA, move_pages() and mfill_atomic() at any page. */
static bool did_nothing(const struct task *task, s64 ret)
{
	if (command_of(task) == UFFDIO_WRITEPROTECT)
		return ret && ret != -ENOENT;
	return ret && ret != -EAGAIN;
}

/* What it did is told by page counts, by its success, or by where it failed. */
static bool is_understood(struct rf_tracker *tracker, struct task *task, const struct task_call_data *data, s64 ret)
{
	u64 len, start = range_of(task, data, &len), end;
	struct tracked_mm *mm = subject_of(tracker, task, start);

	if (!task->call.moved)
		return did_nothing(task, ret);
	/* Followed, and gone since. */
	if (!mm || !call_range(tracker, start, len, &end))
		return true;
	switch (command_of(task)) {
	case UFFDIO_COPY:
		return !(data->words[3] & MODE_WP);
	case UFFDIO_CONTINUE:
		return !(data->words[2] & MODE_WP);
	case UFFDIO_MOVE:
		return move_ends(tracker, task, data, mm, ret);
	case UFFDIO_WRITEPROTECT:
		return true;
	case UFFDIO_ZEROPAGE:
		/* Pages that were allocated instead have been counted; what is empty still is the zero page's. */
		if (ret || vpn_of(tracker, len) > ZEROPAGES_MAX)
			return ret && world_get(&mm->world, vpn_of(tracker, start));
		fill_with_zero(tracker, mm, start, end);
		return true;
	}
	return false;
}

void ioctl_return(struct rf_tracker *tracker, struct task *task, s64 ret)
{
	const struct task_call_data *data = call_data(task);

	if (command_of(task) == UFFDIO_WAKE || (data && command_of(task) <= UFFDIO_UNREGISTER))
		return;
	if (!data || !is_understood(tracker, task, data, ret))
		mark_registered(tracker, task);
}
