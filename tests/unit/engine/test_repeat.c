// SPDX-License-Identifier: MIT
/*
 * Folios that are done as the one before them (engine/repeat.h) against the same machine that does everything step by
 * step: after each operation all counters are the same, byte by byte, and so are all entries. Address spaces are full
 * of large folios, most of them alike, and operations make some of them differ: random ones, under every policy and
 * with the knobs that change what conversions and gathers leave behind. And it does happen: each kind of walk repeats
 * under every policy that may. A failing seed is printed; REFOLD_SEED runs it alone.
 */
#include <stdlib.h>

#include "engine/mm.h"
#include "engine/pgtable.h"
#include "machine_script.h"
#include "random.h"

#define NR_MMS 3
#define ROUNDS 6
#define AREA_FOLIOS 160u
#define NR_AREAS 3

static unsigned long seed;

struct pair {
	struct rf_machine *fast, *steps;
	u64 page;
	unsigned int order;		/* of a block, or of 16 pages */
	u64 time, pfn;
	u64 repeated[RF_NR_OPS];
};

/* What both are told. */
static void both(struct pair *p, struct rf_op op)
{
	const struct rf_stats *fast = rf_machine_stats(p->fast), *steps = rf_machine_stats(p->steps);
	u64 before = p->fast->folios_repeated;

	op.time = p->time += 1000;
	op.remote_cpus = op.other_cpus = one_in(2);
	op.cpus = random_below(6);
	assert_int_equal(rf_machine_run(p->fast, &op, 1), 0);
	assert_int_equal(rf_machine_run(p->steps, &op, 1), 0);
	p->repeated[op.kind] += p->fast->folios_repeated - before;
	/* Nothing is forgotten: what faults count the next walk shows. */
	if (rf_op_shapes[op.kind] == RF_SHAPE_FAULT || !memcmp(fast, steps, sizeof(*fast)))
		return;
	print_message("seed %lu: %s of mm %u, [%#llx, %#llx): counted otherwise\n", seed, rf_op_names[op.kind],
		      op.mm, (unsigned long long)op.addr, (unsigned long long)op.end);
	fail();
}

#define do_both(p, ...) both(p, (struct rf_op){ __VA_ARGS__ })

static u64 area_start(const struct pair *p, u32 area)
{
	return (p->page << 18) + area * 2 * AREA_FOLIOS * (p->page << p->order);
}

static u64 area_end(const struct pair *p, u32 area)
{
	return area_start(p, area) + AREA_FOLIOS * (p->page << p->order);
}

static void check_entries(struct pair *p)
{
	for (u32 id = 0; id < NR_MMS; id++) {
		struct mm *fast = machine_mm(p->fast, id), *steps = machine_mm(p->steps, id);

		assert_int_equal(!fast, !steps);
		for (u32 area = 0; fast && area < NR_AREAS; area++)
			for (u64 addr = area_start(p, area); addr < area_end(p, area); addr += p->page)
				if (pte_peek(fast, addr).val != pte_peek(steps, addr).val)
					fail_msg("seed %lu: mm %u, %#llx: %#llx, not %#llx", seed, id,
						 (unsigned long long)addr,
						 (unsigned long long)pte_peek(fast, addr).val,
						 (unsigned long long)pte_peek(steps, addr).val);
	}
}

static void big_op(struct pair *p, struct rf_op op)
{
	both(p, op);
	check_entries(p);
}

#define do_big(p, ...) big_op(p, (struct rf_op){ __VA_ARGS__ })

/* Runs of folios that are alike: anonymous in area 0, of a file that is mapped privately in 1, of shmem in 2. */
static void fill(struct pair *p, u32 mm, u32 area)
{
	u64 addr = area_start(p, area), end = area_end(p, area);

	while (addr < end) {
		unsigned int order = p->order + (one_in(4) ? random_below(8 - p->order) : 0);
		u64 size = p->page << order, n = one_in(3) ? random_below(4) : random_below(60);
		u16 flags = one_in(3) ? 0 : RF_OP_WRITE;
		int step = one_in(4) ? -1 : one_in(4) ? 3 : 1;
		u64 off = one_in(8) ? random_below(20) : 0;	/* parts of two folios where one would be */

		addr = ALIGN_UP(addr, size);
		for (; n-- && addr + size <= end; addr += size) {
			p->pfn = ALIGN_UP(p->pfn, 1ull << order) + ((u64)(step + 4) << order);
			if (area)
				do_both(p, .kind = RF_OP_FAULT_FILE, .mm = mm, .addr = addr, .aux = addr,
					.nr = 1u << order, .order = order, .flags = RF_OP_FIRST | flags |
					(area == 2 ? RF_OP_SHMEM : 0),
					.pfn = off + (step < 0 ? (1ull << 30) - p->pfn : p->pfn));
			else
				do_both(p, .kind = RF_OP_FAULT_ANON, .mm = mm, .addr = addr, .order = order,
					.flags = flags, .pfn = step < 0 ? (1ull << 30) - p->pfn : p->pfn);
		}
		addr += one_in(5) ? p->page * random_below(40) : 0;
	}
}

static void disturb(struct pair *p, u32 mm)
{
	u32 area = random_below(NR_AREAS);
	u64 folio = p->page << p->order;
	u64 start = area_start(p, area) + random_below(AREA_FOLIOS) * folio +
		    (one_in(2) ? random_below(1u << p->order) * p->page : 0);
	u64 end = start + (one_in(2) ? p->page * (1 + random_below(5)) : folio * (1 + random_below(70)));

	if (end > area_end(p, area))
		end = area_end(p, area);
	switch (random_below(11)) {
	case 0:
		do_both(p, .kind = RF_OP_FAULT_REUSE, .mm = mm, .addr = start, .flags = RF_OP_WRITE);
		break;
	case 1:
		p->pfn += 1000;
		do_both(p, .kind = RF_OP_FAULT_COW, .mm = mm, .addr = start, .pfn = p->pfn, .flags = RF_OP_WRITE);
		break;
	case 2:
		do_both(p, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .mm = mm, .addr = start, .end = end);
		break;
	case 3:
		do_both(p, .kind = RF_OP_ZAP, .why = RF_WHY_TRUNCATE, .mm = mm, .addr = start, .end = end);
		break;
	case 4:
		do_both(p, .kind = RF_OP_MADV_FREE, .mm = mm, .addr = start, .end = end);
		break;
	case 5:
		do_both(p, .kind = RF_OP_MADV_COLD, .mm = mm, .addr = start, .end = end);
		break;
	case 6:
		do_both(p, .kind = RF_OP_UFFD_WP, .mm = mm, .addr = start, .end = end,
			.flags = one_in(2) ? RF_OP_WRITE : 0);
		break;
	case 7:
		do_both(p, .kind = RF_OP_UNMAP_SWAP, .mm = mm, .addr = start, .nr = 1, .pfn = 77,
			.flags = RF_OP_ANON | (one_in(2) ? RF_OP_DEFERRED : 0));
		break;
	case 8:
		do_both(p, .kind = RF_OP_MKCLEAN, .mm = mm, .addr = start, .nr = (end - start) / p->page,
			.order = p->order);
		break;
	case 9:
		do_both(p, .kind = RF_OP_MPROTECT, .mm = mm, .addr = start, .end = end,
			.vm_flags = one_in(3) ? 0 : RW | RF_VM_EXEC);
		break;
	case 10:
		do_both(p, .kind = RF_OP_FOLIO_SPLIT, .mm = mm, .addr = ALIGN_DOWN(start, folio), .nr = 1u << p->order,
			.order = 0);
		break;
	}
}

/* The same page of many folios, which are alike after that as they were before. */
static void disturb_alike(struct pair *p, u32 mm)
{
	static const u8 kinds[] = { RF_OP_FAULT_REUSE, RF_OP_FAULT_REUSE, RF_OP_MADV_FREE, RF_OP_UFFD_WP };
	u8 kind = kinds[random_below(ARRAY_SIZE(kinds))];
	u64 folio = p->page << p->order, addr = area_start(p, 0) + random_below(1u << p->order) * p->page;

	for (; addr < area_end(p, 0); addr += folio)
		do_both(p, .kind = kind, .mm = mm, .addr = addr, .end = addr + p->page, .flags = RF_OP_WRITE);
}

static void protect(struct pair *p, u32 mm, u32 area, u16 vm_flags)
{
	do_big(p, .kind = RF_OP_MPROTECT, .mm = mm, .addr = area_start(p, area), .end = area_end(p, area),
	       .vm_flags = vm_flags, .flags = one_in(8) ? RF_OP_NESTED : 0);
}

static void round_of_life(struct pair *p)
{
	static const u16 protections[] = { RF_VM_READ, RW, 0, RW, RW | RF_VM_EXEC, RF_VM_READ | RF_VM_EXEC };

	do_both(p, .kind = RF_OP_MM_NEW, .mm = 0);
	for (u32 area = 0; area < NR_AREAS; area++) {
		do_both(p, .kind = RF_OP_MAP, .mm = 0, .addr = area_start(p, area), .end = area_end(p, area),
			.vm_flags = RW | (area == 2 ? RF_VM_SHARED | RF_VM_SHMEM : 0), .file = area,
			.pgoff = area ? 0 : area_start(p, area) / p->page);
		fill(p, 0, area);
	}
	for (u32 i = 0; i < 8; i++) {
		for (u64 n = random_below(7); n--; )
			disturb(p, 0);
		if (one_in(3)) {
			disturb_alike(p, 0);
			protect(p, 0, 0, RF_VM_READ);
			protect(p, 0, 0, RW);
		}
		protect(p, 0, random_below(NR_AREAS), protections[random_below(ARRAY_SIZE(protections))]);
		if (!one_in(3))
			continue;
		do_big(p, .kind = RF_OP_FORK, .mm = 0, .mm2 = 1, .flags = one_in(10) ? RF_OP_LOAD : 0);
		for (u64 n = random_below(4); n--; )
			disturb(p, one_in(2));
		protect(p, 1, random_below(NR_AREAS), protections[random_below(ARRAY_SIZE(protections))]);
		do_big(p, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	}
	for (u32 area = 0; area < NR_AREAS; area++)
		if (!one_in(4))
			do_big(p, .kind = area == 1 ? RF_OP_ZAP : RF_OP_MUNMAP, .mm = 0, .addr = area_start(p, area),
			       .end = area_end(p, area), .why = RF_WHY_OTHER);
	do_big(p, .kind = RF_OP_MM_EXIT, .mm = 0, .why = RF_WHY_EXEC);
}

/* All are alike, so that each kind of walk has something to repeat, whatever the seed. */
static void undisturbed(struct pair *p)
{
	const u64 start = area_start(p, 0), end = area_end(p, 0), size = p->page << p->order;
	const u64 half = start + AREA_FOLIOS / 2 * size, rest = half + AREA_FOLIOS / 4 * size;

	do_both(p, .kind = RF_OP_MM_NEW, .mm = 0);
	do_both(p, .kind = RF_OP_MAP, .mm = 0, .addr = start, .end = end, .vm_flags = RW, .pgoff = start / p->page);
	for (u64 addr = start; addr < end; addr += size)
		do_both(p, .kind = RF_OP_FAULT_ANON, .mm = 0, .addr = addr, .order = p->order, .flags = RF_OP_WRITE,
			.pfn = addr / p->page);
	do_big(p, .kind = RF_OP_FORK, .mm = 0, .mm2 = 1);
	do_big(p, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	protect(p, 0, 0, RF_VM_READ);
	do_big(p, .kind = RF_OP_ZAP, .mm = 0, .why = RF_WHY_DONTNEED, .addr = start, .end = half);
	do_big(p, .kind = RF_OP_MUNMAP, .mm = 0, .why = RF_WHY_MUNMAP, .addr = half, .end = rest);
	do_big(p, .kind = RF_OP_MM_EXIT, .mm = 0, .why = RF_WHY_PROCESS_EXIT);
}

/* More than a gather has room for: 10,000 slots. */
static void much_memory(struct pair *p)
{
	const u64 size = p->page << p->order, start = size << 20;
	const u32 folios = 12000;

	for (u32 mm = 0; mm < 2; mm++) {
		do_both(p, .kind = RF_OP_MM_NEW, .mm = mm);
		do_both(p, .kind = RF_OP_MAP, .mm = mm, .addr = start, .end = start + folios * size, .vm_flags = RW,
			.pgoff = start / p->page);
		for (u64 i = 0; i < folios; i++)
			do_both(p, .kind = RF_OP_FAULT_ANON, .mm = mm, .addr = start + i * size, .order = p->order,
				.pfn = (i + 1) << p->order, .flags = i % 3000 ? RF_OP_WRITE : 0);
	}
	do_both(p, .kind = RF_OP_MPROTECT, .addr = start, .end = start + folios * size, .vm_flags = RF_VM_READ);
	do_both(p, .kind = RF_OP_MUNMAP, .mm = 0, .why = RF_WHY_MUNMAP, .addr = start, .end = start + folios * size);
	do_both(p, .kind = RF_OP_MM_EXIT, .mm = 0, .why = RF_WHY_PROCESS_EXIT);
	do_both(p, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
}

static struct pair make_pair(const char *policy, const char *knobs)
{
	struct pair p = { .fast = machine_of(policy, knobs), .steps = machine_of(policy, knobs), .order = 4 };
	const struct arch_geometry *geometry = &p.fast->policy.geometry;

	p.steps->steps_only = true;
	p.page = 1ull << geometry->page_shift;
	while (1u << p.order < geometry->cont_ptes && p.order < 7)
		p.order++;
	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	return p;
}

static void destroy_pair(struct pair *p)
{
	assert_int_equal(p->steps->folios_repeated, 0);
	rf_machine_destroy(p->fast);
	rf_machine_destroy(p->steps);
}

enum expected { NO_WALK, SOME_WALKS, EACH_WALK };

static void run_pair(const char *policy, const char *knobs, enum expected expected)
{
	static const u8 walks[] = { RF_OP_FORK, RF_OP_MPROTECT, RF_OP_MUNMAP, RF_OP_ZAP, RF_OP_MM_EXIT };
	struct pair p = make_pair(policy, knobs);

	undisturbed(&p);
	for (u32 i = 0; i < ROUNDS; i++)
		round_of_life(&p);
	for (u32 i = 0; i < ARRAY_SIZE(walks); i++) {
		if (expected == SOME_WALKS || (expected == EACH_WALK) == (p.repeated[walks[i]] > 0))
			continue;
		print_message("seed %lu: %s %s: %llu folios repeated by %s\n", seed, policy, knobs,
			      (unsigned long long)p.repeated[walks[i]], rf_op_names[walks[i]]);
		fail();
	}
	destroy_pair(&p);
}

static unsigned long first_seed(void)
{
	const char *given = getenv("REFOLD_SEED");

	return given ? strtoul(given, NULL, 0) : 1;
}

static void test_every_policy(void **state)
{
	const struct rf_policy *policy;

	seed = first_seed();
	for (size_t i = 0; (policy = rf_policy_named(i)); i++)
		run_pair(policy->name, "", EACH_WALK);
}

static void test_knobs(void **state)
{
	static const struct { const char *policy, *knobs; enum expected expected; } with[] = {
		{ "linux-6.12", "granule=16k", EACH_WALK },
		{ "linux-7.3", "granule=64k", EACH_WALK },
		{ "linux-6.12", "cont_pages=4 tlbi=range lpa2=true", EACH_WALK },
		{ "linux-6.12", "cont_pages=64", EACH_WALK },
		{ "linux-7.3", "cont_pages=32 fold_scope=span", EACH_WALK },
		{ "linux-7.3", "cont_pages=128", NO_WALK },	/* four in a table: not worth it */
		{ "linux-7.3", "gather_sets=true", SOME_WALKS },
		{ "linux-6.12", "unfold=nosync unfold_flush=merged", SOME_WALKS },
		{ "linux-6.12", "unfold_free_split=entry", SOME_WALKS },
		{ "linux-6.12", "fold_sites=end-of-op refold=lazy", SOME_WALKS },
		{ "linux-6.12", "kpti=true repeat_tlbi=old exec_prot_flush=entry", EACH_WALK },
		{ "linux-7.3", "locked=norecency lockless=norecency exec_prot_flush=run", EACH_WALK },
		{ "linux-7.3", "batch_helpers=false hint=false", EACH_WALK },
		{ "contpte-v3", "batch_mprotect=true", EACH_WALK },
		{ "contpte-v4", "bbml3=true", EACH_WALK },
		{ "linux-7.3", "coalesce=8", NO_WALK },
		{ "linux-7.3", "anon_folios=64k", NO_WALK },
	};

	seed = first_seed();
	for (size_t i = 0; i < ARRAY_SIZE(with); i++)
		run_pair(with[i].policy, with[i].knobs, with[i].expected);
}

static void test_full_gathers(void **state)
{
	static const char *const policies[] = {
		"linux-6.8", "contpte-v1", "contpte-v3", "contpte-v4", "linux-6.9", "linux-7.3", "x86-6.18",
		"riscv-6.6",
	};

	seed = first_seed();
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct pair p = make_pair(policies[i], "");

		much_memory(&p);
		assert_true(p.repeated[RF_OP_MUNMAP] > 6000 && p.repeated[RF_OP_MM_EXIT] > 6000);
		assert_true(p.repeated[RF_OP_MPROTECT] > 11000);
		destroy_pair(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_policy),
		cmocka_unit_test(test_knobs),
		cmocka_unit_test(test_full_gathers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
