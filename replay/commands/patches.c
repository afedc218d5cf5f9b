// SPDX-License-Identifier: MIT
/*
 * refold patches: the upstream changes that policies can be made with, since when kernels have each, and what it sets.
 * refold policies --patches A..B asks for those that lie between two kernels.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "engine/policy/patches.h"
#include "replay/commands/commands.h"
#include "replay/commands/patches.h"

static const char help[] =
	"usage: refold patches [WORD]\n\n"
	"Lists the patches that a policy NAME+patch=ID can be made with: all, or those that the word is in.\n\n"
	"  -h, --help     this text\n";

static void print_line(const char *label, const char *text)
{
	struct rf_paragraph paragraph;

	if (!text)
		return;
	rf_paragraph_begin(&paragraph, stdout, label, strlen(label));
	rf_paragraph_words(&paragraph, text);
	rf_paragraph_end(&paragraph);
}

void rf_patch_print(const struct rf_patch *patch)
{
	printf("%-20s %-5s %s\n", patch->id, *patch->release ? patch->release : "-", patch->title);
	print_line("    sets:      ", patch->knobs);
	print_line(patch->knobs ? "    needs:     " : "    is:        ", patch->needs);
	print_line("    backports: ", patch->backports);
	print_line("    known:     ", patch->known);
}

static bool mentions(const char *text, const char *word)
{
	return text && strcasestr(text, word);
}

bool rf_patch_mentions(const struct rf_patch *patch, const char *word)
{
	return mentions(patch->id, word) || mentions(patch->title, word) || mentions(patch->knobs, word) ||
	       mentions(patch->backports, word) || mentions(patch->needs, word) || !strcmp(patch->release, word) ||
	       rf_patch_find(word) == patch;
}

int rf_cmd_patches(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	static const struct rf_command_line line = { "patches", help, "h", options };
	const struct rf_patch *patch;
	const char *word;
	char list[128];
	size_t i, found = 0;
	int code;

	if (rf_command_option(&line, argc, argv, &code))
		return code;
	if (argc > optind + 1)
		return rf_command_usage("patches", "one word, not %d", argc - optind);
	word = argc > optind ? argv[optind] : "";
	for (i = 0; (patch = rf_patch_at(i)); i++) {
		if (!rf_patch_mentions(patch, word))
			continue;
		rf_patch_print(patch);
		found++;
	}
	if (found)
		return RF_EXIT_DONE;
	rf_patch_nearest(word, list, sizeof(list));
	return rf_command_usage("patches", "no patch has '%.40s' in it; the nearest are %s", word, list);
}
