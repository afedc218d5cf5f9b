// SPDX-License-Identifier: MIT
/*
 * What a reader must know before he believes a number. The limits are here and nowhere else: below 99.9 % of anything
 * that was measured, or with anything lost, a report says so before it says anything else.
 */
#include <stdarg.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/report/report.h"

static void warn(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(json_t *list, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	json_array_append_new(list, json_vsprintf(format, args));
	va_end(args);
}

/* Fewer than 99.9 % of the whole. */
static bool poor(u64 good, u64 whole)
{
	return (unsigned __int128)good * 1000 < (unsigned __int128)whole * 999;
}

static void warn_of_damage(json_t *list, const json_t *report)
{
	const json_t *traces = json_object_get(report, "traces"), *trace, *damage;
	size_t i;

	json_array_foreach(traces, i, trace) {
		const char *name = rf_json_string(trace, "name");

		if (json_is_true(json_object_get(trace, "complete")))
			continue;
		damage = json_array_get(json_object_get(trace, "damage"), 0);
		if (damage)
			warn(list, "%s is damaged at byte %llu (%s): the results cover only what could be read", name,
			     (unsigned long long)rf_json_number(damage, "offset_bytes"),
			     rf_json_string(damage, "reason"));
		else
			warn(list, "%s has no end: it was cut, and the results cover only what is there", name);
	}
}

static void warn_of_losses(json_t *list, const json_t *report)
{
	const json_t *trace = json_object_get(report, "trace");
	u64 lost = rf_json_number(trace, "lost_events");

	if (lost)
		warn(list, "%llu events were lost beside %llu that were recorded: counts are too low and may be wrong",
		     (unsigned long long)lost, (unsigned long long)rf_json_number(trace, "records"));
}

/* What has a warning of its own is not said twice. */
static bool is_said(enum rf_reason reason)
{
	return reason == RF_REASON_incomplete || reason == RF_REASON_nothing_compared;
}

static void warn_of_distrust(json_t *list, const json_t *trust, u64 lost)
{
	const json_t *doubts = json_object_get(trust, "doubts");
	u64 marked = rf_json_number(trust, "marked_address_spaces"), hidden = rf_json_number(trust, "hidden_processes");

	for (u32 i = 0; i < RF_NR_REASONS; i++)
		if (json_object_get(doubts, rf_reason_names[i]) && !is_said(i))
			warn(list, "doubtful, %s: %s", rf_reason_names[i], rf_reason_meanings[i]);
	if (hidden)
		warn(list, "%s%llu processes ran that the replay does not have: %s",
		     json_is_true(json_object_get(trust, "hidden_processes_known")) ? "" : "at least ",
		     (unsigned long long)hidden, lost ? "their births were lost" :
		     "they ended before they were looked at");
	if (marked)
		warn(list, "%llu of %llu address spaces are marked: they cannot be relied on",
		     (unsigned long long)marked, (unsigned long long)rf_json_number(trust, "address_spaces"));
}

static void warn_of_poor_fidelity(json_t *list, const json_t *fidelity)
{
	static const struct {
		const char *key, *text;
	} parts[] = {
		{ "present", "are present" }, { "pfn", "have the right page frame" },
		{ "order", "have the right folio order" },
	};
	u64 ptes = rf_json_number(fidelity, "ptes"), ok, bad;
	char percent[32];
	size_t i;

	if (!ptes)
		warn(list, "no final snapshot to compare with: how faithful the replay is, is not known");
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (poor(rf_json_number(fidelity, parts[i].key), ptes))
			warn(list, "only %s of the snapshots' entries %s",
			     rf_percent(rf_json_number(fidelity, parts[i].key), ptes, percent, sizeof(percent)),
			     parts[i].text);
	if (poor(ptes, ptes + rf_json_number(fidelity, "extra")))
		warn(list, "the replay holds %llu entries that the snapshots do not have",
		     (unsigned long long)rf_json_number(fidelity, "extra"));
	ok = rf_json_number(fidelity, "fault_checks_ok");
	bad = rf_json_number(fidelity, "fault_checks_bad");
	if (poor(ok, ok + bad))
		warn(list, "only %s of the faults hit an entry as their error code says",
		     rf_percent(ok, ok + bad, percent, sizeof(percent)));
	ok = rf_json_number(fidelity, "rss_checks_ok");
	bad = rf_json_number(fidelity, "rss_checks_bad");
	if (poor(ok, ok + bad))
		warn(list, "only %s of the RSS counters agree", rf_percent(ok, ok + bad, percent, sizeof(percent)));
}

static void warn_of_windows(json_t *list, const json_t *report)
{
	u64 left_out = rf_json_number(json_object_get(report, "trace"), "windows_left_out");

	if (left_out)
		warn(list, "%llu windows behind the first %d of a trace are left out; choose fewer with --window-begin",
		     (unsigned long long)left_out, RF_MAX_WINDOWS);
}

static void warn_of_anomalies(json_t *list, const json_t *policies)
{
	const char *name;
	json_t *policy, *number;
	size_t i;

	json_array_foreach(policies, i, policy)
		json_object_foreach(json_object_get(policy, "anomalies"), name, number)
			if (json_integer_value(number) && strcmp(name, rf_anomaly_names[RF_ANOMALY_kernel_warning]))
				warn(list, "%s: the machine met %lld operations it did not expect (%s)",
				     rf_json_string(policy, "name"),
				     (long long)json_integer_value(number), name);
}

/* Each place in the kernel's code that warned. */
static void warn_of_backends(json_t *list, const json_t *policies)
{
	const json_t *policy, *warning;
	size_t i, k;

	json_array_foreach(policies, i, policy)
		json_array_foreach(json_object_get(json_object_get(policy, "backend"), "warnings"), k, warning)
			warn(list, "%.120s: its code warned %lld times at %.120s: %.120s", rf_json_string(policy, "name"),
			     (long long)rf_json_number(warning, "count"), rf_json_string(warning, "where"),
			     rf_json_string(warning, "what"));
}

static bool folded(const json_t *policy)
{
	static const char *const counters[] = { "fold", "born", "loaded_blocks" };
	const json_t *totals = json_object_get(policy, "totals");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (rf_json_number(totals, counters[i]))
			return true;
	return false;
}

/* The first policy that could fold, where none that could did, with all that faults brought; else NULL. */
static const json_t *never_folded(const json_t *policies)
{
	const json_t *policy, *first = NULL;
	size_t i;

	json_array_foreach(policies, i, policy) {
		if (rf_json_number(json_object_get(policy, "geometry"), "block_entries") <= 1)
			continue;
		if (folded(policy) || !rf_json_number(json_object_get(policy, "totals"), "faults"))
			return NULL;
		if (!first)
			first = policy;
	}
	return first;
}

/*
 * Its anonymous folios are those of the recording, and on average smaller than a block: larger ones are a question that
 * can be asked. Not where all are huge pages, which stay what they are.
 */
static bool has_small_folios(const json_t *policy)
{
	const json_t *totals = json_object_get(policy, "totals");
	u64 pages = rf_json_number(totals, "pages_zeroed") + rf_json_number(totals, "pages_copied");
	u64 entries = rf_json_number(json_object_get(policy, "geometry"), "block_entries");

	return !json_object_get(policy, "allocation") && pages < rf_json_number(totals, "folios_allocated") * entries;
}

/* The recorded machine had no folios that a block could be made of. */
static void warn_of_nothing_to_fold(json_t *list, const json_t *policies)
{
	const json_t *policy = never_folded(policies);
	u64 size = rf_json_number(json_object_get(policy, "geometry"), "block_size_bytes");
	bool mib = size >> 20;
	unsigned long long number = size >> (mib ? 20 : 10);
	char hint[60] = "";

	if (!policy)
		return;
	if (size >= 16 << 10 && size <= 2 << 20 && has_small_folios(policy))	/* values of anon_folios= */
		snprintf(hint, sizeof(hint), "; try +anon_folios=%llu%s", number, mib ? "m" : "k");
	warn(list, "no folio of %llu %s was ever mapped whole by entries here: there was nothing to fold%s", number,
	     mib ? "MiB" : "KiB", hint);
}

json_t *rf_report_warnings(const json_t *report)
{
	const char *nothing = rf_report_nothing(report);
	json_t *list = json_array();

	warn_of_damage(list, report);
	warn_of_losses(list, report);
	warn_of_distrust(list, json_object_get(report, "trust"),
			 (u64)rf_json_number(json_object_get(report, "trace"), "lost_events"));
	if (nothing)
		warn(list, "nothing was replayed: %s", nothing);
	warn_of_poor_fidelity(list, json_object_get(report, "fidelity"));
	warn_of_anomalies(list, json_object_get(report, "policies"));
	warn_of_backends(list, json_object_get(report, "policies"));
	warn_of_windows(list, report);
	if (!nothing)
		warn_of_nothing_to_fold(list, json_object_get(report, "policies"));
	return list;
}
