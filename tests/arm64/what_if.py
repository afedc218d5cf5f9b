#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Folios that were never allocated: replay recordings of real arm64 kernels with mTHP off under anon_folios=SIZES, and
compare each window with what an emulator counted while the same program ran on the same kernel with these sizes on.

Faults are those on anonymous memory, as replaying the recording with these sizes on counts them: those on files are the
affair of the page cache.

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

# Kernel, CPU: recordings with mTHP off, and counts of the same machine with folios of these sizes.
MACHINES = (('6.12.107', '6.12-range', 'range'), ('7.2.13', '7.2-range', 'range'))
ANON_ROWS = ('fault_anon', 'fault_zero', 'fault_swap', 'cow', 'reuse', 'populate')
SIZES = {'64K': '64k', '2M': '2m', 'all': 'all'}


def load_spread():
    with open(HERE / 'counted' / 'spread.json', encoding='utf-8') as file:
        return json.load(file)['spread']


def in_other_words(label, size):
    """The window of the same program with folios of this size: anon/off-8/touch, anon/64K-8/touch."""
    return label.replace('/off-', f'/{size}-')


def anon_faults(window):
    """Faults on anonymous memory, as machines count them. Those on files are the affair of the page cache."""
    return sum(window['operations'].get(row, {}).get('operations', 0) for row in ANON_ROWS)


def recordings(machine, size):
    return sorted((HERE / 'recordings' / machine).glob(f'{size}.*.mmt.zst'))


def compare_machine(refold, kernel, machine, cpu, only):
    """(size, label) -> differences, of all windows of one machine."""
    traces = recordings(machine, 'off')
    counted = counts.load(HERE / 'counted' / f'{machine}.json')
    base = replays.policy(refold, kernel, cpu)
    policies = {size: f'{base}+anon_folios={value}' for size, value in SIZES.items()}
    predicted = replays.replay(refold, traces, list(policies.values()))
    spread, found = load_spread(), {}
    quantities = [name for name in counts.QUANTITIES if name != 'dsb']
    for size, policy in policies.items():
        recorded = replays.replay(refold, recordings(machine, size), [base])[base]
        for label, window in predicted[policy].items():
            label = in_other_words(label, size)
            if only not in label or label not in counted or label not in recorded:
                continue
            window['faults'], counted[label]['faults'] = anon_faults(window), anon_faults(recorded[label])
            found[size, label] = compare.differences(window, counted[label], quantities, spread.get(label))
    return found


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True, type=pathlib.Path)
    parser.add_argument('--only', default='', metavar='LABEL')
    parser.add_argument('--list', action='store_true')
    return parser.parse_args()


def print_machine(machine, found, unobserved):
    """The table of one machine; returns how many windows differ that are not listed, plus how many listed do not."""
    equal, windows = collections.Counter(), collections.Counter(size for size, _ in found)
    bad = 0
    print(f'{machine}: predicted from mTHP off / counted with mTHP on')
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
    for kernel, machine, cpu in MACHINES:
        found = compare_machine(refold, kernel, machine, cpu, arguments.only)
        compared += len(found)
        if arguments.list:
            print_list(machine, found)
        else:
            bad += print_machine(machine, found, unobserved)
    return 1 if bad or not compared else 0


if __name__ == '__main__':
    sys.exit(main())
