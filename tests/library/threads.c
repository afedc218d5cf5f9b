/* SPDX-License-Identifier: MIT */
/* threads TRACE POLICIES: what two threads replay at the same time, each by a handle of its own, is what one does. */
#include <pthread.h>
#include <refold.h>
#include <string.h>

#define ROUNDS 4

static char **arguments;

static void *replay(void *result)
{
	struct refold_replay *replay = refold_replay_new();
	struct refold_report **report = result;

	if (!refold_replay_add_trace(replay, arguments[1], NULL) &&
	    !refold_replay_add_policies(replay, arguments[2], NULL) &&
	    !refold_replay_set(replay, "by", "vma,call", NULL))
		*report = refold_replay_run(replay, NULL);
	refold_replay_free(replay);
	return NULL;
}

int main(int argc, char **argv)
{
	struct refold_report *reports[3] = { NULL };
	pthread_t threads[2];
	int round, i, same = argc == 3;

	arguments = argv;
	for (round = 0; round < ROUNDS && same; round++) {
		for (i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, replay, &reports[i]);
		for (i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		replay(&reports[2]);
		for (i = 0; i < 2; i++)
			same &= reports[i] && reports[2] &&
				!strcmp(refold_report_json(reports[i]), refold_report_json(reports[2]));
		for (i = 0; i < 3; i++) {
			refold_report_free(reports[i]);
			reports[i] = NULL;
		}
	}
	return !same;
}
