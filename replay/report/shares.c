// SPDX-License-Identifier: MIT
/* Shapley's value of changes, exactly or by drawing orders: the same seed draws the same. */
#include <math.h>
#include <string.h>

#include "replay/report/shares.h"

static size_t list_players(u64 players, int *list)
{
	size_t nr = 0;
	int i;

	for (i = 0; i < RF_SHARES_MAX; i++)
		if (players >> i & 1)
			list[nr++] = i;
	return nr;
}

void rf_shares_plan(struct rf_shares *shares, u64 players, u64 seed, size_t max)
{
	size_t nr = __builtin_popcountll(players), orders;

	*shares = (struct rf_shares){ .players = players, .seed = seed };
	if (nr <= RF_SHARES_EXACT)
		return;
	orders = max / (nr - 1) & ~1ul;
	shares->orders = orders < 4 ? 4 : orders;
}

/* ---- exactly ---- */

/* The set of the players whose places are in the mask. */
static u64 set_of(const int *list, u64 mask)
{
	u64 set = 0;

	for (; mask; mask &= mask - 1)
		set |= 1ull << list[__builtin_ctzll(mask)];
	return set;
}

/* |S|! (n - |S| - 1)! / n! */
static double weight(size_t nr, size_t size)
{
	double product = 1.0 / nr;
	size_t i;

	for (i = 1; i <= size; i++)
		product *= (double)i / (nr - i);
	return product;
}

static void compute_exactly(struct rf_shares *shares, const int *list, size_t nr, s64 (*value)(void *context, u64 set),
			    void *context)
{
	u64 mask;
	size_t i;

	for (mask = 0; mask < 1ull << nr; mask++)
		for (i = 0; i < nr; i++)
			if (!(mask >> i & 1))
				shares->share[list[i]] += weight(nr, __builtin_popcountll(mask)) *
							  (value(context, set_of(list, mask | 1ull << i)) -
							   value(context, set_of(list, mask)));
}

/* ---- by drawing ---- */

/* splitmix64 */
static u64 next_random(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void shuffle(int *list, size_t nr, u64 *state)
{
	size_t i, k;
	int kept;

	for (i = nr; i > 1; i--) {
		k = next_random(state) % i;
		kept = list[i - 1];
		list[i - 1] = list[k];
		list[k] = kept;
	}
}

static void add_order(double *gains, const int *list, size_t nr, bool reverse, s64 (*value)(void *context, u64 set),
		      void *context)
{
	s64 before = value(context, 0), after;
	u64 set = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		int player = list[reverse ? nr - 1 - i : i];

		set |= 1ull << player;
		after = value(context, set);
		gains[player] += (after - before) / 2.0;
		before = after;
	}
}

/* A pair of an order and its reverse is one draw: what errors are of. */
static void compute_by_drawing(struct rf_shares *shares, int *list, size_t nr,
			       s64 (*value)(void *context, u64 set), void *context)
{
	double squares[RF_SHARES_MAX] = { 0 }, gains[RF_SHARES_MAX];
	size_t pairs = shares->orders / 2, pair, i;
	u64 state = shares->seed;

	for (pair = 0; pair < pairs; pair++) {
		memset(gains, 0, sizeof(gains));
		shuffle(list, nr, &state);
		add_order(gains, list, nr, false, value, context);
		add_order(gains, list, nr, true, value, context);
		for (i = 0; i < nr; i++) {
			shares->share[list[i]] += gains[list[i]];
			squares[list[i]] += gains[list[i]] * gains[list[i]];
		}
	}
	for (i = 0; i < nr; i++) {
		double mean = shares->share[list[i]] / pairs, variance = squares[list[i]] / pairs - mean * mean;

		shares->share[list[i]] = mean;
		shares->error[list[i]] = variance > 0 ? sqrt(variance / (pairs - 1)) : 0;
	}
}

void rf_shares_compute(struct rf_shares *shares, s64 (*value)(void *context, u64 set), void *context)
{
	int list[RF_SHARES_MAX];
	size_t nr = list_players(shares->players, list);

	memset(shares->share, 0, sizeof(shares->share));
	memset(shares->error, 0, sizeof(shares->error));
	if (shares->orders)
		compute_by_drawing(shares, list, nr, value, context);
	else
		compute_exactly(shares, list, nr, value, context);
}
