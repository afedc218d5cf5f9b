# SPDX-License-Identifier: MIT
"""The recorder when things go wrong, and when it is pointed at what runs already.

    recorder.py BUILD_ROOT SOURCE_ROOT CASE
"""
import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import sys

import machine

# Maps, touches and unmaps memory until it is killed, at the latest after a minute; says who it is.
SPIN = '''
import mmap, os, sys, time
print(os.getpid(), file=open(sys.argv[1], "w"), flush=True)
end = time.time() + 60
while time.time() < end:
    with mmap.mmap(-1, 1 << 20) as block:
        block[::4096] = b"x" * 256
    time.sleep(0.004)
'''


class Bench:
    """A test's directory and programs, and what the cases share."""

    def __init__(self, programs, directory):
        self.programs = programs
        self.directory = directory
        self.trace = self.path('t.mmt.zst')

    def path(self, name):
        return os.path.join(self.directory, name)

    def replay(self, expect=0, options=()):
        report = self.path('report.json')
        result = self.programs.run(self.programs.refold, 'replay', '-q', *options, self.trace, '-p', 'linux-6.12',
                                   '-o', report, expect=expect)
        with open(report, encoding='utf-8') as file:
            return json.load(file), result

    def start_recording(self, *arguments):
        """refold-capture in the background, once it has written the trace's header."""
        process = self.programs.start(self.programs.capture, '-q', '-o', self.trace, *arguments, said=self.path('said'))
        machine.wait_for(lambda: process.poll() is not None or self.trace_size(), 'a header in the trace')
        if process.poll() is not None:
            machine.fail(f'the recorder ended early: {machine.read(self.path("said"))}')
        return process

    def trace_size(self):
        return os.path.getsize(self.trace) if os.path.exists(self.trace) else 0

    def wait_frames(self):
        """Until the recorder has written what was not there yet, twice: whatever it does at its start is over. A file
        that comes and goes gives it something where all else is still."""
        def is_more_than(size):
            machine.write(self.path('comes and goes'), 'x')
            return self.trace_size() > size

        for _ in range(2):
            size = self.trace_size()
            machine.wait_for(lambda size=size: is_more_than(size), 'more in the trace')
        os.remove(self.path('comes and goes'))

    @contextlib.contextmanager
    def recorded_spin(self, *options):
        """A recording of SPIN, which runs. What is recorded outlives its recorder, so it is ended here."""
        pid = self.path('pid')
        try:
            recorder = self.start_recording(*options, '--', sys.executable, '-c', SPIN, pid)
            machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the recorded program')
            yield recorder
        finally:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(machine.read(pid)), signal.SIGKILL)

    def wait_end(self, process, expect, seconds=30):
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            machine.fail(f'the recorder did not end within {seconds} s')
        said = machine.read(self.path('said'))
        machine.require(process.returncode == expect, f'exit code {process.returncode}, not {expect}: {said}')

    def no_instance_left(self):
        left = machine.stale_instances()
        machine.require(not left, f'tracefs instances left behind: {left}')

    def one_line(self, result, *words):
        """An error is one line that says what, and where."""
        lines = result.stderr.strip().splitlines()
        print(f'said: {lines}')
        machine.require(len(lines) == 1, 'an error is one line')
        for word in words:
            machine.require(word in lines[0], f'the line does not mention {word!r}')


def is_running(pid):
    with contextlib.suppress(OSError):
        return machine.read(f'/proc/{pid}/stat').rsplit(')', 1)[1].split()[0] != 'Z'
    return False


def killed(bench):
    """kill -9: the file reads to its last whole frame, and the next run cleans up."""
    with bench.recorded_spin() as recorder:
        bench.wait_frames()
        recorder.kill()
        recorder.wait()
    machine.require(any(name.endswith(f'-{recorder.pid}') for name in machine.stale_instances()),
                    'the killed recorder had no instance of its own')
    report, _ = bench.replay(expect=3)
    machine.require(report['complete'] is False, 'a cut trace is not complete')
    machine.require(report['trace']['records'] > 0, 'no record survived')
    print(f'{report["trace"]["records"]} records survived the kill')
    bench.programs.record(bench.path('next.mmt.zst'), '/bin/true')
    bench.no_instance_left()


def signalled(bench, number):
    with bench.recorded_spin() as recorder:
        bench.wait_frames()
        recorder.send_signal(number)
        bench.wait_end(recorder, 0)
        machine.require(os.path.exists(f'/proc/{machine.read(bench.path("pid"))}'), 'the recorded program must go on')
    bench.no_instance_left()
    report, _ = bench.replay()
    fidelity = report['fidelity']
    print(f'fidelity: {fidelity["present"]} of {fidelity["ptes"]} PTEs, pfn {fidelity["pfn"]}')
    machine.require(report['complete'] is True, 'the trace of a stopped recording is complete')
    machine.require(fidelity['ptes'] > 0, 'what ran at the stop has a snapshot')
    machine.require(fidelity['pfn'] >= 0.999 * fidelity['ptes'], 'less than 99.9 % of its PTEs were rebuilt')


def interrupted(bench):
    """SIGINT ends a recording cleanly."""
    signalled(bench, signal.SIGINT)


def terminated(bench):
    """So does SIGTERM."""
    signalled(bench, signal.SIGTERM)


@contextlib.contextmanager
def small_disk(path, size):
    os.mkdir(path)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'refold-test', path], check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', '-l', path], check=False)


def disk_full(bench):
    """A full disk: one line, exit code 1, and a file that reads to its last whole frame."""
    disk = bench.path('disk')
    with small_disk(disk, '24k'):
        bench.trace = os.path.join(disk, 't.mmt.zst')
        result = bench.programs.record(bench.trace, sys.executable, os.path.join(bench.programs.scripts, 'work.py'),
                                       expect=1)
        bench.one_line(result, bench.trace, 'No space left')
        bench.no_instance_left()
        bench.programs.run(bench.programs.refold, 'info', bench.trace, expect=3)


def pid_gone(bench):
    process = subprocess.Popen(['/bin/true'])
    process.wait()
    result = bench.programs.run(bench.programs.capture, '-q', '-o', bench.trace, '-p', str(process.pid), expect=1)
    bench.one_line(result, str(process.pid))
    bench.no_instance_left()


def command_not_found(bench):
    result = bench.programs.record(bench.trace, '/no/such/command', expect=1)
    bench.one_line(result, '/no/such/command')
    bench.no_instance_left()


def attach(bench):
    """-p: a running program is rebuilt from a snapshot taken while it runs."""
    script = os.path.join(bench.programs.scripts, 'work.py')
    loop = f'while True:\n    exec(open({script!r}).read()); print("round", flush=True)\n'
    said = bench.path('rounds')
    target = bench.programs.start(sys.executable, '-c', loop, said=said)

    def wait_rounds(number):
        rounds = machine.read(said).count('round')
        machine.wait_for(lambda: machine.read(said).count('round') >= rounds + number,
                         f'{number} rounds of the program')

    wait_rounds(1)
    recorder = bench.start_recording('-p', str(target.pid))
    wait_rounds(2)
    recorder.send_signal(signal.SIGINT)
    bench.wait_end(recorder, 0)
    machine.require(target.poll() is None, 'the recorded program must go on')
    target.kill()
    bench.no_instance_left()
    report, _ = bench.replay()
    fidelity = report['fidelity']
    print('fidelity: ' + ', '.join(f'{name} {fidelity[name]}' for name in ('ptes', 'present', 'pfn', 'order', 'extra')))
    machine.require(fidelity['ptes'] > 1000, 'a program that still runs has a snapshot at the stop')
    for name in ('present', 'pfn', 'order'):
        machine.require(fidelity[name] >= 0.995 * fidelity['ptes'], f'less than 99.5 % {name} after a late attach')


def whole_system(bench):
    """-a: everything that runs, until more than 100 tasks have been started."""
    load = bench.programs.start('/bin/sh', '-c', 'while :; do /bin/true; done')
    recorder = bench.start_recording('-a')
    bench.wait_frames()
    before = machine.processes_started()
    machine.wait_for(lambda: machine.processes_started() > before + 150, 'a load of 150 processes')
    bench.wait_frames()
    recorder.send_signal(signal.SIGINT)
    bench.wait_end(recorder, 0)
    load.kill()
    bench.no_instance_left()
    report, _ = bench.replay()
    print(f'{report["trace"]["records"]} records, {report["fidelity"]["tasks"]} tasks')
    machine.require(report['complete'] is True, 'complete')
    machine.require(report['fidelity']['tasks'] > 100, 'the load started more than 100 tasks')


def losses(bench):
    """A recorder that cannot keep up: losses are counted, told, and fatal where the user says so."""
    with bench.recorded_spin('--buffer', '1M') as recorder:
        bench.wait_frames()
        recorder.send_signal(signal.SIGSTOP)
        machine.wait_for(lambda: machine.lost_in_kernel(recorder.pid), 'a full buffer')
        recorder.send_signal(signal.SIGCONT)
        bench.wait_frames()
        recorder.send_signal(signal.SIGINT)
        bench.wait_end(recorder, 0)
    report, _ = bench.replay()
    print(f'lost {report["trace"]["lost_events"]} events, kept {report["trace"]["records"]} records; '
          f'inexact address spaces: {report["fidelity"]["inexact_mms"]}')
    machine.require(report['trace']['lost_events'] > 0, 'a full buffer loses events')
    machine.require(report['fidelity']['inexact_mms'] > 0, 'losses make address spaces inexact')
    _, result = bench.replay(expect=4, options=('--max-loss', '0'))
    machine.require('lost' in result.stderr, 'the message tells of the loss')


def other_fault_sources(bench):
    """Page faults from elsewhere than the tracepoints, as far as this kernel has them: page tables come out right."""
    for source in ('kprobe', 'perf'):
        command = (bench.programs.capture, '-q', '--fault-source', source, '-o', bench.trace, '--',
                   os.path.join(bench.programs.workloads, 'vmops'))
        if source == 'kprobe' and not os.path.exists('/sys/kernel/tracing/kprobe_events'):
            bench.one_line(bench.programs.run(*command, expect=1), 'handle_mm_fault', 'no kprobe events')
            continue
        bench.programs.run(*command)
        report, _ = bench.replay()
        fidelity = report['fidelity']
        print(f'{source}: {fidelity["ptes"]} entries, {fidelity["order"]} right, {fidelity["extra"]} too many')
        machine.require(fidelity['fault_checks_ok'] == 0, 'nothing but the tracepoints tells what a fault hit')
        for name in ('present', 'pfn', 'order'):
            machine.require(fidelity[name] >= 0.99 * fidelity['ptes'], f'less than 99 % {name}')
    bench.no_instance_left()
    probes = '/sys/kernel/tracing/kprobe_events'
    machine.require(not os.path.exists(probes) or 'refold_' not in machine.read(probes), 'kprobes left behind')


# Settings of the top-level buffer that are of no good to a recording.
ODD = {'options/stacktrace': '1', 'options/userstacktrace': '1', 'options/overwrite': '0', 'options/event-fork': '1',
       'options/function-fork': '1', 'options/pause-on-trace': '1', 'options/disable_on_free': '1',
       'options/latency-format': '1', 'options/raw': '1', 'tracing_cpumask': '1', 'trace_clock': 'counter',
       'buffer_percent': '77', 'tracing_on': '0'}
NO_SETTINGS = re.compile(r'trace$|trace_pipe|trace_marker|saved_|hist|error_log|touched_|enabled_f|available_|'
                         r'printk_formats|free_buffer|README|dyn_ftrace|snapshot|(k|u)probe_profile|buffer_total')
# Text only: what a reader of raw pages never sees.
TEXT_OPTIONS = ('latency-format', 'raw')
MARK = 'import os, sys; file = os.open("/sys/kernel/tracing/trace_marker", os.O_WRONLY)\n' \
       'try: os.write(file, b"refold:begin odd")\nexcept OSError as error: print(error)\n'


def settings_below(directory):
    """{file: its text} of all that can be set and read there, events left out."""
    found = {}
    for pattern in ('*', 'options/*'):
        for path in glob.glob(f'{directory}/{pattern}'):
            if os.path.isfile(path) and not NO_SETTINGS.match(os.path.basename(path)):
                with contextlib.suppress(OSError):
                    found[os.path.relpath(path, directory)] = machine.read(path)
    return found


def settings_of_ours(pid):
    """The same of the recorder's instances, with filters and triggers; without what differs from run to run."""
    found = {}
    for which in ('task', 'system'):
        instance = f'{machine.TRACING}/instances/refold-{which}-{pid}'
        files = settings_below(instance)
        for event in files['set_event'].split():
            place = f'{instance}/events/{event.replace(":", "/").replace("refold_" + str(pid), "refold")}'
            for name in ('filter', 'trigger'):
                with contextlib.suppress(OSError):
                    files[f'{event} {name}'] = re.sub(r'\d+', 'N', machine.read(f'{place}/{name}'))
        files = {re.sub(f'_{pid}', '', name): re.sub(f'_{pid}', '', text) for name, text in files.items()
                 if not name.endswith('_pid') and os.path.basename(name) not in TEXT_OPTIONS + ('trace_options',)}
        found |= {f'{which}: {name}': text for name, text in files.items()}
    return found


def odd_top_level(bench):
    """The instances are ours: whatever the top-level buffer is set to, they are the same, and it stays as it is."""
    def settings():
        with bench.recorded_spin() as recorder:
            bench.wait_frames()
            ours, top = settings_of_ours(recorder.pid), settings_below(machine.TRACING)
            recorder.send_signal(signal.SIGINT)
            bench.wait_end(recorder, 0)
        os.remove(bench.path('pid'))
        os.remove(bench.trace)
        return ours, top

    plain, _ = settings()
    machine.require(len(plain) > 100, 'events have filters')
    for file, value in (('task: options/stacktrace', '0'), ('task: options/overwrite', '1'),
                        ('task: options/event-fork', '1'), ('system: options/event-fork', '0')):
        machine.require(plain[file] == value, f'{file} is {plain[file]}')
    with contextlib.ExitStack() as stack:
        for file, value in ODD.items():
            stack.enter_context(machine.setting(f'{machine.TRACING}/{file}', value))
        before = settings_below(machine.TRACING)
        machine.require(before['options/stacktrace'] == '1' and before['tracing_on'] == '0', 'odd settings')
        odd, during = settings()
        bench.programs.run(bench.programs.capture, '-q', '-o', bench.trace, '--', sys.executable, '-c', MARK)
        doctor = bench.programs.run(bench.programs.capture, 'doctor', expect=None).stdout
        after = settings_below(machine.TRACING)
    for name in sorted(plain.keys() | odd.keys()):
        machine.require(plain.get(name) == odd.get(name), f'{name}: {plain.get(name)!r}, then {odd.get(name)!r}')
    during = {name: text for name, text in during.items() if not name.endswith('_events')}     # kprobes of ours
    before_rest = {name: text for name, text in before.items() if not name.endswith('_events')}
    machine.require(during == before_rest, f'changed while recording: {differences(before_rest, during)}')
    machine.require(after == before, f'changed for good: {differences(before, after)}')
    machine.require('w0="refold:b"' in marks_of(bench), 'the mark was recorded')
    machine.require('EBADF' in doctor, 'doctor says what becomes of marks')


def differences(before, after):
    return {name: (before.get(name), after.get(name)) for name in before.keys() | after.keys()
            if before.get(name) != after.get(name)}


def marks_of(bench):
    return bench.programs.run(bench.programs.refold, 'dump', bench.trace).stdout


def main(cases):
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    with machine.work_directory(name) as directory:
        {case.__name__: case for case in cases}[name](Bench(machine.Programs(build_root, source_root), directory))


if __name__ == '__main__':
    main((killed, interrupted, terminated, disk_full, pid_gone, command_not_found, attach, whole_system, losses,
          other_fault_sources, odd_top_level))
