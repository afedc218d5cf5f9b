/* SPDX-License-Identifier: MIT */
/* The inside of a snapshotter: snapshot.c reads a process, entries.c its page tables. */
#ifndef REFOLD_CAPTURE_SNAPSHOT_SNAPSHOTTER_H
#define REFOLD_CAPTURE_SNAPSHOT_SNAPSHOTTER_H

#include "capture/snapshot/maps.h"
#include "capture/snapshot/pagemap.h"
#include "capture/snapshot/scan.h"
#include "capture/snapshot/snapshot.h"

#define PAGEMAP_WORDS	4096

/* The entries being gathered into one record: same folio or consecutive swap slots, same flags. */
struct run {
	u8 kind;		/* 0: empty */
	u8 order;
	u64 addr, nr, first, flags;
	u64 end_pfn;		/* SNAP_PTE: one past the folio */
};

struct rf_snapshotter {
	struct rf_writer *writer;
	struct rf_page_cache *cache;
	int stream;
	u64 page_size;
	struct rf_folio_reader folios;
	struct rf_snapshot_totals totals;

	/* the snapshot at hand */
	pid_t pid, tid;
	u64 begin, end;
	bool has_mm, complete;
	int pagemap_fd;
	unsigned int retries;
	struct run run;
	struct rf_record *records;	/* BATCH_RECORDS, not yet appended */
	size_t nr;
	int code;			/* the first error of the writer */
	struct rf_error error;
	struct rf_maps maps;
	char *text;
	size_t text_room;
	struct rf_scan scan;
	u64 words_from;			/* address of the first of these */
	size_t words_nr;		/* 0: none are of this process */
	u64 words[PAGEMAP_WORDS];
};

void rf_snapshot_emit(struct rf_snapshotter *s, u8 kind, const u64 f[RF_RECORD_FIELDS]);

/* The populated parts of one VMA; scan: s->scan tells which. Where the address space is gone, complete ends. */
void rf_snapshot_entries(struct rf_snapshotter *s, u64 start, u64 end, bool scan);

#endif
