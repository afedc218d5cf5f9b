// SPDX-License-Identifier: MIT
/*
 * Rules from unwind tables, by libdw. The file is read, never mapped: who shortens a mapped file ends its readers. What
 * libdw is asked for is kept, as calls come from few places.
 */
#include "capture/stacks/rules.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "capture/stacks/registers.h"

#define MOST_SEGMENTS 16
#define MOST_RULES (64u << 10)		/* of a file */

struct segment {
	u64 offset, size, address;
};

struct kept_rule {
	struct rf_unwind_rule rule;
};

DEFINE_TABLE(rule_table, u64, struct kept_rule *);

struct rf_rules {
	Elf *elf;
	Dwarf_CFI *tables;
	struct segment segments[MOST_SEGMENTS];
	size_t nr;
	struct rule_table kept;
};

static void read_segments(struct rf_rules *rules)
{
	size_t nr = 0;

	if (elf_getphdrnum(rules->elf, &nr))
		return;
	for (size_t i = 0; i < nr && rules->nr < MOST_SEGMENTS; i++) {
		GElf_Phdr segment;

		if (gelf_getphdr(rules->elf, (int)i, &segment) && segment.p_type == PT_LOAD)
			rules->segments[rules->nr++] = (struct segment){ segment.p_offset, segment.p_filesz,
									 segment.p_vaddr };
	}
}

struct rf_rules *rf_rules_read(int fd, u8 build_id[RF_BUILD_ID_MAX], u8 *build_id_size)
{
	struct rf_rules *rules = calloc(1, sizeof(*rules));
	const void *id;
	ssize_t size;

	*build_id_size = 0;
	elf_version(EV_CURRENT);
	if (rules)
		rules->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!rules || !rules->elf || elf_kind(rules->elf) != ELF_K_ELF) {
		rf_rules_free(rules);
		return NULL;
	}
	size = dwelf_elf_gnu_build_id(rules->elf, &id);
	if (size > 0 && size <= RF_BUILD_ID_MAX) {
		memcpy(build_id, id, (size_t)size);
		*build_id_size = (u8)size;
	}
	read_segments(rules);
	rules->tables = dwarf_getcfi_elf(rules->elf);
	/* All that is needed has been read: an open file would keep its file system mounted. */
	elf_cntl(rules->elf, ELF_C_FDDONE);
	return rules;
}

void rf_rules_free(struct rf_rules *rules)
{
	if (!rules)
		return;
	for (u32 i = 0; i < rules->kept.size; i++)
		free(rules->kept.slots[i].value);
	rule_table_free(&rules->kept);
	if (rules->tables)
		dwarf_cfi_end(rules->tables);
	elf_end(rules->elf);
	free(rules);
}

u64 rf_rules_address(const struct rf_rules *rules, u64 offset)
{
	for (size_t i = 0; i < rules->nr; i++) {
		const struct segment *segment = &rules->segments[i];

		if (offset - segment->offset < segment->size)
			return segment->address + (offset - segment->offset);
	}
	return offset;
}

static bool read_cfa(Dwarf_Frame *frame, struct rf_unwind_rule *rule)
{
	Dwarf_Op *ops;
	size_t nr;

	if (dwarf_frame_cfa(frame, &ops, &nr) || nr != 1 || ops->atom != DW_OP_bregx)
		return false;
	rule->by_fp = ops->number == RF_DWARF_FP;
	rule->cfa_offset = (s32)ops->number2;
	return rule->by_fp || ops->number == RF_DWARF_SP;
}

static bool read_saved(Dwarf_Frame *frame, int number, u8 *saved, s32 *offset)
{
	Dwarf_Op memory[3], *ops;
	size_t nr;

	if (dwarf_frame_register(frame, number, memory, &ops, &nr))
		return false;
	if (!nr) {
		*saved = ops ? RF_SAVED_UNDEFINED : RF_SAVED_SAME;
		return true;
	}
	*saved = RF_SAVED_AT;
	*offset = nr > 1 ? (s32)ops[1].number : 0;
	return ops[0].atom == DW_OP_call_frame_cfa && (nr == 1 || (nr == 2 && ops[1].atom == DW_OP_plus_uconst));
}

static struct rf_unwind_rule look_up(const struct rf_rules *rules, u64 address)
{
	struct rf_unwind_rule rule = { 0 };
	Dwarf_Frame *frame;

	if (!rules->tables || dwarf_cfi_addrframe(rules->tables, address, &frame))
		return rf_frame_pointer_rule;
	rule.known = read_cfa(frame, &rule) && read_saved(frame, RF_DWARF_FP, &rule.fp, &rule.fp_offset) &&
		     read_saved(frame, RF_DWARF_RA, &rule.ra, &rule.ra_offset);
	free(frame);
	return rule;
}

struct rf_unwind_rule rf_rules_at(struct rf_rules *rules, u64 address)
{
	struct kept_rule *kept = rule_table_find(&rules->kept, address);
	struct rf_unwind_rule rule;

	if (kept)
		return kept->rule;
	rule = look_up(rules, address);
	if (rules->kept.nr >= MOST_RULES)
		return rule;
	kept = malloc(sizeof(*kept));
	if (kept)
		kept->rule = rule;
	if (kept && rule_table_add(&rules->kept, address, kept))
		free(kept);
	return rule;
}
