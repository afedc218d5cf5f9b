// SPDX-License-Identifier: MIT
/* The huge zero page: it is split like any other, but what is left of it are entries of the small one. */
#include "replay/world/world.h"

bool world_is_huge_zero(const struct world *world, struct world_mm *mm, u64 vpn)
{
	world_pte pte = world_get(mm, vpn);

	return world->huge_zero_pfn && world_pte_kind(pte) == WORLD_ZERO &&
	       world_pte_pfn(pte) - world->huge_zero_pfn < BIT_ULL(world->page_shift - 3);
}

void world_split_huge_zero(struct world *world, struct world_mm *mm, u64 vpn)
{
	u64 nr = BIT_ULL(world->page_shift - 3), base = ALIGN_DOWN(vpn, nr);

	if (!world_is_huge_zero(world, mm, vpn))
		return;
	for (u64 at = base; at < base + nr; at++)
		if (world_is_huge_zero(world, mm, at))
			world_set(world, mm, at, world_mkpte(WORLD_ZERO, world->zero_pfn, 0));
}

void world_split_at(struct world *world, struct world_mm *mm, u64 vpn)
{
	if (!(vpn & (BIT_ULL(world->page_shift - 3) - 1)))
		return;
	world_split_huge_zero(world, mm, vpn - 1);
	world_split_huge_zero(world, mm, vpn);
}
