#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The answer on top: the first line of replay and diff, the few rows below it, as every format, and on a terminal of 80
columns. Counts are those of tests/golden/mm_fork.

usage: answers.py REFOLD [unittest arguments]
"""
import csv
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
TREE = pathlib.Path(__file__).parent.parent.parent
SAMPLE = TREE / "traces" / "samples" / "redis.mmt.zst"
RECORDINGS = TREE / "tests" / "arm64" / "recordings"
FEW = "linux-6.8,linux-6.12,linux-7.3"


def refold(*arguments, **options):
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run([REFOLD, *map(str, arguments)], **options)


def on_a_terminal(*arguments, columns=80, **environment):
    """What is printed to a terminal of that width, line by line."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen([REFOLD, *map(str, arguments)], stdin=slave, stdout=slave, stderr=subprocess.DEVNULL,
                               env=kept | environment)
    os.close(slave)
    text = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not part:
            break
        text += part
    os.close(master)
    process.wait()
    return text.decode().replace("\r\n", "\n")


def plain(text):
    return re.sub("\033\\[[0-9;]*m", "", text)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="refold-answers-"))
        cls.trace = cls.directory / "fork.mmt.zst"
        refold("assemble", TREE / "tests" / "golden" / "mm_fork" / "trace.txt", "-o", cls.trace)
        cls.report = cls.directory / "report.json"
        refold("replay", cls.trace, "-q", "-p", FEW, "-o", cls.report)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def test_first_line_compares(self):
        lines = refold("replay", self.trace, "-p", FEW).stdout.splitlines()
        self.assertEqual(lines[0], "linux-7.3 against linux-6.8: loads -25 %; trust: exact")
        self.assertEqual(lines[1], "linux-6.12 against linux-6.8: loads +3.1 %")
        lines = refold("replay", self.trace, "-p", FEW, "--baseline", "linux-6.12").stdout.splitlines()
        self.assertEqual(lines[0], "linux-7.3 against linux-6.12: loads -27 %; trust: exact")
        first = refold("diff", self.report, "--policies", "linux-6.8,linux-6.12").stdout.splitlines()[0]
        self.assertEqual(first, "linux-6.12 against linux-6.8: loads +3.1 %; trust: exact")

    def test_one_column_and_many(self):
        first = refold("replay", self.trace, "-p", "linux-7.3").stdout.splitlines()[0]
        self.assertRegex(first, r"^linux-7.3: TLBI \d+, waits \d+, .*; trust: exact$")
        lines = refold("replay", SAMPLE, "-p", "all+granule=4k").stdout.splitlines()
        self.assertRegex(lines[0], r"^fewest TLBI: \S+ against linux-5.10\+granule=4k: TLBI -")
        self.assertTrue(any(line.startswith("most TLBI: ") for line in lines[:6]), lines[:6])

    def test_same_counts_are_said(self):
        done = refold("diff", self.report, self.report, "--policies", "linux-6.8,linux-6.8")
        self.assertIn(": the same faults, flushes, folds and loads; trust: exact", " ".join(done.stdout.split()))

    def test_nothing_to_fold(self):
        """A trace without large folios cannot say what folding does, and the head says so."""
        off, large = RECORDINGS / "7.2-range" / "off.anon.8.mmt.zst", RECORDINGS / "7.3-range" / "64K.anon.8.mmt.zst"
        huge = RECORDINGS / "7.3-range" / "2M.anon.8.mmt.zst"
        nothing = "no folio of 64 KiB was ever mapped whole by entries here: there was nothing to fold"

        def told(*arguments):
            return json.loads(refold("replay", *arguments, "--format", "json").stdout)["warnings"]

        self.assertEqual(told(off), [nothing + "; try +anon_folios=64k"])
        self.assertEqual(told(off, "-p", "linux-7.3+granule=16k")[0].split("; ")[1], "try +anon_folios=2m")
        self.assertEqual(told(off, "-p", "linux-6.8"), [])
        self.assertEqual(told(off, "-p", "linux-7.3,linux-7.3+anon_folios=64k"), [])
        self.assertEqual(told(huge), [nothing])
        for trace in (large, SAMPLE):
            self.assertEqual(told(trace), [])
        lines = refold("replay", off, "-p", "linux-7.3").stdout.splitlines()
        self.assertRegex(lines[1], "^WARNING +no folio of 64 KiB")

    def test_larger_folios(self):
        """Faults, memory and invalidations are in the first sentence, also those that stay."""
        off = RECORDINGS / "7.2-range" / "off.anon.8.mmt.zst"
        asked = "-p", "linux-7.3,linux-7.3+anon_folios=64k"
        for trace, expected in (
                (off, "loads -50 %, faults -90 %, TLBI as before, 0 KiB allocated and never used"),
                (off.with_name("off.exec_gcc.1.mmt.zst"), "TLBI -3.8 %, waits -3.9 %, flush calls -3.9 %, "
                                                          "loads -7.4 %, faults -49 %, 1,532 KiB allocated"),
                (SAMPLE.with_name("gcc_off.mmt.zst"), "TLBI -3.0 %, waits -10 %, unfolds 0 -> 9, flush calls -10 %, loads "
                                                      "-17 %, faults -69 %, 1,284 KiB allocated and never used (at most "
                                                      "1,460 at once); trust: exact"),
                (SAMPLE.with_name("press.mmt.zst"), "TLBI +6.0 %, waits -61 %, unfolds 0 -> 360, flush calls +6.0 %, loads "
                                                    "-6.6 %, faults -81 %, 0 KiB allocated and never used (at most 60 at "
                                                    "once); trust: exact"),
                (SAMPLE.with_name("node.mmt.zst"), "the same faults, flushes, folds and loads, 0 KiB allocated"),
                (SAMPLE, "the same faults, flushes, folds and loads, 0 KiB allocated and never used")):
            first = " ".join(refold("replay", trace, *asked).stdout.split())
            self.assertIn("linux-7.3+anon_folios=64k against linux-7.3: " + expected, first)

    def test_formats(self):
        done = refold("replay", self.trace, "-p", FEW, "--format", "csv")
        rows = list(csv.DictReader(done.stdout.splitlines()))
        self.assertEqual([row["counter"] for row in rows],
                         ["tlbi", "waits", "unfold", "fold", "flush_calls", "pte_loads"])
        self.assertEqual([rows[5][name] for name in FEW.split(",")], ["3103", "3199", "2335"])
        done = refold("replay", self.trace, "-p", FEW, "--format", "tsv", "--baseline", "linux-6.8")
        loads = done.stdout.splitlines()[-1].split("\t")
        self.assertEqual(loads, ["total", "pte_loads", "3103", "3199", "96", "3.0938", "2335", "-768", "-24.7502"])
        done = refold("replay", self.trace, "-p", FEW, "--format", "markdown")
        self.assertEqual(done.stdout, "|  | linux-6.8 | linux-6.12 | linux-7.3 |\n|---|---:|---:|---:|\n"
                                      "| loads | 3,103 | 3,199 | 2,335 |\n")
        done = refold("replay", self.trace, "-p", FEW, "--format", "json")
        self.assertEqual(json.loads(done.stdout), json.loads(self.report.read_text()))
        done = refold("replay", self.trace, "-p", FEW, "--format", "csv", "--all")
        rows = {(row["operation"], row["counter"]): row for row in csv.DictReader(done.stdout.splitlines())}
        self.assertEqual(rows["fork", "pte_loads"]["linux-6.12"], "1056")
        done = refold("diff", self.report, "--baseline", "linux-6.8", "--format", "csv", "--all")
        self.assertIn(",fork,pte_loads,1024,1056,32,3.1250", done.stdout.splitlines())
        self.assertEqual(refold("diff", self.report, "--baseline", "linux-6.8", "--format", "xml").returncode, 2)
        self.assertEqual(refold("replay", self.trace, "--format", "xml").returncode, 2)

    def test_baseline_must_be_there(self):
        done = refold("replay", self.trace, "-p", FEW, "--baseline", "linux-6.6")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("linux-6.6", done.stderr)
        self.assertEqual(refold("diff", self.report, "--baseline", "linux-6.6").returncode, 2)

    def test_choice_of_differences(self):
        policies = self.report, "--policies", "linux-6.8,linux-6.12"
        every = json.loads(refold("diff", "-j", *policies).stdout)["comparisons"][0]["changes"]
        operations = [change for change in every if change["section"] in ("operations", "readers")]
        for top in 1, 3:
            kept = json.loads(refold("diff", "-j", *policies, "--top", top).stdout)["comparisons"][0]
            self.assertEqual(len([change for change in kept["changes"]
                                  if change["section"] in ("operations", "readers")]), top)
            self.assertEqual(kept["left_out"], len(operations) - top)
        kept = json.loads(refold("diff", "-j", *policies, "--min-change", "5%").stdout)["comparisons"][0]["changes"]
        self.assertEqual(kept, [change for change in every
                                if not change["a"] or abs(change["change"]) * 100 >= 5 * change["a"]])
        self.assertLess(len(kept), len(every))
        for wrong in ("--top", "0"), ("--min-change", "few"):
            self.assertEqual(refold("diff", *policies, *wrong).returncode, 2)

    def test_price(self):
        """fork's 32 loads more and exit's: only differences, low to high, by cause; the sums are those of the rows."""
        policies = self.report, "--policies", "linux-6.8,linux-6.12"
        every = {change["operation"]: change["change"] for change in json.loads(
            refold("diff", "-j", *policies).stdout)["comparisons"][0]["changes"]
            if change["section"] == "operations" and change["counter"] == "pte_loads"}
        done = refold("diff", *policies, "--price", "load=1ns..4ns,flush=0.31us..0.42us", "--format", "csv")
        rows = {(row["operation"], row["counter"]): row for row in csv.DictReader(done.stdout.splitlines())}
        self.assertEqual({name: int(row["change"]) for (name, counter), row in rows.items()
                          if counter == "pte_loads" and name != "total"}, every)
        self.assertEqual([float(rows["total", "pte_loads"][key]) for key in ("change", "low_ns", "high_ns")],
                         [96, 96, 384])
        priced = json.loads(refold("diff", "-j", *policies, "--price", "load=1ns..4ns").stdout)
        priced = priced["comparisons"][0]["priced"]
        self.assertEqual((priced["low_ns"], priced["high_ns"]), (96, 384))
        self.assertAlmostEqual(priced["break_even"][0]["price_ns"], priced["recorded_ns"] / 100 / 96)
        self.assertNotIn("pte_loads", [one["counter"] for one in priced["unpriced"]])
        # What saves is from the most saved to the least.
        text = refold("diff", self.report, "--policies", "linux-6.8,linux-7.3", "--price", "load=1ns..2ns").stdout
        self.assertRegex(text, r"(?m)^total +pte_loads +-768 +-1.54 us +-768 ns$")
        self.assertRegex(text, r"(?m)^saves 1 % of the .* recorded if each load costs .* or more$")
        self.assertIn("without a price: ", text)
        for wrong in ("load=1ns", "load=2ns..1ns", "load=1..2", "time=1ns..2ns", "load=1ns..2ns,ptep_get=1ns..2ns",
                      "flush=1ns..2ns,dsb=1ns..2ns", "tlbi=1ns..2ns,tlbi_va=1ns..2ns", "load=1ns..2ns,load=1ns..2ns"):
            done = refold("diff", *policies, "--price", wrong)
            self.assertEqual((done.returncode, done.stdout), (2, ""), wrong)

    def test_80_columns(self):
        """The first screen answers; nothing is wider than the terminal; policies that do not fit are rows."""
        many = "linux-5.10,linux-6.1,linux-6.6,linux-6.8,linux-6.9,linux-6.12,linux-6.17,linux-7.3"
        report = self.directory / "redis.json"
        refold("replay", SAMPLE, "-q", "-p", many, "-o", report)
        for arguments in (["replay", SAMPLE], ["replay", SAMPLE, "-p", many],
                          ["replay", SAMPLE, "-p", many, "--baseline", "linux-6.8"],
                          ["diff", report, "--policies", "linux-6.8,linux-7.3"],
                          ["ablate", SAMPLE, "--from", "linux-6.6", "--to", "linux-7.3"]):
            text = plain(on_a_terminal(*arguments))
            lines = text.splitlines()
            self.assertLessEqual(max(map(len, lines)), 80, text)
            self.assertLess(len(lines), 24, text)       # a line is the prompt's
            self.assertIn(" against linux-", lines[0])
        rows = plain(on_a_terminal("replay", SAMPLE, "-p", many))
        self.assertRegex(rows, r"(?m)^linux-6.12 +1,815 ")
        wide = plain(on_a_terminal("replay", SAMPLE, "-p", many, columns=160))
        self.assertRegex(wide, r"(?m)^TLBI +[\d,]+ ")

    def test_colour_only_on_terminals(self):
        arguments = "replay", self.trace, "-p", FEW, "--baseline", "linux-6.8"
        self.assertIn("\033[31m+96 (+3.1 %)\033[0m", on_a_terminal(*arguments))
        self.assertIn("\033[32m-768 (-25 %)\033[0m", on_a_terminal(*arguments))
        self.assertNotIn("\033[3", on_a_terminal(*arguments, NO_COLOR="1"))
        self.assertNotIn("\033", refold(*arguments).stdout)

    def test_a_what_if_is_said_once(self):
        done = refold("replay", self.trace, "-p", "linux-6.6+batch_fork=true+batch_zap=true,linux-6.6")
        self.assertEqual(done.stdout.count("what_if"), 1)
        self.assertIn("what_if (batch_fork, batch_zap)", " ".join(done.stdout.split()))


if __name__ == "__main__":
    unittest.main()
