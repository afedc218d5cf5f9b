// SPDX-License-Identifier: MIT
/* Which address spaces are marked, why and since when; and which processes a loss hid. */
#include "tests/unit/replay/tracking_text.h"

#include <stdio.h>
#include <string.h>

/*
 * The marks of a trace as text: "MM: REASON@TIME... until TIME" for each that was known, "hidden PID", "doubt REASON".
 */
static const char *marks_of(const struct result *r)
{
	static char text[1024];
	size_t n = 0;

	text[0] = '\0';
	for (u32 i = 0; i < r->trust.nr_mms; i++) {
		const struct rf_marked_mm *mm = &r->trust.mms[i];

		if (!mm->known)
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u:", mm->mm);
		for (u32 at = mm->first; at; at = r->trust.marks[at - 1].next)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s@%llu",
					      rf_reason_names[r->trust.marks[at - 1].reason],
					      (unsigned long long)r->trust.marks[at - 1].time);
		if (mm->until)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " until %llu", (unsigned long long)mm->until);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\n");
	}
	for (u32 i = 0; i < r->trust.nr_hidden; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "hidden %u\n", r->trust.hidden[i].pid);
	for (u32 i = 0; i < RF_NR_REASONS; i++)
		if (r->trust.doubts[i])
			n += (size_t)snprintf(text + n, sizeof(text) - n, "doubt %s\n", rf_reason_names[i]);
	assert_true(n < sizeof(text));
	return text;
}

#define expect_marks(records, text) assert_string_equal(marks_of(track(records)), text)

/* Process 200 begins at 20 with a copy of nothing, runs a program of its own and ends at 29. */
#define LIFE_OF_200                                                                                    \
	"20 tid=100 clone flags=0x11\n20 tid=100 rss_stat mm_id=11 curr=0 member=1 pages=0\n"          \
	"21 tid=100 newtask child=200 flags=0x11\n"                                                   \
	"22 tid=200 execve\n23 tid=200 prepare_exec\n24 tid=200 exec old_tid=200\n29 tid=200 exit_task group_dead=1\n"

#define SIDE_BAND "frame stream=3\n5 tid=7 mmap2 addr=0x1000 len=0x1000 pgoff=0 dev=0 ino=0 flags=0\n"

static void nothing_lost_nothing_marked(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n" LIFE_OF_200
		"40 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"41 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"42 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n" SIDE_BAND, "");
}

/* The recorder leaves out page frees at 25, flushes at 26: who lives then or becomes known later; not who was gone. */
static void left_out_by_the_recorder(void **context)
{
	struct result *r;

	(void)context;
	r = track(ATTACHED "25 tid=0 left_out kind=4 source=0 cpu=51\n26 tid=0 left_out kind=74 source=0 cpu=51\n"
		"frame stream=0\n" LIFE_OF_200
		"30 tid=100 tlb_flush reason=2 pages=1\n" SIDE_BAND);
	assert_string_equal(marks_of(r), "0: left_out@25\n2: left_out@25\n");
	r = track(ATTACHED "35 tid=0 left_out kind=74 source=0 cpu=51\n"
		"frame stream=0\n" LIFE_OF_200
		"30 tid=100 tlb_flush reason=2 pages=1\n" "36 tid=100 tlb_flush reason=2 pages=1\n" SIDE_BAND);
	assert_string_equal(marks_of(r), "0: left_out@35\n");
	assert_int_equal(r->fidelity.tlb_flushes_recorded.other, 0);
}

/* CPU 1 loses events between 15 and 35: whatever lived then, although CPU 0 tells of it without a gap. */
static void born_and_dead_inside_a_loss(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n" LIFE_OF_200
		"frame stream=1\n15 tid=101 brk addr=0x0\n"
		"frame stream=1 lost=5\n35 tid=101 brk addr=0x0\n"
		SIDE_BAND,
		"0: loss@15\n1: loss@20 forked@20\n2: loss@22\n");
}

static void born_after_a_loss(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=1\n5 tid=101 brk addr=0x0\n"
		"frame stream=1 lost=5\n10 tid=101 brk addr=0x0\n"
		"frame stream=0\n" LIFE_OF_200
		SIDE_BAND, "0: loss@5\n1: forked@20\n");
}

/* Lost after the last record of the stream: until the recording ends. */
static void born_after_a_loss_at_the_end(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=1\n5 tid=101 brk addr=0x0\nframe stream=1 lost=5\n"
		"frame stream=0\n" LIFE_OF_200
		SIDE_BAND,
		"0: loss@5\n1: loss@20 forked@20\n2: loss@22\n");
}

/* Reclaim and the page cache are told by the system's stream: nobody knows whom a loss there concerns. */
static void lost_by_the_system(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=2\n5 tid=7 swap_write pfn=0x1 flags=0\n"
		"frame stream=2 lost=5\n10 tid=7 swap_write pfn=0x1 flags=0\n",
		"0: loss@5\ndoubt shared_loss\n");
}

/* The side band told of 300 and NEWTASK did not; of 200 both did, and 102 is a thread. */
static void a_process_is_hidden(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n" LIFE_OF_200
		"frame stream=0 lost=9\n50 tid=100 brk addr=0x0\n"
		SIDE_BAND "21 tid=200 task_fork pid=200 parent_pid=100 parent_tid=100\n"
		"31 tid=300 task_fork pid=300 parent_pid=100 parent_tid=100\n"
		"32 tid=102 task_fork pid=100 parent_pid=100 parent_tid=100\n"
		"60 tid=300 task_exit pid=300\n", "0: loss@29\n2: loss@29\nhidden 300\n");
}

/* Of one whose parent nobody knows the side band alone cannot say that it is ours: 201's is, 301's is not. */
static void a_birth_of_nobody(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n" LIFE_OF_200
		"frame stream=0 lost=9\n50 tid=100 brk addr=0x0\n"
		SIDE_BAND "31 tid=201 task_fork pid=201 parent_pid=200 parent_tid=200\n"
		"31 tid=301 task_fork pid=301 parent_pid=300 parent_tid=300\n",
		"0: loss@29\n2: loss@29\nhidden 201\n");
}

/* What a hidden process bears is hidden, but for its threads and those that borrow its memory. */
static void a_child_of_a_hidden_process(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n" LIFE_OF_200
		"frame stream=0 lost=9\n50 tid=100 brk addr=0x0\n"
		"61 tid=300 newtask child=301 flags=0x1200000\n62 tid=300 newtask child=302 flags=0x10f00\n"
		"63 tid=300 newtask child=303 flags=0x4100\n64 tid=100 newtask child=304 flags=0x1200000\n"
		SIDE_BAND "31 tid=300 task_fork pid=300 parent_pid=100 parent_tid=100\n"
		"60 tid=301 task_fork pid=301 parent_pid=300 parent_tid=300\n",
		"0: loss@29\n2: loss@29\n3: forked@64 fork_point@64\nhidden 301\nhidden 300\n");
}

/*
 * Attached: 400 is older than the recording, and ended before it was looked at; so did 500, which it bore. 600, born of
 * it too, was looked at.
 */
#define UNSEEN                                                                                          \
	"frame stream=0\n1 tid=400 fault addr=0x400000001000 flags=0x3\n"                               \
	"1 tid=400 newtask child=500 flags=0x1200000\n1 tid=400 newtask child=600 flags=0x1200000\n"    \
	"2 tid=400 exit_task group_dead=1\n3 tid=500 exit_task group_dead=1\n"                          \
	"frame stream=4\n10 tid=600 snap_begin pid=600 why=0 threads=1\n"                               \
	"10 tid=600 snap_rss file=0 anon=0 swap=0 shmem=0\n11 tid=600 snap_end pid=600 complete=1 stopped=1\n"

static void ended_before_it_was_seen(void **context)
{
	(void)context;
	assert_string_equal(marks_of(track_with("\"mode\":\"pid\"", ATTACHED UNSEEN SIDE_BAND)),
			    "hidden 400\nhidden 500\n");
	expect_marks(ATTACHED UNSEEN SIDE_BAND, "doubt unknown_task\n");
}

/* Both rings of CPU 0 have lost something at the same time. */
static void how_many_are_hidden_is_unknown(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n" LIFE_OF_200
		"frame stream=0 lost=9\n50 tid=100 brk addr=0x0\n"
		SIDE_BAND "40 tid=100 comm name0=\"a\" name1=\"\" exec=0\n"
		"frame stream=3 lost=2\n60 tid=100 comm name0=\"a\" name1=\"\" exec=0\n",
		"0: loss@29\n2: loss@29\ndoubt hidden_unknown\n");
}

/* Without a side band clone() tells whom it has made. */
static void clone_returns_a_hidden_process(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n20 tid=100 clone flags=0x11\n"
		"frame stream=0 lost=9\n30 tid=100 sys_ret call=26 ret=300\n", "0: loss@20\nhidden 300\ndoubt hidden_unknown\n");
}

/* vfork(): 300 runs a program, and of its exec the name alone was not lost. */
static void an_exec_that_only_its_name_tells(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n20 tid=100 newtask child=300 flags=0x4100\n"
		"frame stream=0 lost=9\n50 tid=300 brk addr=0x0\n60 tid=300 exit_task group_dead=1\n"
		SIDE_BAND "20 tid=300 task_fork pid=300 parent_pid=100 parent_tid=100\n"
		"30 tid=300 comm name0=\"a\" name1=\"\" exec=1\n",
		"0: loss@20\n1: loss@30 exec_unseen@30\n");
}

/*
 * 300 is born by vfork() and ends. If it ran a program, its name was lost if all else was. 301 did when nothing was
 * lost; 302 is a thread.
 */
#define VFORKS                                                                                           \
	"frame stream=0\n20 tid=100 newtask child=302 flags=0x10f00\n"                                  \
	"21 tid=100 newtask child=301 flags=0x4100\n22 tid=301 execve\n23 tid=301 prepare_exec\n"       \
	"24 tid=301 exec old_tid=301\n29 tid=100 newtask child=300 flags=0x4100\n"                       \
	"frame stream=0 lost=9\n50 tid=100 brk addr=0x0\n60 tid=300 exit_task group_dead=1\n"           \
	"61 tid=301 exit_task group_dead=1\n62 tid=302 exit_task group_dead=0\n"

static void an_exec_that_nothing_tells(void **context)
{
	(void)context;
	expect_marks(ATTACHED VFORKS SIDE_BAND, "0: loss@29\n1: loss@29\n");
	expect_marks(ATTACHED VFORKS SIDE_BAND "frame stream=3 lost=2\n19 tid=100 comm name0=\"a\" name1=\"\" exec=0\n",
		"0: loss@5\n1: loss@29\n");
	expect_marks(ATTACHED VFORKS SIDE_BAND "40 tid=100 comm name0=\"a\" name1=\"\" exec=0\n"
		"frame stream=3 lost=2\n60 tid=100 comm name0=\"a\" name1=\"\" exec=0\n",
		"0: loss@29\n1: loss@29\nhidden 300\ndoubt hidden_unknown\n");
}

/* 300 is hidden, and later its pid is another's, of whose birth both tell, or NEWTASK alone. */
#define HIDDEN_AND_BORN_AGAIN                                                                            \
	"frame stream=0\n20 tid=100 brk addr=0x0\nframe stream=0 lost=9\n50 tid=100 brk addr=0x0\n"      \
	"9000000 tid=100 newtask child=300 flags=0x1200000\n"                                            \
	SIDE_BAND "31 tid=300 task_fork pid=300 parent_pid=100 parent_tid=100\n"

static void a_pid_is_used_again(void **context)
{
	(void)context;
	expect_marks(ATTACHED HIDDEN_AND_BORN_AGAIN, "0: loss@20\n1: forked@9000000 fork_point@9000000\nhidden 300\n");
	expect_marks(ATTACHED HIDDEN_AND_BORN_AGAIN
		"8999999 tid=300 task_fork pid=300 parent_pid=100 parent_tid=100\n",
		"0: loss@20\n1: forked@9000000 fork_point@9000000\nhidden 300\n");
}

/* Where a contradiction was met: the fault says that its entry is there, the model has none. */
static void contradictions_mark(void **context)
{
	struct result *r = track(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x1\n20 tid=100 fault addr=0x400000002000 flags=0x1\n");

	(void)context;
	assert_string_equal(marks_of(r), "0: fault_differs@10\n");
	assert_int_equal(r->trust.marks[0].nr, 2);
	assert_int_equal(r->trust.marks[0].record, 7);
	assert_int_equal(r->fidelity.fault_checks_bad, 2);
	assert_int_equal(r->fidelity.inexact_mms, 1);
}

/* 200 shares the page with its parent, writes to it, and allocates nothing: it cannot have taken the page over. */
static void a_page_of_two_is_not_taken_over(void **context)
{
	(void)context;
	expect_marks(ATTACHED "frame stream=0\n"
		"10 tid=100 fault addr=0x400000001000 flags=0x2\n"
		"11 tid=100 page_alloc pfn=0x1000 order=0 gfp=0x3\n"
		"12 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"20 tid=100 clone flags=0x11\n20 tid=100 rss_stat mm_id=11 curr=0 member=1 pages=1\n"
		"21 tid=100 newtask child=200 flags=0x11\n"
		"30 tid=200 fault addr=0x400000001000 flags=0x3\n40 tid=200 brk addr=0x0\n" SIDE_BAND,
		"1: copy_untold@40\n");
}

/* create_io_thread(): born outside of a clone(); only the side band tells that it ends, and then its process can. */
static void a_thread_of_the_kernel(void **context)
{
	struct result *r = track("frame stream=4\n1 tid=100 process pid=100\n"
		"2 tid=100 snap_begin pid=100 why=0 threads=1\n"
		"2 tid=100 snap_vma addr=0x400000000000 len=0x1000000 pgoff=0x400000000 dev=0 ino=0 flags=0x3\n"
		"2 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0\n"
		"3 tid=100 snap_end pid=100 complete=1 stopped=1\n"
		"frame stream=0\n"
		"10 tid=100 clone flags=0x810f00\n11 tid=100 newtask child=101 flags=0x810f00\n"
		"12 tid=100 sys_ret call=26 ret=101\n13 tid=101 exit_task group_dead=0\n"
		"20 tid=100 newtask child=102 flags=0x80810f00\n"
		"30 tid=100 exit_task group_dead=1\n"
		"frame stream=3\n14 tid=101 task_exit pid=100\n25 tid=102 task_exit pid=100\n");

	(void)context;
	assert_string_equal(marks_of(r), "0: unseen_thread@20\n");
	expect(r, "mm_exit 0\n");
}

/* ---- read anew after a loss ------------------------------------------------------------------- */

#define LOSS_OF_CPU_1                                                                                         \
	"frame stream=1\n15 tid=101 brk addr=0x0\nframe stream=1 lost=5\n35 tid=101 brk addr=0x0\n"
/* Of process pid, at BASE: 16 MiB, in which one page (0x700) is mapped. */
#define AGAIN(begin, end, pid)                                                                                \
	begin " tid=" pid " snap_begin pid=" pid " why=4 threads=1\n"                                         \
	begin " tid=" pid " snap_vma addr=0x400000000000 len=0x1000000 pgoff=0x400000000 dev=0 ino=0 flags=0x3\n" \
	begin " tid=" pid " snap_pte addr=0x400000000000 nr=1 pfn=0x700 order=0 flags=0x804\n"                 \
	begin " tid=" pid " snap_rss file=0 anon=1 swap=0 shmem=0\n"                                          \
	end " tid=" pid " snap_end pid=" pid " complete=1 stopped=1\n"
/* It writes to the page after that one, and ends. */
#define GOES_ON                                                                                               \
	"frame stream=0\n"                                                                                    \
	"50 tid=100 fault addr=0x400000001000 flags=0x2\n50 tid=100 page_alloc pfn=0x701 order=0 gfp=0x3\n"   \
	"50 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=2\n50 tid=101 fault addr=0x400000000000 flags=0x3\n" \
	"60 tid=101 exit_task group_dead=0\n60 tid=100 exit_task group_dead=1\n"

static void what_was_lost_is_read_anew(void **context)
{
	struct result *r = track(ATTACHED AGAIN("40", "41", "100") LOSS_OF_CPU_1 GOES_ON SIDE_BAND);

	(void)context;
	assert_string_equal(marks_of(r), "0: loss@15 until 40\n");
	/* Nothing of what it was is unmapped. */
	expect(r, "fault_anon 1 @1 nr=1 pfn=701\nfault_reuse 1 @0 nr=1\nmm_exit 1\n");
	assert_int_equal(r->fidelity.rss_checks_bad, 0);
	assert_int_equal(r->fidelity.fault_checks_bad, 0);
}

static void it_may_be_lost_once_more(void **context)
{
	(void)context;
	/* While something is missing still, the new one is no better. */
	expect_marks(ATTACHED AGAIN("30", "31", "100") LOSS_OF_CPU_1 GOES_ON SIDE_BAND,
		     "0: loss@15 until 30\n1: loss@30\n");
	expect_marks(ATTACHED AGAIN("40", "41", "100") AGAIN("48", "49", "100") LOSS_OF_CPU_1
		     "frame stream=1 lost=2\n45 tid=101 brk addr=0x0\n" GOES_ON SIDE_BAND,
		     "0: loss@15 until 40\n1: loss@40 until 48\n");
}

/* The end of 200 is among what was lost; the side band tells of it, and 100 has its page alone from then on. */
static void an_exit_was_lost(void **context)
{
	struct result *r = track(ATTACHED AGAIN("40", "41", "100") LOSS_OF_CPU_1 "frame stream=0\n"
		"5 tid=100 fault addr=0x400000000000 flags=0x2\n5 tid=100 page_alloc pfn=0x700 order=0 gfp=0x3\n"
		"5 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"8 tid=100 clone flags=0x11\n8 tid=100 rss_stat mm_id=11 curr=0 member=1 pages=1\n"
		"9 tid=100 newtask child=200 flags=0x11\n10 tid=100 sys_ret call=26 ret=200\n"
		"50 tid=100 fault addr=0x400000000000 flags=0x3\n60 tid=101 exit_task group_dead=0\n"
		"61 tid=100 exit_task group_dead=1\n" SIDE_BAND "20 tid=200 task_exit pid=200\n");

	(void)context;
	assert_string_equal(marks_of(r), "0: loss@15 until 40\n1: loss@15\n");
	expect(r, "fault_anon 0 @0 nr=1 pfn=700\nfork 0 child=1\nmm_exit 1\nfault_reuse 2 @0 nr=1\nmm_exit 2\n");
}

/* Who began after the loss is known: the snapshot shows whether it is right. */
static void whom_no_loss_met_is_compared(void **context)
{
	struct result *r = track(ATTACHED LOSS_OF_CPU_1
		"frame stream=0\n36 tid=100 clone flags=0x11\n36 tid=100 newtask child=200 flags=0x11\n"
		"37 tid=200 execve\n38 tid=200 prepare_exec\n39 tid=200 exec old_tid=200\n"
		"39 tid=200 mmap2 addr=0x400000000000 len=0x1000000 pgoff=0x400000000 dev=0 ino=0 flags=0x3\n"
		"70 tid=200 brk addr=0x0\n" SIDE_BAND "frame stream=4\n" AGAIN("40", "41", "200"));

	(void)context;
	assert_int_equal(r->fidelity.processes_compared, 1);
	assert_int_equal(r->fidelity.ptes, 1);
	assert_int_equal(r->fidelity.present, 0);
	assert_string_equal(marks_of(r), "0: loss@15\n1: forked@36 fork_point@36\n"
					 "2: snapshot_differs@41 exec_unseen@70\n");
}

/* 300, whose birth was lost, is hidden until it is seen. */
static void who_was_hidden_is_seen(void **context)
{
	struct result *r = track(ATTACHED AGAIN("40", "41", "300") LOSS_OF_CPU_1
		SIDE_BAND "20 tid=300 task_fork pid=300 parent_pid=100 parent_tid=100\n"
		"frame stream=0\n50 tid=300 fault addr=0x400000000000 flags=0x3\n60 tid=300 exit_task group_dead=1\n");

	(void)context;
	assert_string_equal(marks_of(r), "0: loss@15\nhidden 300\n");
	expect(r, "fault_reuse 1 @0 nr=1\nmm_exit 1\n");
}

/* 300 has borrowed the memory of 100, as far as is known; it has executed meanwhile, and 100 keeps its own. */
static void an_exec_was_lost_of_who_borrowed(void **context)
{
	struct result *r = track(ATTACHED AGAIN("40", "41", "300") LOSS_OF_CPU_1
		"frame stream=0\n10 tid=100 clone flags=0x4111\n11 tid=100 newtask child=300 flags=0x4111\n"
		"50 tid=100 fault addr=0x400000000000 flags=0x2\n50 tid=100 page_alloc pfn=0x800 order=0 gfp=0x3\n"
		"50 tid=100 rss_stat mm_id=9 curr=1 member=1 pages=1\n"
		"60 tid=300 exit_task group_dead=1\n" SIDE_BAND);

	(void)context;
	assert_string_equal(marks_of(r), "0: loss@15\n");
	expect(r, "fault_anon 0 @0 nr=1 pfn=800\nmm_exit 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_lost_nothing_marked),
		cmocka_unit_test(left_out_by_the_recorder),
		cmocka_unit_test(born_and_dead_inside_a_loss),
		cmocka_unit_test(born_after_a_loss),
		cmocka_unit_test(born_after_a_loss_at_the_end),
		cmocka_unit_test(lost_by_the_system),
		cmocka_unit_test(a_process_is_hidden),
		cmocka_unit_test(a_birth_of_nobody),
		cmocka_unit_test(a_child_of_a_hidden_process),
		cmocka_unit_test(ended_before_it_was_seen),
		cmocka_unit_test(how_many_are_hidden_is_unknown),
		cmocka_unit_test(clone_returns_a_hidden_process),
		cmocka_unit_test(an_exec_that_only_its_name_tells),
		cmocka_unit_test(an_exec_that_nothing_tells),
		cmocka_unit_test(a_pid_is_used_again),
		cmocka_unit_test(contradictions_mark),
		cmocka_unit_test(a_page_of_two_is_not_taken_over),
		cmocka_unit_test(a_thread_of_the_kernel),
		cmocka_unit_test(what_was_lost_is_read_anew),
		cmocka_unit_test(it_may_be_lost_once_more),
		cmocka_unit_test(an_exit_was_lost),
		cmocka_unit_test(whom_no_loss_met_is_compared),
		cmocka_unit_test(who_was_hidden_is_seen),
		cmocka_unit_test(an_exec_was_lost_of_who_borrowed),
	};

	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
