// SPDX-License-Identifier: MIT
/*
 * Pages that GUP faults in: MAP_POPULATE, mlock(), MADV_POPULATE_*. No fault
 * record tells the address, but GUP walks its range upwards and leaves alone what
 * is good already, so what is set next lies at the first entry that is not.
 */
#include "engine/ops.h"
#include "replay/tracker/effects/anon.h"
#include "replay/tracker/effects/file.h"
#include "replay/tracker/effects/gup.h"
#include "replay/tracker/ground/allocs.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/abi.h"
#include "replay/tracker/stories/call.h"

bool call_populates(const struct task *task)
{
	const struct task_call *call = &task->call;

	switch (call->kind) {
	case RF_SYS_MMAP:
		return (call->args[3] & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE ||
		       call->args[3] & MAP_LOCKED || (task->mm && task->mm->lock_future);
	case RF_SYS_SHMAT:
		return task->mm && task->mm->lock_future;
	case RF_SYS_BRK:
	case RF_SYS_MREMAP:
	case RF_SYS_MPROTECT:
		return true;	/* of a locked range; else nothing is set in them */
	case RF_SYS_MLOCK:
	case RF_SYS_MLOCKALL:
		return true;
	case RF_SYS_REMAP_FILE_PAGES:
		return !(call->args[4] & MAP_NONBLOCK);
	case RF_SYS_PROCESS_VM:
	case RF_SYS_IOCTL:
		return task->populate.active;
	case RF_SYS_MADVISE:
		return call->args[2] == MADV_POPULATE_READ || call->args[2] == MADV_POPULATE_WRITE;
	default:
		return false;
	}
}

/* Whose memory it is; NULL: gone. */
static struct tracked_mm *mm_of(const struct rf_tracker *tracker, const struct task *task)
{
	return task->populate.mm ? tracked_mm(tracker->world, task->populate.mm - 1) : task->mm;
}

/* faultin_page() is asked to write where the VMA is private and writable: populate_vma_page_range(). */
static bool wants_write(const struct task_populate *populate, const struct world_vma *vma)
{
	u16 asked = populate->pins ? RF_VM_WRITE : RF_VM_WRITE | RF_VM_SHARED;

	return populate->write && (vma->flags & asked) == RF_VM_WRITE;
}

/* The same, or madvise_populate(), which asks for what it is told. */
static bool faults_for_write(const struct task *task, const struct world_vma *vma)
{
	const struct task_call *call = &task->call;

	return wants_write(&task->populate, vma) ||
	       (call->kind == RF_SYS_MADVISE && call->args[2] == MADV_POPULATE_WRITE && vma->flags & RF_VM_WRITE);
}

/* gup_must_unshare() */
static bool must_unshare(const struct task_populate *populate, world_pte pte)
{
	return populate->pins && world_pte_kind(pte) == WORLD_ANON && !(pte & WORLD_EXCLUSIVE);
}

static bool is_good(const struct task_populate *populate, const struct world_vma *vma, world_pte pte)
{
	if (populate->fills)
		return pte;
	if (!world_pte_present(pte))
		return false;
	return wants_write(populate, vma) ? pte & WORLD_WRITE : !must_unshare(populate, pte);
}

/* wp_can_reuse_anon_folio(): nobody else maps any page of it. */
static bool is_ours_alone(const struct rf_tracker *tracker, const struct tracked_mm *mm, u64 pfn)
{
	u32 order = folio_order(tracker->world, pfn);
	u64 head = folio_head(pfn, order);

	for (u64 at = head; at < head + BIT_ULL(order); at += world_page_span(tracker->world, at)) {
		const struct world_page *page = world_page_find(tracker->world, at);

		if (page && page->mm && (page->next || page->mm != mm->world.id + 1))
			return false;
	}
	return true;
}

/* A write-protected page that is ours alone becomes writable without any event. */
static bool reuse(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn, world_pte pte, bool write)
{
	struct rf_op *op;

	if (!world_pte_present(pte) || world_pte_kind(pte) != WORLD_ANON ||
	    !is_ours_alone(tracker, mm, world_pte_pfn(pte)))
		return false;
	/* FAULT_FLAG_UNSHARE leaves the entry as it is. */
	world_set_flags(tracker->world, &mm->world, vpn, 1, write ? WORLD_WRITE | WORLD_EXCLUSIVE : WORLD_EXCLUSIVE, 0);
	if (!write)
		return true;
	tracker->fidelity.inferred.reuse++;
	op = emit(tracker, RF_OP_FAULT_REUSE, mm);
	op->addr = vpn << tracker->page_shift;
	op->nr = 1;
	op->flags = RF_OP_WRITE | RF_OP_POPULATE | RF_OP_INFERRED;
	return true;
}

/* No call that returned has read more than this much of nothing. */
#define FILL_PAGES_MAX BIT_ULL(22)

/* Reading GUP over anonymous memory leaves the zero page, and no event. */
static bool read_nothing(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, world_pte pte)
{
	struct task_populate *populate = &task->populate;

	if (pte || !populate->readers_zero || tracker->no_zero_page || wants_write(populate, vma) ||
	    vma->file || vma->flags & (RF_VM_SHARED | RF_VM_SPECIAL) ||
	    populate->nr_zero >= FILL_PAGES_MAX)
		return false;
	populate->nr_zero++;
	set_zero(tracker, mm_of(tracker, task), vma, populate->at, RF_OP_POPULATE);
	return true;
}

/* The next entry of the range that GUP has work at, and its VMA; NULL: the range is done. */
static struct world_vma *place_in_range(struct rf_tracker *tracker, struct task *task)
{
	struct task_populate *populate = &task->populate;
	struct tracked_mm *mm = mm_of(tracker, task);

	while (mm && populate->at < populate->end) {
		struct world_vma *vma = world_vma_next(&mm->world, populate->at << tracker->page_shift);
		u64 end;

		if (!vma)
			break;
		populate->at = max_u64(populate->at, vpn_of(tracker, vma->start));
		end = min_u64(vpn_of(tracker, vma->end), populate->end);
		if (!(vma->flags & (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)) ||
		    vma->flags & (RF_VM_PFNMAP | RF_VM_HUGETLB) ||
		    (vma->attributes & RF_ATTRIBUTE_LOCKONFAULT && !populate->pins && !populate->fills &&
		     task->call.kind != RF_SYS_MADVISE)) {
			populate->at = vpn_of(tracker, vma->end);
			continue;
		}
		for (; populate->at < end; populate->at++) {
			world_pte pte = world_get(&mm->world, populate->at);

			if (!is_good(populate, vma, pte) &&
			    !reuse(tracker, mm, populate->at, pte, wants_write(populate, vma)) &&
			    !read_nothing(tracker, task, vma, pte))
				return vma;
		}
	}
	return NULL;
}

static void set_range(const struct rf_tracker *tracker, struct task *task, u32 range)
{
	const struct task_gup *gup = &task->gups[range];

	task->populate.range = range;
	task->populate.start = task->populate.at = vpn_of(tracker, gup->addr);
	task->populate.end = vpn_of(tracker, gup->addr + gup->len - 1) + 1;
}

/* The next entry, in this iovec or a later one. */
static struct world_vma *next_place(struct rf_tracker *tracker, struct task *task)
{
	struct world_vma *vma = place_in_range(tracker, task);

	while (!vma && task->populate.pins && task->populate.range + 1 < task->nr_gups) {
		set_range(tracker, task, task->populate.range + 1);
		vma = place_in_range(tracker, task);
	}
	return vma;
}

static void out_of_range(struct rf_tracker *tracker, const struct task *task)
{
	mark_mm(tracker, mm_of(tracker, task), RF_REASON_populate_out_of_range);
}

/* An allocation without RSS change replaced an anonymous page that was not writable. */
static void settle_copy(struct rf_tracker *tracker, struct task *task)
{
	struct task_alloc alloc;
	struct world_vma *vma;
	struct tracked_mm *mm = mm_of(tracker, task);
	struct task_populate before = task->populate;

	if (!task->nr_allocs || task->allocs[0].order)
		return;
	vma = next_place(tracker, task);
	if (vma && (wants_write(&task->populate, vma) || task->populate.pins) &&
	    world_pte_present(world_get(&mm->world, task->populate.at)) && take_alloc(task, 1, &alloc)) {
		copy_page(tracker, mm, vma, task->populate.at, alloc.pfn, RF_OP_POPULATE);
		if (!wants_write(&task->populate, vma))
			world_set_flags(tracker->world, &mm->world, task->populate.at, 1, 0, WORLD_WRITE);
		return;
	}
	/* Not a copy: what it is, the next record tells, which may be of this iovec or of the next. */
	before.nr_zero = task->populate.nr_zero;
	task->populate = before;
}

static void populate_anon(struct rf_tracker *tracker, struct task *task, s64 delta)
{
	struct task_populate *populate = &task->populate;
	struct world_vma *vma = next_place(tracker, task);
	struct task_alloc alloc;
	bool huge_zero;
	world_pte pte;

	if (!vma) {
		out_of_range(tracker, task);
		return;
	}
	pte = world_get(&mm_of(tracker, task)->world, populate->at);
	if (!take_alloc(task, delta > 0 ? (u64)delta : 1, &alloc)) {
		alloc.order = delta > 1 ? (u32)(63 - __builtin_clzll((u64)delta)) : 0;
		if (alloc.order > tracker->pmd_order)
			alloc.order = tracker->pmd_order;
		alloc.pfn = world_invent_pfn(tracker->world, alloc.order);
		mark_mm(tracker, mm_of(tracker, task), RF_REASON_order_from_rss);
	}
	task->nr_allocs = 0;
	/* do_huge_zero_wp_pmd() */
	huge_zero = world_pte_kind(pte) == WORLD_ZERO && alloc.order == tracker->pmd_order;
	if (world_pte_kind(pte) == WORLD_SWAP) {
		folio_set(tracker->world, alloc.pfn, alloc.order);
		swap_in(tracker, mm_of(tracker, task), vma, populate->at, alloc.pfn, alloc.order, 1, RF_OP_POPULATE);
	} else if ((world_pte_present(pte) && !huge_zero) || vma->file) {
		copy_page(tracker, mm_of(tracker, task), vma, populate->at, alloc.pfn, RF_OP_POPULATE);
	} else {
		set_anon(tracker, mm_of(tracker, task), vma, populate->at, alloc.pfn, alloc.order, RF_OP_POPULATE);
	}
	populate->file_seen = false;
}

/* A single file page, told by mm_filemap_fault or (shmem) by nothing but the count. */
static void populate_file_page(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta)
{
	struct world_vma *vma = next_place(tracker, task);
	bool shmem = member == RF_RSS_SHMEM;
	struct task_alloc alloc;

	if (!vma) {
		out_of_range(tracker, task);
		return;
	}
	if (shmem && take_alloc(task, (u64)delta, &alloc))
		shmem_add(tracker, vma, task->populate.at, alloc.pfn, alloc.order);
	else if (task->populate.file_seen)
		learn_file(tracker, mm_of(tracker, task), vma, task->populate.file);
	task->populate.file_seen = false;
	map_file_page(tracker, mm_of(tracker, task), vma, task->populate.at, delta, shmem, faults_for_write(task, vma),
		      RF_OP_POPULATE);
}

/*
 * Not by fault-around, which tells its range next: a write to a shared mapping, do_shared_fault(); a read that one PMD
 * satisfies, filemap_map_pmd().
 */
static bool maps_folio(const struct rf_tracker *tracker, const struct task *task, const struct world_vma *vma,
		       s64 delta)
{
	if (delta == (s64)BIT_ULL(tracker->pmd_order))
		return true;
	return delta > 0 && vma->flags & RF_VM_SHARED && task->call.kind == RF_SYS_MADVISE &&
	       task->call.args[2] == MADV_POPULATE_WRITE;
}

static void populate_rss(struct rf_tracker *tracker, struct task *task, const struct populate_event *event)
{
	struct task_populate *populate = &task->populate;
	s64 delta = event->delta;
	u8 member = event->member;
	u64 pfn;
	struct world_vma *vma;

	if (member == RF_RSS_ANON) {
		populate_anon(tracker, task, delta);
	} else if (tracker->batches_rss && delta == 1) {
		populate_file_page(tracker, task, member, delta);
	} else if (member == RF_RSS_SHMEM && (!task->nr_allocs || !delta)) {
		vma = next_place(tracker, task);
		/* One page that is there: a fault; several: fault-around, which tells its range next. */
		if (vma && ((delta == 1 && (vma_cache_find(tracker, vma, populate->at, &pfn) ||
					    shmem_swap_in(tracker, vma, populate->at))) ||
			    maps_folio(tracker, task, vma, delta))) {
			populate->alone = delta == 1 ? world_vma_file_index(tracker->world, vma, populate->at) : ~0ull;
			populate_file_page(tracker, task, member, delta);
			return;
		}
		populate->delta = delta;
		populate->delta_seen = true;
		populate->member = member;
	} else if (member == RF_RSS_SHMEM || (populate->file_seen && delta && !event->around)) {
		populate_file_page(tracker, task, member, delta);
	} else if (member == RF_RSS_FILE && delta > 0 && (vma = next_place(tracker, task)) &&
		   (vma->name == RF_VMA_VDSO || maps_folio(tracker, task, vma, delta))) {
		populate_file_page(tracker, task, member, delta);
	} else if (member == RF_RSS_FILE) {
		populate->delta = delta;
		populate->delta_seen = true;
		populate->member = member;
	}
}

static void populate_map(struct rf_tracker *tracker, struct task *task, const struct populate_event *event)
{
	struct task_populate *populate = &task->populate;
	u64 left_out = ~0ull;
	struct world_vma *vma;

	/* A window of one page, which its RSS change has told already. */
	if (event->index == event->last && event->index == populate->alone) {
		populate->alone = ~0ull;
		return;
	}
	vma = next_place(tracker, task);
	if (!vma) {
		out_of_range(tracker, task);
		return;
	}
	learn_file(tracker, mm_of(tracker, task), vma, event->file);
	if (event->left_out != ~0ull)
		left_out = vpn_of(tracker, vma->start) + event->left_out - vma->pgoff;
	map_file_range(tracker, mm_of(tracker, task), vma, populate->at, left_out, event->index, event->last,
		       populate->delta_seen ? populate->delta : -1, populate->member == RF_RSS_SHMEM, RF_OP_POPULATE);
	populate->delta_seen = false;
	populate->file_seen = false;
}

static void apply(struct rf_tracker *tracker, struct task *task, const struct populate_event *event)
{
	switch (event->what) {
	case POPULATE_ALLOC:
		settle_copy(tracker, task);
		push_alloc(task, event->index, (u32)event->last);
		break;
	case POPULATE_RSS:
		if (event->member != RF_RSS_ANON)
			settle_copy(tracker, task);
		populate_rss(tracker, task, event);
		break;
	case POPULATE_MAP:
		settle_copy(tracker, task);
		populate_map(tracker, task, event);
		break;
	case POPULATE_FILE:
		settle_copy(tracker, task);
		task->populate.file_seen = true;
		task->populate.file = event->file;
		task->populate.index = event->index;
		break;
	}
}

void populate_event(struct rf_tracker *tracker, struct task *task, const struct populate_event *event)
{
	struct task_populate *populate = &task->populate;

	if (call_locks(task))
		lock_vmas(tracker, task);
	if (populate->active) {
		apply(tracker, task, event);
		return;
	}
	if (world_grow(tracker->world, (void **)&populate->queue, sizeof(*populate->queue), &populate->size,
		       populate->nr + 1ull))
		populate->queue[populate->nr++] = *event;
}

bool populate_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order)
{
	if (!task->mm || !task->mm->known || !call_populates(task))
		return false;
	populate_event(tracker, task, &(struct populate_event){ .what = POPULATE_ALLOC, .index = pfn, .last = order });
	return true;
}

void populate_begin(struct rf_tracker *tracker, struct task *task, u64 start, u64 end, bool write, bool zero)
{
	struct task_populate *populate = &task->populate;
	u32 nr = populate->nr;

	populate->pins = populate->fills = false;
	populate->mm = 0;
	populate->active = true;
	populate->write = write;
	populate->readers_zero = zero;
	populate->start = populate->at = vpn_of(tracker, start);
	populate->end = vpn_of(tracker, end);
	populate->file_seen = false;
	populate->delta_seen = false;
	populate->alone = ~0ull;
	populate->nr = 0;
	populate->nr_zero = 0;
	if (nr)
		task->nr_allocs = 0;
	for (u32 i = 0; i < nr; i++)
		apply(tracker, task, &populate->queue[i]);
}

void populate_pauses(struct rf_tracker *tracker, struct task *task)
{
	if (task->populate.pins)
		settle_copy(tracker, task);
}

void populate_gups(struct rf_tracker *tracker, struct task *task)
{
	const struct task_gup *first = task->gups;
	struct tracked_mm *mm = task->nr_gups ? mm_of_process(tracker, first->pid) : NULL;

	if (!mm || !mm->known)
		return;
	populate_begin(tracker, task, 0, 0, first->write, !first->write);
	task->populate.pins = true;
	task->populate.mm = mm == task->mm ? 0 : mm->world.id + 1;
	set_range(tracker, task, 0);
}

void populate_fill(struct rf_tracker *tracker, struct task *task, const struct tracked_mm *mm, u64 start, u64 end)
{
	populate_begin(tracker, task, start, end, true, false);
	task->populate.fills = true;
	task->populate.mm = mm == task->mm ? 0 : mm->world.id + 1;
}

bool populates_remotely(const struct task *task, const struct tracked_mm *mm)
{
	return task->populate.active && task->populate.mm == mm->world.id + 1;
}

/* What is left of the range needed no page: reused, read as zero, or not to be had. */
static void pass_rest(struct rf_tracker *tracker, struct task *task)
{
	u64 left = FILL_PAGES_MAX;

	while (left-- && place_in_range(tracker, task))
		task->populate.at++;
}

void populate_gups_end(struct rf_tracker *tracker, struct task *task, u64 bytes)
{
	struct task_populate *populate = &task->populate;

	if (!populate->active)
		return;
	settle_copy(tracker, task);
	for (u32 i = 0; i < task->nr_gups && bytes; i++) {
		const struct task_gup *gup = &task->gups[i];
		u64 len = min_u64(gup->len, bytes);

		bytes -= len;
		if (i < populate->range)
			continue;
		if (i > populate->range)
			set_range(tracker, task, i);
		populate->end = min_u64(populate->end, vpn_of(tracker, gup->addr + len - 1) + 1);
		pass_rest(tracker, task);
	}
}

void populate_end(struct rf_tracker *tracker, struct task *task, bool succeeded)
{
	struct task_populate *populate = &task->populate;

	if (populate->active && mm_of(tracker, task) && succeeded) {
		settle_copy(tracker, task);
		if (call_populates(task)) {
			pass_rest(tracker, task);
			gup_populates(tracker, mm_of(tracker, task), populate->start << tracker->page_shift,
				      populate->end << tracker->page_shift, populate->write,
				      task->call.kind == RF_SYS_MADVISE);
		}
	}
	populate->active = populate->pins = populate->fills = false;
	populate->mm = 0;
	populate->nr = 0;
	populate->delta_seen = false;
}
