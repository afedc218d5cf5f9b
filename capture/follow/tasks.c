// SPDX-License-Identifier: MIT
/*
 * Which threads and processes exist. /proc is a moving picture: callers list
 * again until nothing new turns up.
 */
#include "capture/follow/tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"

bool rf_pid_list_add(struct rf_pid_list *list, pid_t pid)
{
	if (array_grow(list->pids, list->room, list->nr + 1))
		return false;
	list->pids[list->nr++] = pid;
	return true;
}

bool rf_pid_list_has(const struct rf_pid_list *list, pid_t pid)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->pids[i] == pid)
			return true;
	return false;
}

void rf_pid_list_remove(struct rf_pid_list *list, pid_t pid)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->pids[i] == pid) {
			list->pids[i] = list->pids[--list->nr];
			return;
		}
}

void rf_pid_list_free(struct rf_pid_list *list)
{
	free(list->pids);
	memset(list, 0, sizeof(*list));
}

/* Add the numeric names of a directory for which keep() holds; -ESRCH where it cannot be opened. */
static int add_numbers(const char *path, struct rf_pid_list *list, bool (*keep)(pid_t pid))
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int added = 0;

	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0 || rf_pid_list_has(list, pid) || !keep(pid))
			continue;
		if (!rf_pid_list_add(list, pid)) {
			added = -ENOMEM;
			break;
		}
		added++;
	}
	closedir(dir);
	return added;
}

static bool keep_any(pid_t pid)
{
	return true;
}

bool rf_task_status(pid_t tid, const char *key, char *value, size_t size)
{
	size_t length = strlen(key);
	char path[64], line[512];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, key, length);
	if (file)
		fclose(file);
	if (found)
		snprintf(value, size, "%s", line + length);
	return found;
}

/* Kernel threads and zombies have no VMAs, so no VmSize. */
bool rf_has_memory(pid_t pid)
{
	char value[64];

	return rf_task_status(pid, "VmSize:", value, sizeof(value));
}

int rf_threads_of(pid_t pid, struct rf_pid_list *list)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	return add_numbers(path, list, keep_any);
}

int rf_all_processes(pid_t except, struct rf_pid_list *list)
{
	int added = add_numbers("/proc", list, rf_has_memory);

	rf_pid_list_remove(list, except);
	return added;
}

pid_t rf_process_of(pid_t tid)
{
	char value[64];

	return rf_task_status(tid, "Tgid:", value, sizeof(value)) ? (pid_t)strtol(value, NULL, 10) : -1;
}

bool rf_process_name(pid_t pid, char *name, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	return read_first_line(path, name, size);
}

bool rf_process_is(pid_t pid, const char *comm)
{
	char name[64], state[64];

	if (!rf_process_name(pid, name, sizeof(name)) || strcmp(name, comm))
		return false;
	return rf_task_status(pid, "State:", state, sizeof(state)) && !strpbrk(state, "ZX");
}

bool rf_may_trace_us(pid_t pid)
{
	char tracer[64];

	return rf_process_is(pid, RF_RECORDER_COMM) ||
	       (rf_task_status(getpid(), "TracerPid:", tracer, sizeof(tracer)) && strtol(tracer, NULL, 10) == pid);
}

static pid_t parent_of(pid_t pid)
{
	char path[32], text[512], *after;
	ssize_t bytes;
	int fd, parent = -1;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[bytes > 0 ? bytes : 0] = '\0';
	after = strrchr(text, ')');	/* "pid (name) state ppid": a name may hold anything */
	if (after)
		sscanf(after, ") %*c %d", &parent);
	return parent;
}

bool rf_shares_memory(pid_t pid)
{
	pid_t parent = parent_of(pid);

	return parent > 0 && syscall(SYS_kcmp, parent, pid, KCMP_VM, 0, 0) == 0;
}
