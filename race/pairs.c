// SPDX-License-Identifier: MIT
/*
 * Which pairs of writer and reader there are under some policies, and their exploration. Knobs of policies become
 * getters here.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "race/pairs.h"

/* Of 100 to 200 bytes each. A block of 4 needs a million. */
#define MAX_STATES (8u * 1000 * 1000)

/* ---- what a policy is for a race ---- */

static enum race_getter locked_getter(const struct rf_policy *policy)
{
	switch (policy->arch_knobs.getter) {
	case GETTER_GATHER:
		return RACE_GET_ALL;
	case GETTER_EARLY:
		return RACE_GET_EARLY;
	default:
		return RACE_GET_ONE;
	}
}

static enum race_getter lockless_getter(const struct rf_policy *policy)
{
	switch (policy->arch_knobs.lockless) {
	case LOCKLESS_FULL:
		return RACE_GET_CHECKED;
	case LOCKLESS_EARLY:
		return RACE_GET_CHECKED_EARLY;
	case LOCKLESS_NORECENCY:
		return RACE_GET_ONE;
	case LOCKLESS_BOUNDED:
		return policy->arch_knobs.lockless_tries ? RACE_GET_BOUNDED : RACE_GET_CHECKED;
	default:
		return locked_getter(policy);
	}
}

static u32 writers_of(const struct rf_policy *policy)
{
	const struct arch_knobs *knobs = &policy->arch_knobs;
	u32 writers = BIT(RACE_UNFOLD) | BIT(RACE_YOUNG_CLEAR) | BIT(RACE_BORN) | BIT(RACE_ACCESS) | BIT(RACE_COW) |
		      BIT(RACE_REUSE);

	if (!knobs->cont || policy->geometry.cont_ptes == 1)
		return 0;
	if (knobs->fold_sites != FOLD_NONE)
		writers |= BIT(RACE_FOLD);
	if (knobs->zap_full_trick != ZAP_FULL_TRICK_NONE)
		writers |= BIT(RACE_EXIT);
	if (knobs->batch_helpers)
		writers |= BIT(RACE_WRPROTECT);
	if (knobs->batch_helpers && policy->mm.batch_zap)
		writers |= BIT(RACE_CLEAR) | BIT(RACE_REPLACE);
	if (policy->mm.batch_mprotect)
		writers |= BIT(RACE_PROTECT);
	if (policy->mm.madv_clear_young_dirty)
		writers |= BIT(RACE_DIRTY_CLEAR) | BIT(RACE_YOUNG_DIRTY_CLEAR);
	return writers;
}

/* Only what this reader uses, so that policies which agree in it are equal. */
static struct race_policy policy_for(const struct rf_policy *policy, enum race_reader reader)
{
	bool norecency = policy->arch_knobs.lockless == LOCKLESS_NORECENCY;
	struct race_policy race = {
		.writers = writers_of(policy),
		.lockless = lockless_getter(policy),
		.max_passes = min_u64(policy->arch_knobs.lockless_tries, UINT8_MAX),
		.bbml3 = policy->arch_knobs.bbml3,
	};

	if (reader == RACE_PERF)
		return race;
	/* The RFC taught both comparisons to leave out what its getter does not know. */
	race.compare_ignores_ad = norecency;
	if (reader == RACE_FAULT)
		race.locked = policy->mm.locked_norecency ? RACE_GET_ONE : locked_getter(policy);
	else
		race.recheck = norecency || policy->mm.gup_recheck_lockless ? lockless_getter(policy)
									   : locked_getter(policy);
	return race;
}

static bool same_for_pair(const struct race_policy *a, const struct race_policy *b)
{
	return a->lockless == b->lockless && a->locked == b->locked && a->recheck == b->recheck &&
	       a->compare_ignores_ad == b->compare_ignores_ad && a->bbml3 == b->bbml3 &&
	       (a->lockless != RACE_GET_BOUNDED || a->max_passes == b->max_passes);
}

/* ---- planning ---- */

static void add_name(char *list, size_t size, const char *name)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%s", used ? "," : "", name);
}

static struct race_pair *new_pair(struct race_pairs *pairs, const struct race_policy *policy,
				  enum race_writer writer, enum race_reader reader, const struct race_choice *choice)
{
	struct race_pair *pair = &pairs->pairs[pairs->nr++];

	pair->policy = *policy;
	pair->setup = (struct race_setup){ .writer = writer, .reader = reader, .n = choice->n,
					   .hardware = choice->hardware };
	return pair;
}

static void plan_pair(struct race_pairs *pairs, const struct rf_policy *policy, size_t index,
		      enum race_writer writer, enum race_reader reader, const struct race_choice *choice)
{
	struct race_policy race = policy_for(policy, reader);
	struct race_pair *pair = NULL;
	size_t i;

	if (!(race.writers & BIT(writer)))
		return;
	for (i = 0; i < pairs->nr && !pair; i++)
		if (pairs->pairs[i].setup.writer == writer && pairs->pairs[i].setup.reader == reader &&
		    same_for_pair(&pairs->pairs[i].policy, &race))
			pair = &pairs->pairs[i];
	if (!pair)
		pair = new_pair(pairs, &race, writer, reader, choice);
	add_name(pair->policies, sizeof(pair->policies), policy->name);
	pair->shared_by |= BIT_ULL(index);
}

/* Pairs of the same policies together, the policies in the order given. */
static int compare_pairs(const void *a, const void *b)
{
	const struct race_pair *left = a, *right = b;
	u64 difference = left->shared_by ^ right->shared_by;

	if (difference)
		return left->shared_by & (difference & -difference) ? -1 : 1;
	if (left->setup.writer != right->setup.writer)
		return left->setup.writer < right->setup.writer ? -1 : 1;
	return left->setup.reader < right->setup.reader ? -1 : 1;
}

static void connect_setups(struct race_pairs *pairs)
{
	size_t i;

	for (i = 0; i < pairs->nr; i++)
		pairs->pairs[i].setup.policy = &pairs->pairs[i].policy;
}

int race_pairs_plan(const struct rf_policy *policies, size_t nr, const struct race_choice *choice,
		    struct race_pairs *pairs)
{
	int writer, reader;
	size_t i;

	*pairs = (struct race_pairs){ 0 };
	pairs->pairs = calloc(nr * RACE_NR_WRITERS * RACE_NR_READERS, sizeof(*pairs->pairs));
	if (!pairs->pairs)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		if (!writers_of(&policies[i]))
			add_name(pairs->skipped, sizeof(pairs->skipped), policies[i].name);
		for (reader = 0; reader < RACE_NR_READERS; reader++)
			for (writer = 0; writer < RACE_NR_WRITERS; writer++)
				if ((choice->writer < 0 || choice->writer == writer) &&
				    (choice->reader < 0 || choice->reader == reader))
					plan_pair(pairs, &policies[i], i, writer, reader, choice);
	}
	qsort(pairs->pairs, pairs->nr, sizeof(*pairs->pairs), compare_pairs);
	connect_setups(pairs);
	return 0;
}

int race_pairs_controls(const struct race_choice *choice, struct race_pairs *pairs)
{
	const struct race_control *control;
	size_t nr = 0;

	while (race_controls[nr].name)
		nr++;
	*pairs = (struct race_pairs){ 0 };
	pairs->pairs = calloc(nr, sizeof(*pairs->pairs));
	if (!pairs->pairs)
		return -ENOMEM;
	for (control = race_controls; control->name; control++)
		add_name(new_pair(pairs, &control->policy, control->writer, control->reader, choice)->policies,
			 sizeof(pairs->pairs->policies), control->name);
	connect_setups(pairs);
	return 0;
}

/* ---- running ---- */

struct work {
	struct race_pairs *pairs;
	const struct race_choice *choice;
	pthread_mutex_t lock;
	size_t next;
	int error;	/* the first: nobody begins another pair */
};

static int run_pair(struct race_pair *pair, const struct race_choice *choice)
{
	if (choice->random)
		return race_sample(&pair->setup, choice->random, choice->seed, &pair->result);
	return race_explore(&pair->setup, MAX_STATES, &pair->result);
}

static void *work_on(void *argument)
{
	struct work *work = argument;
	int error;
	size_t mine;

	pthread_mutex_lock(&work->lock);
	while (!work->error && work->next < work->pairs->nr) {
		mine = work->next++;
		pthread_mutex_unlock(&work->lock);
		error = run_pair(&work->pairs->pairs[mine], work->choice);
		pthread_mutex_lock(&work->lock);
		work->error = work->error ? work->error : error;
	}
	pthread_mutex_unlock(&work->lock);
	return NULL;
}

int race_pairs_run(struct race_pairs *pairs, const struct race_choice *choice)
{
	struct work work = { .pairs = pairs, .choice = choice, .lock = PTHREAD_MUTEX_INITIALIZER };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[16];
	size_t nr = 0, i;

	while (nr < ARRAY_SIZE(threads) && (long)nr + 1 < cpus && nr + 1 < pairs->nr &&
	       !pthread_create(&threads[nr], NULL, work_on, &work))
		nr++;
	work_on(&work);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	return work.error;
}

void race_pairs_release(struct race_pairs *pairs)
{
	size_t i;

	for (i = 0; i < pairs->nr; i++)
		race_result_release(&pairs->pairs[i].result);
	free(pairs->pairs);
}
