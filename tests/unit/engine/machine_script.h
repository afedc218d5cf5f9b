/* SPDX-License-Identifier: MIT */
/*
 * Short ways to write operations, for the tests of the engine: each call runs
 * one operation at once on a machine of a named policy.
 */
#ifndef REFOLD_TESTS_MACHINE_SCRIPT_H
#define REFOLD_TESTS_MACHINE_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/machine.h"

#define K(n) ((u64)(n) << 10)
#define M(n) ((u64)(n) << 20)
#define G(n) ((u64)(n) << 30)

#define RW (RF_VM_READ | RF_VM_WRITE)
#define BASE G(1)
#define PFN 0x100000ull

/* knobs: "name=value name=value", or "" */
static inline struct rf_machine *machine_of(const char *policy_name, const char *knobs)
{
	const struct rf_policy *named = rf_policy_find(policy_name);
	struct rf_policy policy;
	char copy[256], *token, *save = NULL;

	assert_non_null(named);
	policy = *named;
	snprintf(copy, sizeof(copy), "%s", knobs);
	for (token = strtok_r(copy, " ", &save); token; token = strtok_r(NULL, " ", &save)) {
		char *value = strchr(token, '=');
		struct rf_error err;

		assert_non_null(value);
		*value++ = 0;
		assert_int_equal(rf_policy_set(&policy, token, value, &err), 0);
	}
	return rf_machine_create(&policy);
}

static inline void run_one(struct rf_machine *machine, struct rf_op op)
{
	assert_int_equal(rf_machine_run(machine, &op, 1), 0);
}

#define run(machine, ...) run_one(machine, (struct rf_op){ __VA_ARGS__ })

static inline void map_anon(struct rf_machine *machine, u32 mm, u64 addr, u64 len)
{
	run(machine, .kind = RF_OP_MAP, .mm = mm, .addr = addr, .end = addr + len, .vm_flags = RW,
	    .pgoff = addr >> 12);
}

static inline void fault_anon(struct rf_machine *machine, u32 mm, u64 addr, u64 len, unsigned int order, u64 pfn)
{
	u64 at, step = 4096ull << order;

	for (at = addr; at < addr + len; at += step, pfn += 1ull << order)
		run(machine, .kind = RF_OP_FAULT_ANON, .mm = mm, .addr = at, .pfn = pfn, .order = order,
		    .flags = RF_OP_WRITE);
}

/* An mm 0 with len bytes of 64K folios at BASE, aligned, writable, young and dirty. */
static inline struct rf_machine *machine_with_folios(const char *policy, const char *knobs, u64 len)
{
	struct rf_machine *machine = machine_of(policy, knobs);

	run(machine, .kind = RF_OP_MM_NEW, .mm = 0);
	map_anon(machine, 0, BASE, len);
	fault_anon(machine, 0, BASE, len, 4, PFN);
	return machine;
}

static inline const struct arch_counters *row_of(const struct rf_machine *machine, enum rf_row row)
{
	return &rf_machine_stats(machine)->rows[row];
}

static inline u64 anomalies_of(const struct rf_machine *machine)
{
	u64 sum = 0;
	size_t i;

	for (i = 0; i < RF_NR_ANOMALIES; i++)
		sum += rf_machine_stats(machine)->anomalies[i];
	return sum;
}

#define assert_no_anomalies(machine) assert_int_equal(anomalies_of(machine), 0)

#endif
