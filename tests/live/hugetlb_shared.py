# SPDX-License-Identifier: MIT
"""PMD tables of hugetlb that are shared, kernel-model.md 6.5: a child that inherits a GiB faults once for all that its
parent has mapped there, and for each page once mprotect() has unshared it. The kernel says how many faults there were;
the replay must find the entries there, or not.

    hugetlb_shared.py BUILD_ROOT SOURCE_ROOT
"""
import json
import os
import sys

import machine
from hugetlb_gup import HUGE, huge_pages

# (faults that the kernel had, entries that are stored for them)
SHARED = {'first': (4, 4), 'inherited': (1, 0), 'again': (4, 4)}
# Tables of 64K pages are not shared: the page of the one fault is set; and nothing is lost by mprotect().
APART = {'first': (4, 4 * 32), 'inherited': (1, 32)}
CASES = {'x86-6.18': SHARED, 'linux-6.8': SHARED, 'linux-7.3': SHARED, 'riscv-7.3': SHARED,
         'linux-7.3+granule=64k': APART}
INTERRUPTS = {'x86-6.18': 1, 'linux-6.8': 0, 'linux-7.3': 1, 'riscv-7.3': 1}     # of mprotect(), to wait for walkers


def main():
    build, source = sys.argv[1:3]
    machine.need_live_kernel()
    programs = machine.Programs(build, source)
    with machine.work_directory('hugetlb_shared') as directory, huge_pages(HUGE, 4) as huge:
        if huge < 4:
            machine.skip(f'only {huge} of 4 huge pages of 2M could be had')
        trace, report = os.path.join(directory, 'shared.mmt.zst'), os.path.join(directory, 'report.json')
        programs.run(programs.capture, '-q', '-o', trace, '--', os.path.join(programs.workloads, 'shared_tables'),
                     f'{machine.TRACING}/trace_marker')
        programs.run(programs.refold, 'replay', '-q', trace, '-p', ','.join(CASES), '-o', report)
        with open(report, encoding='utf-8') as file:
            windows = json.load(file)['windows']
    rows = {(window['label'], policy['name']): policy['operations']
            for window in windows for policy in window['policies']}
    for policy, labels in CASES.items():
        for label, wanted in labels.items():
            row = rows[label, policy]['fault_hugetlb']
            got = row['operations'], row['pte_stores']
            machine.require(got == wanted, f'{label} on {policy}: {got} faults and stores, not {wanted}')
    for policy, wanted in INTERRUPTS.items():
        got = rows['protect', policy]['mprotect']['ipis']
        machine.require(got == wanted, f'mprotect() on {policy}: {got} interrupts, not {wanted}')
    print('faults, entries and interrupts are right')


if __name__ == '__main__':
    main()
