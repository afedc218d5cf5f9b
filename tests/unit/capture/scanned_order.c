// SPDX-License-Identifier: MIT
/* The witness of folio orders in the tests of snapshots and of the page cache. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scanned_order.h"

unsigned int scanned_order(u64 pfn)
{
	static u64 flags[4096];
	static int fd = -1;
	size_t i = pfn % 2048 + 1024, nr = 1;

	if (fd < 0)
		fd = open("/proc/kpageflags", O_RDONLY);
	memset(flags, 0, sizeof(flags));
	assert_true(pread(fd, flags, sizeof(flags), (off_t)((pfn - i) * 8)) > 0);
	if (!(flags[i] >> 15 & 3))
		return 0;
	while (!(flags[i] >> 15 & 1))
		i--;
	while (i + nr < 4096 && (flags[i + nr] >> 16 & 1))
		nr++;
	return (unsigned int)__builtin_ctzll(nr);
}
