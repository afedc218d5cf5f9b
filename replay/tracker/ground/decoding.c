// SPDX-License-Identifier: MIT
/*
 * The decoder's thread fills batches in turn, the tracker copies each out of the one it gives back. Decoding is a sixth
 * of a replay's work on one policy, and depends on nothing that the tracker knows.
 */
#include "replay/tracker/ground/decoding.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 4

struct batch {
	size_t nr;		/* 0: the end */
	struct rf_record records[DECODED_AT_ONCE];
};

struct decoding {
	struct rf_merge *merge;
	struct compat_tasks *compat;
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock;	/* of what follows */
	pthread_cond_t filled, taken;
	u64 nr_filled, nr_taken;
	bool stopped;
	struct batch batches[];	/* BATCHES; none if there is no thread */
};

static size_t decode(struct decoding *decoding, struct rf_record *out)
{
	size_t read, nr;

	do {
		read = rf_merge_read(decoding->merge, out, DECODED_AT_ONCE);
		nr = compat_choose(decoding->compat, out, read);
	} while (read && !nr);
	return nr;
}

/* Is there a batch to fill? */
static bool wait_for_room(struct decoding *decoding)
{
	bool stopped;

	pthread_mutex_lock(&decoding->lock);
	while (decoding->nr_filled - decoding->nr_taken == BATCHES && !decoding->stopped)
		pthread_cond_wait(&decoding->taken, &decoding->lock);
	stopped = decoding->stopped;
	pthread_mutex_unlock(&decoding->lock);
	return !stopped;
}

static void *decode_all(void *argument)
{
	struct decoding *decoding = argument;
	size_t nr = 1;

	while (nr && wait_for_room(decoding)) {
		struct batch *batch = &decoding->batches[decoding->nr_filled % BATCHES];

		nr = batch->nr = decode(decoding, batch->records);
		pthread_mutex_lock(&decoding->lock);
		decoding->nr_filled++;
		pthread_cond_signal(&decoding->filled);
		pthread_mutex_unlock(&decoding->lock);
	}
	return NULL;
}

struct decoding *decoding_start(struct rf_reader *reader, struct compat_tasks *compat, bool one_thread,
				struct rf_error *err)
{
	size_t batches = one_thread ? 0 : BATCHES * sizeof(struct batch);
	struct decoding *decoding = malloc(sizeof(*decoding) + batches);

	if (!decoding) {
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		return NULL;
	}
	*decoding = (struct decoding){ .compat = compat, .merge = rf_merge_open(reader, NULL, err) };
	if (!decoding->merge) {
		free(decoding);
		return NULL;
	}
	pthread_mutex_init(&decoding->lock, NULL);
	pthread_cond_init(&decoding->filled, NULL);
	pthread_cond_init(&decoding->taken, NULL);
	/* Where no thread is to be had it goes without. */
	decoding->threaded = batches && !pthread_create(&decoding->thread, NULL, decode_all, decoding);
	return decoding;
}

size_t decoding_next(struct decoding *decoding, struct rf_record *out)
{
	const struct batch *batch;
	size_t nr;

	if (!decoding->threaded)
		return decode(decoding, out);
	pthread_mutex_lock(&decoding->lock);
	while (decoding->nr_taken == decoding->nr_filled)
		pthread_cond_wait(&decoding->filled, &decoding->lock);
	pthread_mutex_unlock(&decoding->lock);
	batch = &decoding->batches[decoding->nr_taken % BATCHES];
	nr = batch->nr;
	memcpy(out, batch->records, nr * sizeof(*out));
	if (!nr)
		return 0;	/* and stays where it is: asked again, the same is said */
	pthread_mutex_lock(&decoding->lock);
	decoding->nr_taken++;
	pthread_cond_signal(&decoding->taken);
	pthread_mutex_unlock(&decoding->lock);
	return nr;
}

void decoding_stop(struct decoding *decoding)
{
	if (!decoding)
		return;
	pthread_mutex_lock(&decoding->lock);
	decoding->stopped = true;
	pthread_cond_signal(&decoding->taken);
	pthread_mutex_unlock(&decoding->lock);
	if (decoding->threaded)
		pthread_join(decoding->thread, NULL);
	rf_merge_close(decoding->merge);
	pthread_mutex_destroy(&decoding->lock);
	pthread_cond_destroy(&decoding->filled);
	pthread_cond_destroy(&decoding->taken);
	free(decoding);
}
