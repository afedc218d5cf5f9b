# SPDX-License-Identifier: MIT
"""How fast traces are replayed: one policy, and four policies in one pass against
one. The trace is a storm of compiles and small processes where this machine can
record one (without snapshots, whose records are the cheap ones), else the largest
sample.

    replay_speed.py BUILD_ROOT SOURCE_ROOT
"""
import glob
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'live'))
import machine  # noqa: E402 (found through the line above)

ONE = 'linux-6.12'
FOUR = 'linux-6.8,contpte-v3,linux-6.12,linux-7.3'
REPEATS = 3


def choose_trace(programs, source_root, directory):
    samples = glob.glob(os.path.join(source_root, 'traces', 'samples', '*.mmt.zst'))
    if os.geteuid() != 0 or not os.path.isdir(f'{machine.TRACING}/events'):
        return max(samples, key=os.path.getsize)
    trace, source = os.path.join(directory, 't.mmt.zst'), os.path.join(directory, 'source.c')
    machine.write(source, programs.run(sys.executable, os.path.join(programs.scripts, 'generate_source.py'),
                                       '100').stdout)
    programs.record(trace, '/bin/sh', '-c', f'for round in $(seq 20); do gcc -O1 -c {source} -o {directory}/source.o; '
                                            'for process in $(seq 60); do /bin/true; done; done',
                    options=['--no-snapshots'])
    return trace


def best_time(programs, trace, policies, report):
    """Seconds of the fastest of REPEATS runs, and the records replayed."""
    seconds = []
    for _ in range(REPEATS):
        begin = time.monotonic()
        subprocess.run([programs.refold, 'replay', '-q', trace, '-p', policies, '-o', report], check=True)
        seconds.append(time.monotonic() - begin)
    with open(report, encoding='utf-8') as file:
        return min(seconds), json.load(file)['trace']['records']


def main():
    build_root, source_root = sys.argv[1:]
    programs = machine.Programs(build_root, source_root)
    with machine.work_directory('replay_speed') as directory:
        trace, report = choose_trace(programs, source_root, directory), os.path.join(directory, 'report.json')
        one, records = best_time(programs, trace, ONE, report)
        four, _ = best_time(programs, trace, FOUR, report)
        print(f'{records} records, {os.path.getsize(trace)} bytes; best of {REPEATS} runs')
        print(f'one policy: {one:.2f} s, {records / one / 1e6:.2f} M records/s')
        print(f'four policies in one pass: {four:.2f} s, {four / one:.2f} times one')


main()
