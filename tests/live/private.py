# SPDX-License-Identifier: MIT
"""What runs already is somebody's: a recording of it by default holds nothing that this test knows of it, and replays
to what the same recording as it was replays to.

    private.py BUILD_ROOT SOURCE_ROOT CASE
"""
import glob
import json
import os
import re
import signal
import struct
import subprocess
import sys

import machine
from box import Box
from recorder import Bench

# Touches fresh memory, a file and memory at a fixed place, names mappings and threads, forks, and writes marks,
# until it is killed.
PROGRAM = r"""
import ctypes, mmap, os, sys, threading, time
libc = ctypes.CDLL(None)
libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 4
fixed = libc.mmap(0x23457000, 1 << 16, 3, 0x100022, -1, 0)    # private, anonymous, MAP_FIXED_NOREPLACE
libc.prctl(0x53564d41, 0, ctypes.c_ulong(fixed), ctypes.c_ulong(1 << 16), b"hidden-mapping")
kept = mmap.mmap(-1, 4 << 20)
kept[::4096] = b"x" * 1024
file = open(sys.argv[1], "w+b")
file.truncate(1 << 16)
mapped = mmap.mmap(file.fileno(), 1 << 16)
open("/proc/self/comm", "w").write("very-private")

def rename():
    while True:
        open("/proc/thread-self/comm", "w").write("inner-thread")
        with mmap.mmap(-1, 1 << 16) as block:
            block[::4096] = b"x" * 16
        time.sleep(0.1)

threading.Thread(target=rename, daemon=True).start()
end = time.time() + 300
while time.time() < end:
    with mmap.mmap(-1, 1 << 18) as block:
        block[::4096] = b"x" * 64
    libc.madvise(ctypes.c_void_p(fixed), ctypes.c_size_t(1 << 16), 4)
    ctypes.memset(fixed, 1, 1 << 16)
    mapped[::4096] = b"y" * 16
    child = os.fork()
    if not child:
        open("/proc/self/comm", "w").write("small-child")
        kept[::8192] = b"z" * 512
        os._exit(0)
    os.waitpid(child, 0)
    for text in "password: sesame", "WL BEGIN phase", "WL END phase":
        try:
            with open(sys.argv[2], "w") as marks:
                marks.write(text)
        except OSError:     # of whoever switches the top-level buffer off
            pass
    print(child, flush=True)
    time.sleep(0.05)
"""
FIXED = 0x23457000
# What only a recording that keeps names has, and what none has: arguments, environment, names of files, of the machine.
NAMES = 'very-private', 'inner-thread', 'small-child', 'password: sesame'
NEVER = [word for word in ('hidden-mapping', 'open-argument', 'open-environment', 'secret-file', '/usr/', 'libc.so',
                           os.uname().nodename, machine.read('/proc/cmdline')) if len(word) > 4]
ADDRESSES = r' (?:addr|new_addr|arg3|arg5|local|remote|ret)=(0x\w+|\d+)(?= |$)'


class Known:
    """What a process' own files tell: numbers by class of field."""

    def __init__(self, pid, children):
        self.numbers = {'task': {pid, *children, *map(int, os.listdir(f'/proc/{pid}/task'))}, 'ino': set(),
                        'pfn': set(), 'addr': set(range(FIXED, FIXED + (1 << 16), 4096))}
        self.borders = set()
        with open(f'/proc/{pid}/pagemap', 'rb') as pagemap:
            for line in machine.read(f'/proc/{pid}/maps').splitlines():
                start, end, inode = re.match(r'(\w+)-(\w+) \S+ \S+ \S+ (\d+)', line).groups()
                start, end = int(start, 16), int(end, 16)
                if start >> 63:
                    continue
                self.numbers['ino'].add(int(inode))
                self.numbers['addr'].update(range(start, min(end, start + (1 << 20)), 4096))
                self.borders.add(start)
                pagemap.seek(start // 4096 * 8)
                entries = pagemap.read((min(end, start + (4 << 20)) - start) // 4096 * 8)
                self.numbers['pfn'].update(entry & (1 << 55) - 1 for entry, in struct.iter_unpack('<Q', entries)
                                           if entry >> 63)
        machine.require(FIXED in self.borders, 'the program has memory at a fixed place')
        for numbers in self.numbers.values():
            numbers.discard(0)

    def found(self, text, unpacked):
        """What of it there is in a trace: its text, and the bytes of all its frames."""
        # A small number may be anything: where it is told tells.
        fields = {'task': r' (?:tid|pid|child|parent_pid|parent_tid|old_tid)=(\d+)', 'ino': r' (?:ino|shmid)=(\d+)',
                  'pfn': r' pfn=(0x\w+)', 'addr': ADDRESSES}
        found = {}
        for what, pattern in fields.items():
            numbers = {int(number, 0) for number in re.findall(pattern, text, re.MULTILINE)}
            if what == 'addr':
                large = (int(number, 0) for number in re.findall(r'=(0x\w{9,16}|\d{11,20})\b', text))
                numbers |= {number for number in large if number >> 40}
                numbers = {number & ~4095 for number in numbers}
            found[what] = numbers & self.numbers[what]
        for number in self.borders:
            if number >> 32 and number.to_bytes(8, 'little') in unpacked:
                found['addr'].add(number)
        # A name is in words of eight bytes, which need not be together.
        names = ''.join(re.findall(r'(?:name|w)\d="([^"]*)"', text)) + text.partition('\n')[0]
        found['names'] = {word for word in NAMES if word in names or word[:8].encode() in unpacked}
        found['never'] = {word for word in NEVER if word in text or word[:8].encode() in unpacked}
        return found


def start_load(bench):
    """Processes beside the program that come and go, write and are named."""
    directory = bench.path('secret-directory')
    os.mkdir(directory)
    bench.programs.start(os.path.join(bench.programs.workloads, 'storms'), 'noise', '60', directory)
    shell = bench.programs.start('/bin/sh', '-c', f'while :; do cp /bin/sh {directory}/hidden-program; '
                                 f'{directory}/hidden-program -c ": very-private-argument"; sleep 0.01; done')
    return shell


def record(bench, *options, looks=()):
    """The text of a recording of the program, and what is known of it."""
    marks = next(path for path in ('/sys/kernel/tracing/trace_marker', '/sys/kernel/debug/tracing/trace_marker')
                 if os.path.exists(path))
    said = bench.path('said by the program')
    os.environ['REFOLD_TEST'] = 'open-environment'
    target = bench.programs.start(sys.executable, '-c', PROGRAM, bench.path('secret-file'), marks, 'open-argument',
                                  said=said)
    machine.wait_for(lambda: machine.read(said).count('\n') > 2, 'the program')
    recorder = bench.start_recording(*([options[0], str(target.pid)] if options[0] == '-p' else [options[0]]),
                                     *options[1:])
    begun = machine.read(said).count('\n')
    machine.wait_for(lambda: machine.read(said).count('\n') > begun + 6, 'six rounds', seconds=60)
    children = [int(line) for line in machine.read(said).splitlines()[begun + 2:begun + 6]]
    for look in looks:
        look()
    known = Known(target.pid, children)
    recorder.send_signal(signal.SIGINT)
    bench.wait_end(recorder, 0)
    target.kill()
    bench.no_instance_left()
    return known


def found_in(bench, known):
    """What is known of the program and in the trace; the trace as text."""
    text = bench.programs.run(bench.programs.refold, 'dump', bench.trace).stdout
    unpacked = subprocess.run(['zstd', '-dc', bench.trace], check=True, capture_output=True).stdout
    with open(bench.trace, 'rb') as file:
        return known.found(text, unpacked + file.read()), text


def hidden(bench, target):
    known = record(bench, target)
    found, text = found_in(bench, known)
    told = json.loads(text.partition('\n')[0].removeprefix('header '))['privacy']
    print(told)
    machine.require('kept' not in told.values(), 'the header says that all is hidden')
    for what, those in found.items():
        print(f'{what}: {len(known.numbers.get(what, NAMES))} known')
        machine.require(not those, f'{what}: {sorted(those)[:5]} can be read')
    machine.require('w0="WL BEGIN"' in text, 'a mark that names a window stays')
    report, _ = bench.replay()
    fidelity = report['fidelity']
    print('fidelity: ' + ', '.join(f'{name} {fidelity[name]}' for name in ('ptes', 'present', 'pfn', 'order', 'extra')))
    machine.require(fidelity['pfn'] >= 0.995 * fidelity['ptes'] > 500, 'a replay finds the pages')


def without_names(value):
    """A report without what a name or a number of somebody is."""
    names = {'pid', 'pids', 'comm', 'command', 'trace', 'name', 'bytes', 'digest', 'file_bytes', 'addr', 'privacy'}

    if isinstance(value, dict):
        return {key: without_names(of) for key, of in value.items() if key not in names}
    # Some lists are in the order of pids.
    return sorted(map(without_names, value), key=str) if isinstance(value, list) else value


def same_counts(before, after):
    for key in sorted(set(before) | set(after)):
        machine.require(before.get(key) == after.get(key), f'{key} differs')


def kept(bench, target):
    """The test can see: what is kept is found. And without names, the two replay to the same."""
    known = record(bench, target, '--keep', 'all')
    found, _ = found_in(bench, known)
    for what, those in found.items():
        print(f'{what}: {len(those)} found')
        machine.require(bool(those) == (what != 'never'), f'{what}: {sorted(those)[:5]} is found of what was kept')
    machine.require(FIXED in found['addr'] and len(found['names']) == len(NAMES), f'all is found: {found["names"]}')
    before, _ = bench.replay(options=('--processes', '--windows'))
    again = bench.path('anonymous.mmt.zst')
    bench.programs.run(bench.programs.refold, 'anonymize', bench.trace, '-o', again)
    bench.trace = again
    after, _ = bench.replay(options=('--processes', '--windows'))
    left = {what: those for what, those in found_in(bench, known)[0].items() if those}
    machine.require(not left, f'refold anonymize leaves {left}')
    same_counts(without_names(before), without_names(after))


def of_the_box(bench, target):
    """All that runs here, under load. What was kept is found: the test can see. Of the same recording nothing is once
    it is anonymous, and it replays to the same counts; nor is anything in what the recorder hid by itself."""
    samples = glob.glob(os.path.join(bench.programs.samples, '*.mmt.zst'))
    machine.require(samples, 'traces of other machines')
    # What traces of other machines hold, and the names of fields and keys, are no secrets of this one.
    public = [bench.programs.run(bench.programs.refold, 'dump', sample).stdout for sample in samples]
    box = Box('\n'.join([machine.read(bench.programs.format), *public]))
    load = start_load(bench)
    box.look()
    record(bench, target, looks=(box.look,))
    default = bench.trace
    bench.trace = bench.path('kept.mmt.zst')
    record(bench, target, '--keep', 'all', looks=(box.look,))
    load.kill()
    print(f'known: {box.known()}')
    counts = []
    anonymous = bench.path('anonymous.mmt.zst')
    bench.programs.run(bench.programs.refold, 'anonymize', bench.trace, '-o', anonymous)
    for trace, is_kept in ((bench.trace, True), (anonymous, False), (default, False)):
        bench.trace = trace
        found = found_in(bench, box)[0]
        print(f'{os.path.basename(trace)}: { {what: len(those) for what, those in found.items()} } found')
        for what, those in found.items():
            # A name that was kept may be an argument of somebody, too.
            machine.require(bool(those) == is_kept or what == 'words' and is_kept, f'{what}: {sorted(those)[:5]}')
        counts.append(without_names(bench.replay(options=('--processes', '--windows'))[0]))
        fidelity = counts[-1]['fidelity']
        machine.require(fidelity['pfn'] >= 0.99 * fidelity['ptes'] > 500, f'a replay finds the pages: {fidelity}')
    same_counts(*counts[:2])


def main():
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    with machine.work_directory(name) as directory:
        bench = Bench(machine.Programs(build_root, source_root), directory)
        what, target = name.split('_')
        {'hidden': hidden, 'kept': kept, 'searched': of_the_box}[what](
            bench, {'process': '-p', 'system': '-a'}[target])


if __name__ == '__main__':
    main()
