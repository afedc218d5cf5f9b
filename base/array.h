/* SPDX-License-Identifier: MIT */
/*
 * Arrays that grow: the one place where a length becomes bytes, so the one that
 * has to check for overflow.
 */
#ifndef REFOLD_BASE_ARRAY_H
#define REFOLD_BASE_ARRAY_H

#include "base/types.h"

int array_enlarge(void *array, size_t *room, size_t need, size_t element);
int array_enlarge_zeroed(void *array, size_t *room, size_t need, size_t element);

/*
 * Have a (a pointer to elements, NULL while there are none) hold at least need elements; room, a size_t, says how many
 * it can. Grows at least twofold, so that adding one after the other costs a constant time each. What is new is not
 * initialised. 0, or -ENOMEM: then a and room are as before. Evaluates its arguments once each, but a twice.
 */
#define array_grow(a, room, need) array_grow_bytes(&(a), &(room), need, sizeof(*(a)))
/* The same where all up to room are in use, and what is new is to be zero. */
#define array_grow_zeroed(a, room, need) array_enlarge_zeroed(&(a), &(room), need, sizeof(*(a)))

static inline int array_grow_bytes(void *array, size_t *room, size_t need, size_t element)
{
	return need <= *room ? 0 : array_enlarge(array, room, need, element);
}

#endif
