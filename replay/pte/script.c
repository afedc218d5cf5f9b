// SPDX-License-Identifier: MIT
/* Parsing scripts of PTE helper calls: one command a line, checked against one table of what each command takes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "replay/pte/script.h"

static const char *const command_words[SCRIPT_NR_COMMANDS] = {
#define X(symbol, word) word,
	SCRIPT_COMMANDS(X)
#undef X
};

static const char *const option_words[] = {
#define X(symbol, word) word,
	WORDS(X)
#undef X
};

#define W(symbol) WORD_##symbol
#define PROTECTIONS (W(RO) | W(RW) | W(NONE))
#define OPTIONS (W(RANGE) | W(KPTI) | W(REPEAT) | W(LPA2) | W(BBML3) | W(PENDING))

/* What a command takes: numbers, words of which exactly one must be there, words that may be. */
struct syntax {
	u8 min_numbers, max_numbers;
	unsigned int one_of, any_of;
	const char *usage;
};

static const struct syntax syntaxes[SCRIPT_NR_COMMANDS] = {
	[SCRIPT_WINDOW] = { 2, 2, 0, 0, "window VA NPAGES" },
	[SCRIPT_FOLIO] = { 2, 2, 0, 0, "folio PFN ORDER" },
	[SCRIPT_MM] = { 0, 0, 0, 0, "mm 0|1|2|init|efi" },
	[SCRIPT_OPT] = { 1, 1, OPTIONS, 0, "opt range|kpti|repeat|lpa2|bbml3|pending 0|1" },
	[SCRIPT_RESET] = { 0, 0, 0, 0, "reset" },
	[SCRIPT_TOTAL] = { 0, 0, 0, 0, "total [LABEL]" },
	[SCRIPT_SET] = { 3, 3, PROTECTIONS, W(YOUNG) | W(DIRTY) | W(SPECIAL) | W(UFFD) | W(EXEC),
		      "set VA PFN NR ro|rw|none [young] [dirty] [special] [uffd] [exec]" },
	[SCRIPT_SWAP] = { 1, 2, 0, 0, "swap VA [NR]" },
	[SCRIPT_GET] = { 1, 1, 0, 0, "get VA" },
	[SCRIPT_LOCKLESS] = { 1, 1, 0, 0, "lockless VA" },
	[SCRIPT_HINT] = { 1, 1, 0, 0, "hint VA" },
	[SCRIPT_BATCH] = { 2, 2, 0, W(DIRTY) | W(WRITE), "batch VA MAX [dirty] [write]" },
	[SCRIPT_PTECLEAR] = { 1, 1, 0, 0, "pteclear VA" },
	[SCRIPT_PTEGETCLEAR] = { 1, 1, 0, 0, "ptegetclear VA" },
	[SCRIPT_CLEARFLUSH] = { 1, 1, 0, 0, "clearflush VA" },
	[SCRIPT_CLEAR] = { 2, 2, 0, W(FULL), "clear VA NR [full]" },
	[SCRIPT_GETCLEAR] = { 2, 2, 0, W(FULL), "getclear VA NR [full]" },
	[SCRIPT_WRPROTECT] = { 2, 2, 0, 0, "wrprotect VA NR" },
	[SCRIPT_ACCESS] = { 1, 1, W(RO) | W(RW), W(YOUNG) | W(DIRTY), "access VA ro|rw [young] [dirty]" },
	[SCRIPT_TCYOUNG] = { 1, 2, 0, 0, "tcyoung VA [NR]" },
	[SCRIPT_CFYOUNG] = { 1, 2, 0, 0, "cfyoung VA [NR]" },
	[SCRIPT_CYDIRTY] = { 2, 2, W(CLEAR_YOUNG) | W(CLEAR_DIRTY) | W(CLEAR_BOTH), 0, "cydirty VA NR y|d|yd" },
	[SCRIPT_MPROTECT] = { 2, 2, PROTECTIONS, 0, "mprotect VA NR ro|rw|none" },
	[SCRIPT_MOVE] = { 3, 3, 0, 0, "move VA NR DST [MM]" },
	[SCRIPT_HW] = { 1, 1, W(YOUNG) | W(DIRTY) | W(WRITE), 0, "hw VA young|dirty|write" },
	[SCRIPT_FLUSHRANGE] = { 2, 2, 0, W(NOSYNC) | W(LOCAL), "flushrange VA NR [nosync|local]" },
	[SCRIPT_FLUSHPAGE] = { 1, 1, 0, W(NOSYNC) | W(LOCAL), "flushpage VA [nosync|local]" },
	[SCRIPT_FLUSHMM] = { 0, 0, 0, 0, "flushmm" },
	[SCRIPT_SPURIOUS] = { 1, 1, 0, 0, "spurious VA" },
	[SCRIPT_TLBADD] = { 1, 2, 0, 0, "tlbadd VA [NR]" },
	[SCRIPT_TLBSYNC] = { 0, 0, 0, 0, "tlbsync" },
	[SCRIPT_DUMP] = { 2, 2, 0, W(RAW), "dump VA NR [raw]" },
};

static int find(const char *const *words, size_t nr, const char *word)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

static bool parse_mm(const char *text, enum script_mm *mm)
{
	static const char *const names[SCRIPT_NR_MMS] = { "0", "1", "2", "init", "efi" };
	int index = find(names, SCRIPT_NR_MMS, text);

	*mm = index < 0 ? SCRIPT_MM_0 : (enum script_mm)index;
	return index >= 0;
}

/* One word after the command. */
static bool parse_argument(const char *token, const struct syntax *syntax, struct script_line *line)
{
	bool takes_mm = line->command == SCRIPT_MM || line->command == SCRIPT_MOVE;
	int index = find(option_words, ARRAY_SIZE(option_words), token);

	if (index >= 0 && (syntax->one_of | syntax->any_of) & 1u << index) {
		if (line->words & 1u << index)
			return false;
		line->words |= 1u << index;
		return true;
	}
	if (line->nr_numbers < syntax->max_numbers)
		return rf_parse_number(token, 0, UINT64_MAX, &line->numbers[line->nr_numbers++]);
	if (takes_mm && !line->has_mm) {
		line->has_mm = true;
		return parse_mm(token, &line->mm);
	}
	if (line->command == SCRIPT_TOTAL && !line->label[0] && strlen(token) < sizeof(line->label)) {
		strcpy(line->label, token);
		return true;
	}
	return false;
}

static bool arguments_complete(const struct script_line *line, const struct syntax *syntax)
{
	unsigned int chosen = line->words & syntax->one_of;

	if (line->nr_numbers < syntax->min_numbers || (syntax->one_of && !chosen) || chosen & (chosen - 1))
		return false;
	if ((line->words & W(NOSYNC)) && (line->words & W(LOCAL)))
		return false;
	return line->command != SCRIPT_MM || line->has_mm;
}

/* Append a word to the normalised text. */
static bool append(struct script_line *line, const char *token)
{
	size_t used = strlen(line->text), length = strlen(token);

	if (used + length + 2 > sizeof(line->text))
		return false;
	if (used)
		line->text[used++] = ' ';
	memcpy(line->text + used, token, length + 1);
	return true;
}

int script_parse_line(const char *text, unsigned int line_number, struct script_line *line, struct rf_error *err)
{
	char copy[256], *rest = copy, *token, *comment;
	const struct syntax *syntax = NULL;
	int command;

	memset(line, 0, sizeof(*line));
	if (strlen(text) >= sizeof(copy))
		return rf_error_set(err, -EINVAL, line_number, "line of more than %zu characters", sizeof(copy) - 1);
	strcpy(copy, text);
	comment = strchr(copy, '#');
	if (comment)
		*comment = '\0';
	while ((token = strsep(&rest, " \t\r\n"))) {
		if (!*token)
			continue;
		if (!append(line, token))
			return rf_error_set(err, -EINVAL, line_number, "command of more than %zu characters",
					    sizeof(line->text) - 1);
		if (!syntax) {
			command = find(command_words, SCRIPT_NR_COMMANDS, token);
			if (command < 0)
				return rf_error_set(err, -EINVAL, line_number,
						    "no command '%.40s'; 'refold help pte' lists them", token);
			line->command = command;
			syntax = &syntaxes[command];
		} else if (!parse_argument(token, syntax, line)) {
			return rf_error_set(err, -EINVAL, line_number, "'%.40s' does not belong here; it is: %s", token,
					    syntax->usage);
		}
	}
	if (!syntax)
		return 0;
	if (!arguments_complete(line, syntax))
		return rf_error_set(err, -EINVAL, line_number, "incomplete; it is: %s", syntax->usage);
	return 1;
}
