// SPDX-License-Identifier: MIT
/* A recording in parts: one after the other, of whom is left. */
#include "capture/parts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/tracefs/probes.h"

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

static double seconds_left(const struct rf_recording_options *options, u64 began)
{
	return options->seconds - (double)(rf_monotonic() - began) / 1e9;
}

/* One of them; rec: NULL, or what is recorded into it. */
struct part {
	u64 number;
	char *name;
	struct recording *rec;
	struct rf_recording_result result;
};

/* All of them. */
struct parts {
	const struct rf_recording_options *options;
	const struct rf_rotation *rotation;
	struct rf_recording_options now;	/* of the one that begins */
	struct rf_pid_list pids;		/* of these */
	u64 began;
	u64 asked_for;				/* this one and those before it are not removed */
	u64 lost;
	int command_status;
};

/* The rotation has ended this part, or SIGUSR1 has. */
static bool is_rotation(const struct rf_rotation *rotation, const struct rf_recording_result *part)
{
	return (part->end == RF_END_TIME && rotation->seconds) || (part->end == RF_END_SIZE && rotation->bytes) ||
	       part->asked;
}

static bool is_over(const struct parts *all)
{
	return all->options->seconds && seconds_left(all->options, all->began) < LEAST_SECONDS;
}

/* The rotation has ended the last part, the recording because its time is over or nobody is left. */
static enum rf_end end_of_all(const struct parts *all, const struct rf_recording_result *last)
{
	if (!is_rotation(all->rotation, last))
		return last->end;
	return is_over(all) ? RF_END_TIME : RF_END_PROCESSES;
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

static int begin_part(struct parts *all, struct part *part, u64 number, struct rf_error *err)
{
	const struct rf_rotation *rotation = all->rotation;
	struct rf_recording_options *now = &all->now;

	*part = (struct part){ .number = number, .name = rf_part_name(all->options->output, number) };
	if (!part->name)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	now->output = part->name;
	now->seconds = all->options->seconds ? seconds_left(all->options, all->began) : 0;
	if (rotation->seconds && (!now->seconds || now->seconds > rotation->seconds))
		now->seconds = rotation->seconds;
	if (rotation->bytes)
		now->bounds.file_bytes = rotation->bytes;
	part->rec = rf_recording_begin(now, &part->result, err);
	return part->rec ? 0 : err->code;
}

/* If the rotation has ended this part, and somebody is left, the next one has begun when this returns: next->rec. */
static int begin_next(struct parts *all, const struct part *part, struct part *next, struct rf_error *err)
{
	int ret;

	if (!is_rotation(all->rotation, &part->result) || is_over(all))
		return 0;
	if (all->now.command)
		all->now.child = rf_recording_command(part->rec);
	all->now.command = NULL;
	all->now.previous = part->rec;
	all->pids.nr = 0;
	if (rf_recording_living(part->rec, &all->pids))
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	all->now.targets.pids = all->pids;
	if (!all->options->whole_system && !all->pids.nr)
		return 0;
	ret = begin_part(all, next, part->number + 1, err);
	return ret == -ESRCH ? 0 : ret;		/* the last of them have ended just now */
}

static int end_part(struct parts *all, struct part *part, struct recording *next, struct rf_error *err)
{
	int ret = rf_recording_end(part->rec, next, err);

	part->rec = NULL;
	all->now.child = part->result.command ? part->result.command : all->now.child;
	all->lost += part->result.lost;
	if (all->command_status == -1)
		all->command_status = part->result.command_status;
	return ret;
}

/* keep counts the one in the making. */
static void remove_older(const struct parts *all, u64 number)
{
	u64 keep = all->rotation->keep;
	char *name;

	if (!keep || number < keep || number + 1 - keep <= all->asked_for)
		return;
	name = rf_part_name(all->options->output, number + 1 - keep);
	if (name)
		unlink(name);
	free(name);
}

static int record_parts(struct parts *all, rf_part_ended *ended, struct rf_recording_result *last, struct rf_error *err)
{
	struct part slots[2] = { 0 }, *part = slots, *next;
	int ret = begin_part(all, part, 1, err), later;

	*last = part->result;
	while (!ret && part->rec) {
		struct rf_error why = { 0 };

		rf_recording_wait(part->rec);
		next = part == slots ? slots + 1 : slots;
		*next = (struct part){ 0 };
		later = begin_next(all, part, next, &why);
		ret = end_part(all, part, next->rec, err);
		*last = part->result;
		if (!ret) {
			if (last->asked)
				all->asked_for = part->number;
			ended(all->options->context, part->name, last);
			if (next->rec)
				remove_older(all, part->number);
			ret = later;
			*err = later ? why : *err;
		} else if (next->rec) {
			end_part(all, next, NULL, &why);
		}
		free(part->name);
		part = next;
	}
	free(part->name);
	return ret;
}

/* It is what the names of the parts begin with: what has that name, if anything, is a file, too. */
static int check_output(const char *output, struct rf_error *err)
{
	size_t length = strlen(output);
	struct stat file;

	if (output[length - 1] != '/' && (stat(output, &file) || S_ISREG(file.st_mode)))
		return 0;
	return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "%s: the parts of a recording are files: give the beginning of "
			    "their names", output);
}

int rf_record_parts(const struct rf_recording_options *options, const struct rf_rotation *rotation,
		    rf_part_ended *ended, struct rf_recording_result *last, struct rf_error *err)
{
	struct parts all = { .options = options, .rotation = rotation, .now = *options, .began = rf_monotonic(),
			     .command_status = -1 };
	int ret;

	all.now.begins_again = true;
	memset(last, 0, sizeof(*last));
	memset(err, 0, sizeof(*err));
	ret = check_output(options->output, err);
	if (ret)
		return ret;
	ret = record_parts(&all, ended, last, err);
	rf_probes_remove();
	rf_pid_list_free(&all.pids);
	last->lost = all.lost;
	last->command_status = ret ? all.command_status : status_of_command(all.now.child, all.command_status);
	if (!ret)
		last->end = end_of_all(&all, last);
	return ret;
}
