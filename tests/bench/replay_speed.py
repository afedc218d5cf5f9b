# SPDX-License-Identifier: MIT
"""How fast traces are replayed: one policy, and several in one pass against one, with the memory they take. The traces
are a storm of compiles and small processes where this machine can record one (without snapshots, whose records are the
cheap ones), else the largest sample; and the 64 MiB windows of the arm64 lab, all in one command.

    replay_speed.py BUILD_ROOT SOURCE_ROOT
"""
import glob
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'live'))
import machine  # noqa: E402 (found through the line above)

ONE = 'linux-6.12'
SEVERAL = (('four', 'linux-6.8,contpte-v3,linux-6.12,linux-7.3'), ('all named', 'all'))
REPEATS = 3


def record_bare(programs, trace, *command):
    """Without snapshots, whose records are the cheap ones."""
    programs.run(programs.capture, '-q', '--exit-snapshots=none', '-o', trace, '--', *command)


def choose_trace(programs, source_root, directory):
    samples = glob.glob(os.path.join(source_root, 'traces', 'samples', '*.mmt.zst'))
    if os.geteuid() != 0 or not os.path.isdir(f'{machine.TRACING}/events'):
        return max(samples, key=os.path.getsize)
    trace, source = os.path.join(directory, 't.mmt.zst'), os.path.join(directory, 'source.c')
    machine.write(source, programs.run(sys.executable, os.path.join(programs.scripts, 'generate_source.py'),
                                       '100').stdout)
    record_bare(programs, trace, '/bin/sh', '-c',
                f'for round in $(seq 20); do gcc -O1 -c {source} -o {directory}/source.o; '
                'for process in $(seq 60); do /bin/true; done; done')
    return trace


def assemble_windows(programs, directory):
    """In a process of its own: what a child is said to have used begins with the size of the process that made it."""
    subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'windows_traces.py'),
                    directory], check=True)
    traces = []
    for text in sorted(glob.glob(os.path.join(directory, '*.txt'))):
        traces.append(text.removesuffix('.txt') + '.mmt.zst')
        subprocess.run([programs.refold, 'assemble', text, '-o', traces[-1]], check=True)
    return traces


class Measured:
    """The fastest of REPEATS runs, the least CPU time, the largest resident set (not below that of this process)."""

    def __init__(self, programs, traces, policies, report):
        self.seconds = self.cpu = float('inf')
        self.mib = 0
        for _ in range(REPEATS):
            self.run([programs.refold, 'replay', '-q', *traces, '-p', policies, '-o', report])
        with open(report, encoding='utf-8') as file:
            report = json.load(file)
        self.records, self.policies = report['trace']['records'], len(report['policies'])

    def run(self, command):
        begin = time.monotonic()
        child = subprocess.Popen(command)
        _, status, usage = os.wait4(child.pid, 0)
        self.seconds = min(self.seconds, time.monotonic() - begin)
        child.returncode = os.waitstatus_to_exitcode(status)
        machine.require(child.returncode == 0, f'{" ".join(command)}: exit code {child.returncode}')
        self.cpu = min(self.cpu, usage.ru_utime + usage.ru_stime)
        self.mib = max(self.mib, usage.ru_maxrss // 1024)


def compare(programs, what, traces, report):
    def tell(name, measured, more):
        print(f'  {name}: {measured.seconds:.2f} s ({measured.cpu:.2f} s of CPU), {more}, {measured.mib} MiB')

    one = Measured(programs, traces, ONE, report)
    print(f'{what}: {one.records} records, {sum(map(os.path.getsize, traces))} bytes, best of {REPEATS} runs')
    tell('one policy', one, f'{one.records / one.seconds / 1e6:.2f} M records/s')
    for name, policies in SEVERAL:
        several = Measured(programs, traces, policies, report)
        ratio = several.seconds / one.seconds
        tell(f'{name} policies ({several.policies}) in one pass', several,
             f'{ratio:.2f} times one, {ratio / several.policies:.2f} each')


def main():
    build_root, source_root = sys.argv[1:]
    programs = machine.Programs(build_root, source_root)
    with machine.work_directory('replay_speed') as directory:
        report = os.path.join(directory, 'report.json')
        compare(programs, 'storm or sample', [choose_trace(programs, source_root, directory)], report)
        compare(programs, '64 MiB windows', assemble_windows(programs, directory), report)


if __name__ == '__main__':
    main()
