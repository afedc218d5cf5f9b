// SPDX-License-Identifier: MIT
/* The list of backends. A new one is a folder here and a line in this table: docs/adding-a-backend.md. */
#include <string.h>

#include "arch/arm64/arm64.h"
#include "arch/powerpc/powerpc.h"
#include "arch/riscv/riscv.h"
#include "arch/x86/x86.h"

const struct arch_ops *const arch_list[] = {
	&arm64_ops,
	&powerpc_8xx_ops,
	&powerpc_hash_ops,
	&riscv_ops,
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

bool arch_is_machine(const struct arch_ops *ops, const char *machine)
{
	const char *const *name;

	for (name = ops->machines; *name; name++)
		if (!strcmp(*name, machine))
			return true;
	return false;
}
