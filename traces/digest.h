/* SPDX-License-Identifier: MIT */
/* What a trace is known by: a hash of its bytes. */
#ifndef REFOLD_TRACES_DIGEST_H
#define REFOLD_TRACES_DIGEST_H

#include "base/types.h"

#define RF_DIGEST_DIGITS 32
#define RF_DIGEST_SIZE (RF_DIGEST_DIGITS + 1)

/* Digits and a final 0 into digest, which has room for RF_DIGEST_SIZE. */
void rf_digest_text(const void *text, size_t size, char *digest);
/* Of a file's content. 0 or a negative errno. */
int rf_digest_file(const char *path, char *digest);

#endif
