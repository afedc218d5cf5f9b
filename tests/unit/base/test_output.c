// SPDX-License-Identifier: MIT
/* Outputs: whole or not at all, recordings that stay, what was there before, links and FIFOs. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/output.h"

static char directory[] = "/tmp/refold-output-XXXXXX";

/* Valid until four others have been asked for. */
static const char *at(const char *name)
{
	static char paths[4][128];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void expect_file(const char *name, const char *text)
{
	char found[64] = "";
	FILE *file = fopen(at(name), "r");

	if (!text) {
		assert_null(file);
		return;
	}
	assert_non_null(file);
	(void)!fread(found, 1, sizeof(found) - 1, file);
	fclose(file);
	assert_string_equal(found, text);
}

static mode_t mode_of(const char *name)
{
	struct stat status;

	assert_int_equal(stat(at(name), &status), 0);
	return status.st_mode & 0777;
}

static int setup(void **state)
{
	(void)state;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

/* Nothing is left but what the test names by removing it. */
static int teardown(void **state)
{
	static const char *const names[] = { "a", "a.old", "link" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(at(names[i]));
	return rmdir(directory);
}

static void test_whole(void **state)
{
	struct rf_output output;

	(void)state;
	put("a", "before");
	assert_int_equal(chmod(at("a"), 0640), 0);
	assert_int_equal(rf_output_begin(&output, at("a"), RF_OUTPUT_WHOLE, NULL), 0);
	assert_int_equal(write(output.fd, "after", 5), 5);
	expect_file("a", "before");
	assert_int_equal(rf_output_finish(&output, NULL), 0);
	expect_file("a", "after");
	assert_int_equal(mode_of("a"), 0640);
	assert_int_equal(rf_output_begin(&output, at("a"), RF_OUTPUT_WHOLE, NULL), 0);
	assert_int_equal(write(output.fd, "lost", 4), 4);
	rf_output_fail(&output);
	expect_file("a", "after");
	unlink(at("a"));
	assert_int_equal(rf_output_begin(&output, at("a"), RF_OUTPUT_WHOLE, NULL), 0);
	assert_int_equal(rf_output_finish(&output, NULL), 0);
	assert_int_equal(mode_of("a"), 0600);
}

/* However its writer ends, nothing half done is left: the teardown finds the directory empty. */
static void test_killed(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct rf_output output;

		if (!rf_output_begin(&output, at("a"), RF_OUTPUT_WHOLE, NULL) && write(output.fd, "half", 4) == 4)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	expect_file("a", NULL);
}

static void test_growing(void **state)
{
	struct rf_output output, second;
	struct rf_error err;

	(void)state;
	put("a", "before");
	assert_int_equal(rf_output_begin(&output, at("a"), RF_OUTPUT_GROWING, NULL), 0);
	assert_int_equal(write(output.fd, "now", 3), 3);
	expect_file("a", "now");
	expect_file("a.old", "before");
	assert_int_equal(rf_output_begin(&second, at("a"), RF_OUTPUT_GROWING, &err), -EBUSY);
	assert_non_null(strstr(err.message, "another recorder"));
	rf_output_fail(&output);
	expect_file("a", "now");
	assert_int_equal(mode_of("a"), 0600);
	assert_int_equal(rf_output_begin(&output, at("a"), RF_OUTPUT_GROWING, NULL), 0);
	rf_output_abandon(&output);
	expect_file("a", "now");
	expect_file("a.old", NULL);
}

static void test_links(void **state)
{
	struct rf_output output;
	struct rf_error err;

	(void)state;
	put("a", "before");
	assert_int_equal(symlink(at("a"), at("link")), 0);
	assert_int_equal(rf_output_begin(&output, at("link"), RF_OUTPUT_WHOLE, NULL), 0);
	assert_int_equal(write(output.fd, "after", 5), 5);
	assert_int_equal(rf_output_finish(&output, NULL), 0);
	expect_file("a", "after");
	assert_true(rf_same_file(at("a"), at("link")));
	assert_false(rf_same_file("/dev/null", "/dev/null"));
	if (geteuid())
		return;
	assert_int_equal(lchown(at("link"), 65534, 65534), 0);
	for (int how = RF_OUTPUT_WHOLE; how <= RF_OUTPUT_GROWING; how++)
		assert_int_equal(rf_output_begin(&output, at("link"), how, &err), -EPERM);
	expect_file("a", "after");
	/* A device behind it is no better. */
	assert_int_equal(unlink(at("link")), 0);
	assert_int_equal(symlink("/dev/null", at("link")), 0);
	assert_int_equal(lchown(at("link"), 65534, 65534), 0);
	assert_int_equal(rf_output_begin(&output, at("link"), RF_OUTPUT_WHOLE, &err), -EPERM);
}

static void test_in_place(void **state)
{
	struct rf_output output;
	struct rf_error err;

	(void)state;
	assert_int_equal(mkfifo(at("a"), 0600), 0);
	assert_int_equal(rf_output_begin(&output, at("a"), RF_OUTPUT_WHOLE, &err), -ENXIO);
	assert_int_equal(rf_output_begin(&output, "/dev/null", RF_OUTPUT_GROWING, NULL), 0);
	assert_int_equal(rf_output_finish(&output, NULL), 0);
	assert_int_equal(rf_output_begin(&output, directory, RF_OUTPUT_WHOLE, &err), -EISDIR);
	assert_int_equal(rf_output_begin(&output, at("no/where"), RF_OUTPUT_WHOLE, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_growing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_place, setup, teardown),
	};

	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
