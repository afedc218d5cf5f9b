// SPDX-License-Identifier: MIT
/*
 * The tracker against anything: streams of records that look sane one by one and make no sense together. It must
 * neither crash nor hang, and tell the same twice. Run it with sanitizers; see tests/fuzz.
 *
 *	test_tracker_random [ROUNDS [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/machine.h"
#include "replay/tracker/tracker.h"
#include "traces/trace.h"

static u64 state;

static u64 rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static u64 below(u64 n)
{
	return rnd() % n;
}

/* What came last, so that some records go together. */
static u64 last_address, last_frame, last_call[8];

static u64 new_address(void)
{
	switch (below(16)) {
	case 0:
		return rnd();			/* wild */
	case 1:
		return rnd() >> 10 & ~0xfffull;
	case 2:
		return 0x7ffffffff000 - below(300) * 4096;
	default:
		return 0x400000000000 + below(4096) * 4096 + (below(8) ? 0 : below(4096));
	}
}

static u64 address(void)
{
	if (below(3))
		last_address = new_address();
	return last_address;
}

static u64 length(void)
{
	switch (below(12)) {
	case 0:
		return rnd();
	case 1:
		return 0;
	case 2:
		return 0x40000000ull << below(12);
	default:
		return below(600) * 4096 + (below(6) ? 0 : below(4096));
	}
}

static u64 frame(void)
{
	if (below(3))
		last_frame = below(30) ? 0x1000 + below(4096) : rnd();
	return last_frame;
}

/* A value that its field may well have. */
static u64 value(u8 kind, int field)
{
	const struct rf_field_info *info = &rf_kind_table()[kind].fields[field];

	switch (info->class) {
	case RF_FIELD_ADDR:
		return address();
	case RF_FIELD_PFN:
		return frame();
	case RF_FIELD_TEXT:
		return rnd();
	default:
		break;
	}
	if (strstr(info->name, "len") || !strcmp(info->name, "offset"))
		return length();
	if (!strcmp(info->name, "order"))
		return below(20) ? below(2) ? 0 : below(10) : rnd();
	if (!strcmp(info->name, "nr"))
		return below(20) ? below(20) : rnd();
	if (!strcmp(info->name, "pages"))
		return below(100);
	if (!strcmp(info->name, "member") || !strcmp(info->name, "mm_id"))
		return below(5);
	if (!strcmp(info->name, "advice"))
		return below(10) ? below(26) : 100 + below(5);
	if (!strcmp(info->name, "flags") || !strcmp(info->name, "prot") || !strcmp(info->name, "gfp"))
		return below(3) ? below(256) : below(3) ? below(1 << 20) : rnd();
	if (!strcmp(info->name, "call"))
		return 16 + below(22);
	if (!strcmp(info->name, "ret"))
		return below(3) ? address() : below(2) ? 0 : -below(40);
	return below(3) ? below(8) : below(2) ? below(100) : rnd();
}

static struct rf_record make_record(u64 time)
{
	static const u8 common[] = { RF_FAULT, RF_FAULT, RF_RSS_STAT, RF_RSS_STAT, RF_PAGE_ALLOC, RF_PAGE_ALLOC,
				     RF_SYS_MMAP, RF_SYS_RET, RF_SYS_RET, RF_MAP_PAGES };
	struct rf_record record = { .time = time, .tid = (u32)(below(50) ? 100 + below(5) : rnd()) };

	do
		record.kind = (u8)(below(2) ? common[below(ARRAY_SIZE(common))] : below(RF_RECORD_KIND_MAX));
	while (!rf_kind_table()[record.kind].name);
	for (int i = 0; i < rf_kind_table()[record.kind].nr_fields; i++)
		record.f[i] = value(record.kind, i);
	if (record.kind == RF_FAULT)
		record.f[1] &= 0x3f;
	if (record.kind == RF_PAGE_ALLOC && below(4))
		record.f[2] = RF_GFP_MOVABLE | RF_GFP_HARDWALL;
	if (record.kind == RF_NEWTASK)
		record.f[0] = 100 + below(6);
	if (record.kind >= RF_SYS_MMAP && record.kind < RF_SYS_RET)
		last_call[record.tid % 8] = record.kind;
	if (record.kind == RF_SYS_RET && below(8))
		record.f[0] = last_call[record.tid % 8];
	return record;
}

static void make_trace(const char *path, size_t records)
{
	struct rf_writer *writer = rf_writer_create(path, "{\"arch\":\"x86_64\",\"page_size\":4096}", 1, NULL);
	static const struct rf_stream_info streams[] = {
		{ RF_SOURCE_TASK, 0 }, { RF_SOURCE_TASK, 1 }, { RF_SOURCE_SYSTEM, 0 }, { RF_SOURCE_SNAPSHOT, 0 },
		{ RF_SOURCE_PERF, 0 },
	};
	u64 time = 1000;

	if (!writer)
		exit(1);
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
		rf_writer_add_stream(writer, &streams[i]);
	/* Something to work on, in every process. */
	for (u32 tid = 100; tid < 104; tid++) {
		struct rf_record begin = { .time = time++, .tid = tid, .kind = RF_SNAP_BEGIN, .f = { tid } };
		struct rf_record vma = { .time = time++, .tid = tid, .kind = RF_SNAP_VMA,
					 .f = { 0x400000000000, 0x800000, 0x400000000, 0, 0, 3 } };
		struct rf_record pages = { .time = time, .tid = tid, .kind = RF_SNAP_PTE,
					   .f = { 0x400000000000, 16, 0x1000 + tid * 16, 4, RF_PTE_EXCLUSIVE } };
		struct rf_record swap = { .time = time++, .tid = tid, .kind = RF_SNAP_SWAP,
					  .f = { 0x400000100000, 256, 0x100 } };
		struct rf_record end = { .time = time++, .tid = tid, .kind = RF_SNAP_END, .f = { tid, 1, 1 } };

		rf_writer_append(writer, 3, &begin, 1, NULL);
		rf_writer_append(writer, 3, &vma, 1, NULL);
		rf_writer_append(writer, 3, &pages, 1, NULL);
		rf_writer_append(writer, 3, &swap, 1, NULL);
		rf_writer_append(writer, 3, &end, 1, NULL);
	}
	for (size_t i = 0; i < records; i++) {
		struct rf_record record = make_record(time);

		time += below(3000);
		rf_writer_append(writer, (int)below(ARRAY_SIZE(streams)), &record, 1, NULL);
		if (!below(2000))
			rf_writer_lost(writer, (int)below(3), below(100) + 1, NULL);
	}
	rf_writer_close(writer, RF_END_ASSEMBLED, NULL);
}

struct sum {
	struct rf_machine *machine;
	u64 hash, nr;
};

static int add_ops(void *context, const struct rf_op *ops, size_t nr)
{
	struct sum *sum = context;

	for (size_t i = 0; i < nr * sizeof(*ops) / sizeof(u64); i++)
		sum->hash = (sum->hash ^ ((const u64 *)ops)[i]) * 0x100000001b3ull;
	sum->nr += nr;
	return 0;
}

static struct sum replay(const char *path, FILE *tables)
{
	struct sum sum = { 0 };
	struct rf_tracker_options options = { .sink = add_ops, .context = &sum, .page_tables = tables };
	struct rf_reader *reader = rf_reader_open(path, NULL);
	struct rf_tracker *tracker = reader ? rf_tracker_create(reader, &options, NULL) : NULL;

	if (!tracker)
		exit(1);
	while (rf_tracker_run(tracker, 1000, NULL) > 0)
		;
	rf_tracker_destroy(tracker);
	rf_reader_close(reader);
	return sum;
}

int main(int argc, char **argv)
{
	u64 rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 20, seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	char path[] = "/tmp/refold-random-XXXXXX";
	int fd = mkstemp(path);
	FILE *null = fopen("/dev/null", "w");

	if (fd < 0 || !null)
		return 1;
	for (u64 round = 0; round < rounds; round++) {
		struct sum a, b;

		state = (seed + round) * 0x9e3779b97f4a7c15ull + 1;
		make_trace(path, 3000);
		a = replay(path, null);
		b = replay(path, NULL);
		if (a.hash != b.hash || a.nr != b.nr) {
			fprintf(stderr, "seed %llu: two replays differ\n", (unsigned long long)(seed + round));
			return 1;
		}
	}
	fclose(null);
	close(fd);
	unlink(path);
	return 0;
}
