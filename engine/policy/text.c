// SPDX-License-Identifier: MIT
/*
 * Policies as users write them: a name, a name with knobs, or a JSON file that starts from a name. What a knob means is
 * knobs.c's business; here is only the reading.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "engine/policy/loaded.h"
#include "engine/policy/parts.h"
#include "engine/policy/text.h"

/* The three names that are nearest. */
static void list_nearest(const char *name, char *list, size_t size)
{
	const char *names[RF_MAX_POLICIES];
	const struct rf_policy *policy;
	size_t nr;

	for (nr = 0; nr < ARRAY_SIZE(names) && (policy = rf_policy_named(nr)); nr++)
		names[nr] = policy->name;
	rf_nearest(name, names, nr, list, size);
}

static int start_from(const char *name, struct rf_policy *policy, struct rf_error *err)
{
	const struct rf_policy *named = rf_policy_find(name);
	char list[256];

	if (!*name)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no policy ''; 'refold policies' lists all");
	if (!named) {
		list_nearest(name, list, sizeof(list));
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "no policy '%.40s'; the nearest are %s, 'refold policies' lists all", name, list);
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
	for (size_t i = 0; i < length; i++)
		if (iscntrl((unsigned char)name[i]))
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "a policy's name cannot have a line's end, a "
					    "tab or another control character in it");
	memset(policy->name, 0, sizeof(policy->name));
	memcpy(policy->name, name, length);
	return 0;
}

/* [+part=value...]; text: the whole policy, for the error. */
static int set_parts(const char *list, const char *text, struct rf_policy *policy, struct rf_error *err)
{
	char *copy = strdup(list), *rest = copy, *part, *value;
	struct rf_part parts[RF_MAX_PARTS];
	size_t nr = 0;
	int ret = 0;

	if (!copy)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	strsep(&rest, "+");
	while (!ret && (part = strsep(&rest, "+"))) {
		value = strchr(part, '=');
		if (!value && nr && rf_policy_knob_is_set(parts[nr - 1].name)) {
			part[-1] = '+';		/* anon_folios=64k+2m is one value */
			continue;
		}
		if (!value) {
			ret = rf_error_set(err, -EINVAL, RF_NO_OFFSET, "'%.60s' in policy '%.80s' is not knob=value",
					   part, text);
			break;
		}
		if (nr == ARRAY_SIZE(parts)) {
			ret = rf_error_set(err, -E2BIG, RF_NO_OFFSET, "policy '%.80s' has more than %zu parts", text,
					   nr);
			break;
		}
		*value++ = '\0';
		parts[nr++] = (struct rf_part){ part, value };
	}
	if (!ret)
		ret = rf_policy_set_parts(policy, parts, nr, err);
	free(copy);
	return ret;
}

/* [LABEL=]NAME[+part=value...] */
static int parse_inline(const char *text, struct rf_policy *policy, struct rf_error *err)
{
	const char *equals = strchr(text, '='), *label = text, *slash, *knobs;
	size_t length = strcspn(text, "+"), label_length = strlen(text);
	bool loaded = !strncmp(text, "kernel=", strlen("kernel=")) || !strncmp(text, "backend=", strlen("backend="));
	char *name;
	int ret;

	if (!loaded && equals && equals > text && equals < text + length) {
		label_length = equals - text;
		text = equals + 1;
		length = strcspn(text, "+");
	}
	ret = rf_policy_start_loaded(text, policy, &knobs, err);
	if (!ret && knobs)
		ret = set_parts(knobs, text, policy, err);
	if (ret || knobs) {
		/* A backend's file is called as it is, wherever it lies. */
		slash = label == text && !loaded ? memrchr(text, '/', length) : NULL;
		label = slash ? slash + 1 : label;
		label_length -= slash ? slash + 1 - text : 0;
		return ret ? ret : set_name(label, label_length, policy, err);
	}
	name = strndup(text, length);
	if (!name)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	ret = start_from(name, policy, err);
	free(name);
	if (!ret)
		ret = set_parts(text + length, text, policy, err);
	return ret ? ret : set_name(label, label_length, policy, err);
}

/* The value as text; number has room for one. */
static const char *json_text(const json_t *value, char *number, size_t size)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "true" : "false";
	if (!json_is_integer(value))
		return NULL;
	snprintf(number, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return number;
}

/* Whose table a policy has: it is said before all knobs. */
static bool is_backend(const char *key)
{
	return !strcmp(key, "kernel") || !strcmp(key, "backend");
}

/* {"kernel": TREE} or {"backend": FILE.so}, with "base" and "granule" as they are beside it: as on a command line. */
static int start_from_json(json_t *object, const char *base, struct rf_policy *policy, struct rf_error *err)
{
	const char *kernel = json_string_value(json_object_get(object, "kernel"));
	const char *file = json_string_value(json_object_get(object, "backend"));
	const char *granule = json_string_value(json_object_get(object, "granule"));
	char text[RF_POLICY_NAME];
	struct rf_line line;
	const char *knobs;

	if (kernel && file)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "names a kernel and a backend: one of them");
	if (!kernel && !file)
		return start_from(base, policy, err);
	rf_line_begin(&line, text, sizeof(text));
	if (base)
		rf_line_add(&line, "%s+", base);
	rf_line_add(&line, "%s=%s", kernel ? "kernel" : "backend", kernel ? kernel : file);
	if (granule)
		rf_line_add(&line, "+granule=%s", granule);
	if (base && !rf_policy_find(base))
		return start_from(base, policy, err);
	return rf_policy_start_loaded(text, policy, &knobs, err);
}

/* All but base, name, and the backend. */
static int set_from_json(struct rf_policy *policy, json_t *object, struct rf_error *err)
{
	struct rf_part parts[RF_MAX_PARTS];
	char numbers[RF_MAX_PARTS][24];
	const char *knob;
	json_t *value;
	size_t nr = 0;

	json_object_foreach(object, knob, value) {
		if (!strcmp(knob, "base") || !strcmp(knob, "name") || is_backend(knob))
			continue;
		if (nr == ARRAY_SIZE(parts))
			return rf_error_set(err, -E2BIG, RF_NO_OFFSET, "more than %zu knobs", nr);
		parts[nr] = (struct rf_part){ knob, json_text(value, numbers[nr], sizeof(numbers[nr])) };
		if (!parts[nr++].value)
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
					    "knob '%.60s' must be true, false, an integer or a string", knob);
	}
	return rf_policy_set_parts(policy, parts, nr, err);
}

static int read_object(json_t *object, const char *path, struct rf_policy *policy, struct rf_error *err)
{
	const char *base = json_string_value(json_object_get(object, "base"));
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *slash = strrchr(path, '/');
	int ret;

	if (!base && !json_object_get(object, "kernel") && !json_object_get(object, "backend"))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "not a policy: needs {\"base\": \"NAME\"}; 'refold policies' lists the names");
	ret = start_from_json(object, base, policy, err);
	if (ret)
		return ret;
	ret = set_from_json(policy, object, err);
	if (ret)
		return ret;
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
	bool unread;
	int ret;

	if (!file)
		return rf_error_set(err, -errno, RF_NO_OFFSET, "%.120s: cannot read the policy: %s", path,
				    strerror(errno));
	object = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
	/* jansson takes an error for the end of the file. */
	unread = ferror(file);
	fclose(file);
	if (!object && unread)
		return rf_error_set(err, -EIO, RF_NO_OFFSET, "%.120s: cannot read the policy: %s", path, strerror(EIO));
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
		refused = set_parts(knobs, text, &policy, err);
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
