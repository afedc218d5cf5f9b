// SPDX-License-Identifier: MIT
/* The header's keys about events. */
#include "traces/events/header.h"

#include <stdio.h>

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

void rf_header_begin(json_t *header, const struct rf_kernel *kernel, const struct rf_decoder *decoder)
{
	rf_header_set_string(header, RF_HEADER_ARCH, kernel->machine);
	rf_header_set_string(header, RF_HEADER_KERNEL, kernel->release);
	rf_header_set_integer(header, RF_HEADER_PAGE_SIZE, BIT_ULL(kernel->page_shift));
	rf_header_set(header, RF_HEADER_GFP_UNKNOWN, unknown_gfp(decoder));
	rf_header_set(header, RF_HEADER_EVENTS, json_array());
	rf_header_set(header, RF_HEADER_EVENTS_MISSING, json_object());
	rf_header_set(header, RF_HEADER_FILTERS, json_object());
}

static const char *full_name(char *text, size_t size, size_t row, const char *system, const char *name)
{
	static const char *const instances[RF_INSTANCES] = { "task", "system" };

	snprintf(text, size, "%s:%.60s:%.60s", instances[rf_events[row].instance], system, name);
	return text;
}

void rf_header_event(json_t *header, size_t row, const char *system, const char *name, const char *filter)
{
	char text[160];

	full_name(text, sizeof(text), row, system, name);
	json_array_append_new(rf_header_get(header, RF_HEADER_EVENTS), json_string(text));
	if (filter)
		json_object_set_new(rf_header_get(header, RF_HEADER_FILTERS), text, json_string(filter));
}

void rf_header_missing_event(json_t *header, size_t row, const char *reason)
{
	char text[160];

	full_name(text, sizeof(text), row, rf_events[row].system, rf_events[row].name);
	json_object_set_new(rf_header_get(header, RF_HEADER_EVENTS_MISSING), text, json_string(reason));
}
