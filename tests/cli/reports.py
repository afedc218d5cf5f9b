#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What refold says of a trace: its operations, sums that add up, windows, processes, and how two reports differ.

usage: reports.py REFOLD SCHEMA [unittest arguments]
"""
import collections
import json
import re
import unittest

from command_line import assemble, CommandLine, GOLDEN, refold


class Reports(CommandLine):
    # ---- operations ----

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
