/* SPDX-License-Identifier: MIT */
/*
 * The hash table: open addressing, keys are numbers, values pointers or numbers
 * other than 0. Nothing is taken out again; a table is freed as a whole. Keys lie
 * beside the values, so that a look-up touches nothing else; and everything is
 * inline, because tasks, leaves and page frames are looked up with every record.
 *
 * DEFINE_TABLE(name, key, value) defines struct name, which is empty when all zero, and
 *
 *   value name_find(table, key)			0: it is not there
 *   value name_match(table, key, same, context)	of several with this key, the first with same(context, value)
 *   int name_set(table, key, value)			replaces what is there; 0 or -ENOMEM
 *   int name_add(table, key, value)			beside what is there under this key; 0 or -ENOMEM
 *   int name_reserve(table, nr)			has room for nr in all; 0 or -ENOMEM
 *   void name_free(table)				leaves it empty; what values point to is the caller's
 *
 * To walk it: the slots[0] to slots[size - 1] that have a value, in no order that means anything.
 */
#ifndef REFOLD_BASE_TABLE_H
#define REFOLD_BASE_TABLE_H

#include <errno.h>
#include <stdlib.h>

#include "base/types.h"

#define TABLE_SMALLEST 16

static inline u32 table_hash(u64 key)
{
	key *= 0x9e3779b97f4a7c15ull;
	return (u32)(key ^ key >> 32);
}

#define TABLE_FUNCTION static inline __attribute__((unused))

/* At most half of the slots are taken: a search always ends at an empty one. */
#define DEFINE_TABLE(name, key_type, value_type)							\
struct name##_slot {											\
	key_type key;											\
	value_type value;										\
};													\
													\
struct name {												\
	struct name##_slot *slots;									\
	u32 nr, size;											\
};													\
													\
TABLE_FUNCTION struct name##_slot *name##_slot(const struct name *table, key_type key)			\
{													\
	u32 mask = table->size - 1;									\
													\
	for (u32 i = table_hash(key) & mask; table->size && table->slots[i].value; i = (i + 1) & mask)	\
		if (table->slots[i].key == key)								\
			return &table->slots[i];							\
	return NULL;											\
}													\
													\
TABLE_FUNCTION value_type name##_find(const struct name *table, key_type key)				\
{													\
	const struct name##_slot *slot = name##_slot(table, key);					\
													\
	return slot ? slot->value : 0;									\
}													\
													\
TABLE_FUNCTION value_type name##_match(const struct name *table, key_type key,				\
				       bool (*same)(const void *context, value_type value),		\
				       const void *context)						\
{													\
	u32 mask = table->size - 1;									\
													\
	for (u32 i = table_hash(key) & mask; table->size && table->slots[i].value; i = (i + 1) & mask)	\
		if (table->slots[i].key == key && same(context, table->slots[i].value))			\
			return table->slots[i].value;							\
	return 0;											\
}													\
													\
TABLE_FUNCTION void name##_place(struct name *table, key_type key, value_type value)			\
{													\
	u32 mask = table->size - 1, i = table_hash(key) & mask;						\
													\
	while (table->slots[i].value)									\
		i = (i + 1) & mask;									\
	table->slots[i].key = key;									\
	table->slots[i].value = value;									\
	table->nr++;											\
}													\
													\
TABLE_FUNCTION void name##_free(struct name *table)							\
{													\
	free(table->slots);										\
	table->slots = NULL;										\
	table->nr = table->size = 0;									\
}													\
													\
TABLE_FUNCTION int name##_reserve(struct name *table, u32 nr)						\
{													\
	struct name bigger = { .size = table->size ? table->size : TABLE_SMALLEST };			\
													\
	if (nr <= table->size / 2)									\
		return 0;										\
	while (bigger.size && bigger.size / 2 < nr)							\
		bigger.size *= 2;									\
	bigger.slots = bigger.size ? calloc(bigger.size, sizeof(*bigger.slots)) : NULL;			\
	if (!bigger.slots)										\
		return -ENOMEM;										\
	for (u32 i = 0; i < table->size; i++)								\
		if (table->slots[i].value)								\
			name##_place(&bigger, table->slots[i].key, table->slots[i].value);		\
	name##_free(table);										\
	*table = bigger;										\
	return 0;											\
}													\
													\
TABLE_FUNCTION int name##_add(struct name *table, key_type key, value_type value)			\
{													\
	if (name##_reserve(table, table->nr + 1))							\
		return -ENOMEM;										\
	name##_place(table, key, value);								\
	return 0;											\
}													\
													\
TABLE_FUNCTION int name##_set(struct name *table, key_type key, value_type value)			\
{													\
	struct name##_slot *slot = name##_slot(table, key);						\
													\
	if (!slot)											\
		return name##_add(table, key, value);							\
	slot->value = value;										\
	return 0;											\
}													\
													\
struct name

#endif
