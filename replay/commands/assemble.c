// SPDX-License-Identifier: MIT
/* refold assemble: a trace from its text form, for tests, examples and what no kernel did yet. */
#include <errno.h>
#include <string.h>

#include "replay/commands/commands.h"
#include "traces/trace.h"

static const char help[] =
	"usage: refold assemble TEXT -o TRACE.mmt.zst\n\n"
	"Makes a trace of the text that 'refold dump' writes or a person wrote (\"-\": standard input).\n\n"
	"  -o, --output FILE  the trace to write; \"-\": standard output\n"
	"  -h, --help         this text\n\n"
	"A line is one record: TIME [tid=N] KIND [FIELD=VALUE...]; TIME may be +N, from the record before. What is left\n"
	"out is 0; # begins a comment line. Header, stream, frame and end lines may be left out; traces/FORMAT.md\n"
	"lists them and the kinds.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static int assemble(const char *text, const char *output)
{
	bool standard = !strcmp(text, "-");
	FILE *in = standard ? stdin : fopen(text, "re");
	struct rf_error err;
	int ret;

	if (!in)
		return rf_command_errno(text, "cannot open", errno);
	ret = rf_text_assemble(in, output, &err);
	if (!standard)
		fclose(in);
	if (!ret)
		return RF_EXIT_DONE;
	/* -EINVAL is about the text; anything else is about the file that was to be written. */
	if (err.code == -EINVAL)
		return rf_command_line_error(standard ? "standard input" : text, &err);
	return rf_command_error(output, &err);
}

int rf_cmd_assemble(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "assemble", help, "o:h", options };
	const char *output = NULL;
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'o':
			output = optarg;
			break;
		}
	}
	if (option < 0)
		return code;
	if (argc - optind != 1)
		return rf_command_usage("assemble", "needs one text file, or - for standard input");
	if (!output)
		return rf_command_usage("assemble", "needs -o TRACE.mmt.zst");
	if (rf_command_not_input("assemble", output, argv[optind]))
		return RF_EXIT_USAGE;
	return assemble(argv[optind], rf_command_trace_output(output));
}
