#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Published effects of changes as counts: rows.py has a row for each. A trace is one of 1 GiB (tests/golden), a golden
case, a stored recording or a sample; it is replayed once, under all policies that its rows name.

usage: published.py REFOLD [--list] [unittest arguments]   (--list: what counts cannot express, with the reasons)
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
TREE = pathlib.Path(__file__).parent.parent.parent
GOLDEN = TREE / "tests" / "golden"
sys.path[:0] = [str(GOLDEN), str(pathlib.Path(__file__).parent)]
import gib_traces
import rows
import write_traces
from write_traces import BASE, PAGE, READ, SIZE, VMA, WRITE

BLOCK_64K = 32          # pages of 64 KiB in a block of arm64


def small_fork():
    """fork() of a process with 512 pages that are no large folios; the child exits."""
    trace = write_traces.Trace()
    trace.attach()
    trace.map()
    trace.touch_small()
    trace.fork()
    trace.exit(write_traces.CHILD, write_traces.CHILD_MM)
    trace.exit(vmas=[VMA])
    return trace


def small_mprotect():
    """mprotect(PROT_READ) of 512 pages that are no large folios."""
    trace = write_traces.Trace()
    trace.attach()
    trace.map()
    trace.touch_small()
    trace.call("mprotect", 0, addr=BASE, len=SIZE, prot=READ, pkey=-1)
    trace.exit(vmas=[(BASE, SIZE, READ)])
    return trace


def none_and_back():
    """mprotect(PROT_NONE) of 2 MiB in folios of 64 KiB, and back, before anyone touches it."""
    trace = write_traces.touched()
    trace.call("mprotect", 0, addr=BASE, len=SIZE, prot=0, pkey=-1)
    trace.call("mprotect", 0, addr=BASE, len=SIZE, prot=READ | WRITE, pkey=-1)
    trace.exit(vmas=[VMA])
    return trace


def folios_of_64k_pages():
    """Pages of 64 KiB: a folio of 2 MiB, which is a block, and two of 1 MiB, which are not."""
    size = 64 << 10
    trace = write_traces.Trace(page_size=size)
    trace.attach()
    trace.map(BASE, 4 << 20)
    address, pfn = BASE, 0x10000
    for order in (5, 4, 4):
        trace.record("fault", addr=address, flags=2)
        trace.record("page_alloc", pfn=pfn, order=order, gfp=write_traces.USER_GFP)
        trace.rss(write_traces.MM, 1 << order)
        address += size << order
        pfn += 1 << order
    trace.record("exit", group=1)
    trace.record("exit_task", group_dead=1)
    trace.rss(write_traces.MM, -2 * BLOCK_64K, curr=0)
    return trace


WRITTEN = {make.__name__: make for make in (small_fork, small_mprotect, none_and_back, folios_of_64k_pages)}
# Of refold pte: one helper on a folded block, all entries young and dirty.
BLOCK = "window 0x10000000 512\nfolio 0x1600 4\nset 0x10000000 0x1600 16 rw young dirty\nreset\n"
SCRIPTS = {
    "get_of_a_block": BLOCK + "get 0x10000000\ntotal it\n",
    "young_of_a_folio": BLOCK + "cfyoung 0x10000000 16\ntotal it\n",
}
REPORTS = {}


def refold(*arguments):
    done = subprocess.run([REFOLD, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def policies_of(trace):
    named = [policy for row in rows.EXPRESSED if row[2] == trace for policy in row[4]]
    named += [policy for row in rows.PERCENT if row[3] == trace for policy in row[4:6]]
    return list(dict.fromkeys(named))


def stored(trace):
    recording = TREE / "tests" / "arm64" / "recordings" / "6.12-range" / f"{trace}.mmt.zst"
    sample = TREE / "traces" / "samples" / f"{trace}.mmt.zst"
    return recording if recording.exists() else sample if sample.exists() else None


def report_of(trace):
    """By policy: what refold says of it."""
    if trace not in REPORTS:
        with tempfile.TemporaryDirectory(prefix="refold-published-") as directory:
            path = stored(trace) or pathlib.Path(directory) / "trace.mmt.zst"
            if not path.exists():
                text = pathlib.Path(directory) / "trace.txt"
                if trace in gib_traces.CASES:
                    text.write_text(gib_traces.text(trace))
                elif trace in WRITTEN:
                    text.write_text(WRITTEN[trace]().text(WRITTEN[trace].__doc__))
                else:
                    text = GOLDEN / trace / "trace.txt"
                refold("assemble", text, "-o", path)
            named = policies_of(trace)
            columns = ",".join(f"c{i}={policy}" for i, policy in enumerate(named))
            report = json.loads(refold("replay", path, "-p", columns, "--format", "json"))
        REPORTS[trace] = dict(zip(named, report["policies"]))
    return REPORTS[trace]


def counted_by_script(name, policy):
    done = subprocess.run([REFOLD, "pte", "-", "-j", "-p", policy], input=SCRIPTS[name], capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["total"]


def value(policy, row, counter):
    if ":" in counter:
        helper, nr = counter.split(":")
        return dict(policy["batches"][helper]).get(int(nr), 0)
    return (policy["totals"] if row == "total" else policy["operations"][row]).get(counter, 0)


class Published(unittest.TestCase):
    def test_rows(self):
        for source, what, trace, row, policies in rows.EXPRESSED:
            for policy, counters in policies.items():
                with self.subTest(f"{source}: {what}", trace=trace, policy=policy):
                    if trace in SCRIPTS:
                        every = counted_by_script(trace, policy)
                        found = {name: every[name] for name in counters}
                    else:
                        found = {name: value(report_of(trace)[policy], row, name) for name in counters}
                    self.assertEqual(found, counters)

    def test_percentages(self):
        for source, what, counter, trace, policy, against, lowest, highest in rows.PERCENT:
            with self.subTest(f"{source}: {what}", trace=trace):
                report = report_of(trace)
                now, before = (value(report[name], "total", counter) for name in (policy, against))
                change = 100 * (now - before) / before
                self.assertTrue(lowest <= change <= highest, f"{change:+.1f} %: {before} -> {now}")

    def test_what_is_not_expressed(self):
        for what, reason in rows.NOT_EXPRESSED:
            self.assertTrue(what and len(reason) > 10)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(f"{what}: {reason}" for what, reason in rows.NOT_EXPRESSED))
    else:
        unittest.main()
