// SPDX-License-Identifier: MIT
/*
 * The header of an imported trace: the keys of a live recording's (capture/header.h)
 * as far as a trace.dat tells them.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "traces/import/importing.h"

static void add_events(json_t *header, const struct importing *importing)
{
	static const char *const instances[RF_INSTANCES] = { "task", "system" };
	json_t *on = json_array(), *missing = json_object(), *filters = json_object();

	for (size_t i = 0; i < rf_nr_events; i++) {
		const struct import_row *row = &importing->rows[i];
		char name[160];

		snprintf(name, sizeof(name), "%s:%.60s:%.60s", instances[rf_events[i].instance],
			 row->used ? row->format->system : rf_events[i].system,
			 row->used ? row->format->name : rf_events[i].name);
		if (row->spare)
			continue;
		if (!row->used && !row->replaced)
			json_object_set_new(missing, name, json_string(row->reason));
		if (row->used)
			json_array_append_new(on, json_string(name));
		if (row->used && rf_events[i].filter)
			json_object_set_new(filters, name, json_string(rf_events[i].filter));
	}
	json_object_set_new(header, "events", on);
	json_object_set_new(header, "events_missing", missing);
	json_object_set_new(header, "filters", filters);
}

/* As a live recording names it; "none": nothing tells them. */
static const char *fault_source(const struct importing *importing)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (rf_events[i].kind == RF_FAULT && importing->rows[i].used)
			return rf_fault_sources[rf_events[i].need == RF_NEED_STAND_IN ? RF_FAULTS_KPROBE :
											RF_FAULTS_TRACEPOINT].name;
	return "none";
}

char *import_header(const struct importing *importing)
{
	const struct rf_kernel *kernel = &importing->kernel;
	const struct rf_dat *dat = &importing->dat;
	json_t *header = json_object(), *gfp_unknown = json_array();
	char *text;

	add_events(header, importing);
	json_object_set_new(header, "arch", json_string(kernel->machine));
	json_object_set_new(header, "clock", json_string(dat->clock[0] ? dat->clock : "unknown"));
	json_object_set_new(header, "cpus", json_integer(importing->nr_cpus));
	json_object_set_new(header, "faults", json_string(fault_source(importing)));
	if (!rf_decoder_gfp(importing->decoder, RF_GFP_MOVABLE))
		json_array_append_new(gfp_unknown, json_string("movable"));
	if (!rf_decoder_gfp(importing->decoder, RF_GFP_HARDWALL))
		json_array_append_new(gfp_unknown, json_string("hardwall"));
	if (!rf_decoder_gfp(importing->decoder, RF_GFP_WRITE))
		json_array_append_new(gfp_unknown, json_string("write"));
	json_object_set_new(header, "gfp_unknown", gfp_unknown);
	json_object_set_new(header, "kernel", json_string(kernel->release));
	json_object_set_new(header, "mode", json_string("import"));
	json_object_set_new(header, "page_size", json_integer(1 << kernel->page_shift));
	json_object_set_new(header, "recorder", json_sprintf("trace-cmd %s", dat->tool[0] ? dat->tool : "unknown"));
	json_object_set_new(header, "side_band", json_false());
	json_object_set_new(header, "snapshots", json_false());
	json_object_set_new(header, "tool", json_string("refold " REFOLD_VERSION));
	text = json_dumps(header, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(header);
	return text;
}
