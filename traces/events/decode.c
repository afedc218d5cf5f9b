// SPDX-License-Identifier: MIT
/*
 * Raw ring-buffer events into records. Offsets are learnt once from formats;
 * decoding itself is loads and shifts, because it runs on the machine being
 * recorded, once per event.
 */
#include "traces/events/decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/events/calls.h"
#include "traces/events/entries.h"
#include "traces/events/format.h"
#include "traces/events/print_fmt.h"
#include "traces/frame.h"
#include "traces/permutation.h"

#define MAX_EVENT_IDS 65536

struct load {
	u8 rule;		/* enum rf_rule */
	u8 size;
	bool is_signed;
	bool dynamic;		/* a text elsewhere in the event; here: its offset (16 bits), its size (16 bits) */
	u16 offset;
	u16 count;		/* offset of a 64-bit number of characters to take at most, 0: none */
	s64 value;
};

struct layout {
	u8 kind;		/* 0: not learnt */
	u8 nr;
	u16 end;		/* the event must be as long as this */
	struct load loads[RF_RECORD_FIELDS];
};

#define NR_GFP 9

/* In the order of the RF_GFP_* bits. */
static const char *const gfp_names[NR_GFP] = { "__GFP_MOVABLE", "__GFP_HARDWALL", "__GFP_WRITE",
					       "__GFP_ZERO",	"__GFP_COMP",	  "__GFP_HIGHMEM",
					       "__GFP_ACCOUNT", "__GFP_NORETRY",  "__GFP_NOWARN" };

struct rf_decoder {
	const struct rf_kernel *kernel;
	struct permutation_key pointer_key;	/* hides kernel addresses; made anew for each recording */
	u64 gfp[NR_GFP];
	u16 type_offset, pid_offset;
	struct layout *layouts;		/* one per rf_events[] */
	bool *by_number;		/* one per rf_events[]: raw_syscalls stand in for it */
	u8 by_id[MAX_EVENT_IDS];	/* event id -> index + 1 */
};

struct rf_decoder *rf_decoder_create(const struct rf_kernel *kernel, struct rf_error *err)
{
	struct rf_decoder *decoder = calloc(1, sizeof(*decoder));

	if (decoder) {
		decoder->kernel = kernel;
		decoder->layouts = calloc(rf_nr_events, sizeof(*decoder->layouts));
		decoder->by_number = calloc(rf_nr_events, sizeof(*decoder->by_number));
	}
	if (!decoder || !decoder->layouts || !decoder->by_number || sodium_init() < 0) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		rf_decoder_destroy(decoder);
		return NULL;
	}
	randombytes_buf(&decoder->pointer_key, sizeof(decoder->pointer_key));
	return decoder;
}

void rf_decoder_destroy(struct rf_decoder *decoder)
{
	if (!decoder)
		return;
	free(decoder->layouts);
	free(decoder->by_number);
	free(decoder);
}

u64 rf_decoder_gfp(const struct rf_decoder *decoder, u64 rf_gfp)
{
	for (int i = 0; i < NR_GFP; i++)
		if (rf_gfp == BIT_ULL(i))
			return decoder->gfp[i];
	return 0;
}

/* A field by name ("a|b": b where a kernel has no a; "a?"; a of "a/b"), or "#N": the Nth after __syscall_nr. */
static bool find_field(const struct rf_format *format, const char *source, struct rf_format_field *field)
{
	size_t length = strcspn(source, "|?/");
	char name[64];

	if (source[0] == '#') {
		const char *number = rf_format_find(format->fields, "__syscall_nr", 0, field) ? "__syscall_nr" : "nr";

		return rf_format_find(format->fields, number, strtoul(source + 1, NULL, 10) + 1, field);
	}
	snprintf(name, sizeof(name), "%.*s", (int)length, source);
	return rf_format_find(format->fields, name, 0, field) ||
	       (source[length] == '|' && rf_format_find(format->fields, source + length + 1, 0, field));
}

static bool needs_known_entries(u8 rule)
{
	return rule == RF_RULE_MIGRATION_PFN || rule == RF_RULE_PTE_PFN || rule == RF_RULE_PTE_FLAGS;
}

/* Offsets in an event, and where it has to end, are 16 bits here. */
static bool fits(const struct rf_format_field *field)
{
	return field->offset + max_u64(field->size, 8) <= UINT16_MAX;
}

static int not_there(const char *field, struct rf_error *err)
{
	return rf_error_set(err, -ENOENT, RF_NO_OFFSET, "field \"%s\" is not there", field);
}

/* A text that ends with the event, or is somewhere in it. */
static int learn_text(const struct rf_format *format, const char *source, struct load *load, struct rf_error *err)
{
	const char *slash = strchr(source, '/');
	struct rf_format_field field, count;

	if (!find_field(format, source, &field) || field.relative || !fits(&field))
		return not_there(source, err);
	load->offset = (u16)field.offset;
	load->dynamic = field.dynamic;
	load->size = load->dynamic ? 4 : 0;
	if (!slash)
		return 0;
	if (!rf_format_find(format->fields, slash + 1, 0, &count) || count.size != 8 || !fits(&count))
		return not_there(slash + 1, err);
	load->count = (u16)count.offset;
	return 0;
}

static int learn_field(struct rf_decoder *decoder, const struct rf_format *format, const struct rf_event_field *wanted,
		       struct layout *layout, struct rf_error *err)
{
	struct load *load = &layout->loads[layout->nr++];
	struct rf_format_field field;
	bool found;

	load->rule = wanted->rule;
	load->value = wanted->value;
	if (wanted->rule == RF_RULE_VALUE)
		return 0;
	if (wanted->rule == RF_RULE_TEXT) {
		int ret = learn_text(format, wanted->source, load, err);

		if (!ret)
			layout->end = (u16)max_u64(layout->end, max_u64(load->offset + load->size,
									load->count ? load->count + 8 : 0));
		return ret;
	}
	if (needs_known_entries(wanted->rule) && decoder->kernel->isa == RF_ISA_OTHER)
		return rf_error_set(err, -EOPNOTSUPP, RF_NO_OFFSET, "page-table entries of %s cannot be read",
				    decoder->kernel->machine);
	found = find_field(format, wanted->source, &field);
	if (!found && wanted->source[strlen(wanted->source) - 1] == '?') {
		load->rule = RF_RULE_VALUE;
		return 0;
	}
	if (!found || field.size < 1 || (field.size > 8 && wanted->rule != RF_RULE_CALL_ARGUMENTS) || !fits(&field))
		return not_there(wanted->source, err);
	load->offset = (u16)field.offset;
	load->size = (u8)field.size;
	load->is_signed = field.is_signed;
	if (load->offset + load->size > layout->end)
		layout->end = (u16)(load->offset + load->size);
	return 0;
}

/* Both are in the eight bytes that every event has. */
static bool learn_common(struct rf_decoder *decoder, const struct rf_format *format)
{
	struct rf_format_field type = { .offset = 0 }, pid = { .offset = 4 };

	rf_format_find(format->common, "common_type", 0, &type);
	rf_format_find(format->common, "common_pid", 0, &pid);
	if (type.offset > 6 || pid.offset > 4)
		return false;
	decoder->type_offset = (u16)type.offset;
	decoder->pid_offset = (u16)pid.offset;
	return true;
}

int rf_decoder_learn(struct rf_decoder *decoder, size_t number, const char *text, struct rf_error *err)
{
	const struct rf_event *event = &rf_events[number];
	struct layout layout = { .kind = event->kind };
	struct rf_format format;
	int ret;

	if (!rf_format_read(&format, text) || !format.id || format.id >= MAX_EVENT_IDS ||
	    !learn_common(decoder, &format))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "its format cannot be read");
	layout.end = (u16)(decoder->pid_offset + 4);
	for (int i = 0; i < RF_RECORD_FIELDS && event->fields[i].rule != RF_RULE_NONE; i++) {
		ret = learn_field(decoder, &format, &event->fields[i], &layout, err);
		if (ret)
			return ret;
		if (event->fields[i].rule == RF_RULE_GFP)
			for (int g = 0; g < NR_GFP; g++)
				rf_print_fmt_flag(text, gfp_names[g], &decoder->gfp[g]);
	}
	decoder->layouts[number] = layout;
	decoder->by_id[format.id] = (u8)(number + 1);
	return 0;
}

bool rf_decoder_by_number(struct rf_decoder *decoder, size_t event)
{
	const char *name = rf_events[event].name;
	enum rf_numbering numbering;

	name += !strncmp(name, "sys_enter_", 10) ? 10 : strlen("sys_exit_");
	decoder->by_number[event] = rf_calls_native(decoder->kernel->isa, &numbering) &&
				    rf_call_number(numbering, name);
	return decoder->by_number[event];
}

bool rf_decoder_has_calls_by_number(const struct rf_decoder *decoder)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (decoder->by_number[i])
			return true;
	return false;
}

void rf_decoder_call_filter(const struct rf_decoder *decoder, char *filter)
{
	rf_calls_filter(decoder->kernel->isa, rf_decoder_has_calls_by_number(decoder), filter);
}

bool rf_decoder_knows(const struct rf_decoder *decoder, size_t event)
{
	return decoder->layouts[event].kind != 0;
}

struct rf_capabilities rf_decoder_capabilities(const struct rf_decoder *decoder)
{
	struct rf_capabilities capabilities = rf_capabilities_of_release(decoder->kernel->release);

	/*
	 * One change moved sched_process_exit before exit_mm() and gave it group_dead, which is optional in our table.
	 */
	for (size_t i = 0; i < rf_nr_events; i++)
		if (rf_events[i].kind == RF_EXIT && rf_decoder_knows(decoder, i))
			capabilities.has[RF_EXIT_AFTER_MM] = decoder->layouts[i].loads[0].rule == RF_RULE_VALUE;
	return capabilities;
}

/* Every machine that is recorded is little-endian; who imports its events need not be. */
static inline u64 load_raw(const u8 *data, const struct load *load)
{
	u32 v4;
	u16 v2;

	switch (load->size) {
	case 8:
		return load_u64(data + load->offset);
	case 4:
		v4 = load_u32(data + load->offset);
		return load->is_signed ? (u64)(s64)(s32)v4 : v4;
	case 2:
		v2 = load_u16(data + load->offset);
		return load->is_signed ? (u64)(s64)(s16)v2 : v2;
	default:
		return load->is_signed ? (u64)(s64)(s8)data[load->offset] : data[load->offset];
	}
}

/* enum x86_pf_error_code; riscv's scause of the three page faults (12 fetch, 13 load, 15 store). */
static u64 fault_flags(const struct rf_kernel *kernel, u64 code, u64 mode)
{
	switch (kernel->isa) {
	case RF_ISA_X86:
		return mode | (code & 0x1 ? RF_FAULT_PRESENT : 0) | (code & 0x2 ? RF_FAULT_WRITE : 0) |
		       (code & 0x10 ? RF_FAULT_EXEC : 0);
	case RF_ISA_RISCV:
		return mode | RF_FAULT_UNKNOWN | RF_FAULT_WRITE_KNOWN | (code == 15 ? RF_FAULT_WRITE : 0) |
		       (code == 12 ? RF_FAULT_EXEC : 0);
	default:
		return mode | RF_FAULT_UNKNOWN;
	}
}

/*
 * enum fault_flag of linux/mm_types.h: of these bits none has moved since it came. Every architecture's exceptions are
 * interruptible (bit 9, FAULT_FLAG_DEFAULT), get_user_pages() and its like are not.
 */
static u64 mm_fault_flags(u64 flags)
{
	return RF_FAULT_UNKNOWN | RF_FAULT_WRITE_KNOWN | (flags & BIT_ULL(0) ? RF_FAULT_WRITE : 0) |
	       (flags & BIT_ULL(5) ? RF_FAULT_RETRY : 0) | (flags & BIT_ULL(6) ? 0 : RF_FAULT_KERNEL) |
	       (flags & BIT_ULL(7) ? RF_FAULT_REMOTE : 0) | (flags & BIT_ULL(8) ? RF_FAULT_EXEC : 0) |
	       (flags & BIT_ULL(10) ? RF_FAULT_UNSHARE : 0) | (flags & BIT_ULL(12) ? RF_FAULT_VMA_LOCK : 0) |
	       (flags & (BIT_ULL(6) | BIT_ULL(9)) ? 0 : RF_FAULT_GUP);
}

static u64 gfp_flags(const struct rf_decoder *decoder, u64 gfp)
{
	u64 flags = 0;

	for (int i = 0; i < NR_GFP; i++)
		if (gfp & decoder->gfp[i])
			flags |= BIT_ULL(i);
	return flags;
}

/* The same address always gives the same number within a recording, and nothing else about it. */
static u64 hide_pointer(const struct rf_decoder *decoder, u64 pointer)
{
	return pointer ? keyed_hash(&decoder->pointer_key, 0, &pointer, sizeof(pointer)) : 0;
}

struct span {
	u64 begin, end;
};

/* Where a text is: it ends at its NUL at the latest, and the newline that ends most is not part of it. */
static struct span find_text(const u8 *data, u32 size, const struct load *load)
{
	struct span text = { load->offset, size };
	const u8 *nul;

	if (load->dynamic) {
		/* Offset and size. */
		text.begin = min_u64(load_u16(data + load->offset), size);
		text.end = min_u64(text.begin + load_u16(data + load->offset + 2), size);
	}
	if (load->count)
		text.end = min_u64(text.end, text.begin + min_u64(load_u64(data + load->count), size));
	nul = memchr(data + text.begin, 0, text.end - text.begin);
	if (nul)
		text.end = (u64)(nul - data);
	if (text.end > text.begin && data[text.end - 1] == '\n')
		text.end--;
	return text;
}

static u64 load_text(const u8 *data, u32 size, const struct load *load)
{
	struct span text = find_text(data, size, load);
	u64 at = text.begin + (u64)load->value * 8, word = 0;

	for (int i = 0; i < 8 && at + (u64)i < text.end; i++)
		word |= (u64)data[at + (u64)i] << (8 * i);
	return word;
}

static u64 apply(const struct rf_decoder *decoder, const u8 *data, u32 size, const struct load *load)
{
	const struct rf_kernel *kernel = decoder->kernel;
	u64 raw;

	if (load->rule == RF_RULE_VALUE)
		return (u64)load->value;
	if (load->rule == RF_RULE_TEXT)
		return load_text(data, size, load);
	raw = load_raw(data, load);
	switch (load->rule) {
	case RF_RULE_S32:
		return (u64)(s64)(s32)raw;
	case RF_RULE_U32:
		return (u32)raw;
	case RF_RULE_FAULT_USER:
		return fault_flags(kernel, raw, 0);
	case RF_RULE_FAULT_KERNEL:
		return fault_flags(kernel, raw, RF_FAULT_KERNEL);
	case RF_RULE_FAULT_MM:
		return mm_fault_flags(raw);
	case RF_RULE_GFP:
		return gfp_flags(decoder, raw);
	case RF_RULE_PAGES:
		return (u64)((s64)raw >> kernel->page_shift);
	case RF_RULE_BYTES:
		return (u64)(u32)raw << kernel->page_shift;
	case RF_RULE_GUP:
		return RF_GUP_FAST | (raw & 1 ? RF_GUP_WRITE : 0);	/* FOLL_WRITE */
	case RF_RULE_MIGRATION_PFN:
		return rf_entry_migration_pfn(kernel, raw);
	case RF_RULE_PTE_PFN:
		return rf_entry_pfn(kernel, raw);
	case RF_RULE_PTE_FLAGS:
		return rf_entry_flags(kernel, raw);
	case RF_RULE_POINTER:
		return hide_pointer(decoder, raw);
	default:
		return raw;
	}
}

/* What of a mark's text the first record does not hold. Returns the number of records in all. */
static size_t decode_rest(const struct layout *layout, const u8 *data, u32 size, struct rf_record *records, size_t max)
{
	struct load load = layout->loads[0];
	struct span text = find_text(data, size, &load);
	u64 words = (text.end - text.begin + 7) / 8;
	size_t nr = 1;

	for (; nr < max && nr * RF_RECORD_FIELDS < words; nr++) {
		records[nr] = (struct rf_record){ .time = records[0].time, .tid = records[0].tid,
						  .kind = RF_MARKER_MORE };
		for (size_t i = 0; i < RF_RECORD_FIELDS; i++) {
			load.value = (s64)(nr * RF_RECORD_FIELDS + i);
			records[nr].f[i] = load_text(data, size, &load);
		}
	}
	return nr;
}

struct raw_call {
	bool returns;
	u64 number, result, arguments[6];
};

static bool take_call(const struct raw_call *raw, enum rf_numbering numbering, struct rf_record *record, size_t *row)
{
	return raw->returns ? rf_call_return(numbering, raw->number, raw->result, record, row) :
			      rf_call_entry(numbering, raw->number, raw->arguments, record, row);
}

/* Registers of an i386 task have 32 bits. Most calls of others show by this that they are none of its. */
static bool may_be_compat(const struct raw_call *raw, enum rf_numbering numbering)
{
	u64 all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(raw->arguments); i++)
		all |= raw->arguments[i];
	return numbering != RF_NUMBERS_I386 || all <= UINT32_MAX;
}

/*
 * A call by number, and what it would be if a 32-bit task made it: which of the two it is, only the task tells, which
 * the event does not.
 */
static size_t decode_call(const struct rf_decoder *decoder, const struct layout *layout, const u8 *data, u32 size,
			  struct rf_record *records, size_t max)
{
	const struct load *value = &layout->loads[1];
	const struct rf_kernel *kernel = decoder->kernel;
	struct raw_call raw = { .returns = value->rule == RF_RULE_CALL_RESULT };
	enum rf_numbering numbering;
	size_t nr = 0, row;

	raw.number = load_raw(data, &layout->loads[0]);
	if (raw.returns)
		raw.result = load_raw(data, value);
	else if (size >= value->offset + sizeof(raw.arguments))
		for (size_t i = 0; i < ARRAY_SIZE(raw.arguments); i++)
			raw.arguments[i] = load_u64(data + value->offset + i * sizeof(u64));
	records[1] = records[0];
	if (rf_calls_native(kernel->isa, &numbering) && take_call(&raw, numbering, &records[nr], &row) &&
	    decoder->by_number[row])
		nr++;
	if (nr < max && kernel->compat && rf_calls_compat(kernel->isa, raw.number, &numbering) &&
	    may_be_compat(&raw, numbering) && take_call(&raw, numbering, &records[nr], &row))
		records[nr++].compat = true;
	return nr;
}

/* NULL: the event becomes no record. */
static const struct layout *begin_record(const struct rf_decoder *decoder, const u8 *bytes, u32 size, u64 time,
					 struct rf_record *record)
{
	const struct layout *layout;
	u8 row;

	if (size < 8)
		return NULL;
	row = decoder->by_id[load_u16(bytes + decoder->type_offset)];
	if (!row)
		return NULL;
	layout = &decoder->layouts[row - 1];
	if (size < layout->end)
		return NULL;
	*record = (struct rf_record){ .time = time, .tid = load_u32(bytes + decoder->pid_offset),
				      .kind = layout->kind };
	return layout;
}

size_t rf_decode_head(const struct rf_decoder *decoder, const void *data, u32 size, u64 time, struct rf_record *record)
{
	return begin_record(decoder, data, size, time, record) != NULL;
}

size_t rf_decode(const struct rf_decoder *decoder, const void *data, u32 size, u64 time, struct rf_record *records,
		 size_t max)
{
	const struct layout *layout = max ? begin_record(decoder, data, size, time, records) : NULL;
	const u8 *bytes = data;

	if (!layout)
		return 0;
	if (layout->kind == RF_BY_NUMBER)
		return max < 2 ? 0 : decode_call(decoder, layout, bytes, size, records, max);
	for (int i = 0; i < layout->nr; i++) {
		const struct load *load = &layout->loads[i];

		records->f[i] = load->rule == RF_RULE_LOAD ? load_raw(bytes, load) : apply(decoder, bytes, size, load);
	}
	return layout->kind == RF_MARKER ? decode_rest(layout, bytes, size, records, max) : 1;
}
