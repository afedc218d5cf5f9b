// SPDX-License-Identifier: MIT
/*
 * A kernel without events of system calls (CONFIG_FTRACE_SYSCALLS is off): their formats are not there. Linked into a
 * recorder of the tests with --wrap.
 */
#include <string.h>
#include <tracefs.h>

char *__real_tracefs_event_file_read(struct tracefs_instance *instance, const char *system, const char *event,
				     const char *file, int *size);
char *__wrap_tracefs_event_file_read(struct tracefs_instance *instance, const char *system, const char *event,
				     const char *file, int *size);

char *__wrap_tracefs_event_file_read(struct tracefs_instance *instance, const char *system, const char *event,
				     const char *file, int *size)
{
	if (!strcmp(system, "syscalls"))
		return NULL;
	return __real_tracefs_event_file_read(instance, system, event, file, size);
}
