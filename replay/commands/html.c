// SPDX-License-Identifier: MIT
/* refold html: a page to look at, to print and to mail, of reports. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/commands/commands.h"
#include "replay/page/page.h"
#include "replay/report/report.h"

static const char help[] =
	"usage: refold html REPORT.json... -o PAGE.html\n\n"
	"Writes one file for a browser, which needs nothing else: no network, no other file. It shows how far to trust\n"
	"the reports, what differs between their policies, where, when and by whom.\n\n"
	"  -o, --output FILE  where to; \"-\": standard output\n"
	"  -h, --help         this text\n\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 a report is damaged.\n";

struct arguments {
	const char *output;
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
	/* What could not be written is found, and told, when it is closed. */
	rf_page_write(page, output.file);
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

static int write_html(const struct arguments *arguments)
{
	for (int i = 0; i < arguments->nr; i++)
		if (rf_command_not_input("html", arguments->output, arguments->sources[i]))
			return RF_EXIT_USAGE;
	if (!rf_page_template.before_size)
		return not_built();
	return page_of_reports(arguments);
}

int rf_cmd_html(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments arguments = { 0 };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			arguments.output = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return RF_EXIT_DONE;
		default:
			return rf_command_bad_option("html", argv);
		}
	}
	if (optind == argc || !arguments.output)
		return rf_command_usage("html", "needs reports, and -o PAGE.html");
	arguments.sources = argv + optind;
	arguments.nr = argc - optind;
	return write_html(&arguments);
}
