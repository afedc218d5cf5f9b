/* SPDX-License-Identifier: MIT */
/*
 * The page of "refold html": one HTML file that draws what reports, or many traces, say. Its program and its looks are
 * made of web/ when Refold is built; what is put in here is data, which no browser takes for anything else.
 */
#ifndef REFOLD_REPLAY_PAGE_PAGE_H
#define REFOLD_REPLAY_PAGE_PAGE_H

#include <stdio.h>

#include <jansson.h>

#include "replay/fleet/fleet.h"

/* Bytes of a whole page that a mail takes; what is too much for it is left out, and the page says so. */
#define RF_PAGE_MAX 1500000

struct rf_page_template {
	const unsigned char *before, *behind;	/* the data */
	size_t before_size, behind_size;
};

/* Of web/; both sizes are 0 in a build without it. */
extern const struct rf_page_template rf_page_template;

/* The data of pages, to be released. "left_out" in them says what the report has and the page has not. */

/* reports: of rf_report_load(), with the base names of their files. */
json_t *rf_page_of_reports(json_t *const *reports, const char *const *names, size_t nr);

/*
 * Of a sorted fleet. pages: folder of pages of single traces to link to, NULL: none; output: where the page will be.
 * NULL with err.
 */
json_t *rf_page_of_fleet(const struct rf_fleet *fleet, const char *pages, const char *output, struct rf_error *err);

/* How much of a page the data are. */
size_t rf_page_size(const json_t *data);
/* The template with them. 0, or -EIO. */
int rf_page_write(const json_t *data, FILE *out);

/* pages of both kinds: versions, what counters and reasons mean, which counters matter. */
json_t *rf_page_begin(const char *kind);

#endif
