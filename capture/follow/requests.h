/* SPDX-License-Identifier: MIT */
/* What the keeper of --iovecs asks the tracing thread for. */
#ifndef REFOLD_CAPTURE_FOLLOW_REQUESTS_H
#define REFOLD_CAPTURE_FOLLOW_REQUESTS_H

#include "capture/follow/tracer.h"

/* Its socket is readable: take one request, and answer it now or when who is to be let go has stopped. */
void rf_keeper_request(struct rf_tracer *t);

#endif
