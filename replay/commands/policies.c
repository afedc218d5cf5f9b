// SPDX-License-Identifier: MIT
/*
 * refold policies: the kernel points there are, what each changes against the one it starts from, and the knobs with
 * which others can be made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "engine/policy/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/patches.h"

static const char help[] =
	"usage: refold policies [-kvj] [POLICY...|WORD]\n"
	"       refold policies --patches A..B\n\n"
	"Lists the named policies, or tells about those given (NAME, NAME+patch=ID+knob=value, FILE.json), or lists\n"
	"the policies, knobs and patches that a word is in.\n\n"
	"  -v, --verbose  also the kernel each follows, its changes and all its knobs\n"
	"  -k, --knobs    list the knobs by area: values and meaning\n"
	"  -j, --json     everything as JSON\n"
	"      --patches A..B  the patches that make policy B of policy A\n"
	"  -h, --help     this text\n";

struct arguments {
	bool verbose, knobs, json;
	const char *between;
};

/* ---- text ---- */

static void print_changes(const struct rf_policy *policy, const char *against, const char *changes)
{
	struct rf_paragraph paragraph;
	char title[sizeof(policy->base) + 64];

	snprintf(title, sizeof(title), "    %s is %s with ", policy->base, against);
	rf_paragraph_begin(&paragraph, stdout, title, strlen(title));
	rf_paragraph_words(&paragraph, changes);
	rf_paragraph_end(&paragraph);
}

static void print_knobs_of(const struct rf_policy *policy)
{
	static const char title[] = "    knobs:  ";
	struct rf_paragraph paragraph;
	char value[32], word[96];
	const char *knob;
	size_t i;

	rf_paragraph_begin(&paragraph, stdout, title, strlen(title));
	for (i = 0; rf_policy_knob(policy, i, &knob, value, sizeof(value)); i++) {
		snprintf(word, sizeof(word), "%s=%s", knob, value);
		rf_paragraph_words(&paragraph, word);
	}
	rf_paragraph_end(&paragraph);
	putchar('\n');
}

static void print_policy(const struct rf_policy *policy, bool verbose)
{
	const char *against, *changes = rf_policy_changes(policy, &against);

	printf("%-18s %s\n", policy->name, rf_policy_summary(policy));
	if (!verbose)
		return;
	printf("    kernel: %s (%s)\n", rf_policy_release(policy), policy->arch->name);
	if (*against)
		print_changes(policy, against, changes);
	print_knobs_of(policy);
}

static void print_knob(const char *knob, const char *values, const char *text)
{
	printf("  %-22s %s\n%24s %s\n", knob, values, "", text);
}

static bool mentions(const char *knob, const char *text, const char *area, const char *word)
{
	return strcasestr(knob, word) || strcasestr(text, word) || strcasestr(area, word);
}

/*
 * Those that a word is in, or whose area's name it is in ("": all), under the names of their areas; below: something
 * stands above them.
 */
static bool print_knobs(const char *word, bool below)
{
	const char *area, *knob, *values, *text;
	bool any = false, title;
	size_t i;

	for (i = 0; (area = rf_policy_area(i)); i++) {
		title = false;
		for (knob = NULL; (knob = rf_policy_next_knob(knob)) && rf_policy_knob_help(knob, &values, &text);) {
			if (strcmp(rf_policy_knob_area(knob), area) || !mentions(knob, text, area, word))
				continue;
			if (!title)
				printf("%sknobs, %s:\n", any || below ? "\n" : "", area);
			print_knob(knob, values, text);
			any = title = true;
		}
	}
	return any;
}

/* ---- JSON ---- */

static json_t *json_knobs_of(const struct rf_policy *policy)
{
	json_t *object = json_object();
	const char *knob;
	char value[32];
	size_t i;

	for (i = 0; rf_policy_knob(policy, i, &knob, value, sizeof(value)); i++)
		json_object_set_new(object, knob, json_string(value));
	return object;
}

static json_t *json_policy(const struct rf_policy *policy)
{
	const char *against, *changes = rf_policy_changes(policy, &against);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "name", policy->name, "base", policy->base,
			 "arch", policy->arch->name, "kernel", rf_policy_release(policy), "summary",
			 rf_policy_summary(policy), "base_from", against, "base_changes", changes, "knobs",
			 json_knobs_of(policy));
}

static json_t *json_knobs(void)
{
	const char *knob = NULL, *values, *text;
	json_t *object = json_object();

	while ((knob = rf_policy_next_knob(knob)) && rf_policy_knob_help(knob, &values, &text))
		json_object_set_new(object, knob, json_pack("{s:s, s:s, s:s}", "area", rf_policy_knob_area(knob),
								"values", values, "meaning", text));
	return object;
}

/* ---- */

static int tell(const struct arguments *arguments, const struct rf_policy *policies, size_t nr)
{
	json_t *root, *list;
	size_t i;
	int ret;

	if (arguments->json) {
		list = json_array();
		for (i = 0; i < nr; i++)
			json_array_append_new(list, json_policy(&policies[i]));
		root = json_pack("{s:o, s:o}", "policies", list, "knobs", json_knobs());
		ret = rf_json_write(root, stdout);
		json_decref(root);
		return ret ? RF_EXIT_FAILED : RF_EXIT_DONE;
	}
	if (arguments->knobs) {
		print_knobs("", false);
		return RF_EXIT_DONE;
	}
	for (i = 0; i < nr; i++)
		print_policy(&policies[i], arguments->verbose);
	return RF_EXIT_DONE;
}

/* Kernels, knobs and patches, in that order; false: none has it. */
static bool tell_of_word(const char *word)
{
	const struct rf_policy *policy;
	const struct rf_patch *patch;
	bool found = false, patches = false;
	size_t i;

	for (i = 0; (policy = rf_policy_named(i)); i++) {
		if (!strcasestr(policy->name, word) && !strcasestr(rf_policy_summary(policy), word))
			continue;
		print_policy(policy, false);
		found = true;
	}
	found |= print_knobs(word, found);
	for (i = 0; (patch = rf_patch_at(i)); i++) {
		if (!rf_patch_mentions(patch, word))
			continue;
		if (found && !patches)
			putchar('\n');
		rf_patch_print(patch);
		found = patches = true;
	}
	return found;
}

/* A word may have been meant for a name of any kind. */
static int no_such_word(const char *word)
{
	const char *names[512], *knob = NULL;
	const struct rf_policy *policy;
	const struct rf_patch *patch;
	char list[160];
	size_t i, nr = 0;

	for (i = 0; nr < ARRAY_SIZE(names) && (policy = rf_policy_named(i)); i++)
		names[nr++] = policy->name;
	while (nr < ARRAY_SIZE(names) && (knob = rf_policy_next_knob(knob)))
		names[nr++] = knob;
	for (i = 0; nr < ARRAY_SIZE(names) && (patch = rf_patch_at(i)); i++)
		names[nr++] = patch->id;
	rf_nearest(word, names, nr, list, sizeof(list));
	return rf_command_usage("policies", "no policy, knob or patch has '%.60s' in it; the nearest are %s", word, list);
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, 'v' }, { "knobs", no_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' },
		{ "patches", required_argument, NULL, 'p' }, { 0 },
	};
	static const struct rf_command_line line = { "policies", help, "vkjh", options };
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'v':
			arguments->verbose = true;
			break;
		case 'k':
			arguments->knobs = true;
			break;
		case 'j':
			arguments->json = true;
			break;
		case 'p':
			arguments->between = optarg;
			break;
		}
	}
	if (option < 0)
		return code;
	return -1;
}

int rf_cmd_policies(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	const struct rf_policy *named;
	struct rf_policy *policies;
	struct rf_error err;
	size_t nr = 0, max = 0;
	int ret = parse_arguments(argc, argv, &arguments);

	if (ret >= 0)
		return ret;
	if (arguments.between && (argc > optind || arguments.json || arguments.knobs || arguments.verbose))
		return rf_command_usage("policies", "--patches stands alone");
	if (arguments.between)
		return rf_patches_between(arguments.between);
	if (argc == optind + 1 && !strpbrk(argv[optind], "+=") && !rf_policy_find(argv[optind])) {
		if (tell_of_word(argv[optind]))
			return RF_EXIT_DONE;
		if (!strpbrk(argv[optind], "./"))	/* a release, or a file */
			return no_such_word(argv[optind]);
	}
	while (rf_policy_named(max))
		max++;
	if (argc > optind)
		max = argc - optind;
	policies = calloc(max, sizeof(*policies));
	if (!policies)
		return rf_command_errno("policies", "cannot start", -ENOMEM);
	for (nr = 0; nr < max; nr++) {
		if (argc == optind) {
			named = rf_policy_named(nr);
			policies[nr] = *named;
		} else if (rf_policy_parse(argv[optind + nr], &policies[nr], &err)) {
			ret = rf_command_usage("policies", "%s", err.message);
			break;
		}
		rf_command_policy_notes("policies", &policies[nr]);
	}
	if (ret < 0)
		ret = tell(&arguments, policies, nr);
	free(policies);
	return ret;
}
