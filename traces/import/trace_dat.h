/* SPDX-License-Identifier: MIT */
/*
 * What a trace.dat says about itself: the machine, the clock, the formats of its
 * events. libtracecmd reads all this and hands out none of it, so it is read here,
 * as trace-cmd.dat.v6(5) and v7(5) describe it. The events are left to libtracecmd.
 */
#ifndef REFOLD_TRACES_IMPORT_TRACE_DAT_H
#define REFOLD_TRACES_IMPORT_TRACE_DAT_H

#include "base/error.h"

struct rf_dat_format {
	char *system;
	char *name;
	char *text;		/* the format file */
	u16 id;			/* of its events, 0: not told */
};

struct rf_dat {
	u32 version;		/* 6 or 7 */
	u32 page_size;
	char release[65];	/* of the kernel, empty: not told */
	char machine[65];	/* as uname -m, empty: not told */
	char clock[32];		/* empty: not told */
	bool mixed_clocks;	/* its buffers have several */
	bool converts_clock;	/* libtracecmd makes nanoseconds of it: trace-cmd -C tsc2nsec */
	u32 cpus;		/* 0: not told */
	char tool[65];		/* version of trace-cmd, empty: not told */
	struct rf_dat_format *formats;
	size_t nr_formats, formats_room;
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

#endif
