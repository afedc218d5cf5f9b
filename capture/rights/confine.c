// SPDX-License-Identifier: MIT
/*
 * What draining a ring calls: capture/tracefs/ring.c, traces/writer.c, and malloc(3) and threads of the C library
 * below them. Another call fails with ENOSYS, by which libraries know that they have to do without; it never ends a
 * recording.
 */
#include "capture/rights/confine.h"

#include <errno.h>
#include <seccomp.h>

#include "base/types.h"

static const char *const allowed[] = {
	/* rings and the trace */
	"read", "pread64", "splice", "write", "lseek", "ftruncate", "poll", "ppoll",
	/* waiting */
	"nanosleep", "clock_nanosleep", "clock_gettime", "restart_syscall", "futex",
	/* memory */
	"brk", "mmap", "mremap", "munmap", "mprotect", "madvise", "getrandom",
	/* threads; and an end by abort(3) is one that says where */
	"rt_sigprocmask", "rt_sigreturn", "set_robust_list", "rseq", "sched_yield", "gettid", "getpid", "tgkill",
	"exit", "exit_group",
};

int rf_confine_to_draining(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int ret = filter ? 0 : -ENOMEM;

	/* Before Linux 5.16 a filter would otherwise turn on speculation mitigations, which slow draining. */
	if (!ret)
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 0);
	for (size_t i = 0; !ret && i < ARRAY_SIZE(allowed); i++) {
		int call = seccomp_syscall_resolve_name(allowed[i]);

		/* Not on this architecture, or not known to this library. */
		if (call >= 0)
			ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
	}
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}
