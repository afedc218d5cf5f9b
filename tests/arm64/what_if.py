#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Folios that were never allocated, pages that were never so large: replay recordings of real arm64 kernels with mTHP off
under anon_folios=SIZES, granule=16k or both, and compare each window with what an emulator counted while the same
program ran on the same kernel with these sizes on, or on one with such pages.

Faults are those on anonymous memory, as replaying the recording with these sizes on counts them: those on files are the
affair of the page cache.

What a program does to single pages depends on how large they are. 6.12-as16k is recorded on pages of 4K while the
workloads did what they do on pages of 16K (live.py --page 16384); elsewhere they did what they do on pages of 4K.

The two are different runs, so a window may differ by what differs between two runs of one program (spread.json), and
the recording cannot tell everything: each window that differs is listed in what_if.json, with the reason.

    what_if.py --build DIR [--only LABEL]         exit code 1 if a window differs that is not listed, or a listed one
                                                  does not
    what_if.py --build DIR --list                 the differing ones in the form of what_if.json
"""
import argparse
import collections
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
import compare
import counts
import replays

SIZES = {'64K': '64k', '2M': '2m', 'all': 'all'}
SIZES_16K = {'off': None, '2M': '2m'}
# The kernel that was counted, recordings with mTHP off, the counts (and recordings of the same runs), sizes of folios.
QUESTIONS = (('6.12.107', '6.12-range', '6.12-range', SIZES),
             ('7.2.13', '7.2-range', '7.2-range', SIZES),
             ('6.12.107-arm64-16k', '6.12-as16k', '6.12-16k', SIZES_16K),
             ('6.12.107-arm64-16k', '6.12-range', '6.12-16k', SIZES_16K))
CPU = 'range'
ANON_ROWS = ('fault_anon', 'fault_zero', 'fault_swap', 'cow', 'reuse', 'populate')


def load_spread():
    with open(HERE / 'counted' / 'spread.json', encoding='utf-8') as file:
        return json.load(file)['spread']


def in_other_words(label, size):
    """The window of the same program with folios of this size: anon/off-8/touch, anon/64K-8/touch."""
    return label.replace('/off-', f'/{size}-')


def anon_faults(window):
    """Faults on anonymous memory, as machines count them. Those on files are the affair of the page cache."""
    return sum(window['operations'].get(row, {}).get('operations', 0) for row in ANON_ROWS)


def recordings(machine, size, workloads):
    return [trace for trace in sorted((HERE / 'recordings' / machine).glob(f'{size}.*.mmt.zst'))
            if trace.name.split('.')[1] in workloads]


def ask(refold, kernel, machine, target, sizes, only):
    """(size, label) -> differences, of all windows that one set of recordings can be asked about."""
    counted = counts.load(HERE / 'counted' / f'{target}.json')
    workloads = {label.split('/')[0] for label in counted}
    base = replays.policy(refold, kernel, CPU)
    policies = {size: f'{base}+anon_folios={value}' if value else base for size, value in sizes.items()}
    predicted = replays.replay(refold, recordings(machine, 'off', workloads), list(policies.values()))
    spread, found = load_spread(), {}
    quantities = [name for name in counts.QUANTITIES if name != 'dsb']
    for size, policy in policies.items():
        recorded = replays.replay(refold, recordings(target, size, workloads), [base])[base]
        for label, window in predicted[policy].items():
            label = in_other_words(label, size)
            if only not in label or label not in counted or label not in recorded:
                continue
            window['faults'], counted[label]['faults'] = anon_faults(window), anon_faults(recorded[label])
            found[size, label] = compare.differences(window, counted[label], quantities, spread.get(label))
    return found


def name_of(machine, target):
    """In what_if.json."""
    return machine if machine == target else f'{target} from {machine}'


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True, type=pathlib.Path)
    parser.add_argument('--only', default='', metavar='LABEL')
    parser.add_argument('--list', action='store_true')
    return parser.parse_args()


def print_machine(machine, found, unobserved):
    """The table of one question; returns how many windows differ that are not listed, plus how many listed do not."""
    equal, windows = collections.Counter(), collections.Counter(size for size, _ in found)
    bad = 0
    print(f'{machine}: predicted from mTHP off / counted')
    for (size, label), differences in found.items():
        equal[size] += not differences
        reason = unobserved.reason(machine, label, differences)
        if differences:
            print(f'  {label:48} {compare.differences_text(differences)}')
            print(f'  {"":48}   ({reason or "not listed"})')
            bad += not reason
        elif unobserved.listed(machine, label):
            print(f'  {label:48} is listed in what_if.json, and is equal')
            bad += 1
    for size, nr in windows.items():
        print(f'  {size}: {equal[size]} of {nr} windows equal')
    print(f'  {equal.total()} of {windows.total()} windows equal\n')
    return bad


def print_list(machine, found):
    for (_, label), differences in found.items():
        if differences:
            print(f'{{"set": "{machine}", "reason": "", "windows": {{'
                  f'{json.dumps(label)}: {json.dumps(compare.changes(differences))}}}}},')


def main():
    arguments = arguments_of()
    refold = arguments.build / 'replay' / 'refold'
    unobserved = compare.Unobserved(json.loads((HERE / 'what_if.json').read_text(encoding='utf-8')))
    bad = 0
    compared = 0
    for kernel, machine, target, sizes in QUESTIONS:
        found = ask(refold, kernel, machine, target, sizes, arguments.only)
        name = name_of(machine, target)
        compared += len(found)
        if arguments.list:
            print_list(name, found)
        else:
            bad += print_machine(name, found, unobserved)
    return 1 if bad or not compared else 0


if __name__ == '__main__':
    sys.exit(main())
