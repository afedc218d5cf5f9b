/* SPDX-License-Identifier: MIT */
/*
 * The inside of an import, shared by its files.
 */
#ifndef REFOLD_TRACES_IMPORT_IMPORTING_H
#define REFOLD_TRACES_IMPORT_IMPORTING_H

#include "base/table.h"
#include "traces/events/decode.h"
#include "traces/frame.h"
#include "traces/import/import.h"
#include "traces/import/trace_dat.h"
#include "traces/trace.h"

#define EVENT_IDS 65536

/* What became of a row of the event table. */
struct import_row {
	bool used;
	bool spare;		/* not used because another tells the same */
	bool replaced;		/* not to be had, but another stands in */
	const struct rf_dat_format *format;	/* NULL: the file has none */
	char reason[160];	/* why it is neither used nor spare */
};

/* What a program's own events tell of whether it is a 32-bit one. */
struct import_program {
	bool native_calls;	/* calls with events of their own, which only the kernel's own ABI has */
	bool low, high;		/* page faults below 4 GiB, above */
};

/* What the records so far tell about a thread, and the child it is making. */
struct import_member {
	u32 tid;
	bool leader;		/* begins a program as a process of his own */
	bool known;		/* born, or began a program, while we watched */
	bool allocated;		/* since his last fault, a page of this order */
	u8 order;
	u32 process;		/* who ran before: index + 1 */
	struct import_program first;	/* what it ran when it was met first */
	u32 program;		/* what it runs: see programs.c */
	bool calling;		/* inside clone() or the like */
	bool copied;		/* an address space was filled */
	u64 flags;
};

DEFINE_TABLE(import_tids, u32, u32);	/* a thread's place among the members + 1 */

/* Records of a stream on their way to the writer, which is asked less often so. */
struct import_stream {
	int number;		/* the writer's; -1: none yet */
	u32 nr;
	u32 framed;		/* records in its frame, with those */
	struct rf_record records[16];
};

/* A process of his own, and when he was found to be one. */
struct import_leader {
	u64 time;
	size_t order;
	u32 tid;
};

/* An address space that was there before the recording. */
struct import_process {
	u32 mm_id;
	u32 pid;		/* the smallest number of its threads */
	u32 threads;
	bool left_out;
	u8 rss_known;		/* bit: member */
	u64 rss[RF_RSS_MEMBERS];	/* pages, before the first change of each */
	char name[16];		/* empty: not told */
};

struct importing {
	const struct rf_import_options *options;
	struct rf_import_result *result;
	struct rf_dat dat;
	struct rf_dat_events *events;
	struct rf_kernel kernel;
	struct rf_decoder *decoder;
	struct import_row *rows;		/* one per rf_events[] */
	const struct rf_dat_format *faults;	/* the probe that tells page faults, or NULL */
	u64 *counts;				/* events in the file by id */
	bool by_number[EVENT_IDS];		/* events of raw_syscalls, if they are used */
	bool has_numbers;			/* there are any */
	u32 nr_cpus;
	struct rf_output *output;		/* until the writer has it */
	struct rf_writer *writer;
	struct import_stream **streams[RF_INSTANCES + 1];	/* by CPU; NULL: none yet; the last: RF_SOURCE_COMPAT */
	s8 instances[RF_RECORD_KIND_MAX];	/* of records of a kind, where nothing else decides */
	struct import_member *members;		/* as they were met */
	size_t nr_members, members_room;
	struct import_leader *leaders;		/* those whom the first pass finds */
	size_t nr_leaders, leaders_room;
	struct import_tids tids;
	u32 last_tid, last_member;		/* who was asked for last, and his place + 1 */
	struct import_process *processes;
	size_t nr_processes, processes_room;
	struct import_program *programs;	/* one for each exec, in order */
	size_t nr_programs, programs_room, execs;
	bool out_of_memory;			/* something was not noted: told when the pass ends */
	u64 first_time;
	u32 exec_pid, exec_old_pid, exec_filename;	/* where sched_process_exec has these, 0: nowhere */
	u16 exec_id;
};

__attribute__((format(printf, 2, 3))) void import_warn(struct importing *importing, const char *format, ...);

/* choose.c: which events of the file are used for which rows of the table. */
int import_choose(struct importing *importing, struct rf_error *err);

/* describe.c: the header of the trace, to be freed. */
char *import_header(const struct importing *importing);

/*
 * family.c: what sched_process_fork leaves untold, the flags of clone(). The first pass looks at every event, once it
 * is known which is an exec, because who is a process of his own shows only later; the last completes the records.
 */
void import_find_exec(struct importing *importing);
int import_look(struct importing *importing, const struct rf_dat_event *event, struct rf_error *err);
void import_note_leaders(struct importing *importing);
void import_family(struct importing *importing, struct rf_record *record);
void import_family_free(struct importing *importing);
/* A COMM record's fields from the event of an exec; false: the event does not tell. */
bool import_exec_name(const struct importing *importing, const void *data, u32 size, struct rf_record *record);
struct import_member *import_find_member(struct importing *importing, u32 tid);
/* What is known of a thread; NULL: none, or out_of_memory. Valid until the next call. Most often it is the last one. */
static inline struct import_member *import_member(struct importing *importing, u32 tid)
{
	return tid == importing->last_tid && importing->last_member ? &importing->members[importing->last_member - 1] :
								      import_find_member(importing, tid);
}

/*
 * programs.c: which programs are 32-bit ones, whose calls have numbers of their own. The second pass learns it, and the
 * last asks. by_number: the event is one of raw_syscalls.
 */
void import_learn_program(struct importing *importing, const struct rf_record *record, bool by_number);
void import_programs_again(struct importing *importing);
/* Its thread, or its child, runs another program from now on: import_run_program() notes that. */
static inline bool import_begins_program(const struct rf_record *record)
{
	return record->kind == RF_EXEC || record->kind == RF_NEWTASK;
}
void import_run_program(struct importing *importing, const struct rf_record *record);
bool import_is_compat(const struct importing *importing, u32 tid);
u64 import_compat_abi(const struct importing *importing);

/* running.c: processes that ran before the recording. The second pass meets them; the trace begins with them. */
void import_meet(struct importing *importing, const struct rf_record *record);
int import_running(struct importing *importing, struct rf_error *err);

/* convert.c: one event of the file, or how many were lost; and at the end, what is still on its way. */
int import_streams(struct importing *importing, struct rf_error *err);
void import_streams_free(struct importing *importing);
int import_event(struct importing *importing, u32 cpu, u64 time, const void *data, u32 size, struct rf_error *err);
int import_lost(struct importing *importing, u32 cpu, u64 time, u64 events, struct rf_error *err);
int import_flush(struct importing *importing, struct rf_error *err);

#endif
