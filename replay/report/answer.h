/* SPDX-License-Identifier: MIT */
/* What differs and matters: as a sentence, and as a table of a few rows. */
#ifndef REFOLD_REPLAY_REPORT_ANSWER_H
#define REFOLD_REPLAY_REPORT_ANSWER_H

#include <jansson.h>

#include "replay/report/view.h"

#define RF_ANSWER_MAX 512

/* Counters that matter, in the order in which they are told. */
struct rf_matter {
	const char *word, *key;	/* "unfolds", "unfold" */
	int cost;		/* 1: fewer are better; 0: neither */
	bool may_differ;	/* most policies have as many: told where they have not */
};

/* NULL past the end. */
const struct rf_matter *rf_matter_at(size_t index);
/* Is a counter of the report one that matters, or a part of one? */
bool rf_matters(const char *counter);
/* totals: an object of counters. "waits" is none of them: barriers for completion, and broadcasts of interrupts. */
s64 rf_matter_value(const json_t *totals, const struct rf_matter *matter);

/* "TLBI +3.4 %, unfolds 0 -> 60" of b's totals against a's. */
void rf_answer_changes(const json_t *a, const json_t *b, char *text, size_t size);
/* "exact", "marked (3 of 12 address spaces)". */
void rf_answer_trust(const json_t *report, char *text, size_t size);
/* A sentence as the first line. */
void rf_answer_print(const char *text, const struct rf_view *view, FILE *out);

/* Each policy against the baseline, of many the two at the ends: an array of sentences. */
json_t *rf_answer_sentences(const json_t *report, const struct rf_view *view);
/* They, as the first lines of a report. */
void rf_answer_write(const json_t *report, const struct rf_view *view, FILE *out);
/* The numbers behind them; of view->all, and for programs, those of every operation. */
void rf_answer_table(const json_t *report, const struct rf_view *view, FILE *out);

#endif
