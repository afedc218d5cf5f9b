// SPDX-License-Identifier: MIT
/*
 * "refold-capture doctor": asks the kernel everything a recording would, without
 * recording, and says what each answer costs.
 */
#include "capture/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <tracefs.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "capture/kernel.h"
#include "capture/perf/calls.h"
#include "capture/perf/perf.h"
#include "capture/rights/rights.h"
#include "capture/snapshot/compat.h"
#include "capture/tracefs/probes.h"
#include "capture/tracefs/session.h"

enum verdict { GOOD, LESS, BAD };	/* works; works but facts are lost; recordings are impossible */

static const char *const verdict_names[] = { "ok", "less", "bad" };

#define MAX_CHECKS 24

struct check {
	enum verdict verdict;
	const char *what;
	char detail[240];
};

struct diagnosis {
	struct rf_kernel kernel;
	struct check checks[MAX_CHECKS];
	size_t nr;
	struct rf_event_status *status;	/* NULL: events could not be asked for */
};

__attribute__((format(printf, 4, 5))) static void add(struct diagnosis *diagnosis, enum verdict verdict,
						      const char *what, const char *format, ...)
{
	struct check *check = &diagnosis->checks[diagnosis->nr];
	va_list args;

	if (diagnosis->nr == MAX_CHECKS)
		return;
	diagnosis->nr++;
	check->verdict = verdict;
	check->what = what;
	va_start(args, format);
	vsnprintf(check->detail, sizeof(check->detail), format, args);
	va_end(args);
}

static void check_clock(struct diagnosis *diagnosis)
{
	char *clocks = tracefs_instance_file_read(NULL, "trace_clock", NULL);

	if (!clocks || !strstr(clocks, "mono"))
		add(diagnosis, BAD, "clock", "trace_clock offers no \"mono\": streams cannot be merged");
	else
		add(diagnosis, GOOD, "clock", "mono");
	free(clocks);
}

/* Whether a setting of the top-level buffer is "0". */
static bool is_off(const char *file)
{
	char *value = tracefs_instance_file_read(NULL, file, NULL);
	bool off = value && value[0] == '0';

	free(value);
	return off;
}

/* Marks are written to the top-level buffer, whose settings are somebody else's (tracing_mark_write()). */
static void check_marks(struct diagnosis *diagnosis)
{
	if (is_off("options/markers"))
		add(diagnosis, LESS, "marks", "options/markers is 0 at the top level: writing to trace_marker fails (EINVAL), "
		    "so nothing marks windows");
	else if (is_off("tracing_on"))
		add(diagnosis, LESS, "marks", "tracing_on is 0 at the top level: marks are recorded, but who writes them is "
		    "told that it failed (EBADF)");
	else
		add(diagnosis, GOOD, "marks", "what is written to trace_marker");
}

static void check_tracefs(struct diagnosis *diagnosis)
{
	struct rf_error err;

	if (rf_tracefs_check(&err)) {
		add(diagnosis, BAD, "tracefs", "%s", err.message);
		return;
	}
	add(diagnosis, GOOD, "tracefs", "%s", tracefs_tracing_dir());
	check_clock(diagnosis);
	check_marks(diagnosis);
	if (tracefs_file_exists(NULL, "buffer_percent"))
		add(diagnosis, GOOD, "buffer_percent", "the recorder sleeps until a ring is half full");
	else
		add(diagnosis, LESS, "buffer_percent", "absent (before Linux 5.0): the recorder wakes more often");
}

/* What page faults are from, and what else would do. */
static void check_faults(struct diagnosis *diagnosis, enum rf_fault_source faults)
{
	const struct rf_fault_source_info *used = &rf_fault_sources[faults];

	if (used->less)
		add(diagnosis, LESS, "page faults", "%s stands in for %s: %s", used->what,
		    rf_fault_sources[RF_FAULTS_TRACEPOINT].what, used->less);
	else
		add(diagnosis, GOOD, "page faults", "%s", used->what);
}

static void check_gfp(struct diagnosis *diagnosis, const struct rf_decoder *decoder)
{
	if (rf_decoder_gfp(decoder, RF_GFP_MOVABLE) && rf_decoder_gfp(decoder, RF_GFP_HARDWALL))
		add(diagnosis, GOOD, "gfp flags", "known by name");
	else
		add(diagnosis, LESS, "gfp flags",
		    "kmem:mm_page_alloc does not spell them out: user pages cannot be told from others");
}

/* Where counters are told in batches: whether anything tells the changes they are made of. */
static void check_counters(struct diagnosis *diagnosis)
{
	bool told = false;

	if (!diagnosis->kernel.batches_rss)
		return;
	for (size_t i = 0; i < rf_nr_events; i++)
		told |= rf_events[i].kind == RF_RSS_CHANGE && diagnosis->status[i].state == RF_EVENT_FOUND;
	if (told)
		add(diagnosis, GOOD, "RSS counters", "told once in 64 faults; a kprobe tells each change");
	else
		add(diagnosis, LESS, "RSS counters", "told once in 64 faults, and no kprobe tells each change: most of "
		    "what faults map will be missing but for huge pages, and reports mark every process");
}

static void check_events(struct diagnosis *diagnosis)
{
	enum rf_fault_source faults = RF_FAULTS_BEST;
	struct rf_decoder *decoder;
	struct rf_error err;

	if (rf_tracefs_check(NULL))
		return;
	rf_remove_stale_instances(NULL, NULL);
	decoder = rf_decoder_create(&diagnosis->kernel, &err);
	diagnosis->status = calloc(rf_nr_events, sizeof(*diagnosis->status));
	if (!decoder || !diagnosis->status) {
		add(diagnosis, BAD, "events", "out of memory");
	} else if (rf_events_learn(decoder, &diagnosis->kernel, &faults, diagnosis->status, &err)) {
		add(diagnosis, BAD, "events", "%s", err.message);
	} else {
		size_t found = 0, needed = 0;

		for (size_t i = 0; i < rf_nr_events; i++) {
			found += diagnosis->status[i].state == RF_EVENT_FOUND;
			needed += diagnosis->status[i].state != RF_EVENT_SPARE && !diagnosis->status[i].replaced;
		}
		add(diagnosis, GOOD, "events", "%zu of %zu", found, needed);
		check_faults(diagnosis, faults);
		check_counters(diagnosis);
		check_gfp(diagnosis, decoder);
	}
	rf_probes_remove();
	rf_decoder_destroy(decoder);
}

static void check_perf(struct diagnosis *diagnosis)
{
	struct rf_error err;

	if (rf_perf_check(&err))
		add(diagnosis, LESS, "perf side-band", "%s; mappings of new programs and files are inferred",
		    err.message);
	else
		add(diagnosis, GOOD, "perf side-band", "mmap, comm and task records");
}

/* Before a ring of the least that a recording has. */
static void check_stacks(struct diagnosis *diagnosis)
{
	u64 event = rf_kernel_call_event();
	struct rf_error err = { .message = "there is no event raw_syscalls:sys_enter" };
	struct rf_call_events *events = event ? rf_call_events_open(diagnosis->kernel.isa, event, 256u << 10, &err) :
						NULL;

	if (events && RF_STACKS_KNOWN)
		add(diagnosis, GOOD, "call stacks", "to be had, by -g");
	else
		add(diagnosis, LESS, "call stacks", "none, -g is refused: %.180s", events ?
		    "the registers of this architecture are not known" : err.message);
	rf_call_events_close(events);
}

/* Each capability that refold-capture(1) lists and that is not there. */
static void check_rights(struct diagnosis *diagnosis)
{
	char tracing[256], text[200];
	bool found = rf_tracefs_instances(tracing, sizeof(tracing)), all;
	size_t before = diagnosis->nr;
	const char *name;

	for (size_t next = 0; (name = rf_rights_lacking(found ? tracing : NULL, &next, text, sizeof(text), &all));)
		add(diagnosis, all ? BAD : LESS, name, "%s", text);
	if (diagnosis->nr == before)
		add(diagnosis, GOOD, "rights", "all that recordings take");
}

/* Whether there are calls that only raw_syscalls tell. */
static void check_compat(struct diagnosis *diagnosis)
{
	struct rf_compat compat;

	rf_compat_find(&compat);
	diagnosis->kernel.compat &= compat.runs;
	add(diagnosis, GOOD, "32-bit programs", "%s", diagnosis->kernel.compat ? "their calls are recorded by number" :
	    compat.runs ? "their calls are not known on this machine" : "are not run by this kernel");
}

/* pagemap shows page frames only to CAP_SYS_ADMIN; to others they read as zero. */
static bool pagemap_shows_frames(void)
{
	volatile char page = 1;		/* touched, so present */
	u64 entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)((uintptr_t)&page / (uintptr_t)sysconf(_SC_PAGESIZE) * sizeof(entry));

	if (fd >= 0) {
		if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
			entry = 0;
		close(fd);
	}
	return entry & ((1ull << 55) - 1);
}

static void check_snapshots(struct diagnosis *diagnosis)
{
	if (!pagemap_shows_frames())
		add(diagnosis, LESS, "snapshots", "/proc/PID/pagemap hides page frames: run as root, else there is "
		    "nothing to start from and nothing to measure fidelity against");
	else if (access("/proc/kpageflags", R_OK))
		add(diagnosis, LESS, "snapshots", "/proc/kpageflags: %s: folio orders are inferred", strerror(errno));
	else
		add(diagnosis, GOOD, "snapshots", "pagemap and kpageflags");
}

static void check_settings(struct diagnosis *diagnosis)
{
	json_t *thp = rf_kernel_thp_settings(), *value;
	char detail[200];
	struct rf_line line;
	const char *key;

	rf_line_begin(&line, detail, sizeof(detail));
	json_object_foreach(thp, key, value)
		if (!strncmp(key, "hugepages-", 10) && strcmp(json_string_value(value), "never"))
			rf_line_add(&line, "%s %s=%s", line.used ? "," : "", key + 10, json_string_value(value));
	value = json_object_get(thp, "enabled");
	add(diagnosis, GOOD, "transparent huge pages", "enabled=%s%s%s", value ? json_string_value(value) : "not built",
	    line.used ? ";" : "", detail);
	json_decref(thp);
	if (rf_kernel_fault_around_bytes())
		add(diagnosis, GOOD, "fault_around_bytes", "%llu",
		    (unsigned long long)rf_kernel_fault_around_bytes());
	else
		add(diagnosis, GOOD, "fault_around_bytes", "debugfs is not mounted; 65536 is taken for granted");
	if (rf_kernel_ksm_runs())
		add(diagnosis, LESS, "ksm", "runs: pages it merges write-protect entries unseen");
}

/*
 * A mapping of a file on overlayfs shows the inode the user opened, faults the one below. Where all its layers lie on
 * one file system only the device differs, and devices.c knows; else they cannot be told to be one file.
 */
static void check_file_systems(struct diagnosis *diagnosis)
{
	static const struct {
		long magic;
		enum verdict verdict;
		const char *text;
	} known[] = {
		{ 0x794c7630, LESS, "overlayfs here: page frames are unknown if its layers lie on several" },
		{ 0x9123683e, GOOD, "btrfs here: stat(2) shows other device numbers than the trace" },
	};
	struct statfs fs;

	if (statfs("/", &fs))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if ((long)fs.f_type == known[i].magic)
			add(diagnosis, known[i].verdict, "file system", "%s", known[i].text);
}

static bool is_found(const struct rf_event_status *status)
{
	return status->state == RF_EVENT_FOUND;
}

/* Nothing is lost without it: another stands in, or it stands in for one that is there. */
static bool is_needless(const struct rf_event_status *status)
{
	return status->state == RF_EVENT_SPARE || status->replaced;
}

static enum verdict event_verdict(const struct rf_event *event, const struct rf_event_status *status)
{
	static const enum verdict verdicts[] = {
		[RF_NEED_ESSENTIAL] = BAD, [RF_NEED_WANTED] = LESS,
		[RF_NEED_EXTRA] = GOOD,	   [RF_NEED_STAND_IN] = GOOD };

	return is_found(status) || is_needless(status) ? GOOD : verdicts[event->need];
}

/* System calls are many and alike: those that are there share a line. */
static void print_calls(FILE *out, const struct diagnosis *diagnosis)
{
	int column = fprintf(out, "ok    system calls           ");

	for (size_t i = 0; i < rf_nr_events; i++) {
		const char *name = rf_events[i].name;

		if (strncmp(name, "sys_enter_", 10) || diagnosis->status[i].state != RF_EVENT_FOUND)
			continue;
		if (column + strlen(name) > 110)
			column = fprintf(out, "\n%29s", "") - 1;
		column += fprintf(out, " %s", name + 10);
	}
	fputc('\n', out);
}

static void print_event(FILE *out, const struct rf_event *event, const struct rf_event_status *status)
{
	static const char *const whose[RF_INSTANCES] = { "recorded tasks", "whole system" };

	fprintf(out, "%-5s %s:%s (%s)\n      %s\n", verdict_names[event_verdict(event, status)], event->system,
		event->name, whose[event->instance], event->why);
	if (status->replaced)
		fprintf(out, "      %s; another stands in\n", status->reason);
	else if (status->state == RF_EVENT_SPARE)
		fprintf(out, "      not needed here\n");
	else if (!is_found(status))
		fprintf(out, "      %s; so %s\n", status->reason, event->without);
}

static void print_events(FILE *out, const struct diagnosis *diagnosis)
{
	fputs("\nEvents:\n", out);
	for (size_t i = 0; i < rf_nr_events; i++)
		if (!is_found(&diagnosis->status[i]) || strcmp(rf_events[i].system, "syscalls"))
			print_event(out, &rf_events[i], &diagnosis->status[i]);
	print_calls(out, diagnosis);
}

static void print_text(FILE *out, const struct diagnosis *diagnosis, enum verdict worst)
{
	static const char *const summary[] = { "Recordings are complete on this machine.",
					       "Recordings work; facts marked \"less\" will be inferred or missing.",
					       "Recordings are not possible: see \"bad\"." };

	fprintf(out, "Linux %s, %s, pages of %u bytes\n\n", diagnosis->kernel.release, diagnosis->kernel.machine,
		1u << diagnosis->kernel.page_shift);
	for (size_t i = 0; i < diagnosis->nr; i++)
		fprintf(out, "%-5s %-23s %s\n", verdict_names[diagnosis->checks[i].verdict],
			diagnosis->checks[i].what, diagnosis->checks[i].detail);
	if (diagnosis->status)
		print_events(out, diagnosis);
	fprintf(out, "\n%s\n", summary[worst]);
}

static json_t *json_events(const struct diagnosis *diagnosis)
{
	json_t *events = json_array();

	for (size_t i = 0; diagnosis->status && i < rf_nr_events; i++) {
		const struct rf_event *event = &rf_events[i];
		const struct rf_event_status *status = &diagnosis->status[i];
		json_t *object = json_object();

		json_object_set_new(object, "event", json_sprintf("%s:%s", event->system, event->name));
		json_object_set_new(object, "instance",
				    json_string(event->instance == RF_INSTANCE_TASK ? "task" : "system"));
		json_object_set_new(object, "record", json_string(rf_kind_table()[event->kind].name));
		json_object_set_new(object, "found", json_boolean(is_found(status)));
		json_object_set_new(object, "needed", json_boolean(!is_needless(status)));
		json_object_set_new(object, "verdict", json_string(verdict_names[event_verdict(event, status)]));
		json_object_set_new(object, "why", json_string(event->why));
		json_object_set_new(object, "without", json_string(event->without));
		if (status->reason[0])
			json_object_set_new(object, "reason", json_string(status->reason));
		json_array_append_new(events, object);
	}
	return events;
}

static void print_json(FILE *out, const struct diagnosis *diagnosis, enum verdict worst)
{
	json_t *root = json_object(), *checks = json_array();

	for (size_t i = 0; i < diagnosis->nr; i++) {
		json_t *check = json_object();

		json_object_set_new(check, "verdict", json_string(verdict_names[diagnosis->checks[i].verdict]));
		json_object_set_new(check, "what", json_string(diagnosis->checks[i].what));
		json_object_set_new(check, "detail", json_string(diagnosis->checks[i].detail));
		json_array_append_new(checks, check);
	}
	json_object_set_new(root, "schema", json_string("refold-doctor/1"));
	json_object_set_new(root, "arch", json_string(diagnosis->kernel.machine));
	json_object_set_new(root, "kernel", json_string(diagnosis->kernel.release));
	json_object_set_new(root, "page_size_bytes", json_integer(1 << diagnosis->kernel.page_shift));
	json_object_set_new(root, "tool", json_string("refold-capture " REFOLD_VERSION));
	json_object_set_new(root, "verdict", json_string(verdict_names[worst]));
	json_object_set_new(root, "checks", checks);
	json_object_set_new(root, "events", json_events(diagnosis));
	json_object_set_new(root, "thp", rf_kernel_thp_settings());
	rf_json_write(root, out);
	json_decref(root);
}

int rf_doctor(FILE *out, bool json)
{
	struct diagnosis diagnosis = { .nr = 0 };
	enum verdict worst = GOOD;

	rf_kernel_read(&diagnosis.kernel);
	check_compat(&diagnosis);
	if (diagnosis.kernel.isa == RF_ISA_OTHER)
		add(&diagnosis, LESS, "architecture", "page-table entries of %s cannot be read: migrations are missed",
		    diagnosis.kernel.machine);
	check_rights(&diagnosis);
	check_tracefs(&diagnosis);
	check_events(&diagnosis);
	check_perf(&diagnosis);
	check_stacks(&diagnosis);
	check_snapshots(&diagnosis);
	check_settings(&diagnosis);
	check_file_systems(&diagnosis);
	for (size_t i = 0; i < diagnosis.nr; i++)
		if (diagnosis.checks[i].verdict > worst)
			worst = diagnosis.checks[i].verdict;
	for (size_t i = 0; diagnosis.status && i < rf_nr_events; i++)
		if (event_verdict(&rf_events[i], &diagnosis.status[i]) > worst)
			worst = event_verdict(&rf_events[i], &diagnosis.status[i]);
	if (json)
		print_json(out, &diagnosis, worst);
	else
		print_text(out, &diagnosis, worst);
	free(diagnosis.status);
	return worst == BAD ? RF_EXIT_FAILED : RF_EXIT_DONE;
}
