/* SPDX-License-Identifier: MIT */
/*
 * Cells in rows, written as a table that fits, as markdown, CSV or TSV. The first row is the head; of each row the
 * first cells are labels. On lack of memory cells are missing.
 */
#ifndef REFOLD_REPLAY_REPORT_GRID_H
#define REFOLD_REPLAY_REPORT_GRID_H

#include <jansson.h>

#include "replay/report/view.h"

struct rf_grid {
	json_t *rows;		/* arrays of strings, integers and {"text", "tone"} */
	size_t labels;		/* columns that are */
	bool turns;		/* what does not fit as columns may be rows; with one column of labels */
};

void rf_grid_begin(struct rf_grid *grid, size_t labels, bool turns);
void rf_grid_row(struct rf_grid *grid);
/* Cells of the last row. */
void rf_grid_text(struct rf_grid *grid, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rf_grid_number(struct rf_grid *grid, s64 value);
/* tone: below 0 good news, above 0 bad. */
void rf_grid_toned(struct rf_grid *grid, int tone, const char *text);
/* Write it, and let go of it. */
void rf_grid_end(struct rf_grid *grid, const struct rf_view *view, FILE *out);

/* "+3.4 %", "-12 %", "x 86" from ten times on, "new" of nothing, "=" where nothing changed. */
const char *rf_change_percent(s64 a, s64 b, char *text, size_t size);
/* "+60 (+3.4 %)" */
const char *rf_change_text(s64 a, s64 b, char *text, size_t size);

#endif
