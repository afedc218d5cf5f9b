// SPDX-License-Identifier: MIT
/*
 * The tracefs side of a recording. Two instances share one clock, so that their
 * streams merge into one order: one follows the recorded tasks, one sees what
 * anybody does to their pages. Writing a global file (ftrace_enabled, the
 * top-level buffer) could break somebody else's tracing and fails where the
 * function tracer is locked down; we never do.
 */
#include "capture/tracefs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <tracefs.h>
#include <unistd.h>

#include "capture/follow/tasks.h"
#include "capture/tracefs/instance.h"
#include "capture/tracefs/probes.h"

/* A process has two sessions while a part of a recording ends and the next begins. */
static const char *const instance_prefixes[2][RF_INSTANCES] = { { "refold-task-", "refold-system-" },
								{ "refold-next-task-", "refold-next-system-" } };

struct rf_session {
	const struct rf_decoder *decoder;
	struct tracefs_instance *instances[RF_INSTANCES];
	/* Of each, "tracing_on", and the directory of all: who unmounts tracefs meanwhile cannot have them stay. */
	int switches[RF_INSTANCES], directory;
	int marks;	/* RF_MARKS_OPTION, or -1 */
	bool whole_system;
	u32 page_size;
	u64 output_dev, output_ino;
	u64 marker_dev, marker_ino;
};

/* PROC_PID_INIT_INO: events and set_event_pid name tasks by their pids there. */
static bool in_first_pid_namespace(void)
{
	struct stat ns;

	return stat("/proc/self/ns/pid", &ns) || ns.st_ino == 0xeffffffc;
}

/* tracefs_tracing_dir() alone would mount tracefs where it is not; that is for the user to decide. */
bool rf_tracefs_instances(char *path, size_t size)
{
	if (!rf_tracefs_is_mounted() || !tracefs_tracing_dir())
		return false;
	snprintf(path, size, "%s/instances", tracefs_tracing_dir());
	return true;
}

int rf_tracefs_check(struct rf_error *err)
{
	char path[256];

	if (!in_first_pid_namespace())
		return rf_error_set(err, -EXDEV, RF_NO_OFFSET,
				    "inside a PID namespace (a container) the kernel's process numbers are not known: "
				    "record from the host");

	if (!rf_tracefs_instances(path, sizeof(path)))
		return rf_error_set(err, -ENOENT, RF_NO_OFFSET,
				    "tracefs is not mounted: run \"mount -t tracefs nodev "
				    "/sys/kernel/tracing\" as root");
	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "%s: %s: run as root", path, strerror(errno));
	return 0;
}

/* The recorder's pid of one of our instance names, or 0. */
static pid_t recorder_of(const char *name)
{
	for (int i = 0; i < 2 * RF_INSTANCES; i++) {
		const char *prefix = instance_prefixes[i / RF_INSTANCES][i % RF_INSTANCES];

		if (!strncmp(name, prefix, strlen(prefix)))
			return (pid_t)strtol(name + strlen(prefix), NULL, 10);
	}
	return 0;
}

/* A list first: the directory must not change while it is walked. */
static int add_name(const char *name, void *context)
{
	char ***names = context;

	if (recorder_of(name) > 0)
		*names = tracefs_list_add(*names, name);
	return 0;
}

int rf_remove_stale_instances(rf_removal_told *told, void *context)
{
	char **names = NULL;
	int removed = 0;

	tracefs_instances_walk(add_name, &names);
	for (int i = 0; names && names[i]; i++) {
		pid_t pid = recorder_of(names[i]);
		char path[512];
		int error;

		/* A live recorder keeps its name; a reused pid has another. */
		if (pid != getpid() && rf_process_is(pid, RF_RECORDER_COMM))
			continue;
		snprintf(path, sizeof(path), "%s/instances/%s", tracefs_tracing_dir(), names[i]);
		error = rmdir(path) ? errno : 0;
		removed += !error;
		if (told)
			told(context, "tracing instance", names[i], error);
	}
	tracefs_list_free(names);
	rf_probes_remove_stale(told, context);
	return removed;
}

static int set_up_instance(struct rf_session *session, enum rf_instance which,
			   const struct rf_session_options *options, struct rf_error *err)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%d", instance_prefixes[options->generation][which], (int)getpid());
	session->instances[which] = rf_instance_create(name, options->buffer_bytes[which], err);
	if (!session->instances[which])
		return err->code;
	errno = 0;
	session->switches[which] = tracefs_instance_file_open(session->instances[which], "tracing_on",
							      O_WRONLY | O_CLOEXEC);
	return session->switches[which] >= 0 ? 0 :
	       rf_error_set(err, errno ? -errno : -EIO, RF_NO_OFFSET, "cannot open tracing_on of instance %s: %s", name,
			    strerror(errno));
}

static int open_directory(struct rf_session *session, struct rf_error *err)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/instances", tracefs_tracing_dir());
	session->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return session->directory >= 0 ? 0 :
	       rf_error_set(err, -errno, RF_NO_OFFSET, "%s: %s", path, strerror(errno));
}

/* The kernel's own encoding, as in the s_dev fields. */
static u64 device_of(const struct stat *file)
{
	return (u64)major(file->st_dev) << 20 | minor(file->st_dev);
}

static void know_files(struct rf_session *session, const struct stat *output)
{
	struct stat marker;
	char path[256];

	if (output && S_ISREG(output->st_mode)) {
		session->output_dev = device_of(output);
		session->output_ino = output->st_ino;
	}
	snprintf(path, sizeof(path), "%s/trace_marker", tracefs_tracing_dir());
	if (!stat(path, &marker)) {
		session->marker_dev = device_of(&marker);
		session->marker_ino = marker.st_ino;
	}
}

struct rf_session *rf_session_create(const struct rf_decoder *decoder, const struct rf_session_options *options,
				     struct rf_error *err)
{
	struct rf_session *session = calloc(1, sizeof(*session));

	if (!session) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	session->decoder = decoder;
	session->switches[RF_INSTANCE_TASK] = session->switches[RF_INSTANCE_SYSTEM] = session->directory =
		session->marks = -1;
	session->whole_system = options->whole_system;
	session->page_size = (u32)sysconf(_SC_PAGESIZE);
	know_files(session, options->output);
	if (open_directory(session, err) ||
	    set_up_instance(session, RF_INSTANCE_TASK, options, err) ||
	    set_up_instance(session, RF_INSTANCE_SYSTEM, options, err) ||
	    (!session->whole_system &&
	     rf_instance_write(session->instances[RF_INSTANCE_TASK], "options/event-fork", "1", err))) {
		rf_session_destroy(session);
		return NULL;
	}
	return session;
}

/* In one go: each write copies what is there and waits for a grace period, some 30 ms, however long it is. */
static int append_pids(struct tracefs_instance *instance, const char *file, const struct rf_pid_list *list,
		       struct rf_error *err)
{
	const size_t longest = sizeof("2147483647 ");
	char *text = list->nr ? malloc(list->nr * longest) : NULL;
	size_t length = 0;
	int ret = 0;

	if (!list->nr)
		return 0;
	if (!text)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	for (size_t i = 0; i < list->nr; i++)
		length += (size_t)snprintf(text + length, longest, "%d ", (int)list->pids[i]);
	errno = 0;
	if (tracefs_instance_file_append(instance, file, text) < 0)
		ret = rf_error_set(err, errno ? -errno : -EIO, RF_NO_OFFSET, "cannot write %s: %s", file,
				   strerror(errno));
	free(text);
	return ret;
}

int rf_session_follow(struct rf_session *session, const struct rf_pid_list *tids, struct rf_error *err)
{
	return append_pids(session->instances[RF_INSTANCE_TASK], "set_event_pid", tids, err);
}

int rf_session_followed(const struct rf_session *session, struct rf_pid_list *tids)
{
	struct tracefs_instance *instance = session->instances[RF_INSTANCE_TASK];
	char *text = tracefs_instance_file_read(instance, "set_event_pid", NULL);
	bool room = true;

	for (char *at = text; at && *at && room;) {
		char *end;
		long tid = strtol(at, &end, 10);

		if (end == at)
			break;		/* "no pid" */
		room = tid <= 0 || rf_pid_list_add(tids, (pid_t)tid);
		at = end + strspn(end, " \n");
	}
	free(text);
	return room ? 0 : -ENOMEM;
}

int rf_session_hide(struct rf_session *session, const struct rf_pid_list *tids, struct rf_error *err)
{
	return append_pids(session->instances[RF_INSTANCE_TASK], "set_event_notrace_pid", tids, err);
}

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* The number that a $NAME in a filter stands for; 0: not known. */
static u64 filter_value(const struct rf_session *session, const char *name)
{
	const struct {
		const char *name;
		u64 value;
	} values[] = {
		{ "$MOVABLE", rf_decoder_gfp(session->decoder, RF_GFP_MOVABLE) },
		{ "$OUTPUT_DEV", session->output_dev }, { "$OUTPUT_INO", session->output_ino },
		{ "$MARKER_DEV", session->marker_dev }, { "$MARKER_INO", session->marker_ino },
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (starts_with(name, values[i].name))
			return values[i].value;
	return 0;
}

bool rf_session_filter(const struct rf_session *session, size_t event, char filter[RF_FILTER_MAX])
{
	const char *at = rf_events[event].filter;
	const size_t size = RF_FILTER_MAX;
	size_t used = 0;

	if (rf_events[event].kind == RF_BY_NUMBER) {
		rf_decoder_call_filter(session->decoder, filter);
		return true;
	}
	while (at && *at && used + 24 < size) {
		u64 value;

		if (*at != '$') {
			filter[used++] = *at++;
			continue;
		}
		value = filter_value(session, at);
		if (!value)
			return false;
		used += (size_t)snprintf(filter + used, size - used, "%llu", (unsigned long long)value);
		at++;
		at += strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	}
	filter[used] = '\0';
	return used > 0;
}

static void refuse(struct rf_event_status *status, const struct rf_event *event, const char *what)
{
	status->state = RF_EVENT_REFUSED;
	snprintf(status->reason, sizeof(status->reason), "%s:%s: the kernel refuses %s: %.60s", event->system,
		 event->name, what, strerror(errno));
}

static void enable_event(struct rf_session *session, size_t number, struct rf_event_status *status)
{
	const struct rf_event *event = &rf_events[number];
	struct tracefs_instance *instance = session->instances[event->instance];
	const char *group = rf_event_group(event);
	bool filtered, on;
	char filter[RF_FILTER_MAX];

	errno = 0;
	filtered = rf_session_filter(session, number, filter);
	if (filtered ? tracefs_event_file_write(instance, group, event->name, "filter", filter) < 0 :
		       event->probe && event->filter) {
		/* Without its filter a probe would show us what is none of our business. */
		refuse(status, event, "its filter");
		return;
	}
	/* ftrace:print has no switch: marks come by option, but see rf_session_start(). */
	if (!strcmp(event->system, "ftrace")) {
		session->marks = tracefs_instance_file_open(instance, RF_MARKS_OPTION, O_WRONLY | O_CLOEXEC);
		on = session->marks >= 0;
	} else {
		on = tracefs_event_file_write(instance, group, event->name, "enable", "1") >= 0;
	}
	if (!on) {
		refuse(status, event, "to enable it");
		return;
	}
	status->state = RF_EVENT_ON;
}

int rf_session_enable(struct rf_session *session, struct rf_event_status *status, struct rf_error *err)
{
	for (size_t i = 0; i < rf_nr_events; i++) {
		if (status[i].state != RF_EVENT_FOUND)
			continue;
		/* With no pid filter the task instance sees khugepaged too. */
		if (session->whole_system && rf_events[i].instance == RF_INSTANCE_SYSTEM &&
		    rf_events[i].kind == RF_PAGE_ALLOC)
			continue;
		enable_event(session, i, &status[i]);
		if (status[i].state != RF_EVENT_ON && rf_events[i].need == RF_NEED_ESSENTIAL)
			return rf_error_set(err, -EOPNOTSUPP, RF_NO_OFFSET, "%s: %s", status[i].reason,
					    rf_events[i].without);
	}
	return 0;
}

int rf_session_leave_out(struct rf_session *session, size_t event)
{
	const struct rf_event *off = &rf_events[event];

	return tracefs_event_file_write(session->instances[off->instance], rf_event_group(off), off->name, "enable",
					"0") < 0 ? -EIO : 0;
}

static int write_switch(int fd, const char *on)
{
	return fd < 0 || pwrite(fd, on, 1, 0) == 1 ? 0 : -errno;
}

int rf_session_start(struct rf_session *session, struct rf_error *err)
{
	int ret = 0;

	/* The task instance last: whatever it tells, the other has seen the causes of. */
	for (int i = RF_INSTANCES; i-- > 0 && !ret;)
		ret = write_switch(session->switches[i], "1");
	/* Marks go to an instance only while it is on: else who writes one is told EBADF (tracing_mark_write()). */
	if (!ret)
		ret = write_switch(session->marks, "1");
	return ret ? rf_error_set(err, ret, RF_NO_OFFSET, "cannot switch tracing on: %s", strerror(-ret)) : 0;
}

void rf_session_stop(struct rf_session *session)
{
	write_switch(session->marks, "0");
	for (int i = 0; i < RF_INSTANCES; i++)
		write_switch(session->switches[i], "0");
}

int rf_session_destroy(struct rf_session *session)
{
	int ret = 0;

	if (!session)
		return 0;
	if (session->marks >= 0)
		close(session->marks);
	for (int i = 0; i < RF_INSTANCES; i++) {
		int left = 0;

		/* An open file of an instance holds it. */
		if (session->switches[i] >= 0)
			close(session->switches[i]);
		if (session->instances[i])
			left = rf_instance_destroy(session->instances[i], session->directory);
		ret = ret ? ret : left;
	}
	if (session->directory >= 0)
		close(session->directory);
	free(session);
	return ret;
}

int rf_session_open_ring(const struct rf_session *session, enum rf_instance instance, int cpu)
{
	char file[64];
	int fd;

	snprintf(file, sizeof(file), "per_cpu/cpu%d/trace_pipe_raw", cpu);
	errno = 0;
	fd = tracefs_instance_file_open(session->instances[instance], file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? (errno ? -errno : -ENOENT) : fd;
}

int rf_session_open_stats(const struct rf_session *session, enum rf_instance instance, int cpu)
{
	char file[64];

	snprintf(file, sizeof(file), "per_cpu/cpu%d/stats", cpu);
	return tracefs_instance_file_open(session->instances[instance], file, O_RDONLY | O_CLOEXEC);
}

/* tracing_stats_read() counts anew at each read. */
u64 rf_session_lost(int stats_fd)
{
	static const char *const counters[] = { "\noverrun:", "\ncommit overrun:", "\ndropped events:" };
	char stats[1024];
	ssize_t bytes = stats_fd < 0 ? 0 : pread(stats_fd, stats, sizeof(stats) - 1, 0);
	u64 lost = 0;

	stats[bytes > 0 ? bytes : 0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		const char *at = strstr(stats, counters[i]);

		if (at)
			lost += strtoull(at + strlen(counters[i]), NULL, 10);
	}
	return lost;
}

u32 rf_session_page_size(const struct rf_session *session)
{
	return session->page_size;
}
