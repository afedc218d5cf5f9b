// SPDX-License-Identifier: MIT
/*
 * QEMU plugin: counts what an x86-64 guest's kernel does to its TLB, with no probe in the guest: INVLPG, INVPCID,
 * writes of CR3 and CR4, and calls of the functions that ask for flushes; by process (current_task's pid) and by kernel
 * function. What tests/arm64/lab/tlbicount.c does, with the marks
 *
 *	nopl 0x5a01(%rax)	a window begins; rdi points to its label, rsi is the process
 *	nopl 0x5a02(%rax)	it ends: one line of JSON is written
 *
 * Arguments: symbols=FILE (the guest's /proc/kallsyms, booted with nokaslr), out=FILE, pid=OFFSET (in task_struct).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 4;

#define MAX_CPUS 16
#define KERNEL_START 0xff00000000000000ull
#define MARK_BEGIN 0x5a01
#define MARK_END 0x5a02

enum { RDX, RSI, RDI, RSP, GS_BASE, NR_REGISTERS };

static const char *const register_names[NR_REGISTERS] = { "rdx", "rsi", "rdi", "rsp", "gs_base" };
static struct qemu_plugin_register *registers[MAX_CPUS][NR_REGISTERS];

static uint64_t current_task;	/* of each CPU, behind its gs_base */
static unsigned int pid_offset;

/* ---- the guest's state ------------------------------------------------------ */

static GByteArray *scratch(void)
{
	static __thread GByteArray *bytes;

	if (!bytes)
		bytes = g_byte_array_new();
	g_byte_array_set_size(bytes, 0);
	return bytes;
}

static uint64_t read_register(unsigned int cpu, unsigned int number)
{
	struct qemu_plugin_register *handle = registers[cpu][number];
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

/* In the kernel: outside of it gs_base is the program's. */
static uint32_t pid_of(unsigned int cpu)
{
	uint64_t task = 0;
	uint32_t pid = 0;

	if (read_memory(read_register(cpu, GS_BASE) + current_task, &task, sizeof(task)))
		read_memory(task + pid_offset, &pid, sizeof(pid));
	return pid;
}

/* ---- symbols ---------------------------------------------------------------- */

struct symbol {
	uint64_t addr;
	char *name;
};

static GArray *symbols;		/* of functions, by address */

static const char *symbol_at(uint64_t addr)
{
	size_t low = 0, high = symbols->len, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (g_array_index(symbols, struct symbol, middle).addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? g_array_index(symbols, struct symbol, low - 1).name : "?";
}

/* ---- what is counted -------------------------------------------------------- */

struct key {
	uint64_t pc, caller;
	int64_t size;		/* of a call: bytes of its range, or -1 */
	uint32_t pid;
	uint32_t operation;	/* 0: a call */
};

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

static void count(const struct key *key)
{
	uint64_t *sum;

	g_mutex_lock(&lock);
	if (counting) {
		sum = g_hash_table_lookup(counts, key);
		if (!sum) {
			sum = g_new0(uint64_t, 1);
			g_hash_table_insert(counts, g_memdup2(key, sizeof(*key)), sum);
		}
		++*sum;
	}
	g_mutex_unlock(&lock);
}

enum { INVLPG = 1, INVPCID, CR3, CR4 };

static const char *const operation_names[] = { "", "invlpg", "invpcid", "mov cr3", "mov cr4" };

struct site {
	uint64_t pc;
	uint32_t operation;
};

static void on_instruction(unsigned int cpu, void *userdata)
{
	const struct site *site = userdata;
	struct key key = { .pc = site->pc, .size = -1, .operation = site->operation };

	if (!counting)
		return;
	key.pid = pid_of(cpu % MAX_CPUS);
	count(&key);
}

static struct function {
	const char *name;
	bool has_range;		/* its second and third arguments */
} functions[] = {
	{ "handle_mm_fault", false },
	{ "flush_tlb_mm_range", true },
	{ "arch_tlbbatch_flush", false },
	{ "native_flush_tlb_multi", false },
};

static GHashTable *function_at;	/* address -> struct function */

static void on_function(unsigned int cpu, void *userdata)
{
	const struct function *function = userdata;
	struct key key = { .pc = (uintptr_t)function->name, .size = -1 };

	cpu %= MAX_CPUS;
	if (!counting)
		return;
	key.pid = pid_of(cpu);
	read_memory(read_register(cpu, RSP), &key.caller, sizeof(key.caller));
	if (function->has_range)
		key.size = read_register(cpu, RDX) - read_register(cpu, RSI);
	count(&key);
}

/* ---- windows ---------------------------------------------------------------- */

static char *row_text(const struct key *key)
{
	bool call = !key->operation;

	return g_strdup_printf("{\"kind\":\"%s\",\"pid\":%u,\"function\":\"%s\",\"caller\":\"%s\",\"operation\":\"%s\","
			       "\"size\":%" PRId64, call ? "call" : "instruction", key->pid,
			       call ? (const char *)(uintptr_t)key->pc : symbol_at(key->pc),
			       call ? symbol_at(key->caller) : "", operation_names[key->operation], key->size);
}

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

/* A program executes it, whose gs_base knows no current task: it says its process itself. */
static void on_mark(unsigned int cpu, void *userdata)
{
	bool begin = (uintptr_t)userdata == MARK_BEGIN;
	char text[sizeof(label)] = "";
	uint32_t pid;

	cpu %= MAX_CPUS;
	pid = read_register(cpu, RSI);
	if (begin)
		read_string(read_register(cpu, RDI), text, sizeof(text));
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

/* ---- translation ------------------------------------------------------------ */

/* nopl NUMBER(%rax) */
static uint32_t mark_of(const uint8_t *bytes, size_t size)
{
	static const uint8_t nopl[] = { 0x0f, 0x1f, 0x80 };
	uint32_t number = 0;

	if (size == 7 && !memcmp(bytes, nopl, sizeof(nopl)))
		memcpy(&number, bytes + sizeof(nopl), sizeof(number));
	return number == MARK_BEGIN || number == MARK_END ? number : 0;
}

static uint32_t operation_of(const uint8_t *bytes, size_t size)
{
	unsigned int reg;

	while (size && (bytes[0] == 0x66 || bytes[0] == 0xf2 || bytes[0] == 0xf3 || (bytes[0] & 0xf0) == 0x40)) {
		bytes++;
		size--;
	}
	if (size < 3 || bytes[0] != 0x0f)
		return 0;
	reg = bytes[2] >> 3 & 7;
	if (bytes[1] == 0x01 && reg == 7 && bytes[2] >> 6 != 3)
		return INVLPG;
	if (bytes[1] == 0x38 && bytes[2] == 0x82)
		return INVPCID;
	if (bytes[1] == 0x22 && (reg == 3 || reg == 4))
		return reg == 3 ? CR3 : CR4;
	return 0;
}

static void watch_instruction(struct qemu_plugin_insn *insn, uint64_t pc)
{
	uint8_t bytes[16];
	size_t size = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));
	uintptr_t mark = mark_of(bytes, size);
	uint32_t operation = pc >= KERNEL_START ? operation_of(bytes, size) : 0;
	struct site *site;

	if (mark)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_R_REGS, (void *)mark);
	if (!operation)
		return;
	site = g_new0(struct site, 1);
	site->pc = pc;
	site->operation = operation;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, QEMU_PLUGIN_CB_R_REGS, site);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, length = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < length; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t pc = qemu_plugin_insn_vaddr(insn);
		struct function *function = g_hash_table_lookup(function_at, &pc);

		watch_instruction(insn, pc);
		if (function)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_function, QEMU_PLUGIN_CB_R_REGS, function);
	}
}

static void on_cpu(qemu_plugin_id_t id, unsigned int cpu)
{
	GArray *descriptors = qemu_plugin_get_registers();
	unsigned int i, number;

	(void)id;
	for (i = 0; i < descriptors->len; i++) {
		qemu_plugin_reg_descriptor *found = &g_array_index(descriptors, qemu_plugin_reg_descriptor, i);

		for (number = 0; number < NR_REGISTERS; number++)
			if (!strcmp(found->name, register_names[number]))
				registers[cpu % MAX_CPUS][number] = found->handle;
	}
	g_array_free(descriptors, TRUE);
}

/* ---- setting up ------------------------------------------------------------- */

static gint symbol_order(gconstpointer a, gconstpointer b)
{
	const struct symbol *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void add_function(uint64_t addr, const char *name)
{
	struct symbol symbol = { addr, g_strdup(name) };
	size_t i;

	g_array_append_val(symbols, symbol);
	for (i = 0; i < G_N_ELEMENTS(functions); i++)
		if (!strcmp(name, functions[i].name))
			g_hash_table_insert(function_at, g_memdup2(&addr, sizeof(addr)), &functions[i]);
}

/* The current task is in pcpu_hot, first of all, from 6.2 to 6.14. */
static bool read_symbols(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[512], name[256], type;
	uint64_t addr;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %255s", &addr, &type, name) != 3 || strchr(line, '['))
			continue;
		if (!strcmp(name, "current_task") || !strcmp(name, "pcpu_hot"))
			current_task = addr;
		else if (strchr("tTwW", type) && name[0] != '.')
			add_function(addr, name);
	}
	if (file)
		fclose(file);
	g_array_sort(symbols, symbol_order);
	return current_task && g_hash_table_size(function_at) == G_N_ELEMENTS(functions);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	const char *symbol_file = "";
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (g_str_has_prefix(argv[i], "symbols="))
			symbol_file = strchr(argv[i], '=') + 1;
		else if (g_str_has_prefix(argv[i], "out="))
			out = fopen(strchr(argv[i], '=') + 1, "w");
		else if (g_str_has_prefix(argv[i], "pid="))
			pid_offset = strtoul(strchr(argv[i], '=') + 1, NULL, 10);
	}
	counts = g_hash_table_new_full(key_hash, key_equal, g_free, g_free);
	function_at = g_hash_table_new(g_int64_hash, g_int64_equal);
	symbols = g_array_new(FALSE, FALSE, sizeof(struct symbol));
	if (!out || !read_symbols(symbol_file)) {
		fprintf(stderr, "x86count: %s\n", out ? "a function that is to be counted has no symbol" : "no output");
		return -1;
	}
	qemu_plugin_register_vcpu_init_cb(id, on_cpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
