// SPDX-License-Identifier: MIT
/*
 * Writing a trace. Streams pack their frames in the thread that appends;
 * only the write itself is serialised. The file always ends at a whole frame:
 * a frame that cannot be written completely is taken back.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "base/array.h"
#include "traces/columns.h"

#define RECORD_GUESS 4		/* bytes of a record in the file, until so many tell: */
#define RECORDS_TO_JUDGE 10000

/* What it takes to pack one frame; kept in a pool, as large as there are threads packing at once. */
struct packer {
	struct packer *next;
	ZSTD_CCtx *zstd;
	u8 *unpacked, *packed;
	size_t unpacked_room, packed_room;
	struct columns_work work;
};

struct stream {
	struct rf_stream_info info;
	struct rf_record *records;	/* of the open frame; grows up to RF_FRAME_RECORDS */
	u32 nr;
	size_t room;
	u64 lost;			/* since the last frame */
	u64 last_time;
	u64 frames, total_records, total_lost;
	struct rf_privacy_stream privacy;
};

struct rf_writer {
	struct rf_output output;
	int level;
	const struct rf_privacy *privacy;	/* NULL: nothing is hidden */
	int failed;			/* the first write error; nothing is written after it */
	u64 offset;
	u64 begin;			/* of the first frame */
	u64 limit;			/* of the offset; 0: none */
	u64 *dropped;			/* records that had no room below it */
	u64 packed, open;		/* records: in frames that were written; in open ones (atomic) */
	struct packer *packers;		/* free ones */
	struct stream **streams;
	u32 nr_streams;
	size_t streams_room;
	u8 *index;			/* INDEX_ENTRY_BYTES per frame */
	size_t nr_frames, index_room;
	u64 counts[RF_RECORD_KIND_MAX];	/* records of each kind in these frames */
	pthread_mutex_t lock;		/* everything above; a stream's own fields belong to its thread */
};

static int out_of_memory(struct rf_error *err)
{
	return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
}

static void packer_free(struct packer *packer)
{
	if (!packer)
		return;
	ZSTD_freeCCtx(packer->zstd);
	free(packer->unpacked);
	free(packer->packed);
	free(packer);
}

static struct packer *packer_get(struct rf_writer *writer)
{
	struct packer *packer;

	pthread_mutex_lock(&writer->lock);
	packer = writer->packers;
	if (packer)
		writer->packers = packer->next;
	pthread_mutex_unlock(&writer->lock);
	if (packer)
		return packer;
	packer = calloc(1, sizeof(*packer));
	if (!packer)
		return NULL;
	packer->zstd = ZSTD_createCCtx();
	if (!packer->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_checksumFlag, 1)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel, writer->level))) {
		packer_free(packer);
		return NULL;
	}
	return packer;
}

static void packer_put(struct rf_writer *writer, struct packer *packer)
{
	pthread_mutex_lock(&writer->lock);
	packer->next = writer->packers;
	writer->packers = packer;
	pthread_mutex_unlock(&writer->lock);
}

/*
 * One zstd frame of unpacked[size], with blocks that end at cuts, into packer->packed at offset reserve. Returns its
 * size or a negative errno.
 */
static ssize_t compress(struct packer *packer, const u8 *unpacked, size_t size, const u32 *cuts, u32 nr_cuts,
			size_t reserve)
{
	size_t bound = ZSTD_compressBound(size) + (nr_cuts + 1) * 16, left = 0;
	ZSTD_outBuffer out = { NULL, bound, 0 };
	ZSTD_inBuffer in = { unpacked, 0, 0 };

	if (array_grow(packer->packed, packer->packed_room, reserve + bound + INDEX_TRAILER_BYTES))
		return -ENOMEM;
	out.dst = packer->packed + reserve;
	ZSTD_CCtx_reset(packer->zstd, ZSTD_reset_session_only);
	if (ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(packer->zstd, size)))
		return -EIO;
	for (u32 i = 0; i <= nr_cuts; i++) {
		ZSTD_EndDirective directive = i < nr_cuts ? ZSTD_e_flush : ZSTD_e_end;

		in.size = i < nr_cuts ? cuts[i] : size;
		do
			left = ZSTD_compressStream2(packer->zstd, &out, &in, directive);
		while (!ZSTD_isError(left) && left && out.pos < out.size);
		if (left)
			return -EIO;
	}
	return out.pos;
}

/* What the user can do about it. */
static const char *write_advice(int code)
{
	switch (code) {
	case -ENOSPC: case -EDQUOT: case -EFBIG:
		return " (make room or write elsewhere)";
	case -EPIPE:
		return " (its reader has gone)";
	case -ETIMEDOUT:
		return " (its reader takes nothing)";
	default:
		return "";
	}
}

/* Append bytes to the file, all or nothing. Called with the lock held. */
static int write_whole(struct rf_writer *writer, const u8 *data, size_t size, struct rf_error *err)
{
	size_t done = 0;
	int code = writer->failed;

	if (!code)
		code = rf_output_write(&writer->output, data, size, &done);
	if (!code) {
		__atomic_store_n(&writer->offset, writer->offset + size, __ATOMIC_RELAXED);
		return 0;
	}
	/* Take the partial frame back; where that is impossible, readers find the cut by themselves. */
	if (!writer->failed && done && ftruncate(writer->output.fd, writer->offset) == 0)
		lseek(writer->output.fd, writer->offset, SEEK_SET);
	writer->failed = code;
	return rf_error_set(err, code, writer->offset, "cannot write the trace: %s%s%s", strerror(-code),
			    write_advice(code), writer->output.growing ? "; what is there is whole" : "");
}

static int write_header(struct rf_writer *writer, const char *header, struct rf_error *err)
{
	struct packer *packer = packer_get(writer);
	ssize_t size;
	int ret;

	if (!packer)
		return out_of_memory(err);
	size = compress(packer, (const u8 *)header, strlen(header), NULL, 0, 0);
	ret = size < 0 ? rf_error_set(err, size, RF_NO_OFFSET, "cannot compress the trace header") :
			 write_whole(writer, packer->packed, size, err);
	packer_put(writer, packer);
	return ret;
}

static void writer_free(struct rf_writer *writer)
{
	struct packer *packer;

	while ((packer = writer->packers)) {
		writer->packers = packer->next;
		packer_free(packer);
	}
	for (u32 i = 0; i < writer->nr_streams; i++) {
		free(writer->streams[i]->records);
		free(writer->streams[i]);
	}
	free(writer->streams);
	free(writer->index);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}

struct rf_writer *rf_writer_create(const char *path, const char *header_json, int level, struct rf_error *err)
{
	struct rf_output output;

	if (rf_output_begin(&output, path, RF_OUTPUT_WHOLE, err))
		return NULL;
	return rf_writer_begin(&output, header_json, level, err);
}

struct rf_writer *rf_writer_begin(struct rf_output *output, const char *header_json, int level, struct rf_error *err)
{
	struct rf_writer *writer = calloc(1, sizeof(*writer));
	char *header = NULL;

	if (!writer) {
		rf_output_abandon(output);
		out_of_memory(err);
		return NULL;
	}
	pthread_mutex_init(&writer->lock, NULL);
	writer->level = level;
	writer->output = *output;
	if (level < ZSTD_minCLevel() || level > ZSTD_maxCLevel())
		rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no zstd level %d: use 1 to %d", level, ZSTD_maxCLevel());
	else
		header = header_canonical(header_json, level, err);
	if (!header || write_header(writer, header, err)) {
		rf_writer_abandon(writer);
		writer = NULL;
	} else {
		writer->begin = writer->offset;
	}
	free(header);
	return writer;
}

int rf_writer_add_stream(struct rf_writer *writer, const struct rf_stream_info *info)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	int index, ret;

	if (!stream)
		return -ENOMEM;
	if (info->source >= RF_NR_SOURCES) {
		free(stream);
		return -EINVAL;
	}
	stream->info = *info;
	pthread_mutex_lock(&writer->lock);
	index = writer->nr_streams;
	ret = index < STREAMS_MAX ? array_grow(writer->streams, writer->streams_room, index + 1ul) : -ENOSPC;
	if (!ret) {
		writer->streams[index] = stream;
		writer->nr_streams++;
	}
	pthread_mutex_unlock(&writer->lock);
	if (!ret)
		return index;
	free(stream);
	return ret;
}

void rf_writer_limit(struct rf_writer *writer, u64 bytes, u64 *dropped)
{
	writer->limit = bytes;
	writer->dropped = dropped;
	*dropped = 0;
}

/* Without the lock: who holds it may wait for a slow disk. */
u64 rf_writer_bytes(const struct rf_writer *writer)
{
	u64 open = __atomic_load_n(&writer->open, __ATOMIC_RELAXED);
	u64 packed = __atomic_load_n(&writer->packed, __ATOMIC_RELAXED);
	u64 offset = __atomic_load_n(&writer->offset, __ATOMIC_RELAXED);

	if (packed < RECORDS_TO_JUDGE)
		return offset + open * RECORD_GUESS;
	return offset + (offset - writer->begin) * open / packed;
}

static struct stream *stream_get(struct rf_writer *writer, int index)
{
	struct stream *stream = NULL;

	pthread_mutex_lock(&writer->lock);
	if (index >= 0 && (u32)index < writer->nr_streams)
		stream = writer->streams[index];
	pthread_mutex_unlock(&writer->lock);
	return stream;
}

static int add_to_index(struct rf_writer *writer, const struct packer *packer, u64 size)
{
	u8 *entry;

	if (array_grow(writer->index, writer->index_room, (writer->nr_frames + 1) * INDEX_ENTRY_BYTES))
		return -ENOMEM;
	entry = writer->index + writer->nr_frames++ * INDEX_ENTRY_BYTES;
	store_u64(entry, writer->offset);
	store_u64(entry + 8, size);
	memcpy(entry + 16, packer->unpacked, DATA_HEADER_BYTES);
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		writer->counts[kind] += packer->work.counts[kind];
	return 0;
}

/* Without this frame there is room for the end frame below the limit. */
static bool has_no_room(const struct rf_writer *writer, u64 size)
{
	u64 end = END_HEADER_BYTES + (u64)writer->nr_streams * END_STREAM_BYTES;

	return writer->limit && writer->offset + size + ZSTD_compressBound(end) > writer->limit;
}

/* 1: written; 0: there was no room. */
static int pack_frame(struct rf_writer *writer, struct packer *packer, struct stream *stream,
		      struct data_header *header, struct rf_error *err)
{
	bool room;
	ssize_t size;
	int ret;

	if (array_grow(packer->unpacked, packer->unpacked_room, columns_bound(stream->nr)))
		return out_of_memory(err);
	size = columns_pack(header, stream->records, stream->nr, &packer->work, packer->unpacked);
	if (size >= 0)
		size = compress(packer, packer->unpacked, size, packer->work.cuts, packer->work.nr_cuts, 0);
	if (size < 0)
		return rf_error_set(err, size, RF_NO_OFFSET, "cannot pack a frame: %s", strerror(-size));

	pthread_mutex_lock(&writer->lock);
	room = !has_no_room(writer, size);
	ret = writer->failed || !room ? 0 : add_to_index(writer, packer, size);
	ret = ret ? out_of_memory(err) : room ? write_whole(writer, packer->packed, size, err) : 0;
	if (room)
		__atomic_store_n(&writer->packed, writer->packed + stream->nr, __ATOMIC_RELAXED);
	else
		*writer->dropped += stream->nr;
	pthread_mutex_unlock(&writer->lock);
	return ret ? ret : room;
}

static int flush_stream(struct rf_writer *writer, int index, struct stream *stream, struct rf_error *err)
{
	struct data_header header = {
		.stream = index,
		.source = stream->info.source,
		.cpu = stream->info.cpu,
		.sequence = stream->frames,
		.records_before = stream->total_records,
		.lost_before = stream->total_lost,
		.lost = stream->lost,
		/* of an empty frame; others take their records' */
		.first_time = stream->last_time,
		.last_time = stream->last_time,
	};
	struct packer *packer;
	int ret;

	if (!stream->nr && !stream->lost)
		return 0;
	packer = packer_get(writer);
	if (!packer)
		return out_of_memory(err);
	ret = pack_frame(writer, packer, stream, &header, err);
	packer_put(writer, packer);
	if (ret < 0)
		return ret;
	__atomic_sub_fetch(&writer->open, stream->nr, __ATOMIC_RELAXED);
	if (ret) {
		stream->frames++;
		stream->total_records += stream->nr;
		stream->last_time = header.last_time;
		stream->lost = 0;
	} else {
		stream->lost += stream->nr;
		stream->total_lost += stream->nr;
	}
	stream->nr = 0;
	return 0;
}

static int note_lost(struct rf_writer *writer, int index, struct stream *stream, u64 events, struct rf_error *err)
{
	int ret = stream->nr ? flush_stream(writer, index, stream, err) : 0;

	if (ret)
		return ret;
	stream->lost += events;
	stream->total_lost += events;
	return 0;
}

int rf_writer_append(struct rf_writer *writer, int index, const struct rf_record *records, size_t nr,
		     struct rf_error *err)
{
	const struct rf_kind_info *table = rf_kind_table();
	struct stream *stream = stream_get(writer, index);
	int ret = 0;

	if (!stream)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no stream %d in this trace", index);
	__atomic_add_fetch(&writer->open, nr, __ATOMIC_RELAXED);
	for (size_t i = 0; !ret && i < nr; i++) {
		if (records[i].kind >= RF_RECORD_KIND_MAX || !table[records[i].kind].name)
			return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no record kind %u", records[i].kind);
		if (records[i].kind == RF_LOST) {	/* losses have one place: the frame header */
			__atomic_sub_fetch(&writer->open, 1, __ATOMIC_RELAXED);
			ret = note_lost(writer, index, stream, records[i].f[0], err);
			continue;
		}
		if (array_grow(stream->records, stream->room, min_u64(stream->nr + nr - i, RF_FRAME_RECORDS)))
			return out_of_memory(err);
		stream->records[stream->nr++] = records[i];
		if (writer->privacy &&
		    !rf_privacy_apply(writer->privacy, &stream->privacy, &stream->records[stream->nr - 1]))
			ret = note_lost(writer, index, stream, 1, err);
		if (!ret && stream->nr == RF_FRAME_RECORDS)
			ret = flush_stream(writer, index, stream, err);
	}
	return ret;
}

void rf_writer_hide(struct rf_writer *writer, const struct rf_privacy *privacy)
{
	writer->privacy = privacy;
}

int rf_writer_lost(struct rf_writer *writer, int index, u64 events, struct rf_error *err)
{
	struct stream *stream = stream_get(writer, index);

	if (!stream)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no stream %d in this trace", index);
	return events ? note_lost(writer, index, stream, events, err) : 0;
}

int rf_writer_flush(struct rf_writer *writer, int index, struct rf_error *err)
{
	struct stream *stream = stream_get(writer, index);

	if (!stream)
		return rf_error_set(err, -EINVAL, RF_NO_OFFSET, "no stream %d in this trace", index);
	return flush_stream(writer, index, stream, err);
}

static int write_end(struct rf_writer *writer, struct packer *packer, enum rf_end why, struct rf_error *err)
{
	size_t bytes = END_HEADER_BYTES + (size_t)writer->nr_streams * END_STREAM_BYTES;
	struct end_header header = { .why = why, .streams = writer->nr_streams, .frames = writer->nr_frames };
	ssize_t size;

	if (array_grow(packer->unpacked, packer->unpacked_room, bytes))
		return out_of_memory(err);
	for (u32 i = 0; i < writer->nr_streams; i++) {
		const struct stream *stream = writer->streams[i];
		struct end_stream totals = { stream->info, stream->frames, stream->total_records, stream->total_lost };

		end_stream_store(packer->unpacked + END_HEADER_BYTES + i * END_STREAM_BYTES, &totals);
		header.records += stream->total_records;
	}
	end_header_store(packer->unpacked, &header);
	size = compress(packer, packer->unpacked, bytes, NULL, 0, 0);
	if (size < 0)
		return rf_error_set(err, size, RF_NO_OFFSET, "cannot pack the end frame: %s", strerror(-size));
	return write_whole(writer, packer->packed, size, err);
}

/* The index saves readers a scan; a trace too long for one, or without room for it, is read without. */
static int write_index(struct rf_writer *writer, struct packer *packer, u64 end_offset, struct rf_error *err)
{
	struct index_header header = { writer->nr_streams, writer->nr_frames, end_offset, 0 };
	ssize_t size;
	u8 *trailer;

	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		header.kinds += writer->counts[kind] != 0;
	if (index_bytes(&header) > INDEX_UNPACKED_MAX)
		return 0;
	if (array_grow(packer->unpacked, packer->unpacked_room, index_bytes(&header)))
		return out_of_memory(err);
	index_header_store(packer->unpacked, &header);
	if (header.frames)
		memcpy(packer->unpacked + INDEX_HEADER_BYTES, writer->index, header.frames * INDEX_ENTRY_BYTES);
	index_kinds_store(packer->unpacked + index_kinds_offset(&header), writer->counts);
	size = compress(packer, packer->unpacked, index_bytes(&header), NULL, 0, 8);
	if (size < 0)
		return rf_error_set(err, size, RF_NO_OFFSET, "cannot pack the index: %s", strerror(-size));
	store_u32(packer->packed, INDEX_SKIP_MAGIC);
	store_u32(packer->packed + 4, size + INDEX_TRAILER_BYTES);
	if (writer->limit && writer->offset + 8 + (u64)size + INDEX_TRAILER_BYTES > writer->limit)
		return 0;
	trailer = packer->packed + 8 + size;
	store_u64(trailer, writer->offset);
	store_u64(trailer + 8, INDEX_TRAILER_MAGIC);
	return write_whole(writer, packer->packed, 8 + size + INDEX_TRAILER_BYTES, err);
}

int rf_writer_close(struct rf_writer *writer, enum rf_end why, struct rf_error *err)
{
	struct packer *packer;
	u64 end_offset;
	int ret = 0;

	for (u32 i = 0; !ret && i < writer->nr_streams; i++)
		ret = flush_stream(writer, i, writer->streams[i], err);
	packer = packer_get(writer);
	if (!ret && !packer)
		ret = out_of_memory(err);
	end_offset = writer->offset;
	if (!ret)
		ret = write_end(writer, packer, why, err);
	if (!ret)
		ret = write_index(writer, packer, end_offset, err);
	packer_free(packer);
	if (!ret)
		ret = rf_output_finish(&writer->output, err);
	else
		rf_output_fail(&writer->output);
	writer_free(writer);
	return ret;
}

void rf_writer_abandon(struct rf_writer *writer)
{
	rf_output_abandon(&writer->output);
	writer_free(writer);
}
