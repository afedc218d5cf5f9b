// SPDX-License-Identifier: MIT
/* Episodes of random steps on one policy, one kind of CPU after the other, until a property fails. */
#include <stdlib.h>
#include <string.h>

#include "arch/loaded/loaded.h"
#include "properties/check.h"

#define EPISODE 2000u		/* steps on one machine, before the next one starts empty */

/* The policy as it is first, and then more often than any of the others. */
static const struct {
	const char *knob, *value;
} cpus[] = {
	{ NULL, NULL }, { "tlbi", "single" }, { NULL, NULL }, { "kpti", "true" }, { "bbml3", "true" },
	{ NULL, NULL }, { "lpa2", "true" }, { "max_dvm_ops", "33" },
};

/* False: there is no such CPU for this policy. */
static bool set_cpu(struct config *config, const struct rf_policy *policy, size_t cpu, u64 seed)
{
	struct rf_error err;
	size_t length;

	config_of(config, policy, seed);
	if (!cpus[cpu].knob)
		return true;
	length = strlen(config->spec);
	snprintf(config->spec + length, sizeof(config->spec) - length, "+%s=%s", cpus[cpu].knob, cpus[cpu].value);
	return !rf_policy_set(&config->policy, cpus[cpu].knob, cpus[cpu].value, &err);
}

static int run_one(const struct config *config, size_t nr, struct check_result *result)
{
	struct episode episode;
	int ret = run_episode(config, nr, &episode, NULL, NULL);

	if (ret)
		return ret;
	result->steps += episode.nr;
	if (!episode.failure.failed) {
		free(episode.steps);
		return 0;
	}
	result->config = *config;
	result->failure = episode.failure;
	result->failing_seed = config->seed;
	result->shortest = episode.steps;
	result->nr_shortest = shrink(config, episode.steps, episode.nr, &result->failure);
	return 0;
}

int check_policy(const struct rf_policy *policy, const struct check_options *options, struct check_result *result)
{
	u64 left = options->steps, episode;
	struct config config;
	unsigned int used = 0;
	size_t cpu, nr;
	int ret;

	*result = (struct check_result){ .steps = 0 };
	if (policy->arch->loaded)
		arch_loaded_guard(policy->arch->loaded);
	for (episode = 0; left && !result->failure.failed; episode++) {
		cpu = episode % ARRAY_SIZE(cpus);
		if (!set_cpu(&config, policy, cpu, options->seed + episode))
			continue;
		config.skipped = options->skipped;
		nr = left < EPISODE ? left : EPISODE;
		ret = run_one(&config, nr, result);
		if (ret)
			return ret;
		left -= nr;
		used |= 1u << (cpus[cpu].knob ? cpu : 0);
	}
	result->cpus = __builtin_popcount(used);
	return 0;
}

void check_forget(struct check_result *result)
{
	free(result->shortest);
}
