// SPDX-License-Identifier: MIT
/*
 * Against a tracefs made of plain files: kernels that lack events, and what dead
 * recorders left behind. Also the lists of tasks, what ends a recording, and
 * device numbers below overlays.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <tracefs.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/snapshot/devices.h"
#include "capture/follow/ending.h"
#include "capture/perf/perf.h"
#include "capture/tracefs/probes.h"
#include "capture/tracefs/session.h"

#define FIELD "\tfield:unsigned long %.*s;\toffset:%d;\tsize:8;\tsigned:0;\n"

static char root[] = P_tmpdir "/refold-test-XXXXXX";
static const struct rf_kernel kernel = { "6.18", "x86_64", RF_ISA_X86, 12, 34, 46, true, false };

static void make_directory(const char *path)
{
	char copy[1024];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = copy + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(copy, 0700);
		*slash = '/';
	}
	mkdir(copy, 0700);
}

/* Two fields of a record may come from one field of the event. */
static bool is_repeated(const struct rf_event *event, int field)
{
	for (int i = 0; i < field; i++)
		if (event->fields[i].source && !strcmp(event->fields[i].source, event->fields[field].source))
			return true;
	return false;
}

/* The format file of an event, with the fields that its row in the table asks for. */
static void make_event(const struct rf_event *event, int id)
{
	char path[512];
	int offset = 8;
	FILE *file;

	snprintf(path, sizeof(path), "%s/events/%s/%s", root, rf_event_group(event), event->name);
	make_directory(path);
	strcat(path, "/format");
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "name: %s\nID: %d\nformat:\n", event->name, id);
	fputs("\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
	      "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n", file);
	if (!strcmp(event->system, "syscalls")) {
		fprintf(file, "\tfield:int __syscall_nr;\toffset:%d;\tsize:4;\tsigned:1;\n", offset);
		offset += 8;
	}
	for (int i = 0; i < RF_RECORD_FIELDS; i++) {
		const char *source = event->fields[i].source;

		if (!source || source[0] == '#' || is_repeated(event, i))
			continue;
		fprintf(file, FIELD, (int)strcspn(source, "|?/"), source, offset);
		offset += 8;
		if (strchr(source, '/')) {
			fprintf(file, FIELD, 60, strchr(source, '/') + 1, offset);
			offset += 8;
		}
	}
	for (int i = 0; i < 6 && !strncmp(event->name, "sys_enter_", 10); i++, offset += 8)
		fprintf(file, FIELD, 4, &"arg0\0arg1\0arg2\0arg3\0arg4\0arg5"[5 * i], offset);
	fputs("\nprint fmt: \"\"\n", file);
	fclose(file);
}

static void make_file(const char *name)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static void make_all_events(void)
{
	make_file(RF_MARKS_OPTION);
	for (size_t i = 0; i < rf_nr_events; i++)
		make_event(&rf_events[i], 100 + (int)i);
}

static void remove_event(const char *system, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/events/%s/%s/format", root, system, name);
	assert_int_equal(unlink(path), 0);
}

static int make_root(void **state)
{
	char path[512];

	if (!mkdtemp(root))
		return -1;
	snprintf(path, sizeof(path), "%s/instances", root);
	make_directory(path);
	snprintf(path, sizeof(path), "%s/options", root);
	make_directory(path);
	return tracefs_set_tracing_dir(root);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int remove_root(void **state)
{
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What a kernel with these events offers. */
struct offer {
	struct rf_event_status *status;
	enum rf_fault_source faults;
	struct rf_error err;
	int ret;
};

static struct offer learn(enum rf_fault_source faults)
{
	struct offer offer = { calloc(rf_nr_events, sizeof(*offer.status)), faults, { 0 }, 0 };
	struct rf_decoder *decoder = rf_decoder_create(&kernel, NULL);

	offer.ret = rf_events_learn(decoder, &kernel, &offer.faults, offer.status, &offer.err);
	rf_decoder_destroy(decoder);
	return offer;
}

static const struct rf_event_status *status_of(const struct offer *offer, const char *name)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (!strcmp(rf_events[i].name, name))
			return &offer->status[i];
	fail_msg("no event %s", name);
	return NULL;
}

static const struct rf_event *event_called(const char *name)
{
	for (size_t i = 0; i < rf_nr_events; i++)
		if (!strcmp(rf_events[i].name, name))
			return &rf_events[i];
	fail_msg("no event %s", name);
	return NULL;
}

/* It is a kprobe, and stands in for nothing: without kprobes, as here, it is not to be had. */
static bool is_extra_probe(const struct rf_event *event)
{
	return event->probe && event->need == RF_NEED_EXTRA;
}

/* This kernel counts at once. */
static bool is_of_batches(const struct rf_event *event)
{
	return event->kind == RF_RSS_CHANGE || event->kind == RF_SET_PTE;
}

static void test_all_events(void **state)
{
	struct offer offer;

	make_all_events();
	offer = learn(RF_FAULTS_BEST);
	if (offer.ret)
		fail_msg("%s", offer.err.message);
	assert_int_equal(offer.faults, RF_FAULTS_TRACEPOINT);
	for (size_t i = 0; i < rf_nr_events; i++) {
		bool spare = rf_events[i].need == RF_NEED_STAND_IN || is_of_batches(&rf_events[i]);
		enum rf_event_state wanted = spare ? RF_EVENT_SPARE : RF_EVENT_FOUND;

		if (offer.status[i].state != (is_extra_probe(&rf_events[i]) ? RF_EVENT_MISSING : wanted))
			fail_msg("%s", offer.status[i].reason);
	}
	free(offer.status);
}

static void test_missing_events(void **state)
{
	struct offer offer;
	size_t missing = 0;

	make_all_events();
	remove_event("tlb", "tlb_flush");
	remove_event("filemap", "mm_filemap_map_pages");
	offer = learn(RF_FAULTS_BEST);
	assert_int_equal(offer.ret, 0);
	for (size_t i = 0; i < rf_nr_events; i++)
		if (offer.status[i].state != RF_EVENT_FOUND && offer.status[i].state != RF_EVENT_SPARE) {
			assert_int_equal(offer.status[i].state, RF_EVENT_MISSING);
			assert_non_null(strstr(offer.status[i].reason, rf_events[i].name));
			assert_false(offer.status[i].replaced);
			missing += !is_extra_probe(&rf_events[i]);
		}
	assert_int_equal(missing, 2);
	free(offer.status);

	remove_event("kmem", "rss_stat");
	offer = learn(RF_FAULTS_BEST);
	assert_int_equal(offer.ret, -EOPNOTSUPP);
	assert_non_null(strstr(offer.err.message, "kmem:rss_stat"));
	free(offer.status);
}

static void test_stand_in(void **state)
{
	struct offer offer;

	make_all_events();
	remove_event("task", "task_newtask");
	offer = learn(RF_FAULTS_BEST);
	assert_int_equal(offer.ret, 0);
	assert_int_equal(status_of(&offer, "sched_process_fork")->state, RF_EVENT_FOUND);
	assert_true(status_of(&offer, "task_newtask")->replaced);
	free(offer.status);
	remove_event("sched", "sched_process_fork");
	offer = learn(RF_FAULTS_BEST);
	assert_int_equal(offer.ret, -EOPNOTSUPP);
	assert_non_null(strstr(offer.err.message, "task:task_newtask"));
	free(offer.status);
}

static void make_kprobe_files(void)
{
	make_file("kprobe_events");
	make_file("dynamic_events");
}

/* libtracefs takes the second where the kernel it runs on has it. */
static bool kprobe_files_hold(const char *text)
{
	static const char *const names[] = { "kprobe_events", "dynamic_events" };
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *lines = tracefs_instance_file_read(NULL, names[i], NULL);

		found |= lines && strstr(lines, text);
		free(lines);
	}
	return found;
}

/* A kernel without the page-fault tracepoints and, at first, without kprobes; then with. */
static void test_fault_sources(void **state)
{
	bool perf = !rf_perf_check(NULL);
	struct offer offer;
	char line[128];

	make_all_events();
	remove_event("exceptions", "page_fault_user");
	remove_event("exceptions", "page_fault_kernel");
	offer = learn(RF_FAULTS_BEST);
	assert_int_equal(offer.ret, perf ? 0 : -EOPNOTSUPP);
	assert_int_equal(offer.faults, perf ? RF_FAULTS_PERF : RF_FAULTS_BEST);
	assert_int_equal(status_of(&offer, "page_fault_user")->replaced, perf);
	free(offer.status);
	offer = learn(RF_FAULTS_KPROBE);
	assert_int_equal(offer.ret, -EOPNOTSUPP);
	assert_non_null(strstr(offer.err.message, "no kprobe events"));
	free(offer.status);

	make_kprobe_files();
	offer = learn(RF_FAULTS_TRACEPOINT);
	assert_int_equal(offer.ret, -EOPNOTSUPP);
	free(offer.status);
	snprintf(line, sizeof(line), "p:refold_%d/handle_mm_fault handle_mm_fault addr=$arg2:x64 flags=$arg3:x32\n",
		 (int)getpid());
	assert_false(kprobe_files_hold(line));
	offer = learn(RF_FAULTS_BEST);
	if (status_of(&offer, "handle_mm_fault")->state != RF_EVENT_FOUND)
		fail_msg("%s", status_of(&offer, "handle_mm_fault")->reason);
	assert_int_equal(offer.ret, 0);
	assert_int_equal(offer.faults, RF_FAULTS_KPROBE);
	assert_true(status_of(&offer, "page_fault_user")->replaced);
	assert_true(status_of(&offer, "page_fault_kernel")->replaced);
	free(offer.status);
	/* These files hold what was written last. */
	assert_int_equal(rf_probe_create(event_called("handle_mm_fault"), NULL), 0);
	assert_true(kprobe_files_hold(line));
	rf_probes_remove();
	snprintf(line, sizeof(line), "-:refold_%d/handle_mm_fault", (int)getpid());
	assert_true(kprobe_files_hold(line));
}

/* Where the tracepoints are there, another source is used only if asked for. */
static void test_asked_for_faults(void **state)
{
	struct offer offer;

	make_all_events();
	make_kprobe_files();
	offer = learn(RF_FAULTS_KPROBE);
	assert_int_equal(offer.ret, 0);
	assert_int_equal(offer.faults, RF_FAULTS_KPROBE);
	assert_int_equal(status_of(&offer, "page_fault_user")->state, RF_EVENT_SPARE);
	assert_int_equal(status_of(&offer, "handle_mm_fault")->state, RF_EVENT_FOUND);
	free(offer.status);
	if (rf_perf_check(NULL))
		return;
	offer = learn(RF_FAULTS_PERF);
	assert_int_equal(offer.ret, 0);
	assert_int_equal(offer.faults, RF_FAULTS_PERF);
	assert_int_equal(status_of(&offer, "page_fault_user")->state, RF_EVENT_SPARE);
	assert_int_equal(status_of(&offer, "handle_mm_fault")->state, RF_EVENT_SPARE);
	free(offer.status);
}

/* Before Linux 6.16 marks are seen where they are written. */
static void test_marks_without_copies(void **state)
{
	char path[512];
	struct offer offer;

	make_all_events();
	snprintf(path, sizeof(path), "%s/" RF_MARKS_OPTION, root);
	assert_int_equal(unlink(path), 0);
	make_kprobe_files();
	offer = learn(RF_FAULTS_BEST);
	assert_int_equal(offer.ret, 0);
	assert_int_equal(status_of(&offer, "print")->state, RF_EVENT_MISSING);
	assert_true(status_of(&offer, "print")->replaced);
	assert_int_equal(status_of(&offer, "vfs_write")->state, RF_EVENT_FOUND);
	assert_true(kprobe_files_hold("/vfs_write vfs_write ino="));
	assert_false(kprobe_files_hold("handle_mm_fault"));
	free(offer.status);
}

static void make_instance(const char *what, pid_t pid)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/instances/%s-%d", root, what, (int)pid);
	make_directory(path);
}

static bool has_instance(const char *what, pid_t pid)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/instances/%s-%d", root, what, (int)pid);
	return !access(path, F_OK);
}

/* A process of this name that waits to be killed. */
static pid_t start_process(const char *comm)
{
	pid_t pid;
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NAME, comm);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Only what dead recorders left goes away: not a live recorder's, not a stranger's. */
static void test_stale_instances(void **state)
{
	pid_t alive = start_process("refold-capture"), reused = start_process("sleep"), dead = start_process("x");

	end_process(dead);
	make_instance("refold-task", dead);
	make_instance("refold-system", dead);
	make_instance("refold-task", reused);
	make_instance("refold-task", alive);
	make_instance("refold-system", alive);
	make_instance("refold-bench", dead);
	make_instance("trace-cmd", dead);
	assert_int_equal(rf_remove_stale_instances(NULL, NULL), 3);
	assert_false(has_instance("refold-task", dead));
	assert_false(has_instance("refold-system", dead));
	assert_false(has_instance("refold-task", reused));
	assert_true(has_instance("refold-task", alive));
	assert_true(has_instance("refold-system", alive));
	assert_true(has_instance("refold-bench", dead));
	assert_true(has_instance("trace-cmd", dead));
	end_process(alive);
	assert_int_equal(rf_remove_stale_instances(NULL, NULL), 2);
	end_process(reused);
}

static void test_tasks(void **state)
{
	pid_t child = start_process("child");
	struct rf_pid_list list = { 0 };
	siginfo_t ended;

	assert_int_equal(rf_threads_of(child, &list), 1);
	assert_int_equal(rf_threads_of(child, &list), 0);
	assert_true(rf_pid_list_has(&list, child));
	assert_int_equal(rf_process_of(child), child);
	assert_true(rf_process_is(child, "child"));
	assert_false(rf_process_is(child, "chil"));
	assert_true(rf_all_processes(child, &list) > 0);
	assert_true(rf_pid_list_has(&list, getpid()));
	assert_false(rf_pid_list_has(&list, child));
	assert_false(rf_pid_list_has(&list, 2));		/* kthreadd, or nobody: no memory */
	/* Ended, but nobody has waited for it: it still has its name. */
	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
	assert_false(rf_process_is(child, "child"));
	end_process(child);
	assert_int_equal(rf_threads_of(child, &list), -ESRCH);
	rf_pid_list_free(&list);
}

static void test_ending(void **state)
{
	struct rf_ending ending = RF_ENDING_NONE;
	struct rf_pid_list pids = { 0 };
	pid_t one = start_process("one"), two = start_process("two");
	int number_fd = eventfd(0, 0);
	struct rf_error err;
	u64 number = 1;

	rf_pid_list_add(&pids, one);
	rf_pid_list_add(&pids, two);
	assert_int_equal(rf_ending_watch(&ending, &pids, &err), 0);
	assert_int_equal(rf_ending_arm(&ending, 0.05, &err), 0);
	assert_int_equal(rf_ending_wait(&ending, -1), RF_END_TIME);
	rf_ending_close(&ending);

	assert_int_equal(rf_ending_watch(&ending, &pids, &err), 0);
	assert_int_equal(rf_ending_arm(&ending, 0, &err), 0);
	end_process(one);
	kill(getpid(), SIGTERM);
	assert_int_equal(rf_ending_wait(&ending, -1), RF_END_SIGNAL);		/* one of two still lives */
	rf_ending_close(&ending);
	rf_pid_list_remove(&pids, two);
	assert_int_equal(rf_ending_watch(&ending, &pids, &err), -ESRCH);
	assert_non_null(strstr(err.message, "no such process"));
	rf_ending_close(&ending);

	/* Who has ended need not be watched, if somebody lives. */
	rf_pid_list_add(&pids, two);
	assert_int_equal(rf_ending_watch(&ending, &pids, &err), 0);
	assert_int_equal(ending.nr_pidfds, 1);
	assert_int_equal(rf_ending_arm(&ending, 0, &err), 0);
	end_process(two);
	assert_int_equal(rf_ending_wait(&ending, -1), RF_END_PROCESSES);
	assert_int_equal(write(number_fd, &number, sizeof(number)), sizeof(number));
	assert_int_equal(rf_ending_wait(&ending, number_fd), RF_END_COMMAND);
	assert_int_equal(write(ending.failed_fd, &number, sizeof(number)), sizeof(number));
	assert_int_equal(rf_ending_wait(&ending, -1), RF_END_ERROR);
	rf_ending_close(&ending);
	close(number_fd);
	rf_pid_list_free(&pids);
}

struct ticks {
	int looks, asked;
};

static enum rf_end count_tick(void *context, bool asked)
{
	struct ticks *ticks = context;

	ticks->looks++;
	ticks->asked += asked;
	/* It has to be asked for, and to be looked at some times without. */
	return ticks->asked && ticks->looks > 5 ? RF_END_SIZE : RF_END_NONE;
}

/* SIGUSR1 asks how it goes, and ends nothing; a look may. */
static void test_looks(void **state)
{
	struct rf_ending ending = RF_ENDING_NONE;
	struct ticks ticks = { 0 };
	struct rf_error err;

	assert_int_equal(rf_ending_arm(&ending, 0, &err), 0);
	ending.tick = count_tick;
	ending.context = &ticks;
	ending.tick_ms = 1;
	kill(getpid(), SIGUSR1);
	assert_int_equal(rf_ending_wait(&ending, -1), RF_END_SIZE);
	assert_int_equal(ticks.asked, 1);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGINT);
	assert_int_equal(rf_ending_wait(&ending, -1), RF_END_SIGNAL);
	rf_ending_close(&ending);
}

static u64 device_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (u64)major(st.st_dev) << 20 | minor(st.st_dev);
}

/* A file on overlayfs: its device is the overlay's, its pages are those of the file system below. */
static void test_device_below(void **state)
{
	static const char *const layers[] = { "lower", "upper", "work", "merged" };
	char paths[4][256], options[1024];
	int ret;

	for (int i = 0; i < 4; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", root, layers[i]);
		make_directory(paths[i]);
	}
	assert_int_equal(rf_device_below(0), 0);
	assert_int_equal(rf_device_below(8 << 20 | 1), 8 << 20 | 1);
	assert_int_equal(rf_device_below(device_of(root)), device_of(root));
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", paths[0], paths[1], paths[2]);
	ret = mount("overlay", paths[3], "overlay", 0, options);
	if (ret) {
		print_message("no overlayfs here: %s\n", strerror(errno));
		skip();
	}
	ret = rf_device_below(device_of(paths[3])) == device_of(paths[1]) &&
	      device_of(paths[3]) != device_of(paths[1]);
	umount(paths[3]);
	assert_true(ret);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_events), cmocka_unit_test(test_missing_events),
		cmocka_unit_test(test_stand_in), cmocka_unit_test(test_fault_sources),
		cmocka_unit_test(test_asked_for_faults), cmocka_unit_test(test_marks_without_copies),
		cmocka_unit_test(test_stale_instances), cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_ending),		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_device_below),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
