// SPDX-License-Identifier: MIT
/* refold html: a page to look at, to print and to mail, of reports or of many traces. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "replay/commands/commands.h"
#include "replay/commands/fleet_sources.h"
#include "replay/page/page.h"
#include "replay/report/report.h"

static const char help[] =
	"usage: refold html REPORT.json... -o PAGE.html\n"
	"       refold html STORE.db | DIRECTORY | MERGED.json... [--pages DIR] -o PAGE.html\n\n"
	"Writes one file for a browser, which needs nothing else: no network, no other file. Of reports it shows how\n"
	"far to trust them, what differs between their policies, where, when and by whom; of a store, a directory of\n"
	"reports or what 'refold merge' wrote, how counters spread over the traces, the worst and groups by label.\n\n"
	"  -o, --output FILE  where to; \"-\": standard output\n"
	"      --pages DIR    link traces to pages of their own in this directory, if they are there:\n"
	"                     DIGEST.html, or the name of the trace with .html (redis.mmt.zst.html, redis.html)\n"
	"  -h, --help         this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 not all could be read (of many: the page is of the rest).\n";

struct arguments {
	const char *output, *pages;
	char **sources;
	int nr;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int not_built(void)
{
	fputs("refold: this refold was built without its page: install nodejs and npm, run 'npm ci --prefix "
	      "replay/page/web' and 'meson setup --reconfigure build' where it is built\n", stderr);
	return RF_EXIT_FAILED;
}

static int write_page(const char *path, const json_t *page)
{
	size_t size = rf_page_size(page) + rf_page_template.before_size + rf_page_template.behind_size;
	struct rf_command_output output;

	if (!rf_command_output_open(&output, path))
		return RF_EXIT_FAILED;
	if (size > RF_PAGE_MAX)
		fprintf(stderr, "refold: %s: is of %zu bytes, more than mails take: give fewer reports or policies\n",
			path, size);
	/* What the file did not take is told when it is closed. */
	if (rf_page_write(page, output.file) && !ferror(output.file)) {
		rf_command_output_abandon(&output);
		return rf_command_errno(path, "cannot write", ENOMEM);
	}
	return rf_command_output_close(&output);
}

static int page_of_reports(const struct arguments *arguments)
{
	json_t **reports = calloc((size_t)arguments->nr, sizeof(*reports)), *page = NULL;
	const char **names = calloc((size_t)arguments->nr, sizeof(*names));
	struct rf_error err;
	int code = reports && names ? RF_EXIT_DONE : rf_command_errno("html", "cannot begin", ENOMEM);

	for (int i = 0; code == RF_EXIT_DONE && i < arguments->nr; i++) {
		names[i] = base_name(arguments->sources[i]);
		reports[i] = rf_report_load(arguments->sources[i], &err);
		if (!reports[i])
			code = rf_command_error(arguments->sources[i], &err);
	}
	if (code == RF_EXIT_DONE) {
		page = rf_page_of_reports(reports, names, (size_t)arguments->nr);
		code = write_page(arguments->output, page);
	}
	json_decref(page);
	for (int i = 0; reports && i < arguments->nr; i++)
		json_decref(reports[i]);
	free(reports);
	free(names);
	return code;
}

static int page_of_fleet(const struct arguments *arguments)
{
	int code, written = RF_EXIT_FAILED;
	struct rf_fleet fleet;
	struct rf_error err;
	json_t *page;

	if (rf_fleet_init(&fleet))
		return rf_command_errno("html", "cannot begin", ENOMEM);
	code = rf_fleet_read_sources(&fleet, arguments->sources, arguments->nr);
	page = code == RF_EXIT_FAILED ? NULL : rf_page_of_fleet(&fleet, arguments->pages, arguments->output, &err);
	if (page)
		written = write_page(arguments->output, page);
	else if (code != RF_EXIT_FAILED)
		written = rf_command_error("html", &err);
	json_decref(page);
	rf_fleet_free(&fleet);
	return written == RF_EXIT_DONE ? code : written;
}

/* A directory or a file of many traces; else it is a report, or to be told as one that cannot be read. */
static bool is_of_many(const char *path)
{
	struct stat status;

	return (!stat(path, &status) && S_ISDIR(status.st_mode)) || rf_fleet_is_one(path);
}

static int write_html(const struct arguments *arguments)
{
	bool many = false;

	for (int i = 0; i < arguments->nr; i++) {
		if (rf_command_not_input("html", arguments->output, arguments->sources[i]))
			return RF_EXIT_USAGE;
		many |= is_of_many(arguments->sources[i]);
	}
	if (arguments->pages && !many)
		return rf_command_usage("html", "--pages is for a store, a directory or a merged file");
	if (!rf_page_template.before_size)
		return not_built();
	return many ? page_of_fleet(arguments) : page_of_reports(arguments);
}

int rf_cmd_html(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "pages", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "html", help, "o:h", options };
	struct arguments arguments = { 0 };
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'o':
			arguments.output = optarg;
			break;
		case 'p':
			arguments.pages = optarg;
			break;
		}
	}
	if (option < 0)
		return code;
	if (optind == argc || !arguments.output)
		return rf_command_usage("html", "needs reports or a store, and -o PAGE.html");
	arguments.sources = argv + optind;
	arguments.nr = argc - optind;
	return write_html(&arguments);
}
