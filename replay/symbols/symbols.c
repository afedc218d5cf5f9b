// SPDX-License-Identifier: MIT
/*
 * By libdwfl, which finds a stripped file's symbols where distributions put them. Names of C++ are made readable by its
 * own library, if that is there: without it they stay as they are.
 */
#include "replay/symbols/symbols.h"

#include <dlfcn.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 4352
#define SYSTEM_DEBUG "/usr/lib/debug"

struct rf_symbols {
	Dwfl *dwfl;
	Dwfl_Module *module;
	Dwfl_Callbacks callbacks;
	char *debug_path;
	GElf_Addr bias;
};

/* ---- which file -------------------------------------------------------------------- */

static bool has_build_id(int fd, const struct rf_code_file *file)
{
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	const void *id;
	ssize_t size = elf && elf_kind(elf) == ELF_K_ELF ? dwelf_elf_gnu_build_id(elf, &id) : 0;
	bool same = size > 0 && size == file->build_id_size && !memcmp(id, file->build_id, (size_t)size);

	elf_end(elf);
	return same;
}

static bool is_it(const char *path, const struct rf_code_file *file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &status) && S_ISREG(status.st_mode) && has_build_id(fd, file);
	close(fd);
	return same;
}

/* As .build-id/ab/cdef with this ending. */
static bool by_build_id(const char *directory, const char *ending, const struct rf_code_file *file,
			char path[PATH_ROOM])
{
	char digits[2 * RF_BUILD_ID_BYTES + 1] = "";

	for (size_t i = 0; i < file->build_id_size; i++)
		snprintf(digits + 2 * i, 3, "%02x", file->build_id[i]);
	snprintf(path, PATH_ROOM, "%s/.build-id/%.2s/%s%s", directory, digits, digits + 2, ending);
	return is_it(path, file);
}

static bool find_in(const char *directory, const struct rf_code_file *file, char path[PATH_ROOM])
{
	const char *slash = file->path ? strrchr(file->path, '/') : NULL;

	if (slash) {
		snprintf(path, PATH_ROOM, "%s%s", directory, file->path);
		if (is_it(path, file))
			return true;
		snprintf(path, PATH_ROOM, "%s%s", directory, slash);
		if (is_it(path, file))
			return true;
	}
	return by_build_id(directory, "", file, path) || by_build_id(directory, ".debug", file, path);
}

static bool find(const char *directory, const struct rf_code_file *file, char path[PATH_ROOM])
{
	if (!file->build_id_size)
		return false;
	if (directory && find_in(directory, file, path))
		return true;
	if (file->path && file->path[0] == '/') {
		snprintf(path, PATH_ROOM, "%s", file->path);
		if (is_it(path, file))
			return true;
	}
	return by_build_id(SYSTEM_DEBUG, ".debug", file, path);
}

int rf_symbols_open(const struct rf_code_file *file, const char *directory, struct rf_symbols **found)
{
	struct rf_symbols *symbols;
	char path[PATH_ROOM];

	*found = NULL;
	elf_version(EV_CURRENT);
	if (!find(directory, file, path))
		return 0;
	symbols = calloc(1, sizeof(*symbols));
	if (!symbols)
		return -ENOMEM;
	if (directory && asprintf(&symbols->debug_path, "%s:.debug:" SYSTEM_DEBUG, directory) < 0) {
		free(symbols);
		return -ENOMEM;
	}
	symbols->callbacks = (Dwfl_Callbacks){
		.find_debuginfo = dwfl_standard_find_debuginfo, .section_address = dwfl_offline_section_address,
		.debuginfo_path = symbols->debug_path ? &symbols->debug_path : NULL,
	};
	symbols->dwfl = dwfl_begin(&symbols->callbacks);
	if (symbols->dwfl)
		symbols->module = dwfl_report_offline(symbols->dwfl, "", path, -1);
	if (!symbols->module || dwfl_report_end(symbols->dwfl, NULL, NULL) ||
	    !dwfl_module_getelf(symbols->module, &symbols->bias))
		rf_symbols_close(symbols);
	else
		*found = symbols;
	return 0;
}

void rf_symbols_close(struct rf_symbols *symbols)
{
	if (!symbols)
		return;
	dwfl_end(symbols->dwfl);
	free(symbols->debug_path);
	free(symbols);
}

/* ---- which function ----------------------------------------------------------------- */

typedef char *demangler(const char *name, char *buffer, size_t *size, int *status);

static demangler *demangle;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_demangler(void)
{
	void *library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);

	if (library)
		*(void **)&demangle = dlsym(library, "__cxa_demangle");
}

/* Without the types of arguments, and what a compiler has made of a function: "a::b(int) [clone .part.0]" is a::b. */
static void cut_arguments(char *name)
{
	char *end = strstr(name, " [clone"), *at;
	int depth = 0;

	if (end)
		*end = '\0';
	end = strrchr(name, ')');
	if (!end || strstr(end, "::"))
		return;
	for (at = end; at > name; at--) {
		depth += *at == ')';
		depth -= *at == '(';
		if (!depth)
			break;
	}
	/* "operator()" has none of its own. */
	if (at > name && !(at - name >= 8 && !strncmp(at - 8, "operator", 8)))
		*at = '\0';
}

/* "name.part.0", "name.constprop.1.isra.0": what a compiler has made of name. */
static void cut_clone(char *name)
{
	static const char *const endings[] = { ".part.", ".constprop.", ".isra.", ".cold", ".lto_priv." };

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		char *at = strstr(name, endings[i]);

		if (at && at > name)
			*at = '\0';
	}
}

static char *readable(const char *symbol)
{
	char *name = NULL, *version;
	int status = -1;

	if (!strncmp(symbol, "_Z", 2)) {
		pthread_once(&once, find_demangler);
		name = demangle ? demangle(symbol, NULL, NULL, &status) : NULL;
	}
	if (name) {
		cut_arguments(name);
		return name;
	}
	name = strdup(symbol);
	version = name ? strchr(name, '@') : NULL;
	if (version && version > name)
		*version = '\0';
	if (name && strncmp(symbol, "_Z", 2))
		cut_clone(name);
	return name;
}

int rf_symbols_function(struct rf_symbols *symbols, u64 address, char **name)
{
	GElf_Off offset;
	GElf_Sym symbol;
	const char *found = dwfl_module_addrinfo(symbols->module, address + symbols->bias, &offset, &symbol, NULL, NULL,
						 NULL);

	*name = NULL;
	/* Behind its end begins what a stripped file does not name. */
	if (!found || !*found || (symbol.st_size && offset >= symbol.st_size))
		return 0;
	*name = readable(found);
	return *name ? 0 : -ENOMEM;
}
