#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
refold export --perfetto, read back by a decoder that shares nothing with the program: the wire format of protobuf, and
the field numbers of Perfetto's protos/perfetto/trace. What the tracks show adds up to what refold replay reports.

usage: export.py REFOLD SAMPLES [unittest arguments]
"""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
SAMPLES = sorted(pathlib.Path(sys.argv.pop(1)).glob("*.mmt.zst"))
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
POLICIES = ["linux-6.8", "linux-7.3"]
BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4

# Message: field number: name and what it holds, a message, str or int.
MESSAGES = {
    "Trace": {1: ("packet", "TracePacket")},
    "TracePacket": {8: ("timestamp", int), 10: ("trusted_packet_sequence_id", int), 11: ("track_event", "TrackEvent"),
                    60: ("track_descriptor", "TrackDescriptor")},
    "TrackDescriptor": {1: ("uuid", int), 2: ("name", str), 3: ("process", "ProcessDescriptor"),
                        4: ("thread", "ThreadDescriptor"), 5: ("parent_uuid", int),
                        8: ("counter", "CounterDescriptor")},
    "ProcessDescriptor": {1: ("pid", int), 6: ("process_name", str)},
    "ThreadDescriptor": {1: ("pid", int), 2: ("tid", int), 5: ("thread_name", str)},
    "CounterDescriptor": {},
    "TrackEvent": {4: ("debug_annotations", "DebugAnnotation"), 9: ("type", int), 11: ("track_uuid", int),
                   23: ("name", str), 30: ("counter_value", int)},
    "DebugAnnotation": {3: ("uint_value", int), 10: ("name", str)},
}


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def decode(data, name):
    """A message as a dictionary of lists."""
    message, at = collections.defaultdict(list), 0
    while at < len(data):
        key, at = varint(data, at)
        field, kind = MESSAGES[name][key >> 3]
        value, at = varint(data, at)
        if key & 7 == 2:
            assert at + value <= len(data), "a length beyond the end"
            value, at = data[at:at + value], at + value
            value = value.decode() if kind is str else decode(value, kind)
        else:
            assert key & 7 == 0 and kind is int, (name, field)
        message[field].append(value)
    return message


def refold(*arguments, **options):
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL} | options
    return subprocess.run([REFOLD, *map(str, arguments)], **options)


class Picture:
    """The tracks of an export by their names, from the top, and each one's events in the order of the file."""

    def __init__(self, data):
        self.tracks, self.events, self.processes, self.threads = {}, collections.defaultdict(list), {}, {}
        packets = decode(data, "Trace")["packet"]
        descriptors = {}
        for packet in packets:
            assert packet["trusted_packet_sequence_id"] == [1]
            for descriptor in packet["track_descriptor"]:
                uuid, = descriptor["uuid"]
                assert uuid not in descriptors, "two tracks of one number"
                descriptors[uuid] = descriptor
                for process in descriptor["process"]:
                    self.processes[process["pid"][0]] = process["process_name"][0]
        for uuid, descriptor in descriptors.items():
            names, up = [], descriptor
            while up:
                names[:0] = up["name"] or [thread["thread_name"][0] for thread in up["thread"]]
                up = descriptors[up["parent_uuid"][0]] if up["parent_uuid"] else None
            self.tracks[uuid] = tuple(names)
            if descriptor["thread"]:
                self.threads[uuid] = descriptor["thread"][0]
        for packet in packets:
            for event in packet["track_event"]:
                uuid, = event["track_uuid"]
                assert uuid in self.tracks, "an event of no track"
                self.events[uuid].append((packet["timestamp"][0], event))

    def of_type(self, *types):
        for uuid, events in self.events.items():
            for time, event in events:
                if event["type"][0] in types:
                    yield uuid, time, event


class Export(unittest.TestCase):
    def export(self, trace, *options):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "trace.pftrace"
            done = refold("export", "--perfetto", trace, "-o", path, "-p", ",".join(POLICIES), *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            return path.read_bytes()

    def test_counters_add_up(self):
        """A value counts in each interval until the next one; all of them, and those of all processes, are the totals."""
        for sample in SAMPLES:
            report = json.loads(refold("replay", "-j", sample, "-p", ",".join(POLICIES)).stdout)
            picture = Picture(self.export(sample, "--interval", "5ms"))
            sums = collections.Counter()
            for uuid, names in picture.tracks.items():
                values = [(time, event["counter_value"][0]) for time, event in picture.events[uuid]
                          if event["type"] == [COUNTER]]
                if not values:
                    continue
                self.assertEqual(values, sorted(values))
                self.assertEqual(values[-1][1], 0)
                counter, _, rest = names[-1].partition(" ")
                self.assertEqual(rest, "in 5 ms")
                for (time, value), (until, _) in zip(values, values[1:]):
                    intervals, odd = divmod(until - time, 5000000)
                    self.assertEqual(odd, 0)
                    sums[names[0], len(names) == 3, counter] += value * intervals
            for policy in report["policies"]:
                for counter in ("tlbi", "dsb", "unfold", "faults", "pte_loads"):
                    for of_process in (False, True):
                        self.assertEqual(sums[policy["name"], of_process, counter], policy["totals"][counter],
                                         (sample.name, policy["name"], counter, of_process))

    def test_one_interval(self):
        """What is counted in the last interval ends with it."""
        picture = Picture(self.export(SAMPLES[0], "--interval", "1h"))
        values = collections.defaultdict(list)
        for uuid, time, event in picture.of_type(COUNTER):
            values[uuid].append((time, event["counter_value"][0]))
        self.assertTrue(values)
        for (begin, value), (end, nothing) in values.values():
            self.assertGreater(value, 0)
            self.assertEqual((end - begin, nothing), (3600 * 10 ** 9, 0))

    def test_blocks(self):
        """Each fold and unfold is at a process of the policy that did it."""
        for sample in SAMPLES:
            report = json.loads(refold("replay", "-j", sample, "-p", ",".join(POLICIES)).stdout)
            picture = Picture(self.export(sample))
            sums = collections.Counter()
            for uuid, _, event in picture.of_type(INSTANT):
                note, = event["debug_annotations"]
                self.assertEqual(note["name"], ["blocks"])
                self.assertIn(picture.tracks[uuid][0], POLICIES)
                sums[picture.tracks[uuid][0], event["name"][0]] += note["uint_value"][0]
            for policy in report["policies"]:
                for name in ("fold", "unfold"):
                    self.assertEqual(sums[policy["name"], name], policy["totals"][name], (sample.name, name))
        self.assertTrue(any(sums.values()))

    def test_slices(self):
        """Those of a thread nest, and are as many as are long enough."""
        counts = []
        for size in ("4K", "64K", "1M"):
            picture = Picture(self.export(SAMPLES[-1], "--min-size", size))
            counts.append(0)
            for uuid, events in picture.events.items():
                depth, before = 0, 0
                for time, event in events:
                    if event["type"][0] not in (BEGIN, END):
                        continue
                    self.assertGreaterEqual(time, before)
                    before = time
                    depth += 1 if event["type"] == [BEGIN] else -1
                    self.assertGreaterEqual(depth, 0)
                    self.assertIn(uuid, picture.threads)
                    if event["type"] == [BEGIN]:
                        counts[-1] += 1
                        self.assertGreaterEqual(event["debug_annotations"][0]["uint_value"][0], 4096)
                self.assertEqual(depth, 0)
            self.assertIn("redis-server", picture.processes.values())
        self.assertEqual(counts, sorted(counts, reverse=True))
        self.assertGreater(counts[0], counts[-1])
        self.assertGreater(counts[-1], 0)

    def test_marks_and_losses(self):
        """A mark longer than a record comes whole; a loss says how many."""
        text = (GOLDEN / "mm_fork" / "trace.txt").read_text()
        words = ("this mar", "k is lon", "ger than", " what on", "e record", " can hol", "d of it!")
        fields = " ".join(f'w{i}="{word}"' for i, word in enumerate(words[:6]))
        marks = f'1005500 tid=100 marker {fields}\n1005500 tid=100 marker_more w0="{words[6]}"\n'
        text = text.replace("1012000 ", "1011500 tid=0 lost events=7\n1012000 ", 1)
        # So many records before it that some of them end where the program has read 1024.
        for before in (0, *range(1015, 1021)):
            filled = text.replace("1006000 ", "1005400 tid=100 page_free pfn=0x1 order=0\n" * before + marks +
                                  "1006000 ", 1)
            with self.subTest(before=before), tempfile.TemporaryDirectory() as directory:
                path = pathlib.Path(directory) / "marked.mmt.zst"
                done = refold("assemble", "-", "-o", path, input=filled, stdin=None)
                self.assertEqual(done.returncode, 0, done.stderr)
                picture = Picture(self.export(path))
                found = [(time, event["name"][0], [note["uint_value"][0] for note in event["debug_annotations"]])
                         for uuid, time, event in picture.of_type(INSTANT)
                         if picture.tracks[uuid] == ("marks and losses",)]
                self.assertEqual([one for one in found if one[1] != "lost"], [(1005500, "".join(words), [])])
                self.assertIn([7], [amounts for _, name, amounts in found if name == "lost"])

    def test_deterministic(self):
        self.assertEqual(len({self.export(sample) for sample in SAMPLES for _ in range(3)}), len(SAMPLES))

    def test_wrong(self):
        with tempfile.TemporaryDirectory() as directory:
            out = pathlib.Path(directory) / "out"
            for arguments, said in ((["--perfetto", SAMPLES[0]], "needs -o FILE"),
                                    (["--perfetto", "-o", out], "needs one trace"),
                                    (["--perfetto", SAMPLES[0], "-o", out, "--interval", "0"], "not '0'"),
                                    (["--perfetto", SAMPLES[0], "-o", out, "--min-size", "big"], "not 'big'"),
                                    (["--perfetto", SAMPLES[0], "-o", out, "--max-memory", "1"], "not '1'"),
                                    (["--perfetto", SAMPLES[0], "-o", out, "--max-time", "long"], "not 'long'"),
                                    (["--perfetto", SAMPLES[0], "-o", out, "-p", "linux-1.0"], "linux-1.0")):
                done = refold("export", *arguments)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
                self.assertIn(said, done.stderr)
                self.assertFalse(out.exists())
            done = refold("export", "-q", "--perfetto", SAMPLES[0], "-o", out, "--max-time", "0.001")
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            self.assertIn("--max-time allows more", done.stderr)
            self.assertFalse(out.exists())
            cut = pathlib.Path(directory) / "cut.mmt.zst"
            cut.write_bytes(SAMPLES[0].read_bytes()[:-2000])
            done = refold("export", "-q", "--perfetto", cut, "-o", out)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertTrue(Picture(out.read_bytes()).tracks)


unittest.main()
