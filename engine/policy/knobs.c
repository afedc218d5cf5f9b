// SPDX-License-Identifier: MIT
/*
 * The knobs that policies are made of. A knob is a place in struct rf_policy and the names of its values: those of core
 * mm are in core_knobs.c, those of an architecture in its folder.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/loaded/loaded.h"
#include "base/text.h"
#include "engine/policy/core_knobs.h"

/* The values of the knob granule: "4k" is 0, and each next one four times as large. */
static unsigned int page_shift_of(unsigned int granule)
{
	return 12 + 2 * granule;
}

static unsigned int granule_of(unsigned int page_shift)
{
	return (page_shift - 12) / 2;
}

/* ---- finding ---- */

#define MAX_TABLES 4
#define MAX_KNOBS 256	/* of one architecture */

/* Through several tables at once, in alphabetical order. */
struct walk {
	const struct knob *next[MAX_TABLES];
};

static struct walk begin_walk(const struct arch_ops *arch)
{
	struct walk walk = { .next = { core_knobs } };
	size_t i;

	for (i = 0; arch->knobs[i]; i++) {
		assert(i + 1 < MAX_TABLES);
		walk.next[i + 1] = arch->knobs[i];
	}
	return walk;
}

static const struct knob *next_of(struct walk *walk)
{
	const struct knob **first = NULL;
	size_t i;

	for (i = 0; i < MAX_TABLES; i++)
		if (walk->next[i] && walk->next[i]->name && (!first || strcmp(walk->next[i]->name, (*first)->name) < 0))
			first = &walk->next[i];
	return first ? (*first)++ : NULL;
}

static const struct knob *find_in(const struct knob *table, const char *name)
{
	while (table->name && strcmp(table->name, name))
		table++;
	return table->name ? table : NULL;
}

static const struct knob *find_knob(const struct arch_ops *arch, const char *name)
{
	const struct knob *knob = find_in(core_knobs, name);
	size_t i;

	for (i = 0; !knob && arch->knobs[i]; i++)
		knob = find_in(arch->knobs[i], name);
	return knob;
}

/* Of whatever architecture. */
static const struct knob *find_anywhere(const char *name)
{
	const struct arch_ops *const *arch;
	const struct knob *knob = NULL;

	for (arch = arch_list; *arch && !knob; arch++)
		knob = find_knob(*arch, name);
	return knob;
}

/* ---- values ---- */

/* The index-th of "a|b|c", or NULL; its length in *length. */
static const char *value_name(const char *values, unsigned int index, size_t *length)
{
	while (index--) {
		values = strchr(values, '|');
		if (!values)
			return NULL;
		values++;
	}
	*length = strcspn(values, "|");
	return values;
}

/* Other words for values: what the lists called them. */
static const char *const synonyms[][2] = {
	{ "ptep_get", "unlocked_get" },
};

static int find_value(const char *values, const char *text)
{
	static const char *const words[] = { "off", "on", "no", "yes", "0", "1" };
	const char *name;
	size_t length, i;
	unsigned int index;

	for (i = 0; i < ARRAY_SIZE(synonyms); i++)
		if (!strcmp(synonyms[i][0], text))
			text = synonyms[i][1];
	for (index = 0; (name = value_name(values, index, &length)); index++)
		if (strlen(text) == length && !memcmp(name, text, length))
			return index;
	for (i = 0; !strcmp(values, KNOB_BOOL) && i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i], text))
			return i & 1;
	return -1;
}

/* "second+third" as bits; -1: no such value. What is first stands alone. */
static s64 find_set(const char *values, const char *text)
{
	char *copy = strdup(text), *rest = copy, *part;
	s64 bits = copy ? 0 : -1;
	int value;

	while (bits >= 0 && (part = strsep(&rest, "+"))) {
		value = find_value(values, part);
		if (value > 0)
			bits |= BIT(value - 1);
		else if (value < 0 || strcmp(part, text))
			bits = -1;
	}
	free(copy);
	return bits;
}

static size_t place_of(const struct knob *knob)
{
	return knob->offset + (knob->backend ? offsetof(struct rf_policy, arch_knobs) : 0);
}

static void store(struct rf_policy *policy, const struct knob *knob, u32 value)
{
	char *place = (char *)policy + place_of(knob);

	if (knob->size == 1)
		*(u8 *)place = value;
	else
		memcpy(place, &value, sizeof(value));
}

static u32 load(const struct rf_policy *policy, const struct knob *knob)
{
	const char *place = (const char *)policy + place_of(knob);
	u32 value;

	if (knob->size == 1)
		return *(const u8 *)place;
	memcpy(&value, place, sizeof(value));
	return value;
}

/* A granule is stored as the geometry that the architecture has for it. */
static bool is_granule(const struct knob *knob)
{
	return !knob->backend && knob->offset == offsetof(struct rf_policy, geometry.page_shift);
}

/* Blocks of the size that cont_pages says, or that the architecture has with these base pages. */
static void fit_blocks(struct rf_policy *policy)
{
	const struct arch_geometry *geometry = policy->arch->geometries;

	while (geometry->page_shift != policy->geometry.page_shift)
		geometry++;
	policy->geometry.cont_ptes = geometry->cont_ptes;
	if (policy->arch_knobs.cont_pages)
		policy->geometry.cont_ptes = (u16)(2u << policy->arch_knobs.cont_pages);
}

static int set_granule(struct rf_policy *policy, const struct knob *knob, unsigned int index, struct rf_error *err)
{
	const struct arch_geometry *geometry;
	const char *name;
	char list[32];
	size_t used = 0, length = 0;

	for (geometry = policy->arch->geometries; geometry->page_shift; geometry++) {
		if (geometry->page_shift == page_shift_of(index)) {
			policy->geometry = *geometry;
			fit_blocks(policy);
			return 0;
		}
		name = value_name(knob->values, granule_of(geometry->page_shift), &length);
		used += snprintf(list + used, sizeof(list) - used, "%s%.*s", used ? " and " : "", (int)length, name);
	}
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%s%s has pages of %s only", policy->arch->name,
			    policy->arch->loaded ? "'s backend, as loaded," : "", list);
}

static int no_such_knob(const struct rf_policy *policy, const char *name, struct rf_error *err)
{
	struct walk walk = begin_walk(policy->arch);
	const char *names[MAX_KNOBS];
	const struct knob *knob;
	char list[128];
	size_t nr = 0;

	while (nr < MAX_KNOBS && (knob = next_of(&walk)))
		names[nr++] = knob->name;
	rf_nearest(name, names, nr, list, sizeof(list));
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
			    "no knob '%.40s'; the nearest are %s, 'refold policies -k' lists all", name, list);
}

/* Knobs of our own hooks mean nothing where others are loaded. */
static const char *refusal(const struct rf_policy *policy, const struct knob *knob, u32 value)
{
	return policy->arch->loaded ? arch_loaded_refuses(policy->arch->loaded, knob, value) : NULL;
}

static int set_value(struct rf_policy *policy, const struct knob *knob, u32 value, struct rf_error *err)
{
	const char *reason = refusal(policy, knob, value);

	if (reason)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' has no meaning on a loaded backend: %s",
				    knob->name, reason);
	store(policy, knob, value);
	if (knob->backend && knob->offset == offsetof(struct arch_knobs, cont_pages))
		fit_blocks(policy);
	return 0;
}

static int set_number(struct rf_policy *policy, const struct knob *knob, const char *text, struct rf_error *err)
{
	u64 number;

	if (!rf_parse_number(text, 0, UINT32_MAX, &number))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' is a number up to %u, not '%.40s'",
				    knob->name, UINT32_MAX, text);
	return set_value(policy, knob, number, err);
}

int rf_policy_set(struct rf_policy *policy, const char *name, const char *text, struct rf_error *err)
{
	const struct knob *knob = find_knob(policy->arch, name);
	s64 value;

	if (!knob && find_anywhere(name))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' has no meaning on %s", name,
				    policy->arch->name);
	if (!knob)
		return no_such_knob(policy, name, err);
	if (!knob->values)
		return set_number(policy, knob, text, err);
	value = knob->set ? find_set(knob->values, text) : find_value(knob->values, text);
	if (value < 0)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "knob '%s' is one of %s, not '%.40s'", name,
				    knob->values, text);
	if (is_granule(knob))
		return set_granule(policy, knob, value, err);
	return set_value(policy, knob, value, err);
}

int rf_policy_set_all(struct rf_policy *policy, const char *knobs, struct rf_error *err)
{
	char copy[512], *rest = copy, *knob, *value;
	int ret = 0;

	snprintf(copy, sizeof(copy), "%s", knobs);
	while (!ret && *copy && (knob = strsep(&rest, " "))) {
		value = strchr(knob, '=');
		*value++ = '\0';
		ret = rf_policy_set(policy, knob, value, err);
	}
	return ret;
}

/* Of a loaded backend, only knobs that mean something. */
static const struct knob *next_meant(struct walk *walk, const struct rf_policy *policy)
{
	const struct knob *knob;

	do
		knob = next_of(walk);
	while (knob && !is_granule(knob) && refusal(policy, knob, load(policy, knob)));
	return knob;
}

static void tell_set(const struct knob *knob, u32 bits, char *value, size_t size)
{
	size_t used = 0, length;
	const char *name = value_name(knob->values, 0, &length);

	if (!bits)
		snprintf(value, size, "%.*s", (int)length, name);
	for (unsigned int i = 0; i < 32 && used < size; i++) {
		name = bits & BIT(i) ? value_name(knob->values, i + 1, &length) : NULL;
		if (name)
			used += snprintf(value + used, size - used, "%s%.*s", used ? "+" : "", (int)length, name);
	}
}

static void tell_value(const struct rf_policy *policy, const struct knob *knob, char *value, size_t size)
{
	u32 number = load(policy, knob);
	const char *text;
	size_t length;

	if (knob->set) {
		tell_set(knob, number, value, size);
		return;
	}
	if (is_granule(knob))
		number = granule_of(number);
	text = knob->values ? value_name(knob->values, number, &length) : NULL;
	if (text)
		snprintf(value, size, "%.*s", (int)length, text);
	else
		snprintf(value, size, "%u", number);
}

bool rf_policy_knob(const struct rf_policy *policy, size_t index, const char **name, char *value, size_t size)
{
	struct walk walk = begin_walk(policy->arch);
	const struct knob *knob;

	while ((knob = next_meant(&walk, policy)) && index--)
		;
	if (!knob)
		return false;
	*name = knob->name;
	tell_value(policy, knob, value, size);
	return true;
}

void rf_policy_each_knob(const struct rf_policy *policy,
			 void (*tell)(void *context, const char *knob, const char *value), void *context)
{
	struct walk walk = begin_walk(policy->arch);
	const struct knob *knob;
	char value[64];

	while ((knob = next_meant(&walk, policy))) {
		tell_value(policy, knob, value, sizeof(value));
		tell(context, knob->name, value);
	}
}

bool rf_policy_value(const struct rf_policy *policy, const char *name, char *value, size_t size)
{
	const struct knob *knob = find_knob(policy->arch, name);

	if (knob)
		tell_value(policy, knob, value, size);
	return knob;
}

const char *rf_policy_knob_needs(const char *name)
{
	const struct knob *knob = find_anywhere(name);

	return knob ? knob->needs : NULL;
}

bool rf_policy_knob_is_set(const char *name)
{
	const struct knob *knob = find_anywhere(name);

	return knob && knob->set;
}

bool rf_policy_knob_works(const struct rf_policy *policy, const char *name)
{
	const char *needs = rf_policy_knob_needs(name), *equals = needs ? strchr(needs, '=') : NULL, *values, *help;
	char needed[40], value[32];

	if (!needs)
		return true;
	snprintf(needed, sizeof(needed), "%.*s", (int)(equals - needs), needs);
	if (!rf_policy_value(policy, needed, value, sizeof(value)))
		return true;
	if (!rf_policy_knob_is_set(needed))
		return !strcmp(value, equals + 1);
	return rf_policy_knob_help(needed, &values, &help) && strncmp(values, value, strlen(value));
}

bool rf_policy_refused(const struct rf_policy *policy, size_t index, const char **name)
{
	struct walk walk = begin_walk(policy->arch);
	const struct knob *knob;

	while ((knob = next_of(&walk)))
		if (!is_granule(knob) && refusal(policy, knob, load(policy, knob)) && !index--)
			break;
	if (!knob)
		return false;
	*name = knob->name;
	return true;
}

/* ---- what no such kernel had ---- */

/* "6.12.117", "6.8 with contpte v1": 612, 608. */
static unsigned int release_number(const char *release)
{
	unsigned int major = 0, minor = 0;

	sscanf(release, "%u.%u", &major, &minor);
	return KNOB_RELEASE(major, minor);
}

bool rf_policy_what_if(const struct rf_policy *policy, const struct rf_policy *base, const char *release, size_t index,
		       const char **name, char *since, size_t size)
{
	struct walk walk = begin_walk(policy->arch);
	const struct knob *knob;
	u32 value;

	while ((knob = next_of(&walk))) {
		value = load(policy, knob);
		if (!value || value == load(base, knob) || knob->since <= release_number(release) || index--)
			continue;
		*name = knob->name;
		*since = '\0';
		if (knob->since != UINT16_MAX)
			snprintf(since, size, "%u.%u", knob->since / 100u, knob->since % 100u);
		return true;
	}
	return false;
}

const char *rf_policy_next_knob(const char *after)
{
	const struct arch_ops *const *arch;
	const struct knob *knob;
	const char *first = NULL;
	struct walk walk;

	for (arch = arch_list; *arch; arch++) {
		walk = begin_walk(*arch);
		while ((knob = next_of(&walk)) && after && strcmp(knob->name, after) <= 0)
			;
		if (knob && (!first || strcmp(knob->name, first) < 0))
			first = knob->name;
	}
	return first;
}

bool rf_policy_knob_help(const char *name, const char **values, const char **help)
{
	const struct knob *knob = find_anywhere(name);

	if (!knob)
		return false;
	*values = knob->values ? knob->values : "NUMBER";
	*help = knob->help;
	return true;
}
