// SPDX-License-Identifier: MIT
/* The header of an imported trace: that of a live recording as far as a trace.dat tells. */
#include <string.h>

#include "traces/events/header.h"
#include "traces/import/importing.h"

static void add_events(json_t *header, const struct importing *importing)
{
	for (size_t i = 0; i < rf_nr_events; i++) {
		const struct import_row *row = &importing->rows[i];

		if (row->used)
			rf_header_event(header, i, row->format->system, row->format->name, rf_events[i].filter);
		else if (!row->spare && !row->replaced)
			rf_header_missing_event(header, i, row->reason);
	}
}

/* Those a backend may stand for: 64 bits, little-endian. */
const char *rf_import_machine(const char *name)
{
	static const struct {
		const char *name, *machine;
	} machines[] = {
		{ "aarch64", "aarch64" }, { "arm64", "aarch64" },
		{ "x86_64", "x86_64" }, { "x86-64", "x86_64" }, { "amd64", "x86_64" },
		{ "riscv64", "riscv64" }, { "riscv", "riscv64" },
		{ "ppc64le", "ppc64le" }, { "ppc64el", "ppc64le" }, { "powerpc64le", "ppc64le" },
		{ "loongarch64", "loongarch64" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (!strcmp(machines[i].name, name))
			return machines[i].machine;
	return NULL;
}

/* As a live recording names it. */
static const char *fault_source(const struct importing *importing)
{
	enum rf_fault_source source = RF_FAULTS_TRACEPOINT;

	for (size_t i = 0; i < rf_nr_events; i++)
		if (rf_events[i].kind == RF_FAULT && rf_events[i].need == RF_NEED_STAND_IN && importing->rows[i].used)
			source = RF_FAULTS_KPROBE;
	return rf_fault_sources[source].name;
}

char *import_header(const struct importing *importing)
{
	const struct rf_dat *dat = &importing->dat;
	struct rf_capabilities capabilities = rf_decoder_capabilities(importing->decoder);
	json_t *header = json_object();
	char *text;

	rf_header_begin(header, &importing->kernel, importing->decoder);
	rf_header_set(header, RF_HEADER_CAPABILITIES, rf_capabilities_json(&capabilities));
	add_events(header, importing);
	rf_header_set_string(header, RF_HEADER_CALLS, rf_decoder_has_calls_by_number(importing->decoder) ?
						      "raw_syscalls" : "syscalls");
	rf_header_set_truth(header, RF_HEADER_COMPAT_CALLS, importing->kernel.compat && importing->has_numbers);
	rf_header_set_string(header, RF_HEADER_CLOCK, dat->clock[0] ? dat->clock : "unknown");
	rf_header_set_integer(header, RF_HEADER_CPUS, importing->nr_cpus);
	rf_header_set_string(header, RF_HEADER_FAULTS, fault_source(importing));
	rf_header_set_string(header, RF_HEADER_MODE, "import");
	rf_header_set(header, RF_HEADER_RECORDER, json_sprintf("trace-cmd %s", dat->tool[0] ? dat->tool : "unknown"));
	rf_header_set_truth(header, RF_HEADER_SIDE_BAND, false);
	rf_header_set_truth(header, RF_HEADER_SNAPSHOTS, false);
	rf_header_set_string(header, RF_HEADER_TOOL, "refold " REFOLD_VERSION);
	text = rf_header_text(header);
	json_decref(header);
	return text;
}
