// SPDX-License-Identifier: MIT
/*
 * QEMU plugin: counts what an arm64 guest's kernel really does, with no probe in the guest. Every TLBI and DSB that is
 * executed, every entry of the contpte functions with their batch size, every fold and unfold, every block that is
 * written or cleared whole; by process (CONTEXTIDR_EL1, as CONFIG_PID_IN_CONTEXTIDR keeps it) and by kernel function.
 *
 * The guest says what to count with instructions that hardware ignores:
 *
 *	movz xzr, #0x5a01	a window begins; x0 points to its label
 *	movz xzr, #0x5a02	it ends: one line of JSON is written
 *
 * Arguments: symbols=FILE (the guest's /proc/kallsyms, booted with nokaslr), out=FILE, page_shift=12|14|16.
 */
#include "counting.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 4;

#define PTE_VALID 1ull
#define PTE_CONT (1ull << 52)
#define PTE_ADDRESS 0x0000fffffffff000ull

static struct cpu_registers {
	struct qemu_plugin_register *x[31], *contextidr;
} registers[MAX_CPUS];

static unsigned int page_shift = 12, block_pages = 16;

/* ---- the guest's state ------------------------------------------------------ */

static uint64_t read_x(unsigned int cpu, unsigned int number)
{
	return number < 31 ? read_register(registers[cpu].x[number]) : 0;
}

/* ---- what is counted -------------------------------------------------------- */

enum kind { KIND_TLBI, KIND_DSB, KIND_CALL, KIND_BORN, KIND_ERASED };

static const char *const kind_names[] = { "tlbi", "dsb", "call", "born", "erased" };

/*
 * size: TLBI: pages; call: batch size, of contpte_convert 1 fold, 0 unfold. operation: TLBI: op1, CRm, op2; DSB: CRm.
 * zero: TLBI without an address, the repetition that works around an erratum.
 */
static uint64_t caller_of(unsigned int cpu)
{
	uint64_t caller = read_x(cpu, 30);

	return caller >> 55 & 1 ? caller | 0xffff000000000000ull : caller;	/* it may be signed */
}

/* ---- instructions ----------------------------------------------------------- */

struct site {
	uint64_t pc;
	uint16_t operation;
	uint8_t operand;
};

/* operation = op1 << 7 | CRm << 3 | op2; CRm 2, 5, 6 are range operations, op2 0 and 2 have no address. */
static int64_t tlbi_pages(uint16_t operation, uint64_t operand)
{
	unsigned int crm = operation >> 3 & 15, op2 = operation & 7;

	if (crm == 2 || crm == 5 || crm == 6)
		return (int64_t)((operand >> 39 & 31) + 1) << (5 * (operand >> 44 & 3) + 1);
	return op2 == 0 || op2 == 2 ? -1 : 1;
}

static void on_tlbi(unsigned int cpu, void *userdata)
{
	const struct site *site = userdata;
	struct key key = { .kind = KIND_TLBI, .pc = site->pc, .operation = site->operation };
	uint64_t operand;

	cpu %= MAX_CPUS;
	if (!counting)
		return;
	operand = read_x(cpu, site->operand);
	key.pid = read_register(registers[cpu].contextidr);
	key.zero = !operand;
	key.caller = caller_of(cpu);
	key.size = tlbi_pages(site->operation, operand);
	count(&key, 1);
}

static void on_dsb(unsigned int cpu, void *userdata)
{
	const struct site *site = userdata;
	struct key key = { .kind = KIND_DSB, .pc = site->pc, .operation = site->operation };

	if (!counting)
		return;
	key.pid = read_register(registers[cpu % MAX_CPUS].contextidr);
	count(&key, 1);
}

static void tlbi_name(uint16_t operation, char *name, size_t size)
{
	static const char *const by_address[8] = {
		"vmalle1", "vae1", "aside1", "vaae1", "?4", "vale1", "?6", "vaale1"
	};
	static const char *const by_range[8] = { "?0", "rvae1", "?2", "rvaae1", "?4", "rvale1", "?6", "rvaale1" };
	static const char *const scopes[8] = { "?", "os", "is", "is", "?", "os", "", "" };
	unsigned int crm = operation >> 3 & 15, op2 = operation & 7;
	bool range = crm == 2 || crm == 5 || crm == 6;

	if (operation >> 7 || crm > 7)
		snprintf(name, size, "op1=%u,crm=%u,op2=%u", operation >> 7, crm, op2);
	else
		snprintf(name, size, "%s%s", range ? by_range[op2] : by_address[op2], scopes[crm]);
}

static const char *dsb_name(uint16_t option)
{
	static const char *const names[16] = { "0", "oshld", "oshst", "osh", "4", "nshld", "nshst", "nsh",
					       "8", "ishld", "ishst", "ish", "12", "ld", "st", "sy" };

	return names[option & 15];
}

/* ---- functions -------------------------------------------------------------- */

enum argument { COUNT_ONLY, COUNT_FOLDS, COUNT_BORN, COUNT_CLEARED, COUNT_SIZE };

static struct function {
	const char *name;
	unsigned int size_register;	/* the argument that is the batch size */
	enum argument argument;
} functions[] = {
	{ "handle_mm_fault", 0, COUNT_ONLY },
	{ "contpte_convert", 0, COUNT_FOLDS },				/* mm, addr, ptep, pte */
	{ "contpte_set_ptes", 4, COUNT_BORN },				/* mm, addr, ptep, pte, nr */
	{ "contpte_clear_full_ptes", 3, COUNT_CLEARED },		/* mm, addr, ptep, nr, full */
	{ "contpte_get_and_clear_full_ptes", 3, COUNT_CLEARED },
	{ "contpte_wrprotect_ptes", 3, COUNT_SIZE },
	{ "contpte_clear_young_dirty_ptes", 3, COUNT_SIZE },
	{ "contpte_test_and_clear_young_ptes", 3, COUNT_SIZE },
	{ "contpte_clear_flush_young_ptes", 3, COUNT_SIZE },
};

/* contpte_set_ptes() makes a contpte block of each block that it covers whole with pages in line. */
static uint64_t blocks_born(unsigned int cpu, uint64_t nr)
{
	uint64_t first = read_x(cpu, 1) >> page_shift, pte = read_x(cpu, 3);
	uint64_t page = (pte & PTE_ADDRESS) >> page_shift, skip = -first & (block_pages - 1);

	if (!(pte & PTE_VALID) || (first ^ page) & (block_pages - 1) || nr < skip)
		return 0;
	return (nr - skip) / block_pages;
}

/* A clear unfolds the blocks at its edges; those that it covers whole and that are contiguous vanish. */
static uint64_t blocks_cleared(unsigned int cpu, uint64_t nr)
{
	uint64_t first = read_x(cpu, 1) >> page_shift, ptep = read_x(cpu, 2), pte, cleared = 0, i;

	for (i = -first & (block_pages - 1); i + block_pages <= nr; i += block_pages)
		if (read_memory(ptep + i * sizeof(pte), &pte, sizeof(pte)) && pte & PTE_VALID && pte & PTE_CONT)
			cleared++;
	return cleared;
}

static void on_function(unsigned int cpu, void *userdata)
{
	const struct function *function = userdata;
	struct key key = { .kind = KIND_CALL, .size = -1 }, blocks;
	uint64_t number = 0;

	cpu %= MAX_CPUS;
	if (!counting)
		return;
	key.pc = (uintptr_t)function->name;
	key.pid = read_register(registers[cpu].contextidr);
	key.caller = caller_of(cpu);
	if (function->argument == COUNT_FOLDS)
		key.size = !!(read_x(cpu, 3) & PTE_CONT);
	else if (function->argument != COUNT_ONLY)
		key.size = (uint32_t)read_x(cpu, function->size_register);
	blocks = (struct key){ .pid = key.pid, .caller = key.caller, .size = -1 };
	if (function->argument == COUNT_BORN) {
		blocks.kind = KIND_BORN;
		number = blocks_born(cpu, key.size);
	} else if (function->argument == COUNT_CLEARED) {
		blocks.kind = KIND_ERASED;
		number = blocks_cleared(cpu, key.size);
	}
	count(&key, 1);
	count(&blocks, number);
}

/* ---- windows ---------------------------------------------------------------- */

static char *row_text(const struct key *key)
{
	char operation[40] = "";

	if (key->kind == KIND_TLBI)
		tlbi_name(key->operation, operation, sizeof(operation));
	else if (key->kind == KIND_DSB)
		snprintf(operation, sizeof(operation), "%s", dsb_name(key->operation));
	return g_strdup_printf("{\"kind\":\"%s\",\"pid\":%u,\"function\":\"%s\",\"caller\":\"%s\",\"operation\":\"%s\","
			       "\"size\":%" PRId64 ",\"zero\":%u", kind_names[key->kind], key->pid,
			       key->kind == KIND_CALL ? (const char *)(uintptr_t)key->pc : symbol_at(key->pc),
			       key->kind == KIND_DSB ? "" : symbol_at(key->caller), operation, key->size, key->zero);
}

static void on_mark(unsigned int cpu, void *userdata)
{
	cpu %= MAX_CPUS;
	reach_mark((uintptr_t)userdata, read_register(registers[cpu].contextidr), read_x(cpu, 0));
}

/* ---- translation ------------------------------------------------------------ */

static void watch_instruction(struct qemu_plugin_insn *insn, uint64_t pc)
{
	struct site *site;
	uintptr_t mark;
	uint32_t word;

	if (qemu_plugin_insn_data(insn, &word, sizeof(word)) != sizeof(word))
		return;
	mark = word >> 5 & 0xffff;
	if ((word & 0xfff8e000) == 0xd5088000) {		/* SYS with CRn 8 or 9: TLBI */
		site = g_new0(struct site, 1);
		site->pc = pc;
		site->operand = word & 31;
		site->operation = (word >> 16 & 7) << 7 | (word >> 8 & 15) << 3 | (word >> 5 & 7);
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_tlbi, QEMU_PLUGIN_CB_R_REGS, site);
	} else if ((word & 0xfffff0ff) == 0xd503309f && pc >= KERNEL_START) {	/* DSB */
		site = g_new0(struct site, 1);
		site->pc = pc;
		site->operation = word >> 8 & 15;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_dsb, QEMU_PLUGIN_CB_R_REGS, site);
	} else if ((word & 0xffe0001f) == 0xd280001f && (mark == MARK_BEGIN || mark == MARK_END)) {	/* movz xzr */
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_R_REGS, (void *)mark);
	}
}

static void on_cpu(qemu_plugin_id_t id, unsigned int cpu)
{
	GArray *descriptors = qemu_plugin_get_registers();
	unsigned int i, number;

	(void)id;
	cpu %= MAX_CPUS;
	for (i = 0; i < descriptors->len; i++) {
		qemu_plugin_reg_descriptor *found = &g_array_index(descriptors, qemu_plugin_reg_descriptor, i);

		if (sscanf(found->name, "x%u", &number) == 1 && number < 31)
			registers[cpu].x[number] = found->handle;
		else if (!g_ascii_strcasecmp(found->name, "CONTEXTIDR_EL1"))
			registers[cpu].contextidr = found->handle;
	}
	g_array_free(descriptors, TRUE);
}

/* ---- setting up ------------------------------------------------------------- */

/* A compiler may have given the function a suffix. */
static bool is_function(const char *symbol, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(symbol, name, length) && (!symbol[length] || g_str_has_prefix(symbol + length, ".isra") ||
						  g_str_has_prefix(symbol + length, ".constprop"));
}

static void take_symbol(uint64_t addr, char type, const char *name)
{
	void *function = NULL;
	size_t i;

	if (!strchr("tTwW", type) || name[0] == '$')
		return;
	for (i = 0; i < G_N_ELEMENTS(functions); i++)
		if (is_function(name, functions[i].name))
			function = &functions[i];
	add_function(addr, name, function);
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
		else if (g_str_has_prefix(argv[i], "page_shift="))
			page_shift = atoi(strchr(argv[i], '=') + 1);
	}
	block_pages = page_shift == 12 ? 16 : page_shift == 14 ? 128 : 32;
	begin_counting();
	read_symbols(symbol_file, take_symbol);
	if (!out || !symbols->len || !g_hash_table_size(function_at))
		return -1;
	qemu_plugin_register_vcpu_init_cb(id, on_cpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
