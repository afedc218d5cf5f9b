/* SPDX-License-Identifier: MIT */
/* Who runs in an address space, and its end with the last of them. */
#ifndef REFOLD_REPLAY_TRACKER_EFFECTS_ADDRESS_SPACE_H
#define REFOLD_REPLAY_TRACKER_EFFECTS_ADDRESS_SPACE_H

#include "replay/tracker/ground/tracked_mm.h"

struct rf_tracker;
struct task;

void task_set_mm(struct rf_tracker *tracker, struct task *task, struct tracked_mm *mm);
/* Leave the address space. The last one out gets it back, to end it. */
struct tracked_mm *task_leave_mm(struct task *task);
/* The thread is dying: it does not count any more. True if it was the last; then it still has to leave. */
bool task_linger(struct task *task);
/* exit_mmap(); why: enum rf_why, 0: its process exits. */
void end_mm(struct rf_tracker *tracker, struct tracked_mm *mm, u8 why);

/* It was read anew, and is done with: nothing of it is unmapped as far as anybody counts. */
void replace_mm(struct rf_tracker *tracker, struct tracked_mm *mm);

#endif
