// SPDX-License-Identifier: MIT
/* refold anonymize: the same trace without what is private in it, for others to look at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/commands/commands.h"
#include "traces/trace.h"

#define READ_RECORDS 1024

static const char help[] =
	"usage: refold anonymize TRACE -o TRACE.mmt.zst\n\n"
	"Writes a trace that replays to the same counts and holds no numbers of processes, page frames and inodes, no\n"
	"names and build ids of programs and no marks but those that name windows. Addresses move by a multiple of 4 TiB,\n"
	"which hides them from a search only.\n\n"
	"  -o, --output FILE  the trace to write; \"-\": standard output\n"
	"      --keep LIST    what to leave as it is, of pid,comm,addr,pfn,inode,marks,build,path\n"
	"      --hide LIST    what to hide, and nothing else; marks: those that name windows, too\n"
	"  -h, --help         this text\n\n"
	"The key is made anew each time and not stored. refold-trace(5) says what becomes of what.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 damaged or cut trace (what is readable is written).\n";

struct arguments {
	const char *trace, *output;
	u32 hidden;
	bool no_marks;
};

/* Every record of the trace, in the order of the file. */
static int copy_records(struct rf_reader *reader, struct rf_writer *writer, struct rf_error *err)
{
	struct rf_record *records = malloc(READ_RECORDS * sizeof(*records));
	struct rf_cursor *cursor = rf_cursor_open(reader, -1, NULL);
	int ret = records && cursor ? 0 : rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	size_t nr;

	while (!ret && (nr = rf_cursor_read(cursor, records, READ_RECORDS)))
		for (size_t i = 0; i < nr && !ret; i++)
			ret = rf_writer_append(writer, records[i].stream, &records[i], 1, err);
	for (size_t i = 0; i < rf_reader_nr_streams(reader) && !ret; i++)
		ret = rf_writer_lost(writer, (int)i, rf_reader_lost_at_end(reader, i), err);
	rf_cursor_close(cursor);
	free(records);
	return ret;
}

static struct rf_writer *begin(struct rf_reader *reader, const char *output, const struct rf_privacy *privacy,
			       struct rf_error *err)
{
	json_t *header = json_deep_copy(rf_reader_header(reader));
	struct rf_writer *writer;
	char *text;
	int ret = 0;

	rf_privacy_header(privacy, header);
	text = rf_header_text(header);
	json_decref(header);
	writer = rf_writer_create(output, text, (int)rf_reader_header_u64(reader, RF_HEADER_ZSTD_LEVEL, 3), err);
	free(text);
	if (!writer)
		return NULL;
	rf_writer_hide(writer, privacy);
	for (size_t i = 0; i < rf_reader_nr_streams(reader) && ret >= 0; i++)
		ret = rf_writer_add_stream(writer, rf_reader_stream(reader, i));
	if (ret >= 0)
		return writer;
	rf_error_set(err, ret, RF_NO_OFFSET, "cannot add a stream: %s", strerror(-ret));
	rf_writer_abandon(writer);
	return NULL;
}

static int anonymize_to(struct rf_reader *reader, const struct arguments *arguments, const struct rf_privacy *privacy)
{
	const struct rf_trace_summary *summary = rf_reader_summary(reader);
	struct rf_error err;
	struct rf_writer *writer = begin(reader, arguments->output, privacy, &err);

	if (!writer)
		return rf_command_error(arguments->output, &err);
	if (copy_records(reader, writer, &err)) {
		rf_writer_abandon(writer);
		return rf_command_error(arguments->output, &err);
	}
	if (rf_writer_close(writer, summary->complete ? summary->end : RF_END_NONE, &err))
		return rf_command_error(arguments->output, &err);
	if (rf_reader_damage(reader))
		return rf_command_error(arguments->trace, rf_reader_damage(reader));
	return summary->complete ? RF_EXIT_DONE : RF_EXIT_DAMAGED;
}

static int anonymize(const struct arguments *arguments)
{
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(arguments->trace, &err);
	struct rf_privacy *privacy;
	int code;

	if (!reader)
		return rf_command_error(arguments->trace, &err);
	privacy = rf_privacy_create(arguments->hidden, arguments->no_marks, &err);
	code = privacy ? anonymize_to(reader, arguments, privacy) : rf_command_error(arguments->output, &err);
	rf_privacy_destroy(privacy);
	rf_reader_close(reader);
	return code;
}

int rf_cmd_anonymize(int argc, char **argv)
{
	enum { OPTION_KEEP = 256, OPTION_HIDE };
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "keep", required_argument, NULL, OPTION_KEEP },
		{ "hide", required_argument, NULL, OPTION_HIDE },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "anonymize", help, "o:h", options };
	struct arguments arguments = { .hidden = RF_PRIVATE_ALL };
	u32 kept = 0;
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'o':
			arguments.output = optarg;
			break;
		case OPTION_KEEP:
			if (!rf_privacy_parse(optarg, &kept))
				return rf_command_usage("anonymize", "--keep %s: not of pid,comm,addr,pfn,inode,marks,build,path",
							optarg);
			break;
		case OPTION_HIDE:
			if (!rf_privacy_parse(optarg, &arguments.hidden))
				return rf_command_usage("anonymize", "--hide %s: not of pid,comm,addr,pfn,inode,marks,build,path",
							optarg);
			arguments.no_marks = arguments.hidden & BIT(RF_PRIVATE_MARKS);
			break;
		}
	}
	if (option < 0)
		return code;
	arguments.hidden &= ~kept;
	if (argc - optind != 1)
		return rf_command_usage("anonymize", "needs one trace");
	if (!arguments.output)
		return rf_command_usage("anonymize", "needs -o TRACE.mmt.zst");
	arguments.trace = argv[optind];
	if (rf_command_not_input("anonymize", arguments.output, arguments.trace))
		return RF_EXIT_USAGE;
	arguments.output = rf_command_trace_output(arguments.output);
	return anonymize(&arguments);
}
