#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Many traces: the rows of reports, refold summary, merge and export, and stores, as one that has hundreds of traces meets
them; with what can be wrong with each. What a summary says is computed here once more, by other means.

usage: fleet.py REFOLD STORE(0|1) [unittest arguments]
"""
import contextlib
import csv
import hashlib
import io
import json
import pathlib
import random
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import unittest

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
STORES = sys.argv.pop(1) == "1"
TREE = pathlib.Path(__file__).parent.parent.parent
TEXT = (TREE / "tests" / "golden" / "mm_fork" / "trace.txt").read_text()
POLICIES = "linux-6.8,linux-7.3"


def refold(*arguments, **options):
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run([REFOLD, *map(str, arguments)], **options)


def labelled(text, **labels):
    """The trace with these labels in its header, which makes another trace of it."""
    def with_labels(found):
        return "header " + json.dumps(json.loads(found[1]) | {"labels": labels})
    return re.sub(r"^header (.*)$", with_labels, text, count=1, flags=re.MULTILINE)


def row(number, policies, rng, **facts):
    """A row as a report may have it, of no trace."""
    return {"digest": hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest(), "name": f"t{number}.mmt.zst",
            "kernel": "6.12.1", "arch": "x86_64", "cpus": 2, "duration_ns": 1000000000 + number, "records": 10,
            "records_by_kind": {"fault": 100 + number}, "address_spaces": 3, "lost_events": 0, "complete": True,
            "trust": "exact", "warnings": [], "policies": [cell(name, rng) for name in policies]} | facts


def cell(name, rng, version="0.1.0"):
    return {"name": name, "definition": "d" * 32, "version": version,
            "totals": {"tlbi": rng.randrange(1, 10000), "pte_loads": rng.randrange(100000), "dsb_ish": 4, "dsb_nsh": 2,
                       "ipis": 1, "unfold": 0, "flush_calls": 5, "fold": 0, "faults": 9}}


def document(rows, failures=()):
    return {"schema": "refold-fleet/1", "traces": rows, "failures": list(failures)}


class SplitMix:
    """The generator of replay/fleet/statistics.c, as its inventors describe it."""
    def __init__(self, seed):
        self.state = seed

    def below(self, number):
        mask = 2 ** 64 - 1
        self.state = (self.state + 0x9e3779b97f4a7c15) & mask
        value = self.state
        value = ((value ^ value >> 30) * 0xbf58476d1ce4e5b9) & mask
        value = ((value ^ value >> 27) * 0x94d049bb133111eb) & mask
        return ((value ^ value >> 31) >> 32) * number >> 32


def quantile(values, part):
    values = sorted(values)
    place = part * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


class Scratch(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="refold-fleet-"))

    def tearDown(self):
        shutil.rmtree(self.directory)

    def write(self, name, value):
        path = self.directory / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def trace(self, name, **labels):
        path = self.directory / name
        done = refold("assemble", "-", "-o", path, input=labelled(TEXT, **labels), stdin=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def run_ok(self, *arguments, code=0):
        done = refold(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def summary(self, *arguments, code=0):
        return json.loads(self.run_ok("summary", "-j", *arguments, code=code).stdout)

    def merged(self, *sources, name="merged.json"):
        self.run_ok("merge", *sources, "-o", self.directory / name)
        return (self.directory / name).read_bytes()


class Fleet(Scratch):
    # ---- rows of reports ----

    def test_rows_add_up_to_the_report(self):
        traces = [self.trace(f"{host}.mmt.zst", host=host) for host in ("a", "b", "c")]
        report = json.loads(self.run_ok("replay", "-j", *traces, "-p", POLICIES).stdout)
        self.assertEqual([trace["labels"] for trace in report["traces"]], [{"host": host} for host in "abc"])
        for index, policy in enumerate(report["policies"]):
            for counter, total in policy["totals"].items():
                parts = [trace["policies"][index]["totals"][counter] for trace in report["traces"]]
                if counter != "peak_live_blocks":     # of times, each is rounded down
                    self.assertAlmostEqual(sum(parts), total, delta=len(traces) if counter.endswith("_ms") else 0)
        for path, trace in zip(traces, report["traces"]):
            self.assertEqual(trace["digest"], hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest())

    def test_same_name_other_policy(self):
        trace = self.trace("t.mmt.zst")
        for name, policy in (("one", "mine=linux-6.8"), ("two", "mine=linux-7.3")):
            self.run_ok("replay", "-q", trace, "-p", policy, "-o", self.directory / f"{name}.json")
        policies = self.summary(self.directory / "one.json", self.directory / "two.json")["all"]["policies"]
        self.assertEqual([policy["name"] for policy in policies], ["mine", "mine"])
        self.assertEqual(len({policy["definition"] for policy in policies}), 2)

    # ---- what a summary says ----

    def test_numbers(self):
        rng = random.Random(1)
        rows = [row(number, ["a", "b"], rng) for number in range(12)]
        summary = self.summary(self.write("f.json", document(rows)))
        rows.sort(key=lambda one: one["digest"])
        rates = [[one["policies"][p]["totals"]["tlbi"] / (one["duration_ns"] / 1e9) for one in rows] for p in (0, 1)]
        draws = SplitMix(1)
        resamples = [[draws.below(12) for _ in rows] for _ in range(1000)]
        means = [[sum(values[i] for i in drawn) / 12 for drawn in resamples] for values in rates]
        for policy, values, of_policy in zip(summary["all"]["policies"], rates, means):
            told = policy["per_second"]["tlbi"]
            for name, expected in (("mean", statistics.mean(values)), ("median", statistics.median(values)),
                                   ("p95", quantile(values, .95)), ("sd", statistics.stdev(values)),
                                   ("mean_low", quantile(of_policy, .025)), ("mean_high", quantile(of_policy, .975))):
                self.assertAlmostEqual(told[name] / expected, 1, 8, name)
        change = summary["all"]["policies"][1]["against"]["per_second"]["tlbi"]
        ratios = [100 * (b / a - 1) for a, b in zip(*means)]
        self.assertAlmostEqual(change["percent_low"], quantile(ratios, .025), 5)
        self.assertAlmostEqual(change["percent_high"], quantile(ratios, .975), 5)
        self.assertEqual(change["fewer"], sum(b < a for a, b in zip(*rates)))
        waits = summary["all"]["policies"][0]["per_process"]["waits"]["mean"]
        self.assertAlmostEqual(waits, (4 + 2 // 2 + 1) / 3)

    def test_only_traces_with_both_compare(self):
        rng = random.Random(2)
        rows = [row(1, ["a", "b"], rng), row(2, ["a"], rng), row(3, ["b"], rng), row(4, ["a", "b"], rng)]
        policies = self.summary(self.write("f.json", document(rows)))["all"]["policies"]
        self.assertEqual([policy["per_second"]["tlbi"]["traces"] for policy in policies], [3, 3])
        self.assertEqual(policies[1]["against"]["traces"], 2)

    def test_groups_worst_outliers(self):
        rng = random.Random(3)
        rows = [row(number, ["a", "b"], rng, labels={"host": "x" if number % 2 else "y"}) for number in range(1, 20)]
        for one in rows:
            for policy in one["policies"]:
                policy["totals"]["tlbi"] = 100
        rows[7]["policies"][1]["totals"]["tlbi"] = 100000
        rows[8].pop("labels")
        for number, one in enumerate(rows):
            one["policies"][0]["totals"]["tlbi"] += number
        path = self.write("f.json", document(rows))
        summary = self.summary(path, "--by", "host")
        self.assertEqual([(group["value"], group["traces"]) for group in summary["groups"]],
                         [("x", 9), ("y", 9), (None, 1)])
        self.assertEqual(summary["all"]["worst"][0]["name"], rows[7]["name"])
        self.assertEqual(len(summary["all"]["worst"]), 10)
        self.assertIn((rows[7]["name"], "b", "tlbi"),
                      [(one["name"], one["policy"], one["counter"]) for one in summary["all"]["outliers"]])
        done = refold("summary", path, "--by", "rack")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no trace has the label 'rack'; there are: host, kernel", done.stderr)
        for wrong in (["--baseline", "none"], ["--counter", "none"], ["--per", "year"], ["--seed", "x"]):
            self.assertEqual(refold("summary", path, *wrong).returncode, 2, wrong)

    def test_warnings_once(self):
        rows = [row(number, ["a"], random.Random(4), warnings=[f"{number} of 12 address spaces are marked"])
                for number in range(5)]
        rows[0]["warnings"].append("another")
        warnings = self.summary(self.write("f.json", document(rows)))["warnings"]
        self.assertEqual([(one["text"], one["traces"]) for one in warnings],
                         [("N of N address spaces are marked", 5), ("another", 1)])

    def test_mixed_kernels(self):
        rows = [row(1, ["a"], random.Random(5)), row(2, ["a"], random.Random(6), kernel="6.18.0")]
        path = self.write("f.json", document(rows))
        self.assertEqual(self.summary(path)["kernels"], {"6.12.1": 1, "6.18.0": 1})
        told = self.run_ok("summary", path).stdout
        for part in ("6.12.1 (1)", "6.18.0 (1)", "which --by kernel tells apart"):
            self.assertIn(part, told)

    def test_seed(self):
        path = self.write("f.json", document([row(number, ["a"], random.Random(number)) for number in range(9)]))
        texts = [self.run_ok("summary", "-j", path, "--seed", seed).stdout for seed in (1, 1, 2)]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    # ---- merging ----

    def test_merge_is_a_join(self):
        """Whatever the grouping, the order and the repetitions: the same bytes. Rows contradict each other on purpose."""
        rng = random.Random(7)
        for attempt in range(6):
            shards = []
            for number in range(rng.randrange(3, 6)):
                rows = [row(rng.randrange(8), rng.sample("abc", rng.randrange(1, 4)), rng,
                            trust=rng.choice(["exact", "marked", "doubtful"]), kernel=rng.choice(["6.1", "6.2"]),
                            name=rng.choice(["x", "y", "z"]), warnings=rng.sample(["w 1", "w 2", "v"], 2))
                        for _ in range(rng.randrange(5))]
                for one in rows:
                    for policy in one["policies"]:
                        policy["version"] = rng.choice(["0.1.0", "0.2.0"])
                failures = [{"name": "bad", "digest": "", "error": rng.choice("pq")}]
                shards.append(self.write(f"shard{number}.json", document(rows, failures)))
            expected = self.merged(*shards, name="expected.json")
            for _ in range(4):
                some = rng.sample(shards, len(shards)) + rng.choices(shards, k=2)
                cut = rng.randrange(1, len(some))
                self.merged(*some[:cut], name="left.json")
                self.merged(*some[cut:], name="right.json")
                halves = [self.directory / "left.json", self.directory / "right.json"]
                rng.shuffle(halves)
                self.assertEqual(self.merged(*halves), expected, attempt)
            self.assertEqual(self.merged(self.directory / "expected.json"), expected)

    def test_same_trace_twice(self):
        trace = self.trace("first.mmt.zst")
        again = self.directory / "again.mmt.zst"
        shutil.copy(trace, again)
        for path in (trace, again):
            self.run_ok("replay", "-q", path, "-p", POLICIES, "-o", self.directory / f"{path.stem}.json")
        summary = self.summary(*self.directory.glob("*.json"))
        self.assertEqual(summary["traces"], 1)
        self.assertEqual(summary["notes"], ["again.mmt.zst and first.mmt.zst are the same recording: it counts once"])

    # ---- bad input ----

    def test_what_cannot_be_read_is_told_and_the_rest_goes_on(self):
        good = row(1, ["a"], random.Random(8))
        bad = {"newer.json": {"schema": "refold-report/9", "traces": []}, "other.json": {"schema": "x"},
               "text.json": "{", "old.json": {"schema": "refold-report/1", "traces": [{"name": "t"}]}, "empty.json": "",
               "cut.json": json.dumps(document([good]), indent=2)[:-3]}
        for name, content in bad.items():
            self.write(name, content)
        self.write("good.json", document([good]))
        done = self.run_ok("summary", "-j", self.directory, code=3)
        self.assertEqual(json.loads(done.stdout)["traces"], 1)
        for name, said in (("newer.json", "is of schema refold-report/9"), ("other.json", "is of schema x"),
                           ("text.json", "not JSON"), ("old.json", "an older refold wrote it"),
                           ("empty.json", "is empty"), ("cut.json", "not JSON")):
            self.assertTrue([line for line in done.stderr.splitlines() if name in line and said in line], done.stderr)
        self.assertEqual(done.stderr.count("\n"), len(bad))
        (self.directory / "good.json").unlink()
        self.assertEqual(refold("summary", self.directory).returncode, 1)
        self.assertEqual(refold("summary", self.directory / "absent").returncode, 1)
        self.assertEqual(refold("summary").returncode, 2)

    # ---- export ----

    def test_export(self):
        rng = random.Random(9)
        rows = [row(1, ["a", "b"], rng, labels={"host": 'x,"1"'}), row(2, ["a"], rng)]
        path = self.write("f.json", document(rows))
        text = self.run_ok("export", path, "--csv").stdout
        names = text.splitlines()[0].split(",")
        self.assertEqual(len(names), len(set(names)), names)
        lines = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual(len(lines), 3)
        told = {(line["digest"], line["policy"]): line for line in lines}
        for one in rows:
            for policy in one["policies"]:
                line = told[one["digest"], policy["name"]]
                self.assertEqual(line["faults_recorded"], str(one["records_by_kind"]["fault"]))
                self.assertEqual(line["label.host"], one.get("labels", {}).get("host", ""))
                for counter, value in policy["totals"].items():
                    self.assertEqual(line[counter], str(value))
        objects = [json.loads(line) for line in self.run_ok("export", path, "--json-lines").stdout.splitlines()]
        self.assertEqual([(one["digest"], one["policy"], str(one["tlbi"])) for one in objects],
                         [(line["digest"], line["policy"], line["tlbi"]) for line in lines])
        done = refold("export", path, "--parquet")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("duckdb", done.stderr)
        self.assertEqual(refold("export", path).returncode, 2)


@unittest.skipUnless(STORES, "built without SQLite")
class Store(Scratch):
    def replayed(self, *names):
        store = self.directory / "fleet.db"
        self.run_ok("replay", "-q", *(self.trace(name, host=name) for name in names), "-p", POLICIES, "-o", store)
        return store

    def test_store_says_what_reports_say(self):
        store = self.replayed("a.mmt.zst", "b.mmt.zst")
        reports = []
        for name in ("a", "b"):
            reports.append(self.directory / f"{name}.json")
            self.run_ok("replay", "-q", self.directory / f"{name}.mmt.zst", "-p", POLICIES, "-o", reports[-1])
        self.assertEqual(self.run_ok("summary", "-j", store).stdout, self.run_ok("summary", "-j", *reports).stdout)
        # Reading leaves nothing behind.
        self.assertEqual([path.name for path in self.directory.glob("*.db*")], ["fleet.db"])
        again = self.directory / "again.db"
        self.run_ok("merge", store, *reports, "-o", again)
        self.assertEqual(self.run_ok("summary", "-j", store).stdout, self.run_ok("summary", "-j", again).stdout)
        self.assertEqual(self.merged(store, name="1.json"), self.merged(again, name="2.json"))
        report = json.loads(reports[0].read_text())
        with contextlib.closing(sqlite3.connect(store)) as database:
            for policy in report["policies"]:
                told = database.execute("SELECT counter, value FROM per_trace WHERE trace = 'a.mmt.zst' AND policy = ?",
                                        [policy["name"]]).fetchall()
                self.assertEqual(dict(told), policy["totals"])
                told = database.execute("SELECT operation, counter, value FROM per_operation WHERE trace = 'a.mmt.zst' "
                                        "AND policy = ?", [policy["name"]]).fetchall()
                self.assertEqual({(operation, counter): value for operation, counter, value in told},
                                 {(operation, counter): value for operation, counts in policy["operations"].items()
                                  for counter, value in counts.items() if value})
            self.assertEqual(database.execute("SELECT DISTINCT host FROM per_trace ORDER BY host").fetchall(),
                             [("a.mmt.zst",), ("b.mmt.zst",)])
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))

    def test_tables_are_as_documented(self):
        store = self.replayed("a.mmt.zst")
        text = (TREE / "docs" / "fleet.md").read_text()
        with contextlib.closing(sqlite3.connect(store)) as database:
            for name, in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall():
                columns = [column[1] for column in database.execute(f"PRAGMA table_info({name})")]
                self.assertIn(f"| `{name}` | {', '.join(columns)} |", text)
            self.assertIn(f"`user_version` {database.execute('PRAGMA user_version').fetchone()[0]}", text)

    def test_bad_stores(self):
        store = self.replayed("a.mmt.zst")
        trace = self.directory / "a.mmt.zst"
        bytes_of = store.read_bytes()
        newer, foreign, cut = (self.directory / f"{name}.db" for name in ("newer", "foreign", "cut"))
        shutil.copy(store, newer)
        for path, change in ((newer, "PRAGMA user_version = 9"), (foreign, "CREATE TABLE mine(x)")):
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute(change)
        cut.write_bytes(bytes_of[:8192] + b"\xff" * 4096 + bytes_of[12288:-4096])
        for path, said in ((newer, "is a store of version 9"), (foreign, "no store of refold"), (cut, "is corrupt")):
            before = path.read_bytes()
            done = refold("summary", path, store)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)
            if path != cut:
                done = refold("replay", "-q", trace, "-p", POLICIES, "-o", path)
                self.assertEqual(done.returncode, 1)
                self.assertIn(said, done.stderr)
                self.assertEqual(path.read_bytes(), before)
        self.assertEqual(refold("merge", store, "-o", newer).returncode, 2)

    def test_full_disk(self):
        """What was stored before the disk was full is there; nothing of the trace that had no room is."""
        traces = [self.trace(f"{number}.mmt.zst", host=str(number)) for number in range(40)]
        store = self.directory / "full.db"
        command = [REFOLD, "replay", "-q", *traces, "-p", POLICIES, "-o", store]
        done = subprocess.run(["sh", "-c", 'ulimit -f 400; exec "$@"', "sh", *command], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("full.db", done.stderr)
        stored = self.summary(store)
        self.assertTrue(0 < stored["traces"] < 40, stored["traces"])
        with contextlib.closing(sqlite3.connect(store)) as database:
            whole = database.execute("SELECT count(DISTINCT traces.id), count(DISTINCT cells.id), count(value) FROM traces "
                                     "LEFT JOIN cells ON trace = traces.id LEFT JOIN counts ON cell = cells.id").fetchone()
            counters, = database.execute("SELECT count(DISTINCT counter) FROM counts").fetchone()
        self.assertEqual(whole, (stored["traces"], 2 * stored["traces"], 2 * stored["traces"] * counters))
        self.run_ok("replay", "-q", *traces, "-p", POLICIES, "-o", store)
        self.assertEqual(self.summary(store)["traces"], 40)

    def test_damaged_trace_is_a_failure_or_marked(self):
        trace = self.trace("whole.mmt.zst")
        broken = self.directory / "broken.mmt.zst"
        broken.write_bytes(trace.read_bytes()[:40])
        store = self.directory / "fleet.db"
        self.run_ok("replay", "-q", broken, trace, "-p", POLICIES, "-o", store, code=3)
        summary = self.summary(store)
        self.assertEqual([failure["name"] for failure in summary["failures"]], ["broken.mmt.zst"])
        self.assertEqual(summary["traces"], 1)


unittest.main()
