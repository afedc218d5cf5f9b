#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
One golden case: assemble CASE/trace.txt, replay it under the policies of CASE/policy.json, check the report. The trace
of a case without one, of 1 GiB, is written by gib_traces.py. A case with a script.ops is run by refold pte instead.

  policy.json    a list; each entry is a policy as -p takes it, or an object as a policy file holds it (with "name");
                 NAME.so is one of examples/
  expected.json  numbers that were worked out by hand from the kernel's rules: any part of the report. Objects are
                 compared member by member, only those named; "policies" is an object by policy name. A member "why" of
                 any object is for the reader. Never written by a program. Of a script: the totals by policy and label.
  report.json    the whole report, without members that are 0 or empty, outside of windows: that these are in the report
                 the schema says, and with its canonical form every byte is settled; and without digests, which are
                 computed here once more

A case has one of the two or both. Every report must also be valid by the schema, in canonical form, without anomalies,
and the same in a second run.

usage: golden.py --refold REFOLD --schema report.schema.json CASE [--update]

--update writes report.json from what refold says now, for a person who then reads the difference before committing it;
it never touches expected.json, and no test uses it.
"""
import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gib_traces
import json_schema

PTE_COUNTERS = ("L", "S", "X", "F", "T", "Tn", "D", "fold", "unfold", "born", "erased")


def canonical(report):
    return json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def without_zeros(value, may_be_empty=True):
    """So that a new counter is in a golden report where it counts, and nowhere else. A window has no empty rows."""
    if isinstance(value, list):
        return [without_zeros(entry, may_be_empty) for entry in value]
    if not isinstance(value, dict):
        return value
    members = {key: without_zeros(member, may_be_empty and key != "windows") for key, member in value.items()}
    return {key: member for key, member in members.items()
            if member or isinstance(member, bool) or not may_be_empty and type(member) is not int}


EXAMPLES = None     # where the backends of examples/ are


def policies(case):
    return json.loads((case / "policy.json").read_text())


def argument(policy):
    return f"{EXAMPLES}/{policy}" if policy.endswith(".so") else policy


def policy_arguments(case, directory):
    """The -p list; objects become files, the way a user would give them."""
    arguments = []
    for entry in policies(case):
        if isinstance(entry, dict):
            path = directory / f"{len(arguments)}.json"
            path.write_text(json.dumps(entry))
            entry = str(path)
        arguments += ["-p", entry]
    return arguments


def trace_text(case, directory):
    path = case / "trace.txt"
    if not path.exists():
        path = directory / "trace.txt"
        path.write_text(gib_traces.text(case.name))
    return path


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def mismatches(expected, actual, path):
    """Lines for every named member that is not as expected."""
    if isinstance(expected, list) and any(isinstance(entry, dict) and "name" in entry for entry in expected):
        expected = {entry["name"]: entry for entry in expected}
    if not isinstance(expected, dict):
        return [] if expected == actual else [f"{path}: expected {expected}, got {actual}"]
    if isinstance(actual, list):
        actual = {entry.get("name"): entry for entry in actual}
    if not isinstance(actual, dict):
        return [f"{path}: expected an object, got {actual}"]
    lines = []
    for key, value in expected.items():
        if key == "why":
            continue
        if key not in actual:
            lines.append(f"{path}.{key}: is not in the report")
        else:
            lines += mismatches(value, actual[key], f"{path}.{key}")
    return lines


def leaves(expected):
    if not isinstance(expected, dict):
        return 1
    return sum(leaves(value) for key, value in expected.items() if key != "why")


def expectations(case):
    """expected.json, and what is wrong with it."""
    wanted = json.loads((case / "expected.json").read_text())
    return wanted, [] if leaves(wanted) else ["expected.json expects nothing"]


def check_script(case, refold):
    """Totals of the script's parts; a counter that is not told is 0."""
    totals = {}
    for policy in policies(case):
        lines = run([refold, "pte", case / "script.ops", "-p", argument(policy), "-j"]).splitlines()
        parts = [json.loads(line) for line in lines if line.startswith('{"label"')]
        totals[policy] = {part["label"]: dict.fromkeys(PTE_COUNTERS, 0) | part["total"] for part in parts}
    wanted, found = expectations(case)
    return found + mismatches(wanted, totals, "totals")


def digest(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def take_digests(report, trace):
    """Takes them out, since they change with each knob and with zstd; what is wrong with them."""
    found = []
    for row in report["traces"]:
        if row.pop("digest") != digest(trace):
            found.append("the digest is not that of the trace")
        for cell, policy in zip(row["policies"], report["policies"]):
            made_of = {"arch": policy["arch"], "geometry": without_zeros(policy["geometry"]),
                       "knobs": without_zeros(policy["knobs"])}
            made_of["knobs"] = {name: value for name, value in made_of["knobs"].items() if value is not False}
            if "backend" in policy:
                made_of["code"] = {name: policy["backend"][name] for name in ("release", "files")
                                   if name in policy["backend"]}
            if cell.pop("definition") != digest(json.dumps(made_of, sort_keys=True, separators=(",", ":")).encode()):
                found.append(f"{policy['name']}: the definition is not that of arch, geometry, knobs and code")
    return found


def check_report(case, text, schema, update, trace):
    report = json.loads(text)
    found = json_schema.check(report, schema)
    if text != canonical(report):
        found.append("the report is not in canonical form")
    for policy in report["policies"]:
        anomalies = {name: number for name, number in policy["anomalies"].items() if number}
        if anomalies:
            found.append(f"{policy['name']}: anomalies {anomalies}")
    found += take_digests(report, trace)
    golden, expected = case / "report.json", case / "expected.json"
    told = without_zeros(report)
    if update:
        golden.write_text(canonical(told))
        print(f"{golden}: written; read the difference before you commit it")
    elif golden.exists() and golden.read_text() != canonical(told):
        found += mismatches(json.loads(golden.read_text()), told, "report") or ["report.json differs"]
    if expected.exists():
        wanted, problems = expectations(case)
        found += problems + mismatches(wanted, report, "report")
    elif not golden.exists():
        found.append("the case has neither expected.json nor report.json")
    return found


def check_replay(case, refold, schema, update):
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        trace = directory / f"{case.name}.mmt.zst"
        run([refold, "assemble", trace_text(case, directory), "-o", trace])
        command = [refold, "replay", trace, "-j"] + policy_arguments(case, directory)
        text = run(command)
        found = [] if run(command) == text else ["two runs give two reports"]
        return found + check_report(case, text, schema, update, trace.read_bytes())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--refold", required=True)
    parser.add_argument("--schema", required=True, type=pathlib.Path)
    parser.add_argument("--examples")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("case", type=pathlib.Path)
    arguments = parser.parse_args()
    case = arguments.case.resolve()
    global EXAMPLES    # pylint: disable=global-statement
    EXAMPLES = arguments.examples
    if (case / "script.ops").exists():
        found = check_script(case, arguments.refold)
    else:
        found = check_replay(case, arguments.refold, json.loads(arguments.schema.read_text()), arguments.update)
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
