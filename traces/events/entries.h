/* SPDX-License-Identifier: MIT */
/* Page-table entries of the recorded machine, as migration events hold them. */
#ifndef REFOLD_TRACES_EVENTS_ENTRIES_H
#define REFOLD_TRACES_EVENTS_ENTRIES_H

#include "traces/events/kernel.h"

/* A migration entry: the page that leaves. */
u64 rf_entry_migration_pfn(const struct rf_kernel *kernel, u64 entry);
/* A present entry: its page frame, and RF_PTE_*. */
u64 rf_entry_pfn(const struct rf_kernel *kernel, u64 entry);
u64 rf_entry_flags(const struct rf_kernel *kernel, u64 entry);

#endif
