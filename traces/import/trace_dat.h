/* SPDX-License-Identifier: MIT */
/*
 * What a trace.dat says about itself: the machine, the clock, the formats of its
 * events, the names of tasks, and where the events of each CPU are; and those
 * events, in the order of time (dat_events.c). As trace-cmd.dat.v6(5) and v7(5)
 * describe it. libtracecmd hands out little of it, takes longer to open a file than
 * we to import it, and on a damaged one, or a disk that fails, it crashes, never
 * ends, or leaves out events and does not say so.
 */
#ifndef REFOLD_TRACES_IMPORT_TRACE_DAT_H
#define REFOLD_TRACES_IMPORT_TRACE_DAT_H

#include "base/error.h"
#include "base/table.h"

struct rf_dat_format {
	char *system;
	char *name;
	char *text;		/* the format file */
	u64 size;		/* of the text */
	bool inside;		/* it lies in a section */
	u16 id;			/* of its events, 0: not told */
};

/* The ring-buffer pages of a CPU in a buffer. */
struct rf_dat_place {
	u64 offset, size;	/* in the file */
	u32 page_size;
	u32 buffer;		/* 0: the one without a name; the others as they come */
	u16 cpu;
	bool packed;		/* in chunks, each a zstd frame */
};

DEFINE_TABLE(dat_names, u32, u32);	/* a thread's number, and where in the names its own begins, + 1 */

struct rf_dat {
	int fd;			/* open until it is freed */
	u64 size;		/* of the file */
	u32 version;		/* 6 or 7 */
	u32 page_size;
	char release[65];	/* of the kernel, empty: not told */
	char machine[65];	/* as uname -m, empty: not told */
	char clock[32];		/* empty: not told */
	bool mixed_clocks;	/* its buffers have several */
	bool converts_clock;	/* trace-cmd -C tsc2nsec: */
	u32 multiplier, shift;	/* nanoseconds are so many times as many as cycles, shifted right */
	u64 time_offset;	/* added to all times: trace-cmd --date, --ts-offset */
	u32 cpus;		/* 0: not told */
	char tool[65];		/* version of trace-cmd, empty: not told */
	struct rf_dat_format *formats;
	size_t nr_formats, formats_room;
	u8 **sections;		/* with texts of formats */
	size_t nr_sections, sections_room;
	char *names;		/* of tasks */
	struct dat_names names_by_tid;
	struct rf_dat_place *places;	/* in the order of their buffers; those that hold something */
	size_t nr_places, places_room;
};

/*
 * Read the facts of a file. -EPROTO: not a trace.dat, or one we cannot read; -EBADMSG: it ends too early or contradicts
 * itself, err->offset says where. To be freed in any case.
 */
int rf_dat_read(const char *path, struct rf_dat *dat, struct rf_error *err);
void rf_dat_free(struct rf_dat *dat);

/* The format of an event, NULL: the file has none. */
const struct rf_dat_format *rf_dat_format(const struct rf_dat *dat, const char *system, const char *name);

/* Where a field of an event lies, of at most 8 bytes; false: it has none of this name. */
bool rf_dat_field(const struct rf_dat_format *format, const char *name, u32 *offset, u32 *size);

/* What a thread was called when the recording ended; "": not told. */
const char *rf_dat_name(const struct rf_dat *dat, u32 tid);

struct rf_dat_event {
	const u8 *data;		/* until the next one is asked for */
	u32 size;		/* at least 8 */
	u16 cpu;
	u64 time;
	u64 lost;		/* events before it on its CPU and buffer; 1: or more, it is not told how many */
};

struct rf_dat_events;

/*
 * All of them, as often as they are begun: in the order of time, those of one time in that of buffers and CPUs; or, in
 * less time, each CPU's in its own order.
 */
struct rf_dat_events *rf_dat_events_open(const struct rf_dat *dat, struct rf_error *err);
void rf_dat_events_begin(struct rf_dat_events *events, bool in_order);
/*
 * NULL: there are no more, or err->code is not 0 any more: -EBADMSG, some of them were damaged, and what could be read
 * of the others was; or what reading the file failed with, then what is left is not known.
 */
const struct rf_dat_event *rf_dat_events_next(struct rf_dat_events *events, struct rf_error *err);
void rf_dat_events_close(struct rf_dat_events *events);

#endif
