// SPDX-License-Identifier: MIT
/*
 * Writes the table of record kinds as FORMAT.md has it, for scripts/describe-records, which keeps that page saying what
 * record.h says. Not installed.
 */
#include <stdio.h>

#include "traces/record.h"

int main(void)
{
	static const struct { u8 number; const char *name, *fields; } kinds[] = {
#define X(symbol, number, name, fields) { number, name, fields },
		RF_RECORD_KINDS(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		printf(kinds[i].fields[0] ? "| %u | `%s` | `%s` |\n" : "| %u | `%s` | %s |\n", kinds[i].number,
		       kinds[i].name, kinds[i].fields);
	return 0;
}
