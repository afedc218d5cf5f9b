/* SPDX-License-Identifier: MIT */
/* Small files such as those of /proc and /sys. */
#ifndef REFOLD_BASE_FILE_H
#define REFOLD_BASE_FILE_H

#include "base/types.h"

/* The first line without its newline; false where it cannot be read. */
bool read_first_line(const char *path, char *buffer, size_t size);

#endif
