#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
refold sweep: however a sweep is cut up, killed and joined, its summary is that of one process that was left alone.

usage: sweep.py REFOLD [unittest arguments]
"""
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
TREE = pathlib.Path(__file__).parent.parent.parent
TEXT = (TREE / "tests" / "golden" / "mm_fork" / "trace.txt").read_text()
POLICIES = "linux-6.8,linux-7.3+max_dvm_ops={8,512}+tlbi={single,range}"
NAMES = ["linux-6.8", *(f"linux-7.3+max_dvm_ops={ops}+tlbi={tlbi}" for ops in (8, 512) for tlbi in ("single", "range"))]
NR = 24


def refold(*arguments, **options):
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run([REFOLD, *map(str, arguments)], **options)


def cells(store):
    """What is in a store: (digest, policy, how many counters)."""
    with contextlib.closing(sqlite3.connect(store)) as database:
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return set()
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return set(database.execute("SELECT digest, policies.name, count(counter) FROM traces LEFT JOIN cells "
                                    "ON trace = traces.id LEFT JOIN policies ON policies.id = policy "
                                    "LEFT JOIN counts ON cell = cells.id GROUP BY cells.id, traces.id"))


def children(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


class Sweep(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="refold-sweep-"))
        cls.traces = cls.top / "traces"
        for number in range(NR):
            folder = cls.traces / f"{number % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            text = re.sub(r"^header (.*)$", lambda found, host=number: "header " + json.dumps(
                json.loads(found[1]) | {"labels": {"host": f"h{host}"}}), TEXT, count=1, flags=re.MULTILINE)
            done = refold("assemble", "-", "-o", folder / f"{number}.mmt.zst", input=text, stdin=None)
            assert done.returncode == 0, done.stderr
        cls.whole = cls.top / "whole.db"
        done = refold("sweep", POLICIES, cls.traces, "-o", cls.whole, "--jobs", 1)
        assert done.returncode == 0, done.stderr
        cls.told = done.stdout
        cls.summary = refold("summary", "-j", "--all", cls.whole).stdout

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=self.top))

    def sweep(self, *arguments, code=0):
        done = refold("sweep", POLICIES, *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def same(self, *sources):
        done = refold("summary", "-j", "--all", *sources)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, self.summary)

    # ---- however it is cut up ----

    def test_one_process(self):
        self.assertEqual(self.told, f"{NR} traces under 5 policies: {NR * 5} cells counted, 0 were there\n")
        summary = json.loads(self.summary)
        self.assertEqual(summary["traces"], NR)
        self.assertEqual([policy["name"] for policy in summary["all"]["policies"]], sorted(NAMES, key=len)[:1] + sorted(
            NAMES[1:], key=lambda name: (int(re.search(r"ops=(\d+)", name)[1]), name)))
        reports = self.directory / "reports"
        reports.mkdir()
        for trace in self.traces.glob("*/*"):
            done = refold("replay", "-q", trace, *(f"-p{name}" for name in NAMES), "-o", reports / f"{trace.name}.json")
            self.assertEqual(done.returncode, 0, done.stderr)
        # Warnings name the policies of their report together, and are the same ones here.
        self.same(reports)

    def test_jobs(self):
        self.sweep(self.traces, "-o", self.directory / "s.db", "--jobs", 3)
        self.same(self.directory / "s.db")

    def test_shards(self):
        for shards in (2, 5, NR + 3):
            stores = [self.directory / f"{shards}-{shard}.db" for shard in range(1, shards + 1)]
            for shard, store in enumerate(stores, 1):
                self.sweep(self.traces, "-o", store, "--shard", f"{shard}/{shards}")
            self.assertEqual(sum(len(cells(store)) for store in stores), NR * 5)
            random.Random(shards).shuffle(stores)
            self.same(*stores)
            merged = self.directory / f"{shards}.db"
            done = refold("merge", *stores, stores[0], "-o", merged)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.same(merged)

    @unittest.skipUnless(shutil.which("parallel"), "no GNU parallel")
    def test_gnu_parallel(self):
        """The line of contrib/README.md; and several that write one store."""
        text = (TREE / "contrib" / "README.md").read_text()
        line = next(line.strip() for line in text.splitlines() if "parallel refold" in line)
        for word, value in (("POLICIES", f"'{POLICIES}'"), ("TRACES", self.traces), ("OUT", self.directory)):
            line = line.replace(word, str(value))
        environment = os.environ | {"PATH": f"{REFOLD.parent}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.same(self.directory)
        one = self.directory / "one.db"
        subprocess.run(["parallel", "-j2", str(REFOLD), "sweep", "-q", f"'{POLICIES}'", str(self.traces), "-o",
                        str(one), "--shard", "{}/4", ":::", "1", "2", "3", "4"], check=True, stdin=subprocess.DEVNULL)
        self.same(one)

    # ---- whatever ends it ----

    def test_killed_at_random_moments(self):
        """Nothing that was stored is lost, nothing of what was in progress is there, and the next sweep goes on."""
        rng = random.Random(1)
        store = self.directory / "s.db"
        there, kills = set(), 0
        while kills < 50:
            if len(there) == NR * 5:
                store.unlink()
                there = set()
            process = subprocess.Popen([REFOLD, "sweep", POLICIES, self.traces, "-o", store, "-q", "--jobs", "2"])
            time.sleep(rng.random() * .08)
            process.kill()
            process.wait()
            kills += 1
            now = cells(store) if store.exists() else set()
            self.assertLessEqual(there, now)
            self.assertEqual(len({nr for _, _, nr in now}), 1 if now else 0)
            self.assertEqual(len(now) % 5, 0)
            there = now
        self.sweep(self.traces, "-o", store)
        self.same(store)

    def test_worker_dies(self):
        """A trace whose replay is killed is a row with its error; the others go on; the next sweep does it."""
        store = self.directory / "s.db"
        samples = [TREE / "traces" / "samples" / f"{name}.mmt.zst" for name in ("gcc", "python", "redis")]
        process = subprocess.Popen([REFOLD, "sweep", POLICIES, *samples, "-o", store, "--jobs", "1"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        killed = None
        while not killed and process.poll() is None:
            killed = next(iter(children(process.pid)), None)
        os.kill(killed, signal.SIGKILL)
        out, err = process.communicate()
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("gcc.mmt.zst: its replay was ended by signal 9", err)
        self.assertIn("10 cells counted, 0 were there, 1 traces failed", out)
        summary = json.loads(refold("summary", "-j", store).stdout)
        self.assertEqual([failure["name"] for failure in summary["failures"]], ["gcc.mmt.zst"])
        self.assertIn("5 cells counted, 10 were there\n", self.sweep(*samples, "-o", store).stdout)
        self.assertEqual(json.loads(refold("summary", "-j", store).stdout)["failures"], [])

    # ---- bad input ----

    def test_a_trace_that_fails(self):
        bad = self.directory / "bad.mmt.zst"
        bad.write_bytes(b"nothing")
        store = self.directory / "s.db"
        done = self.sweep(bad, self.directory / "absent.mmt.zst", self.traces, "-o", store, code=1)
        self.assertIn("bad.mmt.zst: ", done.stderr)
        self.assertIn("absent.mmt.zst: No such file", done.stderr)
        summary = json.loads(refold("summary", "-j", store).stdout)
        self.assertEqual(summary["traces"], NR)
        self.assertEqual([failure["name"] for failure in summary["failures"]], ["absent.mmt.zst", "bad.mmt.zst"])

    def test_copies_count_once(self):
        trace = self.traces / "0" / "0.mmt.zst"
        shutil.copy(trace, self.directory / "copy.mmt.zst")
        done = self.sweep(trace, self.directory / "copy.mmt.zst", "-o", self.directory / "s.db")
        self.assertIn("5 cells counted, 0 were there, 1 traces are others' copies", done.stdout)

    def test_larger_pages(self):
        """Of a recording with 16K pages, the policies with 4K pages fail, the others go on."""
        recording = next((TREE / "tests" / "arm64" / "recordings" / "6.12-16k").glob("*.mmt.zst"))
        done = refold("sweep", "linux-6.12+granule={4k,16k}", recording, "-o", self.directory / "s.db")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("has pages of 16384 bytes, smaller ones have: linux-6.12+granule=4k", done.stderr)
        self.assertEqual({policy for _, policy, _ in cells(self.directory / "s.db")}, {"linux-6.12+granule=16k"})

    def test_wrong_usage(self):
        store = self.directory / "s.db"
        for arguments, said in ((["linux-7.3+tlbi={a", self.traces, "-o", store], "braces"),
                                (["linux-7.3+tlbi={{a}}", self.traces, "-o", store], "braces"),
                                (["linux-7.3+max_dvm_ops={%s}" % ",".join(map(str, range(200))), self.traces, "-o", store],
                                 "more policies"),
                                (["linux-9", self.traces, "-o", store], "linux-9"),
                                (["linux-6.8", self.traces], "-o NAME.db"),
                                (["linux-6.8", self.traces, "-o", self.directory / "s.json"], "-o NAME.db"),
                                (["linux-6.8", self.traces, "-o", store, "--shard", "3/2"], "--shard"),
                                (["linux-6.8", self.traces, "-o", store, "--jobs", "0"], "--jobs"),
                                (["linux-6.8", self.directory, "-o", store], "no trace"), (["linux-6.8"], "traces")):
            done = refold("sweep", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(said, done.stderr)
        self.assertFalse(store.exists())

    def test_store_that_cannot_be_written(self):
        command = [REFOLD, "sweep", POLICIES, self.traces, "-o", self.directory / "s.db"]
        done = subprocess.run(["sh", "-c", 'ulimit -f 250; exec "$@"', "sh", *command], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.sweep(self.traces, "-o", self.directory / "s.db")
        self.same(self.directory / "s.db")


unittest.main()
