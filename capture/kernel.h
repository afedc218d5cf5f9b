/* SPDX-License-Identifier: MIT */
/* The kernel we run on: what it is, and the settings that decide how it builds page tables. Nothing is changed. */
#ifndef REFOLD_CAPTURE_KERNEL_H
#define REFOLD_CAPTURE_KERNEL_H

#include "traces/capabilities.h"
#include "traces/events/kernel.h"

void rf_kernel_read(struct rf_kernel *kernel);

/* What its type information tells, where it has any; the rest stays as it is. */
void rf_kernel_capabilities(const struct rf_kernel *kernel, struct rf_capabilities *capabilities);
/* Whether a type, a member or the like of this name is in a file of BTF; false too where it cannot be read. */
bool rf_btf_has_name(const char *path, const char *name);

/* The settings of /sys/kernel/mm/transparent_hugepage as a JSON object: file -> chosen word or number. */
json_t *rf_kernel_thp_settings(void);
/* The number of the event raw_syscalls:sys_enter; 0: there is none. */
u64 rf_kernel_call_event(void);
/* fault_around_bytes of debugfs, or 0 where debugfs is not mounted. */
u64 rf_kernel_fault_around_bytes(void);
/* "MAJOR:MINOR" -> bytes that are read ahead at most, of each device that has files mounted and tells. */
json_t *rf_kernel_readahead(void);
/* Kernel pages merged by KSM may run: /sys/kernel/mm/ksm/run. */
bool rf_kernel_ksm_runs(void);

#endif
