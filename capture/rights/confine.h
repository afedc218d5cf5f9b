/* SPDX-License-Identifier: MIT */
/* The seccomp filter of threads that decode what others wrote, and so would be the first to be misled. */
#ifndef REFOLD_CAPTURE_RIGHTS_CONFINE_H
#define REFOLD_CAPTURE_RIGHTS_CONFINE_H

/* This thread can only read and write what is open, wait, and get memory. 0 or a negative errno. */
int rf_confine_to_draining(void);

#endif
