// SPDX-License-Identifier: MIT
/*
 * A format file as kernels print it (f_show() and trace_event_format() of kernel/trace/trace_events.c):
 *
 *	name: sys_enter_brk
 *	ID: 271
 *	format:
 *		field:unsigned short common_type;	offset:0;	size:2;	signed:0;
 *		...
 *
 *		field:int __syscall_nr;	offset:8;	size:4;	signed:1;
 *		...
 *
 *	print fmt: ...
 *
 * The fields that every event has, and those of this one, each end with an empty line. Old kernels do not say
 * "signed:". What is behind them is the business of print_fmt.c.
 */
#include "traces/events/format.h"

#include <string.h>

#define NUMBER_MAX INT32_MAX

struct line {
	const char *name;
	size_t length;
	struct rf_format_field field;
};

/* Past a word that is next, spaces before it do not matter. */
static bool skip(const char **at, const char *word)
{
	const char *next = *at + strspn(*at, " \t");
	size_t length = strlen(word);

	if (strncmp(next, word, length))
		return false;
	*at = next + length;
	return true;
}

static bool read_number(const char **at, u32 most, u32 *value)
{
	const char *digits = *at + strspn(*at, " \t"), *end = digits;
	u64 number = 0;

	for (; *end >= '0' && *end <= '9' && number <= most; end++)
		number = number * 10 + (u64)(*end - '0');
	if (end == digits || number > most)
		return false;
	*at = end;
	*value = (u32)number;
	return true;
}

/* "key:NUMBER;" */
static bool read_part(const char **at, const char *key, u32 most, u32 *value)
{
	return skip(at, key) && read_number(at, most, value) && skip(at, ";");
}

static bool is_of_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The end of what is before the dimensions of an array, if it ends with any. */
static const char *skip_dimensions(const char *begin, const char *end)
{
	while (end > begin && (end[-1] == ' ' || end[-1] == ']'))
		if (*--end == ']')
			while (end > begin && *end != '[')
				end--;
	return end;
}

/* "TYPE NAME", "TYPE NAME[N]", "TYPE[] NAME": the name is the last word that is not in brackets. */
static bool read_declaration(const char *begin, const char *end, struct line *line)
{
	const char *type = begin + strspn(begin, " \t"), *name;

	end = skip_dimensions(begin, end);
	for (name = end; name > begin && is_of_name(name[-1]); name--)
		;
	line->name = name;
	line->length = (size_t)(end - name);
	line->field.dynamic = !strncmp(type, "__data_loc ", 11);
	line->field.relative = !strncmp(type, "__rel_loc ", 10);
	return line->length && name > type && (name[-1] == ' ' || name[-1] == '*');
}

static bool read_line(const char **at, struct line *line)
{
	const char *begin;
	u32 is_signed = 0;

	if (!skip(at, "field:"))
		return false;
	begin = *at;
	*at += strcspn(*at, ";\n");
	*line = (struct line){ 0 };
	if (!read_declaration(begin, *at, line) || !skip(at, ";") ||
	    !read_part(at, "offset:", NUMBER_MAX, &line->field.offset) ||
	    !read_part(at, "size:", NUMBER_MAX, &line->field.size))
		return false;
	if (!skip(at, "\n") && !(read_part(at, "signed:", 1, &is_signed) && skip(at, "\n")))
		return false;
	line->field.is_signed = is_signed;
	return true;
}

static bool is_end(const char *at)
{
	return *at == '\n' || !*at;
}

static bool skip_fields(const char **at)
{
	struct line line;

	while (!is_end(*at))
		if (!read_line(at, &line))
			return false;
	return true;
}

bool rf_format_read(struct rf_format *format, const char *text)
{
	const char *at = text;

	if (!skip(&at, "name:"))
		return false;
	at += strspn(at, " \t");
	if (is_end(at))
		return false;
	at += strcspn(at, "\n");
	if (!skip(&at, "\n") || !skip(&at, "ID:") || !read_number(&at, NUMBER_MAX, &format->id) || !skip(&at, "\n") ||
	    !skip(&at, "format:") || !skip(&at, "\n"))
		return false;
	format->common = at;
	if (!skip_fields(&at))
		return false;
	skip(&at, "\n");
	format->fields = at;
	return skip_fields(&at);
}

bool rf_format_find(const char *lines, const char *name, size_t after, struct rf_format_field *field)
{
	size_t length = strlen(name);
	bool found = false;
	struct line line;

	while (!is_end(lines) && read_line(&lines, &line)) {
		found = found || (line.length == length && !memcmp(line.name, name, length));
		if (found && !after--) {
			*field = line.field;
			return true;
		}
	}
	return false;
}
