/* SPDX-License-Identifier: MIT */
/* The processes that a recording is about, as the side-band tells of them: a bit for each pid. */
#ifndef REFOLD_CAPTURE_PERF_FOLLOWED_H
#define REFOLD_CAPTURE_PERF_FOLLOWED_H

#include "capture/follow/tasks.h"

/* Add the threads that are followed now, as somebody else knows it. 0, or -ENOMEM. */
typedef int rf_learn_followed(const void *context, struct rf_pid_list *tids);

struct rf_followed {
	u64 *bits;			/* NULL: everybody is */
	u64 *strangers;			/* known not to be, until they end; NULL with bits */
	rf_learn_followed *learn;	/* or NULL */
	const void *context;		/* of learn */
};

/* Nobody but these. 0, or -ENOMEM. */
int rf_followed_start(struct rf_followed *followed, const struct rf_pid_list *pids);
void rf_followed_free(struct rf_followed *followed);
bool rf_is_followed(const struct rf_followed *followed, pid_t pid);
void rf_follow_process(struct rf_followed *followed, pid_t pid, bool follow);
/* Who lives now and is not followed is a stranger. */
void rf_followed_look_around(struct rf_followed *followed);
/* Nothing that it does can concern the recording. Not to be is no proof that it is followed. */
bool rf_is_stranger(const struct rf_followed *followed, pid_t pid);
void rf_know_stranger(struct rf_followed *followed, pid_t pid, bool stranger);
/* Births and ends were lost: ask who is followed, and who of the strangers lives. */
void rf_followed_relearn(struct rf_followed *followed);
/* Add those that live now. 0, or -ENOMEM. */
int rf_followed_list(const struct rf_followed *followed, struct rf_pid_list *pids);

#endif
