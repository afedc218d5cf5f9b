// SPDX-License-Identifier: MIT
/* Scripts of refold pte. */
#include "replay/commands/commands.h"
#include "tests/fuzz/harness.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char name[] = "pte", option[] = "-p", policy[] = "linux-7.3";
	char *path = (char *)(uintptr_t)input_file(data, size, ".ops");

	run_quietly(rf_cmd_pte, (char *[]){ name, path, option, policy, NULL });
	return 0;
}
