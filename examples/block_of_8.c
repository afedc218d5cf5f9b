/* SPDX-License-Identifier: MIT */
/*
 * A what-if: contiguous blocks of 8 pages of 4K, 32K, as if the architecture had them. No hook is another: Refold's own
 * ask for the size of a block.
 *
 *     cc -shared -fPIC -I/usr/include/refold -o block_of_8.so block_of_8.c
 *     refold replay T -p linux-7.3,./block_of_8.so
 */
#include "backend_abi.h"

static const struct refold_backend backend = {
	.abi = REFOLD_BACKEND_ABI, .size = sizeof(backend),
	.arch = "arm64", .base = "linux-7.3", .release = "blocks of 32K",
	.page_shift = 12, .cont_ptes = 8,
};

const struct refold_backend *refold_backend(void)
{
	return &backend;
}
