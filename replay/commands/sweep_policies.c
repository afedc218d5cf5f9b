// SPDX-License-Identifier: MIT
/* Braces in lists of policies: each alternative with each of the others, the last brace running fastest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/commands/sweep_policies.h"

struct expansion {
	FILE *out;
	size_t nr, most;
	struct rf_error *err;
};

static int refuse(struct expansion *to, const char *format, const char *text)
{
	return rf_error_set(to->err, -EINVAL, RF_NO_OFFSET, format, text);
}

/* text: one policy, of which what is before the first brace that is left has been expanded. */
static int expand(struct expansion *to, const char *text)
{
	const char *open = strchr(text, '{'), *close = strchr(text, '}'), *part, *end;
	char *one;
	int ret = 0;

	if (!open && !close) {
		if (++to->nr > to->most)
			return refuse(to, "more policies than a sweep can have, at '%.200s'; make several sweeps", text);
		fprintf(to->out, "%s%s", to->nr > 1 ? "," : "", text);
		return 0;
	}
	if (!open || !close || close < open || memchr(open + 1, '{', (size_t)(close - open - 1)))
		return refuse(to, "the braces of '%.200s' do not fit: {a,b} and no braces within", text);
	for (part = open + 1; !ret && part <= close; part = end + 1) {
		end = part + strcspn(part, ",}");
		if (asprintf(&one, "%.*s%.*s%s", (int)(open - text), text, (int)(end - part), part, close + 1) < 0)
			return -ENOMEM;
		ret = expand(to, one);
		free(one);
	}
	return ret;
}

/* Up to a comma outside of braces. */
static size_t policy_length(const char *text)
{
	bool inside = false;
	size_t length;

	for (length = 0; text[length] && (inside || text[length] != ','); length++)
		inside = text[length] == '{' || (inside && text[length] != '}');
	return length;
}

char *rf_sweep_policies(const char *text, size_t most, struct rf_error *err)
{
	struct expansion to = { .most = most, .err = err };
	char *list = NULL, *one;
	size_t size, length;
	int ret = 0;

	rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	to.out = open_memstream(&list, &size);
	if (!to.out)
		return NULL;
	for (; !ret; text += length + 1) {
		length = policy_length(text);
		one = strndup(text, length);
		ret = one ? expand(&to, one) : -ENOMEM;
		free(one);
		if (!text[length])
			break;
	}
	if (fclose(to.out) || ret) {
		free(list);
		return NULL;
	}
	return list;
}
