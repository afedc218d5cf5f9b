#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What people mistake: one kind of file for another, names that are empty, the same, of several lines or no UTF-8. Each is
one line that says what it is and, where there is one, which command it is for.

usage: mistakes.py REFOLD SCHEMA HAVE_SQLITE [unittest arguments]
"""
import json
import os
import shutil
import sys
import unittest

HAVE_SQLITE = sys.argv.pop(3) == "1"

import command_line
from command_line import refold

POLICIES = "linux-6.8,linux-7.3"


class Mistakes(command_line.CommandLine):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.report_file, cls.merged = cls.directory / "report.json", cls.directory / "merged.json"
        assert not refold("replay", "-q", cls.trace, "-p", POLICIES, "-o", cls.report_file).returncode
        assert not refold("merge", cls.report_file, "-o", cls.merged).returncode

    def store(self, name):
        path = self.directory / name
        self.assertEqual(refold("replay", "-q", self.trace, "-p", POLICIES, "-o", path).returncode, 0)
        return path

    # ---- kinds of files ----

    def test_a_trace_for_a_report(self):
        for command in (("diff", self.trace, self.report_file), ("diff", self.report_file, self.trace),
                        ("summary", self.trace), ("merge", self.trace, "-o", self.directory / "out.json"),
                        ("export", "--csv", self.trace)):
            self.fails(1, self.trace, "a trace for 'refold replay'", run=refold(*command))

    def test_what_was_merged_for_a_trace(self):
        for command in ("replay", "info", "dump"):
            run = refold(command, self.merged)
            self.fails(1, self.merged, "'refold merge' wrote", "'refold summary'", run=run)
        self.fails(1, self.merged, "'refold merge' wrote", run=refold("diff", self.merged, self.report_file))

    def test_a_report_for_a_trace(self):
        run = refold("info", self.report_file)
        self.fails(1, self.report_file, "a report of 'refold replay': 'refold diff'", run=run)

    def test_a_directory_for_a_file(self):
        for command in (("diff", self.directory, self.report_file), ("assemble", self.directory, "-o", "out"),
                        ("replay", self.directory), ("pte", self.directory, "-p", "linux-7.3")):
            self.fails(1, self.directory, "irectory", run=refold(*command, cwd=self.directory))

    @unittest.skipUnless(HAVE_SQLITE, "built without SQLite")
    def test_stores(self):
        store = self.store("store.db")
        for command in (("replay", store), ("diff", store, self.report_file)):
            self.fails(1, store, "a database", "'refold summary'", run=refold(*command))
        text = self.file("text.db", b"hello\n")
        for command in (("replay", self.trace, "-p", POLICIES), ("sweep", POLICIES, self.trace)):
            self.fails(1, text, "is no database", run=refold(*command, "-o", text))
        self.assertEqual(text.read_bytes(), b"hello\n")
        cut = self.file("cut.db", store.read_bytes()[:20000])
        self.assertIn("malformed", refold("replay", self.trace, "-p", POLICIES, "-o", cut).stderr)

    # ---- names ----

    def test_empty_outputs(self):
        """Told before anything is done for it."""
        for command in (("replay", self.trace, "-o", ""), ("replay", self.trace, "--page-tables", ""),
                        ("replay", self.trace, "--operations", ""), ("dump", self.trace, "-o", ""),
                        ("anonymize", self.trace, "-o", ""), ("export", "--csv", self.report_file, "-o", ""),
                        ("export", "--perfetto", self.trace, "-o", ""), ("merge", self.report_file, "-o", ""),
                        ("assemble", self.trace, "-o", ""), ("import", self.trace, "-o", ""),
                        ("pte", "-", "-p", "linux-7.3", "-o", "")):
            with self.subTest(command=command[:2]):
                self.fails(2, "output without a name", run=refold(*command))

    def test_traces_to_standard_output(self):
        text = refold("dump", self.trace).stdout
        for command, given in ((("anonymize", self.trace), None), (("assemble", "-"), text)):
            run = refold(*command, "-o", "-", cwd=self.directory, text=False, stdin=None,
                         input=given and given.encode())
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertTrue(run.stdout.startswith(b"\x28\xb5\x2f\xfd"), command)
            self.assertFalse((self.directory / "-").exists())

    def test_one_file_for_two_outputs(self):
        os.chdir(self.directory)
        for first, second in (("-o", "--operations"), ("--operations", "--page-tables"), ("-o", "--page-tables")):
            self.fails(2, "one file", run=refold("replay", self.trace, first, "both", second, "both"))
            self.file("there", b"")
            self.fails(2, "one file", run=refold("replay", self.trace, first, "there", second, "./there"))
        self.assertFalse((self.directory / "both").exists())

    def test_a_policy_without_a_name(self):
        for text in ("", ",", "linux-7.3,"):
            run = refold("replay", self.trace, "-p", text)
            self.fails(2, "no policy ''", run=run)
            self.assertNotIn("nearest", run.stderr)
        self.fails(2, "control character", run=refold("replay", self.trace, "-p", "a\nb=linux-7.3"))

    def test_wrong_options_of_a_build(self):
        build = ("backend", "build", self.directory, "-o", self.directory / "out.so")
        self.fails(2, "no policy 'nope'", run=refold(*build, "-b", "nope"))
        self.fails(2, "--page-size", "'5k'", run=refold(*build, "-p", "5k"))
        for name in ("", "-"):
            self.fails(2, "-o FILE.so", run=refold(*build, "-o", name))

    def test_options_that_would_do_nothing(self):
        for said, command in (("--random", ("race", "--seed", "1")),
                              ("of its own", ("race", "--controls", "-p", "linux-7.3")),
                              ("text only", ("race", "-l", "-j")),
                              ("alone", ("policies", "--patches", "linux-6.6..linux-6.8", "linux-6.9")),
                              ("alone", ("policies", "-j", "--patches", "linux-6.6..linux-6.8")),
                              ("one of", ("export", self.report_file, "--csv", "--json-lines"))):
            self.fails(2, said, run=refold(*command))

    def test_lines_in_names(self):
        self.fails(1, "a?b?[31m%s: cannot open", run=refold("info", "a\nb\x1b[31m%s"))
        self.fails(2, "'x?y'", run=refold("replay", self.trace, "-p", "x\ny"))
        self.fails(2, "'x?y'", run=refold("replay", self.trace, "--format", "x\ny"))

    def test_names_of_traces(self):
        """Whatever a file is called, its report names it."""
        for name, shown in ((b"a b%s.mmt.zst", "a b%s.mmt.zst"), ("größer.mmt.zst".encode(), "größer.mmt.zst"),
                            (b"a\xff\nb.mmt.zst", "a??b.mmt.zst"), (b"a\x1b[1m.mmt.zst", "a?[1m.mmt.zst")):
            path = os.path.join(os.fsencode(self.directory), name)
            shutil.copy(self.trace, path)
            with self.subTest(name=name):
                report = self.report(os.fsdecode(path), "-p", POLICIES, "--interval", "1s", "--by", "vma")
                self.assertEqual(report["traces"][0]["name"], shown)
                self.assertEqual(report["intervals"][0]["trace"], shown)
                self.assertEqual(report["attribution"][0]["trace"], shown)
                table = refold("replay", os.fsdecode(path), "-p", POLICIES).stdout
                self.assertRegex(table, r"(?m)^trace +" + shown.translate({ord(c): "\\" + c for c in "?[. "}) + ":")
            os.unlink(path)

    @unittest.skipUnless(HAVE_SQLITE, "built without SQLite")
    def test_names_of_what_fails(self):
        path = os.path.join(os.fsencode(self.directory), b"bad\xff.mmt.zst")
        with open(path, "wb") as file:
            file.write(b"x")
        store = self.directory / "failed.db"
        self.assertEqual(refold("sweep", "-q", POLICIES, os.fsdecode(path), "-o", store, text=False).returncode, 1)
        merged = self.directory / "failed.json"
        self.assertEqual(refold("merge", store, "-o", merged).returncode, 0)
        self.assertEqual([failure["name"] for failure in json.loads(merged.read_text())["failures"]], ["bad?.mmt.zst"])


if __name__ == "__main__":
    unittest.main()
