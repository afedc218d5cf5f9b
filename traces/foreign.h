/* SPDX-License-Identifier: MIT */
/* Files that people take for traces: what they are, and what to do with them. */
#ifndef REFOLD_TRACES_FOREIGN_H
#define REFOLD_TRACES_FOREIGN_H

#include "base/types.h"

/* As many bytes of a file as tell what it is. */
#define RF_FOREIGN_BYTES 4096

/*
 * What a file is by its first bytes, and the command to run next, as the rest of a sentence that begins with "it is";
 * NULL: not known. A trace.dat and a trace of ours are known here too: each is foreign to the reader of the other.
 */
const char *rf_foreign_file(const u8 *data, size_t size);

#endif
