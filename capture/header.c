// SPDX-License-Identifier: MIT
/*
 * The header of a recording. Names of paths, arguments and environment never get
 * in: of the command only the program's own name is kept.
 */
#include "capture/header.h"

#include <time.h>
#include <unistd.h>

#include "capture/kernel.h"
#include "traces/events/header.h"

static void add_events(json_t *header, const struct rf_header_facts *facts)
{
	char filter[RF_FILTER_MAX];

	for (size_t i = 0; i < rf_nr_events; i++) {
		switch (facts->status[i].state) {
		case RF_EVENT_ON:
			rf_header_event(header, i, rf_events[i].system, rf_events[i].name,
					rf_session_filter(facts->session, i, filter) ? filter : NULL);
			break;
		case RF_EVENT_FOUND:
		case RF_EVENT_SPARE:
			break;		/* left out on purpose */
		default:
			if (!facts->status[i].replaced)
				rf_header_missing_event(header, i, facts->status[i].reason);
		}
	}
}

static json_t *privacy(void)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "arguments", "dropped",
			 "build_ids", "kept", "contents", "dropped", "file_names", "dropped", "kernel_addresses",
			 "pseudonymised", "inode_numbers", "kept", "marks", "kept", "page_frames", "kept", "pids",
			 "kept", "program_names", "kept", "program_paths", "kept", "user_addresses", "kept");
}

/* What this kernel does and what it is set to. */
static void add_kernel(json_t *header, const struct rf_kernel *kernel, const struct rf_decoder *decoder)
{
	struct rf_capabilities capabilities = rf_decoder_capabilities(decoder);
	u64 fault_around = rf_kernel_fault_around_bytes();

	rf_kernel_capabilities(kernel, &capabilities);
	rf_header_set(header, RF_HEADER_CAPABILITIES, rf_capabilities_json(&capabilities));
	if (fault_around)
		rf_header_set_integer(header, RF_HEADER_FAULT_AROUND_BYTES, fault_around);
	rf_header_set_truth(header, RF_HEADER_KSM, rf_kernel_ksm_runs());
	rf_header_set(header, RF_HEADER_READAHEAD_BYTES, rf_kernel_readahead());
	rf_header_set(header, RF_HEADER_THP, rf_kernel_thp_settings());
}

/* Whom is recorded. */
static void add_pids(json_t *header, const struct rf_header_facts *facts)
{
	json_t *pids = json_array();

	if (facts->pid)
		rf_header_set_integer(header, RF_HEADER_PID, (u64)facts->pid);
	for (size_t i = 0; facts->pids && i < facts->pids->nr; i++)
		json_array_append_new(pids, json_integer(facts->pids->pids[i]));
	rf_header_set(header, RF_HEADER_PIDS, pids);
}

/* Whose they are, the side-band tells. */
static bool has_compat_calls(const struct rf_header_facts *facts)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (rf_events[i].kind == RF_BY_NUMBER && facts->status[i].state != RF_EVENT_ON)
			return false;
	return facts->kernel->compat && facts->side_band;
}

char *rf_header_json(const struct rf_header_facts *facts)
{
	json_t *header = json_object();
	char *text;

	rf_header_begin(header, facts->kernel, facts->decoder);
	add_events(header, facts);
	add_kernel(header, facts->kernel, facts->decoder);
	add_pids(header, facts);
	rf_header_set_integer(header, RF_HEADER_BUFFER_BYTES_PER_CPU, facts->buffer_bytes);
	rf_header_set_string(header, RF_HEADER_CALLS, rf_decoder_has_calls_by_number(facts->decoder) ?
						      "raw_syscalls" : "syscalls");
	rf_header_set_string(header, RF_HEADER_CLOCK, "mono");
	if (facts->command)
		rf_header_set_string(header, RF_HEADER_COMMAND, facts->command);
	rf_header_set_truth(header, RF_HEADER_COMPAT_CALLS, has_compat_calls(facts));
	rf_header_set_integer(header, RF_HEADER_CPUS, (u64)sysconf(_SC_NPROCESSORS_ONLN));
	rf_header_set_string(header, RF_HEADER_FAULTS, rf_fault_sources[facts->faults].name);
	if (facts->labels && facts->labels->nr)
		rf_header_set(header, RF_HEADER_LABELS, rf_labels_json(facts->labels));
	rf_header_set_string(header, RF_HEADER_MODE, facts->mode);
	rf_header_set(header, RF_HEADER_PRIVACY, privacy());
	rf_header_set_truth(header, RF_HEADER_SIDE_BAND, facts->side_band);
	rf_header_set_truth(header, RF_HEADER_SNAPSHOTS, facts->snapshots);
	rf_header_set_integer(header, RF_HEADER_START_TIME_S, (u64)time(NULL));
	rf_header_set_string(header, RF_HEADER_TOOL, "refold-capture " REFOLD_VERSION);
	if (facts->privacy)
		rf_privacy_header(facts->privacy, header);
	text = rf_header_text(header);
	json_decref(header);
	return text;
}
