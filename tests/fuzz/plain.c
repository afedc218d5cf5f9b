// SPDX-License-Identifier: MIT
/* usage: HARNESS FILE...: each as an input, without libFuzzer, with any compiler. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/harness.h"

int main(int argc, char **argv)
{
	static u8 data[16 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "re");
		size_t size = file ? fread(data, 1, sizeof(data), file) : 0;
		u8 *copy = malloc(size ? size : 1);

		if (!file || !copy)
			return 1;
		fclose(file);
		/* Of its very size, so that a sanitizer sees what is read behind it. */
		for (size_t at = 0; at < size; at++)
			copy[at] = data[at];
		LLVMFuzzerTestOneInput(copy, size);
		free(copy);
	}
	return 0;
}
