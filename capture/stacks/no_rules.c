// SPDX-License-Identifier: MIT
/* Built without elfutils: files have no tables and no build ids, and frames are left by their frame pointers. */
#include "capture/stacks/rules.h"

#include <stddef.h>

struct rf_rules *rf_rules_read(int fd, u8 build_id[RF_BUILD_ID_MAX], u8 *build_id_size)
{
	(void)fd;
	(void)build_id;
	*build_id_size = 0;
	return NULL;
}

void rf_rules_free(struct rf_rules *rules)
{
	(void)rules;
}

u64 rf_rules_address(const struct rf_rules *rules, u64 offset)
{
	(void)rules;
	return offset;
}

struct rf_unwind_rule rf_rules_at(struct rf_rules *rules, u64 address)
{
	(void)rules;
	(void)address;
	return rf_frame_pointer_rule;
}
