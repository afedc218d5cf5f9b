// SPDX-License-Identifier: MIT
/* PG_readahead, by what the layout shows and what readahead's rules tell. See readahead.h for why. */
#include "replay/tracker/ground/readahead.h"

#include <errno.h>
#include <stdio.h>

#include "replay/tracker/ground/tracking.h"

/* A folio that bore the flag when the layout was taken. */
struct readahead_mark {
	u64 index;		/* of its first page */
	u32 file;
	bool hit;		/* since then it can have been set later only */
};

int readahead_start(struct rf_tracker *tracker)
{
	json_t *sizes = rf_reader_header_value(tracker->reader, RF_HEADER_READAHEAD_BYTES);
	unsigned int major, minor;
	const char *device;
	json_t *bytes;

	json_object_foreach(sizes, device, bytes) {
		u64 pages = (u64)json_integer_value(bytes) >> tracker->page_shift;

		if (pages && pages <= UINT32_MAX && sscanf(device, "%u:%u", &major, &minor) == 2 &&
		    device_table_set(&tracker->readahead_windows, (u64)major << WORLD_MINOR_BITS | minor, (u32)pages))
			return -ENOMEM;
	}
	return 0;
}

u32 readahead_window(const struct rf_tracker *tracker, u32 file)
{
	return device_table_find(&tracker->readahead_windows, file_get(tracker->world, file)->dev);
}

static u64 head_of(const struct rf_tracker *tracker, u64 pfn)
{
	return folio_head(pfn, folio_order(tracker->world, pfn));
}

static struct readahead_mark *mark_of(const struct rf_tracker *tracker, u64 head)
{
	u32 number = readahead_table_find(&tracker->readahead_by_pfn, head);

	return number ? &tracker->readahead_marks[number - 1] : NULL;
}

void readahead_seen(struct rf_tracker *tracker, u32 file, u64 index, u64 pfn)
{
	u64 head = head_of(tracker, pfn);

	if (index < pfn - head || !world_grow(tracker->world, (void **)&tracker->readahead_marks,
					      sizeof(*tracker->readahead_marks), &tracker->readahead_marks_size,
					      tracker->nr_readahead_marks + 1ull))
		return;
	tracker->readahead_marks[tracker->nr_readahead_marks++] =
		(struct readahead_mark){ .index = index - (pfn - head), .file = file };
	if (readahead_table_set(&tracker->readahead_by_pfn, head, tracker->nr_readahead_marks))
		world_set_out_of_memory(tracker->world);
}

void readahead_sets(struct rf_tracker *tracker, u64 pfn, bool may_be_set)
{
	const struct world_page *known = world_page_find(tracker->world, head_of(tracker, pfn));
	struct world_page *page;

	if ((known && known->readahead) != may_be_set && (page = world_page(tracker->world, head_of(tracker, pfn))))
		page->readahead = may_be_set;
}

void readahead_hit(struct rf_tracker *tracker, u64 pfn)
{
	struct readahead_mark *mark = mark_of(tracker, head_of(tracker, pfn));

	readahead_sets(tracker, pfn, false);
	if (mark)
		mark->hit = true;
}

enum readahead readahead_of(const struct rf_tracker *tracker, u32 file, u64 index, u64 pfn)
{
	u64 head = head_of(tracker, pfn);
	const struct world_page *page = world_page_find(tracker->world, head);
	const struct readahead_mark *mark = mark_of(tracker, head);

	/* What the page frame held before is not what it held at the end. */
	if (mark && !mark->hit && mark->file == file && mark->index + (pfn - head) == index)
		return READAHEAD_SEEN;
	return page && page->readahead ? READAHEAD_LIKELY : READAHEAD_NONE;
}
