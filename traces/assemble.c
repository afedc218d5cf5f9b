// SPDX-License-Identifier: MIT
/*
 * Text to trace. Reads what text.c writes, and lets people who write traces by
 * hand leave out what has an obvious default: header, streams, frames, tid,
 * fields that are 0, and the absolute part of times ("+10").
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "traces/trace.h"

struct assembly {
	const char *path;
	struct rf_writer *writer;	/* created by the first line that needs it */
	int nr_streams;
	int stream;			/* of the open frame; -1: none yet */
	u64 time;			/* of the record line before */
	enum rf_end end;
	bool ended;
	u64 line;
	struct rf_error *err;
};

#define fail(assembly, ...) rf_error_set((assembly)->err, -EINVAL, (assembly)->line, __VA_ARGS__)

/* ---- words and numbers -------------------------------------------------------- */

/* Cut the next word off *rest; a quoted part may contain spaces. NULL at the end of the line. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t"), *end = word;
	bool quoted = false;

	if (!*word)
		return NULL;
	for (; *end && (quoted || (*end != ' ' && *end != '\t')); end++) {
		if (*end == '\\' && quoted && end[1])
			end++;
		else if (*end == '"')
			quoted = !quoted;
	}
	*rest = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

static bool parse_number(const char *word, u64 *value)
{
	if (*word != '-')
		return rf_parse_number(word, 0, UINT64_MAX, value);
	if (!rf_parse_number(word + 1, 0, 1ull << 63, value))
		return false;
	*value = -*value;
	return true;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "text", up to eight characters, \xHH for any byte. */
static bool parse_characters(const char *word, u64 *value)
{
	unsigned int n = 0;

	*value = 0;
	if (*word++ != '"')
		return false;
	for (; *word && *word != '"'; n++) {
		u64 c = (unsigned char)*word++;

		if (c == '\\') {
			if (*word++ != 'x' || hex_digit(word[0]) < 0 || hex_digit(word[1]) < 0)
				return false;
			c = hex_digit(word[0]) << 4 | hex_digit(word[1]);
			word += 2;
		}
		if (n >= 8)
			return false;
		*value |= c << 8 * n;
	}
	return *word == '"' && !word[1];
}

/* Split "key=value" in place; NULL: no '='. */
static char *split_pair(char *word)
{
	char *equals = strchr(word, '=');

	if (!equals)
		return NULL;
	*equals = '\0';
	return equals + 1;
}

static int word_index(const char *const *words, int nr, const char *word)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

/* ---- lines ---------------------------------------------------------------------- */

/* Errors of the writer concern the file, not a line. */
static int create(struct assembly *assembly, const char *header)
{
	json_t *root = json_loads(header, 0, NULL);
	json_t *level = rf_header_get(root, RF_HEADER_ZSTD_LEVEL);
	int zstd_level = level ? json_integer_value(level) : RF_WRITER_LEVEL;

	json_decref(root);
	if (assembly->writer)
		return fail(assembly, "the header must be the first line");
	assembly->writer = rf_writer_create(assembly->path, header, zstd_level, assembly->err);
	if (assembly->writer)
		return 0;
	if (assembly->err && assembly->err->code == -EINVAL)
		assembly->err->offset = assembly->line;
	return assembly->err ? assembly->err->code : -EIO;
}

static int add_stream(struct assembly *assembly, const struct rf_stream_info *info)
{
	int index = assembly->writer ? 0 : create(assembly, "{}");

	if (!index)
		index = rf_writer_add_stream(assembly->writer, info);
	if (index < 0)
		return assembly->writer ? fail(assembly, "cannot add a stream: %s", strerror(-index)) : index;
	assembly->nr_streams = index + 1;
	return 0;
}

static int parse_stream(struct assembly *assembly, char *rest)
{
	struct rf_stream_info info = { 0 };
	char *word = next_word(&rest), *value;
	u64 number;

	if (!word || !rf_parse_number(word, assembly->nr_streams, assembly->nr_streams, &number))
		return fail(assembly, "stream lines are numbered in order: expected \"stream %d\"",
			    assembly->nr_streams);
	while ((word = next_word(&rest))) {
		int source;

		value = split_pair(word);
		source = value && !strcmp(word, "source") ? word_index(rf_source_names, RF_NR_SOURCES, value) : -1;
		if (source >= 0)
			info.source = source;
		else if (value && !strcmp(word, "cpu") && rf_parse_number(value, 0, UINT16_MAX, &number))
			info.cpu = number;
		else
			return fail(assembly, "stream: expected source=task|system|perf|snapshot|compat or cpu=N at \"%.60s\"",
				    word);
	}
	return add_stream(assembly, &info);
}

static int open_frame(struct assembly *assembly, u64 stream, u64 lost)
{
	int ret = 0;

	if (stream == 0 && assembly->nr_streams == 0)
		ret = add_stream(assembly, &(struct rf_stream_info){ .source = RF_SOURCE_TASK });
	if (!ret && stream >= (u64)assembly->nr_streams)
		ret = fail(assembly, "no stream %llu was declared before", (unsigned long long)stream);
	if (!ret && assembly->stream >= 0)
		ret = rf_writer_flush(assembly->writer, assembly->stream, assembly->err);
	if (ret)
		return ret;
	assembly->stream = stream;
	return rf_writer_lost(assembly->writer, stream, lost, assembly->err);
}

static int parse_frame(struct assembly *assembly, char *rest)
{
	u64 stream = 0, lost = 0;
	char *word;

	while ((word = next_word(&rest))) {
		char *value = split_pair(word);

		if (!value || !rf_parse_number(value, 0, UINT64_MAX, !strcmp(word, "lost") ? &lost : &stream) ||
		    (strcmp(word, "lost") && strcmp(word, "stream")))
			return fail(assembly, "frame: expected stream=N or lost=N at \"%.60s\"", word);
	}
	return open_frame(assembly, stream, lost);
}

static int parse_end(struct assembly *assembly, char *rest)
{
	char *word = next_word(&rest);
	int why = word ? word_index(rf_end_names, RF_NR_ENDS, word) : -1;

	if (why < 0 || next_word(&rest))
		return fail(assembly, "end: expected a reason: none, command, signal, error, ...");
	assembly->end = why;
	assembly->ended = true;
	return 0;
}

static int parse_pair(struct assembly *assembly, struct rf_record *record, char *word)
{
	const struct rf_kind_info *info = &rf_kind_table()[record->kind];
	char *text = split_pair(word);
	u64 value;

	if (!text)
		return fail(assembly, "expected key=value at \"%.60s\"", word);
	if (!strcmp(word, "tid")) {
		if (!rf_parse_number(text, 0, UINT32_MAX, &value))
			return fail(assembly, "tid: no thread number: \"%.60s\"", text);
		record->tid = value;
		return 0;
	}
	for (u32 i = 0; i < info->nr_fields; i++) {
		if (strcmp(info->fields[i].name, word))
			continue;
		if (!(*text == '"' ? parse_characters(text, &record->f[i]) : parse_number(text, &record->f[i])))
			return fail(assembly, "%s: not a value: \"%.60s\"", word, text);
		return 0;
	}
	return fail(assembly, "%s has no field \"%.60s\"", info->name ? info->name : "no record kind", word);
}

static int parse_record(struct assembly *assembly, char *time, char *rest)
{
	struct rf_record record = { 0 };
	bool relative = *time == '+';
	char *word;
	int ret;

	if (!rf_parse_number(time + relative, 0, UINT64_MAX, &record.time))
		return fail(assembly,
			    "expected header, stream, frame, end, or a record that starts with its time, at \"%.60s\"",
			    time);
	if (relative)
		record.time += assembly->time;
	assembly->time = record.time;
	while ((word = next_word(&rest))) {
		if (strchr(word, '=')) {
			ret = parse_pair(assembly, &record, word);
			if (ret)
				return ret;
		} else if (record.kind) {
			return fail(assembly, "two record kinds in one line: \"%.60s\"", word);
		} else {
			record.kind = rf_kind_by_name(word);
			if (!record.kind)
				return fail(assembly, "no record kind \"%.60s\" (FORMAT.md lists them)", word);
		}
	}
	if (!record.kind)
		return fail(assembly, "a record without a kind");
	ret = assembly->stream < 0 ? open_frame(assembly, 0, 0) : 0;
	return ret ? ret : rf_writer_append(assembly->writer, assembly->stream, &record, 1, assembly->err);
}

static int parse_line(struct assembly *assembly, char *line)
{
	char *rest = line, *word;

	line[strcspn(line, "\r\n")] = '\0';
	rest += strspn(rest, " \t");
	if (!*rest || *rest == '#')
		return 0;
	if (assembly->ended)
		return fail(assembly, "nothing may follow the end line");
	word = next_word(&rest);
	if (!strcmp(word, "header"))
		return create(assembly, rest);
	if (!strcmp(word, "stream"))
		return parse_stream(assembly, rest);
	if (!strcmp(word, "frame"))
		return parse_frame(assembly, rest);
	if (!strcmp(word, "end"))
		return parse_end(assembly, rest);
	return parse_record(assembly, word, rest);
}

static int parse_all(struct assembly *assembly, FILE *in)
{
	size_t allocated = 0;
	char *line = NULL;
	ssize_t length;
	int ret = 0;

	while (!ret && (length = getline(&line, &allocated, in)) >= 0) {
		assembly->line++;
		if (strlen(line) != (size_t)length)
			ret = fail(assembly, "a NUL byte: this is not the text form of a trace");
		else
			ret = parse_line(assembly, line);
	}
	/* Neither is there an error of the file where there was no memory for a line. */
	if (!ret && !feof(in))
		ret = rf_error_set(assembly->err, -EINVAL, assembly->line, "cannot read the text: %s", strerror(errno));
	free(line);
	return ret;
}

int rf_text_assemble(FILE *in, const char *path, struct rf_error *err)
{
	struct rf_error ignored;
	struct assembly assembly = {
		.path = path,
		.stream = -1,
		.end = RF_END_ASSEMBLED,
		.err = err ? err : &ignored,
	};
	int ret = parse_all(&assembly, in);

	if (!ret && !assembly.writer)
		ret = create(&assembly, "{}");
	/* Frames are written in the order of the text, not of the streams. */
	if (!ret && assembly.stream >= 0)
		ret = rf_writer_flush(assembly.writer, assembly.stream, assembly.err);
	if (!assembly.writer)
		return ret;
	if (!ret)
		return rf_writer_close(assembly.writer, assembly.end, assembly.err);
	rf_writer_abandon(assembly.writer);
	return ret;
}
