/* SPDX-License-Identifier: MIT */
/*
 * The recorded world: address spaces, VMAs, which page is mapped where, the page
 * cache, swap. Private to the tracker, which changes it as records come and
 * tells the machines. Nothing here is allocated per record: leaves, VMAs and
 * reverse-map nodes come from pools and go back to them.
 */
#ifndef REFOLD_REPLAY_WORLD_WORLD_H
#define REFOLD_REPLAY_WORLD_WORLD_H

#include "base/ranges.h"
#include "base/table.h"
#include "base/types.h"
#include "traces/record.h"

/*
 * One page-table entry of the world: 0 is none, else a kind, a page frame (or swap slot) and what the kernel knows
 * about it. The order of the folio belongs to the page frame, see struct world_page.
 */
typedef u64 world_pte;

enum world_kind {
	WORLD_NONE,
	WORLD_ANON,
	WORLD_FILE,
	WORLD_SHMEM,
	WORLD_ZERO,		/* the zero page, or a page of the huge one */
	WORLD_SPECIAL,		/* vvar: no folio behind it, not counted */
	WORLD_VDSO,		/* a kernel page counted as file */
	WORLD_SWAP,		/* pfn: slot */
	WORLD_GUARD,		/* MADV_GUARD_INSTALL marker */
};

#define WORLD_PFN_BITS	40
#define WORLD_PFN_MASK	(BIT_ULL(WORLD_PFN_BITS) - 1)
#define WORLD_KIND_SHIFT WORLD_PFN_BITS
#define WORLD_WRITE	BIT_ULL(48)
#define WORLD_EXCLUSIVE	BIT_ULL(49)	/* PageAnonExclusive */
#define WORLD_MIGRATION	BIT_ULL(50)	/* a migration entry of this (old) page */
#define WORLD_LAZYFREE	BIT_ULL(51)	/* MADV_FREE since its last write fault */
#define WORLD_UFFD_WP	BIT_ULL(54)	/* write-protected by a userfaultfd */
#define WORLD_GUESSED	BIT_ULL(53)	/* attached: WRITE and EXCLUSIVE are a guess */
#define WORLD_DOUBT	BIT_ULL(52)	/* one of a fault-around that mapped fewer pages than it might have */

/* Page frames no record told: unique, as aligned as their folio, out of the way of real ones. */
#define WORLD_INVENTED_PFN BIT_ULL(39)

static inline world_pte world_mkpte(enum world_kind kind, u64 pfn, u64 flags)
{
	return (u64)kind << WORLD_KIND_SHIFT | (pfn & WORLD_PFN_MASK) | flags;
}

static inline enum world_kind world_pte_kind(world_pte pte)
{
	return (enum world_kind)(pte >> WORLD_KIND_SHIFT & 0xf);
}

static inline u64 world_pte_pfn(world_pte pte)
{
	return pte & WORLD_PFN_MASK;
}

/* pte_present(): swap, migration and guard entries are not. */
static inline bool world_pte_present(world_pte pte)
{
	enum world_kind kind = world_pte_kind(pte);

	return kind != WORLD_NONE && kind < WORLD_SWAP && !(pte & WORLD_MIGRATION);
}

/* Has a folio that the reverse map knows. */
static inline bool world_pte_mapped(world_pte pte)
{
	enum world_kind kind = world_pte_kind(pte);

	return kind >= WORLD_ANON && kind <= WORLD_SHMEM;
}

static inline bool world_pfn_known(u64 pfn)
{
	return pfn < WORLD_INVENTED_PFN;
}

/* MAX_PAGE_ORDER of any configuration; bigger orders in a record are nonsense. */
#define WORLD_ORDER_MAX 13

#define WORLD_LEAF_PTES 512

#define WORLD_LEAF_WORDS (WORLD_LEAF_PTES / 64)

/*
 * A run: so many entries, aligned, that map as many page frames of large folios, aligned too, in order and with equal
 * flags. Most memory in large folios stays so all its life, and is then handled, and kept, by the run.
 */
#define WORLD_RUN_ORDER 4
#define WORLD_RUN (1 << WORLD_RUN_ORDER)

/* 512 entries; for 4K pages exactly one page table. All of them, those few that are not none, or runs: see leaf.h. */
struct world_leaf {
	u64 number;		/* vpn / 512 */
	u32 used;		/* entries that are not none */
	u16 room;		/* of ptes: WORLD_LEAF_PTES, or less, for those that are not none, in order */
	bool runs;		/* ptes has the first entry of each run, in its place; there are no others */
	u64 map[WORLD_LEAF_WORDS];	/* which ones are not none */
	u16 before[WORLD_LEAF_WORDS];	/* so many of them are of earlier words */
	world_pte *ptes;
};

struct world_vma {
	u64 start, end;		/* bytes */
	u64 pgoff;		/* pages; anonymous: start >> page shift at birth */
	u32 file;		/* 0: anonymous */
	u16 flags;		/* RF_VM_* */
	u8 name;		/* enum rf_vma_name */
	u8 huge_shift;		/* RF_VM_HUGETLB: log2 of the huge page's size */
	bool accounted;		/* VM_ACCOUNT: private and ever writable; forbids merging with what never was */
	bool anon_chain_shared;	/* its anon_vma_chain is not singular: inherited by fork */
	u32 anon_vma;		/* has (or may have) anonymous pages, so that fork must copy it; 0: none */
	u64 attributes;		/* RF_ATTRIBUTE_* */
	bool implicit;		/* made up by a fault where no VMA was known */
	RANGE_LINKS(struct world_vma) links;
};

DEFINE_RANGES(world_vma_tree, struct world_vma)

DEFINE_TABLE(leaf_table, u64, struct world_leaf *);

/* What is mapped in an address space. First member of what the user of the world keeps of one: see world_create(). */
struct world_mm {
	u32 id;			/* number in operations; never reused */
	/* Page table: leaves by number, open addressing. */
	struct leaf_table leaves;
	struct world_leaf *last_leaf;
	struct world_vma_tree vmas;
	struct world_vma *last_vma;	/* where the last look-up ended; NULL: it is gone */
	s64 counted[RF_RSS_MEMBERS];	/* entries by the RSS counter that has them */
	u32 doubtful;			/* entries with WORLD_DOUBT */
	bool merge_untold;		/* two mappings are kept apart that may be one: RF_ATTRIBUTE_NAME_UNREAD */
};

/* One place a page is mapped at; in a list of the page's, a node, whose index 0 is none. */
struct world_map {
	u64 vpn;
	u32 mm;
	u32 next, prev;		/* of the list */
	u32 chain;		/* of the index, maps.c */
};

/* What is known of a page frame, or of a run of them that are alike: its mappings are then of the first. */
struct world_page {
	u64 vpn : 52;		/* the first mapping, if mm is not 0 */
	u64 order : 6;		/* of its folio */
	u64 readahead : 1;	/* may bear PG_readahead: fault-around leaves it out */
	u64 indexed : 1;	/* its further mappings are */
	u64 leaves : 1;		/* reclaim took it out of the page cache, and will free it */
	u32 mm;			/* number + 1 */
	u32 next;		/* further mappings */
	u32 slot;		/* the swap slot it is cached for, 0: none */
	u32 cached_at;		/* when it entered the page cache, in units of 2^16 ns; 0: not while we watched */
};

struct world_slot {
	u64 pfn;		/* the page in the swap cache, ~0: none */
	u32 entries;		/* swap entries that name this slot */
	u32 next_free;
};

#define WORLD_MINOR_BITS 20	/* of a device number, as MKDEV() makes it */

struct world_file {
	u64 dev, ino;
	u64 layout_time;	/* when its layout was taken, ~0: never */
	u64 pages;		/* its size then, 0: not known */
	bool provisional;	/* an fd whose file no record has told yet */
	u32 told;		/* and that file, if one has since; 0: none */
	bool cached;		/* has pages in the page cache: not /dev/zero and its like */
	bool has_pages;		/* any of its pages was ever known */
	bool alone;		/* only the VMA that it was made for is of it */
};

struct world;

/* ---- world.c: address spaces and their entries; its memory: memory.c ---- */

/* mm_size: bytes of the user's structure that begins with a struct world_mm; world_mm_new() makes one, zeroed. */
struct world *world_create(u32 page_shift, size_t mm_size);
void world_destroy(struct world *world);
/* Lack of memory is remembered here and ends the replay; callers need not look at each call. */
bool world_out_of_memory(const struct world *world);
void world_set_out_of_memory(struct world *world);

struct world_mm *world_mm_new(struct world *world);
struct world_mm *world_mm(const struct world *world, u32 id);	/* NULL: gone */
void world_mm_free(struct world *world, struct world_mm *mm);

world_pte world_get(struct world_mm *mm, u64 vpn);
/* Replace what vpn holds (0: clear it), with reverse map and counters. Returns the old entry. */
world_pte world_set(struct world *world, struct world_mm *mm, u64 vpn, world_pte pte);
/* The same for nr entries that map pages in order, pte the first of them. */
void world_set_pages(struct world *world, struct world_mm *mm, u64 vpn, world_pte pte, u64 nr);
/* Change flags only, of those of nr entries that are not none. */
void world_set_flags(struct world *world, struct world_mm *mm, u64 vpn, u64 nr, u64 set, u64 clear);
bool world_range_none(struct world_mm *mm, u64 vpn, u64 nr);

/* Each entry of [start, end) that is not none; the callback may change or clear it. Order only within a leaf. */
typedef void (*world_visit)(void *context, u64 vpn, world_pte pte);
void world_walk(struct world_mm *mm, u64 start, u64 end, world_visit visit, void *context);
/* The same by runs: nr entries are pte and those that follow it in order; 1 or WORLD_RUN. */
typedef void (*world_visit_run)(void *context, u64 vpn, world_pte pte, u32 nr);
void world_walk_runs(struct world_mm *mm, u64 start, u64 end, world_visit_run visit, void *context);
/* Each entry in address order. */
void world_walk_sorted(struct world *world, struct world_mm *mm, u64 start, u64 end, world_visit visit, void *context);
void world_clear(struct world *world, struct world_mm *mm);	/* all of it */
/* Clear [start, end); returns how many present entries went. */
u64 world_zap(struct world *world, struct world_mm *mm, u64 start, u64 end);
/* move_page_tables(): [start, end) to dst; the ranges do not overlap. */
void world_move(struct world *world, struct world_mm *mm, u64 start, u64 end, u64 dst);
/* dup_mmap(): what the child gets and what the parent loses. */
void world_fork(struct world *world, struct world_mm *parent, struct world_mm *child);

/* ---- vma.c -------------------------------------------------------- */

struct world_vma *world_vma_find(struct world_mm *mm, u64 addr);	/* that contains addr */
struct world_vma *world_vma_next(struct world_mm *mm, u64 addr);	/* the first that ends above addr; NULL: none */

static inline struct world_vma *world_vma_first(const struct world_mm *mm)
{
	return mm->vmas.first;
}

/* The neighbours, or NULL. */
static inline struct world_vma *world_vma_above(const struct world_vma *vma)
{
	return vma->links.next;
}

static inline struct world_vma *world_vma_below(const struct world_vma *vma)
{
	return vma->links.prev;
}

/* Insert [start, end), which must be free; merges with its neighbours as vma_merge() would. */
struct world_vma *world_vma_insert(struct world *world, struct world_mm *mm, const struct world_vma *vma);
/* The same for what the kernel itself keeps apart: it must differ in something we do not see. */
struct world_vma *world_vma_load(struct world *world, struct world_mm *mm, const struct world_vma *vma);
/*
 * Anonymous memory of equal flags is one VMA from start to end, and no more, whatever kept its pieces apart. NULL: it
 * is, or it is not all of equal flags.
 */
struct world_vma *world_vma_unite(struct world *world, struct world_mm *mm, u64 start, u64 end);
void world_vma_remove(struct world *world, struct world_mm *mm, u64 start, u64 end);
bool world_vma_overlaps(struct world_mm *mm, u64 start, u64 end);
/* What a call makes of flags and attributes. */
struct world_vma_change {
	u16 set, clear;
	u64 attributes_set, attributes_clear;
};
/* All VMAs of [start, end); those that are equal then merge. */
void world_vma_change(struct world *world, struct world_mm *mm, u64 start, u64 end,
		      const struct world_vma_change *change);
void world_vma_set_flags(struct world *world, struct world_mm *mm, u64 start, u64 end, u16 set, u16 clear);
/* anon_vma_prepare(): it is about to get an anonymous page. */
void world_vma_anon_prepare(struct world *world, struct world_mm *mm, struct world_vma *vma);
/* dup_mmap() of one VMA, but for its entries: nothing merges. */
void world_vma_duplicate(struct world *world, struct world_mm *child, const struct world_vma *vma);
void world_vma_clear_all(struct world *world, struct world_mm *mm);
u64 world_vma_file_index(const struct world *world, const struct world_vma *vma, u64 vpn);

/* ---- zero.c: the huge zero page ------------------------------------ */

bool world_is_huge_zero(const struct world *world, struct world_mm *mm, u64 vpn);
/* __split_huge_zero_page_pmd(), if vpn is mapped by a huge zero page. */
void world_split_huge_zero(struct world *world, struct world_mm *mm, u64 vpn);
/* vma_adjust_trans_huge(): the same on both sides of a boundary that is none of a PMD. */
void world_split_at(struct world *world, struct world_mm *mm, u64 vpn);

/* ---- pages.c: page frames ------------------------------------------ */

/* For changes: made if new, and of a run no more, if it was of one; what was found of that run is not valid then. */
struct world_page *world_page(struct world *world, u64 pfn);
/* Maybe one that stands for its run. NULL: never seen. */
const struct world_page *world_page_find(const struct world *world, u64 pfn);
/* For so many page frames from this one on that is the same. */
u64 world_page_span(const struct world *world, u64 pfn);
/* What stands for the run of pfn, for changes of all of it; NULL: nothing does. */
struct world_page *world_page_run(const struct world *world, u64 pfn);
/* It will be asked for soon. */
void world_page_prefetch(const struct world *world, u64 pfn);
void folio_set(struct world *world, u64 pfn, u32 order);	/* the folio that starts at pfn */
void folio_set_cached(struct world *world, u64 pfn, u32 order, u32 at);	/* cached_at of all its pages */
u32 folio_order(const struct world *world, u64 pfn);
static inline u64 folio_head(u64 pfn, u32 order)
{
	return ALIGN_DOWN(pfn, BIT_ULL(order));
}
u64 world_invent_pfn(struct world *world, u32 order);

/* ---- maps.c: the mappings of one -------------------------------------- */

/* vpn: of a struct world_page that stands for a run, where its first page is mapped. */
void maps_add(struct world *world, struct world_page *page, const struct world_mm *mm, u64 vpn);
void maps_remove(struct world *world, struct world_page *page, const struct world_mm *mm, u64 vpn);
/* Each page of a run gets mappings of its own; they are copies of what stood for them, in place. */
void maps_split(struct world *world, struct world_page *pages);

/* ---- rmap.c: where they are mapped, by page frame --------------------- */

void rmap_add(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn);
void rmap_remove(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn);
/* The same for a run. */
void rmap_add_run(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn);
void rmap_remove_run(struct world *world, u64 pfn, struct world_mm *mm, u64 vpn);
/* All places, the newest first, copied to an array that lives until the next call. */
size_t rmap_collect(struct world *world, u64 pfn, const struct world_map **maps);
bool rmap_is_mapped(const struct world *world, u64 pfn);

/* ---- swap.c ------------------------------------------------------- */

/* Swap slots: names for what a swap entry points to, and the page that is still (or again) cached there. */
u32 slot_of(struct world *world, u64 pfn);	/* the slot of a page being swapped out */
void slot_get(struct world *world, u32 slot);
void slot_put(struct world *world, u32 slot);
bool slot_cached(const struct world *world, u32 slot, u64 *pfn);
void slot_set_cached(struct world *world, u32 slot, u64 pfn);
u32 slot_entries(const struct world *world, u32 slot);
void slot_page_freed(struct world *world, u64 pfn);
u32 slot_new(struct world *world);

/* ---- page_cache.c ------------------------------------------------------- */

u32 file_by_inode(struct world *world, u64 dev, u64 ino);	/* made if new */
u32 file_new(struct world *world, bool provisional);
/* The page frame at index, or false. */
bool cache_find(struct world *world, u32 file, u64 index, u64 *pfn);
void cache_set(struct world *world, u32 file, u64 index, u64 pfn);
void cache_clear(struct world *world, u32 file, u64 index);
/* shmem_writeout(): a swap entry takes the place of the page, which may be found as long as it is in the swap cache. */
void cache_swap_out(struct world *world, u32 file, u64 index);
bool cache_find_swapped(struct world *world, u32 file, u64 index, u64 *pfn);
/* Known not to be there, by an event or a layout. */
bool cache_is_absent(struct world *world, u32 file, u64 index);
/* Start-state pass: first event per index wins over the layout. Returns false if an event was seen there before. */
bool cache_first_event(struct world *world, u32 file, u64 index);
void cache_forget_events(struct world *world);
/* Let to have the pages of from. */
void cache_merge(struct world *world, u32 from, u32 to);

/* ---- shared inside -------------------------------------------------------- */

struct page_region;	/* pages.c */
struct cache_block;	/* page_cache.c */

DEFINE_TABLE(region_table, u64, struct page_region *);
DEFINE_TABLE(inode_table, u64, u32);		/* number of the file */
DEFINE_TABLE(block_table, u64, struct cache_block *);

struct world {
	u32 page_shift;
	u64 zero_pfn, huge_zero_pfn;	/* 0: not known */
	size_t mm_size;
	bool out_of_memory;
	/* Address spaces by number. */
	struct world_mm **mms;
	u32 nr_mms, mms_size;
	u32 last_anon_vma;
	u32 last_origin;	/* of VMAs that cannot merge with others, elsewhere() */
	/* Pools. */
	struct world_leaf *free_leaves;
	world_pte *free_ptes[5];	/* of leaves, by how many */
	struct world_vma *free_vmas;
	void **slabs;
	size_t nr_slabs, slabs_room;
	struct world_leaf **sorted;
	size_t sorted_room;
	struct region_table regions;	/* page frames */
	struct page_region *last_region, *fresh_regions;
	struct world_page *fresh_pages, *free_page, *free_pages;	/* by one, and for a run */
	u32 nr_fresh_regions, nr_fresh_pages, nr_fresh_blocks;
	struct world_map *nodes;
	u32 nr_nodes, nodes_size, free_node;
	u32 *rmap_buckets;		/* the index: chains of nodes */
	u32 nr_rmap_buckets, nr_indexed;
	struct world_map *collected;
	size_t collected_room;
	u64 invented;
	/* Swap. */
	struct world_slot *slots;
	u32 nr_slots, slots_size, free_slot;
	/* Files. */
	struct world_file *files;
	u32 nr_files, files_size;
	struct inode_table inodes;
	struct block_table blocks;
	struct cache_block *last_block, *fresh_blocks;
};

static inline struct world_file *file_get(const struct world *world, u32 file)	/* 0: NULL */
{
	return file && file < world->nr_files ? &world->files[file] : NULL;
}

/* nr objects at once, for a pool to cut up; freed with the world. */
void *world_slab(struct world *world, size_t nr, size_t size);
/* Make *array hold at least need elements; false (and out of memory) if that fails. */
bool world_grow(struct world *world, void **array, size_t element, u32 *size, u64 need);

#endif
