// SPDX-License-Identifier: MIT
/*
 * A command whose end ends a recording. A process of its own waits for it, and its end closes a pipe: the recorder,
 * whose tracer reaps whatever child of it ends, need not.
 */
#include "capture/trigger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void __attribute__((noreturn)) wait_for(const char *command)
{
	pid_t pid;

	setpgid(0, 0);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	_exit(0);
}

int rf_trigger_start(struct rf_trigger *trigger, const char *command, struct rf_error *err)
{
	int ends[2];

	*trigger = (struct rf_trigger){ 0 };
	if (pipe2(ends, O_CLOEXEC))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "--trigger: %s", strerror(errno));
	trigger->group = fork();
	if (!trigger->group) {
		close(ends[0]);
		wait_for(command);
	}
	close(ends[1]);
	if (trigger->group > 0) {
		setpgid(trigger->group, trigger->group);	/* whoever comes first */
		trigger->fd = fcntl(ends[0], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	}
	if (trigger->fd <= 0)
		rf_error_set(err, -errno, RF_NO_OFFSET, "--trigger: %s", strerror(errno));
	close(ends[0]);
	return trigger->fd > 0 ? 0 : err->code;
}

void rf_trigger_end(struct rf_trigger *trigger)
{
	struct pollfd ended = { .fd = trigger->fd, .events = POLLIN };

	if (trigger->fd <= 0)
		return;
	/* Its number may be another's by now, if it has. */
	if (!poll(&ended, 1, 0))
		kill(-trigger->group, SIGTERM);
	close(trigger->fd);
	*trigger = (struct rf_trigger){ 0 };
}
