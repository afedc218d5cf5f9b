// SPDX-License-Identifier: MIT
/*
 * What refold race found: a line per pair, a schedule for each broken promise, a summary of relaxations; or all of it
 * as JSON ("refold-race/1").
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "race/report.h"

static const char *check_names(u32 checks, char *text, size_t size)
{
	struct rf_line line;
	unsigned int i;

	rf_line_begin(&line, text, size);
	for (i = 0; i < RACE_NR_CHECKS; i++)
		if (checks & BIT(i))
			rf_line_add(&line, "%s%s", line.used ? " " : "", race_checks[i].name);
	return text;
}

static bool caught(const struct race_pairs *pairs, size_t i)
{
	return pairs->pairs[i].result.broken & BIT(race_controls[i].caught_by);
}

bool race_report_passed(const struct race_pairs *pairs, bool controls)
{
	size_t i;

	for (i = 0; i < pairs->nr; i++)
		if (controls ? !caught(pairs, i) : pairs->pairs[i].result.broken)
			return false;
	return true;
}

/* ---- text ---- */

static void print_schedule(FILE *out, const struct race_pair *pair, enum race_check check)
{
	const struct race_schedule *schedule = pair->result.shortest[check];
	int width = 6 * pair->setup.n;
	struct race_told told;
	unsigned int step;

	fprintf(out, "\n%s: %s\n", race_checks[check].name, race_checks[check].summary);
	fprintf(out, "  %s, %s, %s; the reader is after entry %u\n", pair->policies,
		race_writers[pair->setup.writer].name, race_readers[pair->setup.reader].name,
		race_schedule_target(&pair->setup, schedule));
	for (step = 0; race_tell(&pair->setup, schedule, step, &told); step++)
		fprintf(out, "  %4u  %-9s %-26s %-*s %s\n", step, told.actor, told.access, width, told.entries,
			told.conclusion);
}

static void print_pair(FILE *out, const struct race_pair *pair)
{
	u32 broken = pair->result.broken, relaxed = pair->result.relaxed & ~broken;
	char states[RF_DIGITS_MAX], schedules[RF_DIGITS_MAX], names[160];

	fprintf(out, "  %-18s %-9s %10s %s%22s  ", race_writers[pair->setup.writer].name,
		race_readers[pair->setup.reader].name, rf_digits_unsigned(pair->result.states, states),
		pair->result.schedules_overflow ? ">" : "", rf_digits_unsigned(pair->result.schedules, schedules));
	if (broken)
		fprintf(out, "BROKEN %s", check_names(broken, names, sizeof(names)));
	else
		fputs("hold", out);
	if (relaxed)
		fprintf(out, "; not %s", check_names(relaxed, names, sizeof(names)));
	fputc('\n', out);
}

/* The pair with the shortest schedule to a relaxation. */
static const struct race_pair *shortest_relaxed(const struct race_pairs *pairs, enum race_check check)
{
	const struct race_pair *best = NULL;
	size_t i;

	for (i = 0; i < pairs->nr; i++) {
		const struct race_result *result = &pairs->pairs[i].result;

		if (!(result->relaxed & ~result->broken & BIT(check)))
			continue;
		if (!best || result->shortest[check]->nr < best->result.shortest[check]->nr)
			best = &pairs->pairs[i];
	}
	return best;
}

static void print_relaxations(FILE *out, const struct race_pairs *pairs, bool verbose)
{
	const struct race_pair *pair;
	unsigned int check, nr = 0;

	for (check = 0; check < RACE_NR_CHECKS; check++) {
		pair = shortest_relaxed(pairs, check);
		if (!pair)
			continue;
		if (!nr++)
			fprintf(out, "\nNot promised, and found not to hold:\n");
		fprintf(out, "  %-10s %s\n", race_checks[check].name, race_checks[check].summary);
		fprintf(out, "  %10s first after %u steps: %s, %s, %s\n", "", pair->result.shortest[check]->nr,
			pair->policies, race_writers[pair->setup.writer].name, race_readers[pair->setup.reader].name);
	}
	for (check = 0; verbose && check < RACE_NR_CHECKS; check++) {
		pair = shortest_relaxed(pairs, check);
		if (pair)
			print_schedule(out, pair, check);
	}
}

static void print_totals(FILE *out, const struct race_pairs *pairs, double seconds)
{
	char states[RF_DIGITS_MAX], schedules[RF_DIGITS_MAX];
	u64 all_states = 0, all_schedules = 0;
	bool overflow = false;
	unsigned int broken = 0;
	size_t i;

	for (i = 0; i < pairs->nr; i++) {
		const struct race_result *result = &pairs->pairs[i].result;

		all_states += result->states;
		overflow |= result->schedules_overflow ||
			    __builtin_add_overflow(all_schedules, result->schedules, &all_schedules);
		broken += result->broken != 0;
	}
	if (overflow)
		all_schedules = UINT64_MAX;
	fprintf(out, "\n%zu pairs, %s states, %s%s schedules, %.1f s: ", pairs->nr,
		rf_digits_unsigned(all_states, states), overflow ? "more than " : "",
		rf_digits_unsigned(all_schedules, schedules), seconds);
	if (broken)
		fprintf(out, "promises broken in %u pairs\n", broken);
	else
		fprintf(out, "every promise holds\n");
}

static void print_broken(FILE *out, const struct race_pairs *pairs)
{
	u32 told = 0;
	size_t i;
	unsigned int check;

	for (i = 0; i < pairs->nr; i++)
		for (check = 0; check < RACE_NR_CHECKS; check++) {
			if (!(pairs->pairs[i].result.broken & BIT(check)) || told & BIT(check))
				continue;
			print_schedule(out, &pairs->pairs[i], check);
			told |= BIT(check);
		}
}

static void print_legend(FILE *out, const struct race_choice *choice)
{
	if (choice->random)
		fprintf(out, "blocks of %u entries, up to %u updates by hardware, random schedules (seed %" PRIu64 ")\n",
			choice->n, choice->hardware, choice->seed);
	else
		fprintf(out, "blocks of %u entries, up to %u updates by hardware, every order of steps\n", choice->n,
			choice->hardware);
	fprintf(out, "in schedules: c contiguous, s single; w writable, r read-only; y young; d dirty; ' other folio, "
		     "\" copy\n");
}

static void print_controls(FILE *out, const struct race_pairs *pairs, double seconds)
{
	unsigned int missed = 0;
	size_t i;

	for (i = 0; i < pairs->nr; i++) {
		const struct race_control *control = &race_controls[i];

		fprintf(out, "\n%s: %s\n", control->name, control->mistake);
		if (caught(pairs, i))
			print_schedule(out, &pairs->pairs[i], control->caught_by);
		else
			fprintf(out, "NOT CAUGHT by %s\n", race_checks[control->caught_by].name);
		missed += !caught(pairs, i);
	}
	fprintf(out, "\n%zu controls, %.1f s: ", pairs->nr, seconds);
	if (missed)
		fprintf(out, "%u not caught\n", missed);
	else
		fprintf(out, "all caught\n");
}

void race_report_text(const struct race_pairs *pairs, const struct race_choice *choice,
		      const struct race_report_options *options, FILE *out)
{
	const char *policies = "";
	size_t i;

	print_legend(out, choice);
	if (options->controls) {
		print_controls(out, pairs, options->seconds);
		return;
	}
	for (i = 0; i < pairs->nr; i++) {
		if (strcmp(policies, pairs->pairs[i].policies)) {
			policies = pairs->pairs[i].policies;
			fprintf(out, "\n%s\n  %-18s %-9s %10s %22s  %s\n", policies, "writer", "reader", "states",
				"schedules", "promises");
		}
		print_pair(out, &pairs->pairs[i]);
	}
	if (*pairs->skipped)
		fprintf(out, "\nwithout contiguous blocks, nothing to explore: %s\n", pairs->skipped);
	print_broken(out, pairs);
	print_relaxations(out, pairs, options->verbose);
	print_totals(out, pairs, options->seconds);
}

/* ---- JSON ---- */

static json_t *json_schedule(const struct race_pair *pair, enum race_check check)
{
	const struct race_schedule *schedule = pair->result.shortest[check];
	json_t *steps = json_array();
	struct race_told told;
	unsigned int step;

	for (step = 0; race_tell(&pair->setup, schedule, step, &told); step++)
		json_array_append_new(steps,
				      json_pack("{s:s, s:s, s:s, s:s}", "actor", told.actor, "access", told.access,
						"entries", told.entries, "conclusion", told.conclusion));
	return json_pack("{s:i, s:i, s:o}", "entry", (int)race_schedule_target(&pair->setup, schedule), "steps",
			 (int)schedule->nr, "schedule", steps);
}

static json_t *json_checks(const struct race_pair *pair, u32 checks)
{
	json_t *object = json_object();
	unsigned int check;

	for (check = 0; check < RACE_NR_CHECKS; check++)
		if (checks & BIT(check))
			json_object_set_new(object, race_checks[check].name, json_schedule(pair, check));
	return object;
}

static json_t *json_pair(const struct race_pairs *pairs, size_t i, bool controls)
{
	const struct race_pair *pair = &pairs->pairs[i];
	const struct race_result *result = &pair->result;
	json_t *object;

	object = json_pack("{s:s, s:s, s:I, s:I, s:b, s:o, s:o}", "writer", race_writers[pair->setup.writer].name,
			   "reader", race_readers[pair->setup.reader].name, "states", (json_int_t)result->states,
			   "schedules", (json_int_t)min_u64(result->schedules, INT64_MAX), "schedules_overflow",
			   result->schedules_overflow || result->schedules > INT64_MAX, "broken",
			   json_checks(pair, result->broken), "relaxed",
			   json_checks(pair, result->relaxed & ~result->broken));
	json_object_set_new(object, controls ? "control" : "policies", json_string(pair->policies));
	if (controls) {
		json_object_set_new(object, "mistake", json_string(race_controls[i].mistake));
		json_object_set_new(object, "caught_by", json_string(race_checks[race_controls[i].caught_by].name));
		json_object_set_new(object, "caught", json_boolean(caught(pairs, i)));
	}
	return object;
}

int race_report_json(const struct race_pairs *pairs, const struct race_choice *choice,
		     const struct race_report_options *options, FILE *out)
{
	json_t *list = json_array(), *root;
	size_t i;
	int ret;

	for (i = 0; i < pairs->nr; i++)
		json_array_append_new(list, json_pair(pairs, i, options->controls));
	root = json_pack("{s:s, s:i, s:i, s:I, s:I, s:f, s:b, s:s, s:o}", "schema", "refold-race/1", "entries",
			 (int)choice->n, "hardware_updates", (int)choice->hardware, "random",
			 (json_int_t)choice->random, "seed", (json_int_t)choice->seed, "seconds", options->seconds,
			 "passed", race_report_passed(pairs, options->controls), "skipped", pairs->skipped, "pairs",
			 list);
	if (!root)
		return -ENOMEM;
	ret = rf_json_write(root, out);
	json_decref(root);
	return ret;
}
