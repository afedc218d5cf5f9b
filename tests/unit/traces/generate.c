// SPDX-License-Identifier: MIT
/*
 * usage: generate TRACE TEXT SEED
 *
 * Writes a trace of random records and the library's text of it, for readers
 * that are not this library.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/traces/support.h"

#define STREAMS 5

int main(int argc, char **argv)
{
	struct rf_reader *reader;
	struct record_list *lists;
	struct rf_error err;
	FILE *text;
	int ret;

	if (argc != 4)
		return 2;
	lists = write_random(argv[1], strtoull(argv[3], NULL, 10), STREAMS, 4000, 1500);
	for (int i = 0; i < STREAMS; i++)
		list_free(&lists[i]);
	free(lists);
	reader = rf_reader_open(argv[1], &err);
	text = fopen(argv[2], "w");
	if (!reader || !text)
		return 1;
	ret = rf_text_dump(reader, text, &err);
	fclose(text);
	rf_reader_close(reader);
	return !!ret;
}
