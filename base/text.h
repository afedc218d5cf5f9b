/* SPDX-License-Identifier: MIT */
/*
 * Text for people, put together in buffers of the caller's: nothing here allocates, and nothing is written past an end.
 */
#ifndef REFOLD_BASE_TEXT_H
#define REFOLD_BASE_TEXT_H

#include "base/types.h"

/* A line made of pieces. Of a piece that does not fit there is as much as fits; then the text ends in "...". */
struct rf_line {
	char *text;
	size_t size, used;
	bool full;
};

/* An empty line in text, of at least four bytes. */
void rf_line_begin(struct rf_line *line, char *text, size_t size);
void rf_line_add(struct rf_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
