// SPDX-License-Identifier: MIT
/* How a recording goes, as OpenMetrics. */
#include "capture/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_labels(FILE *file, const struct rf_labels *labels)
{
	for (size_t i = 0; i < labels->nr; i++) {
		const struct rf_label *label = &labels->label[i];

		fprintf(file, "%s%.*s=\"", i ? "," : "{", (int)(label->value - label->key - 1), label->key);
		for (const char *at = label->value; *at; at++)
			fprintf(file, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
		fputc('"', file);
	}
	if (labels->nr)
		fputc('}', file);
}

static void print(FILE *file, const struct rf_labels *labels, const struct rf_progress *progress, bool running)
{
	const struct {
		const char *name, *type, *help;
		double value;
	} rows[] = {
		{ "events", "counter", "Events in the trace.", (double)progress->records },
		{ "lost_events", "counter", "Events that were lost.", (double)progress->lost },
		{ "trace_bytes", "gauge", "Size of the trace, about.", (double)progress->bytes },
		{ "buffer_bytes", "gauge", "Buffers in the kernel.", (double)progress->buffer_bytes },
		{ "elapsed_seconds", "gauge", "Time since the recording began.", (double)progress->elapsed_ns / 1e9 },
		{ "cpu_seconds", "counter", "CPU time of the recorder.", (double)progress->cpu_ns / 1e9 },
		{ "running", "gauge", "1 while it records, 0 when it has ended.", running },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fprintf(file, "# TYPE refold_capture_%s %s\n# HELP refold_capture_%s %s\nrefold_capture_%s%s",
			rows[i].name, rows[i].type, rows[i].name, rows[i].help, rows[i].name,
			rows[i].type[0] == 'c' ? "_total" : "");
		print_labels(file, labels);
		fprintf(file, " %.17g\n", rows[i].value);
	}
	fputs("# EOF\n", file);
}

/* What is in the making has always the same name, so that at most one is left of recorders that were killed. */
static char *name_in_the_making(const char *path)
{
	char *name;

	return asprintf(&name, "%s.new", path) < 0 ? NULL : name;
}

/* Not synced: the next one comes; it comes also where somebody cleans up just now, and this one has gone. */
int rf_metrics_write(const char *path, const struct rf_labels *labels, const struct rf_progress *progress,
		     bool running)
{
	char *name = name_in_the_making(path);
	FILE *file;
	int fd, ret = 0;

	if (!name)
		return -ENOMEM;
	unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		goto out;
	}
	fchmod(fd, 0644);
	print(file, labels, progress, running);
	ret = ferror(file) ? -EIO : 0;
	if (fclose(file) && !ret)
		ret = -errno;
	if (!ret && rename(name, path) && errno != ENOENT)
		ret = -errno;
	if (ret)
		unlink(name);
out:
	free(name);
	return ret;
}

int rf_metrics_remove_stale(const char *path, rf_removal_told *told, void *context)
{
	char *name = name_in_the_making(path);
	struct stat file;
	int error = 0;

	if (!name)
		return -ENOMEM;
	if (lstat(name, &file))
		error = errno;
	else if (!S_ISREG(file.st_mode) || unlink(name))
		error = S_ISREG(file.st_mode) ? errno : EINVAL;
	if (error != ENOENT)
		told(context, "file", name, error);
	free(name);
	return 0;
}
