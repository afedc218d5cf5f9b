// SPDX-License-Identifier: MIT
/*
 * refold sweep: every trace under every policy into a store, several at once. What the store has is not done again, so
 * whatever ends a sweep, the same command goes on with it; and machines that share the traces out need nothing but
 * --shard and a store each.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/policy/text.h"
#include "replay/commands/commands.h"
#include "replay/commands/files_under.h"
#include "replay/commands/sweep_policies.h"
#include "replay/commands/sweep_worker.h"
#include "replay/fleet/store.h"
#include "replay/report/report.h"

#define MOST_JOBS 1024
#define LOOK_MS 500	/* how often the progress line is drawn anew */

static const char help[] =
	"usage: refold sweep POLICIES TRACE... | DIRECTORY... -o STORE.db [--jobs N] [--shard K/N]\n\n"
	"Replays every trace under every policy into a store (docs/fleet.md), one trace a process and thread. What\n"
	"the store has is not done again: after whatever ended it, the same command goes on.\n\n"
	"POLICIES as of 'refold replay -p', with alternatives in braces: 'linux-7.3+max_dvm_ops={0,8,64}+tlbi={single,range}'\n"
	"is six of them. Of directories, the files under them whose names end in .mmt.zst.\n\n"
	"  -o, --output STORE     NAME.db or NAME.sqlite; made unless it is there\n"
	"      --jobs N           so many at once (default: as many as there are CPUs)\n"
	"      --shard K/N        only the Kth of N parts of the traces, from 1; 'refold merge' joins their stores\n"
	"      --max-memory SIZE, --max-time TIME  of each trace, as of 'refold replay'\n"
	"  -q, --quiet            neither progress nor the last line\n"
	"  -h, --help             this text\n\n"
	"A trace that cannot be replayed is a row of the store with its error, and tried again by the next sweep.\n"
	"Exit status: 0 done, 1 failed, or a trace did, 2 wrong usage, 3 damaged or cut traces (the store says which).\n";

DEFINE_TABLE(seen_digests, u64, u32);

struct sweep {
	const char *output;
	struct rf_policy *policies;
	char (*definitions)[RF_DIGEST_SIZE];
	size_t nr_policies;
	char **traces;
	u64 *bytes;
	size_t nr_traces, next;
	struct rf_worker *workers;
	u64 jobs, shard, shards;
	struct rf_limits limits;
	bool quiet, shown, drawn;
	struct rf_store *store;
	struct seen_digests seen;
	json_t *unread;			/* names of traces that could not be read this time */
	bool partly;			/* not all that was named could be looked at */
	u64 cells_done, cells_there, failed, damaged, twice, finished;
	u64 total_bytes, done_bytes, replayed_bytes, replayed, start_ns;
};

/* ---- progress ------------------------------------------------------------------------ */

static void take_line_away(struct sweep *sweep)
{
	if (sweep->drawn)
		fputs("\r\033[K", stderr);
	sweep->drawn = false;
}

static void draw(struct sweep *sweep)
{
	double seconds = (double)(rf_monotonic() - sweep->start_ns) / RF_NS_PER_SECOND;
	u64 left = sweep->total_bytes - sweep->done_bytes;
	struct rf_line line;
	char text[160];

	if (!sweep->shown)
		return;
	rf_line_begin(&line, text, sizeof(text));
	rf_line_add(&line, "%llu of %zu traces, %.2f/s", (unsigned long long)sweep->finished, sweep->nr_traces,
		    sweep->replayed / seconds);
	if (sweep->replayed_bytes)
		rf_line_add(&line, ", %.0f s left", left * seconds / sweep->replayed_bytes);
	if (sweep->failed)
		rf_line_add(&line, ", %llu failed", (unsigned long long)sweep->failed);
	fprintf(stderr, "\r%s\033[K", text);
	fflush(stderr);
	sweep->drawn = true;
}

static void tell_end(const struct sweep *sweep)
{
	printf("%zu traces under %zu policies: %llu cells counted, %llu were there", sweep->nr_traces,
	       sweep->nr_policies, (unsigned long long)sweep->cells_done, (unsigned long long)sweep->cells_there);
	if (sweep->twice)
		printf(", %llu traces are others' copies", (unsigned long long)sweep->twice);
	if (sweep->damaged)
		printf(", %llu traces are damaged or cut", (unsigned long long)sweep->damaged);
	if (sweep->failed)
		printf(", %llu traces failed", (unsigned long long)sweep->failed);
	putchar('\n');
}

/* ---- results -------------------------------------------------------------------------- */

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* 0, or the store cannot take it, which ends the sweep. */
static int note_failure(struct sweep *sweep, const char *path, const char *digest, const char *error)
{
	struct rf_error err;

	take_line_away(sweep);
	fprintf(stderr, "refold: %s: %s\n", path, error);
	sweep->failed++;
	/* Of another folder there may be one of the same name, which can be read. */
	if (!*digest)
		json_object_set_new(sweep->unread, base_of(path), json_true());
	return rf_store_add_failure(sweep->store, base_of(path), digest, error, &err) ?
	       rf_command_error(sweep->output, &err) : 0;
}

static int take_result(struct sweep *sweep, const struct rf_worker *worker, const json_t *result)
{
	const json_t *row = json_object_get(result, "row"), *error = json_object_get(result, "error");
	struct rf_error err;

	if (row && rf_store_add(sweep->store, row, &err)) {
		take_line_away(sweep);
		return rf_command_error(sweep->output, &err);
	}
	if (row) {
		sweep->cells_done += json_array_size(json_object_get(row, "policies"));
		sweep->damaged += !json_is_true(json_object_get(row, "complete"));
	}
	return error ? note_failure(sweep, worker->path, worker->digest, json_string_value(error)) : 0;
}

static void trace_done(struct sweep *sweep, u64 bytes)
{
	sweep->finished++;
	sweep->done_bytes += bytes;
}

/* ---- what is to be done ----------------------------------------------------------------- */

static bool is_copy(struct sweep *sweep, const char *digest)
{
	char half[17] = "";
	u64 key;

	memcpy(half, digest, 16);
	key = strtoull(half, NULL, 16);
	if (seen_digests_find(&sweep->seen, key))
		return true;
	seen_digests_add(&sweep->seen, key, 1);
	return false;
}

/* The policies under which this trace is not counted yet; without memory for them there is no list. */
static size_t missing_policies(struct sweep *sweep, struct rf_worker *worker)
{
	size_t nr = 0;

	worker->policies = malloc(sweep->nr_policies * sizeof(*worker->policies));
	for (size_t i = 0; worker->policies && i < sweep->nr_policies; i++)
		if (!rf_store_has(sweep->store, worker->digest, sweep->policies[i].name, sweep->definitions[i]))
			worker->policies[nr++] = sweep->policies[i];
	sweep->cells_there += worker->policies ? sweep->nr_policies - nr : 0;
	return nr;
}

/* Begin the next trace that has anything to do. 1: there is none; else 0 or an exit code that ends the sweep. */
static int start_next(struct sweep *sweep, struct rf_worker *worker, int *code)
{
	*code = 0;
	while (sweep->next < sweep->nr_traces && !*code) {
		size_t trace = sweep->next++;
		struct rf_error err;
		int error;

		worker->path = sweep->traces[trace];
		worker->bytes = sweep->bytes[trace];
		error = rf_digest_file(worker->path, worker->digest);
		if (error) {
			*code = note_failure(sweep, worker->path, "", strerror(-error));
			trace_done(sweep, worker->bytes);
			continue;
		}
		if (!json_object_get(sweep->unread, base_of(worker->path)) &&
		    rf_store_was_read(sweep->store, base_of(worker->path), &err)) {
			*code = rf_command_error(sweep->output, &err);
			continue;
		}
		if (is_copy(sweep, worker->digest)) {
			sweep->twice++;
			trace_done(sweep, worker->bytes);
			continue;
		}
		worker->nr_policies = missing_policies(sweep, worker);
		if (!worker->policies) {
			*code = rf_command_errno("sweep", "cannot start a process", ENOMEM);
		} else if (worker->nr_policies) {
			error = rf_worker_start(worker, &sweep->limits);
			if (!error)
				return 0;
			*code = rf_command_errno("sweep", "cannot start a process", -error);
		}
		free(worker->policies);
		worker->policies = NULL;
		trace_done(sweep, worker->bytes);
	}
	return 1;
}

/* ---- running ------------------------------------------------------------------------------ */

static int end_one(struct sweep *sweep, struct rf_worker *worker)
{
	json_t *result = rf_worker_end(worker);
	int code = take_result(sweep, worker, result);

	json_decref(result);
	trace_done(sweep, worker->bytes);
	sweep->replayed_bytes += worker->bytes;
	sweep->replayed++;
	return code;
}

/* Hear those that run; an exit code ends the sweep. */
static int hear(struct sweep *sweep, struct pollfd *polled)
{
	int code = 0;

	for (u64 i = 0; i < sweep->jobs; i++)
		polled[i] = (struct pollfd){ sweep->workers[i].pid ? sweep->workers[i].fd : -1, POLLIN, 0 };
	if (poll(polled, sweep->jobs, sweep->shown ? LOOK_MS : -1) <= 0)
		return 0;
	for (u64 i = 0; i < sweep->jobs && !code; i++)
		if (polled[i].revents && rf_worker_read(&sweep->workers[i]))
			code = end_one(sweep, &sweep->workers[i]);
	return code;
}

static int run_all(struct sweep *sweep)
{
	struct pollfd *polled = calloc(sweep->jobs, sizeof(*polled));
	u64 running, i;
	int code = polled ? 0 : rf_command_errno("sweep", "cannot begin", ENOMEM);

	do {
		for (running = i = 0; i < sweep->jobs && !code; i++)
			running += sweep->workers[i].pid || !start_next(sweep, &sweep->workers[i], &code);
		if (running && !code)
			code = hear(sweep, polled);
		draw(sweep);
	} while (running && !code);
	for (i = 0; i < sweep->jobs; i++) {
		rf_worker_kill(&sweep->workers[i]);
		free(sweep->workers[i].text);
	}
	take_line_away(sweep);
	free(polled);
	return code;
}

static int sweep_traces(struct sweep *sweep)
{
	struct rf_error err;
	int code;

	sweep->store = rf_store_open(sweep->output, &err);
	if (!sweep->store)
		return rf_command_error(sweep->output, &err);
	sweep->start_ns = rf_monotonic();
	sweep->unread = json_object();
	sweep->shown = !sweep->quiet && isatty(STDERR_FILENO);
	code = run_all(sweep);
	rf_store_close(sweep->store);
	seen_digests_free(&sweep->seen);
	json_decref(sweep->unread);
	if (!code && !sweep->quiet)
		tell_end(sweep);
	if (!code && (sweep->failed || sweep->partly))
		return RF_EXIT_FAILED;
	return code ? code : sweep->damaged ? RF_EXIT_DAMAGED : RF_EXIT_DONE;
}

/* ---- arguments ------------------------------------------------------------------------------ */

static int take_policies(struct sweep *sweep, const char *text)
{
	struct rf_error err;
	char *list = rf_sweep_policies(text, RF_MAX_POLICIES, &err);
	int nr;

	sweep->policies = calloc(RF_MAX_POLICIES, sizeof(*sweep->policies));
	sweep->definitions = calloc(RF_MAX_POLICIES, sizeof(*sweep->definitions));
	if (!list || !sweep->policies || !sweep->definitions)
		return rf_command_usage("sweep", "%s", list ? "out of memory" : err.message);
	nr = rf_policy_parse_list(list, sweep->policies, 0, RF_MAX_POLICIES, &err);
	free(list);
	if (nr < 0)
		return rf_command_usage("sweep", "%s", err.message);
	sweep->nr_policies = nr;
	/* That a value changes nothing, which a policy has to say, is what some of a grid are for. */
	for (size_t i = 0; i < sweep->nr_policies; i++)
		rf_report_definition(&sweep->policies[i], sweep->definitions[i]);
	rf_command_loaded(sweep->policies, sweep->nr_policies, sweep->quiet, false);
	return 0;
}

/* All files in order; of a shard, each Nth: what is beside each other is often alike. */
static int take_traces(struct sweep *sweep, char **sources, int nr_sources)
{
	static const char *const endings[] = { ".mmt.zst", NULL };
	size_t room = 0, bytes_room = 0, i, number = 0;
	struct rf_files files;
	struct stat status;

	for (int s = 0; s < nr_sources; s++) {
		if (rf_files_under(sources[s], endings, &files))
			return RF_EXIT_FAILED;
		sweep->partly |= files.partly;
		if (!files.nr)
			fprintf(stderr, "refold: %s: holds no traces (*.mmt.zst)\n", sources[s]);
		for (i = 0; i < files.nr; i++, number++) {
			if (number % sweep->shards != sweep->shard - 1)
				continue;
			if (array_grow(sweep->traces, room, sweep->nr_traces + 1) ||
			    array_grow(sweep->bytes, bytes_room, sweep->nr_traces + 1))
				goto no_memory;
			sweep->bytes[sweep->nr_traces] = stat(files.paths[i], &status) ? 0 : (u64)status.st_size;
			sweep->total_bytes += sweep->bytes[sweep->nr_traces];
			sweep->traces[sweep->nr_traces++] = files.paths[i];
			files.paths[i] = NULL;
		}
		rf_files_free(&files);
	}
	return number ? 0 : rf_command_usage("sweep", "there is no trace");

no_memory:
	rf_files_free(&files);
	return rf_command_errno("sweep", "cannot begin", ENOMEM);
}

/* "3/8" */
static int take_shard(struct sweep *sweep, const char *text)
{
	char first[24];
	const char *slash = strchr(text, '/');

	snprintf(first, sizeof(first), "%.*s", slash ? (int)(slash - text) : 0, text);
	if (slash && rf_parse_number(slash + 1, 1, UINT32_MAX, &sweep->shards) &&
	    rf_parse_number(first, 1, sweep->shards, &sweep->shard))
		return 0;
	return rf_command_usage("sweep", "--shard is K/N, the Kth of N parts, not '%s'", text);
}

static int take_option(struct sweep *sweep, int option)
{
	switch (option) {
	case 'o':
		sweep->output = optarg;
		return 0;
	case 'j':
		return rf_parse_number(optarg, 1, MOST_JOBS, &sweep->jobs) ? 0 :
		       rf_command_usage("sweep", "--jobs needs a number from 1 to %d, not '%s'", MOST_JOBS, optarg);
	case 's':
		return take_shard(sweep, optarg);
	case 'm':
		return rf_limits_take_memory(&sweep->limits, "sweep", optarg);
	case 't':
		return rf_limits_take_time(&sweep->limits, "sweep", optarg);
	case 'q':
		sweep->quiet = true;
		return 0;
	}
	return 0;
}

static int parse(struct sweep *sweep, int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },	{ "jobs", required_argument, NULL, 'j' },
		{ "shard", required_argument, NULL, 's' },	{ "max-memory", required_argument, NULL, 'm' },
		{ "max-time", required_argument, NULL, 't' },	{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },		{ NULL, 0, NULL, 0 },
	};
	static const struct rf_command_line line = { "sweep", help, "o:qh", options };
	int option = 0, stop, ret = 0;

	while (!ret && (option = rf_command_option(&line, argc, argv, &stop)) > 0)
		ret = take_option(sweep, option);
	if (option < 0)
		return stop == RF_EXIT_DONE ? -1 : stop;
	if (!ret && argc - optind < 2)
		ret = rf_command_usage("sweep", "needs policies, and traces or directories of them");
	if (!ret && (!sweep->output || !rf_store_is_name(sweep->output)))
		ret = rf_command_usage("sweep", "needs -o NAME.db, the store that it fills");
	ret = ret ? ret : take_policies(sweep, argv[optind]);
	return ret ? ret : take_traces(sweep, argv + optind + 1, argc - optind - 1);
}

int rf_cmd_sweep(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct sweep sweep = { .jobs = cpus > 0 ? min_u64((u64)cpus, MOST_JOBS) : 1, .shard = 1, .shards = 1 };
	int code = parse(&sweep, argc, argv);

	if (!code) {
		sweep.workers = calloc(sweep.jobs, sizeof(*sweep.workers));
		code = sweep.workers ? sweep_traces(&sweep) : rf_command_errno("sweep", "cannot begin", ENOMEM);
	}
	for (size_t i = 0; i < sweep.nr_traces; i++)
		free(sweep.traces[i]);
	free(sweep.traces);
	free(sweep.bytes);
	free(sweep.workers);
	free(sweep.policies);
	free(sweep.definitions);
	return code < 0 ? RF_EXIT_DONE : code;
}
