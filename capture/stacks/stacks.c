// SPDX-License-Identifier: MIT
/*
 * Stacks as a tree, outermost frames at its roots: what most stacks share, from main() to the loop that serves
 * requests, is there once. A part of it is written when the first call needs it.
 */
#include "capture/stacks/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define MOST_NODES (1u << 20)		/* 32 MiB, and as much to find them */
#define MOST_A_SECOND 50000u
#define SECOND 1000000000ull
#define PATH_WORDS 4

struct node {
	u32 caller;		/* its number in the tree, 0: none */
	bool written;
	struct rf_module *module;
	u64 offset;
};

DEFINE_TABLE(node_table, u64, u32);

struct rf_stacks {
	struct rf_writer *writer;
	int stream;
	struct rf_spaces spaces;
	struct node *nodes;	/* [0]: none */
	size_t nr, room;
	struct node_table by_key;
	u64 time;		/* of the last definition */
	u32 modules;		/* written */
	u64 second, in_second;
	u64 missed[RF_NR_NO_STACKS];
};

struct rf_stacks *rf_stacks_create(struct rf_writer *writer, struct rf_error *err)
{
	const struct rf_stream_info info = { .source = RF_SOURCE_PERF };
	struct rf_stacks *stacks = calloc(1, sizeof(*stacks));

	if (!RF_STACKS_KNOWN || !stacks || array_grow_zeroed(stacks->nodes, stacks->room, 1)) {
		rf_error_set(err, RF_STACKS_KNOWN ? -ENOMEM : -EOPNOTSUPP, RF_NO_OFFSET, "%s", RF_STACKS_KNOWN ?
			     "out of memory" : "the registers of this architecture are not known");
		rf_stacks_destroy(stacks);
		return NULL;
	}
	stacks->nr = 1;
	stacks->writer = writer;
	stacks->stream = rf_writer_add_stream(writer, &info);
	if (stacks->stream < 0) {
		rf_error_set(err, stacks->stream, RF_NO_OFFSET, "cannot add a stream: %s", strerror(-stacks->stream));
		rf_stacks_destroy(stacks);
		return NULL;
	}
	return stacks;
}

void rf_stacks_destroy(struct rf_stacks *stacks)
{
	if (!stacks)
		return;
	rf_spaces_free(&stacks->spaces);
	node_table_free(&stacks->by_key);
	free(stacks->nodes);
	free(stacks);
}

struct rf_spaces *rf_stacks_spaces(struct rf_stacks *stacks)
{
	return &stacks->spaces;
}

/* ---- the tree -------------------------------------------------------------------- */

struct wanted {
	const struct node *nodes, *node;
};

static bool same_node(const void *context, u32 number)
{
	const struct wanted *wanted = context;
	const struct node *node = &wanted->nodes[number];

	return node->caller == wanted->node->caller && node->module == wanted->node->module &&
	       node->offset == wanted->node->offset;
}

/* 0: there is no room for it. */
static u32 find_or_add(struct rf_stacks *stacks, const struct node *node)
{
	struct wanted wanted = { stacks->nodes, node };
	u64 key = ((u64)node->caller * 0x9e3779b97f4a7c15ull ^ (uintptr_t)node->module) * 0x9e3779b97f4a7c15ull +
		  node->offset;
	u32 number = node_table_match(&stacks->by_key, key, same_node, &wanted);

	if (number)
		return number;
	if (stacks->nr >= MOST_NODES || array_grow(stacks->nodes, stacks->room, stacks->nr + 1) ||
	    node_table_add(&stacks->by_key, key, (u32)stacks->nr))
		return 0;
	stacks->nodes[stacks->nr] = *node;
	return (u32)stacks->nr++;
}

static u32 find_stack(struct rf_stacks *stacks, const struct rf_frame *frames, size_t nr)
{
	u32 number = 0;

	while (nr--) {
		const struct node node = { .caller = number, .module = frames[nr].module, .offset = frames[nr].offset };

		number = find_or_add(stacks, &node);
		if (!number)
			return 0;
	}
	return number;
}

/* ---- into the trace -------------------------------------------------------------- */

/* What is said of no moment has the time of the call that it was needed for first, but for order. */
static int define(struct rf_stacks *stacks, u8 kind, const u64 f[RF_RECORD_FIELDS], struct rf_error *err)
{
	struct rf_record record = { .time = stacks->time, .kind = kind };

	memcpy(record.f, f, sizeof(record.f));
	return rf_writer_append(stacks->writer, stacks->stream, &record, 1, err);
}

static int write_module(struct rf_stacks *stacks, struct rf_module *module, struct rf_error *err)
{
	u64 f[RF_RECORD_FIELDS] = { module->number = ++stacks->modules, module->build_id_size };
	size_t length = strlen(module->path);
	int ret;

	for (size_t i = 0; i < module->build_id_size; i++)
		f[2 + i / 8] |= (u64)module->build_id[i] << (i % 8 * 8);
	ret = define(stacks, RF_MODULE, f, err);
	for (size_t at = 0; at < length && !ret; at += PATH_WORDS * 8) {
		u64 part[RF_RECORD_FIELDS] = { module->number, at };

		for (size_t i = 0; i < PATH_WORDS * 8 && at + i < length; i++)
			part[2 + i / 8] |= (u64)(u8)module->path[at + i] << (i % 8 * 8);
		ret = define(stacks, RF_MODULE_PATH, part, err);
	}
	return ret;
}

/* What of a stack no call has needed before; callers first. */
static int write_stack(struct rf_stacks *stacks, u32 number, struct rf_error *err)
{
	u32 fresh[RF_STACK_FRAMES_MAX];
	size_t nr = 0;
	int ret = 0;

	for (u32 i = number; i && !stacks->nodes[i].written; i = stacks->nodes[i].caller)
		fresh[nr++] = i;
	while (nr-- && !ret) {
		struct node *node = &stacks->nodes[fresh[nr]];
		u64 f[RF_RECORD_FIELDS] = { fresh[nr], node->caller, 0, node->offset };

		if (node->module && !node->module->number)
			ret = write_module(stacks, node->module, err);
		f[2] = node->module ? node->module->number : 0;
		if (!ret)
			ret = define(stacks, RF_STACK, f, err);
		node->written = !ret;
	}
	return ret;
}

/* CPUs are a little apart in time. */
static bool is_too_often(struct rf_stacks *stacks, u64 time)
{
	if (time / SECOND > stacks->second) {
		stacks->second = time / SECOND;
		stacks->in_second = 0;
	}
	return stacks->in_second++ >= MOST_A_SECOND;
}

struct rf_found_stack rf_stacks_find(struct rf_stacks *stacks, const struct rf_stack_sample *sample)
{
	struct rf_found_stack found = { .why = RF_NR_NO_STACKS };
	struct rf_frame frames[RF_STACK_FRAMES_MAX];
	size_t nr;

	/* COMMAND, while it is still our own program. */
	if (rf_spaces_is_empty(&stacks->spaces, (pid_t)sample->pid))
		return found;
	found.why = RF_NO_STACK_RATE;
	if (is_too_often(stacks, sample->time))
		return found;
	nr = rf_unwind(&stacks->spaces, sample, frames);
	found.number = find_stack(stacks, frames, nr);
	found.why = nr ? RF_NO_STACK_KINDS : RF_NO_STACK_USER;
	return found;
}

int rf_stacks_write(struct rf_stacks *stacks, int stream, const struct rf_record *call, struct rf_found_stack found,
		    struct rf_error *err)
{
	struct rf_record record = *call;
	int ret;

	if (!found.number && found.why < RF_NR_NO_STACKS)
		rf_stacks_missed(stacks, found.why, 1);
	/* Whose registers are not known. */
	if (!record.tid)
		return 0;
	/* Without one, too: that it was copied tells what an exception meanwhile was. */
	record.f[1] = found.number;
	stacks->time = max_u64(stacks->time, record.time);
	ret = found.number ? write_stack(stacks, found.number, err) : 0;
	return ret ? ret : rf_writer_append(stacks->writer, stream, &record, 1, err);
}

void rf_stacks_missed(struct rf_stacks *stacks, enum rf_no_stack why, u64 calls)
{
	stacks->missed[why] += calls;
}

u64 rf_stacks_nr_missed(const struct rf_stacks *stacks)
{
	u64 sum = 0;

	for (size_t i = 0; i < RF_NR_NO_STACKS; i++)
		sum += stacks->missed[i];
	return sum;
}

int rf_stacks_finish(struct rf_stacks *stacks, struct rf_error *err)
{
	int ret = 0;

	for (u64 why = 0; why < RF_NR_NO_STACKS && !ret; why++) {
		const u64 f[RF_RECORD_FIELDS] = { why, stacks->missed[why] };

		if (stacks->missed[why])
			ret = define(stacks, RF_NO_STACKS, f, err);
	}
	return ret;
}

int rf_stacks_flush(struct rf_stacks *stacks, struct rf_error *err)
{
	return rf_writer_flush(stacks->writer, stacks->stream, err);
}
