// SPDX-License-Identifier: MIT
/* Names of operations, for text traces and messages. */
#include "engine/ops.h"

const char *const rf_op_names[RF_NR_OPS] = {
#define X(symbol, name) name,
	RF_OPS(X)
#undef X
};
