/* SPDX-License-Identifier: MIT */
/*
 * "refold-capture doctor": what this kernel offers to a recording, and what is
 * lost where it does not.
 */
#ifndef REFOLD_CAPTURE_DOCTOR_H
#define REFOLD_CAPTURE_DOCTOR_H

#include <stdio.h>

#include "base/error.h"

/*
 * Print to out, as text or JSON. Returns the exit code: RF_EXIT_DONE where recordings work (even if some facts
 * will be inferred), RF_EXIT_FAILED where they do not.
 */
int rf_doctor(FILE *out, bool json);

#endif
