#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The command line of refold-capture, as far as nothing is recorded: values that are refused, and that help, man page and
completion know the same options.

usage: capture.py REFOLD_CAPTURE MAN_DIRECTORY [unittest arguments]
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

CAPTURE = pathlib.Path(sys.argv.pop(1)).resolve()
MAN = pathlib.Path(sys.argv.pop(1))

SIZES = ("", "x", "-1M", "+1M", "1X", "1MB", "M", "1.5M", "0x10000", "99999999999999999999", "9999999T", " 1M")
WRONG = {
    "--time": ("", "x", "-1", "0", "1d", "1us", "1 m", "1mm", "nan", "inf", "0.0001", "1e30", "1e3s", "0x5s", "1.2.3"),
    "--buffer": SIZES + ("7K", "5G"),
    "--buffer-total": SIZES + ("7K", "0"),
    "--max-size": SIZES + ("63K", "0"),
    "--min-free": SIZES + ("0",),
    "--max-memory": SIZES + ("15M", "0"),
    "--max-cpu": ("", "x", "0", "-5", "0.05", "5%%", "5 %", "5s", "nan", "inf", "1e2", "0x5", "99999999"),
    "--rotate": ("", "60", "60x", "0s", "0.5s", "s", "63K", "1d", "100m5", "-1s", "1e3s"),
    "--keep": ("0", "-1", "x", ""),
    "--level": ("0", "20", "x"),
    "--max-loss": ("-1", "x"),
    "--pid": ("", "x", "0", "1,", ",1"),
    "--cgroup": ("",), "--container": ("",), "--user": ("",), "--trigger": ("",), "--metrics": ("",),
    "--label": ("", "x", "=x", "1a=b", "a b=c", "__a=b", "a=\x01"),
}
RIGHT = {
    "--time": ("1", "0.5", ".5", "90s", "1.5m", "2h", "3H"),
    "--buffer": ("8K", "4G", "16m"),
    "--buffer-total": ("8K", "1T"),
    "--max-size": ("64K", "65536", "1t"),
    "--min-free": ("1", "2G"),
    "--max-memory": ("16M",),
    "--max-cpu": ("5", "0.1%", "250%", ".5"),
    "--rotate": ("60s", "1m", "1M", "2h", "64K"),
    "--keep": ("1", "100"),
}
# Options that are right, but not together.
TOGETHER = {
    ("--rotate", "1m", "-o", "-", "-a"): "-o -",
    ("--user", "root", "-a"): "COMMAND",
    ("--rotate", "1m", "--iovecs", "--", "/bin/true"): "--iovecs",
    ("--flight", "1m", "--keep", "3", "-a"): "--keep",
    ("--flight", "1m", "--rotate", "2m", "-a"): "--rotate",
    ("--flight", "0.5s", "-a"): "a second",
    ("--trigger", "true", "-a"): "--flight",
    ("--rotate", "1M", "--max-size", "1M", "-a"): "not both",
    ("--keep", "2", "-a"): "--rotate",
    ("-o", "", "-a"): "-o FILE",
    ("-o", "", "--rotate", "1m", "-a"): "-o FILE",
    ("--rotate", "1m", "--exit-snapshots", "none", "--resnapshot", "--", "/bin/true"): "--resnapshot",
}


def capture(*arguments):
    return subprocess.run([CAPTURE, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def options_of_help():
    return set(re.findall(r"(?:^|, | {6})(--[a-z-]+)", capture("--help").stdout, re.MULTILINE))


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="refold-capture-")
        self.trace = os.path.join(self.directory.name, "t.mmt.zst")

    def tearDown(self):
        self.directory.cleanup()

    def test_wrong_values(self):
        """Exit code 2, one line that names option and value, nothing written."""
        for option, values in WRONG.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    run = capture("-o", self.trace, f"{option}={value}", "--", "/bin/true")
                    self.assertEqual(run.returncode, 2, run.stderr)
                    self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
                    self.assertIn(f"{option} {value or repr(value)}:", run.stderr)
                    self.assertFalse(os.path.exists(self.trace))

    def test_right_values(self):
        """They are taken: the next thing that is wrong is that there is nothing to record."""
        for option, values in RIGHT.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    run = capture("-o", self.trace, option, value)
                    self.assertEqual(run.returncode, 2)
                    self.assertIn("nothing to record", run.stderr)

    def test_not_together(self):
        for arguments, word in TOGETHER.items():
            with self.subTest(arguments=arguments):
                run = capture("-o", self.trace, *arguments)
                self.assertEqual(run.returncode, 2, run.stderr)
                self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
                self.assertIn(word, run.stderr)

    def test_other_commands(self):
        """Help and one line each, as of a recording."""
        for command in ("doctor", "cleanup"):
            self.assertIn("Usage: refold-capture", capture(command, "-h").stdout)
            run = capture(command, "-x")
            self.assertEqual((run.returncode, run.stdout, run.stderr.count("\n")), (2, "", 1))
            self.assertTrue(run.stderr.startswith("refold-capture: ") and "-x" in run.stderr, run.stderr)

    def test_full_output(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            for arguments in (("-h",), ("-V",), ("doctor", "-h"), ("cleanup", "-h")):
                run = subprocess.run([CAPTURE, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
                self.assertEqual(run.returncode, 1, arguments)
                self.assertIn("standard output: cannot write", run.stderr)

    def test_options_are_described(self):
        """Each option of the help has its place in the man page, and the other way round."""
        page = (MAN / "refold-capture.1").read_text()
        described = {"-" + name for name in re.findall(r"^\.It Fl .*?(-[a-z][a-z-]+)", page, re.MULTILINE)}
        self.assertEqual(described, options_of_help())

    def test_completion(self):
        """bash offers them."""
        script = ('PATH="$1:$PATH"; . "$2"; COMP_WORDS=(refold-capture --m); COMP_CWORD=1; _refold_capture; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        run = subprocess.run(["bash", "-c", script, "-", str(CAPTURE.parent), str(MAN / "refold.bash")],
                             capture_output=True, text=True, check=True)
        self.assertEqual(set(run.stdout.split()), {name for name in options_of_help() if name.startswith("--m")})
        self.assertIn("--max-size", run.stdout)


if __name__ == "__main__":
    unittest.main()
