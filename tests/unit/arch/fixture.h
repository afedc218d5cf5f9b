/* SPDX-License-Identifier: MIT */
/* A page table under one policy, for the tests of the backends. */
#ifndef TESTS_UNIT_ARCH_FIXTURE_H
#define TESTS_UNIT_ARCH_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/policy/policy.h"

#define FIXTURE_BASE 0x40000000ull
#define FIXTURE_ENTRIES 8192	/* a table of the largest granule */

struct fixture {
	struct arch_flush_observer observer;	/* first: the observer is the fixture */
	struct rf_policy policy;
	struct arch_mm mm;
	struct arch_counters counters;
	struct arch_batches batches;
	s64 live;
	const struct arch_ops *ops;
	unsigned int n;			/* entries of a block */
	u64 page;
	/* flushes of whole blocks, all flushes, and what they should cost by an independent rule */
	u64 block_flushes, flushes;
	pte_t table[FIXTURE_ENTRIES];
};

static inline void fixture_observe(struct arch_flush_observer *observer, const struct arch_flush *flush)
{
	struct fixture *f = (struct fixture *)observer;
	u64 block = f->n * f->page;

	f->flushes++;
	f->block_flushes += flush && flush->mode == FLUSH_SYNC && flush->end - flush->start == block &&
			    !(flush->start & (block - 1)) && flush->stride == f->page && flush->last_level;
}

/* spec: NAME+knob=value... */
static inline struct fixture *fixture_new(const char *spec)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char *copy = strdup(spec), *rest = copy, *part, *value;
	const struct rf_policy *named = rf_policy_find(strsep(&rest, "+"));
	struct rf_error err;

	assert_non_null(named);
	f->policy = *named;
	while ((part = strsep(&rest, "+"))) {
		value = strchr(part, '=');
		*value++ = '\0';
		assert_int_equal(rf_policy_set(&f->policy, part, value, &err), 0);
	}
	free(copy);
	f->observer.flush = fixture_observe;
	f->ops = f->policy.arch;
	f->n = f->policy.geometry.cont_ptes;
	f->page = 1ull << f->policy.geometry.page_shift;
	f->mm = (struct arch_mm){
		.ops = f->ops, .knobs = &f->policy.arch_knobs, .geometry = &f->policy.geometry,
		.counters = &f->counters, .batches = &f->batches, .live_blocks = &f->live, .user = true,
		.observer = &f->observer,
	};
	return f;
}

static inline u64 fixture_addr(const struct fixture *f, unsigned int index)
{
	return FIXTURE_BASE + index * f->page;
}

/* Start counting. */
static inline void fixture_zero(struct fixture *f)
{
	memset(&f->counters, 0, sizeof(f->counters));
	f->flushes = f->block_flushes = 0;
}

static inline pte_t fixture_pte(u64 pfn, unsigned int order, u64 bits)
{
	pte_t pte = { pfn << PTE_PFN_SHIFT | (u64)order << PTE_ORDER_SHIFT | PTE_VALID | PTE_RDONLY | bits };

	return bits & PTE_DIRTY ? pte_mkdirty(pte) : pte;
}

/* nr entries from index, in folios of order, as faults would map them. */
static inline void fixture_map(struct fixture *f, unsigned int index, unsigned int nr, unsigned int order, u64 bits)
{
	unsigned int i, size = 1u << order;

	for (i = 0; i < nr; i += size)
		f->ops->set_ptes(&f->mm, fixture_addr(f, index + i), &f->table[index + i],
				 fixture_pte(0x100000 + index + i, order, bits), size);
}

#endif
