/* SPDX-License-Identifier: MIT */
/*
 * What QEMU plugins that count have in common: the guest's memory and symbols, sums by key, windows between two marks.
 * A plugin is one file; it says which instructions and functions it watches, and what a row of its output is.
 */
#ifndef REFOLD_LAB_COUNTING_H
#define REFOLD_LAB_COUNTING_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define MAX_CPUS 16
#define KERNEL_START 0xff00000000000000ull
#define MARK_BEGIN 0x5a01
#define MARK_END 0x5a02

struct key {
	uint64_t pc, caller;
	int64_t size;		/* -1: has none */
	uint32_t pid;
	uint16_t operation;	/* the plugin's, as kind and zero are */
	uint8_t kind;
	uint8_t zero;
};

/* ---- the plugin's ------------------------------------------------------------ */

/* JSON without its end, to be freed: {"kind":...,"size":1 */
static char *row_text(const struct key *key);
static void watch_instruction(struct qemu_plugin_insn *insn, uint64_t pc);
/* userdata: what function_at has for the address. */
static void on_function(unsigned int cpu, void *userdata);

/* ---- the guest's state ------------------------------------------------------ */

static GByteArray *scratch(void)
{
	static __thread GByteArray *bytes;

	if (!bytes)
		bytes = g_byte_array_new();
	g_byte_array_set_size(bytes, 0);
	return bytes;
}

static uint64_t read_register(struct qemu_plugin_register *handle)
{
	GByteArray *bytes = scratch();
	uint64_t value = 0;
	int size = handle ? qemu_plugin_read_register(handle, bytes) : 0;

	if (size > 0)
		memcpy(&value, bytes->data, size < 8 ? size : 8);
	return value;
}

static bool read_memory(uint64_t addr, void *to, size_t size)
{
	GByteArray *bytes = scratch();

	if (!qemu_plugin_read_memory_vaddr(addr, bytes, size) || bytes->len < size)
		return false;
	memcpy(to, bytes->data, size);
	return true;
}

static void read_string(uint64_t addr, char *to, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && read_memory(addr + i, to + i, 1) && to[i]; i++)
		;
	to[i] = '\0';
}

/* ---- symbols ---------------------------------------------------------------- */

struct symbol {
	uint64_t addr;
	char *name;
};

static GArray *symbols;		/* of functions, by address */
static GHashTable *function_at;	/* address -> what the plugin knows of a function that it watches */

static const char *symbol_at(uint64_t addr)
{
	size_t low = 0, high = symbols->len, middle;

	if (addr < KERNEL_START)
		return "user";
	while (low < high) {
		middle = (low + high) / 2;
		if (g_array_index(symbols, struct symbol, middle).addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? g_array_index(symbols, struct symbol, low - 1).name : "?";
}

static gint symbol_order(gconstpointer a, gconstpointer b)
{
	const struct symbol *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Of /proc/kallsyms, without modules: each symbol, of any type. */
static void read_symbols(const char *path, void (*each)(uint64_t addr, char type, const char *name))
{
	FILE *file = fopen(path, "r");
	char line[512], name[256], type;
	uint64_t addr;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%" SCNx64 " %c %255s", &addr, &type, name) == 3 && !strchr(line, '['))
			each(addr, type, name);
	if (file)
		fclose(file);
	g_array_sort(symbols, symbol_order);
}

/* function: what function_at is to have for it, or NULL. */
static void add_function(uint64_t addr, const char *name, void *function)
{
	struct symbol symbol = { addr, g_strdup(name) };

	g_array_append_val(symbols, symbol);
	if (function)
		g_hash_table_insert(function_at, g_memdup2(&addr, sizeof(addr)), function);
}

/* ---- sums ------------------------------------------------------------------- */

static GHashTable *counts;	/* struct key -> uint64_t */
static GMutex lock;
static volatile bool counting;
static char label[256];
static uint32_t window_pid;
static FILE *out;

static guint key_hash(gconstpointer key)
{
	const uint64_t *words = key;
	uint64_t hash = 14695981039346656037ull;
	size_t i;

	for (i = 0; i < sizeof(struct key) / sizeof(uint64_t); i++)
		hash = (hash ^ words[i]) * 1099511628211ull;
	return hash ^ hash >> 32;
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
	return !memcmp(a, b, sizeof(struct key));
}

static void count(const struct key *key, uint64_t number)
{
	uint64_t *sum;

	if (!number)
		return;
	g_mutex_lock(&lock);
	if (counting) {
		sum = g_hash_table_lookup(counts, key);
		if (!sum) {
			sum = g_new0(uint64_t, 1);
			g_hash_table_insert(counts, g_memdup2(key, sizeof(*key)), sum);
		}
		*sum += number;
	}
	g_mutex_unlock(&lock);
}

/* ---- windows ---------------------------------------------------------------- */

/* One row for all places in a function. */
static void write_window(void)
{
	GHashTable *rows = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const char *separator = "";
	GHashTableIter iterator;
	gpointer key, value;
	uint64_t *sum;
	char *text;

	g_hash_table_iter_init(&iterator, counts);
	while (g_hash_table_iter_next(&iterator, &key, &value)) {
		text = row_text(key);
		sum = g_hash_table_lookup(rows, text);
		if (sum) {
			*sum += *(uint64_t *)value;
			g_free(text);
		} else {
			g_hash_table_insert(rows, text, g_memdup2(value, sizeof(uint64_t)));
		}
	}
	fprintf(out, "{\"label\":\"%s\",\"pid\":%u,\"rows\":[", label, window_pid);
	g_hash_table_iter_init(&iterator, rows);
	while (g_hash_table_iter_next(&iterator, &key, &value)) {
		fprintf(out, "%s%s,\"number\":%" PRIu64 "}", separator, (char *)key, *(uint64_t *)value);
		separator = ",";
	}
	fprintf(out, "]}\n");
	fflush(out);
	g_hash_table_destroy(rows);
	g_hash_table_remove_all(counts);
}

/* A window ends, and with MARK_BEGIN another begins, whose label the guest has at label_addr. */
static void reach_mark(uintptr_t mark, uint32_t pid, uint64_t label_addr)
{
	bool begin = mark == MARK_BEGIN;
	char text[sizeof(label)] = "";

	if (begin)
		read_string(label_addr, text, sizeof(text));
	g_mutex_lock(&lock);
	if (counting)
		write_window();
	counting = begin;
	if (begin) {
		memcpy(label, text, sizeof(label));
		window_pid = pid;
	}
	g_mutex_unlock(&lock);
}

/* ---- setting up ------------------------------------------------------------- */

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, length = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < length; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t pc = qemu_plugin_insn_vaddr(insn);
		void *function = g_hash_table_lookup(function_at, &pc);

		watch_instruction(insn, pc);
		if (function)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_function, QEMU_PLUGIN_CB_R_REGS, function);
	}
}

static void begin_counting(void)
{
	counts = g_hash_table_new_full(key_hash, key_equal, g_free, g_free);
	function_at = g_hash_table_new(g_int64_hash, g_int64_equal);
	symbols = g_array_new(FALSE, FALSE, sizeof(struct symbol));
}

#endif
