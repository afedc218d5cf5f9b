/* SPDX-License-Identifier: MIT */
/*
 * A what-if: a CPU that invalidates any range of pages, in whatever steps, by one TLBI. What folds when, and
 * core mm, is linux-7.3 as Refold has it; its other knobs work.
 *
 *     cc -shared -fPIC -I/usr/include/refold -o one_tlbi.so one_tlbi.c
 *     refold replay T -p linux-7.3,./one_tlbi.so
 */
#include "backend_abi.h"

static void flush_tlb_range(struct refold_mm *mm, const struct refold_flush *flush)
{
	bool local = flush->mode == REFOLD_FLUSH_LOCAL, waits = flush->mode == REFOLD_FLUSH_SYNC;
	uint64_t *c = mm->counters;

	if (mm->flush_seen)
		mm->flush_seen(mm, flush);
	c[REFOLD_flush_calls]++;
	c[REFOLD_tlbi]++;
	c[REFOLD_tlbi_range]++;
	c[REFOLD_tlbi_local] += local;
	c[REFOLD_tlbi_walk] += !flush->last_level;
	c[REFOLD_tlbi_pages] += (flush->end - flush->start) >> mm->page_shift;
	/* As the kernel does it: a barrier before, and one that waits for the others. */
	c[REFOLD_dsb] += local ? 2 : 1 + waits;
	c[REFOLD_dsb_nsh] += local ? 2 : 0;
	c[REFOLD_dsb_ishst] += !local;
	c[REFOLD_dsb_ish] += waits;
}

static const struct refold_backend backend = {
	.abi = REFOLD_BACKEND_ABI, .size = sizeof(backend),
	.arch = "arm64", .base = "linux-7.3", .release = "one TLBI per flush",
	.flush_tlb_range = flush_tlb_range,
};

const struct refold_backend *refold_backend(void)
{
	return &backend;
}
