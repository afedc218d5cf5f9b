// SPDX-License-Identifier: MIT
/* Files with code, by device and inode. A name that leads to another file by now tells nothing of this one. */
#include "capture/stacks/modules.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_MODULES 4096
#define PATH_ROOM 4200
#define LARGEST_FILE (2ll << 30)	/* of larger ones nothing is read */

static int open_if_it_is(const char *path, u64 ino)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat file;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &file) && S_ISREG(file.st_mode) && file.st_ino == ino && file.st_size <= LARGEST_FILE)
		return fd;
	close(fd);
	return -1;
}

/* From our root, or from that of its process, as long as that lives. */
static int open_module(const struct rf_module *module, pid_t pid)
{
	char path[PATH_ROOM];
	int fd = open_if_it_is(module->path, module->ino);

	if (fd >= 0 || (size_t)snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, module->path) >= sizeof(path))
		return fd;
	return open_if_it_is(path, module->ino);
}

static bool same_file(const void *context, struct rf_module *module)
{
	const struct rf_module *wanted = context;

	return module->dev == wanted->dev && module->ino == wanted->ino;
}

struct rf_module *rf_modules_get(struct rf_modules *modules, u64 dev, u64 ino, pid_t pid, const char *path)
{
	const struct rf_module wanted = { .dev = dev, .ino = ino };
	u64 key = ino + (dev << 32);
	struct rf_module *module = module_table_match(&modules->table, key, same_file, &wanted);
	int fd;

	if (module || modules->table.nr == MOST_MODULES)
		return module;
	module = malloc(sizeof(*module));
	if (!module)
		return NULL;
	*module = wanted;
	module->path = strdup(path);
	if (!module->path || module_table_add(&modules->table, key, module)) {
		free(module->path);
		free(module);
		return NULL;
	}
	fd = open_module(module, pid);
	if (fd >= 0) {
		module->rules = rf_rules_read(fd, module->build_id, &module->build_id_size);
		close(fd);
	}
	return module;
}

void rf_modules_free(struct rf_modules *modules)
{
	for (u32 i = 0; i < modules->table.size; i++) {
		struct rf_module *module = modules->table.slots[i].value;

		if (!module)
			continue;
		rf_rules_free(module->rules);
		free(module->path);
		free(module);
	}
	module_table_free(&modules->table);
}
