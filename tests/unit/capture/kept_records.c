// SPDX-License-Identifier: MIT
/* A stand-in for the trace writer. It fails a test at once if a stream is not in time order. */
#include "kept_records.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct rf_writer {
	pthread_mutex_t lock;
	struct rf_record *records;
	size_t nr;
	int nr_streams;
	u64 last_time[64];
};

struct rf_writer *kept_create(void)
{
	struct rf_writer *writer = calloc(1, sizeof(*writer));

	assert(writer);
	pthread_mutex_init(&writer->lock, NULL);
	return writer;
}

void kept_destroy(struct rf_writer *writer)
{
	pthread_mutex_destroy(&writer->lock);
	free(writer->records);
	free(writer);
}

int rf_writer_add_stream(struct rf_writer *writer, const struct rf_stream_info *info)
{
	(void)info;
	return writer->nr_streams++;
}

int rf_writer_append(struct rf_writer *writer, int stream, const struct rf_record *records, size_t nr,
		     struct rf_error *err)
{
	(void)err;
	pthread_mutex_lock(&writer->lock);
	writer->records = realloc(writer->records, (writer->nr + nr + 1) * sizeof(*records));
	assert(writer->records);
	for (size_t i = 0; i < nr; i++) {
		assert(records[i].time >= writer->last_time[stream]);
		writer->last_time[stream] = records[i].time;
		writer->records[writer->nr] = records[i];
		writer->records[writer->nr++].stream = (u16)stream;
	}
	pthread_mutex_unlock(&writer->lock);
	return 0;
}

int rf_writer_flush(struct rf_writer *writer, int stream, struct rf_error *err)
{
	(void)writer;
	(void)stream;
	(void)err;
	return 0;
}

size_t kept_nr(const struct rf_writer *writer)
{
	return writer->nr;
}

const struct rf_record *kept_record(const struct rf_writer *writer, size_t index)
{
	return &writer->records[index];
}

size_t kept_count(const struct rf_writer *writer, enum rf_record_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < writer->nr; i++)
		count += writer->records[i].kind == kind;
	return count;
}
