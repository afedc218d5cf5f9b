/* SPDX-License-Identifier: MIT */
/*
 * Ranges of numbers in order, none over another, as VMAs are: a balanced tree for look-ups, and links to the neighbours
 * for walks. It takes log n steps, or none, whatever the order in which ranges come and go. A treap: its shape is that
 * of ranges that had come in a random order, which a number of each range decides, always in the same way.
 *
 * The type has members start and end (end is not part of the range), and RANGE_LINKS(its name) links. While it is in a
 * tree, start and end may change as long as the order stays. DEFINE_RANGES(name, type) defines struct name, which is
 * empty when all zero, and
 *
 *   type *name_find(ranges, at)		the first that ends after at; NULL: none does
 *   type *name_first(ranges), *name_last(ranges)
 *   void name_insert(ranges, range)		which is over no other
 *   void name_append(ranges, range)		which is after all others: no search
 *   void name_remove(ranges, range)
 *   u64 name_depth(ranges, at)			how many steps a search for it takes, for tests
 */
#ifndef REFOLD_BASE_RANGES_H
#define REFOLD_BASE_RANGES_H

#include "base/types.h"

#define RANGE_LINKS(type) struct { type *parent, *left, *right, *prev, *next; u32 priority; }

#define RANGES_FUNCTION static inline __attribute__((unused))

#define DEFINE_RANGES(name, type)									\
struct name {												\
	type *root, *first, *last;									\
	u32 nr;												\
	u32 random;											\
};													\
													\
RANGES_FUNCTION type *name##_find(const struct name *ranges, u64 at)					\
{													\
	type *found = NULL, *range = ranges->root;							\
													\
	while (range) {											\
		if (range->end > at) {									\
			found = range;									\
			range = range->links.left;							\
		} else {										\
			range = range->links.right;							\
		}											\
	}												\
	return found;											\
}													\
													\
RANGES_FUNCTION u64 name##_depth(const struct name *ranges, u64 at)					\
{													\
	u64 depth = 0;											\
													\
	for (type *range = ranges->root; range; depth++)						\
		range = range->end > at ? range->links.left : range->links.right;			\
	return depth;											\
}													\
													\
RANGES_FUNCTION type *name##_first(const struct name *ranges)						\
{													\
	return ranges->first;										\
}													\
													\
RANGES_FUNCTION type *name##_last(const struct name *ranges)						\
{													\
	return ranges->last;										\
}													\
													\
/* Where the parent of a range points to it. */								\
RANGES_FUNCTION type **name##_place(struct name *ranges, type *range)					\
{													\
	type *parent = range->links.parent;								\
													\
	if (!parent)											\
		return &ranges->root;									\
	return parent->links.left == range ? &parent->links.left : &parent->links.right;		\
}													\
													\
/* A range and its parent change places. */								\
RANGES_FUNCTION void name##_rise(struct name *ranges, type *range)					\
{													\
	type *parent = range->links.parent, **place = name##_place(ranges, parent), *moved;		\
													\
	if (parent->links.left == range) {								\
		moved = parent->links.left = range->links.right;					\
		range->links.right = parent;								\
	} else {											\
		moved = parent->links.right = range->links.left;					\
		range->links.left = parent;								\
	}												\
	if (moved)											\
		moved->links.parent = parent;								\
	range->links.parent = parent->links.parent;							\
	parent->links.parent = range;									\
	*place = range;											\
}													\
													\
/* As a leaf between two neighbours, then up to where it belongs. */					\
RANGES_FUNCTION void name##_link(struct name *ranges, type *range, type *prev, type *next)		\
{													\
	type *parent = prev && !prev->links.right ? prev : next;					\
													\
	ranges->random = ranges->random * 1664525u + 1013904223u;					\
	range->links.priority = ranges->random;								\
	range->links.parent = parent;									\
	range->links.left = range->links.right = NULL;							\
	range->links.prev = prev;									\
	range->links.next = next;									\
	*(prev ? &prev->links.next : &ranges->first) = range;						\
	*(next ? &next->links.prev : &ranges->last) = range;						\
	if (!parent)											\
		ranges->root = range;									\
	else if (parent == prev)									\
		prev->links.right = range;								\
	else												\
		next->links.left = range;								\
	while (range->links.parent && range->links.parent->links.priority < range->links.priority)	\
		name##_rise(ranges, range);								\
	ranges->nr++;											\
}													\
													\
RANGES_FUNCTION void name##_insert(struct name *ranges, type *range)					\
{													\
	type *next = name##_find(ranges, range->start);							\
													\
	name##_link(ranges, range, next ? next->links.prev : ranges->last, next);			\
}													\
													\
RANGES_FUNCTION void name##_append(struct name *ranges, type *range)					\
{													\
	name##_link(ranges, range, ranges->last, NULL);							\
}													\
													\
RANGES_FUNCTION void name##_remove(struct name *ranges, type *range)					\
{													\
	type *left, *right, *child;									\
													\
	while ((left = range->links.left) && (right = range->links.right))				\
		name##_rise(ranges, left->links.priority > right->links.priority ? left : right);	\
	child = range->links.left ? range->links.left : range->links.right;				\
	*name##_place(ranges, range) = child;								\
	if (child)											\
		child->links.parent = range->links.parent;						\
	*(range->links.prev ? &range->links.prev->links.next : &ranges->first) = range->links.next;	\
	*(range->links.next ? &range->links.next->links.prev : &ranges->last) = range->links.prev;	\
	ranges->nr--;											\
}

#endif
