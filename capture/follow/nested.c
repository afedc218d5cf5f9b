// SPDX-License-Identifier: MIT
/* Tracers inside the recorded tree: the seccomp filter and its keeper. See nested.h for why. */
#include "capture/follow/nested.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "capture/rights/rights.h"
#include "traces/record.h"

/* ptrace(2) by architecture: the native one and those of the 32-bit tasks the same kernel runs. */
#if defined(__x86_64__)
#define NATIVE_ARCH	AUDIT_ARCH_X86_64
#define COMPAT_ARCH	AUDIT_ARCH_I386
#define NATIVE_PTRACE2	(0x40000000u + 521)	/* x32 */
#elif defined(__aarch64__)
#define NATIVE_ARCH	AUDIT_ARCH_AARCH64
#define COMPAT_ARCH	AUDIT_ARCH_ARM
#define NATIVE_PTRACE2	SYS_ptrace
#endif
#define COMPAT_PTRACE	26

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_HALF(argument)	offsetof(struct seccomp_data, argument)
#else
#define LOW_HALF(argument)	(offsetof(struct seccomp_data, argument) + 4)
#endif

#define RF_SYS_process_madvise	440	/* everywhere; older headers do not name it */

#define LOAD(offset)		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define IF_EQUAL(k, yes, no)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))
#define RETURN(k)		BPF_STMT(BPF_RET | BPF_K, (k))

int rf_nested_install_filter(void)
{
#ifdef NATIVE_ARCH
	struct sock_filter filter[] = {
		/* 0 */ LOAD(offsetof(struct seccomp_data, arch)),
		/* 1 */ IF_EQUAL(NATIVE_ARCH, 3, 0),
		/* 2 */ IF_EQUAL(COMPAT_ARCH, 0, 20),
		/* 3 */ LOAD(offsetof(struct seccomp_data, nr)),
		/* 4 */ IF_EQUAL(COMPAT_PTRACE, 9, 18),
		/* 5 */ LOAD(offsetof(struct seccomp_data, nr)),
		/* 6 */ IF_EQUAL(SYS_ptrace, 7, 0),
		/* 7 */ IF_EQUAL(NATIVE_PTRACE2, 6, 0),
		/* 8 */ IF_EQUAL(SYS_ioctl, 9, 0),
		/* 9 */ IF_EQUAL(SYS_prctl, 11, 0),
		/* 10 */ IF_EQUAL(SYS_mbind, 13, 0),
		/* 11 */ IF_EQUAL(RF_SYS_process_madvise, 12, 0),
		/* 12 */ IF_EQUAL(SYS_process_vm_readv, 11, 0),
		/* 13 */ IF_EQUAL(SYS_process_vm_writev, 10, 9),
		/* 14 */ LOAD(LOW_HALF(args[0])),
		/* 15 */ IF_EQUAL(PTRACE_TRACEME, 8, 0),
		/* 16 */ IF_EQUAL(PTRACE_ATTACH, 7, 0),
		/* 17 */ IF_EQUAL(PTRACE_SEIZE, 6, 5),
		/* 18 */ LOAD(LOW_HALF(args[1])),
		/* 19 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00),
		/* 20 */ IF_EQUAL(RF_UFFDIO << 8, 3, 2),
		/* 21 */ LOAD(LOW_HALF(args[0])),
		/* 22 */ IF_EQUAL(RF_PR_SET_VMA, 1, 0),
		/* 23 */ RETURN(SECCOMP_RET_ALLOW),
		/* 24 */ RETURN(SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };
	long fd;

	/*
	 * No PR_SET_NO_NEW_PRIVS: it would disarm every setuid program in the tree. SPEC_ALLOW: before Linux 5.16 a
	 * filter would otherwise slow all of them down by turning on speculation mitigations.
	 */
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
	return fd < 0 ? -errno : (int)fd;
#else
	return -EOPNOTSUPP;
#endif
}

int rf_send_fd(int socket, int value, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .space = { 0 } };
	struct iovec iov = { .iov_base = &value, .iov_len = sizeof(value) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (fd >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof(value) ? 0 : -errno;
}

int rf_receive_fd(int socket, int *value, int *fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = value, .iov_len = sizeof(*value) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *header;
	ssize_t bytes;

	*fd = -1;
	do
		bytes = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return -errno;
	if (bytes != sizeof(*value))
		return -EPIPE;		/* the other side is gone */
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(header), sizeof(int));
	return 0;
}

static int open_of_caller(const struct seccomp_notif *notification, const char *file)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u/%s", notification->pid, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* How much of the caller's memory from here on is there. */
static size_t present_bytes(int pagemap, u64 from, size_t size)
{
	u64 page = (u64)sysconf(_SC_PAGESIZE), at = from, word;

	for (; at < from + size; at = (at / page + 1) * page) {
		ssize_t bytes = pread(pagemap, &word, sizeof(word), (off_t)(at / page * sizeof(word)));

		if (bytes != sizeof(word) || !(word >> 63))
			break;
	}
	return min_u64(at - from, size);
}

/*
 * Memory of the caller, as far as it is there: what we look at must not be faulted in by us. So no process_vm_readv(),
 * which would also copy pages that were shared since a fork (gup_must_unshare()).
 */
static size_t read_caller(const struct seccomp_notif *notification, u64 from, void *to, size_t size)
{
	int pagemap = open_of_caller(notification, "pagemap"), memory = open_of_caller(notification, "mem");
	ssize_t bytes = 0;

	if (pagemap >= 0 && memory >= 0)
		bytes = pread(memory, to, present_bytes(pagemap, from, size), (off_t)from);
	if (pagemap >= 0)
		close(pagemap);
	if (memory >= 0)
		close(memory);
	return bytes > 0 ? (size_t)bytes : 0;
}

/* What the call is about to do, as far as the caller has told it. */
static u32 read_iovecs(const struct seccomp_notif *notification, u64 from, u64 nr, struct rf_nested_iovec *iovecs)
{
	_Static_assert(sizeof(struct iovec) == sizeof(struct rf_nested_iovec), "an iovec of the callers, which are 64-bit");
	if (nr > RF_NESTED_IOVECS)
		return 0;
	return (u32)(read_caller(notification, from, iovecs, nr * sizeof(*iovecs)) / sizeof(*iovecs));
}

/* A number that only tells contents apart; 0: all of it is. */
static u64 number_of(const void *content, size_t size)
{
	const u8 *bytes = content;
	u64 number = 0;

	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			number = (number ^ (bytes[i] + (i << 8))) * 0x9e3779b97f4a7c15ull;
	return number;
}

/* get_nodes(): as many bits as maxnode says, less one. */
static bool read_nodes(const struct seccomp_notif *notification, u64 *number)
{
	u64 bits = notification->data.args[4], from = notification->data.args[3];
	u8 mask[128] = { 0 };

	if (!from || bits-- < 2 || bits > 8 * sizeof(mask))
		return false;
	if (read_caller(notification, from, mask, (bits + 7) / 8) != (bits + 7) / 8)
		return false;
	if (bits % 8)
		mask[bits / 8] &= (u8)(BIT_ULL(bits % 8) - 1);
	*number = number_of(mask, sizeof(mask));
	return true;
}

/* ANON_VMA_NAME_MAX_LEN; 0: it cannot be read, or there is none. */
static u64 read_name(const struct seccomp_notif *notification)
{
	char name[81] = { 0 };
	size_t bytes = read_caller(notification, notification->data.args[4], name, sizeof(name) - 1);

	return bytes && (bytes == sizeof(name) - 1 || memchr(name, 0, bytes)) ? number_of(name, strlen(name)) : 0;
}

/* The process that a descriptor of the caller is about; 0: not known. */
static u32 process_of_pidfd(const struct seccomp_notif *notification)
{
	char path[48], line[128];
	FILE *file;
	int pid = 0;

	/* PIDFD_SELF_THREAD, PIDFD_SELF_THREAD_GROUP */
	if ((s32)notification->data.args[0] <= -10000)
		return notification->pid;
	snprintf(path, sizeof(path), "/proc/%u/fdinfo/%d", notification->pid, (s32)notification->data.args[0]);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	if (file)
		fclose(file);
	return pid > 0 ? (u32)pid : 0;
}

/* False: it cannot be read, or there is nothing to tell. */
static bool read_call_data(const struct seccomp_notif *notification, struct rf_nested_request *request)
{
	const struct seccomp_data *data = &notification->data;
	u64 words[4] = { 0 }, size;

	request->kind = RF_NESTED_CALL_DATA;
	request->subject = 0;
	if (data->nr == RF_SYS_process_madvise) {
		request->call = RF_SYS_PROCESS_MADVISE;
		request->subject = process_of_pidfd(notification);
		request->nr = read_iovecs(notification, data->args[1], data->args[2], request->iovecs);
		return request->subject && request->nr;
	}
	if (data->nr == SYS_ioctl) {
		request->call = RF_SYS_IOCTL;
		/* _IOC_SIZE() */
		size = min_u64(data->args[1] >> 16 & 0x3fff, sizeof(words));
		if (read_caller(notification, data->args[2], words, size) != size)
			return false;
	} else if (data->nr == SYS_mbind) {
		request->call = RF_SYS_MBIND;
		if (!read_nodes(notification, &words[0]))
			return false;
	} else {
		request->call = RF_SYS_PRCTL;
		words[0] = read_name(notification);
		if (!words[0])
			return false;
	}
	request->nr = 2;
	memcpy(request->iovecs, words, sizeof(words));
	return true;
}

static bool asks_to_trace(const struct seccomp_data *data)
{
#ifdef NATIVE_ARCH
	return data->arch != NATIVE_ARCH || data->nr == SYS_ptrace || (u32)data->nr == NATIVE_PTRACE2;
#else
	return data->nr == SYS_ptrace;
#endif
}

/* Tell the recorder, and wait until it has done its part. No answer in time, or no recorder: the kernel decides. */
static void ask_recorder(int socket, const struct seccomp_notif *notification)
{
	static struct rf_nested_request request;
	const struct seccomp_data *data = &notification->data;
	u64 answer = 0;

	request.id = notification->id;
	request.caller = notification->pid;
	request.nr = 0;
	if (data->nr == SYS_process_vm_readv || data->nr == SYS_process_vm_writev) {
		request.kind = RF_NESTED_PROCESS_VM;
		request.subject = (u32)data->args[0];
		request.write = data->nr == SYS_process_vm_writev;
		request.nr = read_iovecs(notification, data->args[3], data->args[4], request.iovecs);
		if (!request.nr)
			return;
	} else if (!asks_to_trace(data)) {
		if (!read_call_data(notification, &request))
			return;
	} else {
		request.kind = RF_NESTED_TRACER;
		request.subject = (u32)data->args[0] == PTRACE_TRACEME ? notification->pid : (u32)data->args[1];
	}
	if (send(socket, &request, rf_nested_request_size(request.nr), MSG_NOSIGNAL) < 0)
		return;
	while (answer != request.id && recv(socket, &answer, sizeof(answer), 0) == sizeof(answer))
		;	/* the answer to a question given up before */
}

static void answer_one(int listener, int socket)
{
	/* The kernel's structures may be larger than this header's. */
	union {
		struct seccomp_notif notification;
		char space[512];
	} in;
	union {
		struct seccomp_notif_resp response;
		char space[512];
	} out;

	memset(&in, 0, sizeof(in));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &in))
		return;		/* ENOENT: the caller was interrupted; it comes again */
	ask_recorder(socket, &in.notification);
	memset(&out, 0, sizeof(out));
	out.response.id = in.notification.id;
	out.response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &out);
}

static void close_all_but(int keep)
{
	/* Close every inherited descriptor: a pipe held open here would keep its reader waiting. */
	if (keep > 0)
		syscall(SYS_close_range, 0u, (unsigned int)keep - 1, 0u);
	syscall(SYS_close_range, (unsigned int)keep + 1, ~0u, 0u);
}

static void __attribute__((noreturn)) keep(int socket)
{
	struct timeval second = { .tv_sec = 1 };
	struct pollfd poll_fd;
	int value, listener;

	/* Away from the terminal, the working directory and the pipes of the recorder. */
	setsid();
	prctl(PR_SET_NAME, "refold-keeper");
	close_all_but(socket);
	rf_rights_keep_to_reading();
	if (chdir("/") || rf_receive_fd(socket, &value, &listener) || listener < 0)
		_exit(0);
	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	poll_fd = (struct pollfd){ .fd = listener, .events = POLLIN };
	for (;;) {
		if (poll(&poll_fd, 1, -1) < 0)
			continue;
		if (poll_fd.revents & POLLIN)
			answer_one(listener, socket);
		else if (poll_fd.revents)
			_exit(0);	/* the last process under the filter is gone */
	}
}

int rf_nested_start(struct rf_nested *nested, struct rf_error *err)
{
	int sockets[2], code;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets)) {
		code = -errno;
		return rf_error_set(err, code, RF_NO_OFFSET, "socketpair: %s", strerror(-code));
	}
	nested->keeper = fork();
	if (nested->keeper < 0) {
		code = -errno;
		close(sockets[0]);
		close(sockets[1]);
		return rf_error_set(err, code, RF_NO_OFFSET, "fork: %s", strerror(-code));
	}
	if (!nested->keeper)
		keep(sockets[1]);
	close(sockets[1]);
	nested->socket = sockets[0];
	return 0;
}

int rf_nested_listen(struct rf_nested *nested, int listener)
{
	int code = rf_send_fd(nested->socket, 0, listener);

	close(listener);
	return code;
}

void rf_nested_leave(struct rf_nested *nested)
{
	if (nested->socket >= 0)
		close(nested->socket);
	nested->socket = -1;
}
