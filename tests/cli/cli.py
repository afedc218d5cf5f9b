#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The command line of refold as a user meets it: exit codes, one-line errors that name the file and say what to do,
results kept when the input is damaged, and no output lost without notice.

usage: cli.py REFOLD SCHEMA [unittest arguments]
"""
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
import unittest

from command_line import assemble, CommandLine, GOLDEN, json_schema, REFOLD, refold, SCHEMA


class Answers(CommandLine):
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
            self.fails(1, path, why, run=refold("ablate", "-q", path, "--from", "linux-6.9", "--to", "linux-7.3"))

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


if __name__ == "__main__":
    unittest.main()
