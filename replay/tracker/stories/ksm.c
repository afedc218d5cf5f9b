// SPDX-License-Identifier: MIT
/* Pages that KSM merges. */
#include "replay/tracker/ground/tasks.h"
#include "replay/tracker/ground/tracking.h"
#include "replay/tracker/ground/trust.h"
#include "replay/tracker/stories/handlers.h"

/* Which entry now maps the shared page is not told. */
void on_ksm_merge(struct rf_tracker *tracker, struct task *task, struct rf_record record)
{
	const struct world_map *maps;
	size_t nr = record.f[0] < WORLD_INVENTED_PFN ? rmap_collect(tracker->world, record.f[0], &maps) : 0;

	if (record.f[3])
		return;
	for (size_t i = 0; i < nr; i++)
		mark_mm(tracker, tracked_mm(tracker->world, maps[i].mm), RF_REASON_ksm_merged);
}
