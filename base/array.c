// SPDX-License-Identifier: MIT
/* Growing an array: rare, so not inline. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define SMALLEST 16

/* array is the address of a pointer, of whatever type. */
int array_enlarge(void *array, size_t *room, size_t need, size_t element)
{
	/* Twice the room may wrap, but then it is less than what is needed. */
	size_t wanted = max_u64(need, 2 * *room), bytes;
	void *bigger;

	if (wanted < SMALLEST)
		wanted = SMALLEST;
	if (__builtin_mul_overflow(wanted, element, &bytes))
		return -ENOMEM;
	memcpy(&bigger, array, sizeof(bigger));
	bigger = realloc(bigger, bytes);
	if (!bigger)
		return -ENOMEM;
	memcpy(array, &bigger, sizeof(bigger));
	*room = wanted;
	return 0;
}

int array_enlarge_zeroed(void *array, size_t *room, size_t need, size_t element)
{
	size_t before = *room;
	char *start;

	if (array_grow_bytes(array, room, need, element))
		return -ENOMEM;
	memcpy(&start, array, sizeof(start));
	if (*room > before)
		memset(start + before * element, 0, (*room - before) * element);
	return 0;
}
