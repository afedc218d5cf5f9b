// SPDX-License-Identifier: MIT
/* Calls by number: of what a number means to 32-bit tasks and to others, the tracker sees what the task is. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/replay/tracking_text.h"

/* The process of ATTACHED with a page at BASE + 1, and its child (200). */
#define TWO_PROCESSES                                                                              \
	"frame stream=0\n"                                                                         \
	"10 tid=100 fault addr=0x400000001000 flags=0x2\n"                                         \
	"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"                                       \
	"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"                                    \
	"20 tid=100 clone flags=0x11\n"                                                            \
	"30 tid=100 newtask child=200 flags=0x0\n"                                                 \
	"31 tid=100 sys_ret call=26 ret=200\n"                                                     \
	"frame stream=2\n"                                                                         \
	"25 tid=100 rss_stat mm_id=10 curr=0 member=1 pages=1\n"

/* An munmap() that only a 32-bit task would have made by the number that was told. */
#define MUNMAP(time, tid)                                                                          \
	#time "0 tid=" #tid " munmap addr=0x400000001000 len=0x1000\n"                             \
	#time "1 tid=" #tid " sys_ret call=17 ret=0\n"

#define COMPAT "stream 5 source=compat cpu=0\n"
#define BY_NUMBER "6.18\",\"calls\":\"raw_syscalls\",\"compat_calls\":true,\"tool\":\"a test"
#define BY_EVENT "6.18\",\"calls\":\"syscalls\",\"compat_calls\":true,\"tool\":\"a test"

static void of_another_task_it_is_none(void **context)
{
	struct result *r = track_on(BY_EVENT, COMPAT ATTACHED TWO_PROCESSES "frame stream=5\n"
				    MUNMAP(5, 100) MUNMAP(6, 200));

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

static void of_a_32_bit_task_and_its_child_it_counts(void **context)
{
	struct result *r = track_on(BY_EVENT, COMPAT ATTACHED "1 tid=100 abi abi=1 exec=0\n" TWO_PROCESSES
				    "frame stream=5\n" MUNMAP(5, 100) MUNMAP(6, 200));

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "munmap 0 @1-2\n"
		  "munmap 1 @1-2\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* Until it executes a program that is none; and another does one that is: its vdso lies below 4 GiB. */
static void exec_changes_it(void **context)
{
	struct result *r = track_on(BY_EVENT, COMPAT ATTACHED "1 tid=100 abi abi=1 exec=0\n" TWO_PROCESSES
				    "frame stream=0\n"
				    "40 tid=200 execve\n41 tid=200 prepare_exec\n43 tid=200 exec old_tid=200\n"
				    "44 tid=200 execve\n45 tid=200 prepare_exec\n47 tid=200 exec old_tid=200\n"
				    "frame stream=3\n46 tid=200 mmap2 addr=0xf7f00000 len=0x2000 pgoff=0 dev=0 ino=0 flags=0x30005\n"
				    "frame stream=5\n"
				    "430 tid=200 munmap addr=0x400000001000 len=0x1000\n");
	const char *end = strstr(r->ops, "mm_new 2");

	(void)context;
	assert_non_null(end);
	end = strstr(end, "mm_new 3");
	assert_non_null(end);
	assert_null(strstr(r->ops, "munmap 1"));
	r = track_on(BY_EVENT, COMPAT ATTACHED "frame stream=0\n"
		     "40 tid=100 execve\n41 tid=100 prepare_exec\n43 tid=100 exec old_tid=100\n"
		     "frame stream=3\n42 tid=100 mmap2 addr=0xffd00000 len=0x21000 pgoff=0 dev=0 ino=0 flags=0x20003\n"
		     "42 tid=100 mmap2 addr=0xf7f00000 len=0x2000 pgoff=0 dev=0 ino=0 flags=0x30005\n"
		     "frame stream=5\n"
		     "50 tid=100 mmap addr=0x0 len=0x2000 prot=0x3 flags=0x22 fd=-1 offset=0x0\n"
		     "51 tid=100 sys_ret call=16 ret=0x400000000000\n"
		     "60 tid=100 munmap addr=0x400000001000 len=0x1000\n61 tid=100 sys_ret call=17 ret=0\n");
	assert_non_null(strstr(r->ops, "munmap 1 @1-2\n"));
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* Where the kernel has no events of calls, what the number means to others is told as well. */
static void by_number_of_either(void **context)
{
	const char *records = COMPAT ATTACHED "1 tid=100 abi abi=1 exec=0\n" TWO_PROCESSES
			      "frame stream=0\n" MUNMAP(5, 100) "frame stream=5\n" MUNMAP(6, 100);
	struct result *r = track_on(BY_NUMBER, records);

	(void)context;
	expect(r, "fault_anon 0 @1 nr=1 pfn=1000\n"
		  "fork 0 child=1\n"
		  "munmap 0 @1-2\n");
	assert_string_equal(track_on(BY_EVENT, records)->ops,
			    "fault_anon 0 @1 nr=1 pfn=1000\n"
			    "fork 0 child=1\n"
			    "munmap 0 @1-2\n"
			    "munmap 0 @1-2\n");
}

/* Without their calls all that is known of 32-bit tasks is that they are. */
static void unknown_calls_are_marked(void **context)
{
	struct result *r = track(ATTACHED "1 tid=100 abi abi=1 exec=0\n" TWO_PROCESSES);

	(void)context;
	assert_int_equal(r->fidelity.inexact_mms, 2);
	r = track(ATTACHED TWO_PROCESSES "frame stream=0\n"
		  "40 tid=200 execve\n41 tid=200 prepare_exec\n43 tid=200 exec old_tid=200\n"
		  "frame stream=3\n42 tid=200 mmap2 addr=0xf7f00000 len=0x2000 pgoff=0 dev=0 ino=0 flags=0x30005\n");
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

#define EXECUTES "40 tid=200 execve\n41 tid=200 prepare_exec\n43 tid=200 exec old_tid=200\n"

/* No side band: the return of exec has the new program's number; the first call of another is one of its own. */
static void exec_returns_as_what_it_is_now(void **context)
{
	struct result *r = track_on(BY_EVENT, COMPAT ATTACHED TWO_PROCESSES "frame stream=0\n" EXECUTES
				    "frame stream=5\n44 tid=200 sys_ret call=27 ret=0\n"
				    "50 tid=200 mmap addr=0x0 len=0x2000 prot=0x3 flags=0x22 fd=-1 offset=0x0\n"
				    "51 tid=200 sys_ret call=16 ret=0x400000000000\n");

	(void)context;
	assert_non_null(strstr(r->ops, "map 2 @0-2\n"));
	assert_int_equal(r->fidelity.inexact_mms, 0);
	r = track_on(BY_EVENT, COMPAT ATTACHED TWO_PROCESSES "frame stream=0\n" EXECUTES
		     "44 tid=200 sys_ret call=27 ret=0\n"
		     "frame stream=5\n45 tid=200 sys_ret call=27 ret=0\n"
		     "50 tid=200 mmap addr=0x0 len=0x2000 prot=0x3 flags=0x22 fd=-1 offset=0x0\n"
		     "51 tid=200 sys_ret call=16 ret=0x400000000000\n");
	assert_null(strstr(r->ops, "map 2 @0-2\n"));
}

/* Nothing else tells of 32-bit programs than that they make no calls. */
static void who_makes_no_call_is_marked(void **context)
{
	(void)context;
	assert_int_equal(track(ATTACHED TWO_PROCESSES "frame stream=0\n" EXECUTES "60 tid=200 exit_task group_dead=1\n")
				 ->fidelity.inexact_mms, 1);
	assert_int_equal(track(ATTACHED TWO_PROCESSES "frame stream=0\n" EXECUTES
			       "50 tid=200 newtask child=300 flags=0x0\n")->fidelity.inexact_mms, 2);
	assert_int_equal(track(ATTACHED TWO_PROCESSES "frame stream=0\n" EXECUTES "59 tid=200 exit group=1\n"
			       "60 tid=200 exit_task group_dead=1\n")->fidelity.inexact_mms, 0);
}

/* The stack of arguments, at the very top, becomes executable before it moves to its place. */
static void the_stack_becomes_executable(void **context)
{
	static const char *const tops[] = { "0xfffffffff000", "0xffffffffffe000" };

	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		char text[4096];

		assert_true(snprintf(text, sizeof(text), ATTACHED TWO_PROCESSES "frame stream=0\n" EXECUTES
				     "frame stream=3\n"
				     "42 tid=200 mmap2 addr=%s len=0x1000 pgoff=0 dev=0 ino=0 flags=0x7\n"
				     "42 tid=200 mmap2 addr=0x7ffffffde000 len=0x21000 pgoff=0 dev=0 ino=0 "
				     "flags=0x20007\n", tops[i]) < (int)sizeof(text));
		assert_non_null(strstr(track(text)->ops, "map 2 @17179869182-17179869183\n"
							  "mprotect 2 @17179869182-17179869183\n"
							  "exec_stack 2 @17179869182-17179869183\n"));
	}
}

/* ipc(): its return says neither of which call nor, of an attach, where; the old mmap() does not tell its arguments. */
static void what_other_records_tell_of_a_call(void **context)
{
	struct result *r = track_on(BY_EVENT, COMPAT ATTACHED "1 tid=100 abi abi=1 exec=0\n"
		"frame stream=5\n"
		"10 tid=100 shmat shmid=1 addr=0x0 flags=0x0\n12 tid=100 sys_ret call=0 ret=0\n"
		"20 tid=100 mmap addr=0x0 len=0x0 prot=0x0 flags=0x0 fd=0 offset=0x0\n"
		"22 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"30 tid=100 shmdt addr=0x400001000000\n31 tid=100 sys_ret call=0 ret=0\n"
		"frame stream=3\n"
		"11 tid=100 mmap2 addr=0x400001000000 len=0x4000 pgoff=0 dev=5 ino=7 flags=0xb\n"
		"21 tid=100 mmap2 addr=0x400002000000 len=0x3000 pgoff=0 dev=0 ino=0 flags=0x3\n");

	(void)context;
	expect(r, "map 0 @4096-4100\n"
		  "map 0 @8192-8195\n"
		  "munmap 0 @4096-4100\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
}

/* The side band tells of a whole VMA, of which the new one is the middle: what was there on either side stays. */
static void the_old_mmap_becomes_part_of_its_neighbours(void **context)
{
	struct result *r = track_on(BY_EVENT, COMPAT ATTACHED "1 tid=100 abi abi=1 exec=0\n"
		"frame stream=5\n"
		"10 tid=100 mmap addr=0x0 len=0x2000 prot=0x3 flags=0x22 fd=-1 offset=0x0\n"
		"12 tid=100 sys_ret call=16 ret=0x400002003000\n"
		"20 tid=100 mmap addr=0x0 len=0x1000 prot=0x3 flags=0x22 fd=-1 offset=0x0\n"
		"22 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"30 tid=100 mmap addr=0x0 len=0x0 prot=0x0 flags=0x0 fd=0 offset=0x0\n"
		"32 tid=100 sys_ret call=16 ret=0x400002001000\n"
		"frame stream=3\n"
		"11 tid=100 mmap2 addr=0x400002003000 len=0x2000 pgoff=0 dev=0 ino=0 flags=0x3\n"
		"21 tid=100 mmap2 addr=0x400002000000 len=0x1000 pgoff=0 dev=0 ino=0 flags=0x3\n"
		"31 tid=100 mmap2 addr=0x400002000000 len=0x5000 pgoff=0 dev=0 ino=0 flags=0x3\n");

	(void)context;
	expect(r, "map 0 @8195-8197\n"
		  "map 0 @8192-8193\n"
		  "map 0 @8193-8195\n");
	assert_int_equal(r->fidelity.inexact_mms, 0);
	/* Over something: how much of that is new is not known. */
	r = track_on(BY_EVENT, COMPAT ATTACHED "1 tid=100 abi abi=1 exec=0\n"
		"frame stream=5\n"
		"10 tid=100 mmap addr=0x0 len=0x2000 prot=0x3 flags=0x22 fd=-1 offset=0x0\n"
		"12 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"30 tid=100 mmap addr=0x0 len=0x0 prot=0x0 flags=0x0 fd=0 offset=0x0\n"
		"32 tid=100 sys_ret call=16 ret=0x400002000000\n"
		"frame stream=3\n"
		"31 tid=100 mmap2 addr=0x400002000000 len=0x2000 pgoff=0 dev=0 ino=0 flags=0x3\n");
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_another_task_it_is_none),
		cmocka_unit_test(of_a_32_bit_task_and_its_child_it_counts),
		cmocka_unit_test(exec_changes_it),
		cmocka_unit_test(by_number_of_either),
		cmocka_unit_test(unknown_calls_are_marked),
		cmocka_unit_test(exec_returns_as_what_it_is_now),
		cmocka_unit_test(who_makes_no_call_is_marked),
		cmocka_unit_test(the_stack_becomes_executable),
		cmocka_unit_test(what_other_records_tell_of_a_call),
		cmocka_unit_test(the_old_mmap_becomes_part_of_its_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
