// SPDX-License-Identifier: MIT
/* Loading a backend, and what it has no say in: which knobs mean something on it. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/loaded/loaded.h"

/* ---- what it is ---- */

/* dlopen() calls a folder or a text what it likes: these are told in our words. */
static int check_file(const char *path, struct rf_error *err)
{
	static const char magic[] = "\177ELF";
	char start[4] = "";
	struct stat file;
	FILE *stream;
	bool elf;

	if (stat(path, &file))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "%.200s: cannot load the backend: %s", path,
				    strerror(errno));
	if (S_ISDIR(file.st_mode))
		return rf_error_set(err, -EISDIR, RF_NO_OFFSET,
				    "%.200s: is a folder, a backend is a file; of a kernel tree: kernel=%.80s", path, path);
	stream = fopen(path, "re");
	if (!stream)
		return rf_error_set(err, -errno, RF_NO_OFFSET, "%.200s: cannot load the backend: %s", path,
				    strerror(errno));
	elf = fread(start, 1, sizeof(start), stream) == sizeof(start) && !memcmp(start, magic, sizeof(start));
	fclose(stream);
	if (!elf)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "%.200s: not a backend: no shared object; compile one with cc -shared -fPIC", path);
	return 0;
}

static const struct refold_backend *find_table(const char *path, struct rf_error *err)
{
	const struct refold_backend *(*entry)(void);
	const struct refold_backend *backend;
	char absolute[PATH_MAX];
	void *handle;

	if (check_file(path, err))
		return NULL;
	if (!realpath(path, absolute)) {
		rf_error_set(err, -errno, RF_NO_OFFSET, "%.200s: %s", path, strerror(errno));
		return NULL;
	}
	handle = dlopen(absolute, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.150s: cannot load the backend: %.200s", path, dlerror());
		return NULL;
	}
	*(void **)&entry = dlsym(handle, "refold_backend");
	backend = entry ? entry() : NULL;
	if (!entry)
		rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.200s: not a backend: it has no refold_backend()", path);
	else if (!backend)
		rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.200s: its refold_backend() returns no table", path);
	return backend;
}

/* Without any hook, as the first who wrote one would have it. */
#define LEAST_SIZE offsetof(struct refold_backend, ptep_get)

static int check_table(const struct refold_backend *backend, const char *path, struct rf_error *err)
{
	if (backend->abi != REFOLD_BACKEND_ABI)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "%.200s: made for interface %u of backends, this refold has %u: build it again", path,
				    backend->abi, REFOLD_BACKEND_ABI);
	if (backend->size < LEAST_SIZE)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "%.200s: its table is of %u bytes, at least %zu are needed: set .size to sizeof", path,
				    backend->size, LEAST_SIZE);
	if (!backend->arch || !backend->base || !backend->release)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.200s: its table names no .arch, .base or .release",
				    path);
	if (!arch_by_name(backend->arch))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.200s: there is no architecture '%.40s'", path,
				    backend->arch);
	return 0;
}

static const struct arch_geometry *geometry_for(const struct arch_ops *like, u32 page_shift)
{
	const struct arch_geometry *geometry = like->geometries;

	while (geometry->page_shift && page_shift && geometry->page_shift != page_shift)
		geometry++;
	return geometry->page_shift ? geometry : NULL;
}

/* Blocks of another size than the architecture's: one page size only, for which it is. */
static int set_geometry(struct arch_loaded *loaded, struct rf_error *err)
{
	const struct refold_backend *backend = &loaded->backend;
	const struct arch_geometry *geometry = geometry_for(loaded->like, backend->page_shift);
	u32 n = backend->cont_ptes;

	if (!geometry)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%.200s: %s has no pages of 2^%u bytes", loaded->path,
				    backend->arch, backend->page_shift);
	if (n && (n & (n - 1) || n > 1u << geometry->table_shift))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET,
				    "%.200s: a block of %u entries: it must be a power of two, and fit a table",
				    loaded->path, n);
	if (!n && !backend->page_shift)
		return 0;
	loaded->geometries[0] = *geometry;
	if (n)
		loaded->geometries[0].cont_ptes = n;
	loaded->ops.geometries = loaded->geometries;
	return 0;
}

/* Fill in: what it has goes through the adapter, the rest is ours. */
static void set_hooks(struct arch_loaded *loaded)
{
	loaded->ops = *loaded->like;
	loaded->ops.loaded = loaded;
#define HOOK(name)                                                                                 \
	if (loaded->backend.name)                                                                  \
		loaded->ops.name = loaded_ops.name;
	LOADED_HOOKS(HOOK)
#undef HOOK
}

/* As what dlopen() loaded, they stay until the program ends: policies, which refer to them, are copied freely. */
static struct arch_loaded *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

struct arch_loaded *arch_loaded_open(const char *path, struct rf_error *err)
{
	const struct refold_backend *table = find_table(path, err);
	struct arch_loaded *loaded;

	if (!table || check_table(table, path, err))
		return NULL;
	loaded = calloc(1, sizeof(*loaded));
	if (loaded)
		loaded->path = strdup(path);
	if (!loaded || !loaded->path) {
		free(loaded);
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	memcpy(&loaded->backend, table, table->size < sizeof(*table) ? table->size : sizeof(*table));
	loaded->like = arch_by_name(table->arch);
	loaded->kernel = table->tree;
	set_hooks(loaded);
	if (set_geometry(loaded, err)) {
		free(loaded->path);
		free(loaded);
		return NULL;
	}
	pthread_mutex_lock(&all_lock);
	loaded->next = all;
	all = loaded;
	pthread_mutex_unlock(&all_lock);
	return loaded;
}

/* ---- what it finds wrong ---- */

void arch_loaded_warn(struct arch_loaded *loaded, const char *where, const char *what)
{
	size_t i;

	loaded->nr_warnings++;
	for (i = 0; i < ARCH_LOADED_WARNINGS; i++) {
		struct arch_loaded_warning *warning = &loaded->warnings[i];

		if (!warning->where)
			*warning = (struct arch_loaded_warning){ where, what, 0 };
		if (!strcmp(warning->where, where) && !strcmp(warning->what, what)) {
			warning->count++;
			return;
		}
	}
}

void arch_loaded_forget_warnings(const struct arch_loaded *loaded)
{
	struct arch_loaded *own = (struct arch_loaded *)loaded;

	memset(own->warnings, 0, sizeof(own->warnings));
	own->nr_warnings = 0;
}

/* ---- knobs ---- */

#define FIELD(name) offsetof(struct arch_knobs, name)
#define BIT_OF(name) (1ull << HOOK_##name)

enum hook {
#define X(name) HOOK_##name,
	LOADED_HOOKS(X)
#undef X
};

#define WRITERS                                                                                    \
	(BIT_OF(set_ptes) | BIT_OF(pte_clear) | BIT_OF(ptep_get_and_clear) | BIT_OF(clear_full_ptes) | \
	 BIT_OF(get_and_clear_full_ptes) | BIT_OF(wrprotect_ptes) | BIT_OF(ptep_set_access_flags) | \
	 BIT_OF(test_and_clear_young_ptes) | BIT_OF(clear_flush_young_ptes) | BIT_OF(clear_young_dirty_ptes) | \
	 BIT_OF(modify_prot_start_ptes) | BIT_OF(modify_prot_commit_ptes))
#define SETTERS (BIT_OF(set_ptes) | BIT_OF(modify_prot_commit_ptes))
#define FLUSHES (BIT_OF(flush_tlb_range) | BIT_OF(flush_tlb_mm))

/* What every hook is told of, or core mm looks at. */
static const size_t told[] = {
	FIELD(tlbi_range), FIELD(kpti), FIELD(lpa2), FIELD(bbml3), FIELD(repeat_tlbi), FIELD(max_dvm_ops),
	FIELD(defer_unmap_flush), FIELD(batch_young), FIELD(hugetlb_break_valid), FIELD(hugetlb_flush_stride),
	FIELD(gather_sets),
};

/* Which of our own hooks look at a knob. */
static const struct {
	size_t field;
	u64 hooks;
} looks[] = {
	{ FIELD(cont), WRITERS },
	{ FIELD(cont_pages), WRITERS },
	{ FIELD(fold_sites), SETTERS | BIT_OF(wrprotect_ptes) | BIT_OF(ptep_set_access_flags) },
	{ FIELD(fold_span), SETTERS | BIT_OF(wrprotect_ptes) | BIT_OF(ptep_set_access_flags) },
	{ FIELD(fold_present), SETTERS | BIT_OF(wrprotect_ptes) | BIT_OF(ptep_set_access_flags) },
	{ FIELD(refold_lazy), SETTERS | BIT_OF(wrprotect_ptes) | BIT_OF(ptep_set_access_flags) },
	{ FIELD(unfold_nosync), WRITERS },
	{ FIELD(unfold_merged), WRITERS },
	{ FIELD(unfold_free_split), WRITERS },
	{ FIELD(fork_full), SETTERS | BIT_OF(wrprotect_ptes) },
	{ FIELD(getter), BIT_OF(ptep_get) | BIT_OF(ptep_get_lockless) | BIT_OF(ptep_set_access_flags) },
	{ FIELD(lockless), BIT_OF(ptep_get_lockless) },
	{ FIELD(lockless_tries), BIT_OF(ptep_get_lockless) },
	{ FIELD(access_compare), BIT_OF(ptep_set_access_flags) },
	{ FIELD(access_flush_never), BIT_OF(ptep_set_access_flags) },
	{ FIELD(hint), BIT_OF(pte_batch_hint) },
	{ FIELD(set_ptes_checks_old), SETTERS },
	{ FIELD(protnone_cont), SETTERS },
	{ FIELD(wrprotect_reload), BIT_OF(wrprotect_ptes) },
	{ FIELD(wrprotect_chunks), BIT_OF(wrprotect_ptes) },
	{ FIELD(zap_full_trick), BIT_OF(clear_full_ptes) | BIT_OF(get_and_clear_full_ptes) },
	{ FIELD(exit_spread_stored), BIT_OF(clear_full_ptes) | BIT_OF(get_and_clear_full_ptes) },
	{ FIELD(batch_helpers), WRITERS },
	{ FIELD(tlbi_range_limit), FLUSHES },
	{ FIELD(tlbi_limit_waits_twice), FLUSHES },
	{ FIELD(reuse_flush_local), BIT_OF(ptep_set_access_flags) | BIT_OF(flush_tlb_fix_spurious_fault) |
				    BIT_OF(flush_pmd_access) },
	{ FIELD(exec_prot_flush), BIT_OF(modify_prot_start_ptes) },
	{ FIELD(needs_flush_precise), BIT_OF(pte_needs_flush) },
	{ FIELD(tlbbatch_range), BIT_OF(tlbbatch_add_pending) },
	{ FIELD(batched_pending_mm), BIT_OF(flush_tlb_batched_pending) },
	{ FIELD(fullmm_skip), BIT_OF(tlb_flush) },
	{ FIELD(asid_threshold), FLUSHES },
	{ FIELD(flush_ceiling), FLUSHES },
	{ FIELD(invlpgb), FLUSHES },
	{ FIELD(invlpgb_count_max), FLUSHES },
	{ FIELD(invlpgb_min_cpus), FLUSHES },
	{ FIELD(gather_range), BIT_OF(tlb_flush) },
	{ FIELD(svinval), FLUSHES },
	{ FIELD(svvptc), BIT_OF(set_ptes) | BIT_OF(ptep_set_access_flags) | BIT_OF(flush_tlb_fix_spurious_fault) |
			 BIT_OF(flush_pmd_access) },
	{ FIELD(rfence_sbi), FLUSHES },
};

static u64 hooks_of(const struct refold_backend *backend)
{
	u64 hooks = 0;

#define X(name) hooks |= backend->name ? BIT_OF(name) : 0;
	LOADED_HOOKS(X)
#undef X
	return hooks;
}

const char *arch_loaded_refuses(const struct arch_loaded *loaded, const struct knob *knob, u32 value)
{
	u64 theirs = hooks_of(&loaded->backend);
	size_t i;

	if (!knob->backend)
		return NULL;
	if (knob->offset == FIELD(repeat_tlbi)) {
		if (value == REPEAT_TLBI_OLD && loaded->backend.flags & REFOLD_BACKEND_REPEAT_NEW)
			return "its code works around the erratum by repeat_tlbi=new";
		if (value == REPEAT_TLBI_NEW && loaded->backend.flags & REFOLD_BACKEND_REPEAT_OLD)
			return "its code works around the erratum by repeat_tlbi=old";
	}
	if (knob->offset == FIELD(bbml3) && value && loaded->backend.flags & REFOLD_BACKEND_NO_BBML3)
		return "its code does not ask whether the CPU has BBML3";
	for (i = 0; i < ARRAY_SIZE(told); i++)
		if (told[i] == knob->offset)
			return NULL;
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		if (looks[i].field == knob->offset && looks[i].hooks & ~theirs)
			return NULL;
	return "it is a matter of the model's code, which is replaced here: change the loaded code";
}
