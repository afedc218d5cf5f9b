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
#include "counting.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 4;

enum { RDX, RSI, RDI, RSP, GS_BASE, NR_REGISTERS };

static const char *const register_names[NR_REGISTERS] = { "rdx", "rsi", "rdi", "rsp", "gs_base" };
static struct qemu_plugin_register *registers[MAX_CPUS][NR_REGISTERS];

static uint64_t current_task;	/* of each CPU, behind its gs_base */
static unsigned int pid_offset;

/* ---- the guest's state ------------------------------------------------------ */

static uint64_t read_number(unsigned int cpu, unsigned int number)
{
	return read_register(registers[cpu][number]);
}

/* In the kernel: outside of it gs_base is the program's. */
static uint32_t pid_of(unsigned int cpu)
{
	uint64_t task = 0;
	uint32_t pid = 0;

	if (read_memory(read_number(cpu, GS_BASE) + current_task, &task, sizeof(task)))
		read_memory(task + pid_offset, &pid, sizeof(pid));
	return pid;
}

/* ---- what is counted -------------------------------------------------------- */

/* operation: 0: a call, of so many bytes if it has a range. */
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
	count(&key, 1);
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

static void on_function(unsigned int cpu, void *userdata)
{
	const struct function *function = userdata;
	struct key key = { .pc = (uintptr_t)function->name, .size = -1 };

	cpu %= MAX_CPUS;
	if (!counting)
		return;
	key.pid = pid_of(cpu);
	read_memory(read_number(cpu, RSP), &key.caller, sizeof(key.caller));
	if (function->has_range)
		key.size = read_number(cpu, RDX) - read_number(cpu, RSI);
	count(&key, 1);
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

/* A program executes it, whose gs_base knows no current task: it says its process itself. */
static void on_mark(unsigned int cpu, void *userdata)
{
	cpu %= MAX_CPUS;
	reach_mark((uintptr_t)userdata, read_number(cpu, RSI), read_number(cpu, RDI));
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

/* The current task is in pcpu_hot, first of all, from 6.2 to 6.14. */
static void take_symbol(uint64_t addr, char type, const char *name)
{
	void *function = NULL;
	size_t i;

	if (!strcmp(name, "current_task") || !strcmp(name, "pcpu_hot")) {
		current_task = addr;
	} else if (strchr("tTwW", type) && name[0] != '.') {
		for (i = 0; i < G_N_ELEMENTS(functions); i++)
			if (!strcmp(name, functions[i].name))
				function = &functions[i];
		add_function(addr, name, function);
	}
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
	begin_counting();
	read_symbols(symbol_file, take_symbol);
	if (!out || !current_task || g_hash_table_size(function_at) != G_N_ELEMENTS(functions)) {
		fprintf(stderr, "x86count: %s\n", out ? "a function that is to be counted has no symbol" : "no output");
		return -1;
	}
	qemu_plugin_register_vcpu_init_cb(id, on_cpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
