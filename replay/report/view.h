/* SPDX-License-Identifier: MIT */
/* How a person, or the next program, wants to see numbers: as what, how much of them, and how wide. */
#ifndef REFOLD_REPLAY_REPORT_VIEW_H
#define REFOLD_REPLAY_REPORT_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "base/types.h"

#define RF_FORMATS(X) X(table) X(markdown) X(csv) X(tsv) X(json)

enum rf_format {
#define X(name) RF_FORMAT_##name,
	RF_FORMATS(X)
#undef X
	RF_NR_FORMATS
};

struct rf_view {
	enum rf_format format;
	bool all;		/* everything, not only what matters */
	const char *baseline;	/* the policy that others are held against; NULL: the first */
	size_t width;		/* columns of a table */
	bool colour;
};

/* For this output: as wide as a terminal is, and in colour there, but for NO_COLOR. */
void rf_view_of(struct rf_view *view, FILE *out);
/* "table", "csv"...; false: there is no such format. */
bool rf_view_format(struct rf_view *view, const char *name);
/* Numbers as digits alone, one fact a cell: for programs. */
bool rf_view_is_raw(const struct rf_view *view);

#endif
