/* SPDX-License-Identifier: MIT */
/* The programs that test_follow.c follows: itself, called with the name of a part. */
#ifndef REFOLD_TESTS_FOLLOW_PARTS_H
#define REFOLD_TESTS_FOLLOW_PARTS_H

/* The test program, which parts that exec start again. */
extern const char *self_path;

/* Run the part named by argv[1]; its exit status. */
int run_part(int argc, char **argv);

#endif
