// SPDX-License-Identifier: MIT
/* Policies whose page-table backend is loaded: a file, or the code of a kernel tree, which is built first. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/loaded/loaded.h"
#include "base/text.h"
#include "engine/policy/loaded.h"

/*
 * "6.9=6.9 6.12=6.12.117 ...", policies and what they model: releases whose core mm may go with the page-table code of
 * a kernel tree of arm64.
 */
static void list_releases(char *list, size_t size)
{
	const struct rf_policy *policy;
	const char *release, *modelled;
	struct rf_line line;
	size_t i;

	rf_line_begin(&line, list, size);
	for (i = 0; (policy = rf_policy_named(i)); i++) {
		release = policy->name + strlen("linux-");
		modelled = rf_policy_release(policy);
		if (!strncmp(policy->name, "linux-", strlen("linux-")) && policy->arch_knobs.cont &&
		    !strcmp(policy->arch->name, "arm64") && !release[strspn(release, "0123456789.")])
			rf_line_add(&line, "%s%s=%.*s", line.used ? " " : "", release,
				    (int)strspn(modelled, "0123456789."), modelled);
	}
}

/* Shells do not look at what follows a "=". */
static char *expand_home(const char *path)
{
	const char *home = getenv("HOME");
	char *expanded = NULL;

	if (path[0] != '~' || path[1] != '/' || !home)
		return strdup(path);
	return asprintf(&expanded, "%s%s", home, path + 1) < 0 ? NULL : expanded;
}

/* The backend of path, for core mm of named; NULL: the one it names. */
static int use_backend(const struct arch_loaded *loaded, const struct rf_policy *named, struct rf_policy *policy,
		       struct rf_error *err)
{
	const char *base = loaded->backend.base;

	if (!named)
		named = rf_policy_find(base);
	if (!named)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "%.150s: core mm is to be that of '%.40s', which is no policy", loaded->path, base);
	if (named->arch != loaded->like)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.150s: is of %s, policy %.40s of %s", loaded->path,
				    loaded->like->name, named->name, named->arch->name);
	*policy = *named;
	policy->arch = &loaded->ops;
	if (loaded->ops.geometries == loaded->geometries)
		policy->geometry = loaded->geometries[0];
	if (loaded->backend.cont_ptes)
		policy->arch_knobs.cont = loaded->backend.cont_ptes > 1;
	return 0;
}

static int start_from_file(const char *path, const struct rf_policy *named, struct rf_policy *policy,
			   struct rf_error *err)
{
	char *expanded = expand_home(path);
	const struct arch_loaded *loaded;

	if (!expanded)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	loaded = arch_loaded_open(expanded, err);
	free(expanded);
	return loaded ? use_backend(loaded, named, policy, err) : err->code;
}

static int start_from_kernel(const char *tree, const struct rf_policy *named, unsigned int page_shift,
			     struct rf_policy *policy, struct rf_error *err)
{
	char releases[200], *expanded = expand_home(tree);
	const struct arch_loaded_kernel kernel = {
		.tree = expanded, .page_shift = page_shift, .base = named ? named->name : NULL, .releases = releases,
	};
	const struct arch_loaded *loaded;

	if (!expanded)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	list_releases(releases, sizeof(releases));
	if (named && strcmp(named->arch->name, "arm64")) {
		free(expanded);
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "policy %.40s is of %s; kernel trees are built for arm64 only", named->name,
				    named->arch->name);
	}
	loaded = arch_loaded_build(&kernel, err);
	free(expanded);
	return loaded ? use_backend(loaded, named, policy, err) : err->code;
}

struct arch_loaded *rf_policy_build_kernel(const char *tree, const char *base, const char *page_size,
					   const char *output, const char *keep, struct rf_error *err)
{
	const char *of = base ? base : "linux-7.3";
	char releases[200], *expanded;
	struct arch_loaded_kernel kernel = { .base = base, .releases = releases, .output = output, .keep = keep };
	struct arch_loaded *loaded;
	struct rf_policy policy;

	if (!rf_policy_find(of)) {
		rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no policy '%.40s'", of);
		return NULL;
	}
	policy = *rf_policy_find(of);
	if (rf_policy_set(&policy, "granule", page_size, err))
		return NULL;
	list_releases(releases, sizeof(releases));
	kernel.page_shift = policy.geometry.page_shift;
	kernel.tree = expanded = expand_home(tree);
	loaded = expanded ? arch_loaded_build(&kernel, err) : NULL;
	free(expanded);
	return loaded;
}

/* ---- as it is written ---- */

/* The end of a path: a "+" belongs to it unless "=" follows before the next one. */
static const char *path_end(const char *path)
{
	const char *plus = strchr(path, '+');

	while (plus && plus[1 + strcspn(plus + 1, "+=")] != '=')
		plus = strchr(plus + 1, '+');
	return plus ? plus : path + strlen(path);
}

/* "+granule=16k" among knobs says what a kernel is built for, as it says of policies. */
static unsigned int page_shift_of(const char *knobs, const struct rf_policy *named)
{
	struct rf_policy policy = named ? *named : *rf_policy_named(0);
	const char *granule = strstr(knobs, "+granule=");
	struct rf_error err;
	char value[16];

	if (granule) {
		granule += strlen("+granule=");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(granule, "+"), granule);
		rf_policy_set(&policy, "granule", value, &err);
	}
	return policy.geometry.page_shift;
}

static bool is_backend_file(const char *path, const char *end)
{
	return end - path > 3 && !memcmp(end - 3, ".so", 3);
}

/* "NAME+kernel=TREE...": the policy, and text at "kernel="; NULL: it is not of this kind. */
static const struct rf_policy *named_before(const char *text, const char **at)
{
	size_t length = strcspn(text, "+");
	const struct rf_policy *named;
	char name[sizeof(named->base)];

	*at = text + length;
	if (length >= sizeof(name) || (strncmp(*at, "+kernel=", 8) && strncmp(*at, "+backend=", 9)))
		return NULL;
	++*at;
	memcpy(name, text, length);
	name[length] = '\0';
	return rf_policy_find(name);
}

int rf_policy_start_loaded(const char *text, struct rf_policy *policy, const char **knobs, struct rf_error *err)
{
	const struct rf_policy *named;
	const char *at, *end;
	bool kernel;
	char *path;
	int ret;

	*knobs = NULL;
	named = named_before(text, &at);
	if (!named)
		at = text;
	kernel = !strncmp(at, "kernel=", 7);
	if (kernel)
		at += 7;
	else if (!strncmp(at, "backend=", 8))
		at += 8;
	else if (!is_backend_file(text, path_end(text)))
		return 0;
	end = path_end(at);
	path = strndup(at, end - at);
	if (!path)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	*knobs = end;
	if (kernel)
		ret = start_from_kernel(path, named, page_shift_of(end, named), policy, err);
	else
		ret = start_from_file(path, named, policy, err);
	free(path);
	return ret;
}
