// SPDX-License-Identifier: MIT
/*
 * What a hook does beside its table: it gets a copy of the table between pages that cannot be touched. For checks only,
 * a call costs two copies then. Copies nest, because what a hook calls may call hooks.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/loaded/loaded.h"

#define MAX_DEPTH 4
#define MAX_TABLE 65536u

static __thread struct guard {
	char *memory;			/* of MAX_TABLE, at a multiple of it */
	char *table;			/* at its end; the same is what lies below as well */
	pte_t *original;
	size_t size;
} guards[MAX_DEPTH];
static __thread unsigned int depth;

/* Three stretches of MAX_TABLE; the table lies in the middle one, and all else cannot be touched. */
static void make_room(struct guard *guard)
{
	char *memory = mmap(NULL, 4 * MAX_TABLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	guard->memory = memory + MAX_TABLE + (MAX_TABLE - (uintptr_t)memory % MAX_TABLE) % MAX_TABLE;
}

refold_pte *loaded_guard_begin(struct arch_mm *mm, pte_t *ptep)
{
	struct guard *guard = &guards[depth++];
	size_t size = sizeof(pte_t) << mm->geometry->table_shift;

	if (depth > MAX_DEPTH || size > MAX_TABLE)
		abort();
	if (!guard->memory)
		make_room(guard);
	if (guard->size != size) {
		guard->size = size;
		guard->table = guard->memory;
		if (mprotect(guard->memory, MAX_TABLE, PROT_NONE) ||
		    mprotect(guard->table, size, PROT_READ | PROT_WRITE))
			abort();
	}
	guard->original = (pte_t *)((uintptr_t)ptep & ~(size - 1));
	memcpy(guard->table, guard->original, size);
	return (refold_pte *)(guard->table + ((uintptr_t)ptep & (size - 1)));
}

void loaded_guard_end(struct arch_mm *mm)
{
	struct guard *guard = &guards[--depth];

	memcpy(guard->original, guard->table, guard->size);
}

void loaded_guard_leave(void)
{
	depth = 0;
}

void arch_loaded_guard(const struct arch_loaded *loaded)
{
	((struct arch_loaded *)loaded)->guarded = true;
}

void arch_loaded_show(void)
{
	if (depth)
		memcpy(guards[depth - 1].original, guards[depth - 1].table, guards[depth - 1].size);
}

void arch_loaded_hide(void)
{
	if (depth)
		memcpy(guards[depth - 1].table, guards[depth - 1].original, guards[depth - 1].size);
}

bool arch_loaded_beside_table(const void *addr, s64 *bytes)
{
	const struct guard *guard = &guards[depth ? depth - 1 : 0];
	const char *at = addr;

	if (!depth || at < guard->table - MAX_TABLE || at >= guard->table + 2 * MAX_TABLE)
		return false;
	*bytes = at < guard->table ? at - guard->table : at - (guard->table + guard->size);
	return true;
}
