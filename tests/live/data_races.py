# SPDX-License-Identifier: MIT
"""Programs built with ThreadSanitizer, where they have threads: replays of several policies, with all that workers
keep; a sweep; recordings of a command, of all processes, with snapshots, losses, rotation, metrics and questions by
signal.
Whatever ThreadSanitizer says is a fault.

    data_races.py BUILD SOURCE      BUILD: of meson setup -Db_sanitize=thread
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import machine

POLICIES = 'linux-6.9,linux-7.3,x86-6.12,riscv-7.3'
# Threads and processes that come and go, and what they read.
THREADS = ('import threading; t = [threading.Thread(target=lambda: bytearray(1 << 20)) for i in range(20)]; '
           '[x.start() for x in t]; [x.join() for x in t]')
LOAD = f'for i in 1 2 3 4; do (ls -lR /usr/share >/dev/null; python3 -c "{THREADS}") & done; wait'
# Of the newer kernels' random places, older libraries of ThreadSanitizer can have too few.
UNMOVED = ['setarch', '-R'] if shutil.which('setarch') else []


class Races:
    def __init__(self, build, scratch):
        self.refold = [*UNMOVED, build / 'replay' / 'refold']
        self.capture = [*UNMOVED, build / 'capture' / 'refold-capture']
        self.trace = scratch / 't.mmt.zst'
        self.log = scratch / 'races'
        self.environment = os.environ | {'TSAN_OPTIONS': f'exitcode=66 log_path={self.log}'}
        self.found = self.tried = 0

    def start(self, program, *arguments):
        return subprocess.Popen([*program, *arguments], env=self.environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def ends(self, name, process, codes=(0,)):
        said = process.communicate(timeout=600)[1]
        self.tried += 1
        logs = sorted(self.log.parent.glob('races.*'))
        if logs or process.returncode not in codes:
            self.found += 1
            print(f'FAIL: {name}: exit code {process.returncode}: {said[-500:]}')
        for path in logs:
            print(path.read_text())
            path.unlink()

    def desk(self, source, scratch):
        samples = source / 'traces' / 'samples'
        for sample in ('redis', 'python', 'press'):
            self.ends(f'replay of {sample}', self.start(
                self.refold, 'replay', '-q', samples / f'{sample}.mmt.zst', '-p', POLICIES, '--processes',
                '--by', 'vma,call', '--interval', '20ms', '-o', scratch / 'report.json'))
        self.ends('replay of folios that were not recorded', self.start(
            self.refold, 'replay', '-q', samples / 'python.mmt.zst', '-p', 'linux-7.3+anon_folios=64k,linux-6.9', '-o',
            scratch / 'report.json'))
        self.ends('sweep', self.start(self.refold, 'sweep', 'linux-7.3+tlbi={single,range}', samples / 'redis.mmt.zst',
                                      samples / 'python.mmt.zst', '-o', scratch / 'store.db', '--jobs', '2'), (0, 2))

    def record(self, name, *arguments, ask=False, codes=(0,)):
        machine.take_turn()
        process = self.start(self.capture, '-o', self.trace, *arguments)
        if ask:
            machine.wait_for(lambda: process.poll() is not None or self.trace.exists(), 'a trace')
            for _ in range(3):
                if process.poll() is None:
                    process.send_signal(signal.SIGUSR1)
                    subprocess.run(['true'], check=True)
        self.ends(name, process, codes)
        for path in self.trace.parent.glob('t.*'):
            path.unlink()

    def recorder(self, scratch):
        command = ['--', 'sh', '-c', LOAD]
        self.record('recording of a command', *command, ask=True)
        self.record('recording of stacks', '-g', *command)
        self.record('recording that loses', '-b', '64K', '--resnapshot', '--iovecs', *command)
        self.record('recording of all processes', '-a', '-t', '3', '--exit-snapshots', 'all', '--metrics',
                    scratch / 'metrics')
        self.record('recording in parts', '--rotate', '1s', '--keep', '3', '-a', '-t', '4')


def main():
    build, source = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix='refold-races-') as name:
        races = Races(build, pathlib.Path(name))
        races.desk(source, pathlib.Path(name))
        if os.geteuid() or not os.path.isdir(machine.TRACING + '/instances') or not races.capture[-1].exists():
            print('nothing was recorded: that needs root, tracefs and refold-capture')
        else:
            races.recorder(pathlib.Path(name))
        print(f'{races.tried} runs, {races.found} of them wrong')
        sys.exit(races.found > 0)


if __name__ == '__main__':
    main()
