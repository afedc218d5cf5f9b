/* SPDX-License-Identifier: MIT */
/* What the harnesses of libFuzzer share (scripts/fuzz): inputs as files, and replays that may not take long. */
#ifndef REFOLD_TESTS_FUZZ_HARNESS_H
#define REFOLD_TESTS_FUZZ_HARNESS_H

#include "base/types.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The path of a file that holds these bytes, for one harness at a time; suffix: of its name. */
const char *input_file(const u8 *data, size_t size, const char *suffix);
/* Where a harness may write, likewise. */
const char *output_file(void);
/* Replay a trace, on two policies, within limits. */
void replay_file(const char *path);
/* A command, without what it prints: argv as of main(), ended by NULL. */
void run_quietly(int (*command)(int argc, char **argv), char **argv);

#endif
