/* SPDX-License-Identifier: MIT */
/* What the trace tests share: temporary files, generated records, whole traces in memory. */
#ifndef REFOLD_TESTS_TRACES_SUPPORT_H
#define REFOLD_TESTS_TRACES_SUPPORT_H

#include "traces/trace.h"

/* A path in a fresh temporary directory; remove_path() removes both. */
char *make_path(const char *name);
void remove_path(char *path);

/* splitmix64: the same numbers everywhere for the same seed. */
u64 random_next(u64 *state);

/* A record of a random kind with fields of all magnitudes; time grows, now and then goes back. */
struct rf_record random_record(u64 *state, u64 *time);

/* A growing list of records. */
struct record_list {
	struct rf_record *records;
	size_t nr, allocated;
};
void list_add(struct record_list *list, const struct rf_record *record);
void list_free(struct record_list *list);

/* Write a trace of random records: streams x records, flushed into frames of about frame_records. */
struct record_list *write_random(const char *path, u64 seed, int streams, size_t records, size_t frame_records);

/* All records of a stream as a cursor delivers them, LOST included. */
struct record_list read_stream(struct rf_reader *reader, int stream);

bool same_record(const struct rf_record *a, const struct rf_record *b);
/* Fails the running test where the lists differ. */
void assert_same_list(const struct record_list *a, const struct record_list *b);

/*
 * Read a damaged copy of a trace whose streams as read when it was whole are known. What it delivers must be true,
 * what it does not deliver must be told: fails the test otherwise, naming the case. True: it was read as complete.
 */
bool check_damaged(const char *path, const struct record_list *truth, int streams, size_t what);

/* Whole files as bytes. */
u8 *read_file(const char *path, size_t *size);
void write_file(const char *path, const u8 *data, size_t size);

#endif
