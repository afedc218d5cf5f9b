// SPDX-License-Identifier: MIT
/*
 * Packing by column. Neighbours in a column are of one kind and one field, so
 * their differences are small and alike, and zstd finds what varints leave.
 */
#include <errno.h>
#include <sys/types.h>

#include "traces/columns.h"

#define COLUMN_BYTES 8			/* directory entry: kind, field, encoding, 0, bytes/u32 */
#define VARINT_MAX 10

/* Columns of every record have kind 0 in the directory. */
enum common_column { COLUMN_KIND, COLUMN_TIME, COLUMN_TID, COMMON_COLUMNS };

static inline u64 zigzag(u64 delta)
{
	return delta << 1 ^ (u64)((s64)delta >> 63);
}

static inline u64 unzigzag(u64 value)
{
	return value >> 1 ^ -(value & 1);
}

static inline u8 *varint_store(u8 *out, u64 value)
{
	while (value >= 0x80) {
		*out++ = value | 0x80;
		value >>= 7;
	}
	*out++ = value;
	return out;
}

static inline const u8 *varint_load(const u8 *in, u64 *value)
{
	u64 result = *in++;
	unsigned int shift = 7;

	if (result < 0x80) {
		*value = result;
		return in;
	}
	result &= 0x7f;
	for (;;) {
		u64 byte = *in++;

		if (shift < 64)
			result |= (byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
		shift += 7;
	}
	*value = result;
	return in;
}

size_t columns_bound(size_t nr)
{
	return DATA_HEADER_BYTES + COLUMN_BYTES * (COMMON_COLUMNS + RF_RECORD_KIND_MAX * RF_RECORD_FIELDS) +
	       nr * (1 + (2 + RF_RECORD_FIELDS) * VARINT_MAX);
}

/* ---- packing ------------------------------------------------------------ */

struct packing {
	u8 *directory;
	u8 *out;
	u8 *start;			/* of the column being written */
};

static void close_column(struct packing *packing, u8 kind, u8 field)
{
	packing->directory[0] = kind;
	packing->directory[1] = field;
	packing->directory[2] = 0;
	packing->directory[3] = 0;
	store_u32(packing->directory + 4, packing->out - packing->start);
	packing->directory += COLUMN_BYTES;
	packing->start = packing->out;
}

static void pack_common(struct packing *packing, struct data_header *header, const struct rf_record *records, u32 nr)
{
	u64 last = header->first_time;

	for (u32 i = 0; i < nr; i++)
		*packing->out++ = records[i].kind;
	close_column(packing, 0, COLUMN_KIND);
	for (u32 i = 0; i < nr; i++) {
		packing->out = varint_store(packing->out, zigzag(records[i].time - last));
		last = records[i].time;
	}
	close_column(packing, 0, COLUMN_TIME);
	last = 0;
	for (u32 i = 0; i < nr; i++) {
		packing->out = varint_store(packing->out, zigzag((u64)records[i].tid - last));
		last = records[i].tid;
	}
	close_column(packing, 0, COLUMN_TID);
}

static void pack_field(struct packing *packing, const struct rf_record *records, const u32 *positions, u32 nr,
		       u8 kind, u8 field)
{
	u64 last = 0;

	for (u32 i = 0; i < nr; i++) {
		u64 value = records[positions[i]].f[field];

		packing->out = varint_store(packing->out, zigzag(value - last));
		last = value;
	}
	close_column(packing, kind, field);
}

ssize_t columns_pack(struct data_header *header, const struct rf_record *records, u32 nr, u32 *positions, u8 *out)
{
	const struct rf_kind_info *table = rf_kind_table();
	u32 counts[RF_RECORD_KIND_MAX] = { 0 }, starts[RF_RECORD_KIND_MAX];
	u32 columns = COMMON_COLUMNS, start = 0;
	struct packing packing;

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
	header->kinds[0] = header->kinds[1] = 0;
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++) {
		starts[kind] = start;
		start += counts[kind];
		if (counts[kind]) {
			header->kinds[kind / 64] |= BIT_ULL(kind % 64);
			columns += table[kind].nr_fields;
		}
	}
	header->records = nr;
	header->columns = columns;
	data_header_store(out, header);
	for (u32 i = 0; i < nr; i++)
		positions[starts[records[i].kind]++] = i;

	packing.directory = out + DATA_HEADER_BYTES;
	packing.out = packing.start = packing.directory + columns * COLUMN_BYTES;
	pack_common(&packing, header, records, nr);
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		for (u8 field = 0; counts[kind] && field < table[kind].nr_fields; field++)
			pack_field(&packing, records, positions + starts[kind] - counts[kind], counts[kind], kind,
				   field);
	return packing.out - out;
}

/* ---- unpacking ----------------------------------------------------------- */

/* A column of varints holds exactly nr values when nr bytes end one and the last byte does. */
static bool varints_fit(const u8 *data, size_t bytes, u32 nr)
{
	size_t ends = 0;

	for (size_t i = 0; i < bytes; i++)
		ends += data[i] < 0x80;
	return ends == nr && (!bytes || data[bytes - 1] < 0x80);
}

static bool kinds_fit(const u8 *data, u32 nr, const struct data_header *header, u32 counts[RF_RECORD_KIND_MAX])
{
	u64 seen[2] = { 0, 0 };

	memset(counts, 0, RF_RECORD_KIND_MAX * sizeof(counts[0]));
	for (u32 i = 0; i < nr; i++) {
		if (data[i] >= RF_RECORD_KIND_MAX)
			return false;
		counts[data[i]]++;
	}
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		if (counts[kind])
			seen[kind / 64] |= BIT_ULL(kind % 64);
	return !counts[0] && seen[0] == header->kinds[0] && seen[1] == header->kinds[1];
}

static const char *open_column(struct columns *columns, const u8 *entry, const u8 *data, size_t bytes, u32 index,
			       const struct data_header *header, u32 counts[RF_RECORD_KIND_MAX])
{
	u8 kind = entry[0], field = entry[1];

	if (index < COMMON_COLUMNS ? kind || field != index : !kind || kind >= RF_RECORD_KIND_MAX)
		return "columns in wrong order";
	if (entry[2] || entry[3])
		return "unknown column encoding";
	if (index == COLUMN_KIND) {
		if (bytes != header->records || !kinds_fit(data, header->records, header, counts))
			return "record kinds do not agree with the frame header";
		columns->kinds = data;
		return NULL;
	}
	if (!varints_fit(data, bytes, index < COMMON_COLUMNS ? header->records : counts[kind]))
		return "a column does not hold one value per record";
	if (index == COLUMN_TIME) {
		columns->time.next = data;
	} else if (index == COLUMN_TID) {
		columns->tid.next = data;
	} else {
		struct kind_columns *by_kind = &columns->by_kind[kind];

		if (field != by_kind->nr_fields || field >= RF_RECORD_FIELDS)
			return "columns in wrong order";
		by_kind->fields[by_kind->nr_fields++].next = data;
	}
	return NULL;
}

const char *columns_open(struct columns *columns, const u8 *data, size_t size, const struct data_header *header)
{
	const struct rf_kind_info *table = rf_kind_table();
	size_t directory = (size_t)header->columns * COLUMN_BYTES;
	u32 counts[RF_RECORD_KIND_MAX];
	size_t at = DATA_HEADER_BYTES + directory;

	if (at > size || header->columns < COMMON_COLUMNS)
		return "column directory larger than the frame";
	memset(columns, 0, sizeof(*columns));
	for (u32 i = 0; i < header->columns; i++) {
		const u8 *entry = data + DATA_HEADER_BYTES + i * COLUMN_BYTES;
		size_t bytes = load_u32(entry + 4);
		const char *wrong;

		if (bytes > size - at)
			return "column larger than the frame";
		wrong = open_column(columns, entry, data + at, bytes, i, header, counts);
		if (wrong)
			return wrong;
		at += bytes;
	}
	if (at != size)
		return "bytes after the last column";
	for (u32 kind = 0; kind < RF_RECORD_KIND_MAX; kind++)
		if (counts[kind] && table[kind].name && columns->by_kind[kind].nr_fields != table[kind].nr_fields)
			return "wrong number of columns for a record kind";
	columns->stream = header->stream;
	columns->left = header->records;
	columns->time.last = header->first_time;
	return NULL;
}

static void read_common(struct columns *columns, struct rf_record *out, u32 nr)
{
	const u8 *next = columns->time.next;
	u64 last = columns->time.last, value;

	for (u32 i = 0; i < nr; i++) {
		next = varint_load(next, &value);
		out[i].time = last += unzigzag(value);
	}
	columns->time.next = next;
	columns->time.last = last;

	next = columns->tid.next;
	last = columns->tid.last;
	for (u32 i = 0; i < nr; i++) {
		next = varint_load(next, &value);
		last += unzigzag(value);
		out[i].tid = last;
		out[i].stream = columns->stream;
		out[i].kind = columns->kinds[i];
		out[i].reserved = 0;
		memset(out[i].f, 0, sizeof(out[i].f));
	}
	columns->tid.next = next;
	columns->tid.last = last;
}

static void read_field(struct column *column, struct rf_record *out, const u16 *positions, u32 nr, u32 field)
{
	const u8 *next = column->next;
	u64 last = column->last, value;

	for (u32 i = 0; i < nr; i++) {
		next = varint_load(next, &value);
		out[positions[i]].f[field] = last += unzigzag(value);
	}
	column->next = next;
	column->last = last;
}

static void read_slice(struct columns *columns, struct rf_record *out, u32 nr)
{
	u16 counts[RF_RECORD_KIND_MAX] = { 0 }, starts[RF_RECORD_KIND_MAX], positions[COLUMNS_SLICE];
	u16 start = 0;

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
		struct kind_columns *by_kind = &columns->by_kind[kind];

		for (u32 field = 0; counts[kind] && field < by_kind->nr_fields; field++)
			read_field(&by_kind->fields[field], out, positions + starts[kind] - counts[kind], counts[kind],
				   field);
	}
	columns->kinds += nr;
	columns->left -= nr;
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
		done += nr;
	}
	return done;
}
