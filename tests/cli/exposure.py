#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
How often knobs that differ could have mattered (replay/report/exposure.c), on recorded programs.

Each knob is set to each of its values beside the point as it is, one column each. Where a report says that a knob
cannot matter, no counter of any operation may differ: 0 is certain. And it has to say so often: a table that knew
nothing would be right, too.

usage: exposure.py REFOLD TRACE...
"""
import json
import pathlib
import subprocess
import sys
import tempfile

refold, *traces = sys.argv[1:]
MOST = 100      # columns of one replay
POINTS = ["linux-7.3", "linux-6.12", "contpte-v3", "x86-7.3", "riscv-7.3"]
# Of the columns whose counts are those of the point, so many are known to be: the rest were reached for nothing.
LEAST_KNOWN = 0.4


def run(*arguments, code=0):
    done = subprocess.run([refold, *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


def words(*arguments):
    return " ".join(run(*arguments).split())


def values():
    """Of every knob: "batch_fork=true"."""
    for name, knob in json.loads(run("policies", "-k", "-j"))["knobs"].items():
        for value in ["1", "1000"] if knob["values"] == "NUMBER" else knob["values"].split("|"):
            yield name, f"{name}={value}"


def replay(trace, policies):
    return json.loads(run("replay", trace, "-j", "-p", ",".join(policies)))


def same(a, b):
    return a["totals"] == b["totals"] and a["operations"] == b["operations"]


def columns(point):
    known = json.loads(run("replay", traces[0], "-j", "-p", point))["policies"][0]["knobs"]
    for name, setting in values():
        value = setting.split("=")[1]
        if name in known and name != "granule" and str(known[name]).lower() != value:
            yield f"{point}+{setting}"


def check(trace, point):
    told = known = alike = 0
    wanted = list(columns(point))
    for at in range(0, len(wanted), MOST):
        report = replay(trace, [point, *wanted[at:at + MOST]])
        base, *others = report["policies"]
        by_name = {policy["name"]: policy for policy in others}
        assert len(report["exposure"]) == len(others)
        for pair in report["exposure"]:
            policy = by_name[pair["policy"]]
            assert pair["against"] == point
            assert pair["counts_alike"] == same(base, policy), pair["policy"]
            alike += pair["counts_alike"]
            cannot = pair["knobs"] and all(knob.get("could_matter") == 0 for knob in pair["knobs"].values())
            told += bool(cannot)
            known += bool(cannot and pair["counts_alike"])
            if cannot:
                assert pair["counts_alike"], f"{trace}: {pair['policy']} differs: {pair['knobs']}"
                assert all(knob["exposure"].endswith("cannot matter on this trace") for knob in pair["knobs"].values())
    print(f"{pathlib.Path(trace).name}, {point}: {len(wanted)} columns, {alike} with the same counts, {known} known")
    return known, alike


def check_text(trace, directory):
    """A line by itself where nothing can matter, all of it with --all; refold diff says the same."""
    text = words("replay", trace, "-p", "linux-7.3,linux-7.3+batch_uffd_move=false")
    assert ("linux-7.3+batch_uffd_move=false against linux-7.3: nothing in which they differ can matter on this trace. "
            "batch_uffd_move: no moves by userfaultfd: cannot matter on this trace") in text, text
    pair = "linux-7.3,linux-7.3+kpti=true"
    assert "kpti: " not in words("replay", trace, "-p", pair)
    assert "kpti: " in words("replay", trace, "-p", pair, "--all")
    path = pathlib.Path(directory) / "report.json"
    run("replay", trace, "-p", "linux-7.3,linux-7.3+batch_uffd_move=false,linux-7.3+kpti=true", "-o", str(path))
    text = words("diff", str(path), "--policies", "linux-7.3,linux-7.3+batch_uffd_move=false")
    assert "nothing in which they differ can matter on this trace" in text, text
    knobs = json.loads(run("diff", str(path), "-j", "--policies", "linux-7.3,linux-7.3+kpti=true"))
    kpti = knobs["comparisons"][0]["knobs"]["kpti"]
    assert kpti["could_matter"] == kpti["reached"] > 0, kpti


def main():
    known = alike = 0
    for trace in traces:
        for point in POINTS:
            more = check(trace, point)
            known, alike = known + more[0], alike + more[1]
    assert known >= alike * LEAST_KNOWN, f"only {known} of {alike} columns with the same counts are known to be"
    with tempfile.TemporaryDirectory() as directory:
        check_text(traces[0], directory)


main()
