// SPDX-License-Identifier: MIT
/*
 * Hiding what is private. Each replacement keeps what a replay goes by and nothing else: that numbers are equal or not,
 * of page frames alignment and neighbourhood within a folio, of addresses their order, their distances and the tables
 * that they share. See privacy.h.
 */
#include "traces/privacy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/header.h"
#include "traces/permutation.h"

/* Purposes of permutations: a number of one kind tells nothing about the same number of another. */
enum purpose { FOR_TASKS = 1, FOR_FRAMES, FOR_OBJECTS, FOR_LARGE_OBJECTS, FOR_COMMS, FOR_BUILDS };

/* No task has a number from here on (PID_MAX_LIMIT), so that no pseudonym is the number of one that lives. */
#define PIDS_BITS 22

/*
 * The largest folio there is has 2^18 pages (1 GiB of 4K pages and of cont-PMDs of 16K, 16 GiB of those of 64K): chunks
 * of them are permuted as wholes, into a half of the numbers (below WORLD_INVENTED_PFN) where no memory is.
 */
#define CHUNK_BITS 18
#define CHUNKS_BITS 20

/*
 * All user addresses move by whole tables: a piece of 4 TiB is one table of some level with pages of 4K and of 64K, and
 * several with 16K, where a directory covers all 32 pieces below bit 47. Below 56 TiB are programs that are linked to a
 * place, 32-bit ones, heaps and shadows at fixed addresses; from 84 TiB on are the other programs with their heaps,
 * and what mmap() gives, from the top (arm64 has that all in its upper half). The two move towards each other, until
 * nothing is between, so that all stay in order; the pieces that were there come below and above.
 */
#define PIECE_SHIFT 42
#define PIECES 32
#define FIRST_UNUSED 14
#define UNUSED 7

/* Nobody maps less, so that in the buffers of calls what is below is no address. */
#define LEAST_ADDRESS 4096

struct rf_privacy {
	struct permutation_key key;
	u32 hidden;
	bool no_marks;
	u64 up;			/* pieces by which low addresses move */
};

static const char *const words[RF_NR_PRIVATE] = {
	[RF_PRIVATE_PID] = "pid", [RF_PRIVATE_COMM] = "comm", [RF_PRIVATE_ADDR] = "addr", [RF_PRIVATE_PFN] = "pfn",
	[RF_PRIVATE_INODE] = "inode", [RF_PRIVATE_MARKS] = "marks", [RF_PRIVATE_BUILD] = "build",
	[RF_PRIVATE_PATH] = "path",
};

struct rf_privacy *rf_privacy_create(u32 hidden, bool no_marks, struct rf_error *err)
{
	struct rf_privacy *privacy = malloc(sizeof(*privacy));

	if (!privacy || sodium_init() < 0) {
		free(privacy);
		rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "no random numbers to hide what is private with");
		return NULL;
	}
	randombytes_buf(&privacy->key, sizeof(privacy->key));
	privacy->hidden = hidden;
	privacy->no_marks = no_marks;
	privacy->up = 1 + randombytes_uniform(UNUSED - 1);
	return privacy;
}

void rf_privacy_destroy(struct rf_privacy *privacy)
{
	if (privacy)
		sodium_memzero(privacy, sizeof(*privacy));
	free(privacy);
}

bool rf_privacy_parse(const char *text, u32 *items)
{
	for (*items = 0; ; text++) {
		size_t length = strcspn(text, ","), i = 0;

		while (i < RF_NR_PRIVATE && (strlen(words[i]) != length || strncmp(text, words[i], length)))
			i++;
		if (i < RF_NR_PRIVATE)
			*items |= BIT(i);
		else if (length == strlen("all") && !strncmp(text, "all", length))
			*items = RF_PRIVATE_ALL;
		else
			return false;
		text += length;
		if (!*text)
			return true;
	}
}

/* ---- numbers ------------------------------------------------------------------- */

static bool hides(const struct rf_privacy *privacy, enum rf_private item)
{
	return privacy->hidden & BIT(item);
}

static u64 pseudonym(const struct rf_privacy *privacy, enum purpose purpose, u64 number)
{
	switch (purpose) {
	case FOR_TASKS:
		return BIT_ULL(PIDS_BITS) + permute_above(&privacy->key, FOR_TASKS, PIDS_BITS, 1, number);
	case FOR_FRAMES:
		return BIT_ULL(CHUNKS_BITS) + permute(&privacy->key, FOR_FRAMES, CHUNKS_BITS, number);
	default:
		/* Most are small, and stay so: a trace of large numbers is larger. */
		if (number <= UINT32_MAX)
			return BIT_ULL(32) + permute_above(&privacy->key, FOR_OBJECTS, 32, 1, number);
		return permute_above(&privacy->key, FOR_LARGE_OBJECTS, 64, BIT_ULL(33), number);
	}
}

/* The same, if it has been asked for before. */
static u64 known_pseudonym(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, enum purpose purpose,
			   u64 number)
{
	struct rf_pseudonym *known = &stream->known[((number ^ number >> 16) * 5 + purpose) % RF_PRIVACY_SLOTS];

	if (known->of != number || known->purpose != purpose)
		*known = (struct rf_pseudonym){ number, pseudonym(privacy, purpose, number), (u8)purpose };
	return known->is;
}

static u64 hide_task(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, u64 task)
{
	if (!hides(privacy, RF_PRIVATE_PID) || !task || task >> PIDS_BITS)
		return task;
	return known_pseudonym(privacy, stream, FOR_TASKS, task);
}

/* What is above all memory is no frame: an allocation that failed. */
static u64 hide_frame(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, u64 pfn)
{
	if (!hides(privacy, RF_PRIVATE_PFN) || pfn >> (CHUNK_BITS + CHUNKS_BITS))
		return pfn;
	return known_pseudonym(privacy, stream, FOR_FRAMES, pfn >> CHUNK_BITS) << CHUNK_BITS |
	       (pfn & (BIT_ULL(CHUNK_BITS) - 1));
}

static u64 hide_object(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, u64 object)
{
	return object ? known_pseudonym(privacy, stream, FOR_OBJECTS, object) : 0;
}

/* Of an address space: rss_stat's numbers have 32 bits, and no more. */
static u64 hide_mm(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, u64 mm)
{
	u64 hidden = hide_object(privacy, stream, mm);

	return mm <= UINT32_MAX ? (u32)hidden : hidden;
}

static u64 hide_piece(const struct rf_privacy *privacy, u64 piece)
{
	u64 down = UNUSED - privacy->up;

	if (piece < FIRST_UNUSED)
		return piece + privacy->up;
	if (piece >= FIRST_UNUSED + UNUSED)
		return piece - down;
	piece -= FIRST_UNUSED;
	return piece < privacy->up ? piece : PIECES - down + piece - privacy->up;
}

/* The kernel's own and error codes stay; bit 63 alone may be one of a tag. */
static u64 hide_address(const struct rf_privacy *privacy, u64 addr)
{
	const u64 mask = (u64)(PIECES - 1) << PIECE_SHIFT;

	if (!hides(privacy, RF_PRIVATE_ADDR) || (addr & BIT_ULL(63) && addr & BIT_ULL(55)))
		return addr;
	return (addr & ~mask) | hide_piece(privacy, (addr & mask) >> PIECE_SHIFT) << PIECE_SHIFT;
}

/* Where 0 stands for none. */
static u64 hide_pointer(const struct rf_privacy *privacy, u64 addr)
{
	return addr ? hide_address(privacy, addr) : 0;
}

/* The field of a call that says where the kernel is to map, or 0. */
static bool is_wish(u8 kind, u32 field)
{
	return (kind == RF_SYS_MMAP && field == 0) || (kind == RF_SYS_MREMAP && field == 4) ||
	       (kind == RF_SYS_BRK && field == 0) || (kind == RF_SYS_SHMAT && field == 1);
}

/* ---- records ------------------------------------------------------------------- */

static void hide_comm(const struct rf_privacy *privacy, u64 name[2])
{
	char text[2 * sizeof(u64) + 1];

	if (!hides(privacy, RF_PRIVATE_COMM) || !(name[0] | name[1]))
		return;
	snprintf(text, sizeof(text), "comm-%010llx", (unsigned long long)keyed_hash(&privacy->key, FOR_COMMS, name,
										   2 * sizeof(u64)) >> 24);
	memcpy(name, text, 2 * sizeof(u64));
}

static bool begins(const struct rf_record *record, const char *text)
{
	char first[16];

	memcpy(first, record->f, sizeof(first));
	return !strncmp(first, text, strlen(text));
}

/* That there was a mark stays, as its writer had returned from whatever it did before; of the text, only windows. */
static void hide_mark(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, struct rf_record *record)
{
	bool stays = record->kind == RF_MARKER ? begins(record, "WL BEGIN ") || begins(record, "WL END ") :
						 stream->mark_stays;

	stream->mark_stays = !hides(privacy, RF_PRIVATE_MARKS) || (stays && !privacy->no_marks);
	if (!stream->mark_stays)
		memset(record->f, 0, sizeof(record->f));
}

/*
 * What userfaultfd is told: dst, src, length, mode where it copies or moves, else start, length, mode and a word that
 * the kernel is to write, where the program's stack may show. Modes are small. UFFDIO_API has no address.
 */
static void hide_ioctl_data(const struct rf_privacy *privacy, u64 word[4])
{
	if (word[0] >= LEAST_ADDRESS) {
		word[0] = hide_address(privacy, word[0]);
		if (word[2] >= LEAST_ADDRESS)
			word[1] = hide_address(privacy, word[1]);
	} else if (word[2] >= LEAST_ADDRESS) {
		word[2] = 0;
	}
	if (word[3] >= LEAST_ADDRESS)
		word[3] = 0;
}

static void hide_call_data(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, u64 call, u64 word[4])
{
	if (call == RF_SYS_PRCTL)	/* a number of a name */
		word[0] = hide_object(privacy, stream, word[0]);
	else if (call == RF_SYS_PROCESS_MADVISE)
		word[0] = hide_address(privacy, word[0]);
	else if (call == RF_SYS_IOCTL && hides(privacy, RF_PRIVATE_ADDR))
		hide_ioctl_data(privacy, word);
}

/* Equal ones stay equal, so that stacks in the same file do. */
static void hide_build_id(const struct rf_privacy *privacy, u64 *size, u64 id[3])
{
	const u64 before[3] = { id[0], id[1], id[2] };

	if (!hides(privacy, RF_PRIVATE_BUILD) || !*size)
		return;
	*size = sizeof(u64);
	id[0] = keyed_hash(&privacy->key, FOR_BUILDS, before, sizeof(before));
	id[1] = id[2] = 0;
}

/* Fields whose meaning depends on others. */
static void hide_by_kind(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, struct rf_record *record)
{
	u64 *f = record->f;

	switch (record->kind) {
	case RF_SYS_PRCTL:
		f[2] = hide_address(privacy, f[2]);	/* of a range */
		f[4] = hide_pointer(privacy, f[4]);	/* to a name */
		break;
	case RF_SYS_RET:
		if (f[0] == RF_SYS_MMAP || f[0] == RF_SYS_MREMAP || f[0] == RF_SYS_BRK || f[0] == RF_SYS_SHMAT)
			f[1] = hide_address(privacy, f[1]);
		else if (f[0] == RF_SYS_CLONE)
			f[1] = hide_task(privacy, stream, f[1]);
		break;
	case RF_COMM:
		hide_comm(privacy, f);
		break;
	case RF_CALL_DATA:
		hide_call_data(privacy, stream, f[0], f + 2);
		break;
	case RF_MODULE:
		hide_build_id(privacy, &f[1], f + 2);
		break;
	case RF_MODULE_PATH:
		if (hides(privacy, RF_PRIVATE_PATH))
			memset(f + 2, 0, 4 * sizeof(*f));
		break;
	}
}

/* The number of a System V segment is that of its inode. */
static bool is_inode(const struct rf_field_info *field)
{
	return !strcmp(field->name, "ino") || !strcmp(field->name, "shmid");
}

static void hide_fields(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, struct rf_record *record)
{
	const struct rf_kind_info *info = &rf_kind_table()[record->kind];

	for (u32 i = 0; i < info->nr_fields; i++) {
		u64 *value = &record->f[i];

		switch (info->fields[i].class) {
		case RF_FIELD_TASK:
			*value = hide_task(privacy, stream, *value);
			break;
		case RF_FIELD_PFN:
			*value = hide_frame(privacy, stream, *value);
			break;
		case RF_FIELD_ADDR:
			*value = is_wish(record->kind, i) ? hide_pointer(privacy, *value) :
							    hide_address(privacy, *value);
			break;
		case RF_FIELD_OBJECT:
		case RF_FIELD_OBJECT_HEX:
			if (!is_inode(&info->fields[i]))
				*value = hide_mm(privacy, stream, *value);
			else if (hides(privacy, RF_PRIVATE_INODE))
				*value = hide_object(privacy, stream, *value);
			break;
		default:
			break;
		}
	}
}

/* "addr, len", before it is hidden. */
static bool is_torn(const struct rf_privacy *privacy, const struct rf_record *record)
{
	const struct rf_kind_info *info = &rf_kind_table()[record->kind];
	u64 addr = record->f[0], last = record->f[1] - 1;

	if (info->nr_fields < 2 || info->fields[0].class != RF_FIELD_ADDR || strcmp(info->fields[1].name, "len") ||
	    last >= BIT_ULL(57))
		return false;
	return hide_address(privacy, addr + last) - hide_address(privacy, addr) != last;
}

bool rf_privacy_apply(const struct rf_privacy *privacy, struct rf_privacy_stream *stream, struct rf_record *record)
{
	bool whole = !is_torn(privacy, record);

	record->tid = (u32)hide_task(privacy, stream, record->tid);
	if (record->kind == RF_MARKER || record->kind == RF_MARKER_MORE) {
		hide_mark(privacy, stream, record);
		return true;
	}
	stream->mark_stays = false;
	hide_fields(privacy, stream, record);
	hide_by_kind(privacy, stream, record);
	return whole;
}

/* ---- the header ------------------------------------------------------------------ */

/* The numbers of inodes in a filter: of the trace itself, and of trace_marker. */
static json_t *hide_filter(const struct rf_privacy *privacy, struct rf_privacy_stream *none, const char *filter)
{
	static const char before[] = "ino == ";
	char text[1024];
	size_t used = 0;

	while (*filter && used < sizeof(text) - 32) {
		if (!strncmp(filter, before, strlen(before))) {
			char *end;
			u64 ino = strtoull(filter + strlen(before), &end, 0);

			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%llu", before,
						 (unsigned long long)hide_object(privacy, none, ino));
			filter = end;
		} else {
			text[used++] = *filter++;
		}
	}
	return json_stringn(text, used);
}

static void hide_header_tasks(const struct rf_privacy *privacy, struct rf_privacy_stream *none, json_t *header)
{
	json_t *pids = rf_header_get(header, RF_HEADER_PIDS), *pid;
	size_t i;

	json_array_foreach(pids, i, pid)
		json_array_set_new(pids, i, json_integer((json_int_t)
							 hide_task(privacy, none, (u64)json_integer_value(pid))));
	pid = rf_header_get(header, RF_HEADER_PID);
	if (pid)
		rf_header_set_integer(header, RF_HEADER_PID, hide_task(privacy, none, (u64)json_integer_value(pid)));
}

static void hide_command(const struct rf_privacy *privacy, json_t *header)
{
	const char *command = json_string_value(rf_header_get(header, RF_HEADER_COMMAND));
	char name[2 * sizeof(u64) + 1] = "";

	if (!command)
		return;
	strncat(name, command, sizeof(name) - 2);	/* as the kernel cuts it */
	{
		u64 both[2];

		memcpy(both, name, sizeof(both));
		hide_comm(privacy, both);
		memcpy(name, both, sizeof(both));
	}
	rf_header_set_string(header, RF_HEADER_COMMAND, name);
}

/* What the keys say where all of it was kept. */
static json_t *privacy_of(json_t *header)
{
	static const char *const keys[] = { "build_ids", "inode_numbers", "marks", "page_frames", "pids",
					    "program_names", "program_paths", "user_addresses" };
	static const char *const dropped[] = { "arguments", "contents", "file_names" };
	json_t *privacy = rf_header_get(header, RF_HEADER_PRIVACY);

	if (!privacy) {
		rf_header_set(header, RF_HEADER_PRIVACY, json_object());
		privacy = rf_header_get(header, RF_HEADER_PRIVACY);
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!json_object_get(privacy, keys[i]))
			json_object_set_new(privacy, keys[i], json_string("kept"));
	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		json_object_set_new(privacy, dropped[i], json_string("dropped"));
	json_object_set_new(privacy, "kernel_addresses", json_string("pseudonymised"));
	return privacy;
}

void rf_privacy_header(const struct rf_privacy *privacy, json_t *header)
{
	static const struct { const char *key, *value; } says[RF_NR_PRIVATE] = {
		[RF_PRIVATE_PID] = { "pids", "pseudonymised" },
		[RF_PRIVATE_COMM] = { "program_names", "pseudonymised" },
		[RF_PRIVATE_ADDR] = { "user_addresses", "rebased" },
		[RF_PRIVATE_PFN] = { "page_frames", "relabelled" },
		[RF_PRIVATE_INODE] = { "inode_numbers", "pseudonymised" },
		[RF_PRIVATE_MARKS] = { "marks", "windows" },
		[RF_PRIVATE_BUILD] = { "build_ids", "pseudonymised" },
		[RF_PRIVATE_PATH] = { "program_paths", "dropped" },
	};
	json_t *told = privacy_of(header), *filters = rf_header_get(header, RF_HEADER_FILTERS), *filter;
	struct rf_privacy_stream none = { 0 };
	const char *name;

	for (u32 i = 0; i < RF_NR_PRIVATE; i++)
		if (hides(privacy, i))
			json_object_set_new(told, says[i].key,
					    json_string(i == RF_PRIVATE_MARKS && privacy->no_marks ? "dropped" :
												     says[i].value));
	if (hides(privacy, RF_PRIVATE_PID))
		hide_header_tasks(privacy, &none, header);
	hide_command(privacy, header);
	if (hides(privacy, RF_PRIVATE_ADDR)) {
		rf_header_set_integer(header, RF_HEADER_STACK_TOP,
				      hide_address(privacy, rf_header_stack_top(header) - 1) + 1);
		rf_header_set_integer(header, RF_HEADER_USER_BASE, hide_address(privacy, rf_header_user_base(header)));
	}
	if (hides(privacy, RF_PRIVATE_INODE))
		json_object_foreach(filters, name, filter)
			json_object_set_new(filters, name, hide_filter(privacy, &none, json_string_value(filter)));
}
