#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
refold replay --by: whose counts they are. Nothing is counted twice and nothing is missing, whatever the keys, on every
sample; the same replay gives the same bytes; on a small trace the rows are those that its records name.

usage: attribution.py REFOLD SCHEMA SAMPLES [unittest arguments]
"""
import collections
import csv
import io
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
SAMPLES = sorted(pathlib.Path(sys.argv.pop(1)).glob("*.mmt.zst"))
KEYS = ["vma", "mapping", "thread", "process", "call", "stack", "size", "site"]
POLICIES = "linux-6.8,linux-7.3,linux-7.3+granule=16k,linux-7.3+khuge_cont=1,x86-6.18,"
POLICIES += "linux-7.3+anon_folios=2m+khugepaged=1"
ALL = "1000000"

# A thread named worker, of a process named server, maps 1 MiB, writes to its first page, gives that back, and unmaps.
SMALL = """\
header {"arch": "x86_64", "cpus": 1, "kernel": "6.18.0", "mode": "pid", "page_size": 4096}
stream 0 source=task cpu=0
stream 1 source=snapshot cpu=0
frame stream=1
1000 tid=100 snap_begin pid=100 why=0 threads=2
1000 tid=100 snap_vma addr=0x400000 len=0x2000 pgoff=0 dev=0x800001 ino=77 flags=0x5
1000 tid=100 snap_vma addr=0x600000 len=0x1000 pgoff=0x600 dev=0x0 ino=0 flags=0x10003
1000 tid=100 snap_rss file=0 anon=0 swap=0 shmem=0
1000 tid=100 snap_end pid=100 complete=1 stopped=1
1100 tid=101 process pid=100
1200 tid=100 comm name0="server"
1201 tid=101 comm name0="worker"
frame stream=0
2000 tid=101 mmap addr=0x0 len=0x100000 prot=0x3 flags=0x22 fd=-1 offset=0x0
2100 tid=101 sys_ret call=16 ret=0x7f0000000000
3000 tid=101 fault addr=0x7f0000000010 flags=0x2
3010 tid=101 page_alloc pfn=0x1000 order=0 gfp=0x3
3020 tid=101 rss_stat mm_id=1 curr=1 member=1 pages=1
4000 tid=101 madvise addr=0x7f0000000000 len=0x2000 advice=4
4010 tid=101 rss_stat mm_id=1 curr=1 member=1 pages=0
4020 tid=101 sys_ret call=20 ret=0
5000 tid=100 fault addr=0x600008 flags=0x2
5010 tid=100 page_alloc pfn=0x1001 order=0 gfp=0x3
5020 tid=100 rss_stat mm_id=1 curr=1 member=1 pages=1
6000 tid=101 munmap addr=0x7f0000000000 len=0x100000
6100 tid=101 sys_ret call=17 ret=0
end command
"""

# The same, and where its calls are made from: mmap() and madvise() from two places of a file, mmap() through code of no
# file. Of munmap() there are stacks that are not its own: of another kind of call, and too long before. What is wrong
# of the rest: stacks that call themselves or have no number, a file that ends a line and a frame, and numbers of files
# and stacks that nobody has defined.
STACKS = SMALL.replace("stream 1", """\
stream 1 source=snapshot cpu=0
stream 2 source=perf cpu=0
stream 3 source=perf cpu=0
frame stream=2
3000 tid=0 module module=1 size=20 id0=0x1 id1=0x2 id2=0x3
3000 tid=0 module_path module=1 at=0 w0="/opt/a;b" w1="/serv\\x0aer"
3000 tid=0 module module=2 size=8 id0=0xefbeadde
3000 tid=0 stack stack=1 caller=0 module=1 offset=0x10
3000 tid=0 stack stack=2 caller=1 module=2 offset=0x20
3000 tid=0 stack stack=3 caller=2 module=1 offset=0x30
3000 tid=0 stack stack=4 caller=2 module=0 offset=0x0
3000 tid=0 stack stack=5 caller=5 module=1 offset=0x30
3000 tid=0 stack stack=0 caller=0 module=1 offset=0x30
3000 tid=0 stack stack=18446744073709551615 caller=0 module=1 offset=0x30
3000 tid=0 module module=18446744073709551615 size=99 id0=0x1
3000 tid=0 module_path module=1 at=18446744073709551615 w0="x"
3000 tid=0 no_stacks why=9 calls=1
frame stream=3
1990 tid=101 call_stack call=16 stack=4
3990 tid=101 call_stack call=20 stack=3
5980 tid=101 call_stack call=17 stack=77
5990 tid=101 call_stack call=20 stack=3
XXXX stream 1""").replace("XXXX stream 1 source=snapshot cpu=0\n", "")


def refold(*arguments, **options):
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run([REFOLD, *map(str, arguments)], **options)


def add(sums, share):
    sums["bytes"] += share["bytes"]
    for name, value in share["totals"].items():
        sums[name] += value


class Attribution(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="refold-by-"))
        cls.small = cls.directory / "small.mmt.zst"
        done = refold("assemble", "-", "-o", cls.small, input=SMALL, stdin=None)
        assert done.returncode == 0, done.stderr
        cls.stacks = cls.directory / "stacks.mmt.zst"
        done = refold("assemble", "-", "-o", cls.stacks, input=STACKS, stdin=None)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def report(self, trace, *options):
        done = refold("replay", "-j", trace, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def rows(self, keys, trace=None, policy="linux-7.3"):
        report = self.report(trace or self.small, "-p", policy, "--by", keys, "--top", ALL)
        return report["attribution"][0]["policies"][0]["rows"]

    # ---- sums ----

    def check_sums(self, report, keys, top):
        attribution, = report["attribution"]
        self.assertEqual(attribution["by"], keys)
        of_bytes = set()
        for policy, shares in zip(report["policies"], attribution["policies"], strict=True):
            self.assertEqual(shares["name"], policy["name"])
            self.assertLessEqual(len(shares["rows"]), top)
            sums = collections.Counter()
            for share in shares["rows"] + [shares["rest"]]:
                add(sums, share)
            of_bytes.add(sums.pop("bytes"))
            for name, value in sums.items():
                self.assertEqual(value, policy["totals"][name], (keys, policy["name"], name))
            named = [tuple(share[key] for key in keys) for share in shares["rows"]]
            self.assertEqual(len(named), len(set(named)), keys)
            dearest = [[share["totals"][name] for name in ("tlbi", "unfold", "dsb", "faults")] + [share["bytes"]]
                       for share in shares["rows"]]
            self.assertEqual(dearest, sorted(dearest, reverse=True))
        self.assertEqual(len(of_bytes), 1)

    def test_sums(self):
        for sample in SAMPLES:
            for keys in [[key] for key in KEYS] + [["vma", "call"], ["thread", "size"], ["site", "process"], KEYS]:
                with self.subTest(sample=sample.name, keys=keys):
                    report = self.report(sample, "-p", POLICIES, "--by", ",".join(keys), "--top", "7")
                    self.check_sums(report, keys, 7)

    def test_finer_keys_add_up_to_coarser(self):
        """Of two keys the rows with the same first one are that row; --top leaves out and changes nothing else."""
        for sample in SAMPLES:
            for first, second in (("vma", "call"), ("call", "site"), ("process", "thread"), ("mapping", "vma")):
                coarse = {row[first]: row for row in self.rows(first, sample)}
                sums = collections.defaultdict(collections.Counter)
                for row in self.rows(f"{first},{second}", sample):
                    add(sums[row[first]], row)
                with self.subTest(sample=sample.name, keys=(first, second)):
                    self.assertEqual(sums.keys(), coarse.keys())
                    for key, row in coarse.items():
                        self.assertEqual(+sums[key], +collections.Counter(row["totals"] | {"bytes": row["bytes"]}), key)

    def test_agrees_with_the_rest_of_the_report(self):
        for sample in SAMPLES:
            report = self.report(sample, "-p", POLICIES, "--by", "site", "--top", ALL, "--processes")
            for i, policy in enumerate(report["policies"]):
                sites = {row["site"]: row["totals"] for row in report["attribution"][0]["policies"][i]["rows"]}
                for name, row in policy["operations"].items():
                    self.assertEqual(sites.get(name, dict.fromkeys(row, 0)), row, (sample.name, policy["name"], name))
            by_process = {row["process"]: row["totals"] for row in self.rows("process", sample, "linux-6.8")}
            for process in report["processes"]:
                totals = process["policies"][0]["totals"]
                if process["pid"] and any(totals.values()):
                    self.assertEqual(by_process[f"{process['command']} ({process['pid']})"], totals)

    def test_own_work(self):
        """What a policy does between operations is of none of them, and is all that is in its row."""
        report = self.report(SAMPLES[0], "-p", "linux-7.3+anon_folios=64k+2m+khugepaged=1", "--by", "call,site",
                             "--top", ALL)
        row, = [row for row in report["attribution"][0]["policies"][0]["rows"]
                if row["call"] == "the policy's own scans" and row["site"] == "collapse"]
        self.assertEqual(row["totals"], report["policies"][0]["operations"]["collapse"])
        self.assertGreater(row["totals"]["ptep_get"], 0)

    def test_changes_nothing_else(self):
        for options in ((), ("--processes",)):
            plain = self.report(SAMPLES[0], "-p", POLICIES, *options)
            with_by = self.report(SAMPLES[0], "-p", POLICIES, "--by", "vma,thread,call,size,site", *options)
            del with_by["attribution"]
            self.assertEqual(with_by, plain)

    def test_deterministic_and_valid(self):
        runs = {refold("replay", "-j", *SAMPLES, "-p", POLICIES, "--by", ",".join(KEYS)).stdout for _ in range(3)}
        self.assertEqual(len(runs), 1)
        report = json.loads(runs.pop())
        self.assertEqual([part["trace"] for part in report["attribution"]], [sample.name for sample in SAMPLES])
        self.assertEqual(json_schema.check(report, SCHEMA), [])

    # ---- names ----

    def test_names(self):
        """By hand: each operation of the small trace, in each key."""
        def named(keys, count="operations"):
            return {tuple(row[key] for key in keys.split(",")): row["totals"][count] for row in self.rows(keys)}

        # The mmap, two faults, the zap of madvise() and the munmap; what was loaded is not counted.
        self.assertEqual(named("call"), {("mmap",): 1, ("fault",): 2, ("madvise(DONTNEED)",): 1, ("munmap",): 1})
        self.assertEqual(named("thread"), {("worker (101)",): 4, ("server (100)",): 1})
        self.assertEqual(named("process"), {("server (100)",): 5})
        self.assertEqual(named("mapping"), {("anon",): 4, ("heap",): 1})
        vma, heap = "anon 0x7f0000000000+1M of server (100)", "heap 0x600000+4K of server (100)"
        self.assertEqual(named("vma,call"), {(vma, "mmap"): 1, (vma, "fault"): 1, (vma, "madvise(DONTNEED)"): 1,
                                             (vma, "munmap"): 1, (heap, "fault"): 1})
        # madvise() named 8 KiB, the faults map a page each, mmap() and munmap() named 1 MiB.
        self.assertEqual(named("size"), {("8 KiB",): 1, ("4 KiB",): 2, ("1 MiB",): 2})
        self.assertEqual(named("site"), {("vma",): 1, ("fault_anon",): 2, ("zap_dontneed",): 1, ("zap_munmap",): 1})
        sizes = {row["call"]: row["bytes"] for row in self.rows("call")}
        self.assertEqual(sizes, {"mmap": 1 << 20, "fault": 2 << 12, "madvise(DONTNEED)": 2 << 12, "munmap": 1 << 20})

    def test_stacks(self):
        """By hand: no symbols, so functions are places in files."""
        top, middle, inner = "serv?er+0x10", "deadbeef+0x20", "serv?er+0x30"
        self.assertEqual({row["stack"]: (row["totals"]["operations"], row.get("frames"))
                          for row in self.rows("stack", self.stacks)},
                         {f"code of no file < {middle} < {top}": (1, ["code of no file", middle, top]),
                          f"{inner} < {middle} < {top}": (1, [inner, middle, top]),
                          "fault": (2, None), "no stack": (1, None)})
        report = self.report(self.stacks, "-p", POLICIES, "--by", "stack,call", "--top", "2")
        self.check_sums(report, ["stack", "call"], 2)
        self.assertEqual(json_schema.check(report, SCHEMA), [])

    def test_stacks_change_nothing_else(self):
        """As if they had not been recorded: the report, and the numbers of records that operations are told with."""
        def replayed(trace):
            report = self.report(trace, "-p", POLICIES, "--by", "vma,call", "--operations",
                                 self.directory / "operations")
            for part in [report["trace"], *report["traces"]]:
                for name in ("records", "records_by_kind", "bytes", "name", "digest"):
                    part.pop(name, None)
            del report["attribution"][0]["trace"]
            return report

        self.assertEqual(replayed(self.stacks), replayed(self.small))
        lines = refold("dump", "--sorted", self.stacks).stdout.splitlines()
        told = (self.directory / "operations").read_text()
        replayed(self.stacks)
        self.assertNotEqual(told, (self.directory / "operations").read_text())
        records = [line for line in lines if line[0].isdigit()]
        munmap = next(i for i, line in enumerate(records, 1) if " munmap " in line)
        self.assertIn(f"\tin {munmap}: ", (self.directory / "operations").read_text())

    def test_folded(self):
        """By hand, too: functions from the outermost on, other keys before them, and all lines together the total."""
        done = refold("replay", "-q", self.stacks, "-p", "linux-6.8,linux-7.3", "--folded", "bytes:linux-7.3")
        self.assertEqual((done.returncode, sorted(done.stdout.splitlines())),
                         (0, ["fault 8192", "no stack 1048576", "serv?er+0x10;deadbeef+0x20;code of no file 1048576",
                              "serv?er+0x10;deadbeef+0x20;serv?er+0x30 8192"]), done.stderr)
        for keys in ("stack", "process,stack", "thread,stack,call"):
            for counter in ("tlbi", "pte_loads", "operations", "faults"):
                done = refold("replay", "-q", self.stacks, "-p", "linux-7.3", "--folded", f"{counter}:linux-7.3",
                              "--by", keys)
                total = self.report(self.stacks, "-p", "linux-7.3")["policies"][0]["totals"][counter]
                self.assertEqual(sum(int(line.rsplit(" ", 1)[1]) for line in done.stdout.splitlines()), total, keys)
        self.assertIn("worker (101);serv?er+0x10;deadbeef+0x20;serv?er+0x30;madvise(DONTNEED) ",
                      refold("replay", "-q", self.stacks, "-p", "linux-7.3", "--folded", "tlbi:linux-7.3", "--by",
                             "thread,stack,call").stdout)

    def test_without_stacks(self):
        done = refold("replay", "-q", self.small, "-p", "linux-7.3", "--folded", "tlbi:linux-7.3")
        self.assertEqual((done.returncode, done.stderr),
                         (0, f"refold: {self.small}: has no stacks: refold-capture -g records them\n"))
        self.assertRegex(done.stdout, r"^no stack \d+\n")
        done = refold("replay", "-q", self.stacks, "-p", "linux-7.3", "--by", "stack")
        self.assertEqual((done.returncode, done.stderr),
                         (0, f"refold: {self.stacks}: of 4 places in stacks 4 have no symbol; --symbols DIR says where "
                             "files with symbols are\n"))

    def test_table(self):
        lines = refold("replay", self.small, "-p", "linux-7.3", "--by", "vma,call", "--top", "2").stdout.splitlines()
        at = lines.index("linux-7.3 by vma, call")
        self.assertEqual(lines[at + 1].split(), ["TLBI", "unfolds", "DSB", "faults", "bytes"])
        # Both invalidate once; of more bytes is the munmap, which frees the table as well.
        self.assertTrue(lines[at + 2].endswith("  anon 0x7f0000000000+1M of server (100), munmap"), lines)
        self.assertTrue(lines[at + 3].endswith("  anon 0x7f0000000000+1M of server (100), madvise(DONTNEED)"), lines)
        self.assertTrue(lines[at + 4].endswith("  3 more"), lines)
        self.assertTrue(lines[at + 5].endswith("  all"), lines)
        self.assertEqual(len(lines), at + 6)
        columns = [[int(cell.replace(",", "")) for cell in line.split()[:5]] for line in lines[at + 2:]]
        self.assertEqual([sum(column) for column in zip(*columns[:-1])], columns[-1])

    def test_csv(self):
        done = refold("replay", self.small, "-p", "linux-6.8,linux-7.3", "--by", "call,vma", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual(list(rows[0]), ["trace", "policy", "call", "vma", "tlbi", "unfold", "dsb", "faults", "bytes"])
        self.assertEqual({row["policy"] for row in rows}, {"linux-6.8", "linux-7.3"})
        self.assertEqual(sum(int(row["faults"]) for row in rows), 4)

    # ---- wrong ----

    def test_wrong(self):
        for options, said in ((["--by", "vmas"], "'vmas' is none of vma, mapping, thread, process, call, stack, size, "
                               "site"),
                              (["--by", ""], "'' is none of"), (["--by", "vma,"], "'' is none of"),
                              (["--by", "vma,call,vma"], "'vma' comes twice"),
                              (["--by", "vma", "--top", "0"], "--top needs a number from 1"),
                              (["--by", "vma", "--top", "some"], "not 'some'"),
                              (["--folded", "tlbi"], "--folded needs COUNTER:POLICY"),
                              (["--folded", "tlb:linux-7.3"], "'tlb' is no counter"),
                              (["--folded", "tlbi:linux-1.0"], "--folded linux-1.0 is none of the policies"),
                              (["--folded", "tlbi:linux-7.3", "--by", "vma"], "add stack to --by"),
                              (["--folded", "tlbi:linux-7.3", "-j"], "not with -j"),
                              (["--symbols", "/tmp"], "--symbols is for --by stack"),
                              (["--top", "5"], "--top says how many rows --by gets")):
            done = refold("replay", self.small, *options)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done.stderr)
            self.assertIn(said, done.stderr)


unittest.main()
