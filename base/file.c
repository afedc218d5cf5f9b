// SPDX-License-Identifier: MIT
/* Reading small files. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"

bool read_first_line(const char *path, char *buffer, size_t size)
{
	FILE *file = fopen(path, "re");
	bool ok;

	if (!file)
		return false;
	ok = fgets(buffer, (int)size, file) != NULL;
	fclose(file);
	if (ok)
		buffer[strcspn(buffer, "\n")] = '\0';
	return ok;
}
