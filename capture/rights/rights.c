// SPDX-License-Identifier: MIT
/* Capabilities: which are needed, and what becomes of the rest. See rights.h for why. */
#include "capture/rights/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/rights/confine.h"

#define KPAGEFLAGS "/proc/kpageflags"

/* When a right is needed, and for what. Those of the kernel that another row implies have none of their own. */
struct right {
	cap_value_t capability;
	const char *name, *why;
	bool (*needed)(const struct rf_rights_use *use);
	bool dispensable;
	bool (*kept)(const struct rf_rights_use *use);
};

static bool always(const struct rf_rights_use *use)
{
	return true;
}

static bool never(const struct rf_rights_use *use)
{
	return false;
}

static bool for_others(const struct rf_rights_use *use)
{
	return use->others || use->user;
}

static bool for_user(const struct rf_rights_use *use)
{
	return use->user;
}

static bool for_command(const struct rf_rights_use *use)
{
	return use->command;
}

static bool to_stop(const struct rf_rights_use *use)
{
	return use->others;
}

static bool to_begin_again(const struct rf_rights_use *use)
{
	return use->begins_again;
}

/* Root needs no right for what is root's own; so is tracefs, but for where a mount option says otherwise. */
static bool is_closed(const char *path, int how)
{
	return path && faccessat(AT_FDCWD, path, how, AT_EACCESS) && errno == EACCES;
}

static bool to_write_tracefs(const struct rf_rights_use *use)
{
	return is_closed(use->tracing, W_OK | X_OK);
}

static bool to_read_folios(const struct rf_rights_use *use)
{
	return is_closed(KPAGEFLAGS, R_OK);
}

static bool to_write_later(const struct rf_rights_use *use)
{
	return use->writes_later;
}

static const struct right rights[] = {
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "page frames in /proc/PID/pagemap, and perf", always, false, always },
	{ CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", "the files of tracefs", to_write_tracefs, false, to_write_later },
	{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "/proc/kpageflags, which tells folios", to_read_folios, false,
	  always },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "page tables of other users' processes", for_others, false, always },
	{ CAP_SETUID, "CAP_SETUID", "--user", for_user, false, never },
	{ CAP_SETGID, "CAP_SETGID", "--user", for_user, false, never },
	{ CAP_KILL, "CAP_KILL", "COMMAND of another user is not ended with the recording", for_user, true,
	  for_command },
	{ CAP_SYS_NICE, "CAP_SYS_NICE", "on a busy machine processes are stopped for longer while they are looked at",
	  to_stop, true, always },
	{ CAP_IPC_LOCK, "CAP_IPC_LOCK", "rings of perf beyond kernel.perf_event_mlock_kb", never, true,
	  to_begin_again },
};

/* The next part of a recording chooses while threads of the one before still limit themselves. */
static pthread_mutex_t choosing = PTHREAD_MUTEX_INITIALIZER;
static bool chosen;
static struct rf_rights_use chosen_use;
static const char *trouble;	/* of any thread; they are constants */

static bool is_missing(cap_t ours, const struct right *right, const struct rf_rights_use *use)
{
	cap_flag_value_t value = CAP_CLEAR;

	return right->needed(use) && !cap_get_flag(ours, right->capability, CAP_EFFECTIVE, &value) && value != CAP_SET;
}

/* Which capabilities one has is of no use inside a user namespace: then what needs them fails, and says so. */
int rf_rights_check(const struct rf_rights_use *use, struct rf_error *err)
{
	cap_t ours = cap_get_proc();
	char text[sizeof(err->message)];
	size_t used = 0, nr = 0;

	for (size_t i = 0; ours && i < ARRAY_SIZE(rights); i++)
		if (!rights[i].dispensable && is_missing(ours, &rights[i], use) && used < sizeof(text)) {
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s (for %s)", nr ? ", " : "",
						 rights[i].name, rights[i].why);
			nr++;
		}
	cap_free(ours);
	return nr ? rf_error_set(err, -EPERM, RF_NO_OFFSET, "%s missing: %s", nr > 1 ? "rights are" : "a right is",
				 text) : 0;
}

bool rf_rights_missed(const struct rf_rights_use *use, size_t *next, char *text, size_t size)
{
	cap_t ours = cap_get_proc();
	bool found = false;

	for (; ours && !found && *next < ARRAY_SIZE(rights); ++*next) {
		const struct right *right = &rights[*next];

		found = right->dispensable && is_missing(ours, right, use);
		if (found)
			snprintf(text, size, "%s is missing: %s", right->name, right->why);
	}
	cap_free(ours);
	return found;
}

const char *rf_rights_lacking(const char *tracing, size_t *next, char *text, size_t size, bool *all)
{
	const struct rf_rights_use command = { .command = true, .tracing = tracing }, running = { .others = true },
				   user = { .command = true, .user = true };
	cap_t ours = cap_get_proc();
	const char *name = NULL;

	for (; ours && !name && *next < ARRAY_SIZE(rights); ++*next) {
		const struct right *right = &rights[*next];
		bool always_missed = is_missing(ours, right, &command), missed = is_missing(ours, right, &running);

		*all = always_missed && !right->dispensable;
		if (!always_missed && !missed && !is_missing(ours, right, &user))
			continue;
		name = right->name;
		snprintf(text, size, "missing%s: %s%s", *all ? "" : missed ? ", for -p and -a" : ", for --user",
			 right->why, *all ? "; nothing can be recorded" : right->dispensable ? "" :
			 missed ? "; only a COMMAND can be recorded" : "; COMMAND runs as you are");
	}
	cap_free(ours);
	return name;
}

/* Only what we have: one that has been given up, or was never there, cannot be kept. */
static bool keep(cap_t wanted, cap_t ours, cap_value_t capability)
{
	cap_flag_value_t value = CAP_CLEAR;

	if (cap_get_flag(ours, capability, CAP_PERMITTED, &value) || value != CAP_SET)
		return true;
	return !cap_set_flag(wanted, CAP_PERMITTED, 1, &capability, CAP_SET) &&
	       !cap_set_flag(wanted, CAP_EFFECTIVE, 1, &capability, CAP_SET);
}

static void fail(const char *what)
{
	__atomic_store_n(&trouble, what, __ATOMIC_RELAXED);
}

static void keep_only(bool (*kept)(const struct right *right))
{
	cap_t ours = cap_get_proc(), wanted = cap_init();
	bool done = ours && wanted;

	for (size_t i = 0; done && i < ARRAY_SIZE(rights); i++)
		if (kept(&rights[i]))
			done = keep(wanted, ours, rights[i].capability);
	cap_reset_ambient();
	if (!done || cap_set_proc(wanted))
		fail("capabilities that are not needed could not be given up");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("no_new_privs could not be set");
	cap_free(ours);
	cap_free(wanted);
}

/* Root writes to its own tracefs, and removes instances there, without any. */
static bool is_ours(const char *directory)
{
	struct stat found;

	return directory && !stat(directory, &found) && found.st_uid == geteuid();
}

void rf_rights_choose(const struct rf_rights_use *use)
{
	pthread_mutex_lock(&choosing);
	chosen_use = *use;
	chosen_use.writes_later |= use->begins_again || !is_ours(use->tracing);
	chosen_use.tracing = NULL;
	chosen = true;
	pthread_mutex_unlock(&choosing);
}

static bool was_chosen(const struct right *right)
{
	return right->kept(&chosen_use);
}

void rf_rights_limit(void)
{
	pthread_mutex_lock(&choosing);
	if (chosen)
		keep_only(was_chosen);
	pthread_mutex_unlock(&choosing);
}

static bool is_none(const struct right *right)
{
	return false;
}

static bool is_chosen(void)
{
	bool is;

	pthread_mutex_lock(&choosing);
	is = chosen;
	pthread_mutex_unlock(&choosing);
	return is;
}

void rf_rights_confine(void)
{
	if (!is_chosen())
		return;
	keep_only(is_none);
	if (rf_confine_to_draining())
		fail("the seccomp filter of the threads that read rings could not be set");
}

/* /proc/PID/mem and pagemap of whoever it is. */
static bool is_to_read(const struct right *right)
{
	return right->capability == CAP_SYS_PTRACE || right->capability == CAP_DAC_READ_SEARCH;
}

void rf_rights_keep_to_reading(void)
{
	keep_only(is_to_read);
}

const char *rf_rights_trouble(void)
{
	return __atomic_load_n(&trouble, __ATOMIC_RELAXED);
}
