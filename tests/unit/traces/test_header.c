// SPDX-License-Identifier: MIT
/* The keys of the header against the table of FORMAT.md, which is the argument: the same names, the same types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "traces/trace.h"

static const char *format_md;

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_STRING:
		return "string";
	case JSON_INTEGER:
		return "integer";
	case JSON_TRUE:
		return "boolean";
	case JSON_ARRAY:
		return "array";
	case JSON_OBJECT:
		return "object";
	default:
		return "none that a header has";
	}
}

/* "| `KEY` | TYPE |..." of the table whose head is "| key | type |". */
static void test_every_key_is_documented(void **state)
{
	FILE *file = fopen(format_md, "r");
	unsigned int rows = 0;
	bool inside = false;
	char line[512], key[64], type[64];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		bool row = sscanf(line, "| `%63[a-z_]` | %63[a-z] |", key, type) == 2;

		inside = !strncmp(line, "| key | type |", 14) || (inside && line[0] == '|');
		if (!inside || !row)
			continue;
		if (rows >= RF_NR_HEADER_KEYS || strcmp(key, rf_header_key_name(rows)))
			fail_msg("FORMAT.md has %s where the list of keys has %s", key,
				 rows < RF_NR_HEADER_KEYS ? rf_header_key_name(rows) : "an end");
		if (strcmp(type, type_name(rf_header_key_type(rows))))
			fail_msg("FORMAT.md calls %s a %s, it is a %s", key, type, type_name(rf_header_key_type(rows)));
		rows++;
	}
	fclose(file);
	if (rows < RF_NR_HEADER_KEYS)
		fail_msg("FORMAT.md does not tell what %s is", rf_header_key_name(rows));
}

static void test_values_of_other_types_are_absent(void **state)
{
	json_t *header = json_pack("{s:s, s:i, s:b, s:n}", "page_size", "4096", "arch", 5, "ksm", 0, "thp");

	assert_null(rf_header_get(header, RF_HEADER_PAGE_SIZE));
	assert_null(rf_header_get(header, RF_HEADER_ARCH));
	assert_null(rf_header_get(header, RF_HEADER_THP));
	assert_null(rf_header_get(header, RF_HEADER_KERNEL));
	assert_true(json_is_false(rf_header_get(header, RF_HEADER_KSM)));
	json_decref(header);
	assert_null(rf_header_get(NULL, RF_HEADER_ARCH));
}

static void test_text_is_canonical(void **state)
{
	json_t *header = json_object();
	char *text;

	rf_header_set_truth(header, RF_HEADER_SNAPSHOTS, true);
	rf_header_set_integer(header, RF_HEADER_CPUS, 2);
	rf_header_set_string(header, RF_HEADER_ARCH, "x86_64");
	text = rf_header_text(header);
	assert_string_equal(text, "{\"arch\":\"x86_64\",\"cpus\":2,\"snapshots\":true}");
	free(text);
	json_decref(header);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_is_documented),
		cmocka_unit_test(test_values_of_other_types_are_absent),
		cmocka_unit_test(test_text_is_canonical),
	};

	format_md = argc > 1 ? argv[1] : "traces/FORMAT.md";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
