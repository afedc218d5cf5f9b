// SPDX-License-Identifier: MIT
/* Adding up the accounts of address spaces, and of processes. */
#include "replay/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay/tracker/ground/process_list.h"

static int by_number(const void *a, const void *b)
{
	const struct rf_account *left = a, *right = b;

	return left->mm < right->mm ? -1 : left->mm > right->mm;
}

static int by_owner(const void *a, const void *b)
{
	const struct rf_account *left = a, *right = b;

	if (left->owner != right->owner)
		return left->owner < right->owner ? -1 : 1;
	return left->row < right->row ? -1 : left->row > right->row;
}

void rf_account_add(struct rf_account *sum, const struct rf_account *account)
{
	sum->operations += account->operations;
	sum->anomalies += account->anomalies;
#define X(name, meaning) sum->counters.name += account->counters.name;
	ARCH_COUNTERS(X)
#undef X
}

void rf_ledger_sum(struct rf_ledger *ledger)
{
	int (*compare)(const void *a, const void *b) = ledger->by_owner ? by_owner : by_number;
	u32 used = 0;

	if (!ledger->nr)
		return;
	qsort(ledger->accounts, ledger->nr, sizeof(*ledger->accounts), compare);
	for (u32 i = 1; i < ledger->nr; i++) {
		if (!compare(&ledger->accounts[i], &ledger->accounts[used]))
			rf_account_add(&ledger->accounts[used], &ledger->accounts[i]);
		else
			ledger->accounts[++used] = ledger->accounts[i];
	}
	ledger->nr = used + 1;
}

/* Adding up before growing keeps a ledger of many windows as short as the list of address spaces. */
static int make_room(struct rf_ledger *ledger, u32 nr)
{
	struct rf_account *bigger;
	u32 max;

	if (nr <= ledger->max - ledger->nr)
		return 0;
	rf_ledger_sum(ledger);
	max = ledger->nr ? 2 * (ledger->nr + nr) : nr;
	if (max <= ledger->max)
		return 0;
	bigger = realloc(ledger->accounts, max * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	ledger->accounts = bigger;
	ledger->max = max;
	return 0;
}

/* Of more accounts than these at once many belong to the same address space. */
#define AT_ONCE 4096

int rf_ledger_add(struct rf_ledger *ledger, const struct rf_account *accounts, u32 nr)
{
	for (u32 step; nr; nr -= step, accounts += step) {
		step = ledger->by_owner ? nr : (u32)min_u64(nr, AT_ONCE);
		if (make_room(ledger, step))
			return -ENOMEM;
		memcpy(ledger->accounts + ledger->nr, accounts, step * sizeof(*accounts));
		ledger->nr += step;
	}
	return 0;
}

void rf_ledger_sort(struct rf_ledger *ledger, const struct rf_processes *processes)
{
	for (u32 i = 0; i < ledger->nr; i++)
		ledger->accounts[i].mm = rf_process_of(processes, ledger->accounts[i].mm);
	rf_ledger_sum(ledger);
}

const struct rf_account *rf_ledger_find(const struct rf_ledger *ledger, u32 process)
{
	const struct rf_account wanted = { .mm = process };

	return ledger->nr ? bsearch(&wanted, ledger->accounts, ledger->nr, sizeof(wanted), by_number) : NULL;
}
