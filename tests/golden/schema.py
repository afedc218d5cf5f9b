#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
That the schema rejects what no report says: with one member more, one less or one negative, a report is wrong, by
json_schema.py and by python3-jsonschema where that is installed.

usage: schema.py REFOLD SCHEMA TRACE.txt
"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import json_schema

# Their members are what was recorded, or what the policy's architecture knows.
OPEN = {"records_by_kind", "knobs"}
# May be missing: an assumption that nobody counts has no count, a process of a window no trace, a knob of which nothing
# is known no number, a report without --by no attribution, and one by other keys not these, one without --interval no
# intervals.
OPTIONAL = {"count", "trace", "could_matter", "exposure", "attribution", "vma", "call", "intervals"}


def report_of(refold, text):
    """A whole report; of what it has many of, one."""
    with tempfile.TemporaryDirectory() as directory:
        trace = f"{directory}/trace.mmt.zst"
        subprocess.run([refold, "assemble", text, "-o", trace], check=True)
        done = subprocess.run([refold, "replay", trace, "-j", "--processes", "--by", "vma,call", "--interval", "1s",
                               "-p", "linux-6.12,linux-6.12+hint=false"],
                              check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    report["windows"] = report["windows"][:1]
    return report


def objects(value, path=()):
    """Every object by its path: of an array's elements, and of operations and readers, the first."""
    if isinstance(value, dict):
        yield path, value
        members = list(value.items())
        for key, member in members[:1] if path and path[-1] in ("operations", "readers", "runs") else members:
            yield from objects(member, path + (key,))
    elif isinstance(value, list) and value:
        yield from objects(value[0], path + (0,))


def may_lack_members(path):
    return path and (path[-1] in ("readers", "runs") or path[-1] == "operations" and "windows" in path)


def changes(report):
    """
    Makes one change after the other, says what it is while it is in force, and takes it back.
    Of objects with the same members one loses each of them.
    """
    shapes = set()
    for path, value in list(objects(report)):
        if path and path[-1] in OPEN:
            continue
        value["no_such_member"] = 0
        yield f"{path}: another member"
        del value["no_such_member"]
        numbers = [key for key, member in value.items() if type(member) is int]
        for key in numbers[:1]:
            value[key] = -value[key] - 1
            yield f"{path}: {key} is negative"
            value[key] = -value[key] - 1
        if may_lack_members(path) or frozenset(value) in shapes:
            continue
        shapes.add(frozenset(value))
        for key in sorted(value.keys() - OPTIONAL):
            member = value.pop(key)
            yield f"{path}: no {key}"
            value[key] = member


def main():
    refold, schema, text = sys.argv[1:]
    schema = json.loads(pathlib.Path(schema).read_text())
    report = report_of(refold, text)
    found = [f"as it is: {line}" for line in json_schema.check(report, schema)]
    nr = 0
    for nr, change in enumerate(changes(report), 1):
        if not json_schema.problems(report, schema, schema):
            found.append(f"{change}: json_schema.py takes it")
        # It is slow: every tenth change.
        if nr % 10 == 0 and json_schema.package_problems(report, schema) == []:
            found.append(f"{change}: python3-jsonschema takes it")
    print(f"{nr} changes")
    sys.exit("\n".join(found) if found else None)


main()
