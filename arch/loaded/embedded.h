/* SPDX-License-Identifier: MIT */
/* Files of kernel/, and the interface, as they are in the tree: embed.py makes a source of them. */
#ifndef REFOLD_ARCH_LOADED_EMBEDDED_H
#define REFOLD_ARCH_LOADED_EMBEDDED_H

#include <stddef.h>

struct arch_embedded {
	const char *name;
	const unsigned char *text;
	size_t size;
};

/* Ended by one without a name. */
extern const struct arch_embedded arch_embedded[];

#endif
