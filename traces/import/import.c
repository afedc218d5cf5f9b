// SPDX-License-Identifier: MIT
/*
 * The import itself: passes over the events, the last of which writes; those before
 * see which events there are, and which processes. libtracecmd prints what it thinks
 * of a file, and crashes on one that is damaged in the wrong place, or never ends; so
 * it works in a process of its own, whose end we survive, whose time is limited and
 * whose standard error nobody reads.
 */
#include "traces/import/import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <trace-cmd.h>
#include <unistd.h>

#include "traces/header.h"
#include "traces/import/importing.h"

void import_warn(struct importing *importing, const char *format, ...)
{
	struct rf_import_result *result = importing->result;
	va_list args;

	if (result->nr_warnings == RF_IMPORT_WARNINGS)
		return;
	va_start(args, format);
	vsnprintf(result->warnings[result->nr_warnings++], sizeof(result->warnings[0]), format, args);
	va_end(args);
}

/* ---- libtracecmd ------------------------------------------------------------------ */

struct pass {
	struct importing *importing;
	struct rf_error *err;
	int (*event)(struct pass *pass, const struct tep_record *record);
	u64 events;
	int ret;
};

static int on_record(struct tracecmd_input *input, struct tep_record *record, int cpu, void *context)
{
	struct pass *pass = context;

	(void)input;
	(void)cpu;
	if (record->cpu < 0 || record->cpu > UINT16_MAX || record->size < 8)
		return 0;
	pass->events++;
	pass->ret = pass->event(pass, record);
	return pass->ret;
}

/* Every buffer's events, in the order of time. */
static int run_pass(struct pass *pass)
{
	struct tracecmd_input *input = tracecmd_open(pass->importing->options->input, TRACECMD_FL_LOAD_NO_PLUGINS);
	int nr = input ? tracecmd_buffer_instances(input) : 0, nr_handles = 0, ret = 0;
	struct tracecmd_input **handles = calloc((size_t)nr + 1, sizeof(*handles));

	if (!input || !handles) {
		free(handles);
		return rf_error_set(pass->err, -EBADMSG, RF_NO_OFFSET, "libtracecmd cannot open it: it is cut off, "
				    "damaged, or compressed in a way libtracecmd was built without");
	}
	pass->importing->tep = tracecmd_get_tep(input);
	handles[nr_handles++] = input;
	for (int i = 0; i < nr; i++) {
		handles[nr_handles] = tracecmd_buffer_instance_handle(input, i);
		nr_handles += handles[nr_handles] != NULL;
	}
	if (nr_handles < nr + 1)
		ret = rf_error_set(pass->err, -EBADMSG, RF_NO_OFFSET, "%d of its %d buffers cannot be read",
				   nr + 1 - nr_handles, nr + 1);
	if (tracecmd_iterate_events_multi(handles, nr_handles, on_record, pass) && !pass->ret && !ret)
		ret = rf_error_set(pass->err, -EBADMSG, RF_NO_OFFSET, "libtracecmd cannot read all of its events");
	pass->importing->tep = NULL;
	while (nr_handles)
		tracecmd_close(handles[--nr_handles]);
	free(handles);
	return pass->ret ? pass->ret : ret;
}

static int count_event(struct pass *pass, const struct tep_record *record)
{
	struct importing *importing = pass->importing;

	importing->counts[load_u16(record->data)]++;
	if (!importing->result->events++)
		importing->first_time = record->ts;
	importing->nr_cpus = (u32)max_u64(importing->nr_cpus, (u64)record->cpu + 1);
	import_look(importing, record->data, (u32)record->size);
	return 0;
}

static int meet_event(struct pass *pass, const struct tep_record *record)
{
	struct importing *importing = pass->importing;
	struct rf_record records[RF_DECODE_MAX];

	if (rf_decode(importing->decoder, record->data, (u32)record->size, record->ts, records, RF_DECODE_MAX)) {
		import_learn_program(importing, &records[0], import_by_number(importing, record->data));
		import_meet(importing, &records[0]);
	}
	return 0;
}

static int convert_event(struct pass *pass, const struct tep_record *record)
{
	int ret = 0;

	/* Negative: it is not known how many. */
	if (record->missed_events)
		ret = import_lost(pass->importing, (u32)record->cpu, record->ts,
				  record->missed_events > 0 ? (u64)record->missed_events : 1, pass->err);
	if (!ret)
		ret = import_event(pass->importing, (u32)record->cpu, record->ts, record->data, (u32)record->size,
				   pass->err);
	return ret;
}

/* ---- the steps ----------------------------------------------------------------------- */

static int describe_machine(struct importing *importing, struct rf_error *err)
{
	const char *machine = importing->dat.machine;

	if (!*machine)
		machine = importing->options->machine ? rf_import_machine(importing->options->machine) : NULL;
	else if (importing->options->machine && strcmp(machine, rf_import_machine(importing->options->machine)))
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "it says that it is from %s: leave out --arch %s",
				    machine, importing->options->machine);
	if (!machine)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET,
				    "it does not tell what machine it is from: name that with --arch");
	rf_kernel_describe(&importing->kernel, importing->dat.release, machine, importing->dat.page_size);
	importing->decoder = rf_decoder_create(&importing->kernel, err);
	return importing->decoder ? 0 : -ENOMEM;
}

/* The order of what happens within microseconds tells things apart: times must be times. */
static int check_clock(const struct rf_dat *dat, struct rf_error *err)
{
	if (rf_clock_is_nanoseconds(dat->clock) || dat->converts_clock)
		return 0;
	return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "its times are of clock %s, which does not count nanoseconds: "
			    "record again with trace-cmd record -C mono%s", dat->clock,
			    strcmp(dat->clock, "x86-tsc") ? "" : ", or with -C tsc2nsec");
}

/* What is wrong is the file we write. */
static int output_error(struct importing *importing, const struct rf_error *err)
{
	importing->result->output_failed = true;
	return err->code ? err->code : -EIO;
}

static int create_output(struct importing *importing, struct rf_error *err)
{
	char *header;

	for (size_t i = 0; i < ARRAY_SIZE(importing->streams); i++) {
		importing->streams[i] = malloc(importing->nr_cpus * sizeof(int));
		if (!importing->streams[i])
			return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
		memset(importing->streams[i], -1, importing->nr_cpus * sizeof(int));
	}
	header = import_header(importing);
	if (!header)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	importing->writer = rf_writer_begin(importing->output, header, RF_WRITER_LEVEL, err);
	free(header);
	if (!importing->writer)
		return output_error(importing, err);
	importing->result->wrote = true;
	return 0;
}

/* First pass: which events there are. What can be read of a damaged file is worth having. */
static int count_events(struct importing *importing, struct rf_error *err)
{
	struct pass pass = { .importing = importing, .err = err, .event = count_event };
	int ret;

	importing->rows = calloc(rf_nr_events, sizeof(*importing->rows));
	importing->counts = calloc(EVENT_IDS, sizeof(*importing->counts));
	if (!importing->rows || !importing->counts)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	import_find_exec(importing);
	ret = run_pass(&pass);
	if (ret && (ret != -EBADMSG || !importing->result->events))
		return ret;
	if (!importing->result->events)
		return rf_error_set(err, -EPROTO, RF_NO_OFFSET, "it holds no events");
	if (importing->dat.mixed_clocks)
		import_warn(importing, "its buffers have different clocks: their events cannot be put in order");
	return 0;
}

/* libtracecmd takes what it cannot read for the end of a CPU's events; but hardly each time at the same place. */
static int count_again(struct pass *pass, int code)
{
	u64 before = pass->importing->result->events;

	if (pass->events == before)
		return 0;
	return rf_error_set(pass->err, code, RF_NO_OFFSET, "%" PRIu64 " events were read of it at first, and %" PRIu64
			    " now: it changes, or its disk fails", before, pass->events);
}

/* Second pass: who was there before. */
static int meet_events(struct importing *importing, struct rf_error *err)
{
	struct pass pass = { .importing = importing, .err = err, .event = meet_event };
	int ret = run_pass(&pass);

	return ret && ret != -EBADMSG ? ret : count_again(&pass, -EIO);
}

static int convert_events(struct importing *importing, struct rf_error *err)
{
	struct pass pass = { .importing = importing, .err = err, .event = convert_event };
	int ret, closed;

	import_programs_again(importing);
	ret = import_running(importing, err);

	if (!ret)
		ret = run_pass(&pass);
	if (!ret)
		ret = count_again(&pass, -EBADMSG);
	if (ret && ret != -EBADMSG) {
		rf_writer_abandon(importing->writer);
		importing->result->wrote = false;
		return output_error(importing, err);
	}
	/* Without a reason to have ended, a trace is incomplete. */
	closed = rf_writer_close(importing->writer, ret ? RF_END_NONE : RF_END_IMPORTED, ret ? NULL : err);
	return !ret && closed ? output_error(importing, err) : ret;
}

static int convert(struct importing *importing, struct rf_error *err)
{
	int ret = rf_dat_read(importing->options->input, &importing->dat, err);

	if (!ret)
		ret = check_clock(&importing->dat, err);
	if (!ret)
		ret = describe_machine(importing, err);
	if (!ret)
		ret = count_events(importing, err);
	if (!ret)
		ret = import_choose(importing, err);
	if (!ret)
		ret = meet_events(importing, err);
	if (!ret)
		ret = create_output(importing, err);
	return ret ? ret : convert_events(importing, err);
}

static void free_importing(struct importing *importing)
{
	rf_decoder_destroy(importing->decoder);
	rf_dat_free(&importing->dat);
	for (size_t i = 0; i < ARRAY_SIZE(importing->streams); i++)
		free(importing->streams[i]);
	import_family_free(importing);
	free(importing->processes);
	free(importing->rows);
	free(importing->counts);
}

/* ---- the process that reads ------------------------------------------------------------- */

/* Lives in memory that both processes share. */
struct outcome {
	struct rf_import_result result;
	struct rf_error err;
	int ret;
};

/* Of a CPU, so that a busy machine does not matter: fifty times what an import of that many bytes takes, or more. */
static void limit_time(const char *input)
{
	struct stat file;
	rlim_t seconds = 2;

	if (!stat(input, &file) && file.st_size > 0)
		seconds += (rlim_t)file.st_size >> 20;
	setrlimit(RLIMIT_CPU, &(struct rlimit){ seconds, seconds + 1 });
}

static void read_in_child(const struct rf_import_options *options, struct rf_output *output, struct outcome *outcome)
{
	struct importing importing = { .options = options, .result = &outcome->result, .output = output };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDERR_FILENO);
	/* A crash is expected here, and told; nobody wants its memory. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	limit_time(options->input);
	/* Whoever reads what we write may stop: an error, not an end. */
	signal(SIGPIPE, SIG_IGN);
	tracecmd_set_loglevel(TEP_LOG_NONE);
	outcome->ret = convert(&importing, &outcome->err);
	free_importing(&importing);
	_exit(0);
}

/* What the child ended with; how much it wrote if it crashed, nobody but us can put in its place. */
static int take_outcome(const struct outcome *outcome, int status, struct rf_output *output,
			struct rf_import_result *result, struct rf_error *err)
{
	bool crashed = !WIFEXITED(status) || WEXITSTATUS(status);

	*result = outcome->result;
	*err = outcome->err;
	if (!crashed)
		return outcome->ret;
	if (result->wrote && rf_output_finish(output, err))
		return err->code;
	return rf_error_set(err, -EBADMSG, RF_NO_OFFSET, "it is damaged: libtracecmd %s",
			    WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU ? "does not come to an end of it"
									       : "crashed on it");
}

int rf_import(const struct rf_import_options *options, struct rf_import_result *result, struct rf_error *err)
{
	struct outcome *outcome =
		mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rf_output output;
	struct stat written;
	int status = 0, ret;
	pid_t child, ended = -1;

	memset(result, 0, sizeof(*result));
	if (outcome == MAP_FAILED)
		return rf_error_set(err, -ENOMEM, RF_NO_OFFSET, "out of memory");
	ret = rf_output_begin(&output, options->output, RF_OUTPUT_WHOLE, err);
	if (ret) {
		munmap(outcome, sizeof(*outcome));
		result->output_failed = true;
		return ret;
	}
	child = fork();
	if (!child)
		read_in_child(options, &output, outcome);
	while (child > 0 && (ended = waitpid(child, &status, 0)) < 0 && errno == EINTR)
		;
	if (child < 0 || ended != child)
		ret = rf_error_set(err, -errno, RF_NO_OFFSET, "cannot start a process to read it: %s", strerror(errno));
	else
		ret = take_outcome(outcome, status, &output, result, err);
	/* Where the child has finished it, this is but our copy of it. */
	rf_output_abandon(&output);
	if (result->wrote && !stat(options->output, &written) && S_ISREG(written.st_mode))
		result->bytes = (u64)written.st_size;
	munmap(outcome, sizeof(*outcome));
	return ret;
}
