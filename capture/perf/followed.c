// SPDX-License-Identifier: MIT
/* Which processes are followed. Bits are set by the side-band's thread and read by the recorder's as well. */
#include "capture/perf/followed.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define PID_LIMIT (4u << 20)	/* PID_MAX_LIMIT of 64-bit kernels */

static u64 word_of(const u64 *bits, u32 word)
{
	return __atomic_load_n(&bits[word], __ATOMIC_RELAXED);
}

static bool has_bit(const u64 *bits, pid_t pid)
{
	u32 bit = (u32)pid % PID_LIMIT;

	return word_of(bits, bit / 64) >> bit % 64 & 1;
}

static void set_bit(u64 *bits, pid_t pid, bool value)
{
	u32 bit = (u32)pid % PID_LIMIT;
	u64 mask = BIT_ULL(bit % 64);

	if (value)
		__atomic_or_fetch(&bits[bit / 64], mask, __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&bits[bit / 64], ~mask, __ATOMIC_RELAXED);
}

int rf_followed_start(struct rf_followed *followed, const struct rf_pid_list *pids)
{
	followed->bits = calloc(PID_LIMIT / 64, sizeof(u64));
	followed->strangers = calloc(PID_LIMIT / 64, sizeof(u64));
	if (!followed->bits || !followed->strangers)
		return -ENOMEM;
	for (size_t i = 0; pids && i < pids->nr; i++)
		rf_follow_process(followed, pids->pids[i], true);
	return 0;
}

void rf_followed_look_around(struct rf_followed *followed)
{
	struct rf_pid_list all = { 0 };

	if (!followed->bits)
		return;
	rf_all_processes(0, &all);	/* who is left out is no stranger, and costs a little more */
	for (size_t i = 0; i < all.nr; i++)
		if (!rf_is_followed(followed, all.pids[i]))
			rf_know_stranger(followed, all.pids[i], true);
	rf_pid_list_free(&all);
	/* Who was born to a followed one a moment ago. */
	rf_followed_relearn(followed);
}

void rf_followed_free(struct rf_followed *followed)
{
	free(followed->bits);
	free(followed->strangers);
}

bool rf_is_followed(const struct rf_followed *followed, pid_t pid)
{
	return !followed->bits || has_bit(followed->bits, pid);
}

void rf_follow_process(struct rf_followed *followed, pid_t pid, bool follow)
{
	if (!followed->bits)
		return;
	set_bit(followed->bits, pid, follow);
	if (follow)
		set_bit(followed->strangers, pid, false);
}

bool rf_is_stranger(const struct rf_followed *followed, pid_t pid)
{
	return followed->strangers && has_bit(followed->strangers, pid);
}

void rf_know_stranger(struct rf_followed *followed, pid_t pid, bool stranger)
{
	if (followed->strangers)
		set_bit(followed->strangers, pid, stranger);
}

/* Ends were lost as well as births: their pids may be used again. */
static void forget_dead_strangers(struct rf_followed *followed)
{
	for (u32 word = 0; word < PID_LIMIT / 64; word++) {
		for (u64 bits = word_of(followed->strangers, word); bits; bits &= bits - 1) {
			pid_t pid = (pid_t)(word * 64 + (u32)__builtin_ctzll(bits));

			if (kill(pid, 0) && errno == ESRCH)
				set_bit(followed->strangers, pid, false);
		}
	}
}

void rf_followed_relearn(struct rf_followed *followed)
{
	struct rf_pid_list tids = { 0 };

	if (followed->strangers)
		forget_dead_strangers(followed);
	if (!followed->bits || !followed->learn)
		return;
	followed->learn(followed->context, &tids);	/* without memory for all, some are better than none */
	for (size_t i = 0; i < tids.nr; i++) {
		pid_t pid = rf_process_of(tids.pids[i]);

		if (pid > 0)
			rf_follow_process(followed, pid, true);
	}
	rf_pid_list_free(&tids);
}

int rf_followed_list(const struct rf_followed *followed, struct rf_pid_list *pids)
{
	for (u32 word = 0; followed->bits && word < PID_LIMIT / 64; word++) {
		for (u64 bits = word_of(followed->bits, word); bits; bits &= bits - 1) {
			pid_t pid = (pid_t)(word * 64 + (u32)__builtin_ctzll(bits));

			if (rf_process_of(pid) == pid && !rf_pid_list_has(pids, pid) && !rf_pid_list_add(pids, pid))
				return -ENOMEM;
		}
	}
	return 0;
}
