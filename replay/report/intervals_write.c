// SPDX-License-Identifier: MIT
/* Series as text: for people the intervals in which anything was counted, for programs all. */
#include "base/json.h"
#include "replay/report/grid.h"
#include "replay/report/report.h"

/* What people see of them. */
static const char *const shown[] = { "faults", "fold", "unfold", "tlbi", "dsb" };

static s64 value_of(const json_t *policy, const char *counter, size_t interval)
{
	const json_t *series = json_object_get(policy, "series");

	return json_integer_value(json_array_get(json_object_get(series, counter), interval));
}

static size_t length_of(const json_t *policy)
{
	return json_array_size(json_object_get(json_object_get(policy, "series"), rf_serial_names[0]));
}

/* ---- for people ---- */

static bool is_quiet(const json_t *policies, size_t interval)
{
	const json_t *policy;
	size_t k;

	json_array_foreach(policies, k, policy)
		for (u32 i = 0; i < RF_NR_SERIALS; i++)
			if (value_of(policy, rf_serial_names[i], interval))
				return false;
	return true;
}

static void add_lines(struct rf_grid *grid, const json_t *policies, s64 length, size_t interval, bool raw)
{
	s64 begin = (s64)interval * length;
	const json_t *policy;
	size_t k;

	json_array_foreach(policies, k, policy) {
		rf_grid_row(grid);
		if (k && !raw)
			rf_grid_text(grid, "%s", "");
		else
			rf_grid_text(grid, "%.3f s", (double)begin / 1e9);
		rf_grid_text(grid, "%s", rf_json_string(policy, "name"));
		for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
			rf_grid_number(grid, value_of(policy, shown[i], interval));
	}
}

static void write_lines(const json_t *intervals, const struct rf_view *view, FILE *out)
{
	const json_t *policies = json_object_get(intervals, "policies");
	s64 length = rf_json_number(intervals, "interval_ns");
	size_t nr = length_of(json_array_get(policies, 0)), i;
	struct rf_grid grid;

	rf_grid_begin(&grid, 2, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "from");
	rf_grid_text(&grid, "policy");
	for (i = 0; i < ARRAY_SIZE(shown); i++)
		rf_grid_text(&grid, "%s", shown[i]);
	for (i = 0; i < nr; i++)
		if (!is_quiet(policies, i))
			add_lines(&grid, policies, length, i, view->format == RF_FORMAT_markdown);
	fputc('\n', out);
	rf_grid_end(&grid, view, out);
}

/* ---- for programs ---- */

/* process: whose, NULL: all of them. */
static void add_rows(struct rf_grid *grid, const json_t *intervals, const json_t *process, const json_t *policy,
		     bool processes)
{
	u64 first = process ? (u64)rf_json_number(process, "first") : 0;
	size_t nr = length_of(policy);

	for (size_t k = 0; k < nr; k++) {
		rf_grid_row(grid);
		rf_grid_text(grid, "%s", rf_json_string(intervals, "trace"));
		rf_grid_text(grid, "%s", rf_json_string(policy, "name"));
		if (process) {
			rf_grid_text(grid, "%lld", (long long)rf_json_number(process, "pid"));
			rf_grid_text(grid, "%s", rf_json_string(process, "command"));
		} else if (processes) {
			rf_grid_text(grid, "%s", "");
			rf_grid_text(grid, "%s", "");
		}
		rf_grid_number(grid, (s64)(first + k) * rf_json_number(intervals, "interval_ns"));
		for (u32 i = 0; i < RF_NR_SERIALS; i++)
			rf_grid_number(grid, value_of(policy, rf_serial_names[i], k));
	}
}

static void write_rows(const json_t *all, bool processes, const struct rf_view *view, FILE *out)
{
	const json_t *intervals, *policy, *process;
	struct rf_grid grid;
	size_t i, k, p;

	rf_grid_begin(&grid, processes ? 4 : 2, false);
	rf_grid_row(&grid);
	rf_grid_text(&grid, "trace");
	rf_grid_text(&grid, "policy");
	if (processes) {
		rf_grid_text(&grid, "pid");
		rf_grid_text(&grid, "command");
	}
	rf_grid_text(&grid, "begin_ns");
	for (i = 0; i < RF_NR_SERIALS; i++)
		rf_grid_text(&grid, "%s", rf_serial_names[i]);
	json_array_foreach(all, i, intervals) {
		json_array_foreach(json_object_get(intervals, "policies"), k, policy)
			add_rows(&grid, intervals, NULL, policy, processes);
		json_array_foreach(json_object_get(intervals, "processes"), p, process)
			json_array_foreach(json_object_get(process, "policies"), k, policy)
				add_rows(&grid, intervals, process, policy, processes);
	}
	rf_grid_end(&grid, view, out);
}

void rf_table_write_intervals(const json_t *report, const struct rf_view *view, FILE *out)
{
	const json_t *all = json_object_get(report, "intervals"), *intervals;
	bool processes = false;
	size_t i;

	json_array_foreach(all, i, intervals)
		processes |= json_array_size(json_object_get(intervals, "processes")) > 0;
	if (rf_view_is_raw(view)) {
		write_rows(all, processes, view, out);
		return;
	}
	json_array_foreach(all, i, intervals)
		write_lines(intervals, view, out);
}
