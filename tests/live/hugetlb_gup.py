# SPDX-License-Identifier: MIT
"""GUP over huge pages: a program whose process_vm_readv() goes through another's hugetlb memory is recorded, and what
its replay counts on x86, and on arm64 with each base page size, is what kernel-model.md 6.3 says.

    hugetlb_gup.py BUILD_ROOT SOURCE_ROOT
"""
import contextlib
import json
import os
import sys

import machine

HUGETLB = '/sys/kernel/mm/hugepages/hugepages-%dkB/nr_hugepages'
HUGE, GIGANTIC = 2048, 1048576    # kB
# Policy: (lookups, loads) of slow GUP for a folio of 64K; a huge page of 2M; the 256 pages and a bit from its hundredth
# byte on; two huge pages of which the second was not there: it is clean then, and 7.3's getter looks at all of a clean
# block.
X86 = {'folio': (16, 16), 'huge': (1, 1), 'part': (1, 1), 'two': (3, 2)}
CASES = {
    'x86-6.18': X86,
    'x86-6.18+slow_gup=hugetlb': X86,
    'linux-6.12': {'folio': (16, 272), 'huge': (1, 1), 'part': (1, 1), 'two': (3, 2)},
    'gup-old+granule=16k': {'huge': (1, 129), 'part': (1, 129), 'two': (3, 258)},
    'linux-6.12+granule=16k': {'huge': (128, 128 * 129), 'part': (65, 65 * 129), 'two': (257, 256 * 129)},
    'linux-7.3+granule=16k': {'huge': (128, 128 * 3), 'part': (65, 65 * 3), 'two': (257, 128 * 3 + 128 * 129)},
    'gup-cont+granule=16k': {'huge': (1, 129), 'part': (1, 129), 'two': (3, 258)},
    'gup-old+granule=64k': {'huge': (1, 33), 'part': (1, 33), 'two': (3, 66)},
    'linux-6.12+granule=64k': {'huge': (32, 32 * 33), 'part': (17, 17 * 33), 'two': (65, 64 * 33)},
    'linux-7.3+granule=64k': {'huge': (32, 32 * 3), 'part': (17, 17 * 3), 'two': (65, 32 * 3 + 32 * 33)},
    'gup-cont+granule=64k': {'huge': (1, 33), 'part': (1, 33), 'two': (3, 66)},
}
# 1G by process_vm_readv(), which has room for the pointers to a quarter of a page squared, and looks again after that:
# each time on the same huge page (4K: 4M at once), each on another 64M of it (16K: two of 32 entries), at once (64K).
GIGANTIC_CASES = {
    'x86-6.18': (256, 256),
    'linux-6.12': (256, 256),
    'linux-6.12+granule=16k': (32, 32),
    'gup-old+granule=16k': (16, 16 * 33),
    'linux-6.12+granule=64k': (2, 2),
}


@contextlib.contextmanager
def huge_pages(size, wanted):
    """So many free huge pages more, and how many there are; the pool is as before afterwards."""
    path = HUGETLB % size
    if not os.path.exists(path):
        yield 0
        return
    before = int(machine.read(path))
    try:
        machine.write(path, before + wanted)
        yield int(machine.read(path)) - before
    finally:
        machine.write(path, before)


def record(programs, directory, gigantic):
    marker = f'{machine.TRACING}/trace_marker'
    trace = os.path.join(directory, 'pins.mmt.zst')
    # Huge zero pages, and large folios elsewhere, would do no harm; the folio needs its size.
    with machine.large_folios():
        programs.run(programs.capture, '-q', '--iovecs', '-o', trace, '--',
                     os.path.join(programs.workloads, 'pins'), marker, *(['gigantic'] if gigantic else []))
    return trace


def replay(programs, trace, directory):
    report = os.path.join(directory, 'report.json')
    programs.run(programs.refold, 'replay', '-q', trace, '-p', ','.join(CASES), '-o', report)
    with open(report, encoding='utf-8') as file:
        return json.load(file)


def main():
    build, source = sys.argv[1:3]
    machine.need_live_kernel()
    programs = machine.Programs(build, source)
    with machine.work_directory('hugetlb_gup') as directory, huge_pages(HUGE, 3) as huge, \
            huge_pages(GIGANTIC, 1) as gigantic:
        if huge < 3:
            machine.skip(f'only {huge} of 3 huge pages of 2M could be had')
        report = replay(programs, record(programs, directory, gigantic), directory)
    fidelity = report['fidelity']
    bad = fidelity['fault_checks_bad'] or fidelity['extra'] or fidelity['anomalies']['lost_events']
    machine.require(not bad,
                    f'the replay is not faithful: {fidelity}')
    seen = {(window['label'], policy['name']): policy['operations'].get('gup_slow')
            for window in report['windows'] for policy in window['policies']}
    expected = [(label, policy, numbers) for policy, labels in CASES.items() for label, numbers in labels.items()]
    if gigantic:
        expected += [('gigantic', policy, numbers) for policy, numbers in GIGANTIC_CASES.items()]
    else:
        print('note: no huge page of 1G could be had')
    for label, policy, numbers in expected:
        row = seen.get((label, policy))
        machine.require(row, f'{label}: no GUP on {policy}')
        got = row['gup_lookups'], row['pte_loads']
        machine.require(got == numbers, f'{label} on {policy}: {got} lookups and loads, not {numbers}')
    print(f'{len(expected)} counts of lookups and loads are right')


if __name__ == '__main__':
    main()
