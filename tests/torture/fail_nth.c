// SPDX-License-Identifier: MIT
/*
 * To be preloaded: the nth allocation fails, FAIL_NTH being n, and with FAIL_ALL=1 all that follow. What libc itself
 * allocates within stdio and threads fails likewise.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nr, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t align, size_t size);
void *malloc(size_t size);
void *calloc(size_t nr, size_t size);
void *realloc(void *memory, size_t size);
void *aligned_alloc(size_t align, size_t size);

static long nth = -1;
static int all;
static long nr_asked;

/* Before main() all is well: the dynamic linker is not under test. */
__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("FAIL_NTH");

	all = getenv("FAIL_ALL") != NULL;
	nth = text ? atol(text) : 0;
}

static int fails(void)
{
	long asked;

	if (nth <= 0)
		return 0;
	asked = __atomic_add_fetch(&nr_asked, 1, __ATOMIC_RELAXED);
	if (asked != nth && !(all && asked > nth))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __libc_calloc(nr, size);
}

void *realloc(void *memory, size_t size)
{
	return fails() ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return fails() ? NULL : __libc_memalign(align, size);
}
