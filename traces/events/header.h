/* SPDX-License-Identifier: MIT */
/*
 * What the header of a trace says about the events of the table: which were
 * recorded and how, which could not be and why. The same words from a live
 * recording and from an import.
 */
#ifndef REFOLD_TRACES_EVENTS_HEADER_H
#define REFOLD_TRACES_EVENTS_HEADER_H

#include "traces/events/decode.h"
#include "traces/header.h"

/* Sets arch, kernel, page_size and gfp_unknown; begins events, events_missing and filters with nothing in them. */
void rf_header_begin(json_t *header, const struct rf_kernel *kernel, const struct rf_decoder *decoder);

/* A row of the table that was recorded, as an event of this name; filter: NULL, or what let pass which of them. */
void rf_header_event(json_t *header, size_t row, const char *system, const char *name, const char *filter);
/* A row that was not, and nothing instead of it. */
void rf_header_missing_event(json_t *header, size_t row, const char *reason);

#endif
