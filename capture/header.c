// SPDX-License-Identifier: MIT
/*
 * The header of a recording. Names of paths, arguments and environment never get
 * in: of the command only the program's own name is kept.
 */
#include "capture/header.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void event_name(char *name, size_t size, const struct rf_event *event)
{
	static const char *const instances[RF_INSTANCES] = { "task", "system" };

	snprintf(name, size, "%s:%s:%s", instances[event->instance], event->system, event->name);
}

/* Three views of the event table: what is on, what is not and why, what is filtered and how. */
static void add_events(json_t *header, const struct rf_header_facts *facts)
{
	json_t *on = json_array(), *missing = json_object(), *filters = json_object();
	char name[128], filter[256];

	for (size_t i = 0; i < rf_nr_events; i++) {
		event_name(name, sizeof(name), &rf_events[i]);
		switch (facts->status[i].state) {
		case RF_EVENT_ON:
			json_array_append_new(on, json_string(name));
			if (rf_session_filter(facts->session, i, filter, sizeof(filter)))
				json_object_set_new(filters, name, json_string(filter));
			break;
		case RF_EVENT_FOUND:
		case RF_EVENT_SPARE:
			break;		/* left out on purpose */
		default:
			if (!facts->status[i].replaced)
				json_object_set_new(missing, name, json_string(facts->status[i].reason));
		}
	}
	json_object_set_new(header, "events", on);
	json_object_set_new(header, "events_missing", missing);
	json_object_set_new(header, "filters", filters);
}

static json_t *privacy(void)
{
	json_t *object = json_object();

	json_object_set_new(object, "arguments", json_string("dropped"));
	json_object_set_new(object, "contents", json_string("dropped"));
	json_object_set_new(object, "file_names", json_string("dropped"));
	json_object_set_new(object, "kernel_addresses", json_string("pseudonymised"));
	json_object_set_new(object, "inode_numbers", json_string("kept"));
	json_object_set_new(object, "page_frames", json_string("kept"));
	json_object_set_new(object, "pids", json_string("kept"));
	json_object_set_new(object, "program_names", json_string("kept"));
	json_object_set_new(object, "user_addresses", json_string("kept"));
	return object;
}

/* gfp flags whose number the kernel did not tell: records lack them. */
static json_t *unknown_gfp(const struct rf_decoder *decoder)
{
	static const struct {
		u64 bit;
		const char *name;
	} flags[] = { { RF_GFP_MOVABLE, "movable" }, { RF_GFP_HARDWALL, "hardwall" }, { RF_GFP_WRITE, "write" } };
	json_t *array = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (!rf_decoder_gfp(decoder, flags[i].bit))
			json_array_append_new(array, json_string(flags[i].name));
	return array;
}

char *rf_header_json(const struct rf_header_facts *facts)
{
	const struct rf_kernel *kernel = facts->kernel;
	u64 fault_around = rf_kernel_fault_around_bytes();
	json_t *header = json_object(), *pids = json_array();
	char *text;

	add_events(header, facts);
	json_object_set_new(header, "arch", json_string(kernel->machine));
	json_object_set_new(header, "buffer_bytes_per_cpu", json_integer((json_int_t)facts->buffer_bytes));
	json_object_set_new(header, "clock", json_string("mono"));
	if (facts->command)
		json_object_set_new(header, "command", json_string(facts->command));
	json_object_set_new(header, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	if (fault_around)
		json_object_set_new(header, "fault_around_bytes", json_integer((json_int_t)fault_around));
	json_object_set_new(header, "faults", json_string(rf_fault_sources[facts->faults].name));
	json_object_set_new(header, "gfp_unknown", unknown_gfp(facts->decoder));
	json_object_set_new(header, "kernel", json_string(kernel->release));
	json_object_set_new(header, "ksm", json_boolean(rf_kernel_ksm_runs()));
	json_object_set_new(header, "mode", json_string(facts->mode));
	json_object_set_new(header, "page_size", json_integer(1 << kernel->page_shift));
	if (facts->pid)
		json_object_set_new(header, "pid", json_integer(facts->pid));
	for (size_t i = 0; facts->pids && i < facts->pids->nr; i++)
		json_array_append_new(pids, json_integer(facts->pids->pids[i]));
	json_object_set_new(header, "pids", pids);
	json_object_set_new(header, "privacy", privacy());
	json_object_set_new(header, "side_band", json_boolean(facts->side_band));
	json_object_set_new(header, "snapshots", json_boolean(facts->snapshots));
	json_object_set_new(header, "start_time_s", json_integer((json_int_t)time(NULL)));
	json_object_set_new(header, "thp", rf_kernel_thp_settings());
	json_object_set_new(header, "tool", json_string("refold-capture " REFOLD_VERSION));
	text = json_dumps(header, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(header);
	return text;
}
