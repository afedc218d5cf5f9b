// SPDX-License-Identifier: MIT
/*
 * Data in a page: JSON in a script element that is not run. In ASCII, and without the characters by which HTML could
 * take the end of a string for the end of the element, whatever a recorded program called itself.
 */
#include <errno.h>
#include <string.h>

#include "arch/counters.h"
#include "base/json.h"
#include "replay/page/page.h"
#include "replay/report/answer.h"
#include "replay/report/totals.h"
#include "replay/run.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(10))

static int escaped(const char *text, size_t size, void *context)
{
	FILE *out = context;

	for (size_t i = 0; i < size; i++) {
		bool plain = text[i] != '<' && text[i] != '>' && text[i] != '&';

		if (plain ? putc(text[i], out) == EOF : fprintf(out, "\\u%04x", text[i]) < 0)
			return -1;
	}
	return 0;
}

static int counted(const char *text, size_t size, void *context)
{
	size_t *sum = context;

	*sum += size;
	for (size_t i = 0; i < size; i++)
		if (text[i] == '<' || text[i] == '>' || text[i] == '&')
			*sum += strlen("\\u003c") - 1;
	return 0;
}

size_t rf_page_size(const json_t *data)
{
	size_t sum = 0;

	json_dump_callback(data, counted, &sum, DUMP_FLAGS);
	return sum;
}

int rf_page_write(const json_t *data, FILE *out)
{
	const struct rf_page_template *page = &rf_page_template;

	if (fwrite(page->before, 1, page->before_size, out) != page->before_size ||
	    json_dump_callback(data, escaped, out, DUMP_FLAGS) ||
	    fwrite(page->behind, 1, page->behind_size, out) != page->behind_size)
		return -EIO;
	return 0;
}

static json_t *matters_array(void)
{
	const struct rf_matter *matter;
	json_t *list = json_array();

	for (size_t i = 0; (matter = rf_matter_at(i)); i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "key", matter->key, "word", matter->word,
						      "cost", matter->cost));
	return list;
}

static json_t *meanings_object(void)
{
	json_t *meanings = json_object();

#define X(name, meaning) rf_json_set_string(meanings, #name, meaning);
	ARCH_COUNTERS(X)
	REPORT_ROW(X)
	REPORT_TOTALS(X)
	REPORT_POLICY_TOTALS(X)
#undef X
	rf_json_set_string(meanings, "waits", "Barriers that wait for invalidations to be complete, and broadcasts of "
			   "interrupts that do.");
	return meanings;
}

static json_t *reasons_object(void)
{
	json_t *reasons = json_object();

#define X(name, effect, meaning) rf_json_set_string(reasons, #name, meaning);
	RF_REASONS(X)
#undef X
	return reasons;
}

json_t *rf_page_begin(const char *kind)
{
	json_t *page = json_object();

	rf_json_set_string(page, "kind", kind);
	rf_json_set_string(page, "version", REFOLD_VERSION);
	json_object_set_new(page, "matters", matters_array());
	json_object_set_new(page, "meanings", meanings_object());
	json_object_set_new(page, "reasons", reasons_object());
	return page;
}
