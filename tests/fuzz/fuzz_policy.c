// SPDX-License-Identifier: MIT
/* Policies, as text and as files. Kernel trees and shared objects are code that one trusts: none is asked for. */
#include <string.h>

#include "engine/policy/text.h"
#include "tests/fuzz/harness.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct rf_policy policies[RF_MAX_POLICIES];
	char text[1024];
	struct rf_error err;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (strstr(text, "kernel") || strstr(text, "backend") || strstr(text, ".so"))
		return 0;
	if (text[strspn(text, " \n\t")] == '{')
		rf_policy_parse(input_file(data, size, ".json"), &policies[0], &err);
	else
		rf_policy_parse_list(text, policies, 0, RF_MAX_POLICIES, &err);
	return 0;
}
