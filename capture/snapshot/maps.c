// SPDX-License-Identifier: MIT
/*
 * The text of /proc/PID/maps and smaps as VMAs. Text, because a line costs the kernel half of what one
 * PROCMAP_QUERY does, and because only smaps tells the VmFlags that decide what fork copies.
 */
#include "capture/snapshot/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "traces/record.h"

static const struct {
	char name[3];
	u64 flag;
} vm_flags[] = {
	{ "gd", RF_VM_GROWSDOWN }, { "dc", RF_VM_DONTCOPY }, { "wf", RF_VM_WIPEONFORK },
	{ "hg", RF_VM_HUGEPAGE }, { "nh", RF_VM_NOHUGEPAGE }, { "lo", RF_VM_LOCKED },
	{ "um", RF_VM_UFFD | RF_ATTRIBUTE_UFFD_MISSING }, { "uw", RF_VM_UFFD | RF_ATTRIBUTE_UFFD_WP },
	{ "ui", RF_VM_UFFD | RF_ATTRIBUTE_UFFD_MINOR },
	{ "ht", RF_VM_HUGETLB }, { "pf", RF_VM_PFNMAP }, { "mm", RF_VM_PFNMAP },
	{ "mg", RF_ATTRIBUTE_MERGEABLE }, { "dd", RF_ATTRIBUTE_DONTDUMP }, { "rr", RF_ATTRIBUTE_RAND_READ },
	{ "sr", RF_ATTRIBUTE_SEQ_READ }, { "lf", RF_ATTRIBUTE_LOCKONFAULT }, { "nr", RF_ATTRIBUTE_NORESERVE },
	{ "ac", RF_ATTRIBUTE_ACCOUNT },
};

static const struct {
	const char *name;
	enum rf_vma_name value;
} vma_names[] = {
	{ "[heap]", RF_VMA_HEAP }, { "[stack]", RF_VMA_STACK }, { "[vdso]", RF_VMA_VDSO }, { "[vvar]", RF_VMA_VVAR },
	{ "[vvar_vclock]", RF_VMA_VVAR_VCLOCK }, { "[vsyscall]", RF_VMA_VSYSCALL },
};

static enum rf_vma_name name_of(const char *text)
{
	if (text[0] != '[' || !strncmp(text, "[anon:", 6) || !strncmp(text, "[anon_shmem:", 12))
		return RF_VMA_PLAIN;
	for (size_t i = 0; i < ARRAY_SIZE(vma_names); i++)
		if (!strcmp(text, vma_names[i].name))
			return vma_names[i].value;
	return RF_VMA_OTHER;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && !strcmp(text + length - tail, end);
}

/* "start-end rwxp offset major:minor inode   name"; false: not such a line (smaps has others between). */
static bool parse_vma(char *line, u64 page_size, struct rf_maps_vma *vma)
{
	u64 major;
	char *at;

	memset(vma, 0, sizeof(*vma));
	vma->start = strtoull(line, &at, 16);
	if (at == line || *at != '-')
		return false;
	vma->end = strtoull(at + 1, &at, 16);
	if (*at++ != ' ' || strlen(at) < 5)
		return false;
	vma->flags = (at[0] == 'r' ? RF_VM_READ : 0) | (at[1] == 'w' ? RF_VM_WRITE : 0) |
		     (at[2] == 'x' ? RF_VM_EXEC : 0) | (at[3] == 's' ? RF_VM_SHARED : 0);
	vma->pgoff = strtoull(at + 4, &at, 16) / page_size;
	major = strtoull(at, &at, 16);
	if (*at != ':')
		return false;
	vma->dev = major << 20 | strtoull(at + 1, &at, 16);
	vma->ino = strtoull(at, &at, 10);
	at += strspn(at, " ");
	vma->flags |= (u64)name_of(at) << RF_VMA_NAME_SHIFT;
	/* smaps says so too ("gd"), but costs a walk of the page tables; a stack is always created that way. */
	if (RF_VMA_NAME(vma->flags) == RF_VMA_STACK)
		vma->flags |= RF_VM_GROWSDOWN;
	if (at[0] == '/' && vma->ino && !ends_with(at, " (deleted)"))
		vma->path = at;
	return true;
}

static u64 parse_flags(const char *text)
{
	u64 flags = 0;

	for (; *text; text += strcspn(text, " ")) {
		text += strspn(text, " ");
		for (size_t i = 0; i < ARRAY_SIZE(vm_flags); i++)
			if (!strncmp(text, vm_flags[i].name, 2))
				flags |= vm_flags[i].flag;
	}
	return flags;
}

/* "KernelPageSize:  2048 kB": how large the huge pages of a mapping are; said of every mapping, before its VmFlags. */
static u64 parse_huge_shift(const char *text)
{
	u64 kilobytes = strtoull(text, NULL, 10);

	return kilobytes ? (u64)(63 - __builtin_clzll(kilobytes)) + 10 : 0;
}

int rf_maps_parse(struct rf_maps *maps, char *text, u64 page_size)
{
	char *line, *next;
	u64 huge_shift = 0;

	maps->nr = 0;
	for (line = text; *line; line = next) {
		struct rf_maps_vma vma;

		next = strchrnul(line, '\n');
		if (*next)
			*next++ = '\0';
		if (maps->nr && !strncmp(line, "VmFlags:", 8)) {
			u64 flags = parse_flags(line + 8);

			if (flags & RF_VM_HUGETLB)
				flags |= huge_shift << RF_VMA_HUGE_SHIFT_SHIFT;
			maps->vmas[maps->nr - 1].flags |= flags;
			continue;
		}
		if (!strncmp(line, "KernelPageSize:", 15)) {
			huge_shift = parse_huge_shift(line + 15);
			continue;
		}
		if (!parse_vma(line, page_size, &vma) || RF_VMA_NAME(vma.flags) == RF_VMA_VSYSCALL)
			continue;
		if (array_grow(maps->vmas, maps->room, maps->nr + 1))
			return -ENOMEM;
		maps->vmas[maps->nr++] = vma;
	}
	return 0;
}

void rf_maps_free(struct rf_maps *maps)
{
	free(maps->vmas);
	maps->vmas = NULL;
	maps->nr = maps->room = 0;
}
