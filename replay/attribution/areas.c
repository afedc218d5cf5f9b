// SPDX-License-Identifier: MIT
/*
 * VMAs as operations tell of them, in an ordered array for each address space. What decides about merging is what
 * /proc/PID/maps shows: permissions, what is mapped, and where in it.
 */
#include "replay/attribution/areas.h"

#include <string.h>

#include "base/array.h"

const char *const rf_mapping_names[] = {
	[RF_MAPPING_WHOLE] = "whole address space", [RF_MAPPING_SEVERAL] = "several mappings",
	[RF_MAPPING_UNKNOWN] = "no known mapping", [RF_MAPPING_RESERVED] = "reserved", [RF_MAPPING_ANON] = "anon",
	[RF_MAPPING_HEAP] = "heap",
	[RF_MAPPING_STACK] = "stack", [RF_MAPPING_SHMEM] = "shmem", [RF_MAPPING_HUGETLB] = "hugetlb",
	[RF_MAPPING_SPECIAL] = "special", [RF_MAPPING_FILE] = "file",
};

/* A VMA, or what is left of one: pieces with the same identity are the same to a reader. */
struct piece {
	u64 start, end;
	u64 origin;		/* where page 0 of the file would be; 0: no file */
	u32 file;
	u32 identity;
	u32 area;		/* its number + 1, 0: no operation was in it yet */
	u16 flags;		/* RF_VM_* that keep VMAs apart */
	u8 mapping;
};

struct space {
	struct piece *pieces;
	u32 nr, last;
	size_t room;
};

#define ACCESS (RF_VM_READ | RF_VM_WRITE | RF_VM_EXEC)
#define KEPT (ACCESS | RF_VM_SHARED | RF_VM_GROWSDOWN | RF_VM_HUGETLB | RF_VM_SHMEM | RF_VM_SPECIAL)

static bool is_reserved(const struct piece *piece)
{
	return piece->mapping == RF_MAPPING_ANON && !(piece->flags & ACCESS);
}

/* The first piece that ends behind addr. */
static u32 find(struct space *space, u64 addr)
{
	u32 low = 0, high = space->nr;

	if (space->last < high && space->pieces[space->last].start <= addr && addr < space->pieces[space->last].end)
		return space->last;
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (space->pieces[middle].end > addr)
			high = middle;
		else
			low = middle + 1;
	}
	space->last = low;
	return low;
}

static struct space *space_of(struct rf_areas *areas, u64 mm)
{
	if (mm >= UINT32_MAX || array_grow_zeroed(areas->spaces, areas->nr_spaces, mm + 1)) {
		areas->failed = true;
		return NULL;
	}
	return &areas->spaces[mm];
}

static bool insert(struct rf_areas *areas, struct space *space, u32 at, const struct piece *piece)
{
	struct piece copy = *piece;

	if (array_grow(space->pieces, space->room, space->nr + 1ul)) {
		areas->failed = true;
		return false;
	}
	memmove(&space->pieces[at + 1], &space->pieces[at], (space->nr - at) * sizeof(copy));
	space->pieces[at] = copy;
	space->nr++;
	return true;
}

static void take_out(struct space *space, u32 first, u32 nr)
{
	if (!nr)
		return;
	memmove(&space->pieces[first], &space->pieces[first + nr], (space->nr - first - nr) * sizeof(*space->pieces));
	space->nr -= nr;
}

static void split(struct rf_areas *areas, struct space *space, u64 addr)
{
	u32 at = find(space, addr);
	struct piece upper;

	if (at == space->nr || space->pieces[at].start >= addr)
		return;
	upper = space->pieces[at];
	upper.start = addr;
	if (insert(areas, space, at + 1, &upper))
		space->pieces[at].end = addr;
}

static void carve(struct rf_areas *areas, struct space *space, u64 start, u64 end)
{
	u32 first, behind;

	split(areas, space, start);
	split(areas, space, end);
	first = find(space, start);
	for (behind = first; behind < space->nr && space->pieces[behind].start < end; behind++)
		;
	take_out(space, first, behind - first);
}

static bool fit(const struct piece *low, const struct piece *high)
{
	return low->end == high->start && low->mapping == high->mapping && low->flags == high->flags &&
	       low->file == high->file && low->origin == high->origin && low->mapping != RF_MAPPING_SPECIAL;
}

/* The named one grows by what merges with it. */
static void cover(struct rf_areas *areas, const struct piece *piece)
{
	struct rf_area *area = piece->area ? &areas->list[piece->area - 1] : NULL;

	if (!area || !areas->apart)
		return;
	area->start = min_u64(area->start, piece->start);
	area->end = max_u64(area->end, piece->end);
}

/* The piece at this place becomes part of the one below and the one above, where they fit: those were there before. */
static void merge(struct rf_areas *areas, struct space *space, u32 at)
{
	struct piece *piece = &space->pieces[at];

	if (at && fit(piece - 1, piece)) {
		piece[-1].end = piece->end;
		take_out(space, at--, 1);
		piece--;
	} else if (at + 1 < space->nr && fit(piece, piece + 1)) {
		piece[1].start = piece->start;
		take_out(space, at, 1);
	}
	if (at + 1 < space->nr && fit(piece, piece + 1)) {
		if (!piece->area)
			piece->area = piece[1].area;
		piece->end = piece[1].end;
		take_out(space, at + 1, 1);
	}
	cover(areas, piece);
}

/* ---- what operations do ------------------------------------------------------- */

static u8 mapping_of(const struct rf_op *op, bool heap)
{
	if (op->vm_flags & RF_VM_SPECIAL)
		return RF_MAPPING_SPECIAL;
	if (op->vm_flags & RF_VM_HUGETLB)
		return RF_MAPPING_HUGETLB;
	if (op->vm_flags & RF_VM_SHMEM || (op->vm_flags & RF_VM_SHARED && !op->file))
		return RF_MAPPING_SHMEM;
	if (op->file)
		return RF_MAPPING_FILE;
	if (op->vm_flags & RF_VM_GROWSDOWN)
		return RF_MAPPING_STACK;
	return heap ? RF_MAPPING_HEAP : RF_MAPPING_ANON;
}

static void map(struct rf_areas *areas, struct space *space, const struct rf_op *op, bool heap)
{
	struct piece piece = {
		.start = op->addr, .end = op->end, .file = (u32)op->file, .flags = op->vm_flags & KEPT,
		.mapping = mapping_of(op, heap), .identity = ++areas->next_identity,
	};
	u32 at = find(space, op->addr);

	if (op->file)
		piece.origin = op->addr - (op->pgoff << areas->page_shift);
	/* Pieces turn out to be one VMA: no new one. */
	if (op->flags & RF_OP_LOAD && op->flags & RF_OP_INFERRED && at < space->nr &&
	    space->pieces[at].start < op->end) {
		piece = space->pieces[at];
		piece.start = op->addr;
		piece.end = op->end;
	}
	carve(areas, space, op->addr, op->end);
	at = find(space, op->addr);
	if (insert(areas, space, at, &piece))
		merge(areas, space, at);
}

static void protect(struct rf_areas *areas, struct space *space, const struct rf_op *op)
{
	u16 flags = op->vm_flags & ACCESS;

	for (u64 addr = op->addr; addr < op->end && !areas->failed;) {
		u32 at = find(space, addr);
		struct piece *piece;
		u64 end, start;
		bool part, reserved;

		if (at == space->nr || space->pieces[at].start >= op->end)
			return;
		piece = &space->pieces[at];
		start = max_u64(addr, piece->start);
		end = min_u64(piece->end, op->end);
		addr = end;
		if ((piece->flags & ACCESS) == flags)
			continue;
		part = start > piece->start || end < piece->end;
		reserved = !(piece->flags & ACCESS);
		split(areas, space, start);
		split(areas, space, end);
		at = find(space, start);
		piece = &space->pieces[at];
		piece->flags = (u16)((piece->flags & ~ACCESS) | flags);
		if (part)
			piece->identity = ++areas->next_identity;
		if (part || reserved || !flags)
			piece->area = 0;
		merge(areas, space, at);
	}
}

/* [start, end) becomes [to, to + length): what is there is somebody else from now on. */
static void move(struct rf_areas *areas, struct space *space, const struct rf_op *op, u64 to, u64 length)
{
	struct piece moved;
	u32 at;

	at = find(space, op->addr);
	if (at == space->nr || space->pieces[at].start > op->addr)
		return;
	moved = space->pieces[at];
	if (op->kind != RF_OP_MREMAP || !(op->flags & RF_OP_DONTUNMAP))
		carve(areas, space, op->addr, op->end);
	carve(areas, space, to, to + length);
	if (moved.file)
		moved.origin += to - op->addr;
	moved.start = to;
	moved.end = to + length;
	if (op->kind == RF_OP_MREMAP)
		moved.area = 0;
	moved.identity = ++areas->next_identity;
	at = find(space, to);
	if (length && insert(areas, space, at, &moved))
		merge(areas, space, at);
}

static void grow(struct rf_areas *areas, struct space *space, const struct rf_op *op)
{
	bool down = op->kind == RF_OP_VMA_GROW;
	u32 at = find(space, down ? op->end : op->addr - 1);
	struct piece *piece = &space->pieces[at];

	if (at == space->nr || (down ? piece->start != op->end : piece->end != op->addr))
		return;
	if (down)
		piece->start = op->addr;
	else
		piece->end = op->end;
	merge(areas, space, at);
}

static void fork_space(struct rf_areas *areas, u64 from, u64 to)
{
	struct space *child = space_of(areas, to), *parent = child ? space_of(areas, from) : NULL;

	if (!parent || from == to)
		return;
	child = &areas->spaces[to];
	child->nr = child->last = 0;
	if (array_grow(child->pieces, child->room, parent->nr + 1ul)) {
		areas->failed = true;
		return;
	}
	if (parent->nr)
		memcpy(child->pieces, parent->pieces, parent->nr * sizeof(*child->pieces));
	child->nr = parent->nr;
	for (u32 i = 0; areas->apart && i < child->nr; i++)
		child->pieces[i].area = 0;
}

static void change(struct rf_areas *areas, struct space *space, const struct rf_op *op, bool heap)
{
	switch (op->kind) {
	case RF_OP_MAP:
		map(areas, space, op, heap);
		break;
	case RF_OP_VMA_GROW:
	case RF_OP_VMA_EXPAND:
		grow(areas, space, op);
		break;
	case RF_OP_MUNMAP:
		carve(areas, space, op->addr, op->end);
		break;
	case RF_OP_MPROTECT:
		protect(areas, space, op);
		break;
	case RF_OP_MREMAP:
		move(areas, space, op, op->addr2, (u64)op->nr << areas->page_shift);
		break;
	case RF_OP_EXEC_STACK:
		if (op->end - op->addr <= op->addr2)
			move(areas, space, op, op->addr2 - (op->end - op->addr), op->end - op->addr);
		break;
	case RF_OP_FORK:
		fork_space(areas, op->mm, op->mm2);
		break;
	case RF_OP_MM_NEW:
	case RF_OP_MM_EXIT:
		free(space->pieces);
		*space = (struct space){ 0 };
		break;
	}
}

/* ---- names -------------------------------------------------------------------- */

struct wanted {
	const struct rf_areas *areas;
	const struct rf_area *area;
};

static bool is_same(const void *context, u32 number)
{
	const struct wanted *wanted = context;
	const struct rf_area *a = wanted->area, *b = &wanted->areas->list[number - 1];

	return a->mapping == b->mapping && a->mm == b->mm && a->file == b->file &&
	       (a->start == b->start || (b->start <= a->start && a->start < b->end));
}

/* Where a mapping was before, there is the same again: a name for both. */
static u32 name(struct rf_areas *areas, const struct rf_area *area)
{
	struct wanted wanted = { areas, area };
	u64 key = (area->start + area->mapping) * 31 + ((u64)area->mm << 32 | area->file) * 0x9e3779b97f4a7c15ull;
	u32 number = area_table_match(&areas->by_key, key, is_same, &wanted);

	if (number) {
		areas->list[number - 1].end = max_u64(areas->list[number - 1].end, area->end);
		return number;
	}
	if (array_grow(areas->list, areas->room, areas->nr + 1ul) ||
	    area_table_add(&areas->by_key, key, areas->nr + 1)) {
		areas->failed = true;
		return 1;
	}
	areas->list[areas->nr] = *area;
	return ++areas->nr;
}

static u32 name_piece(struct rf_areas *areas, struct space *space, u32 mm, u32 at)
{
	struct piece *piece = &space->pieces[at];
	struct rf_area area = { .mapping = piece->mapping };
	u32 first = at, last = at;

	if (piece->area)
		return piece->area;
	while (first && space->pieces[first - 1].identity == piece->identity)
		first--;
	while (last + 1 < space->nr && space->pieces[last + 1].identity == piece->identity)
		last++;
	if (piece->mapping == RF_MAPPING_FILE)
		area.file = piece->file;
	else if (is_reserved(piece))
		area.mapping = RF_MAPPING_RESERVED;
	if (areas->apart) {
		area.mm = mm;
		area.start = space->pieces[first].start;
		area.end = space->pieces[last].end;
	}
	piece->area = name(areas, &area);
	for (u32 i = first; i <= last; i++)
		space->pieces[i].area = piece->area;
	return piece->area;
}

static u32 area_of(struct rf_areas *areas, struct space *space, const struct rf_op *op)
{
	struct rf_area special = { 0 };
	u32 at;

	switch (rf_op_shapes[op->kind]) {
	case RF_SHAPE_NEW:
	case RF_SHAPE_CHILD:
	case RF_SHAPE_MM:
	case RF_SHAPE_MARK:
		return name(areas, &special);
	}
	at = find(space, op->addr);
	if (at == space->nr || space->pieces[at].start > max_u64(op->addr, op->end ? op->end - 1 : 0)) {
		special.mapping = RF_MAPPING_UNKNOWN;
		return name(areas, &special);
	}
	/* A guard page beside a stack does not make it two: nothing is there. */
	for (u32 next = at + 1; next < space->nr && space->pieces[next].start < op->end; next++) {
		const struct piece *piece = &space->pieces[next];

		if (piece->identity == space->pieces[at].identity || is_reserved(piece))
			continue;
		if (is_reserved(&space->pieces[at])) {
			at = next;
			continue;
		}
		special.mapping = RF_MAPPING_SEVERAL;
		return name(areas, &special);
	}
	return name_piece(areas, space, op->mm, at);
}

static bool comes_first(u8 kind)
{
	return kind == RF_OP_MAP || kind == RF_OP_VMA_GROW || kind == RF_OP_VMA_EXPAND;
}

u32 rf_areas_take(struct rf_areas *areas, const struct rf_op *op, bool heap)
{
	struct space *space = space_of(areas, op->mm);
	u32 area;

	if (!space)
		return 1;
	if (comes_first(op->kind))
		change(areas, space, op, heap);
	area = area_of(areas, space, op);
	if (!comes_first(op->kind))
		change(areas, space, op, heap);
	return area;
}

void rf_areas_start(struct rf_areas *areas, bool apart, u32 page_shift)
{
	*areas = (struct rf_areas){ .apart = apart, .page_shift = page_shift };
}

void rf_areas_free(struct rf_areas *areas)
{
	for (size_t i = 0; i < areas->nr_spaces; i++)
		free(areas->spaces[i].pieces);
	free(areas->spaces);
	free(areas->list);
	area_table_free(&areas->by_key);
	*areas = (struct rf_areas){ 0 };
}
