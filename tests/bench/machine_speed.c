// SPDX-License-Identifier: MIT
/*
 * How many operations per second one machine executes, by policy: a process
 * that maps, faults, forks, copies on write, protects and exits, over and over.
 * And how many entries per second of much memory in 64K folios, all in whole
 * blocks, which only the costs by block bound. Prints, judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/machine.h"

#define BASE 0x40000000ull
#define PAGES 2048u
#define FOLIO_PAGES 256u
#define ROUNDS 60

struct stream {
	struct rf_op *ops;
	size_t nr, max;
};

static void add(struct stream *stream, struct rf_op op)
{
	if (stream->nr == stream->max) {
		stream->max = stream->max ? 2 * stream->max : 4096;
		stream->ops = realloc(stream->ops, stream->max * sizeof(op));
		if (!stream->ops)
			abort();
	}
	op.time = stream->nr * 500;
	stream->ops[stream->nr++] = op;
}

#define op(stream, ...) add(stream, (struct rf_op){ __VA_ARGS__ })

/* Small pages, some 64K folios, file pages by fault-around: the mix of an exec-heavy load. */
static void one_process(struct stream *s, u32 mm)
{
	const u16 rw = RF_VM_READ | RF_VM_WRITE;
	u64 heap = BASE, folios = BASE + (1ull << 30), file = BASE + (2ull << 30);
	u32 i;

	op(s, .kind = RF_OP_MM_NEW, .mm = mm);
	op(s, .kind = RF_OP_MAP, .mm = mm, .addr = heap, .end = heap + PAGES * 4096ull, .vm_flags = rw,
	   .pgoff = heap >> 12);
	op(s, .kind = RF_OP_MAP, .mm = mm, .addr = folios, .end = folios + FOLIO_PAGES * 65536ull, .vm_flags = rw,
	   .pgoff = folios >> 12);
	op(s, .kind = RF_OP_MAP, .mm = mm, .addr = file, .end = file + PAGES * 4096ull, .vm_flags = RF_VM_READ,
	   .file = 1);
	for (i = 0; i < PAGES; i++)
		op(s, .kind = RF_OP_FAULT_ANON, .mm = mm, .addr = heap + i * 4096ull, .pfn = 0x10000 + i,
		   .flags = RF_OP_WRITE);
	for (i = 0; i < FOLIO_PAGES; i++)
		op(s, .kind = RF_OP_FAULT_ANON, .mm = mm, .addr = folios + i * 65536ull, .pfn = 0x20000 + i * 16,
		   .order = 4, .flags = RF_OP_WRITE);
	for (i = 0; i < PAGES; i += 16)
		op(s, .kind = RF_OP_FAULT_FILE, .mm = mm, .addr = file + i * 4096ull, .pfn = 0x30000 + i, .order = 4,
		   .nr = 16, .aux = file + i * 4096ull, .flags = RF_OP_FIRST | RF_OP_FAULT_AROUND);
	op(s, .kind = RF_OP_FORK, .mm = mm, .mm2 = mm + 1);
	for (i = 0; i < PAGES / 2; i++)
		op(s, .kind = RF_OP_FAULT_COW, .mm = mm + 1, .addr = heap + i * 4096ull, .pfn = 0x40000 + i,
		   .flags = RF_OP_WRITE);
	op(s, .kind = RF_OP_MM_EXIT, .mm = mm + 1, .why = RF_WHY_PROCESS_EXIT);
	for (i = 0; i < PAGES / 2; i++)
		op(s, .kind = RF_OP_FAULT_REUSE, .mm = mm, .addr = heap + i * 4096ull, .flags = RF_OP_WRITE);
	for (i = 0; i < 64; i++)
		op(s, .kind = RF_OP_MPROTECT, .mm = mm, .addr = folios + i * 8192ull,
		   .end = folios + i * 8192ull + 4096, .vm_flags = RF_VM_READ);
	for (i = 0; i < 64; i++)
		op(s, .kind = RF_OP_ZAP, .why = RF_WHY_DONTNEED, .mm = mm, .addr = heap + i * 16384ull,
		   .end = heap + i * 16384ull + 16384);
	op(s, .kind = RF_OP_MM_EXIT, .mm = mm, .why = RF_WHY_PROCESS_EXIT);
}

/* Of CPU time, which others on the machine disturb least. */
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

/* ---- whole blocks ---- */

#define BLOCKS 163840ull		/* 10 GiB of 64K folios */
#define BLOCK_BYTES 65536ull
#define BLOCK_TIMES 3

static double seconds_of(struct rf_machine *machine, struct rf_op op)
{
	double start = seconds();

	rf_machine_run(machine, &op, 1);
	return seconds() - start;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void whole_blocks(const char *name)
{
	const u64 start = 1ull << 40, end = start + BLOCKS * BLOCK_BYTES;
	const double entries = BLOCKS * 16 / 1e6;
	struct rf_machine *machine = rf_machine_create(rf_policy_find(name));
	double fork = 1e9, exit = 1e9, protect = 1e9;
	struct rf_op op = { .kind = RF_OP_MM_NEW };

	rf_machine_run(machine, &op, 1);
	op = (struct rf_op){ .kind = RF_OP_MAP, .addr = start, .end = end, .vm_flags = RF_VM_READ | RF_VM_WRITE,
			     .pgoff = start >> 12 };
	rf_machine_run(machine, &op, 1);
	for (u64 i = 0; i < BLOCKS; i++) {
		op = (struct rf_op){ .kind = RF_OP_FAULT_ANON, .addr = start + i * BLOCK_BYTES,
				     .pfn = 0x100000 + i * 16, .order = 4, .flags = RF_OP_WRITE };
		rf_machine_run(machine, &op, 1);
	}
	for (u32 i = 0; i < BLOCK_TIMES; i++) {
		op = (struct rf_op){ .kind = RF_OP_FORK, .mm2 = i + 1 };
		fork = least(fork, seconds_of(machine, op));
		op = (struct rf_op){ .kind = RF_OP_MM_EXIT, .mm = i + 1, .why = RF_WHY_PROCESS_EXIT };
		exit = least(exit, seconds_of(machine, op));
		op = (struct rf_op){ .kind = RF_OP_MPROTECT, .addr = start, .end = end,
				     .vm_flags = i % 2 ? RF_VM_READ | RF_VM_WRITE : RF_VM_READ };
		protect = least(protect, seconds_of(machine, op));
	}
	printf("%-12s 10 GiB of 64K folios, M entries/s: fork %6.0f, exit %6.0f, mprotect %6.0f\n", name,
	       entries / fork, entries / exit, entries / protect);
	rf_machine_destroy(machine);
}

int main(void)
{
	static const char *const names[] = { "linux-6.8", "contpte-v3", "linux-6.12", "linux-7.3", "x86-6.18" };
	struct stream stream = { 0 };
	size_t i;
	u32 round;

	for (round = 0; round < ROUNDS; round++)
		one_process(&stream, 2 * round);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct rf_machine *machine = rf_machine_create(rf_policy_find(names[i]));
		double start = seconds(), took;
		size_t done;

		for (done = 0; done < stream.nr; done += 1024)
			rf_machine_run(machine, stream.ops + done, stream.nr - done < 1024 ? stream.nr - done : 1024);
		took = seconds() - start;
		printf("%-12s %6.1f M operations/s\n", names[i], stream.nr / took / 1e6);
		rf_machine_destroy(machine);
	}
	free(stream.ops);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		whole_blocks(names[i]);
	return 0;
}
