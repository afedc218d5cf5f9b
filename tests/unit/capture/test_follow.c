// SPDX-License-Identifier: MIT
/*
 * Following real process trees: this program runs itself, under rf_follow_*(), as each of the parts of
 * follow_parts.c and looks at what was recorded and at whether the part noticed anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "capture/follow/debuggers.h"
#include "capture/follow/follow.h"
#include "follow_parts.h"
#include "kept_records.h"

/* A leak check at the end of every part would be one more tracer in it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

struct outcome {
	struct rf_writer *writer;
	struct rf_follow_totals totals;
	int status;
};

static const struct rf_user nobody_else;

static void follow_asking(struct outcome *outcome, bool ask, char *const argv[])
{
	struct rf_error err = { 0 };
	struct rf_follow *follow = rf_follow_create(argv, &nobody_else, ask, &err);
	struct pollfd done;

	assert_non_null(follow);
	outcome->writer = kept_create();
	assert_int_equal(rf_follow_start(follow, &(struct rf_follow_options){ outcome->writer, NULL, 1 }, &err), 0);
	done = (struct pollfd){ .fd = rf_follow_fd(follow), .events = POLLIN };
	assert_int_equal(poll(&done, 1, 120000), 1);
	rf_follow_stop(follow);
	assert_int_equal(rf_follow_wait(follow, &outcome->status, &outcome->totals, &err), 0);
	rf_follow_destroy(follow);
}

static void follow_part_asking(struct outcome *outcome, bool ask, const char *part)
{
	char *const argv[] = { (char *)self_path, (char *)part, NULL };

	follow_asking(outcome, ask, argv);
	if (!outcome->totals.exit_snapshots) {
		print_message("skipped: no exit snapshots: %s\n", outcome->totals.why);
		kept_destroy(outcome->writer);
		skip();
	}
}

static void follow_part(struct outcome *outcome, const char *part)
{
	follow_part_asking(outcome, true, part);
}

static void expect_ok(const struct outcome *outcome)
{
	if (!WIFEXITED(outcome->status) || WEXITSTATUS(outcome->status))
		fail_msg("wait status %#x", (unsigned int)outcome->status);
}

/* Every snapshot is whole, was taken of a stopped process, and lies between its BEGIN and END in one piece. */
static void expect_snapshots(const struct outcome *outcome, size_t nr, enum rf_snap_why why)
{
	size_t open = 0, ended = 0, ptes = 0;

	for (size_t i = 0; i < kept_nr(outcome->writer); i++) {
		const struct rf_record *record = kept_record(outcome->writer, i);

		if (record->kind == RF_SNAP_BEGIN) {
			assert_int_equal(open++, 0);
			ptes = 0;
		} else if (record->kind == RF_SNAP_PTE) {
			ptes += record->f[1];
		} else if (record->kind == RF_SNAP_END) {
			assert_int_equal(open--, 1);
			assert_int_equal(record->f[1], 1);
			assert_int_equal(record->f[2], 1);
			assert_true(ptes > 10);
		}
		if (record->kind == RF_SNAP_BEGIN && record->f[1] == (u64)why)
			ended++;
	}
	assert_int_equal(open, 0);
	assert_int_equal(ended, nr);
}

static void test_threads(void **state)
{
	struct outcome o;

	(void)state;
	follow_part(&o, "threads");
	expect_ok(&o);
	assert_int_equal(o.totals.processes, 1);
	assert_int_equal(o.totals.snapshots, 1);
	expect_snapshots(&o, 1, RF_SNAP_EXIT);
	/* The leader had ended before: only one thread was left, and the process is looked at once. */
	assert_int_equal(kept_count(o.writer, RF_SNAP_BEGIN), 1);
	kept_destroy(o.writer);
}

static void test_exec_by_thread(void **state)
{
	struct outcome o;

	(void)state;
	follow_part(&o, "exec-by-thread");
	expect_ok(&o);
	assert_int_equal(o.totals.processes, 1);
	expect_snapshots(&o, 1, RF_SNAP_EXIT);
	kept_destroy(o.writer);
}

static void test_vfork(void **state)
{
	struct outcome o;

	(void)state;
	follow_part(&o, "vfork");
	expect_ok(&o);
	assert_int_equal(o.totals.processes, 3);
	assert_int_equal(o.totals.shared, 1);
	expect_snapshots(&o, 2, RF_SNAP_EXIT);
	kept_destroy(o.writer);
}

static void test_signals(void **state)
{
	struct outcome o;

	(void)state;
	follow_part(&o, "signals");
	expect_ok(&o);
	assert_int_equal(o.totals.processes, 3);
	expect_snapshots(&o, 3, RF_SNAP_EXIT);
	kept_destroy(o.writer);
}

static void test_nested(void **state)
{
	struct outcome o;

	(void)state;
	follow_part(&o, "ptrace");
	expect_ok(&o);
	assert_int_equal(o.totals.processes, 4);
	assert_int_equal(o.totals.nested, 3);
	expect_snapshots(&o, 1, RF_SNAP_EXIT);
	kept_destroy(o.writer);
	follow_part(&o, "untraced");
	expect_ok(&o);
	assert_int_equal(o.totals.nested, 1);
	kept_destroy(o.writer);
	follow_part(&o, "exec-attached");
	expect_ok(&o);
	assert_int_equal(o.totals.nested, 1);
	kept_destroy(o.writer);
	follow_part(&o, "namespace");
	expect_ok(&o);
	assert_int_equal(o.totals.processes, 3);
	assert_int_equal(o.totals.nested, 1);
	kept_destroy(o.writer);
}

/* Without a filter, a program that may trace is let go before it does: this one is one. */
static void test_let_go(void **state)
{
	static const char *const parts[] = { "ptrace", "untraced", "exec-attached" };
	char *const shell[] = { "sh", "-c", "sleep 0; sleep 0", NULL };
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		follow_part_asking(&o, false, parts[i]);
		expect_ok(&o);
		assert_int_equal(o.totals.nested, 1);
		assert_int_equal(kept_count(o.writer, RF_SNAP_BEGIN), 0);
		kept_destroy(o.writer);
	}
	follow_asking(&o, false, shell);
	expect_ok(&o);
	assert_int_equal(o.totals.nested, 0);
	expect_snapshots(&o, o.totals.snapshots, RF_SNAP_EXIT);
	assert_true(o.totals.snapshots >= 2);
	kept_destroy(o.writer);
}

static void test_may_trace(void **state)
{
	struct rf_programs programs = { 0 };
	struct rf_program *known = NULL;
	pid_t pid = fork();

	(void)state;
	assert_true(rf_may_trace(&programs, getpid()));
	if (!pid) {
		execlp("sleep", "sleep", "20", NULL);
		_exit(1);
	}
	while (!rf_process_is(pid, "sleep"))
		usleep(1000);
	memset(&programs, 0, sizeof(programs));
	assert_false(rf_may_trace(&programs, pid));
	/* It is not read a second time, unless it has changed since. */
	for (size_t i = 0; i < RF_PROGRAMS_KNOWN; i++)
		if (programs.known[i].ino)
			known = &programs.known[i];
	assert_non_null(known);
	known->traces = true;
	assert_true(rf_may_trace(&programs, pid));
	known->changed_ns ^= 1;
	assert_false(rf_may_trace(&programs, pid));
	known->traces = true;
	known->size++;
	assert_false(rf_may_trace(&programs, pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_false(rf_may_trace(&programs, pid));
}

/* A file that has just changed may change again without a later time. */
static void test_may_trace_of_new_file(void **state)
{
	struct rf_programs programs = { 0 };
	char path[] = "/var/tmp/sleeps-XXXXXX", command[128];
	int fd = mkstemp(path);
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(command, sizeof(command), "cp \"$(command -v sleep)\" %s && chmod 700 %s", path, path);
	assert_int_equal(system(command), 0);
	pid = fork();
	if (!pid) {
		execl(path, path, "20", NULL);
		_exit(1);
	}
	while (!rf_process_is(pid, strrchr(path, '/') + 1))
		usleep(1000);
	assert_false(rf_may_trace(&programs, pid));
	for (size_t i = 0; i < RF_PROGRAMS_KNOWN; i++)
		assert_int_equal(programs.known[i].ino, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
}

/* What process_vm_readv() reads is recorded before it does. */
static void test_process_vm(void **state)
{
	const struct rf_record *gups[3] = { NULL };
	struct outcome o;
	size_t nr = 0;

	(void)state;
	follow_part(&o, "process-vm");
	expect_ok(&o);
	assert_int_equal(kept_count(o.writer, RF_GUP), 3);
	for (size_t i = 0; i < kept_nr(o.writer); i++)
		if (kept_record(o.writer, i)->kind == RF_GUP)
			gups[nr++] = kept_record(o.writer, i);
	/* By the child, of its parent. */
	assert_int_equal(gups[0]->f[0], gups[2]->tid);
	assert_int_not_equal(gups[0]->tid, gups[0]->f[0]);
	assert_int_equal(gups[0]->f[2], 1000);
	assert_int_equal(gups[1]->f[1], gups[0]->f[1] + 1500);
	assert_int_equal(gups[1]->f[2], 1500);
	assert_int_equal(gups[1]->f[3], 0);
	assert_int_equal(gups[2]->f[0], gups[2]->tid);
	assert_int_equal(gups[2]->f[3], RF_GUP_WRITE);
	kept_destroy(o.writer);
}

static void test_many(void **state)
{
	struct outcome o;

	(void)state;
	follow_part(&o, "many");
	expect_ok(&o);
	assert_int_equal(o.totals.processes, 301);
	assert_int_equal(o.totals.lost, 0);
	expect_snapshots(&o, 301, RF_SNAP_EXIT);
	kept_destroy(o.writer);
}

static void test_orphan(void **state)
{
	struct outcome o;
	pid_t orphan = 0;

	(void)state;
	follow_part(&o, "orphan");
	expect_ok(&o);
	expect_snapshots(&o, 1, RF_SNAP_STOP);
	for (size_t i = 0; i < kept_nr(o.writer); i++)
		if (kept_record(o.writer, i)->kind == RF_SNAP_BEGIN && kept_record(o.writer, i)->f[1] == RF_SNAP_STOP)
			orphan = (pid_t)kept_record(o.writer, i)->f[0];
	/* It goes on, untraced. */
	assert_true(orphan > 0);
	assert_int_equal(kill(orphan, 0), 0);
	assert_int_equal(ptrace(PTRACE_SEIZE, orphan, NULL, NULL), 0);
	kill(orphan, SIGKILL);
	waitpid(orphan, NULL, __WALL);
	kept_destroy(o.writer);
}

static void test_no_such_command(void **state)
{
	char *const argv[] = { "no-such-command-of-refold", NULL };
	struct rf_writer *writer = kept_create();
	struct rf_error err = { 0 };
	struct rf_follow *follow_;

	(void)state;
	follow_ = rf_follow_create(argv, &nobody_else, true, &err);
	assert_non_null(follow_);
	assert_int_equal(rf_follow_start(follow_, &(struct rf_follow_options){ writer, NULL, 1 }, &err), -ENOENT);
	assert_string_equal(err.message, "no-such-command-of-refold: No such file or directory");
	rf_follow_destroy(follow_);
	follow_ = rf_follow_create(argv, &nobody_else, true, &err);	/* never started */
	assert_non_null(follow_);
	rf_follow_destroy(follow_);
	kept_destroy(writer);
}

static void test_stop(void **state)
{
	char *const argv[] = { "sleep", "20", NULL };
	struct rf_writer *writer = kept_create();
	struct rf_follow_totals totals;
	struct rf_error err = { 0 };
	struct rf_follow *follow_;
	int status;
	pid_t pid;

	(void)state;
	follow_ = rf_follow_create(argv, &nobody_else, true, &err);
	assert_non_null(follow_);
	pid = rf_follow_pid(follow_);
	assert_int_equal(rf_follow_start(follow_, &(struct rf_follow_options){ writer, NULL, 1 }, &err), 0);
	rf_follow_stop(follow_);
	rf_follow_stop(follow_);
	assert_int_equal(rf_follow_wait(follow_, &status, &totals, &err), 0);
	assert_int_equal(status, -1);
	if (totals.exit_snapshots)
		assert_int_equal(kept_count(writer, RF_SNAP_END), 1);
	rf_follow_destroy(follow_);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	kept_destroy(writer);
}

/* A byte, and it bears a child that ends at once, says so, and ends. */
static pid_t start_parent(int go[2], int done[2])
{
	char letter;
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (pid)
		return pid;
	(void)!read(go[0], &letter, 1);
	if (!fork())
		_exit(0);
	wait(NULL);
	(void)!write(done[1], "d", 1);
	_exit(0);
}

static int list_one(void *context, struct rf_pid_list *pids)
{
	return rf_pid_list_add(pids, *(pid_t *)context) ? 0 : -ENOMEM;
}

static size_t snapshots_of(const struct rf_writer *writer, enum rf_snap_why why)
{
	size_t nr = 0;

	for (size_t i = 0; i < kept_nr(writer); i++) {
		const struct rf_record *record = kept_record(writer, i);

		nr += record->kind == RF_SNAP_BEGIN && record->f[1] == why;
		if (record->kind == RF_SNAP_END)
			assert_true(record->f[1] && record->f[2]);	/* whole, and it was stopped */
	}
	return nr;
}

/* Attached to; of so many exits one is looked at; the process and its child both end. */
static void attach_to_parent(u64 every, size_t exits)
{
	struct rf_writer *writer = kept_create();
	struct rf_follow *follow_;
	struct rf_follow_totals totals;
	struct rf_error err = { 0 };
	struct pollfd ended;
	int go[2], done[2], status;
	pid_t pid = start_parent(go, done);
	char letter;

	follow_ = rf_follow_create_attached(0, &err);
	assert_non_null(follow_);
	if (rf_follow_attach(follow_, &(struct rf_follow_options){ writer, NULL, every }, list_one, &pid, &err)) {
		print_message("skipped: %s\n", err.message);
		skip();
	}
	assert_true(rf_follow_has_seen(follow_, pid));
	assert_int_equal(snapshots_of(writer, RF_SNAP_ATTACH), 1);
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(read(done[0], &letter, 1), 1);
	/* No waitpid() meanwhile: it would take the tracing thread's reports. */
	ended = (struct pollfd){ .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	assert_true(ended.fd >= 0 ? poll(&ended, 1, 30000) == 1 : errno == ESRCH);
	rf_follow_stop(follow_);
	assert_int_equal(rf_follow_wait(follow_, &status, &totals, &err), 0);
	waitpid(pid, &status, WNOHANG);
	close(ended.fd);
	assert_int_equal(snapshots_of(writer, RF_SNAP_EXIT), exits);
	rf_follow_destroy(follow_);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
	kept_destroy(writer);
}

static void test_attach(void **state)
{
	(void)state;
	attach_to_parent(1, 2);
	attach_to_parent(2, 1);
	attach_to_parent(0, 0);
}

/* Who lives still at the end is stopped once more, traced until then or not. */
static void stop_attached(u64 every)
{
	struct rf_writer *writer = kept_create();
	struct rf_follow_totals totals;
	struct rf_error err = { 0 };
	struct rf_follow *follow_ = rf_follow_create_attached(0, &err);
	int go[2], done[2], status;
	pid_t pid = start_parent(go, done);

	assert_non_null(follow_);
	if (rf_follow_attach(follow_, &(struct rf_follow_options){ writer, NULL, every }, list_one, &pid, &err)) {
		print_message("skipped: %s\n", err.message);
		skip();
	}
	rf_follow_stop(follow_);
	assert_int_equal(rf_follow_wait(follow_, &status, &totals, &err), 0);
	assert_true(rf_follow_has_seen(follow_, pid));
	assert_int_equal(snapshots_of(writer, RF_SNAP_ATTACH), 1);
	assert_int_equal(snapshots_of(writer, RF_SNAP_STOP), 1);
	rf_follow_destroy(follow_);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
	kept_destroy(writer);
}

static void test_attach_and_stop(void **state)
{
	(void)state;
	stop_attached(0);
	stop_attached(1);
}

#define FORKERS 8
#define FORK_SECONDS 20

static void __attribute__((noreturn)) fork_all_the_time(void)
{
	u64 end = rf_monotonic() + FORK_SECONDS * 1000000000ull;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	while (rf_monotonic() < end) {
		if (!fork()) {
			usleep(50000);
			_exit(0);
		}
		usleep(1000);
	}
	_exit(0);
}

static int list_forkers(void *context, struct rf_pid_list *pids)
{
	for (const pid_t *pid = context; *pid; pid++)
		if (!rf_pid_list_add(pids, *pid))
			return -ENOMEM;
	return 0;
}

/* There is always somebody new: neither attaching nor stopping waits until there is not. */
static void test_attach_to_storm(void **state)
{
	struct rf_writer *writer = kept_create();
	struct rf_follow_totals totals;
	struct rf_error err = { 0 };
	struct rf_follow *follow_ = rf_follow_create_attached(0, &err);
	pid_t forkers[FORKERS + 1] = { 0 };
	u64 begin = rf_monotonic(), attached;
	int status;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	print_message("skipped: to look at 20 TiB of shadow takes seconds, whoever is born meanwhile\n");
	kept_destroy(writer);
	rf_follow_destroy(follow_);
	skip();
#endif
	assert_non_null(follow_);
	for (size_t i = 0; i < FORKERS; i++) {
		forkers[i] = fork();
		if (!forkers[i])
			fork_all_the_time();
	}
	if (rf_follow_attach(follow_, &(struct rf_follow_options){ writer, NULL, 4 }, list_forkers, forkers, &err)) {
		print_message("skipped: %s\n", err.message);
		skip();
	}
	attached = rf_monotonic();
	usleep(500000);
	rf_follow_stop(follow_);
	assert_int_equal(rf_follow_wait(follow_, &status, &totals, &err), 0);
	print_message("%.1f s, %.1f s\n", (double)(attached - begin) / 1e9, (double)(rf_monotonic() - attached) / 1e9);
	assert_true(rf_monotonic() - begin < FORK_SECONDS / 2 * 1000000000ull);
	for (size_t i = 0; i < FORKERS; i++) {
		assert_true(rf_follow_has_seen(follow_, forkers[i]));
		kill(forkers[i], SIGKILL);
		waitpid(forkers[i], &status, 0);
	}
	rf_follow_destroy(follow_);
	kept_destroy(writer);
}

static void __attribute__((noreturn)) recorder(int fd)
{
	char number[16];
	char *const argv[] = { (char *)self_path, "outlive", number, NULL };
	struct rf_error err = { 0 };
	struct rf_follow *follow_;

	prctl(PR_SET_NAME, "recorder");
	snprintf(number, sizeof(number), "%d", fd);
	follow_ = rf_follow_create(argv, &nobody_else, true, &err);
	if (!follow_ || rf_follow_start(follow_, &(struct rf_follow_options){ kept_create(), NULL, 1 }, &err))
		_exit(1);
	for (;;)
		pause();
}

/* kill -9 of the recorder: COMMAND goes on, and debuggers in it go on working. */
static void test_recorder_killed(void **state)
{
	int pipes[2], status;
	char letter;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid)
		recorder(pipes[1]);
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &letter, 1), 1);
	assert_int_equal(letter, 'r');
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(read(pipes[0], &letter, 1), 1);
	assert_int_equal(letter, '0');
	/* The pipe's last writer is gone when COMMAND is; the keeper holds nothing. */
	assert_int_equal(read(pipes[0], &letter, 1), 0);
	close(pipes[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads), cmocka_unit_test(test_exec_by_thread), cmocka_unit_test(test_vfork),
		cmocka_unit_test(test_signals), cmocka_unit_test(test_nested), cmocka_unit_test(test_many),
		cmocka_unit_test(test_process_vm), cmocka_unit_test(test_let_go), cmocka_unit_test(test_may_trace),
		cmocka_unit_test(test_may_trace_of_new_file),
		cmocka_unit_test(test_attach), cmocka_unit_test(test_attach_and_stop),
		cmocka_unit_test(test_attach_to_storm),
		cmocka_unit_test(test_orphan), cmocka_unit_test(test_no_such_command), cmocka_unit_test(test_stop),
		cmocka_unit_test(test_recorder_killed),
	};

	self_path = realpath("/proc/self/exe", NULL);
	if (argc > 1)
		return run_part(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
