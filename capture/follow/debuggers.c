// SPDX-License-Identifier: MIT
/* Programs that trace others, by the names in their dynamic string table; static ones by names anywhere in them. */
#include "capture/follow/debuggers.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST_SEGMENTS	64
#define MOST_DYNAMIC	512
#define MOST_NAMES	(16u << 20)
#define MOST_STATIC	(64ll << 20)	/* of a static program, a file of so much is searched */
#define SETTLED_SECONDS	2

/* What is needed of a program header, of either class. */
struct segment {
	u32 type;
	u64 offset, addr, size;
};

static size_t read_at(int fd, u64 offset, void *to, size_t size)
{
	ssize_t bytes = pread(fd, to, size, (off_t)offset);

	return bytes > 0 ? (size_t)bytes : 0;
}

static size_t read_segments(int fd, bool wide, struct segment segments[MOST_SEGMENTS])
{
	Elf64_Ehdr header = { 0 };
	Elf32_Ehdr narrow = { 0 };
	size_t nr;

	if (wide ? read_at(fd, 0, &header, sizeof(header)) != sizeof(header) :
		   read_at(fd, 0, &narrow, sizeof(narrow)) != sizeof(narrow))
		return 0;
	nr = wide ? header.e_phnum : narrow.e_phnum;
	for (size_t i = 0; i < nr && i < MOST_SEGMENTS; i++) {
		Elf64_Phdr one = { 0 };
		Elf32_Phdr small = { 0 };

		if (wide) {
			read_at(fd, header.e_phoff + i * sizeof(one), &one, sizeof(one));
			segments[i] = (struct segment){ one.p_type, one.p_offset, one.p_vaddr, one.p_filesz };
		} else {
			read_at(fd, narrow.e_phoff + i * sizeof(small), &small, sizeof(small));
			segments[i] = (struct segment){ small.p_type, small.p_offset, small.p_vaddr, small.p_filesz };
		}
	}
	return nr < MOST_SEGMENTS ? nr : MOST_SEGMENTS;
}

/* Where the string table is: address and size from the dynamic section, the offset from the segment around it. */
static bool find_names(int fd, bool wide, const struct segment *segments, size_t nr, struct segment *names)
{
	const size_t one = wide ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
	size_t dynamic = 0;
	u8 entries[MOST_DYNAMIC * sizeof(Elf64_Dyn)];
	size_t bytes;

	*names = (struct segment){ 0 };
	while (dynamic < nr && segments[dynamic].type != PT_DYNAMIC)
		dynamic++;
	if (dynamic == nr)
		return false;
	bytes = read_at(fd, segments[dynamic].offset, entries, min_u64(segments[dynamic].size, sizeof(entries)));
	for (size_t at = 0; at + one <= bytes; at += one) {
		Elf64_Dyn entry;
		Elf32_Dyn small;
		u64 tag, value;

		memcpy(&small, entries + at, sizeof(small));
		memcpy(&entry, entries + at, wide ? sizeof(entry) : sizeof(small));
		tag = wide ? (u64)entry.d_tag : (u64)small.d_tag;
		value = wide ? entry.d_un.d_val : small.d_un.d_val;
		if (tag == DT_STRTAB)
			names->addr = value;
		else if (tag == DT_STRSZ)
			names->size = value;
	}
	for (size_t i = 0; i < nr; i++)
		if (segments[i].type == PT_LOAD && names->addr - segments[i].addr < segments[i].size) {
			names->offset = segments[i].offset + (names->addr - segments[i].addr);
			return names->size > 0 && names->size <= MOST_NAMES;
		}
	return false;
}

struct name {
	const char *text;
	size_t length;
};

#define NAME(text) { text, sizeof(text) - 1 }
static const struct name imported[] = {
	NAME("\0ptrace\0"), NAME("libasan"), NAME("libhwasan"), NAME("liblsan"),
	NAME("__asan_init"), NAME("__hwasan_init"), NAME("__lsan_init"),	/* linked in, by clang */
};
/* A symbol, or a table of system calls; functions of Go, whose names are there in stripped programs, too. */
static const struct name linked_in[] = { NAME("\0ptrace\0"), NAME("syscall.ptrace"), NAME("unix.ptrace") };
#undef NAME

static bool has_one_of(const struct name *names, size_t nr, const char *text, size_t size)
{
	for (size_t i = 0; i < nr; i++)
		if (memmem(text, size, names[i].text, names[i].length))
			return true;
	return false;
}

static bool imports_a_tracer(int fd, const struct segment *names)
{
	char *text = malloc(names->size);
	bool found = text && has_one_of(imported, ARRAY_SIZE(imported), text,
					read_at(fd, names->offset, text, names->size));

	free(text);
	return found;
}

static bool is_static(const struct segment *segments, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (segments[i].type == PT_INTERP)
			return false;
	return true;
}

static bool has_a_tracer_linked_in(int fd)
{
	struct stat file;
	char *text;
	bool found;

	if (fstat(fd, &file) || file.st_size <= 0 || file.st_size > MOST_STATIC)
		return false;
	text = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return false;
	found = has_one_of(linked_in, ARRAY_SIZE(linked_in), text, (size_t)file.st_size);
	munmap(text, (size_t)file.st_size);
	return found;
}

static bool names_a_tracer(int fd)
{
	struct segment segments[MOST_SEGMENTS], names;
	u8 ident[EI_NIDENT] = { 0 };
	bool wide, traces = false;
	size_t nr;

	read_at(fd, 0, ident, sizeof(ident));
	wide = ident[EI_CLASS] == ELFCLASS64;
	if (!memcmp(ident, ELFMAG, SELFMAG)) {
		nr = read_segments(fd, wide, segments);
		traces = find_names(fd, wide, segments, nr, &names) && imports_a_tracer(fd, &names);
		if (!traces && is_static(segments, nr))
			traces = has_a_tracer_linked_in(fd);
	}
	return traces;
}

/* Who writes to a file changes its ctime, but not within a tick: one that has just changed may change again unseen. */
static bool has_settled(const struct stat *file)
{
	return time(NULL) - file->st_ctim.tv_sec >= SETTLED_SECONDS;
}

static bool same_program(const struct rf_program *a, const struct rf_program *b)
{
	return a->ino && a->ino == b->ino && a->dev == b->dev && a->size == b->size && a->changed_s == b->changed_s &&
	       a->changed_ns == b->changed_ns;
}

bool rf_may_trace(struct rf_programs *programs, pid_t pid)
{
	struct rf_program *known, program = { 0 };
	struct stat file;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (!fstat(fd, &file))
		program = (struct rf_program){
			.dev = file.st_dev, .ino = file.st_ino, .size = (u64)file.st_size,
			.changed_s = file.st_ctim.tv_sec, .changed_ns = file.st_ctim.tv_nsec,
		};
	known = &programs->known[program.ino % RF_PROGRAMS_KNOWN];
	if (same_program(&program, known)) {
		program.traces = known->traces;
	} else {
		program.traces = names_a_tracer(fd);
		if (program.ino && has_settled(&file))
			*known = program;
	}
	close(fd);
	return program.traces;
}
