/* SPDX-License-Identifier: MIT */
/*
 * Which file's code lies where, in each recorded process: by the side-band, in order of time, and, of a process that
 * was there before it, by /proc/PID/maps.
 */
#ifndef REFOLD_CAPTURE_STACKS_SPACES_H
#define REFOLD_CAPTURE_STACKS_SPACES_H

#include "capture/stacks/modules.h"

struct rf_code {
	u64 start, end;
	u64 offset;		/* of start, in the file */
	struct rf_module *module;	/* NULL: in no file that is known */
};

struct rf_space;

DEFINE_TABLE(space_table, u64, struct rf_space *);

struct rf_spaces {
	struct rf_modules modules;
	struct space_table table;	/* by pid */
};

/* path: NULL, or of the file. */
void rf_spaces_mapped(struct rf_spaces *spaces, pid_t pid, u64 start, u64 len, u64 offset, u64 dev, u64 ino,
		      const char *path);
void rf_spaces_forked(struct rf_spaces *spaces, pid_t child, pid_t parent);
/* It begins a program: nothing is mapped. */
void rf_spaces_emptied(struct rf_spaces *spaces, pid_t pid);
void rf_spaces_ended(struct rf_spaces *spaces, pid_t pid);
/* Who ran before: read what it has, unless that is known. While it lives. */
void rf_spaces_look(struct rf_spaces *spaces, pid_t pid);
/*
 * Something will be told of its code, by one of the functions above, or not at all; it has been, or will not be.
 * Between, what is known is not what is.
 */
void rf_spaces_expect(struct rf_spaces *spaces, pid_t pid);
void rf_spaces_told(struct rf_spaces *spaces, pid_t pid);
bool rf_spaces_is_settled(struct rf_spaces *spaces, pid_t pid);
/* Nothing is mapped: it has not begun its first program yet. */
bool rf_spaces_is_empty(struct rf_spaces *spaces, pid_t pid);
/* NULL: no code is known there. Good until the next of the functions above. */
const struct rf_code *rf_spaces_find(struct rf_spaces *spaces, pid_t pid, u64 address);
void rf_spaces_free(struct rf_spaces *spaces);

#endif
