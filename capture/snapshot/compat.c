// SPDX-License-Identifier: MIT
/* A 32-bit program of our own, held at its exec. See compat.h for why. */
#include "capture/snapshot/compat.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/snapshot/pagemap.h"

#if defined(__x86_64__)
#define COMPAT_MACHINE	EM_386
#define COMPAT_FLAGS	0
#elif defined(__aarch64__)
#define COMPAT_MACHINE	EM_ARM
#define COMPAT_FLAGS	EF_ARM_EABI_VER5
#endif

#ifdef COMPAT_MACHINE
#define PROGRAM_START 0x10000

/* It is never let run, so it needs no code. */
static int make_program(void)
{
	struct {
		Elf32_Ehdr header;
		Elf32_Phdr segment;
	} program = {
		.header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_EXEC, .e_machine = COMPAT_MACHINE, .e_version = EV_CURRENT,
			    .e_entry = PROGRAM_START + sizeof(program), .e_phoff = sizeof(Elf32_Ehdr),
			    .e_flags = COMPAT_FLAGS, .e_ehsize = sizeof(Elf32_Ehdr),
			    .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 1 },
		.segment = { .p_type = PT_LOAD, .p_vaddr = PROGRAM_START, .p_filesz = sizeof(program),
			     .p_memsz = sizeof(program), .p_flags = PF_R | PF_X, .p_align = PROGRAM_START },
	};
	int fd = memfd_create("refold-compat", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, &program, sizeof(program)) == sizeof(program))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Stopped by SIGTRAP with the program in place, or ended with an errno. */
static pid_t start(int program)
{
	char *const arguments[] = { "refold-compat", NULL };
	pid_t child = fork();

	if (child)
		return child;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(EPERM);
	fexecve(program, arguments, arguments + 1);
	_exit(errno);
}

static bool find_vdso(pid_t pid, u64 *start, u64 *end)
{
	char path[32], line[256];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps))
		found = strstr(line, " [vdso]") && sscanf(line, "%llx-%llx", (unsigned long long *)start,
							  (unsigned long long *)end) == 2;
	if (maps)
		fclose(maps);
	return found;
}

/* Reading a page makes it present. */
static void read_vdso(struct rf_compat *compat, pid_t pid)
{
	u64 page_size = (u64)sysconf(_SC_PAGESIZE), start, end, word;
	char path[32], byte;
	int pagemap;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return;
	if (!find_vdso(pid, &start, &end))
		start = end = 0;
	for (u64 at = start; at < end && compat->nr < RF_COMPAT_VDSO_PAGES; at += page_size) {
		struct iovec local = { &byte, 1 }, remote = { (void *)(uintptr_t)at, 1 };

		if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != 1 ||
		    pread(pagemap, &word, sizeof(word), (off_t)(at / page_size * sizeof(word))) != sizeof(word) ||
		    !(word & RF_PAGEMAP_PRESENT) || !RF_PAGEMAP_PFN(word))
			break;
		compat->vdso[compat->nr++] = RF_PAGEMAP_PFN(word);
	}
	close(pagemap);
}

void rf_compat_find(struct rf_compat *compat)
{
	int program = make_program(), status = 0;
	pid_t child;

	/* What cannot be tried is taken to be possible. */
	*compat = (struct rf_compat){ .runs = true };
	if (program < 0)
		return;
	child = start(program);
	close(program);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return;
	if (!WIFSTOPPED(status)) {
		compat->runs = !(WIFEXITED(status) && WEXITSTATUS(status) == ENOEXEC);
		return;
	}
	read_vdso(compat, child);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}
#else
void rf_compat_find(struct rf_compat *compat)
{
	memset(compat, 0, sizeof(*compat));
}
#endif

enum rf_abi rf_abi_of_process(pid_t pid)
{
	Elf32_Ehdr header = { 0 };	/* both classes begin alike */
	char path[32];
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return RF_ABI_NATIVE;
	bytes = read(fd, &header, sizeof(header));
	close(fd);
	if (bytes != sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	    header.e_ident[EI_CLASS] != ELFCLASS32)
		return RF_ABI_NATIVE;
	switch (header.e_machine) {
	case EM_386:
		return RF_ABI_I386;
	case EM_X86_64:
		return RF_ABI_X32;
	case EM_ARM:
		return RF_ABI_ARM;
	default:
		return RF_ABI_NATIVE;
	}
}
