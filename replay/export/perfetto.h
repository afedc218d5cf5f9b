/* SPDX-License-Identifier: MIT */
/*
 * The trace format of Perfetto (ui.perfetto.dev): TrackEvent, as protos/perfetto/trace/ has it. Of the wire format of
 * protobuf it takes two kinds of fields, numbers and lengths, which are less code than a generator in the build.
 */
#ifndef REFOLD_REPLAY_EXPORT_PERFETTO_H
#define REFOLD_REPLAY_EXPORT_PERFETTO_H

#include <stdio.h>

#include "base/types.h"

/* Tracks are named by numbers from 1, any; parent 0: none. Packets may come in any order of time. */
void perfetto_track(FILE *out, u64 track, u64 parent, const char *name);
void perfetto_counter(FILE *out, u64 track, u64 parent, const char *name);
void perfetto_process(FILE *out, u64 track, u32 pid, const char *name);
void perfetto_thread(FILE *out, u64 track, u32 pid, u32 tid, const char *name);

/* Slices of a track nest. note: what amount stands for; NULL: there is none. Times in ns. */
void perfetto_begin(FILE *out, u64 track, u64 time, const char *name, const char *note, u64 amount);
void perfetto_end(FILE *out, u64 track, u64 time);
void perfetto_instant(FILE *out, u64 track, u64 time, const char *name, const char *note, u64 amount);
void perfetto_value(FILE *out, u64 track, u64 time, u64 value);

#endif
