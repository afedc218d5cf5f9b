// SPDX-License-Identifier: MIT
/*
 * What may end a recording. No signal is handled asynchronously: they are read
 * from a descriptor, so an end is always an orderly one.
 */
#include "capture/follow/ending.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

int rf_ending_watch(struct rf_ending *ending, const struct rf_pid_list *pids, struct rf_error *err)
{
	ending->pidfds = calloc(pids->nr + 1, sizeof(*ending->pidfds));
	if (!ending->pidfds)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	for (size_t i = 0; i < pids->nr; i++) {
		int fd = (int)syscall(SYS_pidfd_open, pids->pids[i], 0);

		/* One that has ended just now need not be watched, unless it was the only one. */
		if (fd < 0 && (errno != ESRCH || (i + 1 == pids->nr && !ending->nr_pidfds)))
			return rf_error_set(err, -errno, RF_NO_OFFSET, "process %d: %s", (int)pids->pids[i],
					    errno == ESRCH ? "no such process" : strerror(errno));
		if (fd >= 0)
			ending->pidfds[ending->nr_pidfds++] = fd;
	}
	return 0;
}

size_t rf_ending_watch_others(struct rf_ending *ending, const struct rf_pid_list *pids)
{
	struct rf_error ignored;	/* all are gone, or there is no memory */

	while (ending->nr_pidfds)
		close(ending->pidfds[--ending->nr_pidfds]);
	free(ending->pidfds);
	return rf_ending_watch(ending, pids, &ignored) ? 0 : ending->nr_pidfds;
}

int rf_ending_arm(struct rf_ending *ending, double seconds, struct rf_error *err)
{
	sigset_t set;

	ending->seconds = seconds;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* "refold-capture ... 2>&1 | head" must not leave instances behind, nor a limit of the file's size. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	ending->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ending->failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ending->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ending->signal_fd < 0 || ending->failed_fd < 0 || ending->timer_fd < 0)
		return rf_error_set(err, -errno, RF_NO_OFFSET, "cannot set up signals: %s", strerror(errno));
	return 0;
}

enum { SIGNAL, FAILED, TIMER, COMMAND, FIXED };

/* Take what came. */
static enum rf_end read_signals(struct rf_ending *ending, bool *asked)
{
	struct signalfd_siginfo signal;
	enum rf_end end = RF_END_NONE;

	while (read(ending->signal_fd, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGUSR1)
			*asked = true;
		else
			end = RF_END_SIGNAL;
	}
	return end;
}

static enum rf_end end_now(struct rf_ending *ending, const struct pollfd *fds, bool processes_gone)
{
	enum rf_end end = RF_END_NONE;
	bool asked = false;

	if (fds[FAILED].revents)
		return RF_END_ERROR;
	if (fds[SIGNAL].revents)
		end = read_signals(ending, &asked);
	if (end != RF_END_NONE)
		return end;
	if (fds[COMMAND].revents)
		return RF_END_COMMAND;
	if (processes_gone)
		return RF_END_PROCESSES;
	if (fds[TIMER].revents)
		return RF_END_TIME;
	return ending->tick ? ending->tick(ending->context, asked) : RF_END_NONE;
}

/* Setting up may take its time, too; that is not recorded. */
static bool start_clock(struct rf_ending *ending)
{
	struct itimerspec limit = { .it_value = { .tv_sec = (time_t)ending->seconds } };

	if (ending->waited)
		return true;
	ending->waited = true;
	limit.it_value.tv_nsec = (long)((ending->seconds - (double)limit.it_value.tv_sec) * 1e9);
	return !timerfd_settime(ending->timer_fd, 0, &limit, NULL);
}

enum rf_end rf_ending_wait(struct rf_ending *ending, int command_fd)
{
	size_t nr = FIXED + ending->nr_pidfds, alive = ending->nr_pidfds;
	struct pollfd *fds = calloc(nr, sizeof(*fds));
	enum rf_end end = fds && start_clock(ending) ? RF_END_NONE : RF_END_ERROR;

	for (size_t i = 0; fds && i < nr; i++)
		fds[i].events = POLLIN;
	if (fds) {
		fds[SIGNAL].fd = ending->signal_fd;
		fds[FAILED].fd = ending->failed_fd;
		fds[TIMER].fd = ending->timer_fd;
		fds[COMMAND].fd = command_fd;
	}
	for (size_t i = FIXED; fds && i < nr; i++)
		fds[i].fd = ending->pidfds[i - FIXED];
	while (end == RF_END_NONE) {
		if (poll(fds, nr, ending->tick ? ending->tick_ms : -1) < 0) {
			end = errno == EINTR ? RF_END_NONE : RF_END_ERROR;
			continue;
		}
		for (size_t i = FIXED; i < nr; i++)
			if (fds[i].fd >= 0 && fds[i].revents) {
				fds[i].fd = -1;		/* poll(2) passes over it */
				alive--;
			}
		end = end_now(ending, fds, ending->nr_pidfds && !alive);
	}
	free(fds);
	return end;
}

void rf_ending_close(struct rf_ending *ending)
{
	int fds[] = { ending->signal_fd, ending->timer_fd, ending->failed_fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; i < ending->nr_pidfds; i++)
		close(ending->pidfds[i]);
	free(ending->pidfds);
	*ending = RF_ENDING_NONE;
}
