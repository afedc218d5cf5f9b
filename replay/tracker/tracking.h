/* SPDX-License-Identifier: MIT */
/*
 * The inside of the tracker, shared by its files: tasks with their open fault
 * and system call, the stream of records with its look-ahead, the emission of
 * operations. What the records change is in world.h.
 */
#ifndef REFOLD_REPLAY_TRACKER_TRACKING_H
#define REFOLD_REPLAY_TRACKER_TRACKING_H

#include "replay/tracker/emit.h"
#include "replay/tracker/handlers.h"
#include "replay/tracker/kernel_pages.h"
#include "replay/tracker/stream.h"
#include "replay/tracker/task_state.h"
#include "replay/tracker/tracker.h"
#include "replay/world/world.h"

/* A folio allocated by a task, not yet seen mapped. */
struct task_alloc {
	u64 pfn;
	u32 order;
};

#define TASK_ALLOCS 16

enum populate_what { POPULATE_ALLOC, POPULATE_RSS, POPULATE_MAP, POPULATE_FILE };

/* What a populating call did, kept until its range is known. */
struct populate_event {
	u8 what;
	u8 member;		/* RSS */
	u32 file;		/* MAP, FILE */
	s64 delta;		/* RSS */
	u64 index, last;	/* MAP, FILE; ALLOC: pfn, order */
};

/* Pages set by GUP, in address order. */
struct task_populate {
	bool active;		/* the range is known */
	bool write;		/* faults as for write where the VMA is private and writable */
	bool readers_zero;	/* holes of anonymous memory get the zero page without an event */
	u64 start, end, at;	/* vpns */
	u64 nr_zero;		/* zero pages set without an event */
	bool file_seen;
	u32 file;
	u64 index;
	bool delta_seen;	/* of file pages, waiting for POPULATE_MAP */
	s64 delta;
	u8 member;
	struct populate_event *queue;
	u32 nr, size;
};

/* An iovec of the process_vm call in progress, or about to begin. */
struct task_gup {
	u64 addr, len;
	u32 pid;
	bool write;
};

/* An exec from its entry to its return. */
struct task_exec {
	bool building;		/* between entry and point of no return */
	bool due;		/* behind it, the old mm still in place */
	bool loading;		/* the new mm is in place, its VMAs are coming */
	bool stack_placed;
	struct world_mm *mm;	/* the new one while building */
	u64 *pages;		/* argument pages, top down */
	u32 nr, size;
};

struct task {
	u32 tid;
	u32 pid;		/* thread group, 0: not known */
	u32 process;		/* of a leader: its number in the list of processes, 0: none yet */
	bool dead;
	bool lingers;		/* dead, but mm_release() may still touch mm; not one of mm->users */
	struct world_mm *mm;	/* NULL: none, or not known */
	struct task *mm_next, **mm_link;	/* other tasks of mm */
	u16 stream;		/* where its last record came from */
	u16 cpu;		/* and on which CPU */
	bool flush_due;		/* a COW was applied, its TLB flush is to come */
	struct task_alloc allocs[TASK_ALLOCS];
	u32 nr_allocs;
	struct task_fault fault;
	struct task_call call;
	struct task_populate populate;
	struct task_gup *gups;
	u32 nr_gups, gups_size;
	struct task_exec exec;
	struct world_mm *child;	/* fork in progress */
	u64 fork_at;		/* number of the record that ends dup_mmap(), 0: not known */
	u32 exec_from;		/* the thread of the group that is in exec and will take this tid */
	u64 orphans;		/* faults without a known mm */
	bool collapse_known;
	u32 collapse_mm;
	u64 collapse_vpn, collapse_pfn;
};

/* Who runs on a CPU, as far as records tell: tid 0, nobody known. */
struct tracker_cpu {
	u32 tid, mm;
};

/* A migration entry waiting for its page to come back. */
struct migration {
	u64 vpn;
	u64 pfn;		/* the old page */
	u32 mm;
};

/* An entry that differs from a snapshot. It does not count if it changed while the snapshot was taken. */
struct difference {
	u64 vpn;
	world_pte pte;		/* as the snapshot began */
	u8 what;		/* enum in fidelity.c */
};

/* A snapshot being read, one per snapshot stream. */
struct snapshot {
	bool open, loading, comparing;
	u32 pid;
	u32 mm;			/* number; it may end meanwhile */
	u64 at;			/* next vpn not looked at */
	struct difference *differences;
	u32 nr_differences, differences_size;
};

/* TLB_FLUSH.reason: <linux/mm_types.h> enum tlb_flush_reason. */
enum { RF_TLB_ON_SWITCH, RF_TLB_REMOTE, RF_TLB_LOCAL, RF_TLB_LOCAL_MM, RF_TLB_REMOTE_SEND };

DEFINE_TABLE(task_table, u32, struct task *);	/* by tid */
DEFINE_TABLE(mm_id_table, u32, u32);		/* rss_stat's name of an address space: its number + 1 */

struct rf_tracker {
	struct rf_tracker_options options;
	struct rf_reader *reader;
	struct world *world;
	struct rf_fidelity fidelity;
	u32 page_shift;
	u64 address_limit;	/* user addresses are below */
	u64 stack_top_max;
	bool have_allocs, have_flushes, have_side_band;
	bool exits_late;	/* RF_EXIT_AFTER_MM, and TASK_EXIT is recorded, which is the moment */
	bool reuses_large;	/* RF_REUSES_LARGE_FOLIOS */
	bool thp_always, thp_madvise;	/* 2M pages at fault */
	u32 pmd_order;
	u64 time;
	u64 record;		/* number of the record in progress, from 1 */
	u64 kinds[RF_RECORD_KIND_MAX];	/* records so far, by kind */
	int error;
	/* Records. */
	struct rf_merge *merge;
	struct rf_record *records;
	size_t at, nr, size;
	bool ended;
	/* Operations. */
	struct rf_op *ops;
	size_t nr_ops;
	struct task_table tasks;
	struct mm_id_table mm_ids;
	struct migration *migrations;
	u32 nr_migrations, migrations_size;
	u64 moved_pfn;			/* the folio that the last migration_remove of a first page told of */
	u32 moved_order;
	u64 *kernel_pages[8];	/* by enum rf_kernel_page, pfn + 1 by index */
	u32 kernel_pages_size[8];
	struct snapshot *snapshots;	/* by stream */
	size_t nr_streams;
	struct tracker_cpu *cpus;	/* by number */
	u32 nr_cpus;
	u16 cpu_now;		/* of the record in progress */
	u32 *flush_mms;		/* numbers of those with flush_due */
	u32 nr_flush_mms, flush_mms_size;
	bool freeing;		/* pages are being freed whose flush is still owed */
};

/* ---- tasks.c ---------------------------------------------------------------- */

struct task *task_get(struct rf_tracker *tracker, u32 tid);	/* made if new; NULL: out of memory */
struct task *task_find(struct rf_tracker *tracker, u32 tid);
void task_set_mm(struct rf_tracker *tracker, struct task *task, struct world_mm *mm);
/* Leave the address space. The last one out gets it back, to end it. */
struct world_mm *task_leave_mm(struct task *task);
/* The thread is dying: it does not count any more. True if it was the last; then it still has to leave. */
bool task_linger(struct task *task);
void tasks_destroy(struct rf_tracker *tracker);
struct world_mm *mm_by_id(struct rf_tracker *tracker, u32 mm_id);	/* live ones only */
void mm_bind(struct rf_tracker *tracker, struct world_mm *mm, u32 mm_id);
struct world_mm *mm_of_process(struct rf_tracker *tracker, u32 pid);
/* Its page table is not known any more in all its parts. */
void mark_inexact(struct rf_tracker *tracker, struct world_mm *mm);

static inline u64 vpn_of(const struct rf_tracker *tracker, u64 addr)
{
	return addr >> tracker->page_shift;
}
static inline u64 page_align(const struct rf_tracker *tracker, u64 bytes)
{
	return ALIGN_UP(bytes, BIT_ULL(tracker->page_shift));
}

/* ---- marks.c ------------------------------------------------------------ */

/* The last record was read. */
void end_windows(struct rf_tracker *tracker);

/* ---- processes.c -------------------------------------------------------- */

void begin_process(struct rf_tracker *tracker, const struct task *parent, struct task *child);
void mm_set_pid(struct rf_tracker *tracker, struct world_mm *mm, u32 pid);

/* ---- fault.c ------------------------------------------------------------ */

/* Forget an open fault that changed nothing yet. */
void fault_drop(struct task *task);
/* The task goes on: what its open fault did is final. */
void fault_close(struct rf_tracker *tracker, struct task *task);
/* Decide open faults of all threads: a window begins or ends, and what happened before belongs before. */
void settle_all(struct rf_tracker *tracker);
/* Decide open faults of other threads that began before time, because something depends on them now. */
void settle_others(struct rf_tracker *tracker, struct world_mm *mm, const struct task *except, u64 time);
void fault_rss(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta);
/* A page was allocated while the fault is open. True: it was taken by a COW. */
bool fault_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order);
void fault_page_freed(struct rf_tracker *tracker, struct task *task, u64 pfn);
struct world_vma *fault_vma(struct rf_tracker *tracker, struct world_mm *mm, u64 addr);
/* The VMA of a page that a write fault changes; one that was made up is writable, as it turns out. NULL: none. */
struct world_vma *written_vma(struct rf_tracker *tracker, struct world_mm *mm, u64 addr);

/* ---- copy.c ------------------------------------------------------------- */

/* The page just allocated is the copy that the task's open fault made of old. */
bool is_copied(struct rf_tracker *tracker, const struct task *task, world_pte old);
/* The page was not the task's alone when its fault began: what it allocates then is a copy, however late. */
bool is_contended(struct rf_tracker *tracker, const struct task *task);
/* A write fault on it takes the page over, without a copy. */
bool is_reusable(struct rf_tracker *tracker, const struct world_mm *mm, world_pte pte);

/* ---- check.c ---------------------------------------------------------------- */

/* Count whether the fault is one the model expects, and repair the model. */
void check_fault(struct rf_tracker *tracker, struct task *task, u64 vpn, u16 flags);
/* A write faulted on an entry that the model holds writable. True: explained. */
bool check_write_protected(struct rf_tracker *tracker, struct world_mm *mm, u64 vpn, world_pte pte);
/* msync(): what it writes back is clean and read-only afterwards, in every address space. */
void write_back(struct rf_tracker *tracker, struct world_mm *mm, u64 start, u64 end);

/* ---- anon.c ------------------------------------------------------------------ */

bool is_private_writable(const struct world_vma *vma);
/* Put a new anonymous folio at vpn, by fault or GUP. */
void set_anon(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u32 order,
	      u16 op_flags);
void copy_page(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u16 op_flags);
void swap_in(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, u64 pfn, u32 order,
	     u64 nr, u16 op_flags);
void fault_swap_in(struct rf_tracker *tracker, struct task *task, struct world_vma *vma, world_pte pte, s64 delta);
/* Remember that an entry was just set, for the losers of a race. */
void note_recent(const struct rf_tracker *tracker, struct world_mm *mm, u64 vpn);
bool was_recent(const struct rf_tracker *tracker, const struct world_mm *mm, u64 vpn);
void set_zero(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, u16 op_flags);
/* User memory by its gfp flags; not zram's, nor a file being written. */
static inline bool is_user_alloc(u64 gfp)
{
	return (gfp & (RF_GFP_MOVABLE | RF_GFP_HARDWALL | RF_GFP_WRITE)) == (RF_GFP_MOVABLE | RF_GFP_HARDWALL);
}
/* The last allocation of that many pages, else the last one. False: none. */
bool take_alloc(struct task *task, u64 pages, struct task_alloc *alloc);
void push_alloc(struct task *task, u64 pfn, u32 order);
bool drop_alloc(struct task *task, u64 pfn);

/* ---- swap.c ------------------------------------------------------------- */

/* ---- file.c ---------------------------------------------------------------- */

/* filemap_map_pages(): delta pages of [first, last] of the file. tid: of the faulting task; 0: GUP. */
void map_file_range(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 fault_vpn, u32 tid,
		    u64 first, u64 last, s64 delta, bool shmem, u16 op_flags);
/* finish_fault(): the page at vpn, or the nr pages of its folio. */
void map_file_page(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 vpn, s64 nr, bool shmem,
		   bool write, u16 op_flags);
/* A new shmem folio at vpn's place in the file. */
void shmem_add(struct rf_tracker *tracker, struct world_vma *vma, u64 vpn, u64 pfn, u32 order);
/* The page cache behind an entry of a VMA. */
static inline bool vma_cache_find(const struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn, u64 *pfn)
{
	return cache_find(tracker->world, vma->file, world_vma_file_index(tracker->world, vma, vpn), pfn);
}
static inline void vma_cache_set(const struct rf_tracker *tracker, const struct world_vma *vma, u64 vpn, u64 pfn)
{
	cache_set(tracker->world, vma->file, world_vma_file_index(tracker->world, vma, vpn), pfn);
}
/* The VMA's file is this one, whatever we thought. */
void learn_file(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u32 file);
/* The file a record is about. */
u32 record_file(struct rf_tracker *tracker, const struct rf_record *record);

/* ---- cache.c ------------------------------------------------------------------ */

int page_cache_start(struct rf_tracker *tracker, struct rf_error *err);

/* ---- syscall.c --------------------------------------------------------------- */

void call_abandon(struct rf_tracker *tracker, struct task *task);

/* ---- unmap.c --------------------------------------------------------------------------- */

/* Apply what the call in progress unmaps, once. */
void call_zap(struct rf_tracker *tracker, struct task *task);
bool advice_zaps(u64 advice);
/* An RSS change inside a call, outside any fault. */
void call_rss(struct rf_tracker *tracker, struct task *task, u8 member, s64 delta);
/* What of [start, start + len) an address space can hold; a call's arguments may be anything. */
bool call_range(const struct rf_tracker *tracker, u64 start, u64 len, u64 *end);
/* A new VMA, made room for; emits. */
struct world_vma *map_vma(struct rf_tracker *tracker, struct world_mm *mm, const struct world_vma *vma, u8 why);
void unmap_range(struct rf_tracker *tracker, struct world_mm *mm, const struct task *task, u64 start, u64 end, u8 why);
u16 nested_gather(const struct world_mm *mm, const struct task *task);

/* ---- move.c ----------------------------------------------------------------------------- */

void mremap_return(struct rf_tracker *tracker, struct task *task, u64 ret);
void madvise_return(struct rf_tracker *tracker, struct task *task, s64 ret);

/* ---- advice.c ----------------------------------------------------------------------------- */

void pageout_begins(struct rf_tracker *tracker, struct task *task);
void pageout_ends(struct rf_tracker *tracker, struct task *task);
/* Thread tid unmaps the entry at vpn for reclaim, splits the folio there, has split it: by its madvise(), if any. */
void advice_unmaps(struct rf_tracker *tracker, u32 tid, const struct world_mm *mm, u64 vpn);
void advice_splits(struct rf_tracker *tracker, u32 tid, const struct world_mm *mm, u64 vpn);
void advice_has_split(struct rf_tracker *tracker, u32 tid, const struct world_mm *mm);

/* ---- populate.c ---------------------------------------------------------------- */

bool call_populates(const struct task *task);
void populate_begin(struct rf_tracker *tracker, struct task *task, u64 start, u64 end, bool write, bool zero);
/* Apply now if the range is known, else keep. */
void populate_event(struct rf_tracker *tracker, struct task *task, const struct populate_event *event);
void populate_end(struct rf_tracker *tracker, struct task *task, bool succeeded);
bool populate_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order);
/* A user page allocated outside any fault and populating call. */
void stray_alloc(struct rf_tracker *tracker, struct task *task, u64 pfn, u32 order);

/* ---- gup.c ------------------------------------------------------------------------ */

void process_vm_return(struct rf_tracker *tracker, struct task *task, s64 ret);
/* Everything in the range has been faulted in, by GUP that was asked to. */
void gup_populates(struct rf_tracker *tracker, struct world_mm *mm, u64 start, u64 end, bool write);
/* A fault on memory of hugetlb; the machines know whether there is a page. */
void fault_hugetlb(struct rf_tracker *tracker, struct world_mm *mm, struct world_vma *vma, u64 addr, u16 op_flags);
/* world_vma.huge_shift, where a call or a record says so much; 0: nothing. */
u32 huge_shift_of(const struct rf_tracker *tracker, u64 told);

/* ---- fork.c ----------------------------------------------------------------------- */

/* exec_mmap(): leave the old address space for the one built so far. */
/* The thread with this tid is now the one that began an exec under another. */
void exec_take_over(struct rf_tracker *tracker, struct task *task);
void exec_switch(struct rf_tracker *tracker, struct task *task);
void exec_enter(struct rf_tracker *tracker, struct task *task);
void exit_begins(struct rf_tracker *tracker, struct task *task);
/* MMAP2 and SNAP_VMA have the same fields. */
bool vma_of_record(struct rf_tracker *tracker, const struct rf_record *record, struct world_vma *vma);
void exec_return(struct rf_tracker *tracker, struct task *task, s64 ret);
void find_fork_point(struct rf_tracker *tracker, struct task *task);
void fork_mm(struct rf_tracker *tracker, struct task *task);
void end_mm(struct rf_tracker *tracker, struct world_mm *mm, u8 why);

/* ---- rss.c ------------------------------------------------------------------------- */

void check_rss(struct rf_tracker *tracker, struct world_mm *mm);

/* ---- reclaim.c ---------------------------------------------------------------------- */

/* An entry the kernel must have unmapped unseen. */
void unmap_unseen(struct rf_tracker *tracker, struct world_mm *mm, u64 vpn, world_pte pte);
/* try_to_unmap_flush(): the flushes that unmapping for reclaim or migration put off. */
void reclaim_flush(struct rf_tracker *tracker);

/* ---- snapshot.c, fidelity.c ------------------------------------------------------------ */

void compare_run(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record);
void compare_swap(struct rf_tracker *tracker, struct snapshot *snapshot, const struct rf_record *record);
/* mm: NULL if it ended meanwhile. */
void compare_end(struct rf_tracker *tracker, struct snapshot *snapshot, struct world_mm *mm);
void write_page_table(struct rf_tracker *tracker, struct world_mm *mm);

#endif
