// SPDX-License-Identifier: MIT
/*
 * Policies as users write them: a name, a name with knobs, or a JSON file that starts from a name. What a knob means is
 * knobs.c's business; here is only the reading.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "engine/policy/text.h"

/* "a, b, c" of all named policies, as far as it fits. */
static void list_names(char *list, size_t size)
{
	const struct rf_policy *policy;
	struct rf_line line;
	size_t i;

	rf_line_begin(&line, list, size);
	for (i = 0; (policy = rf_policy_named(i)); i++)
		rf_line_add(&line, "%s%s", i ? ", " : "", policy->name);
}

static int start_from(const char *name, struct rf_policy *policy, struct rf_error *err)
{
	const struct rf_policy *named = rf_policy_find(name);
	char list[sizeof(err->message) - 80];

	if (!named) {
		list_names(list, sizeof(list));
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no policy '%.40s'; there are %s", name, list);
	}
	*policy = *named;
	return 0;
}

static int set_name(const char *name, size_t length, struct rf_policy *policy, struct rf_error *err)
{
	if (length >= sizeof(policy->name))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "policy '%.40s...' is longer than %zu characters; put the knobs in a JSON file",
				    name, sizeof(policy->name) - 1);
	memset(policy->name, 0, sizeof(policy->name));
	memcpy(policy->name, name, length);
	return 0;
}

/* [+knob=value...]; text: the whole policy, for the error. */
static int set_knobs(const char *knobs, const char *text, struct rf_policy *policy, struct rf_error *err)
{
	char *copy = strdup(knobs), *rest = copy, *part, *value;
	int ret = 0;

	if (!copy)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	strsep(&rest, "+");
	while (!ret && (part = strsep(&rest, "+"))) {
		value = strchr(part, '=');
		if (!value) {
			ret = rf_error_set(err, -EINVAL, RF_NO_OFFSET, "'%.60s' in policy '%.80s' is not knob=value",
					   part, text);
			break;
		}
		*value++ = '\0';
		ret = rf_policy_set(policy, part, value, err);
	}
	free(copy);
	return ret;
}

/* NAME[+knob=value...] */
static int parse_inline(const char *text, struct rf_policy *policy, struct rf_error *err)
{
	size_t length = strcspn(text, "+");
	char *name = strndup(text, length);
	int ret;

	if (!name)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	ret = start_from(name, policy, err);
	free(name);
	if (!ret)
		ret = set_knobs(text + length, text, policy, err);
	return ret ? ret : set_name(text, strlen(text), policy, err);
}

static int set_from_json(struct rf_policy *policy, const char *knob, const json_t *value, struct rf_error *err)
{
	char number[24];

	if (json_is_string(value))
		return rf_policy_set(policy, knob, json_string_value(value), err);
	if (json_is_boolean(value))
		return rf_policy_set(policy, knob, json_is_true(value) ? "true" : "false", err);
	if (json_is_integer(value)) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return rf_policy_set(policy, knob, number, err);
	}
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%.60s' must be true, false, an integer or a string",
			    knob);
}

static int read_object(json_t *object, const char *path, struct rf_policy *policy, struct rf_error *err)
{
	const char *base = json_string_value(json_object_get(object, "base"));
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *knob, *slash = strrchr(path, '/');
	json_t *value;
	int ret;

	if (!base)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "not a policy: needs {\"base\": \"NAME\"}; 'refold policies' lists the names");
	ret = start_from(base, policy, err);
	if (ret)
		return ret;
	json_object_foreach(object, knob, value) {
		if (!strcmp(knob, "base") || !strcmp(knob, "name"))
			continue;
		ret = set_from_json(policy, knob, value, err);
		if (ret)
			return ret;
	}
	if (name)
		return set_name(name, strlen(name), policy, err);
	name = slash ? slash + 1 : path;
	return set_name(name, strlen(name) - strlen(".json"), policy, err);
}

/* Put "FILE: " in front of what went wrong, so that the line tells where to look. */
static int in_file(const char *path, int code, struct rf_error *err)
{
	struct rf_error inner;

	if (!code || !err)
		return code;
	inner = *err;
	return rf_error_set(err, code, RF_NO_OFFSET, "%.100s: %.290s", path, inner.message);
}

static int parse_file(const char *path, struct rf_policy *policy, struct rf_error *err)
{
	json_error_t where;
	json_t *object;
	FILE *file = fopen(path, "re");
	int ret;

	if (!file)
		return rf_error_set(err, -errno, RF_NO_OFFSET, "%.120s: cannot read the policy: %s", path,
				    strerror(errno));
	object = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
	fclose(file);
	if (!object)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.90s:%d: not JSON: %.90s", path, where.line,
				    where.text);
	if (json_is_object(object))
		ret = read_object(object, path, policy, err);
	else
		ret = rf_error_set(err, -EINVAL, RF_NO_OFFSET, "not a policy: must be a JSON object with a \"base\"");
	json_decref(object);
	return in_file(path, ret, err);
}

int rf_policy_parse(const char *text, struct rf_policy *policy, struct rf_error *err)
{
	size_t length = strlen(text);

	if (length > 5 && !strcmp(text + length - 5, ".json"))
		return parse_file(text, policy, err);
	return parse_inline(text, policy, err);
}

/* The policies of a list so far. */
struct policy_list {
	struct rf_policy *policies;
	size_t nr, max;
};

static int append(struct policy_list *list, const struct rf_policy *policy, struct rf_error *err)
{
	size_t i;

	if (list->nr == list->max)
		return rf_error_set(err, -E2BIG, RF_NO_OFFSET, "more than %zu policies; run refold twice", list->max);
	for (i = 0; i < list->nr; i++)
		if (!strcmp(list->policies[i].name, policy->name))
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "two policies are called '%s'; name one",
					    policy->name);
	list->policies[list->nr++] = *policy;
	return 0;
}

/* all[+knob=value...]: every named point, but for those on which a knob or its value means nothing. */
static int append_all(struct policy_list *list, const char *text, struct rf_error *err)
{
	const char *knobs = text + strlen("all");
	const struct rf_policy *named;
	char name[sizeof(named->name) + 128];
	struct rf_policy policy;
	int ret = 0, refused = 0;
	size_t i, before = list->nr;

	for (i = 0; !ret && (named = rf_policy_named(i)); i++) {
		policy = *named;
		refused = set_knobs(knobs, text, &policy, err);
		if (refused)
			continue;
		snprintf(name, sizeof(name), "%s%s", named->name, knobs);
		ret = set_name(name, strlen(name), &policy, err);
		if (!ret)
			ret = append(list, &policy, err);
	}
	return !ret && list->nr == before ? refused : ret;
}

int rf_policy_parse_list(const char *text, struct rf_policy *policies, size_t nr, size_t max, struct rf_error *err)
{
	struct policy_list list = { .policies = policies, .nr = nr, .max = max };
	char *copy = strdup(text), *rest = copy, *part;
	struct rf_policy policy;
	int ret = 0;

	if (!copy)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	while (!ret && (part = strsep(&rest, ","))) {
		if (!strncmp(part, "all", 3) && (!part[3] || part[3] == '+')) {
			ret = append_all(&list, part, err);
			continue;
		}
		ret = rf_policy_parse(part, &policy, err);
		if (!ret)
			ret = append(&list, &policy, err);
	}
	free(copy);
	return ret ? ret : (int)list.nr;
}
