# SPDX-License-Identifier: MIT
"""What many traces cost beside their replays: a row of a store, a summary of 10,000 reports, a sweep's own work, and
what a second job brings. Ratios where there are two sides.

    fleet.py BUILD SOURCE_ROOT
"""
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

REFOLD = os.path.join(sys.argv[1], 'replay', 'refold')
SAMPLES = pathlib.Path(sys.argv[2]) / 'traces' / 'samples'
POLICIES = [f'linux-7.3+max_dvm_ops={8 << number}+tlbi=single' for number in range(20)]
TRACES = 24
REPORTS = 10000


def seconds(*command):
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([REFOLD, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def vary(directory):
    """Samples with a label each, which makes other traces of them. How many records they have."""
    texts = [subprocess.run([REFOLD, 'dump', sample], check=True, capture_output=True, text=True).stdout
             for sample in (SAMPLES / f'{name}.mmt.zst' for name in ('gcc', 'python', 'redis'))]
    directory.mkdir()
    for number in range(TRACES):
        text = re.sub(r'^header (.*)$', lambda found: 'header ' + json.dumps(
            json.loads(found[1]) | {'labels': {'host': f'h{number}'}}), texts[number % 3], count=1, flags=re.M)
        subprocess.run([REFOLD, 'assemble', '-', '-o', directory / f'{number:03}.mmt.zst'], input=text, text=True,
                       check=True)
    infos = [json.loads(subprocess.run([REFOLD, 'info', '-j', trace], check=True, capture_output=True).stdout)
             for trace in directory.glob('*')]
    return sum(info['records'] for info in infos)


def row_of_a_store(scratch):
    """A merge into a store against one into JSON: the same reading."""
    rows = TRACES * len(POLICIES)
    store, _ = seconds('merge', scratch / 'one.db', '-o', scratch / 'merged.db')
    document, _ = seconds('merge', scratch / 'one.db', '-o', scratch / 'merged.json')
    print(f'row of a store: {1000 * (store - document) / rows:.3f} ms ({rows} rows)')


def jobs(scratch, traces):
    policies = ','.join(POLICIES)
    one, cpu = seconds('sweep', '-q', policies, traces, '-o', scratch / 'one.db', '--jobs', 1)
    two, _ = seconds('sweep', '-q', policies, traces, '-o', scratch / 'two.db', '--jobs', 2)
    again, _ = seconds('sweep', '-q', policies, traces, '-o', scratch / 'one.db', '--jobs', 1)
    print(f'sweep of {TRACES} traces x {len(POLICIES)} policies: {one:.2f} s with one job, {two:.2f} s with two: '
          f'{one / two:.2f} times as fast; once more, all being there: {again:.3f} s')
    return one, cpu


def own_work(traces, sweep, records):
    """CPU time of a sweep against that of the same replays, which keep nothing, in one process; it goes with the cells,
    the replays with the records."""
    _, replays = seconds('replay', '-q', *sorted(traces.glob('*')), *(f'-p{policy}' for policy in POLICIES))
    print(f'a sweep beside its replays, CPU time: {sweep[1]:.2f} s / {replays:.2f} s = {sweep[1] / replays:.3f}; '
          f'{1000 * (sweep[1] - replays) / TRACES / len(POLICIES):.2f} ms a cell of {records / TRACES:.0f} records, '
          f'2 % of replays of {records / TRACES * (sweep[1] / replays - 1) / .02 / 1e6:.1f} M records')


def summary_of_many(scratch):
    """Reports of four policies, as refold replay writes them, under other digests."""
    reports = scratch / 'reports'
    reports.mkdir()
    report = scratch / 'report.json'
    seconds('replay', '-q', SAMPLES / 'gcc.mmt.zst', '-o', report)
    text = report.read_text()
    digest = re.search(r'"digest": "(\w+)"', text)[1]
    for number in range(REPORTS):
        other = text.replace(digest, f'{number * 2654435761 % 2 ** 64:032x}')
        other = other.replace('"duration_ns": ', f'"duration_ns": {1 + number % 7}')
        (reports / f'{number}.json').write_text(other)
    took, cpu = seconds('summary', '-j', reports)
    most = subprocess.run(['/usr/bin/python3', '-c', 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], '
                           'stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)',
                           REFOLD, 'summary', '-j', reports], check=True, capture_output=True, text=True).stdout
    print(f'summary of {REPORTS} reports of {len(text) // 1024} KiB each: {took:.2f} s, {cpu:.2f} s of CPU time, '
          f'{int(most) // 1024} MiB at most')


def main():
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        records = vary(scratch / 'traces')
        sweep = jobs(scratch, scratch / 'traces')
        own_work(scratch / 'traces', sweep, records)
        row_of_a_store(scratch)
        summary_of_many(scratch)


main()
