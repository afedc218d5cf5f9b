// SPDX-License-Identifier: MIT
/*
 * refold race: what lockless readers may see while a writer and the hardware are at work on a contiguous block, for
 * every order of their steps or for random ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "engine/policy/text.h"
#include "race/report.h"
#include "replay/commands/commands.h"

/* The kernels that have contiguous PTEs, and the proposal about their readers. */
#define DEFAULT_POLICIES "linux-6.9,linux-6.12,linux-6.17,linux-7.2,linux-7.3,norecency-rfc"

static const char help[] =
	"usage: refold race [-lvj] [-p POLICY,...] [--writer NAME] [--reader NAME] [-n ENTRIES]\n"
	"                   [--hardware COUNT] [--random COUNT [--seed SEED]]\n"
	"       refold race --controls [-j]\n\n"
	"Runs page-table helpers against lockless readers, step by step in every order, and checks what the readers\n"
	"conclude.\n\n"
	"  -p, --policy POLICY,...  whose readers and writers (without: kernels from 6.9 on, and norecency-rfc)\n"
	"      --writer NAME        only this writer\n"
	"      --reader NAME        only this reader\n"
	"  -n, --entries COUNT      entries of the block: 2, 4 (without -n), 8 or 16\n"
	"      --hardware COUNT     at most so many updates of accessed and dirty bits by hardware; without: 2\n"
	"      --random COUNT       so many random schedules for each pair, instead of all\n"
	"      --seed SEED          of the random schedules; without: 1\n"
	"      --controls           explore the mistakes that must be caught, and show how they are\n"
	"  -l, --list               list writers, readers and checks\n"
	"  -v, --verbose            show a schedule for what is not promised, too\n"
	"  -j, --json               write JSON\n"
	"  -h, --help               this text\n\n"
	"Exit status: 0 if every promised check holds (every mistake is caught), 1 if not, 2 on wrong usage.\n";

struct arguments {
	const char *policies;
	struct race_choice choice;
	bool list, controls, verbose, json, seeded;
};

enum { OPTION_WRITER = 256, OPTION_READER, OPTION_HARDWARE, OPTION_RANDOM, OPTION_SEED, OPTION_CONTROLS };

static void print_names(const char *title, const struct race_name *names, size_t nr)
{
	size_t i;

	printf("%s\n", title);
	for (i = 0; i < nr; i++)
		printf("  %-20s %s\n", names[i].name, names[i].summary);
}

static int list_names(void)
{
	print_names("writers", race_writers, RACE_FOLD_WITHOUT_BREAK);
	print_names("readers", race_readers, RACE_NR_READERS);
	print_names("checks", race_checks, RACE_NR_CHECKS);
	return RF_EXIT_DONE;
}

static int find_name(const char *what, const char *name, const struct race_name *names, size_t nr, int *found)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (strcmp(names[i].name, name))
			continue;
		*found = i;
		return -1;
	}
	return rf_command_usage("race", "there is no %s '%s'; refold race -l lists them", what, name);
}

static int parse_number(const char *option, const char *text, u64 least, u64 most, u64 *value)
{
	if (!rf_parse_number(text, least, most, value))
		return rf_command_usage("race", "%s %s: not a number from %llu to %llu", option, text,
					(unsigned long long)least, (unsigned long long)most);
	return -1;
}

static int take_numbers(int option, struct race_choice *choice)
{
	u64 value;
	int ret;

	switch (option) {
	case OPTION_RANDOM:
		return parse_number("--random", optarg, 1, UINT32_MAX, &choice->random);
	case OPTION_SEED:
		return parse_number("--seed", optarg, 0, INT64_MAX, &choice->seed);
	case OPTION_HARDWARE:
		ret = parse_number("--hardware", optarg, 0, 255, &value);
		choice->hardware = value;
		return ret;
	default:
		ret = parse_number("-n", optarg, 2, RACE_MAX_ENTRIES, &value);
		choice->n = value;
		if (ret < 0 && value & (value - 1))
			return rf_command_usage("race", "-n %s: blocks have 2, 4, 8 or 16 entries", optarg);
		return ret;
	}
}

static int take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case 'p':
		arguments->policies = optarg;
		return -1;
	case 'l':
		arguments->list = true;
		return -1;
	case 'v':
		arguments->verbose = true;
		return -1;
	case 'j':
		arguments->json = true;
		return -1;
	case OPTION_CONTROLS:
		arguments->controls = true;
		return -1;
	case OPTION_SEED:
		arguments->seeded = true;
		return take_numbers(option, &arguments->choice);
	case OPTION_WRITER:
		return find_name("writer", optarg, race_writers, RACE_FOLD_WITHOUT_BREAK, &arguments->choice.writer);
	case OPTION_READER:
		return find_name("reader", optarg, race_readers, RACE_NR_READERS, &arguments->choice.reader);
	default:
		return take_numbers(option, &arguments->choice);
	}
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "policy", required_argument, NULL, 'p' }, { "entries", required_argument, NULL, 'n' },
		{ "writer", required_argument, NULL, OPTION_WRITER }, { "reader", required_argument, NULL, OPTION_READER },
		{ "hardware", required_argument, NULL, OPTION_HARDWARE },
		{ "random", required_argument, NULL, OPTION_RANDOM }, { "seed", required_argument, NULL, OPTION_SEED },
		{ "controls", no_argument, NULL, OPTION_CONTROLS }, { "list", no_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	static const struct rf_command_line line = { "race", help, "p:n:lvjh", options };
	int option = 0, stop, ret = -1;

	while (ret < 0 && (option = rf_command_option(&line, argc, argv, &stop)) > 0)
		ret = take_option(arguments, option);
	if (option < 0)
		return stop;
	if (ret < 0 && optind < argc)
		return rf_command_usage("race", "%s: takes options only", argv[optind]);
	return ret;
}

/* The steps that are explored are those of race/, by knobs. Of loaded code nobody knows them. */
static int refuse_loaded(const struct rf_policy *policies, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (policies[i].arch->loaded)
			return rf_command_usage("race", "%s: the steps of a loaded backend cannot be explored, those of %s can",
						policies[i].name, policies[i].base);
	return -1;
}

static int plan(const struct arguments *arguments, struct race_pairs *pairs)
{
	const char *names = arguments->policies ? arguments->policies : DEFAULT_POLICIES;
	struct rf_policy *policies;
	struct rf_error err;
	int nr, ret, refused;

	if (arguments->controls)
		ret = race_pairs_controls(&arguments->choice, pairs);
	else {
		policies = calloc(RF_MAX_POLICIES, sizeof(*policies));
		nr = policies ? rf_policy_parse_list(names, policies, 0, RF_MAX_POLICIES, &err) : 0;
		ret = policies ? 0 : -ENOMEM;
		refused = refuse_loaded(policies, nr);
		if (nr > 0 && refused < 0)
			ret = race_pairs_plan(policies, nr, &arguments->choice, pairs);
		free(policies);
		if (nr < 0)
			return rf_command_usage("race", "%s", err.message);
		if (refused >= 0)
			return refused;
	}
	return ret ? rf_command_errno("race", "cannot start", ret) : -1;
}

static int explore(const struct arguments *arguments, struct race_pairs *pairs)
{
	struct race_report_options options = { .controls = arguments->controls, .verbose = arguments->verbose };
	u64 start;
	int ret;

	if (!pairs->nr)
		return rf_command_usage("race", "no policy given has that writer, or contiguous blocks at all");
	start = rf_monotonic();
	ret = race_pairs_run(pairs, &arguments->choice);
	options.seconds = (double)(rf_monotonic() - start) / RF_NS_PER_SECOND;
	if (ret == -E2BIG)
		return rf_command_usage("race", "-n %u has too many states to visit; give --random COUNT",
					arguments->choice.n);
	if (!ret && arguments->json)
		ret = race_report_json(pairs, &arguments->choice, &options, stdout);
	else if (!ret)
		race_report_text(pairs, &arguments->choice, &options, stdout);
	if (ret)
		return rf_command_errno("race", "cannot explore", ret);
	return race_report_passed(pairs, arguments->controls) ? RF_EXIT_DONE : RF_EXIT_FAILED;
}

int rf_cmd_race(int argc, char **argv)
{
	struct arguments arguments = {
		.choice = { .writer = -1, .reader = -1, .n = 4, .hardware = 2, .seed = 1 },
	};
	struct race_pairs pairs = { 0 };
	int ret = parse_arguments(argc, argv, &arguments);

	if (ret >= 0)
		return ret;
	if (arguments.seeded && !arguments.choice.random)
		return rf_command_usage("race", "--seed is that of --random; name that, too");
	if (arguments.controls && (arguments.policies || arguments.choice.writer >= 0 || arguments.choice.reader >= 0))
		return rf_command_usage("race", "--controls has writers, readers and policies of its own");
	if (arguments.list && arguments.json)
		return rf_command_usage("race", "-l writes text only");
	if (arguments.list)
		return list_names();
	ret = plan(&arguments, &pairs);
	if (ret < 0)
		ret = explore(&arguments, &pairs);
	race_pairs_release(&pairs);
	return ret;
}
