// SPDX-License-Identifier: MIT
/*
 * Run COMMAND and take an exit snapshot of every process it starts, or attach: the child before its exec, the tracing
 * thread's life, and what is said when none of it can be had.
 */
#include "capture/follow/follow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/follow/tracer.h"
#include "capture/rights/rights.h"

#define ATTACH_ROUNDS 4

/* What the child waits to be told; EOF: the recorder is gone. */
enum child_order { INSTALL_FILTER, EXEC };

struct rf_follow {
	char *name;
	struct rf_tracer tracer;
	struct rf_nested nested;
	int control;		/* to the child, until its exec */
	int done_fd;
	bool started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t seized;
	bool attached, may_attach;
	bool seize_done;
	int seize_code;
};

static void __attribute__((noreturn)) child(int control, char *const argv[], const struct rf_user *user)
{
	int order, fd, listener;

	while (!rf_receive_fd(control, &order, &fd)) {
		if (order == EXEC) {
			int error = -rf_user_become(user);

			if (!error) {
				execvp(argv[0], argv);
				error = errno;
			}
			(void)!rf_send_fd(control, error, -1);
			_exit(error == ENOENT ? 127 : 126);
		}
		listener = rf_nested_install_filter();
		(void)!rf_send_fd(control, listener < 0 ? listener : 0, listener);
		if (listener >= 0)
			close(listener);
	}
	_exit(127);
}

static void block_child_signal(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
}

static int start_child(struct rf_follow *follow, char *const argv[], const struct rf_user *user, struct rf_error *err)
{
	int sockets[2], code;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "socketpair: %s", strerror(errno));
	pid = fork();
	if (pid < 0) {
		code = -errno;
		close(sockets[0]);
		close(sockets[1]);
		return rf_error_set(err, code, RF_NO_OFFSET, "fork: %s", strerror(-code));
	}
	if (!pid) {
		close(sockets[0]);
		child(sockets[1], argv, user);
	}
	close(sockets[1]);
	follow->control = sockets[0];
	follow->tracer.command = pid;
	block_child_signal();
	return 0;
}

static struct rf_follow *follow_new(const char *name, struct rf_error *err)
{
	struct rf_follow *follow = calloc(1, sizeof(*follow));

	if (!follow || !(follow->name = strdup(name))) {
		free(follow);
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&follow->lock, NULL);
	pthread_cond_init(&follow->seized, NULL);
	follow->control = follow->nested.socket = -1;
	follow->tracer.nested = &follow->nested;
	follow->tracer.status = -1;
	follow->tracer.stop_fd = eventfd(0, EFD_CLOEXEC);
	follow->tracer.again_fd = eventfd(0, EFD_CLOEXEC);
	follow->done_fd = follow->tracer.command_fd = eventfd(0, EFD_CLOEXEC);
	if (follow->tracer.stop_fd < 0 || follow->tracer.again_fd < 0 || follow->done_fd < 0) {
		rf_error_set(err, -errno, RF_NO_OFFSET, "eventfd: %s", strerror(errno));
		rf_follow_destroy(follow);
		return NULL;
	}
	return follow;
}

struct rf_follow *rf_follow_create(char *const argv[], const struct rf_user *user, bool ask,
				   struct rf_error *err)
{
	struct rf_follow *follow = follow_new(argv[0], err);

	if (follow && ((ask && rf_nested_start(&follow->nested, err)) || start_child(follow, argv, user, err))) {
		rf_follow_destroy(follow);
		return NULL;
	}
	return follow;
}

pid_t rf_follow_pid(const struct rf_follow *follow)
{
	return follow->tracer.command;
}

int rf_follow_fd(const struct rf_follow *follow)
{
	return follow->done_fd;
}

/* Until nobody new turns up. Who is born later is known by its birth. */
static void attach(struct rf_follow *follow)
{
	struct rf_tracer *tracer = &follow->tracer;
	struct rf_pid_list pids = { 0 };
	size_t seized = 1;

	pthread_mutex_lock(&follow->lock);
	while (!follow->may_attach)
		pthread_cond_wait(&follow->seized, &follow->lock);
	pthread_mutex_unlock(&follow->lock);
	for (int round = 0; tracer->list && seized && round < ATTACH_ROUNDS; round++) {
		pids.nr = 0;
		seized = tracer->list(tracer->context, &pids) ? 0 : rf_tracer_look(tracer, &pids);
	}
	if (tracer->snapshotter && !tracer->error.code)
		rf_snapshotter_flush(tracer->snapshotter, &tracer->error);
	rf_pid_list_free(&pids);
}

/* Who was let go is looked at once more. */
static void look_at_last(struct rf_follow *follow)
{
	struct rf_pid_list pids = { 0 };

	if (!follow->tracer.list(follow->tracer.context, &pids))
		rf_tracer_look(&follow->tracer, &pids);
	rf_pid_list_free(&pids);
}

static void *trace(void *argument)
{
	struct rf_follow *follow = argument;
	u64 one = 1;
	sigset_t all;
	int code = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	rf_rights_limit();
	if (follow->attached)
		attach(follow);
	else if (follow->tracer.snapshotter)
		code = rf_tracer_seize(&follow->tracer);
	pthread_mutex_lock(&follow->lock);
	follow->seize_code = code;
	follow->seize_done = true;
	pthread_cond_broadcast(&follow->seized);
	pthread_mutex_unlock(&follow->lock);
	rf_tracer_run(&follow->tracer);
	if (follow->tracer.list && !follow->tracer.every)
		look_at_last(follow);
	rf_tracer_close(&follow->tracer);
	(void)!write(follow->done_fd, &one, sizeof(one));
	return NULL;
}

static void no_snapshots(struct rf_follow *follow, const char *why)
{
	rf_snapshotter_destroy(follow->tracer.snapshotter);
	follow->tracer.snapshotter = NULL;
	snprintf(follow->tracer.totals.why, sizeof(follow->tracer.totals.why), "%s", why);
}

static bool is_traced(pid_t pid)
{
	char path[40], line[128];
	FILE *file;
	int tracer = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	if (file)
		fclose(file);
	return tracer != 0;
}

/* Everything exit snapshots need before COMMAND is traced, or the reason why there will be none. */
static void prepare_snapshots(struct rf_follow *follow, const struct rf_follow_options *options)
{
	struct rf_error error = { 0 };
	char why[128];
	int code, listener;

	follow->tracer.every = options->every;
	if (!options->every) {
		no_snapshots(follow, "not asked for");
		return;
	}
	if (is_traced(follow->tracer.command)) {
		no_snapshots(follow, "the recorder is itself being traced (strace, gdb), and so is COMMAND");
		return;
	}
	follow->tracer.snapshotter = rf_snapshotter_create(options->writer, options->cache, &error);
	if (!follow->tracer.snapshotter) {
		no_snapshots(follow, error.message);
		return;
	}
	if (!follow->nested.keeper)
		return;
	code = rf_send_fd(follow->control, INSTALL_FILTER, -1);
	if (!code && (rf_receive_fd(follow->control, &code, &listener) || (!code && listener < 0)))
		code = -EPIPE;
	if (!code)
		code = rf_nested_listen(&follow->nested, listener);
	if (code) {
		snprintf(why, sizeof(why), "no seccomp filter for --iovecs: %s%s", strerror(-code),
			 code == -EACCES ? " (needs CAP_SYS_ADMIN)" : "");
		no_snapshots(follow, why);
	}
}

static int start_thread(struct rf_follow *follow, struct rf_error *err)
{
	int code = -rf_tracer_open(&follow->tracer);

	if (!code)
		code = pthread_create(&follow->thread, NULL, trace, follow);
	if (code)
		return rf_error_set(err, -code, RF_NO_OFFSET, "thread: %s", strerror(code));
	follow->started = true;
	return 0;
}

static void wait_seized(struct rf_follow *follow)
{
	pthread_mutex_lock(&follow->lock);
	while (!follow->seize_done)
		pthread_cond_wait(&follow->seized, &follow->lock);
	pthread_mutex_unlock(&follow->lock);
}

struct rf_follow *rf_follow_create_attached(pid_t child, struct rf_error *err)
{
	struct rf_follow *follow = follow_new("", err);

	if (!follow)
		return NULL;
	block_child_signal();
	follow->attached = true;
	follow->tracer.child = child;
	if (start_thread(follow, err)) {
		rf_follow_destroy(follow);
		return NULL;
	}
	return follow;
}

static void let_attach(struct rf_follow *follow)
{
	pthread_mutex_lock(&follow->lock);
	follow->may_attach = true;
	pthread_cond_broadcast(&follow->seized);
	pthread_mutex_unlock(&follow->lock);
}

int rf_follow_attach(struct rf_follow *follow, const struct rf_follow_options *options, rf_list_processes *list,
		     void *context, struct rf_error *err)
{
	follow->tracer.every = options->every;
	follow->tracer.snapshotter = rf_snapshotter_create(options->writer, options->cache, err);
	if (!follow->tracer.snapshotter)
		return err->code;
	follow->tracer.list = list;
	follow->tracer.context = context;
	let_attach(follow);
	wait_seized(follow);
	if (follow->tracer.error.code)
		*err = follow->tracer.error;
	return follow->tracer.error.code;
}

bool rf_follow_has_seen(const struct rf_follow *follow, pid_t pid)
{
	return rf_pid_list_has(&follow->tracer.seen, pid);
}

int rf_follow_start(struct rf_follow *follow, const struct rf_follow_options *options, struct rf_error *err)
{
	int code, ignored;

	prepare_snapshots(follow, options);
	code = start_thread(follow, err);
	if (code)
		return code;
	wait_seized(follow);
	if (follow->seize_code)
		snprintf(follow->tracer.totals.why, sizeof(follow->tracer.totals.why), "ptrace: %s%s",
			 strerror(-follow->seize_code), follow->seize_code == -EPERM ? " (needs CAP_SYS_PTRACE)" : "");
	else if (follow->tracer.snapshotter)
		follow->tracer.totals.exit_snapshots = true;
	code = rf_send_fd(follow->control, EXEC, -1);
	/* A value: why exec failed. EOF: the descriptor closed itself at the exec (or the child was killed). */
	if (!code && !rf_receive_fd(follow->control, &code, &ignored))
		return rf_error_set(err, -code, RF_NO_OFFSET, "%s: %s", follow->name, strerror(code));
	return 0;
}

void rf_follow_stop(struct rf_follow *follow)
{
	u64 one = 1;

	let_attach(follow);
	(void)!write(follow->tracer.stop_fd, &one, sizeof(one));
}

void rf_follow_look_again(struct rf_follow *follow)
{
	u64 one = 1;

	__atomic_store_n(&follow->tracer.looked_ns, 0, __ATOMIC_RELEASE);
	(void)!write(follow->tracer.again_fd, &one, sizeof(one));
}

u64 rf_follow_looked_ns(const struct rf_follow *follow)
{
	return __atomic_load_n(&follow->tracer.looked_ns, __ATOMIC_ACQUIRE);
}

static void join(struct rf_follow *follow)
{
	if (follow->started)
		pthread_join(follow->thread, NULL);
	follow->started = false;
}

int rf_follow_wait(struct rf_follow *follow, int *status, struct rf_follow_totals *totals, struct rf_error *err)
{
	join(follow);
	*status = follow->tracer.status;
	*totals = follow->tracer.totals;
	if (follow->tracer.error.code && err)
		*err = follow->tracer.error;
	return follow->tracer.error.code;
}

void rf_follow_destroy(struct rf_follow *follow)
{
	if (!follow)
		return;
	if (follow->control >= 0)
		close(follow->control);		/* a child that was never started ends by this */
	if (follow->started) {
		rf_follow_stop(follow);
		join(follow);
	} else if (follow->tracer.command > 0 && !follow->seize_done) {
		waitpid(follow->tracer.command, NULL, 0);
	}
	rf_pid_list_free(&follow->tracer.seen);
	rf_snapshotter_destroy(follow->tracer.snapshotter);
	rf_nested_leave(&follow->nested);
	if (follow->nested.keeper > 0)
		waitpid(follow->nested.keeper, NULL, WNOHANG);
	if (follow->tracer.stop_fd >= 0)
		close(follow->tracer.stop_fd);
	if (follow->tracer.again_fd >= 0)
		close(follow->tracer.again_fd);
	if (follow->done_fd >= 0)
		close(follow->done_fd);
	pthread_mutex_destroy(&follow->lock);
	pthread_cond_destroy(&follow->seized);
	free(follow->name);
	free(follow);
}
