// SPDX-License-Identifier: MIT
/* Memory of the world: arrays that grow, slabs for its pools, and that there was none. */
#include <stdlib.h>

#include "base/array.h"
#include "replay/world/world.h"

bool world_out_of_memory(const struct world *world)
{
	return world->out_of_memory;
}

void world_set_out_of_memory(struct world *world)
{
	world->out_of_memory = true;
}

bool world_grow(struct world *world, void **array, size_t element, u32 *size, u64 need)
{
	size_t room = *size;

	if (need <= room)
		return true;
	/* What there was none for, is not asked for again and again. */
	if (world->out_of_memory)
		return false;
	if (need > UINT32_MAX / 2 || array_enlarge_zeroed(array, &room, need, element)) {
		world->out_of_memory = true;
		return false;
	}
	*size = (u32)room;
	return true;
}

void *world_slab(struct world *world, size_t nr, size_t size)
{
	void *slab;

	if (world->out_of_memory)
		return NULL;
	if (array_grow(world->slabs, world->slabs_room, world->nr_slabs + 1)) {
		world->out_of_memory = true;
		return NULL;
	}
	slab = calloc(nr, size);
	if (slab)
		world->slabs[world->nr_slabs++] = slab;
	else
		world->out_of_memory = true;
	return slab;
}
