# SPDX-License-Identifier: MIT
"""Programs of programs.py under the independent witness: each address space that the replay has otherwise than the
witness saw it must be marked.

    suite.py BUILD_ROOT SOURCE_ROOT NAME...
"""
import contextlib
import glob
import json
import os
import shutil
import sys

import machine
import page_tables
from programs import PROGRAMS

POLICIES = 'x86-6.18,linux-6.12'


def find_needs(needs):
    for what, package in needs.items():
        found = glob.glob(what if what.startswith('/') else f'/usr/lib/*/{what}' if '.so' in what else '') or \
            shutil.which(what)
        if not found:
            machine.skip(f'{what} is not installed: package {package}')


def environment(programs, group):
    here = os.path.dirname(programs.scripts)
    return {**os.environ, 'LC_ALL': 'C', 'WORKLOADS': programs.scripts, 'SOURCES': os.path.join(here, 'sources'),
            'BUILT': programs.workloads, 'GROUP': group or '',
            'PATH': f'/usr/sbin:/usr/bin:/sbin:/bin:{os.environ["PATH"]}'}


def file_of(directory, kind):
    return os.path.join(directory, f'refold.{kind}')


def prepare(programs, program, directory):
    find_needs(program.needs)
    if program.prepare:
        result = programs.run('/bin/sh', '-ec', program.prepare, env=environment(programs, None), cwd=directory,
                              expect=None)
        if result.returncode == machine.SKIPPED:
            machine.skip(f'what {program.name} needs cannot be made here')
        machine.require(not result.returncode, f'preparing {program.name}: {result.stdout}{result.stderr}')
    # So that no page is locked just when fault-around comes by.
    os.sync()


def record(programs, program, directory, witness=True, options=()):
    witnessed = [programs.truth, file_of(directory, 'truth')] if witness else []
    with contextlib.ExitStack() as stack:
        if program.folios:
            stack.enter_context(machine.large_folios())
        for path, value in program.settings.items():
            stack.enter_context(machine.setting(path, value))
        if program.swap:
            stack.enter_context(machine.swap_on_zram(program.swap))
        group = stack.enter_context(machine.memory_group(program.memory)) if program.memory else None
        said = programs.run(programs.capture, '-q', *options, '-o', file_of(directory, 'mmt.zst'), '--',
                            *witnessed, '/bin/sh', '-ec', f'{program.command}\ntouch refold.done',
                            env=environment(programs, group), cwd=directory)
    if not os.path.exists(file_of(directory, 'done')):
        machine.fail(f'{program.name} failed: {said.stdout}{said.stderr}')


def judge(programs, program, directory):
    """True if every address space is right, or marked."""
    report, tables = file_of(directory, 'json'), file_of(directory, 'tables')
    programs.run(programs.refold, 'replay', '-q', file_of(directory, 'mmt.zst'), '-p', POLICIES, '-o', report,
                 '--page-tables', tables)
    with open(report, encoding='utf-8') as file:
        report = json.load(file)
    verdict = page_tables.judge(file_of(directory, 'truth'), tables, report['trust'])
    print(f'{program.name}: {report["trace"]["records"]} records; {report["trust"]["word"]}, '
          f'{report["trust"]["reasons"]} {report["trust"]["doubts"]}')
    verdict.show()
    if not verdict.all.processes:
        verdict.problems.append('nothing to compare')
    for problem in verdict.problems:
        print(f'FAIL: {problem}')
    return not verdict.problems


def main():
    build_root, source_root, *names = sys.argv[1:]
    machine.need_live_kernel()
    programs = machine.Programs(build_root, source_root)
    good = True
    for name in names:
        program = next(row for row in PROGRAMS if row.name == name)
        for options in ((), ('--iovecs',)) if program.iovecs else ((),):
            with machine.work_directory(name) as directory:
                prepare(programs, program, directory)
                record(programs, program, directory, options=options)
                good &= judge(programs, program, directory)
            sys.stdout.flush()
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
