// SPDX-License-Identifier: MIT
/* What a report says of a column that a loaded backend counted: whose code it was, and what that code complained of. */
#include "arch/loaded/loaded.h"
#include "base/text.h"
#include "replay/report/json.h"

static json_t *refused_knobs(const struct rf_policy *policy)
{
	json_t *list = json_array();
	const char *knob;
	size_t i;

	for (i = 0; rf_policy_refused(policy, i, &knob); i++)
		json_array_append_new(list, json_string(knob));
	return list;
}

static json_t *complaints(const struct arch_loaded *loaded)
{
	json_t *list = json_array(), *entry;
	size_t i;

	for (i = 0; i < ARCH_LOADED_WARNINGS && loaded->warnings[i].where; i++) {
		entry = json_object();
		rf_json_set_string(entry, "where", loaded->warnings[i].where);
		rf_json_set_string(entry, "what", loaded->warnings[i].what);
		rf_json_set_count(entry, "count", loaded->warnings[i].count);
		json_array_append_new(list, entry);
	}
	return list;
}

json_t *backend_object(const struct rf_policy *policy)
{
	const struct arch_loaded *loaded = policy->arch->loaded;
	const struct refold_backend *backend = &loaded->backend;
	const struct {
		const char *key, *value;
	} facts[] = {
		{ "tree", backend->tree }, { "revision", backend->revision }, { "files", backend->files },
		{ "compiler", backend->compiler }, { "compiler_flags", backend->compiler_flags },
	};
	json_t *object = json_object();
	size_t i;

	rf_json_set_string(object, "release", backend->release);
	for (i = 0; i < ARRAY_SIZE(facts); i++)
		if (facts[i].value)
			rf_json_set_string(object, facts[i].key, facts[i].value);
	json_object_set_new(object, "refused_knobs", refused_knobs(policy));
	json_object_set_new(object, "warnings", complaints(loaded));
	return object;
}

json_t *backend_identity(const struct rf_policy *policy)
{
	const struct refold_backend *backend = &policy->arch->loaded->backend;

	return json_pack("{s:s, s:s*}", "release", backend->release, "files", backend->files);
}

u64 backend_warnings(const struct rf_policy *policy)
{
	return policy->arch->loaded ? policy->arch->loaded->nr_warnings : 0;
}

/* "Linux 7.3.4 of ~/linux, v7.3.4-2-gab12-dirty, files 12ab34cd, by gcc 14.2 with -O2"; "one TLBI per flush" */
void backend_sentence(const json_t *policy, char *text, size_t size)
{
	const json_t *backend = json_object_get(policy, "backend");
	const char *revision = json_object_get(backend, "revision") ? rf_json_string(backend, "revision") : "";
	struct rf_line line;

	rf_line_begin(&line, text, size);
	rf_line_add(&line, "%.80s: ", rf_json_string(policy, "name"));
	if (!json_object_get(backend, "tree")) {
		rf_line_add(&line, "%.80s", rf_json_string(backend, "release"));
	} else {
		rf_line_add(&line, "page-table code of Linux %.40s in %.120s (%.60s%sfiles %.16s), by %.60s with %.80s",
			    rf_json_string(backend, "release"), rf_json_string(backend, "tree"), revision,
			    *revision ? ", " : "", rf_json_string(backend, "files"),
			    rf_json_string(backend, "compiler"), rf_json_string(backend, "compiler_flags"));
	}
	rf_line_add(&line, "; core mm is that of %.40s", rf_json_string(policy, "base"));
	if (json_array_size(json_object_get(backend, "refused_knobs")))
		rf_line_add(&line, ", %zu\vof its knobs mean nothing here",
			    json_array_size(json_object_get(backend, "refused_knobs")));
}
