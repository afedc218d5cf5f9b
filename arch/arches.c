// SPDX-License-Identifier: MIT
/* The list of backends. A new architecture is one folder here and one line in this table. */
#include <string.h>

#include "arch/arm64/arm64.h"
#include "arch/x86/x86.h"

const struct arch_ops *const arch_list[] = {
	&arm64_ops,
	&x86_ops,
	NULL,
};

const struct arch_ops *arch_by_name(const char *name)
{
	const struct arch_ops *const *ops;

	for (ops = arch_list; *ops; ops++)
		if (!strcmp((*ops)->name, name))
			return *ops;
	return NULL;
}
