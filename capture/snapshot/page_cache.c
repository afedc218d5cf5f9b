// SPDX-License-Identifier: MIT
/*
 * The files seen in a recording, noted as they are mapped, and at the end the layout of each. A file is known by
 * the device and inode its mappings show; a name is only where to look for it.
 */
#include "capture/snapshot/page_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "capture/snapshot/cache_layout.h"
#include "capture/snapshot/roots.h"

#define MAX_FILES	(1024 * 1024)

/*
 * Two paths, the latest first: a file may have been renamed, and a program in a chroot sees another name than we.
 * Then /proc/PID/map_files/..., which leads there as long as that process lives.
 */
enum { PATH, FORMER_PATH, LINK, NAMES };

struct file {
	u64 dev, ino;
	char *names[NAMES];	/* where it may be found, the likeliest first; some are NULL */
};

DEFINE_TABLE(file_table, u64, struct file *);

struct rf_page_cache {
	pthread_mutex_t lock;
	struct file_table files;
	struct rf_roots roots;		/* where else a name may lead */
};

static void free_names(const struct file *file)
{
	for (int i = 0; i < NAMES; i++)
		free(file->names[i]);
}

struct rf_page_cache *rf_page_cache_create(void)
{
	struct rf_page_cache *cache = calloc(1, sizeof(*cache));

	if (cache)
		pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void rf_page_cache_destroy(struct rf_page_cache *cache)
{
	if (!cache)
		return;
	for (u32 i = 0; i < cache->files.size; i++) {
		struct file *file = cache->files.slots[i].value;

		if (file)
			free_names(file);
		free(file);
	}
	file_table_free(&cache->files);
	rf_roots_free(&cache->roots);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static bool same_inode(const void *context, struct file *file)
{
	const struct file *wanted = context;

	return file->ino == wanted->ino && file->dev == wanted->dev;
}

static struct file *find_or_add(struct rf_page_cache *cache, u64 dev, u64 ino)
{
	const struct file wanted = { .dev = dev, .ino = ino };
	u64 key = ino + (dev << 32);
	struct file *file = file_table_match(&cache->files, key, same_inode, &wanted);

	if (file || cache->files.nr == MAX_FILES)
		return file;
	file = malloc(sizeof(*file));
	if (!file || file_table_add(&cache->files, key, file)) {
		free(file);
		return NULL;
	}
	*file = wanted;
	return file;
}

static bool is_link(const char *path)
{
	return !strncmp(path, "/proc/", 6);
}

/* "//anon", "/memfd:x (deleted)", "/SYSV0 (deleted)": names perf and maps give to what has none. */
static bool is_path(const char *path)
{
	size_t length = strlen(path);

	return path[0] == '/' && path[1] != '/' && !(length > 10 && !strcmp(path + length - 10, " (deleted)"));
}

static bool is_named(const struct file *file, int which, const char *name)
{
	return file->names[which] && !strcmp(file->names[which], name);
}

/* True if that name is new. */
static bool add_name(struct file *file, const char *name)
{
	int which = is_link(name) ? LINK : PATH;

	if (is_named(file, which, name))
		return false;
	if (which == PATH && file->names[PATH]) {
		free(file->names[FORMER_PATH]);
		file->names[FORMER_PATH] = file->names[PATH];
	} else {
		free(file->names[which]);
	}
	file->names[which] = strdup(name);
	return true;
}

void rf_page_cache_note(struct rf_page_cache *cache, u64 dev, u64 ino, pid_t pid, const char *path)
{
	struct file *file;

	if (!ino || !is_path(path))
		return;
	pthread_mutex_lock(&cache->lock);
	file = find_or_add(cache, dev, ino);
	if (file && add_name(file, path))
		rf_roots_note(&cache->roots, pid);
	pthread_mutex_unlock(&cache->lock);
}

static int compare(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void free_files(struct file *files, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free_names(&files[i]);
	free(files);
}

static struct file copy_of(const struct file *file)
{
	struct file copy = { .dev = file->dev, .ino = file->ino };

	for (int i = 0; i < NAMES; i++)
		copy.names[i] = file->names[i] ? strdup(file->names[i]) : NULL;
	return copy;
}

/* A copy, so that files can be noted while layouts are read. NULL: out of memory. */
static struct file *sorted_files(struct rf_page_cache *cache, size_t *nr)
{
	struct file *files;

	*nr = 0;
	pthread_mutex_lock(&cache->lock);
	files = malloc((cache->files.nr + 1ul) * sizeof(*files));
	for (u32 i = 0; files && i < cache->files.size; i++)
		if (cache->files.slots[i].value)
			files[(*nr)++] = copy_of(cache->files.slots[i].value);
	pthread_mutex_unlock(&cache->lock);
	if (files)
		qsort(files, *nr, sizeof(*files), compare);
	return files;
}

/* The file's name as the process saw that mapped it, from another root than ours. */
static bool name_in_root(struct rf_page_cache *cache, size_t root, const char *name, char path[RF_ROOT_PATH])
{
	bool known;
	int length = 0;

	pthread_mutex_lock(&cache->lock);
	known = root < cache->roots.nr;
	if (known)
		length = snprintf(path, RF_ROOT_PATH, "%s%s", cache->roots.known[root].path, name);
	pthread_mutex_unlock(&cache->lock);
	if (length >= RF_ROOT_PATH)
		path[0] = '\0';
	return known;
}

/* 1: found and recorded; 0: none of its names leads to it. */
static int record_file(struct rf_page_cache *cache, struct rf_cache_layout *layout, const struct file *file)
{
	char path[RF_ROOT_PATH];
	int code = 0;

	for (int n = 0; n < NAMES && !code; n++)
		if (file->names[n])
			code = rf_cache_layout_file(layout, file->dev, file->ino, file->names[n]);
	for (int n = PATH; n <= FORMER_PATH; n++) {
		const char *name = file->names[n];

		for (size_t root = 0; name && !code && name_in_root(cache, root, name, path); root++)
			code = rf_cache_layout_file(layout, file->dev, file->ino, path);
	}
	return code;
}

static int record_files(struct rf_page_cache *cache, struct rf_cache_layout *layout, const struct file *files,
			size_t nr, struct rf_page_cache_totals *totals)
{
	int code = 0;

	for (size_t i = 0; i < nr && code >= 0; i++) {
		if (rf_cache_layout_exhausted(layout)) {
			totals->skipped += nr - i;
			break;
		}
		code = record_file(cache, layout, &files[i]);
		if (!code)
			totals->gone++;
	}
	return code < 0 ? code : 0;
}

int rf_page_cache_record(struct rf_page_cache *cache, struct rf_writer *writer, int stream,
			 const struct rf_page_cache_limits *limits, struct rf_page_cache_totals *totals,
			 struct rf_error *err)
{
	struct rf_error why = { .code = -ENOMEM };
	struct rf_cache_layout *layout;
	struct file *files;
	int code, end;
	size_t nr;

	memset(totals, 0, sizeof(*totals));
	layout = rf_cache_layout_open(writer, stream, limits, totals, err ? err : &why);
	if (!layout)
		return err ? err->code : why.code;
	files = sorted_files(cache, &nr);
	totals->files = nr;
	code = files ? record_files(cache, layout, files, nr, totals) :
	       rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory for the page cache's layout");
	free_files(files, nr);
	end = rf_cache_layout_close(layout);
	return code ? code : end;
}
