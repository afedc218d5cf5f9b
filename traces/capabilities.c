// SPDX-License-Identifier: MIT
/* The table of capabilities, and the two ways to know them: the header's word, or the release. */
#include "traces/capabilities.h"

#include <stdio.h>

#include "traces/trace.h"

static const struct {
	const char *name;		/* in the header */
	u16 since[2], until[2];		/* the first release that has it, the first that has it no more; 0.0: any */
} rows[RF_NR_CAPABILITIES] = {
	[RF_EXIT_AFTER_MM] = { "exit_after_mm", { 0, 0 }, { 6, 16 } },
	[RF_REUSES_LARGE_FOLIOS] = { "reuses_large_folios", { 6, 15 }, { 0, 0 } },
	[RF_MOVES_SEVERAL_VMAS] = { "moves_several_vmas", { 6, 17 }, { 0, 0 } },
	[RF_STACKS_NOHUGEPAGE] = { "stacks_nohugepage", { 6, 7 }, { 0, 0 } },
	[RF_NO_ZERO_PAGE] = { "no_zero_page", { 0, 0 }, { 1, 0 } },	/* of no release by itself */
	[RF_BATCHES_RSS] = { "batches_rss", { 0, 0 }, { 6, 2 } },
	[RF_MAPS_WHOLE_FOLIOS] = { "maps_whole_folios", { 6, 18 }, { 0, 0 } },
	[RF_KEEPS_READ_ONLY] = { "keeps_read_only", { 0, 0 }, { 6, 2 } },
};

static bool is_before(unsigned int major, unsigned int minor, const u16 release[2])
{
	return major < release[0] || (major == release[0] && minor < release[1]);
}

struct rf_capabilities rf_capabilities_of_release(const char *release)
{
	struct rf_capabilities capabilities = { { false } };
	unsigned int major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return capabilities;
	for (size_t i = 0; i < RF_NR_CAPABILITIES; i++)
		capabilities.has[i] = !is_before(major, minor, rows[i].since) &&
				      (!rows[i].until[0] || is_before(major, minor, rows[i].until));
	return capabilities;
}

json_t *rf_capabilities_json(const struct rf_capabilities *capabilities)
{
	json_t *object = json_object();

	for (size_t i = 0; i < RF_NR_CAPABILITIES; i++)
		json_object_set_new(object, rows[i].name, json_boolean(capabilities->has[i]));
	return object;
}

struct rf_capabilities rf_reader_capabilities(const struct rf_reader *reader)
{
	const char *release = rf_reader_header_string(reader, RF_HEADER_KERNEL, "");
	struct rf_capabilities capabilities = rf_capabilities_of_release(release);
	const json_t *told = rf_reader_header_value(reader, RF_HEADER_CAPABILITIES);

	for (size_t i = 0; i < RF_NR_CAPABILITIES; i++) {
		const json_t *value = json_object_get(told, rows[i].name);

		if (json_is_boolean(value))
			capabilities.has[i] = json_is_true(value);
	}
	return capabilities;
}
