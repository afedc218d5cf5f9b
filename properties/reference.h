/* SPDX-License-Identifier: MIT */
/*
 * A deliberately naive address space: one record per page, no tables, no
 * blocks, no batches, no costs. It executes the operations of engine/ops.h as
 * a kernel without contiguous entries would, one page after the other, and
 * shares no code with engine/ and arch/.
 *
 * Accessed and dirty are bounds. The lower one is what the plain kernel has;
 * the upper one is what entries may show that share a folio, and with it a
 * contiguous block or a batch, with a page that has the bit. In shared file
 * mappings dirtiness decides about write permission (mprotect), so that has two
 * bounds as well.
 */
#ifndef REFOLD_PROPERTIES_REFERENCE_H
#define REFOLD_PROPERTIES_REFERENCE_H

#include "engine/ops.h"

#define REFERENCE_MMS 3

enum ref_kind { REF_NONE, REF_PRESENT, REF_SWAP, REF_MIGRATION, REF_GUARD };

/* ref_page.bits */
#define REF_WRITE_MUST	0x0001
#define REF_WRITE_MAY	0x0002
#define REF_YOUNG_MUST	0x0004
#define REF_YOUNG_MAY	0x0008
#define REF_DIRTY_MUST	0x0010
#define REF_DIRTY_MAY	0x0020
#define REF_EXEC	0x0040
#define REF_PROTNONE	0x0080
#define REF_SPECIAL	0x0100
#define REF_ANON	0x0200
#define REF_EXCLUSIVE	0x0400
#define REF_SHMEM	0x0800

#define REF_WRITE	(REF_WRITE_MUST | REF_WRITE_MAY)
#define REF_YOUNG	(REF_YOUNG_MUST | REF_YOUNG_MAY)
#define REF_DIRTY	(REF_DIRTY_MUST | REF_DIRTY_MAY)
#define REF_FACTS	(REF_ANON | REF_EXCLUSIVE | REF_SHMEM)

/* ref_page.vma, above RF_VM_*. 0: no VMA */
#define REF_MAPPED	0x10000u
#define REF_FILE	0x20000u

struct ref_page {
	u64 pfn;	/* or swap slot */
	u32 vma;
	u16 bits;
	u8 kind;
	u8 order;
};

/* What no page by itself can tell, asked of whoever knows the VMAs and which pages a PMD maps together. */
struct reference_view {
	void *context;
	bool (*fork_copies)(void *context, u32 mm, u32 page);
	bool (*leaf)(void *context, u32 mm, u32 page);
	bool (*vma_span)(void *context, u32 mm, u32 page, u64 *start, u64 *end);
	/* These pages may have changed. */
	void (*touch)(void *context, u32 mm, u32 first, u32 last);
};

/* Two stretches of addresses, whole tables each; their pages are numbered through. */
struct reference_window {
	u64 start;
	u32 first, nr;	/* pages */
};

struct reference {
	struct reference_view view;
	struct reference_window windows[2];
	unsigned int page_shift;
	u32 table_pages, nr_pages;
	bool old_prefaulted;	/* fault-around maps pages old */
	unsigned int write_upgrade; /* own pages that mprotect makes writable: 0 none, 1 dirty, 2 all */
	bool pageout_ages;	/* MADV_PAGEOUT clears accessed bits, as MADV_COLD does */
	bool refolds;		/* a page just cleaned may be folded again with dirty ones, before an operation ends */
	bool reuse_around;	/* a write fault may make the pages of a folio beside its own writable, or not happen */
	bool alive[REFERENCE_MMS];
	struct ref_page *pages[REFERENCE_MMS];
};

struct reference *reference_create(unsigned int page_shift, u32 table_pages, const struct reference_view *view);
void reference_destroy(struct reference *r);

u64 reference_addr(const struct reference *r, u32 page);
/* NO_PAGE if no window has it. */
u32 reference_page(const struct reference *r, u64 addr);

/* The operation is one that a kernel could do in this state: accept.c. */
void reference_run(struct reference *r, const struct rf_op *op);
/* The table walker sets A, and D if the page is writable. */
void reference_access(struct reference *r, u32 mm, u32 page, bool write);
/* A leaf was split by a kernel that does not carry its dirty bit over. */
void reference_split_cleans(struct reference *r, u32 mm, u32 first, u32 nr);
/* After a step: raise the upper bounds of what shares a folio with pages [first, last]. */
void reference_spread(struct reference *r, u32 mm, u32 first, u32 last);
/* Do these neighbours map consecutive pages of one folio? */
bool reference_adjacent(const struct reference *r, const struct ref_page *a, const struct ref_page *b);

/* ---- between the files of the reference ---- */

void ref_touch(struct reference *r, u32 mm, u32 first, u32 nr);
void ref_unmap(struct ref_page *page);
/* vma->vm_page_prot of the page's VMA, and the facts, for a page just mapped: young. */
void ref_map(struct ref_page *page, u64 pfn, unsigned int order, unsigned int facts);
bool ref_prot_writes(u32 vma);

void ref_fault(struct reference *r, const struct rf_op *op);
void ref_range(struct reference *r, const struct rf_op *op);
void ref_fork(struct reference *r, u32 parent, u32 child);
void ref_rmap(struct reference *r, const struct rf_op *op);

#endif
