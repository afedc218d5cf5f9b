/* SPDX-License-Identifier: MIT */
/* What the parts of the table a person reads first share. */
#ifndef REFOLD_REPLAY_REPORT_TABLE_H
#define REFOLD_REPLAY_REPORT_TABLE_H

#include "replay/report/report.h"

#define PARAGRAPH_MAX 4096	/* bytes: every counter of every kind of operation fits */

/* What was replayed, and how well. */
void table_head(const json_t *report, FILE *out);
/* The same for who reads the answer only. */
void table_short_head(const json_t *report, FILE *out);
/* Text under a label, in lines. */
void table_paragraph(FILE *out, const char *label, const char *text);

#endif
