#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
refold race as a user meets it: what it finds in kernels and in a posting, exit codes, JSON, seeds, wrong usage; and the
table of promises in docs/lockless-walkers.md names the checks there are.

usage: race.py REFOLD DOCUMENT [unittest arguments]
"""
import json
import pathlib
import re
import subprocess
import sys
import unittest

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
DOCUMENT = pathlib.Path(sys.argv.pop(1)).read_text()


def race(*arguments):
    return subprocess.run([REFOLD, "race", *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


def found(*arguments, code=0):
    """{(policies, writer, reader): pair} of the JSON, and all of it."""
    done = race("-j", *arguments)
    assert done.returncode == code, done.stderr
    result = json.loads(done.stdout)
    assert result["schema"] == "refold-race/1" and result["passed"] == (code == 0)
    return {(pair["policies"], pair["writer"], pair["reader"]): pair for pair in result["pairs"]}, result


class Race(unittest.TestCase):
    def test_everything_in_a_minute(self):
        pairs, result = found()
        self.assertGreater(len(pairs), 100)
        self.assertLess(result["seconds"], 60)
        for pair in pairs.values():
            self.assertEqual(pair["broken"], {})
            self.assertGreater(pair["states"], 0)
            self.assertGreater(pair["schedules"], 0)
        # A policy is in each of its pairs once.
        for writer in ("fold", "unfold", "young-clear"):
            for reader in ("perf", "fault", "gup-fast"):
                names = [name for policies, w, r in pairs if (w, r) == (writer, reader)
                         for name in policies.split(",")]
                self.assertEqual(sorted(names), ["linux-6.12", "linux-6.17", "linux-6.9", "linux-7.2", "linux-7.3",
                                                 "norecency-rfc"])
        # The early getter's pair that no entry had, where 6.12 has none.
        early = {key for key, pair in pairs.items() if "R3-pairs" in pair["relaxed"] and key[2] == "perf"}
        self.assertEqual({writer for _, writer, _ in early}, {"young-dirty-clear"})
        self.assertNotIn("linux-6.12", {name for policies, _, _ in early for name in policies.split(",")})

    def test_posting_breaks_a_promise(self):
        pairs, _ = found("-p", "contpte-v2", "--writer", "exit", "--reader", "perf", code=1)
        pair = pairs["contpte-v2", "exit", "perf"]
        schedule = pair["broken"]["R4"]["schedule"]
        self.assertEqual(pair["broken"]["R4"]["steps"], len(schedule) - 1)
        self.assertIn("breaks R4", schedule[-1]["conclusion"])
        self.assertIn("breaks R4", race("-p", "contpte-v2", "--writer", "exit").stdout)

    def test_controls(self):
        done = race("--controls")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("all caught", done.stdout)
        result = json.loads(race("--controls", "-j").stdout)
        for pair in result["pairs"]:
            self.assertTrue(pair["caught"], pair["control"])
            self.assertIn(pair["caught_by"], pair["broken"])

    def test_random(self):
        arguments = ["-n", 16, "--random", 500, "--seed", 9, "-p", "linux-7.3"]
        (one, _), (again, _) = found(*arguments), found(*arguments)
        self.assertEqual(one, again)
        other, _ = found("-n", 16, "--random", 500, "--seed", 10, "-p", "linux-7.3")
        self.assertNotEqual(one, other)

    def test_policies_without_blocks(self):
        pairs, result = found("-p", "linux-6.8,linux-6.9", "--writer", "born")
        self.assertEqual(result["skipped"], "linux-6.8")
        self.assertTrue(all(policies == "linux-6.9" for policies, _, _ in pairs))

    def test_wrong_usage(self):
        for said, arguments in [("xyzzy", ["--writer", "xyzzy"]), ("xyzzy", ["--reader", "xyzzy"]), ("-n 3", ["-n", 3]),
                                ("-n 32", ["-n", 32]), ("--random none", ["--random", "none"]),
                                ("--random 0", ["--random", 0]), ("--seed -1", ["--seed", -1]),
                                ("--frob", ["--frob"]), ("word", ["word"]), ("linux-1", ["-p", "linux-1"]),
                                ("contiguous", ["-p", "linux-6.8"]),
                                ("--random", ["-n", 16, "-p", "linux-7.3", "--writer", "fold", "--reader", "perf"])]:
            done = race(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(said, done.stderr)

    def test_document_names_every_check_and_reader(self):
        listed = race("-l").stdout
        for name in re.findall(r"^  (\S+)", listed.split("readers\n")[1], re.MULTILINE):
            self.assertRegex(DOCUMENT, rf"\b{re.escape(name)}\b")
        for name in re.findall(r"^\| (R\d\S*)", DOCUMENT, re.MULTILINE):
            self.assertIn(f"\n  {name} ", listed)


if __name__ == "__main__":
    unittest.main()
