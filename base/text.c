// SPDX-License-Identifier: MIT
/* Text for people: lines made of pieces. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
