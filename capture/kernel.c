// SPDX-License-Identifier: MIT
/*
 * What kernel we run on: what the layout of its page-table entries depends on, and
 * settings that are copied into the header for the reader at the desk.
 */
#include "capture/kernel.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <tracefs.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"

#define BTF_PIECE (1u << 20)

/* The bracketed word of "always [madvise] never", or the whole line. */
static void bracketed_word(char *line)
{
	char *open = strchr(line, '['), *close = open ? strchr(open, ']') : NULL;

	if (!close)
		return;
	*close = '\0';
	memmove(line, open + 1, strlen(open + 1) + 1);
}

/*
 * x86: a present entry holds as many physical bits as the CPU implements (memory encryption takes some away, and
 * the kernel shows the rest in cpuinfo); a migration entry holds MAX_PHYSMEM_BITS, 46 or with five levels 52.
 */
static void read_x86_bits(struct rf_kernel *kernel)
{
	u32 max_physmem_bits = 46, physical = 0;
	char line[4096];
	FILE *file = fopen("/proc/cpuinfo", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "flags", 5) && strstr(line, " la57"))
			max_physmem_bits = 52;
		if (sscanf(line, "address sizes : %u bits physical", &physical) == 1)
			break;
	}
	if (file)
		fclose(file);
	kernel->physical_bits = physical ? physical : 52;
	kernel->swap_pfn_bits = max_physmem_bits - kernel->page_shift;
}

/*
 * arm64: entries are built for 48 or 52 bits (CONFIG_ARM64_PA_BITS), which no file tells. As long as no memory lies
 * beyond 48 bits both read the same, since what is above the pfn in a migration entry is cut off.
 */
static void read_arm64_bits(struct rf_kernel *kernel)
{
	FILE *file = fopen("/proc/iomem", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		const char *dash = strchr(line, '-');

		if (dash && strstr(line, "System RAM") && strtoull(dash + 1, NULL, 16) >> 48)
			kernel->physical_bits = 52;
	}
	if (file)
		fclose(file);
	kernel->swap_pfn_bits = kernel->physical_bits - kernel->page_shift;
}

/* Names are in one section, each between two NULs; nothing else there is so likely to look like one. */
bool rf_btf_has_name(const char *path, const char *name)
{
	size_t length = strlen(name) + 2, size = 0, room = 0;
	char between[64], *bytes = NULL;
	FILE *file = fopen(path, "re");
	bool found = false;

	if (!file || length > sizeof(between))
		goto out;
	memset(between, 0, sizeof(between));
	memcpy(between + 1, name, strlen(name));
	while (!array_grow(bytes, room, size + BTF_PIECE)) {
		size_t more = fread(bytes + size, 1, room - size, file);

		if (!more)
			break;
		size += more;
	}
	found = size && memmem(bytes, size, between, length);
out:
	if (file)
		fclose(file);
	free(bytes);
	return found;
}

static const char btf[] = "/sys/kernel/btf/vmlinux";

/* A function that is there only if it has something to do; without type information its name is looked for. */
static bool batches_rss(void)
{
	char line[256], name[128];
	bool found = false;
	FILE *file;

	if (rf_btf_has_name(btf, "mm_struct"))
		return rf_btf_has_name(btf, "task_rss_stat");
	file = fopen("/proc/kallsyms", "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%*s %*c %127s", name) == 1 && !strcmp(name, "sync_mm_rss");
	if (file)
		fclose(file);
	return found;
}

void rf_kernel_read(struct rf_kernel *kernel)
{
	struct utsname name;

	uname(&name);
	rf_kernel_describe(kernel, name.release, name.machine, (u32)sysconf(_SC_PAGESIZE));
	if (kernel->isa == RF_ISA_X86)
		read_x86_bits(kernel);
	else if (kernel->isa == RF_ISA_ARM64)
		read_arm64_bits(kernel);
	kernel->batches_rss = batches_rss();
}

/* mm_forbids_zeropage(): two pages that were only read are one, unless this kernel has been told to do without. */
static bool is_without_zero_page(void)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	u64 words[2] = { 0 }, at;
	volatile char *pages;
	int fd;

	pages = mmap(NULL, 2 * page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return false;
	madvise((void *)(uintptr_t)pages, 2 * page_size, MADV_NOHUGEPAGE);
	(void)pages[0];
	(void)pages[page_size];
	at = (uintptr_t)pages / page_size * sizeof(words[0]);
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && pread(fd, words, sizeof(words), (off_t)at) != sizeof(words))
		words[0] = words[1] = 0;
	if (fd >= 0)
		close(fd);
	munmap((void *)(uintptr_t)pages, 2 * page_size);
	return words[0] != words[1];
}

void rf_kernel_capabilities(const struct rf_kernel *kernel, struct rf_capabilities *capabilities)
{
	/*
	 * struct folio has got this with the taking over of large ones; "folio" tells that there is something to ask.
	 */
	if (rf_btf_has_name(btf, "folio"))
		capabilities->has[RF_REUSES_LARGE_FOLIOS] = rf_btf_has_name(btf, "_mm_id_mapcount");
	capabilities->has[RF_NO_ZERO_PAGE] = is_without_zero_page();
	capabilities->has[RF_BATCHES_RSS] = kernel->batches_rss;
}

static void add_setting(json_t *object, const char *key, const char *path)
{
	char line[256];

	if (!read_first_line(path, line, sizeof(line)))
		return;
	bracketed_word(line);
	json_object_set_new(object, key, json_string(line));
}

json_t *rf_kernel_thp_settings(void)
{
	static const char base[] = "/sys/kernel/mm/transparent_hugepage";
	static const char *const files[] = { "enabled", "defrag", "shmem_enabled", "use_zero_page", "hpage_pmd_size" };
	json_t *object = json_object();
	struct dirent *entry;
	char path[512];
	DIR *dir;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, files[i]);
		add_setting(object, files[i], path);
	}
	dir = opendir(base);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "hugepages-", 10))
			continue;
		snprintf(path, sizeof(path), "%s/%s/enabled", base, entry->d_name);
		add_setting(object, entry->d_name, path);
	}
	if (dir)
		closedir(dir);
	return object;
}

u64 rf_kernel_call_event(void)
{
	char *text = tracefs_event_file_read(NULL, "raw_syscalls", "sys_enter", "id", NULL);
	u64 event = text ? strtoull(text, NULL, 10) : 0;

	free(text);
	return event;
}

u64 rf_kernel_fault_around_bytes(void)
{
	char line[64];

	if (!read_first_line("/sys/kernel/debug/fault_around_bytes", line, sizeof(line)))
		return 0;
	return strtoull(line, NULL, 0);
}

/* A partition's is its disk's; what has no block device (NFS, FUSE) has it in its backing_dev_info. */
static bool read_readahead(const char *device, char *line, size_t size)
{
	static const char *const places[] = {
		"/sys/dev/block/%s/queue/read_ahead_kb",
		"/sys/dev/block/%s/../queue/read_ahead_kb",
		"/sys/class/bdi/%s/read_ahead_kb",
	};
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), places[i], device);
		if (read_first_line(path, line, size))
			return true;
	}
	return false;
}

json_t *rf_kernel_readahead(void)
{
	json_t *object = json_object();
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, device[32], kilobytes[64];
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0)
		if (sscanf(line, "%*d %*d %31s", device) == 1 && !json_object_get(object, device) &&
		    read_readahead(device, kilobytes, sizeof(kilobytes)))
			json_object_set_new(object, device, json_integer(strtoll(kilobytes, NULL, 10) * 1024));
	free(line);
	if (file)
		fclose(file);
	return object;
}

bool rf_kernel_ksm_runs(void)
{
	char line[64];

	return read_first_line("/sys/kernel/mm/ksm/run", line, sizeof(line)) && !strcmp(line, "1");
}
