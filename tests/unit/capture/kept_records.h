/* SPDX-License-Identifier: MIT */
/* A stand-in for the trace writer: keeps what is appended in memory, for tests that look at single records. */
#ifndef REFOLD_TESTS_KEPT_RECORDS_H
#define REFOLD_TESTS_KEPT_RECORDS_H

#include "traces/trace.h"

struct rf_writer;
struct rf_writer *kept_create(void);
void kept_destroy(struct rf_writer *writer);
/* Everything appended so far, stream by stream in the order of appending. */
size_t kept_nr(const struct rf_writer *writer);
const struct rf_record *kept_record(const struct rf_writer *writer, size_t index);
size_t kept_count(const struct rf_writer *writer, enum rf_record_kind kind);

#endif
