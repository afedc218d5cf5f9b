// SPDX-License-Identifier: MIT
/* How numbers are to be seen: what the user asked for, and what the output is. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "replay/report/view.h"

void rf_view_of(struct rf_view *view, FILE *out)
{
	const char *no_colour = getenv("NO_COLOR");
	int fd = fileno(out);

	view->width = rf_text_width(out);
	view->colour = fd >= 0 && isatty(fd) && !(no_colour && *no_colour);
}

bool rf_view_format(struct rf_view *view, const char *name)
{
	static const char *const names[] = {
#define X(name) #name,
		RF_FORMATS(X)
#undef X
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name))
			continue;
		view->format = i;
		return true;
	}
	return false;
}

bool rf_view_is_raw(const struct rf_view *view)
{
	return view->format == RF_FORMAT_csv || view->format == RF_FORMAT_tsv;
}
