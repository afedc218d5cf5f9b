// SPDX-License-Identifier: MIT
/*
 * Numbers of flags, out of the print fmt of an event.
 */
#include "traces/events/print_fmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * gfp flags move between kernels, but print fmt spells each out as a constant expression over casts, parentheses,
 * "|", "&", "~" and "<<". A tiny evaluator reads those; anything else fails.
 */
struct expression {
	const char *at;
	unsigned int depth;
	bool bad;
};

/* Kernels nest 13 deep. A file to import may have any text. */
#define DEPTH_MAX 64

static u64 evaluate(struct expression *e, int minimum);

static void skip_spaces(struct expression *e)
{
	e->at += strspn(e->at, " \t\n");
}

/* "(unsigned long)", "( gfp_t)": a parenthesis with names only. */
static bool skip_cast(struct expression *e)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	const char *at = e->at + 1;

	at += strspn(at, " ");
	if (!*at || !strchr(letters, *at))
		return false;
	at += strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789 ");
	if (*at != ')')
		return false;
	e->at = at + 1;
	return true;
}

static u64 operand(struct expression *e);

static u64 operand_inside(struct expression *e)
{
	char *end;
	u64 value;

	skip_spaces(e);
	if (*e->at == '~') {
		e->at++;
		return ~operand(e);
	}
	if (*e->at == '(') {
		if (skip_cast(e))
			return operand(e);
		e->at++;
		value = evaluate(e, 0);
		skip_spaces(e);
		if (*e->at != ')') {
			e->bad = true;
			return 0;
		}
		e->at++;
		return value;
	}
	value = strtoull(e->at, &end, 0);
	if (end == e->at)
		e->bad = true;
	e->at = end + strspn(end, "uUlL");
	return value;
}

static u64 operand(struct expression *e)
{
	u64 value;

	if (e->depth == DEPTH_MAX) {
		e->bad = true;
		return 0;
	}
	e->depth++;
	value = operand_inside(e);
	e->depth--;
	return value;
}

/* Precedence climbing: "|" 1, "&" 2, "<<" 3. */
static u64 evaluate(struct expression *e, int minimum)
{
	u64 value = operand(e), right;

	while (!e->bad) {
		int precedence, length = 1;

		skip_spaces(e);
		if (*e->at == '|')
			precedence = 1;
		else if (*e->at == '&')
			precedence = 2;
		else if (!strncmp(e->at, "<<", 2))
			precedence = 3, length = 2;
		else
			break;
		if (precedence <= minimum)
			break;
		e->at += length;
		right = evaluate(e, precedence);
		if (precedence == 1)
			value |= right;
		else if (precedence == 2)
			value &= right;
		else if (right < 64)
			value <<= right;
		else
			e->bad = true;
	}
	return value;
}

bool rf_print_fmt_flag(const char *format, const char *name, u64 *value)
{
	char quoted[64];
	const char *at, *open;

	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	at = strstr(format, quoted);
	if (!at)
		return false;
	for (open = at; open > format && *open != '{'; open--)
		;
	if (*open == '{') {
		struct expression e = { .at = open + 1 };
		u64 result = evaluate(&e, 0);

		skip_spaces(&e);
		if (!e.bad && *e.at == ',') {
			*value = result;
			return true;
		}
	}
	return false;
}
