// SPDX-License-Identifier: MIT
/* refold cpus: the cores that cpu=NAME knows, and what each makes of some kernels. */
#include <stdlib.h>
#include <string.h>

#include "engine/policy/cpus.h"
#include "engine/policy/text.h"
#include "replay/commands/commands.h"

static const char help[] =
	"usage: refold cpus [KERNEL]\n\n"
	"Lists the cores that a policy NAME+cpu=CORE can be of, and the knobs that the kernel then has (default: all of\n"
	"them, on linux-7.3, x86-7.3 and riscv-7.3). cpu=CORE/CORE is a mix of cores; on arm64 cpu=CORE:kaslr is under\n"
	"KASLR, and cpu=dmesg:FILE what a boot log says.\n\n"
	"  -h, --help     this text\n";

/* What a core may change, on architectures that have it. */
static const struct { const char *knob, *arch, *usual; } told[] = {
	{ "tlbi", "arm64", NULL }, { "repeat_tlbi", "arm64", NULL }, { "kpti", NULL, NULL }, { "bbml3", "arm64", NULL },
	{ "invlpgb", "x86", NULL }, { "svinval", "riscv", NULL }, { "svvptc", "riscv", NULL },
	{ "flush_ceiling", "riscv", NULL }, { "granule", "arm64", NULL }, { "exec_prot_flush", "arm64", "off" },
};

static int print_cpu(const struct rf_cpu *cpu, const char *kernel)
{
	struct rf_policy policy;
	struct rf_error err;
	char text[128], value[32];
	size_t i;

	snprintf(text, sizeof(text), "%.60s+cpu=%s", kernel, cpu->name);
	if (rf_policy_parse(text, &policy, &err))
		return rf_command_usage("cpus", "%s", err.message);
	printf("%-18s", cpu->name);
	for (i = 0; i < ARRAY_SIZE(told); i++)
		if ((!told[i].arch || !strcmp(told[i].arch, rf_cpu_arch(cpu))) &&
		    rf_policy_value(&policy, told[i].knob, value, sizeof(value)) &&
		    (!told[i].usual || strcmp(value, told[i].usual)))
			printf(" %s=%s", told[i].knob, value);
	printf("%s%s\n", cpu->also ? "  also: " : "", cpu->also ? cpu->also : "");
	return RF_EXIT_DONE;
}

static const char *newest_kernel(const char *arch)
{
	return !strcmp(arch, "x86") ? "x86-7.3" : !strcmp(arch, "riscv") ? "riscv-7.3" : "linux-7.3";
}

/* All cores, or those that a kernel can run on. */
static int print_cpus(const char *kernel)
{
	const struct rf_cpu *cpu;
	struct rf_policy policy;
	struct rf_error err;
	bool any = false;
	int ret = RF_EXIT_DONE;
	size_t i;

	if (kernel && rf_policy_parse(kernel, &policy, &err))
		return rf_command_usage("cpus", "%s", err.message);
	for (i = 0; !ret && (cpu = rf_cpu_at(i)); i++) {
		if (kernel && strcmp(rf_cpu_arch(cpu), policy.arch->name))
			continue;
		ret = print_cpu(cpu, kernel ? kernel : newest_kernel(rf_cpu_arch(cpu)));
		any = true;
	}
	return any ? ret : rf_command_usage("cpus", "no core of %s is known", policy.arch->name);
}

int rf_cmd_cpus(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	static const struct rf_command_line line = { "cpus", help, "h", options };
	int code;

	if (rf_command_option(&line, argc, argv, &code))
		return code;
	if (argc > optind + 1)
		return rf_command_usage("cpus", "one kernel, not %d", argc - optind);
	return print_cpus(argc > optind ? argv[optind] : NULL);
}
