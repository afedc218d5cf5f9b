// SPDX-License-Identifier: MIT
/* The header of a recording: no key that is not in the list, each of its type; what of it is written when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/header.h"
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
	json_t *header = header_of((struct rf_header_facts){ .mode = "command", .command = "a.out", .pid = 7, .pids = &list,
							     .snapshots = true }), *value;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_listed),
		cmocka_unit_test(test_whole_system),
		cmocka_unit_test(test_missing_events),
	};
	int failed;

	rf_kernel_describe(&kernel, "6.12.0", "x86_64", 4096);
	status = calloc(rf_nr_events, sizeof(*status));
	failed = status ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
	free(status);
	return failed;
}
