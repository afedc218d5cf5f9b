/* SPDX-License-Identifier: MIT */
/* json TRACE... -- POLICIES [OPTION=VALUE...]: prints the report, and an error as CODE OFFSET FILE: message. */
#include <refold.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct refold_replay *replay = refold_replay_new();
	struct refold_report *report;
	struct refold_error err;
	int i, ret = 0;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		ret |= refold_replay_add_trace(replay, argv[i], &err);
	if (!ret && i + 1 < argc)
		ret = refold_replay_add_policies(replay, argv[i + 1], &err);
	for (i += 2; !ret && i < argc; i++) {
		char *value = strchr(argv[i], '=');

		*value = '\0';
		ret = refold_replay_set(replay, argv[i], value + 1, &err);
	}
	report = ret ? NULL : refold_replay_run(replay, &err);
	if (report)
		fputs(refold_report_json(report), stdout);
	if (err.code)
		printf("%d %lld %s: %s\n", err.code, (long long)err.offset, err.file, err.message);
	refold_report_free(report);
	refold_replay_free(replay);
	return err.code != 0;
}
