// SPDX-License-Identifier: MIT
/*
 * The same operations on different CPUs: what kernels 7.2.13 and 6.12.107 issued in an emulator that counted every TLBI
 * and DSB, for 8 MiB in folios as large as a block. Range invalidation, LPA2, kernel page-table isolation and the
 * repeat-TLBI erratum are what those CPUs differ in; Neoverse N1 has the erratum and no ranges, N2 both, Cortex-A55 and
 * A72 neither. The last is a kernel with pages of 16K.
 */
#include "machine_script.h"

#define SIZE M(8)
#define STEP K(64)	/* a block of 4K pages */
#define REGION 0x4000000000ull
#define TO_2M 0x5000000000ull
#define TO_64K 0x6000010000ull
#define TO_PAGE (0x7000000000ull + page)
#define STACK 0x7fffff0000ull

enum kernel { KERNEL_7_2, KERNEL_6_12, KERNEL_6_12_16K, NR_KERNELS };

static const struct { enum kernel kernel; const char *policy, *knobs; } cpus[] = {
	{ KERNEL_7_2, "linux-7.2", "" },				/* -cpu max,lpa2=off */
	{ KERNEL_7_2, "linux-7.2", "tlbi=single repeat_tlbi=new" },	/* Neoverse N1 */
	{ KERNEL_7_2, "linux-7.2", "tlbi=single" },			/* Cortex-A55, and A72 */
	{ KERNEL_7_2, "linux-7.2", "repeat_tlbi=new" },			/* Neoverse N2 */
	{ KERNEL_7_2, "linux-7.2", "lpa2=true" },			/* -cpu max */
	{ KERNEL_7_2, "linux-7.2", "tlbi=single repeat_tlbi=new kpti=true" }, /* Neoverse N1 under KASLR */
	{ KERNEL_6_12, "linux-6.12", "" },
	{ KERNEL_6_12, "linux-6.12", "tlbi=single repeat_tlbi=new" },
	{ KERNEL_6_12_16K, "linux-6.12", "granule=16k" },
};

static u64 page;
static unsigned int order;	/* of a folio that is a block */

/* by address, by range, of the ASID; local ones among them; repeats; barriers */
struct cost { u64 va, range, asid, local, repeat, ishst, ish, nsh; };

struct window {
	const char *name;
	void (*operations)(struct rf_machine *machine);
	struct { u64 folds, unfolds; } blocks[NR_KERNELS];
	struct cost costs[ARRAY_SIZE(cpus)];
};

static struct arch_counters before;

static struct arch_counters counted(struct rf_machine *machine)
{
	struct arch_counters totals;

	rf_stats_totals(rf_machine_stats(machine), &totals);
	return totals;
}

static void check_window(struct rf_machine *machine, const struct window *window, size_t cpu)
{
	enum kernel kernel = cpus[cpu].kernel;
	const struct cost *e = &window->costs[cpu];
	struct arch_counters after;

	before = counted(machine);
	window->operations(machine);
	after = counted(machine);
#define DID(counter) (after.counter - before.counter)
	if (DID(tlbi_va) != e->va || DID(tlbi_range) != e->range || DID(tlbi_asid) != e->asid ||
	    DID(tlbi_local) != e->local || DID(tlbi_repeat) != e->repeat || DID(dsb_ishst) != e->ishst ||
	    DID(dsb_ish) != e->ish || DID(dsb_nsh) != e->nsh || DID(fold) != window->blocks[kernel].folds ||
	    DID(unfold) != window->blocks[kernel].unfolds)
		fail_msg("%s on %s %s: va %llu range %llu asid %llu local %llu repeat %llu dsb %llu %llu %llu fold %llu "
			 "unfold %llu", window->name, cpus[cpu].policy, cpus[cpu].knobs,
			 (unsigned long long)DID(tlbi_va), (unsigned long long)DID(tlbi_range),
			 (unsigned long long)DID(tlbi_asid), (unsigned long long)DID(tlbi_local),
			 (unsigned long long)DID(tlbi_repeat), (unsigned long long)DID(dsb_ishst),
			 (unsigned long long)DID(dsb_ish), (unsigned long long)DID(dsb_nsh),
			 (unsigned long long)DID(fold), (unsigned long long)DID(unfold));
#undef DID
}

static void fault_one(struct rf_machine *machine, u64 addr, unsigned int folio_order, u64 pfn)
{
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = addr, .pfn = pfn, .order = folio_order, .flags = RF_OP_WRITE);
}

static void fault_region(struct rf_machine *machine, u64 pfn)
{
	u64 at;

	for (at = 0; at < SIZE; at += page << order)
		fault_one(machine, REGION + at, order, pfn + at / page);
}

static void map_pages(struct rf_machine *machine, u64 addr, u64 len)
{
	run(machine, .kind = RF_OP_MAP, .addr = addr, .end = addr + len, .vm_flags = RW, .pgoff = addr / page);
}

/* A process: its program below, its stack above, and the region. */
static struct rf_machine *process_with_region(size_t cpu)
{
	struct rf_machine *machine = machine_of(cpus[cpu].policy, cpus[cpu].knobs);
	const struct arch_geometry *geometry = &rf_machine_policy(machine)->geometry;

	page = 1ull << geometry->page_shift;
	order = __builtin_ctz(geometry->cont_ptes);
	run(machine, .kind = RF_OP_MM_NEW);
	run(machine, .kind = RF_OP_MAP, .addr = M(4), .end = M(4) + page, .vm_flags = RF_VM_READ, .file = 1);
	map_pages(machine, STACK, page);
	fault_one(machine, STACK, 0, PFN - 1);
	map_pages(machine, REGION, SIZE);
	fault_region(machine, PFN);
	return machine;
}

static void run_windows(const struct window *windows, size_t nr)
{
	struct rf_machine *machine;
	size_t cpu, i;

	for (cpu = 0; cpu < ARRAY_SIZE(cpus); cpu++) {
		machine = process_with_region(cpu);
		for (i = 0; i < nr; i++)
			check_window(machine, &windows[i], cpu);
		assert_no_anomalies(machine);
		rf_machine_destroy(machine);
	}
}

static void munmap_at(struct rf_machine *machine, u64 addr)
{
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = addr, .end = addr + SIZE);
}

static void munmap_all(struct rf_machine *machine)
{
	munmap_at(machine, REGION);
}

/* ---- mprotect: writes in between fault on nothing ---- */

static void mprotect_range(struct rf_machine *machine, u64 offset, u64 len, u16 vm_flags)
{
	run(machine, .kind = RF_OP_MPROTECT, .addr = REGION + offset, .end = REGION + offset + len,
	    .vm_flags = vm_flags);
}

static void mprotect_ro_half(struct rf_machine *machine)
{
	mprotect_range(machine, 0, SIZE / 2, RF_VM_READ);
}

static void mprotect_rw_half(struct rf_machine *machine)
{
	mprotect_range(machine, 0, SIZE / 2, RW);
}

static void mprotect_ro(struct rf_machine *machine)
{
	mprotect_range(machine, 0, SIZE, RF_VM_READ);
}

static void mprotect_rw(struct rf_machine *machine)
{
	mprotect_range(machine, 0, SIZE, RW);
}

static void mprotect_ro_misaligned(struct rf_machine *machine)
{
	mprotect_range(machine, 5 * page, SIZE / 2 + 6 * page, RF_VM_READ);
}

static void mprotect_rw_misaligned(struct rf_machine *machine)
{
	mprotect_range(machine, 5 * page, SIZE / 2 + 6 * page, RW);
}

static void mprotect_none(struct rf_machine *machine)
{
	mprotect_range(machine, 0, SIZE, 0);
}

/* ---- MADV_DONTNEED ---- */

static void dontneed(struct rf_machine *machine, u64 offset, u64 len)
{
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = REGION + offset, .end = REGION + offset + len);
}

static void dontneed_single_pages(struct rf_machine *machine)
{
	u64 at;

	for (at = 7 * page; at < SIZE; at += STEP)
		dontneed(machine, at, page);
}

static void dontneed_refaulted(struct rf_machine *machine)
{
	u64 at, pfn = PFN + 0x10000;

	for (at = 7 * page; at < SIZE; at += STEP)
		fault_one(machine, REGION + at, 0, pfn++);
	dontneed(machine, 0, SIZE);
}

static void dontneed_blocks(struct rf_machine *machine)
{
	u64 at;

	fault_region(machine, PFN + 0x20000);
	for (at = 0; at < SIZE; at += STEP)
		dontneed(machine, at, STEP);
}

static void dontneed_misaligned(struct rf_machine *machine)
{
	fault_region(machine, PFN + 0x30000);
	dontneed(machine, 3 * page, SIZE - 8 * page);
}

/* ---- mremap ---- */

static void move(struct rf_machine *machine, u64 from, u64 to)
{
	run(machine, .kind = RF_OP_MREMAP, .addr = from, .end = from + SIZE, .addr2 = to, .nr = SIZE / page);
}

static void move_2m_aligned(struct rf_machine *machine)
{
	move(machine, REGION, TO_2M);
}

static void move_64k_aligned(struct rf_machine *machine)
{
	move(machine, TO_2M, TO_64K);
}

static void move_misaligned(struct rf_machine *machine)
{
	move(machine, TO_64K, TO_PAGE);
}

static void move_back(struct rf_machine *machine)
{
	move(machine, TO_PAGE, TO_2M);
}

static void munmap_moved(struct rf_machine *machine)
{
	munmap_at(machine, TO_2M);
}

/* ---- fork; after the child's exit 7.2 knows that the parent's pages are its own, 6.12 copies them ---- */

static void write_all_after_fork(struct rf_machine *machine)
{
	bool reuse = !strcmp(rf_machine_policy(machine)->base, "linux-7.2");
	u64 at;

	run(machine, .kind = RF_OP_FORK, .mm2 = 1);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	before = counted(machine);	/* of the window are only the faults */
	for (at = 0; at < SIZE; at += page)
		run(machine, .kind = reuse ? RF_OP_FAULT_REUSE : RF_OP_FAULT_COW, .addr = REGION + at,
		    .pfn = PFN + 0x40000 + at / page, .flags = RF_OP_WRITE);
}

/*
 * ---- what was counted; one number is not the emulator's: on 6.12 without ranges move-2M-aligned had 4 DSB ISHST more.
 * Four set_pmd() end in one each, and were counted because there the same function holds a TLBI, too: the repeat. ----
 */

static const struct window mprotect_windows[] = {
	{ "ro-half", mprotect_ro_half, { { 0, 0 }, { 64, 64 }, { 2, 2 } }, {
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 1, 0, 1, 1, 2, 0 },
		{ 0, 0, 1, 0, 0, 1, 1, 0 }, { 0, 1, 0, 0, 1, 1, 2, 0 },
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 2, 0, 1, 1, 2, 0 },
		{ 0, 129, 0, 0, 0, 129, 129, 0 }, { 2048, 0, 1, 0, 130, 129, 260, 0 },
		{ 0, 5, 0, 0, 0, 5, 5, 0 },
	} },
	{ "rw-half", mprotect_rw_half, { { 0, 0 }, { 64, 64 }, { 2, 2 } }, {
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 1, 0, 1, 1, 2, 0 },
		{ 0, 0, 1, 0, 0, 1, 1, 0 }, { 0, 1, 0, 0, 1, 1, 2, 0 },
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 2, 0, 1, 1, 2, 0 },
		{ 0, 129, 0, 0, 0, 129, 129, 0 }, { 2048, 0, 1, 0, 130, 129, 260, 0 },
		{ 0, 5, 0, 0, 0, 5, 5, 0 },
	} },
	{ "ro-whole", mprotect_ro, { { 0, 0 }, { 128, 128 }, { 4, 4 } }, {
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 1, 0, 1, 1, 2, 0 },
		{ 0, 0, 1, 0, 0, 1, 1, 0 }, { 0, 1, 0, 0, 1, 1, 2, 0 },
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 2, 0, 1, 1, 2, 0 },
		{ 0, 257, 0, 0, 0, 257, 257, 0 }, { 4096, 0, 1, 0, 258, 257, 516, 0 },
		{ 0, 9, 0, 0, 0, 9, 9, 0 },
	} },
	{ "rw-whole", mprotect_rw, { { 0, 0 }, { 128, 128 }, { 4, 4 } }, {
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 1, 0, 1, 1, 2, 0 },
		{ 0, 0, 1, 0, 0, 1, 1, 0 }, { 0, 1, 0, 0, 1, 1, 2, 0 },
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 2, 0, 1, 1, 2, 0 },
		{ 0, 257, 0, 0, 0, 257, 257, 0 }, { 4096, 0, 1, 0, 258, 257, 516, 0 },
		{ 0, 9, 0, 0, 0, 9, 9, 0 },
	} },
	{ "ro-misaligned", mprotect_ro_misaligned, { { 0, 2 }, { 63, 65 }, { 1, 3 } }, {
		{ 0, 4, 0, 0, 0, 3, 3, 0 }, { 32, 0, 1, 0, 3, 3, 6, 0 },
		{ 32, 0, 1, 0, 0, 3, 3, 0 }, { 0, 4, 0, 0, 3, 3, 6, 0 },
		{ 12, 4, 0, 0, 0, 3, 3, 0 }, { 64, 0, 2, 0, 3, 3, 6, 0 },
		{ 0, 130, 0, 0, 0, 129, 129, 0 }, { 2048, 0, 1, 0, 130, 129, 260, 0 },
		{ 0, 6, 0, 0, 0, 5, 5, 0 },
	} },
	{ "rw-misaligned", mprotect_rw_misaligned, { { 0, 0 }, { 64, 63 }, { 2, 1 } }, {
		{ 0, 2, 0, 0, 0, 1, 1, 0 }, { 0, 0, 1, 0, 1, 1, 2, 0 },
		{ 0, 0, 1, 0, 0, 1, 1, 0 }, { 0, 2, 0, 0, 1, 1, 2, 0 },
		{ 12, 2, 0, 0, 0, 1, 1, 0 }, { 0, 0, 2, 0, 1, 1, 2, 0 },
		{ 0, 129, 0, 0, 0, 128, 128, 0 }, { 2032, 0, 1, 0, 129, 128, 258, 0 },
		{ 0, 5, 0, 0, 0, 4, 4, 0 },
	} },
	{ "none-whole", mprotect_none, { { 0, 0 }, { 0, 127 }, { 0, 3 } }, {
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 1, 0, 1, 1, 2, 0 },
		{ 0, 0, 1, 0, 0, 1, 1, 0 }, { 0, 1, 0, 0, 1, 1, 2, 0 },
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 2, 0, 1, 1, 2, 0 },
		{ 0, 128, 0, 0, 0, 128, 128, 0 }, { 2032, 0, 1, 0, 129, 128, 258, 0 },
		{ 0, 4, 0, 0, 0, 4, 4, 0 },
	} },
	{ "rw-whole2", mprotect_rw, { { 0, 0 }, { 128, 0 }, { 4, 0 } }, {
		{ 0, 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0, 0, 0 },
		{ 0, 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0, 0, 0 },
		{ 0, 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0, 0, 0 },
		{ 0, 129, 0, 0, 0, 129, 129, 0 }, { 2048, 0, 1, 0, 130, 129, 260, 0 },
		{ 0, 5, 0, 0, 0, 5, 5, 0 },
	} },
	{ "munmap", munmap_all, { { 0, 0 }, { 0, 0 }, { 0, 0 } }, {
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 4, 0, 1, 0, 2, 2, 4, 0 },
		{ 4, 0, 1, 0, 0, 2, 2, 0 }, { 0, 2, 0, 0, 2, 2, 4, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 8, 0, 2, 0, 2, 2, 4, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 4, 0, 1, 0, 3, 2, 6, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 },
	} },
};

static const struct window dontneed_windows[] = {
	{ "single-mid-pages", dontneed_single_pages, { { 0, 128 }, { 0, 128 }, { 0, 4 } }, {
		{ 128, 128, 0, 0, 0, 256, 256, 0 }, { 2176, 0, 0, 0, 256, 256, 512, 0 },
		{ 2176, 0, 0, 0, 0, 256, 256, 0 }, { 128, 128, 0, 0, 256, 256, 512, 0 },
		{ 128, 128, 0, 0, 0, 256, 256, 0 }, { 4352, 0, 0, 0, 256, 256, 512, 0 },
		{ 128, 128, 0, 0, 0, 256, 256, 0 }, { 2176, 0, 0, 0, 256, 256, 512, 0 },
		{ 127, 4, 0, 0, 0, 131, 131, 0 },
	} },
	{ "whole", dontneed_refaulted, { { 0, 0 }, { 0, 0 }, { 0, 0 } }, {
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 1, 0, 1, 1, 2, 0 },
		{ 0, 0, 1, 0, 0, 1, 1, 0 }, { 0, 1, 0, 0, 1, 1, 2, 0 },
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 2, 0, 1, 1, 2, 0 },
		{ 0, 1, 0, 0, 0, 1, 1, 0 }, { 0, 0, 1, 0, 2, 1, 4, 0 },
		{ 0, 1, 0, 0, 0, 1, 1, 0 },
	} },
	{ "whole-blocks-each", dontneed_blocks, { { 0, 0 }, { 0, 0 }, { 0, 4 } }, {
		{ 0, 128, 0, 0, 0, 128, 128, 0 }, { 2048, 0, 0, 0, 128, 128, 256, 0 },
		{ 2048, 0, 0, 0, 0, 128, 128, 0 }, { 0, 128, 0, 0, 128, 128, 256, 0 },
		{ 0, 128, 0, 0, 0, 128, 128, 0 }, { 4096, 0, 0, 0, 128, 128, 256, 0 },
		{ 0, 128, 0, 0, 0, 128, 128, 0 }, { 2048, 0, 0, 0, 128, 128, 256, 0 },
		{ 0, 132, 0, 0, 0, 132, 132, 0 },
	} },
	{ "misaligned-range", dontneed_misaligned, { { 0, 2 }, { 0, 2 }, { 0, 2 } }, {
		{ 0, 4, 0, 0, 0, 3, 3, 0 }, { 32, 0, 1, 0, 3, 3, 6, 0 },
		{ 32, 0, 1, 0, 0, 3, 3, 0 }, { 0, 4, 0, 0, 3, 3, 6, 0 },
		{ 14, 4, 0, 0, 0, 3, 3, 0 }, { 64, 0, 2, 0, 3, 3, 6, 0 },
		{ 0, 4, 0, 0, 0, 3, 3, 0 }, { 32, 0, 1, 0, 4, 3, 8, 0 },
		{ 0, 4, 0, 0, 0, 3, 3, 0 },
	} },
	{ "munmap", munmap_all, { { 0, 0 }, { 0, 0 }, { 0, 0 } }, {
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 4, 0, 1, 0, 2, 2, 4, 0 },
		{ 4, 0, 1, 0, 0, 2, 2, 0 }, { 0, 2, 0, 0, 2, 2, 4, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 8, 0, 2, 0, 2, 2, 4, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 4, 0, 1, 0, 3, 2, 6, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 },
	} },
};

static const struct window mremap_windows[] = {
	{ "move-2M-aligned", move_2m_aligned, { { 0, 0 }, { 0, 0 }, { 4, 4 } }, {
		{ 0, 5, 0, 0, 0, 5, 5, 0 }, { 1, 0, 4, 0, 5, 5, 10, 0 },
		{ 1, 0, 4, 0, 0, 5, 5, 0 }, { 0, 5, 0, 0, 5, 5, 10, 0 },
		{ 0, 5, 0, 0, 0, 5, 5, 0 }, { 2, 0, 8, 0, 5, 5, 10, 0 },
		{ 0, 5, 0, 0, 0, 5, 5, 0 }, { 1, 0, 4, 0, 9, 5, 18, 0 },
		{ 0, 10, 0, 0, 0, 10, 10, 0 },
	} },
	{ "move-64K-aligned", move_64k_aligned, { { 0, 0 }, { 128, 128 }, { 0, 4 } }, {
		{ 0, 13, 0, 0, 0, 9, 9, 0 }, { 2052, 0, 0, 0, 9, 9, 18, 0 },
		{ 2052, 0, 0, 0, 0, 9, 9, 0 }, { 0, 13, 0, 0, 9, 9, 18, 0 },
		{ 0, 13, 0, 0, 0, 9, 9, 0 }, { 4104, 0, 0, 0, 9, 9, 18, 0 },
		{ 0, 269, 0, 0, 0, 265, 265, 0 }, { 6148, 0, 0, 0, 265, 265, 530, 0 },
		{ 0, 6, 0, 0, 0, 6, 6, 0 },
	} },
	{ "move-misaligned", move_misaligned, { { 0, 4 }, { 0, 128 }, { 0, 0 } }, {
		{ 8, 18, 0, 0, 0, 14, 14, 0 }, { 2117, 0, 0, 0, 14, 14, 28, 0 },
		{ 2117, 0, 0, 0, 0, 14, 14, 0 }, { 8, 18, 0, 0, 14, 14, 28, 0 },
		{ 8, 18, 0, 0, 0, 14, 14, 0 }, { 4234, 0, 0, 0, 14, 14, 28, 0 },
		{ 8, 142, 0, 0, 0, 138, 138, 0 }, { 4101, 0, 0, 0, 138, 138, 276, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 },
	} },
	{ "move-back", move_back, { { 128, 0 }, { 128, 0 }, { 4, 0 } }, {
		{ 8, 138, 0, 0, 0, 137, 137, 0 }, { 4101, 0, 0, 0, 137, 137, 274, 0 },
		{ 4101, 0, 0, 0, 0, 137, 137, 0 }, { 8, 138, 0, 0, 137, 137, 274, 0 },
		{ 64, 138, 0, 0, 0, 137, 137, 0 }, { 8202, 0, 0, 0, 137, 137, 274, 0 },
		{ 8, 138, 0, 0, 0, 137, 137, 0 }, { 4101, 0, 0, 0, 137, 137, 274, 0 },
		{ 0, 6, 0, 0, 0, 6, 6, 0 },
	} },
	{ "munmap", munmap_moved, { { 0, 0 }, { 0, 0 }, { 0, 0 } }, {
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 4, 0, 1, 0, 2, 2, 4, 0 },
		{ 4, 0, 1, 0, 0, 2, 2, 0 }, { 0, 2, 0, 0, 2, 2, 4, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 8, 0, 2, 0, 2, 2, 4, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 4, 0, 1, 0, 3, 2, 6, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 },
	} },
};

static const struct window fork_exit_windows[] = {
	{ "parent-write-all", write_all_after_fork, { { 0, 128 }, { 0, 128 }, { 0, 4 } }, {
		{ 2048, 128, 0, 2048, 0, 128, 128, 4096 }, { 4096, 0, 0, 2048, 128, 128, 256, 4096 },
		{ 4096, 0, 0, 2048, 0, 128, 128, 4096 }, { 2048, 128, 0, 2048, 128, 128, 256, 4096 },
		{ 2048, 128, 0, 2048, 0, 128, 128, 4096 }, { 8192, 0, 0, 4096, 128, 128, 256, 4096 },
		{ 2048, 128, 0, 0, 0, 2176, 2176, 0 }, { 4096, 0, 0, 0, 2176, 2176, 4352, 0 },
		{ 512, 4, 0, 0, 0, 516, 516, 0 },
	} },
	{ "munmap", munmap_all, { { 0, 0 }, { 0, 0 }, { 0, 0 } }, {
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 4, 0, 1, 0, 2, 2, 4, 0 },
		{ 4, 0, 1, 0, 0, 2, 2, 0 }, { 0, 2, 0, 0, 2, 2, 4, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 8, 0, 2, 0, 2, 2, 4, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 }, { 4, 0, 1, 0, 3, 2, 6, 0 },
		{ 0, 2, 0, 0, 0, 2, 2, 0 },
	} },
};

static void test_mprotect(void **state)
{
	run_windows(mprotect_windows, ARRAY_SIZE(mprotect_windows));
}

static void test_dontneed(void **state)
{
	run_windows(dontneed_windows, ARRAY_SIZE(dontneed_windows));
}

static void test_mremap(void **state)
{
	run_windows(mremap_windows, ARRAY_SIZE(mremap_windows));
}

static void test_fork(void **state)
{
	run_windows(fork_exit_windows, ARRAY_SIZE(fork_exit_windows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mprotect),
		cmocka_unit_test(test_dontneed),
		cmocka_unit_test(test_mremap),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests_name("cpus", tests, NULL, NULL);
}
