# SPDX-License-Identifier: MIT
"""After a loss the recorder reads page tables anew (--resnapshot): from then on a replay agrees with the kernel again,
and the report says from when to when it did not.

    resnapshot.py BUILD_ROOT SOURCE_ROOT CASE
"""
import json
import os
import signal
import sys
import time

import machine
from recorder import Bench

# Maps and forks gently; while a file is there it maps without pause, and does not fork: what a child shares that lives
# through a loss is not known, and marked. Until it is killed; says how often it went round. On all CPUs in turn: one
# tells what it has lost when it has something else to tell.
PROGRAM = r"""
import mmap, os, sys, time
kept = mmap.mmap(-1, 8 << 20)
kept[::4096] = b"x" * 2048
cpus = sorted(os.sched_getaffinity(0))
for turn in range(1 << 30):
    os.sched_setaffinity(0, {cpus[turn % len(cpus)]})
    with mmap.mmap(-1, 1 << 20) as block:
        block[::4096] = b"x" * 256
    if not os.path.exists(sys.argv[1]):
        child = os.fork()
        if not child:
            kept[::4096] = b"y" * 2048
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.05)
    print(turn, flush=True)
"""


class Storm(Bench):
    def begin(self):
        self.busy = self.path('busy')
        self.said_by_program = self.path('said by the program')
        return ['-c', PROGRAM, self.busy]

    def turns(self, nr):
        before = machine.read(self.said_by_program).count('\n')
        machine.wait_for(lambda: machine.read(self.said_by_program).count('\n') > before + nr, f'{nr} rounds',
                         seconds=90)

    def lose(self, recorder):
        """The recorder is away until the program has filled its buffers; it comes back when that is over."""
        self.turns(2)
        machine.write(self.busy, '')
        self.turns(2)
        recorder.send_signal(signal.SIGSTOP)
        # Once it is back, nothing more is to be lost on a busy machine.
        for thread in os.listdir(f'/proc/{recorder.pid}/task'):
            os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(1))
        try:
            machine.wait_for(lambda: machine.lost_in_kernel(recorder.pid) > 100, 'a loss', seconds=90)
            os.remove(self.busy)
        finally:
            recorder.send_signal(signal.SIGCONT)

    def wait_read_anew(self, recorder):
        """Until snapshots of that kind are in the file; what comes after them is to be exact."""
        def is_read():
            dumped = self.programs.run(self.programs.refold, 'dump', self.trace, expect=None).stdout
            return ' why=4 ' in dumped
        end = time.monotonic() + 30
        while not is_read():
            machine.require(time.monotonic() < end and recorder.poll() is None, 'nothing is read anew')
            time.sleep(0.5)
        self.turns(10)

    def judge(self, pid):
        report, _ = self.replay(options=('--processes',))
        trust = report['trust']
        marks = [mark for mark in trust['marked'] if mark['pid'] == pid]
        print(f'{report["trace"]["lost_events"]} events lost; the program is marked: {marks}')
        machine.require(report['trace']['lost_events'] > 100, 'events are lost')
        machine.require(marks and all(mark.get('until_ns', 0) > mark['since_ns'] for mark in marks),
                        'it is marked until it was read anew, and not after')
        machine.require(any(reason['reason'] == 'loss' for mark in marks for reason in mark['reasons']), 'by a loss')
        fidelity = report['fidelity']
        print(f'{len(trust["marked"])} of {fidelity["mms"]} marked; fidelity: ' + json.dumps(
            {name: fidelity[name] for name in ('ptes', 'present', 'pfn', 'order', 'extra', 'rss_checks_bad')}))
        until = max(mark['until_ns'] for mark in marks)
        late = [mark for mark in trust['marked'] if mark['since_ns'] > until and
                any(reason['reason'] in ('loss', 'forked', 'snapshot_differs') for reason in mark['reasons'])]
        machine.require(not late, f'nobody is marked that began later: {late}')
        machine.require(fidelity['ptes'] == fidelity['order'] > 1000 and not fidelity['extra'], 'entries are right')


def command(storm):
    """A COMMAND, which is traced all its life: it waits for the recorder where a child of its exits."""
    arguments = storm.begin()
    script = storm.path('program')
    machine.write(script, f'echo $$ >{storm.path("pid")}\n'
                          f'exec {sys.executable} -c "$1" {storm.busy} >"{storm.said_by_program}"\n')
    recorder = storm.start_recording('--resnapshot', '-b', '4M', '--', '/bin/sh', script, arguments[1])
    machine.wait_for(lambda: os.path.exists(storm.said_by_program), 'the program')
    pid = int(machine.read(storm.path('pid')))
    try:
        storm.lose(recorder)
        storm.wait_read_anew(recorder)
        recorder.send_signal(signal.SIGINT)
        storm.wait_end(recorder, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
    storm.judge(pid)


def attached(storm, *options):
    """What runs already: it is let go after the first look, and caught again."""
    target = storm.programs.start(sys.executable, *storm.begin(), said=storm.said_by_program)
    machine.wait_for(lambda: machine.read(storm.said_by_program), 'the program')
    recorder = storm.start_recording('--resnapshot', '--keep', 'all', *options, '-b', '4M', '-p', str(target.pid))
    storm.lose(recorder)
    storm.wait_read_anew(recorder)
    recorder.send_signal(signal.SIGINT)
    storm.wait_end(recorder, 0)
    target.kill()
    storm.judge(target.pid)


def untraced(storm):
    attached(storm, '--exit-snapshots', 'none')


CASES = {case.__name__: case for case in (command, attached, untraced)}


def main():
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    with machine.work_directory('resnapshot') as directory:
        storm = Storm(machine.Programs(build_root, source_root), directory)
        CASES[name](storm)
        storm.no_instance_left()


if __name__ == '__main__':
    main()
