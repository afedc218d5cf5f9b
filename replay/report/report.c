// SPDX-License-Identifier: MIT
/*
 * The report as JSON. Keys are the names that arch/counters.h, engine/stats.h and replay/tracker/ground/fidelity.h give
 * their counters: a counter added there is in the report, and in refold-report(5)'s schema by its test.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/report/exposure.h"
#include "replay/report/json.h"
#include "traces/foreign.h"

/* ---- traces ---------------------------------------------------------------- */

static json_t *trace_damage(const struct rf_error *damage, const char *name)
{
	json_t *list = json_array(), *entry;

	if (!damage)
		return list;
	entry = json_object();
	rf_json_set_string(entry, "file", name);
	rf_json_set_count(entry, "offset_bytes", damage->offset == RF_NO_OFFSET ? 0 : damage->offset);
	rf_json_set_string(entry, "reason", damage->message);
	json_array_append_new(list, entry);
	return list;
}

/* The events that were wanted but that the recorded kernel did not have: the header tells why, the report which. */
static json_t *missing_events(const struct rf_reader *reader)
{
	json_t *events = rf_reader_header_value(reader, RF_HEADER_EVENTS_MISSING), *names = json_array(), *reason;
	const char *name;

	json_object_foreach(events, name, reason)
		json_array_append_new(names, json_string(name));
	return names;
}

json_t *records_by_kind(const u64 *kinds)
{
	const struct rf_kind_info *table = rf_kind_table();
	json_t *object = json_object();
	u64 unknown = 0;
	size_t kind;

	for (kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		if (!table[kind].name)
			unknown += kinds[kind];
		else if (kinds[kind] && kind != RF_LOST)
			rf_json_set_count(object, table[kind].name, kinds[kind]);
	}
	if (unknown)
		rf_json_set_count(object, "unknown", unknown);
	return object;
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

json_t *rf_report_trace(const char *path, const char *digest, struct rf_reader *reader,
			const struct rf_results *results)
{
	const struct rf_trace_summary *summary = rf_reader_summary(reader);
	json_t *trace = json_object();
	const char *name = base_name(path);

	rf_json_set_string(trace, "name", name);
	rf_json_set_string(trace, "digest", digest);
	json_object_set_new(trace, "complete", json_boolean(summary->complete && !rf_reader_damage(reader)));
	rf_json_set_count(trace, "records", summary->records);
	json_object_set_new(trace, "records_by_kind", records_by_kind(results->kinds));
	rf_json_set_count(trace, "windows_left_out", results->windows.left_out);
	rf_json_set_count(trace, "lost_events", summary->lost_events);
	rf_json_set_count(trace, "duration_ns", summary->last_time - summary->first_time);
	rf_json_set_count(trace, "bytes", summary->file_bytes);
	rf_json_set_count(trace, "damaged_frames", summary->damaged_frames);
	json_object_set_new(trace, "damage", trace_damage(rf_reader_damage(reader), name));
	rf_json_set_string(trace, "end", rf_end_names[summary->end]);
	rf_json_set_string(trace, "kernel", rf_reader_header_string(reader, RF_HEADER_KERNEL, "unknown"));
	rf_json_set_string(trace, "arch", rf_reader_header_string(reader, RF_HEADER_ARCH, "unknown"));
	rf_json_set_count(trace, "page_size_bytes", rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096));
	rf_json_set_count(trace, "cpus", rf_reader_header_u64(reader, RF_HEADER_CPUS, 0));
	json_object_set_new(trace, "missing_events", missing_events(reader));
	if (rf_reader_header_value(reader, RF_HEADER_LABELS))
		json_object_set(trace, "labels", rf_reader_header_value(reader, RF_HEADER_LABELS));
	return trace;
}

json_t *rf_report_unreadable_trace(const char *path, const char *digest, const struct rf_error *err)
{
	static const char *const counts[] = { "records", "lost_events", "duration_ns", "bytes", "damaged_frames",
					      "page_size_bytes", "cpus", "windows_left_out" };
	json_t *trace = json_object();
	size_t i;

	rf_json_set_string(trace, "name", base_name(path));
	rf_json_set_string(trace, "digest", digest);
	json_object_set_new(trace, "policies", json_array());
	rf_json_set_count(trace, "address_spaces", 0);
	rf_json_set_string(trace, "trust", "doubtful");
	json_object_set_new(trace, "complete", json_false());
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		rf_json_set_count(trace, counts[i], 0);
	json_object_set_new(trace, "records_by_kind", json_object());
	json_object_set_new(trace, "damage", trace_damage(err, base_name(path)));
	rf_json_set_string(trace, "end", rf_end_names[RF_END_NONE]);
	rf_json_set_string(trace, "kernel", "unknown");
	rf_json_set_string(trace, "arch", "unknown");
	json_object_set_new(trace, "missing_events", json_array());
	return trace;
}

/* Append a string or object, unless to has it. */
static void add_new(json_t *to, json_t *entry)
{
	const json_t *there;
	size_t i;

	json_array_foreach(to, i, there)
		if (json_equal(entry, there))
			return;
	json_array_append(to, entry);
}

static void merge_arrays(json_t *to, const json_t *from)
{
	json_t *entry;
	size_t i;

	json_array_foreach(from, i, entry)
		add_new(to, entry);
}

/* "6.12.1" and "6.12.1" are one value, "6.8.0, 6.12.1" are two. */
static json_t *joined_strings(const json_t *traces, const char *key)
{
	json_t *values = json_array(), *joined = NULL, *value;
	const json_t *trace;
	size_t i;

	json_array_foreach(traces, i, trace)
		add_new(values, json_object_get(trace, key));
	json_array_foreach(values, i, value) {
		json_t *longer = i ? json_sprintf("%s, %s", json_string_value(joined), json_string_value(value)) :
				     json_incref(value);

		json_decref(joined);
		joined = longer;
	}
	json_decref(values);
	return joined;
}

static void add_kinds(json_t *sum, const json_t *trace)
{
	json_t *kinds = json_object_get(trace, "records_by_kind"), *value;
	const char *kind;

	json_object_foreach(kinds, kind, value)
		rf_json_set_count(sum, kind, rf_json_number(sum, kind) + json_integer_value(value));
}

/* One object that speaks for all traces: sums where sums make sense, else what they have in common. */
static json_t *sum_traces(const json_t *traces)
{
	static const char *const sums[] = { "records", "lost_events", "duration_ns", "bytes", "damaged_frames",
					    "windows_left_out" };
	static const char *const strings[] = { "kernel", "arch", "end" };
	json_t *sum = json_object(), *trace, *damage = json_array(), *missing = json_array(), *kinds = json_object();
	json_int_t cpus = 0;
	size_t i, k;

	for (k = 0; k < ARRAY_SIZE(sums); k++)
		rf_json_set_count(sum, sums[k], 0);
	json_array_foreach(traces, i, trace) {
		for (k = 0; k < ARRAY_SIZE(sums); k++)
			rf_json_set_count(sum, sums[k], rf_json_number(sum, sums[k]) + rf_json_number(trace, sums[k]));
		add_kinds(kinds, trace);
		merge_arrays(damage, json_object_get(trace, "damage"));
		merge_arrays(missing, json_object_get(trace, "missing_events"));
		if (rf_json_number(trace, "cpus") > cpus)
			cpus = rf_json_number(trace, "cpus");
		json_object_set(sum, "page_size_bytes", json_object_get(trace, "page_size_bytes"));
	}
	for (k = 0; k < ARRAY_SIZE(strings); k++)
		json_object_set_new(sum, strings[k], joined_strings(traces, strings[k]));
	rf_json_set_count(sum, "cpus", cpus);
	rf_json_set_count(sum, "files", json_array_size(traces));
	json_object_set_new(sum, "records_by_kind", kinds);
	json_object_set_new(sum, "damage", damage);
	json_object_set_new(sum, "missing_events", missing);
	if (json_array_size(traces) == 1)
		json_object_set(sum, "labels", json_object_get(json_array_get(traces, 0), "labels"));
	return sum;
}

static bool all_complete(const json_t *traces)
{
	json_t *trace;
	size_t i;

	json_array_foreach(traces, i, trace)
		if (!json_is_true(json_object_get(trace, "complete")))
			return false;
	return true;
}

/* ---- fidelity --------------------------------------------------------------- */

static json_t *fidelity_section(const struct rf_fidelity *fidelity)
{
	json_t *section = json_object(), *inferred = json_object(), *anomalies = json_object();
	json_t *flushes = json_object();

#define X(name, meaning) rf_json_set_count(section, #name, fidelity->name);
	RF_FIDELITY(X)
#undef X
#define X(name, effect, meaning) rf_json_set_count(inferred, #name, fidelity->inferred.name);
	RF_INFERENCES(X)
#undef X
#define X(name, effect, meaning) rf_json_set_count(anomalies, #name, fidelity->anomalies.name);
	RF_TRACKER_ANOMALIES(X)
#undef X
#define X(name, meaning) rf_json_set_count(flushes, #name, fidelity->tlb_flushes_recorded.name);
	RF_RECORDED_FLUSHES(X)
#undef X
	json_object_set_new(section, "inferred", inferred);
	json_object_set_new(section, "anomalies", anomalies);
	json_object_set_new(section, "tlb_flushes_recorded", flushes);
	return section;
}

/* ---- the whole ---------------------------------------------------------------- */

json_t *report_of(const struct rf_report_parts *parts, const struct rf_results *results, bool all)
{
	json_t *report = json_object(), *policies = json_array(), *policy;
	size_t i;

	if (!report || !policies || !parts->traces || !parts->windows || !parts->processes)
		return NULL;
	for (i = 0; i < results->nr_policies; i++) {
		policy = policy_object(&results->policies[i], &results->stats[i], all);
		json_object_set_new(policy, "geometry", geometry_object(&results->policies[i]));
		json_object_set_new(policy, "allocation",
				    allocation_object(&results->policies[i], &results->stats[i]));
		json_object_set_new(policy, "assumptions",
				    assumptions_array(&results->policies[i], &results->stats[i], parts->traces));
		json_array_append_new(policies, policy);
	}
	rf_json_set_string(report, "schema", RF_REPORT_SCHEMA);
	json_object_set_new(report, "tool", json_pack("{s:s, s:s}", "name", "refold", "version", REFOLD_VERSION));
	json_object_set_new(report, "complete", json_boolean(all_complete(parts->traces)));
	json_object_set_new(report, "trace", sum_traces(parts->traces));
	json_object_set_new(report, "traces", parts->traces);
	json_object_set_new(report, "fidelity", fidelity_section(&results->fidelity));
	json_object_set_new(report, "policies", policies);
	json_object_set_new(report, "exposure", rf_exposure_array(policies));
	json_object_set_new(report, "windows", parts->windows);
	json_object_set_new(report, "processes", parts->processes);
	if (parts->intervals)
		json_object_set_new(report, "intervals", parts->intervals);
	if (parts->attributions)
		json_object_set_new(report, "attribution", parts->attributions);
	json_object_set_new(report, "trust",
			    trust_section(parts->trusts, results, all_complete(parts->traces)));
	json_decref(parts->trusts);
	json_object_set_new(report, "warnings", rf_report_warnings(report));
	return report;
}

json_t *rf_report_build(const struct rf_report_parts *parts, const struct rf_results *results)
{
	return report_of(parts, results, true);
}

int rf_report_not_json(const u8 *bytes, size_t size, const json_error_t *where, struct rf_error *err)
{
	const char *what = size ? rf_foreign_file(bytes, min_u64(size, RF_FOREIGN_BYTES)) : NULL;

	/* A report that was cut or damaged is one. */
	if (what && *bytes != '{')
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "not a report of 'refold replay -o', but %s", what);
	return rf_error_set(err, -EBADMSG, where->position < 0 ? RF_NO_OFFSET : (u64)where->position,
			    "not JSON (%.120s); give a report written by 'refold replay -o'", where->text);
}

json_t *rf_report_load(const char *path, struct rf_error *err)
{
	FILE *file = fopen(path, "re");
	u8 begin[RF_FOREIGN_BYTES];
	json_error_t where;
	size_t nr_begin = 0;
	const char *schema;
	json_t *report;
	bool unread;
	int error;

	if (!file) {
		rf_error_set(err, -errno, RF_NO_OFFSET, "cannot read: %s", strerror(errno));
		return NULL;
	}
	errno = 0;
	report = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
	/* jansson takes an error for the end of the file. */
	unread = ferror(file);
	error = errno ? errno : EIO;
	if (!report && !unread && !fseek(file, 0, SEEK_SET))
		nr_begin = fread(begin, 1, sizeof(begin), file);
	fclose(file);
	if (!report && unread) {
		rf_error_set(err, -error, RF_NO_OFFSET, "cannot read: %s", strerror(error));
		return NULL;
	}
	if (!report) {
		rf_report_not_json(begin, nr_begin, &where, err);
		return NULL;
	}
	schema = json_string_value(json_object_get(report, "schema"));
	if (schema && !strcmp(schema, RF_REPORT_SCHEMA) && json_is_array(json_object_get(report, "policies")))
		return report;
	if (schema && !strncmp(schema, "refold-report/", strlen("refold-report/")))
		rf_error_set(err, -EPROTO, RF_NO_OFFSET,
			     "is of schema %.40s, this refold reads %s; use the refold of then", schema, RF_REPORT_SCHEMA);
	else
		rf_error_set(err, -EPROTO, RF_NO_OFFSET, "not a refold report%s; give one written by 'refold replay -o'",
			     schema && !strncmp(schema, "refold-fleet/", strlen("refold-fleet/")) ?
			     ", but what 'refold merge' wrote" : "");
	json_decref(report);
	return NULL;
}
