// SPDX-License-Identifier: MIT
/*
 * Every value of every knob changes what a machine counts, against the named point it is tried on: a knob that nobody
 * looks at would pass all other tests. What it changes, and by how much, is in the tests of its area.
 */
#include "machine_script.h"

#define FILE_AT (BASE + M(64))
#define SHARED_AT (BASE + M(96))

static void change(struct rf_machine *machine, u64 addr, u64 len, u16 vm_flags)
{
	run(machine, .kind = RF_OP_MPROTECT, .addr = addr, .end = addr + len, .vm_flags = vm_flags);
}

static void zap(struct rf_machine *machine, u64 addr, u64 len)
{
	run(machine, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .addr = addr, .end = addr + len);
}

/* Folios of 64K, small pages in a block's order, and a huge page. */
static void touch(struct rf_machine *machine)
{
	map_anon(machine, 0, BASE, M(16));
	fault_anon(machine, 0, BASE, M(4), 4, PFN);
	fault_anon(machine, 0, BASE + M(4), K(256), 0, PFN + 0x10000);
	fault_anon(machine, 0, BASE + M(10), M(2), 4, PFN + 0x18000);
	run(machine, .kind = RF_OP_FAULT_ANON, .addr = BASE + M(6), .pfn = PFN + 0x20000, .order = 9,
	    .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_MADV_COLD, .addr = BASE + M(6), .end = BASE + M(8));
	zap(machine, BASE + K(68), K(4));
	run(machine, .kind = RF_OP_MADV_PAGEOUT, .addr = BASE, .end = BASE + K(64), .aux = BASE + K(64));
}

static void protect(struct rf_machine *machine)
{
	change(machine, BASE + M(1), M(1) + K(12), RF_VM_READ);
	change(machine, BASE + M(1), M(1) + K(12), RW);
	change(machine, BASE + M(2), K(256), 0);
	change(machine, BASE + M(2), K(256), RW);
	change(machine, BASE + M(6) + K(40), K(4), RF_VM_READ);	/* splits the huge page */
	change(machine, BASE + M(7) + K(20), K(300), 0);		/* part of its folio, not in blocks */
	change(machine, BASE + M(7) + K(20), K(300), RW);
	zap(machine, BASE + M(10), M(2));		/* a whole table */
}

static void fork_and_write(struct rf_machine *machine)
{
	u64 at;

	change(machine, BASE + M(3) + K(4), K(8), RF_VM_READ);	/* runs of unlike entries */
	run(machine, .kind = RF_OP_FORK, .mm2 = 1);
	for (at = 0; at < K(64); at += K(4))
		run(machine, .kind = RF_OP_FAULT_COW, .mm = 1, .addr = BASE + M(3) + K(64) + at,
		    .pfn = PFN + 0x30000 + at / 4096, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 1, .why = RF_WHY_PROCESS_EXIT);
	for (at = 0; at < K(128); at += K(4))
		run(machine, .kind = RF_OP_FAULT_REUSE, .addr = BASE + M(1) + at, .flags = RF_OP_WRITE);
	/* Writable already: only accessed and dirty may be missing. */
	run(machine, .kind = RF_OP_MADV_FREE, .addr = BASE + M(3) + K(512), .end = BASE + M(3) + K(640));
	run(machine, .kind = RF_OP_FAULT_REUSE, .addr = BASE + M(6), .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_MADV_COLD, .addr = BASE + M(6), .end = BASE + M(6) + K(128));
	run(machine, .kind = RF_OP_FAULT_REUSE, .addr = BASE + M(6), .flags = RF_OP_WRITE);
	/* Two VMAs. */
	change(machine, BASE + K(128), K(64), RF_VM_READ);
	run(machine, .kind = RF_OP_MADV_FREE, .addr = BASE + K(64), .end = BASE + K(320));
	run(machine, .kind = RF_OP_MADV_COLD, .addr = BASE + K(640), .end = BASE + K(768));
	zap(machine, BASE + K(64), K(192));
}

static void reclaim_and_migrate(struct rf_machine *machine)
{
	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = BASE + K(384), .nr = 16, .pfn = 0x40, .order = 4,
	    .flags = RF_OP_DEFERRED | RF_OP_ANON);
	run(machine, .kind = RF_OP_UNMAP_FILE, .addr = BASE + M(3) + K(512), .nr = 16, .order = 4,
	    .flags = RF_OP_DEFERRED | RF_OP_ANON);		/* lazily freed above */
	run(machine, .kind = RF_OP_RECLAIM_FLUSH);
	run(machine, .kind = RF_OP_FAULT_SWAP, .addr = BASE + K(404), .pfn = PFN + 0x58000, .nr = 1);
	change(machine, BASE + K(512), K(4), RF_VM_READ);
	run(machine, .kind = RF_OP_MIGRATE_OUT, .addr = BASE + M(1) + K(512), .nr = 16, .pfn = PFN + 0x180, .order = 4,
	    .flags = RF_OP_ANON);
	run(machine, .kind = RF_OP_MIGRATE_IN, .addr = BASE + M(1) + K(512), .nr = 16, .pfn = PFN + 0x50000,
	    .order = 4, .flags = RF_OP_ANON | RF_OP_WRITE);
}

static void files(struct rf_machine *machine)
{
	u64 at;

	run(machine, .kind = RF_OP_MAP, .addr = FILE_AT, .end = FILE_AT + M(1), .vm_flags = RF_VM_READ, .file = 5);
	run(machine, .kind = RF_OP_MAP, .addr = SHARED_AT, .end = SHARED_AT + M(1), .file = 7,
	    .vm_flags = RW | RF_VM_SHARED | RF_VM_SHMEM);
	for (at = 0; at < M(1); at += K(64)) {
		run(machine, .kind = RF_OP_FAULT_FILE, .addr = FILE_AT + at, .aux = FILE_AT + at, .nr = 16,
		    .pfn = PFN + 0x60000 + at / 4096, .order = 4, .flags = RF_OP_FIRST | RF_OP_FAULT_AROUND);
		run(machine, .kind = RF_OP_FAULT_FILE, .addr = SHARED_AT + at, .aux = SHARED_AT + at, .nr = 16,
		    .pfn = PFN + 0x70000 + at / 4096, .order = 4, .flags = RF_OP_FIRST | RF_OP_WRITE | RF_OP_SHMEM);
	}
	run(machine, .kind = RF_OP_UNMAP_FILE, .addr = FILE_AT, .nr = 16, .order = 4, .flags = RF_OP_DEFERRED);
	run(machine, .kind = RF_OP_RECLAIM_FLUSH);
	run(machine, .kind = RF_OP_MKCLEAN, .addr = SHARED_AT, .nr = 16);
	/* The rest is left, dirty, to exit. */
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = SHARED_AT, .end = SHARED_AT + K(512));
}

/* One gather over 2^21 pages exactly, and tables freed over more than that. */
static void far_apart(struct rf_machine *machine)
{
	map_anon(machine, 0, G(64), G(8));
	fault_anon(machine, 0, G(64), K(4), 0, PFN + 0x80000);
	fault_anon(machine, 0, G(72) - K(4), K(4), 0, PFN + 0x80001);
	zap(machine, G(64), G(8));
	map_anon(machine, 0, G(100), G(20));
	fault_anon(machine, 0, G(100), K(4), 0, PFN + 0x80002);
	fault_anon(machine, 0, G(120) - K(4), K(4), 0, PFN + 0x80003);
	zap(machine, G(100), M(2));		/* leaves, with pt_reclaim, tables of PMDs alone */
	zap(machine, G(120) - M(2), M(2));
	run(machine, .kind = RF_OP_MUNMAP, .why = RF_WHY_MUNMAP, .addr = G(100), .end = G(120));
}

/* A folded block, a huge page of contiguous entries. */
static void pin(struct rf_machine *machine)
{
	run(machine, .kind = RF_OP_MAP, .addr = G(200), .end = G(200) + K(64), .vm_flags = RW | RF_VM_HUGETLB);
	run(machine, .kind = RF_OP_FAULT_HUGETLB, .addr = G(200), .order = 16, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_GUP_SLOW, .addr = G(200), .end = G(200) + K(64));
	run(machine, .kind = RF_OP_GUP_FAST, .addr = G(200), .end = G(200) + K(64));
}

/* Executable memory; a page that cannot wait for its flush; pages that fault-around brought along. */
static void odds_and_ends(struct rf_machine *machine)
{
	const u64 text = G(300), lazy = G(301);

	run(machine, .kind = RF_OP_MAP, .addr = text, .end = text + K(64), .vm_flags = RW | RF_VM_EXEC);
	fault_anon(machine, 0, text, K(64), 4, PFN + 0x90000);
	change(machine, text, K(64), RF_VM_READ | RF_VM_EXEC);
	change(machine, text, K(64), RW);
	map_anon(machine, 0, lazy, K(64));
	fault_anon(machine, 0, lazy, K(64), 0, PFN + 0x91000);
	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = lazy, .nr = 1, .pfn = 0x90, .flags = RF_OP_ANON);
	run(machine, .kind = RF_OP_MIGRATE_OUT, .addr = lazy + K(4), .nr = 2, .pfn = PFN + 0x91001,
	    .flags = RF_OP_ANON | RF_OP_DEFERRED);
	run(machine, .kind = RF_OP_RECLAIM_FLUSH);
	run(machine, .kind = RF_OP_MIGRATE_IN, .addr = lazy + K(4), .nr = 2, .pfn = PFN + 0x92000,
	    .flags = RF_OP_ANON | RF_OP_WRITE);
	run(machine, .kind = RF_OP_MAP, .addr = G(302), .end = G(302) + M(1), .vm_flags = RF_VM_READ, .file = 9);
	run(machine, .kind = RF_OP_FAULT_FILE, .addr = G(302), .aux = G(302) + K(64), .nr = 16, .pfn = PFN + 0x93000,
	    .order = 4, .flags = RF_OP_FIRST | RF_OP_FAULT_AROUND);
	run(machine, .kind = RF_OP_FAULT_FILE, .addr = G(302) + K(64), .aux = G(302), .nr = 16, .pfn = PFN + 0x94000,
	    .flags = RF_OP_FIRST | RF_OP_FAULT_AROUND);
	run(machine, .kind = RF_OP_MADV_COLD, .addr = G(302), .end = G(302) + K(128));
	run(machine, .kind = RF_OP_UNMAP_FILE, .addr = G(302), .nr = 16, .order = 4, .flags = RF_OP_DEFERRED);
	/* Clean and writable again, or not, is what fork looks at. */
	run(machine, .kind = RF_OP_MADV_FREE, .addr = lazy + K(32), .end = lazy + K(64));
	change(machine, lazy, K(64), RF_VM_READ);
	change(machine, lazy, K(64), RW);
	/* Huge pages of contiguous entries that others map, too. */
	run(machine, .kind = RF_OP_FORK, .mm2 = 2);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 2, .why = RF_WHY_PROCESS_EXIT);
}

/* A huge page of folios; an aligned GiB; what lies alone above a table's boundary. */
static void collapse_and_move(struct rf_machine *machine)
{
	const u64 gib = G(310), odd = G(320) + K(512);

	map_anon(machine, 0, G(305), M(4));
	fault_anon(machine, 0, G(305), M(4), 4, PFN + 0xa0000);
	run(machine, .kind = RF_OP_COLLAPSE, .addr = G(305), .nr = 512, .pfn = PFN + 0xb0000, .order = 9);
	map_anon(machine, 0, gib, G(1));
	fault_anon(machine, 0, gib, K(64), 4, PFN + 0xa2000);
	fault_anon(machine, 0, gib + M(64), K(64), 4, PFN + 0xa3000);
	run(machine, .kind = RF_OP_MREMAP, .addr = gib, .end = gib + G(1), .addr2 = G(312), .nr = 1 << 18);
	map_anon(machine, 0, odd, M(2));
	fault_anon(machine, 0, odd, M(2), 4, PFN + 0xa4000);
	run(machine, .kind = RF_OP_MREMAP, .addr = odd, .end = odd + M(2), .addr2 = odd + M(64), .nr = 512);
}

/* Small folios, which a policy may take for larger ones: zero pages, swap, a fork. */
static void small_pages(struct rf_machine *machine)
{
	u64 at = G(5), written = at + M(2);

	map_anon(machine, 0, at, M(6));
	run(machine, .kind = RF_OP_FAULT_ZERO, .addr = at, .pfn = 0x77);
	run(machine, .kind = RF_OP_FAULT_COW, .addr = at, .pfn = 0x5000, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_ALLOC_FAILED, .nr = 4);
	fault_anon(machine, 0, written, K(12), 0, 0x6000);
	run(machine, .kind = RF_OP_UNMAP_SWAP, .addr = written, .nr = 1, .pfn = 0x500, .flags = RF_OP_ANON);
	run(machine, .kind = RF_OP_FAULT_SWAP, .addr = written, .nr = 1, .pfn = 0x7000, .flags = RF_OP_WRITE);
	fault_anon(machine, 0, written + M(2), K(8), 0, 0x8000);
	run(machine, .kind = RF_OP_FORK, .mm2 = 30);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 30, .why = RF_WHY_PROCESS_EXIT);
	run(machine, .kind = RF_OP_FAULT_REUSE, .addr = written + M(2), .flags = RF_OP_WRITE);
}

/* Two GiB of hugetlb, and who has their tables, too: one that leaves. */
static void huge_pages_in_common(struct rf_machine *machine)
{
	const u64 at = G(330);

	run(machine, .kind = RF_OP_MAP, .addr = at, .end = at + G(2), .vm_flags = RW | RF_VM_SHARED | RF_VM_HUGETLB,
	    .file = 11);
	run(machine, .kind = RF_OP_FORK, .mm2 = 31);
	run(machine, .kind = RF_OP_FAULT_HUGETLB, .addr = at, .order = 21, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_FAULT_HUGETLB, .addr = at + G(1), .order = 21, .flags = RF_OP_WRITE);
	run(machine, .kind = RF_OP_FAULT_HUGETLB, .mm = 31, .addr = at, .order = 21);
	run(machine, .kind = RF_OP_FAULT_HUGETLB, .mm = 31, .addr = at + G(1), .order = 21);
	run(machine, .kind = RF_OP_MM_EXIT, .mm = 31, .why = RF_WHY_PROCESS_EXIT);
}

static struct rf_machine *after_everything(const char *policy, const char *knobs)
{
	struct rf_machine *machine = machine_of(policy, knobs);

	run(machine, .kind = RF_OP_MM_NEW);
	touch(machine);
	protect(machine);
	fork_and_write(machine);
	reclaim_and_migrate(machine);
	files(machine);
	far_apart(machine);
	pin(machine);
	odds_and_ends(machine);
	collapse_and_move(machine);
	small_pages(machine);
	/* Time for a scan. */
	run(machine, .kind = RF_OP_FAULT_NONE, .addr = BASE, .time = 100000000);
	huge_pages_in_common(machine);
	run(machine, .kind = RF_OP_UFFD_MOVE, .addr = BASE + M(4) + K(128), .end = BASE + M(4) + K(192),
	    .addr2 = BASE + M(14), .nr = 16);
	run(machine, .kind = RF_OP_MREMAP, .addr = BASE, .end = BASE + M(1), .addr2 = G(3) + K(64), .nr = 256);
	run(machine, .kind = RF_OP_MM_EXIT, .why = RF_WHY_PROCESS_EXIT);
	return machine;
}

/* Where a value is tried, if not on linux-7.2; %s is the value. */
static const struct trial { const char *knob, *policy, *knobs; } trials[] = {
	{ "access_compare", "linux-6.12", "" },
	{ "access_flush", "contpte-v3", "" },
	{ "alloc_fail", "linux-7.2", "anon_folios=64k" },
	{ "alloc_seed", "linux-7.2", "anon_folios=64k alloc_fail=50" },
	{ "asid_threshold", "linux-7.2", "tlbi=single" },
	{ "batch_helpers", "linux-6.12", "" },
	{ "batch_rule", "linux-6.9", "" },
	{ "batched_pending", "linux-6.17", "" },
	{ "exit_spread_stored", "contpte-v1", "" },
	{ "flush_ceiling", "x86-6.18", "" },
	{ "fold_present", "contpte-v2", "" },
	{ "fork_full", "contpte-v3", "" },
	{ "fragmentation", "linux-7.2", "anon_folios=64k" },
	{ "gather", "linux-6.12", "" },
	{ "huge_zero_wp", "linux-7.2", "anon_folios=2m" },
	{ "khugepaged", "linux-7.2", "anon_folios=2m alloc_fail=100 max_ptes_none=511" },
	{ "kpti", "linux-7.2", "" },
	{ "madv_clear_young_dirty", "linux-6.12", "" },
	{ "max_dvm_ops", "linux-7.2", "tlbi=single" },
	{ "max_ptes_none", "linux-7.2", "anon_folios=2m alloc_fail=100 khugepaged=5" },
	{ "needs_flush", "linux-6.17", "" },
	{ "reuse_large", "linux-7.2", "anon_folios=64k" },
	{ "reuse_flush", "linux-6.17", "" },
	{ "svinval", "riscv-7.3", "" },
	{ "svvptc", "riscv-7.3", "" },
	{ "set_ptes_checks_old", "contpte-v5-fold", "" },
	{ "swapin_large", "linux-7.2", "anon_folios=64k" },
	{ "thp", "linux-7.2", "anon_folios=64k" },
	{ "tlbi_limit_waits", "linux-7.2", "tlbi=single" },
	{ "tlbi_range_limit", "linux-7.2", "tlbi=single" },
	{ "wrprotect_chunks", "contpte-v3", "" },
	{ "wrprotect_reload", "contpte-v3", "" },
	{ "zap_full_trick", "contpte-v3", "" },
};

static const struct trial *trial_of(const char *knob)
{
	static struct trial usual = { NULL, "linux-7.2", "" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(trials); i++)
		if (!strcmp(trials[i].knob, knob))
			return &trials[i];
	return &usual;
}

/* What else must be said for a value to matter. */
static const char *condition_of(const char *knob, const char *value)
{
	if (!strcmp(knob, "tlbi_range_limit") && !strcmp(value, "at"))
		return "tlbi=range";
	return "";
}

static bool counts_differ(const char *policy, const char *knobs, const char *change)
{
	char changed[200];
	struct rf_machine *one, *other;
	const struct rf_stats *a, *b;
	bool differ;

	snprintf(changed, sizeof(changed), "%s%s%s", knobs, *knobs ? " " : "", change);
	one = after_everything(policy, knobs);
	other = after_everything(policy, changed);
	a = rf_machine_stats(one);
	b = rf_machine_stats(other);
	differ = memcmp(a->rows, b->rows, sizeof(a->rows)) || memcmp(&a->batches, &b->batches, sizeof(a->batches)) ||
		 a->coalesced_time != b->coalesced_time;
	rf_machine_destroy(one);
	rf_machine_destroy(other);
	return differ;
}

static void try_value(const char *knob, const char *value, size_t *tried)
{
	const struct trial *trial = trial_of(knob);
	char knobs[100], change[64], now[32];
	struct rf_machine *machine;
	const char *name;
	size_t i;

	snprintf(knobs, sizeof(knobs), "%s%s%s", trial->knobs, *trial->knobs ? " " : "", condition_of(knob, value));
	machine = machine_of(trial->policy, knobs);
	for (i = 0; rf_policy_knob(rf_machine_policy(machine), i, &name, now, sizeof(now)); i++)
		if (!strcmp(name, knob))
			break;
	rf_machine_destroy(machine);
	/* Blocks of 16 pages are those of 4K pages. */
	if (!strcmp(now, value) || (!strcmp(knob, "cont_pages") && !strcmp(value, "16")))
		return;
	++*tried;
	snprintf(change, sizeof(change), "%s=%s", knob, value);
	if (!counts_differ(trial->policy, knobs, change))
		fail_msg("%s on %s %s changes nothing", change, trial->policy, knobs);
}

/* Nobody races with anybody here. */
static bool is_about_races(const char *knob)
{
	return !strcmp(knob, "lockless_tries");
}

static void try_knob(const char *knob)
{
	const char *values, *help;
	char list[128], *rest, *one;
	size_t tried = 0;

	if (is_about_races(knob))
		return;
	assert_true(rf_policy_knob_help(knob, &values, &help));
	if (!strcmp(values, "NUMBER")) {
		try_value(knob, strcmp(knob, "alloc_fail") && strcmp(knob, "max_ptes_none") ? "5" : "100", &tried);
	} else {
		snprintf(list, sizeof(list), "%s", values);
		for (rest = list; (one = strsep(&rest, "|"));)
			try_value(knob, one, &tried);
	}
	assert_true(tried);
}

static void try_knobs_of(const char *policy)
{
	struct rf_machine *machine = machine_of(policy, "");
	const char *knob;
	char value[32];
	size_t i;

	for (i = 0; rf_policy_knob(rf_machine_policy(machine), i, &knob, value, sizeof(value)); i++) {
		/* No operation looks at ages: the helpers' test does. */
		if (!strcmp(knob, "batch_young"))
			continue;
		/* What both have is tried on arm64. */
		if (!strcmp(policy, "linux-7.2") || !strcmp(trial_of(knob)->policy, policy))
			try_knob(knob);
	}
	rf_machine_destroy(machine);
}

static void test_every_value(void **state)
{
	try_knobs_of("linux-7.2");
	try_knobs_of("x86-6.18");
	try_knobs_of("riscv-7.3");
}

/* What was run is a story that holds together. */
static void test_no_anomalies(void **state)
{
	const struct rf_policy *policy;
	struct rf_machine *machine;
	size_t i;

	for (i = 0; (policy = rf_policy_named(i)); i++) {
		machine = after_everything(policy->name, "");
		if (anomalies_of(machine))
			fail_msg("%s has %llu anomalies", policy->name, (unsigned long long)anomalies_of(machine));
		assert_int_equal(rf_machine_stats(machine)->live_blocks, 0);
		rf_machine_destroy(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_anomalies),
		cmocka_unit_test(test_every_value),
	};

	return cmocka_run_group_tests_name("knobs", tests, NULL, NULL);
}
