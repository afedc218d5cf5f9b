// SPDX-License-Identifier: MIT
/*
 * What flush calls cost, written a second time from kernel-model.md 3.1, 3.2, 3.6, 3.7 and C8, in closed form where the
 * backend follows the kernel's loops (I8).
 */
#include <string.h>

#include "arch/loaded/loaded.h"
#include "properties/tlb.h"

static unsigned int kpti_factor(const struct rf_policy *policy)
{
	return policy->arch_knobs.kpti ? 2 : 1;
}

/* A synchronising DSB, and the TLBI and DSB that the newer form of the erratum's work-around adds. */
void flush_cost_wait(struct flush_totals *totals, const struct rf_policy *policy)
{
	bool repeat = policy->arch_knobs.repeat_tlbi == REPEAT_TLBI_NEW;

	totals->dsb_ish += repeat ? 2 : 1;
	totals->tlbi_repeat += repeat;
	totals->tlbi += repeat;
}

static void add_instructions(struct flush_totals *totals, const struct rf_policy *policy, u64 va, u64 range, u64 asid,
			     bool local)
{
	unsigned int factor = kpti_factor(policy);
	u64 issued = (va + range + asid) * factor;

	totals->tlbi_va += va * factor;
	totals->tlbi_range += range * factor;
	totals->tlbi_asid += asid * factor;
	totals->tlbi += issued;
	if (local) {
		totals->tlbi_local += issued;
	} else if (policy->arch_knobs.repeat_tlbi == REPEAT_TLBI_OLD) {
		totals->tlbi_repeat += issued;
		totals->tlbi += issued;
		totals->dsb_ish += issued;
	}
}

static void add_mm(struct flush_totals *totals, const struct rf_policy *policy)
{
	totals->dsb_ishst++;
	add_instructions(totals, policy, 0, 0, 1, false);
	flush_cost_wait(totals, policy);
}

static bool too_long(const struct rf_policy *policy, u64 bytes, u64 stride)
{
	const u64 most = 1u << 21;
	u64 pages = bytes >> policy->geometry.page_shift;
	u64 dvm_ops = policy->arch_knobs.max_dvm_ops;

	if (!dvm_ops)
		dvm_ops = 1u << policy->geometry.table_shift;
	if (!policy->arch_knobs.tlbi_range) {
		if (bytes / stride >= dvm_ops)
			return true;
		if (policy->arch_knobs.tlbi_range_limit == TLBI_RANGE_LIMIT_RANGE)
			return false;
	}
	return policy->arch_knobs.tlbi_range_limit == TLBI_RANGE_LIMIT_AT ? pages >= most : pages > most;
}

/* Non-zero digits of pages / 2 in base 32 are range instructions; an odd page is one more. */
static void add_range(struct flush_totals *totals, const struct rf_policy *policy, u64 start, u64 pages, bool local)
{
	unsigned int shift = policy->geometry.page_shift;
	u64 single = 0, ranges = 0, half;

	if (policy->arch_knobs.lpa2)
		single = ((0x10000 - (start & 0xffff)) & 0xffff) >> shift;
	single = min_u64(single, pages);
	pages -= single;
	for (half = pages / 2; half; half /= 32)
		ranges += half % 32 != 0;
	add_instructions(totals, policy, single + pages % 2, ranges, 0, local);
}

/* Before KPTI and errata multiply them. */
static u64 nr_instructions(const struct rf_policy *policy, u64 start, u64 end, u64 stride)
{
	u64 pages = (end - start) >> policy->geometry.page_shift, single = 0, ranges = 0;

	if (!policy->arch_knobs.tlbi_range)
		return (end - start) / stride;
	if (policy->arch_knobs.lpa2)
		single = min_u64(((0x10000 - (start & 0xffff)) & 0xffff) >> policy->geometry.page_shift, pages);
	pages -= single;
	single += pages & 1;
	for (pages /= 2; pages; pages /= 32)
		ranges += pages % 32 != 0;
	return single + ranges;
}

static void add_arm64(struct flush_totals *totals, const struct rf_policy *policy, const struct arch_flush *flush)
{
	unsigned int shift = policy->geometry.page_shift;
	bool local = flush && flush->mode == FLUSH_LOCAL;
	u64 before = totals->tlbi_va + totals->tlbi_range, start, end;

	if (!flush) {
		add_mm(totals, policy);
		return;
	}
	start = flush->start / flush->stride * flush->stride;
	end = (flush->end + flush->stride - 1) / flush->stride * flush->stride;
	if (too_long(policy, end - start, flush->stride)) {
		add_mm(totals, policy);
		if (flush->mode == FLUSH_SYNC && policy->arch_knobs.tlbi_limit_waits_twice)
			flush_cost_wait(totals, policy);
		return;
	}
	if (policy->arch_knobs.asid_threshold &&
	    nr_instructions(policy, start, end, flush->stride) > policy->arch_knobs.asid_threshold) {
		add_mm(totals, policy);
		return;
	}
	totals->tlbi_pages += (end - start) >> shift;
	if (!policy->arch_knobs.tlbi_range)
		add_instructions(totals, policy, (end - start) / flush->stride, 0, 0, local);
	else
		add_range(totals, policy, start, (end - start) >> shift, local);
	if (!flush->last_level)
		totals->tlbi_walk += totals->tlbi_va + totals->tlbi_range - before;
	if (local) {
		totals->dsb_nsh += 2;
		return;
	}
	totals->dsb_ishst++;
	if (flush->mode == FLUSH_SYNC)
		flush_cost_wait(totals, policy);
}

/* A flush at exit asks others alone: this CPU has left the address space. */
static void add_x86(struct flush_totals *totals, const struct rf_policy *policy, const struct arch_flush *flush,
		    bool dying)
{
	u64 units = flush ? (flush->end - flush->start + flush->stride - 1) / flush->stride : 0, before = totals->tlbi;

	if (dying)
		return;
	if (!flush || units > policy->arch_knobs.flush_ceiling) {
		totals->tlbi++;
		totals->tlbi_asid++;
	} else {
		totals->tlbi += units * kpti_factor(policy);
		totals->tlbi_va += units * kpti_factor(policy);
		totals->tlbi_pages += units * flush->stride >> policy->geometry.page_shift;
	}
	totals->tlbi_local += totals->tlbi - before;
}

/* A threshold as on x86; Svinval puts two fences around what is more than one instruction. */
static void add_riscv(struct flush_totals *totals, const struct rf_policy *policy, const struct arch_flush *flush)
{
	u64 units = flush ? (flush->end - flush->start + flush->stride - 1) / flush->stride : 0;

	if (!flush || (units != 1 && units > policy->arch_knobs.flush_ceiling)) {
		add_instructions(totals, policy, 0, 0, 1, true);
		return;
	}
	add_instructions(totals, policy, units, 0, 0, true);
	totals->tlbi_pages += units * flush->stride >> policy->geometry.page_shift;
	totals->dsb_nsh += policy->arch_knobs.svinval && units > 1 ? 2 : 0;
}

static void add_8xx(struct flush_totals *totals, const struct rf_policy *policy, const struct arch_flush *flush)
{
	bool page = flush && (flush->end - flush->start) >> policy->geometry.page_shift == 1;

	add_instructions(totals, policy, page, 0, !page, true);
	totals->tlbi_pages += page;
	totals->dsb_nsh++;
}

/* Entries, in batches of 192, when they are changed. */
static void add_hash(struct flush_totals *totals, const struct rf_policy *policy, const struct arch_flush *flush)
{
	u64 pages = (flush->end - flush->start) >> policy->geometry.page_shift, batches = (pages + 191) / 192;

	add_instructions(totals, policy, pages, 0, 0, true);
	totals->tlbi_pages += pages;
	totals->dsb_ishst += batches;
	totals->dsb_ish += batches;
	totals->flush_calls += batches - 1;
}

/* The flush that ends a batch of reclaim on a CPU with INVLPGB: it was counted as one of this CPU. */
void flush_cost_broadcast(struct flush_totals *totals)
{
	totals->tlbi_local--;
	totals->dsb_ish++;
}

/* A hand-written backend whose flushes are another kind of CPU's: nobody knows what they cost. */
static bool flushes_its_own_way(const struct trial *t)
{
	const struct refold_backend *backend = t->loaded && !t->loaded->kernel ? &t->loaded->backend : NULL;

	return backend && (backend->flush_tlb_range || backend->flush_tlb_page || backend->flush_tlb_mm ||
			   backend->tlb_flush || backend->tlbbatch_add_pending || backend->tlbbatch_flush ||
			   backend->flush_tlb_batched_pending || backend->ptep_clear_flush ||
			   backend->flush_tlb_fix_spurious_fault || backend->flush_pmd_access);
}

/* What any CPU needs at least: something that invalidates, and a wait for who is to obey. */
static void add_least(struct flush_totals *totals, const struct arch_flush *flush)
{
	bool any = !flush || flush->end > flush->start;

	totals->tlbi += any;
	totals->dsb_ish += any && (!flush || flush->mode == FLUSH_SYNC);
}

void flush_cost_add(const struct trial *t, struct flush_totals *totals, const struct arch_flush *flush)
{
	const struct rf_policy *policy = &t->config->policy;

	totals->flush_calls++;
	if (flushes_its_own_way(t))
		add_least(totals, flush);
	else if (t->config->flush_cost)
		t->config->flush_cost(totals, policy, flush);
	else if (!strcmp(policy->arch->name, "x86"))
		add_x86(totals, policy, flush, t->step->op.kind == RF_OP_MM_EXIT);
	else if (!strcmp(policy->arch->name, "riscv"))
		add_riscv(totals, policy, flush);
	else if (!strcmp(policy->arch->name, "powerpc-8xx"))
		add_8xx(totals, policy, flush);
	else if (!strcmp(policy->arch->name, "powerpc-hash"))
		add_hash(totals, policy, flush);
	else
		add_arm64(totals, policy, flush);
}

static void check_least(struct trial *t, const struct arch_counters *c, const struct arch_counters *loaded)
{
	const struct flush_totals *least = t->flushes;
	u64 tlbi = c->tlbi + loaded->tlbi, dsb_ish = c->dsb_ish + loaded->dsb_ish;

	require(t, "I8", tlbi >= least->tlbi, "%llu flushes, but tlbi is %llu", (unsigned long long)least->tlbi,
		(unsigned long long)tlbi);
	require(t, "I8", !t->arm64 || dsb_ish >= least->dsb_ish, "%llu flushes to wait for, but dsb_ish is %llu",
		(unsigned long long)least->dsb_ish, (unsigned long long)dsb_ish);
	require(t, "I8", c->tlbi == c->tlbi_va + c->tlbi_range + c->tlbi_asid + c->tlbi_repeat,
		"kinds of TLBI do not add up");
	require(t, "I8", c->tlbi_local <= c->tlbi, "%llu TLBIs, %llu of them local", (unsigned long long)c->tlbi,
		(unsigned long long)c->tlbi_local);
}

/* The totals of all operations so far against what the flushes seen should have cost. */
void flush_cost_check(struct trial *t)
{
	const struct rf_stats *stats = rf_machine_stats(t->machine);
	const struct flush_totals *expected = t->flushes;
	struct arch_counters c;
	u64 fences;

	rf_stats_totals(stats, &c);
	require(t, "I8", c.dsb == c.dsb_ishst + c.dsb_ish + c.dsb_nsh, "kinds of DSB do not add up");
	if (flushes_its_own_way(t)) {
		check_least(t, &c, &stats->loaded);
		return;
	}
	/* What update_mmu_cache() fences is no flush: without Svvptc each entry that became valid is. */
	fences = c.tlbi_new + stats->loaded.tlbi_new;
#define same(name, extra)                                                                          \
	require(t, "I8", c.name + stats->loaded.name == expected->name + (extra),                  \
		#name " is %llu, the flushes make %llu",                                           \
		(unsigned long long)(c.name + stats->loaded.name),                                 \
		(unsigned long long)(expected->name + (extra)))
	same(flush_calls, 0);
	same(tlbi, fences);
	same(tlbi_va, fences);
	same(tlbi_range, 0);
	same(tlbi_asid, 0);
	same(tlbi_repeat, 0);
	same(tlbi_local, fences);
	same(tlbi_walk, 0);
	same(tlbi_pages, fences);
	/* Valid PROT_NONE blocks of 6.12 look like kernel entries: each store ends in DSB and ISB (C4). */
	same(dsb_ishst, c.isb + stats->loaded.isb);
	same(dsb_ish, 0);
	same(dsb_nsh, 0);
#undef same
}
