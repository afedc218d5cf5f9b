#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Predicted against counted: replay recordings of real kernels, and compare each window with what an emulator counted
while the same workload ran. counts.py says what is compared, cases.json which recordings with which counts. Those of
other machines than arm64 are in folders of their own (--set), with cases.json, unobserved.json, counted/, recordings/.

Counts of the very run that was recorded must be equal, or be listed in unobserved.json with the difference and the
kernel's reason. So must be those of the recordings of trace-cmd, which are of other runs of the same program: each
difference between the two runs has its own reason there. Other counts of another run are information: which pages of
the programs' files are cached in folios of which size, whether parent or child copies the page both write, what
compaction finds to move and what page aging clears differ from run to run, and no list of such windows is a fact. They
are printed, and no more of them may differ than cases.json says ("may_differ").

    truth.py --build DIR [--set DIR] [--only LABEL] [-v] [--page FILE]
                                                  every stored recording; exit code 1 if a difference is not excused, or
                                                  if FILE does not show the table that --summary prints
    truth.py --build DIR --recordings DIR --counts FILE [--policy P] [--other-run] [--only LABEL] [-v]
                                                  other ones; the policy follows from the name of FILE;
                                                  --other-run: the counts are not of the run that was recorded
    truth.py --build DIR --recordings ... --must-differ QUANTITIES
                                                  succeed if some window differs in each of these: a test of the test
    truth.py --build DIR --summary                the table of docs/how-faithful.md
    truth.py --build DIR --list                   differences in the form of unobserved.json, to give them a reason

--only takes a part of a label. -v shows every quantity of a window, who asked for its flushes, what the replay did.
"""
import argparse
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
import compare
import counts
import replays

KERNELS = {'k6': '6.12', 'k7': '7.2', 'k16': '6.12'}


def load(path):
    return json.loads(path.read_text(encoding='utf-8'))


def load_spread():
    return load(HERE / 'counted' / 'spread.json')['spread']


class Case:
    """One set of recordings under the policy of one machine, with what was counted there."""

    def __init__(self, name, traces, counted, policy, same_run, may_differ=None):
        self.name = name
        self.traces = traces
        self.counted = counted
        self.policy = policy
        self.same_run = same_run
        self.may_differ = may_differ        # windows, of another run's; None: those that are listed
        self.spread = {} if may_differ is None else load_spread()
        # Between runs, faults differ by what the stack and the heap happen to touch.
        self.quantities = [name for name in counts.QUANTITIES if same_run or name != 'faults']
        self.predicted = {}
        self.found = {}

    def compare(self, predicted, only):
        self.predicted = {label: window for label, window in predicted.items() if only in label}
        for label, window in self.predicted.items():
            if label in self.counted:
                self.found[label] = compare.differences(window, self.counted[label], self.quantities,
                                                        self.spread.get(label))

    def differing(self):
        return {label: found for label, found in self.found.items() if found}


def traces_in(directory):
    return sorted(directory.glob('*.mmt.zst'))


def stored_cases(refold, directory):
    return [Case(case['name'], traces_in(directory / 'recordings' / case['recordings']),
                 counts.load(directory / 'counted' / f'{case["counts"]}.json'),
                 case.get('policy') or replays.policy(refold, case['kernel'], case['cpu']), case['same_run'],
                 case.get('may_differ')) for case in load(directory / 'cases.json')]


def given_case(refold, arguments):
    """Of the lab, with a name such as k7-norange-small.json; or RELEASE-CPU/windows.jsonl, as live.py --keep has it."""
    path, traces = arguments.counts, traces_in(arguments.recordings)
    if path.suffix == '.jsonl':
        kernel, _, cpu = path.resolve().parent.name.rpartition('-')
        counted = counts.load_plugin(path, [replays.recorded_processes(refold, trace) for trace in traces])
    else:
        kernel, _, rest = path.stem.partition('-')
        kernel, cpu = KERNELS.get(kernel), rest.rpartition('-')[0]
        counted = counts.load(path)
    return Case(path.stem, traces, counted, arguments.policy or replays.policy(refold, kernel, cpu),
                not arguments.other_run, 0 if arguments.other_run else None)


def run(refold, cases, only):
    """Each recording is replayed once, under all the policies that are asked of it."""
    by_traces = {}
    for case in cases:
        by_traces.setdefault(tuple(case.traces), []).append(case)
    for traces, group in by_traces.items():
        predicted = replays.replay(refold, traces, sorted({case.policy for case in group}))
        for case in group:
            case.compare(predicted[case.policy], only)


def print_other_run(case):
    """The table of a case of another run's counts; returns how many differences there are too many."""
    differing = case.differing()
    print(f'{case.name}, {case.policy}: predicted / counted in another run')
    for label, found in sorted(differing.items()):
        print(f'  {label:44} {compare.differences_text(found)}')
    print(f'  {len(case.found) - len(differing)} of {len(case.found)} windows equal, {len(differing)} differ, '
          f'{case.may_differ} may\n')
    return max(0, len(differing) - case.may_differ)


def print_case(case, unobserved):
    """The table of one case; returns how many differences nothing excuses, plus how many listed ones are none."""
    if case.may_differ is not None:
        return print_other_run(case)
    differing = case.differing()
    reasons = {label: unobserved.reason(case.name, label, found) for label, found in differing.items()}
    print(f'{case.name}, {case.policy}: predicted / counted')
    for label, found in sorted(differing.items(), key=lambda item: (bool(reasons[item[0]]), item[0])):
        print(f'  {label:44} {compare.differences_text(found)}')
        if reasons[label]:
            print(f'  {"":44}   ({reasons[label]})')
    idle = [label for label in case.found if unobserved.listed(case.name, label) and label not in differing]
    for label in idle:
        print(f'  {label:44} is listed in unobserved.json, and is equal')
    listed = sum(bool(reason) for reason in reasons.values())
    print(f'  {len(case.found) - len(differing)} of {len(case.found)} windows equal, {listed} differ as listed, '
          f'{len(differing) - listed} differ\n')
    return len(differing) - listed + len(idle)


def print_list(cases, unobserved):
    for case in (case for case in cases if case.may_differ is None):
        windows = {label: compare.changes(found) for label, found in case.differing().items()
                   if not unobserved.reason(case.name, label, found)}
        if windows:
            lines = ',\n'.join(f'  {json.dumps(label)}: {json.dumps(change)}' for label, change in windows.items())
            print(f'{{"set": "{case.name}", "reason": "", "windows": {{\n{lines}\n}}}},')


def sums(case):
    """Windows, equal ones; folds, unfolds and TLBI instructions of all of them, predicted and counted."""
    yield len(case.found)
    yield len(case.found) - len(case.differing())
    for value in (lambda window: window['folds'], lambda window: window['unfolds'],
                  lambda window: sum(window['tlbi'].get(kind, 0) for kind in ('va', 'range', 'asid', 'repeat'))):
        yield sum(value(case.predicted[label]) for label in case.found)
        yield sum(value({'folds': 0, 'unfolds': 0, **case.counted[label],
                         'tlbi': counts.by_kind(case.counted[label]['tlbi'])}) for label in case.found)


def summary(cases):
    """One row per case; those against another run's counts in one row for each way to record."""
    rows = {}
    for case in cases:
        name = case.name if case.same_run else f'6.12 and 7.2, {case.name.rpartition(", ")[2]}'
        rows[name] = [old + new for old, new in zip(rows.get(name, [0] * 8), sums(case))]
    lines = ['| kernel and CPU | windows | equal | differ | folds | unfolds | TLBI instructions |',
             '|---|---|---|---|---|---|---|']
    for name, (windows, equal, *numbers) in rows.items():
        cells = [f'{predicted:,} / {counted:,}' for predicted, counted in zip(numbers[::2], numbers[1::2])]
        lines.append(f'| {name} | {windows:,} | {equal:,} | {windows - equal} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True, type=pathlib.Path)
    parser.add_argument('--set', type=pathlib.Path, default=HERE)
    parser.add_argument('--recordings', type=pathlib.Path)
    parser.add_argument('--counts', type=pathlib.Path)
    parser.add_argument('--policy')
    parser.add_argument('--other-run', action='store_true')
    parser.add_argument('--only', default='', metavar='LABEL')
    parser.add_argument('--must-differ', metavar='QUANTITIES')
    parser.add_argument('--page', type=pathlib.Path)
    parser.add_argument('--summary', action='store_true')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('-v', '--verbose', action='store_true')
    return parser.parse_args()


def main():
    arguments = arguments_of()
    refold = arguments.build / 'replay' / 'refold'
    entries = []
    if arguments.recordings:
        cases = [given_case(refold, arguments)]
    else:
        cases = stored_cases(refold, arguments.set)
        entries = load(arguments.set / 'unobserved.json')
    unobserved = compare.Unobserved(entries)
    run(refold, cases, arguments.only)
    if arguments.summary:
        print(summary(cases), end='')
        return 0
    if arguments.must_differ:
        differing = {name for case in cases for found in case.differing().values() for name in found}
        same = set(arguments.must_differ.split(',')) - differing
        print(f'no window differs in: {", ".join(sorted(same))}' if same else 'they differ')
        return int(bool(same))
    if arguments.list:
        print_list(cases, unobserved)
        return 0
    if arguments.verbose:
        for case in cases:
            for label, found in case.found.items():
                print(compare.window_text(label, case.predicted[label], case.counted[label], found))
    bad = sum(print_case(case, unobserved) for case in cases)
    if arguments.page and summary(cases) not in arguments.page.read_text(encoding='utf-8'):
        print(f'{arguments.page} does not show what --summary prints:\n{summary(cases)}')
        bad += 1
    return 1 if bad or not any(case.found for case in cases) else 0


if __name__ == '__main__':
    sys.exit(main())
