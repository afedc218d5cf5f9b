// SPDX-License-Identifier: MIT
/*
 * The event table. Order within it is the order doctor prints. Arguments of
 * system calls are taken by position ("#N"), because position is ABI and
 * parameter names are not.
 */
#include "traces/events/events.h"

#include <linux/sched.h>
#include <signal.h>

#define TASK RF_INSTANCE_TASK
#define SYSTEM RF_INSTANCE_SYSTEM
#define ESSENTIAL RF_NEED_ESSENTIAL
#define WANTED RF_NEED_WANTED
#define EXTRA RF_NEED_EXTRA
#define STAND_IN RF_NEED_STAND_IN

#define LOAD(name) { name, RF_RULE_LOAD, 0 }
#define S32(name) { name, RF_RULE_S32, 0 }
#define U32(name) { name, RF_RULE_U32, 0 }
#define VALUE(number) { NULL, RF_RULE_VALUE, number }
#define RULE(name, how) { name, RF_RULE_##how, 0 }
#define TEXT(name, which) { name, RF_RULE_TEXT, which }

/* A traced thread's calls are known by entry and exit; the exit record says which call it ends. */
#define CALL(call, record_kind, how_needed, ...)                                                                       \
	{ .system = "syscalls", .name = "sys_enter_" call, .kind = RF_##record_kind, .instance = TASK,                 \
	  .need = how_needed, .fields = { __VA_ARGS__ }, .why = "arguments of " call "()",                            \
	  .without = "VMA changes by " call "() are missed" }
#define RET(call, record_kind, how_needed)                                                                             \
	{ .system = "syscalls", .name = "sys_exit_" call, .kind = RF_SYS_RET, .instance = TASK, .need = how_needed,    \
	  .fields = { VALUE(RF_##record_kind), LOAD("ret") }, .why = "result of " call "()",                          \
	  .without = "whether " call "() did anything is unknown" }

#define NOT_OUTPUT_FILE "!(s_dev == $OUTPUT_DEV && i_ino == $OUTPUT_INO)"

const struct rf_event rf_events[] = {
	/* Page faults and what they did. */
	{ "exceptions", "page_fault_user", RF_FAULT, TASK, ESSENTIAL, NULL,
	  { LOAD("address"), RULE("error_code", FAULT_USER) },
	  "opens a fault: the address, and whether an entry was present",
	  "no page table can be rebuilt", NULL },
	{ "exceptions", "page_fault_kernel", RF_FAULT, TASK, WANTED, "address <= 0x7fffffffffffffff",
	  { LOAD("address"), RULE("error_code", FAULT_KERNEL) },
	  "faults the kernel takes on user memory: read(2) into a fresh buffer",
	  "pages first touched by system calls are missed", NULL },
	/*
	 * arm64, among others, has neither. A kprobe sees what both see, and the faults that get_user_pages() takes;
	 * not those without a mapping, which change nothing. Where there are no kprobes, perf's software event
	 * page-faults stands in for all three: it is in no tracing instance, so not in this table, but in
	 * rf_fault_sources[].
	 */
	{ "kprobes", "handle_mm_fault", RF_FAULT, TASK, STAND_IN, NULL,
	  { LOAD("addr|address"), RULE("flags", FAULT_MM) },
	  "stands in for both: the address, and whether it was a write",
	  "perf's page-faults event stands in: the address only",
	  "addr=$arg2:x64 flags=$arg3:x32" },
	{ "kmem", "rss_stat", RF_RSS_STAT, TASK, ESSENTIAL, "curr == 1",
	  { LOAD("mm_id"), LOAD("curr"), LOAD("member"), RULE("size", PAGES) },
	  "the moment entries are set or zapped, and how many",
	  "no page table can be rebuilt", NULL },
	{ "kmem", "rss_stat", RF_RSS_STAT, SYSTEM, ESSENTIAL, "curr == 0",
	  { LOAD("mm_id"), LOAD("curr"), LOAD("member"), RULE("size", PAGES) },
	  "changes to another's page tables: fork, exec, reclaim, process_vm",
	  "fork points and reclaim are inferred", NULL },
	/* SPLIT_RSS_COUNTING, until Linux 6.1. Also called for another's counter, which RSS_STAT tells by itself. */
	{ "kprobes", "add_mm_counter_fast", RF_RSS_CHANGE, TASK, WANTED, NULL,
	  { LOAD("member"), LOAD("pages") },
	  "what a fault counts, where rss_stat tells it in one for 64 faults",
	  "which faults mapped what is unknown: most entries of small pages are missing",
	  "member=$arg2:s32 pages=$arg3:s32" },
	/* Which of a file's pages; and that any, where the function above is inlined in these. PG_swapbacked is 19. */
	{ "kprobes", "do_set_pte", RF_SET_PTE, TASK, WANTED, NULL,
	  { LOAD("addr"), LOAD("shmem"), LOAD("tail") },
	  "which pages of a file a fault maps, there",
	  "they are inferred from the page cache",
	  "addr=$arg3:x64 shmem=+0($arg2):b1@19/64 tail=+8($arg2):b1@0/64" },
	{ "kprobes", "alloc_set_pte", RF_SET_PTE, TASK, STAND_IN, NULL,
	  { LOAD("addr"), LOAD("shmem"), LOAD("tail") },
	  "stands in for that: its name until Linux 5.11",
	  "they are inferred from the page cache",
	  "addr=+24($arg1):x64 shmem=+0($arg2):b1@19/64 tail=+8($arg2):b1@0/64" },
	{ "kmem", "mm_page_alloc", RF_PAGE_ALLOC, TASK, WANTED, "gfp_flags & $MOVABLE",
	  { LOAD("pfn"), LOAD("order"), RULE("gfp_flags", GFP) },
	  "the folio that the next entries map",
	  "page frames are unknown; orders come from RSS deltas", NULL },
	{ "kmem", "mm_page_alloc", RF_PAGE_ALLOC, SYSTEM, EXTRA, "gfp_flags & $MOVABLE && comm == \"khugepaged\"",
	  { LOAD("pfn"), LOAD("order"), RULE("gfp_flags", GFP) },
	  "the huge page khugepaged collapses into",
	  "page frames after a background collapse are unknown", NULL },
	{ "kmem", "mm_page_free", RF_PAGE_FREE, TASK, EXTRA, NULL,
	  { LOAD("pfn"), LOAD("order") },
	  "self-check: a page freed while still mapped in the model was missed",
	  "missed unmaps are found later, or only by the snapshot", NULL },
	{ "filemap", "mm_filemap_map_pages", RF_MAP_PAGES, TASK, WANTED, NULL,
	  { LOAD("s_dev"), LOAD("i_ino"), LOAD("index"), LOAD("last_index") },
	  "which file pages fault-around mapped (Linux 6.12 and later)",
	  "fault-around is inferred from RSS deltas", NULL },
	{ "filemap", "mm_filemap_fault", RF_FILEMAP_FAULT, TASK, WANTED, NULL,
	  { LOAD("s_dev"), LOAD("i_ino"), LOAD("index") },
	  "the file page of a single fault or a private copy (Linux 6.12 and later)",
	  "the page is inferred from the VMA", NULL },
	{ "filemap", "mm_filemap_add_to_page_cache", RF_CACHE_ADD, SYSTEM, WANTED, NOT_OUTPUT_FILE,
	  { LOAD("s_dev"), LOAD("i_ino"), LOAD("index"), LOAD("pfn"), LOAD("order?") },
	  "the folio behind a file page, while it is cached",
	  "page frames of files read during the recording are unknown", NULL },
	{ "filemap", "mm_filemap_delete_from_page_cache", RF_CACHE_DELETE, SYSTEM, WANTED, NOT_OUTPUT_FILE,
	  { LOAD("s_dev"), LOAD("i_ino"), LOAD("index"), LOAD("pfn"), LOAD("order?") },
	  "the end of that",
	  "page frames of files changed during the recording may be wrong", NULL },

	/* System calls that change VMAs, zap, or pin user pages. */
	CALL("mmap", SYS_MMAP, ESSENTIAL, LOAD("#0"), LOAD("#1"), LOAD("#2"), LOAD("#3"), S32("#4"), LOAD("#5")),
	RET("mmap", SYS_MMAP, ESSENTIAL),
	CALL("munmap", SYS_MUNMAP, ESSENTIAL, LOAD("#0"), LOAD("#1")),
	RET("munmap", SYS_MUNMAP, ESSENTIAL),
	CALL("mprotect", SYS_MPROTECT, ESSENTIAL, LOAD("#0"), LOAD("#1"), LOAD("#2"), VALUE(-1)),
	RET("mprotect", SYS_MPROTECT, ESSENTIAL),
	CALL("pkey_mprotect", SYS_MPROTECT, EXTRA, LOAD("#0"), LOAD("#1"), LOAD("#2"), S32("#3")),
	RET("pkey_mprotect", SYS_MPROTECT, EXTRA),
	CALL("mremap", SYS_MREMAP, WANTED, LOAD("#0"), LOAD("#1"), LOAD("#2"), LOAD("#3"), LOAD("#4")),
	RET("mremap", SYS_MREMAP, WANTED),
	CALL("madvise", SYS_MADVISE, WANTED, LOAD("#0"), LOAD("#1"), U32("#2")),
	RET("madvise", SYS_MADVISE, WANTED),
	CALL("brk", SYS_BRK, WANTED, LOAD("#0")),
	RET("brk", SYS_BRK, WANTED),
	CALL("mlock", SYS_MLOCK, WANTED, LOAD("#0"), LOAD("#1"), VALUE(0)),
	RET("mlock", SYS_MLOCK, WANTED),
	CALL("mlock2", SYS_MLOCK, WANTED, LOAD("#0"), LOAD("#1"), U32("#2")),
	RET("mlock2", SYS_MLOCK, WANTED),
	CALL("munlock", SYS_MUNLOCK, WANTED, LOAD("#0"), LOAD("#1")),
	RET("munlock", SYS_MUNLOCK, WANTED),
	CALL("mlockall", SYS_MLOCKALL, WANTED, U32("#0")),
	RET("mlockall", SYS_MLOCKALL, WANTED),
	CALL("munlockall", SYS_MUNLOCKALL, WANTED),
	RET("munlockall", SYS_MUNLOCKALL, WANTED),
	CALL("process_madvise", SYS_PROCESS_MADVISE, EXTRA, S32("#0"), LOAD("#1"), LOAD("#2"), U32("#3")),
	RET("process_madvise", SYS_PROCESS_MADVISE, EXTRA),
	CALL("shmat", SYS_SHMAT, EXTRA, S32("#0"), LOAD("#1"), U32("#2")),
	RET("shmat", SYS_SHMAT, EXTRA),
	CALL("shmdt", SYS_SHMDT, EXTRA, LOAD("#0")),
	RET("shmdt", SYS_SHMDT, EXTRA),
	CALL("remap_file_pages", SYS_REMAP_FILE_PAGES, EXTRA, LOAD("#0"), LOAD("#1"), LOAD("#2"), LOAD("#3"),
	     LOAD("#4")),
	RET("remap_file_pages", SYS_REMAP_FILE_PAGES, EXTRA),
	CALL("msync", SYS_MSYNC, EXTRA, LOAD("#0"), LOAD("#1"), U32("#2")),
	RET("msync", SYS_MSYNC, EXTRA),
	CALL("process_vm_readv", SYS_PROCESS_VM, EXTRA, S32("#0"), VALUE(0), LOAD("#1"), LOAD("#3")),
	RET("process_vm_readv", SYS_PROCESS_VM, EXTRA),
	CALL("process_vm_writev", SYS_PROCESS_VM, EXTRA, S32("#0"), VALUE(1), LOAD("#1"), LOAD("#3")),
	RET("process_vm_writev", SYS_PROCESS_VM, EXTRA),
	/* What else pins one's own memory: O_DIRECT, io_uring's registered buffers, vmsplice(), shared futexes. */
	{ "kprobes", "pin_user_pages_fast", RF_GUP, TASK, EXTRA, NULL,
	  { VALUE(0), LOAD("addr"), RULE("nr", BYTES), RULE("flags", GUP) },
	  "GUP of a task's own memory: O_DIRECT, io_uring",
	  "what such calls read of page tables is not counted", "addr=$arg1:x64 nr=$arg2:s32 flags=$arg3:x32" },
	{ "kprobes", "get_user_pages_fast", RF_GUP, TASK, EXTRA, NULL,
	  { VALUE(0), LOAD("addr"), RULE("nr", BYTES), RULE("flags", GUP) },
	  "GUP of a task's own memory: vmsplice(), shared futexes",
	  "what such calls read of page tables is not counted", "addr=$arg1:x64 nr=$arg2:s32 flags=$arg3:x32" },
	CALL("mbind", SYS_MBIND, EXTRA, LOAD("#0"), LOAD("#1"), LOAD("#2"), LOAD("#3"), LOAD("#4"), U32("#5")),
	RET("mbind", SYS_MBIND, EXTRA),
	/*
	 * Of two calls that everybody makes all the time we want one use each. An exit cannot be filtered by what its
	 * entry said, so only failures are recorded: without one, the thread's next record ends the call.
	 */
	{ "syscalls", "sys_enter_prctl", RF_SYS_PRCTL, TASK, EXTRA, "option == 0x53564d41",
	  { U32("#0"), LOAD("#1"), LOAD("#2"), LOAD("#3"), LOAD("#4") },
	  "names given to mappings (PR_SET_VMA) keep them apart", "VMA changes by prctl() are missed", NULL },
	{ "syscalls", "sys_exit_prctl", RF_SYS_RET, TASK, EXTRA, "ret < 0", { VALUE(RF_SYS_PRCTL), LOAD("ret") },
	  "result of prctl()", "whether prctl() did anything is unknown", NULL },
	{ "syscalls", "sys_enter_ioctl", RF_SYS_IOCTL, TASK, EXTRA,
	  "cmd == 0xc020aa00 || cmd == 0x8010aa01 || cmd == 0xc028aa03 || cmd == 0xc020aa04 || cmd == 0xc028aa05 || "
	  "cmd == 0xc018aa06 || cmd == 0xc020aa07 || cmd == 0xc020aa08",
	  { S32("#0"), U32("#1"), LOAD("#2") },
	  "userfaultfd: what is registered, and filled by ioctl(UFFDIO_*)", "such pages are counted, not placed", NULL },
	{ "syscalls", "sys_exit_ioctl", RF_SYS_RET, TASK, EXTRA, "ret < 0 && ret != -25",
	  { VALUE(RF_SYS_IOCTL), LOAD("ret") },
	  "result of ioctl()", "whether ioctl(UFFDIO_*) did anything is unknown", NULL },
	CALL("userfaultfd", SYS_USERFAULTFD, EXTRA, U32("#0")),
	RET("userfaultfd", SYS_USERFAULTFD, EXTRA),
	/*
	 * Shared futexes pin the page behind the word, which breaks COW. Private ones do not and are far too many. The
	 * exit cannot be filtered by operation, so there is no SYS_RET: the thread's next record ends the call.
	 */
	{ "syscalls", "sys_enter_futex", RF_SYS_FUTEX, TASK, EXTRA, "!(op & 128)", { LOAD("#0"), U32("#1") },
	  "shared futexes pin, and thereby copy, the page behind the word",
	  "such copies are counted as page pins of unknown address", NULL },

	/*
	 * By number: the calls of 32-bit tasks, for which the kernel skips the events above
	 * (arch_trace_is_compat_syscall()), and all of them where it has none at all (CONFIG_FTRACE_SYSCALLS).
	 */
	{ "raw_syscalls", "sys_enter", RF_BY_NUMBER, TASK, EXTRA, "$CALLS",
	  { RULE("id", CALL_NUMBER), RULE("args", CALL_ARGUMENTS) },
	  "arguments of calls that have no event of their own: those of 32-bit programs",
	  "VMA changes by 32-bit programs are missed", NULL },
	{ "raw_syscalls", "sys_exit", RF_BY_NUMBER, TASK, EXTRA, "$CALLS",
	  { RULE("id", CALL_NUMBER), RULE("ret", CALL_RESULT) },
	  "results of those calls",
	  "whether calls of 32-bit programs did anything is unknown", NULL },

	/* Tasks. */
	{ "syscalls", "sys_enter_clone", RF_SYS_CLONE, TASK, WANTED, NULL, { LOAD("clone_flags") },
	  "where a fork begins", "fork points are inferred", NULL },
	RET("clone", SYS_CLONE, WANTED),
	{ "syscalls", "sys_enter_clone3", RF_SYS_CLONE, TASK, WANTED, NULL, { VALUE(-1) },
	  "where a fork begins", "fork points are inferred", NULL },
	RET("clone3", SYS_CLONE, WANTED),
	{ "syscalls", "sys_enter_fork", RF_SYS_CLONE, TASK, EXTRA, NULL, { VALUE(SIGCHLD) },
	  "where a fork begins; new architectures have only clone", "fork points are inferred", NULL },
	RET("fork", SYS_CLONE, EXTRA),
	{ "syscalls", "sys_enter_vfork", RF_SYS_CLONE, TASK, EXTRA, NULL, { VALUE(CLONE_VFORK | CLONE_VM | SIGCHLD) },
	  "where a vfork begins; new architectures have only clone", "nothing: task_newtask tells", NULL },
	RET("vfork", SYS_CLONE, EXTRA),
	CALL("execve", SYS_EXECVE, WANTED),
	RET("execve", SYS_EXECVE, WANTED),
	CALL("execveat", SYS_EXECVE, WANTED),
	RET("execveat", SYS_EXECVE, WANTED),
	CALL("exit", SYS_EXIT, WANTED, VALUE(0)),
	CALL("exit_group", SYS_EXIT, WANTED, VALUE(1)),
	{ "task", "task_newtask", RF_NEWTASK, TASK, ESSENTIAL, NULL, { LOAD("pid"), LOAD("clone_flags") },
	  "who is whose child, and whether they share memory", "children cannot be followed", NULL },
	{ "sched", "sched_process_fork", RF_NEWTASK, TASK, STAND_IN, NULL,
	  { LOAD("child_pid"), VALUE((s64)RF_CLONE_UNKNOWN) },
	  "who is whose child", "children cannot be followed", NULL },
	{ "sched", "sched_prepare_exec", RF_PREPARE_EXEC, TASK, WANTED, NULL, { { NULL, RF_RULE_NONE, 0 } },
	  "the point where exec leaves the old address space (Linux 6.10 and later)",
	  "sched_process_exec stands in; stack pages of the new program may be attributed to the old", NULL },
	{ "sched", "sched_process_exec", RF_EXEC, TASK, ESSENTIAL, NULL, { LOAD("old_pid") },
	  "a new program in a new address space", "page tables after exec are wrong", NULL },
	{ "sched", "sched_process_exit", RF_EXIT, TASK, WANTED, NULL,
	  { { "group_dead?", RF_RULE_LOAD, (s64)RF_EXIT_UNKNOWN } },
	  "the end of a thread; its last: the end of the address space", "the end of the perf side-band stands in", NULL },

	/* What others do to the recorded page tables. */
	{ "migrate", "set_migration_pte", RF_MIGRATION_SET, SYSTEM, WANTED, NULL,
	  { LOAD("addr"), RULE("pte", MIGRATION_PFN), LOAD("order"), VALUE(0) },
	  "an entry is taken away for migration (Linux 6.1 and later)", "migrated pages keep their old frame", NULL },
	{ "migrate", "remove_migration_pte", RF_MIGRATION_REMOVE, SYSTEM, WANTED, NULL,
	  { LOAD("addr"), RULE("pte", PTE_PFN), LOAD("order"), RULE("pte", PTE_FLAGS) },
	  "an entry comes back from migration", "migrated pages keep their old frame", NULL },
	{ "thp", "set_migration_pmd", RF_MIGRATION_PMD_SET, SYSTEM, EXTRA, NULL,
	  { LOAD("addr"), RULE("pmd", MIGRATION_PFN), VALUE(RF_PTE_PMD) },
	  "a huge entry is taken away for migration", "migrated huge pages keep their old frame", NULL },
	{ "thp", "remove_migration_pmd", RF_MIGRATION_PMD_REMOVE, SYSTEM, EXTRA, NULL,
	  { LOAD("addr"), RULE("pmd", PTE_PFN), RULE("pmd", PTE_FLAGS) },
	  "a huge entry comes back from migration", "migrated huge pages keep their old frame", NULL },
	{ "huge_memory", "mm_khugepaged_scan_pmd", RF_COLLAPSE_SCAN, SYSTEM, WANTED, NULL,
	  { RULE("mm", POINTER), LOAD("scan_pfn|pfn"), LOAD("status") },
	  "which table khugepaged looks at", "collapses cannot be placed", NULL },
	{ "huge_memory", "mm_collapse_huge_page_isolate", RF_COLLAPSE_ISOLATE, SYSTEM, WANTED, NULL,
	  { LOAD("pfn"), LOAD("status") },
	  "which table a collapse works on", "collapses cannot be placed", NULL },
	{ "huge_memory", "mm_collapse_huge_page", RF_COLLAPSE, SYSTEM, WANTED, NULL,
	  { RULE("mm", POINTER), LOAD("status") },
	  "a table becomes one huge page", "collapses are missed", NULL },
	{ "huge_memory", "mm_khugepaged_collapse_file", RF_COLLAPSE_FILE, SYSTEM, EXTRA, NULL,
	  { RULE("mm", POINTER), LOAD("hpfn"), LOAD("index"), LOAD("addr"), LOAD("result") },
	  "file pages become one huge page", "file collapses are missed", NULL },
	{ "vmscan", "mm_vmscan_write_folio", RF_SWAP_WRITE, SYSTEM, WANTED, NULL,
	  { LOAD("pfn"), LOAD("reclaim_flags") },
	  "reclaim writes a folio to swap: its entries are swap entries now",
	  "mm_page_free stands in for swap-out", NULL },
	{ "vmscan", "mm_vmscan_writepage", RF_SWAP_WRITE, SYSTEM, STAND_IN, NULL,
	  { LOAD("pfn"), LOAD("reclaim_flags") },
	  "stands in for that: its name until Linux 5.18",
	  "mm_page_free stands in for swap-out", NULL },
	{ "ksm", "ksm_merge_one_page", RF_KSM_MERGE, SYSTEM, EXTRA, NULL,
	  { LOAD("pfn"), VALUE(0), RULE("mm", POINTER), LOAD("err") },
	  "identical pages are merged", "merged pages keep their old frame", NULL },
	{ "ksm", "ksm_merge_with_ksm_page", RF_KSM_MERGE, SYSTEM, EXTRA, NULL,
	  { LOAD("pfn"), VALUE(0), RULE("mm", POINTER), LOAD("err") },
	  "a page is merged into a shared one", "merged pages keep their old frame", NULL },
	{ "tlb", "tlb_flush", RF_TLB_FLUSH, TASK, EXTRA, NULL, { LOAD("reason"), LOAD("pages") },
	  "x86: flushes the kernel really did, to check the flush model against",
	  "predicted flushes cannot be checked", NULL },

	/* The user's own marks: text written to trace_marker. */
	{ "ftrace", "print", RF_MARKER, TASK, EXTRA, NULL,
	  { TEXT("buf", 0), TEXT("buf", 1), TEXT("buf", 2), TEXT("buf", 3), TEXT("buf", 4), TEXT("buf", 5) },
	  "marks written to trace_marker (into instances since Linux 6.16)", "a kprobe on vfs_write() stands in", NULL },
	/*
	 * Before Linux 6.16 marks are in the top-level buffer only, which is not ours. So we look where they come from.
	 */
	{ "kprobes", "vfs_write", RF_MARKER, TASK, STAND_IN, "ino == $MARKER_INO && dev == $MARKER_DEV",
	  { TEXT("text/count", 0), TEXT("text/count", 1), TEXT("text/count", 2), TEXT("text/count", 3),
	    TEXT("text/count", 4), TEXT("text/count", 5) },
	  "stands in for that: writes of the recorded tasks to trace_marker",
	  "marks are not recorded",
	  "ino=file->f_inode->i_ino:u64 dev=file->f_inode->i_sb->s_dev:u32 count=$arg3:u64 "
		   "text=+0($arg2):ustring" },
	/* Members by name are of Linux 6.4. Where they were before, with access control lists and LSMs: */
	{ "kprobes", "vfs_write", RF_MARKER, TASK, STAND_IN, "ino == $MARKER_INO && dev == $MARKER_DEV",
	  { TEXT("text/count", 0), TEXT("text/count", 1), TEXT("text/count", 2), TEXT("text/count", 3),
	    TEXT("text/count", 4), TEXT("text/count", 5) },
	  "stands in for both, where members have no names",
	  "marks are not recorded",
	  "ino=+64(+32($arg1)):u64 dev=+16(+40(+32($arg1))):u32 count=$arg3:u64 text=+0($arg2):ustring" },
};

const size_t rf_nr_events = ARRAY_SIZE(rf_events);

const struct rf_fault_source_info rf_fault_sources[RF_FAULT_SOURCES] = {
	[RF_FAULTS_TRACEPOINT] = { "tracepoint", "exceptions:page_fault_user and page_fault_kernel", NULL },
	[RF_FAULTS_KPROBE] = { "kprobe", "kprobe on handle_mm_fault",
			       "whether an entry was present is not told" },
	[RF_FAULTS_PERF] = { "perf", "perf's software event page-faults",
			     "neither what kind of access it was nor whether an entry was present is told" },
};

bool rf_event_same(size_t a, size_t b)
{
	return rf_events[a].kind == rf_events[b].kind && rf_events[a].instance == rf_events[b].instance;
}
