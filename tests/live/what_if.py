# SPDX-License-Identifier: MIT
"""Should this machine turn on folios of 64K? Programs are recorded with mTHP off and replayed with anon_folios=64k,
which is held against recordings of the same programs with folios of 64K: faults on anonymous memory, folios of each
order and bytes mapped are to be within 2 % of what these recordings range over.

Another run of the same program is another thing where threads race, so the rules are held against themselves as well:
a recording with folios of 64K, replayed with anon_folios=64k, is to have the very folios that the kernel allocated.

    what_if.py BUILD_ROOT SOURCE_ROOT PROGRAM
"""
import collections
import json
import os
import re
import sys

import fidelity
import machine

RECORDED, PREDICTED = 'x86-6.18', 'x86-6.18+anon_folios=64k'
ANON_ROWS = ('fault_anon', 'fault_zero', 'fault_swap', 'cow', 'reuse', 'populate')
SHARE, FEW = 0.02, 2
SMALL, LARGE = 'folios of 4K', 'folios of 64K'
PROGRAMS = {'gcc': fidelity.Gcc, 'mtmalloc': fidelity.Mtmalloc, 'python': fidelity.Python, 'sort': fidelity.Sort,
            'vmas': fidelity.Vmas, 'vmops': fidelity.Vmops}
# Recordings with either setting. Which arena a thread of mtmalloc gets depends on who holds a lock just then: its
# faults differ by a quarter from run to run.
RUNS, MANY_RUNS = 2, {'mtmalloc': 8}


def record(programs, workload, trace, folios):
    """Without randomised addresses: where a VMA begins decides which folios fit."""
    with machine.setting(f'{machine.THP}/enabled', 'never'), \
            machine.setting(f'{machine.THP}/hugepages-64kB/enabled', folios):
        programs.record(trace, machine.need_program('setarch'), '-R', *workload.command())
    return trace


def report_of(programs, trace, policy, *options):
    programs.run(programs.refold, 'replay', '-q', trace, '-p', policy, '-o', trace + '.json', *options)
    with open(trace + '.json', encoding='utf-8') as file:
        report = json.load(file)
    machine.require(not report['trace']['lost_events'], f'{trace}: events were lost')
    return report['policies'][0]


def faults_and_bytes(policy):
    rows = [policy['operations'].get(row, {}) for row in ANON_ROWS]
    return {'faults': sum(row.get('faults', 0) for row in rows),
            'bytes mapped': 4096 * sum(row.get('pte_stores', 0) for row in rows)}


def recorded(programs, trace):
    """What the kernel did: the operations that allocate anonymous folios have their size."""
    policy = report_of(programs, trace, RECORDED, '--operations', trace + '.operations')
    sizes = collections.Counter()
    with open(trace + '.operations', encoding='utf-8') as file:
        for line in file:
            allocated = re.match(r'\d+ fault_anon .* nr=(\d+) ', line)
            if allocated:
                sizes[int(allocated[1])] += 1
    return faults_and_bytes(policy) | {SMALL: sizes[1], LARGE: sizes[16]}


def predicted(programs, trace):
    policy = report_of(programs, trace, PREDICTED)
    folios = dict(policy['allocation']['folios'])
    return faults_and_bytes(policy) | {SMALL: folios.get(0, 0), LARGE: folios.get(4, 0)}


def judge(quantity, guesses, real, problems):
    """The mean of what was predicted, and the range of what was recorded."""
    value, least, most = sum(guesses) / len(guesses), min(real), max(real)
    allowed = max(SHARE * most, FEW)
    print(f'{quantity}: {value:,.1f} predicted ({", ".join(map(str, guesses))}), {", ".join(map(str, real))} recorded')
    if not least - allowed <= value <= most + allowed:
        problems.append(f'{quantity}: {value:.1f} predicted, {least} to {most} recorded')


def main():
    build, source, name = sys.argv[1:]
    machine.need_live_kernel()
    if not os.path.exists(f'{machine.THP}/hugepages-64kB'):
        machine.skip('this kernel has no folios of 64K')
    programs = machine.Programs(build, source)
    problems, off, guesses, real = [], [], [], []
    with machine.work_directory(f'what_if_{name}') as directory:
        workload = PROGRAMS[name](programs, directory)
        with workload.cleanup:
            workload.prepare()
            for run in range(MANY_RUNS.get(name, RUNS)):
                never = record(programs, workload, workload.path(f'never.{run}.mmt.zst'), 'never')
                off.append(faults_and_bytes(report_of(programs, never, RECORDED)))
                guesses.append(predicted(programs, never))
                always = record(programs, workload, workload.path(f'always.{run}.mmt.zst'), 'always')
                real.append(recorded(programs, always))
                again = predicted(programs, always)
                if again != real[-1]:
                    problems.append(f'of folios that were recorded: {again} predicted, {real[-1]} recorded')
    print(f'with mTHP off: {off[0]}')
    for quantity in real[0]:
        judge(quantity, [run[quantity] for run in guesses], [run[quantity] for run in real], problems)
    machine.require(real[0][LARGE], f'{name} had no folio of 64K')
    machine.require(not problems, '; '.join(problems))


if __name__ == '__main__':
    main()
