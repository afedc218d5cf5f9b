// SPDX-License-Identifier: MIT
/*
 * The answer to what was asked, before anything else: which policy costs what against which. Policies differ in dozens
 * of counters; a decision hangs on few. Only the JSON of reports is read, so old reports are answered as well.
 */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/report/answer.h"
#include "replay/report/grid.h"

/* More policies than these are told by the two at the ends. */
#define SENTENCES_MAX 3
#define NAME_SHOWN 241	/* bytes of a policy's name in a sentence, with their end */
#define WAITS "waits"

static const struct rf_matter matters[] = {
	{ "TLBI", "tlbi", 1, false }, { "waits", WAITS, 1, false }, { "unfolds", "unfold", 1, false },
	{ "folds", "fold", 0, false }, { "flush calls", "flush_calls", 1, false }, { "loads", "pte_loads", 1, false },
	{ "faults", "faults", 1, true },
};

const struct rf_matter *rf_matter_at(size_t index)
{
	return index < ARRAY_SIZE(matters) ? &matters[index] : NULL;
}

bool rf_matters(const char *counter)
{
	static const char *const parts[] = { "dsb", "ipis", "born", "erased" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strcmp(parts[i], counter))
			return true;
	for (i = 0; i < ARRAY_SIZE(matters); i++)
		if (!strcmp(matters[i].key, counter))
			return true;
	return false;
}

/* A local flush has two barriers of dsb_nsh, of which the second waits. */
s64 rf_matter_value(const json_t *totals, const struct rf_matter *matter)
{
	if (strcmp(matter->key, WAITS))
		return rf_json_number(totals, matter->key);
	return rf_json_number(totals, "dsb_ish") + rf_json_number(totals, "dsb_nsh") / 2 +
	       rf_json_number(totals, "ipis");
}

/* ---- sentences ---- */

/* Of few, or of much more, a ratio says less than the numbers. */
static void add_change(struct rf_line *line, const char *word, s64 a, s64 b)
{
	char before[RF_DIGITS_MAX], after[RF_DIGITS_MAX];

	rf_line_add(line, "%s%s ", line->used ? ", " : "", word);
	if (a < 20 || b >= 10 * a)
		rf_line_add(line, "%s -> %s", rf_digits(a, before), rf_digits(b, after));
	else
		rf_line_add(line, "%s", rf_change_percent(a, b, before, sizeof(before)));
}

static bool is_alike(const json_t *a, const json_t *b, const struct rf_matter *matter)
{
	return rf_matter_value(a, matter) == rf_matter_value(b, matter);
}

static bool all_alike(const json_t *a, const json_t *b)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(matters); i++)
		if (!is_alike(a, b, &matters[i]))
			return false;
	return true;
}

static bool is_of_allocation(const struct rf_matter *matter)
{
	return !strcmp(matter->key, "tlbi") || !strcmp(matter->key, "faults");
}

void rf_answer_changes(const json_t *a, const json_t *b, char *text, size_t size)
{
	struct rf_line line;
	size_t i;

	rf_line_begin(&line, text, size);
	for (i = 0; i < ARRAY_SIZE(matters); i++)
		if (!is_alike(a, b, &matters[i]))
			add_change(&line, matters[i].word, rf_matter_value(a, &matters[i]),
				   rf_matter_value(b, &matters[i]));
	if (!line.used)
		rf_line_add(&line, "the same faults, flushes, folds and loads");
}

void rf_answer_trust(const json_t *report, char *text, size_t size)
{
	const json_t *trust = json_object_get(report, "trust");
	s64 marked = rf_json_number(trust, "marked_address_spaces");
	char a[RF_DIGITS_MAX], b[RF_DIGITS_MAX];

	if (!trust)
		snprintf(text, size, "unknown");
	else if (marked)
		snprintf(text, size, "%s (%s of %s address spaces)", rf_json_string(trust, "word"),
			 rf_digits(marked, a), rf_digits(rf_json_number(trust, "address_spaces"), b));
	else
		snprintf(text, size, "%s", rf_json_string(trust, "word"));
}

/* Numbers stay with their signs. */
static void bind_numbers(char *text)
{
	for (; *text; text++)
		if (*text == ' ' && (strchr("%+-x", text[1]) || text[-1] == '>'))
			*text = '\v';
}

/* Its further lines are set in. */
void rf_answer_print(const char *sentence, const struct rf_view *view, FILE *out)
{
	struct rf_paragraph paragraph;
	char text[RF_ANSWER_MAX + 2 * NAME_SHOWN];

	snprintf(text, sizeof(text), "%s", sentence);
	bind_numbers(text + strcspn(text, " ") + 1);
	if (view->colour)
		fputs("\033[1m", out);
	rf_paragraph_begin(&paragraph, out, "", 0);
	paragraph.indent = 4;
	rf_paragraph_words(&paragraph, text);
	if (view->colour)
		fputs("\033[0m", out);
	rf_paragraph_end(&paragraph);
}

static const json_t *baseline_of(const json_t *policies, const struct rf_view *view)
{
	const json_t *policy;
	size_t i;

	json_array_foreach(policies, i, policy)
		if (view->baseline && !strcmp(rf_json_string(policy, "name"), view->baseline))
			return policy;
	return json_array_get(policies, 0);
}

/* Larger folios are about three things, which are told even where they are as before. */
static void add_allocation(const json_t *base, const json_t *policy, char *changes, size_t size)
{
	const json_t *a = json_object_get(base, "totals"), *b = json_object_get(policy, "totals");
	const json_t *allocation = json_object_get(policy, "allocation");
	char digits[RF_DIGITS_MAX];
	struct rf_line line;
	size_t i, used = strlen(changes);

	if (!allocation)
		return;
	rf_line_begin(&line, changes + used, size - used);
	for (i = 0; i < ARRAY_SIZE(matters) && !all_alike(a, b); i++)
		if (is_of_allocation(&matters[i]) && is_alike(a, b, &matters[i]))
			rf_line_add(&line, ", %s as before", matters[i].word);
	rf_line_add(&line, ", %s KiB allocated and never used",
		    rf_digits(rf_json_number(allocation, "unused_bytes") / 1024, digits));
	rf_line_add(&line, " (at most %s at once)",
		    rf_digits(rf_json_number(allocation, "peak_unused_bytes") / 1024, digits));
}

/* So many bytes of a name are in a sentence; no character is cut. */
static int shown(const char *name)
{
	size_t size = strnlen(name, NAME_SHOWN);

	while (size == NAME_SHOWN || (size && (name[size] & 0xc0) == 0x80))
		size--;
	return (int)size;
}

/* trust: once is enough, in the first line. */
static void add_sentence(json_t *sentences, const char *lead, const json_t *base, const json_t *policy,
			 const char *trust)
{
	const char *a = rf_json_string(policy, "name"), *b = rf_json_string(base, "name");
	char changes[RF_ANSWER_MAX];

	rf_answer_changes(json_object_get(base, "totals"), json_object_get(policy, "totals"), changes, sizeof(changes));
	add_allocation(base, policy, changes, sizeof(changes));
	json_array_append_new(sentences, json_sprintf("%s%.*s against %.*s: %s%s%s", lead, shown(a), a, shown(b), b,
						      changes, *trust ? "; trust: " : "", trust));
}

static void add_single(json_t *sentences, const json_t *policy, const char *trust)
{
	char text[RF_ANSWER_MAX + NAME_SHOWN], digits[RF_DIGITS_MAX];
	const char *name = rf_json_string(policy, "name");
	struct rf_line line;
	size_t i;

	rf_line_begin(&line, text, sizeof(text));
	rf_line_add(&line, "%.*s:", shown(name), name);
	for (i = 0; i < ARRAY_SIZE(matters) && !matters[i].may_differ; i++)
		rf_line_add(&line, "%s %s %s", i ? "," : "", matters[i].word,
			    rf_digits(rf_matter_value(json_object_get(policy, "totals"), &matters[i]), digits));
	rf_line_add(&line, "; trust: %s", trust);
	json_array_append_new(sentences, json_string(text));
}

/* The policy with the fewest TLBIs beside the baseline, or with the most. */
static const json_t *at_the_end(const json_t *policies, const json_t *base, bool most)
{
	const json_t *policy, *best = NULL;
	s64 value, limit = 0;
	size_t i;

	json_array_foreach(policies, i, policy) {
		value = rf_matter_value(json_object_get(policy, "totals"), &matters[0]);
		if (policy == base || (best && (most ? value <= limit : value >= limit)))
			continue;
		best = policy;
		limit = value;
	}
	return best;
}

json_t *rf_answer_sentences(const json_t *report, const struct rf_view *view)
{
	const json_t *policies = json_object_get(report, "policies"), *base = baseline_of(policies, view), *policy;
	json_t *sentences = json_array();
	size_t nr = json_array_size(policies), i;
	char trust[100];
	const char *said = trust;

	rf_answer_trust(report, trust, sizeof(trust));
	if (nr == 1)
		add_single(sentences, base, trust);
	if (nr > 1 + SENTENCES_MAX) {
		add_sentence(sentences, "fewest TLBI: ", base, at_the_end(policies, base, false), trust);
		add_sentence(sentences, "most TLBI: ", base, at_the_end(policies, base, true), "");
		return sentences;
	}
	/* The newest is asked about most. */
	for (i = nr; i-- > 0;) {
		policy = json_array_get(policies, i);
		if (policy == base)
			continue;
		add_sentence(sentences, "", base, policy, said);
		said = "";
	}
	return sentences;
}

void rf_answer_write(const json_t *report, const struct rf_view *view, FILE *out)
{
	json_t *sentences = rf_answer_sentences(report, view), *sentence;
	size_t i;

	json_array_foreach(sentences, i, sentence)
		rf_answer_print(json_string_value(sentence), view, out);
	json_decref(sentences);
}

/* ---- the table ---- */

struct answer {
	struct rf_grid grid;
	const json_t *policies, *base;
	const struct rf_view *view;
	bool detailed;	/* two labels: the operation, and the counter by its name in the report */
};

static void add_heads(struct answer *answer)
{
	bool compared = answer->view->baseline, raw = rf_view_is_raw(answer->view);
	const json_t *policy;
	size_t i;

	rf_grid_row(&answer->grid);
	if (answer->detailed)
		rf_grid_text(&answer->grid, "operation");
	rf_grid_text(&answer->grid, "%s", answer->detailed ? "counter" : compared ? "policy" : "");
	json_array_foreach(answer->policies, i, policy) {
		const char *name = rf_json_string(policy, "name");

		rf_grid_text(&answer->grid, "%s", name);
		if (!compared || !raw || policy == answer->base)
			continue;
		rf_grid_text(&answer->grid, "%s change", name);
		rf_grid_text(&answer->grid, "%s percent", name);
	}
}

static void add_compared(struct answer *answer, s64 a, s64 b, int cost)
{
	char text[80];

	if (!rf_view_is_raw(answer->view)) {
		rf_grid_toned(&answer->grid, a == b ? 0 : b > a ? cost : -cost,
			      rf_change_text(a, b, text, sizeof(text)));
		return;
	}
	rf_grid_number(&answer->grid, b);
	rf_grid_number(&answer->grid, b - a);
	if (a)
		rf_grid_text(&answer->grid, "%.4f", ((double)b - a) * 100 / a);
	else
		rf_grid_text(&answer->grid, "%s", "");
}

/* row NULL: the totals. */
static s64 value_of(const json_t *policy, const char *row, const struct rf_matter *matter)
{
	const json_t *counters = json_object_get(policy, "totals");

	if (row)
		counters = json_object_get(json_object_get(policy, "operations"), row);
	return rf_matter_value(counters, matter);
}

static void add_row(struct answer *answer, const char *row, const struct rf_matter *matter)
{
	const json_t *policy;
	s64 a, b;
	size_t i;

	rf_grid_row(&answer->grid);
	if (answer->detailed)
		rf_grid_text(&answer->grid, "%s", row ? row : "total");
	rf_grid_text(&answer->grid, "%s", answer->detailed ? matter->key : matter->word);
	a = value_of(answer->base, row, matter);
	json_array_foreach(answer->policies, i, policy) {
		b = value_of(policy, row, matter);
		if (answer->view->baseline && policy != answer->base)
			add_compared(answer, a, b, matter->cost);
		else
			rf_grid_number(&answer->grid, b);
	}
}

static bool differs(const struct answer *answer, const char *row, const struct rf_matter *matter)
{
	const json_t *policy;
	size_t i;

	json_array_foreach(answer->policies, i, policy)
		if (value_of(policy, row, matter) != value_of(answer->base, row, matter))
			return true;
	return json_array_size(answer->policies) == 1 && value_of(answer->base, row, matter);
}

/* Every counter of a row that any policy has. */
static void add_all(struct answer *answer, const char *row, json_t *counters)
{
	const char *key;
	json_t *value;

	json_object_foreach(counters, key, value) {
		const struct rf_matter matter = { key, key, 1, false };

		if (strcmp(key, "operations") && (json_integer_value(value) || differs(answer, row, &matter)))
			add_row(answer, row, &matter);
	}
}

static void add_operations(struct answer *answer)
{
	json_t *rows = json_object_get(answer->base, "operations"), *counters;
	const char *row;

	json_object_foreach(rows, row, counters)
		add_all(answer, row, counters);
}

void rf_answer_table(const json_t *report, const struct rf_view *view, FILE *out)
{
	struct answer answer = { .policies = json_object_get(report, "policies"), .view = view };
	char alike[RF_ANSWER_MAX], digits[RF_DIGITS_MAX];
	struct rf_line line;
	size_t i, rows = 0;

	answer.base = baseline_of(answer.policies, view);
	answer.detailed = view->all || rf_view_is_raw(view);
	rf_grid_begin(&answer.grid, answer.detailed ? 2 : 1, !answer.detailed);
	add_heads(&answer);
	if (view->all) {
		add_all(&answer, NULL, json_object_get(answer.base, "totals"));
		add_operations(&answer);
	}
	rf_line_begin(&line, alike, sizeof(alike));
	for (i = 0; i < ARRAY_SIZE(matters) && !view->all; i++) {
		if (matters[i].may_differ && !differs(&answer, NULL, &matters[i]))
			continue;
		if (answer.detailed || differs(&answer, NULL, &matters[i])) {
			add_row(&answer, NULL, &matters[i]);
			rows++;
		} else if (value_of(answer.base, NULL, &matters[i])) {
			rf_line_add(&line, "%s%s %s", line.used ? ", " : "all alike: ", matters[i].word,
				    rf_digits(value_of(answer.base, NULL, &matters[i]), digits));
		}
	}
	if (view->format == RF_FORMAT_table)
		fputc('\n', out);
	if (rows || view->all)
		rf_grid_end(&answer.grid, view, out);
	else
		json_decref(answer.grid.rows);
	if (line.used && view->format == RF_FORMAT_table)
		fprintf(out, "%s\n", alike);
}
