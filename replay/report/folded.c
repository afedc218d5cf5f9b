// SPDX-License-Identifier: MIT
/*
 * Attributed counts as folded stacks: a line each, outermost function first, and the count, as flamegraph.pl and
 * speedscope read them. All lines together are the total of the policy.
 */
#include <string.h>

#include "base/json.h"
#include "replay/report/report.h"

/* "bytes" and counters. */
static s64 count_of(const json_t *share, const char *counter)
{
	return strcmp(counter, "bytes") ? rf_json_number(json_object_get(share, "totals"), counter) :
					  rf_json_number(share, "bytes");
}

/* Names are anybody's, and lines and ';' the format's. */
static void write_name(FILE *out, const char *name)
{
	for (; *name; name++)
		fputc(*name == ';' ? ':' : (unsigned char)*name < ' ' ? '?' : *name, out);
}

/* Keys in the order in which they were asked for; a stack as its functions. */
static void write_share(FILE *out, const json_t *keys, const json_t *share)
{
	const json_t *frames = json_object_get(share, "frames"), *key;
	const char *before = "";
	size_t i;

	json_array_foreach(keys, i, key) {
		const char *name = json_string_value(key);

		if (strcmp(name, "stack") || !json_array_size(frames)) {
			fputs(before, out);
			write_name(out, rf_json_string(share, name));
			before = ";";
			continue;
		}
		for (size_t k = json_array_size(frames); k-- > 0; before = ";") {
			fputs(before, out);
			write_name(out, json_string_value(json_array_get(frames, k)));
		}
	}
}

static void write_policy(FILE *out, const char *trace, const json_t *keys, const json_t *policy, const char *counter)
{
	const json_t *share;
	s64 count;
	size_t i;

	json_array_foreach(json_object_get(policy, "rows"), i, share) {
		count = count_of(share, counter);
		if (!count)
			continue;
		fprintf(out, "%s%s", trace ? trace : "", trace ? ";" : "");
		write_share(out, keys, share);
		fprintf(out, " %lld\n", (long long)count);
	}
	count = count_of(json_object_get(policy, "rest"), counter);
	if (count)
		fprintf(out, "%s%sothers %lld\n", trace ? trace : "", trace ? ";" : "", (long long)count);
}

void rf_report_write_folded(const json_t *report, const char *counter, const char *policy_name, FILE *out)
{
	const json_t *attributions = json_object_get(report, "attribution"), *attribution, *policy;
	bool several = json_array_size(attributions) > 1;
	size_t i, k;

	json_array_foreach(attributions, i, attribution)
		json_array_foreach(json_object_get(attribution, "policies"), k, policy)
			if (!strcmp(rf_json_string(policy, "name"), policy_name))
				write_policy(out, several ? rf_json_string(attribution, "trace") : NULL,
					     json_object_get(attribution, "by"), policy, counter);
}
