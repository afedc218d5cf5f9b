// SPDX-License-Identifier: MIT
/*
 * Random helper calls under several policies against an oracle without blocks; after every call the invariants of
 * kernel-model.md section 8 are checked:
 *   I1, I2, I3  a block is folded as a whole, from congruent entries of one folio that agree in everything but A/D
 *   I6, I7      births, folds, unfolds and erasures add up to the folded blocks there are; each conversion costs N
 *               atomics, N stores and one flush of exactly its block
 *   I11, I12    programs see the same mappings; A/D are never lost, and never appear from nowhere
 *   I13         a conversion gives every entry the A/D of the whole block
 *   I14, I15    write protection protects; a batched clear returns the A/D of all it cleared
 *   I18         what is not folded is not unfolded, hints reach exactly to the end of a block
 * The seed is printed; REFOLD_TEST_SEED repeats a run.
 */
#include "fixture.h"
#include "reference.h"

#define STEPS 40000
#define ENTRIES REFERENCE_ENTRIES
#define NR_FOLIOS 24

struct folio {
	u64 pfn;
	unsigned int order;
};

struct world {
	struct fixture *f;
	struct reference reference;
	struct folio folios[NR_FOLIOS];
	u64 random;
	unsigned long step;
	const char *spec, *call;
	u64 seed;
	/* before the call */
	pte_t before[ENTRIES];
	unsigned int index, nr;	/* what it is about */
	/* what a call without conversions would cost; -1: not said */
	s64 stores, atomics, flushes;
};

#define check(w, condition)                                                                        \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("%s: seed %#llx step %lu: %s at %u+%u: %s", (w)->spec,            \
				 (unsigned long long)(w)->seed, (w)->step, (w)->call, (w)->index,  \
				 (w)->nr, #condition);                                             \
	} while (0)

static u64 roll(struct world *w, u64 below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 11) % below;
}

/* ---- checks after each call ---- */

/* What ptep_get() would say: the entry with the A/D of its block. */
static pte_t gathered(const struct world *w, const pte_t *table, unsigned int index)
{
	unsigned int n = w->f->n, start = index & ~(n - 1), i;
	pte_t pte = table[index];

	for (i = start; pte_cont(table[index]) && i < start + n; i++) {
		if (pte_young(table[i]))
			pte = pte_mkyoung(pte);
		if (pte_dirty(table[i]))
			pte = pte_mkdirty(pte);
	}
	return pte;
}

static unsigned int check_blocks(struct world *w)
{
	const u64 varies = PTE_AF | PTE_DIRTY | PTE_RDONLY | PTE_PFN_MASK;
	const pte_t *table = w->f->table;
	unsigned int n = w->f->n, folded = 0, i, j;

	for (i = 0; i < ENTRIES; i += n) {
		for (j = 0; j < n; j++) {
			check(w, pte_cont(table[i + j]) == pte_cont(table[i])); /* I1 */
			check(w, pte_valid(table[i + j]) || !(table[i + j].val & PTE_CONT) ||
				 w->f->policy.arch_knobs.protnone_cont == PROTNONE_CONT_STRAY); /* I3 */
		}
		if (!pte_cont(table[i]))
			continue;
		folded++;
		check(w, pte_pfn(table[i]) % n == 0);
		check(w, 1u << pte_folio_order(table[i]) >= n);
		for (j = 0; j < n; j++) {
			check(w, pte_valid(table[i + j]));
			check(w, pte_pfn(table[i + j]) == pte_pfn(table[i]) + j);
			check(w, !((table[i + j].val ^ table[i].val) & PTE_HW_MASK & ~varies)); /* I2 */
			if (w->f->policy.arch_knobs.protnone_cont != PROTNONE_CONT_VALID)
				check(w, !(table[i + j].val & PTE_PROTNONE));
		}
	}
	return folded;
}

static void check_map(struct world *w)
{
	struct reference *r = &w->reference;
	unsigned int i;
	pte_t pte;

	reference_note(r);
	for (i = 0; i < ENTRIES; i++) {
		pte = gathered(w, w->f->table, i);
		check(w, reference_map(pte) == reference_map(r->entries[i])); /* I11 */
		check(w, pte_none(pte) == pte_none(r->entries[i]));
		if (!pte_present(pte))
			continue;
		check(w, pte_young(pte) >= pte_young(r->entries[i])); /* I12 */
		check(w, pte_dirty(pte) >= pte_dirty(r->entries[i]));
		check(w, pte_young(pte) <= r->ever_young[i]);
		check(w, pte_dirty(pte) <= r->ever_dirty[i]);
		/* Facts about the page belong to the entry. */
		check(w, !((pte.val ^ r->entries[i].val) & ~PTE_HW_MASK));
	}
}

static void check_counters(struct world *w, unsigned int folded)
{
	const struct arch_counters *c = &w->f->counters;
	s64 conversions = c->fold + c->unfold;

	check(w, (s64)folded == w->f->live); /* I6 */
	check(w, w->f->block_flushes >= (u64)conversions || w->f->policy.arch_knobs.bbml3); /* I7 */
	if (w->stores >= 0)
		check(w, (s64)c->pte_stores == w->stores + conversions * w->f->n);
	if (w->atomics >= 0)
		check(w, (s64)c->pte_atomics == w->atomics + conversions * w->f->n);
	if (w->flushes >= 0)
		check(w, (s64)w->f->flushes == w->flushes + (w->f->policy.arch_knobs.bbml3 ? 0 : conversions));
	check(w, c->flush_calls == w->f->flushes);
	check(w, c->tlbi == c->tlbi_va + c->tlbi_range + c->tlbi_asid + c->tlbi_repeat);
	check(w, c->dsb == c->dsb_ishst + c->dsb_ish + c->dsb_nsh);
}

/* I18, and the lines a call touched: at least its entries', at most those of the blocks they are in. */
static void check_extent(struct world *w, s64 live_before)
{
	unsigned int n = w->f->n, first = w->index & ~(n - 1), last = (w->index + w->nr - 1) | (n - 1), i;
	const struct arch_counters *c = &w->f->counters;
	bool any = false;

	for (i = first; i <= last; i++)
		any |= pte_cont(w->before[i]);
	/* fold_sites=any can fold at one entry of a run what the next unfolds. */
	check(w, any || !c->unfold || w->f->policy.arch_knobs.fold_sites == FOLD_ANY);
	check(w, live_before + (s64)(c->born + c->fold) - (s64)(c->unfold + c->erased) == w->f->live);
	for (i = 0; i < ENTRIES; i++)
		if (i < first || i > last)
			check(w, w->before[i].val == w->f->table[i].val);
	if (strcmp(w->call, "run of singles") && w->f->policy.arch_knobs.batch_helpers)
		check(w, c->pte_lines <= (u64)(last / 8 - first / 8 + 1));
	check(w, !c->pte_loads || c->pte_lines);
}

/* I13: after a call on one entry that converted its block. */
static void check_union(struct world *w)
{
	const struct arch_counters *c = &w->f->counters;
	unsigned int n = w->f->n, start = w->index & ~(n - 1), i;
	bool young = false, dirty = false;
	const pte_t *table = w->f->table;

	if (w->nr != 1 || !(c->fold + c->unfold))
		return;
	for (i = start; i < start + n; i++) {
		young |= pte_young(w->before[i]) && pte_present(w->before[i]);
		dirty |= pte_dirty(w->before[i]) && pte_present(w->before[i]);
	}
	for (i = start; i < start + n; i++) {
		if (i == w->index)
			continue;
		/* A fold can only add what the new entry brings. */
		if (c->unfold) {
			check(w, pte_young(table[i]) >= young);
			check(w, pte_dirty(table[i]) >= dirty);
		}
		if (c->fold) {
			check(w, pte_young(table[i]) == pte_young(table[w->index]));
			check(w, pte_dirty(table[i]) == pte_dirty(table[w->index]));
		}
	}
}

/* ---- calls ---- */

static void begin(struct world *w, const char *call, unsigned int index, unsigned int nr, s64 stores, s64 atomics,
		  s64 flushes)
{
	memcpy(w->before, w->f->table, sizeof(w->before));
	fixture_zero(w->f);
	w->call = call;
	w->index = index;
	w->nr = nr;
	w->stores = stores;
	w->atomics = atomics;
	w->flushes = flushes;
}

/* The longest run from index that a kernel could batch: present entries of one folio in a row. */
static unsigned int run_length(const struct world *w, unsigned int index)
{
	const pte_t *table = w->f->table;
	unsigned int i;

	if (!pte_present(table[index]))
		return 0;
	for (i = 1; index + i < ENTRIES; i++)
		if (!pte_present(table[index + i]) || pte_pfn(table[index + i]) != pte_pfn(table[index]) + i ||
		    pte_folio_pfn(table[index + i]) != pte_folio_pfn(table[index]) ||
		    (table[index + i].val ^ table[index].val) &
			    (PTE_PROTNONE | PTE_VALID | PTE_WRITE | PTE_UFFD | PTE_SPECIAL | PTE_ANON))
			break;
	return i;
}

static unsigned int some_of(struct world *w, unsigned int length)
{
	return roll(w, 3) ? 1 + roll(w, length) : length;
}

static u64 random_bits(struct world *w)
{
	return (roll(w, 2) ? PTE_WRITE : 0) | (roll(w, 2) ? PTE_AF : 0) | (roll(w, 3) ? 0 : PTE_DIRTY) |
	       (roll(w, 40) ? 0 : PTE_UFFD) | (roll(w, 60) ? 0 : PTE_SPECIAL) | (roll(w, 2) ? PTE_ANON : 0);
}

static void call_set(struct world *w, unsigned int index)
{
	const struct folio *folio = &w->folios[roll(w, NR_FOLIOS)];
	unsigned int size = 1u << folio->order, offset, nr, i;
	pte_t pte;

	/* Mostly where a fault would map it, aligned; sometimes anywhere. */
	offset = roll(w, 4) ? index & (size - 1) : roll(w, size);
	nr = roll(w, 3) ? 1 + roll(w, size - offset) : size - offset;
	if (!roll(w, 3))
		nr = 1;
	for (i = 0; i < nr && index + i < ENTRIES; i++)
		if (nr > 1 && pte_present(w->f->table[index + i]))
			break;
	if (nr > 1)
		nr = i;
	if (!nr)
		return;
	pte = fixture_pte(folio->pfn + offset, folio->order, random_bits(w));
	begin(w, "set_ptes", index, nr, nr, 0, w->f->policy.arch_knobs.set_ptes_checks_old ? -1 : 0);
	if (w->f->policy.arch_knobs.set_ptes_checks_old)
		w->stores = w->atomics = -1;
	w->f->ops->set_ptes(&w->f->mm, fixture_addr(w->f, index), &w->f->table[index], pte, nr);
	reference_set(&w->reference, index, pte, nr);
}

/* Fill a block entry by entry, as an unbatched mremap or migration would: this is what folds. */
static void call_set_ascending(struct world *w, unsigned int index)
{
	const struct folio *folio = &w->folios[roll(w, NR_FOLIOS)];
	unsigned int n = w->f->n, i;
	u64 bits = random_bits(w);
	pte_t pte;

	if (1u << folio->order < n)
		return;
	index &= ~(n - 1);
	begin(w, "run of singles", index, n, n, 0, 0);
	for (i = 0; i < n; i++) {
		pte = fixture_pte(folio->pfn + i, folio->order, bits ^ (roll(w, 4) ? 0 : PTE_AF));
		w->f->ops->set_ptes(&w->f->mm, fixture_addr(w->f, index + i), &w->f->table[index + i], pte, 1);
		reference_set(&w->reference, index + i, pte, 1);
		reference_note(&w->reference);
	}
}

static void call_swap(struct world *w, unsigned int index)
{
	pte_t pte = { (1000 + roll(w, 1000)) << PTE_PFN_SHIFT | PTE_SWAP };

	begin(w, "set swap entry", index, 1, 1, 0, 0);
	w->f->ops->set_ptes(&w->f->mm, fixture_addr(w->f, index), &w->f->table[index], pte, 1);
	reference_set(&w->reference, index, pte, 1);
}

static void call_clear(struct world *w, unsigned int index)
{
	unsigned int length = run_length(w, index), nr, i;
	bool young = false, dirty = false;
	pte_t pte;

	if (!length || !roll(w, 10)) {
		begin(w, "pte_clear", index, 1, 1, 0, 0);
		w->f->ops->pte_clear(&w->f->mm, fixture_addr(w->f, index), &w->f->table[index]);
		reference_clear(&w->reference, index, 1);
		return;
	}
	nr = some_of(w, length);
	begin(w, "get_and_clear_full_ptes", index, nr, 0, nr, 0);
	pte = w->f->ops->get_and_clear_full_ptes(&w->f->mm, fixture_addr(w->f, index), &w->f->table[index], nr,
						 roll(w, 2));
	for (i = index; i < index + nr; i++) {
		young |= pte_young(w->reference.entries[i]);
		dirty |= pte_dirty(w->reference.entries[i]);
	}
	check(w, reference_map(pte) == reference_map(w->reference.entries[index])); /* I15 */
	check(w, pte_young(pte) >= young && pte_dirty(pte) >= dirty);
	reference_clear(&w->reference, index, nr);
}

static void call_wrprotect(struct world *w, unsigned int index)
{
	unsigned int length = run_length(w, index), nr, i;

	if (!length)
		return;
	nr = some_of(w, length);
	begin(w, "wrprotect_ptes", index, nr, 0, nr == 1 ? -1 : (s64)nr, 0);
	w->f->ops->wrprotect_ptes(&w->f->mm, fixture_addr(w->f, index), &w->f->table[index], nr);
	for (i = index; i < index + nr; i++)
		check(w, !pte_write(w->f->table[i]) && !pte_hw_dirty(w->f->table[i])); /* I14 */
	reference_wrprotect(&w->reference, index, nr);
}

static void call_access(struct world *w, unsigned int index)
{
	pte_t *ptep = &w->f->table[index], entry = gathered(w, w->f->table, index);
	bool write = roll(w, 2), dirty = roll(w, 2);

	if (!pte_valid(*ptep) || *(u64 *)ptep & PTE_PROTNONE)
		return;
	write |= pte_write(entry);
	entry = pte_mkyoung(entry);
	if (dirty)
		entry = pte_mkdirty(entry);
	if (write)
		entry = pte_mkwrite(entry);
	begin(w, "ptep_set_access_flags", index, 1, 0, -1, -1);
	w->f->ops->ptep_set_access_flags(&w->f->mm, fixture_addr(w->f, index), ptep, entry, dirty);
	reference_access(&w->reference, index, true, dirty, write);
}

/*
 * Young and dirty are cleared for the whole of each folded block that the range touches. Helpers for runs look at the
 * bit alone, so that the stray ones of 6.13 to 7.2 mislead them to clear bits of entries that are no block.
 */
static void call_clear_bits(struct world *w, unsigned int index)
{
	unsigned int length = run_length(w, index), n = w->f->n, first = index, last, nr, kind = roll(w, 3);
	u64 widens = !kind || w->f->policy.arch_knobs.batch_young ? PTE_CONT : PTE_CONT | PTE_VALID;
	bool young = roll(w, 3), dirty = !young || roll(w, 2), was_young = false;
	const struct arch_ops *ops = w->f->ops;
	unsigned int i;
	bool found;

	if (!length)
		return;
	nr = some_of(w, length);
	last = index + nr - 1;
	if ((w->f->table[first].val & widens) == widens)
		first &= ~(n - 1);
	if ((w->f->table[last].val & widens) == widens)
		last |= n - 1;
	switch (kind) {
	case 0:
		begin(w, "clear_young_dirty_ptes", index, nr, -1, -1, 0);
		ops->clear_young_dirty_ptes(&w->f->mm, fixture_addr(w->f, index), &w->f->table[index], nr, young,
					    dirty);
		break;
	default:
		young = true;
		dirty = false;
		for (i = first; i <= last; i++)
			was_young |= pte_young(w->f->table[i]);
		begin(w, "run of singles", index, nr, 0, -1, -1);
		if (roll(w, 2))
			found = ops->test_and_clear_young_ptes(&w->f->mm, fixture_addr(w->f, index),
							       &w->f->table[index], nr);
		else
			found = ops->clear_flush_young_ptes(&w->f->mm, fixture_addr(w->f, index), &w->f->table[index],
							    nr);
		check(w, found == was_young);
	}
	reference_clear_bits(&w->reference, first, last - first + 1, young, dirty);
}

static void call_mprotect(struct world *w, unsigned int index)
{
	bool batch = w->f->policy.mm.batch_mprotect, write = roll(w, 2), none = !write && !roll(w, 4);
	unsigned int length = run_length(w, index), nr, step, i;
	const struct arch_ops *ops = w->f->ops;
	pte_t old, new;

	if (!length)
		return;
	nr = some_of(w, length);
	step = batch ? nr : 1;
	begin(w, "run of singles", index, nr, nr, nr, w->f->policy.arch_knobs.set_ptes_checks_old ? -1 : 0);
	for (i = index; i < index + nr; i += step) {
		old = ops->modify_prot_start_ptes(&w->f->mm, fixture_addr(w->f, i), &w->f->table[i], step);
		new = pte_modify(old, write, false, none);
		ops->modify_prot_commit_ptes(&w->f->mm, fixture_addr(w->f, i), &w->f->table[i], old, new, step);
	}
	reference_mprotect(&w->reference, index, nr, write, none);
}

static void call_clear_flush(struct world *w, unsigned int index)
{
	pte_t pte;

	begin(w, "ptep_clear_flush", index, 1, 0, 1, pte_valid(w->f->table[index]));
	pte = w->f->ops->ptep_clear_flush(&w->f->mm, fixture_addr(w->f, index), &w->f->table[index]);
	check(w, reference_map(pte) == reference_map(w->reference.entries[index]));
	reference_clear(&w->reference, index, 1);
}

/* The table walker of a CPU: sets A, or makes a writable entry dirty; in a block it may pick any entry. */
static void call_hardware(struct world *w, unsigned int index)
{
	unsigned int n = w->f->n, place = index;
	pte_t *ptep = &w->f->table[index];
	bool dirty = roll(w, 2);

	if (!pte_valid(*ptep) || ptep->val & PTE_PROTNONE)
		return;
	if (pte_cont(*ptep))
		place = (index & ~(n - 1)) + roll(w, n);
	begin(w, "hardware", index, 1, 0, 0, 0);
	w->f->table[place].val |= PTE_AF;
	if (dirty && pte_write(*ptep))
		w->f->table[place].val &= ~PTE_RDONLY;
	reference_access(&w->reference, index, true, dirty && pte_write(*ptep), false);
}

static void call_read(struct world *w, unsigned int index)
{
	const struct arch_ops *ops = w->f->ops;
	pte_t *ptep = &w->f->table[index], wanted = gathered(w, w->f->table, index), pte;
	unsigned int hint;

	begin(w, "ptep_get", index, 1, 0, 0, 0);
	pte = ops->ptep_get(&w->f->mm, fixture_addr(w->f, index), ptep);
	check(w, pte.val == wanted.val);
	hint = ops->pte_batch_hint(&w->f->mm, fixture_addr(w->f, index), pte);
	check(w, hint == 1 || (pte_cont(pte) && hint == w->f->n - index % w->f->n)); /* I18 */
	fixture_zero(w->f);
	w->call = "ptep_get_lockless";
	if (w->f->policy.arch_knobs.lockless == LOCKLESS_NORECENCY)
		wanted = *ptep;
	pte = ops->ptep_get_lockless(&w->f->mm, fixture_addr(w->f, index), ptep);
	check(w, pte.val == wanted.val);
}

static void one_step(struct world *w)
{
	static void (*const calls[])(struct world *, unsigned int) = {
		call_set, call_set, call_set, call_set_ascending, call_set_ascending, call_swap, call_clear, call_clear,
		call_wrprotect, call_access, call_access, call_clear_bits, call_mprotect, call_mprotect,
		call_clear_flush,
		call_hardware, call_hardware, call_hardware, call_read, call_read,
	};
	s64 live = w->f->live;

	w->call = NULL;
	calls[roll(w, ARRAY_SIZE(calls))](w, roll(w, ENTRIES));
	if (!w->call)
		return;
	check_counters(w, check_blocks(w));
	check_map(w);
	check_extent(w, live);
	check_union(w);
}

static void make_folios(struct world *w)
{
	static const unsigned int orders[] = { 0, 0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 9 };
	unsigned int i;
	u64 pfn = 0x1000;

	for (i = 0; i < NR_FOLIOS; i++) {
		w->folios[i].order = orders[i % ARRAY_SIZE(orders)];
		pfn = ALIGN_UP(pfn + roll(w, 600), 1ull << w->folios[i].order);
		w->folios[i].pfn = pfn;
		pfn += 1ull << w->folios[i].order;
	}
}

/* Every kind of event must have happened, or the checks have checked nothing. Large blocks are hit whole less often. */
static void check_reached(struct world *w, const struct arch_counters *sum)
{
	u64 many = 1000 / w->f->n;

	check(w, sum->born > many && sum->unfold > many);
	check(w, sum->erased > many / 10 || !w->f->policy.arch_knobs.batch_helpers);
	check(w, sum->fold > many || w->f->policy.arch_knobs.fold_sites == FOLD_NONE);
	check(w, sum->flush_calls > 1000);
}

static void run_policy(const char *spec, u64 seed)
{
	struct world *w = calloc(1, sizeof(*w));
	struct arch_counters sum = { 0 };
	size_t i;

	w->spec = spec;
	w->seed = seed;
	w->random = seed;
	w->f = fixture_new(spec);
	make_folios(w);
	for (w->step = 0; w->step < STEPS; w->step++) {
		/* Now and then all at once, so that large runs find room. */
		if (!roll(w, 400)) {
			w->f->ops->clear_full_ptes(&w->f->mm, fixture_addr(w->f, 0), w->f->table, ENTRIES, true);
			reference_clear(&w->reference, 0, ENTRIES);
		}
		one_step(w);
		for (i = 0; w->call && i < ARCH_NR_COUNTERS; i++)
			((u64 *)&sum)[i] += ((u64 *)&w->f->counters)[i];
	}
	w->call = "the whole run";
	if (w->f->policy.arch_knobs.cont)
		check_reached(w, &sum);
	free(w->f);
	free(w);
}

static u64 seed_of_run(void)
{
	const char *text = getenv("REFOLD_TEST_SEED");

	return text ? strtoull(text, NULL, 0) : 0x5eed2026ull;
}

/*
 * All named points that run contpte's code, on arm64 or elsewhere, or arm64's bare helpers; but not those whose exit
 * clears folded blocks in part. tests/unit/properties has all.
 */
static bool takes_part(size_t index)
{
	const struct rf_policy *policy = rf_policy_named(index), *earlier;
	size_t i;

	/* Points that differ in core mm only are one here. */
	for (i = 0; i < index; i++) {
		earlier = rf_policy_named(i);
		if (earlier->arch == policy->arch &&
		    !memcmp(&earlier->arch_knobs, &policy->arch_knobs, sizeof(policy->arch_knobs)))
			return false;
	}
	return policy->arch_knobs.zap_full_trick == ZAP_FULL_TRICK_NONE &&
	       (policy->arch_knobs.cont || !strcmp(policy->arch->name, "arm64"));
}

static void test_invariants(void **state)
{
	static const char *const variants[] = {
		"linux-6.12+fold_sites=any", "linux-7.3+fold_sites=any", "linux-7.3+bbml3=true",
		"linux-6.12+fold_sites=none", "linux-7.3+granule=64k+tlbi=single",
	};
	const struct rf_policy *policy;
	u64 seed = seed_of_run();
	size_t i;

	print_message("seed %#llx, %d calls for each policy\n", (unsigned long long)seed, STEPS);
	for (i = 0; (policy = rf_policy_named(i)); i++)
		if (takes_part(i))
			run_policy(policy->name, seed + i * 0x9e3779b97f4a7c15ull);
	for (i = 0; i < ARRAY_SIZE(variants); i++)
		run_policy(variants[i], seed - i * 0x9e3779b97f4a7c15ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_invariants) };

	return cmocka_run_group_tests_name("property", tests, NULL, NULL);
}
