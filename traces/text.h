/* SPDX-License-Identifier: MIT */
/* The words of the text form that text.c writes and assemble.c reads. Internal to traces/. */
#ifndef REFOLD_TRACES_TEXT_H
#define REFOLD_TRACES_TEXT_H

#include "traces/trace.h"

#define TEXT_SOURCES 4
#define TEXT_ENDS 6

extern const char *const text_sources[TEXT_SOURCES];	/* by enum rf_source */
extern const char *const text_ends[TEXT_ENDS];		/* by enum rf_end */

#endif
