// SPDX-License-Identifier: MIT
/*
 * Marks: text that the recorded program or its user wrote to trace_marker. Some begin or end a window, and what core mm
 * did before such a mark must be told before it.
 */
#include "replay/tracker/stories/marks.h"

#include <errno.h>

#include "engine/ops.h"
#include "replay/tracker/effects/unmap.h"
#include "replay/tracker/ground/emit.h"
#include "replay/tracker/ground/stream.h"
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/stories/fault.h"
#include "replay/tracker/stories/handlers.h"

static void emit_window(struct rf_tracker *tracker, s64 window, bool begins)
{
	static const struct tracked_mm none;
	struct rf_op *op;

	if (window < 0)
		return;
	op = emit(tracker, RF_OP_WINDOW, &none);
	op->aux = (u64)window;
	op->nr = begins;
}

static void mark_text(struct rf_tracker *tracker, const struct rf_record *record, char text[RF_MARK_BYTES + 1])
{
	struct rf_record parts[RF_MARK_RECORDS] = { *record };
	const struct rf_record *next;
	size_t nr = 1;

	while (nr < RF_MARK_RECORDS && (next = look_ahead(tracker, nr - 1)) && next->kind == RF_MARKER_MORE &&
	       next->tid == parts[0].tid)
		parts[nr++] = *next;
	rf_mark_text(parts, nr, text);
}

/*
 * A mark. Its writer goes on, so that what its open fault did is final; what leaves no record and the flushes put off
 * are of the window that was open.
 */
void on_mark(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	char text[RF_MARK_BYTES + 1];
	s64 ended, begun;

	task = task_find(tracker, record.tid);
	if (task) {
		fault_close(tracker, task);
		task->advised.end = 0;
	}
	if (!tracker->options.windows)
		return;
	mark_text(tracker, &record, text);
	if (rf_windows_mark(tracker->options.windows, text, tracker->time, tracker->kinds, &ended, &begun))
		tracker->error = -ENOMEM;
	if (ended < 0 && begun < 0)
		return;
	settle_all(tracker);
	reclaim_flush(tracker);
	emit_window(tracker, ended, false);
	emit_window(tracker, begun, true);
}

void end_windows(struct rf_tracker *tracker)
{
	if (!tracker->options.windows)
		return;
	reclaim_flush(tracker);
	emit_window(tracker, rf_windows_finish(tracker->options.windows, tracker->time, tracker->kinds), false);
}
