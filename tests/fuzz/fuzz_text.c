// SPDX-License-Identifier: MIT
/* Traces as text, which are assembled and replayed. */
#include <stdio.h>

#include "tests/fuzz/harness.h"
#include "traces/trace.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	FILE *in = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
	struct rf_error err;

	if (!in)
		return 0;
	if (!rf_text_assemble(in, output_file(), &err))
		replay_file(output_file());
	fclose(in);
	return 0;
}
