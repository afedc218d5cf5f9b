#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
refold replay --interval: what is counted from one moment to the next. The intervals add up to the totals, those of
processes too, and asking for them changes nothing else; as CSV a line has what the report has.

usage: series.py REFOLD SCHEMA SAMPLES [unittest arguments]
"""
import collections
import csv
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "golden"))
import json_schema

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
SCHEMA = json.loads(pathlib.Path(sys.argv.pop(1)).read_text())
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
SAMPLES = sorted(pathlib.Path(sys.argv.pop(1)).glob("*.mmt.zst"))
POLICIES = "linux-6.8,linux-7.3,x86-6.18"


def refold(*arguments):
    return subprocess.run([REFOLD, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)


class Series(unittest.TestCase):
    def report(self, *arguments):
        done = refold("replay", "-j", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_sums(self):
        for sample in SAMPLES:
            for length in ("1ms", "7ms", "1h"):
                report = self.report(sample, "-p", POLICIES, "--interval", length, "--processes")
                intervals, = report["intervals"]
                nr = report["trace"]["duration_ns"] // intervals["interval_ns"] + 1
                for i, policy in enumerate(report["policies"]):
                    series = intervals["policies"][i]["series"]
                    of_processes = collections.Counter()
                    for process in intervals["processes"]:
                        for name, values in process["policies"][i]["series"].items():
                            self.assertLessEqual(process["first"] + len(values), nr)
                            of_processes[name] += sum(values)
                    for name, values in series.items():
                        self.assertEqual(len(values), nr)
                        if name == "live_blocks":
                            self.assertEqual(values[-1], policy["totals"][name])
                            continue
                        self.assertEqual(sum(values), policy["totals"][name], (sample.name, length, name))
                        self.assertEqual(of_processes[name], policy["totals"][name], (sample.name, length, name))

    def test_halves(self):
        """Two intervals are one of twice the length, for processes at their places as well."""
        for sample in SAMPLES:
            short, = self.report(sample, "-p", "linux-7.3", "--interval", "50ms", "--processes")["intervals"]
            long, = self.report(sample, "-p", "linux-7.3", "--interval", "100ms", "--processes")["intervals"]

            def pairs(values, first):
                values = [0] * first + values + [0]
                return [sum(values[k:k + 2]) for k in range(0, len(values) - 1, 2)]

            for name, values in long["policies"][0]["series"].items():
                if name != "live_blocks":
                    self.assertEqual(pairs(short["policies"][0]["series"][name], 0), values, name)
            for a, b in zip(short["processes"], long["processes"], strict=True):
                self.assertEqual((a["pid"], a["command"], a["first"] // 2), (b["pid"], b["command"], b["first"]))
                for name, values in b["policies"][0]["series"].items():
                    self.assertEqual(pairs(a["policies"][0]["series"][name], a["first"])[b["first"]:], values, name)

    def test_changes_nothing_else(self):
        text = (GOLDEN / "mm_fork" / "trace.txt").read_text()
        mark = "1005500 tid=100 marker w0=\"WL BEGIN\" w1=\" fork\"\n"
        text = text.replace("1006000 ", mark + "1006000 ", 1)
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "marked.mmt.zst"
            subprocess.run([REFOLD, "assemble", "-", "-o", path], input=text, text=True, check=True)
            plain = self.report(path, "-p", POLICIES, "--processes")
            with_series = self.report(path, "-p", POLICIES, "--processes", "--interval", "1ms", "--by", "vma,call")
        intervals, = with_series.pop("intervals")
        del with_series["attribution"]
        self.assertEqual(with_series, plain)
        self.assertTrue(plain["windows"][0]["processes"])
        for i, policy in enumerate(plain["policies"]):
            loads = [sum(process["policies"][i]["series"]["pte_loads"]) for process in intervals["processes"]]
            self.assertEqual(sum(loads), policy["totals"]["pte_loads"])

    def test_deterministic_and_valid(self):
        arguments = ["replay", "-j", *SAMPLES, "-p", POLICIES, "--interval", "10ms", "--processes"]
        runs = {refold(*arguments).stdout for _ in range(3)}
        self.assertEqual(len(runs), 1)
        report = json.loads(runs.pop())
        self.assertEqual([part["trace"] for part in report["intervals"]], [sample.name for sample in SAMPLES])
        self.assertEqual(json_schema.check(report, SCHEMA), [])

    def test_csv(self):
        intervals, = self.report(SAMPLES[0], "-p", POLICIES, "--interval", "20ms")["intervals"]
        done = refold("replay", SAMPLES[0], "-p", POLICIES, "--interval", "20ms", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        for policy in intervals["policies"]:
            mine = [row for row in rows if row["policy"] == policy["name"]]
            self.assertEqual([int(row["begin_ns"]) for row in mine], [k * 20000000 for k in range(len(mine))])
            for name, values in policy["series"].items():
                if name != "live_blocks":
                    self.assertEqual([int(row[name]) for row in mine], values)
        done = refold("replay", SAMPLES[0], "-p", POLICIES, "--interval", "20ms", "--format", "csv", "--processes")
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual(sum(int(row["tlbi"]) for row in rows if row["pid"]),
                         sum(int(row["tlbi"]) for row in rows if not row["pid"]))

    def test_table(self):
        """A line for each policy and interval in which anything was counted."""
        lines = refold("replay", SAMPLES[-1], "-p", "linux-7.3", "--interval", "100ms").stdout.splitlines()
        at = next(k for k, line in enumerate(lines) if line.split() ==
                  ["from", "policy", "faults", "fold", "unfold", "tlbi", "dsb"])
        totals = self.report(SAMPLES[-1], "-p", "linux-7.3")["policies"][0]["totals"]
        tlbi = [int(line.split()[-2].replace(",", "")) for line in lines[at + 1:]]
        self.assertEqual(sum(tlbi), totals["tlbi"])

    def test_wrong(self):
        for options, said in ((["--interval", "0"], "--interval needs a time of a millisecond or more, as 100ms"),
                              (["--interval", "0ms"], "not '0ms'"), (["--interval", "1us"], "not '1us'"),
                              (["--interval", "-1s"], "not '-1s'"), (["--interval", "often"], "not 'often'"),
                              (["--interval", "1s", "--by", "vma", "--format", "csv"], "--by or --interval, not both")):
            done = refold("replay", SAMPLES[0], *options)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done.stderr)
            self.assertIn(said, done.stderr)

    def test_too_many(self):
        """A week in milliseconds is more than anybody looks at; the message says what would do."""
        text = ('header {"arch": "x86_64"}\nstream 0 source=task cpu=0\nframe stream=0\n'
                "1000 tid=1 exit group=1\n604800000001000 tid=1 exit group=1\nend command\n")
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "week.mmt.zst"
            subprocess.run([REFOLD, "assemble", "-", "-o", path], input=text, text=True, check=True)
            done = refold("replay", path, "--interval", "1s")
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
            self.assertIn("has 604801 of these, 65536 are the most: take 9229ms or more", done.stderr)
            self.assertIn("nothing was replayed", refold("replay", "-q", path, "--interval", "9229ms").stderr)


unittest.main()
