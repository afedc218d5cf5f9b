#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The command line of refold as a user meets it: exit codes, one-line errors that name the file and say what to do,
results kept when the input is damaged, and no output lost without notice.

usage: cli.py REFOLD SCHEMA [unittest arguments]
"""
import collections
import json
import os
import pathlib
import re
import resource
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

    # ---- files that are written ----

    def test_output_is_input(self):
        """No command writes over what it reads, under whatever name."""
        trace = self.file("same.mmt.zst", self.trace.read_bytes())
        text = self.file("same.txt", self.text.encode())
        script = self.file("same.pte", b"")
        link = self.directory / "same.link"
        link.symlink_to(trace)
        for command in (["replay", "-q", trace, "-o", trace], ["replay", "-q", self.trace, trace, "-o", link],
                        ["replay", "-q", trace, "--page-tables", trace], ["replay", "-q", trace, "--operations", link],
                        ["dump", trace, "-o", trace], ["dump", link, "-o", trace], ["assemble", text, "-o", text],
                        ["pte", "-p", "linux-6.9", script, "-o", script], ["import", trace, "-o", trace]):
            with self.subTest(command=command[0]):
                self.fails(2, "is the input", run=refold(*command))
        self.assertEqual(trace.read_bytes(), self.trace.read_bytes())
        self.assertEqual(text.read_text(), self.text)

    def test_output_is_whole_or_not(self):
        """What was there stays until the new one is done; no half of a result is left behind."""
        directory = self.directory / "whole"
        directory.mkdir()
        report, tables, trace = directory / "report.json", directory / "tables.tsv", directory / "trace.mmt.zst"
        for path in (report, tables, trace):
            path.write_text("before")
        self.fails(1, "No such file", run=refold("replay", "-q", directory / "missing", "-o", report,
                                                 "--page-tables", tables))
        self.fails(1, "standard input:1", run=refold("assemble", "-", "-o", trace, input="nonsense\n", stdin=None))
        for path in (report, tables, trace):
            self.assertEqual(path.read_text(), "before")
        self.assertEqual(refold("replay", "-q", self.trace, "-o", report).returncode, 0)
        self.assertEqual(json.loads(report.read_text())["complete"], True)
        new = directory / "new.json"
        self.assertEqual(refold("replay", "-q", self.trace, "-o", new).returncode, 0)
        self.assertEqual(new.stat().st_mode & 0o777, 0o600)
        self.assertEqual(sorted(path.name for path in directory.iterdir()),
                         ["new.json", "report.json", "tables.tsv", "trace.mmt.zst"])

    def test_output_to_a_fifo(self):
        """Without a reader it would wait for ever."""
        fifo = self.directory / "fifo"
        os.mkfifo(fifo)
        self.fails(1, "FIFO that nobody reads", run=refold("replay", "-q", self.trace, "-o", fifo))
        written = self.directory / "from-fifo.json"
        with written.open("w") as file:
            reader = subprocess.Popen(["cat", fifo], stdout=file)
        # The reader may not have opened it yet.
        while refold("replay", "-q", self.trace, "-o", fifo).returncode:
            self.assertIsNone(reader.poll())
        self.assertEqual(reader.wait(30), 0)
        self.assertEqual(json.loads(written.read_text())["complete"], True)

    # ---- commands ----

    def test_overview(self):
        for arguments in (["-h"], ["--help"], ["help"], ["help", "help"]):
            done = refold(*arguments)
            self.assertEqual(done.returncode, 0)
            self.assertIn("refold COMMAND", done.stdout)
        self.assertEqual(refold().returncode, 2)
        self.assertRegex(refold("-V").stdout, r"^refold \d+\.\d+\.\d+\n$")

    def test_every_command_has_help(self):
        lines = refold("help").stdout.splitlines()
        names = [line.split()[0] for line in lines if line.startswith("  ") and not line.strip().startswith("-")
                 and "COMMAND" not in line]
        self.assertIn("replay", names)
        for name in names:
            if name == "help":
                continue
            helped, asked = refold("help", name), refold(name, "-h")
            self.assertEqual((helped.returncode, helped.stderr), (0, ""))
            self.assertTrue(helped.stdout.startswith(f"usage: refold {name} "), helped.stdout)
            self.assertEqual(helped.stdout, asked.stdout)

    def test_unknown_command(self):
        self.fails(2, "'rpelay'", "'replay'", run=refold("rpelay"))
        self.fails(2, "'xyzzy'", "refold help", run=refold("xyzzy"))
        self.fails(2, "'xyzzy'", run=refold("help", "xyzzy"))

    def test_wrong_usage(self):
        self.fails(2, "no trace", run=refold("replay"))
        self.fails(2, "--frob", run=refold("replay", self.trace, "--frob"))
        self.fails(2, "-p", run=refold("replay", self.trace, "-p"))
        self.fails(2, "many", run=refold("replay", self.trace, "--max-loss", "many"))
        self.fails(2, "-3", run=refold("replay", self.trace, "--max-loss", "-3"))

    # ---- policies ----

    def test_unknown_policies(self):
        self.fails(2, "linux-6.13", "linux-6.12", run=refold("replay", self.trace, "-p", "linux-6.13"))
        self.fails(2, "tlby", run=refold("replay", self.trace, "-p", "linux-6.12+tlby=single"))
        self.fails(2, "the nearest are 'unfold_flush', 'unmap_flush' and 'unfold', 'refold policies -k' lists all",
                   run=refold("replay", self.trace, "-p", "linux-6.12+unfold_flash=each"))
        self.fails(2, "double", run=refold("replay", self.trace, "-p", "linux-6.12+tlbi=double"))
        self.fails(2, "linux-6.8", run=refold("replay", self.trace, "-p", "linux-6.8,linux-6.8"))
        self.fails(2, "nowhere.json", run=refold("replay", self.trace, "-p", self.directory / "nowhere.json"))

    def test_knobs_by_area(self):
        """Each knob once, under its area; a word lists those it is in, and the whole of an area that it names."""
        self.fails(2, "no policy, knob or patch has 'unshare_flsh' in it; the nearest are 'unshare_flush'",
                   run=refold("policies", "unshare_flsh"))
        areas = {name: knob["area"] for name, knob in json.loads(refold("policies", "-j").stdout)["knobs"].items()}
        for text, wanted in ((refold("policies", "-k").stdout, set(areas)),
                             (refold("policies", "lockless").stdout, None),
                             (refold("policies", "other architectures").stdout,
                              {name for name, area in areas.items() if area == "other architectures"})):
            listed, area = [], None
            for line in text.splitlines():
                if line.startswith("knobs, "):
                    area = line[len("knobs, "):-1]
                elif re.match("  [a-z]", line):
                    listed.append((line.split()[0], area))
            self.assertEqual([(name, areas[name]) for name, _ in listed], listed)
            self.assertEqual(len(set(listed)), len(listed))
            if wanted:
                self.assertEqual({name for name, _ in listed}, wanted)
            else:
                self.assertLess({("lockless", "readers"), ("gup_recheck", "readers")}, set(listed))
                self.assertNotIn("tlbi", dict(listed))

    def test_patches(self):
        listed = refold("patches").stdout
        self.assertIn("f8d937761d65         6.9", listed)
        self.assertNotIn("move-pud", refold("patches", "fork").stdout)
        self.fails(2, "'contpte-v6'", run=refold("patches", "contpte-v9"))
        between = refold("policies", "--patches", "linux-6.1..linux-6.6").stdout
        self.assertIn("43b3dfdd0455", between)
        self.assertNotIn("f8d937761d65", between)
        self.fails(2, "A..B", run=refold("policies", "--patches", "linux-6.1"))
        self.fails(2, "arm64 and x86", run=refold("policies", "--patches", "linux-6.1..x86-6.6"))
        self.assertIn("move_pud", refold("policies", "mremap").stdout)
        done = refold("replay", self.trace, "-p", "new=linux-6.8+patch=contpte-v6,linux-6.9")
        self.assertIn("pulls in f8d937761d65", done.stderr)
        report = self.report(self.trace, "-p", "new=linux-6.8+patch=contpte-v6+patch=2864f3d0f583,linux-6.9")
        patched, merged = report["policies"]
        self.assertEqual(patched["name"], "new")
        for key in ("totals", "operations", "knobs", "batches"):
            self.assertEqual(patched[key], merged[key])

    def test_wrong_policy_files(self):
        for content in ('{"base": "linux-6.12", "tlby": true}', '{"base": "linux-1"}', "{", "[]", ""):
            path = self.file("wrong.json", content.encode())
            self.fails(2, path, run=refold("replay", self.trace, "-p", path))

    def test_policy_file(self):
        path = self.file("mine.json", b'{"base": "linux-6.12", "tlbi": "single"}')
        report = self.report(self.trace, "-p", f"{path},linux-6.12+tlbi=single")
        mine, inline = report["policies"]
        self.assertEqual((mine["name"], mine["base"]), ("mine", "linux-6.12"))
        for key in ("totals", "operations", "knobs", "batches"):
            self.assertEqual(mine[key], inline[key])

    def test_default_policies(self):
        names = [policy["name"] for policy in self.report(self.trace)["policies"]]
        self.assertEqual(names, ["linux-6.8", "linux-6.9", "linux-6.12", "linux-7.3"])

    def test_page_size(self):
        large = self.text.replace('"page_size": 4096', '"page_size": 16384')
        self.assertNotEqual(large, self.text)
        trace = assemble(large, self.directory / "large.mmt.zst")
        self.fails(2, "16384", run=refold("replay", trace, "-p", "linux-6.12"))
        self.report(self.trace, "-p", "linux-6.12+granule=16k")

    def test_one_recording_on_many_machines(self):
        sample = GOLDEN.parent.parent / "traces" / "samples" / "python.mmt.zst"
        report = self.report(sample, "-p", "linux-7.3,linux-7.3+granule=16k,linux-7.3+granule=64k,riscv-7.3,"
                             "svnapot-user,powerpc-8xx,x86-7.3,x86-7.3-invlpgb")
        columns = {policy["name"]: policy for policy in report["policies"]}
        geometry = {name: (policy["geometry"]["page_size_bytes"], policy["geometry"]["table_entries"],
                           policy["geometry"]["block_entries"]) for name, policy in columns.items()}
        self.assertEqual(geometry, {
            "linux-7.3": (4096, 512, 16), "linux-7.3+granule=16k": (16384, 2048, 128),
            "linux-7.3+granule=64k": (65536, 8192, 32), "riscv-7.3": (4096, 512, 1), "svnapot-user": (4096, 512, 16),
            "powerpc-8xx": (4096, 1024, 1), "x86-7.3": (4096, 512, 1), "x86-7.3-invlpgb": (4096, 512, 1)})
        assumed = {name: {one["name"]: one.get("count") for one in policy["assumptions"]}
                   for name, policy in columns.items()}
        self.assertEqual(list(assumed["linux-7.3"]), ["recorded_arch"])
        self.assertNotIn("recorded_arch", assumed["x86-7.3"])
        self.assertIn("svnapot_user", assumed["svnapot-user"])
        faults = columns["linux-7.3"]["totals"]["faults"]
        for name in ("linux-7.3+granule=16k", "linux-7.3+granule=64k"):
            self.assertIn("recorded_page_size", assumed[name])
            self.assertGreater(assumed[name]["small_folios"], 0)
            self.assertGreater(assumed[name]["granules_shared"], 0)
            # What does not fault here was merged with what does, but for a few that became other faults.
            self.assertAlmostEqual(columns[name]["totals"]["faults"] + assumed[name]["faults_merged"], faults, delta=60)
        for name, policy in columns.items():
            self.assertEqual(set(policy["anomalies"].values()), {0}, name)
            if policy["geometry"]["page_size_bytes"] == 4096:
                self.assertEqual(policy["totals"]["faults"], faults, name)
        table = refold("replay", sample, "-p", "linux-7.3+granule=16k").stdout
        self.assertRegex(table, r"assumed +linux-7.3\+granule=16k, pages of 16 KiB in tables of 2,048: recorded_page_size,")

    # ---- input ----

    def test_files_that_are_no_traces(self):
        wrong = {
            "empty.mmt.zst": b"",
            "text.mmt.zst": b"This is not a trace, but it is long enough to look at.\n" * 10,
            "picture.mmt.zst": b"\x89PNG\r\n\x1a\n" + bytes(200),
        }
        for name, content in wrong.items():
            path = self.file(name, content)
            for command in ("replay", "info", "dump"):
                run = refold(command, path)
                self.assertIn(run.returncode, (1, 3))
                self.fails(run.returncode, path, run=run)

    def test_files_of_other_tools(self):
        """What it is, and the command to run next."""
        report = self.directory / "some-report.json"
        refold("replay", "-q", self.trace, "-o", report)
        packet = b"\x0a\x05\x08\x01\x10\x02\x18"
        for content, *said in (
                (b"\x17\x08\x44tracing7\0" + bytes(90), "trace.dat", "refold import"),
                (b"PERFILE2" + bytes(96), "perf.data", "refold-capture"),
                (b"\x1f\x8b\x08" + bytes(30), "gzip", "gunzip"), (b"\xfd7zXZ\0" + bytes(30), "xz", "unxz"),
                (b"cpus=2\n          sh-1234  [000] 12345.678901: rss_stat: mm_id=1\n", "trace-cmd report", "trace.dat"),
                (b"          sh-1234  [000] d..2. 12345.678901: rss_stat: mm_id=1\n", "trace-cmd report", "trace.dat"),
                (b"sh  1234 [001] 12345.678901: kmem:rss_stat: mm_id=1\n", "perf script", "trace.dat"),
                (b"# tracer: nop\n#\n", "tracefs", "trace-cmd"), (packet * 6, "Perfetto", "refold-capture"),
                (report.read_bytes(), "report", "refold diff"), (self.text.encode(), "text", "refold assemble")):
            path = self.file("other.mmt.zst", content)
            for command in ("replay", "info", "dump"):
                self.fails(1, path, "not a Refold trace", *said, run=refold(command, path))
        for content in (b"head", b"# the header {} of acpus=2\n", b"."):
            self.fails(1, "something else", run=refold("replay", self.file("other.mmt.zst", content)))

    def test_nothing_to_replay(self):
        """Why, instead of an empty table; and no success."""
        head = 'header {"clock":"mono"}\nstream 0 source=task cpu=0\nframe stream=0\n'
        for records, why in (("", "there is no record"), ("1 tid=5 rss_stat mm_id=1 curr=1 member=1 pages=1\n", "no page faults"),
                             ("1 tid=5 fault addr=0x1000 flags=0x3\n", "no rss_stat")):
            path = assemble(head + records, self.directory / "nothing.mmt.zst")
            run = refold("replay", path)
            self.assertEqual(run.returncode, 1, run.stderr)
            self.assertIn(f"{path}: nothing was replayed: ", run.stderr)
            self.assertIn(why, run.stderr)
            self.assertIn("nothing was replayed", run.stdout)
            self.assertNotIn("linux-6.12", run.stdout.partition("\nassumed")[0])

    def test_nobody_did_anything(self):
        """The last part of a recording that is kept in parts may be one during which nothing happened."""
        head = ('header {"arch":"x86_64","cpus":1,"page_size":4096%s}\nstream 0 source=snapshot cpu=0\nframe stream=0\n'
                '1 tid=100 process pid=100\n2 tid=100 snap_begin pid=100 why=0 threads=1\n'
                '3 tid=100 snap_end pid=100 complete=1 stopped=1\nend %s\n')
        missing = ',"events_missing":{"task:kprobes:handle_mm_fault":"no"}'
        for more, end, code in (("", "time", 0), ("", "signal", 0), ("", "imported", 1), (missing, "time", 1)):
            run = refold("replay", assemble(head % (more, end), self.directory / "idle.mmt.zst"))
            self.assertEqual(run.returncode, code, run.stderr)
            self.assertEqual("did anything" in run.stderr, not code, run.stderr)

    def test_clock_that_counts_no_time(self):
        path = assemble(self.text.replace('{"arch"', '{"clock": "counter", "arch"'), self.directory / "counter.mmt.zst")
        self.assertIn("counter", refold("info", path).stdout)
        self.fails(1, path, "clock counter", run=refold("replay", path))

    def compressed(self, name, content):
        plain = self.file(name + ".plain", content)
        subprocess.run(["zstd", "-q", "-f", "--check", plain, "-o", self.directory / name], check=True)
        return self.directory / name

    @unittest.skipUnless(shutil.which("zstd"), "needs zstd")
    def test_foreign_zstd(self):
        for content in (b"some other compressed file\n", b'{"format": "something-else/1"}'):
            path = self.compressed("foreign.mmt.zst", content)
            self.fails(1, path, run=refold("replay", path))

    @unittest.skipUnless(shutil.which("zstd"), "needs zstd")
    def test_newer_format(self):
        header = refold("dump", self.trace).stdout.splitlines()[0].removeprefix("header ")
        header = header.replace("refold-trace/1", "refold-trace/2")
        self.assertIn("refold-trace/2", header)
        path = self.compressed("newer.mmt.zst", header.encode())
        self.fails(1, path, "refold-trace/2", run=refold("replay", path))

    def test_missing_file_and_directory(self):
        self.fails(1, "nowhere.mmt.zst", run=refold("replay", "nowhere.mmt.zst"))
        self.fails(1, self.directory, run=refold("replay", self.directory))
        self.fails(1, "nowhere.mmt.zst", run=refold("replay", self.trace, "nowhere.mmt.zst"))

    @unittest.skipIf(os.geteuid() != 0, "needs root to become somebody else")
    def test_no_permission(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            program = shutil.copy(REFOLD, directory)
            trace = shutil.copy(self.trace, directory)
            os.chmod(trace, 0o600)
            run = subprocess.run([program, "replay", trace], capture_output=True, text=True, user=65534)
            self.fails(1, trace, "ermission", run=run)

    def test_truncated(self):
        content = self.trace.read_bytes()
        for length in (len(content) * 2 // 3, len(content) // 2):
            path = self.file("cut.mmt.zst", content[:length])
            output = self.directory / "cut.json"
            run = refold("replay", path, "-o", output, "-q")
            self.fails(3, path, run=run)
            report = json.loads(output.read_text())
            self.assertEqual(json_schema.check(report, SCHEMA), [])
            self.assertFalse(report["complete"])
            self.assertIn("cut.mmt.zst", report["warnings"][0])
            self.assertTrue(refold("replay", path).stdout.startswith("WARNING    cut.mmt.zst"))

    def test_flipped_bit(self):
        content = bytearray(self.trace.read_bytes())
        content[len(content) // 2] ^= 0x10
        path = self.file("flipped.mmt.zst", bytes(content))
        run = refold("replay", path, "-j")
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1)
        self.assertFalse(json.loads(run.stdout)["complete"])

    def test_header_cut(self):
        """Nothing can be read, and the report that exit code 3 promises says so."""
        path = self.file("headless.mmt.zst", self.trace.read_bytes()[:40])
        run = refold("replay", path, "-j")
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1)
        report = json.loads(run.stdout)
        self.assertFalse(report["complete"])
        self.assertEqual(report["trace"]["records"], 0)
        self.assertIn("damaged at byte 0", report["warnings"][0])

    def test_losses(self):
        lines = self.text.splitlines(keepends=True)
        lines.insert(next(i for i, line in enumerate(lines) if " mmap " in line) + 2, "frame stream=0 lost=7\n")
        path = assemble("".join(lines), self.directory / "lossy.mmt.zst")
        report = self.report(path)
        self.assertEqual(report["trace"]["lost_events"], 7)
        self.assertTrue(report["complete"])
        self.assertIn("7 events were lost", report["warnings"][0])
        self.assertGreater(report["fidelity"]["inexact_mms"], 0)
        self.report(path, "--max-loss", 7)
        output = self.directory / "lossy.json"
        self.fails(4, "7 events", "--max-loss", run=refold("replay", path, "-q", "-o", output, "--max-loss", 6))
        self.assertEqual(json.loads(output.read_text()), report)

    # ---- output ----

    def test_limit_of_file_sizes(self):
        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        report = self.directory / "limited.json"
        self.fails(1, "File too large", run=refold("replay", self.trace, "-q", "-o", report, preexec_fn=limited))
        self.assertFalse(report.exists())
        with open(self.directory / "limited.txt", "w") as file:
            run = refold("replay", self.trace, "-jq", capture_output=False, stdout=file, stderr=subprocess.PIPE,
                         preexec_fn=limited)
            self.fails(1, "File too large", run=run)

    def test_full_disk(self):
        self.fails(1, "/dev/full", run=refold("replay", self.trace, "-q", "-o", "/dev/full"))
        with open("/dev/full", "w") as full:
            for arguments in (["replay", self.trace], ["replay", self.trace, "-j"], ["policies"], ["help"],
                              ["info", self.trace], ["dump", self.trace]):
                run = refold(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
                self.fails(1, "standard output", run=run)

    def test_output_nowhere(self):
        self.fails(1, "nowhere/report.json", run=refold("replay", self.trace, "-o", "nowhere/report.json"))
        self.fails(1, "nowhere/tables", run=refold("replay", self.trace, "--page-tables", "nowhere/tables"))

    def test_where_output_goes(self):
        output = self.directory / "report.json"
        table = refold("replay", self.trace)
        self.assertEqual((table.returncode, table.stderr), (0, ""))
        self.assertTrue(table.stdout.startswith("linux-7.3 against linux-6.8: "))
        both = refold("replay", self.trace, "-o", output)
        self.assertEqual((both.stdout, both.stderr), (table.stdout, ""))
        for arguments in (["-j"], ["-o", "-"], ["-j", "-o", "-"], ["-j", "-o", output]):
            self.assertEqual(refold("replay", self.trace, *arguments).stdout, output.read_text())
        quiet = refold("replay", self.trace, "-q")
        self.assertEqual((quiet.returncode, quiet.stdout, quiet.stderr), (0, "", ""))

    def test_page_tables(self):
        output = self.directory / "tables.tsv"
        refold("replay", self.trace, "-q", "--page-tables", output)
        self.assertIn("400000000000", output.read_text())

    def operations(self, *arguments):
        done = refold("replay", self.trace, "-q", "--operations", "-", *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_operations(self):
        """Each with its records, which are those of the sorted dump at the lines they name."""
        lines = self.operations()
        records = refold("dump", "--sorted", self.trace).stdout.splitlines()
        self.assertEqual(lines[0], f"# {self.trace}")
        operations = [line for line in lines[1:] if not line.startswith("\t")]
        told = [re.fullmatch(r"\t(in|by) (\d+): (.*)", line) for line in lines if line.startswith("\t")]
        self.assertTrue(all(told))
        for one in told:
            self.assertEqual(records[int(one[2]) - 1], one[3])
        self.assertEqual(sum(one[1] == "by" for one in told), len(operations))
        first = next(i for i, line in enumerate(lines) if " fault_anon " in line)
        self.assertRegex(lines[first], r"^\d+ fault_anon mm=0 addr=0x400000000000 nr=16 pfn=0x100000 order=4 flags=write row=fault_anon$")
        self.assertRegex(lines[first + 1], r"^\tin \d+: \d+ tid=100 fault addr=0x400000000000 flags=0x2$")
        self.assertRegex(lines[first + 2], r"^\tby \d+: \d+ tid=100 rss_stat mm_id=7 curr=1 member=1 pages=16$")
        fork = next(i for i, line in enumerate(lines) if " fork " in line)
        self.assertIn(" tid=100 clone ", lines[fork + 1])

    def test_operations_are_counted(self):
        """Of every sample: each row has as many operations as the report counts in it."""
        output = self.directory / "operations.txt"
        for trace in sorted((GOLDEN.parent.parent / "traces" / "samples").glob("*.zst")):
            counted = self.report(trace, "-p", "linux-7.3", "--operations", output)["policies"][0]["operations"]
            rows = collections.Counter(re.findall(r"^\d.* row=(\w+)", output.read_text(), re.M))
            counted.pop("rmap_walk")    # walks of what other rows do
            self.assertEqual(rows, {row: one["operations"] for row, one in counted.items() if one["operations"]})

    def test_only(self):
        def names(*only):
            return [line.split()[1] for line in self.operations("--only", *only) if line[0] not in "\t#"]

        every = names("addr=0-0xffffffffffffffff")
        self.assertEqual(names("op=fork"), ["fork"])
        self.assertEqual(set(names("op=fork,op=mm_exit")), {"fork", "mm_exit"})
        self.assertEqual(names("mm=0,op=fork") + names("mm=1,op=fork"), ["fork"])
        self.assertLess(len(names("mm=1")), len(every))
        self.assertEqual(names("op=fault_anon,addr=0x40000000ffff"), ["fault_anon"])
        self.assertEqual(names("op=fault_anon,addr=0x40000000ffff-0x400000010001"), ["fault_anon"] * 2)
        self.assertEqual(names("op=fault_anon,addr=0x300000000000"), [])
        self.assertEqual(names("row=fork"), ["fork"])
        self.assertEqual(names("row=zap_exit,row=fork"), names("op=fork,op=mm_exit"))
        self.assertEqual(names("op=map,addr=0x400000100000-0x400000100001"), ["map"])

    def test_bad_only(self):
        for only, said in (("op=forks", "fork?"), ("row=kow", "cow?"), ("row=nonsense", "zap_munmap"), ("op=", "fork"),
                           ("mm=x", "mm=x"), ("mm=-1", "mm=-1"),
                           ("addr=2-1", "addr=2-1"), ("addr=", "addr="), ("addr=0x1-z", "0x1-z"), ("", "addr=ADDRESS"),
                           ("mm=1,", "mm=NUMBER"), ("tid=3", "'tid=3'")):
            self.fails(2, "--only", said, run=refold("replay", self.trace, "--operations", "-", "--only", only))
        self.fails(2, "--operations FILE", run=refold("replay", self.trace, "--only", "mm=0"))
        self.fails(1, "nowhere/ops", run=refold("replay", self.trace, "--operations", "nowhere/ops"))

    # ---- results ----

    def test_policies_do_not_disturb_each_other(self):
        names = ["linux-6.8", "contpte-v3", "linux-6.12", "linux-7.3", "x86-6.18"]
        together = self.report(self.trace, "-p", ",".join(names))["policies"]
        for name, policy in zip(names, together):
            self.assertEqual(self.report(self.trace, "-p", name)["policies"], [policy])

    def test_no_path_in_report(self):
        text = refold("replay", self.trace, "-j").stdout
        self.assertNotIn(str(self.directory), text)
        self.assertIn('"fork.mmt.zst"', text)

    def test_several_traces_add_up(self):
        one, two = self.report(self.trace, "-p", "linux-6.12"), self.report(self.trace, self.trace, "-p", "linux-6.12")
        self.assertEqual((two["trace"]["files"], len(two["traces"])), (2, 2))
        self.assertEqual(two["trace"]["records"], 2 * one["trace"]["records"])
        self.assertEqual(two["fidelity"]["ptes"], 2 * one["fidelity"]["ptes"])
        for row, counters in one["policies"][0]["operations"].items():
            for name, value in counters.items():
                self.assertEqual(two["policies"][0]["operations"][row][name], 2 * value, (row, name))

    def test_rows_add_up(self):
        for policy in self.report(self.trace)["policies"]:
            for name in next(iter(policy["operations"].values())):
                total = sum(counters[name] for counters in policy["operations"].values())
                self.assertEqual(policy["totals"][name], total, name)
            totals = policy["totals"]
            self.assertEqual(totals["tlbi"], totals["tlbi_va"] + totals["tlbi_range"] + totals["tlbi_asid"])
            self.assertEqual(totals["live_blocks"],
                             totals["born"] + totals["fold"] - totals["unfold"] - totals["erased"])

    # ---- windows ----

    def marked(self, name, *marks):
        """The trace with marks at these times: the whole text, in as many records as it needs."""
        lines = self.text.splitlines(keepends=True)
        for time, text in marks:
            at = next(i for i, line in enumerate(lines) if line[0].isdigit() and int(line.split()[0]) > time)
            words = [f'w{i % 6}="{text[8 * i:8 * i + 8]}"' for i in range((len(text) + 7) // 8)]
            parts = [" ".join(words[i:i + 6]) for i in range(0, len(words), 6)]
            lines[at:at] = [f"{time} tid=100 {'marker_more' if i else 'marker'} {part}\n"
                            for i, part in enumerate(parts)]
        return assemble("".join(lines), self.directory / name)

    BEFORE_FORK, AFTER_CHILD, AFTER_MMAP = 1101000, 1109000, 1005000

    def test_window(self):
        label = "fork_exit/64K-8/fork-of-a-process-with-many-folded-blocks"
        path = self.marked("marked.mmt.zst", (self.BEFORE_FORK, f"WL BEGIN {label}"),
                           (self.AFTER_CHILD, f"WL END {label}"))
        report = self.report(path, "-p", "linux-6.12,linux-6.8")
        self.assertEqual(len(report["windows"]), 1)
        window, (whole, before_contpte) = report["windows"][0], report["policies"]
        self.assertEqual((window["label"], window["occurrence"], window["ended_by"]), (label, 1, "mark"))
        self.assertEqual(window["end_ns"] - window["begin_ns"], self.AFTER_CHILD - self.BEFORE_FORK)
        self.assertEqual(window["records_by_kind"]["newtask"], 1)
        self.assertNotIn("marker", window["records_by_kind"])
        counted = window["policies"][0]
        self.assertEqual(counted["operations"].keys(), {"fork", "zap_exit"})
        self.assertEqual(counted["operations"]["fork"], whole["operations"]["fork"])
        self.assertEqual(counted["operations"]["zap_exit"]["erased"], 32)
        self.assertEqual(counted["batches"]["wrprotect_ptes"], [[16, 32]])
        self.assertEqual((counted["totals"]["born"], counted["totals"]["live_blocks"]), (32, 32))
        self.assertEqual(window["policies"][1]["name"], before_contpte["name"])
        self.assertEqual(window["policies"][1]["totals"]["born"], 0)

    def test_windows_add_up(self):
        """What is in no window and what is in one is all there is."""
        path = self.marked("parts.mmt.zst", (0, "all"), (self.AFTER_MMAP, "all"), (self.BEFORE_FORK, "fork"))
        report = self.report(path, "-p", "linux-6.12")
        windows = report["windows"]
        self.assertEqual([(window["label"], window["occurrence"], window["ended_by"]) for window in windows],
                         [("all", 1, "next"), ("all", 2, "next"), ("fork", 1, "recording")])
        totals = report["policies"][0]["totals"]
        for name in ("tlbi", "born", "erased", "pte_loads", "faults", "operations", "live_block_time_ms"):
            parts = [window["policies"][0]["totals"][name] for window in windows]
            self.assertAlmostEqual(sum(parts), totals[name], delta=len(parts) if name.endswith("_ms") else 0, msg=name)
        self.assertEqual(windows[-1]["policies"][0]["totals"]["live_blocks"], totals["live_blocks"])

    def test_window_patterns(self):
        path = self.marked("phases.mmt.zst", (self.AFTER_MMAP, "start [touch]"), (self.BEFORE_FORK, "start [fork]"),
                           (self.AFTER_CHILD, "stop"))

        def windows(*arguments):
            report = self.report(path, "-p", "linux-6.12", *arguments)
            return [(window["label"], window["ended_by"]) for window in report["windows"]]

        begin = ["--window-begin", r"^start \[(.*)\]$"]
        self.assertEqual(windows(*begin), [("touch", "next"), ("fork", "recording")])
        self.assertEqual(windows(*begin, "--window-end", "stop"), [("touch", "next"), ("fork", "mark")])
        self.assertEqual(windows(), [("start [touch]", "next"), ("start [fork]", "next"), ("stop", "recording")])
        self.fails(2, "(start", "regular expression", run=refold("replay", path, "--window-begin", "(start"))
        none = refold("replay", path, "-q", "--window-begin", "go")
        self.assertEqual((none.returncode, none.stderr), (0, f"refold: {path}: none of its 3 marks begins a window\n"))

    def test_window_table(self):
        path = self.marked("table.mmt.zst", (self.BEFORE_FORK, "WL BEGIN fork"), (self.AFTER_CHILD, "WL END fork"))
        plain = refold("replay", path).stdout
        table = refold("replay", path, "--windows").stdout
        self.assertTrue(table.startswith(plain))
        rows = [line.split() for line in table[len(plain):].splitlines()]
        self.assertEqual(rows[1][:2], ["window", "policy"])
        values = dict(zip(rows[1][2:], rows[4][1:]))
        self.assertEqual((rows[2][0], rows[4][0]), ("fork", "linux-6.12"))
        self.assertEqual((values["born"], values["erased"], values["live_blocks"]), ("32", "32", "32"))
        self.assertIn("no windows", refold("replay", self.trace, "--windows").stdout)

    def test_processes(self):
        """Whose address space it is decides: the fork is the parent's work, the child's exit the child's."""
        last = "stream 2 source=snapshot cpu=0\n"
        text = self.text.replace(last, last + "stream 3 source=perf cpu=0\n")
        text = text.replace("end command", "frame stream=3\n"
                            '1003500 tid=100 comm name0="forking"\n'
                            '1105500 tid=100 comm name0="forking " name1="server"\n'
                            '1106500 tid=101 comm name0="worker" exec=1\nend command')
        path = assemble(text, self.directory / "processes.mmt.zst")
        report = self.report(path, "-p", "linux-6.12,linux-6.8", "--processes")
        parent, child = report["processes"]
        self.assertEqual((parent["pid"], parent["command"]), (100, "forking server"))
        self.assertEqual((child["pid"], child["command"]), (101, "worker"))
        self.assertGreater(child["begin_ns"], parent["begin_ns"])
        for i, policy in enumerate(report["policies"]):
            mine, other = parent["policies"][i], child["policies"][i]
            self.assertEqual((mine["name"], other["name"]), (policy["name"], policy["name"]))
            for name, value in mine["totals"].items():
                self.assertEqual(value + other["totals"][name], policy["totals"][name], name)
        self.assertEqual(child["policies"][0]["totals"]["erased"], 32)
        self.assertEqual(child["policies"][0]["totals"]["operations"], 1)
        self.assertEqual(self.report(path)["processes"], [])
        rows = refold("replay", path, "-p", "linux-6.12", "--processes").stdout.splitlines()[-3:]
        self.assertRegex(rows[0], r"^process +policy +faults +fold +unfold +born +erased +tlbi +dsb$")
        self.assertRegex(rows[1], r"^100 forking server +linux-6.12 ")
        self.assertRegex(rows[2], r"^101 worker +linux-6.12 ")

    def test_processes_of_windows(self):
        path = self.marked("own.mmt.zst", (self.BEFORE_FORK, "WL BEGIN fork"), (self.AFTER_CHILD, "WL END fork"))
        report = self.report(path, "-p", "linux-6.12", "--processes")
        window = report["windows"][0]
        self.assertEqual([process["pid"] for process in window["processes"]], [100, 101])
        for name, value in window["policies"][0]["totals"].items():
            if not name.startswith("live_"):
                self.assertEqual(sum(process["policies"][0]["totals"][name] for process in window["processes"]), value)
        self.assertEqual(window["processes"][0]["policies"][0]["totals"]["born"], 32)
        self.assertEqual(self.report(path)["windows"][0]["processes"], [])

    # ---- diff ----

    def reports(self):
        a, b = self.directory / "a.json", self.directory / "b.json"
        refold("replay", self.trace, "-q", "-p", "linux-6.8,linux-6.12", "-o", a)
        refold("replay", self.trace, "-q", "-p", "linux-7.3", "-o", b)
        return a, b

    def test_diff_of_policies(self):
        a, b = self.reports()
        done = refold("diff", a, "--policies", "linux-6.8,linux-6.12", "--all")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^fork +born +0 +32 +\+32 +new$")
        self.assertRegex(done.stdout, r"(?m)^ +pte_loads +1,024 +1,056 +\+32 +\+3\.1 %$")
        self.assertRegex(done.stdout, r"(?m)^knob +cont +false +true$")
        done = refold("diff", a, b, "--policies", "linux-6.12,linux-7.3", "-j")
        diff = json.loads(done.stdout)
        self.assertEqual(diff["schema"], "refold-diff/1")
        change = next(change for change in diff["comparisons"][0]["changes"]
                      if change.get("operation") == "fork" and change["counter"] == "pte_loads")
        self.assertEqual((change["a"], change["b"], change["change"]), (1056, 608, -448))
        self.assertEqual(change["ratio_ppm"], 575757)

    def test_diff_of_windows(self):
        """A window that only one report has, and one that two policies count differently."""
        marks = (self.BEFORE_FORK, "WL BEGIN fork"), (self.AFTER_CHILD, "WL END fork")
        a, b = self.directory / "wa.json", self.directory / "wb.json"
        refold("replay", self.marked("wa.mmt.zst", *marks), "-q", "-p", "linux-6.12", "-o", a)
        refold("replay", self.marked("wb.mmt.zst", (self.AFTER_MMAP, "WL BEGIN touch"), *marks), "-q", "-p",
               "linux-6.12", "-o", b)
        windows = json.loads(refold("diff", "-j", a, b).stdout)["comparisons"][0]["windows"]
        self.assertEqual(windows, [{"label": "touch", "occurrence": 1, "only_in": "b", "changes": []}])
        self.assertIn("window touch: only in b\n", refold("diff", a, b, "--all").stdout)
        self.assertIn("1 window differs: --all", refold("diff", a, b).stdout)
        refold("replay", self.directory / "wa.mmt.zst", "-q", "-p", "linux-6.8,linux-6.12", "-o", b)
        policies = ["--policies", "linux-6.8,linux-6.12"]
        window = json.loads(refold("diff", "-j", b, *policies).stdout)["comparisons"][0]["windows"][0]
        self.assertEqual(window["label"], "fork")
        born = next(change for change in window["changes"] if change["counter"] == "born")
        self.assertEqual((born["section"], born["a"], born["b"]), ("totals", 0, 32))
        self.assertRegex(refold("diff", b, *policies, "--all").stdout, r"(?m)^window fork\ntotals +born +0 +32 ")
        self.assertEqual(refold("diff", "-x", a, a).returncode, 0)

    def test_diff_exit_codes(self):
        a, b = self.reports()
        self.assertEqual(refold("diff", a, a).returncode, 0)
        self.assertEqual(refold("diff", "-x", a, a).returncode, 0)
        self.assertIn("no counter differs", refold("diff", a, a).stdout)
        self.assertEqual(refold("diff", "-x", a, "--policies", "linux-6.8,linux-6.12").returncode, 1)
        # Two policies in a, another one in b: nothing can be paired, and that is said of each.
        lonely = refold("diff", a, b)
        self.assertEqual((lonely.returncode, lonely.stdout), (2, ""))
        self.assertIn("no policy in common", lonely.stderr)

    def test_diff_of_wrong_input(self):
        a, b = self.reports()
        self.fails(2, "needs two", run=refold("diff", a))
        self.fails(2, "--policies", run=refold("diff", a, "--policies", "one"))
        self.fails(2, b, "linux-6.8", run=refold("diff", b, "--policies", "linux-6.8,linux-7.3"))
        self.fails(1, "nowhere.json", run=refold("diff", a, "nowhere.json"))
        self.fails(1, "other.json", run=refold("diff", a, self.file("other.json", b"{}")))
        self.fails(1, "newer.json", "refold-report/2",
                   run=refold("diff", a, self.file("newer.json", b'{"schema": "refold-report/2", "policies": []}')))
        cut = self.file("cut.json", a.read_bytes()[:1000])
        self.fails(3, cut, run=refold("diff", a, cut))


if __name__ == "__main__":
    unittest.main()
