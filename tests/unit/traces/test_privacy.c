// SPDX-License-Identifier: MIT
/* What hides is a permutation where it must be one, keeps what a replay goes by, and knows every kind of record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "traces/permutation.h"
#include "traces/privacy.h"

#define FRAMES_IN_CHUNK BIT_ULL(18)

static struct rf_privacy *hide(u32 items)
{
	struct rf_error err;
	struct rf_privacy *privacy = rf_privacy_create(items, false, &err);

	assert_non_null(privacy);
	return privacy;
}

static struct rf_record applied(const struct rf_privacy *privacy, struct rf_record record)
{
	struct rf_privacy_stream stream = { 0 };

	assert_true(rf_privacy_apply(privacy, &stream, &record));
	return record;
}

/* No two numbers become one, and none is out of range. */
static void permutes(void **state)
{
	static u8 seen[1 << 12];
	struct permutation_key key = { { 7 } }, other = { { 8 } };
	int same = 0;

	for (unsigned int i = 0; i < sizeof(seen); i++) {
		u64 number = permute(&key, 1, 12, i);

		assert_true(number < sizeof(seen) && !seen[number]++);
		same += number == permute(&other, 1, 12, i);
		same += number == permute(&key, 2, 12, i);
	}
	assert_true(same < 20);		/* of 8192: two that have nothing to do with one another agree in 2 */
	memset(seen, 0, sizeof(seen));
	for (u64 i = 100; i < sizeof(seen); i++) {
		u64 number = permute_above(&key, 1, 12, 100, i);

		assert_true(number >= 100 && number < sizeof(seen) && !seen[number]++);
	}
}

static void frames_keep_their_place(void **state)
{
	struct rf_privacy *privacy = hide(BIT(RF_PRIVATE_PFN));
	u64 first[64];

	for (u64 chunk = 0; chunk < ARRAY_SIZE(first); chunk++) {
		struct rf_record record = { .kind = RF_PAGE_FREE, .f = { chunk * FRAMES_IN_CHUNK } };

		first[chunk] = applied(privacy, record).f[0];
		assert_true(first[chunk] >= BIT_ULL(38) && first[chunk] < BIT_ULL(39));
		assert_int_equal(first[chunk] % FRAMES_IN_CHUNK, 0);
		for (u64 c = 0; c < chunk; c++)
			assert_true(first[c] != first[chunk]);
		record.f[0] += 0x2a5c7;
		assert_int_equal(applied(privacy, record).f[0], first[chunk] + 0x2a5c7);
	}
	/* An allocation that failed has no frame. */
	assert_true(!~applied(privacy, (struct rf_record){ .kind = RF_PAGE_ALLOC, .f = { ~0ull } }).f[0]);
	rf_privacy_destroy(privacy);
}

static u64 address(const struct rf_privacy *privacy, u64 addr)
{
	return applied(privacy, (struct rf_record){ .kind = RF_FAULT, .f = { addr } }).f[0];
}

static void addresses_keep_their_tables(void **state)
{
	static const u64 places[] = { 0x400000, 0xf7fff000, 0xc000000000, 0x555512345000, 0x7f1234567000,
				      0x7ffcdeadb000, 0xaaaa12345000, 0xffffdeadb000, (1ull << 56) - 4096 };

	for (int round = 0; round < 20; round++) {
		struct rf_privacy *privacy = hide(BIT(RF_PRIVATE_ADDR));
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			assert_true(address(privacy, places[i]) != places[i]);
			assert_int_equal((address(privacy, places[i]) - places[i]) & (BIT_ULL(42) - 1), 0);
			assert_true(!i || address(privacy, places[i]) > address(privacy, places[i - 1]));
			assert_int_equal(address(privacy, places[i]) >> 47, places[i] >> 47);
		}
		/* The stack stays above what mmap() gives. */
		assert_int_equal(address(privacy, places[5]) - address(privacy, places[4]), places[5] - places[4]);
		/* The kernel's stay; so do the tags of pointers. */
		assert_true(address(privacy, 0xffff888000001000) == 0xffff888000001000);
		assert_true(address(privacy, 0xffffffffff600000) == 0xffffffffff600000);
		assert_true(address(privacy, 0xb400007f12345000) == 0xb400007f12345000 + address(privacy, 0));
		rf_privacy_destroy(privacy);
	}
}

/* A mapping over the cut has no image in one piece, which the reader must learn. */
static void torn_ranges_are_told(void **state)
{
	struct rf_privacy *privacy = hide(BIT(RF_PRIVATE_ADDR));
	u64 cut = 84ull << 40;
	struct rf_privacy_stream stream = { 0 };
	struct rf_record over = { .kind = RF_SNAP_VMA, .f = { cut - 0x1000, 0x2000 } };
	struct rf_record up_to = { .kind = RF_SNAP_VMA, .f = { cut - 0x1000, 0x1000 } };

	assert_false(rf_privacy_apply(privacy, &stream, &over));
	assert_true(rf_privacy_apply(privacy, &stream, &up_to));
	rf_privacy_destroy(privacy);
}

/* Only where the kernel is to choose is 0 no address. */
static void nowhere_stays(void **state)
{
	struct rf_privacy *privacy = hide(BIT(RF_PRIVATE_ADDR));
	u64 base = address(privacy, 0);

#define FIELD(kind_, i, ...) applied(privacy, (struct rf_record){ .kind = kind_, .f = { __VA_ARGS__ } }).f[i]
	assert_true(base);
	assert_int_equal(FIELD(RF_SYS_MMAP, 0, 0, 4096), 0);
	assert_int_equal(FIELD(RF_SYS_MMAP, 0, 4096, 4096), base + 4096);
	assert_int_equal(FIELD(RF_SYS_MREMAP, 4, 0, 4096, 4096, 1, 0), 0);
	assert_int_equal(FIELD(RF_SYS_BRK, 0, 0), 0);
	assert_int_equal(FIELD(RF_SYS_SHMAT, 1, 1, 0), 0);
	assert_int_equal(FIELD(RF_SYS_MUNMAP, 0, 0, 1 << 20), base);
	assert_int_equal(FIELD(RF_SYS_PRCTL, 4, RF_PR_SET_VMA, 0, 4096, 4096, 0), 0);
	rf_privacy_destroy(privacy);
}

/* Of what calls name in a buffer, addresses move, and what the kernel is to write there goes. */
static void buffers_by_the_call(void **state)
{
	struct rf_privacy *privacy = hide(RF_PRIVATE_ALL);
	u64 base = address(privacy, 0), stack = 0x7ffcdeadb000, moved = address(privacy, stack);
	const struct { u64 call, words[4], becomes[4]; } rows[] = {
		/* UFFDIO_API, REGISTER, COPY, UNREGISTER */
		{ RF_SYS_IOCTL, { 0xaa, 1 << 13, stack }, { 0xaa, 1 << 13, 0 } },
		{ RF_SYS_IOCTL, { 0x10000, 0x200000, 1, stack }, { base + 0x10000, 0x200000, 1, 0 } },
		{ RF_SYS_IOCTL, { stack, 0x600000, 0x1000, 2 }, { moved, base + 0x600000, 0x1000, 2 } },
		{ RF_SYS_IOCTL, { stack, 0x600000 }, { moved, 0x600000 } },
		{ RF_SYS_PROCESS_MADVISE, { 0x400000, 0x600000 }, { base + 0x400000, 0x600000 } },
		{ RF_SYS_MBIND, { 0x123456789abc }, { 0x123456789abc } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rf_record record = { .kind = RF_CALL_DATA, .f = { rows[i].call } };

		memcpy(record.f + 2, rows[i].words, sizeof(rows[i].words));
		record = applied(privacy, record);
		assert_memory_equal(record.f + 2, rows[i].becomes, sizeof(rows[i].becomes));
	}
	rf_privacy_destroy(privacy);
}

/* What calls return, and what they name in buffers, means what the call says. */
static void by_the_call(void **state)
{
	struct rf_privacy *privacy = hide(RF_PRIVATE_ALL);
	u64 stack = 0x7ffcdeadb000, moved = address(privacy, stack);
	u64 pid = applied(privacy, (struct rf_record){ .kind = RF_PROCESS, .tid = 4711, .f = { 4711 } }).f[0];

#define RETURN(call, value) applied(privacy, (struct rf_record){ .kind = RF_SYS_RET, .f = { call, value } }).f[1]
	assert_int_equal(RETURN(RF_SYS_MMAP, stack), moved);
	assert_int_equal(RETURN(RF_SYS_MREMAP, stack), moved);
	assert_true((s64)RETURN(RF_SYS_MMAP, (u64)-12) == -12);
	assert_int_equal(RETURN(RF_SYS_MUNMAP, 4711), 4711);
	assert_int_equal(RETURN(RF_SYS_CLONE, 4711), pid);
	assert_true((s64)RETURN(RF_SYS_CLONE, (u64)-11) == -11);
	assert_true(pid >= BIT(22) && pid < BIT(23));
	assert_int_equal(applied(privacy, (struct rf_record){ .kind = RF_SYS_PRCTL,
							      .f = { 0, 0, stack, 4096 } }).f[2], moved);
	assert_int_equal(applied(privacy, (struct rf_record){ .kind = RF_CALL_DATA,
							      .f = { RF_SYS_IOCTL, 0, stack, 4096 } }).f[2], moved);
	assert_int_equal(applied(privacy, (struct rf_record){ .kind = RF_SYS_IOCTL, .f = { 3, 0, stack } }).f[2],
			 moved);
	/* Nobody: the idle task, no process. */
	assert_int_equal(applied(privacy, (struct rf_record){ .kind = RF_GUP }).f[0], 0);
	assert_int_equal(applied(privacy, (struct rf_record){ .kind = RF_GUP }).tid, 0);
	/* The numbers of rss_stat have 32 bits, in the replay, too. */
	assert_true(applied(privacy, (struct rf_record){ .kind = RF_RSS_STAT, .f = { 0xdeadbeef } }).f[0] < 1ull << 32);
	rf_privacy_destroy(privacy);
}

static struct rf_record text_record(u8 kind, const char *text)
{
	struct rf_record record = { .kind = kind };

	strncpy((char *)record.f, text, sizeof(record.f));
	return record;
}

static bool is_empty(const struct rf_record *record)
{
	static const u64 none[RF_RECORD_FIELDS];

	return !memcmp(record->f, none, sizeof(none));
}

static void marks_of_windows_stay(void **state)
{
	struct rf_privacy *privacy = hide(RF_PRIVATE_ALL);
	struct rf_privacy_stream stream = { 0 };
	struct { struct rf_record record; bool stays; } rows[] = {
		{ text_record(RF_MARKER_MORE, "whose beginning is lost"), false },
		{ text_record(RF_MARKER, "WL BEGIN phase"), true },
		{ text_record(RF_MARKER_MORE, "one"), true },
		{ text_record(RF_MARKER, "password: WL BEGIN phase"), false },
		{ text_record(RF_MARKER_MORE, "sesame"), false },
		{ text_record(RF_MARKER, "WL END phase"), true },
		{ { .kind = RF_STOP }, false },
		{ text_record(RF_MARKER_MORE, "of somebody"), false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(rf_privacy_apply(privacy, &stream, &rows[i].record));
		assert_int_equal(is_empty(&rows[i].record), !rows[i].stays);
	}
	rf_privacy_destroy(privacy);
}

/* Equal build ids stay equal, and names go. */
static void files_with_code_have_no_name(void **state)
{
	const struct rf_record module = { .kind = RF_MODULE, .f = { 3, 20, 0x1111, 0x2222, 0x33 } };
	const struct rf_record unknown = { .kind = RF_MODULE, .f = { 4 } };
	const struct rf_record path = { .kind = RF_MODULE_PATH, .f = { 3, 32, 'a', 'b', 'c', 'd' } };
	struct rf_privacy *privacy = hide(BIT(RF_PRIVATE_BUILD)), *names = hide(BIT(RF_PRIVATE_PATH));
	struct rf_record hidden = applied(privacy, module), again = applied(privacy, module), other = module;

	assert_memory_equal(hidden.f, again.f, sizeof(hidden.f));
	assert_int_equal(hidden.f[0], 3);
	assert_int_equal(hidden.f[1], 8);
	assert_true(hidden.f[2] != 0x1111 && !hidden.f[3] && !hidden.f[4]);
	other.f[4]++;
	assert_int_not_equal(applied(privacy, other).f[2], hidden.f[2]);
	assert_int_equal(applied(privacy, unknown).f[2], 0);
	assert_int_equal(applied(privacy, path).f[5], 'd');
	assert_int_equal(applied(names, module).f[2], 0x1111);
	hidden = applied(names, path);
	assert_true(hidden.f[0] == 3 && hidden.f[1] == 32 && !(hidden.f[2] | hidden.f[3] | hidden.f[4] | hidden.f[5]));
	rf_privacy_destroy(privacy);
	rf_privacy_destroy(names);
}

static bool ends_with(const char *name, const char *end)
{
	return strlen(name) >= strlen(end) && !strcmp(name + strlen(name) - strlen(end), end);
}

/* In every kind: classes say what is private, so a field called pid, tid or ino is of theirs. */
static void classes_say_so(void **state)
{
	for (int kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		const struct rf_kind_info *info = &rf_kind_table()[kind];

		for (int i = 0; i < info->nr_fields; i++) {
			const char *name = info->fields[i].name;
			enum rf_field_class class = info->fields[i].class;

			assert_int_equal(class == RF_FIELD_TASK, ends_with(name, "pid") || ends_with(name, "tid") ||
								 !strcmp(name, "child"));
			assert_int_equal(!strcmp(name, "ino") || !strcmp(name, "mm") || !strcmp(name, "mm_id") ||
					 !strcmp(name, "shmid"),
					 class == RF_FIELD_OBJECT || class == RF_FIELD_OBJECT_HEX);
			assert_int_equal(!strcmp(name, "pfn"), class == RF_FIELD_PFN);
			if (strstr(name, "addr"))
				assert_int_equal(class, RF_FIELD_ADDR);
		}
	}
}

static void lists_are_parsed(void **state)
{
	u32 items;

	assert_true(rf_privacy_parse("pid,marks", &items));
	assert_int_equal(items, BIT(RF_PRIVATE_PID) | BIT(RF_PRIVATE_MARKS));
	assert_true(rf_privacy_parse("all", &items));
	assert_int_equal(items, RF_PRIVATE_ALL);
	assert_false(rf_privacy_parse("pids", &items));
	assert_false(rf_privacy_parse("pid,", &items));
	assert_false(rf_privacy_parse("", &items));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permutes),
		cmocka_unit_test(frames_keep_their_place),
		cmocka_unit_test(addresses_keep_their_tables),
		cmocka_unit_test(torn_ranges_are_told),
		cmocka_unit_test(nowhere_stays),
		cmocka_unit_test(buffers_by_the_call),
		cmocka_unit_test(by_the_call),
		cmocka_unit_test(marks_of_windows_stay),
		cmocka_unit_test(files_with_code_have_no_name),
		cmocka_unit_test(classes_say_so),
		cmocka_unit_test(lists_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
