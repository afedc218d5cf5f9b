# SPDX-License-Identifier: MIT
"""A program recorded by trace-cmd and imported: its replay counts what the program did, and the same as the replay of a
recording by refold-capture.

    trace_cmd.py BUILD_ROOT SOURCE_ROOT
"""
import contextlib
import json
import os
import subprocess
import sys

import machine

PAGES = 512
EVENTS = ['exceptions', 'kmem:rss_stat', 'kmem:mm_page_alloc', 'kmem:mm_page_free', 'filemap', 'syscalls',
          'sched:sched_process_fork', 'sched:sched_process_exec', 'sched:sched_process_exit', 'migrate', 'huge_memory']


@contextlib.contextmanager
def restored(*names):
    """trace-cmd sets these in the top-level instance, too, though it records in ours."""
    paths = [f'{machine.TRACING}/{name}' for name in names]
    before = [machine.selected(path) for path in paths]
    try:
        yield
    finally:
        for path, value in zip(paths, before):
            machine.write(path, value)


@contextlib.contextmanager
def instance():
    name = f'refold-import-{os.getpid()}'
    path = f'{machine.TRACING}/instances/{name}'
    try:
        yield name, f'{path}/trace_marker'
    finally:
        if os.path.isdir(path):
            machine.write(f'{path}/events/enable', 0)
            os.rmdir(path)


def record(programs, data, options):
    """-d: the function tracer may be locked; -k: trace-cmd shall not reset what it did not set."""
    with restored('tracing_on', 'trace_clock'), instance() as (name, marker):
        command = ['trace-cmd', 'record', '-q', '-o', data, *options, '-d', '-k', '-B', name, '-F', '-c', '-C', 'mono']
        for event in EVENTS:
            command += ['-e', event]
        done = subprocess.run([*command, os.path.join(programs.workloads, 'phases'), marker], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode or not os.path.exists(data):
        machine.skip(f'trace-cmd cannot record here: {(done.stderr.strip().splitlines() or ["it says nothing"])[-1]}')


def replay(programs, trace, directory):
    report = os.path.join(directory, 'report.json')
    programs.run(programs.refold, 'replay', '-q', trace, '-p', 'linux-6.12,linux-7.3', '-o', report)
    with open(report, encoding='utf-8') as file:
        return json.load(file)


def windows(report):
    return {(window['label'], policy['name']): policy for window in report['windows'] for policy in window['policies']}


def check(counted, report):
    fidelity = report['fidelity']
    machine.require(fidelity['fault_checks_ok'] > 2 * PAGES and not fidelity['fault_checks_bad'],
                    f'{fidelity["fault_checks_bad"]} faults hit what the replay did not expect')
    # Address spaces are marked: what exec maps no record tells, so its VMAs are made up.
    machine.require(not fidelity['anomalies']['lost_events'], 'events were lost')
    for policy in ('linux-6.12', 'linux-7.3'):
        touch, copy, drop, unmap = (counted[label, policy] for label in ('touch', 'copy', 'drop', 'unmap'))
        expected = [('touch', touch['operations']['fault_anon']['operations'], PAGES),
                    ('copy', copy['operations']['cow']['operations'], PAGES),
                    ('copy flushes', copy['operations']['cow']['tlbi'], PAGES),
                    ('drop', drop['operations']['zap_dontneed']['pte_atomics'], PAGES // 2),
                    ('unmap', unmap['operations']['zap_munmap']['pte_atomics'], PAGES // 2)]
        for what, got, wanted in expected:
            # A page of the stack or of a library may be touched for the first time, too.
            machine.require(wanted <= got <= wanted + 4, f'{policy}, {what}: {got}, not {wanted}')


def main():
    programs = machine.Programs(sys.argv[1], sys.argv[2])
    machine.need_live_kernel()
    machine.need_program('trace-cmd')
    with machine.work_directory('trace-cmd') as directory:
        trace = os.path.join(directory, 'imported.mmt.zst')
        data = os.path.join(directory, 'trace.dat')
        for options in ([], ['--file-version', '6']):
            record(programs, data, options)
            said = programs.run(programs.refold, 'import', data, '-o', trace).stderr
            machine.require('lost' not in said, said)
            imported = windows(replay(programs, trace, directory))
            check(imported, replay(programs, trace, directory))
            print(f'ok: {len(imported)} windows of an imported trace, trace-cmd {" ".join(options)}')
        programs.record(trace, os.path.join(programs.workloads, 'phases'), f'{machine.TRACING}/trace_marker')
        recorded = windows(replay(programs, trace, directory))
        for key in (('touch', 'linux-6.12'), ('drop', 'linux-6.12'), ('drop', 'linux-7.3'), ('unmap', 'linux-7.3')):
            for counter in ('tlbi', 'pte_stores', 'pte_atomics', 'fold', 'born'):
                got, wanted = imported[key]['totals'][counter], recorded[key]['totals'][counter]
                machine.require(abs(got - wanted) <= 4, f'{key}: {counter} {got} imported, {wanted} recorded')
        print('ok: as a recording by refold-capture')


if __name__ == '__main__':
    main()
