// SPDX-License-Identifier: MIT
/* The header of a recording: no key that is not in the list, each of its type; what of it is written when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/header.h"
#include "capture/kernel.h"
#include "traces/header.h"

static struct rf_kernel kernel;
static struct rf_event_status *status;

static json_t *header_of(struct rf_header_facts facts)
{
	struct rf_decoder *decoder = rf_decoder_create(&kernel, NULL);
	json_t *header;
	char *text;

	assert_non_null(decoder);
	facts.kernel = &kernel;
	facts.decoder = decoder;
	facts.status = status;
	facts.faults = RF_FAULTS_KPROBE;
	text = rf_header_json(&facts);
	assert_non_null(text);
	header = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(header);
	free(text);
	rf_decoder_destroy(decoder);
	return header;
}

static bool is_listed(const json_t *header, const char *name)
{
	for (unsigned int key = 0; key < RF_NR_HEADER_KEYS; key++)
		if (!strcmp(name, rf_header_key_name(key)))
			return rf_header_get(header, key) != NULL;
	return false;
}

static void test_keys_are_listed(void **state)
{
	pid_t pids[] = { 7, 8 };
	struct rf_pid_list list = { pids, 2, 2 };
	struct rf_header_facts facts = { .mode = "command", .command = "a.out", .pid = 7, .pids = &list,
					 .snapshots = true };
	json_t *header = header_of(facts), *value;
	const char *name;

	json_object_foreach(header, name, value)
		if (!is_listed(header, name))
			fail_msg("%s is not in the list of keys, or of another type there", name);
	assert_string_equal(json_string_value(rf_header_get(header, RF_HEADER_COMMAND)), "a.out");
	assert_string_equal(json_string_value(rf_header_get(header, RF_HEADER_FAULTS)), "kprobe");
	assert_int_equal(json_integer_value(rf_header_get(header, RF_HEADER_PID)), 7);
	assert_int_equal(json_array_size(rf_header_get(header, RF_HEADER_PIDS)), 2);
	/* Nothing was learnt of this kernel. */
	assert_int_equal(json_array_size(rf_header_get(header, RF_HEADER_GFP_UNKNOWN)), 3);
	json_decref(header);
}

static void test_whole_system(void **state)
{
	struct rf_pid_list list = { 0 };
	json_t *header = header_of((struct rf_header_facts){ .mode = "system", .pids = &list });

	assert_null(rf_header_get(header, RF_HEADER_COMMAND));
	assert_null(rf_header_get(header, RF_HEADER_PID));
	assert_int_equal(json_array_size(rf_header_get(header, RF_HEADER_PIDS)), 0);
	json_decref(header);
}

/* Missing is what was wanted and is not there, unless another stands in. */
static void test_missing_events(void **state)
{
	json_t *header, *missing;
	char name[128];

	for (size_t i = 0; i < rf_nr_events; i++)
		status[i].state = RF_EVENT_SPARE;
	status[0].state = RF_EVENT_MISSING;
	snprintf(status[0].reason, sizeof(status[0].reason), "no such event");
	status[1].state = RF_EVENT_REFUSED;
	status[1].replaced = true;
	header = header_of((struct rf_header_facts){ .mode = "system" });
	missing = rf_header_get(header, RF_HEADER_EVENTS_MISSING);
	snprintf(name, sizeof(name), "%s:%s:%s", rf_events[0].instance == RF_INSTANCE_TASK ? "task" : "system",
		 rf_events[0].system, rf_events[0].name);
	assert_int_equal(json_object_size(missing), 1);
	assert_string_equal(json_string_value(json_object_get(missing, name)), "no such event");
	assert_int_equal(json_array_size(rf_header_get(header, RF_HEADER_EVENTS)), 0);
	json_decref(header);
}

#define EXIT_FORMAT(more) "name: sched_process_exit\nID: 400\nformat:\n" \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n" \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n" \
	"\tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n" more "\nprint fmt: \"pid=%d\", REC->pid\n"

/* What the kernel's own events tell goes before its release. */
static void test_capabilities_by_format(void **state)
{
	static const char *const formats[] = {
		EXIT_FORMAT(""), EXIT_FORMAT("\tfield:bool group_dead;\toffset:32;\tsize:1;\tsigned:0;\n")
	};
	static const char *const releases[] = { "6.12.0", "6.18.1" };
	size_t row = 0;

	while (rf_events[row].kind != RF_EXIT)
		row++;
	for (int moved = 0; moved < 2; moved++)
		for (int r = 0; r < 2; r++) {
			struct rf_kernel told;
			struct rf_decoder *decoder;

			rf_kernel_describe(&told, releases[r], "x86_64", 4096);
			decoder = rf_decoder_create(&told, NULL);
			assert_int_equal(rf_decoder_capabilities(decoder).has[RF_EXIT_AFTER_MM], !r);
			assert_int_equal(rf_decoder_learn(decoder, row, formats[moved], NULL), 0);
			assert_int_equal(rf_decoder_capabilities(decoder).has[RF_EXIT_AFTER_MM], !moved);
			rf_decoder_destroy(decoder);
		}
}

static void test_names_of_btf(void **state)
{
	static const char bytes[] = "x_mm_id\0folio\0_mm_id_mapcount_t\0_mm_id_map\0";
	char path[] = "/tmp/refold-btf-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	assert_true(rf_btf_has_name(path, "folio"));
	assert_true(rf_btf_has_name(path, "_mm_id_map"));
	assert_false(rf_btf_has_name(path, "_mm_id_mapcount"));
	assert_false(rf_btf_has_name(path, "_mm_id"));
	unlink(path);
	assert_false(rf_btf_has_name(path, "folio"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_listed),
		cmocka_unit_test(test_whole_system),
		cmocka_unit_test(test_missing_events),
		cmocka_unit_test(test_capabilities_by_format),
		cmocka_unit_test(test_names_of_btf),
	};
	int failed;

	rf_kernel_describe(&kernel, "6.12.0", "x86_64", 4096);
	status = calloc(rf_nr_events, sizeof(*status));
	failed = status ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
	free(status);
	return failed;
}
