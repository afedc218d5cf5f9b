// SPDX-License-Identifier: MIT
/* Names of control groups, and of which container they are; what is no group; who of a list cannot be recorded. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/cgroups.h"
#include "capture/targets.h"

#define ID "3f4e8a0c5b6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f607"

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool container;
	} names[] = {
		{ ID, true },						/* docker, kubelet: cgroupfs driver */
		{ "docker-" ID ".scope", true },
		{ "cri-containerd-" ID ".scope", true },
		{ "crio-" ID ".scope", true },
		{ "libpod-" ID ".scope", true },
		{ "nerdctl-" ID ".scope", true },
		{ "kubepods-burstable-pod12.slice:cri-containerd:" ID, true },
		{ "libpod-conmon-" ID ".scope", false },		/* who watches it */
		{ "crio-conmon-" ID ".scope", false },
		{ "docker-" ID ".slice", false },
		{ "docker-0" ID ".scope", false },			/* a digit too many */
		{ "docker-3f4e8a0c5b6d.scope", false },
		{ "kubepods-besteffort-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0.slice", false },
		{ "system.slice", false }, { "x" ID, false }, { "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char id[RF_CONTAINER_ID_MAX] = "";

		if (rf_container_of_name(names[i].name, id) != names[i].container)
			fail_msg("%s", names[i].name);
		if (names[i].container)
			assert_string_equal(id, ID);
	}
}

static void test_no_such(void **state)
{
	struct rf_pid_list pids = { 0 };
	struct rf_error err;

	(void)state;
	assert_int_equal(rf_cgroup_processes("/no/such/group", &pids, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/no/such/group"));
	assert_int_equal(rf_container_processes("docker://" ID, &pids, &err), -ENOENT);
	assert_int_equal(rf_container_processes("docker://", &pids, &err), -ENOENT);
	assert_int_equal(pids.nr, 0);
	rf_pid_list_free(&pids);
}

static void count(void *context, const char *why)
{
	assert_true(why[0]);
	++*(size_t *)context;
}

static void test_left_out(void **state)
{
	struct rf_targets targets = { 0 };
	struct rf_pid_list pids = { 0 };
	struct rf_error err;
	size_t nr = 0;

	(void)state;
	assert_true(rf_pid_list_add(&targets.pids, 0x3fffff));
	assert_int_equal(rf_targets_find(&targets, &pids, count, &nr, &err), -ESRCH);
	assert_non_null(strstr(err.message, "4194303: no such process"));
	assert_true(rf_pid_list_add(&targets.pids, getpid()));
	assert_int_equal(rf_targets_find(&targets, &pids, count, &nr, &err), 0);
	assert_int_equal(pids.nr, 1);
	assert_int_equal(pids.pids[0], getpid());
	assert_int_equal(nr, 2);
	rf_pid_list_free(&pids);
	rf_pid_list_free(&targets.pids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_no_such), cmocka_unit_test(test_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
