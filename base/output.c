// SPDX-License-Identifier: MIT
/* Files that are written: beside their place until they are whole, or growing in it. See output.h for why. */
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define READER_MS 10000		/* who reads a FIFO may pause for so long */

static void forget(struct rf_output *output)
{
	free(output->temporary);
	free(output->path);
	free(output->old);
	*output = (struct rf_output){ .fd = -1 };
}

static int failed(struct rf_output *output, struct rf_error *err, const char *what, int error)
{
	rf_output_fail(output);
	return rf_error_set(err, -error, RF_NO_OFFSET, "%s: %s", what, strerror(error));
}

/* A device, a FIFO: nothing to make or to replace. open() of a FIFO would wait for a reader for ever. */
static int begin_in_place(struct rf_output *output, mode_t mode, enum rf_output_how how, struct rf_error *err)
{
	output->fd = open(output->path, O_WRONLY | O_CLOEXEC | (S_ISFIFO(mode) ? O_NONBLOCK : 0));
	if (output->fd < 0 && errno == ENXIO && S_ISFIFO(mode))
		return failed(output, err, "a FIFO that nobody reads", ENXIO);
	if (output->fd < 0)
		return failed(output, err, "cannot write to it", errno);
	if (S_ISFIFO(mode) && how == RF_OUTPUT_WHOLE)
		fcntl(output->fd, F_SETFL, O_WRONLY);
	return 0;
}

#define OUR_FILES "/proc/self/fd"	/* by which a nameless file gets a name */

/* In the directory of its place, with no name: whatever kills us, the kernel takes it away. */
static int create_nameless(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory;
	int fd = -1;

	if (access(OUR_FILES, X_OK))
		return -1;
	directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (directory)
		fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	free(directory);
	return fd;
}

/* Where a file system has no nameless files (network, FUSE). */
static int create_named(struct rf_output *output)
{
	size_t size = strlen(output->path) + sizeof(".XXXXXX");
	int fd = -1;

	output->temporary = malloc(size);
	if (output->temporary) {
		snprintf(output->temporary, size, "%s.XXXXXX", output->path);
		fd = mkostemp(output->temporary, O_CLOEXEC);
	}
	if (fd < 0) {
		free(output->temporary);
		output->temporary = NULL;
	}
	return fd;
}

/* existing: what is in its place, or NULL. */
static int begin_whole(struct rf_output *output, const struct stat *existing, struct rf_error *err)
{
	output->whole = true;
	output->fd = create_nameless(output->path);
	if (output->fd < 0)
		output->fd = create_named(output);
	if (output->fd < 0)
		return failed(output, err, "cannot create it", errno);
	return existing && fchmod(output->fd, existing->st_mode & 0777) ?
	       failed(output, err, "cannot give it the mode of what it replaces", errno) : 0;
}

/* The nameless file gets a name; one that replaces nothing, unlike rename(). */
static int give_name(struct rf_output *output)
{
	size_t size = strlen(output->path) + 32;
	char self[40];

	output->temporary = malloc(size);
	if (!output->temporary)
		return -1;
	snprintf(output->temporary, size, "%s.new.%d", output->path, (int)getpid());
	snprintf(self, sizeof(self), OUR_FILES "/%d", output->fd);
	if (!linkat(AT_FDCWD, self, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW))
		return 0;
	free(output->temporary);
	output->temporary = NULL;
	return -1;
}

/* An earlier recording is kept, one that is still being written is left alone. */
static int put_aside(struct rf_output *output, const struct stat *existing, struct rf_error *err)
{
	size_t size = strlen(output->path) + sizeof(".old");
	char *old = malloc(size);
	int fd, busy;

	fd = open(output->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	busy = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	if (fd >= 0)
		close(fd);
	if (busy || existing->st_uid != geteuid()) {
		free(old);
		return rf_error_set(err, busy ? -EBUSY : -EPERM, RF_NO_OFFSET, "cannot replace what is there: %s",
				    busy ? "another recorder is writing it" : "it belongs to another user");
	}
	if (old)
		snprintf(old, size, "%s.old", output->path);
	if (!old || rename(output->path, old)) {
		int error = old ? errno : ENOMEM;

		free(old);
		return rf_error_set(err, -error, RF_NO_OFFSET, "cannot keep what is there: %s", strerror(error));
	}
	output->old = old;
	return 0;
}

static int begin_growing(struct rf_output *output, const struct stat *existing, struct rf_error *err)
{
	int ret = existing ? put_aside(output, existing, err) : 0;

	if (ret) {
		rf_output_abandon(output);
		return ret;
	}
	output->fd = open(output->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (output->fd < 0)
		return failed(output, err, "cannot create it", errno);
	output->growing = true;
	flock(output->fd, LOCK_EX | LOCK_NB);	/* where the file system has no locks, there are none */
	return 0;
}

/* Another user's link may lead anywhere, to a device as well. */
static bool is_strange_link(const char *path)
{
	struct stat link;

	return !lstat(path, &link) && S_ISLNK(link.st_mode) && link.st_uid && link.st_uid != geteuid();
}

/* What is replaced is the file behind a link; a new one has none behind it. */
static char *file_behind(const char *path, bool exists)
{
	return exists ? realpath(path, NULL) : strdup(path);
}

int rf_output_begin(struct rf_output *output, const char *path, enum rf_output_how how, struct rf_error *err)
{
	struct stat existing;
	bool exists = !stat(path, &existing), in_place = exists && !S_ISREG(existing.st_mode);

	*output = (struct rf_output){ .fd = -1 };
	if (is_strange_link(path))
		return failed(output, err, "a symbolic link of another user", EPERM);
	output->path = file_behind(path, exists && !in_place);
	if (!output->path)
		return failed(output, err, "cannot find the file behind it", errno);
	if (in_place)
		return begin_in_place(output, existing.st_mode, how, err);
	return how == RF_OUTPUT_WHOLE ? begin_whole(output, exists ? &existing : NULL, err) :
					begin_growing(output, exists ? &existing : NULL, err);
}

/* A pipe gets a description of its own, as not to block is not for others who have it; a socket cannot. */
static int open_not_blocking(void)
{
	int fd = open(OUR_FILES "/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_WRONLY | O_NONBLOCK);
	return fd;
}

int rf_output_take_standard(struct rf_output *output, struct rf_error *err)
{
	struct stat standard;

	*output = (struct rf_output){ .fd = -1 };
	if (fstat(STDOUT_FILENO, &standard))
		return rf_error_set(err, -errno, RF_NO_OFFSET, "standard output: %s", strerror(errno));
	if (S_ISREG(standard.st_mode) || isatty(STDOUT_FILENO))
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "standard output is a %s: -o - is for pipes, a file has a "
				    "name", S_ISREG(standard.st_mode) ? "file" : "terminal");
	output->path = strdup("standard output");
	output->fd = output->path ? open_not_blocking() : -1;
	if (output->fd < 0)
		return failed(output, err, "standard output", errno);
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return failed(output, err, "standard error", errno);
	return 0;
}

int rf_output_write(struct rf_output *output, const void *data, size_t size, size_t *done)
{
	struct pollfd writable = { .fd = output->fd, .events = POLLOUT };

	for (*done = 0; *done < size;) {
		ssize_t n = write(output->fd, (const char *)data + *done, size - *done);

		if (n > 0)
			*done += (size_t)n;
		else if (n == 0)
			return -EIO;
		else if (errno == EAGAIN && !poll(&writable, 1, READER_MS))
			return -ETIMEDOUT;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return 0;
}

/* fsync() of a pipe or a device says EINVAL: there is no disk. */
int rf_output_finish(struct rf_output *output, struct rf_error *err)
{
	if (fsync(output->fd) && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
		return failed(output, err, "cannot write", errno);
	if (output->whole && !output->temporary && give_name(output))
		return failed(output, err, "cannot give it a name", errno);
	/* Network file systems and quotas may tell only here. */
	if (close(output->fd)) {
		output->fd = -1;
		return failed(output, err, "cannot write", errno);
	}
	output->fd = -1;
	if (output->temporary && rename(output->temporary, output->path))
		return failed(output, err, "cannot put it in its place", errno);
	forget(output);
	return 0;
}

void rf_output_fail(struct rf_output *output)
{
	if (!output->growing) {
		rf_output_abandon(output);
		return;
	}
	close(output->fd);
	forget(output);
}

void rf_output_abandon(struct rf_output *output)
{
	int error = errno;

	if (!output->path)
		return;
	if (output->fd >= 0)
		close(output->fd);
	if (output->temporary)
		unlink(output->temporary);
	if (output->growing)
		unlink(output->path);
	if (output->old)
		(void)!rename(output->old, output->path);
	forget(output);
	errno = error;
}

bool rf_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
