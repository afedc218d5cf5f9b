/* SPDX-License-Identifier: MIT */
/* What the print fmt of an event's format file tells about its fields. */
#ifndef REFOLD_TRACES_EVENTS_PRINT_FMT_H
#define REFOLD_TRACES_EVENTS_PRINT_FMT_H

#include "base/types.h"

/* The value of a flag in the print fmt of a format ("{ expression, \"NAME\" }"); false: not there or not a number. */
bool rf_print_fmt_flag(const char *format, const char *name, u64 *value);

#endif
