#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Boot a real x86-64 kernel on one CPU of an emulator, record workloads with refold-capture inside while the emulator
counts, replay the recordings outside, and compare each window; ../arm64/live.py is the same of arm64.

    live.py --build DIR --source DIR [--keep DIR] [--kernel 7.2] [--modes 64K,2M] [--workloads LIST] [-v]

What it needs comes from Debian (lab/machine.py). Exit code 77, with the reason, where that cannot be had. --keep leaves
the recordings and the counts in DIR. A window that differs and is not listed in unobserved.json is recorded once more:
it must be equal then.
"""
import argparse
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / 'lab'), str(HERE.parent / 'arm64')]
import collect
import machine

import compare
import packages
import replays

SKIPPED = 77
WORKLOADS = ('anon', 'anon_read', 'fork_exit', 'cow_child_all', 'cow_child_1per64k', 'cow_parent_all',
             'cow_parent_1per64k', 'mprotect', 'dontneed', 'free', 'mremap', 'partial', 'populate', 'brk', 'collapse',
             'reclaim', 'file_tmpfs')


def differing(emulated, directory, arguments, workloads, unobserved):
    """Record, compare, print; the windows that differ and are not listed, or None if there is nothing to compare."""
    log = emulated.record('max', directory, arguments.modes.split(','), workloads).strip()
    refold, policy = arguments.build / 'replay' / 'refold', machine.KERNELS[arguments.kernel][1]
    traces = sorted(directory.glob('*.mmt.zst'))
    predicted = replays.replay(refold, traces, [policy])[policy]
    counted = collect.collect(refold, directory / 'windows.jsonl', traces)
    found = {label: compare.differences(window, counted[label], collect.QUANTITIES)
             for label, window in predicted.items() if label in counted}
    print(f'Linux {emulated.kernel.version}, {policy}: predicted / counted')
    for label, change in found.items():
        if arguments.verbose:
            print(compare.window_text(label, predicted[label], counted[label], change))
        if change:
            print(f'  {label:44} {compare.differences_text(change)}')
    print(f'  {sum(not change for change in found.values())} of {len(found)} windows equal', flush=True)
    if log:
        print(log)
    if not found or log or set(predicted) != set(counted):
        return None
    return {label for label, change in found.items() if change and not unobserved.reason_elsewhere(label, change)}


def run(emulated, directory, arguments):
    unobserved = compare.Unobserved(json.loads((HERE / 'unobserved.json').read_text(encoding='utf-8')))
    first = differing(emulated, directory, arguments, arguments.workloads.split(','), unobserved)
    if not first:
        return first is None
    print('  once more, what differs:')
    workloads = sorted({label.split('/')[0] for label in first})
    second = differing(emulated, directory.with_name(f'{directory.name}-again'), arguments, workloads, unobserved)
    return second is None or bool(first & second)


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True, type=pathlib.Path)
    parser.add_argument('--source', required=True, type=pathlib.Path)
    parser.add_argument('--keep', type=pathlib.Path)
    parser.add_argument('--kernel', choices=sorted(machine.KERNELS), default='7.2')
    parser.add_argument('--modes', default='64K,2M')
    parser.add_argument('--workloads', default=','.join(WORKLOADS))
    parser.add_argument('-v', '--verbose', action='store_true')
    return parser.parse_args()


def main():
    arguments = arguments_of()
    try:
        emulated = machine.prepare(arguments.source, arguments.kernel)
    except (packages.Unavailable, OSError) as reason:
        print(f'SKIP: {reason}')
        return SKIPPED
    with tempfile.TemporaryDirectory() as scratch:
        directory = (arguments.keep or pathlib.Path(scratch)) / arguments.kernel
        return int(run(emulated, directory, arguments))


if __name__ == '__main__':
    sys.exit(main())
