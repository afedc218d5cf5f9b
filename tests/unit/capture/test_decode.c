// SPDX-License-Identifier: MIT
/*
 * Decoding: format files as kernels print them and events as rings hold them, both
 * written out here, against the records they must give.
 */
#include <errno.h>
#include <kbuffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "traces/events/decode.h"
#include "traces/events/print_fmt.h"
#include "capture/tracefs/ring.h"

#define COMMON                                                                                                         \
	"format:\n"                                                                                                    \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"                                 \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

static const char fault_format[] = "name: page_fault_user\nID: 190\n" COMMON
	"\tfield:unsigned long address;\toffset:8;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long ip;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long error_code;\toffset:24;\tsize:8;\tsigned:0;\n\n"
	"print fmt: \"address=%ps\", (void *)REC->address\n";

static const char rss_format[] = "name: rss_stat\nID: 646\n" COMMON
	"\tfield:unsigned int mm_id;\toffset:8;\tsize:4;\tsigned:0;\n"
	"\tfield:unsigned int curr;\toffset:12;\tsize:4;\tsigned:0;\n"
	"\tfield:int member;\toffset:16;\tsize:4;\tsigned:1;\n"
	"\tfield:long size;\toffset:24;\tsize:8;\tsigned:1;\n\n"
	"print fmt: \"mm_id=%u\", REC->mm_id\n";

/* Flag values of no real kernel, in the two ways kernels write them. */
static const char alloc_format[] = "name: mm_page_alloc\nID: 653\n" COMMON
	"\tfield:unsigned long pfn;\toffset:8;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned int order;\toffset:16;\tsize:4;\tsigned:0;\n"
	"\tfield:unsigned long gfp_flags;\toffset:24;\tsize:8;\tsigned:0;\n"
	"\tfield:int migratetype;\toffset:32;\tsize:4;\tsigned:1;\n\n"
	"print fmt: \"pfn=0x%lx gfp_flags=%s\", REC->pfn, (REC->gfp_flags) ? __print_flags(REC->gfp_flags, \"|\", "
	"{( unsigned long)(((( gfp_t)(((((1UL))) << (10))|((((1UL))) << (11)))) | (( gfp_t)((((1UL))) << (6)))) & "
	"~(( gfp_t)((((1UL))) << (10)))), \"GFP_NOFS\"}, "
	"{( unsigned long)(( gfp_t)((((1UL))) << (5))), \"__GFP_MOVABLE\"}, "
	"{(unsigned long)((gfp_t)0x400000u), \"__GFP_HARDWALL\"}, "
	"{( unsigned long)(( gfp_t)((((1UL))) << (8))), \"__GFP_ZERO\"}, "
	"{( unsigned long)(( gfp_t)((((1UL))) << (___GFP_WRITE_BIT))), \"__GFP_WRITE\"}, "
	"{( unsigned long)(( gfp_t)((((1UL))) << (23))), \"__GFP_ZEROTAGS\"}) : \"none\"\n";

static const char mmap_format[] = "name: sys_enter_mmap\nID: 174\n" COMMON
	"\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n"
	"\tfield:unsigned long renamed;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long len;\toffset:24;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long prot;\toffset:32;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long flags;\toffset:40;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long fd;\toffset:48;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long off;\toffset:56;\tsize:8;\tsigned:0;\n\n"
	"print fmt: \"addr: 0x%08lx\", ((unsigned long)(REC->renamed))\n";

#define MIGRATION_FORMAT(name, id)                                                                                     \
	"name: " name "\nID: " id "\n" COMMON "\tfield:unsigned long addr;\toffset:8;\tsize:8;\tsigned:0;\n"           \
	"\tfield:unsigned long pte;\toffset:16;\tsize:8;\tsigned:0;\n"                                                 \
	"\tfield:int order;\toffset:24;\tsize:4;\tsigned:1;\n\nprint fmt: \"addr=%lx\", REC->addr\n"

static const char collapse_format[] = "name: mm_collapse_huge_page\nID: 758\n" COMMON
	"\tfield:struct mm_struct * mm;\toffset:8;\tsize:8;\tsigned:0;\n"
	"\tfield:int isolated;\toffset:16;\tsize:4;\tsigned:1;\n"
	"\tfield:int status;\toffset:20;\tsize:4;\tsigned:1;\n\n"
	"print fmt: \"mm=%p\", REC->mm\n";

static const char print_format[] = "name: print\nID: 5\n" COMMON
	"\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n"
	"\tfield:char buf[];\toffset:16;\tsize:0;\tsigned:0;\n\n"
	"print fmt: \"%ps: %s\", (void *)REC->ip, REC->buf\n";

static const struct rf_kernel x86 = { "6.18", "x86_64", RF_ISA_X86, 12, 34, 46, true, false };
static const struct rf_kernel arm64 = { "6.18", "aarch64", RF_ISA_ARM64, 16, 32, 48, true, false };
/* With memory beyond 48 bits: pages of 64K and, by LPA2, of 4K. */
static const struct rf_kernel arm64_lpa = { "6.18", "aarch64", RF_ISA_ARM64, 16, 36, 52, true, false };
static const struct rf_kernel arm64_lpa2 = { "6.18", "aarch64", RF_ISA_ARM64, 12, 40, 52, true, false };
static const struct rf_kernel riscv = { "6.18", "riscv64", RF_ISA_RISCV, 12, 44, 56, false, false };
static const struct rf_kernel s390 = { "6.18", "s390x", RF_ISA_OTHER, 12, 0, 0, false, false };

static size_t number_of(const char *name)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (!strcmp(rf_events[i].name, name))
			return i;
	fail_msg("no event %s", name);
	return 0;
}

static struct rf_decoder *decoder_of(const struct rf_kernel *kernel, const char *name, const char *format)
{
	struct rf_error err = { 0 };
	struct rf_decoder *decoder = rf_decoder_create(kernel, &err);
	int ret;

	assert_non_null(decoder);
	ret = rf_decoder_learn(decoder, number_of(name), format, &err);
	if (ret)
		fail_msg("%s: %s", name, err.message);
	return decoder;
}

/* An event of 64 bytes with these words at these offsets. */
struct event {
	u8 bytes[64];
};

static struct event event(u16 id, u32 pid)
{
	struct event e = { { 0 } };

	memcpy(e.bytes, &id, sizeof(id));
	memcpy(e.bytes + 4, &pid, sizeof(pid));
	return e;
}

static void put(struct event *e, size_t offset, u64 value, size_t size)
{
	memcpy(e->bytes + offset, &value, size);
}

static struct rf_record decode(const struct rf_decoder *decoder, const struct event *e)
{
	struct rf_record record;

	assert_true(rf_decode(decoder, e->bytes, sizeof(e->bytes), 1234, &record, 1));
	assert_int_equal(record.time, 1234);
	return record;
}

static void test_fault(void **state)
{
	static const struct {
		const struct rf_kernel *kernel;
		u64 code, flags;
	} cases[] = {
		{ &x86, 0x4, 0 },					/* user read, nothing there */
		{ &x86, 0x6, RF_FAULT_WRITE },
		{ &x86, 0x7, RF_FAULT_PRESENT | RF_FAULT_WRITE },
		{ &x86, 0x14, RF_FAULT_EXEC },
		{ &riscv, 12, RF_FAULT_UNKNOWN | RF_FAULT_WRITE_KNOWN | RF_FAULT_EXEC },
		{ &riscv, 13, RF_FAULT_UNKNOWN | RF_FAULT_WRITE_KNOWN },
		{ &riscv, 15, RF_FAULT_UNKNOWN | RF_FAULT_WRITE_KNOWN | RF_FAULT_WRITE },
		{ &arm64, 0x92000047, RF_FAULT_UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rf_decoder *decoder = decoder_of(cases[i].kernel, "page_fault_user", fault_format);
		struct event e = event(190, 77);
		struct rf_record record;

		put(&e, 8, 0x7f0012345678, 8);
		put(&e, 24, cases[i].code, 8);
		record = decode(decoder, &e);
		assert_int_equal(record.kind, RF_FAULT);
		assert_int_equal(record.tid, 77);
		assert_int_equal(record.f[0], 0x7f0012345678);
		assert_int_equal(record.f[1], cases[i].flags);
		rf_decoder_destroy(decoder);
	}
}

static void test_rss_in_pages(void **state)
{
	struct rf_decoder *decoder = decoder_of(&arm64, "rss_stat", rss_format);
	struct event e = event(646, 1);
	struct rf_record record;

	put(&e, 8, 4000000000u, 4);
	put(&e, 12, 1, 4);
	put(&e, 16, RF_RSS_SHMEM, 4);
	put(&e, 24, (u64)-131072, 8);
	record = decode(decoder, &e);
	assert_int_equal(record.f[0], 4000000000u);
	assert_int_equal(record.f[1], 1);
	assert_int_equal(record.f[2], RF_RSS_SHMEM);
	assert_int_equal((s64)record.f[3], -2);		/* pages of 64K */
	rf_decoder_destroy(decoder);
}

static void test_gfp_by_name(void **state)
{
	struct rf_decoder *decoder = decoder_of(&x86, "mm_page_alloc", alloc_format);
	struct event e = event(653, 1);
	struct rf_record record;

	assert_int_equal(rf_decoder_gfp(decoder, RF_GFP_MOVABLE), 1 << 5);
	assert_int_equal(rf_decoder_gfp(decoder, RF_GFP_HARDWALL), 0x400000);
	assert_int_equal(rf_decoder_gfp(decoder, RF_GFP_ZERO), 1 << 8);
	assert_int_equal(rf_decoder_gfp(decoder, RF_GFP_WRITE), 0);	/* an enum the kernel left by name */
	assert_int_equal(rf_decoder_gfp(decoder, RF_GFP_COMP), 0);	/* not in this format */
	put(&e, 8, ~0ull, 8);
	put(&e, 16, 4, 4);
	put(&e, 24, 1 << 5 | 1 << 8 | 1 << 23, 8);
	record = decode(decoder, &e);
	assert_true(record.f[0] == ~0ull);
	assert_int_equal(record.f[1], 4);
	assert_int_equal(record.f[2], RF_GFP_MOVABLE | RF_GFP_ZERO);
	rf_decoder_destroy(decoder);
}

static void test_print_fmt(void **state)
{
	u64 value;

	assert_true(rf_print_fmt_flag(alloc_format, "GFP_NOFS", &value));
	assert_int_equal(value, 1 << 11 | 1 << 6);
	assert_false(rf_print_fmt_flag(alloc_format, "__GFP_WRITE", &value));
	assert_false(rf_print_fmt_flag(alloc_format, "__GFP_NONE", &value));
	assert_false(rf_print_fmt_flag("{ 1 + 1, \"X\"}", "X", &value));
	assert_false(rf_print_fmt_flag("{ (1, \"X\"}", "X", &value));
	assert_false(rf_print_fmt_flag("{ 1 << 64, \"X\"}", "X", &value));
	assert_false(rf_print_fmt_flag("\"X\"", "X", &value));
	assert_true(rf_print_fmt_flag("{ 1|2 & 3 << 1, \"X\"}", "X", &value));
	assert_int_equal(value, 1 | (2 & (3 << 1)));
}

static void test_call_arguments_by_position(void **state)
{
	struct rf_decoder *decoder = decoder_of(&x86, "sys_enter_mmap", mmap_format);
	struct event e = event(174, 1);
	struct rf_record record;

	for (size_t i = 0; i < 6; i++)
		put(&e, 16 + 8 * i, 100 + i, 8);
	put(&e, 48, 0xffffffff, 8);		/* fd -1, as a 32-bit register left it */
	record = decode(decoder, &e);
	assert_int_equal(record.kind, RF_SYS_MMAP);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal((s64)record.f[i], i == 4 ? -1 : (s64)(100 + i));
	rf_decoder_destroy(decoder);
}

/* Entries as __swp_entry() and mk_pte() of each architecture build them. */
static void test_migration(void **state)
{
	static const u64 pfn = 0x123456;
	const u64 young_dirty = 3ull << 34;		/* SWP_MIG_YOUNG, SWP_MIG_DIRTY on x86 with four levels */
	static const struct {
		const struct rf_kernel *kernel;
		u64 present, flags;
	} cases[] = {
		{ &x86, pfn << 12 | 0x8000000000000067, RF_PTE_WRITE },	/* NX, dirty, accessed, user, write */
		{ &x86, pfn << 12 | 0x25, 0 },
		{ &x86, pfn << 12 | 0x25 | 1ull << 51, 0 },			/* memory encryption's bit */
		{ &x86, (~(pfn << 12) & 0x3ffffffff000) | 0x120, 0 },		/* PROT_NONE, kept inverted */
		{ &arm64, pfn << 16 | 1ull << 51 | 0xf53, RF_PTE_WRITE },
		{ &arm64, pfn << 16 | 0xfd3, 0 },
		{ &riscv, pfn << 10 | 0xd7, RF_PTE_WRITE },
		{ &riscv, pfn << 10 | 0xd3, 0 },
	};
	struct rf_decoder *decoder;
	struct event e = event(711, 1);

	put(&e, 8, 0x7f0000001000, 8);
	put(&e, 16, (~(pfn | young_dirty) << 14 >> 5) | 30ull << 59, 8);
	put(&e, 24, 3, 4);
	decoder = decoder_of(&x86, "set_migration_pte", MIGRATION_FORMAT("set_migration_pte", "711"));
	assert_int_equal(decode(decoder, &e).f[1], pfn);
	assert_int_equal(decode(decoder, &e).f[2], 3);
	rf_decoder_destroy(decoder);

	put(&e, 16, pfn << 12 | 30 << 6, 8);
	decoder = decoder_of(&arm64, "set_migration_pte", MIGRATION_FORMAT("set_migration_pte", "711"));
	assert_int_equal(decode(decoder, &e).f[1], pfn);
	rf_decoder_destroy(decoder);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rf_record record;

		e = event(710, 1);
		put(&e, 16, cases[i].present, 8);
		decoder = decoder_of(cases[i].kernel, "remove_migration_pte",
				     MIGRATION_FORMAT("remove_migration_pte", "710"));
		record = decode(decoder, &e);
		assert_int_equal(record.f[1], pfn);
		assert_int_equal(record.f[3], cases[i].flags);
		rf_decoder_destroy(decoder);
	}
}

/* Physical addresses of 52 bits, as arm64's __phys_to_pte_val() takes them apart. */
static void test_large_physical_addresses(void **state)
{
	static const u64 address = 0xd123456780000;
	static const struct {
		const struct rf_kernel *kernel;
		u64 present;
	} cases[] = {
		{ &arm64_lpa, (address & 0xffffffff0000) | (address >> 36 & 0xf000) | 0x8000000000f53 },
		{ &arm64_lpa2, (address & 0x3fffffffff000) | (address >> 42 & 0x300) | 0x8000000000c53 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 pfn = address >> cases[i].kernel->page_shift;
		struct rf_decoder *decoder = decoder_of(cases[i].kernel, "remove_migration_pte",
							MIGRATION_FORMAT("remove_migration_pte", "710"));
		struct event e = event(710, 1);

		put(&e, 16, cases[i].present, 8);
		assert_int_equal(decode(decoder, &e).f[1], pfn);
		assert_int_equal(decode(decoder, &e).f[3], RF_PTE_WRITE);
		rf_decoder_destroy(decoder);
		decoder =
			decoder_of(cases[i].kernel, "set_migration_pte", MIGRATION_FORMAT("set_migration_pte", "711"));
		e = event(711, 1);
		put(&e, 16, pfn << 12 | 30 << 6, 8);
		assert_int_equal(decode(decoder, &e).f[1], pfn);
		rf_decoder_destroy(decoder);
	}
}

static void test_kernel_addresses_are_hidden(void **state)
{
	struct rf_decoder *one = decoder_of(&x86, "mm_collapse_huge_page", collapse_format);
	struct rf_decoder *two = decoder_of(&x86, "mm_collapse_huge_page", collapse_format);
	struct event e = event(758, 1), other = event(758, 1), null = event(758, 1);
	u64 hidden;

	put(&e, 8, 0xffff888012345680, 8);
	put(&other, 8, 0xffff8880123456c0, 8);
	hidden = decode(one, &e).f[0];
	assert_int_equal(decode(one, &e).f[0], hidden);
	assert_int_not_equal(decode(one, &other).f[0], hidden);
	assert_int_not_equal(hidden, 0xffff888012345680);
	assert_int_not_equal(decode(two, &e).f[0], hidden);		/* another recording, another key */
	assert_int_equal(decode(one, &null).f[0], 0);
	rf_decoder_destroy(one);
	rf_decoder_destroy(two);
}

static void test_marker(void **state)
{
	struct rf_decoder *decoder = decoder_of(&x86, "print", print_format);
	struct event e = event(5, 1);
	struct rf_record record;

	memcpy(e.bytes + 16, "begin phase two\n", 17);
	record = decode(decoder, &e);
	assert_int_equal(record.kind, RF_MARKER);
	assert_memory_equal(record.f, "begin phase two\0\0\0\0\0\0\0\0", 24);
	assert_int_equal(record.f[2] | record.f[5], 0);
	/* Text to the very end of the event, without a final zero. */
	memset(e.bytes + 16, 'x', 48);
	record = decode(decoder, &e);
	assert_int_equal(record.f[5], 0x7878787878787878);
	rf_decoder_destroy(decoder);
}

/* 48 bytes a record, as many records as the text needs, up to RF_DECODE_MAX. */
static void test_long_marker(void **state)
{
	static const char label[] = "WL BEGIN cow_parent_1per64k/64K-8/parent-write-all-after";
	struct rf_decoder *decoder = decoder_of(&x86, "print", print_format);
	struct rf_record records[RF_DECODE_MAX] = { 0 };
	char bytes[16 + 300] = { 5, [4] = 41 }, text[RF_MARK_BYTES + 1] = "";

	memcpy(bytes + 16, label, strlen(label));
	bytes[16 + strlen(label)] = '\n';
	assert_int_equal(rf_decode(decoder, bytes, sizeof(bytes), 7, records, RF_DECODE_MAX), 2);
	assert_int_equal(records[0].kind, RF_MARKER);
	assert_int_equal(records[1].kind, RF_MARKER_MORE);
	assert_int_equal(records[1].time, 7);
	assert_int_equal(records[1].tid, 41);
	memcpy(text, records[0].f, 48);
	memcpy(text + 48, records[1].f, 48);
	assert_string_equal(text, label);
	/* The caller takes one: the others are not written. */
	records[1].kind = 0;
	assert_int_equal(rf_decode(decoder, bytes, sizeof(bytes), 7, records, 1), 1);
	assert_int_equal(records[1].kind, 0);
	memset(bytes + 16, 'y', 48);
	strcpy(bytes + 16 + 48, "\n");
	assert_int_equal(rf_decode(decoder, bytes, sizeof(bytes), 7, records, RF_DECODE_MAX), 1);
	strcpy(bytes + 16 + 48, "z\n");
	assert_int_equal(rf_decode(decoder, bytes, sizeof(bytes), 7, records, RF_DECODE_MAX), 2);
	assert_int_equal(records[1].f[0], 'z');
	memset(bytes + 16, 'y', 300);
	assert_int_equal(rf_decode(decoder, bytes, sizeof(bytes), 7, records, RF_DECODE_MAX), 4);
	assert_int_equal(records[3].f[5], 0x7979797979797979);
	rf_decoder_destroy(decoder);
}

static void test_what_cannot_be_learnt(void **state)
{
	static const char lacking[] = "name: page_fault_user\nID: 190\n" COMMON
		"\tfield:unsigned long address;\toffset:8;\tsize:8;\tsigned:0;\n\nprint fmt: \"%lx\", REC->address\n";
	struct rf_error err = { 0 };
	struct rf_decoder *decoder = rf_decoder_create(&s390, &err);
	struct event e = event(190, 1);
	struct rf_record record;

	assert_int_equal(rf_decoder_learn(decoder, number_of("page_fault_user"), lacking, &err), -ENOENT);
	assert_non_null(strstr(err.message, "error_code"));
	assert_false(rf_decoder_knows(decoder, number_of("page_fault_user")));
	assert_false(rf_decode(decoder, e.bytes, sizeof(e.bytes), 0, &record, 1));
	assert_int_equal(rf_decoder_learn(decoder, number_of("set_migration_pte"),
					  MIGRATION_FORMAT("set_migration_pte", "711"), &err), -EOPNOTSUPP);
	assert_int_equal(rf_decoder_learn(decoder, number_of("rss_stat"), "what?", &err), -EINVAL);
	rf_decoder_destroy(decoder);
}

static void test_short_events(void **state)
{
	struct rf_decoder *decoder = decoder_of(&x86, "page_fault_user", fault_format);
	struct event e = event(190, 1), unknown = event(191, 1);
	struct rf_record record;

	assert_true(rf_decode(decoder, e.bytes, 32, 0, &record, 1));
	for (u32 size = 0; size < 32; size++)
		assert_false(rf_decode(decoder, e.bytes, size, 0, &record, 1));
	assert_false(rf_decode(decoder, unknown.bytes, sizeof(unknown.bytes), 0, &record, 1));
	rf_decoder_destroy(decoder);
}

/* The page of a ring buffer: time, length, then events of (type_len:5, delta:27) and words. */
struct page {
	u8 bytes[4096];
	size_t used;
};

static void page_begin(struct page *page, u64 time)
{
	memset(page, 0, sizeof(*page));
	memcpy(page->bytes, &time, 8);
	page->used = 16;
}

static void page_event(struct page *page, u32 delta, const struct event *e, u32 size)
{
	u32 header = delta << 5 | size / 4;

	memcpy(page->bytes + page->used, &header, 4);
	memcpy(page->bytes + page->used + 4, e->bytes, size);
	page->used += 4 + size;
}

static void page_end(struct page *page, u64 flags)
{
	u64 commit = (page->used - 16) | flags;

	memcpy(page->bytes + 8, &commit, 8);
}

#define MISSED_EVENTS (1u << 31)
#define MISSED_STORED (1u << 30)

static void test_page(void **state)
{
	struct kbuffer *kbuffer = kbuffer_alloc(KBUFFER_LSIZE_SAME_AS_HOST, KBUFFER_ENDIAN_SAME_AS_HOST);
	struct rf_decoder *decoder = decoder_of(&x86, "page_fault_user", fault_format);
	struct event fault = event(190, 42), stranger = event(9, 42);
	struct rf_record records[4096 / 8];
	struct page page;
	u64 count = 7;
	s64 missed;

	page_begin(&page, 1000);
	for (u32 i = 0; i < 3; i++) {
		put(&fault, 8, 0x1000 * i, 8);
		page_event(&page, 10, &fault, 32);
		page_event(&page, 1, &stranger, 8);
	}
	page_end(&page, 0);
	assert_int_equal(rf_decode_page(kbuffer, decoder, page.bytes, records, &missed), 3);
	assert_int_equal(missed, 0);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(records[i].time, 1010 + 11 * i);
		assert_int_equal(records[i].f[0], 0x1000 * i);
	}

	page_end(&page, MISSED_EVENTS);
	rf_decode_page(kbuffer, decoder, page.bytes, records, &missed);
	assert_int_equal(missed, -1);

	memcpy(page.bytes + page.used, &count, 8);
	page_end(&page, MISSED_EVENTS | MISSED_STORED);
	rf_decode_page(kbuffer, decoder, page.bytes, records, &missed);
	assert_int_equal(missed, 7);

	page_begin(&page, 5);
	page_end(&page, 0);
	assert_int_equal(rf_decode_page(kbuffer, decoder, page.bytes, records, &missed), 0);
	rf_decoder_destroy(decoder);
	kbuffer_free(kbuffer);
}

/* Every row of the event table must be decodable and say why it is there. */
static void test_event_table(void **state)
{
	const struct rf_kind_info *kinds = rf_kind_table();

	assert_true(rf_nr_events < 255);
	for (size_t i = 0; i < rf_nr_events; i++) {
		const struct rf_event *row = &rf_events[i];
		int fields = 0;

		assert_true(row->why && *row->why && row->without && *row->without);
		if (row->kind == RF_BY_NUMBER)
			continue;
		assert_non_null(kinds[row->kind].name);
		while (fields < RF_RECORD_FIELDS && row->fields[fields].rule != RF_RULE_NONE)
			fields++;
		if (fields != kinds[row->kind].nr_fields)
			fail_msg("%s:%s gives %d fields, \"%s\" has %d", row->system, row->name, fields,
				 kinds[row->kind].name, kinds[row->kind].nr_fields);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_rss_in_pages),
		cmocka_unit_test(test_gfp_by_name),
		cmocka_unit_test(test_print_fmt),
		cmocka_unit_test(test_call_arguments_by_position),
		cmocka_unit_test(test_migration),
		cmocka_unit_test(test_large_physical_addresses),
		cmocka_unit_test(test_kernel_addresses_are_hidden),
		cmocka_unit_test(test_marker),
		cmocka_unit_test(test_long_marker),
		cmocka_unit_test(test_what_cannot_be_learnt),
		cmocka_unit_test(test_short_events),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_event_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
