// SPDX-License-Identifier: MIT
/* Adding up the accounts of address spaces, and of processes. */
#include "replay/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "replay/tracker/ground/process_list.h"

static int by_number(const void *a, const void *b)
{
	const struct rf_account *left = a, *right = b;

	return left->mm < right->mm ? -1 : left->mm > right->mm;
}

void rf_account_add(struct rf_account *sum, const struct rf_account *account)
{
	sum->operations += account->operations;
	sum->anomalies += account->anomalies;
#define X(name, meaning) sum->counters.name += account->counters.name;
	ARCH_COUNTERS(X)
#undef X
}

static u64 key_of(const struct rf_ledger *ledger, const struct rf_account *account)
{
	return ledger->by_owner ? (u64)account->owner << 32 | account->row : account->mm;
}

int rf_ledger_add(struct rf_ledger *ledger, const struct rf_account *accounts, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		u64 key = key_of(ledger, &accounts[i]);
		u32 place = ledger_table_find(&ledger->places, key);

		if (place) {
			rf_account_add(&ledger->accounts[place - 1], &accounts[i]);
			continue;
		}
		if (array_grow(ledger->accounts, ledger->room, ledger->nr + 1ul) ||
		    ledger_table_add(&ledger->places, key, ledger->nr + 1))
			return -ENOMEM;
		ledger->accounts[ledger->nr++] = accounts[i];
	}
	return 0;
}

void rf_ledger_free(struct rf_ledger *ledger)
{
	free(ledger->accounts);
	ledger_table_free(&ledger->places);
	*ledger = (struct rf_ledger){ .by_owner = ledger->by_owner };
}

static void add_up(struct rf_ledger *ledger)
{
	u32 used = 0;

	if (!ledger->nr)
		return;
	qsort(ledger->accounts, ledger->nr, sizeof(*ledger->accounts), by_number);
	for (u32 i = 1; i < ledger->nr; i++) {
		if (ledger->accounts[i].mm == ledger->accounts[used].mm)
			rf_account_add(&ledger->accounts[used], &ledger->accounts[i]);
		else
			ledger->accounts[++used] = ledger->accounts[i];
	}
	ledger->nr = used + 1;
}

void rf_ledger_sort(struct rf_ledger *ledger, const struct rf_processes *processes)
{
	for (u32 i = 0; i < ledger->nr; i++)
		ledger->accounts[i].mm = rf_process_of(processes, ledger->accounts[i].mm);
	ledger_table_free(&ledger->places);
	add_up(ledger);
}

const struct rf_account *rf_ledger_find(const struct rf_ledger *ledger, u32 process)
{
	const struct rf_account wanted = { .mm = process };

	return ledger->nr ? bsearch(&wanted, ledger->accounts, ledger->nr, sizeof(wanted), by_number) : NULL;
}
