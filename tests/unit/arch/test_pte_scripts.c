// SPDX-License-Identifier: MIT
/*
 * refold pte against the kernels' own code: tests/golden/pte/CASE.ops are scripts, CASE.POLICY.jsonl what the contpte
 * code of 6.12.107 and 7.3.4 answered when it was compiled into a program that counts. Compared byte for byte. Also
 * what the command says to scripts that are wrong.
 */
#include <glob.h>
#include <unistd.h>

#include "fixture.h"
#include "replay/commands/commands.h"

static const char *golden;

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		fail_msg("%s: cannot read", path);
	if (getdelim(&text, &size, '\0', file) < 0)
		text = strdup("");
	fclose(file);
	return text;
}

static int run_pte(const char *script, const char *policy, const char *output)
{
	const char *arguments[] = { "pte", script, "-p", policy, "-j", "-o", output, NULL };
	char *argv[ARRAY_SIZE(arguments)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(arguments); i++)
		argv[i] = (char *)arguments[i];
	optind = 1;
	return rf_cmd_pte(ARRAY_SIZE(arguments) - 1, argv);
}

/* Report the first line that differs: whole files would not be readable. */
static void compare(const char *script, const char *policy, char *got, char *wanted)
{
	char *got_line, *wanted_line;

	while ((got_line = strsep(&got, "\n")) && (wanted_line = strsep(&wanted, "\n")))
		if (strcmp(got_line, wanted_line))
			fail_msg("%s under %s:\n  got    %.400s\n  wanted %.400s", script, policy, got_line, wanted_line);
	if (got_line || wanted)
		fail_msg("%s under %s: one is longer", script, policy);
}

static void test_scripts(void **state)
{
	static const char *const policies[] = { "linux-6.12.107", "linux-7.3" };
	char pattern[4096], expected[4096], output[] = "/tmp/refold-test-XXXXXX", *got, *wanted;
	unsigned int compared = 0;
	glob_t scripts;
	size_t i, j;
	int fd = mkstemp(output);

	assert_true(fd >= 0);
	close(fd);
	snprintf(pattern, sizeof(pattern), "%s/case-*.ops", golden);
	assert_int_equal(glob(pattern, 0, NULL, &scripts), 0);
	for (i = 0; i < scripts.gl_pathc; i++) {
		for (j = 0; j < ARRAY_SIZE(policies); j++) {
			snprintf(expected, sizeof(expected), "%.*s.%s.jsonl", (int)strlen(scripts.gl_pathv[i]) - 4,
				 scripts.gl_pathv[i], policies[j]);
			assert_int_equal(run_pte(scripts.gl_pathv[i], policies[j], output), RF_EXIT_DONE);
			got = read_file(output);
			wanted = read_file(expected);
			compare(scripts.gl_pathv[i], policies[j], got, wanted);
			free(got);
			free(wanted);
			compared++;
		}
	}
	assert_int_equal(compared, 24);
	globfree(&scripts);
	unlink(output);
}

/* A script that breaks a rule fails, and the message names the line. */
static void test_wrong_scripts(void **state)
{
	static const struct { const char *text, *said; } cases[] = {
		{ "get 0x10000000\nfrobnicate\n", ":2: no command 'frobnicate'" },
		{ "get\n", ":1: incomplete" },
		{ "get 0x10000000 7\n", ":1: '7' does not belong" },
		{ "get 0x10000001\n", "not page aligned" },
		{ "get 0xf0000000\n", "not in the window" },
		{ "set 0x10000000 1 1\n", "incomplete" },
		{ "set 0x10000000 1 1 ro rw\n", "incomplete" },
		{ "set 0x101f0000 0x10 32 ro\n", "not in one page table" },
		{ "set 0x10000000 0x10 0 ro\n", "not in the window" },
		{ "set 0x10000000 0x10 4 ro\nset 0x10000000 0x10 4 ro\n", ":2: set of several" },
		{ "hw 0x10000000 young\n", "not valid" },
		{ "folio 0x11 4\n", "aligned" },
		{ "folio 0x10 4\nfolio 0x18 3\n", ":2: overlaps" },
		{ "get 0x10000000\nwindow 0x10000000 512\n", ":2: the window comes before" },
		{ "window 0x10001000 512\n", "whole page tables" },
		{ "opt range 2\n", "0 or 1" },
		{ "batch 0x10000000 4\n", "present" },
		{ "set 0x10000000 0x10 16 rw\nmove 0x10000000 16 0x10008000\n", ":2: source and target" },
		{ "flushpage 0x10000000 nosync local\n", "incomplete" },
	};
	char script[] = "/tmp/refold-test-XXXXXX", errors[] = "/tmp/refold-test-XXXXXX", *said;
	int saved = dup(STDERR_FILENO), script_fd = mkstemp(script), errors_fd = mkstemp(errors), ret;
	size_t i;

	assert_true(saved >= 0 && script_fd >= 0 && errors_fd >= 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ftruncate(script_fd, 0), 0);
		assert_int_equal(pwrite(script_fd, cases[i].text, strlen(cases[i].text), 0), strlen(cases[i].text));
		assert_int_equal(ftruncate(errors_fd, 0), 0);
		lseek(errors_fd, 0, SEEK_SET);
		fflush(stderr);
		dup2(errors_fd, STDERR_FILENO);
		ret = run_pte(script, "linux-6.12", "/dev/null");
		fflush(stderr);
		dup2(saved, STDERR_FILENO);
		assert_int_equal(ret, RF_EXIT_FAILED);
		said = read_file(errors);
		if (!strstr(said, cases[i].said) || strchr(said, '\n') != said + strlen(said) - 1)
			fail_msg("'%s' answered by '%s', without '%s'", cases[i].text, said, cases[i].said);
		free(said);
	}
	close(saved);
	close(script_fd);
	close(errors_fd);
	unlink(script);
	unlink(errors);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_wrong_scripts),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s GOLDEN_DIRECTORY\n", argv[0]);
		return 2;
	}
	golden = argv[1];
	return cmocka_run_group_tests_name("pte scripts", tests, NULL, NULL);
}
