// SPDX-License-Identifier: MIT
/* Filling struct rf_error: the one way a library reports a failure. */
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

int rf_error_set(struct rf_error *err, int code, u64 offset, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	err->offset = offset;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return code;
}
