// SPDX-License-Identifier: MIT
/* Text for people and of people: lines made of pieces, paragraphs, numbers, the distance of a word to another. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

void rf_line_begin(struct rf_line *line, char *text, size_t size)
{
	*line = (struct rf_line){ .text = text, .size = size };
	text[0] = '\0';
}

void rf_line_add(struct rf_line *line, const char *format, ...)
{
	size_t room = line->size - line->used;
	va_list args;
	int length;

	if (line->full)
		return;
	va_start(args, format);
	length = vsnprintf(line->text + line->used, room, format, args);
	va_end(args);
	if (length >= 0 && (size_t)length < room) {
		line->used += length;
		return;
	}
	line->full = true;
	line->used = line->size - 1;
	memcpy(line->text + line->size - sizeof("..."), "...", sizeof("..."));
}

/* ---- paragraphs --------------------------------------------------------------- */

size_t rf_text_width(FILE *out)
{
	struct winsize size;
	int fd = fileno(out);

	if (fd < 0 || !isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col)
		return RF_TEXT_WIDTH;
	return size.ws_col < 40 ? 40 : size.ws_col;
}

void rf_paragraph_begin(struct rf_paragraph *paragraph, FILE *out, const char *label, int indent)
{
	*paragraph = (struct rf_paragraph){
		.out = out, .indent = indent, .column = indent, .width = rf_text_width(out),
	};
	fprintf(out, "%-*s", indent, label);
}

/* The space before a word, or the next line. */
static void make_room(struct rf_paragraph *paragraph, size_t length)
{
	size_t indent = paragraph->indent;

	if (!paragraph->begun) {
		paragraph->begun = true;
		return;
	}
	if (paragraph->column + 1 + length > paragraph->width) {
		fprintf(paragraph->out, "\n%*s", paragraph->indent, "");
		paragraph->column = indent;
	} else {
		fputc(' ', paragraph->out);
		paragraph->column++;
	}
}

void rf_paragraph_words(struct rf_paragraph *paragraph, const char *text)
{
	size_t length, i;

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		length = strcspn(text, " ");
		make_room(paragraph, length);
		for (i = 0; i < length; i++)
			fputc(text[i] == '\v' ? ' ' : text[i], paragraph->out);
		paragraph->column += length;
		text += length;
	}
}

void rf_paragraph_end(struct rf_paragraph *paragraph)
{
	fputc('\n', paragraph->out);
}

/* ---- numbers ------------------------------------------------------------------- */

const char *rf_digits_unsigned(u64 value, char *text)
{
	char digits[24];
	size_t length = snprintf(digits, sizeof(digits), "%" PRIu64, value), i, used = 0;

	for (i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = '\0';
	return text;
}

const char *rf_digits(s64 value, char *text)
{
	if (value >= 0)
		return rf_digits_unsigned(value, text);
	text[0] = '-';
	rf_digits_unsigned(-(u64)value, text + 1);
	return text;
}

const char *rf_percent(u64 part, u64 whole, char *text, size_t size)
{
	u64 hundredths = whole ? (u64)((unsigned __int128)part * 10000 / whole) : 10000;

	snprintf(text, size, "%llu.%02llu %%", (unsigned long long)(hundredths / 100),
		 (unsigned long long)(hundredths % 100));
	return text;
}

bool rf_parse_number(const char *text, u64 least, u64 most, u64 *value)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;

	if (!isxdigit((unsigned char)text[hex ? 2 : 0]))
		return false;
	errno = 0;
	*value = strtoull(hex ? text + 2 : text, &end, hex ? 16 : 10);
	return !*end && !errno && *value >= least && *value <= most;
}

/* A number and one of these letters, each so many times the unit; "" stands for none. */
struct suffix {
	char letter;
	u64 times;
};

static const struct suffix size_suffixes[] = { { 'k', 1ull << 10 }, { 'm', 1ull << 20 }, { 'g', 1ull << 30 },
					       { 't', 1ull << 40 }, { 0, 0 } };
static const struct suffix time_suffixes[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 0, 0 } };

/* What a suffix at the end of text stands for, 1 without any; 0: there is something else. */
static u64 suffix_times(const struct suffix *suffixes, const char *text)
{
	if (!*text)
		return 1;
	for (; suffixes->letter && !text[1]; suffixes++)
		if ((text[0] | 0x20) == suffixes->letter)
			return suffixes->times;
	return 0;
}

bool rf_parse_size(const char *text, u64 least, u64 most, u64 *size)
{
	unsigned long long value;
	u64 times;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	times = suffix_times(size_suffixes, end);
	if (errno || end == text || text[0] < '0' || text[0] > '9' || !times || value > most / times)
		return false;
	*size = value * times;
	return *size >= least;
}

bool rf_parse_decimal(const char *text, double *value, const char **end)
{
	char *read;

	*end = text + strspn(text, "0123456789.");
	*value = strtod(text, &read);
	return read == *end && read != text;
}

bool rf_parse_time(const char *text, double *seconds)
{
	const char *end;

	if (!rf_parse_decimal(text, seconds, &end))
		return false;
	if (!strcmp(end, "ms"))
		*seconds /= 1000;
	else
		*seconds *= (double)suffix_times(time_suffixes, end);
	return *seconds >= 0.001 && *seconds < 1e9;
}

/* ---- words ---------------------------------------------------------------------- */

/* Levenshtein's, row by row. */
unsigned int rf_distance(const char *a, const char *b)
{
	unsigned int row[64], diagonal, above, i, j;
	size_t length = strlen(b);

	if (length >= ARRAY_SIZE(row))
		return ~0u;
	for (j = 0; j <= length; j++)
		row[j] = j;
	for (i = 0; a[i]; i++) {
		diagonal = row[0];
		row[0] = i + 1;
		for (j = 0; j < length; j++) {
			above = row[j + 1];
			row[j + 1] = diagonal + (a[i] != b[j]);
			if (row[j + 1] > above + 1)
				row[j + 1] = above + 1;
			if (row[j + 1] > row[j] + 1)
				row[j + 1] = row[j] + 1;
			diagonal = above;
		}
	}
	return row[length];
}

void rf_nearest(const char *mistyped, const char *const *names, size_t nr, char *list, size_t size)
{
	const char *nearest[3] = { NULL }, *name;
	unsigned int distances[3] = { ~0u, ~0u, ~0u }, d, other;
	struct rf_line line;
	size_t i, j;

	for (i = 0; i < nr; i++) {
		name = names[i];
		d = rf_distance(mistyped, name);
		for (j = 0; j < ARRAY_SIZE(nearest) && name; j++) {
			const char *pushed = nearest[j];

			if (d >= distances[j])
				continue;
			other = distances[j];
			nearest[j] = name;
			distances[j] = d;
			name = pushed;
			d = other;
		}
	}
	rf_line_begin(&line, list, size);
	for (j = 0; j < ARRAY_SIZE(nearest) && nearest[j]; j++)
		rf_line_add(&line, "%s'%s'", !j ? "" : j + 1 < ARRAY_SIZE(nearest) && nearest[j + 1] ? ", " : " and ",
			    nearest[j]);
}
