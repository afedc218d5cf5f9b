// SPDX-License-Identifier: MIT
/* Packets of a Perfetto trace. Field numbers are those of perfetto_trace.proto. */
#include "replay/export/perfetto.h"

#include <string.h>

/* A name is cut to fit: no message here has more than two of them. */
#define NAME_BYTES 240

struct message {
	u8 bytes[1024];
	size_t nr;
};

enum { WIRE_NUMBER = 0, WIRE_LENGTH = 2 };

enum {
	TRACE_PACKET = 1,

	PACKET_TIMESTAMP = 8, PACKET_SEQUENCE = 10, PACKET_EVENT = 11, PACKET_TRACK = 60,

	TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PROCESS = 3, TRACK_THREAD = 4, TRACK_PARENT = 5, TRACK_COUNTER = 8,
	PROCESS_PID = 1, PROCESS_NAME = 6,
	THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5,

	EVENT_NOTE = 4, EVENT_TYPE = 9, EVENT_TRACK = 11, EVENT_NAME = 23, EVENT_VALUE = 30,
	NOTE_NUMBER = 3, NOTE_NAME = 10,
};

enum { TYPE_BEGIN = 1, TYPE_END = 2, TYPE_INSTANT = 3, TYPE_COUNTER = 4 };

static void put_varint(struct message *message, u64 value)
{
	do {
		message->bytes[message->nr++] = (u8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
}

static void put_number(struct message *message, u32 field, u64 value)
{
	put_varint(message, field << 3 | WIRE_NUMBER);
	put_varint(message, value);
}

static void put_bytes(struct message *message, u32 field, const void *bytes, size_t nr)
{
	put_varint(message, field << 3 | WIRE_LENGTH);
	put_varint(message, nr);
	memcpy(message->bytes + message->nr, bytes, nr);
	message->nr += nr;
}

static void put_text(struct message *message, u32 field, const char *text)
{
	put_bytes(message, field, text, strnlen(text, NAME_BYTES));
}

static void put_message(struct message *message, u32 field, const struct message *part)
{
	put_bytes(message, field, part->bytes, part->nr);
}

/* All packets are of one sequence, which nothing is interned in. */
static void write_packet(FILE *out, struct message *packet)
{
	struct message trace = { .nr = 0 };

	put_number(packet, PACKET_SEQUENCE, 1);
	put_message(&trace, TRACE_PACKET, packet);
	fwrite(trace.bytes, 1, trace.nr, out);
}

/* ---- tracks ---- */

static void write_track(FILE *out, u64 track, u64 parent, const char *name, u32 field, const struct message *part)
{
	struct message descriptor = { .nr = 0 }, packet = { .nr = 0 };

	put_number(&descriptor, TRACK_UUID, track);
	if (parent)
		put_number(&descriptor, TRACK_PARENT, parent);
	if (name)
		put_text(&descriptor, TRACK_NAME, name);
	if (part)
		put_message(&descriptor, field, part);
	put_message(&packet, PACKET_TRACK, &descriptor);
	write_packet(out, &packet);
}

void perfetto_track(FILE *out, u64 track, u64 parent, const char *name)
{
	write_track(out, track, parent, name, 0, NULL);
}

void perfetto_counter(FILE *out, u64 track, u64 parent, const char *name)
{
	const struct message counter = { .nr = 0 };

	write_track(out, track, parent, name, TRACK_COUNTER, &counter);
}

void perfetto_process(FILE *out, u64 track, u32 pid, const char *name)
{
	struct message process = { .nr = 0 };

	put_number(&process, PROCESS_PID, pid);
	put_text(&process, PROCESS_NAME, name);
	write_track(out, track, 0, NULL, TRACK_PROCESS, &process);
}

void perfetto_thread(FILE *out, u64 track, u32 pid, u32 tid, const char *name)
{
	struct message thread = { .nr = 0 };

	put_number(&thread, THREAD_PID, pid);
	put_number(&thread, THREAD_TID, tid);
	put_text(&thread, THREAD_NAME, name);
	write_track(out, track, 0, NULL, TRACK_THREAD, &thread);
}

/* ---- events ---- */

static void write_event(FILE *out, u64 time, struct message *event)
{
	struct message packet = { .nr = 0 };

	put_number(&packet, PACKET_TIMESTAMP, time);
	put_message(&packet, PACKET_EVENT, event);
	write_packet(out, &packet);
}

static void write_named(FILE *out, u32 type, u64 track, u64 time, const char *name, const char *note, u64 amount)
{
	struct message event = { .nr = 0 }, annotation = { .nr = 0 };

	put_number(&event, EVENT_TYPE, type);
	put_number(&event, EVENT_TRACK, track);
	put_text(&event, EVENT_NAME, name);
	if (note) {
		put_text(&annotation, NOTE_NAME, note);
		put_number(&annotation, NOTE_NUMBER, amount);
		put_message(&event, EVENT_NOTE, &annotation);
	}
	write_event(out, time, &event);
}

void perfetto_begin(FILE *out, u64 track, u64 time, const char *name, const char *note, u64 amount)
{
	write_named(out, TYPE_BEGIN, track, time, name, note, amount);
}

void perfetto_instant(FILE *out, u64 track, u64 time, const char *name, const char *note, u64 amount)
{
	write_named(out, TYPE_INSTANT, track, time, name, note, amount);
}

void perfetto_end(FILE *out, u64 track, u64 time)
{
	struct message event = { .nr = 0 };

	put_number(&event, EVENT_TYPE, TYPE_END);
	put_number(&event, EVENT_TRACK, track);
	write_event(out, time, &event);
}

void perfetto_value(FILE *out, u64 track, u64 time, u64 value)
{
	struct message event = { .nr = 0 };

	put_number(&event, EVENT_TYPE, TYPE_COUNTER);
	put_number(&event, EVENT_TRACK, track);
	put_number(&event, EVENT_VALUE, value);
	write_event(out, time, &event);
}
