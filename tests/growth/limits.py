# SPDX-License-Identifier: MIT
"""What a byte of a trace may cost (traces/FORMAT.md): traces whose few records stand for as much as records can are
replayed, and what that takes is held against the limits. It ends with a report, or with one line that names the limit.

    limits.py REFOLD [DIRECTORY...]      *.mmt.zst in directories, if there are any, too
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import growth
from growth import Trace, WHOLE, pte

MIB = 1 << 20
SHAPES = {}


def shape(function):
    SHAPES[function.__name__] = function
    return function


def most_memory(size, policies):
    return 512 * MIB + 64 * MIB * policies + size * ((128 << 10) + (64 << 10) * policies)


def most_seconds(size):
    return 120 + size * 1e-3


def snapshot(run_of):
    trace = Trace()
    trace.process(100, [WHOLE], [run_of(i) for i in range(1, 100)])
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    return trace.text()


@shape
def runs_of_a_snapshot():
    return snapshot(lambda i: pte(0x100000000 * i, 0x100000 * i, 1 << 20))


@shape
def swap_of_a_snapshot():
    return snapshot(lambda i: f'snap_swap addr={0x100000000 * i:#x} nr=1048576 entry=0x1')


@shape
def populated_mappings():
    trace = Trace()
    trace.process(100)
    for i in range(1, 60):
        addr = 0x10000000000 * i
        trace.call(100, 16, 'mmap addr=0x0 len=0x8000000000 prot=0x1 flags=0x8022 fd=0 offset=0x0',
                   f'mmap2 addr={addr:#x} len=0x8000000000 pgoff=0 dev=0x0 ino=0 flags=0x1', ret=addr)
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    return trace.text()


@shape
def folios_of_the_page_cache():
    trace = Trace()
    trace.process(100)
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    for i in range(20000):
        trace.record(100, f'cache_add dev=0x1 ino=7 index={i << 13} pfn={i << 13:#x} order=63')
    return trace.text()


@shape
def layouts_of_the_page_cache():
    trace = Trace()
    for i in range(20000):
        trace.record(0, f'cache_run dev=0x1 ino=7 index={i << 13} nr=8192 pfn={i << 13:#x} order=13', 'snapshot')
    trace.process(100)
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    return trace.text()


@shape
def children_of_a_large_process():
    trace = Trace()
    trace.process(100, [WHOLE], [pte(0x100000000, 0x100000, 1 << 19)])
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    for child in range(1000, 1500):
        trace.fork(100, child)
    return trace.text()


@shape
def large_folios():
    trace = Trace()
    trace.process(100, [WHOLE])
    for i in range(1, 3000):
        trace.record(100, f'fault addr={i << 26:#x} flags=0x6')
        trace.record(100, f'page_alloc pfn={i << 20:#x} order=13 gfp=0x33')
        trace.record(100, f'rss_stat mm_id=1 curr=1 member=1 pages={i << 13}')
    return trace.text()


@shape
def protections_of_what_is_far_apart():
    trace = Trace()
    trace.process(100, [WHOLE], [pte((i + 4) << 30, 0x100000 + i) for i in range(1000)])
    for i in range(1000):
        trace.call(100, 18, f'mprotect addr=0x1000 len=0x7fffffffe000 prot={1 + 2 * (i & 1):#x} pkey=-1')
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    return trace.text()


def moves_of_a_large_mapping():
    """Each takes long, although its records are few: not in SHAPES, because it is ended by its limit only."""
    trace = Trace()
    trace.process(100, [WHOLE], [pte(0x100000000, 0x100000, 1 << 19)])
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    for i in range(20000):
        old, new = (0x100000000, 0x300000000)[::1 - 2 * (i & 1)]
        trace.call(100, 19, f'mremap addr={old:#x} old_len=0x80000000 new_len=0x80000000 flags=0x3 new_addr={new:#x}',
                   ret=new)
    return trace.text()


def long_one(function, nr):
    SHAPES[f'{nr} {function.__name__}'] = lambda: function(nr)


long_one(growth.entries_far_apart, 50000)
long_one(growth.vmas_downwards, 100000)
long_one(growth.streams, 65534)
long_one(growth.sharers_that_leave_first_to_last, 5000)


# Those that replay, on two policies.
POLICIES = ['-q', '-p', 'linux-6.9,linux-7.3', '-o', os.devnull]
REPLAY = ['replay', *POLICIES]
KEPT = ['replay', *POLICIES, '--processes', '--windows', '--by', 'vma,call', '--by', 'site']
PERFETTO = ['export', '--perfetto', *POLICIES]
ABLATE = ['ablate', '-q', '--from', 'linux-6.9', '--to', 'linux-7.3']


def run(refold, command, path, *options):
    """Exit code, what was said, seconds of CPU, bytes of memory."""
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([refold, *command, path, *options], stderr=said, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return child.returncode, said.read().decode(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def check(refold, name, command, path):
    size = path.stat().st_size
    code, said, seconds, memory = run(refold, command, path)
    wrong = []
    if code not in (0, 1, 3):
        wrong.append(f'exit code {code}')
    if said.count('\n') > (code != 0):
        wrong.append('more than one line')
    if code == 1 and not re.search('out of memory.*--max-memory|longer than .*--max-time|nothing was replayed', said):
        wrong.append('names no limit')
    # Two policies: the clock is that of a wall, and three threads run.
    if seconds > 3 * most_seconds(size):
        wrong.append(f'more than {most_seconds(size):.0f} s')
    if memory > most_memory(size, 2) + 64 * MIB:
        wrong.append(f'more than {most_memory(size, 2) / MIB:.0f} MiB')
    print(f'{name}, {command[0]}{" by" * (command is KEPT)}: {size} bytes, {seconds:.1f} s, {memory / MIB:.0f} MiB, {code} {said.strip()[-80:]}'
          f'{": " if wrong else ""}{", ".join(wrong)}', flush=True)
    return not wrong


def policy_memory(refold, path):
    """Of a recording, a policy takes no more than 9 bytes for each entry that its processes have mapped when they end,
    and 64 MiB. So many of the entries there were, or more."""
    taken = []
    with tempfile.TemporaryDirectory() as scratch:
        report = pathlib.Path(scratch, 'report.json')
        for nr in (1, 9):
            policies = ','.join(['linux-7.3', *(f'linux-7.3+max_dvm_ops={ops}' for ops in range(8, 8 + nr - 1))])
            child = subprocess.Popen([refold, 'replay', '-q', path, '-p', policies, '-o', report])
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            taken.append(usage.ru_maxrss << 10)
        entries = json.loads(report.read_text())['fidelity']['ptes']
    each = (taken[1] - taken[0]) / 8
    good = child.returncode == 0 and each <= 9 * entries + 64 * MIB
    print(f'{path.name}: {each / MIB:.1f} MiB a policy, of {entries} entries{"" if good else ": that is too much"}')
    return good


def obeys(refold, command, path, option, value, says):
    code, said, seconds, _ = run(refold, command, path, option, value)
    # Threads of all policies may be amid what takes a while.
    good = code == 1 and said.count('\n') == 1 and says in said and option in said and seconds < 10
    print(f'{command[0]} {option} {value}: {seconds:.1f} s, {code} {said.strip()[-80:]}{"" if good else ": is not obeyed"}')
    return good


def main():
    refold, directories = sys.argv[1], [pathlib.Path(name) for name in sys.argv[2:]]
    good = True
    # First: what a child is said to have taken is not less than what this process had.
    for path in sorted((pathlib.Path(__file__).parents[2] / 'traces' / 'samples').glob('*.mmt.zst')):
        good &= policy_memory(refold, path)
    with tempfile.TemporaryDirectory(prefix='refold-limits-') as scratch:
        for name, generate in SHAPES.items():
            path = pathlib.Path(scratch, f'{name}.mmt.zst')
            subprocess.run([refold, 'assemble', '-', '-o', path], input=generate(), text=True, check=True)
            for command in REPLAY, KEPT, PERFETTO:
                good &= check(refold, name, command, path)
        moves = pathlib.Path(scratch, 'moves.mmt.zst')
        subprocess.run([refold, 'assemble', '-', '-o', moves], input=moves_of_a_large_mapping(), text=True, check=True)
        for command in REPLAY, KEPT, PERFETTO:
            good &= obeys(refold, command, moves, '--max-time', '1', 'longer than it may')
        # Stacks of threads count, and an ablation has many.
        for command, memory in (REPLAY, '40M'), (PERFETTO, '40M'), (ABLATE, '1200M'):
            good &= obeys(refold, command, pathlib.Path(scratch, 'children_of_a_large_process.mmt.zst'), '--max-memory',
                          memory, 'out of memory')
            good &= obeys(refold, command, pathlib.Path(scratch, 'protections_of_what_is_far_apart.mmt.zst'),
                          '--max-time', '0.1', 'longer than it may')
    for directory in directories:
        if not directory.is_dir():
            print(f'{directory.name}: not here, so not tried')
        for path in sorted(directory.glob('*.mmt.zst')):
            for command in REPLAY, KEPT, PERFETTO:
                good &= check(refold, path.name, command, path)
    sys.exit(not good)


if __name__ == '__main__':
    main()
