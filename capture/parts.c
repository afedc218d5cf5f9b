// SPDX-License-Identifier: MIT
/* A recording in parts: one after the other, of whom is left. */
#include "capture/parts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define LEAST_SECONDS 0.001

char *rf_part_name(const char *output, u64 number)
{
	static const char end[] = ".mmt.zst";
	size_t length = strlen(output), size = length + 32;
	bool usual = length > strlen(end) && !strcmp(output + length - strlen(end), end);
	char *name = malloc(size);

	if (!name)
		return NULL;
	if (usual)
		snprintf(name, size, "%.*s.%06llu%s", (int)(length - strlen(end)), output, (unsigned long long)number,
			 end);
	else
		snprintf(name, size, "%s.%06llu", output, (unsigned long long)number);
	return name;
}

static void remove_part(const char *output, u64 number)
{
	char *name = rf_part_name(output, number);

	if (name)
		unlink(name);
	free(name);
}

/* Who ended meanwhile is no reason not to record the rest. */
static void only_living(struct rf_pid_list *pids)
{
	for (size_t i = pids->nr; i-- > 0;)
		if (rf_process_of(pids->pids[i]) != pids->pids[i] || !rf_has_memory(pids->pids[i]))
			rf_pid_list_remove(pids, pids->pids[i]);
}

static double seconds_left(const struct rf_recording_options *options, u64 began)
{
	return options->seconds - (double)(rf_monotonic() - began) / 1e9;
}

static bool is_rotation(const struct rf_rotation *rotation, enum rf_end end)
{
	return (end == RF_END_TIME && rotation->seconds) || (end == RF_END_SIZE && rotation->bytes);
}

/* The rotation has ended this part, and there is more to record. */
static bool goes_on(const struct rf_recording_options *options, const struct rf_rotation *rotation, u64 began,
		    enum rf_end end, struct rf_pid_list *living)
{
	if (!is_rotation(rotation, end))
		return false;
	if (options->seconds && seconds_left(options, began) < LEAST_SECONDS)
		return false;
	only_living(living);
	return options->whole_system || living->nr;
}

/* The rotation has ended the last part, the recording because its time is over or nobody is left. */
static enum rf_end end_of_all(const struct rf_recording_options *options, const struct rf_rotation *rotation, u64 began,
			      enum rf_end end)
{
	if (!is_rotation(rotation, end))
		return end;
	return options->seconds && seconds_left(options, began) < LEAST_SECONDS ? RF_END_TIME : RF_END_PROCESSES;
}

static int record_part(const struct rf_recording_options *options, const struct rf_rotation *rotation, u64 began,
		       struct rf_recording_result *result, struct rf_error *err)
{
	struct rf_recording_options part = *options;

	part.begins_again = true;
	if (part.seconds)
		part.seconds = seconds_left(options, began);
	if (rotation->seconds && (!part.seconds || part.seconds > rotation->seconds))
		part.seconds = rotation->seconds;
	if (rotation->bytes)
		part.bounds.file_bytes = rotation->bytes;
	return rf_record(&part, result, err);
}

/* COMMAND was started by the first part. It may have ended between two, and gets SIGTERM if it has not. */
static int status_of_command(pid_t pid, int known)
{
	int status;

	if (known != -1 || pid <= 0)
		return known;
	if (waitpid(pid, &status, WNOHANG) == pid)
		return status;
	kill(pid, SIGTERM);
	return -1;
}

int rf_record_parts(const struct rf_recording_options *options, const struct rf_rotation *rotation,
		    rf_part_ended *ended, struct rf_recording_result *last, struct rf_error *err)
{
	struct rf_pid_list pids = { 0 }, living = { 0 };
	struct rf_recording_options now = *options;
	u64 began = rf_monotonic(), lost = 0;
	bool more = true;
	int ret = 0, status = -1;

	for (u64 number = 1; more && !ret; number++) {
		char *name = rf_part_name(options->output, number);

		if (!name) {
			ret = rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
			break;
		}
		now.output = name;
		now.living = &living;
		ret = record_part(&now, rotation, began, last, err);
		/* The last of them ended just now. */
		if (ret == -ESRCH && number > 1 && !last->wrote) {
			last->end = RF_END_PROCESSES;
			more = false;
			ret = 0;
		} else if (!ret) {
			lost += last->lost;
			now.child = last->command ? last->command : now.child;
			now.command = NULL;
			more = goes_on(options, rotation, began, last->end, &living);
			ended(options->context, name, last);
			if (rotation->keep && more && number >= rotation->keep)
				remove_part(options->output, number + 1 - rotation->keep);
		}
		if (status == -1)
			status = last->command_status;
		free(name);
		rf_pid_list_free(&pids);
		pids = living;
		living = (struct rf_pid_list){ 0 };
		now.targets.pids = pids;
	}
	rf_pid_list_free(&pids);
	last->lost = lost;
	last->command_status = ret ? status : status_of_command(now.child, status);
	if (!ret)
		last->end = end_of_all(options, rotation, began, last->end);
	return ret;
}
