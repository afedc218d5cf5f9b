// SPDX-License-Identifier: MIT
/*
 * Fields out of formats: as kernels print them, those of the kernel that runs among them, and as nobody prints them,
 * but a file to import may have them.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "traces/events/format.h"
#include "traces/events/print_fmt.h"

#define BEGIN "name: x\nID: 7\nformat:\n"
#define COMMON                                                                                                         \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"                                 \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

/* Of Debian's 6.12 for arm64. */
static const char exec_format[] = "name: sched_process_exec\nID: 243\nformat:\n" COMMON
	"\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n"
	"\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n"
	"\tfield:pid_t old_pid;\toffset:16;\tsize:4;\tsigned:1;\n\n"
	"print fmt: \"filename=%s pid=%d old_pid=%d\", __get_str(filename), REC->pid, REC->old_pid\n";

static const char mmap_format[] = "name: sys_enter_mmap\nID: 30\nformat:\n" COMMON
	"\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n"
	"\tfield:unsigned long addr;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long len;\toffset:24;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long prot;\toffset:32;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long flags;\toffset:40;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long fd;\toffset:48;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long off;\toffset:56;\tsize:8;\tsigned:0;\n\n"
	"print fmt: \"addr: 0x%08lx\", ((unsigned long)(REC->addr))\n";

static struct rf_format format_of(const char *text)
{
	struct rf_format format = { 0 };

	if (!rf_format_read(&format, text))
		fail_msg("refused: %s", text);
	return format;
}

static void expect(const char *lines, const char *name, size_t after, struct rf_format_field expected)
{
	struct rf_format_field field = { 0 };

	if (!rf_format_find(lines, name, after, &field))
		fail_msg("%zu after %s: not found", after, name);
	assert_int_equal(field.offset, expected.offset);
	assert_int_equal(field.size, expected.size);
	assert_int_equal(field.is_signed, expected.is_signed);
	assert_int_equal(field.dynamic, expected.dynamic);
	assert_int_equal(field.relative, expected.relative);
}

static void test_fields(void **state)
{
	struct rf_format format = format_of(exec_format);
	struct rf_format_field field;

	assert_int_equal(format.id, 243);
	expect(format.common, "common_type", 0, (struct rf_format_field){ 0, 2, false, false, false });
	expect(format.common, "common_pid", 0, (struct rf_format_field){ 4, 4, true, false, false });
	expect(format.fields, "filename", 0, (struct rf_format_field){ 8, 4, false, true, false });
	expect(format.fields, "old_pid", 0, (struct rf_format_field){ 16, 4, true, false, false });
	/* Neither is among the other's, nor is a part of a name a name. */
	assert_false(rf_format_find(format.common, "pid", 0, &field));
	assert_false(rf_format_find(format.fields, "common_pid", 0, &field));
	assert_false(rf_format_find(format.fields, "file", 0, &field));
	assert_false(rf_format_find(format.fields, "filename=", 0, &field));
	assert_false(rf_format_find(format.fields, "", 0, &field));
}

static void test_by_position(void **state)
{
	struct rf_format format = format_of(mmap_format);
	struct rf_format_field field;

	for (u32 i = 0; i < 6; i++)
		expect(format.fields, "__syscall_nr", i + 1,
		       (struct rf_format_field){ 16 + 8 * i, 8, false, false, false });
	expect(format.fields, "prot", 1, (struct rf_format_field){ 40, 8, false, false, false });
	assert_false(rf_format_find(format.fields, "__syscall_nr", 7, &field));
	assert_false(rf_format_find(format.fields, "__syscall_nr", SIZE_MAX, &field));
	assert_false(rf_format_find(format.fields, "nr", 1, &field));
}

static void test_declarations(void **state)
{
	static const struct {
		const char *line;
		struct rf_format_field field;
	} cases[] = {
		{ "\tfield:char a[];\toffset:16;\tsize:0;\tsigned:0;\n", { 16, 0, false, false, false } },
		{ "\tfield:char a[TASK_COMM_LEN];\toffset:8;\tsize:16;\tsigned:1;\n", { 8, 16, true, false, false } },
		{ "\tfield:u64 a[2][3];\toffset:8;\tsize:48;\tsigned:0;\n", { 8, 48, false, false, false } },
		{ "\tfield:char[16] a;\toffset:8;\tsize:16;\tsigned:0;\n", { 8, 16, false, false, false } },
		{ "\tfield:char a [4] ;\toffset:8;\tsize:4;\tsigned:0;\n", { 8, 4, false, false, false } },
		{ "\tfield:const struct mm_struct *a;\toffset:8;\tsize:8;\tsigned:0;\n", { 8, 8, false, false, false } },
		{ "\tfield:char __attribute__((btf_type_tag(\"user\"))) * a;\toffset:8;\tsize:8;\tsigned:0;\n",
		  { 8, 8, false, false, false } },
		{ "\tfield:__rel_loc char[] a;\toffset:8;\tsize:4;\tsigned:0;\n", { 8, 4, false, false, true } },
		{ "\tfield:__data_loc char[] a;\toffset:8;\tsize:4;\tsigned:1;\n", { 8, 4, true, true, false } },
		/* Kernels before 2.6.33; spaces. */
		{ "\tfield:int a;\toffset:8;\tsize:4;\n", { 8, 4, false, false, false } },
		{ "  field: int a; offset: 8; size: 4; signed: 1;\n", { 8, 4, true, false, false } },
		{ "\tfield:int a;\toffset:2147483647;\tsize:2147483647;\tsigned:0;\n",
		  { INT32_MAX, INT32_MAX, false, false, false } },
		{ "\tfield:int a;\toffset:0000000000000000000008;\tsize:4;\tsigned:1;\n", { 8, 4, true, false, false } },
		/* The first of two. */
		{ "\tfield:int a;\toffset:8;\tsize:4;\tsigned:1;\n\tfield:u8 a;\toffset:9;\tsize:1;\tsigned:0;\n",
		  { 8, 4, true, false, false } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[1024];

		snprintf(text, sizeof(text), BEGIN COMMON "%s\nprint fmt: \"\"\n", cases[i].line);
		expect(format_of(text).fields, "a", 0, cases[i].field);
		/* As one that every event has; and the end of the text where print fmt is cut off. */
		snprintf(text, sizeof(text), BEGIN "%s", cases[i].line);
		expect(format_of(text).common, "a", 0, cases[i].field);
	}
}

static void test_bad_lines(void **state)
{
	static const char *const lines[] = {
		"what?", "field", "\tfield:", "\tfield:;", "\tfield:int a", "\tfield:int a;", "print fmt: \"\"",
		"\tfields:int a;\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:a;\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield: a;\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:int *;\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:int [4];\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:int a[4;\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:int a4];\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:];\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:[;\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:int (*a)(void);\toffset:8;\tsize:8;\tsigned:0;",
		"\tfield:int a\n;\toffset:8;\tsize:4;\tsigned:1;",
		"\tfield:int a;\tsize:4;\toffset:8;\tsigned:1;",
		"\tfield:int a;\toffset:;\tsize:4;\tsigned:1;",
		"\tfield:int a;\toffset:8\tsize:4;\tsigned:1;",
		"\tfield:int a;\toffset:-8;\tsize:4;\tsigned:1;",
		"\tfield:int a;\toffset:0x8;\tsize:4;\tsigned:1;",
		"\tfield:int a;\toffset:2147483648;\tsize:4;\tsigned:1;",
		"\tfield:int a;\toffset:4294967304;\tsize:4;\tsigned:1;",
		"\tfield:int a;\toffset:18446744073709551624;\tsize:4;\tsigned:1;",
		"\tfield:int a;\toffset:8;\tsize:-1;\tsigned:1;",
		"\tfield:int a;\toffset:8;\tsize:99999999999999999999999999999999;\tsigned:1;",
		"\tfield:int a;\toffset:8;\tsize:4;\tsigned:2;",
		"\tfield:int a;\toffset:8;\tsize:4;\tsigned:;",
		"\tfield:int a;\toffset:8;\tsize:4;\tsigned:1",
		"\tfield:int a;\toffset:8;\tsize:4;\tsigned:1; more",
		"\tfield:int a;\toffset:8;\tsize:4;\tsigned:1;\tsigned:1;",
	};
	static const char *const begins[] = {
		"", "\n", "name", "name: x", "name: x\n", "name:\nID: 7\nformat:\n", "ID: 7\nname: x\nformat:\n",
		"name: x\nID:\nformat:\n", "name: x\nID: y\nformat:\n", "name: x\nID: -7\nformat:\n",
		"name: x\nID: 2147483648\nformat:\n", "name: x\nID: 7 8\nformat:\n", "name: x\nID: 7\nformat: 7\n",
		"name: x\nID: 7\n", "name: x\nformat:\n", "a\nname: x\nID: 7\nformat:\n",
	};
	struct rf_format format;
	char text[1024];

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		for (int own = 0; own < 2; own++) {
			snprintf(text, sizeof(text), BEGIN "%s%s\n\n", own ? COMMON : "", lines[i]);
			if (rf_format_read(&format, text))
				fail_msg("taken: %s", lines[i]);
		}
	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++) {
		snprintf(text, sizeof(text), "%s" COMMON, begins[i]);
		if (rf_format_read(&format, text))
			fail_msg("taken: %s", begins[i]);
	}
}

/* In memory of its own, so that sanitizers see who reads past its end. */
static bool is_taken(const char *text, size_t size)
{
	static const char *const names[] = { "common_pid", "filename", "old_pid", "fd" };
	char *copy = malloc(size + 1);
	struct rf_format_field field;
	struct rf_format format;
	bool taken;

	assert_non_null(copy);
	memcpy(copy, text, size);
	copy[size] = '\0';
	taken = rf_format_read(&format, copy);
	for (size_t i = 0; taken && i < sizeof(names) / sizeof(*names); i++)
		for (size_t after = 0; after < 3; after++) {
			rf_format_find(format.common, names[i], after, &field);
			rf_format_find(format.fields, names[i], after, &field);
		}
	free(copy);
	return taken;
}

/* Cut off anywhere, a format is one if its lines are whole. */
static void test_cut_off(void **state)
{
	const char *text = exec_format, *fields = strstr(text, "format:\n"), *print = strstr(text, "print fmt:");

	for (size_t size = 0; size < sizeof(exec_format); size++) {
		bool whole = text + size > print || (size && text[size - 1] == '\n' && text + size > fields + 7);

		if (is_taken(text, size) != whole)
			fail_msg("cut off after %zu bytes: %s", size, whole ? "refused" : "taken");
	}
}

static void test_damage(void **state)
{
	static const char bytes[] = "\0\n\t ;:[]()0a9_-\"\xff";
	char text[sizeof(exec_format)];

	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
			memcpy(text, exec_format, sizeof(text));
			text[at] = bytes[i];
			is_taken(text, sizeof(text) - 1);
		}
		memcpy(text, exec_format, sizeof(text));
		memmove(text + at, text + at + 1, sizeof(text) - at - 1);
		is_taken(text, sizeof(text) - 2);
	}
}

/* 4 MiB of it: had it to be walked more than a few times, this had no end. */
static void test_long(void **state)
{
	static const char *const pieces[] = { "[", "]", "[]", "0", "9", "a", " ", "\t", ";", "field:", "int a[",
					      "\tfield:int a;" };
	static const struct {
		const char *begin, *end;
	} around[] = {
		{ BEGIN "\tfield:int ", " a;\toffset:8;\tsize:4;\n" },
		{ BEGIN "\tfield:int a;\toffset:", "8;\tsize:4;\n" },
		{ BEGIN, "\n" },
		{ "name: ", "\nID: 7\nformat:\n" },
	};
	const size_t size = 4 << 20;
	char *text = malloc(size + 256);

	assert_non_null(text);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
		for (size_t j = 0; j < sizeof(around) / sizeof(*around); j++) {
			size_t used = (size_t)sprintf(text, "%s", around[j].begin), length = strlen(pieces[i]);

			for (; used < size; used += length)
				memcpy(text + used, pieces[i], length);
			used += (size_t)sprintf(text + used, "%s", around[j].end);
			is_taken(text, used);
		}
	free(text);
}

/* Deeper than any kernel's expression: not a number, and no end of the stack. */
static void test_deep_print_fmt(void **state)
{
	static const char *const pieces[] = { "(", "~", "(x)", "1|(", "1<<~" };
	const size_t size = 4 << 20;
	char *text = malloc(size + 64);
	u64 value;

	assert_non_null(text);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		size_t used = (size_t)sprintf(text, "{"), length = strlen(pieces[i]);

		for (; used < size; used += length)
			memcpy(text + used, pieces[i], length);
		sprintf(text + used, "1, \"A\"}");
		assert_false(rf_print_fmt_flag(text, "A", &value));
	}
	free(text);
	assert_true(rf_print_fmt_flag("{((((((((((((((((((((1 << 3)))))))))))))))))))), \"A\"}", "A", &value));
	assert_int_equal(value, 8);
}

static bool read_file(const char *path, char *text, size_t room)
{
	FILE *file = fopen(path, "re");
	size_t size = file ? fread(text, 1, room - 1, file) : 0;

	text[size] = '\0';
	if (file)
		fclose(file);
	return size > 0 && size < room - 1;
}

/* Each line of a real format by other means. Returns how many. */
static size_t check_lines(const char *path, const char *text)
{
	struct rf_format format = format_of(text);
	const char *lines = format.common, *line = strstr(text, "\n\tfield:");
	size_t nr = 0;

	for (; line; line = strstr(line + 1, "\n\tfield:")) {
		struct rf_format_field field = { 0 }, expected = { 0 };
		char declaration[256], *name;
		int is_signed = 0;

		if (line > text && line[-1] == '\n')
			lines = format.fields;
		if (sscanf(line, "\n\tfield:%255[^;];\toffset:%u;\tsize:%u;\tsigned:%d;", declaration, &expected.offset,
			   &expected.size, &is_signed) < 3)
			fail_msg("%s: %.80s", path, line);
		if (strrchr(declaration, '[') && declaration[strlen(declaration) - 1] == ']')
			*strrchr(declaration, '[') = '\0';
		name = strrchr(declaration, ' ') + 1;
		name += strspn(name, "*");
		if (!rf_format_find(lines, name, 0, &field) || field.offset != expected.offset ||
		    field.size != expected.size || field.is_signed != is_signed ||
		    field.dynamic != !!strstr(declaration, "__data_loc") ||
		    field.relative != !!strstr(declaration, "__rel_loc"))
			fail_msg("%s: %s", path, name);
		nr++;
	}
	return nr;
}

static void test_running_kernel(void **state)
{
	static char text[256 << 10];
	size_t nr = 0, fields = 0;
	glob_t found;

	if (glob("/sys/kernel/tracing/events/*/*/format", 0, NULL, &found))
		skip();
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (read_file(found.gl_pathv[i], text, sizeof(text))) {
			fields += check_lines(found.gl_pathv[i], text);
			nr++;
		}
	print_message("%zu fields of %zu events\n", fields, nr);
	assert_true(!nr || fields > 4 * nr);
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_by_position),
		cmocka_unit_test(test_declarations),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_deep_print_fmt),
		cmocka_unit_test(test_running_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
