// SPDX-License-Identifier: MIT
/*
 * refold dump: a trace as text. In file order it holds everything and can be
 * assembled again; sorted by time it is for reading.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/commands/commands.h"
#include "traces/merge.h"

#define READ_RECORDS 1024
#define LINE_MAX_BYTES 512

static const char help[] =
	"usage: refold dump TRACE [-o TEXT]\n\n"
	"Writes a trace as text that 'refold assemble' turns into the same trace again.\n\n"
	"  -o, --output FILE  write to FILE (default: standard output)\n"
	"  -s, --sorted       records only, of all streams in order of time: for reading\n"
	"  -h, --help         this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 damaged or cut trace (what is readable is written).\n";

struct arguments {
	const char *trace, *output;
	bool sorted;
};

static int dump_sorted(struct rf_reader *reader, FILE *out, struct rf_error *err)
{
	struct rf_merge *merge = rf_merge_open(reader, NULL, err);
	struct rf_record *records = malloc(READ_RECORDS * sizeof(*records));
	char line[LINE_MAX_BYTES];
	size_t nr;

	if (merge && !records)
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	while (merge && records && (nr = rf_merge_read(merge, records, READ_RECORDS)) && !ferror(out)) {
		for (size_t i = 0; i < nr; i++) {
			rf_text_record(&records[i], line, sizeof(line));
			fputs(line, out);
			putc('\n', out);
		}
	}
	free(records);
	rf_merge_close(merge);
	return merge && records ? 0 : err->code;
}

static int dump(const struct arguments *arguments)
{
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(arguments->trace, &err);
	const struct rf_error *damage;
	int code = RF_EXIT_DONE, written, ret;
	struct rf_command_output out;

	if (!reader)
		return rf_command_error(arguments->trace, &err);
	if (!rf_command_output_open(&out, arguments->output)) {
		rf_reader_close(reader);
		return RF_EXIT_FAILED;
	}
	ret = arguments->sorted ? dump_sorted(reader, out.file, &err) : rf_text_dump(reader, out.file, &err);
	/* Where the output is what failed, closing it says so, once. */
	if (ret && !ferror(out.file))
		code = rf_command_error(arguments->trace, &err);
	damage = rf_reader_damage(reader);
	if (!ret && damage)
		code = rf_command_error(arguments->trace, damage);
	written = rf_command_output_close(&out);
	rf_reader_close(reader);
	return written == RF_EXIT_DONE ? code : written;
}

int rf_cmd_dump(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "sorted", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "dump", help, "o:sh", options };
	struct arguments arguments = { .output = "-" };
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'o':
			arguments.output = optarg;
			break;
		case 's':
			arguments.sorted = true;
			break;
		}
	}
	if (option < 0)
		return code;
	if (argc - optind != 1)
		return rf_command_usage("dump", "needs one trace");
	arguments.trace = argv[optind];
	if (rf_command_not_input("dump", arguments.output, arguments.trace))
		return RF_EXIT_USAGE;
	return dump(&arguments);
}
