/* SPDX-License-Identifier: MIT */
/*
 * Names of functions, from files with code as they are where the trace is replayed. A file is known by its build id:
 * one of another build, whatever its name, gives no names.
 */
#ifndef REFOLD_REPLAY_SYMBOLS_SYMBOLS_H
#define REFOLD_REPLAY_SYMBOLS_SYMBOLS_H

#include "base/types.h"

#define RF_BUILD_ID_BYTES 24

struct rf_code_file {
	u8 build_id[RF_BUILD_ID_BYTES];
	u8 build_id_size;	/* 0: not known, so are its functions */
	const char *path;	/* where it was, or NULL */
};

struct rf_symbols;

/*
 * Looked for in directory (NULL: none), by build id as in .build-id/ab/cdef.debug, by path and by its last part; then
 * where it was, and in /usr/lib/debug. *symbols: NULL, where there is none, or this was built without elfutils. 0, or
 * -ENOMEM, unless it is elfutils that has no memory: it does not tell that from a file without symbols.
 */
int rf_symbols_open(const struct rf_code_file *file, const char *directory, struct rf_symbols **symbols);
/* *name: the function with the instruction at this address of the file's own, to be freed; NULL: no symbol has it. */
int rf_symbols_function(struct rf_symbols *symbols, u64 address, char **name);
void rf_symbols_close(struct rf_symbols *symbols);

#endif
