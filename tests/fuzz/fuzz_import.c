// SPDX-License-Identifier: MIT
/* What trace-cmd has recorded. */
#include "replay/commands/commands.h"
#include "tests/fuzz/harness.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char name[] = "import", option[] = "-o";
	char *path = (char *)(uintptr_t)input_file(data, size, ".dat");
	char *output = (char *)(uintptr_t)output_file();

	run_quietly(rf_cmd_import, (char *[]){ name, path, option, output, NULL });
	return 0;
}
