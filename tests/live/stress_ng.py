# SPDX-License-Identifier: MIT
"""The stressors of stress-ng that are about memory, as many as the version at hand has, under the independent witness:
each is exact, or marked. A line for each says what it was, and what its replay cost.

    stress_ng.py BUILD_ROOT SOURCE_ROOT [SECONDS [STRESSOR...]]
"""
import json
import re
import resource
import sys

import machine
import page_tables
import suite
from programs import Program

SECONDS = 5
# What would take all memory of the machine.
BOUNDS = {'bigheap': '--bigheap-growth 1m --bigheap-ops 1024'}
# A watchdog that nobody feeds restarts the machine.
LEFT_OUT = ['watchdog']
# Its children ask to be traced by it, which they cannot be while the witness does: then it waits for them for ever, as
# under strace. What the recorder itself saw at exits has to do.
TRACERS = ['vm-segv']
# khugepaged goes on while the witness holds a process at its exit.
NO_KHUGEPAGED = {f'{machine.THP}/khugepaged/scan_sleep_millisecs': 1000000000}


def stressors(programs):
    said = programs.run('stress-ng', '--class', 'vm?', expect=None)
    names = re.search(r'stressors: (.*)', said.stdout + said.stderr)
    machine.require(names, 'stress-ng does not tell the stressors of class vm')
    return [name for name in names[1].split() if name not in LEFT_OUT]


def program_of(name, seconds):
    # One that cannot run on this machine says so by its exit code.
    command = f'stress-ng --quiet --oomable --temp-path . --{name} 1 --timeout {seconds} {BOUNDS.get(name, "")} || :'
    return Program(name, command, {'stress-ng': 'stress-ng'}, settings=NO_KHUGEPAGED)


def cpu_seconds():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def judge_unwitnessed(name, report):
    trust, seen = report['trust'], report['fidelity']
    right = seen['ptes'] == seen['present'] == seen['pfn'] == seen['order'] and not seen['extra']
    print(f'{name}: {trust["word"]}, without the witness; {seen["processes_compared"]} processes compared, '
          f'{seen["ptes"]} PTEs; {trust["reasons"]}', flush=True)
    return seen['processes_compared'] > 0 and (right or trust['marked_address_spaces'] > 0)


def judge(programs, name, directory):
    report, tables = (suite.file_of(directory, kind) for kind in ('json', 'tables'))
    before = cpu_seconds()
    programs.run(programs.refold, 'replay', '-q', suite.file_of(directory, 'mmt.zst'), '-p', suite.POLICIES,
                 '-o', report, '--page-tables', tables)
    took = max(cpu_seconds() - before, 0.01)
    with open(report, encoding='utf-8') as file:
        report = json.load(file)
    trust, records = report['trust'], report['trace']['records']
    if name in TRACERS:
        return judge_unwitnessed(name, report)
    verdict = page_tables.judge(suite.file_of(directory, 'truth'), tables, trust, kills=True)
    word = 'silent' if verdict.problems else trust['word'] if trust['marked'] or verdict.marked else 'exact'
    print(f'{name}: {word}; {verdict.exact} right ({verdict.needless} of them marked), {len(verdict.marked)} wrong and '
          f'marked, {verdict.all.ptes} PTEs; {trust["reasons"]}; {report["trace"]["lost_events"]} events lost; '
          f'{records} records, {records / took / 1e6:.1f} M/s', flush=True)
    for problem in verdict.problems + verdict.silent:
        print(f'  {problem}')
    return not verdict.problems


def main():
    build_root, source_root, *rest = sys.argv[1:]
    machine.need_live_kernel()
    machine.need_program('stress-ng')
    programs = machine.Programs(build_root, source_root)
    bad = []
    for name in rest[1:] or stressors(programs):
        machine.take_turn()
        program = program_of(name, rest[0] if rest else SECONDS)
        with machine.work_directory(f'stress-ng-{name}') as directory:
            suite.prepare(programs, program, directory)
            suite.record(programs, program, directory, name not in TRACERS)
            if not judge(programs, name, directory):
                bad.append(name)
    machine.require(not bad, f'wrong and not marked: {" ".join(bad)}')


main()
