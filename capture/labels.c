// SPDX-License-Identifier: MIT
/* What the user calls a recording. */
#include "capture/labels.h"

#include <ctype.h>
#include <string.h>

/* As Prometheus wants names of labels, so that they need no others there. */
static size_t key_length(const char *text)
{
	size_t length = 0;

	if (isdigit((unsigned char)text[0]) || !strncmp(text, "__", 2))
		return 0;
	while (isalnum((unsigned char)text[length]) || text[length] == '_')
		length++;
	return length;
}

static bool is_printable(const char *text)
{
	json_t *string = json_string(text);	/* NULL: no UTF-8 */
	bool good = string && *text;

	json_decref(string);
	for (; good && *text; text++)
		good = (unsigned char)*text >= ' ' && *text != 0x7f;
	return good;
}

static bool is_known(const struct rf_labels *labels, const char *key, size_t length)
{
	for (size_t i = 0; i < labels->nr; i++)
		if (!strncmp(labels->label[i].key, key, length) && labels->label[i].key[length] == '=')
			return true;
	return false;
}

bool rf_labels_add(struct rf_labels *labels, const char *text)
{
	size_t length = key_length(text);

	if (!length || text[length] != '=' || !is_printable(text + length + 1) || labels->nr == RF_MOST_LABELS ||
	    is_known(labels, text, length))
		return false;
	labels->label[labels->nr++] = (struct rf_label){ text, text + length + 1 };
	return true;
}

json_t *rf_labels_json(const struct rf_labels *labels)
{
	json_t *object = json_object();

	for (size_t i = 0; i < labels->nr; i++) {
		const struct rf_label *label = &labels->label[i];

		json_object_setn_new(object, label->key, (size_t)(label->value - label->key - 1),
				     json_string(label->value));
	}
	return object;
}
