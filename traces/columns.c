// SPDX-License-Identifier: MIT
/*
 * Packing by column. Neighbours in a column are of one kind and one field, so
 * their differences are small and alike, and zstd finds what remains.
 */
#include <errno.h>
#include <sys/types.h>

#include "traces/columns.h"
#include "traces/varint.h"

#define COLUMN_BYTES 8			/* directory entry: kind, part, 0, 0, bytes/u32 */

/* The columns of all records have kind 0 in the directory; those of one kind are its times, then its fields. */
enum common_part { PART_KINDS, PART_TIDS, COMMON_PARTS };
enum kind_part { PART_TIMES, PART_FIELDS };

/* Times since the record before: a high and a low byte, but RARE in the high one for all that do not fit. */
#define TIME_RARE 0xff
#define TIME_LIMIT (TIME_RARE << 8)

size_t columns_bound(size_t nr)
{
	size_t columns = COMMON_PARTS + RF_RECORD_KIND_MAX * (PART_FIELDS + RF_RECORD_FIELDS);

	return DATA_HEADER_BYTES + COLUMN_BYTES * columns +
	       nr * (1 + 2 * VARINT_MAX + 1 + VARINT_MAX + RF_RECORD_FIELDS * VARINT_MAX);
}

/* ---- packing ------------------------------------------------------------ */

struct packing {
	const struct rf_record *records;
	u32 nr;
	u64 first_time;
	struct columns_work *work;
	u8 *frame;
	u8 *directory;			/* next entry */
	u8 *out;
	u8 *column;			/* start of the column being written */
	u8 *part;			/* and of its part */
};

static void cut_at(struct packing *packing, const u8 *place)
{
	struct columns_work *work = packing->work;
	u32 offset = place - packing->frame;

	if (!work->nr_cuts || work->cuts[work->nr_cuts - 1] < offset)
		work->cuts[work->nr_cuts++] = offset;
}

static void close_part(struct packing *packing)
{
	if (packing->out - packing->part >= COLUMNS_CUT_BYTES) {
		cut_at(packing, packing->part);
		cut_at(packing, packing->out);
	}
	packing->part = packing->out;
}

static void close_column(struct packing *packing, u8 kind, u8 part)
{
	packing->directory[0] = kind;
	packing->directory[1] = part;
	packing->directory[2] = 0;
	packing->directory[3] = 0;
	store_u32(packing->directory + 4, packing->out - packing->column);
	packing->directory += COLUMN_BYTES;
	close_part(packing);
	packing->column = packing->out;
}

static void pack_kinds(struct packing *packing)
{
	for (u32 i = 0; i < packing->nr; i++)
		*packing->out++ = packing->records[i].kind;
	close_column(packing, 0, PART_KINDS);
}

/* A thread runs for many records: (run length, difference to the run before). */
static void pack_tids(struct packing *packing)
{
	u64 last = 0;
	u32 run;

	for (u32 i = 0; i < packing->nr; i += run) {
		u64 tid = packing->records[i].tid;

		for (run = 1; i + run < packing->nr && packing->records[i + run].tid == tid; run++)
			;
		packing->out = varint_store(packing->out, run);
		packing->out = varint_store(packing->out, zigzag(tid - last));
		last = tid;
	}
	close_column(packing, 0, PART_TIDS);
}

static u64 time_delta(const struct packing *packing, u32 i)
{
	return packing->records[i].time - (i ? packing->records[i - 1].time : packing->first_time);
}

static void pack_times(struct packing *packing, u8 kind, const u32 *positions, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		u64 delta = time_delta(packing, positions[i]);

		*packing->out++ = delta < TIME_LIMIT ? delta >> 8 : TIME_RARE;
	}
	close_part(packing);
	for (u32 i = 0; i < nr; i++) {
		u64 delta = time_delta(packing, positions[i]);

		if (delta < TIME_LIMIT)
			*packing->out++ = delta;
	}
	close_part(packing);
	for (u32 i = 0; i < nr; i++) {
		u64 delta = time_delta(packing, positions[i]);

		if (delta >= TIME_LIMIT)
			packing->out = varint_store(packing->out, zigzag(delta));
	}
	close_column(packing, kind, PART_TIMES);
}

static void pack_field(struct packing *packing, u8 kind, u8 field, const u32 *positions, u32 nr)
{
	u64 last = 0;

	for (u32 i = 0; i < nr; i++) {
		u64 value = packing->records[positions[i]].f[field];

		packing->out = varint_store(packing->out, zigzag(value - last));
		last = value;
	}
	close_column(packing, kind, PART_FIELDS + field);
}

/* Count kinds and take times; -EINVAL: a record of no known kind. */
static int survey(struct data_header *header, const struct rf_record *records, u32 nr, u32 counts[RF_RECORD_KIND_MAX])
{
	const struct rf_kind_info *table = rf_kind_table();

	for (u32 i = 0; i < nr; i++) {
		u8 kind = records[i].kind;

		if (kind >= RF_RECORD_KIND_MAX || !table[kind].name)
			return -EINVAL;
		counts[kind]++;
		if (!i || records[i].time < header->first_time)
			header->first_time = records[i].time;
		if (!i || records[i].time > header->last_time)
			header->last_time = records[i].time;
	}
	header->records = nr;
	header->columns = COMMON_PARTS;
	header->kinds[0] = header->kinds[1] = 0;
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		if (!counts[kind])
			continue;
		header->kinds[kind / 64] |= BIT_ULL(kind % 64);
		header->columns += PART_FIELDS + table[kind].nr_fields;
	}
	return 0;
}

ssize_t columns_pack(struct data_header *header, const struct rf_record *records, u32 nr, struct columns_work *work,
		     u8 *out)
{
	const struct rf_kind_info *table = rf_kind_table();
	u32 *counts = memset(work->counts, 0, sizeof(work->counts)), starts[RF_RECORD_KIND_MAX], start = 0;
	struct packing packing = { .records = records, .nr = nr, .work = work, .frame = out };

	if (survey(header, records, nr, counts))
		return -EINVAL;
	data_header_store(out, header);
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		starts[kind] = start;
		start += counts[kind];
	}
	for (u32 i = 0; i < nr; i++)
		work->positions[starts[records[i].kind]++] = i;
	work->nr_cuts = 0;

	packing.first_time = header->first_time;
	packing.directory = out + DATA_HEADER_BYTES;
	packing.out = packing.column = packing.part = packing.directory + header->columns * COLUMN_BYTES;
	pack_kinds(&packing);
	pack_tids(&packing);
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		const u32 *mine = work->positions + starts[kind] - counts[kind];

		if (!counts[kind])
			continue;
		pack_times(&packing, kind, mine, counts[kind]);
		for (u8 field = 0; field < table[kind].nr_fields; field++)
			pack_field(&packing, kind, field, mine, counts[kind]);
	}
	return packing.out - out;
}

/* ---- opening: every check that decoding then does without -------------------- */

/* Bytes hold exactly nr varints when nr of them end one and the last one does. */
static bool varints_fit(const u8 *data, size_t bytes, u32 nr)
{
	size_t ends = 0;

	for (size_t i = 0; i < bytes; i++)
		ends += data[i] < 0x80;
	return ends == nr && (!bytes || data[bytes - 1] < 0x80);
}

static bool kinds_fit(const u8 *data, size_t bytes, const struct data_header *header, u32 counts[RF_RECORD_KIND_MAX])
{
	u64 seen[2] = { 0, 0 };

	if (bytes != header->records)
		return false;
	for (u32 i = 0; i < bytes; i++) {
		if (data[i] >= RF_RECORD_KIND_MAX)
			return false;
		counts[data[i]]++;
	}
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		if (counts[kind])
			seen[kind / 64] |= BIT_ULL(kind % 64);
	return !counts[0] && seen[0] == header->kinds[0] && seen[1] == header->kinds[1];
}

static bool tids_fit(const u8 *data, size_t bytes, u32 nr)
{
	const u8 *end = data + bytes;
	u64 run, delta, total = 0;

	if (bytes && end[-1] >= 0x80)
		return false;
	while (data < end) {
		data = varint_load(data, &run);
		if (data >= end || !run || run > nr - total)
			return false;
		data = varint_load(data, &delta);
		total += run;
	}
	return total == nr;
}

static bool times_fit(const u8 *data, size_t bytes, u32 nr, struct time_column *column)
{
	u32 rare = 0;

	if (bytes < nr)
		return false;
	for (u32 i = 0; i < nr; i++)
		rare += data[i] == TIME_RARE;
	if (bytes - nr < nr - rare)
		return false;
	column->high = data;
	column->low = data + nr;
	column->rare = column->low + (nr - rare);
	return varints_fit(column->rare, data + bytes - column->rare, rare);
}

static const char *open_kind_column(struct kind_columns *columns, u8 part, const u8 *data, size_t bytes, u32 nr)
{
	struct varint_column *column;

	if (part == PART_TIMES)
		return columns->time.high || !times_fit(data, bytes, nr, &columns->time)
			       ? "a column of times is damaged"
			       : NULL;
	if (!columns->time.high || part != PART_FIELDS + columns->nr_fields || columns->nr_fields >= RF_RECORD_FIELDS)
		return "columns in wrong order";
	if (!varints_fit(data, bytes, nr))
		return "a column does not hold one value per record";
	column = &columns->fields[columns->nr_fields++];
	column->next = data;
	column->wide = bytes > nr + nr / 8;
	return NULL;
}

static const char *open_column(struct columns *columns, const u8 *entry, u32 index, const u8 *data, size_t bytes,
			       const struct data_header *header)
{
	u32 *counts = columns->counts;
	u8 kind = entry[0], part = entry[1];

	if (entry[2] || entry[3])
		return "unknown column encoding";
	if (index >= COMMON_PARTS) {
		if (!kind || kind >= RF_RECORD_KIND_MAX || !counts[kind])
			return "a column of no record";
		return open_kind_column(&columns->by_kind[kind], part, data, bytes, counts[kind]);
	}
	if (kind || part != index)
		return "columns in wrong order";
	if (part == PART_KINDS) {
		columns->kinds = data;
		return kinds_fit(data, bytes, header, counts) ? NULL : "record kinds do not agree with the header";
	}
	columns->tids = data;
	return tids_fit(data, bytes, header->records) ? NULL : "the column of threads is damaged";
}

/* Kinds that this reader knows must have their columns; newer ones may have any. */
static bool all_there(struct columns *columns)
{
	const struct rf_kind_info *table = rf_kind_table();

	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		const struct kind_columns *mine = &columns->by_kind[kind];

		if (!columns->counts[kind])
			continue;
		if (!mine->time.high || (table[kind].name && mine->nr_fields != table[kind].nr_fields))
			return false;
		if (!table[kind].name)
			columns->newer = true;
	}
	return true;
}

const char *columns_open(struct columns *columns, const u8 *data, size_t size, const struct data_header *header)
{
	size_t at = DATA_HEADER_BYTES + (size_t)header->columns * COLUMN_BYTES;

	memset(columns, 0, sizeof(*columns));
	if (at > size || header->columns < COMMON_PARTS)
		return "column directory larger than the frame";
	for (u32 i = 0; i < header->columns; i++) {
		const u8 *entry = data + DATA_HEADER_BYTES + i * COLUMN_BYTES;
		size_t bytes = load_u32(entry + 4);
		const char *wrong;

		if (bytes > size - at)
			return "column larger than the frame";
		wrong = open_column(columns, entry, i, data + at, bytes, header);
		if (wrong)
			return wrong;
		at += bytes;
	}
	if (at != size)
		return "bytes after the last column";
	if (!all_there(columns))
		return "a record kind without its columns";
	columns->stream = header->stream;
	columns->left = header->records;
	columns->time = header->first_time;
	return NULL;
}

/* ---- decoding ------------------------------------------------------------------- */

static void read_times(struct time_column *column, struct rf_record *out, const u16 *positions, u32 nr)
{
	const u8 *high = column->high, *low = column->low;
	u64 value;

	for (u32 i = 0; i < nr; i++) {
		if (high[i] != TIME_RARE) {
			out[positions[i]].time = high[i] << 8 | *low++;
		} else {
			column->rare = varint_load(column->rare, &value);
			out[positions[i]].time = unzigzag(value);
		}
	}
	column->high = high + nr;
	column->low = low;
}

static void read_field(struct varint_column *column, struct rf_record *out, const u16 *positions, u32 nr, u32 field)
{
	const u8 *next = column->next;
	u64 last = column->last, value;

	if (column->wide) {
		for (u32 i = 0; i < nr; i++) {
			next = varint_load_wide(next, &value);
			out[positions[i]].f[field] = last += unzigzag(value);
		}
	} else {
		for (u32 i = 0; i < nr; i++) {
			next = varint_load(next, &value);
			out[positions[i]].f[field] = last += unzigzag(value);
		}
	}
	column->next = next;
	column->last = last;
}

/* Everything but what the columns of the kinds hold; times are differences until add_times(). */
static void read_common(struct columns *columns, struct rf_record *out, u32 nr)
{
	u64 value;

	for (u32 i = 0; i < nr; i++) {
		if (!columns->tid_run) {
			columns->tids = varint_load(columns->tids, &columns->tid_run);
			columns->tids = varint_load(columns->tids, &value);
			columns->tid += unzigzag(value);
		}
		columns->tid_run--;
		memset(&out[i], 0, sizeof(out[i]));
		out[i].tid = columns->tid;
		out[i].stream = columns->stream;
		out[i].kind = columns->kinds[i];
	}
}

static void add_times(struct columns *columns, struct rf_record *out, u32 nr)
{
	u64 time = columns->time;

	for (u32 i = 0; i < nr; i++)
		out[i].time = time += out[i].time;
	columns->time = time;
}

static void read_slice(struct columns *columns, struct rf_record *out, u32 nr)
{
	u16 counts[RF_RECORD_KIND_MAX] = { 0 }, starts[RF_RECORD_KIND_MAX], positions[COLUMNS_SLICE], start = 0;

	read_common(columns, out, nr);
	for (u32 i = 0; i < nr; i++)
		counts[columns->kinds[i]]++;
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		starts[kind] = start;
		start += counts[kind];
	}
	for (u32 i = 0; i < nr; i++)
		positions[starts[columns->kinds[i]]++] = i;
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		struct kind_columns *mine = &columns->by_kind[kind];
		const u16 *at = positions + starts[kind] - counts[kind];

		if (!counts[kind])
			continue;
		read_times(&mine->time, out, at, counts[kind]);
		for (u32 field = 0; field < mine->nr_fields; field++)
			read_field(&mine->fields[field], out, at, counts[kind], field);
	}
	add_times(columns, out, nr);
	columns->kinds += nr;
	columns->left -= nr;
}

/* Take records of unknown kinds out; returns how many are left. */
static u32 drop_newer(struct rf_record *records, u32 nr)
{
	const struct rf_kind_info *table = rf_kind_table();
	u32 kept = 0;

	for (u32 i = 0; i < nr; i++)
		if (table[records[i].kind].name)
			records[kept++] = records[i];
	return kept;
}

size_t columns_read(struct columns *columns, struct rf_record *out, size_t max)
{
	size_t done = 0;

	while (done < max && columns->left) {
		u32 nr = COLUMNS_SLICE;

		if (nr > columns->left)
			nr = columns->left;
		if (nr > max - done)
			nr = max - done;
		read_slice(columns, out + done, nr);
		done += columns->newer ? drop_newer(out + done, nr) : nr;
	}
	return done;
}
