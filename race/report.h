/* SPDX-License-Identifier: MIT */
/* refold race: what was found, as text and as JSON. */
#ifndef REFOLD_RACE_REPORT_H
#define REFOLD_RACE_REPORT_H

#include <stdio.h>

#include "race/pairs.h"

struct race_report_options {
	bool controls;	/* the pairs are those of race_controls[] */
	bool verbose;	/* also a schedule for each relaxation */
	double seconds;	/* that the exploration took */
};

void race_report_text(const struct race_pairs *pairs, const struct race_choice *choice,
		      const struct race_report_options *options, FILE *out);
/* -ENOMEM, or what writing failed with. */
int race_report_json(const struct race_pairs *pairs, const struct race_choice *choice,
		     const struct race_report_options *options, FILE *out);
/* Every promised check held; for controls: each was caught by the check that it names. */
bool race_report_passed(const struct race_pairs *pairs, bool controls);

#endif
