/* SPDX-License-Identifier: MIT */
/* Members of JSON objects in one call, and documents as text. For code that links jansson; base itself does not. */
#ifndef REFOLD_BASE_JSON_H
#define REFOLD_BASE_JSON_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/types.h"

/* 0 where there is none. */
static inline s64 rf_json_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* "?" where there is none. */
static inline const char *rf_json_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

/* JSON's lack of unsigned 64-bit values bounds counters at 2^63, far above any count of events. */
static inline void rf_json_set_count(json_t *object, const char *key, u64 value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

/*
 * Zeroed memory to make JSON with, from where JSON has its own (json_set_alloc_funcs()): what lacks it must not be left
 * out silently, and a program that ends for want of the one ends for want of the other. NULL otherwise. For free().
 */
static inline void *rf_json_memory(size_t nr, size_t size)
{
	json_malloc_t take;
	json_free_t give;
	size_t bytes;
	void *memory;

	json_get_alloc_funcs(&take, &give);
	if (__builtin_mul_overflow(nr, size, &bytes))
		return NULL;
	memory = take(bytes ? bytes : 1);
	return memory ? memset(memory, 0, bytes) : NULL;
}

/*
 * Of a line of UTF-8, as names of files need not be: a control character becomes '?', which keeps tables in order, and
 * where it is no UTF-8 whatever is not ASCII, rather than all of it NULL.
 */
static inline json_t *rf_json_name(const char *text)
{
	size_t size = strlen(text) + 1, controls = 0;
	json_t *name;
	char *line;

	for (const char *at = text; *at; at++)
		controls += (unsigned char)*at < ' ' || *at == 0x7f;
	name = controls ? NULL : json_string(text);
	line = name ? NULL : (char *)rf_json_memory(size, 1);
	if (!line)
		return name;
	for (size_t i = 0; text[i]; i++)
		line[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	name = json_string(line);
	for (char *at = line; *at && !name; at++)
		if ((unsigned char)*at > '~')
			*at = '?';
	if (!name)
		name = json_string(line);
	free(line);
	return name;
}

static inline void rf_json_set_string(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, value ? rf_json_name(value) : NULL);
}

/* Canonical text: sorted keys, two spaces, a newline at the end. */
#define RF_JSON_CANONICAL (JSON_INDENT(2) | JSON_SORT_KEYS)

/* 0, or -EIO. */
static inline int rf_json_write(const json_t *json, FILE *out)
{
	int ret = json_dumpf(json, out, RF_JSON_CANONICAL);

	return ret || fputc('\n', out) == EOF ? -EIO : 0;
}

/* The same in memory, to be freed; NULL: there is none. */
static inline char *rf_json_text(const json_t *json)
{
	char *text = json_dumps(json, RF_JSON_CANONICAL), *whole = text ? realloc(text, strlen(text) + 2) : NULL;

	if (whole)
		strcat(whole, "\n");
	else
		free(text);
	return whole;
}

#endif
