// SPDX-License-Identifier: MIT
/* Maps and unmaps executable memory as fast as it can, until it is killed or its parent is: noise for the side band. */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>

int main(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		void *area = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (area == MAP_FAILED) {
			perror("map_storm");
			return 1;
		}
		munmap(area, 4096);
	}
}
