#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Predicted against counted: replay recordings of real arm64 kernels and compare each window with what an emulator counted
while the same workload ran (counts.py says what is compared).

    truth.py --build DIR --recordings DIR --counts FILE [--policy P] [--only LABEL] [-v]

The policy follows from the name of FILE, such as k7-norange-small.json, if it is not given. --only takes a part of a
label. -v shows every quantity of a window, who asked for its flushes, and what the replay did.
"""
import argparse
import fnmatch
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import counts

KERNELS = {'k6': 'linux-6.12', 'k7': 'linux-7.2', 'k16': 'linux-6.12'}
CPUS = {
    'range': '+tlbi=range',
    'norange': '+tlbi=single+repeat_tlbi=new',
    'norange-kpti': '+tlbi=single+repeat_tlbi=new+kpti=true',
    'a55': '+tlbi=single',
    'a72': '+tlbi=single',
    'n2': '+tlbi=range+repeat_tlbi=new',
    'lpa2': '+tlbi=range+lpa2=true',
}


def policy_of(name):
    """k7-norange-kpti-ci -> linux-7.2+tlbi=single+..."""
    kernel, _, rest = name.partition('-')
    cpu = rest.rpartition('-')[0]
    if kernel not in KERNELS or cpu not in CPUS:
        sys.exit(f'{name}: which policy? Say so with --policy')
    return KERNELS[kernel] + CPUS[cpu]


def replay(refold, trace, policy):
    """The windows of one recording: label -> counts."""
    with tempfile.NamedTemporaryFile(suffix='.json') as report:
        done = subprocess.run([refold, 'replay', trace, '-p', policy, '-o', report.name], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode not in (0, 3):
            sys.exit(f'{trace}: exit code {done.returncode}: {done.stderr.strip()}')
        text = json.load(open(report.name, encoding='utf-8'))
    windows = {}
    for window in text['windows']:
        label = window['label'].removeprefix('WL BEGIN ')
        if not label.startswith('WL END') and not label.endswith('/empty'):
            windows[label] = counts.from_report(window['policies'][0])
    return windows


def differences(predicted, counted):
    """quantity -> (predicted, counted), of those that both sides know and that differ."""
    found = {}
    for name in counts.QUANTITIES:
        if name not in counted or name not in predicted:
            continue
        ours, theirs = predicted[name], counted[name]
        if name == 'tlbi':
            theirs = counts.by_kind(theirs, predicted['repeat_known'])
        if ours != theirs:
            found[name] = (ours, theirs)
    return found


def text_of(value):
    if not isinstance(value, dict):
        return str(value)
    return ' '.join(f'{key}x{number}' if isinstance(key, int) else f'{key} {number}'
                    for key, number in sorted(value.items(), key=lambda item: (str(type(item[0])), item[0]))) or '0'


def difference_text(found):
    parts = []
    for name, (ours, theirs) in found.items():
        if isinstance(ours, dict):
            keys = [key for key in sorted({*ours, *theirs}, key=str) if ours.get(key, 0) != theirs.get(key, 0)]
            inner = ', '.join(f'{key} {ours.get(key, 0)} / {theirs.get(key, 0)}' for key in keys)
            parts.append(f'{name} ({inner})')
        else:
            parts.append(f'{name} {ours} / {theirs}')
    return '; '.join(parts)


def show_window(label, predicted, counted, found):
    print(f'{label}: {"DIFFERS" if found else "equal"}')
    print(f'  {"":18} {"predicted":34} counted')
    for name in counts.QUANTITIES + ('tlbi_pages',):
        if name not in counted:
            continue
        theirs = counts.by_kind(counted[name], predicted['repeat_known']) if name == 'tlbi' else counted[name]
        if predicted[name] or theirs or name in found:
            print(f'{"!" if name in found else " "} {name:18} {text_of(predicted[name]):34} {text_of(theirs)}')
    print(f'  counted TLBI by instruction: {text_of(counted["tlbi"])}')
    for caller, number in sorted(counted.get('callers', {}).items(), key=lambda item: -item[1]):
        print(f'    {number:7} {caller}')
    print('  predicted by operation:')
    for row, values in predicted['operations'].items():
        shown = {key: values[key] for key in ('operations', 'faults', 'fold', 'unfold', 'born', 'erased', 'tlbi_va',
                                              'tlbi_range', 'tlbi_asid', 'tlbi_local', 'tlbi_repeat', 'dsb_ishst',
                                              'dsb_ish', 'dsb_nsh', 'forced_flushes') if key in values}
        print(f'    {row:14} {text_of(shown)}')
    print()


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True, type=pathlib.Path)
    parser.add_argument('--recordings', required=True, type=pathlib.Path)
    parser.add_argument('--counts', required=True, type=pathlib.Path)
    parser.add_argument('--policy')
    parser.add_argument('--only', default='', metavar='LABEL')
    parser.add_argument('-v', '--verbose', action='store_true')
    return parser.parse_args()


def main():
    arguments = arguments_of()
    refold = arguments.build / 'replay' / 'refold'
    policy = arguments.policy or policy_of(arguments.counts.stem)
    counted = counts.load(arguments.counts)
    predicted = {}
    for trace in sorted(arguments.recordings.glob('*.mmt.zst')):
        predicted.update(replay(refold, trace, policy))
    labels = [label for label in counted if label in predicted and fnmatch.fnmatch(label, f'*{arguments.only}*')]
    found = {label: differences(predicted[label], counted[label]) for label in labels}
    if arguments.verbose:
        for label in labels:
            show_window(label, predicted[label], counted[label], found[label])
    print(f'{policy}: predicted / counted')
    for label in labels:
        if found[label]:
            print(f'  {label:44} {difference_text(found[label])}')
    equal = sum(not found[label] for label in labels)
    missing = [label for label in predicted if label not in counted]
    print(f'{equal} of {len(labels)} windows equal; {len(missing)} windows of the recordings were not counted; '
          f'{sum(label not in predicted for label in counted)} counted windows have no recording here')
    for name in counts.QUANTITIES:
        bad = sum(name in found[label] for label in labels)
        if bad:
            print(f'  {name}: {bad} differ')
    return 1 if equal < len(labels) or not labels else 0


if __name__ == '__main__':
    sys.exit(main())
