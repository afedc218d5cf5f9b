/* SPDX-License-Identifier: MIT */
/*
 * Backends that are loaded: shared objects that say what they are by backend_abi.h, hand-written or made of a kernel
 * tree. Each is a table like those of our own backends, for one column of a report; it stays until the program ends.
 */
#ifndef REFOLD_ARCH_LOADED_LOADED_H
#define REFOLD_ARCH_LOADED_LOADED_H

#include "arch/arch.h"
#include "arch/backend_abi.h"
#include "base/error.h"

/* What a backend found to be wrong: a WARN_ON() of its kernel, or what --check-backend sees. */
#define ARCH_LOADED_WARNINGS 16

struct arch_loaded_warning {
	const char *where, *what;	/* where: "file.c:12", or the hook */
	u64 count;
};

struct arch_loaded {
	struct arch_ops ops;		/* .loaded leads back to this */
	struct refold_backend backend;	/* its table; hooks that it does not know of are NULL */
	const struct arch_ops *like;	/* ours, which NULL hooks are */
	struct arch_geometry geometries[2];
	char *path;
	struct arch_loaded *next;	/* of all, loaded.c */
	bool guarded;			/* hooks get a copy of their table, with nothing beside it */
	/* Nobody else looks while machines run. */
	struct arch_loaded_warning warnings[ARCH_LOADED_WARNINGS];
	u64 nr_warnings;		/* in all, those that found no place included */
	/* Of a kernel tree: */
	bool kernel, built_now;
	u32 build_ms;
};

/* NULL with err: not there, no shared object, no backend, of another interface, or one that contradicts itself. */
struct arch_loaded *arch_loaded_open(const char *path, struct rf_error *err);

/* What to build: arch/loaded/kernel/build.sh. */
struct arch_loaded_kernel {
	const char *tree;
	u8 page_shift;
	const char *base;		/* the policy that core mm is of; NULL: what fits the tree, of releases */
	const char *releases;		/* "6.9=6.9 6.12=6.12.117": policies of releases, and what they model */
	const char *output;		/* FILE.so; NULL: in the cache only */
	const char *keep;		/* a folder for what the compiler is given; NULL: none */
};

/*
 * Compile the page-table code of a kernel tree, unless that was done before, and load it. What the compiler has to say
 * goes to standard error. NULL with err.
 */
struct arch_loaded *arch_loaded_build(const struct arch_loaded_kernel *kernel, struct rf_error *err);

/*
 * Does the knob mean nothing on it, or not with this value? The reason, or NULL. A knob means something if one of our
 * own hooks that is in use looks at it, if hooks are told of it (refold_mm.cpu, max_dvm_ops), or if it is core mm's. A
 * backend that brings no hook takes all.
 */
const char *arch_loaded_refuses(const struct arch_loaded *loaded, const struct knob *knob, u32 value);

/* The hook that this thread is in, for who handles signals: false if it is in none. */
bool arch_loaded_in_hook(const struct arch_loaded **loaded, const char **hook);
/* From now on hooks get a copy of their table with nothing beside it, so that what strays crashes there. Slower. */
void arch_loaded_guard(const struct arch_loaded *loaded);
/* Who observes flushes and looks at the tables: a guarded hook's copy goes to where it is of, and back afterwards. */
void arch_loaded_show(void);
void arch_loaded_hide(void);
/* A hook was left by longjmp(): this thread is in none any more. */
void arch_loaded_leave_hook(void);
/* Warnings are counted from here. */
void arch_loaded_forget_warnings(const struct arch_loaded *loaded);
/* How far addr is from the guarded table of the hook that this thread is in: false if it is not close to it. */
bool arch_loaded_beside_table(const void *addr, s64 *bytes);

/* ---- between the files here ---- */

/* Every hook, in the order of the interface. */
#define LOADED_HOOKS(X)                                                                            \
	X(ptep_get) X(ptep_get_lockless) X(pte_batch_hint) X(set_ptes) X(pte_clear)                \
	X(ptep_get_and_clear) X(clear_full_ptes) X(get_and_clear_full_ptes) X(wrprotect_ptes)      \
	X(ptep_set_access_flags) X(test_and_clear_young_ptes) X(clear_flush_young_ptes)            \
	X(clear_young_dirty_ptes) X(modify_prot_start_ptes) X(modify_prot_commit_ptes)             \
	X(ptep_clear_flush) X(pte_needs_flush) X(flush_pmd_access) X(flush_tlb_range)              \
	X(flush_tlb_page) X(flush_tlb_mm) X(tlb_flush) X(tlbbatch_add_pending) X(tlbbatch_flush)   \
	X(flush_tlb_batched_pending) X(flush_tlb_fix_spurious_fault)

extern const struct arch_ops loaded_ops;	/* adapter.c */
extern const struct refold_backend loaded_own;	/* own.c: our hooks as a backend may call them */
void arch_loaded_warn(struct arch_loaded *loaded, const char *where, const char *what);

/* guard.c: the hook's view of the entries at ptep; and what it did there goes back. */
refold_pte *loaded_guard_begin(struct arch_mm *mm, pte_t *ptep);
void loaded_guard_end(struct arch_mm *mm);
/* Hooks were left without an end. */
void loaded_guard_leave(void);

#endif
