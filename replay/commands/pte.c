// SPDX-License-Identifier: MIT
/*
 * refold pte: run a script of PTE helper calls under one policy and tell what each call did and cost. For small what-if
 * cases, and for comparing the simulated helpers line by line with those of real kernels.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/loaded/loaded.h"
#include "engine/policy/text.h"
#include "replay/commands/commands.h"
#include "replay/pte/machine.h"

static const char help[] =
	"usage: refold pte SCRIPT -p POLICY [-j] [-o FILE]\n\n"
	"Runs PTE helper calls from a text file (- for standard input) under one policy.\n\n"
	"  -p, --policy POLICY  NAME, NAME+knob=value or FILE.json; 'refold policies' lists them\n"
	"  -j, --json           one JSON object per operation instead of text\n"
	"  -o, --output FILE    write there (- for standard output, the default)\n"
	"  -h, --help           this text\n\n"
	"Commands, one a line; # starts a comment; numbers are decimal or 0x...:\n"
	"  window VA NPAGES     folio PFN ORDER      mm 0|1|2|init|efi\n"
	"  opt range|kpti|repeat|lpa2|bbml3|pending 0|1\n"
	"  set VA PFN NR ro|rw|none [young] [dirty] [special] [uffd] [exec]\n"
	"  swap VA [NR]         get VA               lockless VA         hint VA\n"
	"  batch VA MAX [dirty] [write]              pteclear VA         ptegetclear VA\n"
	"  clearflush VA        clear VA NR [full]   getclear VA NR [full]\n"
	"  wrprotect VA NR      access VA ro|rw [young] [dirty]\n"
	"  tcyoung VA [NR]      cfyoung VA [NR]      cydirty VA NR y|d|yd\n"
	"  mprotect VA NR ro|rw|none                 move VA NR DST [MM]\n"
	"  hw VA young|dirty|write                   flushrange VA NR [nosync|local]\n"
	"  flushpage VA [nosync|local]               flushmm             spurious VA\n"
	"  tlbadd VA [NR]       tlbsync              dump VA NR [raw]    reset    total [LABEL]\n\n"
	"Output keys: L loads, S stores, X atomics, F flush calls, T TLB invalidations (Tn: without\n"
	"range invalidation), D barriers, fold, unfold, born, erased, live (folded blocks now).\n";

struct arguments {
	const char *script;
	const char *policy;
	const char *output;
	bool json;
};

/* Sums since the start or the last reset. */
struct sums {
	struct arch_counters counters;
	s64 tlbi_single, live;
	u64 mixed, operations;
};

struct run {
	struct pte_machine *machine;
	struct sums sums;
	u64 index;
	u64 warnings_before;		/* of the code of a loaded backend, until the sums began */
	bool header_done, json;
	FILE *out;
};

/* ---- output ---- */

/* Counters that are not zero; at least L, so that a line without cost says so. Returns what was printed. */
static unsigned int put_counters(struct run *run, const struct arch_counters *c, s64 tlbi_single, bool always)
{
	const struct { const char *key; s64 value; } fields[] = {
		{ "L", c->pte_loads }, { "S", c->pte_stores }, { "X", c->pte_atomics }, { "F", c->flush_calls },
		{ "T", c->tlbi }, { "Tn", tlbi_single }, { "D", c->dsb }, { "fold", c->fold },
		{ "unfold", c->unfold }, { "born", c->born }, { "erased", c->erased },
	};
	unsigned int i, printed = 0;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!fields[i].value)
			continue;
		fprintf(run->out, run->json ? "%s\"%s\":%lld" : "%s%s %lld", printed++ ? run->json ? "," : "  " : "",
			fields[i].key, (long long)fields[i].value);
	}
	if (!printed && always)
		fprintf(run->out, run->json ? "\"L\":0" : "L 0");
	return printed;
}

static void put_pte(struct run *run, pte_t pte)
{
	if (pte_none(pte))
		fputs("0", run->out);
	else if (!pte_present(pte))
		fprintf(run->out, "\"%#llx\"", (unsigned long long)(pte.val & PTE_PFN_MASK));
	else
		fprintf(run->out, "[%llu,%d,%d,%d,%d,%d]", (unsigned long long)pte_pfn(pte), pte_valid(pte),
			pte_write(pte), pte_young(pte), pte_dirty(pte), !!(pte.val & PTE_CONT));
}

static void put_ptes(struct run *run, const struct pte_outcome *outcome, bool raw)
{
	size_t i;

	fputs(run->json ? ",\"ptes\":[" : "\n", run->out);
	for (i = 0; i < outcome->nr_dump; i++) {
		if (i)
			fputs(run->json ? "," : "\n", run->out);
		if (!run->json)
			fprintf(run->out, "%10zu: ", i);
		if (raw)
			fprintf(run->out, "\"%#llx\"", (unsigned long long)outcome->dump[i].val);
		else
			put_pte(run, outcome->dump[i]);
	}
	fputs(run->json ? "]" : "", run->out);
}

static void put_flush(struct run *run, const struct pte_flush *flush)
{
	static const char *const modes[] = {
		[FLUSH_SYNC] = "sync", [FLUSH_NOSYNC] = "nosync", [FLUSH_LOCAL] = "local",
	};
	const char *quote = run->json ? "\"" : "";

	if (flush->mm)
		fprintf(run->out, "%smm%s", quote, quote);
	else
		fprintf(run->out, "%s%s:%#llx+%llu%s", quote, modes[flush->mode], (unsigned long long)flush->start,
			(unsigned long long)flush->pages, quote);
}

static void put_flushes(struct run *run, const struct pte_outcome *outcome)
{
	size_t i;

	if (!outcome->nr_flushes)
		return;
	fputs(run->json ? ",\"fl\":[" : "  flushed", run->out);
	for (i = 0; i < outcome->nr_flushes; i++) {
		fputs(run->json ? i ? "," : "" : " ", run->out);
		put_flush(run, &outcome->flushes[i]);
	}
	fputs(run->json ? "]" : "", run->out);
	if (outcome->dropped_flushes)
		fprintf(run->out, run->json ? ",\"fl_dropped\":%zu" : " and %zu more", outcome->dropped_flushes);
}

static void put_result(struct run *run, const struct pte_outcome *outcome)
{
	if (outcome->result == PTE_RESULT_VOID)
		return;
	fputs(run->json ? ",\"ret\":" : "  = ", run->out);
	if (outcome->result == PTE_RESULT_PTE)
		put_pte(run, outcome->pte);
	else
		fprintf(run->out, "%llu", (unsigned long long)outcome->number);
}

static void put_header(struct run *run)
{
	const struct rf_policy *policy = pte_machine_policy(run->machine);
	const char *format = run->json ?
		"{\"kernel\":\"%s\",\"page\":%u,\"cont_ptes\":%u,\"range\":%d,\"bbml3\":%d}\n" :
		"# as kernel %s, pages of %u bytes, blocks of %u, range TLBI %d, BBML3 %d\n";

	fprintf(run->out, format, rf_policy_release(policy), 1u << policy->geometry.page_shift,
		policy->geometry.cont_ptes, policy->arch_knobs.tlbi_range, policy->arch_knobs.bbml3);
	run->header_done = true;
}

static void put_operation(struct run *run, const struct script_line *line, const struct pte_outcome *outcome)
{
	fprintf(run->out, run->json ? "{\"i\":%llu,\"op\":\"%s\"" : "%6llu  %-40s", (unsigned long long)run->index,
		line->text);
	if (line->command == SCRIPT_DUMP) {
		put_ptes(run, outcome, line->words & WORD_RAW);
	} else {
		fputs(run->json ? "," : "", run->out);
		put_counters(run, &outcome->counters, outcome->tlbi_single, true);
		fprintf(run->out, run->json ? ",\"live\":%lld" : "  live %lld", (long long)outcome->live);
		if (outcome->mixed)
			fprintf(run->out, run->json ? ",\"mixed\":%llu" : "  mixed %llu",
				(unsigned long long)outcome->mixed);
		put_flushes(run, outcome);
		put_result(run, outcome);
	}
	fputs(run->json ? "}\n" : "\n", run->out);
}

/*
 * kwarn: warnings of the code of a loaded backend. Ours prints none, because a line that breaks a helper's contract
 * ends the run.
 */
static u64 warnings(const struct run *run)
{
	const struct arch_loaded *loaded = pte_machine_policy(run->machine)->arch->loaded;

	return loaded ? loaded->nr_warnings - run->warnings_before : 0;
}

static void put_total(struct run *run, const char *label)
{
	const struct sums *sums = &run->sums;

	if (*label)
		fprintf(run->out, run->json ? "{\"label\":\"%s\",\"total\":{" : "total of %s  ", label);
	else
		fputs(run->json ? "{\"total\":{" : "total  ", run->out);
	if (put_counters(run, &sums->counters, sums->tlbi_single, false))
		fputs(run->json ? "," : "  ", run->out);
	fprintf(run->out, run->json ? "\"live\":%lld" : "live %lld", (long long)sums->live);
	if (sums->mixed)
		fprintf(run->out, run->json ? ",\"mixed\":%llu" : "  mixed %llu", (unsigned long long)sums->mixed);
	if (run->json || warnings(run))
		fprintf(run->out, run->json ? ",\"kwarn\":%llu" : "  kwarn %llu", (unsigned long long)warnings(run));
	fprintf(run->out, run->json ? ",\"ops\":%llu}}\n" : "  operations %llu\n",
		(unsigned long long)sums->operations);
}

/* ---- running ---- */

static void add_outcome(struct sums *sums, const struct pte_outcome *outcome)
{
	u64 *to = (u64 *)&sums->counters;
	const u64 *from = (const u64 *)&outcome->counters;
	size_t i;

	for (i = 0; i < ARCH_NR_COUNTERS; i++)
		to[i] += from[i];
	sums->tlbi_single += outcome->tlbi_single;
	sums->live = outcome->live;
	sums->mixed = outcome->mixed > sums->mixed ? outcome->mixed : sums->mixed;
	sums->operations++;
}

static int run_line(struct run *run, const struct script_line *line, unsigned int line_number, struct rf_error *err)
{
	struct pte_outcome outcome;
	int ret = pte_machine_run(run->machine, line, line_number, &outcome, err);

	if (ret)
		return ret;
	if (line->command >= SCRIPT_FIRST_OPERATION) {
		if (!run->header_done)
			put_header(run);
		add_outcome(&run->sums, &outcome);
		put_operation(run, line, &outcome);
		run->index++;
	} else if (line->command == SCRIPT_TOTAL) {
		put_total(run, line->label);
	} else if (line->command == SCRIPT_RESET) {
		run->sums = (struct sums){ .live = run->sums.live };
		run->warnings_before += warnings(run);
	}
	return 0;
}

static int run_script(struct run *run, FILE *script, struct rf_error *err)
{
	unsigned int line_number = 0;
	struct script_line line;
	size_t size = 0;
	char *text = NULL;
	int ret = 0;

	while (!ret && getline(&text, &size, script) >= 0) {
		ret = script_parse_line(text, ++line_number, &line, err);
		if (ret > 0)
			ret = run_line(run, &line, line_number, err);
	}
	free(text);
	/* Not at its end: neither read, nor is there memory for the line. */
	if (!ret && !feof(script))
		ret = rf_error_set(err, -EIO, line_number + 1, "cannot read on: %s", strerror(errno));
	if (ret)
		return ret;
	if (!run->header_done)
		put_header(run);
	put_total(run, "");
	return 0;
}

static int run_file(const struct arguments *arguments, const struct rf_policy *policy)
{
	struct run run = { .json = arguments->json };
	bool standard_input = !strcmp(arguments->script, "-");
	const char *name = standard_input ? "standard input" : arguments->script;
	FILE *script = standard_input ? stdin : fopen(arguments->script, "re");
	struct rf_command_output out;
	struct rf_error err;
	int ret, status;

	if (!script)
		return rf_command_errno(name, "cannot read the script", errno);
	run.machine = pte_machine_create(policy);
	if (!run.machine) {
		ret = rf_command_errno(name, "cannot start", ENOMEM);
	} else if (!rf_command_output_open(&out, arguments->output)) {
		ret = RF_EXIT_FAILED;
	} else {
		run.out = out.file;
		ret = run_script(&run, script, &err);
		status = rf_command_output_close(&out);
		ret = ret ? rf_command_line_error(name, &err) : status;
	}
	pte_machine_destroy(run.machine);
	if (!standard_input)
		fclose(script);
	return ret;
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "policy", required_argument, NULL, 'p' }, { "json", no_argument, NULL, 'j' },
		{ "output", required_argument, NULL, 'o' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	static const struct rf_command_line line = { "pte", help, "p:jo:h", options };
	int option, code;

	while ((option = rf_command_option(&line, argc, argv, &code)) > 0) {
		switch (option) {
		case 'p':
			if (arguments->policy)
				return rf_command_usage("pte", "one policy at a time");
			arguments->policy = optarg;
			break;
		case 'j':
			arguments->json = true;
			break;
		case 'o':
			arguments->output = optarg;
			break;
		}
	}
	if (option < 0)
		return code;
	if (argc - optind != 1)
		return rf_command_usage("pte", "needs one script");
	if (!arguments->policy)
		return rf_command_usage("pte", "needs a policy, for instance -p linux-6.12");
	arguments->script = argv[optind];
	if (rf_command_not_input("pte", arguments->output, arguments->script))
		return RF_EXIT_USAGE;
	return -1;
}

int rf_cmd_pte(int argc, char **argv)
{
	struct arguments arguments = { .output = "-" };
	struct rf_policy policy;
	struct rf_error err;
	int ret = parse_arguments(argc, argv, &arguments);

	if (ret >= 0)
		return ret;
	if (rf_policy_parse(arguments.policy, &policy, &err))
		return rf_command_usage("pte", "%s", err.message);
	rf_command_loaded(&policy, 1, false, false);
	return run_file(&arguments, &policy);
}
