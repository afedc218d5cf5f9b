// SPDX-License-Identifier: MIT
/* refold import: what trace-cmd recorded becomes a trace to replay. */
#include <string.h>

#include "traces/import/import.h"
#include "replay/commands/commands.h"

static const char help[] =
	"usage: refold import TRACE.dat -o TRACE.mmt.zst\n\n"
	"Makes a trace of what trace-cmd recorded, on this machine or another.\n\n"
	"  -o, --output FILE             the trace to write; \"-\": standard output\n"
	"      --fault-event SYSTEM:NAME the probe on handle_mm_fault() that tells the page faults, if its name does not\n"
	"      --arch MACHINE            where it was recorded, as uname -m says, for files that do not tell\n"
	"  -h, --help                    this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 damaged: the trace holds what could be read, marked.\n";

static int import(const struct rf_import_options *options)
{
	struct rf_import_result result;
	struct rf_error err = { 0 };
	int ret;

	if (options->machine && !rf_import_machine(options->machine))
		return rf_command_usage("import", "--arch %s: no machine that can be replayed; aarch64, x86_64, riscv64, "
					"ppc64le and loongarch64 can", options->machine);
	ret = rf_import(options, &result, &err);
	for (u32 i = 0; i < result.nr_warnings; i++)
		fprintf(stderr, "refold: %s: warning: %s\n", options->input, result.warnings[i]);
	if (result.lost)
		fprintf(stderr, "refold: %s: warning: trace-cmd lost %llu events\n", options->input,
			(unsigned long long)result.lost);
	if (result.wrote)
		fprintf(stderr, "refold: %s: %llu records of %llu events, %llu bytes%s\n", options->output,
			(unsigned long long)result.records, (unsigned long long)result.events,
			(unsigned long long)result.bytes, ret ? "; marked as incomplete" : "");
	return ret ? rf_command_error(result.output_failed ? options->output : options->input, &err) : RF_EXIT_DONE;
}

int rf_cmd_import(int argc, char **argv)
{
	static const struct option options[] = {
		{ "arch", required_argument, NULL, 'a' },
		{ "fault-event", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "output", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "import", help, "o:h", options };
	struct rf_import_options wanted = { 0 };
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'a':
			wanted.machine = optarg;
			break;
		case 'f':
			wanted.fault_event = optarg;
			break;
		case 'o':
			wanted.output = optarg;
			break;
		}
	}
	if (option < 0)
		return code;
	if (argc - optind != 1)
		return rf_command_usage("import", "needs one trace.dat");
	if (!wanted.output)
		return rf_command_usage("import", "needs -o TRACE.mmt.zst");
	if (wanted.fault_event && !strchr(wanted.fault_event, ':'))
		return rf_command_usage("import", "--fault-event %s: write SYSTEM:NAME", wanted.fault_event);
	if (rf_command_not_input("import", wanted.output, argv[optind]))
		return RF_EXIT_USAGE;
	wanted.output = rf_command_trace_output(wanted.output);
	wanted.input = argv[optind];
	return import(&wanted);
}
