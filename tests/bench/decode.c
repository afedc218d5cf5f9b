// SPDX-License-Identifier: MIT
/*
 * usage: decode [TRACE...]
 *
 * How fast traces are read, against the least that reading the kernel's own
 * ring-buffer pages costs: a kbuffer walk over the same events, in memory,
 * that looks at nothing but each event's time and type. Without traces, one
 * generated in the likeness of a compile job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_KBUFFER
#include <kbuffer.h>
#endif

#include "traces/trace.h"

#define ROUNDS 7
#define READ_RECORDS 1024
#define PAGE_BYTES 4096
#define GENERATED_RECORDS 1000000

/* ---- a trace like a compile job's: faults, their pages, the counters ------------------- */

static u64 next_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static int generate(const char *path)
{
	struct rf_writer *writer = rf_writer_create(path, "{}", 3, NULL);
	u64 state = 1, time = 1000000000, pfn = 0x11b000, addr = 0x7f1852200000, pages = 100;
	int ret = writer ? rf_writer_add_stream(writer, &(struct rf_stream_info){ RF_SOURCE_TASK, 0 }) : -1;

	for (u32 i = 0; !ret && i < GENERATED_RECORDS / 4; i++) {
		u64 random = next_random(&state);
		u32 tid = 4000 + i / 2000;
		struct rf_record records[] = {
			{ time + 900, tid, 0, RF_FAULT, 0, { addr, random & 7 } },
			{ time + 1700 + random % 64, tid, 0, RF_PAGE_ALLOC, 0, { pfn, 0, 0x14a } },
			{ time + 2200 + random % 32, tid, 0, RF_RSS_STAT, 0, { tid, 1, 1, pages } },
			{ time + 3000 + random % 128, tid, 0, RF_PAGE_FREE, 0, { pfn ^ 0x1f40, 0 } },
		};

		time = records[3].time;
		pfn += random >> 8 & 1 ? 1 : random >> 10 & 0xffff;
		addr += random >> 30 & 1 ? 0x1000 : (random >> 32 & 0xff) << 12;
		pages = i % 2000 ? pages + 1 : 100;
		ret = rf_writer_append(writer, 0, records, ARRAY_SIZE(records), NULL);
	}
	return !writer || rf_writer_close(writer, RF_END_COMMAND, NULL) || ret;
}

/* ---- timing -------------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); /* other programs run here, too */
	return time.tv_sec + time.tv_nsec * 1e-9;
}

struct result {
	u64 records;
	double seconds;			/* best of ROUNDS */
	u64 witness;			/* keeps the compiler from removing the work */
};

static void keep_best(struct result *result, double seconds)
{
	if (!result->seconds || seconds < result->seconds)
		result->seconds = seconds;
}

/* ---- our decode ------------------------------------------------------------------------------ */

static int decode(const char *path, struct result *result)
{
	static struct rf_record records[READ_RECORDS];

	for (int round = 0; round < ROUNDS; round++) {
		double start = now();
		struct rf_error err;
		struct rf_reader *reader = rf_reader_open(path, &err);
		struct rf_cursor *cursor;
		size_t nr;

		if (!reader) {
			fprintf(stderr, "decode: %s: %s\n", path, err.message);
			return 1;
		}
		cursor = rf_cursor_open(reader, -1, NULL);
		result->records = 0;
		while ((nr = rf_cursor_read(cursor, records, READ_RECORDS))) {
			result->records += nr;
			result->witness ^= records[nr - 1].time;
		}
		rf_cursor_close(cursor);
		rf_reader_close(reader);
		keep_best(result, now() - start);
	}
	return 0;
}

/* ---- the bare walk ------------------------------------------------------------------------------ */

#ifdef HAVE_KBUFFER
struct pages {
	u8 *data;
	size_t bytes, allocated;
	size_t used;			/* of the last page's payload */
	u64 time;			/* of its last event */
};

static u8 *new_page(struct pages *pages, u64 time)
{
	u8 *page;

	if (pages->bytes == pages->allocated) {
		pages->allocated = pages->allocated ? pages->allocated * 2 : 1u << 20;
		pages->data = realloc(pages->data, pages->allocated);
		if (!pages->data)
			exit(RF_EXIT_FAILED);
	}
	page = pages->data + pages->bytes;
	memset(page, 0, PAGE_BYTES);
	memcpy(page, &time, sizeof(time));
	pages->bytes += PAGE_BYTES;
	pages->used = 0;
	pages->time = time;
	return page;
}

/* As the kernel lays it out: 5 bits length in words, 27 bits time difference, payload (8 common bytes, then fields). */
static void add_event(struct pages *pages, const struct rf_record *record)
{
	u32 words = 2 + 2 * rf_kind_table()[record->kind].nr_fields, header;
	u64 delta = record->time - pages->time, commit;
	u8 *page = pages->data + pages->bytes - PAGE_BYTES, *event;

	if (!pages->bytes || pages->used + 4 + 4 * words > PAGE_BYTES - 16 || delta >= 1u << 27) {
		page = new_page(pages, record->time);
		delta = 0;
	}
	event = page + 16 + pages->used;
	header = words | (u32)delta << 5;
	memcpy(event, &header, sizeof(header));
	event[4] = record->kind;
	memcpy(event + 12, record->f, 4 * words - 8);
	pages->used += 4 + 4 * words;
	pages->time = record->time;
	commit = pages->used;
	memcpy(page + 8, &commit, sizeof(commit));
}

static int walk(const char *path, struct result *result)
{
	struct rf_reader *reader = rf_reader_open(path, NULL);
	struct rf_cursor *cursor = reader ? rf_cursor_open(reader, -1, NULL) : NULL;
	struct kbuffer *kbuffer = kbuffer_alloc(KBUFFER_LSIZE_8, KBUFFER_ENDIAN_LITTLE);
	struct pages pages = { 0 };
	struct rf_record record;
	unsigned long long time;
	void *event;

	while (cursor && rf_cursor_read(cursor, &record, 1))
		add_event(&pages, &record);
	rf_cursor_close(cursor);
	rf_reader_close(reader);
	for (int round = 0; kbuffer && round < ROUNDS; round++) {
		double start = now();

		result->records = 0;
		for (size_t at = 0; at < pages.bytes; at += PAGE_BYTES) {
			kbuffer_load_subbuffer(kbuffer, pages.data + at);
			for (event = kbuffer_read_event(kbuffer, &time); event;
			     event = kbuffer_next_event(kbuffer, &time)) {
				result->records++;
				result->witness ^= time + *(u8 *)event;
			}
		}
		keep_best(result, now() - start);
	}
	kbuffer_free(kbuffer);
	free(pages.data);
	return !kbuffer;
}
#endif

static int report(const char *path, const char *name)
{
	struct result ours = { 0 };
#ifdef HAVE_KBUFFER
	struct result bare = { 0 };
#endif

	if (decode(path, &ours))
		return 1;
	printf("%s: %llu records decoded at %.1f M/s", name, (unsigned long long)ours.records,
	       ours.records / ours.seconds / 1e6);
#ifdef HAVE_KBUFFER
	if (walk(path, &bare) || bare.records != ours.records) {
		fprintf(stderr, "\ndecode: the walk saw %llu of %llu events\n", (unsigned long long)bare.records,
			(unsigned long long)ours.records);
		return 1;
	}
	printf(", bare kbuffer walk %.1f M/s, ratio %.2f", bare.records / bare.seconds / 1e6,
	       bare.seconds / ours.seconds);
#endif
	putchar('\n');
	return 0;
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/refold-decode-XXXXXX";
	int fd, ret = 0;

	for (int i = 1; i < argc; i++)
		ret |= report(argv[i], strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i]);
	fd = mkstemp(path);
	if (fd < 0 || generate(path)) {
		fprintf(stderr, "decode: cannot write %s\n", path);
		return RF_EXIT_FAILED;
	}
	ret |= report(path, "generated");
	close(fd);
	unlink(path);
	return ret;
}
