/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a trace.dat say, wherever in the file they are: that is for
 * trace_dat.c, which knows how files of each version are laid out.
 */
#ifndef REFOLD_TRACES_IMPORT_FACTS_H
#define REFOLD_TRACES_IMPORT_FACTS_H

#include "traces/import/piece.h"
#include "traces/import/trace_dat.h"

enum dat_option {
	OPTION_DONE = 0,
	OPTION_DATE = 1,
	OPTION_BUFFER = 3,
	OPTION_CLOCK = 4,
	OPTION_UNAME = 5,
	OPTION_OFFSET = 7,
	OPTION_CPUCOUNT = 8,
	OPTION_VERSION = 9,
	OPTION_TSC2NSEC = 14,
	OPTION_FTRACE_EVENTS = 17,
	OPTION_EVENT_FORMATS = 18,
	OPTION_NAMES = 21,
};

#define SECTION_COMPRESSED 1

struct reading {
	struct rf_dat *dat;
	struct piece file;
	struct piece_window window;
	bool compressed;	/* sections may be */
	u64 options;		/* where the first options are, version 7 */
	u64 sections;		/* bytes of those read so far */
	char *section;		/* the last one, of version 7 */
	u64 events;		/* bytes of the places so far */
	bool clock_known;	/* from a buffer */
	u32 buffers;
	struct rf_error *err;
};

/* What is wrong at the piece's next byte; a read that failed is worse. -EBADMSG, or what reading failed with. */
int facts_damaged(struct reading *reading, const struct piece *piece, const char *what);
int facts_out_of_memory(struct reading *reading);

/* All these return 0 or a negative errno, with the error set. */
int facts_formats(struct reading *reading, struct piece *piece, const char *system);
int facts_systems(struct reading *reading, struct piece *piece);
/* Texts that lie in sections, one beside the next, become strings when all of them are known. */
void facts_end_formats(struct rf_dat *dat);
int facts_names(struct reading *reading, struct piece *piece);
/* Where the events of one CPU are, which "piece" tells next. packed, and of a buffer (0: the one without a name). */
int facts_place(struct reading *reading, struct piece *piece, const struct rf_dat_place *place);
/* A buffer's option of version 7. */
int facts_buffer(struct reading *reading, struct piece piece);
/* Any other. */
void facts_option(struct rf_dat *dat, u64 option, struct piece piece);

#endif
