# SPDX-License-Identifier: MIT
"""What a replay costs grows as its trace does: traces of one shape, small and a hundred times larger, are replayed, and
the instructions of the larger may be no more than so many times those of the smaller. Instructions, because they are
the same on every machine and at every load; valgrind counts them.

    growth.py REFOLD [SHAPE...] [-n NR]      NR: of the larger; a million takes an hour and more
"""
import argparse
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HEAD = 'header {"arch": "x86_64", "cpus": 1, "kernel": "6.12.107", "page_size": 4096}\n'
SMALL = 1000
# Beyond n log n: caches and tables that double. Quadratic would be a hundred times.
ALLOWED = 1.25
# A limit of the format, and of addresses.
MOST = {'streams': 65534, 'entries_far_apart': 100000, 'huge_tables': 100000}
PAGE = 4096
SHAPES = {}


def shape(function):
    SHAPES[function.__name__] = function
    return function


class Trace:
    """Records of one CPU's tasks, and of a snapshot before them."""

    def __init__(self):
        self.time, self.streams = 1000, {'snapshot': [], 'task': []}

    def record(self, tid, words, stream='task'):
        self.time += 1
        self.streams[stream].append(f'{self.time} tid={tid} {words}')

    def process(self, pid, vmas=(), ptes=()):
        """A process that ran at attach."""
        for words in (f'snap_begin pid={pid} why=0 threads=1', *vmas, *ptes,
                      f'snap_end pid={pid} complete=1 stopped=1'):
            self.record(pid, words, 'snapshot')

    def call(self, tid, number, entry, *amid, ret=0):
        self.record(tid, entry)
        for words in amid:
            self.record(tid, words)
        self.record(tid, f'sys_ret call={number} ret={ret}')

    def fork(self, parent, child):
        self.call(parent, 26, 'clone flags=0x11', f'newtask child={child} flags=0x11', ret=child)

    def exit(self, tid):
        self.record(tid, 'exit')
        self.record(tid, 'exit_task')

    def text(self):
        streams = ''.join(f'stream {i} source={name} cpu=0\n' for i, name in enumerate(self.streams))
        frames = ''.join(f'frame stream={i}\n' + ''.join(line + '\n' for line in lines)
                         for i, lines in enumerate(self.streams.values()) if lines)
        return HEAD + streams + frames + 'end command\n'


WHOLE = 'snap_vma addr=0x1000 len=0x7fffffffe000 pgoff=0 dev=0x0 ino=0 flags=0x3'


def pte(addr, pfn, nr=1, order=0):
    return f'snap_pte addr={addr:#x} nr={nr} pfn={pfn:#x} order={order} flags=0x804'


@shape
def processes_at_attach(nr):
    trace = Trace()
    for pid in range(100, 100 + nr):
        trace.process(pid)
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    return trace.text()


def vmas(places):
    trace = Trace()
    trace.process(100)
    for addr in places:
        trace.call(100, 16, 'mmap addr=0x0 len=0x1000 prot=0x3 flags=0x22 fd=0 offset=0x0',
                   f'mmap2 addr={addr:#x} len=0x1000 pgoff=0 dev=0x0 ino=0 flags=0x3', ret=addr)
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    return trace.text()


@shape
def vmas_upwards(nr):
    return vmas(0x100000000 + 2 * place * PAGE for place in range(nr))


@shape
def vmas_downwards(nr):
    """As mmap() places them."""
    return vmas(0x700000000000 - 2 * place * PAGE for place in range(nr))


@shape
def vmas_in_mixed_order(nr):
    return vmas(0x100000000 + 2 * (place * 7919 % nr) * PAGE for place in range(nr))


def sharers(nr, order):
    trace = Trace()
    trace.process(100, [WHOLE], [pte(0x100000000, 0x100000, 64)])
    children = range(1000, 1000 + nr)
    for child in children:
        trace.fork(100, child)
    for child in order(children):
        trace.exit(child)
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    return trace.text()


@shape
def sharers_that_leave_first_to_last(nr):
    return sharers(nr, list)


@shape
def sharers_that_leave_last_to_first(nr):
    return sharers(nr, reversed)


@shape
def sharers_of_a_large_folio(nr):
    """Of which each writes to a page of its own before it leaves: the folio's pages are told apart by the first."""
    trace = Trace()
    trace.process(100, [WHOLE], [pte(0x100000000, 0x100000, 64, 6)])
    children = range(1000, 1000 + nr)
    for child in children:
        trace.fork(100, child)
    for child in children:
        trace.record(child, f'fault addr={0x100000000 + child % 64 * PAGE:#x} flags=0x3')
        trace.record(child, f'page_alloc pfn={0x200000 + child:#x} order=0 gfp=0x33')
        trace.exit(child)
    return trace.text()


SHARED_HUGE = 'prot=0x3 flags=0x40021 fd=0 offset=0x0'     # MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB
GIB = 1 << 30


@shape
def huge_tables(nr):
    """Each of another file, and of one process."""
    trace = Trace()
    trace.process(100)
    for addr in range(GIB, (nr + 1) * GIB, GIB):
        trace.call(100, 16, f'mmap addr=0x0 len={GIB:#x} {SHARED_HUGE}', ret=addr)
        trace.record(100, f'fault addr={addr:#x} flags=0x2')
    trace.exit(100)
    return trace.text()


@shape
def sharers_of_a_huge_table(nr):
    trace = Trace()
    trace.process(100)
    trace.call(100, 16, f'mmap addr=0x0 len={GIB:#x} {SHARED_HUGE}', ret=GIB)
    trace.record(100, f'fault addr={GIB:#x} flags=0x2')
    for child in range(1000, 1000 + nr):
        trace.fork(100, child)
        trace.record(child, f'fault addr={GIB:#x} flags=0x0')
    for child in range(1000, 1000 + nr):
        trace.exit(child)
    trace.exit(100)
    return trace.text()


@shape
def short_processes(nr):
    """One after the other, and faults of their parent that take its page back."""
    trace = Trace()
    trace.process(100, [WHOLE], [pte(0x100000000, 0x100000)])
    for child in range(1000, 1000 + nr):
        trace.fork(100, child)
        trace.record(child, 'fault addr=0x100000000 flags=0x7')
        trace.record(child, f'page_alloc pfn={0x200000 + child:#x} order=0 gfp=0x33')
        trace.exit(child)
        trace.record(100, 'fault addr=0x100000000 flags=0x7')
    return trace.text()


@shape
def threads_that_fault(nr):
    trace = Trace()
    trace.process(100, [WHOLE])
    for tid in range(1000, 1000 + nr):
        trace.call(100, 26, 'clone flags=0x10f00', f'newtask child={tid} flags=0x10f00', ret=tid)
    for tid in range(1000, 1000 + nr):
        trace.record(tid, f'fault addr={0x100000000 + tid * PAGE:#x} flags=0x6')
        trace.record(tid, f'page_alloc pfn={0x200000 + tid:#x} order=0 gfp=0x33')
        trace.record(tid, f'rss_stat mm_id=1 curr=1 member=1 pages={tid - 999}')
    return trace.text()


@shape
def entries_far_apart(nr):
    trace = Trace()
    trace.process(100, [WHOLE])
    for i in range(nr):
        trace.record(100, f'fault addr={0x100000000 + (i << 30):#x} flags=0x6')
        trace.record(100, f'page_alloc pfn={0x200000 + i:#x} order=0 gfp=0x33')
        trace.record(100, f'rss_stat mm_id=1 curr=1 member=1 pages={i + 1}')
    return trace.text()


@shape
def page_cache(nr):
    trace = Trace()
    trace.process(100)
    trace.record(100, 'fault addr=0x1000 flags=0x6')
    for i in range(nr):
        trace.record(100, f'cache_add dev=0x1 ino=7 index={i} pfn={0x200000 + i:#x} order=0')
    for i in range(nr):
        trace.record(100, f'cache_delete dev=0x1 ino=7 index={i} pfn={0x200000 + i:#x} order=0')
    return trace.text()


@shape
def streams(nr):
    lines = [f'stream {i} source=task cpu=0\n' for i in range(nr)]
    records = '1000 tid=1 process pid=1\n1001 tid=1 fault addr=0x1000 flags=0x6\n'
    return HEAD + ''.join(lines) + 'frame stream=0\n' + records + 'end command\n'


@shape
def losses_beside_processes(nr):
    trace = Trace()
    trace.process(100, [WHOLE])
    for child in range(1000, 1000 + nr):
        trace.fork(100, child)
        trace.exit(child)
        trace.streams['task'].append('frame stream=1 lost=1')
    return trace.text()


def instructions(refold, text, directory):
    trace = directory / 'grown.mmt.zst'
    subprocess.run([refold, 'assemble', '-', '-o', trace], input=text, text=True, check=True)
    done = subprocess.run(['valgrind', '--tool=cachegrind', '--cache-sim=no', '--cachegrind-out-file=/dev/null',
                           refold, 'replay', '-q', trace, '-p', 'linux-7.3', '-o', directory / 'report.json',
                           '--max-memory', '16G', '--max-time', '2h'],
                          capture_output=True, text=True, check=False)
    trace.unlink()
    refs = re.search(r'I\s+refs:\s+([\d,]+)', done.stderr)
    if done.returncode not in (0, 1) or not refs or 'allows more' in done.stderr:
        sys.exit(f'FAIL: replay ends with {done.returncode}: {done.stderr}')
    return int(refs[1].replace(',', ''))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('refold', type=pathlib.Path)
    parser.add_argument('shapes', nargs='*', choices=[[], *SHAPES])
    parser.add_argument('-n', type=int, default=100000)
    arguments = parser.parse_args()
    if not shutil.which('valgrind'):
        print('skipped: there is no valgrind to count instructions')
        return 77
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        for shape_name in arguments.shapes or SHAPES:
            most = min(arguments.n, MOST.get(shape_name, arguments.n))
            none, small, large = (instructions(arguments.refold, SHAPES[shape_name](nr), pathlib.Path(name))
                                  for nr in (1, SMALL, most))
            growth = (large - none) / (small - none) / (most / SMALL)
            if growth > ALLOWED * math.log(most) / math.log(SMALL):
                wrong.append(shape_name)
            print(f'{shape_name}: of {SMALL} each costs {(small - none) / SMALL:,.0f} instructions, of {most} '
                  f'{growth:.2f} times as much' + (', which is too much' if shape_name in wrong else ''), flush=True)
    print(f'{len(wrong)} shapes grow faster than their traces' + (f': {", ".join(wrong)}' if wrong else ''))
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
