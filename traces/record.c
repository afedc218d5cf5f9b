// SPDX-License-Identifier: MIT
/*
 * The record kinds as data: RF_RECORD_KINDS' field strings, parsed once. The
 * packer, the text form and every report walk this table, so that a kind is
 * described in one place only.
 */
#include <pthread.h>
#include <string.h>

#include "traces/record.h"

struct kind_source {
	u8 number;
	const char *name;
	const char *fields;
};

static const struct kind_source kind_sources[] = {
#define X(symbol, number, name, fields) { number, name, fields },
	RF_RECORD_KINDS(X)
#undef X
};

static struct rf_kind_info kinds[RF_RECORD_KIND_MAX];
static pthread_once_t kinds_once = PTHREAD_ONCE_INIT;

static enum rf_field_class field_class(char letter)
{
	switch (letter) {
	case 's':
		return RF_FIELD_SIGNED;
	case 'x':
		return RF_FIELD_HEX;
	case 'a':
		return RF_FIELD_ADDR;
	case 'p':
		return RF_FIELD_PFN;
	case 'w':
		return RF_FIELD_TEXT;
	case 't':
		return RF_FIELD_TASK;
	case 'i':
		return RF_FIELD_OBJECT;
	case 'o':
		return RF_FIELD_OBJECT_HEX;
	default:
		return RF_FIELD_DECIMAL;
	}
}

/* "addr/a flags/x" -> two fields. The strings are ours, so a malformed one is a bug that the unit tests catch. */
static void parse_fields(struct rf_kind_info *info, const char *text)
{
	while (*text && info->nr_fields < RF_RECORD_FIELDS) {
		struct rf_field_info *field = &info->fields[info->nr_fields++];
		size_t length = strcspn(text, "/");

		if (length >= sizeof(field->name))
			length = sizeof(field->name) - 1;
		memcpy(field->name, text, length);
		text += strcspn(text, "/");
		if (*text == '/')
			text++;
		field->class = field_class(*text);
		text += strcspn(text, " ");
		text += strspn(text, " ");
	}
}

static void parse_kinds(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(kind_sources); i++) {
		struct rf_kind_info *info = &kinds[kind_sources[i].number];

		info->name = kind_sources[i].name;
		parse_fields(info, kind_sources[i].fields);
	}
}

const struct rf_kind_info *rf_kind_table(void)
{
	pthread_once(&kinds_once, parse_kinds);
	return kinds;
}

u8 rf_kind_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kind_sources); i++)
		if (!strcmp(kind_sources[i].name, name))
			return kind_sources[i].number;
	return 0;
}
