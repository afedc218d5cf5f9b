# SPDX-License-Identifier: MIT
"""Recordings that lose events, of small buffers by a recorder that is stopped for moments: every address space that is
rebuilt otherwise than the witness saw it must be marked, and every process that is missing must be named as hidden, or
the number of hidden ones unknown.

    losses.py BUILD_ROOT SOURCE_ROOT SHAPE RUNS
"""
import json
import os
import random
import signal
import sys
import time

import machine
import page_tables

SECONDS = 3
# Kilobytes of the rings; the longest time for which the recorder is stopped; whether there is noise, which is not
# followed but heard: it makes the side-band lose, whose rings have a size of their own.
CONDITIONS = ((8, 0.2, False), (8, 0.6, True), (32, 0.3, False), (128, 1.2, False), (8192, 0.6, True))


class Run:
    def __init__(self, programs, directory, shape, seed):
        self.programs = programs
        self.shape = shape
        self.random = random.Random(f'{shape} {seed}')
        self.buffer, self.absence, self.noise = CONDITIONS[seed % len(CONDITIONS)]
        self.files = os.path.join(directory, 'files')
        os.makedirs(self.files, exist_ok=True)
        self.trace, self.truth, self.tables, self.report, self.said = (
            os.path.join(directory, f'{seed}-{name}')
            for name in ('t.mmt.zst', 'truth.tsv', 'tables.tsv', 'report.json', 'said'))

    def record(self):
        """The recorder is away now and then; never for long, as what it follows may wait for it."""
        programs = self.programs
        storms = os.path.join(programs.workloads, 'storms')
        noise = programs.start(storms, 'noise', '60', self.files) if self.noise else None
        recorder = programs.start(programs.capture, '-q', '-b', f'{self.buffer}K', '-o', self.trace, '--',
                                  programs.truth, self.truth, storms, self.shape, str(SECONDS), self.files,
                                  said=self.said)
        end = time.monotonic() + 60
        while recorder.poll() is None:
            time.sleep(self.random.uniform(0.02, 0.3))
            recorder.send_signal(signal.SIGSTOP)
            time.sleep(self.random.uniform(0, self.absence))
            recorder.send_signal(signal.SIGCONT)
            machine.require(time.monotonic() < end, 'the recording does not end')
        if noise:
            noise.kill()
        machine.require(recorder.returncode == 0, f'the recorder said: {machine.read(self.said)}')

    def compare(self):
        """[what is wrong and not told]"""
        self.programs.run(self.programs.refold, 'replay', '-q', '-p', 'linux-6.12', '-o', self.report,
                          '--page-tables', self.tables, self.trace)
        with open(self.report, encoding='utf-8') as file:
            report = json.load(file)
        trust, silent = report['trust'], []
        marked = {process['pid'] for process in trust['marked']}
        hidden = {process['pid'] for process in trust['hidden']}
        truth, rebuilt = page_tables.load(self.truth), page_tables.load(self.tables)
        wrong = missing = 0
        for pid, entries in truth.items():
            if pid not in rebuilt:
                missing += 1
                if pid not in marked | hidden and trust['hidden_processes_known']:
                    silent.append(f'pid {pid} is missing')
            elif entries != rebuilt[pid]:
                wrong += 1
                if pid not in marked:
                    silent.append(f'pid {pid} is wrong: {difference(entries, rebuilt[pid])}')
        print(f'{self.shape}, {self.buffer}K, away up to {self.absence} s{", noise" if self.noise else ""}: '
              f'{report["trace"]["lost_events"]} events lost {self.losses()}; {len(truth)} processes, {wrong} wrong, '
              f'{missing} missing; {len(hidden)} hidden{"" if trust["hidden_processes_known"] else " or more"}, '
              f'{len(marked)} marked, {len(silent)} silent')
        return silent, report['trace']['lost_events']

    def losses(self):
        info = json.loads(self.programs.run(self.programs.refold, 'info', '-j', self.trace).stdout)
        lost = {}
        for stream in info['streams']:
            lost[stream['source']] = lost.get(stream['source'], 0) + stream['lost_events']
        return lost


def difference(truth, rebuilt):
    differs = sorted(addr for addr in truth.keys() | rebuilt.keys() if truth.get(addr) != rebuilt.get(addr))
    return f'{len(differs)} entries, at {differs[0]:x} {truth.get(differs[0])} is {rebuilt.get(differs[0])}'


def main():
    build_root, source_root, shape, runs = sys.argv[1:]
    machine.need_live_kernel()
    programs = machine.Programs(build_root, source_root)
    problems, lossy = [], 0
    with machine.work_directory(f'losses-{shape}') as directory, machine.large_folios():
        for seed in range(1, int(runs) + 1):
            run = Run(programs, directory, shape, seed)
            run.record()
            silent, lost = run.compare()
            lossy += lost > 0
            problems += [f'run {seed}: {what}, and not told' for what in silent]
    if not lossy:
        problems.append('nothing was lost')
    for problem in problems:
        print(f'FAIL: {problem}')
    sys.exit(1 if problems else 0)


main()
