// SPDX-License-Identifier: MIT
/*
 * Runs the tracker on records given as text, and prints the operations they become: name, mm, address (pages above
 * BASE), and what counts for the kind.
 */
#include "tests/unit/replay/tracking_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replay/tracker/tracker.h"

static void print_op(struct result *result, const struct rf_op *op)
{
	char text[200];
	int n = snprintf(text, sizeof(text), "%s %u", rf_op_names[op->kind], op->mm);

	if (op->addr)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " @%lld", (long long)(op->addr - BASE) / 4096);
	if (op->end)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "-%lld", (long long)(op->end - BASE) / 4096);
	if (op->nr)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " nr=%u", op->nr);
	if (op->pfn && op->kind != RF_OP_MAP && op->kind != RF_OP_VMA_FLAGS && op->kind != RF_OP_MPROTECT)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " pfn=%llx", (unsigned long long)op->pfn);
	if (op->order)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " order=%u", op->order);
	if (op->kind == RF_OP_WINDOW)
		n = snprintf(text, sizeof(text), "window %llu%s", (unsigned long long)op->aux, op->nr ? " begins" : " ends");
	if (op->kind == RF_OP_FORK)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " child=%llu", (unsigned long long)op->mm2);
	if (op->kind == RF_OP_MREMAP || op->kind == RF_OP_UFFD_MOVE)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " to=%lld", (long long)(op->addr2 - BASE) / 4096);
	if (op->flags & RF_OP_POPULATE)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " populate");
	if (op->kind == RF_OP_RECLAIM_FLUSH && op->flags & RF_OP_WRITE)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " dirty");
	if (op->kind == RF_OP_MAP && op->flags & RF_OP_EXCLUSIVE)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " apart");
	if (op->flags & RF_OP_NESTED)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " nested");
	result->length += (size_t)snprintf(result->ops + result->length, sizeof(result->ops) - result->length, "%s\n",
					   text);
	assert_true(result->length < sizeof(result->ops));
}

static int collect(void *context, const struct rf_op *ops, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!(ops[i].flags & RF_OP_LOAD) || ops[i].kind == RF_OP_UNMAP_FILE)
			print_op(context, &ops[i]);
	return 0;
}

void assemble(const char *text, char *path)
{
	struct rf_error err = { 0 };
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int fd = mkstemp(path);

	assert_non_null(in);
	assert_true(fd >= 0);
	close(fd);
	if (rf_text_assemble(in, path, &err))
		fail_msg("line %llu: %s", (unsigned long long)err.offset, err.message);
	fclose(in);
}

struct result *track(const char *records)
{
	return track_on("", records);
}

struct result *track_on(const char *kernel, const char *records)
{
	struct result *result;
	char *key;

	assert_true(asprintf(&key, "\"kernel\":\"%s\"", kernel) > 0);
	result = track_with(key, records);
	free(key);
	return result;
}

struct result *track_with(const char *header_key, const char *records)
{
	static struct result result;
	struct rf_window_patterns patterns;
	struct rf_windows windows;
	struct rf_tracker_options options = { .sink = collect, .context = &result, .windows = &windows };
	char path[] = "/tmp/refold-tracker-XXXXXX", *text;
	struct rf_reader *reader;
	struct rf_tracker *tracker;

	rf_trust_free(&result.trust);
	memset(&result, 0, sizeof(result));
	/* Stream 0: tasks on CPU 0, 1: on CPU 1, 2: system, 3: side band, 4: snapshots. */
	assert_true(asprintf(&text, "header {\"arch\":\"x86_64\",%s,\"page_size\":4096}\n"
				    "stream 0 source=task cpu=0\nstream 1 source=task cpu=1\n"
				    "stream 2 source=system cpu=0\nstream 3 source=perf cpu=0\n"
				    "stream 4 source=snapshot cpu=0\n%s\nend command\n", header_key, records) > 0);
	assemble(text, path);
	free(text);
	reader = rf_reader_open(path, NULL);
	assert_non_null(reader);
	assert_int_equal(rf_window_patterns_compile(&patterns, NULL, NULL, NULL), 0);
	assert_int_equal(rf_windows_start(&windows, &patterns, reader, NULL), 0);
	tracker = rf_tracker_create(reader, &options, NULL);
	assert_non_null(tracker);
	while (rf_tracker_run(tracker, 7, NULL) > 0)
		;
	result.fidelity = *rf_tracker_fidelity(tracker);
	rf_tracker_take_trust(tracker, &result.trust);
	rf_tracker_destroy(tracker);
	rf_windows_free(&windows);
	rf_window_patterns_free(&patterns);
	rf_reader_close(reader);
	unlink(path);
	return &result;
}
