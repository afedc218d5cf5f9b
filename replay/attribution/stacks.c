// SPDX-License-Identifier: MIT
/*
 * Stacks are read before the first record: they have streams of their own, and no place among what happened. A number
 * of a hostile trace is taken for what it can be.
 */
#include "replay/attribution/stacks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"

#define MOST_STACKS (1u << 20)		/* as refold-capture has */
#define MOST_MODULES 4096u
#define MOST_PATH 4096u
#define WITHIN_NS 1000000ull		/* from a stack to its call */
#define READ_RECORDS 1024
#define SHOWN 4				/* functions of a short text */
#define SHOWN_LENGTH 40			/* of each */

/* ---- reading ----------------------------------------------------------------------- */

/* Of a number that there may be. NULL: no memory. */
static struct rf_stack_module *module_at(struct rf_stack_list *list, u64 number)
{
	size_t before = list->nr_modules;

	if (number >= before) {
		if (array_grow(list->modules, list->modules_room, number + 1))
			return NULL;
		memset(list->modules + before, 0, (number + 1 - before) * sizeof(*list->modules));
		list->nr_modules = number + 1;
	}
	return &list->modules[number];
}

static void put_bytes(u8 *to, u64 word, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		to[i] = (u8)(word >> (8 * i));
}

static int read_module(struct rf_stack_list *list, const u64 f[RF_RECORD_FIELDS])
{
	struct rf_stack_module *module;

	if (!f[0] || f[0] >= MOST_MODULES || f[1] > RF_BUILD_ID_BYTES)
		return 0;
	module = module_at(list, f[0]);
	if (!module)
		return -ENOMEM;
	module->file.build_id_size = (u8)f[1];
	for (size_t i = 0; i < 3; i++)
		put_bytes(module->file.build_id + 8 * i, f[2 + i], 8);
	return 0;
}

static int read_path(struct rf_stack_list *list, const u64 f[RF_RECORD_FIELDS])
{
	struct rf_stack_module *module;
	size_t before;

	if (!f[0] || f[0] >= MOST_MODULES || f[1] >= MOST_PATH || !f[2])
		return 0;
	module = module_at(list, f[0]);
	if (!module)
		return -ENOMEM;
	before = module->path_room;
	if (array_grow(module->path, module->path_room, f[1] + 33))
		return -ENOMEM;
	memset(module->path + before, 0, module->path_room - before);
	for (size_t i = 0; i < 4; i++)
		put_bytes((u8 *)module->path + f[1] + 8 * i, f[2 + i], 8);
	return 0;
}

static int read_stack(struct rf_stack_list *list, const u64 f[RF_RECORD_FIELDS])
{
	size_t before = list->nr_stacks;

	if (!f[0] || f[0] >= MOST_STACKS || f[1] >= f[0] || f[2] >= MOST_MODULES)
		return 0;
	if (f[0] >= before) {
		if (array_grow(list->stacks, list->stacks_room, f[0] + 1))
			return -ENOMEM;
		memset(list->stacks + before, 0, (f[0] + 1 - before) * sizeof(*list->stacks));
		list->nr_stacks = f[0] + 1;
	}
	list->stacks[f[0]] = (struct rf_stack){ .caller = (u32)f[1], .module = (u32)f[2], .offset = f[3] };
	return 0;
}

static int read_call(struct rf_stack_list *list, const struct rf_record *record)
{
	if (!record->f[1] || record->f[1] >= MOST_STACKS)
		return 0;
	if (array_grow(list->calls, list->calls_room, list->nr_calls + 1))
		return -ENOMEM;
	list->calls[list->nr_calls++] = (struct rf_stack_call){ .time = record->time, .tid = record->tid,
								.stack = (u32)record->f[1], .call = (u8)record->f[0] };
	return 0;
}

static int read_record(struct rf_stack_list *list, const struct rf_record *record)
{
	switch (record->kind) {
	case RF_MODULE:
		return read_module(list, record->f);
	case RF_MODULE_PATH:
		return read_path(list, record->f);
	case RF_STACK:
		return read_stack(list, record->f);
	case RF_CALL_STACK:
		return read_call(list, record);
	default:
		return 0;
	}
}

static int by_thread(const void *a, const void *b)
{
	const struct rf_stack_call *x = a, *y = b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	/* The same order with any qsort(). */
	return x->call != y->call ? (x->call < y->call ? -1 : 1) : x->stack < y->stack ? -1 : x->stack > y->stack;
}

int rf_stack_list_read(struct rf_stack_list *list, struct rf_reader *reader)
{
	u64 kinds[2] = { 0 };
	struct rf_record *records = malloc(READ_RECORDS * sizeof(*records));
	struct rf_cursor *cursor;
	int ret = 0;
	size_t nr;

	for (u32 kind = RF_MODULE; kind <= RF_CALL_STACK; kind++)
		kinds[kind / 64] |= BIT_ULL(kind % 64);
	cursor = rf_cursor_open(reader, -1, kinds);
	if (!records || !cursor)
		ret = -ENOMEM;
	while (!ret && (nr = rf_cursor_read(cursor, records, READ_RECORDS)))
		for (size_t i = 0; i < nr && !ret; i++)
			ret = read_record(list, &records[i]);
	rf_cursor_close(cursor);
	free(records);
	if (list->nr_calls)
		qsort(list->calls, list->nr_calls, sizeof(*list->calls), by_thread);
	return ret;
}

void rf_stack_list_free(struct rf_stack_list *list)
{
	for (size_t i = 0; i < list->nr_modules; i++)
		free(list->modules[i].path);
	for (size_t i = 0; i < list->nr_names; i++)
		free(list->names[i]);
	free(list->names);
	free(list->modules);
	free(list->stacks);
	free(list->calls);
	stack_table_free(&list->by_name);
	*list = (struct rf_stack_list){ 0 };
}

/* ---- which stack -------------------------------------------------------------------- */

/* The first of the thread's that is later than the call, or of another thread. */
static size_t place_after(const struct rf_stack_list *list, u32 tid, u64 time)
{
	size_t low = 0, high = list->nr_calls;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct rf_stack_call *call = &list->calls[middle];

		if (call->tid > tid || (call->tid == tid && call->time > time))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The last one before it, if that is no other call's, whose record or stack was lost. */
u32 rf_stack_of_call(struct rf_stack_list *list, const struct rf_told *began)
{
	const struct rf_record *record = &began->record;
	size_t place = place_after(list, record->tid, record->time);
	struct rf_stack_call *call;

	if (!place)
		return 0;
	call = &list->calls[place - 1];
	if (call->tid != record->tid || call->call != record->kind || record->time - call->time > WITHIN_NS ||
	    (call->made && call->made != began->number) || call->stack >= list->nr_stacks)
		return 0;
	call->made = began->number;
	return call->stack;
}

/* ---- names ---------------------------------------------------------------------------- */

struct wanted_name {
	char *const *names;
	const char *name;
};

static bool is_named(const void *context, u32 number)
{
	const struct wanted_name *wanted = context;

	return !strcmp(wanted->names[number], wanted->name);
}

/* A name is anybody's: it goes to terminals and to formats that have lines and ';'. */
static void make_harmless(char *name)
{
	for (; *name; name++) {
		if (*name == ';')
			*name = ':';
		else if (*name < ' ' || *name > '~')
			*name = '?';
	}
}

/* Takes the name over. 0: no memory. */
static u32 add_name(struct rf_stack_list *list, char *name)
{
	struct wanted_name wanted = { list->names, name };
	u64 key = 0xcbf29ce484222325ull;
	u32 number;

	make_harmless(name);
	for (const char *c = name; *c; c++)
		key = (key ^ (u8)*c) * 0x100000001b3ull;
	number = stack_table_match(&list->by_name, key, is_named, &wanted);
	if (number) {
		free(name);
		return number;
	}
	if (array_grow(list->names, list->names_room, max_u64(list->nr_names, 1) + 1)) {
		free(name);
		return 0;
	}
	if (!list->nr_names)
		list->names[list->nr_names++] = NULL;
	list->names[list->nr_names++] = name;
	return stack_table_add(&list->by_name, key, (u32)list->nr_names - 1) ? 0 : (u32)list->nr_names - 1;
}

/* What has no symbol: the file as far as it is known, and where in it. */
static char *place_name(const struct rf_stack_list *list, const struct rf_stack *stack)
{
	const struct rf_stack_module *module = stack->module < list->nr_modules ? &list->modules[stack->module] : NULL;
	const char *slash = module && module->path ? strrchr(module->path, '/') : NULL;
	unsigned long long offset = stack->offset;
	char *name = NULL;
	int length;

	if (!stack->module)
		return strdup("code of no file");
	if (slash)
		length = asprintf(&name, "%s+0x%llx", slash + 1, offset);
	else if (module && module->file.build_id_size >= 4)
		length = asprintf(&name, "%02x%02x%02x%02x+0x%llx", module->file.build_id[0], module->file.build_id[1],
				  module->file.build_id[2], module->file.build_id[3], offset);
	else
		length = asprintf(&name, "file %u+0x%llx", stack->module, offset);
	return length < 0 ? NULL : name;
}

struct naming {
	struct rf_symbols **symbols;	/* by module */
	bool *looked;
	struct stack_table places;	/* names by module and offset */
};

/* *name: NULL, where there is no symbol. */
static int symbol_of(struct rf_stack_list *list, struct naming *naming, const struct rf_stack *stack,
		     const char *directory, char **name)
{
	struct rf_stack_module *module;
	int ret = 0;

	*name = NULL;
	if (!stack->module || stack->module >= list->nr_modules)
		return 0;
	module = &list->modules[stack->module];
	module->file.path = module->path;
	if (!naming->looked[stack->module])
		ret = rf_symbols_open(&module->file, directory, &naming->symbols[stack->module]);
	naming->looked[stack->module] = true;
	if (!ret && naming->symbols[stack->module])
		ret = rf_symbols_function(naming->symbols[stack->module], stack->offset, name);
	return ret;
}

/* 0: no memory. */
static u32 name_of(struct rf_stack_list *list, struct naming *naming, const struct rf_stack *stack,
		   const char *directory)
{
	u64 key = (u64)stack->module << 48 ^ stack->offset;
	u32 number = stack_table_find(&naming->places, key);
	char *name;

	if (number)
		return number;
	if (symbol_of(list, naming, stack, directory, &name))
		return 0;
	list->functions++;
	list->unnamed += !name;
	if (!name)
		name = place_name(list, stack);
	number = name ? add_name(list, name) : 0;
	return number && !stack_table_add(&naming->places, key, number) ? number : 0;
}

/* Callers have lower numbers, so that they are named before. */
static int name_all(struct rf_stack_list *list, struct naming *naming, const bool *wanted, const char *directory)
{
	struct stack_table alike = { 0 };
	int ret = 0;

	for (u32 i = 1; i < list->nr_stacks && !ret; i++) {
		struct rf_stack *stack = &list->stacks[i];
		u64 key;

		if (!wanted[i])
			continue;
		stack->name = name_of(list, naming, stack, directory);
		if (!stack->name) {
			ret = -ENOMEM;
			break;
		}
		key = (u64)(stack->caller ? list->stacks[stack->caller].same : 0) << 32 | stack->name;
		stack->same = stack_table_find(&alike, key);
		if (!stack->same) {
			stack->same = i;
			ret = stack_table_add(&alike, key, i);
		}
	}
	stack_table_free(&alike);
	return ret;
}

int rf_stack_list_name(struct rf_stack_list *list, const bool *wanted, const char *directory)
{
	bool *all = calloc(list->nr_stacks + 1, sizeof(*all));
	struct naming naming = { .symbols = calloc(list->nr_modules + 1, sizeof(*naming.symbols)),
				 .looked = calloc(list->nr_modules + 1, sizeof(*naming.looked)) };
	int ret = all && naming.symbols && naming.looked ? 0 : -ENOMEM;

	for (size_t i = list->nr_stacks; !ret && i-- > 1;) {
		all[i] |= wanted[i];
		all[list->stacks[i].caller] |= all[i];
	}
	if (!ret)
		ret = name_all(list, &naming, all, directory);
	for (size_t i = 0; naming.symbols && i < list->nr_modules; i++)
		rf_symbols_close(naming.symbols[i]);
	stack_table_free(&naming.places);
	free(naming.symbols);
	free(naming.looked);
	free(all);
	return ret;
}

const char *rf_stack_next(const struct rf_stack_list *list, u32 *stack)
{
	u32 number = *stack;

	if (!number || number >= list->nr_stacks)
		return NULL;
	*stack = list->stacks[number].caller;
	return list->names[list->stacks[number].name];
}

void rf_stack_text(const struct rf_stack_list *list, u32 stack, char *text, size_t size)
{
	u32 more = 0, shown = 0;
	const char *name;
	struct rf_line line;

	rf_line_begin(&line, text, size);
	while ((name = rf_stack_next(list, &stack))) {
		if (shown < SHOWN)
			rf_line_add(&line, "%s%.*s%s", shown ? " < " : "", SHOWN_LENGTH, name,
				    strlen(name) > SHOWN_LENGTH ? "..." : "");
		else
			more++;
		shown++;
	}
	if (more)
		rf_line_add(&line, " < %u more", more);
}
