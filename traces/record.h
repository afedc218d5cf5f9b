/* SPDX-License-Identifier: MIT */
/*
 * Records: what the kernel said. One record is one tracepoint hit, one perf
 * side-band event or one fact of a snapshot, as typed integers. A trace is
 * nothing but records in streams; each stream is ordered by time.
 *
 * capture/ makes records, replay/ gives them a meaning; this header and
 * FORMAT.md are all the two share. Facts that differ between architectures
 * or kernels (error codes, gfp bits, swap encodings) are normalised by
 * capture/, so a record means the same on every machine.
 */
#ifndef REFOLD_TRACES_RECORD_H
#define REFOLD_TRACES_RECORD_H

#include "base/types.h"
#include "base/vm_flags.h"

#define RF_RECORD_FIELDS 6

/*
 * One decoded record: 64 bytes, one cache line. Unused fields are 0. Signed
 * values (rss pages, system call results) are stored as their two's complement.
 */
struct rf_record {
	u64 time;			/* ns of the clock named in the trace header */
	u32 tid;			/* the thread in whose context it happened; 0: none known */
	u16 stream;			/* index of the stream, see rf_stream_info */
	u8 kind;			/* enum rf_record_kind */
	bool compat;			/* decoded, not yet written: a call of a 32-bit task, for RF_SOURCE_COMPAT */
	u64 f[RF_RECORD_FIELDS];	/* meaning by kind, below */
};

/*
 * Every kind: symbol, number in the file (never reused), text name, fields.
 * Field notation: name/class, class one of
 *   d unsigned decimal   s signed decimal   x hexadecimal   a virtual address (hex)
 *   p page frame number (hex)   w eight characters of text
 *   t number of a task   i decimal, o hexadecimal: a number that only tells objects apart (inodes, address spaces)
 * By their class traces/privacy.c knows what to hide: of a kind with fields that are one or the other it must be told.
 * The numbers are the file format's; FORMAT.md repeats this table for readers.
 */
#define RF_RECORD_KINDS(X)                                                                         \
	/* --- page faults and what they did --- */                                                \
	X(FAULT, 1, "fault", "addr/a flags/x")             /* flags: RF_FAULT_* */                 \
	X(RSS_STAT, 2, "rss_stat", "mm_id/i curr/d member/d pages/s") /* absolute counter after */  \
	X(PAGE_ALLOC, 3, "page_alloc", "pfn/p order/d gfp/x") /* gfp: RF_GFP_*; pfn ~0: failed */   \
	X(PAGE_FREE, 4, "page_free", "pfn/p order/d")                                              \
	X(MAP_PAGES, 5, "map_pages", "dev/x ino/i index/d last/d") /* mm_filemap_map_pages */       \
	X(FILEMAP_FAULT, 6, "filemap_fault", "dev/x ino/i index/d")                                \
	X(CACHE_ADD, 7, "cache_add", "dev/x ino/i index/d pfn/p order/d")                          \
	X(CACHE_DELETE, 8, "cache_delete", "dev/x ino/i index/d pfn/p order/d")                    \
	/* what the task keeps to itself: an RSS_STAT tells the sum later */              \
	X(RSS_CHANGE, 9, "rss_change", "member/d pages/s")                                \
	/* do_set_pte(): of a file's page, or a new copy of it; tail: shmem is not known */ \
	X(SET_PTE, 10, "set_pte", "addr/a shmem/d tail/d")                                \
	/* --- system calls: one kind per call on entry, SYS_RET on exit --- */                    \
	X(SYS_MMAP, 16, "mmap", "addr/a len/x prot/x flags/x fd/s offset/x")                       \
	X(SYS_MUNMAP, 17, "munmap", "addr/a len/x")                                                \
	X(SYS_MPROTECT, 18, "mprotect", "addr/a len/x prot/x pkey/s") /* pkey -1: plain mprotect */ \
	X(SYS_MREMAP, 19, "mremap", "addr/a old_len/x new_len/x flags/x new_addr/a")               \
	X(SYS_MADVISE, 20, "madvise", "addr/a len/x advice/d")                                     \
	X(SYS_BRK, 21, "brk", "addr/a")                                                            \
	X(SYS_MLOCK, 22, "mlock", "addr/a len/x flags/x")     /* mlock and mlock2 */                \
	X(SYS_MUNLOCK, 23, "munlock", "addr/a len/x")                                              \
	X(SYS_MLOCKALL, 24, "mlockall", "flags/x")                                                 \
	X(SYS_MUNLOCKALL, 25, "munlockall", "")                                                    \
	/* clone; fork and vfork as their clone flags; clone3: RF_CLONE_UNKNOWN */        \
	X(SYS_CLONE, 26, "clone", "flags/x")                                              \
	X(SYS_EXECVE, 27, "execve", "")          /* execve and execveat */                          \
	X(SYS_PROCESS_MADVISE, 28, "process_madvise", "pidfd/d vec/a vlen/d advice/d")             \
	X(SYS_SHMAT, 29, "shmat", "shmid/i addr/a flags/x")                                        \
	X(SYS_SHMDT, 30, "shmdt", "addr/a")                                                        \
	X(SYS_REMAP_FILE_PAGES, 31, "remap_file_pages", "addr/a len/x prot/x pgoff/d flags/x")     \
	X(SYS_MSYNC, 32, "msync", "addr/a len/x flags/x")                                          \
	X(SYS_FUTEX, 33, "futex", "addr/a op/d")              /* shared futexes only: they pin pages */ \
	X(SYS_PROCESS_VM, 34, "process_vm", "pid/t write/d local/a remote/a") /* process_vm_readv/writev */ \
	X(SYS_EXIT, 35, "exit", "group/d")                    /* exit, exit_group */                \
	X(SYS_USERFAULTFD, 36, "userfaultfd", "flags/x")                                           \
	X(SYS_MBIND, 37, "mbind", "addr/a len/x mode/x mask/a maxnode/d flags/x")                  \
	/* PR_SET_VMA only; ret only if it fails */                                       \
	X(SYS_PRCTL, 38, "prctl", "option/x arg2/x arg3/x arg4/x arg5/x")                 \
	/* UFFDIO_* only; ret only if it fails, by another error than ENOTTY */           \
	X(SYS_IOCTL, 39, "ioctl", "fd/s cmd/x arg/a")                                     \
	X(SYS_RET, 47, "sys_ret", "call/d ret/s")             /* call: kind of the entry record */  \
	/* --- tasks --- */                                                                        \
	X(NEWTASK, 48, "newtask", "child/t flags/x")          /* task_newtask: clone flags */       \
	X(PREPARE_EXEC, 49, "prepare_exec", "") /* point of no return: the new mm is installed after this */ \
	X(EXEC, 50, "exec", "old_tid/t")                      /* sched_process_exec */              \
	X(EXIT, 51, "exit_task", "group_dead/d")              /* sched_process_exit */              \
	/* --- what other tasks or kernel threads do to page tables --- */                         \
	X(MIGRATION_SET, 64, "migration_set", "addr/a pfn/p order/d flags/x") /* pfn: the old page; flags: RF_PTE_* */ \
	X(MIGRATION_REMOVE, 65, "migration_remove", "addr/a pfn/p order/d flags/x") /* pfn: the new page */ \
	X(MIGRATION_PMD_SET, 66, "migration_pmd_set", "addr/a pfn/p flags/x")                      \
	X(MIGRATION_PMD_REMOVE, 67, "migration_pmd_remove", "addr/a pfn/p flags/x")                \
	X(COLLAPSE_SCAN, 68, "collapse_scan", "mm/o pfn/p status/d")   /* khugepaged_scan_pmd */    \
	X(COLLAPSE_ISOLATE, 69, "collapse_isolate", "pfn/p status/d")                              \
	X(COLLAPSE, 70, "collapse", "mm/o status/d")                   /* mm_collapse_huge_page; 1: succeeded */ \
	X(COLLAPSE_FILE, 71, "collapse_file", "mm/o pfn/p index/d addr/a status/d")                \
	X(SWAP_WRITE, 72, "swap_write", "pfn/p flags/x")               /* mm_vmscan_write_folio */  \
	X(KSM_MERGE, 73, "ksm_merge", "pfn/p addr/a mm/o status/d")                                \
	X(TLB_FLUSH, 74, "tlb_flush", "reason/d pages/s")              /* pages -1: everything */    \
	/* --- perf side-band --- */                                                               \
	X(MMAP2, 80, "mmap2", "addr/a len/x pgoff/d dev/x ino/i flags/x")  /* flags: RF_VM_*, RF_VMA_* */ \
	X(COMM, 81, "comm", "name0/w name1/w exec/d")                                              \
	X(TASK_FORK, 82, "task_fork", "pid/t parent_pid/t parent_tid/t")                           \
	X(TASK_EXIT, 83, "task_exit", "pid/t")                                                     \
	X(PROCESS, 84, "process", "pid/t")                    /* tid belongs to this process: read at attach */ \
	/* a file with code that stacks are in, from 1; id: the first size bytes are its build id, 0: not known */ \
	X(MODULE, 85, "module", "module/d size/d id0/x id1/x id2/x")                      \
	/* its name, 32 characters from at on */                                          \
	X(MODULE_PATH, 86, "module_path", "module/d at/d w0/w w1/w w2/w w3/w")            \
	/* a stack, from 1: an instruction, and the stack that called it (0: none, or not known) */ \
	X(STACK, 87, "stack", "stack/d caller/d module/d offset/x")                       \
	/* the thread's call (kind of its entry record) that follows is made from this stack */ \
	X(CALL_STACK, 88, "call_stack", "call/d stack/d")                                 \
	X(NO_STACKS, 89, "no_stacks", "why/d calls/d")        /* so many had none: RF_NO_STACK_* */ \
	/* --- snapshots: SNAP_BEGIN, then VMA/PTE/SWAP in address order, then SNAP_END --- */     \
	X(SNAP_BEGIN, 96, "snap_begin", "pid/t why/d threads/d") /* why: RF_SNAP_*; time: before the first read */ \
	X(SNAP_VMA, 97, "snap_vma", "addr/a len/x pgoff/d dev/x ino/i flags/x") /* the same */ \
	X(SNAP_PTE, 98, "snap_pte", "addr/a nr/d pfn/p order/d flags/x") /* a run in one folio; flags: RF_PTE_* */ \
	X(SNAP_SWAP, 99, "snap_swap", "addr/a nr/d entry/x")          /* consecutive slots */       \
	X(SNAP_RSS, 100, "snap_rss", "file/s anon/s swap/s shmem/s")  /* pages */                    \
	/* stopped: the process could not run meanwhile; time: after the last read */      \
	X(SNAP_END, 101, "snap_end", "pid/t complete/d stopped/d")                         \
	X(CACHE_FILE, 104, "cache_file", "dev/x ino/i pages/d")       /* layout of one file, CACHE_RUNs follow */ \
	X(CACHE_RUN, 105, "cache_run", "dev/x ino/i index/d nr/d pfn/p order/d") /* inside one folio */ \
	X(CACHE_READAHEAD, 107, "cache_readahead", "dev/x ino/i index/d pfn/p") /* its folio: PG_readahead */ \
	X(KERNEL_PAGE, 106, "kernel_page", "what/d index/d pfn/p")    /* RF_KERNEL_PAGE_*: zero page, vdso pages */ \
	/* --- the recording itself --- */                                                         \
	X(LOST, 112, "lost", "events/d")     /* so many events of this stream are missing before this time */ \
	X(MARKER, 113, "marker", "w0/w w1/w w2/w w3/w w4/w w5/w")     /* trace_marker text, first 48 bytes */ \
	/* the next 48 of the MARKER just before: its thread, its time */                   \
	X(MARKER_MORE, 114, "marker_more", "w0/w w1/w w2/w w3/w w4/w w5/w")                \
	/* get_user_pages() of the thread's memory (pid 0), or, by the process_vm call */  \
	/* that follows, of pid's; flags: RF_GUP_* */                                      \
	X(GUP, 115, "gup", "pid/t addr/a len/x flags/x")                                  \
	/* what the call (kind of its entry record) that follows in the thread names by a pointer: RF_CALL_DATA_* */ \
	X(CALL_DATA, 116, "call_data", "call/d pid/t w0/x w1/x w2/x w3/x") \
	/* the thread makes its calls by this ABI (RF_ABI_*); exec 1: from the EXEC that follows */ \
	X(ABI, 117, "abi", "abi/d exec/d")                                                 \
	/* what recording took, at its end: CPU time and the most memory of the recorder; */ \
	/* the kernel's buffers, all and what one CPU's would have to be to hold what was lost */ \
	X(RECORDER, 118, "recorder", "cpu_ns/d memory/d buffers/d needed/d")       \
	/* events are switched off from now on, one stream after the other: what comes later is not whole */ \
	X(STOP, 119, "stop", "")                                                           \
	/* records of this kind are not made any more, in streams of this source (enum rf_source): recording took */ \
	/* too much, in thousandths of a CPU */                                            \
	X(LEFT_OUT, 120, "left_out", "kind/d source/d cpu/d")

/* Of RF_MODULE and what follows it: no part of what happened. */
#define rf_is_of_stacks(kind) ((kind) >= RF_MODULE && (kind) <= RF_NO_STACKS)

enum rf_record_kind {
#define X(symbol, number, name, fields) RF_##symbol = number,
	RF_RECORD_KINDS(X)
#undef X
	RF_RECORD_KIND_MAX = 128,
};

/* A mark's text is one MARKER and as many MARKER_MORE right behind it as it needs; what is longer than this is cut. */
#define RF_MARK_RECORDS		4
#define RF_MARK_BYTES		(RF_MARK_RECORDS * RF_RECORD_FIELDS * 8)

/*
 * FAULT.flags. Where the architecture gives no error code, RF_FAULT_UNKNOWN is set and PRESENT/WRITE are not
 * meaningful.
 */
#define RF_FAULT_PRESENT	0x01	/* the entry was present: a protection fault */
#define RF_FAULT_WRITE		0x02
#define RF_FAULT_KERNEL		0x04	/* taken in kernel mode, on a user address */
#define RF_FAULT_EXEC		0x08
#define RF_FAULT_UNKNOWN	0x10	/* no error code: only the address is a fact */
#define RF_FAULT_WRITE_KNOWN	0x20	/* with UNKNOWN: WRITE is a fact all the same (handle_mm_fault flags) */
#define RF_FAULT_RETRY		0x40	/* the task's last fault once more, its locks dropped (FAULT_FLAG_TRIED) */
#define RF_FAULT_REMOTE		0x80	/* on another address space: exec arguments, ptrace (FAULT_FLAG_REMOTE) */
#define RF_FAULT_UNSHARE	0x100	/* a read that takes a private copy: GUP for reading (FAULT_FLAG_UNSHARE) */
#define RF_FAULT_VMA_LOCK	0x200	/* under the mapping's lock alone; the same again without this is its retry */
#define RF_FAULT_GUP		0x400	/* no exception: get_user_pages() and its like, for the kernel */

/* RSS_STAT.member: the kernel's own order. */
enum rf_rss_member { RF_RSS_FILE, RF_RSS_ANON, RF_RSS_SWAP, RF_RSS_SHMEM, RF_RSS_MEMBERS };

/* PRCTL.option, and the type in IOCTL.cmd, of what is recorded of these calls. */
#define RF_PR_SET_VMA		0x53564d41
#define RF_UFFDIO		0xaa

/*
 * CALL_DATA: w0... of a call. MBIND: a number that only tells node masks apart, 0: empty. PRCTL: the same of names.
 * IOCTL: the first words of what its argument points at. PROCESS_MADVISE: a record for each iovec, pid's: address,
 * length.
 */

/*
 * STACK.module 0: the instruction is in no file that is known, and offset is 0. Else offset is the file's own address
 * of it, as its symbols have it, or, of a caller, of the last byte of the instruction that calls.
 */

/* NO_STACKS.why */
enum rf_no_stack {
	RF_NO_STACK_RING,	/* no room in the kernel's buffer; calls of other processes are among them */
	RF_NO_STACK_RATE,	/* too many at once */
	RF_NO_STACK_KINDS,	/* too many different ones */
	RF_NO_STACK_USER,	/* no registers that are known (32-bit programs), or in no known code */
	RF_NR_NO_STACKS
};

/* GUP.flags */
#define RF_GUP_WRITE		0x1
#define RF_GUP_FAST		0x2	/* get_user_pages_fast() and its like */

/* ABI.abi: the kernel's own, and those of 32-bit programs on 64-bit kernels. */
enum rf_abi { RF_ABI_NATIVE, RF_ABI_I386, RF_ABI_X32, RF_ABI_ARM, RF_NR_ABIS };

/* PAGE_ALLOC.gfp: the bits that tell user memory from the rest, by name. */
#define RF_GFP_MOVABLE		0x001
#define RF_GFP_HARDWALL		0x002
#define RF_GFP_WRITE		0x004
#define RF_GFP_ZERO		0x008
#define RF_GFP_COMP		0x010
#define RF_GFP_HIGHMEM		0x020
#define RF_GFP_ACCOUNT		0x040
#define RF_GFP_NORETRY		0x080
#define RF_GFP_NOWARN		0x100

/* SYS_*.prot and flags of mmap/mremap/madvise/clone carry the Linux ABI values of the generic (asm-generic) headers. */
#define RF_CLONE_UNKNOWN	(~0ull)		/* clone3: the flags are behind a pointer; NEWTASK tells */
/* EXIT.group_dead before Linux 6.16, where EXIT comes after the end of the address space. */
#define RF_EXIT_UNKNOWN		(~0ull)

/* MMAP2.flags, SNAP_VMA.flags: RF_VM_* and RF_ATTRIBUTE_* of base/vm_flags.h, and between them */
#define RF_VMA_NAME(flags)	(((flags) >> 16) & 0xf)
#define RF_VMA_NAME_SHIFT	16
/* HUGETLB: log2 of the huge page's size in bytes; 0: not known. */
#define RF_VMA_HUGE_SHIFT(flags) (((flags) >> 20) & 0x3f)
#define RF_VMA_HUGE_SHIFT_SHIFT	20
_Static_assert(!(RF_ATTRIBUTES_RECORDED & (RF_VM_RECORDED | 0x3ff0000)), "one bit, one meaning");
enum rf_vma_name {
	RF_VMA_PLAIN, RF_VMA_HEAP, RF_VMA_STACK, RF_VMA_VDSO, RF_VMA_VVAR, RF_VMA_VVAR_VCLOCK, RF_VMA_VSYSCALL,
	RF_VMA_OTHER,
};

/* SNAP_PTE.flags, MIGRATION_*.flags. */
#define RF_PTE_WRITE		0x001	/* MIGRATION_*: known; SNAP_PTE: never set, pagemap does not tell */
#define RF_PTE_FILE		0x002	/* pagemap bit 61: file page or shared anon */
#define RF_PTE_EXCLUSIVE	0x004	/* pagemap bit 56 */
#define RF_PTE_SOFT_DIRTY	0x008
#define RF_PTE_UFFD_WP		0x010
#define RF_PTE_ZERO		0x020	/* the zero page */
#define RF_PTE_PMD		0x040	/* mapped by a PMD */
#define RF_PTE_SWAPBACKED	0x080	/* kpageflags of the head page */
#define RF_PTE_DIRTY		0x100
#define RF_PTE_KSM		0x200
#define RF_PTE_GUARD		0x400
#define RF_PTE_ANON		0x800	/* kpageflags ANON of the head page */

/* SNAP_BEGIN.why */
enum rf_snap_why { RF_SNAP_ATTACH, RF_SNAP_EXIT, RF_SNAP_STOP, RF_SNAP_EXEC, RF_SNAP_LOSS };

/* KERNEL_PAGE.what */
enum rf_kernel_page {
	RF_KERNEL_PAGE_ZERO, RF_KERNEL_PAGE_HUGE_ZERO, RF_KERNEL_PAGE_VDSO, RF_KERNEL_PAGE_VVAR,
	RF_KERNEL_PAGE_VVAR_VCLOCK,
	RF_KERNEL_PAGE_VDSO_COMPAT,	/* the vdso of 32-bit programs */
};

/* How a field is printed and packed. */
enum rf_field_class {
	RF_FIELD_DECIMAL, RF_FIELD_SIGNED, RF_FIELD_HEX, RF_FIELD_ADDR, RF_FIELD_PFN, RF_FIELD_TEXT, RF_FIELD_TASK,
	RF_FIELD_OBJECT, RF_FIELD_OBJECT_HEX,
};

struct rf_field_info {
	char name[16];
	enum rf_field_class class;
};

struct rf_kind_info {
	const char *name;		/* NULL: no such kind */
	u8 nr_fields;
	struct rf_field_info fields[RF_RECORD_FIELDS];
};

/* The table behind RF_RECORD_KINDS, indexed by kind; RF_RECORD_KIND_MAX entries. */
const struct rf_kind_info *rf_kind_table(void);
/* The kind of this text name, or 0. */
u8 rf_kind_by_name(const char *name);

#endif
