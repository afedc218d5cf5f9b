/* SPDX-License-Identifier: MIT */
/*
 * Records to columns and back: what is inside a data frame before zstd. A
 * frame packs and unpacks alone. Internal to traces/.
 */
#ifndef REFOLD_TRACES_COLUMNS_H
#define REFOLD_TRACES_COLUMNS_H

#include "traces/frame.h"

/* ---- packing: one pass over the records of a frame --------------------- */

/* Enough bytes for the unpacked frame of nr records of any content. */
size_t columns_bound(size_t nr);

/* What packing needs and gives besides the bytes. */
#define COLUMNS_CUT_BYTES 4096
#define COLUMNS_CUTS (2 * FRAME_UNPACKED_MAX / COLUMNS_CUT_BYTES)

struct columns_work {
	u32 positions[RF_FRAME_RECORDS];	/* of the records, sorted by kind */
	/*
	 * Where zstd should begin a new block: around every part of COLUMNS_CUT_BYTES or more, because parts are of
	 * different nature and a block has one set of codes. Saves 5 % of the file.
	 */
	u32 cuts[COLUMNS_CUTS];
	u32 nr_cuts;
	u32 counts[RF_RECORD_KIND_MAX];		/* records of each kind */
};

/*
 * Fill header->{records,columns,first_time,last_time,kinds} and lay out header, directory and columns in out.
 * Returns the bytes. -EINVAL: a record of no known kind.
 */
ssize_t columns_pack(struct data_header *header, const struct rf_record *records, u32 nr, struct columns_work *work,
		     u8 *out);

/* ---- unpacking --------------------------------------------------------- */

#define COLUMNS_SLICE 512		/* records decoded at a time: they stay in the first-level cache */

struct varint_column {
	const u8 *next;			/* first byte not decoded */
	u64 last;			/* value decoded last */
	bool wide;			/* most values take several bytes */
};

struct time_column {
	const u8 *high, *low, *rare;	/* next of each part, see FORMAT.md */
};

struct kind_columns {
	u8 nr_fields;
	struct time_column time;
	struct varint_column fields[RF_RECORD_FIELDS];
};

struct columns {
	u16 stream;
	bool newer;			/* has kinds that this reader does not know: they are passed over */
	u32 left;			/* records not decoded yet */
	const u8 *kinds;		/* next record's kind */
	const u8 *tids;			/* next run */
	u64 tid_run;			/* records left in the current one */
	u32 tid;
	u64 time;			/* of the record before */
	u32 counts[RF_RECORD_KIND_MAX];	/* records of each kind in the frame, decoded or not */
	struct kind_columns by_kind[RF_RECORD_KIND_MAX];
};

/*
 * Prepare to decode the unpacked frame data[size], which must be followed by COLUMNS_PADDING readable bytes. Every
 * count and column end is checked here, so that decoding needs no checks. Returns NULL, or what is wrong.
 */
#define COLUMNS_PADDING 16
const char *columns_open(struct columns *columns, const u8 *data, size_t size, const struct data_header *header);

/* Decode up to max records; 0 at the end. */
size_t columns_read(struct columns *columns, struct rf_record *out, size_t max);

#endif
