/* SPDX-License-Identifier: MIT */
/* What the user calls a recording: KEY=VALUE, kept in the header of the trace and told with metrics. */
#ifndef REFOLD_CAPTURE_LABELS_H
#define REFOLD_CAPTURE_LABELS_H

#include "base/types.h"
#include "traces/header.h"

#define RF_MOST_LABELS 16

struct rf_labels {
	size_t nr;
	struct rf_label {
		const char *key, *value;	/* of one text: the key ends one before the value */
	} label[RF_MOST_LABELS];
};

/* Add text, which must live on. A key is a letter or _, then letters, digits and _; the value is printable text. */
bool rf_labels_add(struct rf_labels *labels, const char *text);
/* As an object; NULL: out of memory. */
json_t *rf_labels_json(const struct rf_labels *labels);

#endif
