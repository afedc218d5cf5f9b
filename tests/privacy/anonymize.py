# SPDX-License-Identifier: MIT
"""A trace that refold anonymize wrote replays to the same report but for what it hides, and holds none of that.

    anonymize.py REFOLD SOURCE_ROOT
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

REFOLD, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
RECORDINGS = ["traces/samples/gcc.mmt.zst", "traces/samples/redis.mmt.zst",
              "tests/arm64/recordings/6.12-16k/2M.anon.mmt.zst",
              "tests/arm64/recordings/6.12-range/64K.cow_parent_all.8.mmt.zst",
              "tests/arm64/recordings/7.2-range/all.brk.8.mmt.zst",
              "tests/arm64/recordings/7.2-range/2M.file_tmpfs.8.mmt.zst", "tests/compat/i386.mmt.zst"]
# In a report: who and where, and the file.
NAMES = {"pid", "pids", "comm", "command", "tid", "addr", "trace", "name", "bytes", "digest", "file_bytes", "privacy"}
CLASSES = {name: dict(field.split("/") for field in fields.split())
           for name, fields in re.findall(r"^\| \d+ \| `(\w+)` \| `?([^`|]*)`? \|$",
                                          (ROOT / "traces/FORMAT.md").read_text(), re.MULTILINE)}


def refold(*arguments):
    return subprocess.run([REFOLD, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def report(trace, directory):
    # An arm64 of 16K pages has no smaller ones.
    policies = "linux-6.12+granule=16k,linux-7.3+granule=16k" if "16k" in str(directory) else \
               "linux-6.12,linux-7.3,linux-6.8,x86-6.18"
    path = directory / "report.json"
    refold("replay", trace, "-p", policies, "--windows", "--processes", "-o", path)
    return json.loads(path.read_text())


def without_names(value):
    if isinstance(value, dict):
        return {key: without_names(of) for key, of in value.items() if key not in NAMES}
    return [without_names(of) for of in value] if isinstance(value, list) else value


class Private:
    """What is private in the text of a trace, by class of field; and every number there is in it."""

    def __init__(self, trace):
        self.text = refold("dump", trace)
        self.of = {"t": set(), "p": set(), "a": set(), "ino": set(), "w": set()}
        self.numbers, self.header = set(), json.loads(self.text.partition("\n")[0].removeprefix("header "))
        for line in self.text.splitlines():
            record = re.match(r"\d+ tid=(\d+) (\w+)(.*)", line)
            if record:
                self.add(*record.groups())

    def add(self, tid, kind, fields):
        self.of["t"].add(int(tid))
        if kind == "comm":
            self.of["w"].add("".join(re.findall(r'name\d="(.*?)"(?= )', fields)))
        for name, value in re.findall(r" (\w+)=(-?(?:0x[0-9a-f]+|\d+))(?= |$)", fields):
            number, what = int(value, 0), CLASSES[kind].get(name)
            self.numbers.add(number)
            if name == "ino" or what in self.of:
                self.of["ino" if name == "ino" else what].add(number)


def check(recording):
    with tempfile.TemporaryDirectory(suffix="16k" if "16k" in recording else "") as name:
        directory = pathlib.Path(name)
        trace, anonymous = ROOT / recording, directory / "anonymous.mmt.zst"
        refold("anonymize", trace, "-o", anonymous)
        assert without_names(report(trace, directory)) == without_names(report(anonymous, directory)), recording
        told, hidden = Private(trace), Private(anonymous)
        compare(recording, told, hidden)
        # No item is hidden that was to be kept.
        refold("anonymize", trace, "--keep", "all", "-o", anonymous)
        kept = Private(anonymous)
        assert kept.of == told.of, recording


def compare(recording, told, hidden):
    for what, least in ("t", 1), ("ino", 1), ("p", 0), ("a", 4096):
        secrets = {number for number in told.of[what] if least <= number < 1 << 57 and number != (1 << 57) - 1}
        if what == "p":
            secrets = {number for number in secrets if number < 1 << 38}
        assert secrets, f"{recording}: nothing to hide in {what}"
        left = secrets & hidden.of[what]
        if what == "a":     # small ones may be lengths
            left |= {number for number in secrets & hidden.numbers if number >= 1 << 40}
        assert not left, f"{recording}: {what} {sorted(left)[:5]} are still there"
        # 0 is an address, or none.
        assert len(hidden.of[what] - {0}) - len(told.of[what] - {0}) in (0, what == "a"), \
               f"{recording}: numbers of {what} fall together"
    assert told.of["w"] and len(told.of["w"]) == len(hidden.of["w"])
    left = told.of["w"] & hidden.of["w"]
    assert not left and hidden.header.get("command", "comm-").startswith("comm-"), f"{recording}: {left}, still there"
    for ino in re.findall(r"ino == (\d+)", json.dumps(told.header.get("filters", {}))):
        assert f"ino == {ino} " not in hidden.text and f"ino == {ino})" not in hidden.text
    assert set(hidden.header["privacy"].values()) <= {"dropped", "pseudonymised", "relabelled", "rebased", "windows"}


for recording in RECORDINGS:
    check(recording)
