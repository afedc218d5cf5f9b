// SPDX-License-Identifier: MIT
/*
 * Rows out of files. Of a report, which may have megabytes of counters by operation, only the members that rows are
 * made of are parsed: its text is canonical, so that a member of the whole begins at the start of a line, after two
 * spaces, and nothing else does. A text that somebody has laid out anew is parsed as a whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "replay/fleet/fleet.h"
#include "replay/fleet/store.h"
#include "replay/report/report.h"

struct text {
	const char *bytes;
	size_t size;
};

static int map_file(const char *path, struct text *text, struct rf_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = errno;
	struct stat status;
	void *bytes = MAP_FAILED;

	if (fd >= 0) {
		if (!fstat(fd, &status) && status.st_size)
			bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		error = status.st_size ? errno : 0;
		close(fd);
	}
	if (bytes == MAP_FAILED)
		return error ? rf_error_set(err, -error, RF_NO_OFFSET, "cannot read: %s", strerror(error))
			     : rf_error_set(err, -EBADMSG, RF_NO_OFFSET, "is empty");
	*text = (struct text){ bytes, (size_t)status.st_size };
	return 0;
}

/*
 * The value of a member of the whole, NULL where the text has none in its canonical place. from: members come in order,
 * so that each is looked for behind the one before.
 */
static json_t *member(const struct text *text, size_t *from, const char *key)
{
	char start[64];
	const char *at;
	int length = snprintf(start, sizeof(start), "\n  \"%s\": ", key);

	at = memmem(text->bytes + *from, text->size - *from, start, (size_t)length);
	if (!at)
		return NULL;
	at += length;
	*from = (size_t)(at - text->bytes);
	return json_loadb(at, text->size - *from, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_REJECT_DUPLICATES,
			  NULL);
}

/* A text that was cut is not whole by having what was looked for: the last brace is there. */
static bool ends_well(const struct text *text)
{
	return text->size > 3 && !memcmp(text->bytes + text->size - 3, "\n}\n", 3);
}

static bool is_of_fleet(const struct text *text)
{
	static const char begin[] = "{\n  \"failures\": ";

	return !strncmp(text->bytes, begin, min_u64(text->size, strlen(begin)));
}

/* The members that rows are made of, or NULL: the text is not as refold writes it. In reports no member is missing. */
static json_t *canonical_parts(const struct text *text)
{
	static const char *const of_reports[] = { "schema", "traces", "warnings", NULL };
	static const char *const of_fleets[] = { "failures", "schema", "traces", NULL };
	const char *const *keys = is_of_fleet(text) ? of_fleets : of_reports;
	json_t *parts = ends_well(text) ? json_object() : NULL, *value;
	size_t from = 0;

	for (; parts && *keys; keys++) {
		value = member(text, &from, *keys);
		if (value) {
			json_object_set_new(parts, *keys, value);
		} else {
			json_decref(parts);
			parts = NULL;
		}
	}
	return parts;
}

static json_t *parts_of(const struct text *text, struct rf_error *err)
{
	json_t *parts = canonical_parts(text);
	json_error_t where;

	if (parts)
		return parts;
	parts = json_loadb(text->bytes, text->size, JSON_REJECT_DUPLICATES, &where);
	if (!parts)
		rf_report_not_json((const u8 *)text->bytes, text->size, &where, err);
	return parts;
}

/* Several traces share the warnings of their report. */
static json_t *shared_warnings(const json_t *parts, size_t nr)
{
	json_t *warnings = json_object_get(parts, "warnings"), *shared = json_array(), *warning;
	size_t i;

	json_array_foreach(warnings, i, warning)
		json_array_append_new(shared, nr < 2 ? json_incref(warning) :
						       json_sprintf("of %zu traces together: %s", nr,
								    json_string_value(warning)));
	return shared;
}

static int add_parts(struct rf_fleet *fleet, const json_t *parts, struct rf_error *err)
{
	json_t *traces = json_object_get(parts, "traces"), *trace, *failure, *warnings;
	const char *schema = rf_json_string(parts, "schema");
	bool report = !strcmp(schema, RF_REPORT_SCHEMA);
	int ret = 0;
	size_t i;

	if (!json_object_get(parts, "schema"))
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "not a report of 'refold replay -o'");
	if (!report && strcmp(schema, RF_FLEET_SCHEMA))
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET,
				    "is of schema %.40s, this refold reads %s and %s", schema, RF_REPORT_SCHEMA,
				    RF_FLEET_SCHEMA);
	if (!json_is_array(traces))
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "has no traces");
	warnings = report ? shared_warnings(parts, json_array_size(traces)) : NULL;
	json_array_foreach(traces, i, trace) {
		ret = rf_fleet_add(fleet, trace, warnings, err);
		if (ret)
			break;
	}
	json_decref(warnings);
	json_array_foreach(json_object_get(parts, "failures"), i, failure)
		rf_fleet_add_failure(fleet, rf_json_string(failure, "name"), rf_json_string(failure, "digest"),
				     rf_json_string(failure, "error"));
	return ret;
}

bool rf_fleet_is_one(const char *path)
{
	struct text text = { 0 };
	struct rf_error err;
	bool one;

	if (map_file(path, &text, &err))
		return false;
	one = rf_store_is_one(text.bytes, text.size) || (text.size > 3 && is_of_fleet(&text));
	munmap((void *)text.bytes, text.size);
	return one;
}

int rf_fleet_read(struct rf_fleet *fleet, const char *path, struct rf_error *err)
{
	struct text text = { 0 };
	json_t *parts;
	int ret = map_file(path, &text, err);

	if (ret)
		return ret;
	if (rf_store_is_one(text.bytes, text.size)) {
		ret = rf_store_read(fleet, path, err);
	} else {
		parts = parts_of(&text, err);
		ret = parts ? add_parts(fleet, parts, err) : err->code;
		json_decref(parts);
	}
	munmap((void *)text.bytes, text.size);
	return ret;
}
