// SPDX-License-Identifier: MIT
/* A trial: one machine under test, its reference, and the steps that both take. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arch/loaded/loaded.h"
#include "properties/tlb.h"

/* ---- failing ---- */

void violation(struct trial *t, const char *oracle, const char *format, ...)
{
	const struct property *property = t->config->skipped ? property_find(oracle) : NULL;
	va_list args;

	if (t->config->only && strcmp(t->config->only, oracle))
		return;
	if (property && t->config->skipped >> (property - properties) & 1)
		return;
	t->failure.failed = true;
	t->failure.step = t->step_number;
	snprintf(t->failure.oracle, sizeof(t->failure.oracle), "%s", oracle);
	va_start(args, format);
	vsnprintf(t->failure.text, sizeof(t->failure.text), format, args);
	va_end(args);
	longjmp(t->escape, 1);
}

/* ---- what is where ---- */

u64 page_addr(const struct trial *t, u32 page)
{
	return reference_addr(t->reference, page);
}

u32 addr_page(const struct trial *t, u64 addr)
{
	return reference_page(t->reference, addr);
}

u32 nr_pages(const struct trial *t)
{
	return t->reference->nr_pages;
}

struct mm *mm_of(const struct trial *t, u32 mm)
{
	return machine_mm(t->machine, mm);
}

pte_t entry_of(struct trial *t, u32 mm, u32 page)
{
	return rf_machine_lookup(t->machine, mm, page_addr(t, page));
}

bool is_leaf(struct trial *t, u32 mm, u32 page)
{
	struct mm *space = mm_of(t, mm);
	pmd_t *pmd = space ? pmd_offset(space, page_addr(t, page)) : NULL;

	return pmd && pmd_leaf(*pmd);
}

/* By table, a step's pages are one stretch: what it touches lies close together. */
void touch(struct trial *t, u32 mm, u32 first, u32 last)
{
	u32 size = t->reference->table_pages, table, from, to;
	struct extent *extent;

	for (table = first / size; table <= last / size; table++) {
		extent = &t->extents[mm][table];
		from = first > table * size ? first : table * size;
		to = last < (table + 1) * size - 1 ? last : (table + 1) * size - 1;
		if (!extent->any) {
			*extent = (struct extent){ .first = from, .last = to, .any = true };
			continue;
		}
		if (from < extent->first)
			extent->first = from;
		if (to > extent->last)
			extent->last = to;
	}
}

/* ---- what the reference asks ---- */

static void view_touch(void *context, u32 mm, u32 first, u32 last)
{
	touch(context, mm, first, last);
}

static bool view_leaf(void *context, u32 mm, u32 page)
{
	return is_leaf(context, mm, page);
}

static bool view_span(void *context, u32 mm, u32 page, u64 *start, u64 *end)
{
	struct trial *t = context;
	struct vm_area *vma = page < nr_pages(t) && mm_of(t, mm) ? vma_lookup(mm_of(t, mm), page_addr(t, page)) : NULL;

	if (!vma)
		return false;
	*start = vma->start;
	*end = vma->end;
	return true;
}

/* vma_needs_copy() */
static bool view_fork_copies(void *context, u32 mm, u32 page)
{
	struct trial *t = context;
	struct vm_area *vma = vma_lookup(mm_of(t, mm), page_addr(t, page));

	return vma && vma->anon_vma;
}

/* ---- trials ---- */

bool config_init(struct config *config, const char *spec, u64 seed)
{
	char copy[sizeof(config->spec)], *rest = copy, *part, *value;
	const struct rf_policy *named;
	struct rf_error err;

	*config = (struct config){ .seed = seed };
	snprintf(config->spec, sizeof(config->spec), "%s", spec);
	snprintf(copy, sizeof(copy), "%s", spec);
	named = rf_policy_find(strsep(&rest, "+"));
	if (!named)
		return false;
	config->policy = *named;
	while ((part = strsep(&rest, "+"))) {
		value = strchr(part, '=');
		if (!value)
			return false;
		*value++ = '\0';
		if (rf_policy_set(&config->policy, part, value, &err))
			return false;
	}
	config->backend = config->policy.arch;
	return true;
}

void config_of(struct config *config, const struct rf_policy *policy, u64 seed)
{
	*config = (struct config){ .seed = seed, .policy = *policy, .backend = policy->arch };
	snprintf(config->spec, sizeof(config->spec), "%s", policy->name);
}

struct trial *trial_create(const struct config *config)
{
	struct trial *t = calloc(1, sizeof(*t));
	const struct arch_geometry *geometry = &config->policy.geometry;
	const struct reference_view view = { t, view_fork_copies, view_leaf, view_span, view_touch };
	struct rf_policy policy = config->policy;

	if (!t)
		abort();
	t->config = config;
	t->random = config->seed * 0x9e3779b97f4a7c15ull + 0x5eed;
	t->next_pfn = 0x10000;
	t->reference = reference_create(geometry->page_shift, 1u << geometry->table_shift, &view);
	t->reference->old_prefaulted = config->backend->old_prefaulted_ptes && config->policy.mm.prefault_old;
	t->reference->write_upgrade = config->policy.mm.write_upgrade;
	t->reference->pageout_ages = !config->policy.mm.pageout_ignores_young;
	t->loaded = config->backend->loaded;
	/* Where loaded code folds is its own affair. */
	t->reference->refolds = config->policy.arch_knobs.fold_sites >= FOLD_ANY ||
				config->policy.arch_knobs.refold_lazy || config->policy.mm.khuge_cont ||
				config->policy.arch_knobs.unfold_free_split || t->loaded;
	t->reference->reuse_around = config->policy.mm.reuse_around != REUSE_AROUND_PAGE;
	t->tlb = tlb_create(t);
	t->flushes = calloc(1, sizeof(*t->flushes));
	t->folded = calloc(REFERENCE_MMS, t->reference->nr_pages);
	spy_attach(t, &policy);
	t->machine = rf_machine_create(&policy);
	if (!t->flushes || !t->folded || !t->machine)
		abort();
	/* The oracles know a table by where it is; tests/unit/engine has compact ones. */
	table_keep_recent(t->machine->tables, SIZE_MAX);
	if (t->loaded)
		arch_loaded_forget_warnings(t->loaded);
	crash_watch(t);
	return t;
}

void trial_destroy(struct trial *t)
{
	crash_watch(NULL);
	spy_release(t);
	rf_machine_destroy(t->machine);
	tlb_destroy(t->tlb);
	reference_destroy(t->reference);
	free(t->flushes);
	free(t->folded);
	free(t);
}

/* ---- steps ---- */

/* In a folded block the walker may note the access in any entry. */
static void access_entry(struct trial *t, const struct rf_op *op, u64 choice)
{
	u32 n = t->config->policy.geometry.cont_ptes, page = addr_page(t, op->addr);
	struct mm *mm = mm_of(t, op->mm);
	pmd_t *pmd = pmd_offset(mm, op->addr);
	pte_t *ptep, leaf;

	if (pmd_leaf(*pmd)) {
		leaf = pmd_pte(*pmd);
		ptep = &leaf;
	} else {
		ptep = pte_offset(mm, pmd, op->addr);
		if (pte_cont(*ptep))
			ptep += (s64)(choice % n) - page % n;
	}
	ptep->val |= PTE_AF;
	if ((op->flags & RF_OP_WRITE) && pte_write(*ptep))
		ptep->val &= ~PTE_RDONLY;
	if (pmd_leaf(*pmd))
		set_pmd_leaf(pmd, leaf);
}

/* What may be done in pieces, with the same result (I17). */
static bool divides(const struct trial *t, const struct rf_op *op)
{
	switch (op->kind) {
	case RF_OP_ZAP:
	case RF_OP_MUNMAP:
	case RF_OP_MPROTECT:
		return true;
	case RF_OP_FAULT_FILE:
	case RF_OP_UNMAP_SWAP:
	case RF_OP_UNMAP_FILE:
	case RF_OP_MIGRATE_OUT:
	case RF_OP_MKCLEAN:
		return op->nr > 1;
	case RF_OP_MIGRATE_IN:
		/* A leaf comes back as a leaf only if it comes back whole. */
		return op->nr > 1 && op->nr < t->reference->table_pages;
	}
	return false;
}

/* Cut the first piece off: at most half of what is left, so that a few pieces do. */
static struct rf_op cut(const struct trial *t, struct rf_op *rest, u64 *choice)
{
	unsigned int shift = t->reference->page_shift;
	bool by_range = rest->kind == RF_OP_ZAP || rest->kind == RF_OP_MUNMAP || rest->kind == RF_OP_MPROTECT;
	u64 left = by_range ? (rest->end - rest->addr) >> shift : rest->nr;
	u64 nr = left < 2 ? left : 1 + *choice % (left - 1), middle = rest->addr + (nr << shift);
	struct rf_op piece = *rest;
	bool inside = rest->aux >= rest->addr && rest->aux < rest->addr + (left << shift);

	*choice = *choice / 7 + 1;
	rest->addr = middle;
	if (by_range) {
		piece.end = middle;
		return piece;
	}
	piece.nr = nr;
	rest->nr = left - nr;
	rest->pfn += nr;
	rest->flags &= ~RF_OP_FIRST;
	/* Pages that were faulted for, and not around, are so in every piece. */
	if (rest->kind == RF_OP_FAULT_FILE && inside) {
		piece.aux = piece.addr;
		rest->aux = rest->addr;
	}
	return piece;
}

static void run_op(struct trial *t, const struct rf_op *op)
{
	require(t, "run", !rf_machine_run(t->machine, op, 1), "the machine fails");
}

static void run_on_machine(struct trial *t, const struct step *step)
{
	struct rf_op rest = step->op, piece;
	u64 choice = step->choice / 8;

	if (step->choice % 8 || !divides(t, &rest)) {
		run_op(t, &rest);
		return;
	}
	while (rest.nr > 1 || rest.end > rest.addr + page_size(mm_of(t, rest.mm))) {
		piece = cut(t, &rest, &choice);
		run_op(t, &piece);
		if (choice < 3)
			break;
	}
	if (rest.nr || rest.end > rest.addr)
		run_op(t, &rest);
}

/* What the code itself finds wrong: a kernel's WARN_ON(). */
static void check_warnings(struct trial *t)
{
	const struct arch_loaded_warning *first = t->loaded ? t->loaded->warnings : NULL;

	require(t, "warn", !first || !first->count, "%s: %s", first->where, first->what);
}

/* A bit for each table of each address space that is a leaf. */
static u32 leaves(struct trial *t)
{
	u32 nr = nr_pages(t) / t->reference->table_pages, found = 0, i;

	for (i = 0; i < REFERENCE_MMS * nr; i++)
		found |= (u32)is_leaf(t, i / nr, i % nr * t->reference->table_pages) << i;
	return found;
}

/* Of what was split to be moved a part is at its new place; a leaf that moved whole still is one. */
static void note_moved_split(struct trial *t, const struct rf_op *op, u32 first, u32 end)
{
	u32 from = (u32)max_u64(first, addr_page(t, op->addr)), to = addr_page(t, op->addr2);

	end = (u32)min_u64(end, addr_page(t, op->end));
	if (from >= end)
		return;
	to += from - addr_page(t, op->addr);
	if (!is_leaf(t, op->mm, to))
		reference_split_cleans(t->reference, op->mm, to, end - from);
}

static void note_splits(struct trial *t, const struct rf_op *op, u32 split)
{
	u32 size = t->reference->table_pages, nr = nr_pages(t) / size, i;

	for (i = 0; i < REFERENCE_MMS * nr; i++) {
		if (!(split >> i & 1))
			continue;
		reference_split_cleans(t->reference, i / nr, i % nr * size, size);
		if (op->kind == RF_OP_MREMAP && op->mm == i / nr)
			note_moved_split(t, op, i % nr * size, (i % nr + 1) * size);
	}
}

static void take_step(struct trial *t, const struct step *step)
{
	const struct rf_op *op = &step->op;
	u32 before = leaves(t);

	tlb_begin_step(t);
	/* The reference goes first: it asks for leaves and VMAs as they are before. */
	if (op->kind == STEP_HARDWARE) {
		reference_access(t->reference, op->mm, addr_page(t, op->addr), op->flags & RF_OP_WRITE);
		access_entry(t, op, step->choice);
	} else {
		reference_run(t->reference, op);
		run_on_machine(t, step);
	}
	if (!t->config->policy.mm.pmd_split_dirty)
		note_splits(t, op, before & ~leaves(t));
	if (op->kind == RF_OP_MM_EXIT) {
		tlb_forget_mm(t, op->mm);
		forget_folded(t, op->mm);
	}
	compare_extents(t);
	if (op->kind == RF_OP_FORK)
		check_fork(t, op->mm, op->mm2);
	tlb_end_step(t);
	check_warnings(t);
}

bool trial_step(struct trial *t, const struct step *step)
{
	t->step = step;
	if (setjmp(t->escape)) {
		arch_loaded_leave_hook();
		return false;
	}
	take_step(t, step);
	t->step_number++;
	return true;
}

bool trial_check_all(struct trial *t)
{
	if (setjmp(t->escape))
		return false;
	compare_all(t);
	return true;
}

/* ---- episodes ---- */

#define FULL_CHECK 500u		/* steps between looks at everything */

struct episode_run {
	const struct config *config;
	size_t nr;
	struct episode *episode;
	void (*ended)(void *context, const struct trial *t);
	void *context;
};

static void run_steps(void *context)
{
	struct episode_run *run = context;
	struct episode *episode = run->episode;
	struct trial *t = trial_create(run->config);
	bool all;

	while (!t->failure.failed && episode->nr < run->nr) {
		struct step *step = &episode->steps[episode->nr++];

		*step = generate(t);
		all = episode->nr % FULL_CHECK == 0 || episode->nr == run->nr;
		if (trial_step(t, step) && all)
			trial_check_all(t);
	}
	episode->failure = t->failure;
	if (run->ended)
		run->ended(run->context, t);
	trial_destroy(t);
}

int run_episode(const struct config *config, size_t nr, struct episode *episode,
		void (*ended)(void *context, const struct trial *t), void *context)
{
	struct episode_run run = { config, nr, episode, ended, context };
	int ret;

	*episode = (struct episode){ .steps = malloc(nr * sizeof(*episode->steps)) };
	if (!episode->steps)
		return -ENOMEM;
	ret = crash_run(run_steps, &run);
	if (ret)
		free(episode->steps);
	return ret;
}
