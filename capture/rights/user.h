/* SPDX-License-Identifier: MIT */
/* Who COMMAND is to be. */
#ifndef REFOLD_CAPTURE_RIGHTS_USER_H
#define REFOLD_CAPTURE_RIGHTS_USER_H

#include <sys/types.h>

#include "base/error.h"

struct rf_user {
	char *name, *home, *shell;	/* name NULL: nobody else, whoever we are */
	uid_t uid;
	gid_t gid;
};

/* Who that is. 0, or a negative errno: -ENOENT where nobody is called so. Free with rf_user_free(). */
int rf_user_find(struct rf_user *user, const char *name, struct rf_error *err);
void rf_user_free(struct rf_user *user);
/*
 * Become that user for good, in a process that is about to exec: groups, ids, HOME, USER, LOGNAME, SHELL. Whoever it is
 * for, the capabilities that the recorder was lent (ambient ones) do not go on to the program. 0 or a negative errno.
 */
int rf_user_become(const struct rf_user *user);

#endif
