/* SPDX-License-Identifier: MIT */
/* File pages that are mapped, and which file it is that a VMA maps. */
#ifndef REFOLD_REPLAY_TRACKER_EFFECTS_FILE_H
#define REFOLD_REPLAY_TRACKER_EFFECTS_FILE_H

#include "replay/tracker/ground/tracked_mm.h"
#include "replay/tracker/ground/tracking.h"

struct rf_record;

/* No fault-around window is larger, in pages. */
#define WINDOW_MAX 512

/* filemap_map_pages(): delta pages of [first, last] of the file. left_out: a vpn that was not one of them, ~0: none. */
void map_file_range(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 fault_vpn,
		    u64 left_out, u64 first, u64 last, s64 delta, bool shmem, u16 op_flags);
/* do_fault_around(): the indices of the file that a read of vpn may map, where no record tells them. */
void fault_around_window(const struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn, u64 *first, u64 *last);
/* finish_fault(): the page at vpn, or the nr pages of its folio. */
void map_file_page(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 vpn, s64 nr,
		   bool shmem, bool write, u16 op_flags);
/* The pages at these places, each by itself, in ascending order; fault_vpn: who asked for them. */
void map_file_pages(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u64 fault_vpn,
		    const u64 *vpns, size_t nr, bool shmem, bool write, u16 op_flags);
/* __split_huge_pmd(): of a file's, that unmaps it, the folio stays as it is. False: none is mapped around vpn. */
bool split_file_pmd(struct rf_tracker *tracker, struct tracked_mm *mm, u64 vpn);
/* This page is in the page cache now, whatever of that was lost before. */
void cached_since_loss(struct rf_tracker *tracker, u64 pfn);
/* A new shmem folio at vpn's place in the file. */
void shmem_add(struct rf_tracker *tracker, struct world_vma *vma, u64 vpn, u64 pfn, u32 order);
/* shmem_swapin_folio() of a page that is still in the swap cache: it is the file's again. False: it is not there. */
bool shmem_swap_in(struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn);
/* The page cache behind an entry of a VMA. */
static inline bool vma_cache_find(const struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn, u64 *pfn)
{
	return cache_find(tracker->world, vma->file, world_vma_file_index(tracker->world, vma, vpn), pfn);
}
static inline void vma_cache_set(const struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn, u64 pfn)
{
	cache_set(tracker->world, vma->file, world_vma_file_index(tracker->world, vma, vpn), pfn);
}

/* The file a record is about. */
u32 record_file(struct rf_tracker *tracker, const struct rf_record *record);
/* The VMA's file is this one, whatever we thought. */
void learn_file(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma, u32 file);
/* A page of it counts as shmem: the file is one of tmpfs, a memfd or shared anonymous memory. */
void learn_shmem(struct rf_tracker *tracker, struct tracked_mm *mm, struct world_vma *vma);
struct world_vma *vma_by_file(const struct rf_tracker *tracker, struct tracked_mm *mm, u32 file, u64 index);

#endif
