// SPDX-License-Identifier: MIT
/* A world: one machine under test, its reference, and the steps that both take. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tlb.h"

/* ---- failing ---- */

void violation(struct world *w, const char *oracle, const char *format, ...)
{
	va_list args;

	if (w->config->only && strcmp(w->config->only, oracle))
		return;
	w->failure.failed = true;
	w->failure.step = w->step_number;
	snprintf(w->failure.oracle, sizeof(w->failure.oracle), "%s", oracle);
	va_start(args, format);
	vsnprintf(w->failure.text, sizeof(w->failure.text), format, args);
	va_end(args);
	longjmp(w->escape, 1);
}

/* ---- what is where ---- */

u64 page_addr(const struct world *w, u32 page)
{
	return reference_addr(w->reference, page);
}

u32 addr_page(const struct world *w, u64 addr)
{
	return reference_page(w->reference, addr);
}

u32 nr_pages(const struct world *w)
{
	return w->reference->nr_pages;
}

struct mm *mm_of(const struct world *w, u32 mm)
{
	return machine_mm(w->machine, mm);
}

pte_t entry_of(struct world *w, u32 mm, u32 page)
{
	return rf_machine_lookup(w->machine, mm, page_addr(w, page));
}

bool is_leaf(struct world *w, u32 mm, u32 page)
{
	struct mm *space = mm_of(w, mm);
	pmd_t *pmd = space ? pmd_offset(space, page_addr(w, page)) : NULL;

	return pmd && pmd_leaf(*pmd);
}

/* By table, a step's pages are one stretch: what it touches lies close together. */
void touch(struct world *w, u32 mm, u32 first, u32 last)
{
	u32 size = w->reference->table_pages, table, from, to;
	struct extent *extent;

	for (table = first / size; table <= last / size; table++) {
		extent = &w->extents[mm][table];
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
	struct world *w = context;
	struct vm_area *vma = page < nr_pages(w) && mm_of(w, mm) ? vma_lookup(mm_of(w, mm), page_addr(w, page)) : NULL;

	if (!vma)
		return false;
	*start = vma->start;
	*end = vma->end;
	return true;
}

/* vma_needs_copy() */
static bool view_fork_copies(void *context, u32 mm, u32 page)
{
	struct world *w = context;
	struct vm_area *vma = vma_lookup(mm_of(w, mm), page_addr(w, page));

	return vma && vma->anon_vma;
}

/* ---- worlds ---- */

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

struct world *world_create(const struct config *config)
{
	struct world *w = calloc(1, sizeof(*w));
	const struct arch_geometry *geometry = &config->policy.geometry;
	const struct reference_view view = { w, view_fork_copies, view_leaf, view_span, view_touch };
	struct rf_policy policy = config->policy;

	if (!w)
		abort();
	w->config = config;
	w->random = config->seed * 0x9e3779b97f4a7c15ull + 0x5eed;
	w->next_pfn = 0x10000;
	w->reference = reference_create(geometry->page_shift, 1u << geometry->table_shift, &view);
	w->reference->old_prefaulted = config->backend->old_prefaulted_ptes && config->policy.mm.prefault_old;
	w->reference->write_upgrade = config->policy.mm.write_upgrade;
	w->reference->refolds = config->policy.arch_knobs.fold_sites == FOLD_ANY;
	w->tlb = tlb_create(w);
	w->flushes = calloc(1, sizeof(*w->flushes));
	w->folded = calloc(REFERENCE_MMS, w->reference->nr_pages);
	spy_attach(w, &policy);
	w->machine = rf_machine_create(&policy);
	if (!w->flushes || !w->folded || !w->machine)
		abort();
	return w;
}

void world_destroy(struct world *w)
{
	spy_release(w);
	rf_machine_destroy(w->machine);
	tlb_destroy(w->tlb);
	reference_destroy(w->reference);
	free(w->flushes);
	free(w->folded);
	free(w);
}

/* ---- steps ---- */

/* In a folded block the walker may note the access in any entry. */
static void access_entry(struct world *w, const struct rf_op *op, u64 choice)
{
	u32 n = w->config->policy.geometry.cont_ptes, page = addr_page(w, op->addr);
	struct mm *mm = mm_of(w, op->mm);
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
static bool divides(const struct world *w, const struct rf_op *op)
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
		return op->nr > 1 && op->nr < w->reference->table_pages;
	}
	return false;
}

/* Cut the first piece off: at most half of what is left, so that a few pieces do. */
static struct rf_op cut(const struct world *w, struct rf_op *rest, u64 *choice)
{
	unsigned int shift = w->reference->page_shift;
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

static void run_op(struct world *w, const struct rf_op *op)
{
	require(w, "run", !rf_machine_run(w->machine, op, 1), "the machine fails");
}

static void run_on_machine(struct world *w, const struct step *step)
{
	struct rf_op rest = step->op, piece;
	u64 choice = step->choice / 8;

	if (step->choice % 8 || !divides(w, &rest)) {
		run_op(w, &rest);
		return;
	}
	while (rest.nr > 1 || rest.end > rest.addr + page_size(mm_of(w, rest.mm))) {
		piece = cut(w, &rest, &choice);
		run_op(w, &piece);
		if (choice < 3)
			break;
	}
	if (rest.nr || rest.end > rest.addr)
		run_op(w, &rest);
}

static void take_step(struct world *w, const struct step *step)
{
	const struct rf_op *op = &step->op;

	tlb_begin_step(w);
	/* The reference goes first: it asks for leaves and VMAs as they are before. */
	if (op->kind == STEP_HARDWARE) {
		reference_access(w->reference, op->mm, addr_page(w, op->addr), op->flags & RF_OP_WRITE);
		access_entry(w, op, step->choice);
	} else {
		reference_run(w->reference, op);
		run_on_machine(w, step);
	}
	if (op->kind == RF_OP_MM_EXIT) {
		tlb_forget_mm(w, op->mm);
		forget_folded(w, op->mm);
	}
	compare_extents(w);
	if (op->kind == RF_OP_FORK)
		check_fork(w, op->mm, op->mm2);
	tlb_end_step(w);
}

bool world_step(struct world *w, const struct step *step)
{
	w->step = step;
	if (setjmp(w->escape))
		return false;
	take_step(w, step);
	w->step_number++;
	return true;
}

bool world_check_all(struct world *w)
{
	if (setjmp(w->escape))
		return false;
	compare_all(w);
	return true;
}
