// SPDX-License-Identifier: MIT
/*
 * What a page shows of many traces: what is known of each, and counters of each under each policy, so that the page can
 * draw any of them by any label. Numbers take most of it: of a trace the first policy's is there, and how far the
 * others are from it, which is short. What does not fit is left out, counters that do not matter first.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "replay/fleet/summary.h"
#include "replay/page/page.h"

/* ---- links to pages of single traces ---- */

/* From the folder of a file to another folder: "../pages". Both are there. */
static int path_between(const char *file, const char *folder, char *path)
{
	char from[PATH_MAX], to[PATH_MAX], real_from[PATH_MAX];
	const char *slash = strrchr(file, '/');
	struct stat status;
	size_t same = 0, used = 0;

	snprintf(from, sizeof(from), "%.*s", slash ? (int)(slash - file) + 1 : 1, slash ? file : ".");
	if (!realpath(from, real_from) || !realpath(folder, to) || stat(to, &status))
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	/* As far as both have the same folders. */
	for (size_t i = 0;; i++) {
		if ((!real_from[i] || real_from[i] == '/') && (!to[i] || to[i] == '/'))
			same = i;
		if (real_from[i] != to[i] || !to[i])
			break;
	}
	path[0] = '\0';
	for (const char *at = real_from + same; *at; at++)
		if (*at == '/' && at[1] && used + 4 < PATH_MAX)
			used += (size_t)sprintf(path + used, "../");
	used += (size_t)snprintf(path + used, PATH_MAX - used, "%s", to[same] ? to + same + 1 : ".");
	return used < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Is the page of a trace in the folder? A name that several traces have is nobody's. page: of NAME_MAX + 1 bytes. */
static bool has_page(const char *pages, const json_t *facts, const json_t *names, char *page)
{
	static const char ending[] = ".mmt.zst";
	const char *name = rf_json_string(facts, "name"), *digest = rf_json_string(facts, "digest");
	size_t length = strlen(name), cut = strlen(ending);
	bool ends = length > cut && !strcmp(name + length - cut, ending);
	const char *const candidates[] = { digest, name, ends ? name : NULL };
	const int lengths[] = { (int)strlen(digest), (int)length, (int)(length - cut) };
	bool named = rf_json_number(names, name) == 1;
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		if (!candidates[i] || strchr(candidates[i], '/') || (i && !named) || lengths[i] > NAME_MAX - 5)
			continue;
		snprintf(page, NAME_MAX + 1, "%.*s.html", lengths[i], candidates[i]);
		if (snprintf(path, sizeof(path), "%s/%s", pages, page) < (int)sizeof(path) && !access(path, R_OK))
			return true;
	}
	return false;
}

static json_t *count_names(const struct rf_fleet *fleet)
{
	json_t *names = json_object(), *facts;

	for (size_t i = 0; i < fleet->nr; i++) {
		facts = json_loads(fleet->traces[i].facts, 0, NULL);
		rf_json_set_count(names, rf_json_string(facts, "name"),
				  (u64)rf_json_number(names, rf_json_string(facts, "name")) + 1);
		json_decref(facts);
	}
	return names;
}

/* ---- traces and numbers ---- */

static json_t *shown_facts(const json_t *row)
{
	static const char *const kept[] = { "name", "digest", "kernel", "arch", "cpus", "duration_ns", "records",
					    "address_spaces", "lost_events", "trust", "complete", "labels" };
	json_t *shown = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (json_object_get(row, kept[i]))
			json_object_set(shown, kept[i], json_object_get(row, kept[i]));
	rf_json_set_count(shown, "faults", (u64)rf_json_number(json_object_get(row, "records_by_kind"), "fault"));
	return shown;
}

/* The totals of a row under each policy of the page; NULL: it has none. */
static void find_totals(const json_t *row, const json_t *policies, const json_t **totals)
{
	const json_t *policy, *cell;
	size_t p, k;

	json_array_foreach(policies, p, policy) {
		totals[p] = NULL;
		json_array_foreach(json_object_get(row, "policies"), k, cell)
			if (!strcmp(rf_json_string(cell, "name"), rf_json_string(policy, "name")) &&
			    !strcmp(rf_json_string(cell, "definition"), rf_json_string(policy, "definition")))
				totals[p] = json_object_get(cell, "totals");
	}
}

static json_t *number(const json_t *totals, const char *counter, const struct rf_matter *matter, json_int_t base)
{
	if (!totals || (!matter && !json_object_get(totals, counter)))
		return json_null();
	return json_integer((matter ? rf_matter_value(totals, matter) : rf_json_number(totals, counter)) - base);
}

/* The first as it is, the others less the first. */
static json_t *numbers_of(const json_t **totals, size_t nr, const char *counter, const struct rf_matter *matter)
{
	json_t *numbers = json_array();

	for (size_t p = 0; p < nr; p++)
		json_array_append_new(numbers, number(totals[p], counter, matter,
						      p ? json_integer_value(json_array_get(numbers, 0)) : 0));
	return numbers;
}

static const struct rf_matter *matter_of(const char *counter)
{
	const struct rf_matter *matter;

	for (size_t i = 0; (matter = rf_matter_at(i)); i++)
		if (!strcmp(matter->key, counter))
			return matter;
	return NULL;
}

/* Those that matter, then all others by name. */
static json_t *counters_of(const struct rf_fleet *fleet)
{
	json_t *counters = json_array(), *others = json_object(), *unused;
	const struct rf_matter *matter;
	const char *name;
	void *next;

	for (size_t i = 0; (matter = rf_matter_at(i)); i++)
		json_array_append_new(counters, json_string(matter->key));
	for (size_t i = 0; i < fleet->nr_counters; i++)
		if (!matter_of(fleet->counters[i]))
			json_object_set_new(others, fleet->counters[i], json_null());
	json_object_foreach_safe(others, next, name, unused)
		json_array_append_new(counters, json_string(name));
	json_decref(others);
	return counters;
}

struct filling {
	const struct rf_fleet *fleet;
	const char *pages;	/* folder, NULL: none */
	json_t *names;		/* how many traces have each */
	json_t *policies;
	const json_t **totals;	/* scratch: of each policy */
};

/* Of every step'th trace, in the order of digests, which is as good as chance. values: {counter: [numbers...]}. */
static json_t *traces_of(const struct filling *filling, size_t step, const json_t *counters, json_t *values)
{
	json_t *traces = json_array(), *row, *shown, *counter;
	size_t nr = json_array_size(filling->policies), k;
	const char *name;
	char page[NAME_MAX + 1];

	json_array_foreach(counters, k, counter)
		json_object_set_new(values, json_string_value(counter), json_array());
	for (size_t i = 0; i < filling->fleet->nr; i += step) {
		row = rf_fleet_row(filling->fleet, &filling->fleet->traces[i]);
		shown = shown_facts(row);
		if (filling->pages && has_page(filling->pages, shown, filling->names, page))
			rf_json_set_string(shown, "page", page);
		json_array_append_new(traces, shown);
		find_totals(row, filling->policies, filling->totals);
		json_array_foreach(counters, k, counter) {
			name = json_string_value(counter);
			json_array_append_new(json_object_get(values, name),
					      numbers_of(filling->totals, nr, name, matter_of(name)));
		}
		json_decref(row);
	}
	return traces;
}

/* Is there anything but 0? */
static bool counted_anything(const json_t *list)
{
	const json_t *numbers, *value;
	size_t i, k;

	json_array_foreach(list, i, numbers)
		json_array_foreach(numbers, k, value)
			if (json_integer_value(value))
				return true;
	return false;
}

/* Keep counters, in their order, as long as there is room; false: there is none for those that matter. */
static bool keep_counters(json_t *page, const json_t *counters, const json_t *values, size_t room)
{
	json_t *kept = json_array(), *shown = json_object(), *counter, *list;
	size_t i, size, left = 0;
	bool fits = true;

	json_array_foreach(counters, i, counter) {
		list = json_object_get(values, json_string_value(counter));
		if (!counted_anything(list))
			continue;
		size = rf_page_size(list) + 2 * strlen(json_string_value(counter)) + 8;
		if (size > room) {
			fits &= !matter_of(json_string_value(counter));
			left++;
			continue;
		}
		room -= size;
		json_array_append(kept, counter);
		json_object_set(shown, json_string_value(counter), list);
	}
	json_object_set_new(page, "counters", kept);
	json_object_set_new(page, "values", shown);
	json_object_set_new(json_object_get(page, "left_out"), "counters", json_integer((json_int_t)left));
	return fits;
}

/* Of the members that keep_counters() adds, without what is in them. */
#define NAMES_OF_MEMBERS 64

static void fill_page(json_t *page, const struct filling *filling, size_t most)
{
	json_t *counters = counters_of(filling->fleet), *values, *traces, *left;
	size_t step = 1, size;
	bool fits;

	do {
		values = json_object();
		traces = traces_of(filling, step, counters, values);
		left = json_object();
		rf_json_set_count(left, "traces", filling->fleet->nr - json_array_size(traces));
		json_object_set_new(page, "left_out", left);
		json_object_set_new(page, "traces", traces);
		json_object_del(page, "values");
		json_object_del(page, "counters");
		size = rf_page_size(page);
		fits = size + NAMES_OF_MEMBERS < most &&
		       keep_counters(page, counters, values, most - size - NAMES_OF_MEMBERS);
		json_decref(values);
		step *= 2;
	} while (!fits && step < filling->fleet->nr);
	json_decref(counters);
}

/* ---- what all of them say ---- */

static json_t *summary_of(const struct rf_fleet *fleet, json_t *policies, struct rf_error *err)
{
	static const char *const kept[] = { "traces", "incomplete", "lost_events", "kernels", "trust", "labels",
					    "warnings", "failures", "notes" };
	struct rf_summary_options options = { .counter = "tlbi", .per = RF_RATE_second, .seed = 1 };
	json_t *summary = rf_summary_of(fleet, &options, err), *shown, *against;
	const json_t *all = json_object_get(summary, "all"), *policy;
	size_t i;

	if (!summary)
		return NULL;
	shown = json_object();
	for (i = 0; i < ARRAY_SIZE(kept); i++)
		json_object_set(shown, kept[i], json_object_get(summary, kept[i]));
	json_object_set_new(shown, "answers", rf_summary_answers(all, options.per));
	json_array_foreach(json_object_get(all, "policies"), i, policy) {
		against = json_object_get(json_object_get(policy, "against"), "per_second");
		json_array_append_new(policies, json_pack("{s:O, s:O, s:O*}", "name", json_object_get(policy, "name"),
							  "definition", json_object_get(policy, "definition"),
							  "changes", against));
	}
	json_decref(summary);
	return shown;
}

json_t *rf_page_of_fleet(const struct rf_fleet *fleet, const char *pages, const char *output, struct rf_error *err)
{
	size_t most = RF_PAGE_MAX - rf_page_template.before_size - rf_page_template.behind_size;
	struct filling filling = { .fleet = fleet, .pages = pages };
	json_t *page = rf_page_begin("fleet"), *summary;
	char folder[PATH_MAX];
	int ret;

	filling.policies = json_array();
	summary = summary_of(fleet, filling.policies, err);
	ret = pages && summary ? path_between(output, pages, folder) : 0;
	if (ret)
		rf_error_set(err, ret, RF_NO_OFFSET, "--pages %.200s: %s", pages, strerror(-ret));
	filling.totals = calloc(json_array_size(filling.policies) + 1, sizeof(*filling.totals));
	if (summary && !ret && !filling.totals)
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	if (!summary || ret || !filling.totals) {
		json_decref(summary);
		json_decref(page);
		page = NULL;
	} else {
		json_object_set_new(page, "summary", summary);
		json_object_set(page, "policies", filling.policies);
		if (pages)
			rf_json_set_string(page, "pages", folder);
		filling.names = count_names(fleet);
		fill_page(page, &filling, most);
		json_decref(filling.names);
	}
	json_decref(filling.policies);
	free(filling.totals);
	return page;
}
