/* SPDX-License-Identifier: MIT */
/*
 * What in a trace is private, and how it is hidden: records are changed one by one, by what their fields are
 * (record.h), so that a replay of them gives the same counts. The recorder does so before anything is written, refold
 * anonymize with a trace that is there. The key is made for one trace, and never stored. FORMAT.md, "Privacy", says
 * what becomes of what.
 */
#ifndef REFOLD_TRACES_PRIVACY_H
#define REFOLD_TRACES_PRIVACY_H

#include <jansson.h>

#include "base/error.h"
#include "traces/record.h"

enum rf_private {
	RF_PRIVATE_PID, RF_PRIVATE_COMM, RF_PRIVATE_ADDR, RF_PRIVATE_PFN, RF_PRIVATE_INODE, RF_PRIVATE_MARKS,
	RF_PRIVATE_BUILD, RF_PRIVATE_PATH,
	RF_NR_PRIVATE
};

#define RF_PRIVATE_ALL (BIT(RF_NR_PRIVATE) - 1)

struct rf_privacy;

/* Hide what of a bitmap (bit: enum rf_private), under a new key. Marks that name windows stay, unless no_marks. */
struct rf_privacy *rf_privacy_create(u32 hidden, bool no_marks, struct rf_error *err);
void rf_privacy_destroy(struct rf_privacy *privacy);

/* "pid,comm,...": words of the items above, or "all". False: text has another. */
bool rf_privacy_parse(const char *text, u32 *items);

#define RF_PRIVACY_SLOTS 128

/* What it needs to know of a stream; begins as zeroes. */
struct rf_privacy_stream {
	bool mark_stays;		/* the record before was (the beginning of) a mark, and stays */
	struct rf_pseudonym {
		u64 of, is;
		u8 purpose;
	} known[RF_PRIVACY_SLOTS];	/* saves the work */
};

/*
 * Hide what is private in a record of the stream, in order. False: its range of addresses has no image in one piece,
 * and whoever reads it must not rely on that.
 */
bool rf_privacy_apply(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, struct rf_record *record);

/* The same for a header, where it also says so. */
void rf_privacy_header(const struct rf_privacy *privacy, json_t *header);

#endif
