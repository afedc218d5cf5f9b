// SPDX-License-Identifier: MIT
/*
 * Following real process trees: this program runs itself, under rf_follow_*(), as each of the "parts" below and
 * looks at what was recorded and at whether the part noticed anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/follow.h"
#include "kept_records.h"

/* A leak check at the end of every part would be one more tracer in it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static const char *self_path;

/* ---- parts: what runs under us; exit status 0 if all went as it does without us ---- */

static void nap(long milliseconds)
{
	struct timespec ts = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static void *nap_thread(void *argument)
{
	nap((long)(intptr_t)argument);
	return NULL;
}

/* Short threads, then the leader ends before the last one. */
static int part_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 50; i++) {
		if (pthread_create(&thread, NULL, nap_thread, (void *)(intptr_t)(i % 3)))
			return 1;
		if (i % 2)
			pthread_join(thread, NULL);
		else
			pthread_detach(thread);
	}
	if (pthread_create(&thread, NULL, nap_thread, (void *)100))
		return 1;
	pthread_exit(NULL);
}

static void *exec_thread(void *part)
{
	execl(self_path, self_path, part, NULL);
	return NULL;
}

static int exec_by_thread(const char *part)
{
	pthread_t threads[4];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, nap_thread, (void *)10000);
	pthread_create(&threads[3], NULL, exec_thread, (void *)part);
	nap(10000);
	return 1;
}

static int part_exec_by_thread(void)
{
	return exec_by_thread("child");
}

static int part_exec_attached(void)
{
	return exec_by_thread("attached");
}

/* A child that executes, and one that ends in its parent's memory. */
static int part_vfork(void)
{
	volatile int touched = 0;
	int status, ok = 0;
	pid_t pid = vfork();

	if (!pid) {
		execl(self_path, self_path, "child", NULL);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	ok += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	pid = vfork();
	if (!pid) {
		touched = 1;
		_exit(7);
	}
	waitpid(pid, &status, 0);
	ok += WIFEXITED(status) && WEXITSTATUS(status) == 7 && touched;
	return ok == 2 ? 0 : 1;
}

static volatile sig_atomic_t caught;

static void catch(int signal)
{
	caught += signal == SIGUSR1;
}

/* Handlers run, job control works as seen by the parent, fatal signals are told as such. */
static int part_signals(void)
{
	int status, ok = 0;
	pid_t pid;

	signal(SIGUSR1, catch);
	for (int i = 0; i < 100; i++)
		raise(SIGUSR1);
	ok += caught == 100;
	pid = fork();
	if (!pid) {
		setpgid(0, 0);		/* in an orphaned group SIGTSTP would do nothing */
		raise(SIGSTOP);
		raise(SIGTSTP);
		abort();
	}
	for (int i = 0; i < 2; i++) {
		ok += waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
		nap(30);
		kill(pid, SIGCONT);
		if (i == 0)
			ok += waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status);
	}
	waitpid(pid, &status, 0);
	ok += WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
	pid = fork();
	if (!pid) {
		for (;;)
			pause();
	}
	nap(20);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ok += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return ok == 6 ? 0 : 1;
}

/* TRACEME, then an exec and a system call seen by the nested tracer. */
static int nested_traceme(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(50);
		execl(self_path, self_path, "child", NULL);
		_exit(51);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		return 1;
	if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 2;
	if (ptrace(PTRACE_CONT, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
		return 3;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 4;
}

static int nested_attach(enum __ptrace_request how)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		for (;;)
			pause();
	}
	nap(10);
	if (ptrace(how, pid, NULL, NULL))
		return 11;
	if (how == PTRACE_SEIZE && ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
		return 12;
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 13;
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		return 14;
	kill(pid, SIGTERM);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : 15;
}

/* A child attaches to its parent, as crash handlers do. */
static int part_attached(void)
{
	pid_t parent = getpid(), pid = fork();
	int status;

	if (!pid) {
		if (ptrace(PTRACE_ATTACH, parent, NULL, NULL))
			_exit(41);
		if (waitpid(parent, &status, 0) != parent || !WIFSTOPPED(status))
			_exit(42);
		_exit(ptrace(PTRACE_DETACH, parent, NULL, NULL) ? 43 : 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 44;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 45;
}

static int part_ptrace(void)
{
	int code = nested_traceme();

	if (!code)
		code = nested_attach(PTRACE_ATTACH);
	if (!code)
		code = nested_attach(PTRACE_SEIZE);
	return code;
}

/* A debugger and what it attaches to in a PID namespace of their own: it calls its target by another number. */
static int part_namespace(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		return 31;
	pid = fork();
	if (!pid)
		_exit(getpid() == 1 ? nested_attach(PTRACE_ATTACH) : 32);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 33;
}

/* As LeakSanitizer does: a CLONE_UNTRACED helper that shares the memory attaches to its parent's threads. */
static int leak_checker(void *argument)
{
	pid_t parent = (pid_t)(intptr_t)argument;
	int status;

	if (ptrace(PTRACE_ATTACH, parent, NULL, NULL))
		_exit(errno == ENOSYS ? 21 : 22);
	if (waitpid(parent, &status, __WALL) != parent || !WIFSTOPPED(status))
		_exit(23);
	if (ptrace(PTRACE_DETACH, parent, NULL, NULL))
		_exit(24);
	_exit(0);
}

static int part_untraced(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t pid = clone(leak_checker, stack + sizeof(stack), CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED,
			  (void *)(intptr_t)getpid());

	if (pid < 0)
		return 25;
	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return 26;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 27;
}

static int part_many(void)
{
	for (int i = 0; i < 300; i++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(i & 63);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != (i & 63))
			return 1;
	}
	return 0;
}

/* A parent that ends while its child goes on; nobody waits for it. */
static int part_orphan(void)
{
	if (!fork()) {
		nap(20000);
		_exit(0);
	}
	nap(20);
	return 0;
}

/* Argument 2: a descriptor to tell "still alive and able to ptrace" on, after the recorder's death. */
static int part_outlive(int fd)
{
	char ready = 'r', verdict;

	if (write(fd, &ready, 1) != 1)
		return 1;
	while (getppid() != 1 && prctl(PR_GET_CHILD_SUBREAPER, &(int){ 0 }) == 0 && kill(getppid(), 0) == 0) {
		char path[64], line[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)getppid());
		file = fopen(path, "re");
		if (file) {
			(void)!fgets(line, sizeof(line), file);
			fclose(file);
		}
		if (strncmp(line, "recorder", 8))
			break;
		nap(5);
	}
	nap(20);
	verdict = (char)('0' + part_ptrace());
	return write(fd, &verdict, 1) == 1 ? 0 : 1;
}

static int run_part(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} parts[] = {
		{ "threads", part_threads }, { "exec-by-thread", part_exec_by_thread }, { "vfork", part_vfork },
		{ "signals", part_signals }, { "ptrace", part_ptrace }, { "untraced", part_untraced },
		{ "namespace", part_namespace }, { "attached", part_attached },
		{ "exec-attached", part_exec_attached },
		{ "many", part_many }, { "orphan", part_orphan },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strcmp(argv[1], parts[i].name))
			return parts[i].run();
	if (!strcmp(argv[1], "outlive") && argc > 2)
		return part_outlive(atoi(argv[2]));
	return strcmp(argv[1], "child") ? 98 : 0;
}

/* ---- tests ---- */

struct outcome {
	struct rf_writer *writer;
	struct rf_follow_totals totals;
	int status;
};

static void follow(struct outcome *outcome, char *const argv[])
{
	struct rf_error err = { 0 };
	struct rf_follow *follow = rf_follow_create(argv, &err);
	struct pollfd done;

	assert_non_null(follow);
	outcome->writer = kept_create();
	assert_int_equal(rf_follow_start(follow, outcome->writer, NULL, &err), 0);
	done = (struct pollfd){ .fd = rf_follow_fd(follow), .events = POLLIN };
	assert_int_equal(poll(&done, 1, 30000), 1);
	assert_int_equal(rf_follow_wait(follow, &outcome->status, &outcome->totals, &err), 0);
	rf_follow_destroy(follow);
}

static void follow_part(struct outcome *outcome, const char *part)
{
	char *const argv[] = { (char *)self_path, (char *)part, NULL };

	follow(outcome, argv);
	if (!outcome->totals.exit_snapshots) {
		print_message("skipped: no exit snapshots: %s\n", outcome->totals.why);
		kept_destroy(outcome->writer);
		skip();
	}
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
	follow_ = rf_follow_create(argv, &err);
	assert_non_null(follow_);
	assert_int_equal(rf_follow_start(follow_, writer, NULL, &err), -ENOENT);
	assert_string_equal(err.message, "no-such-command-of-refold: No such file or directory");
	rf_follow_destroy(follow_);
	follow_ = rf_follow_create(argv, &err);	/* never started */
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
	follow_ = rf_follow_create(argv, &err);
	assert_non_null(follow_);
	pid = rf_follow_pid(follow_);
	assert_int_equal(rf_follow_start(follow_, writer, NULL, &err), 0);
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

static void __attribute__((noreturn)) recorder(int fd)
{
	char number[16];
	char *const argv[] = { (char *)self_path, "outlive", number, NULL };
	struct rf_error err = { 0 };
	struct rf_follow *follow_;

	prctl(PR_SET_NAME, "recorder");
	snprintf(number, sizeof(number), "%d", fd);
	follow_ = rf_follow_create(argv, &err);
	if (!follow_ || rf_follow_start(follow_, kept_create(), NULL, &err))
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
		cmocka_unit_test(test_orphan), cmocka_unit_test(test_no_such_command), cmocka_unit_test(test_stop),
		cmocka_unit_test(test_recorder_killed),
	};

	self_path = realpath("/proc/self/exe", NULL);
	if (argc > 1)
		return run_part(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
