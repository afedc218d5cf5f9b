// SPDX-License-Identifier: MIT
/* COMMAND as another user, as su(1) and setpriv(1) do it. */
#include "capture/rights/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#define ENTRY_BYTES 65536

int rf_user_find(struct rf_user *user, const char *name, struct rf_error *err)
{
	char *text = malloc(ENTRY_BYTES);
	struct passwd entry, *found = NULL;
	int code = text ? getpwnam_r(name, &entry, text, ENTRY_BYTES, &found) : ENOMEM;

	if (!code && !found)
		code = ENOENT;
	if (!code) {
		*user = (struct rf_user){ .name = strdup(entry.pw_name), .home = strdup(entry.pw_dir),
					  .shell = strdup(entry.pw_shell), .uid = entry.pw_uid, .gid = entry.pw_gid };
		if (!user->name || !user->home || !user->shell) {
			rf_user_free(user);
			code = ENOMEM;
		}
	}
	free(text);
	return code ? rf_error_set(err, -code, RF_NO_OFFSET, "--user %s: %s", name,
				   code == ENOENT ? "there is no such user" : strerror(code)) : 0;
}

void rf_user_free(struct rf_user *user)
{
	free(user->name);
	free(user->home);
	free(user->shell);
	*user = (struct rf_user){ .name = NULL };
}

int rf_user_become(const struct rf_user *user)
{
	if (geteuid())
		cap_reset_ambient();
	if (!user->name)
		return 0;
	if (user->uid != geteuid() && initgroups(user->name, user->gid))
		return -errno;
	if (setresgid(user->gid, user->gid, user->gid) || setresuid(user->uid, user->uid, user->uid))
		return -errno;
	/* What a set of capabilities keeps through setuid() (PR_SET_KEEPCAPS, lent ones) is not the user's either. */
	if (user->uid)
		cap_reset_ambient();
	if (setenv("HOME", user->home, 1) || setenv("USER", user->name, 1) || setenv("LOGNAME", user->name, 1) ||
	    setenv("SHELL", user->shell[0] ? user->shell : "/bin/sh", 1))
		return -errno;
	return 0;
}
