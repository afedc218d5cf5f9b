// SPDX-License-Identifier: MIT
/*
 * Properties over random streams of operations, half of them contradicting the
 * state: no machine crashes, blocks stay well formed (I1, I2) and accounted
 * (I6), backends agree on what is mapped where (I11), and what hardware could
 * coalesce is what a plain count finds. A failing seed is
 * printed; REFOLD_SEED runs it alone and checks after each operation, which
 * finds the one that went wrong.
 */
#include <stdlib.h>

#include "coverage.h"
#include "random.h"

#define NR_MMS 4
#define NR_SEEDS 10
#define OPS_PER_SEED 10000
#define OPS_PER_CHECK 250
#define WINDOW M(8)
#define HIGH_WINDOW 0x7ffffe000000ull
#define PAGE 4096ull

static unsigned long seed;
static struct rf_op last_op;

/* Mostly at round places, so that whole blocks, tables and VMAs are hit. */
static u64 random_addr(void)
{
	u64 base = one_in(4) ? HIGH_WINDOW : BASE;
	u64 align = (u64[]){ PAGE, PAGE, K(16), K(64), K(64), M(1), M(2) }[random_below(7)];

	return base + ALIGN_DOWN(random_below(WINDOW), align);
}

static u64 random_len(void)
{
	switch (random_below(5)) {
	case 0:
		return PAGE;
	case 1:
		return PAGE * (1 + random_below(40));
	case 2:
		return K(64) * (1 + random_below(20));
	case 3:
		return M(2);
	}
	return M(2) * (1 + random_below(2));
}

static unsigned int random_order(void)
{
	return (unsigned int[]){ 0, 0, 0, 1, 2, 3, 4, 4, 4, 5, 6, 9 }[random_below(12)];
}

static u64 random_folio(unsigned int order)
{
	return 0x1000 + (random_below(1 << 16) << order);
}

static u16 random_vm_flags(void)
{
	u16 flags = (u16[]){ RW, RW, RW, RF_VM_READ, 0, RF_VM_READ | RF_VM_EXEC, RW | RF_VM_EXEC }[random_below(7)];

	if (one_in(5))
		flags |= RF_VM_SHARED;
	if (one_in(8))
		flags |= RF_VM_SHMEM;
	if (one_in(20))
		flags |= RF_VM_DONTCOPY;
	if (one_in(20))
		flags |= RF_VM_WIPEONFORK;
	if (one_in(20))
		flags |= RF_VM_PFNMAP;
	if (one_in(8))
		flags |= RF_VM_HUGETLB;
	return flags;
}

static void random_range_op(struct rf_op *op)
{
	static const u8 kinds[] = {
		RF_OP_MAP, RF_OP_MAP, RF_OP_MAP, RF_OP_MUNMAP, RF_OP_ZAP, RF_OP_ZAP, RF_OP_MPROTECT, RF_OP_MPROTECT,
		RF_OP_MREMAP, RF_OP_VMA_FLAGS, RF_OP_VMA_GROW, RF_OP_VMA_EXPAND, RF_OP_MADV_FREE, RF_OP_MADV_COLD,
		RF_OP_MADV_PAGEOUT, RF_OP_EXEC_STACK, RF_OP_GUP_SLOW, RF_OP_GUP_FAST, RF_OP_UFFD_MOVE, RF_OP_UFFD_WP,
	};

	op->kind = kinds[random_below(ARRAY_SIZE(kinds))];
	op->end = op->addr + random_len();
	op->vm_flags = random_vm_flags();
	op->flags = one_in(10) ? RF_OP_NESTED : 0;
	switch (op->kind) {
	case RF_OP_MAP:
		op->file = one_in(2) ? 1 + random_below(3) : 0;
		op->pgoff = op->file ? random_below(1024) : op->addr >> 12;
		break;
	case RF_OP_VMA_FLAGS:
		op->vm_flags = one_in(2) ? RF_VM_DONTCOPY : RF_VM_LOCKED;
		op->aux = RF_VM_HUGEPAGE | RF_VM_WIPEONFORK;
		break;
	case RF_OP_MUNMAP:
		op->why = RF_WHY_MUNMAP + random_below(5);
		break;
	case RF_OP_ZAP:
		op->why = RF_WHY_DONTNEED + random_below(5);
		break;
	case RF_OP_MREMAP:
		op->addr2 = random_addr();
		op->nr = one_in(2) ? (op->end - op->addr) >> 12 : 1 + random_below(600);
		break;
	case RF_OP_UFFD_MOVE:
		op->addr2 = random_addr();
		op->nr = (op->end - op->addr) >> 12;
		break;
	case RF_OP_UFFD_WP:
		op->flags = one_in(2) ? RF_OP_WRITE : 0;
		break;
	case RF_OP_EXEC_STACK:
		op->addr2 = op->end - ALIGN_DOWN(random_below(M(3)), PAGE);
		break;
	}
}

static void random_fault(struct rf_op *op)
{
	op->kind = RF_OP_FAULT_ANON + random_below(8);
	if (one_in(2))
		op->kind = one_in(3) ? RF_OP_FAULT_FILE : RF_OP_FAULT_ANON;
	op->order = random_order();
	op->pfn = random_folio(op->order);
	op->flags = random_below(0x1000);
	op->nr = 1;
	op->aux = op->addr;
	if (op->kind == RF_OP_FAULT_FILE || op->kind == RF_OP_FAULT_SWAP) {
		op->nr = one_in(2) ? 1u << op->order : 1 + random_below(20);
		if (one_in(3))
			op->pfn += random_below(1ull << op->order);
	}
	if (op->kind == RF_OP_FAULT_COW && !one_in(8))
		op->order = 0;
	if (op->kind == RF_OP_FAULT_HUGETLB)
		op->order = one_in(2) ? 16 : 21;
}

static void random_rmap_op(struct rf_op *op)
{
	op->kind = RF_OP_UNMAP_SWAP + random_below(RF_OP_MKCLEAN - RF_OP_UNMAP_SWAP + 1);
	op->order = random_order();
	op->pfn = random_folio(op->order);
	op->nr = one_in(2) ? 1u << op->order : 1 + random_below(20);
	op->flags = random_below(0x800);
	if (op->kind == RF_OP_COLLAPSE)
		op->order = 9;
}

static struct rf_op random_op(u64 time)
{
	struct rf_op op = { .time = time, .mm = random_below(NR_MMS), .addr = random_addr() };
	u64 what = random_below(1000);

	if (what < 5) {
		op.kind = RF_OP_MM_NEW;
	} else if (what < 10) {
		op.kind = RF_OP_MM_EXIT;
		op.why = RF_WHY_PROCESS_EXIT;
	} else if (what < 25) {
		op.kind = RF_OP_FORK;
		op.mm2 = random_below(NR_MMS);
	} else if (what < 250) {
		random_range_op(&op);
	} else if (what < 850) {
		random_fault(&op);
	} else if (what < 995) {
		random_rmap_op(&op);
	} else {	/* nonsense */
		op.kind = random_below(RF_NR_OPS + 2);
		op.addr = random_below(~0ull);
		op.end = random_below(~0ull);
		op.addr2 = random_below(~0ull);
		op.nr = random_below(~0u);
		op.mm = one_in(2) ? op.mm : random_below(1000);
		if (op.kind == RF_OP_FORK)
			op.mm2 = random_below(1000);
	}
	return op;
}

/* What all backends must agree on. Dirtiness differs, and with it what mprotect makes writable in shared files. */
static u64 agreed_bits(pte_t pte)
{
	u64 bits = pte.val & (PTE_PFN_MASK | PTE_VALID | PTE_PROTNONE | PTE_EXEC | PTE_SPECIAL | PTE_SWAP |
			      PTE_MIGRATION | PTE_ANON | PTE_EXCLUSIVE | PTE_SHMEM);

	/* An anonymous page in a shared mapping is nonsense of ours; its copies take the write bit of their run. */
	if ((pte.val & PTE_ANON) && (pte.val & PTE_EXCLUSIVE))
		bits |= pte.val & PTE_WRITE;
	if (pte.val & PTE_PROTNONE)	/* 6.12 makes PROT_NONE blocks valid without user access: kernel-model.md C4 */
		bits &= ~(PTE_VALID | PTE_WRITE);
	return bits;
}

static void check_same_map(struct rf_machine *a, struct rf_machine *b, u64 window)
{
	u64 addr;
	u32 mm;

	for (mm = 0; mm < NR_MMS; mm++) {
		for (addr = window; addr < window + WINDOW + M(6); addr += PAGE) {
			pte_t x = rf_machine_lookup(a, mm, addr), y = rf_machine_lookup(b, mm, addr);

			if (agreed_bits(x) == agreed_bits(y))
				continue;
			print_message("seed %lu mm %u addr %llx: %s %llx, %s%s %llx\n", seed, mm,
				      (unsigned long long)addr, rf_machine_policy(a)->name, (unsigned long long)x.val,
				      rf_machine_policy(b)->name,
				      rf_machine_policy(b)->mm.batch_migrate ? "+migrate" : "",
				      (unsigned long long)y.val);
			print_message("last %s mm %u [%llx, %llx) to %llx nr %u pfn %llx order %u flags %x vm_flags %x\n",
				      rf_op_names[last_op.kind], last_op.mm, (unsigned long long)last_op.addr,
				      (unsigned long long)last_op.end, (unsigned long long)last_op.addr2, last_op.nr,
				      (unsigned long long)last_op.pfn,
				      last_op.order, last_op.flags, last_op.vm_flags);
			fail();
		}
	}
}

/* I1, I2: a block is contiguous as a whole or not at all, and then is one run of one folio. */
static u64 check_blocks(struct rf_machine *machine, u64 window)
{
	u64 addr, blocks = 0;
	u32 mm, i;

	for (mm = 0; mm < NR_MMS; mm++) {
		for (addr = window; addr < window + WINDOW + M(6); addr += K(64)) {
			pte_t first = rf_machine_lookup(machine, mm, addr);

			for (i = 0; i < 16; i++) {
				pte_t pte = rf_machine_lookup(machine, mm, addr + i * PAGE);

				assert_int_equal(pte_cont(pte), pte_cont(first));
				if (!pte_cont(first))
					continue;
				assert_int_equal(pte_pfn(pte), pte_pfn(first) + i);
				assert_int_equal(pte_folio_pfn(pte), pte_folio_pfn(first));
				assert_int_equal(pte.val & PTE_EXEC, first.val & PTE_EXEC);
			}
			blocks += pte_cont(first);
		}
	}
	return blocks;
}

static const struct { const char *policy, *knobs; } machines[] = {
	{ "linux-6.12", "cont=false coalesce=4" },
	{ "linux-6.12", "coalesce=8" },
	{ "linux-6.8", "" },
	{ "contpte-v3", "coalesce=4" },
	{ "contpte-v3-noopt", "" },
	{ "linux-7.3", "coalesce=4" },
	{ "linux-7.3", "coalesce=4 fold_sites=end-of-op refold=lazy" },
	{ "linux-7.3", "batch_anon_unmap=true batch_migrate=true batch_mkclean=true defer_unmap_flush=false" },
	{ "x86-6.18", "coalesce=32" },
	{ "x86-7.3-invlpgb", "" },
	{ "riscv-7.3", "svinval=true" },
	{ "svnapot-user", "coalesce=32" },
	{ "powerpc-hash", "coalesce=16" },
};

#define NR_MACHINES ARRAY_SIZE(machines)

/* Every read of an entry has its place. */
static void check_readers(const struct rf_stats *stats)
{
	struct arch_counters totals;
	u64 calls = 0, loads = 0;
	size_t site;

	rf_stats_totals(stats, &totals);
	for (site = 0; site < RF_NR_SITES; site++) {
		calls += stats->readers[site].calls;
		loads += stats->readers[site].loads;
	}
	assert_int_equal(calls, totals.ptep_get + totals.ptep_get_lockless);
	assert_true(loads <= totals.pte_loads);
}

static void check_all(struct rf_machine **m)
{
	size_t i;

	for (i = 0; i < NR_MACHINES; i++) {
		const struct rf_stats *stats = rf_machine_stats(m[i]);

		if (stats->anomalies[RF_ANOMALY_block_balance])
			print_message("seed %lu %s: blocks lost\n", seed, rf_machine_policy(m[i])->name);
		assert_int_equal(stats->anomalies[RF_ANOMALY_block_balance], 0);
		check_readers(stats);
		check_coverage(m[i]);
		check_blocks(m[i], BASE);
		check_blocks(m[i], HIGH_WINDOW);
		if (i) {
			check_same_map(m[0], m[i], BASE);
			check_same_map(m[0], m[i], HIGH_WINDOW);
		}
	}
}

/* Once more, with tables that are made compact as soon as an operation is over. */
static struct rf_machine *compact_machine(size_t like)
{
	struct rf_machine *machine = machine_of(machines[like].policy, machines[like].knobs);

	table_keep_recent(machine->tables, 0);
	return machine;
}

/* All that is counted, and every entry. */
static void check_same(struct rf_machine *plain, struct rf_machine *compact)
{
	static const u64 windows[] = { BASE, HIGH_WINDOW };
	size_t i;
	u64 addr;
	u32 mm;

	assert_memory_equal(rf_machine_stats(plain), rf_machine_stats(compact), sizeof(struct rf_stats));
	for (i = 0; i < ARRAY_SIZE(windows); i++)
		for (mm = 0; mm < NR_MMS; mm++)
			for (addr = windows[i]; addr < windows[i] + WINDOW + M(6); addr += PAGE)
				assert_int_equal(rf_machine_lookup(plain, mm, addr).val,
						 rf_machine_lookup(compact, mm, addr).val);
}

static void run_seed(size_t ops_per_check)
{
	struct rf_machine *m[NR_MACHINES], *compact;
	size_t like = seed % NR_MACHINES;
	struct rf_op op;
	size_t i, n;

	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	for (i = 0; i < NR_MACHINES; i++)
		m[i] = machine_of(machines[i].policy, machines[i].knobs);
	compact = compact_machine(like);
	for (n = 0; n < OPS_PER_SEED; n++) {
		op = random_op(n * 1000);
		for (i = 0; i < NR_MACHINES; i++)
			assert_int_equal(rf_machine_run(m[i], &op, 1), 0);
		assert_int_equal(rf_machine_run(compact, &op, 1), 0);
		last_op = op;
		if (n % ops_per_check == ops_per_check - 1) {
			check_all(m);
			check_same(m[like], compact);
		}
	}
	/* All mms gone: nothing may stay folded. */
	for (n = 0; n < 1000; n++) {
		op = (struct rf_op){ .kind = RF_OP_MM_EXIT, .mm = n, .why = RF_WHY_PROCESS_EXIT };
		for (i = 0; i < NR_MACHINES; i++)
			assert_int_equal(rf_machine_run(m[i], &op, 1), 0);
		assert_int_equal(rf_machine_run(compact, &op, 1), 0);
	}
	check_same(m[like], compact);
	for (i = 0; i < NR_MACHINES; i++) {
		assert_int_equal(rf_machine_stats(m[i])->live_blocks, 0);
		check_coverage(m[i]);
		rf_machine_destroy(m[i]);
	}
	rf_machine_destroy(compact);
}

static void test_backends_agree(void **state)
{
	const char *given = getenv("REFOLD_SEED");
	unsigned long first = given ? strtoul(given, NULL, 0) : 1;

	for (seed = first; seed < first + (given ? 1 : NR_SEEDS); seed++) {
		print_message("seed %lu\n", seed);
		run_seed(given ? 1 : OPS_PER_CHECK);
	}
}

/* The same streams stretched to larger pages: nothing to compare with, but blocks stay accounted. */
static void test_other_granules(void **state)
{
	static const struct { const char *knobs; unsigned int shift; } granules[] = {
		{ "granule=16k coalesce=4", 2 }, { "granule=64k coalesce=4", 4 },
	};
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct rf_machine *machine = machine_of("linux-6.12", granules[i].knobs);
		struct rf_machine *compact = machine_of("linux-6.12", granules[i].knobs);

		table_keep_recent(compact->tables, i);
		seed = i + 1;
		rng = seed * 0x9e3779b97f4a7c15ull + 1;
		for (n = 0; n < 3 * OPS_PER_SEED; n++) {
			struct rf_op op = random_op(n * 1000);

			op.addr = op.addr % WINDOW << granules[i].shift;
			op.end = op.end % WINDOW << granules[i].shift;
			op.addr2 = op.kind == RF_OP_FORK ? op.mm2 : op.addr2 % WINDOW << granules[i].shift;
			assert_int_equal(rf_machine_run(machine, &op, 1), 0);
			assert_int_equal(rf_machine_run(compact, &op, 1), 0);
		}
		for (n = 0; n < 1000; n++) {
			run(machine, .kind = RF_OP_MM_EXIT, .mm = n, .why = RF_WHY_PROCESS_EXIT);
			run(compact, .kind = RF_OP_MM_EXIT, .mm = n, .why = RF_WHY_PROCESS_EXIT);
		}
		assert_memory_equal(rf_machine_stats(machine), rf_machine_stats(compact), sizeof(struct rf_stats));
		rf_machine_destroy(compact);
		assert_true(rf_machine_stats(machine)->rows[RF_ROW_fault_anon].born > 0);
		assert_int_equal(rf_machine_stats(machine)->live_blocks, 0);
		assert_int_equal(rf_machine_stats(machine)->anomalies[RF_ANOMALY_block_balance], 0);
		rf_machine_destroy(machine);
	}
}

/* As they are, on machines with other pages: whatever cannot be there, nothing breaks. */
static void test_larger_pages(void **state)
{
	static const struct { const char *policy, *knobs; } large[] = {
		{ "linux-7.3", "granule=16k" }, { "linux-7.3", "granule=64k" }, { "contpte-v3", "granule=64k" },
		{ "powerpc-8xx", "" }, { "powerpc-8xx", "granule=16k" },
	};
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(large); i++) {
		struct rf_machine *machine = machine_of(large[i].policy, large[i].knobs);

		assert_int_equal(rf_machine_recorded_pages(machine, 12), 0);
		seed = i + 1;
		rng = seed * 0x9e3779b97f4a7c15ull + 1;
		for (n = 0; n < 3 * OPS_PER_SEED; n++) {
			struct rf_op op = random_op(n * 1000);

			assert_int_equal(rf_machine_run(machine, &op, 1), 0);
		}
		for (n = 0; n < 1000; n++)
			run(machine, .kind = RF_OP_MM_EXIT, .mm = n, .why = RF_WHY_PROCESS_EXIT);
		assert_true(rf_machine_stats(machine)->rows[RF_ROW_fault_anon].pte_stores > 0);
		assert_int_equal(rf_machine_stats(machine)->live_blocks, 0);
		assert_int_equal(rf_machine_stats(machine)->anomalies[RF_ANOMALY_block_balance], 0);
		rf_machine_destroy(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backends_agree),
		cmocka_unit_test(test_other_granules),
		cmocka_unit_test(test_larger_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
