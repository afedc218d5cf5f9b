# SPDX-License-Identifier: MIT
"""Recordings that end by themselves, or whose output fails: the file is whole, says why it ended, and replays.

    bounds.py BUILD_ROOT SOURCE_ROOT CASE
"""
import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import time

import machine
from recorder import Bench, small_disk, SPIN
from targets import cgroup_roots, remove_group


class Bounded(Bench):
    """What the cases share: a recording of SPIN that ends by itself. outlived: SPIN still ran after it."""
    outlived = None

    def spin(self, *options, expect=0, **more):
        """The finished recording; what it said, in lines. To a file: SPIN may outlive the recorder."""
        pid, said = self.path('pid'), self.path('said')
        try:
            with open(said, 'w', encoding='utf-8') as output:
                ended = subprocess.run([self.programs.capture, *options, '-o', self.trace, '--', sys.executable, '-c',
                                        SPIN, pid], stdin=subprocess.DEVNULL, stderr=output, timeout=50, check=False,
                                       **{'stdout': output} | more)
            with contextlib.suppress(OSError):      # it may have ended before SPIN said who it is
                self.outlived = os.path.exists(f'/proc/{machine.read(pid)}')
        finally:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(machine.read(pid)), signal.SIGKILL)
        print(machine.read(said))
        machine.require(ended.returncode == expect, f'exit code {ended.returncode}, not {expect}')
        self.no_instance_left()
        return machine.read(said).splitlines()

    def ended(self, why, said, word):
        report, _ = self.replay()
        machine.require(report['trace']['end'] == why, f'ended by {report["trace"]["end"]}, not {why}')
        machine.require(report['complete'] is True, 'complete')
        machine.require(report['trace']['records'] > 0, 'records')
        machine.require(any(word in line for line in said), f'nobody said {word!r}')
        return report

    def cost(self):
        """The last record: what recording took."""
        text = self.programs.run(self.programs.refold, 'dump', self.trace).stdout
        lines = [line for line in text.splitlines() if ' recorder ' in line]
        machine.require(len(lines) == 1, 'one record of the recorder')
        print(lines[0])
        return {name: int(value) for name, value in re.findall(r'(\w+)=(\d+)', lines[0].split(' recorder ')[1])}


def over_time(bench):
    """-t with a suffix."""
    begin = time.monotonic()
    said = bench.spin('-t', '0.02m')
    machine.require(1.2 <= time.monotonic() - begin < 20, 'it takes 1.2 seconds and a little')
    bench.ended('time', said, '--time')
    machine.require(bench.cost()['cpu_ns'] > 0, 'the recorder took CPU')


def processes_end(bench):
    """-p until they are gone."""
    target = bench.programs.start('/bin/sleep', '1.5')
    bench.programs.run(bench.programs.capture, '-q', '-o', bench.trace, '-p', str(target.pid))
    bench.ended('processes', [''], '')


def max_size(bench):
    """--max-size: never larger, whole, and nothing is lost that fits."""
    for limit in (128 << 10, 1 << 20):
        said = bench.spin('--max-size', f'{limit >> 10}K')
        size = os.path.getsize(bench.trace)
        report = bench.ended('size', said, '--max-size')
        print(f'{size} of {limit} bytes, {report["trace"]["lost_events"]} lost')
        # What is not written yet counts as if it could hardly be packed: of a small file that is much.
        machine.require(limit / (4 if limit < 1 << 20 else 2) < size <= limit, f'{size} bytes')
    machine.require(report['trace']['lost_events'] == 0, 'a megabyte has room for what is under way')


def max_size_storm(bench):
    """The same of two CPUs that do nothing but fault and unmap: what has no room is told."""
    storms = os.path.join(bench.programs.workloads, 'storms')
    bench.programs.run(bench.programs.capture, '-q', '--max-size', '1M', '-o', bench.trace, '--', storms, 'mmap', '5',
                       bench.directory)
    size = os.path.getsize(bench.trace)
    report = bench.ended('size', [''], '')
    print(f'{size} bytes, {report["trace"]["lost_events"]} lost')
    machine.require(size <= 1 << 20, f'{size} bytes')


def min_free(bench):
    """--min-free: ends before the disk is full, and does not begin where it is."""
    disk = bench.path('disk')
    with small_disk(disk, '2m'):
        bench.trace = os.path.join(disk, 't.mmt.zst')
        said = bench.spin('--min-free', '1792K')
        bench.ended('disk', said, '--min-free')
        free = os.statvfs(disk)
        print(f'{free.f_bavail * free.f_frsize} bytes are free')
        machine.require(free.f_bavail * free.f_frsize > 1024 << 10, 'more than half of it is free still')
        os.remove(bench.trace)
        said = bench.spin('--min-free', '3M', expect=1)
        machine.require(len(said) == 1 and '--min-free' in said[0], 'one line that says why')
        machine.require(os.listdir(disk) == [], 'nothing is left of a recording that never began')


def max_memory(bench):
    """--max-memory: buffers take half, and the rest is watched."""
    said = bench.spin('--max-memory', '16M')
    bench.ended('memory', said, '--max-memory')
    machine.require(bench.cost()['buffers'] <= 8 << 20, 'the buffers take half at most')


def max_cpu(bench):
    """--max-cpu: what can be done without goes first, which the trace says, and what a replay cannot know any more is
    marked; then the recording ends. Where there is enough, nothing goes."""
    storm = [os.path.join(bench.programs.workloads, 'storms'), 'mmap', '30', bench.directory]
    for percent, options in (('100000', ('-t', '3')), ('0.1%', ('-t', '20'))):
        result = bench.programs.run(bench.programs.capture, '--max-cpu', percent, *options, '-o', bench.trace, '--',
                                    *storm)
        print(result.stderr)
        text = bench.programs.run(bench.programs.refold, 'dump', '--sorted', bench.trace).stdout
        kinds = re.findall(r'^\d+ tid=0 left_out kind=(\d+) ', text, re.MULTILINE)
        print(f'{percent}: kinds left out {kinds}')
        machine.require(bool(kinds) == (percent == '0.1%'), f'kinds {kinds} were left out')
    said, tail = result.stderr.splitlines(), text[text.rindex(' left_out '):]
    report = bench.ended('cpu', said, '--max-cpu')
    machine.require('4' in kinds and 'like page_free were left out' in result.stderr, 'pages freed: the costliest here')
    times = [int(line.split()[0]) for line in tail.splitlines()[1:] if line[:1].isdigit()]
    late = [line for line in tail.splitlines() if line[:1].isdigit() and int(line.split()[0]) > times[0] + 1e9]
    machine.require(len(late) > 100, 'it went on for a period')
    machine.require(not any(f' {name} ' in line for line in late for name in ('page_free', 'tlb_flush')), 'none later')
    marked = [mark for mm in report['trust']['marked'] for mark in mm['reasons'] if mark['reason'] == 'left_out']
    machine.require(marked and all(mark['since_ns'] > 1e9 for mark in marked), f'marked from there on: {marked}')
    machine.require(not any(report['fidelity']['tlb_flushes_recorded'].values()), 'no flushes, rather than some')
    result = bench.programs.run(bench.programs.capture, '--max-cpu', '0', '-o', bench.trace, '--', '/bin/true',
                                expect=2)
    machine.require(result.stderr.count('\n') == 1, 'one line')


def buffer_total(bench):
    """--buffer-total: all rings of all CPUs."""
    with bench.recorded_spin('--buffer-total', '4M', '-b', '1G') as recorder:
        bench.wait_frames()
        kilobytes = [int(machine.read(f'{machine.TRACING}/instances/refold-{which}-{recorder.pid}/'
                                      'buffer_total_size_kb').split()[0]) for which in ('task', 'system')]
        recorder.send_signal(signal.SIGINT)
        bench.wait_end(recorder, 0)
    print(f'{kilobytes} KiB of tracefs, {bench.cost()["buffers"]} bytes in all')
    machine.require(sum(kilobytes) <= 4096, 'not more than 4 MiB')
    machine.require(bench.cost()['buffers'] <= 4 << 20, 'with perf')
    said = bench.spin('--buffer-total', '8K', expect=1)
    machine.require(len(said) == 1 and '--buffer-total' in said[0], 'one line that says why')


def file_limit(bench):
    """SIGXFSZ: one line, exit code 1, a file that reads to its last whole frame, and the program goes on."""
    most = 64 << 10
    said = bench.spin('-q', expect=1, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
    machine.require(len(said) == 1 and bench.trace in said[0] and 'File too large' in said[0], 'one line that says why')
    machine.require(bench.outlived, 'the recorded program must go on')
    machine.require(0 < os.path.getsize(bench.trace) <= most, 'as large as it may be')
    report, _ = bench.replay(expect=3)
    machine.require(report['trace']['records'] > 0, 'what was recorded until then is kept')


def reader_gone(bench):
    """SIGPIPE: who reads a FIFO, or standard output, goes away."""
    fifo = bench.path('fifo')
    os.mkfifo(fifo)
    reader = subprocess.Popen(['head', '-c', '20000', fifo], stdout=subprocess.DEVNULL)
    bench.trace = fifo
    machine.wait_for(lambda: opened(reader.pid, fifo), 'the reader of the FIFO')
    said = bench.spin('-q', expect=1)
    machine.require(len(said) == 1 and 'its reader has gone' in said[0], 'one line that says why')
    reader.wait()
    bench.trace = '/dev/stdout'
    reader = subprocess.Popen(['head', '-c', '20000'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    said = bench.spin('-q', expect=1, stdout=reader.stdin)
    reader.stdin.close()
    reader.wait()
    machine.require(len(said) == 1 and 'its reader has gone' in said[0], 'one line that says why')


def opened(pid, path):
    """It waits in open(2) for the other side."""
    with contextlib.suppress(OSError):
        return 'wait_for_partner' in machine.read(f'/proc/{pid}/wchan') or path in machine.read(f'/proc/{pid}/cmdline')
    return False


def reader_stuck(bench):
    """A reader that takes nothing holds nobody up for ever."""
    fifo = bench.path('fifo')
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    bench.trace = fifo
    begin = time.monotonic()
    said = bench.spin('-q', expect=1)
    os.close(reader)
    print(f'after {time.monotonic() - begin:.1f} s')
    machine.require(len(said) == 1 and 'takes nothing' in said[0], 'one line that says why')


def piped(bench):
    """A FIFO and standard output that are read to the end give whole traces."""
    copy = bench.path('copy.mmt.zst')
    with open(copy, 'wb') as file:
        reader = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=file)
    bench.trace = '/dev/stdout'
    bench.spin('-q', '-t', '1', stdout=reader.stdin)
    reader.stdin.close()
    reader.wait()
    bench.trace = copy
    bench.ended('time', [''], '')


def asked(bench):
    """SIGUSR1: one line that tells how it goes; the recording goes on."""
    pid = bench.path('pid')
    recorder = bench.programs.start(bench.programs.capture, '-o', bench.trace, '--', sys.executable, '-c', SPIN, pid,
                                    said=bench.path('said'))
    try:
        machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the recorded program')
        bench.wait_frames()
        for number in (1, 2):
            recorder.send_signal(signal.SIGUSR1)
            machine.wait_for(lambda: machine.read(bench.path('said')).count('% of a CPU') == number, 'a line')
        machine.require(recorder.poll() is None, 'it goes on')
        recorder.send_signal(signal.SIGTERM)
        bench.wait_end(recorder, 0)
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(machine.read(pid)), signal.SIGKILL)
    print(machine.read(bench.path('said')))
    line = machine.read(bench.path('said')).splitlines()[0]
    machine.require(re.search(r': \d+ s, [\d,]+ events, [\d.]+ MB, 0 lost, [\d.]+ % of a CPU$', line), line)
    bench.ended('signal', [''], '')


def live_line(bench):
    """On a terminal the same line comes each second, over itself."""
    ours, its = os.openpty()
    process = subprocess.Popen([bench.programs.capture, '-t', '3.5s', '-o', bench.trace, '--', '/bin/sleep', '10'],
                               stdin=subprocess.DEVNULL, stdout=its, stderr=its)
    os.close(its)
    said = b''
    with contextlib.suppress(OSError):      # the other side is closed
        while block := os.read(ours, 65536):
            said += block
    machine.require(process.wait() == 0, 'recorded')
    print(said)
    lines = re.findall(rb'\r[^\r\n]*% of a CPU\x1b\[K', said)
    machine.require(2 <= len(lines) <= 3, f'{len(lines)} lines in 3.5 seconds')
    machine.require(b'--time' in said, 'why it ended')


def strangers(bench):
    """What others map, a million times a second, is not lost, as it never mattered."""
    noise = [bench.programs.start(bench.programs.workloads + '/map_storm') for _ in range(os.cpu_count())]
    result = bench.programs.run(bench.programs.capture, '-b', '16M', '-o', bench.trace, '--', '/bin/sleep', '3')
    for process in noise:
        process.kill()
    print(result.stderr)
    report, _ = bench.replay()
    machine.require(report['trace']['lost_events'] == 0, f'{report["trace"]["lost_events"]} events lost')


def rotated(bench):
    """--rotate and --keep: parts that replay alone, by time and by size; only the last ones stay."""
    pid = bench.path('pid')
    target = bench.programs.start(sys.executable, '-c', SPIN, pid)
    machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the program to be recorded')
    for part, options in (('1s', ('--keep', '2', '-t', '10s')), ('512K', ('-t', '8s'))):
        directory = bench.path(part)
        os.mkdir(directory)
        result = bench.programs.run(bench.programs.capture, '-p', str(target.pid), '--rotate', part, *options, '-o',
                                    f'{directory}/t.mmt.zst')
        print(result.stderr)
        made = re.findall(r't\.(\d{6})\.mmt\.zst: \d+ events, ', result.stderr)
        machine.require([int(number) for number in made] == list(range(1, len(made) + 1)), 'numbered from 1')
        machine.require(len(made) >= 2 + ('--keep' in options), f'{len(made)} parts')
        names = sorted(os.listdir(directory))
        machine.require(names == [f't.{number}.mmt.zst' for number in (made[-2:] if '--keep' in options else made)],
                        f'there are {names}')
        for name in names:
            bench.trace = os.path.join(directory, name)
            report, _ = bench.replay()
            fidelity = report['fidelity']
            print(f'{name}: {os.path.getsize(bench.trace)} bytes, ended by {report["trace"]["end"]}, '
                  f'{fidelity["present"]} of {fidelity["ptes"]} entries, {report["trace"]["lost_events"]} lost')
            machine.require(report['complete'] is True, 'complete')
            machine.require(fidelity['ptes'] > 500, 'snapshots at its end')
            machine.require(fidelity['present'] >= 0.99 * fidelity['ptes'], 'it begins with what was there')
            if part == '512K':
                machine.require(os.path.getsize(bench.trace) <= 512 << 10, 'not larger than it may be')
        # -t may fall on the very end of a part.
        machine.require(report['trace']['end'] == 'time' or part == '512K', 'the last one by -t')
        machine.require('the time given by --time is over' in result.stderr, 'nobody said why it ended')
    result = bench.programs.run(bench.programs.capture, '-p', str(target.pid), '--rotate', '60s', '--max-size', '256K',
                                '-o', bench.path('bounded.mmt.zst'))
    machine.require('--max-size' in result.stderr, f'not the size has ended it: {result.stderr}')
    bench.no_instance_left()


# SPIN, which also has a child each time.
BEARS = SPIN.replace('+ 60', '+ 600').replace('    time.', '    os.fork() or os._exit(0)\n    os.wait()\n    time.')


def parts_alone(bench, *options):
    """Record until the third part has begun; each is whole and replays alone, and what it lost is said."""
    directory = bench.path(f'parts{len(os.listdir(bench.directory))}')
    os.mkdir(directory)
    recorder = bench.programs.start(bench.programs.capture, *options, '-o', f'{directory}/t.mmt.zst',
                                    said=bench.path('said'))
    machine.wait_for(lambda: os.path.exists(f'{directory}/t.000003.mmt.zst') or recorder.poll() is not None,
                     'parts', 240)
    recorder.send_signal(signal.SIGINT)
    bench.wait_end(recorder, 0, 60)
    print(machine.read(bench.path('said')))
    names = sorted(os.listdir(directory))
    machine.require(len(names) >= 3, f'there are {names}')
    for name in names:
        bench.trace = os.path.join(directory, name)
        report, _ = bench.replay()
        fidelity, lost, word = report['fidelity'], report['trace']['lost_events'], report['trust']['word']
        print(f'{name}: {fidelity["present"]} of {fidelity["ptes"]} entries, {lost} lost, {word}, ended by '
              f'{report["trace"]["end"]}')
        machine.require(report['complete'] is True, 'complete')
        machine.require(not lost or word != 'exact', 'a loss is told')
        machine.require(fidelity['ptes'] > 200, 'snapshots')
        machine.require(lost or fidelity['present'] >= 0.99 * fidelity['ptes'], 'it begins with what was there')
    bench.no_instance_left()


def start_bears(bench):
    target = bench.programs.start(sys.executable, '-c', BEARS, bench.path('pid'))
    machine.wait_for(lambda: os.path.exists(bench.path('pid')) and machine.read(bench.path('pid')), 'what is recorded')
    return target


def rotated_others(bench):
    """--rotate of a control group, and of small buffers with --resnapshot: each part replays alone. Where its parts
    cannot be beside each other there is no recording."""
    target = start_bears(bench)
    parts_alone(bench, '-p', str(target.pid), '--resnapshot', '-b', '64K', '--rotate', '1s')
    for root in list(cgroup_roots().values())[:1]:
        group = f'{root}/refold-rotated-{os.getpid()}'
        os.mkdir(group)
        try:
            machine.write(f'{group}/cgroup.procs', target.pid)
            parts_alone(bench, '--cgroup', group, '--rotate', '1s', '--keep', '3')
        finally:
            target.kill()
            target.wait()
            machine.wait_for(lambda: remove_group(group), 'an empty group')
    for output in (bench.directory, bench.directory + '/', '/dev/null'):
        result = bench.programs.run(bench.programs.capture, '--rotate', '1s', '-o', output, '--', '/bin/true', expect=1)
        bench.one_line(result, 'parts', output)
    made = [name for name in os.listdir(bench.directory) + os.listdir('/dev') if '0001' in name]
    machine.require(not made, f'{made} were made')


def rotated_system(bench):
    """--rotate with -a, by time."""
    start_bears(bench)
    parts_alone(bench, '-a', '--rotate', '2s')


def rotated_command(bench):
    """--rotate with COMMAND: the later parts are of what it is then, it goes on between them, and its status is told."""
    for options, command, status in (((), 'timeout 7 {}; exit 3', 'exited with status 3'),
                                     (('-t', '10s'), 'exec {}', 'was sent SIGTERM')):
        directory = bench.path(status.split()[-1])
        os.mkdir(directory)
        command = command.format(f'{sys.executable} -c "$0" {directory}/pid')
        result = bench.programs.run(bench.programs.capture, '--rotate', '1.5s', *options,
                                    '-o', f'{directory}/t.mmt.zst', '--', '/bin/sh', '-c', command, SPIN)
        print(result.stderr)
        machine.require(result.stderr.count('/bin/sh') == 1 and status in result.stderr, 'its status is told, once')
        names = sorted(name for name in os.listdir(directory) if name.endswith('.zst'))
        machine.require(len(names) >= 2, f'there are {names}')
        # The last one may be of the last moment only.
        for name in names[:-1]:
            bench.trace = os.path.join(directory, name)
            report, _ = bench.replay()
            fidelity = report['fidelity']
            print(f'{name}: ended by {report["trace"]["end"]}, {fidelity["present"]} of {fidelity["ptes"]} entries')
            machine.require(report['complete'] is True, 'complete')
            machine.require(fidelity['ptes'] > 500 or name == names[0], 'snapshots at its end')
            machine.require(fidelity['present'] >= 0.99 * fidelity['ptes'], 'it begins with what was there')
    bench.no_instance_left()


# SPIN, which writes a mark each time.
TICK = SPIN.replace('end =', 'marker = os.open("/sys/kernel/tracing/trace_marker", os.O_WRONLY)\ntick = 0\nend =') \
    .replace('    time.sleep', '    tick += 1\n    os.write(marker, b"tick %d" % tick)\n    time.sleep')


def ticks_of(bench, trace):
    """The marks in a trace."""
    text = bench.programs.run(bench.programs.refold, 'dump', trace).stdout
    return {int(number) for number in re.findall(r'tick (\d+)', text)}


def no_gap(bench):
    """Nothing falls between two parts: each mark is in one of them. And none fails, whatever the recorder is at."""
    pid = bench.path('pid')
    target = bench.programs.start(sys.executable, '-c', TICK, pid)
    machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the program to be recorded')
    result = bench.programs.run(bench.programs.capture, '-p', str(target.pid), '--rotate', '1s', '-t', '9s', '--keep',
                                'marks', '-o', bench.trace)
    print(result.stderr)
    parts = sorted(name for name in os.listdir(bench.directory) if name.endswith('.zst'))
    seen = [ticks_of(bench, bench.path(name)) for name in parts]
    print([(min(ticks), max(ticks), len(ticks)) for ticks in seen if ticks])
    machine.require(len(parts) >= 2 and all(seen), f'{len(parts)} parts, with marks')
    all_of_them = set().union(*seen)
    missing = set(range(min(all_of_them), max(all_of_them) + 1)) - all_of_them
    machine.require(not missing, f'marks that are in no part: {sorted(missing)}')
    machine.require(target.poll() is None, 'who writes marks is told of no error')
    bench.no_instance_left()


def flight(bench):
    """--flight: SIGUSR1 keeps the last parts, each time others, and the recording goes on; a trigger ends it. What is
    kept holds the last seconds; what was before is gone."""
    pid = bench.path('pid')
    target = bench.programs.start(sys.executable, '-c', SPIN, pid)
    machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the program to be recorded')
    waits = f'while [ ! -e {bench.path("go")} ]; do sleep 0.1; done'
    directory = bench.path('flight')
    os.mkdir(directory)
    recorder = bench.programs.start(bench.programs.capture, '-p', str(target.pid), '--flight', '2s', '--trigger', waits,
                                    '-o', f'{directory}/t.mmt.zst', said=bench.path('said'))
    kept = []
    for number in (1, 2):
        # At least one between what is kept and what comes next.
        last = int(kept[-1][2:8]) if kept else 0
        machine.wait_for(lambda last=last: os.path.exists(f'{directory}/t.{last + 4:06}.mmt.zst'), 'parts', 60)
        recorder.send_signal(signal.SIGUSR1)
        machine.wait_for(lambda number=number: machine.read(bench.path('said')).count(': kept') == number, 'its word')
        machine.require(recorder.poll() is None, 'it goes on')
        name = re.findall(r'(t\.\d{6}\.mmt\.zst): kept', machine.read(bench.path('said')))[-1]
        kept += [f't.{int(name[2:8]) - 1:06}.mmt.zst', name]
        machine.require(all(os.path.exists(f'{directory}/{name}') for name in kept), f'{kept} are kept')
    machine.write(bench.path('go'), '')
    bench.wait_end(recorder, 0)
    print(machine.read(bench.path('said')))
    names = sorted(os.listdir(directory))
    print(f'{kept} of {names}')
    machine.require(len(set(kept)) == 4 and names[:4] == kept and len(names) <= 6, 'what was asked for, and two')
    for name in names:
        bench.trace = os.path.join(directory, name)
        report, _ = bench.replay()
        fidelity = report['fidelity']
        print(f'{name}: {fidelity["present"]} of {fidelity["ptes"]} entries, ended by {report["trace"]["end"]}')
        machine.require(report['complete'] is True, 'complete')
        machine.require(fidelity['ptes'] > 500 and fidelity['present'] >= 0.99 * fidelity['ptes'], 'it replays alone')
    machine.require(report['trace']['end'] == 'signal', f'ended by {report["trace"]["end"]}')
    bench.no_instance_left()


CASES = {case.__name__: case for case in (over_time, processes_end, max_size, max_size_storm, min_free, max_memory,
                                          max_cpu, buffer_total, file_limit, reader_gone, reader_stuck, piped, asked,
                                          live_line, strangers, rotated, rotated_others, rotated_system,
                                          rotated_command, no_gap, flight)}


def main():
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    with machine.work_directory(name) as directory:
        CASES[name](Bounded(machine.Programs(build_root, source_root), directory))


if __name__ == '__main__':
    main()
