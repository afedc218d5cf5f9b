# SPDX-License-Identifier: MIT
"""What runs already is somebody's: a recording of it by default holds nothing that this test knows of it, and replays
to what the same recording as it was replays to.

    private.py BUILD_ROOT SOURCE_ROOT CASE
"""
import json
import os
import re
import signal
import struct
import sys

import machine
from recorder import Bench

# Touches fresh memory and memory of a file, forks, and writes marks, until it is killed.
PROGRAM = '''
import mmap, os, sys, time
kept = mmap.mmap(-1, 4 << 20)
kept[::4096] = b"x" * 1024
file = open(sys.argv[1], "w+b")
file.truncate(1 << 16)
mapped = mmap.mmap(file.fileno(), 1 << 16)
open("/proc/self/comm", "w").write("very-private")
end = time.time() + 300
while time.time() < end:
    with mmap.mmap(-1, 1 << 18) as block:
        block[::4096] = b"x" * 64
    mapped[::4096] = b"y" * 16
    child = os.fork()
    if not child:
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
'''


class Known:
    """What a process' own files tell: numbers by class of field, and words."""

    def __init__(self, pid, children):
        maps = machine.read(f'/proc/{pid}/maps').splitlines()
        self.words = {'very-private', 'sesame', os.path.basename(os.path.realpath(sys.executable)), '.so', '/usr/'}
        self.numbers = {'task': {pid, *children}, 'ino': set(), 'pfn': set(), 'addr': set()}
        with open(f'/proc/{pid}/pagemap', 'rb') as pagemap:
            for line in maps:
                start, end, inode = re.match(r'(\w+)-(\w+) \S+ \S+ \S+ (\d+)', line).groups()
                start, end = int(start, 16), int(end, 16)
                if start >> 63:
                    continue
                self.numbers['ino'].add(int(inode))
                if start >= 20 << 40:
                    self.numbers['addr'].update(range(start, min(end, start + (1 << 20)), 4096))
                pagemap.seek(start // 4096 * 8)
                entries = pagemap.read((min(end, start + (4 << 20)) - start) // 4096 * 8)
                self.numbers['pfn'].update(entry & (1 << 55) - 1 for entry, in struct.iter_unpack('<Q', entries)
                                           if entry >> 63)
        for numbers in self.numbers.values():
            numbers.discard(0)

    def found(self, text):
        """What of it there is in the text of a trace. A small number may be anything: where it is told tells."""
        fields = {'task': r' (?:tid|pid|child|parent_pid|parent_tid|old_tid)=(\d+)', 'ino': r' ino=(\d+)',
                  'pfn': r' pfn=(0x\w+)', 'addr': r'=(0x\w+|\d+)(?= |$)'}
        found = {}
        for what, pattern in fields.items():
            numbers = {int(number, 0) for number in re.findall(pattern, text, re.MULTILINE)}
            if what == 'addr':
                numbers = {number & ~4095 for number in numbers}
            found[what] = numbers & self.numbers[what]
        names = ''.join(re.findall(r'(?:name|w)\d="([^"]*)"', text)) + text.partition('\n')[0]
        found['words'] = {word for word in self.words if word in names}
        return found


def record(bench, *options):
    """The text of a recording of the program, and what is known of it."""
    marks = next(path for path in ('/sys/kernel/tracing/trace_marker', '/sys/kernel/debug/tracing/trace_marker')
                 if os.path.exists(path))
    said = bench.path('said by the program')
    target = bench.programs.start(sys.executable, '-c', PROGRAM, bench.path('file'), marks, said=said)
    machine.wait_for(lambda: machine.read(said).count('\n') > 2, 'the program')
    recorder = bench.start_recording(*([options[0], str(target.pid)] if options[0] == '-p' else [options[0]]),
                                     *options[1:])
    begun = machine.read(said).count('\n')
    machine.wait_for(lambda: machine.read(said).count('\n') > begun + 6, 'six rounds', seconds=60)
    children = [int(line) for line in machine.read(said).splitlines()[begun + 2:begun + 6]]
    known = Known(target.pid, children)
    recorder.send_signal(signal.SIGINT)
    bench.wait_end(recorder, 0)
    target.kill()
    bench.no_instance_left()
    return bench.programs.run(bench.programs.refold, 'dump', bench.trace).stdout, known


def hidden(bench, target):
    text, known = record(bench, target)
    told = json.loads(text.partition('\n')[0].removeprefix('header '))['privacy']
    print(told)
    machine.require('kept' not in told.values(), 'the header says that all is hidden')
    for what, found in known.found(text).items():
        print(f'{what}: {len(known.numbers.get(what, known.words))} known')
        machine.require(not found, f'{what}: {sorted(found)[:5]} can be read')
    machine.require('w0="WL BEGIN"' in text, 'a mark that names a window stays')
    report, _ = bench.replay()
    fidelity = report['fidelity']
    print('fidelity: ' + ', '.join(f'{name} {fidelity[name]}' for name in ('ptes', 'present', 'pfn', 'order', 'extra')))
    machine.require(fidelity['pfn'] >= 0.995 * fidelity['ptes'] > 500, 'a replay finds the pages')


def kept(bench, target):
    """The test can see: what is kept is found. And without names, the two replay to the same."""
    text, known = record(bench, target, '--keep', 'all')
    for what, found in known.found(text).items():
        print(f'{what}: {len(found)} found')
        machine.require(found, f'{what}: nothing is found of what was kept')
    names = {'pid', 'pids', 'comm', 'command', 'trace', 'name', 'bytes', 'file_bytes', 'addr', 'privacy'}

    def without(value):
        if isinstance(value, dict):
            return {key: without(of) for key, of in value.items() if key not in names}
        # Some lists are in the order of pids.
        return sorted(map(without, value), key=str) if isinstance(value, list) else value

    before, _ = bench.replay(options=('--processes', '--windows'))
    again = bench.path('anonymous.mmt.zst')
    bench.programs.run(bench.programs.refold, 'anonymize', bench.trace, '-o', again)
    bench.trace = again
    after, _ = bench.replay(options=('--processes', '--windows'))
    for key in sorted(set(before) | set(after)):
        machine.require(without(before.get(key)) == without(after.get(key)), f'{key} differs')


def main():
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    with machine.work_directory(name) as directory:
        bench = Bench(machine.Programs(build_root, source_root), directory)
        what, target = name.split('_')
        {'hidden': hidden, 'kept': kept}[what](bench, {'process': '-p', 'system': '-a'}[target])


if __name__ == '__main__':
    main()
