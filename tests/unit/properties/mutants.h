/* SPDX-License-Identifier: MIT */
/* Backends with one fault each: the negative controls of the oracles. */
#ifndef TESTS_PROPERTIES_MUTANTS_H
#define TESTS_PROPERTIES_MUTANTS_H

#include "arch/arch.h"

struct mutant {
	const char *what;
	const char *oracle;	/* who must find it */
	struct arch_ops hooks;	/* those that differ */
};

extern const struct mutant mutants[];
extern const size_t nr_mutants;

struct arch_ops mutated(const struct arch_ops *backend, const struct mutant *mutant);

#endif
