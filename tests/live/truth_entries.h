/* SPDX-License-Identifier: MIT */
/* What the witness writes of one page table; truth.c says in which form. */
#ifndef REFOLD_TESTS_LIVE_TRUTH_ENTRIES_H
#define REFOLD_TESTS_LIVE_TRUTH_ENTRIES_H

#include <stdio.h>

/* Open what entries are looked up in. 0 or -1, with errno. */
int truth_entries_open(void);
/* The entries of all mappings, in order of addresses. maps and pagemap are those of a process that is stopped. */
void truth_entries_write(FILE *out, FILE *maps, int pagemap);

#endif
