// SPDX-License-Identifier: MIT
/*
 * Code of processes: sorted ranges each. What is unmapped nobody tells, so a range stays until another is mapped over
 * it; addresses of code that is gone are not returned to.
 */
#include "capture/stacks/spaces.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/vm_flags.h"
#include "capture/snapshot/maps.h"

#define MOST_RANGES 65536	/* of a process */
#define MOST_TEXT (64u << 20)
#define OFFSET_UNIT 4096	/* of offsets in files; larger pages are multiples */

struct rf_space {
	u32 expected;		/* times that something is to be told of it */
	bool known;		/* what was mapped before the side-band told is in it, or nothing was */
	struct rf_code *list;	/* by address */
	size_t nr, room;
};

static struct rf_space *space_of(struct rf_spaces *spaces, pid_t pid)
{
	struct rf_space *space = space_table_find(&spaces->table, (u64)pid);

	if (space)
		return space;
	space = calloc(1, sizeof(*space));
	if (space && space_table_add(&spaces->table, (u64)pid, space)) {
		free(space);
		return NULL;
	}
	return space;
}

/* The first range that ends above the address. */
static size_t place_of(const struct rf_space *space, u64 address)
{
	size_t low = 0, high = space->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->list[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void cut_front(struct rf_code *code, u64 start)
{
	code->offset += start - code->start;
	code->start = start;
}

/* Make room from start to end; -1, or where to put a range there. */
static ssize_t clear(struct rf_space *space, u64 start, u64 end)
{
	size_t first = place_of(space, start), last;

	if (space->nr + 2 > MOST_RANGES || array_grow(space->list, space->room, space->nr + 2))
		return -1;
	if (first < space->nr && space->list[first].start < start) {
		struct rf_code *code = &space->list[first];

		if (code->end > end) {		/* it goes on behind */
			memmove(code + 1, code, (space->nr - first) * sizeof(*code));
			space->nr++;
			cut_front(code + 1, end);
		}
		code->end = start;
		first++;
	}
	for (last = first; last < space->nr && space->list[last].end <= end;)
		last++;
	if (last < space->nr && space->list[last].start < end)
		cut_front(&space->list[last], end);
	memmove(&space->list[first + 1], &space->list[last], (space->nr - last) * sizeof(*space->list));
	space->nr += first + 1;
	space->nr -= last;
	return (ssize_t)first;
}

static void map(struct rf_spaces *spaces, struct rf_space *space, pid_t pid, const struct rf_maps_vma *vma, u64 page)
{
	struct rf_code code = { .start = vma->start, .end = vma->end, .offset = vma->pgoff * page };
	ssize_t place;

	if (vma->ino && vma->path && vma->path[0] == '/')
		code.module = rf_modules_get(&spaces->modules, vma->dev, vma->ino, pid, vma->path);
	place = vma->start < vma->end ? clear(space, vma->start, vma->end) : -1;
	if (place >= 0)
		space->list[place] = code;
}

void rf_spaces_mapped(struct rf_spaces *spaces, pid_t pid, u64 start, u64 len, u64 offset, u64 dev, u64 ino,
		      const char *path)
{
	const struct rf_maps_vma vma = { .start = start, .end = start + len, .pgoff = offset, .dev = dev, .ino = ino,
					 .path = path };
	struct rf_space *space = space_of(spaces, pid);

	/* Else its maps, which are read when it makes its first call, have it. */
	if (space && space->known)
		map(spaces, space, pid, &vma, 1);
}

void rf_spaces_forked(struct rf_spaces *spaces, pid_t child, pid_t parent)
{
	struct rf_space *from = space_of(spaces, parent), *to = space_of(spaces, child);

	if (!from || !to || child == parent)
		return;
	to->nr = 0;
	to->known = from->known && !array_grow(to->list, to->room, from->nr);
	if (!to->known)
		return;
	if (from->nr)
		memcpy(to->list, from->list, from->nr * sizeof(*from->list));
	to->nr = from->nr;
}

void rf_spaces_emptied(struct rf_spaces *spaces, pid_t pid)
{
	struct rf_space *space = space_of(spaces, pid);

	if (!space)
		return;
	space->nr = 0;
	space->known = true;
}

void rf_spaces_ended(struct rf_spaces *spaces, pid_t pid)
{
	struct rf_space *space = space_table_find(&spaces->table, (u64)pid);

	if (!space)
		return;
	free(space->list);
	*space = (struct rf_space){ .expected = space->expected };
}

static char *read_text(pid_t pid)
{
	size_t used = 0, room = 0;
	char path[32], *text = NULL;
	ssize_t n = 1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (n > 0 && used < MOST_TEXT && !array_grow(text, room, used + 8193)) {
		n = read(fd, text + used, 8192);
		used += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (text)
		text[used] = '\0';
	return text;
}

/* Of a process that ran before. Who has ended meanwhile stays unknown. */
static void look_at(struct rf_spaces *spaces, struct rf_space *space, pid_t pid)
{
	struct rf_maps maps = { 0 };
	char *text = read_text(pid);

	space->known = true;
	if (text && !rf_maps_parse(&maps, text, OFFSET_UNIT))
		for (size_t i = 0; i < maps.nr; i++)
			if (maps.vmas[i].flags & RF_VM_EXEC)
				map(spaces, space, pid, &maps.vmas[i], OFFSET_UNIT);
	rf_maps_free(&maps);
	free(text);
}

void rf_spaces_look(struct rf_spaces *spaces, pid_t pid)
{
	struct rf_space *space = space_of(spaces, pid);

	if (space && !space->known)
		look_at(spaces, space, pid);
}

void rf_spaces_expect(struct rf_spaces *spaces, pid_t pid)
{
	struct rf_space *space = space_of(spaces, pid);

	if (space)
		space->expected++;
}

void rf_spaces_told(struct rf_spaces *spaces, pid_t pid)
{
	struct rf_space *space = space_of(spaces, pid);

	if (space && space->expected)
		space->expected--;
}

bool rf_spaces_is_settled(struct rf_spaces *spaces, pid_t pid)
{
	const struct rf_space *space = space_table_find(&spaces->table, (u64)pid);

	return space && space->known && !space->expected;
}

bool rf_spaces_is_empty(struct rf_spaces *spaces, pid_t pid)
{
	const struct rf_space *space = space_table_find(&spaces->table, (u64)pid);

	return space && space->known && !space->nr;
}

const struct rf_code *rf_spaces_find(struct rf_spaces *spaces, pid_t pid, u64 address)
{
	struct rf_space *space = space_of(spaces, pid);
	size_t place;

	if (!space)
		return NULL;
	place = place_of(space, address);
	return place < space->nr && space->list[place].start <= address ? &space->list[place] : NULL;
}

void rf_spaces_free(struct rf_spaces *spaces)
{
	for (u32 i = 0; i < spaces->table.size; i++) {
		struct rf_space *space = spaces->table.slots[i].value;

		if (space)
			free(space->list);
		free(space);
	}
	space_table_free(&spaces->table);
	rf_modules_free(&spaces->modules);
}
