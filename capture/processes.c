// SPDX-License-Identifier: MIT
/* What processes were when recording began: afterwards the side-band and events tell. */
#include "capture/processes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/snapshot/compat.h"

/* Names change by exec and prctl, which the side band tells; this is what they were before. */
static int write_name(struct rf_writer *writer, int stream, pid_t pid, u64 time, struct rf_error *err)
{
	struct rf_record record = { .time = time, .tid = (u32)pid, .kind = RF_COMM };
	char name[17] = "";

	if (!rf_process_name(pid, name, sizeof(name)))
		return 0;
	memcpy(record.f, name, sizeof(name) - 1);
	return rf_writer_append(writer, stream, &record, 1, err);
}

int rf_processes_record(struct rf_writer *writer, int stream, const struct rf_pid_list *pids, struct rf_error *err)
{
	u64 time = rf_monotonic();
	int ret = 0;

	for (size_t i = 0; i < pids->nr && !ret; i++) {
		struct rf_pid_list tids = { 0 };
		enum rf_abi abi = rf_abi_of_process(pids->pids[i]);

		rf_threads_of(pids->pids[i], &tids);
		for (size_t t = 0; t < tids.nr && !ret; t++) {
			struct rf_record records[] = {
				{ .kind = RF_PROCESS, .f = { (u64)pids->pids[i] } },
				{ .kind = RF_ABI, .f = { abi } },
			};

			for (size_t r = 0; r < ARRAY_SIZE(records); r++) {
				records[r].time = time;
				records[r].tid = (u32)tids.pids[t];
			}
			ret = rf_writer_append(writer, stream, records, abi ? 2 : 1, err);
		}
		if (!ret)
			ret = write_name(writer, stream, pids->pids[i], time, err);
		rf_pid_list_free(&tids);
	}
	return ret;
}

int rf_find_command(const char *name, struct rf_error *err)
{
	const char *path = getenv("PATH"), *end;
	char file[4096];

	if (strchr(name, '/') && access(name, X_OK))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "%s: %s", name, strerror(errno));
	if (strchr(name, '/'))
		return 0;
	for (path = path ? path : "/bin:/usr/bin"; *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		snprintf(file, sizeof(file), "%.*s/%s", end > path ? (int)(end - path) : 1, end > path ? path : ".",
			 name);
		if (!access(file, X_OK))
			return 0;
	}
	return rf_error_set(err, -ENOENT, RF_NO_OFFSET, "%s: %s", name, strerror(ENOENT));
}
