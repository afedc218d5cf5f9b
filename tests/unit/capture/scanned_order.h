/* SPDX-License-Identifier: MIT */
/* The order of a folio, found otherwise than the recorder finds it. */
#ifndef REFOLD_TESTS_SCANNED_ORDER_H
#define REFOLD_TESTS_SCANNED_ORDER_H

#include "base/types.h"

/* The order of pfn's folio by a plain scan of heads and tails in kpageflags. */
unsigned int scanned_order(u64 pfn);

#endif
