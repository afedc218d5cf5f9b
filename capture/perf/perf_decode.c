// SPDX-License-Identifier: MIT
/*
 * Records of the perf side-band, as linux/perf_event.h lays them out, into records
 * of ours.
 */
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>

#include "capture/perf/perf.h"

/* What follows the fixed part of a record with sample_id_all: the fields of sample_type, in this order. */
struct sample_id {
	u32 pid, tid;
	u64 time;
};

struct mmap2_record {
	struct perf_event_header header;
	u32 pid, tid;
	u64 addr, len, pgoff;
	u32 maj, min;
	u64 ino, generation;
	u32 prot, flags;
	char filename[];
};

struct comm_record {
	struct perf_event_header header;
	u32 pid, tid;
	char comm[];
};

struct lost_record {
	struct perf_event_header header;
	u64 id, lost;
};

struct task_record {
	struct perf_event_header header;
	u32 pid, ppid, tid, ptid;
	u64 time;
};

/* RF_PERF_FAULT_SAMPLE; samples have no sample_id. */
struct fault_sample {
	struct perf_event_header header;
	u32 pid, tid;
	u64 time;
	u64 addr;
};

static u64 text_word(const char *text, size_t length, size_t word)
{
	u64 value = 0;

	for (size_t i = 0; i < 8 && word * 8 + i < length; i++)
		value |= (u64)(u8)text[word * 8 + i] << (8 * i);
	return value;
}

static enum rf_vma_name vma_name(const struct mmap2_record *mmap)
{
	static const struct {
		const char *name;
		enum rf_vma_name value;
	} names[] = {
		{ "[heap]", RF_VMA_HEAP }, { "[stack]", RF_VMA_STACK }, { "[vdso]", RF_VMA_VDSO },
		{ "[vvar]", RF_VMA_VVAR }, { "[vvar_vclock]", RF_VMA_VVAR_VCLOCK }, { "[vsyscall]", RF_VMA_VSYSCALL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(mmap->filename, names[i].name))
			return names[i].value;
	return mmap->filename[0] == '[' ? RF_VMA_OTHER : RF_VMA_PLAIN;
}

static void decode_mmap2(const struct mmap2_record *mmap, u32 page_shift, struct rf_record *record)
{
	enum rf_vma_name name = vma_name(mmap);
	bool file = mmap->ino || mmap->maj || mmap->min;

	record->kind = RF_MMAP2;
	record->tid = mmap->tid;
	record->f[0] = mmap->addr;
	record->f[1] = mmap->len;
	record->f[2] = file ? mmap->pgoff >> page_shift : 0;	/* as in /proc/PID/maps */
	record->f[3] = (u64)mmap->maj << 20 | mmap->min;	/* the kernel's dev_t, as in the s_dev fields */
	record->f[4] = mmap->ino;
	record->f[5] = (mmap->prot & PROT_READ ? RF_VM_READ : 0) | (mmap->prot & PROT_WRITE ? RF_VM_WRITE : 0) |
		       (mmap->prot & PROT_EXEC ? RF_VM_EXEC : 0) | (mmap->flags & MAP_SHARED ? RF_VM_SHARED : 0) |
		       (mmap->flags & MAP_LOCKED ? RF_VM_LOCKED : 0) |
		       (mmap->flags & MAP_HUGETLB ? RF_VM_HUGETLB : 0) |
		       (name == RF_VMA_STACK ? RF_VM_GROWSDOWN : 0) | (u64)name << RF_VMA_NAME_SHIFT;
}

/* Only the address is a fact; the error code has been forgotten by then. */
static bool decode_fault(const struct fault_sample *sample, struct rf_record *record, pid_t *pid)
{
	if (sample->header.size < sizeof(*sample))
		return false;
	*pid = (pid_t)sample->pid;
	record->time = sample->time;
	record->kind = RF_FAULT;
	record->tid = sample->tid;
	record->f[0] = sample->addr;
	record->f[1] = RF_FAULT_UNKNOWN;
	if ((sample->header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL)
		record->f[1] |= RF_FAULT_KERNEL;
	return true;
}

/* It bears the sample_id of the record that there was room for again, if that record's event has any. */
static bool decode_lost(const struct lost_record *lost, struct rf_record *record, pid_t *pid)
{
	struct sample_id id = { 0 };

	if (lost->header.size < sizeof(*lost))
		return false;
	if (lost->header.size >= sizeof(*lost) + sizeof(id))
		memcpy(&id, (const u8 *)lost + lost->header.size - sizeof(id), sizeof(id));
	*pid = (pid_t)id.pid;
	record->time = id.time;
	record->kind = RF_LOST;
	record->tid = id.tid;
	record->f[0] = lost->lost;
	return true;
}

bool rf_perf_decode(const struct perf_event_header *header, u32 page_shift, struct rf_record *record, pid_t *pid,
		    pid_t *parent, const char **path)
{
	const struct mmap2_record *mmap = (const void *)header;
	const struct comm_record *comm = (const void *)header;
	const struct task_record *task = (const void *)header;
	struct sample_id id;

	memset(record, 0, sizeof(*record));
	*parent = 0;
	*path = NULL;
	if (header->type == PERF_RECORD_SAMPLE)
		return decode_fault((const void *)header, record, pid);
	if (header->type == PERF_RECORD_LOST)
		return decode_lost((const void *)header, record, pid);
	if (header->size < sizeof(*comm) + sizeof(id))
		return false;
	memcpy(&id, (const u8 *)header + header->size - sizeof(id), sizeof(id));
	record->time = id.time;
	switch (header->type) {
	case PERF_RECORD_MMAP2:
		*pid = (pid_t)mmap->pid;
		decode_mmap2(mmap, page_shift, record);
		*path = mmap->filename[0] == '/' && mmap->ino ? mmap->filename : NULL;
		return true;
	case PERF_RECORD_COMM: {
		size_t length = strnlen(comm->comm, header->size - sizeof(*comm) - sizeof(id));

		*pid = (pid_t)comm->pid;
		record->kind = RF_COMM;
		record->tid = comm->tid;
		record->f[0] = text_word(comm->comm, length, 0);
		record->f[1] = text_word(comm->comm, length, 1);
		record->f[2] = !!(header->misc & PERF_RECORD_MISC_COMM_EXEC);
		return true;
	}
	case PERF_RECORD_FORK:
		*pid = (pid_t)task->pid;
		*parent = (pid_t)task->ppid;
		record->kind = RF_TASK_FORK;
		record->tid = task->tid;
		record->f[0] = task->pid;
		record->f[1] = task->ppid;
		record->f[2] = task->ptid;
		return true;
	case PERF_RECORD_EXIT:
		*pid = (pid_t)task->pid;
		record->kind = RF_TASK_EXIT;
		record->tid = task->tid;
		record->f[0] = task->pid;
		return true;
	default:
		return false;
	}
}
