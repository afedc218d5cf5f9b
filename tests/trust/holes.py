# SPDX-License-Identifier: MIT
"""Recordings with holes: runs of records are dropped from a sample, as a full buffer drops them, and the snapshots that
would give it away. Every process whose page tables come out otherwise than without the hole must be marked, and every
one that is missing must be hidden, or the number of hidden ones unknown.

    holes.py REFOLD SAMPLE SEEDS        seeds 1 to SEEDS, each another set of holes
"""
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

refold, sample, seeds = sys.argv[1], sys.argv[2], int(sys.argv[3])
FRAME = re.compile(r'^frame stream=(\d+)')
STREAM = re.compile(r'^stream (\d+) source=(\w+)')


def frames(lines):
    """[(stream, its lines)] in order, the head of the file as stream -1."""
    parts = [(-1, [])]
    for line in lines:
        frame = FRAME.match(line)
        if frame:
            parts.append((int(frame[1]), []))
        parts[-1][1].append(line)
    return parts


def with_holes(text, rng):
    lines = [line for line in text.splitlines() if ' snap_' not in line]
    sources = {int(match[1]): match[2] for match in map(STREAM.match, lines) if match}
    out = []
    for stream, part in frames(lines):
        source = sources.get(stream)
        if source in ('task', 'perf', 'system') and len(part) > 60 and rng.random() < 0.7:
            records = [i for i, line in enumerate(part) if line[:1].isdigit()]
            length = rng.choice((10, 100, 1000))
            first = records[rng.randrange(len(records))]
            last = min(first + length, records[-1])
            if first < last:
                part = part[:first] + [f'frame stream={stream} lost={last - first}'] + part[last:]
        out += part
    return '\n'.join(out) + '\n'


def replay(directory, trace, name):
    report, tables = directory / f'{name}.json', directory / f'{name}.tsv'
    subprocess.run([refold, 'replay', '-q', '-p', 'linux-6.12', '-o', report, '--page-tables', tables, trace],
                   check=True)
    processes, pid = {}, None
    for line in tables.read_text().splitlines():
        kind, *fields = line.split('\t')
        if kind == 'P':
            pid = fields[0]
            processes[pid] = {'entries': [], 'marked': False}
        elif kind == 'M':
            processes[pid]['marked'] = True
        else:
            processes[pid]['entries'].append(line)
    return processes, json.loads(report.read_text())['trust']


def main():
    wrong = silent = missing = 0
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        text = subprocess.run([refold, 'dump', sample], check=True, capture_output=True, text=True).stdout
        truth, trust = replay(directory, sample, 'whole')
        if trust['word'] != 'exact':
            sys.exit(f'FAIL: without holes the sample is {trust["word"]}: {trust["reasons"]}')
        for seed in range(1, seeds + 1):
            holed = directory / 'holed.mmt.zst'
            subprocess.run([refold, 'assemble', '-', '-o', holed], check=True, text=True,
                           input=with_holes(text, random.Random(seed)))
            rebuilt, trust = replay(directory, holed, 'holed')
            named = {str(process['pid']) for process in trust['hidden'] + trust['marked']}
            for pid, process in truth.items():
                if pid not in rebuilt:
                    missing += 1
                    told = pid in named or not trust['hidden_processes_known']
                else:
                    told = process['entries'] == rebuilt[pid]['entries'] or rebuilt[pid]['marked']
                    wrong += process['entries'] != rebuilt[pid]['entries']
                if not told:
                    silent += 1
                    print(f'FAIL: seed {seed}: pid {pid} is {"wrong" if pid in rebuilt else "missing"}, and not told')
    print(f'{seeds} sets of holes: {wrong} processes wrong, {missing} missing, {silent} not told')
    sys.exit(1 if silent or not wrong else 0)


main()
