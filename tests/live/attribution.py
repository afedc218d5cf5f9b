# SPDX-License-Identifier: MIT
"""The top row of refold replay --by vma,call names what strace and the program's source say.

    attribution.py BUILD_ROOT SOURCE_ROOT CASE
"""
import collections
import ctypes.util
import json
import os
import re
import sys

import machine
import recorder

POLICY = 'linux-7.3'
WHOLE = re.compile(r'^(\d+) +(\w+)\((.*)\) += +(0x[0-9a-f]+|-?\d+)')
BEGUN = re.compile(r'^(\d+) +(\w+)\((.*?),? *<unfinished ...>')
ENDED = re.compile(r'^(\d+) +<\.\.\. (\w+) resumed>.*\) += +(0x[0-9a-f]+|-?\d+)')
VMA = re.compile(r'^(\w+)(?: \d+:\d+ inode \d+)? 0x([0-9a-f]+)\+(\d+)([BKMGT]) of (.*) \((\d+)\)$')


def rows(bench, keys):
    report, _ = bench.replay(options=('-p', POLICY, '--by', keys, '--top', '100000'))
    policy = next(policy for policy in report['attribution'][0]['policies'] if policy['name'] == POLICY)
    for row in policy['rows'][:5]:
        print([row[key] for key in keys.split(',')], row['totals']['tlbi'], row['totals']['unfold'])
    return policy['rows']


def vma(text):
    """Mapping, first and last address, command and pid."""
    match = VMA.match(text)
    machine.require(match, f'no mapping: {text}')
    mapping, start, length, unit, command, pid = match.groups()
    start = int(start, 16)
    return mapping, start, start + int(length) * 1024 ** 'BKMGT'.index(unit), command, int(pid)


def traced(bench, calls, *command):
    """What strace saw of these calls while the command was recorded: (pid, name, arguments, result) of each that went
    well."""
    log = bench.path('strace')
    bench.programs.record(bench.trace, machine.need_program('strace'), '-f', '-q', '-e', f'trace={calls}', '-o', log,
                          *command)
    return [(int(pid), name, arguments.split(', '), int(result, 0))
            for pid, name, arguments, result in calls_of(machine.read(log)) if not result.startswith('-')]


def calls_of(log):
    """Calls that another thread's came between stand on two lines."""
    begun = {}
    for line in log.splitlines():
        if match := WHOLE.match(line):
            yield match.groups()
        elif match := BEGUN.match(line):
            begun[match[1]] = match[3]
        elif (match := ENDED.match(line)) and match[1] in begun:
            yield match[1], match[2], begun.pop(match[1]), match[3]


def jemalloc(bench):
    """An allocator that gives pages back at once: most invalidations are those of its madvise(), in its arena."""
    if not ctypes.util.find_library('jemalloc'):
        machine.skip('libjemalloc2 is not installed')
    program = os.path.join(bench.programs.workloads, 'mtmalloc')
    seen = traced(bench, 'madvise', 'env', 'LD_PRELOAD=libjemalloc.so.2',
                  'MALLOC_CONF=dirty_decay_ms:0,muzzy_decay_ms:0', program, '2', '3000')
    # Their last bytes: the C library gives back stacks of threads with the guard below them.
    given_back = [int(arguments[0], 16) + int(arguments[1]) - 1 for _, _, arguments, _ in seen
                  if arguments[2] == 'MADV_DONTNEED']
    all_rows = rows(bench, 'vma,call')
    mapping, _, _, command, _ = vma(all_rows[0]['vma'])
    machine.require((mapping, command, all_rows[0]['call']) == ('anon', 'mtmalloc', 'madvise(DONTNEED)'),
                    'another top row')
    # Each arena has as many operations as strace saw calls in it, and all together have all.
    purged = [row for row in all_rows if row['call'] == 'madvise(DONTNEED)']
    for row in purged:
        _, start, end, _, _ = vma(row['vma'])
        inside = sum(start <= address < end for address in given_back)
        machine.require(row['totals']['operations'] == inside, f'strace saw {inside} calls in {row["vma"]}')
    machine.require(sum(row['totals']['operations'] for row in purged) == len(given_back) > 100,
                    f'strace saw {len(given_back)} calls')


def gcc(bench):
    """A compiler's heap, what it maps for its own collector, or its bss; never the driver's or the shell's."""
    source = bench.path('source.c')
    generator = os.path.join(bench.programs.scripts, 'generate_source.py')
    machine.write(source, bench.programs.run(sys.executable, generator, '100').stdout)
    seen = traced(bench, 'brk,mmap,munmap,mremap', machine.need_program('gcc'), '-O2', '-c', source, '-o',
                  bench.path('object.o'))
    compiler, _ = collections.Counter(pid for pid, *_ in seen).most_common(1)[0]
    top = rows(bench, 'vma,call')[0]
    mapping, start, end, command, pid = vma(top['vma'])
    machine.require((command, pid) == ('cc1', compiler), f'the compiler was {compiler}')
    if mapping == 'heap':
        ends = [result for by, name, _, result in seen if by == compiler and name == 'brk']
        machine.require(start <= max(ends) <= end, f'strace saw the heap end at {max(ends):#x}')
    elif mapping == 'anon':
        mapped = [result for by, name, _, result in seen if by == compiler and name == 'mmap']
        machine.require(any(start <= address < end for address in mapped) or end - start in bss_lengths(bench, 'cc1'),
                        'strace saw nothing mapped there')
    if top['call'] in ('brk', 'munmap', 'mremap', 'mmap'):
        machine.require(any(by == compiler and name == top['call'] for by, name, *_ in seen),
                        'the compiler makes no such call')


def bss_lengths(bench, program):
    """What exec maps itself, where no call tells of it: the whole pages behind what a segment has of the file."""
    path = bench.programs.run('gcc', f'-print-prog-name={program}').stdout.strip()
    segments = bench.programs.run('readelf', '-lW', path).stdout
    page = os.sysconf('SC_PAGE_SIZE')

    def pages(address):
        return -(-address // page) * page

    for _, address, _, in_file, in_memory in re.findall(r'^ +LOAD' + r' +(0x[0-9a-f]+)' * 5, segments, re.M):
        start = int(address, 16)
        yield pages(start + int(in_memory, 16)) - pages(start + int(in_file, 16))


def jvm(bench):
    """A virtual machine that maps its own heaps and code: what costs most lies in memory that strace saw it map."""
    java, source = machine.need_program('java'), os.path.join(bench.programs.scripts, '..', 'sources', 'Main.java')
    seen = traced(bench, 'mmap,munmap,mprotect,madvise', java, '-Xmx64m', '-Xshare:off', source)
    mapped = [(pid, result, result + int(arguments[1])) for pid, name, arguments, result in seen if name == 'mmap']
    all_rows = rows(bench, 'vma,call')
    mapping, start, end, command, pid = vma(all_rows[0]['vma'])
    machine.require(mapping in ('anon', 'heap'), f'a top row of {mapping}')
    machine.require(mapping == 'heap' or any(begin <= start and end <= limit for _, begin, limit in mapped) or
                    any(start <= begin < end for _, begin, _ in mapped), 'strace saw nothing mapped there')
    # Each madvise() is there that strace saw, in the mapping that it was in.
    given_back = [int(arguments[0], 16) for _, name, arguments, _ in seen
                  if name == 'madvise' and arguments[2] == 'MADV_DONTNEED']
    told = [row for row in all_rows if row['call'] == 'madvise(DONTNEED)']
    machine.require(sum(row['totals']['operations'] for row in told) == len(given_back),
                    f'strace saw {len(given_back)} calls')
    machine.require(command == 'java', f'a top row of {command}')
    machine.require(pid in {by for by, *_ in seen}, f'{pid} is none of the threads that strace saw')


def redis(bench):
    """A server that forks to save: what is written afterwards is copied, in its anonymous memory, by faults."""
    machine.need_program('redis-server', 'redis-check-rdb')
    machine.need_program('redis-cli')
    script = os.path.join(bench.programs.scripts, 'redis_bgsave.sh')
    bench.programs.record(bench.trace, '/bin/sh', script, bench.directory)
    top = rows(bench, 'vma,call')[0]
    mapping, *_, command, _ = vma(top['vma'])
    machine.require((mapping, command, top['call']) == ('anon', 'redis-server', 'fault'), 'another top row')
    sites = [row['site'] for row in rows(bench, 'vma,site') if row['vma'] == top['vma']]
    machine.require(sites[0] in ('cow', 'reuse'), f'of it most is {sites[0]}, not copying')


if __name__ == '__main__':
    recorder.main((jemalloc, gcc, jvm, redis))
