#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Boot real arm64 kernels in an emulator, record workloads with refold-capture inside while the emulator counts, replay
the recordings outside, and compare each window.

    live.py --build DIR --source DIR [--keep DIR] [--kernels sid,trixie,backports] [--cpus range,norange] [--modes 64K]
            [--workloads LIST] [--without-kprobes] [--page BYTES] [-v]

What it needs comes from Debian (lab/packages.py) and stays in ${XDG_CACHE_HOME:-~/.cache}/refold-arm64. Exit code 77,
with the reason, where that cannot be had. --keep leaves the recordings and the counts of each run in DIR.

Two CPUs run in the guest, and what one of them holds for a moment (a folio off its LRU list, a reference) the other
skips, which no event tells. A window that differs is therefore booted again: it is wrong if it differs twice, and is
shown, as a difference of one boot, if it does not.

Of kernels that are older than every policy, facts are compared: faults, and what snapshots say of entries. Where the
kernel does not keep pids in CONTEXTIDR_EL1 (bullseye), nothing is counted by process, and windows are only recorded.
"""
import argparse
import collections
import json
import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / 'lab')]
import compare
import counts
import emulator
import packages
import replays

SKIPPED = 77
# Debian releases and packages of kernels.
KERNELS = {
    'bullseye': ('bullseye', 'linux-image-cloud-arm64'),
    'bookworm': ('bookworm', 'linux-image-cloud-arm64'),
    'sid': ('sid', 'linux-image-cloud-arm64'),
    'trixie': ('trixie', 'linux-image-cloud-arm64'),
    'backports': ('trixie-backports', 'linux-image-cloud-arm64'),
    'trixie-16k': ('trixie', 'linux-image-arm64-16k'),
}
WORKLOADS = ('anon', 'anon_read', 'fork_exit', 'cow_child_all', 'cow_child_1per64k', 'cow_parent_all',
             'cow_parent_1per64k', 'mprotect', 'dontneed', 'free', 'mremap', 'partial', 'populate', 'brk', 'collapse',
             'reclaim', 'file_tmpfs')


def cache_directory():
    base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    cache = pathlib.Path(base) / 'refold-arm64'
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def prepare(arguments):
    """The emulators, one per kernel."""
    cache = cache_directory()
    packages.install_tools(cache)
    build = cache / 'build'
    try:
        packages.run(arguments.source / 'scripts' / 'cross', 'arm64', build)
    except packages.Unavailable as reason:
        if (build / 'sysroot' / 'complete').exists():   # all packages are there: it is our code
            raise RuntimeError(str(reason)) from None
        raise
    programs = [emulator.build_workloads(cache), build / 'capture' / 'refold-capture']
    return [emulator.Emulator(cache, packages.Kernel(cache, *KERNELS[kernel]), programs)
            for kernel in arguments.kernels.split(',')]


# Of the entries so many must be right.
LEAST = 0.99


def pids_are_kept(windows):
    """Whether the kernel tells the emulator who runs."""
    with open(windows, encoding='utf-8') as file:
        return any(json.loads(line)['pid'] for line in file)


class Run:
    """One boot: what was counted, what the replays of its recordings predict."""

    def __init__(self, machine, cpu, directory, arguments, workloads):
        self.release = machine.kernel.version
        self.cpu = cpu
        refold = arguments.build / 'replay' / 'refold'
        self.log = machine.record(cpu, directory, arguments.modes.split(','), workloads,
                                  kprobes=not arguments.without_kprobes, page=arguments.page)
        self.policy = replays.policy(refold, self.release, cpu)
        traces = sorted(directory.glob('*.mmt.zst'))
        self.fidelity = collections.Counter()
        self.predicted = replays.replay(refold, traces, [self.policy], self.fidelity)[self.policy]
        self.loses = arguments.without_kprobes
        self.marks = len(replays.report(refold, directory / 'marks.trace', [self.policy])['windows'])
        self.counted = counts.load_plugin(directory / 'windows.jsonl',
                                          [replays.recorded_processes(refold, trace) for trace in traces])
        self.by_process = pids_are_kept(directory / 'windows.jsonl')
        quantities = ('faults',) if replays.is_before_policies(refold, self.release) else counts.QUANTITIES
        self.found = {label: compare.differences(window, self.counted[label], quantities)
                      for label, window in self.predicted.items() if label in self.counted}

    def problems(self):
        """Sentences: what went wrong besides numbers."""
        lines = self.log.strip().splitlines()
        counted = {label for label in self.counted if not label.endswith('/empty')}
        if self.by_process and counted != set(self.predicted):
            lines.append(f'not both recorded and counted: {", ".join(sorted(counted ^ set(self.predicted)))}')
        if not self.predicted or (self.by_process and not self.found):
            lines.append('no window was counted')
        if not self.loses and any(self.fidelity[name] < LEAST * self.fidelity['ptes']
                                  for name in ('present', 'pfn', 'order')):
            lines.append('entries are missing or wrong')
        if not self.loses and self.marks != 1:
            lines.append(f'{self.marks} windows by marks of the common trace_marker')
        return lines

    def show_fidelity(self):
        found = self.fidelity
        print(f'  {found["ptes"]:,} entries in the final snapshots: {found["present"]:,} present, {found["pfn"]:,} with '
              f'the right page, {found["order"]:,} order, {found["extra"]:,} too many; {found["records"]:,} records; '
              f'{found["exact"]} of {found["recordings"]} recordings exact; {len(self.predicted)} windows'
              f'{"" if self.by_process else ", not counted by process"}')

    def differing(self, unobserved):
        """The windows that differ and are not listed."""
        return {label for label, found in self.found.items() if found and not unobserved.reason_elsewhere(label, found)}

    def show(self, verbose, unobserved):
        """The table."""
        print(f'Linux {self.release} on {emulator.CPUS[self.cpu][0]}, {self.policy}: predicted / counted')
        for label, found in self.found.items():
            if verbose:
                print(compare.window_text(label, self.predicted[label], self.counted[label], found))
            if found:
                reason = unobserved.reason_elsewhere(label, found)
                print(f'  {label:44} {compare.differences_text(found)}' +
                      (f'\n  {"":44}   ({reason})' if reason else ''))
        self.show_fidelity()
        for line in self.problems():
            print(f'  {line}')
        equal = sum(not found for found in self.found.values())
        wrong = len(self.differing(unobserved))
        print(f'  {equal} of {len(self.found)} windows equal, {len(self.found) - equal - wrong} differ as listed, '
              f'{wrong} differ\n', flush=True)


def run(machine, cpu, directory, arguments, unobserved):
    """Record, compare and show; returns whether anything is wrong."""
    first = Run(machine, cpu, directory, arguments, arguments.workloads.split(','))
    first.show(arguments.verbose, unobserved)
    if first.problems():
        return True
    differing = first.differing(unobserved)
    if not differing:
        return False
    print('  once more, what differs:')
    workloads = sorted({label.split('/')[0] for label in differing})
    second = Run(machine, cpu, directory.with_name(f'{directory.name}-again'), arguments, workloads)
    second.show(arguments.verbose, unobserved)
    return bool(second.problems() or not differing <= set(second.found) or differing & second.differing(unobserved))


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True, type=pathlib.Path)
    parser.add_argument('--source', required=True, type=pathlib.Path)
    parser.add_argument('--keep', type=pathlib.Path)
    parser.add_argument('--kernels', default='sid,trixie,backports')
    parser.add_argument('--cpus', default='range,norange')
    parser.add_argument('--modes', default='64K')
    parser.add_argument('--workloads', default=','.join(WORKLOADS))
    parser.add_argument('--without-kprobes', action='store_true', help='as where there are none, or no right to them')
    parser.add_argument('--page', type=int, metavar='BYTES', help='workloads do what they would with pages so large')
    parser.add_argument('-v', '--verbose', action='store_true')
    return parser.parse_args()


def main():
    arguments = arguments_of()
    started = time.monotonic()
    try:
        machines = prepare(arguments)
    except (packages.Unavailable, OSError) as reason:
        print(f'SKIP: {reason}')
        return SKIPPED
    unobserved = compare.Unobserved(json.loads((HERE / 'unobserved.json').read_text(encoding='utf-8')))
    bad = unknown = False
    with tempfile.TemporaryDirectory() as scratch:
        for machine in machines:
            for cpu in arguments.cpus.split(','):
                directory = (arguments.keep or pathlib.Path(scratch)) / f'{machine.kernel.version}-{cpu}'
                known = replays.kernel_policy(arguments.build / 'replay' / 'refold', machine.kernel.version)[1]
                try:
                    wrong = run(machine, cpu, directory, arguments, unobserved)
                except RuntimeError as reason:
                    print(reason)
                    wrong = True
                bad |= wrong and known
                unknown |= wrong and not known
    print(f'{time.monotonic() - started:.0f} s')
    if unknown and not bad:
        print('SKIP: the kernel is newer than every policy, and differs from the newest')
        return SKIPPED
    return int(bad)


if __name__ == '__main__':
    sys.exit(main())
