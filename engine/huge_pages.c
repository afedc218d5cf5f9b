// SPDX-License-Identifier: MIT
/* Where the huge pages of hugetlb are: lists of address spaces, and of PMD tables that they share. */
#include "engine/huge_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/table.h"
#include "engine/pgtable.h"

struct huge_pmd_user {
	struct mm *mm;
	u64 addr;
};

/* By file and offset; there are no more than hugetlb has GiBs. */
#define HUGE_PMD_BUCKETS 1024u

struct huge_pmd {
	u64 file, pgoff;		/* where in the file it begins */
	struct huge_pages pages;
	struct huge_pmd_user *users;
	size_t max_users;
	u32 nr_users;
	struct huge_pmd *next;		/* of its bucket */
};

/* ---- lists ----------------------------------------------------------------------- */

/* Index of the first huge page that ends after addr. */
static u32 page_index(const struct huge_pages *list, u64 addr)
{
	u32 low = 0, high = list->nr;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		const struct huge_page *page = &list->pages[middle];

		if (page->addr + huge_page_size(page) > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static struct huge_page *list_insert(struct huge_pages *list, u64 addr, const struct arch_huge_size *size)
{
	pte_t *entries = calloc(size->entries, sizeof(*entries));
	u32 index = page_index(list, addr);

	if (!entries || array_grow(list->pages, list->max, list->nr + 1ul)) {
		free(entries);
		return NULL;
	}
	memmove(&list->pages[index + 1], &list->pages[index], (list->nr - index) * sizeof(*list->pages));
	list->nr++;
	list->pages[index] = (struct huge_page){ .addr = addr, .size = size, .entries = entries };
	return &list->pages[index];
}

/* Those that begin in [start, end), which ends where a huge page does. */
static void list_remove(struct huge_pages *list, u64 start, u64 end)
{
	u32 first = page_index(list, start), last = first;

	for (; last < list->nr && list->pages[last].addr < end; last++)
		free(list->pages[last].entries);
	if (last == first)
		return;		/* there may be no list to move within */
	memmove(&list->pages[first], &list->pages[last], (list->nr - last) * sizeof(*list->pages));
	list->nr -= last - first;
}

static void list_destroy(struct huge_pages *list)
{
	list_remove(list, 0, ~0ull);
	free(list->pages);
	*list = (struct huge_pages){ 0 };
}

/* ---- tables that can be shared ------------------------------------------------------ */

/* Index of the first of them that ends after addr. */
static u32 pmd_index(struct mm *mm, u64 addr)
{
	u64 size = pud_size(mm);
	u32 low = 0, high = mm->nr_huge_pmds;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (mm->huge_pmds[middle].addr + size > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static struct huge_pmd_slot *find_slot(struct mm *mm, u64 addr)
{
	u32 index = mm->nr_huge_pmds ? pmd_index(mm, addr) : 0;

	return index < mm->nr_huge_pmds && mm->huge_pmds[index].addr <= addr ? &mm->huge_pmds[index] : NULL;
}

static bool range_in_vma(const struct vm_area *vma, u64 start, u64 size)
{
	return vma && vma->start <= start && start + size <= vma->end;
}

/* want_pmd_share(), of a page that one entry of a PMD table maps. */
static bool want_pmd_share(struct mm *mm, const struct vm_area *vma, u64 start, const struct arch_huge_size *size)
{
	return mm->arch.ops->shares_huge_pmds && mm->arch.geometry->levels > 2 && size->page_shift < 16 &&
	       size->level == HUGE_LEVEL_PMD && size->entries == 1 && vma->file && (vma->flags & RF_VM_SHARED) &&
	       !(vma->attributes & (RF_ATTRIBUTE_UFFD_WP | RF_ATTRIBUTE_UFFD_MINOR)) &&
	       range_in_vma(vma, start, pud_size(mm));
}

/* page_table_shareable(), of the VMA in which a user has it. */
static bool is_shareable(const struct huge_pmd_user *user, const struct vm_area *vma)
{
	const struct vm_area *other = vma_lookup(user->mm, user->addr);

	return range_in_vma(other, user->addr, pud_size(user->mm)) &&
	       !((other->flags ^ vma->flags) & ~(u32)RF_VM_LOCKED);
}

/* NULL: no memory. */
static struct huge_pmd **bucket_of(struct rf_machine *machine, u64 file, u64 pgoff)
{
	if (!machine->huge_pmds)
		machine->huge_pmds = calloc(HUGE_PMD_BUCKETS, sizeof(*machine->huge_pmds));
	return machine->huge_pmds ? &machine->huge_pmds[table_hash(file * 31 + pgoff) % HUGE_PMD_BUCKETS] : NULL;
}

static struct huge_pmd *find_pmd(struct huge_pmd *pmd, const struct vm_area *vma, u64 pgoff)
{
	u32 i;

	for (; pmd; pmd = pmd->next)
		for (i = 0; pmd->file == vma->file && pmd->pgoff == pgoff && i < pmd->nr_users; i++)
			if (is_shareable(&pmd->users[i], vma))
				return pmd;
	return NULL;
}

static struct huge_pmd *new_pmd(struct huge_pmd **bucket, u64 file, u64 pgoff)
{
	struct huge_pmd *pmd = calloc(1, sizeof(*pmd));

	if (!pmd)
		return NULL;
	*pmd = (struct huge_pmd){ .file = file, .pgoff = pgoff, .next = *bucket };
	*bucket = pmd;
	return pmd;
}

static void free_pmd(struct rf_machine *machine, struct huge_pmd *pmd)
{
	struct huge_pmd **link = bucket_of(machine, pmd->file, pmd->pgoff);

	while (*link != pmd)
		link = &(*link)->next;
	*link = pmd->next;
	list_destroy(&pmd->pages);
	free(pmd->users);
	free(pmd);
}

static int add_user(struct huge_pmd *pmd, struct mm *mm, u64 start)
{
	u32 index = pmd_index(mm, start);

	if (array_grow(pmd->users, pmd->max_users, pmd->nr_users + 1ul) ||
	    array_grow(mm->huge_pmds, mm->max_huge_pmds, mm->nr_huge_pmds + 1ul))
		return -ENOMEM;
	memmove(&mm->huge_pmds[index + 1], &mm->huge_pmds[index],
		(mm->nr_huge_pmds - index) * sizeof(*mm->huge_pmds));
	mm->huge_pmds[index] = (struct huge_pmd_slot){ start, pmd, pmd->nr_users };
	mm->nr_huge_pmds++;
	pmd->users[pmd->nr_users++] = (struct huge_pmd_user){ mm, start };
	return 0;
}

void huge_pmd_share(struct mm *mm, const struct vm_area *vma, u64 addr, const struct arch_huge_size *size)
{
	u64 start = ALIGN_DOWN(addr, pud_size(mm)), pgoff;
	struct huge_pmd *pmd = NULL, **bucket;
	u32 index;

	if (!want_pmd_share(mm, vma, start, size) || find_slot(mm, addr))
		return;
	/* There is a table that was made when the mapping was smaller. */
	index = page_index(&mm->huge_pages, start);
	if (index < mm->huge_pages.nr && mm->huge_pages.pages[index].addr < start + pud_size(mm))
		return;
	pgoff = vma->pgoff + ((start - vma->start) >> mm->arch.geometry->page_shift);
	bucket = bucket_of(mm->machine, vma->file, pgoff);
	if (bucket)
		pmd = find_pmd(*bucket, vma, pgoff);
	if (bucket && !pmd)
		pmd = new_pmd(bucket, vma->file, pgoff);
	if (pmd && !add_user(pmd, mm, start))
		return;
	mm_error(mm, -ENOMEM);
	if (pmd && !pmd->nr_users)
		free_pmd(mm->machine, pmd);
}

u32 huge_pmd_users(struct mm *mm, u64 addr)
{
	const struct huge_pmd_slot *slot = find_slot(mm, addr);

	return slot ? slot->pmd->nr_users : 0;
}

/* The last user takes the place of the one that leaves. */
static void drop_user(struct huge_pmd *pmd, u32 i)
{
	struct huge_pmd_user *user = &pmd->users[i], *last = &pmd->users[--pmd->nr_users];

	if (user == last)
		return;
	*user = *last;
	find_slot(user->mm, user->addr)->user = i;
}

u32 huge_pmd_drop(struct mm *mm, u64 addr)
{
	struct huge_pmd_slot *slot = find_slot(mm, addr);
	struct huge_pmd *pmd = slot->pmd;
	u32 index = slot - mm->huge_pmds;

	drop_user(pmd, slot->user);
	memmove(slot, slot + 1, (mm->nr_huge_pmds - index - 1) * sizeof(*slot));
	mm->nr_huge_pmds--;
	if (pmd->nr_users)
		return pmd->nr_users;
	free_pmd(mm->machine, pmd);
	return 0;
}

void huge_pmds_free(struct mm *mm, u64 start, u64 end)
{
	u32 index;

	while (mm->nr_huge_pmds && (index = pmd_index(mm, start)) < mm->nr_huge_pmds && mm->huge_pmds[index].addr < end)
		huge_pmd_drop(mm, mm->huge_pmds[index].addr);
}

/* ---- both --------------------------------------------------------------------------- */

bool huge_page_next(struct mm *mm, u64 addr, struct huge_page *page)
{
	u32 index = page_index(&mm->huge_pages, addr), i;
	bool found = index < mm->huge_pages.nr;

	if (found)
		*page = mm->huge_pages.pages[index];
	for (i = mm->nr_huge_pmds ? pmd_index(mm, addr) : 0; i < mm->nr_huge_pmds; i++) {
		const struct huge_pmd_slot *slot = &mm->huge_pmds[i];
		const struct huge_pages *list = &slot->pmd->pages;

		if (found && page->addr < slot->addr)
			return true;
		index = page_index(list, addr > slot->addr ? addr - slot->addr : 0);
		if (index == list->nr)
			continue;
		*page = list->pages[index];
		page->addr += slot->addr;
		return true;
	}
	return found;
}

bool huge_page_insert(struct mm *mm, u64 addr, const struct arch_huge_size *size, struct huge_page *page)
{
	struct huge_pmd_slot *slot = find_slot(mm, addr);
	struct huge_page *made;

	made = slot ? list_insert(&slot->pmd->pages, addr - slot->addr, size) :
		      list_insert(&mm->huge_pages, addr, size);
	if (!made) {
		mm_error(mm, -ENOMEM);
		return false;
	}
	*page = *made;
	page->addr = addr;
	return true;
}

void huge_pages_remove(struct mm *mm, u64 start, u64 end)
{
	u32 i;

	list_remove(&mm->huge_pages, start, end);
	for (i = mm->nr_huge_pmds ? pmd_index(mm, start) : 0; i < mm->nr_huge_pmds; i++) {
		u64 at = mm->huge_pmds[i].addr;

		if (at >= end)
			return;
		list_remove(&mm->huge_pmds[i].pmd->pages, start > at ? start - at : 0, end - at);
	}
}

void huge_pages_destroy(struct mm *mm)
{
	while (mm->nr_huge_pmds)
		huge_pmd_drop(mm, mm->huge_pmds[mm->nr_huge_pmds - 1].addr);
	free(mm->huge_pmds);
	mm->huge_pmds = NULL;
	mm->max_huge_pmds = 0;
	list_destroy(&mm->huge_pages);
}
