// SPDX-License-Identifier: MIT
/*
 * Forks that fail when the copy is made already (the process number they ask for is taken, which the kernel finds out
 * last), as they do at a limit of processes, and programs that turn out to be none when their arguments are copied:
 * what is left of them is that entries are write-protected. Between them it writes to its pages, and forks in earnest.
 */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 600ul
#define PAGE 4096ul

static char *area;

static void write_every(unsigned long step)
{
	for (unsigned long i = 0; i < PAGES; i += step)
		area[i * PAGE]++;
}

static int fails_to_fork(void)
{
	pid_t taken = getpid();
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (unsigned long)&taken, .set_tid_size = 1 };

	if (syscall(SYS_clone3, &args, sizeof(args)) == -1 && errno == EEXIST)
		return 0;
	perror("clone3");
	return 1;
}

static int forks(void)
{
	int status;
	pid_t child = fork();

	if (!child) {
		write_every(3);
		_exit(0);
	}
	return child < 0 || waitpid(child, &status, 0) != child || status;
}

static int fails_to_exec(const char *no_program)
{
	static char words[3 * PAGE];
	char *arguments[] = { words, words, NULL };

	memset(words, 'a', sizeof(words) - 1);
	execv(no_program, arguments);
	return errno != ENOEXEC;
}

int main(int argc, char **argv)
{
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (argc != 2 || area == MAP_FAILED)
		return 1;
	for (int i = 0; i < 4; i++) {
		write_every(1);
		if (fails_to_fork())
			return 1;
		write_every(2);
		if (fails_to_exec(argv[1]) || (i == 1 && fails_to_fork()) || forks())
			return 1;
		write_every(5);
	}
	return fails_to_fork();
}
