# SPDX-License-Identifier: MIT
"""What call stacks cost (refold-capture -g): a program that makes some 10,000 calls a second, recorded with and
without, in turns. CPU time of a call with its faults, of the recorder for each call, and of both; the trace's size. The
median of the rounds counts.

    stacks_cost.py BUILD_ROOT SOURCE_ROOT
"""
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'live'))
import machine

ROUNDS = 5
CALLS, PAUSE = 20000, 60


def main():
    build_root, source_root = sys.argv[1:]
    machine.need_live_kernel()
    programs = machine.Programs(build_root, source_root)
    load = os.path.join(os.path.dirname(programs.truth), '..', 'bench', 'paced_calls')
    found = {(): [], ('-g',): []}
    with machine.work_directory('stacks_cost') as directory:
        trace = os.path.join(directory, 't.mmt.zst')
        for _ in range(ROUNDS):
            for options, values in found.items():
                said = programs.run(programs.capture, '-q', '--exit-snapshots=none', *options, '-o', trace, '--', load,
                                    str(CALLS), str(PAUSE)).stdout
                dumped = programs.run('/bin/sh', '-c', f'{programs.refold} dump {trace} | grep " recorder "').stdout
                recorder = int(dumped.rsplit(' cpu_ns=', 1)[1].split()[0]) / 1e3 / CALLS
                values.append((float(said), recorder, float(said) + recorder, os.path.getsize(trace) / CALLS))
        without, with_stacks = ([statistics.median(column) for column in zip(*values)] for values in found.values())
    for name, before, after in zip(('us of a call', 'us of the recorder', 'us of both', 'bytes'), without, with_stacks):
        print(f'{name}: {before:.2f} -> {after:.2f}, ratio {after / before:.2f}')


main()
