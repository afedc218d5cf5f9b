// SPDX-License-Identifier: MIT
/*
 * The report's answer to "can I trust this?": one word with a rule (docs/trust.md), and what it rests on: the address
 * spaces that are marked, with reasons, and what share of the counts is theirs; processes that losses hid; doubts.
 */
#include "arch/counters.h"
#include "replay/report/json.h"

/* ---- of one trace ------------------------------------------------------------ */

static u64 since(u64 time, u64 first_time)
{
	return time > first_time ? time - first_time : 0;
}

static json_t *mark_object(const struct rf_mark *mark, u64 first_time)
{
	json_t *object = json_object();

	rf_json_set_string(object, "reason", rf_reason_names[mark->reason]);
	rf_json_set_count(object, "since_ns", since(mark->time, first_time));
	rf_json_set_count(object, "record", mark->record);
	rf_json_set_count(object, "times", mark->nr);
	return object;
}

static json_t *marked_object(const struct rf_results *results, const struct rf_marked_mm *mm, u64 first_time)
{
	const struct rf_process *process =
		&results->processes.list[rf_process_of(&results->processes, mm->mm)];
	json_t *object = json_object(), *reasons = json_array();

	for (u32 at = mm->first; at; at = results->trust.marks[at - 1].next)
		json_array_append_new(reasons, mark_object(&results->trust.marks[at - 1], first_time));
	rf_json_set_count(object, "mm", mm->mm);
	rf_json_set_count(object, "pid", process->pid);
	rf_json_set_string(object, "command", process->command);
	rf_json_set_count(object, "since_ns", rf_json_number(json_array_get(reasons, 0), "since_ns"));
	if (mm->until)
		rf_json_set_count(object, "until_ns", since(mm->until, first_time));
	json_object_set_new(object, "reasons", reasons);
	return object;
}

/* What the side band called it last, if it told. */
static const char *command_of(const struct rf_processes *processes, u32 pid)
{
	for (u32 i = processes->nr; i-- > 1;)
		if (processes->list[i].pid == pid)
			return processes->list[i].command;
	return "";
}

json_t *trust_of_trace(const char *name, const struct rf_results *results, u64 first_time)
{
	const struct rf_trust *trust = &results->trust;
	json_t *object = json_object(), *marked = json_array(), *hidden = json_array(), *doubts = json_object(), *entry;

	for (u32 i = 0; i < trust->nr_mms; i++) {
		if (!trust->mms[i].known)
			continue;
		entry = marked_object(results, &trust->mms[i], first_time);
		rf_json_set_string(entry, "trace", name);
		json_array_append_new(marked, entry);
	}
	for (u32 i = 0; i < trust->nr_hidden; i++) {
		entry = json_object();
		rf_json_set_count(entry, "pid", trust->hidden[i].pid);
		rf_json_set_string(entry, "command", command_of(&results->processes, trust->hidden[i].pid));
		rf_json_set_count(entry, "since_ns", since(trust->hidden[i].time, first_time));
		rf_json_set_string(entry, "trace", name);
		json_array_append_new(hidden, entry);
	}
	for (u32 i = 0; i < RF_NR_REASONS; i++)
		if (trust->doubts[i])
			rf_json_set_count(doubts, rf_reason_names[i], trust->doubts[i]);
	json_object_set_new(object, "marked", marked);
	json_object_set_new(object, "hidden", hidden);
	json_object_set_new(object, "doubts", doubts);
	json_object_set_new(object, "shares", json_array());
	for (size_t k = 0; k < results->nr_policies; k++) {
		json_t *share = row_object(&results->marked[k].counters, results->marked[k].operations);

		json_array_append_new(json_object_get(object, "shares"), share);
	}
	return object;
}

/* ---- of the report ----------------------------------------------------------- */

/* The sums of the counters of a policy's share over traces. */
static json_t *share_object(const char *policy, const json_t *trusts, size_t number)
{
	struct arch_counters nothing = { 0 };
	json_t *sum = row_object(&nothing, 0), *value;
	const json_t *trust;
	const char *key;
	size_t i;

	json_array_foreach(trusts, i, trust) {
		json_t *share = json_array_get(json_object_get(trust, "shares"), number);

		json_object_foreach(share, key, value)
			rf_json_set_count(sum, key, rf_json_number(sum, key) + json_integer_value(value));
	}
	return json_pack("{s:s, s:o}", "name", policy, "totals", sum);
}

static void count_reasons(json_t *counts, const json_t *marked)
{
	const json_t *mm, *mark;
	size_t i, k;

	json_array_foreach(marked, i, mm) {
		json_array_foreach(json_object_get(mm, "reasons"), k, mark) {
			const char *reason = rf_json_string(mark, "reason");

			rf_json_set_count(counts, reason, rf_json_number(counts, reason) + 1);
		}
	}
}

static void merge(json_t *marked, json_t *hidden, json_t *doubts, const json_t *trusts)
{
	const json_t *trust;
	json_t *value;
	const char *key;
	size_t i;

	json_array_foreach(trusts, i, trust) {
		json_array_extend(marked, json_object_get(trust, "marked"));
		json_array_extend(hidden, json_object_get(trust, "hidden"));
		json_object_foreach(json_object_get(trust, "doubts"), key, value)
			rf_json_set_count(doubts, key, rf_json_number(doubts, key) + json_integer_value(value));
	}
}

const char *trust_word(const json_t *trust, bool complete, u64 compared)
{
	if (!complete || !compared || json_object_size(json_object_get(trust, "doubts")))
		return "doubtful";
	if (json_array_size(json_object_get(trust, "marked")) || json_array_size(json_object_get(trust, "hidden")))
		return "marked";
	return "exact";
}

json_t *trust_section(const json_t *trusts, const struct rf_results *results, bool complete)
{
	json_t *section = json_object(), *marked = json_array(), *hidden = json_array(), *doubts = json_object();
	json_t *reasons = json_object(), *shares = json_array();

	merge(marked, hidden, doubts, trusts);
	if (!complete)
		rf_json_set_count(doubts, rf_reason_names[RF_REASON_incomplete], 1);
	if (!results->fidelity.processes_compared)
		rf_json_set_count(doubts, rf_reason_names[RF_REASON_nothing_compared], 1);
	count_reasons(reasons, marked);
	for (size_t k = 0; k < results->nr_policies; k++)
		json_array_append_new(shares, share_object(results->policies[k].name, trusts, k));
	rf_json_set_count(section, "address_spaces", results->fidelity.mms);
	rf_json_set_count(section, "marked_address_spaces", json_array_size(marked));
	rf_json_set_count(section, "hidden_processes", json_array_size(hidden));
	json_object_set_new(section, "hidden_processes_known",
			    json_boolean(!json_object_get(doubts, rf_reason_names[RF_REASON_hidden_unknown])));
	json_object_set_new(section, "marked", marked);
	json_object_set_new(section, "hidden", hidden);
	json_object_set_new(section, "doubts", doubts);
	json_object_set_new(section, "reasons", reasons);
	json_object_set_new(section, "shares", shares);
	rf_json_set_string(section, "word", trust_word(section, complete, results->fidelity.processes_compared));
	return section;
}
