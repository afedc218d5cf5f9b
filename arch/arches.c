// SPDX-License-Identifier: MIT
/* The list of backends. A new one is a folder here and a line in this list: docs/adding-a-backend.md. */
#include <string.h>

#include "arch/arch.h"

#define BACKENDS(X) \
	X(arm64)        \
	X(powerpc_8xx)  \
	X(powerpc_hash) \
	X(riscv)        \
	X(x86)

#define X(name) extern const struct arch_ops name##_ops;
BACKENDS(X)
#undef X

const struct arch_ops *const arch_list[] = {
#define X(name) &name##_ops,
	BACKENDS(X)
#undef X
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

bool arch_is_machine(const struct arch_ops *ops, const char *machine)
{
	const char *const *name;

	for (name = ops->machines; *name; name++)
		if (!strcmp(*name, machine))
			return true;
	return false;
}
