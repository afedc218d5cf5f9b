// SPDX-License-Identifier: MIT
/* The processes of a sweep: forked, so that policies and loaded backends are there, and heard through a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "base/json.h"
#include "base/text.h"
#include "replay/commands/sweep_worker.h"
#include "replay/fleet/store.h"
#include "replay/library/session.h"

#define BYTES_A_READ (64 << 10)

/* ---- in the process ---------------------------------------------------------------- */

static void set_error(json_t *result, const struct rf_error *err)
{
	json_t *text;

	if (err->offset == RF_NO_OFFSET)
		text = json_sprintf("%s%s", err->message, rf_limits_advice(err));
	else
		text = json_sprintf("byte %llu: %s", (unsigned long long)err->offset, err->message);
	json_object_set_new(result, "error", text);
}

/* Policies with smaller pages than the recording's cannot replay it; the others go on. How many these are. */
static size_t leave_out_small(struct rf_worker *worker, u64 page_size, json_t *result)
{
	char text[300];
	struct rf_line line;
	size_t left = 0;

	rf_line_begin(&line, text, sizeof(text));
	for (size_t i = 0; i < worker->nr_policies; i++) {
		if (1ull << worker->policies[i].geometry.page_shift >= page_size)
			worker->policies[left++] = worker->policies[i];
		else
			rf_line_add(&line, "%s%s", line.used ? ", " : "", worker->policies[i].name);
	}
	if (left < worker->nr_policies)
		json_object_set_new(result, "error", json_sprintf("has pages of %llu bytes, smaller ones have: %s",
								  (unsigned long long)page_size, text));
	return left;
}

static void set_row(json_t *result, const struct rf_session *session)
{
	json_t *report = rf_session_report_of_last(session);
	const char *nothing = rf_report_nothing(report);

	if (nothing && !rf_report_idle(report))
		json_object_set_new(result, "error", json_sprintf("nothing was replayed: %s", nothing));
	else
		json_object_set_new(result, "row", rf_store_row(report));
}

static void replay(json_t *result, struct rf_worker *worker, struct rf_reader *reader, struct rf_limits *limits)
{
	u64 page_size = rf_reader_header_u64(reader, RF_HEADER_PAGE_SIZE, 4096);
	struct rf_session session = {
		.policies = worker->policies, .nr_policies = leave_out_small(worker, page_size, result),
		.run = { .one_thread = true },
	};
	struct rf_error err;
	int ret;

	if (!session.nr_policies)
		return;
	session.run.stop_at = rf_limits_begin(limits, rf_reader_summary(reader)->file_bytes, session.nr_policies);
	ret = rf_session_begin(&session, &err);
	ret = ret ? ret : rf_session_replay_open(&session, worker->path, reader, &err);
	/* Damage is in the row. */
	if (ret && ret != -EBADMSG)
		set_error(result, &err);
	else
		set_row(result, &session);
}

/* In one piece as far as the pipe takes it: json_dumpfd() would write each token. */
static bool say(const json_t *result, int fd)
{
	char *text = json_dumps(result, JSON_COMPACT);
	size_t size = text ? strlen(text) : 0, done = 0;
	ssize_t written = 0;

	for (; done < size && (written >= 0 || errno == EINTR); done += written > 0 ? (size_t)written : 0)
		written = write(fd, text + done, size - done);
	return text && done == size;
}

static void run_worker(struct rf_worker *worker, struct rf_limits limits, int fd)
{
	json_t *result = json_object();
	struct rf_error err;
	struct rf_reader *reader = rf_reader_open(worker->path, &err);

	if (reader)
		replay(result, worker, reader, &limits);
	else
		set_error(result, &err);
	_exit(say(result, fd) ? 0 : 1);
}

/* ---- outside ------------------------------------------------------------------------- */

int rf_worker_start(struct rf_worker *worker, const struct rf_limits *limits)
{
	pid_t parent = getpid();
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	worker->pid = fork();
	if (!worker->pid) {
		/* What nobody waits for is not worth its time. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(pipes[0]);
		run_worker(worker, *limits, pipes[1]);
	}
	close(pipes[1]);
	worker->fd = pipes[0];
	worker->size = 0;
	if (worker->pid > 0)
		return 0;
	worker->pid = 0;
	close(pipes[0]);
	return -errno;
}

bool rf_worker_read(struct rf_worker *worker)
{
	ssize_t got;

	if (array_grow(worker->text, worker->room, worker->size + BYTES_A_READ))
		return true;
	got = read(worker->fd, worker->text + worker->size, BYTES_A_READ);
	if (got > 0)
		worker->size += (size_t)got;
	return !got || (got < 0 && errno != EINTR);
}

static int reap(struct rf_worker *worker)
{
	int status = 0;

	close(worker->fd);
	while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
		;
	worker->pid = 0;
	return status;
}

json_t *rf_worker_end(struct rf_worker *worker)
{
	int status = reap(worker), signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	json_t *result = NULL;

	if (!status)
		result = json_loadb(worker->text, worker->size, 0, NULL);
	free(worker->policies);
	worker->policies = NULL;
	if (result)
		return result;
	result = json_object();
	if (signal)
		json_object_set_new(result, "error",
				    json_sprintf("its replay was ended by signal %d, %s%s", signal, strsignal(signal),
						 signal == SIGKILL ? ": by somebody, or for want of memory" : ""));
	else
		json_object_set_new(result, "error", json_string("its replay ended without a result"));
	return result;
}

void rf_worker_kill(struct rf_worker *worker)
{
	if (!worker->pid)
		return;
	kill(worker->pid, SIGKILL);
	reap(worker);
	free(worker->policies);
	worker->policies = NULL;
}
