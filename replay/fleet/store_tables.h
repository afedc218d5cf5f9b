/* SPDX-License-Identifier: MIT */
/* The tables and views of a store; docs/fleet.md tells users about them, and a test holds both against each other. */
#ifndef REFOLD_REPLAY_FLEET_STORE_TABLES_H
#define REFOLD_REPLAY_FLEET_STORE_TABLES_H

#define RF_STORE_APPLICATION 0x52666c64	/* "Rfld": what "file" and sqlite3 tell as application_id */
#define RF_STORE_VERSION 1		/* user_version: goes up when a reader of before would be wrong */

static const char store_tables[] =
	"CREATE TABLE traces(\n"
	"  id INTEGER PRIMARY KEY,\n"
	"  digest TEXT NOT NULL UNIQUE,\n"
	"  name TEXT NOT NULL,\n"
	"  kernel TEXT NOT NULL,\n"
	"  arch TEXT NOT NULL,\n"
	"  cpus INTEGER NOT NULL,\n"
	"  duration_ns INTEGER NOT NULL,\n"
	"  records INTEGER NOT NULL,\n"
	"  faults INTEGER NOT NULL,\n"
	"  address_spaces INTEGER NOT NULL,\n"
	"  lost_events INTEGER NOT NULL,\n"
	"  complete INTEGER NOT NULL,\n"
	"  trust TEXT NOT NULL,\n"
	"  facts TEXT NOT NULL);\n"
	"CREATE TABLE labels(\n"
	"  trace INTEGER NOT NULL REFERENCES traces, key TEXT NOT NULL, value TEXT NOT NULL,\n"
	"  PRIMARY KEY(trace, key)) WITHOUT ROWID;\n"
	"CREATE TABLE warnings(\n"
	"  trace INTEGER NOT NULL REFERENCES traces, text TEXT NOT NULL,\n"
	"  PRIMARY KEY(trace, text)) WITHOUT ROWID;\n"
	"CREATE TABLE policies(\n"
	"  id INTEGER PRIMARY KEY, name TEXT NOT NULL, definition TEXT NOT NULL, knobs TEXT,\n"
	"  UNIQUE(name, definition));\n"
	"CREATE TABLE cells(\n"
	"  id INTEGER PRIMARY KEY,\n"
	"  trace INTEGER NOT NULL REFERENCES traces, policy INTEGER NOT NULL REFERENCES policies,\n"
	"  version TEXT NOT NULL, operations TEXT,\n"
	"  UNIQUE(trace, policy));\n"
	"CREATE TABLE counts(\n"
	"  cell INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE, counter TEXT NOT NULL, value INTEGER NOT NULL,\n"
	"  PRIMARY KEY(cell, counter)) WITHOUT ROWID;\n"
	"CREATE TABLE failures(\n"
	"  name TEXT NOT NULL, digest TEXT NOT NULL, error TEXT NOT NULL,\n"
	"  PRIMARY KEY(name, digest)) WITHOUT ROWID;\n";

/* The questions that most people begin with. */
static const char store_views[] =
	"CREATE VIEW per_trace AS\n"
	"  SELECT traces.name AS trace, traces.digest, host.value AS host, traces.kernel, traces.trust,\n"
	"    policies.name AS policy, counts.counter, counts.value,\n"
	"    counts.value * 1e9 / nullif(duration_ns, 0) AS per_second,\n"
	"    counts.value * 1.0 / nullif(faults, 0) AS per_fault,\n"
	"    counts.value * 1.0 / nullif(address_spaces, 0) AS per_process\n"
	"  FROM counts JOIN cells ON cells.id = counts.cell JOIN traces ON traces.id = cells.trace\n"
	"    JOIN policies ON policies.id = cells.policy\n"
	"    LEFT JOIN labels AS host ON host.trace = traces.id AND host.key = 'host';\n"
	"CREATE VIEW per_policy AS\n"
	"  SELECT policy, counter, count(*) AS traces, sum(value) AS value, avg(per_second) AS per_second,\n"
	"    avg(per_fault) AS per_fault, avg(per_process) AS per_process\n"
	"  FROM per_trace GROUP BY policy, counter;\n"
	"CREATE VIEW pairs AS\n"
	"  SELECT traces.name AS trace, traces.digest, one.name AS baseline, other.name AS policy, a.counter,\n"
	"    a.value AS before, b.value AS after, b.value - a.value AS difference,\n"
	"    100.0 * (b.value - a.value) / nullif(a.value, 0) AS percent\n"
	"  FROM cells AS x JOIN cells AS y ON y.trace = x.trace AND y.policy <> x.policy\n"
	"    JOIN counts AS a ON a.cell = x.id JOIN counts AS b ON b.cell = y.id AND b.counter = a.counter\n"
	"    JOIN traces ON traces.id = x.trace JOIN policies AS one ON one.id = x.policy\n"
	"    JOIN policies AS other ON other.id = y.policy;\n"
	"CREATE VIEW per_operation AS\n"
	"  SELECT traces.name AS trace, traces.digest, policies.name AS policy, operation.key AS operation,\n"
	"    counter.key AS counter, counter.value AS value\n"
	"  FROM cells JOIN traces ON traces.id = cells.trace JOIN policies ON policies.id = cells.policy,\n"
	"    json_each(cells.operations) AS operation, json_each(operation.value) AS counter;\n";

#endif
