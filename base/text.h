/* SPDX-License-Identifier: MIT */
/*
 * Text for people and of people: lines, paragraphs, numbers, names that were mistyped. Nothing here allocates; what is
 * put into a buffer of the caller's is never written past its end.
 */
#ifndef REFOLD_BASE_TEXT_H
#define REFOLD_BASE_TEXT_H

#include <stdio.h>

#include "base/types.h"

#define RF_TEXT_WIDTH 100	/* columns of tables and paragraphs, but on a terminal */

/* How many columns there are: those of the terminal (40 at least) that it is, or RF_TEXT_WIDTH. */
size_t rf_text_width(FILE *out);

/* A line made of pieces. Of a piece that does not fit there is as much as fits; then the text ends in "...". */
struct rf_line {
	char *text;
	size_t size, used;
	bool full;
};

/* An empty line in text, of at least four bytes. */
void rf_line_begin(struct rf_line *line, char *text, size_t size);
void rf_line_add(struct rf_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Words under a label, broken between them where the width ends; '\v' is a space that does not break. */
struct rf_paragraph {
	FILE *out;
	int indent;
	size_t column, width;
	bool begun;		/* there is a word */
};

/* indent: columns, at least those of the label. */
void rf_paragraph_begin(struct rf_paragraph *paragraph, FILE *out, const char *label, int indent);
void rf_paragraph_words(struct rf_paragraph *paragraph, const char *text);
void rf_paragraph_end(struct rf_paragraph *paragraph);

/* "1,234,567"; text has room for RF_DIGITS_MAX. */
#define RF_DIGITS_MAX 32
const char *rf_digits(s64 value, char *text);
const char *rf_digits_unsigned(u64 value, char *text);

/* "99.99 %", rounded down, so that only all of it is 100 %; of nothing all is there. */
const char *rf_percent(u64 part, u64 whole, char *text, size_t size);

/* A whole word, decimal or 0x hexadecimal, without sign: false unless it is a number from least to most. */
bool rf_parse_number(const char *text, u64 least, u64 most, u64 *value);
/* Digits and a point at the beginning of text, not what else strtod() takes; end: behind them. False: there is none. */
bool rf_parse_decimal(const char *text, double *value, const char **end);
/* Bytes, with suffix K, M, G or T, small or large. */
bool rf_parse_size(const char *text, u64 least, u64 most, u64 *size);
/* Seconds, a fraction too, or with suffix ms, s, m or h; a millisecond at least. */
bool rf_parse_time(const char *text, double *seconds);

/* How many letters are to be changed, put in or left out to make b of a: for "did you mean"; ~0 for long words. */
unsigned int rf_distance(const char *a, const char *b);
/* "'a', 'b' and 'c'", the three of nr names that are nearest to what was mistyped. */
void rf_nearest(const char *mistyped, const char *const *names, size_t nr, char *list, size_t size);

#endif
