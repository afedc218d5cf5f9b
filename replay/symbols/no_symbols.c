// SPDX-License-Identifier: MIT
/* Built without elfutils: functions have no names. */
#include "replay/symbols/symbols.h"

#include <stddef.h>

struct rf_symbols *rf_symbols_open(const struct rf_code_file *file, const char *directory)
{
	(void)file;
	(void)directory;
	return NULL;
}

char *rf_symbols_function(struct rf_symbols *symbols, u64 address)
{
	(void)symbols;
	(void)address;
	return NULL;
}

void rf_symbols_close(struct rf_symbols *symbols)
{
	(void)symbols;
}
