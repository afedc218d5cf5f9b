// SPDX-License-Identifier: MIT
/* Names and shapes of operations. */
#include "engine/ops.h"

const char *const rf_op_names[RF_NR_OPS] = {
#define X(symbol, name, shape, pages, row) #name,
	RF_OPS(X)
#undef X
};

const u8 rf_op_shapes[RF_NR_OPS] = {
#define X(symbol, name, shape, pages, row) RF_SHAPE_##shape,
	RF_OPS(X)
#undef X
};
