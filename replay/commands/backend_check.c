// SPDX-License-Identifier: MIT
/* refold backend check: the property tests on a backend that is loaded, or built of a kernel tree. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/loaded/loaded.h"
#include "base/text.h"
#include "engine/policy/text.h"
#include "properties/check.h"
#include "replay/commands/commands.h"

#define STEPS 40000
#define SEED 1

static const char help[] =
	"usage: refold backend check FILE.so|TREE|POLICY [-b POLICY] [-p 4k|16k|64k] [--steps N] [--seed N]\n\n"
	"Runs random operations of core mm on a backend and looks, after each helper call and each operation, whether what\n"
	"must hold does: no stale TLB entries, accessed and dirty kept, blocks uniform, costs that add up, no access beside\n"
	"its table. The first failure is shrunk to a few operations, and printed with the helper calls that they make.\n\n"
	"  -b, --base POLICY      whose core mm goes with it; by default the one that the backend names\n"
	"  -p, --page-size SIZE   4k (the default), 16k or 64k\n"
	"      --steps N          operations in all (default: 40000)\n"
	"      --seed N           other operations (default: 1)\n"
	"      --skip LIST        properties that may fail: names, separated by commas\n"
	"      --list             the properties\n"
	"  -q, --quiet            nothing but failures\n"
	"  -h, --help             this text\n\n"
	"Exit status: 0 nothing found, 1 a property fails, 2 wrong usage, or no backend.\n";

struct arguments {
	const char *what, *base, *page_size;
	struct check_options check;
	bool quiet;
};

/* Skipped, a backend that crashes would go on after it. */
static bool may_be_skipped(const struct property *property)
{
	return strcmp(property->oracle, "table") && strcmp(property->oracle, "crash");
}

static int skip(struct arguments *arguments, const char *list)
{
	char *copy = strdup(list), *rest = copy, *name;
	const struct property *property;
	int ret = -1;

	while (ret < 0 && (name = strsep(&rest, ","))) {
		property = property_find(name);
		if (!property)
			ret = rf_command_usage("backend", "there is no property '%.40s'; check --list has them", name);
		else if (!may_be_skipped(property))
			ret = rf_command_usage("backend", "%.40s cannot be skipped", name);
		else
			arguments->check.skipped |= 1u << (property - properties);
	}
	free(copy);
	return ret;
}

static int list_properties(void)
{
	size_t i;

	for (i = 0; i < nr_properties; i++)
		printf("%-15s %s\n", properties[i].name, properties[i].what);
	return RF_EXIT_DONE;
}

enum { OPTION_STEPS = 256, OPTION_SEED, OPTION_SKIP, OPTION_LIST };

/* -1: go on; else an exit code. */
static int take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case 'b':
		arguments->base = optarg;
		return -1;
	case 'p':
		arguments->page_size = optarg;
		return -1;
	case 'q':
		arguments->quiet = true;
		return -1;
	case OPTION_LIST:
		return list_properties();
	case OPTION_SKIP:
		return skip(arguments, optarg);
	case OPTION_STEPS:
		if (rf_parse_number(optarg, 1, 1ull << 40, &arguments->check.steps))
			return -1;
		return rf_command_usage("backend", "--steps needs a number, not '%.40s'", optarg);
	case OPTION_SEED:
		if (rf_parse_number(optarg, 0, UINT64_MAX, &arguments->check.seed))
			return -1;
		return rf_command_usage("backend", "--seed needs a number, not '%.40s'", optarg);
	}
	return -1;
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "base", required_argument, NULL, 'b' }, { "page-size", required_argument, NULL, 'p' },
		{ "steps", required_argument, NULL, OPTION_STEPS }, { "seed", required_argument, NULL, OPTION_SEED },
		{ "skip", required_argument, NULL, OPTION_SKIP }, { "list", no_argument, NULL, OPTION_LIST },
		{ "quiet", no_argument, NULL, 'q' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	static const struct rf_command_line line = { "backend", help, "b:p:qh", options };
	int option = 0, stop, ret = -1;

	while (ret < 0 && (option = rf_command_option(&line, argc, argv, &stop)) > 0)
		ret = take_option(arguments, option);
	if (option < 0)
		return stop;
	if (ret >= 0)
		return ret;
	if (argc - optind != 1)
		return rf_command_usage("backend", "check needs a backend: FILE.so, a kernel tree or a policy");
	arguments->what = argv[optind];
	return -1;
}

/* A file or a folder is named as it is; all else is a policy, knobs and all. */
static int find_policy(const struct arguments *arguments, struct rf_policy *policy, struct rf_error *err)
{
	struct stat what;
	bool there = !stat(arguments->what, &what);
	char text[RF_POLICY_NAME];
	struct rf_line line;

	rf_line_begin(&line, text, sizeof(text));
	if (arguments->base)
		rf_line_add(&line, "%s+", arguments->base);
	if (there)
		rf_line_add(&line, S_ISDIR(what.st_mode) ? "kernel=" : "backend=");
	rf_line_add(&line, "%s", arguments->what);
	if (arguments->page_size)
		rf_line_add(&line, "+granule=%s", arguments->page_size);
	return rf_policy_parse(text, policy, err);
}

static int tell_result(const struct arguments *arguments, const struct rf_policy *policy,
		       const struct check_result *result)
{
	if (!result->failure.failed) {
		if (!arguments->quiet)
			printf("%s: nothing found: %llu operations on %u kinds of CPU, core mm of %s, pages of %uK, seed %llu\n",
			       arguments->what, (unsigned long long)result->steps, result->cpus, policy->base,
			       1u << (policy->geometry.page_shift - 10), (unsigned long long)arguments->check.seed);
		return RF_EXIT_DONE;
	}
	printf("%s, after %llu operations:\n", result->config.spec, (unsigned long long)result->steps);
	tell_failure(stdout, &result->config, result->shortest, result->nr_shortest, &result->failure);
	return RF_EXIT_FAILED;
}

int rf_backend_check(int argc, char **argv)
{
	struct arguments arguments = { .check = { .steps = STEPS, .seed = SEED } };
	int code = parse_arguments(argc, argv, &arguments);
	struct check_result result;
	struct rf_policy policy;
	struct rf_error err;

	if (code >= 0)
		return code;
	if (find_policy(&arguments, &policy, &err))
		return rf_command_usage("backend", "%s", err.message);
	rf_command_loaded(&policy, 1, arguments.quiet, true);
	if (check_policy(&policy, &arguments.check, &result))
		return rf_command_errno("backend", "cannot check", ENOMEM);
	code = tell_result(&arguments, &policy, &result);
	check_forget(&result);
	return code;
}
