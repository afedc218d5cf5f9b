// SPDX-License-Identifier: MIT
/*
 * A tracefs instance of ours. A new one has the options of the top-level one
 * (trace_array_create() copies its trace_flags), which whoever traces there has set
 * for himself: a stack trace with each event makes it three times as dear, and not
 * to overwrite hides where events were lost.
 */
#include "capture/tracefs/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * What is recorded, how and for what price. Not those that set_tracer_flag() changes for other instances as well,
 * whichever it is told of: record-cmd, record-tgid (trace_event_enable_cmd_record() walks the events of all), and
 * trace_printk. Options that only lay out text do not matter: raw pages are read. A new instance is enabled on every
 * CPU, its clock "local", its tracer "nop", without triggers, filters and pids, whatever the top-level one has.
 */
static const struct {
	const char *file, *value;
} settings[] = {
	{ "tracing_on", "0" },
	{ "trace_clock", "mono" },
	{ "options/overwrite", "1" },	/* else losses are not told where they are */
	{ "options/stacktrace", "0" },
	{ "options/userstacktrace", "0" },
	{ "options/event-fork", "0" },
	{ "options/function-fork", "0" },
	{ "options/pause-on-trace", "0" },
	{ "options/disable_on_free", "0" },
	{ "options/markers", "1" },
	{ "buffer_percent", "50" },	/* absent before Linux 5.0: then the drain threads only wake more often */
};

int rf_instance_write(struct tracefs_instance *instance, const char *file, const char *text, struct rf_error *err)
{
	errno = 0;
	if (tracefs_instance_file_write(instance, file, text) >= 0)
		return 0;
	return rf_error_set(err, errno ? -errno : -EIO, RF_NO_OFFSET, "cannot write \"%s\" to %s of instance %s: %s",
			    text, file, tracefs_instance_get_name(instance), strerror(errno));
}

/* Pages of the ring are those of the machine, as the drain takes them. */
static int set_sizes(struct tracefs_instance *instance, size_t buffer_bytes, struct rf_error *err)
{
	char text[32];
	int ret = 0;

	snprintf(text, sizeof(text), "%ld", sysconf(_SC_PAGESIZE) / 1024);
	if (tracefs_file_exists(instance, "buffer_subbuf_size_kb"))
		ret = rf_instance_write(instance, "buffer_subbuf_size_kb", text, err);
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "%zu", (buffer_bytes + 1023) / 1024);
	ret = rf_instance_write(instance, "buffer_size_kb", text, err);
	return ret ? rf_error_set(err, ret, RF_NO_OFFSET, "cannot allocate ring buffers of %s KiB per CPU: %s: "
				  "try a smaller --buffer", text, strerror(-ret)) : 0;
}

static int set_up(struct tracefs_instance *instance, size_t buffer_bytes, struct rf_error *err)
{
	int ret = 0;

	/* One that is left over and could not be removed has somebody else's events. */
	if (!tracefs_instance_is_new(instance))
		return rf_error_set(err, -EBUSY, RF_NO_OFFSET, "tracefs instance %s is there already and in use",
				    tracefs_instance_get_name(instance));
	for (size_t i = 0; i < ARRAY_SIZE(settings) && !ret; i++)
		if (tracefs_file_exists(instance, settings[i].file))
			ret = rf_instance_write(instance, settings[i].file, settings[i].value, err);
	return ret ? ret : set_sizes(instance, buffer_bytes, err);
}

struct tracefs_instance *rf_instance_create(const char *name, size_t buffer_bytes, struct rf_error *err)
{
	struct tracefs_instance *instance;

	errno = 0;
	instance = tracefs_instance_create(name);
	if (!instance) {
		rf_error_set(err, errno ? -errno : -EIO, RF_NO_OFFSET, "cannot create tracefs instance %s: %s%s", name,
			     strerror(errno), errno == ENOMEM ? ": try a smaller --buffer" : "");
		return NULL;
	}
	if (!set_up(instance, buffer_bytes, err))
		return instance;
	if (tracefs_instance_is_new(instance))
		tracefs_instance_destroy(instance);
	tracefs_instance_free(instance);
	return NULL;
}

int rf_instance_destroy(struct tracefs_instance *instance, int directory)
{
	int ret = unlinkat(directory, tracefs_instance_get_name(instance), AT_REMOVEDIR) ? -errno : 0;

	tracefs_instance_free(instance);
	return ret;
}
