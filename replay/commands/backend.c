// SPDX-License-Identifier: MIT
/*
 * refold backend: the page-table code of a kernel tree as a shared object that replays can load; backend_check.c tests
 * it.
 */
#include <string.h>

#include "arch/loaded/loaded.h"
#include "engine/policy/loaded.h"
#include "replay/commands/commands.h"

static const char help[] =
	"usage: refold backend build TREE -o FILE.so [-p 4k|16k|64k] [-b POLICY] [-k DIR]\n"
	"       refold backend check FILE.so|TREE [OPTIONS]\n\n"
	"check: random operations on a backend, watched for what must hold; 'refold backend check -h' tells more. build:\n"
	"Compiles the arm64 page-table code of a kernel tree (6.9 or later) with gcc or clang (CC) into a backend that\n"
	"'refold replay -p FILE.so' counts with. What comes out is built from the tree's code, and under its license.\n\n"
	"  -o, --output FILE      the shared object\n"
	"  -p, --page-size SIZE   4k (the default), 16k or 64k\n"
	"  -b, --base POLICY      whose core mm goes with it; by default of the newest that is not newer than the tree\n"
	"  -k, --keep DIR         leave there what the compiler is given\n"
	"  -h, --help             this text\n";

struct arguments {
	const char *what, *output, *base, *keep, *page_size;
};

static int build(const struct arguments *arguments)
{
	struct rf_policy policy = *rf_policy_named(0);
	struct arch_loaded *loaded;
	struct rf_error err;

	if (!*arguments->output || !strcmp(arguments->output, "-"))
		return rf_command_usage("backend", "build needs -o FILE.so, not '%s'", arguments->output);
	if (arguments->base && !rf_policy_find(arguments->base))
		return rf_command_usage("backend", "no policy '%.40s'; 'refold policies' lists all", arguments->base);
	if (rf_policy_set(&policy, "granule", arguments->page_size, &err))
		return rf_command_usage("backend", "--page-size: %s", err.message);
	loaded = rf_policy_build_kernel(arguments->what, arguments->base, arguments->page_size, arguments->output,
					arguments->keep, &err);
	if (!loaded) {
		fprintf(stderr, "refold: %s\n", err.message);
		return RF_EXIT_FAILED;
	}
	printf("%s: Linux %s, core mm of %s, pages of %uK\n", arguments->output, loaded->backend.release,
	       loaded->backend.base, 1u << (loaded->backend.page_shift - 10));
	return RF_EXIT_DONE;
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' }, { "page-size", required_argument, NULL, 'p' },
		{ "base", required_argument, NULL, 'b' }, { "keep", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	static const struct rf_command_line line = { "backend", help, "o:p:b:k:h", options };
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'o':
			arguments->output = optarg;
			break;
		case 'p':
			arguments->page_size = optarg;
			break;
		case 'b':
			arguments->base = optarg;
			break;
		case 'k':
			arguments->keep = optarg;
			break;
		}
	}
	if (option < 0)
		return code;
	if (argc - optind != 2)
		return rf_command_usage("backend", "needs 'build' or 'check', and what");
	arguments->what = argv[optind + 1];
	return -1;
}

int rf_cmd_backend(int argc, char **argv)
{
	struct arguments arguments = { .page_size = "4k" };
	int ret;

	if (argc > 1 && !strcmp(argv[1], "check"))
		return rf_backend_check(argc - 1, argv + 1);
	ret = parse_arguments(argc, argv, &arguments);
	if (ret >= 0)
		return ret;
	if (!strcmp(argv[optind], "build"))
		return arguments.output ? build(&arguments) :
					  rf_command_usage("backend", "build needs -o FILE.so");
	return rf_command_usage("backend", "'%.40s' is nothing to do: build and check are", argv[optind]);
}
