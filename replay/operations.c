// SPDX-License-Identifier: MIT
/* Operations as text, and the filter that picks some of them. */
#include "replay/operations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/machine.h"
#include "traces/trace.h"

/* ---- names -------------------------------------------------------------------- */

struct name {
	u64 value;
	const char *name;
};

static const struct name op_flags[] = {
	{ RF_OP_WRITE, "write" }, { RF_OP_POPULATE, "populate" }, { RF_OP_SHMEM, "shmem" }, { RF_OP_FIRST, "first" },
	{ RF_OP_FAULT_AROUND, "fault_around" }, { RF_OP_EXCLUSIVE, "exclusive" }, { RF_OP_INFERRED, "inferred" },
	{ RF_OP_DEFERRED, "deferred" }, { RF_OP_CACHED, "cached" }, { RF_OP_EXEC, "exec" }, { RF_OP_ANON, "anon" },
	{ RF_OP_NESTED, "nested" }, { RF_OP_LOAD, "load" }, { RF_OP_DONTUNMAP, "dontunmap" },
	{ RF_OP_RELOCK, "relock" }, { RF_OP_ZERO, "zero" },
};

static const struct name vm_flags[] = {
	{ RF_VM_READ, "read" }, { RF_VM_WRITE, "write" }, { RF_VM_EXEC, "exec" }, { RF_VM_SHARED, "shared" },
	{ RF_VM_GROWSDOWN, "growsdown" }, { RF_VM_DONTCOPY, "dontcopy" }, { RF_VM_WIPEONFORK, "wipeonfork" },
	{ RF_VM_HUGEPAGE, "hugepage" }, { RF_VM_NOHUGEPAGE, "nohugepage" }, { RF_VM_LOCKED, "locked" },
	{ RF_VM_UFFD, "uffd" }, { RF_VM_HUGETLB, "hugetlb" }, { RF_VM_PFNMAP, "pfnmap" }, { RF_VM_SHMEM, "shmem" },
	{ RF_VM_SPECIAL, "special" },
};

/* The last ones are numbers: that there is one is what counts. */
static const struct name attributes[] = {
	{ RF_ATTRIBUTE_MERGEABLE, "mergeable" }, { RF_ATTRIBUTE_DONTDUMP, "dontdump" },
	{ RF_ATTRIBUTE_RAND_READ, "rand_read" }, { RF_ATTRIBUTE_SEQ_READ, "seq_read" },
	{ RF_ATTRIBUTE_LOCKONFAULT, "lockonfault" }, { RF_ATTRIBUTE_NORESERVE, "noreserve" },
	{ RF_ATTRIBUTE_UFFD_MISSING, "uffd_missing" }, { RF_ATTRIBUTE_UFFD_WP, "uffd_wp" },
	{ RF_ATTRIBUTE_UFFD_MINOR, "uffd_minor" }, { RF_ATTRIBUTE_CONTEXT, "uffd_context" },
	{ RF_ATTRIBUTE_PKEY, "pkey" }, { RF_ATTRIBUTE_POLICY, "policy" }, { RF_ATTRIBUTE_NAME, "name" },
};

/* ---- the filter --------------------------------------------------------------- */

static bool number(const char *text, const char *end, u64 *value)
{
	char *stop;

	errno = 0;
	*value = strtoull(text, &stop, 0);
	return *text >= '0' && *text <= '9' && stop == end && !errno;
}

static int take_mm(struct rf_operations_filter *only, const char *value, const char *end, struct rf_error *err)
{
	u64 mm;

	if (!number(value, end, &mm) || mm > UINT32_MAX)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "mm=%.*s: needs the number of an address space, "
				    "as operations name it", (int)(end - value), value);
	only->one_mm = true;
	only->mm = (u32)mm;
	return 0;
}

static int take_addr(struct rf_operations_filter *only, const char *value, const char *end, struct rf_error *err)
{
	const char *dash = memchr(value, '-', (size_t)(end - value));

	if (!number(value, dash ? dash : end, &only->start) || (dash && !number(dash + 1, end, &only->end)) ||
	    (dash && only->end <= only->start))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "addr=%.*s: needs an address, or a range like "
				    "0x7f0000000000-0x7f0000200000", (int)(end - value), value);
	only->in_range = true;
	if (!dash)
		only->end = only->start + 1;
	return 0;
}

/* A bit for the name that value is. */
static int take_name(u64 *bits, const char *key, const char *const *names, u32 nr, const char *value, const char *end,
		     struct rf_error *err)
{
	size_t length = (size_t)(end - value);
	char word[32], all[sizeof(err->message)];
	unsigned int least = ~0u;
	struct rf_line list;
	u32 closest = 0;

	snprintf(word, sizeof(word), "%.*s", (int)length, value);
	rf_line_begin(&list, all, sizeof(all));
	for (u32 i = 0; i < nr; i++) {
		unsigned int distance = rf_distance(word, names[i]);

		if (strlen(names[i]) == length && !memcmp(names[i], value, length)) {
			*bits |= BIT_ULL(i);
			return 0;
		}
		if (distance < least) {
			least = distance;
			closest = i;
		}
		rf_line_add(&list, "%s%s", i ? ", " : "", names[i]);
	}
	if (length && least <= 3)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "there is no %s=%s; did you mean %s?", key, word,
				    names[closest]);
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%s=%s is none of %.*s", key, word, 320, all);
}

static int take_op(struct rf_operations_filter *only, const char *value, const char *end, struct rf_error *err)
{
	return take_name(&only->kinds, "op", rf_op_names, RF_NR_OPS, value, end, err);
}

static int take_row(struct rf_operations_filter *only, const char *value, const char *end, struct rf_error *err)
{
	return take_name(&only->rows, "row", rf_row_names, RF_NR_ROWS, value, end, err);
}

int rf_operations_parse_only(struct rf_operations_filter *only, const char *text, struct rf_error *err)
{
	static const struct {
		const char *key;
		int (*take)(struct rf_operations_filter *only, const char *value, const char *end,
			    struct rf_error *err);
	} keys[] = { { "mm=", take_mm }, { "addr=", take_addr }, { "op=", take_op }, { "row=", take_row } };
	const char *end;
	size_t i;
	int ret;

	for (;; text = end + 1) {
		end = text + strcspn(text, ",");
		for (i = 0; i < ARRAY_SIZE(keys) && strncmp(text, keys[i].key, strlen(keys[i].key)); i++)
			;
		if (i == ARRAY_SIZE(keys))
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "'%.*s' is none of mm=NUMBER, "
					    "addr=ADDRESS[-END], op=NAME, row=NAME", (int)(end - text), text);
		ret = keys[i].take(only, text + strlen(keys[i].key), end, err);
		if (ret || !*end)
			return ret;
	}
}

/* The bytes that an operation is about; one without an address is about the whole address space. */
static bool touches(const struct rf_operations *operations, const struct rf_op *op)
{
	const struct rf_operations_filter *only = &operations->only;
	u64 pages = max_u64(op->nr, 1) << operations->page_shift, end = op->addr + pages;

	if (!op->addr && !op->end)
		return true;
	if (op->kind == RF_OP_FAULT_HUGETLB)
		end = op->addr + BIT_ULL(op->order);
	else if (op->end)
		end = op->end;
	/* The end comes before where it grows from, or to. */
	if (op->addr < only->end && only->start < end)
		return true;
	return (op->kind == RF_OP_MREMAP || op->kind == RF_OP_UFFD_MOVE) && op->addr2 < only->end &&
	       only->start < op->addr2 + pages;
}

/* In a row of the report. */
static bool is_counted(const struct rf_op *op)
{
	return op->kind != RF_OP_WINDOW && !(op->flags & RF_OP_LOAD);
}

static bool is_wanted(const struct rf_operations *operations, const struct rf_op *op)
{
	const struct rf_operations_filter *only = &operations->only;

	if (op->kind == RF_OP_WINDOW && !only->kinds)
		return true;
	return (!only->one_mm || op->mm == only->mm) && (!only->kinds || only->kinds & BIT_ULL(op->kind)) &&
	       (!only->rows || (is_counted(op) && only->rows & BIT_ULL(rf_op_row(op)))) &&
	       (!only->in_range || touches(operations, op));
}

/* ---- text --------------------------------------------------------------------- */

static void put_names(FILE *out, const char *key, const struct name *names, size_t nr, u64 set)
{
	const char *before = key;

	for (size_t i = 0; i < nr; i++) {
		if (!(set & names[i].value))
			continue;
		fprintf(out, "%s%s", before, names[i].name);
		before = ",";
	}
}

static bool has_attributes(const struct rf_op *op)
{
	return op->kind == RF_OP_MAP || op->kind == RF_OP_VMA_FLAGS || op->kind == RF_OP_MPROTECT;
}

static void put_op(FILE *out, const struct rf_op *op)
{
	fprintf(out, "%" PRIu64 " %s", op->time, rf_op_names[op->kind]);
	if (op->kind == RF_OP_WINDOW) {
		fprintf(out, " window=%" PRIu64 " %s\n", op->aux, op->nr ? "begins" : "ends");
		return;
	}
	fprintf(out, " mm=%" PRIu32, op->mm);
	if (op->addr)
		fprintf(out, " addr=0x%" PRIx64, op->addr);
	if (op->end)
		fprintf(out, " end=0x%" PRIx64, op->end);
	if (op->nr)
		fprintf(out, " nr=%" PRIu32, op->nr);
	if (op->pfn && !has_attributes(op))
		fprintf(out, " %s=0x%" PRIx64, op->kind == RF_OP_UNMAP_SWAP ? "slot" : "pfn", op->pfn);
	if (op->order)
		fprintf(out, " order=%u", op->order);
	switch (op->kind) {
	case RF_OP_FORK:
		fprintf(out, " child=%" PRIu64, op->mm2);
		break;
	case RF_OP_MREMAP:
	case RF_OP_UFFD_MOVE:
	case RF_OP_EXEC_STACK:
		fprintf(out, " to=0x%" PRIx64, op->addr2);
		break;
	case RF_OP_MADV_FREE:
	case RF_OP_MADV_COLD:
		if (op->aux)
			fprintf(out, " unused=0x%" PRIx64 "-0x%" PRIx64, op->addr2, op->aux);
		break;
	case RF_OP_MADV_PAGEOUT:
		fprintf(out, " until=0x%" PRIx64, op->aux);
		break;
	case RF_OP_MAP:
		fprintf(out, " file=%" PRIu64 " pgoff=0x%" PRIx64, op->file, op->pgoff);
		break;
	case RF_OP_FAULT_FILE:
		fprintf(out, " fault=0x%" PRIx64, op->aux);
		break;
	case RF_OP_VMA_FLAGS:
	case RF_OP_MPROTECT:
		put_names(out, " clear=", vm_flags, ARRAY_SIZE(vm_flags), op->aux);
		put_names(out, " clear_attributes=", attributes, ARRAY_SIZE(attributes), op->attributes_clear);
		break;
	}
	put_names(out, " vm=", vm_flags, ARRAY_SIZE(vm_flags), op->vm_flags);
	if (has_attributes(op))
		put_names(out, " attributes=", attributes, ARRAY_SIZE(attributes), op->attributes);
	put_names(out, " flags=", op_flags, ARRAY_SIZE(op_flags), op->flags);
	if (is_counted(op))
		fprintf(out, " row=%s", rf_row_names[rf_op_row(op)]);
	if (op->remote_cpus)
		fputs(" remote", out);
	putc('\n', out);
}

static void put_record(FILE *out, const char *what, const struct rf_told *told)
{
	char line[512];

	rf_text_record(&told->record, line, sizeof(line));
	fprintf(out, "\t%s %" PRIu64 ": %s\n", what, told->number, line);
}

void rf_operations_write(void *context, const struct rf_op *ops, const struct rf_cause *causes, size_t nr)
{
	struct rf_operations *operations = context;
	FILE *out = operations->out;

	for (size_t i = 0; i < nr; i++) {
		if (!is_wanted(operations, &ops[i]))
			continue;
		put_op(out, &ops[i]);
		if (causes[i].began.number)
			put_record(out, "in", &causes[i].began);
		if (!causes[i].told.number)
			fputs("\tat the end of the trace\n", out);
		else
			put_record(out, "by", &causes[i].told);
		if (causes[i].last)
			fprintf(out, "\tto %" PRIu64 "\n", causes[i].last);
	}
}
