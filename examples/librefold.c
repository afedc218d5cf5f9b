/* SPDX-License-Identifier: MIT */
/*
 * Which operations flush the TLB of a trace, under each policy: librefold in thirty lines.
 *
 *	cc librefold.c $(pkg-config --cflags --libs refold) -o flushes
 *	./flushes redis.mmt.zst linux-6.8,linux-7.3
 */
#include <refold.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct refold_replay *replay = refold_replay_new();
	struct refold_report *report = NULL;
	struct refold_table *table;
	struct refold_error err = { .message = "usage: flushes TRACE POLICY,..." };

	if (argc == 3 && !refold_replay_add_trace(replay, argv[1], &err) &&
	    !refold_replay_add_policies(replay, argv[2], &err))
		report = refold_replay_run(replay, &err);
	if (!report) {
		fprintf(stderr, "%s: %s\n", err.file, err.message);
		return 1;
	}
	table = refold_table_open(report, "counters", &err);
	while (table && refold_table_next(table))
		if (!strcmp(refold_table_text(table, "counter"), "tlbi") && refold_table_text(table, "operation") &&
		    refold_table_number(table, "value"))
			printf("%s %s %lld\n", refold_table_text(table, "policy"),
			       refold_table_text(table, "operation"), (long long)refold_table_number(table, "value"));
	refold_table_free(table);
	refold_report_free(report);
	refold_replay_free(replay);
	return 0;
}
