// SPDX-License-Identifier: MIT
/* Reports, as refold diff reads them. */
#include "replay/commands/commands.h"
#include "tests/fuzz/harness.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char name[] = "diff", all[] = "--all";
	char *path = (char *)(uintptr_t)input_file(data, size, ".json");

	run_quietly(rf_cmd_diff, (char *[]){ name, path, all, NULL });
	run_quietly(rf_cmd_diff, (char *[]){ name, path, path, NULL });
	return 0;
}
