// SPDX-License-Identifier: MIT
/* The keys of --by from text. */
#include "replay/attribution/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

const char *const rf_by_names[RF_NR_BYS] = {
#define X(name, meaning) #name,
	RF_BYS(X)
#undef X
};

bool rf_by_has(const struct rf_by_list *by, enum rf_by key)
{
	return memchr(by->keys, (int)key, by->nr);
}

static int wrong_key(const char *word, int length, struct rf_error *err)
{
	char list[160] = "", mistyped[32];
	struct rf_line line;

	snprintf(mistyped, sizeof(mistyped), "%.*s", length, word);
	rf_line_begin(&line, list, sizeof(list));
	for (u32 i = 0; i < RF_NR_BYS; i++)
		rf_line_add(&line, "%s%s", i ? ", " : "", rf_by_names[i]);
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "'%s' is none of %s", mistyped, list);
}

int rf_by_parse(struct rf_by_list *by, const char *text, struct rf_error *err)
{
	by->nr = 0;
	for (const char *word = text, *end;; word = end + 1) {
		u32 key = 0;

		end = word + strcspn(word, ",");
		while (key < RF_NR_BYS && (strncmp(word, rf_by_names[key], (size_t)(end - word)) ||
					   strlen(rf_by_names[key]) != (size_t)(end - word)))
			key++;
		if (key == RF_NR_BYS)
			return wrong_key(word, (int)(end - word), err);
		if (rf_by_has(by, key))
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "'%s' comes twice", rf_by_names[key]);
		by->keys[by->nr++] = (u8)key;
		if (!*end)
			return 0;
	}
}
