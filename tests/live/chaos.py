# SPDX-License-Identifier: MIT
"""Everything that can go wrong, at moments that a seed chooses: never a hang, never a leftover that the next run or
"refold-capture cleanup" does not remove, a file that reads to its last frame, every loss stated, survivors unharmed.

    chaos.py BUILD_ROOT SOURCE_ROOT CASE [ROUNDS]

REFOLD_SEED=... repeats what a run has printed.
"""
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time

import machine
from recorder import Bench, small_disk, SPIN

SECONDS = 30            # what ends by itself has ended by then

# After a while it does this, in the middle of being attached to; the second argument is the while.
LEAVE = '''
import os, sys, time
end = time.time() + float(sys.argv[2])
blocks = []
while time.time() < end:
    blocks.append(bytearray(100000))
how = sys.argv[1]
if how == "exits":
    os._exit(3)
if how == "execs":
    os.execv("/bin/sleep", ["sleep", "0.5"])
if os.fork():
    os._exit(0)
os.setsid()
blocks.append(bytearray(100000))
time.sleep(0.5)
'''


class Chaos(Bench):
    def __init__(self, programs, directory, rounds):
        super().__init__(programs, directory)
        self.rounds = rounds
        seed = int(os.environ.get('REFOLD_SEED') or time.time_ns() % 1000000007)
        print(f'REFOLD_SEED={seed}')
        self.random = random.Random(seed)

    def spin(self):
        """SPIN, which runs until it is killed."""
        pid = self.path('spun')
        with contextlib.suppress(FileNotFoundError):
            os.remove(pid)
        process = self.programs.start(sys.executable, '-c', SPIN, pid)
        machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the program to be recorded')
        return process

    def record(self, *arguments, **options):
        """A recorder, not waited for."""
        said = open(self.path('said'), 'w', encoding='utf-8')
        with said:
            return subprocess.Popen([self.programs.capture, '-o', self.trace, *arguments], stdout=said, stderr=said,
                                    stdin=subprocess.DEVNULL, **options)

    def ends(self, process, *codes):
        """It ends, as one of these, and says why it failed if it did."""
        try:
            code = process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            machine.fail(f'it hangs: {machine.read(self.path("said"))}')
        said = machine.read(self.path('said'))
        machine.require(code in codes, f'exit code {code}, not one of {codes}: {said}')
        machine.require(code != 1 or said, 'what fails says why')
        return code

    @staticmethod
    def goes_on(pid):
        """It lives, and does what it does."""
        def faults():
            return int(machine.read(f'/proc/{pid}/stat').rsplit(')', 1)[1].split()[7])

        before = faults()
        machine.wait_for(lambda: faults() > before, f'{pid} to go on', 10)

    def unharmed(self, pid):
        """And nobody traces it."""
        machine.require('TracerPid:\t0\n' in machine.read(f'/proc/{pid}/status'), f'{pid} is traced still')
        self.goes_on(pid)

    def readable(self):
        """The trace reads to its last frame, and a replay tells of all that was lost. False: there is none yet."""
        if not self.trace_size():
            return False
        info = self.programs.run(self.programs.refold, 'info', self.trace, expect=None)
        machine.require(info.returncode in (0, 3), f'refold info: {info.stderr}')
        report = self.path('report.json')
        replay = self.programs.run(self.programs.refold, 'replay', '-q', self.trace, '-p', 'linux-6.12', '-o', report,
                                   expect=None)
        # 1: one that was killed before its first event has nothing to replay, and says so.
        machine.require(replay.returncode in (0, 3) or 'nothing was replayed' in replay.stderr,
                        f'refold replay: {replay.returncode} {replay.stderr}')
        return True

    def nothing_left(self, how):
        """By the next run, by cleanup, or by the run itself."""
        if how == 'cleanup':
            print(self.programs.run(self.programs.capture, 'cleanup').stdout)
            said = self.programs.run(self.programs.capture, 'cleanup').stdout
            machine.require('nothing was left behind' in said, f'cleanup leaves: {said}')
        elif how == 'next run':
            self.programs.record(self.path('next.mmt.zst'), '/bin/true')
        self.no_instance_left()
        probes = f'{machine.TRACING}/kprobe_events'
        for line in machine.read(probes).splitlines() if os.path.exists(probes) else ():
            group = line.split(':', 1)[1].split('/')[0]
            machine.require(not group.startswith('refold_') or os.path.exists(f'/proc/{group[7:]}'),
                            f'a kprobe is left: {line}')
        others = [name for name in os.listdir(self.directory) if '.new' in name]
        machine.require(not others, f'files are left: {others}')

    @staticmethod
    def keepers():
        """Processes of ours that outlive a recorder."""
        return subprocess.run(['pgrep', '-x', 'refold-keeper'], capture_output=True, text=True,
                              check=False).stdout.split()


def killed(chaos):
    """SIGKILL of the recorder at any moment: of a command, of what runs, of everybody."""
    for number in range(chaos.rounds):
        target = chaos.spin()
        which = chaos.random.choice(('command', 'command', 'pid', 'pid', 'system'))
        pid = chaos.path('pid')
        with contextlib.suppress(FileNotFoundError):
            os.remove(pid)
        arguments = {'command': ['--', sys.executable, '-c', SPIN, pid], 'pid': ['-p', str(target.pid)],
                     'system': ['-a']}[which]
        if which == 'command' and chaos.random.random() < 0.3:
            arguments = ['--iovecs', *arguments]
        recorder = chaos.record('-b', '2M', '--metrics', chaos.path('m.prom'), *arguments)
        # While it sets up, or once there is something in the trace.
        if chaos.random.random() < 0.6:
            machine.wait_for(lambda: chaos.trace_size() or recorder.poll() is not None, 'a header in the trace')
        moment = chaos.random.choice((0.05, 0.3, 1.5)) * chaos.random.random()
        time.sleep(moment)
        recorder.kill()
        recorder.wait()
        print(f'{number}: {which}, killed after {moment:.3f} s; {chaos.trace_size()} bytes')
        chaos.unharmed(target.pid)
        if os.path.exists(pid) and machine.read(pid) and '--iovecs' not in arguments:
            chaos.unharmed(int(machine.read(pid)))
        chaos.readable()
        chaos.nothing_left('cleanup' if number % 2 else 'next run')
        target.kill()
        target.wait()
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(machine.read(pid)), signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):
            os.remove(chaos.trace)
    machine.wait_for(lambda: not chaos.keepers(), 'keepers to end with those they serve', 10)


def keeper_killed(chaos):
    """The keeper of --iovecs is killed: the recording goes on, and so does what is recorded."""
    for _ in range(min(chaos.rounds, 10)):
        pid = chaos.path('pid')
        with contextlib.suppress(FileNotFoundError):
            os.remove(pid)
        recorder = chaos.record('--iovecs', '--', sys.executable, '-c', SPIN, pid)
        try:
            machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the recorded program')
            time.sleep(chaos.random.random() * 0.5)
            for keeper in chaos.keepers():
                os.kill(int(keeper), signal.SIGKILL)
            chaos.goes_on(int(machine.read(pid)))
            recorder.send_signal(signal.SIGINT)
            chaos.ends(recorder, 0)
        finally:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(machine.read(pid)), signal.SIGKILL)
        chaos.readable()
        chaos.nothing_left('run')


def disk_full(chaos):
    """A disk that is full sooner or later."""
    target = chaos.spin()
    for number in range(min(chaos.rounds, 10)):
        disk = chaos.path('disk')
        kilobytes = chaos.random.randrange(8, 200, 4)
        with small_disk(disk, f'{kilobytes}k'):
            chaos.trace = os.path.join(disk, 't.mmt.zst')
            code = chaos.ends(chaos.record('-t', '4', '-p', str(target.pid)), 0, 1)
            print(f'{kilobytes}K: exit code {code}, {chaos.trace_size()} bytes')
            machine.require(number or code == 1 or kilobytes > 100, 'a small disk is full')
            chaos.readable()
        os.rmdir(disk)
        chaos.unharmed(target.pid)
        chaos.nothing_left('run')


def file_limit(chaos):
    """A limit of file sizes (SIGXFSZ), anywhere in a frame."""
    target = chaos.spin()
    for _ in range(min(chaos.rounds, 10)):
        most = chaos.random.randrange(100, 100000)
        recorder = chaos.record('-t', '3', '-p', str(target.pid), preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (most, most)))
        code = chaos.ends(recorder, 0, 1)
        print(f'{most} bytes: exit code {code}, {chaos.trace_size()} bytes')
        machine.require(chaos.trace_size() <= most, 'not larger than it may be')
        chaos.readable()
        chaos.unharmed(target.pid)
        chaos.nothing_left('run')


def target_leaves(chaos):
    """Who is attached to exits, execs or daemonises meanwhile."""
    for number in range(chaos.rounds):
        how = ('exits', 'execs', 'daemonises')[number % 3]
        moment = chaos.random.random() * chaos.random.choice((0.1, 0.6))
        target = chaos.programs.start(sys.executable, '-c', LEAVE, how, str(moment))
        time.sleep(chaos.random.random() * 0.1)
        code = chaos.ends(chaos.record('-t', '2', '-p', str(target.pid)), 0, 1)
        print(f'{how} after {moment:.3f} s: exit code {code}')
        target.wait()
        said = machine.read(chaos.path('said')).splitlines()
        machine.require(code == 0 or len(said) == 1, f'one line says why: {said}')
        if code == 0:
            machine.require(chaos.readable(), 'a trace')
        chaos.nothing_left('run')
        with contextlib.suppress(FileNotFoundError):
            os.remove(chaos.trace)


def two(chaos):
    """Two recorders of one program; one is killed, and cleanup leaves the other alone."""
    target = chaos.spin()
    first = chaos.record('-t', '6', '--exit-snapshots', 'none', '-p', str(target.pid))
    machine.wait_for(chaos.trace_size, 'a header in the trace')
    kept, chaos.trace = chaos.trace, chaos.path('other.mmt.zst')
    with open(chaos.path('other'), 'w', encoding='utf-8') as said:
        second = subprocess.Popen([chaos.programs.capture, '-o', chaos.trace, '--exit-snapshots', 'none', '-p',
                                   str(target.pid)], stdout=said, stderr=said)
    chaos.wait_frames()
    result = chaos.programs.run(chaos.programs.capture, '-o', kept, '--', '/bin/true', expect=1)
    machine.require('another recorder is writing it' in result.stderr, 'two cannot share a file')
    second.kill()
    second.wait()
    print(chaos.programs.run(chaos.programs.capture, 'cleanup').stdout)
    machine.require(all(os.path.exists(f'{machine.TRACING}/instances/refold-{which}-{first.pid}')
                        for which in ('task', 'system')), 'the other has its instances')
    chaos.readable()
    chaos.trace = kept
    chaos.ends(first, 0)
    report, _ = chaos.replay()
    machine.require(report['complete'] and report['fidelity']['order'] >= 0.99 * report['fidelity']['ptes'] > 0,
                    'the other recording is as if nothing had been')
    chaos.unharmed(target.pid)
    chaos.nothing_left('run')


CASES = {case.__name__: case for case in (killed, keeper_killed, disk_full, file_limit, target_leaves, two)}


def main():
    build_root, source_root, name = sys.argv[1:4]
    machine.need_live_kernel()
    with machine.work_directory(f'chaos-{name}') as directory:
        CASES[name](Chaos(machine.Programs(build_root, source_root), directory,
                          int(sys.argv[4]) if len(sys.argv) > 4 else 6))


if __name__ == '__main__':
    main()
