/* SPDX-License-Identifier: MIT */
/*
 * Capabilities of a recorded kernel: what it does that no record tells, and on which the meaning of its records
 * depends. A recording names them in its header ("capabilities": an object of booleans), so that whoever reads it asks
 * for a behaviour and not for a version: a kernel with a patch from another release is described by what it does. For a
 * header without the key, or without one of the names, the release in the header stands in.
 */
#ifndef REFOLD_TRACES_CAPABILITIES_H
#define REFOLD_TRACES_CAPABILITIES_H

#include <jansson.h>

#include "base/types.h"
#include "traces/trace.h"

enum rf_capability {
	RF_EXIT_AFTER_MM,		/* sched_process_exit comes when the address space has gone; until 6.15 */
	RF_REUSES_LARGE_FOLIOS,		/* wp_can_reuse_anon_folio() takes over a large one nobody else maps; 6.15 */
	RF_MOVES_SEVERAL_VMAS,		/* mremap() moves the VMAs of a range one by one: remap_move(); 6.17 */
	RF_STACKS_NOHUGEPAGE,		/* MAP_STACK means VM_NOHUGEPAGE; 6.7 */
	RF_NO_ZERO_PAGE,		/* reads of fresh anonymous memory allocate, too: only a recorder can tell */
	RF_BATCHES_RSS,			/* tasks keep what faults count, and tell it for 64 faults at once; until 6.1 */
	RF_KEEPS_READ_ONLY,		/* mprotect() makes no clean or huge private entry writable; until 6.1 */
	RF_MAPS_WHOLE_FOLIOS,		/* fault-around maps a large folio whole, beyond its window; 6.18 */
	RF_NR_CAPABILITIES
};

struct rf_capabilities {
	bool has[RF_NR_CAPABILITIES];
};

/* Those of an unpatched kernel of this release ("6.12.1-arm64"); none of one that is no release. */
struct rf_capabilities rf_capabilities_of_release(const char *release);
/* The value of the header key "capabilities", for whoever writes a header. A new reference. */
json_t *rf_capabilities_json(const struct rf_capabilities *capabilities);
/* Those of the kernel that a trace was recorded on. */
struct rf_capabilities rf_reader_capabilities(const struct rf_reader *reader);

#endif
