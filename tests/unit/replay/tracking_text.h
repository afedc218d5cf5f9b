/* SPDX-License-Identifier: MIT */
/* What tests of the tracker share: records as text in, operations as text out. */
#ifndef REFOLD_TESTS_TRACKING_TEXT_H
#define REFOLD_TESTS_TRACKING_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "replay/tracker/ground/fidelity.h"
#include "replay/tracker/ground/trust.h"

#define BASE 0x400000000000ull

struct result {
	char ops[8192];		/* a line an operation */
	size_t length;
	struct rf_fidelity fidelity;
	struct rf_trust trust;
};

/* Frames and records in the format of `refold assemble`, on a kernel of x86_64. Valid until the next call. */
struct result *track(const char *records);
struct result *track_on(const char *kernel, const char *records);
struct result *track_with(const char *header_key, const char *records);
/* Write a whole text trace to path, a template of mkstemp(). */
void assemble(const char *text, char *path);

/* A process of one or two threads (100, 101) that may read and write 4096 private pages at BASE. */
#define ATTACHED                                                                                              \
	"frame stream=4\n"                                                                                    \
	"1 tid=100 process pid=100\n1 tid=101 process pid=100\n"                                              \
	"2 tid=100 snap_begin pid=100 why=0 threads=2\n"                                                      \
	"2 tid=100 snap_vma addr=0x400000000000 len=0x1000000 pgoff=0x400000000 dev=0 ino=0 flags=0x3\n"      \
	"2 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"                                                   \
	"3 tid=100 snap_end pid=100 complete=1 stopped=1\n"

#define expect(result, text) assert_string_equal((result)->ops, text)

#endif
