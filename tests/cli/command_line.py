# SPDX-License-Identifier: MIT
"""
What the tests of refold as a user meets it share: they are called with the program and the schema of its reports, and
begin with the trace of a process that forks.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "golden"))
import json_schema

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
SCHEMA = json.loads(pathlib.Path(sys.argv.pop(1)).read_text())
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"


def refold(*arguments, **options):
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run([REFOLD, *map(str, arguments)], **options)


def assemble(text, path):
    done = refold("assemble", "-", "-o", path, input=text, stdin=None)
    assert done.returncode == 0, done.stderr
    return path


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="refold-cli-"))
        cls.text = (GOLDEN / "mm_fork" / "trace.txt").read_text()
        cls.trace = assemble(cls.text, cls.directory / "fork.mmt.zst")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def fails(self, code, *said, run):
        """Exit code, nothing on standard output, one line on standard error that holds all of said."""
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertEqual(run.stdout or "", "")
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        for part in said:
            self.assertIn(str(part), run.stderr)

    def file(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        return path

    def report(self, *arguments, code=0):
        done = refold("replay", "-j", *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(json_schema.check(report, SCHEMA), [])
        return report
