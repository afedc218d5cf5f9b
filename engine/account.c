// SPDX-License-Identifier: MIT
/*
 * Counting per owner of operations, which is their address space unless the caller says another, for those who want it.
 * Work is counted in the machine's rows as ever; whose it was is settled when operations of another owner begin, for
 * the rows that were touched since: that costs nothing on the way to a counter, and little at a switch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engine/account.h"

#define NOBODY UINT32_MAX

struct accounts {
	u32 owner;			/* whose operations these are; NOBODY: nothing to settle */
	u32 mm;
	bool by_row;			/* an account for each row of an owner */
	u64 touched;			/* rows, since they began */
	struct arch_counters before[RF_NR_ROWS];	/* of the rows touched */
	u64 operations_before[RF_NR_ROWS];
	u64 anomalies_before;
	struct rf_account *list;	/* those that did anything since they were taken */
	u32 nr;
	size_t room;
	u32 *places;			/* in the list, + 1, by number of the owner; 0: not there */
	size_t nr_places;
	u32 *next;			/* by place: of another account of that owner's, + 1; 0: none */
	size_t nr_next;
};

int rf_machine_account(struct rf_machine *machine, bool by_row)
{
	machine->accounts = calloc(1, sizeof(*machine->accounts));
	if (!machine->accounts)
		return -ENOMEM;
	machine->accounts->owner = NOBODY;
	machine->accounts->by_row = by_row;
	return 0;
}

void accounts_destroy(struct accounts *accounts)
{
	if (!accounts)
		return;
	free(accounts->list);
	free(accounts->places);
	free(accounts->next);
	free(accounts);
}

/* The owner's account of this row, RF_NR_ROWS: of all. */
static struct rf_account *account_of(struct accounts *accounts, u32 row)
{
	u32 place;

	if (array_grow_zeroed(accounts->places, accounts->nr_places, accounts->owner + 1ul))
		return NULL;
	for (place = accounts->places[accounts->owner]; place; place = accounts->next[place - 1])
		if (accounts->list[place - 1].row == row && accounts->list[place - 1].mm == accounts->mm)
			return &accounts->list[place - 1];
	if (array_grow(accounts->list, accounts->room, accounts->nr + 1ul) ||
	    array_grow_zeroed(accounts->next, accounts->nr_next, accounts->nr + 1ul))
		return NULL;
	accounts->list[accounts->nr] = (struct rf_account){ .mm = accounts->mm, .owner = accounts->owner, .row = row };
	accounts->next[accounts->nr] = accounts->places[accounts->owner];
	accounts->places[accounts->owner] = ++accounts->nr;
	return &accounts->list[accounts->nr - 1];
}

static u64 anomalies(const struct rf_machine *machine)
{
	u64 sum = 0;

	for (u32 i = 0; i < RF_NR_ANOMALIES; i++)
		sum += machine->stats.anomalies[i];
	return sum;
}

static void add_row(const struct rf_machine *machine, struct rf_account *account, u32 row)
{
	const struct accounts *accounts = machine->accounts;

	account->operations += machine->stats.operations[row] - accounts->operations_before[row];
#define X(name, meaning) account->counters.name += machine->stats.rows[row].name - accounts->before[row].name;
	ARCH_COUNTERS(X)
#undef X
}

static int settle(struct rf_machine *machine)
{
	struct accounts *accounts = machine->accounts;
	struct rf_account *account = NULL;
	u32 row;

	if (accounts->owner == NOBODY) {
		accounts->touched = 0;
		return 0;
	}
	for (u64 rows = accounts->touched; rows; rows &= rows - 1) {
		row = (u32)__builtin_ctzll(rows);
		if (!account || accounts->by_row)
			account = account_of(accounts, accounts->by_row ? row : RF_NR_ROWS);
		if (!account)
			return -ENOMEM;
		add_row(machine, account, row);
	}
	/* Of its rows the last one has them: who asks for anomalies adds the rows up. */
	account->anomalies += anomalies(machine) - accounts->anomalies_before;
	accounts->touched = 0;
	accounts->owner = NOBODY;
	return 0;
}

void account_row(struct rf_machine *machine, enum rf_row row)
{
	struct accounts *accounts = machine->accounts;

	if (accounts->touched & 1ull << row)
		return;
	accounts->touched |= 1ull << row;
	accounts->before[row] = machine->stats.rows[row];
	accounts->operations_before[row] = machine->stats.operations[row];
}

/* Not inlined: what most operations take is the test in account_op(), without a frame. */
static __attribute__((noinline)) int account_begins(struct rf_machine *machine, u32 mm, enum rf_row row)
{
	struct accounts *accounts = machine->accounts;

	if (accounts->owner != machine->owner || accounts->mm != mm) {
		if (settle(machine))
			return -ENOMEM;
		accounts->anomalies_before = anomalies(machine);
	}
	accounts->owner = machine->owner;
	accounts->mm = mm;
	account_row(machine, row);
	return 0;
}

int account_op(struct rf_machine *machine, u32 mm, enum rf_row row)
{
	const struct accounts *accounts = machine->accounts;

	if (accounts->owner == machine->owner && accounts->mm == mm && accounts->touched & 1ull << row)
		return 0;
	return account_begins(machine, mm, row);
}

int rf_machine_take_accounts(struct rf_machine *machine, const struct rf_account **list, u32 *nr)
{
	struct accounts *accounts = machine->accounts;

	if (settle(machine))
		return -ENOMEM;
	for (u32 i = 0; i < accounts->nr; i++)
		accounts->places[accounts->list[i].owner] = 0;
	*list = accounts->list;
	*nr = accounts->nr;
	accounts->nr = 0;
	return 0;
}

_Static_assert(RF_NR_ROWS <= 64, "a bit for each row");
