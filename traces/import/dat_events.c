// SPDX-License-Identifier: MIT
/*
 * The events of a trace.dat: pages of the kernel's ring buffers, a CPU's one after the
 * other, merged by time. kbuffer of libtraceevent believes what a page says of its
 * lengths, which the recorder's own pages may be trusted with; here they come from
 * anywhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/array.h"
#include "traces/frame.h"
#include "traces/import/piece.h"
#include "traces/import/trace_dat.h"

#define READ_BYTES (64 << 10)
#define CHUNK_HEADER_BYTES 8
#define CHUNK_MAX (256u << 20)

/* Packed events may become so many times the file's size, and so many bytes, but not more: else a pass has no end. */
#define UNPACKED_TIMES 256
#define UNPACKED_BYTES (64u << 20)

/* So many bytes are kept for the next pass. */
#define KEPT_BYTES (64u << 20)

/* The header of a page: its time, and how many bytes of events it holds, with these bits. */
#define PAGE_HEADER_BYTES 16
#define PAGE_COMMIT (BIT_ULL(27) - 1)
#define PAGE_LOST BIT_ULL(31)
#define PAGE_LOST_STORED BIT_ULL(30)	/* how many is told behind the events */

/* enum ring_buffer_type: what the lowest 5 bits of an event are, if not its length in words. */
#define TYPE_LONG 0		/* the length follows, in bytes, with itself */
#define TYPE_PADDING 29
#define TYPE_TIME_EXTEND 30
#define TYPE_TIME_STAMP 31
#define TYPE_BITS 5
#define TYPE_MASK (BIT(TYPE_BITS) - 1)
#define DELTA_BITS 27
#define STAMP_BITS 59

struct cpu {
	const struct rf_dat_place *place;
	u64 rank;			/* whose turn it is at equal times */
	u64 at, left;			/* in the file, what has not been read */
	u64 chunks;			/* packed: so many are left */
	u8 *bytes;			/* read, from "page" to "end" not yet looked at */
	bool kept;			/* bytes are all that was read */
	u64 expected;			/* bytes in all; a guess */
	size_t room, page, end;
	const u8 *event, *events_end;	/* in the page before that one */
	u64 page_offset;		/* in the file, for messages; of a chunk its own */
	u64 time;			/* as the page has it */
	u64 lost;
	struct rf_dat_event next;
};

struct rf_dat_events {
	const struct rf_dat *dat;
	struct cpu *cpus;
	struct cpu **heap;		/* those that have an event, by time and rank */
	size_t nr_heap;
	bool in_order;			/* else one CPU's after the other's */
	bool taken;			/* the first of them was handed out */
	ZSTD_DCtx *zstd;
	u8 *packed;
	size_t packed_room;
	u64 unpacked;			/* bytes so far, with what they were packed in */
	u64 kept;			/* bytes */
	struct rf_error damage;		/* the first */
	struct rf_error failure;	/* nothing can be read any more */
};

/* ---- bytes ---------------------------------------------------------------------- */

static void note(struct rf_dat_events *events, const struct cpu *cpu, int code, const char *what)
{
	struct rf_error *err = code == -EBADMSG ? &events->damage : &events->failure;

	if (!err->code)
		rf_error_set(err, code, code == -ENOMEM ? RF_NO_OFFSET : cpu->page_offset, "%s%s",
			     what, code == -EBADMSG || code == -ENOMEM ? "" : strerror(-code));
}

/* What follows of the CPU's events nobody knows where to find. */
static bool damaged(struct rf_dat_events *events, struct cpu *cpu, const char *what)
{
	note(events, cpu, -EBADMSG, what);
	cpu->left = cpu->chunks = 0;
	return false;
}

static bool fail(struct rf_dat_events *events, struct cpu *cpu, int code)
{
	if (code == -EBADMSG)
		return damaged(events, cpu, "it is cut off");
	note(events, cpu, code, code == -ENOMEM ? "out of memory" : "cannot read: ");
	return false;
}

static bool read_bytes(struct rf_dat_events *events, struct cpu *cpu, void *to, u64 size)
{
	int ret;

	if (size > cpu->left)
		return damaged(events, cpu, "a chunk of its events is cut off or damaged");
	ret = piece_read(events->dat->fd, cpu->at, to, size);
	if (ret)
		return fail(events, cpu, ret);
	cpu->at += size;
	cpu->left -= size;
	return true;
}

/* Room for more behind what was read, or what is left of it. */
static bool make_room(struct rf_dat_events *events, struct cpu *cpu, u64 size)
{
	if (cpu->kept && events->kept + size <= KEPT_BYTES) {
		events->kept += size;
		size = max_u64(size, min_u64(cpu->expected, KEPT_BYTES) - min_u64(cpu->expected, cpu->end));
		return !array_grow(cpu->bytes, cpu->room, cpu->end + size) || fail(events, cpu, -ENOMEM);
	}
	cpu->kept = false;
	if (cpu->page)
		memmove(cpu->bytes, cpu->bytes + cpu->page, cpu->end - cpu->page);
	cpu->end -= cpu->page;
	cpu->page = 0;
	return !array_grow(cpu->bytes, cpu->room, cpu->end + size) || fail(events, cpu, -ENOMEM);
}

static bool unpack(struct rf_dat_events *events, struct cpu *cpu, u64 packed, u64 size)
{
	size_t got;

	if (array_grow(events->packed, events->packed_room, packed))
		return fail(events, cpu, -ENOMEM);
	if (!read_bytes(events, cpu, events->packed, packed) || !make_room(events, cpu, max_u64(size, 1)))
		return false;
	got = ZSTD_decompressDCtx(events->zstd, cpu->bytes + cpu->end, size, events->packed, packed);
	if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation)
		return fail(events, cpu, -ENOMEM);
	if (ZSTD_isError(got) || got != size)
		return damaged(events, cpu, "a chunk of its events cannot be unpacked");
	cpu->end += size;
	return true;
}

static bool read_chunk(struct rf_dat_events *events, struct cpu *cpu)
{
	u8 header[CHUNK_HEADER_BYTES];
	u64 packed, size;

	cpu->page_offset = cpu->at;
	if (!read_bytes(events, cpu, header, sizeof(header)))
		return false;
	packed = load_u32(header);
	size = load_u32(header + 4);
	events->unpacked += size + packed;
	if (packed > cpu->left || size > CHUNK_MAX)
		return damaged(events, cpu, "a chunk of its events is cut off or damaged");
	if (events->unpacked > UNPACKED_TIMES * events->dat->size + UNPACKED_BYTES)
		return damaged(events, cpu, "its events unpack to more than any recording has");
	if (!cpu->expected)
		cpu->expected = min_u64(cpu->chunks * size, UNPACKED_TIMES * cpu->place->size);
	cpu->chunks--;
	return unpack(events, cpu, packed, size);
}

/* More of the CPU's pages; false: there are none, or it is told why not. */
static bool read_more(struct rf_dat_events *events, struct cpu *cpu)
{
	u64 size = min_u64(cpu->left, max_u64(READ_BYTES, cpu->place->page_size));

	if (cpu->place->packed)
		return cpu->chunks && read_chunk(events, cpu);
	if (!size || !make_room(events, cpu, size) || !read_bytes(events, cpu, cpu->bytes + cpu->end, size))
		return false;
	cpu->end += size;
	return true;
}

/* ---- pages ---------------------------------------------------------------------- */

static void note_lost(struct cpu *cpu, const u8 *page, size_t size, u64 commit)
{
	u64 stored = PAGE_HEADER_BYTES + (commit & PAGE_COMMIT), lost = 1;

	if (!(commit & PAGE_LOST))
		return;
	if (commit & PAGE_LOST_STORED && stored + sizeof(u64) <= size)
		lost = load_u64(page + stored);
	/* A number that cannot be is none. */
	cpu->lost += lost <= INT32_MAX ? lost : 1;
}

static __attribute__((noinline)) bool next_page(struct rf_dat_events *events, struct cpu *cpu)
{
	u32 page_size = cpu->place->page_size;
	const u8 *page;
	size_t size;
	u64 commit;

	while (cpu->end - cpu->page < page_size && read_more(events, cpu))
		;
	size = min_u64(cpu->end - cpu->page, page_size);
	if (events->failure.code || size < PAGE_HEADER_BYTES)
		return false;
	page = cpu->bytes + cpu->page;
	if (!cpu->place->packed)
		cpu->page_offset = cpu->at - (cpu->end - cpu->page);
	cpu->page += size;
	commit = load_u64(page + 8);
	if ((commit & PAGE_COMMIT) > size - PAGE_HEADER_BYTES)
		return damaged(events, cpu, "a page of its events is cut off or damaged");
	cpu->time = load_u64(page);
	cpu->event = page + PAGE_HEADER_BYTES;
	cpu->events_end = cpu->event + (commit & PAGE_COMMIT);
	note_lost(cpu, page, size, commit);
	return true;
}

/*
 * Past the header of what is between events, and past itself, or of an event whose length follows: returns that, 0:
 * none, negative: it has no end in the page.
 */
static __attribute__((noinline)) s64 parse_other(struct cpu *cpu, u32 header)
{
	bool whole = cpu->events_end - cpu->event >= 8;
	u64 word = whole ? load_u32(cpu->event + 4) : 0;

	cpu->event = whole ? cpu->event + 8 : cpu->events_end;
	if ((header & TYPE_MASK) == TYPE_TIME_STAMP) {
		cpu->time = (cpu->time & ~(BIT_ULL(STAMP_BITS) - 1)) | word << DELTA_BITS | header >> TYPE_BITS;
		return whole ? 0 : -1;
	}
	cpu->time += header >> TYPE_BITS;
	switch (header & TYPE_MASK) {
	case TYPE_TIME_EXTEND:
		cpu->time += word << DELTA_BITS;
		return whole ? 0 : -1;
	case TYPE_PADDING:
		cpu->event += min_u64(word > 4 ? word - 4 : 0, (u64)(cpu->events_end - cpu->event));
		return 0;
	default:
		return word >= 4 ? (s64)ALIGN_UP(word - 4, (u64)4) : -1;
	}
}

static u64 nanoseconds(const struct rf_dat *dat, u64 time)
{
	if (dat->multiplier)
		time = dat->shift < 128 ? (u64)((unsigned __int128)time * dat->multiplier >> dat->shift) : 0;
	return time + dat->time_offset;
}

/* The CPU's next event, false: it has no more. What is too short for the header of an event is none. */
static inline bool advance(struct rf_dat_events *events, struct cpu *cpu)
{
	s64 length;
	u32 header;

	do {
		while (cpu->event == cpu->events_end)
			if (!next_page(events, cpu))
				return false;
		if (cpu->events_end - cpu->event < 4)
			return damaged(events, cpu, "an event is longer than its page");
		header = load_u32(cpu->event);
		length = (header & TYPE_MASK) * (s64)sizeof(u32);
		if (length && length < TYPE_PADDING * (s64)sizeof(u32)) {
			cpu->time += header >> TYPE_BITS;
			cpu->event += sizeof(header);
		} else {
			length = parse_other(cpu, header);
		}
		if (length < 0 || length > cpu->events_end - cpu->event)
			return damaged(events, cpu, "an event is longer than its page");
		cpu->event += length;
	} while (length < 8);
	cpu->next.data = cpu->event - length;
	cpu->next.size = (u32)length;
	cpu->next.time = nanoseconds(events->dat, cpu->time);
	cpu->next.lost = cpu->lost;
	cpu->lost = 0;
	return true;
}

/* ---- in the order of time --------------------------------------------------------- */

static bool comes_before(const struct cpu *a, const struct cpu *b)
{
	return a->next.time != b->next.time ? a->next.time < b->next.time : a->rank < b->rank;
}

/* The heap again, where the one at a place may be later than those below it. */
static void sift_down(struct rf_dat_events *events, size_t place)
{
	struct cpu **heap = events->heap, *moved = heap[place];
	size_t below;

	while ((below = 2 * place + 1) < events->nr_heap) {
		if (below + 1 < events->nr_heap && comes_before(heap[below + 1], heap[below]))
			below++;
		if (!comes_before(heap[below], moved))
			break;
		heap[place] = heap[below];
		place = below;
	}
	heap[place] = moved;
}

/* It most often is: a CPU does several things before another does one. */
static bool is_first(const struct rf_dat_events *events)
{
	struct cpu *const *heap = events->heap;

	return events->nr_heap < 2 || !(comes_before(heap[1], heap[0]) ||
					(events->nr_heap > 2 && comes_before(heap[2], heap[0])));
}

const struct rf_dat_event *rf_dat_events_next(struct rf_dat_events *events, struct rf_error *err)
{
	if (events->taken && events->nr_heap) {
		if (!advance(events, events->heap[0]))
			events->heap[0] = events->heap[--events->nr_heap];
		if (events->in_order && !is_first(events))
			sift_down(events, 0);
	}
	events->taken = true;
	if (events->nr_heap && !events->failure.code)
		return &events->heap[0]->next;
	if (events->failure.code)
		*err = events->failure;
	else if (events->damage.code)
		*err = events->damage;
	return NULL;
}

/* To the CPU's first event; what was kept of it need not be read again. */
static bool begin(struct rf_dat_events *events, struct cpu *cpu)
{
	const struct rf_dat_place *place = cpu->place;
	u8 chunks[4];

	cpu->page = 0;
	cpu->event = cpu->events_end = NULL;
	cpu->lost = 0;
	if (cpu->kept && cpu->end)
		return advance(events, cpu);
	cpu->end = 0;
	cpu->at = cpu->page_offset = place->offset;
	/* What trace-cmd tells of packed ones is without their headers; how many there are says where they end. */
	cpu->left = place->packed ? events->dat->size - place->offset : place->size;
	if (place->packed) {
		if (!read_bytes(events, cpu, chunks, sizeof(chunks)))
			return false;
		cpu->chunks = load_u32(chunks);
	}
	return advance(events, cpu);
}

void rf_dat_events_begin(struct rf_dat_events *events, bool in_order)
{
	events->in_order = in_order;
	events->nr_heap = 0;
	events->taken = false;
	events->unpacked = 0;
	for (size_t i = 0; i < events->dat->nr_places && !events->failure.code; i++)
		if (begin(events, &events->cpus[i]))
			events->heap[events->nr_heap++] = &events->cpus[i];
	for (size_t place = events->nr_heap / 2; place--;)
		sift_down(events, place);
}

static int by_rank(const void *a, const void *b)
{
	const struct cpu *left = a, *right = b;

	return left->rank < right->rank ? -1 : left->rank > right->rank;
}

struct rf_dat_events *rf_dat_events_open(const struct rf_dat *dat, struct rf_error *err)
{
	struct rf_dat_events *events = calloc(1, sizeof(*events));

	if (events) {
		events->dat = dat;
		events->cpus = calloc(dat->nr_places + 1, sizeof(*events->cpus));
		events->heap = calloc(dat->nr_places + 1, sizeof(*events->heap));
		events->zstd = ZSTD_createDCtx();
	}
	if (!events || !events->cpus || !events->heap || !events->zstd) {
		rf_dat_events_close(events);
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < dat->nr_places; i++)
		events->cpus[i] = (struct cpu){ .place = &dat->places[i], .kept = true, .next.cpu = dat->places[i].cpu,
						.rank = (u64)dat->places[i].buffer << 32 | i,
						.expected = dat->places[i].packed ? 0 : dat->places[i].size };
	qsort(events->cpus, dat->nr_places, sizeof(*events->cpus), by_rank);
	return events;
}

void rf_dat_events_close(struct rf_dat_events *events)
{
	if (!events)
		return;
	for (size_t i = 0; events->cpus && i < events->dat->nr_places; i++)
		free(events->cpus[i].bytes);
	free(events->cpus);
	free(events->heap);
	ZSTD_freeDCtx(events->zstd);
	free(events->packed);
	free(events);
}
