/* SPDX-License-Identifier: MIT */
/*
 * Scripts of PTE helper calls for refold pte: small what-if cases, and the
 * differential tests against the kernels' own contpte code. The grammar is in
 * the manual, refold-pte(1).
 */
#ifndef REFOLD_REPLAY_PTE_SCRIPT_H
#define REFOLD_REPLAY_PTE_SCRIPT_H

#include <stdio.h>

#include "base/error.h"

/* Symbol and word. */
#define SCRIPT_COMMANDS(X)                                                                            \
	X(WINDOW, "window") X(FOLIO, "folio") X(MM, "mm") X(OPT, "opt")                            \
	X(RESET, "reset") X(TOTAL, "total")                                                        \
	/* operations: from here on each makes a line of output */                                 \
	X(SET, "set") X(SWAP, "swap") X(GET, "get") X(LOCKLESS, "lockless") X(HINT, "hint")        \
	X(BATCH, "batch") X(PTECLEAR, "pteclear") X(PTEGETCLEAR, "ptegetclear")                    \
	X(CLEARFLUSH, "clearflush") X(CLEAR, "clear") X(GETCLEAR, "getclear")                      \
	X(WRPROTECT, "wrprotect") X(ACCESS, "access") X(TCYOUNG, "tcyoung") X(CFYOUNG, "cfyoung")  \
	X(CYDIRTY, "cydirty") X(MPROTECT, "mprotect") X(MOVE, "move") X(HW, "hw")                  \
	X(FLUSHRANGE, "flushrange") X(FLUSHPAGE, "flushpage") X(FLUSHMM, "flushmm")                \
	X(SPURIOUS, "spurious") X(TLBADD, "tlbadd") X(TLBSYNC, "tlbsync") X(DUMP, "dump")

enum script_command {
#define X(symbol, word) SCRIPT_##symbol,
	SCRIPT_COMMANDS(X)
#undef X
	SCRIPT_NR_COMMANDS
};

#define SCRIPT_FIRST_OPERATION SCRIPT_SET

/* Words after the numbers; one bit each. */
#define WORDS(X)                                                                               \
	X(RO, "ro") X(RW, "rw") X(NONE, "none") X(YOUNG, "young") X(DIRTY, "dirty")                \
	X(SPECIAL, "special") X(UFFD, "uffd") X(EXEC, "exec") X(FULL, "full") X(WRITE, "write")    \
	X(CLEAR_YOUNG, "y") X(CLEAR_DIRTY, "d") X(CLEAR_BOTH, "yd")                                \
	X(NOSYNC, "nosync") X(LOCAL, "local") X(RAW, "raw")                                        \
	X(RANGE, "range") X(KPTI, "kpti") X(REPEAT, "repeat") X(LPA2, "lpa2") X(BBML3, "bbml3")    \
	X(PENDING, "pending")

enum script_word_index {
#define X(symbol, word) WORD_INDEX_##symbol,
	WORDS(X)
#undef X
};

enum script_word {
#define X(symbol, word) WORD_##symbol = 1 << WORD_INDEX_##symbol,
	WORDS(X)
#undef X
};

/* The page tables a script can work on. */
enum script_mm { SCRIPT_MM_0, SCRIPT_MM_1, SCRIPT_MM_2, SCRIPT_MM_INIT, SCRIPT_MM_EFI, SCRIPT_NR_MMS };

/* One line, parsed. Meaning of the numbers by command; see the syntax table. */
struct script_line {
	enum script_command command;
	unsigned int words;	/* enum script_word */
	unsigned int nr_numbers;
	u64 numbers[4];
	enum script_mm mm;		/* MM, MOVE */
	bool has_mm;
	char label[32];		/* TOTAL */
	char text[128];		/* the line without comment, blanks normalised */
};

/*
 * Parse one line of text. 1: a command; 0: nothing on it; -EINVAL with err->offset = line number.
 */
int script_parse_line(const char *text, unsigned int line_number, struct script_line *line, struct rf_error *err);

#endif
