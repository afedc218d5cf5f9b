// SPDX-License-Identifier: MIT
/* refold cpus: the cores that cpu=NAME knows, and what each makes of some kernels. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "engine/policy/cpus.h"
#include "engine/policy/text.h"
#include "replay/commands/commands.h"

static const char help[] =
	"usage: refold cpus [KERNEL]\n\n"
	"Lists the arm64 cores that a policy NAME+cpu=CORE can be of, and the knobs that the kernel then has (default:\n"
	"linux-7.3). cpu=CORE:kaslr is under KASLR, cpu=CORE/CORE a mix of cores, cpu=dmesg:FILE what a boot log says.\n\n"
	"  -h, --help     this text\n";

static int print_cpu(const struct rf_cpu *cpu, const char *kernel)
{
	static const char *const knobs[] = { "tlbi", "repeat_tlbi", "kpti", "bbml3", "granule" };
	struct rf_policy policy;
	struct rf_error err;
	char text[128], value[32];
	size_t i;

	snprintf(text, sizeof(text), "%.60s+cpu=%s", kernel, cpu->name);
	if (rf_policy_parse(text, &policy, &err))
		return rf_command_usage("cpus", "%s", err.message);
	printf("%-18s", cpu->name);
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (rf_policy_value(&policy, knobs[i], value, sizeof(value)))
			printf(" %s=%s", knobs[i], value);
	if (rf_policy_value(&policy, "exec_prot_flush", value, sizeof(value)) && strcmp(value, "off"))
		printf(" exec_prot_flush=%s", value);
	printf("%s%s\n", cpu->also ? "  also: " : "", cpu->also ? cpu->also : "");
	return RF_EXIT_DONE;
}

int rf_cmd_cpus(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	const struct rf_cpu *cpu;
	int option, ret = RF_EXIT_DONE;
	size_t i;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'h')
			return rf_command_bad_option("cpus", argv);
		fputs(help, stdout);
		return RF_EXIT_DONE;
	}
	if (argc > optind + 1)
		return rf_command_usage("cpus", "one kernel, not %d", argc - optind);
	for (i = 0; !ret && (cpu = rf_cpu_at(i)); i++)
		ret = print_cpu(cpu, argc > optind ? argv[optind] : "linux-7.3");
	return ret;
}
