/* SPDX-License-Identifier: MIT */
/*
 * Prices that a user brings, on differences of counts. A replay knows work, not time: what an invalidation costs is of
 * one machine, and much that time needs is no count. So only differences are priced, from low to high, each with its
 * cause, beside what has no price; nothing here is a time that anything takes.
 */
#ifndef REFOLD_REPLAY_REPORT_PRICE_H
#define REFOLD_REPLAY_REPORT_PRICE_H

#include <jansson.h>

#include "base/error.h"
#include "replay/report/answer.h"

#define RF_MAX_PRICES 16

struct rf_price {
	struct rf_matter matter;	/* what is priced */
	double low, high;		/* of one, in ns */
};

struct rf_prices {
	struct rf_price prices[RF_MAX_PRICES];
	size_t nr;			/* 0: none */
};

/*
 * "flush=0.31us..0.42us,unfold=90ns..2us": counters of the report, or flush, wait, load, store, atomic, fault. -EINVAL:
 * a price that is no range, an unknown counter, or two of which one is in the other.
 */
int rf_prices_parse(struct rf_prices *prices, const char *text, struct rf_error *err);

/*
 * What b differs from a ("policies" of reports) by, priced: {"rows": by counter and operation, "low_ns", "high_ns",
 * "unpriced": counters that differ and have no price, "break_even"}. recorded: how long the recordings are, in ns.
 */
json_t *rf_price_difference(const struct rf_prices *prices, const json_t *a, const json_t *b, u64 recorded);
/* Of an answer, as the view says. */
void rf_price_write(const json_t *priced, const struct rf_view *view, FILE *out);

#endif
