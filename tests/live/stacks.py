# SPDX-License-Identifier: MIT
"""Call stacks that refold-capture -g takes are those that strace -k sees and that the source says; they name nobody and
nothing who is not to be named.

    stacks.py BUILD_ROOT SOURCE_ROOT CASE
"""
import collections
import ctypes.util
import functools
import os
import re
import shutil
import signal
import subprocess
import sys

import machine
import recorder

POLICY = 'linux-7.3'
ROUNDS = 200
RECORD = re.compile(r'^(\d+) tid=(\d+) (\w+) (.*)$')
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')
CALLED = re.compile(r'^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()')
FRAME = re.compile(r'^ > ([^(]+)\((?:.*)\) \[0x([0-9a-f]+)\]$')
KINDS = {'munmap': 17, 'mprotect': 18, 'madvise': 20, 'brk': 21}


class Told:
    """What a trace tells of stacks: of each thread its calls in order, as (kind, [(file, address)...])."""

    def __init__(self, bench):
        self.files, self.stacks, self.missing = collections.defaultdict(str), {}, 0
        calls = collections.defaultdict(list)
        self.text = bench.programs.run(bench.programs.refold, 'dump', bench.trace).stdout
        for line in self.text.splitlines():
            if not (match := RECORD.match(line)):
                continue
            time, tid, kind, fields = match.groups()
            fields = {name: value.strip('"') for name, value in FIELD.findall(fields)}
            if kind == 'module_path':
                self.files[fields['module']] += ''.join(fields[f'w{i}'] for i in range(4))
            elif kind == 'stack':
                self.stacks[fields['stack']] = fields['caller'], fields['module'], int(fields['offset'], 16)
            elif kind == 'call_stack':
                if fields['stack'] != '0':
                    calls[int(tid)].append((int(time), int(fields['call']), fields['stack']))
            elif kind == 'no_stacks':
                self.missing += int(fields['calls'])
        self.calls = {tid: [(kind, self.frames(stack)) for _, kind, stack in sorted(of)] for tid, of in calls.items()}

    def frames(self, stack):
        found = []
        while stack != '0':
            stack, module, offset = self.stacks[stack]
            found.append((self.files[module], offset))
        return found


def rows(bench, keys, *options):
    """Rows of --by, dearest first, and what was said."""
    report, result = bench.replay(options=('-p', POLICY, '--by', keys, '--top', '100000', *options))
    policy = next(policy for policy in report['attribution'][0]['policies'] if policy['name'] == POLICY)
    totals = next(policy['totals'] for policy in report['policies'] if policy['name'] == POLICY)
    machine.require(sum(row['totals']['tlbi'] for row in policy['rows']) == totals['tlbi'], 'rows are not the total')
    for row in [row for row in policy['rows'] if 'frames' in row][:4]:
        print(row['totals']['tlbi'], row['stack'])
    return policy['rows'], result.stderr


def of_calls(all_rows):
    return [row for row in all_rows if 'frames' in row]


def is_function(name, *wanted):
    """The C library has several names for its calls."""
    return name.lstrip('_') in wanted


def check_program(row, operations):
    """The dearest call of call_sites, by its source."""
    frames = row['frames']
    machine.require(is_function(frames[0], 'madvise') and frames[1:5] == ['give_back', 'serve', 'work', 'main'],
                    f'top row: {frames}')
    machine.require(row['totals']['operations'] == operations, f'{row["totals"]["operations"]} operations')


def witnessed(bench, calls, *command):
    """Recorded while strace -k takes stacks as well: by thread, [(call, [(file, address)...])...]."""
    log = bench.path('strace')
    strace = machine.need_program('strace')
    if subprocess.run([strace, '-k', '-o', log, '-e', 'trace=none', 'true'], stderr=subprocess.DEVNULL,
                      check=False).returncode:
        machine.skip('this strace takes no stacks')
    bench.programs.record(bench.trace, strace, '-f', '-q', '-k', '-e', f'trace={calls}', '-o', log, *command,
                          options=('-g', '-b', '64M'))    # strace maps files for each
    seen, now = collections.defaultdict(list), None
    for line in machine.read(log).splitlines():
        if match := FRAME.match(line):
            now.append((match[1], int(match[2], 16)))
        elif (match := CALLED.match(line)) and 'unfinished' not in line:
            now = []
            seen[int(match[1])].append((match[2], now))
    return seen


@functools.lru_cache(maxsize=None)
def segments(file):
    """Of a file with code: (address, offset, length) of what is mapped."""
    said = subprocess.run([machine.need_program('readelf'), '-lW', file], capture_output=True, text=True,
                          check=False).stdout
    return [tuple(int(word, 16) for word in (words[2], words[1], words[4]))
            for words in map(str.split, said.splitlines()) if words[:1] == ['LOAD']]


def as_strace(file, address, called):
    """strace has offsets in files, and of a caller where it goes on."""
    for start, offset, length in segments(os.path.realpath(file)):
        if start <= address < start + length:
            address += offset - start
            break
    return os.path.realpath(file), address + called


def compare(bench, calls, *command, least):
    """Frame for frame, as far as both go."""
    seen, equal, other = witnessed(bench, calls, *command), 0, []
    told = Told(bench)
    kinds = {KINDS[name] for name in calls.split(',')}
    for tid, by_strace in seen.items():
        theirs = {(KINDS[name], *((os.path.realpath(file), address) for file, address in frames))
                  for name, frames in by_strace}
        lengths = {len(stack) for stack in theirs}
        for kind, frames in told.calls.get(tid, []):
            if kind not in kinds:
                continue
            ours = (kind, *(as_strace(file, address, i > 0) for i, (file, address) in enumerate(frames)))
            if any(ours[:length] in theirs for length in lengths if length > 3) or \
                    any(stack[:len(ours)] == ours for stack in theirs if len(ours) > 3):
                equal += 1
            else:
                other.append(ours[:6])
    print(f'{equal} stacks as strace has them, {len(other)} not: {other[:2]}; {told.missing} calls have none')
    machine.require(equal >= least and len(other) * 50 <= equal, 'other stacks than those of strace')


def sites(bench):
    """By the source: each call from where it is made; nothing but the recorder's own exec is without a stack."""
    program = os.path.join(bench.programs.workloads, 'call_sites')
    compare(bench, 'madvise,mprotect', program, str(ROUNDS), least=ROUNDS)
    bench.programs.record(bench.trace, program, str(ROUNDS), options=('-g',))
    all_rows, _ = rows(bench, 'stack')
    calls = of_calls(all_rows)
    check_program(calls[0], ROUNDS)
    seals = [row for row in calls if 'seal' in row['frames']]
    machine.require(sum(row['totals']['operations'] for row in seals) >= ROUNDS // 4 * 2 and
                    all(is_function(row['frames'][0], 'mprotect') for row in seals), 'mprotect() of seal()')
    lost = [row for row in rows(bench, 'stack,call')[0] if row['stack'] == 'no stack']
    machine.require({row['call'] for row in lost} <= {'execve', 'brk'}, f'without a stack: {lost}')
    # The same numbers for a flame graph.
    folded = bench.programs.run(bench.programs.refold, 'replay', '-q', bench.trace, '-p', POLICY, '--folded',
                                f'tlbi:{POLICY}').stdout
    line = next(line for line in folded.splitlines() if ';give_back;' in line)
    machine.require(int(line.rsplit(' ', 1)[1]) == calls[0]['totals']['tlbi'] and ';main;work;serve;give_back;' in line,
                    f'folded: {line}')


def stripped(bench):
    """Without symbols there are places in a file, and the same numbers; with a directory of symbols names again."""
    program, bare = os.path.join(bench.programs.workloads, 'call_sites'), bench.path('bare')
    subprocess.run([machine.need_program('strip'), '-o', bare, program], check=True)
    bench.programs.record(bench.trace, bare, str(ROUNDS), options=('-g',))
    all_rows, said = rows(bench, 'stack')
    top = of_calls(all_rows)[0]
    machine.require(all(re.match(r'bare\+0x[0-9a-f]+$', frame) for frame in top['frames'][1:5]), f'{top["frames"]}')
    machine.require(top['totals']['operations'] == ROUNDS, f'{top["totals"]["operations"]} operations')
    machine.require('have no symbol; --symbols DIR' in said, f'not said: {said}')
    # Another program of this name gives no names: its build id is another.
    wrong, right = bench.path('wrong'), bench.path('right')
    os.mkdir(wrong)
    shutil.copy(os.path.join(bench.programs.workloads, 'mtmalloc'), os.path.join(wrong, 'bare'))
    machine.require(of_calls(rows(bench, 'stack', '--symbols', wrong)[0])[0]['frames'] == top['frames'], 'a wrong file')
    os.mkdir(right)
    shutil.copy(program, os.path.join(right, 'bare'))
    check_program(of_calls(rows(bench, 'stack', '--symbols', right)[0])[0], ROUNDS)


def strangers(bench):
    """While the recorder is away others change mappings without pause, more than the rings hold, which is all of the
    program's own: nobody's stack is missing for them."""
    program = os.path.join(bench.programs.workloads, 'call_sites')
    process = subprocess.Popen([program, str(ROUNDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    recording = bench.start_recording('-g', '-b', '8M', '--exit-snapshots', 'none', '--keep', 'pid', '-p',
                                      str(process.pid))
    bench.wait_frames()
    loop = 'import mmap\nfor i in range(20000): mmap.mmap(-1, 1 << 16).close()'
    recording.send_signal(signal.SIGSTOP)
    try:
        others = [bench.programs.start(sys.executable, '-c', loop) for _ in range(2 * os.cpu_count())]
        process.communicate('again\n')
        for other in others:
            other.wait(60)
    finally:
        recording.send_signal(signal.SIGCONT)
    bench.wait_end(recording, 0)
    told = Told(bench)
    found = sum(kind == KINDS['madvise'] for kind, _ in told.calls[process.pid])
    machine.require(found == ROUNDS and not told.missing, f'{found} stacks of {ROUNDS}; {told.missing} calls have none')


def counted(bench):
    """What the rings have no room for while the recorder is away has no stack, and each of these calls is counted,
    though nothing comes after them."""
    program = os.path.join(bench.programs.workloads, 'call_sites')
    rounds = 2000
    calls = rounds + rounds // 4 * 2 + 2    # madvise(), of every fourth two mprotect(); mmap() and munmap()
    process = subprocess.Popen([program, str(rounds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    recording = bench.start_recording('-g', '-b', '1M', '--exit-snapshots', 'none', '--keep', 'pid', '-p',
                                      str(process.pid))
    bench.wait_frames()
    recording.send_signal(signal.SIGSTOP)
    process.communicate('again\n')
    recording.send_signal(signal.SIGCONT)
    bench.wait_end(recording, 0)
    told = Told(bench)
    found = len(told.calls[process.pid])
    print(f'{calls} calls, {found} stacks, {told.missing} calls have none')
    machine.require(0 < found < calls and found + told.missing == calls, 'calls are not in the sum')


def private(bench):
    """Attached: nobody else's calls, no names of files and no addresses, but symbols by build id."""
    program = os.path.join(bench.programs.workloads, 'call_sites')

    def start():
        process = subprocess.Popen([program, str(ROUNDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        return process

    process, stranger = start(), start()
    maps = machine.read(f'/proc/{process.pid}/maps')
    recording = bench.start_recording('-g', '-p', str(process.pid), '--keep', 'pid')
    bench.wait_frames()
    stranger.communicate('again\n')
    process.communicate('again\n')
    bench.programs.end(recording) if recording.poll() is None and recording.wait(30) else None
    told = Told(bench)
    machine.require(set(told.calls) == {process.pid}, f'threads {set(told.calls)}, not {process.pid} alone')
    machine.require(len(told.calls[process.pid]) >= ROUNDS * 3 // 2, f'{len(told.calls[process.pid])} calls')
    machine.require(not any(told.files.values()) and 'call_sites' not in told.text, 'names of files are in the trace')
    starts = {line.split('-')[0] for line in maps.splitlines() if ' r-xp ' in line and '[' not in line}
    places = {offset for _, _, offset in told.stacks.values()}
    machine.require(starts and all(place < 1 << 40 for place in places), 'addresses are in the trace')
    top = of_calls(rows(bench, 'stack')[0])[0]
    machine.require(all(re.match(r'[0-9a-f]{8}\+0x', frame) for frame in top['frames'][1:5]), f'{top["frames"]}')
    by_id = re.search(r'Build ID: ([0-9a-f]+)', subprocess.run(
        [machine.need_program('readelf'), '-n', program], capture_output=True, text=True, check=True).stdout)[1]
    directory = bench.path('symbols')
    os.makedirs(os.path.join(directory, '.build-id', by_id[:2]))
    shutil.copy(program, os.path.join(directory, '.build-id', by_id[:2], by_id[2:] + '.debug'))
    frames = of_calls(rows(bench, 'stack', '--symbols', directory)[0])[0]['frames']
    machine.require(frames[1:5] == ['give_back', 'serve', 'work', 'main'], f'top row: {frames}')


def jemalloc(bench):
    """An allocator that gives pages back at once, from where the program frees."""
    if not ctypes.util.find_library('jemalloc'):
        machine.skip('libjemalloc2 is not installed')
    program = os.path.join(bench.programs.workloads, 'mtmalloc')
    environment = ('env', 'LD_PRELOAD=libjemalloc.so.2', 'MALLOC_CONF=dirty_decay_ms:0,muzzy_decay_ms:0')
    compare(bench, 'madvise', *environment, program, '2', '1500', least=100)
    bench.programs.record(bench.trace, *environment, program, '2', '3000', options=('-g',))
    top = of_calls(rows(bench, 'stack')[0])[0]['frames']
    machine.require(is_function(top[0], 'madvise') and top[1].startswith('libjemalloc.so') and 'churn' in top,
                    f'top row: {top}')


def gcc(bench):
    """A compiler, whose programs have no symbols: stacks as strace has them, each begun by its call."""
    source = bench.path('source.c')
    generator = os.path.join(bench.programs.scripts, 'generate_source.py')
    machine.write(source, bench.programs.run(sys.executable, generator, '100').stdout)
    command = (machine.need_program('gcc'), '-O2', '-c', source, '-o', bench.path('object.o'))
    compare(bench, 'brk,munmap', *command, least=50)
    bench.programs.record(bench.trace, *command, options=('-g',))
    bad = bench.replay()[0]['fidelity']['fault_checks_bad']
    machine.require(not bad, f'taking stacks looks like {bad} faults')
    for row in of_calls(rows(bench, 'stack,call')[0]):
        call = row['call'].split('(')[0]
        machine.require(is_function(row['frames'][0].removesuffix('64'), call, 'GI_' + call) or
                        call == 'execve' or '+0x' in row['frames'][0], f'{call} by {row["frames"][:3]}')


def jvm(bench):
    """A virtual machine, whose calls are made by its library, called by code that it makes: as far as strace gets."""
    source = os.path.join(bench.programs.scripts, '..', 'sources', 'Main.java')
    command = (machine.need_program('java'), '-Xmx64m', '-Xshare:off', source)
    compare(bench, 'munmap,mprotect,madvise', *command, least=100)
    bench.programs.record(bench.trace, *command, options=('-g',))
    top = of_calls(rows(bench, 'stack')[0])[0]['frames']
    # What it asks of the system goes through its class os; libjvm.so may come without symbols.
    machine.require(is_function(top[0], 'mmap', 'munmap', 'mprotect', 'madvise') and
                    top[1].startswith(('os::', 'libjvm.so+0x')), f'top row: {top}')


def redis(bench):
    """A server that forks to save: by its own names, as it exports them."""
    machine.need_program('redis-server', 'redis-check-rdb')
    machine.need_program('redis-cli')
    script = os.path.join(bench.programs.scripts, 'redis_bgsave.sh')
    bench.programs.record(bench.trace, '/bin/sh', script, bench.directory, options=('-g',))
    forks = [row['frames'] for row in of_calls(rows(bench, 'stack,call')[0]) if row['call'] == 'fork']
    saves = [frames for frames in forks if 'rdbSaveBackground' in frames]
    machine.require(len(saves) == 1, f'forks: {forks}')
    at = saves[0].index('rdbSaveBackground')
    machine.require('redisFork' in saves[0][:at] and 'bgsaveCommand' in saves[0][at:] and saves[0][-1] == '_start',
                    f'{saves[0]}')


if __name__ == '__main__':
    recorder.main((sites, stripped, strangers, counted, private, jemalloc, gcc, jvm, redis))
