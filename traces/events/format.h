/* SPDX-License-Identifier: MIT */
/*
 * The fields of an event, out of the text of its format file. It is read where it is, nothing is allocated: it may come
 * from anybody, with a file to import.
 */
#ifndef REFOLD_TRACES_EVENTS_FORMAT_H
#define REFOLD_TRACES_EVENTS_FORMAT_H

#include "base/types.h"

/* What is said of a field. Whether any event is that long is not known here; both numbers fit 31 bits. */
struct rf_format_field {
	u32 offset, size;	/* bytes; of an array all of it; 0: up to the end of the event */
	bool is_signed;
	bool dynamic;		/* __data_loc: elsewhere in the event; here: the offset (16 bits), the size (16 bits) */
	bool relative;		/* __rel_loc: the same, but the offset is from the end of this field */
};

struct rf_format {
	u32 id;
	const char *common, *fields;	/* lines of the text: of what every event has, of what this one has */
};

/* False: it is no format, or not a whole one. The text has to stay. */
bool rf_format_read(struct rf_format *format, const char *text);

/* In the lines of a format that was read: the first field of this name, or which comes so many fields after it. */
bool rf_format_find(const char *lines, const char *name, size_t after, struct rf_format_field *field);

#endif
