// SPDX-License-Identifier: MIT
/* CPU time: how much a period took, and which events are too many. */
#include "capture/budget.h"

#include "base/clock.h"
#include "capture/watch.h"

#define PERIOD_NS 2000000000ull
#define LEAST_PART 100		/* of all records: fewer are not worth it */

const struct rf_optional rf_optional[RF_NR_OPTIONAL] = {
	{ { RF_TLB_FLUSH }, RF_INSTANCE_TASK },
	{ { RF_PAGE_FREE }, RF_INSTANCE_TASK },
	{ { RF_GUP }, RF_INSTANCE_TASK },
	{ { RF_CACHE_ADD, RF_CACHE_DELETE }, RF_INSTANCE_SYSTEM },
};

u32 rf_budget_choose(const u64 records[RF_NR_OPTIONAL], u32 candidates, u64 all, double share, double bound)
{
	double kept = (double)all;
	u32 chosen = 0;

	while (share * kept > bound * (double)all) {
		size_t most = RF_NR_OPTIONAL;

		for (size_t i = 0; i < RF_NR_OPTIONAL; i++)
			if (candidates & ~chosen & BIT(i) && records[i] * LEAST_PART >= all &&
			    (most == RF_NR_OPTIONAL || records[i] > records[most]))
				most = i;
		if (most == RF_NR_OPTIONAL || !records[most])
			break;
		chosen |= BIT(most);
		kept -= (double)records[most];
	}
	return chosen;
}

static u64 records_of(const struct rf_budget *budget, size_t which)
{
	const struct rf_optional *optional = &rf_optional[which];
	u64 records = 0;

	for (size_t i = 0; i < ARRAY_SIZE(optional->kinds) && optional->kinds[i]; i++)
		records += rf_rings_records(budget->rings, (enum rf_instance)optional->instance, optional->kinds[i]);
	return records;
}

static u64 all_records(const struct rf_budget *budget)
{
	struct rf_rings_totals totals;

	rf_rings_so_far(budget->rings, &totals);
	return totals.records;
}

void rf_budget_begin(struct rf_budget *budget)
{
	budget->began_ns = budget->looked_ns = rf_monotonic();
	budget->cpu_ns = rf_own_cpu_ns();
	budget->records = all_records(budget);
	for (size_t i = 0; i < RF_NR_OPTIONAL; i++)
		budget->by_kind[i] = records_of(budget, i);
}

/* The trace says it before it is so, and has it if the recorder is killed. What cannot be switched off stays on. */
static void leave_out(struct rf_budget *budget, size_t which, double share)
{
	static const u64 sources[RF_INSTANCES] = { RF_SOURCE_TASK, RF_SOURCE_SYSTEM };
	const struct rf_optional *optional = &rf_optional[which];
	struct rf_record record = { .time = rf_monotonic(), .kind = RF_LEFT_OUT };

	budget->left_out |= BIT(which);
	budget->left_out_at[which] = record.time - budget->began_ns;
	record.f[1] = sources[optional->instance];
	record.f[2] = (u64)(share * 1000);
	for (size_t k = 0; k < ARRAY_SIZE(optional->kinds) && optional->kinds[k]; k++) {
		record.f[0] = optional->kinds[k];
		rf_writer_append(budget->writer, budget->stream, &record, 1, NULL);
		for (size_t i = 0; i < rf_nr_events; i++)
			if (rf_events[i].kind == optional->kinds[k] && rf_events[i].instance == optional->instance &&
			    budget->status[i].state == RF_EVENT_ON)
				rf_session_leave_out(budget->session, i);
	}
	rf_writer_flush(budget->writer, budget->stream, NULL);
}

bool rf_budget_holds(struct rf_budget *budget, u64 now)
{
	u64 cpu_ns = rf_own_cpu_ns(), records, by_kind[RF_NR_OPTIONAL], more[RF_NR_OPTIONAL];
	double share;
	u32 chosen = 0;

	if (!budget->cpu || now - budget->looked_ns < PERIOD_NS)
		return true;
	share = (double)(cpu_ns - budget->cpu_ns) / (double)(now - budget->looked_ns);
	records = all_records(budget);
	for (size_t i = 0; i < RF_NR_OPTIONAL; i++) {
		by_kind[i] = records_of(budget, i);
		more[i] = by_kind[i] - budget->by_kind[i];
		budget->by_kind[i] = by_kind[i];
	}
	chosen = rf_budget_choose(more, ~budget->left_out, records - budget->records, share, budget->cpu);
	budget->looked_ns = now;
	budget->cpu_ns = cpu_ns;
	budget->records = records;
	for (size_t i = 0; i < RF_NR_OPTIONAL; i++)
		if (chosen & BIT(i))
			leave_out(budget, i, share);
	return share <= budget->cpu || chosen;
}
