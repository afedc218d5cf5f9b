#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second reader of traces, written from traces/FORMAT.md and nothing else.

usage: read_trace.py TRACE FORMAT.md        writes the text form to standard output

It leaves zstd to the zstd program and needs neither the index nor the sizes of
the zstd frames: every frame says itself how long it is. The record kinds are
read from the table in FORMAT.md, which is thereby tested, too. What the index
counts must be what was read.
"""
import collections
import re
import struct
import subprocess
import sys

MASK = (1 << 64) - 1
SOURCES = ["task", "system", "perf", "snapshot", "compat"]
ENDS = ["none", "command", "signal", "error", "assembled", "imported"]
BOUNDS = {1: "processes", 2: "time", 3: "size", 4: "disk", 5: "memory", 6: "cpu"}     # of "command"


def read_kinds(format_md):
    kinds = {}
    with open(format_md) as f:
        for line in f:
            row = re.match(r"\| (\d+) \| `(\w+)` \| (?:`([^`]*)`)? *\|", line)
            if row:
                kinds[int(row[1])] = (row[2], [field.split("/") for field in (row[3] or "").split()])
    return kinds


class Column:
    def __init__(self, data):
        self.data, self.at = data, 0

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value & MASK

    def svarint(self):
        value = self.varint()
        return -(value >> 1) - 1 if value & 1 else value >> 1

    def done(self):
        assert self.at == len(self.data), "a column holds more than its values"


def times(data, count):
    high, rest = data[:count], Column(data[count:])
    rest.at = sum(byte != 255 for byte in high)
    low = iter(rest.data[:rest.at])
    deltas = [byte * 256 + next(low) if byte != 255 else rest.svarint() for byte in high]
    rest.done()
    return deltas


def values(data, count):
    column, last, result = Column(data), 0, []
    for _ in range(count):
        last = (last + column.svarint()) & MASK
        result.append(last)
    column.done()
    return result


def threads(data, count):
    column, tid, result = Column(data), 0, []
    while len(result) < count:
        run = column.varint()
        tid += column.svarint()
        result += [tid] * run
    column.done()
    return result


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & MASK
    return value


def characters(value):
    text = ""
    for byte in value.to_bytes(8, "little").rstrip(b"\0"):
        text += chr(byte) if 0x20 <= byte <= 0x7e and byte not in b'"\\' else f"\\x{byte:02x}"
    return f'"{text}"'


def show(value, field_class):
    if field_class == "w":
        return characters(value)
    if field_class in "dti":
        return str(value)
    if field_class == "s":
        return str(value - (1 << 64) if value >> 63 else value)
    return hex(value)


class Trace:
    def __init__(self, path, format_md):
        self.kinds = read_kinds(format_md)
        self.data = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
        end = self.data.index(b"\n")
        self.at, self.header, self.lines, self.frames = end + 1, self.data[:end].decode(), [], 0
        self.totals, self.counts = {}, collections.Counter()
        with open(path, "rb") as f:
            self.file = f.read()

    def frame(self):
        """One data frame; its length follows from header and directory."""
        data, at = self.data, self.at
        records, stream, _, _, _, columns, number, before, lost_before, lost, first, last = \
            struct.unpack_from("<IHBBHHQQQQQQ", data, at + 4)
        assert fnv(data[at:at + 80]) == struct.unpack_from("<Q", data, at + 80)[0], "header check"
        assert self.totals.get(stream, (0, 0, 0)) == (number, before, lost_before - lost), "running totals"
        self.totals[stream] = (number + 1, before + records, lost_before)
        directory = [struct.unpack_from("<BBHI", data, at + 88 + 8 * i) for i in range(columns)]
        at += 88 + 8 * columns
        parts = {}
        for kind, part, reserved, size in directory:
            assert not reserved
            parts[kind, part] = data[at:at + size]
            at += size
        self.at = at
        self.frames += 1
        self.lines.append(f"frame stream={stream}" + (f" lost={lost}" if lost else ""))
        self.records(parts, records, first, last)

    def records(self, parts, count, first, last):
        order = parts[0, 0]
        tids = threads(parts[0, 1], count)
        assert len(order) == count
        self.counts.update(order)
        deltas, fields = {}, {}
        for kind in set(order):
            n = order.count(kind)
            deltas[kind] = iter(times(parts[kind, 0], n))
            names = self.kinds[kind][1]
            fields[kind] = zip(*[values(parts[kind, 1 + i], n) for i in range(len(names))]) if names else iter([()] * n)
        now, seen = first, []
        for kind, tid in zip(order, tids):
            now = (now + next(deltas[kind])) & MASK
            seen.append(now)
            name, classes = self.kinds[kind]
            shown = "".join(f" {n}={show(v, c)}" for (n, c), v in zip(classes, next(fields[kind])))
            self.lines.append(f"{now} tid={tid} {name}{shown}")
        assert not seen or (min(seen), max(seen)) == (first, last), "smallest and largest time"

    def index(self, frames):
        offset, magic = struct.unpack_from("<Q8s", self.file, len(self.file) - 16)
        assert magic == b"INDEXIDX" and self.file[offset:offset + 4] == b"\x52\x2a\x4d\x18", "index"
        index = subprocess.run(["zstd", "-dcq"], input=self.file[offset + 8:-16], stdout=subprocess.PIPE,
                               check=True).stdout
        _, nr, _, kinds = struct.unpack_from("<IQQQ", index, 4)
        counts = index[32 + 104 * frames:]
        assert index[:4] == b"RFIX" and nr == frames and len(counts) == 16 * kinds
        assert list(struct.iter_unpack("<QQ", counts)) == sorted(self.counts.items()), "records of each kind"

    def text(self):
        while self.data[self.at:self.at + 4] == b"RFDA":
            self.frame()
        assert self.data[self.at:self.at + 4] == b"RFEN", "end frame"
        why, streams, bound, frames, _ = struct.unpack_from("<IIIQQ", self.data, self.at + 4)
        end = BOUNDS.get(bound, ENDS[why]) if why == 1 else ENDS[why]
        assert frames == self.frames
        declared = []
        for i in range(streams):
            source, _, cpu, _, *totals = struct.unpack_from("<BBHIQQQ", self.data, self.at + 32 + 32 * i)
            assert tuple(totals) == self.totals.get(i, (0, 0, 0)), "totals of the stream"
            declared.append(f"stream {i} source={SOURCES[source]} cpu={cpu}")
        assert self.at + 32 + 32 * streams == len(self.data)
        self.index(frames)
        return "\n".join([f"header {self.header}"] + declared + self.lines + [f"end {end}"]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(Trace(sys.argv[1], sys.argv[2]).text())
