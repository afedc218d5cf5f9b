// SPDX-License-Identifier: MIT
/* The JSON header: its keys, and the bytes it has in a file. */
#include "traces/header.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "traces/frame.h"

static const struct {
	const char *name;
	json_type type;
} keys[RF_NR_HEADER_KEYS] = {
#define RF_HEADER_KEY(key, key_name, key_type) [RF_HEADER_##key] = { key_name, key_type },
	RF_HEADER_KEYS(RF_HEADER_KEY)
#undef RF_HEADER_KEY
};

const char *rf_header_key_name(enum rf_header_key key)
{
	return keys[key].name;
}

json_type rf_header_key_type(enum rf_header_key key)
{
	return keys[key].type;
}

static bool is_of_type(const json_t *value, json_type type)
{
	return value && (json_typeof(value) == type || (type == JSON_TRUE && json_is_false(value)));
}

int rf_header_set(json_t *header, enum rf_header_key key, json_t *value)
{
	assert(!value || is_of_type(value, keys[key].type));
	return json_object_set_new(header, keys[key].name, value);
}

void rf_header_set_string(json_t *header, enum rf_header_key key, const char *value)
{
	rf_header_set(header, key, json_string(value));
}

void rf_header_set_integer(json_t *header, enum rf_header_key key, u64 value)
{
	rf_header_set(header, key, json_integer((json_int_t)value));
}

void rf_header_set_truth(json_t *header, enum rf_header_key key, bool value)
{
	rf_header_set(header, key, json_boolean(value));
}

json_t *rf_header_get(const json_t *header, enum rf_header_key key)
{
	json_t *value = json_object_get(header, keys[key].name);

	return is_of_type(value, keys[key].type) ? value : NULL;
}

u64 rf_header_user_base(const json_t *header)
{
	return (u64)json_integer_value(rf_header_get(header, RF_HEADER_USER_BASE));
}

u64 rf_header_stack_top(const json_t *header)
{
	const json_t *told = rf_header_get(header, RF_HEADER_STACK_TOP);
	const json_t *page_size = rf_header_get(header, RF_HEADER_PAGE_SIZE);
	const char *arch = json_string_value(rf_header_get(header, RF_HEADER_ARCH));

	if (told)
		return (u64)json_integer_value(told);
	if (arch && strcmp(arch, "x86_64"))
		return BIT_ULL(48);
	return BIT_ULL(47) - (page_size ? (u64)json_integer_value(page_size) : 4096);
}

bool rf_clock_is_nanoseconds(const char *name)
{
	static const char *const others[] = { "counter", "uptime", "x86-tsc", "ppc-tb", "s390-tod" };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!strcmp(name, others[i]))
			return false;
	return true;
}

char *rf_header_text(const json_t *header)
{
	return json_dumps(header, JSON_SORT_KEYS | JSON_COMPACT);
}

char *header_canonical(const char *header_json, int level, struct rf_error *err)
{
	json_error_t parse_error;
	json_t *root = json_loads(header_json ? header_json : "{}", JSON_REJECT_DUPLICATES, &parse_error);
	char *text = NULL, *line;
	size_t length;

	if (!json_is_object(root)) {
		rf_error_set(err, -EINVAL, RF_NO_OFFSET, "the trace header is not a JSON object: %s",
			     root ? "other JSON value" : parse_error.text);
		json_decref(root);
		return NULL;
	}
	if (!rf_header_set(root, RF_HEADER_FORMAT, json_string(RF_TRACE_FORMAT)) &&
	    !rf_header_set(root, RF_HEADER_ZSTD_LEVEL, json_integer(level)))
		text = rf_header_text(root);
	json_decref(root);
	length = text ? strlen(text) : 0;
	if (length >= HEADER_UNPACKED_MAX) {
		rf_error_set(err, -E2BIG, RF_NO_OFFSET, "the trace header is longer than 1 MiB");
		free(text);
		return NULL;
	}
	line = text ? realloc(text, length + 2) : NULL;
	if (!line) {
		free(text);
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	memcpy(line + length, "\n", 2);
	return line;
}
