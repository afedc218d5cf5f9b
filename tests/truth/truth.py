#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Text traces whose windows have known counts: each a few records of a situation that a real kernel was seen in, and what
that kernel then does to entries and TLBs. A case is one file of this folder, NAME.txt, a trace as `refold assemble`
takes it, which begins with comments:

  # what happens, what the kernel does and why
  # expected {"LABEL": {"tlbi": {"va": 2}, "dsb": {"ish": 1}}, ...}

expected, which may stand on several lines, names every window that is compared, with all its counts but faults, as
tests/arm64/counts.py has them (ARM64); what is not named is 0. It is worked out by hand or counted on a kernel,
never written by a program. The policy is the kernel of the trace's header on a CPU with range TLBI; a line
`# policy NAME` says another. No case has anomalies or faults that the model did not expect, but for those that a line
says, with how many of each. Address spaces may be marked, unless a line says how many are: most cases have made-up
VMAs.

  # fidelity {"inexact_mms": 1, "anomalies": {"no_vma": 1}}

usage: truth.py --refold REFOLD [NAME...] [-v]      all cases, or some; -v: what was counted, also where it is right
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / 'arm64'))
import counts
import replays

COMPARED = [name for name in counts.ARM64 if name != 'faults']
CHECKED = ('fault_checks_bad', 'rss_checks_bad')


class Case:
    def __init__(self, path, refold):
        text = path.read_text(encoding='utf-8')
        comments = [line[1:].strip() for line in text.splitlines() if line.startswith('#')]
        self.path = path
        expected = [json.loads(line) for line in self.said(comments, 'expected')]
        if not expected:
            sys.exit(f'{path}: no line "# expected ..."')
        self.expected = {label: window for line in expected for label, window in line.items()}
        self.fidelity = json.loads(*self.said(comments, 'fidelity') or ['{}'])
        header = json.loads(re.search(r'^header (.*)$', text, re.MULTILINE)[1])
        self.policy, = self.said(comments, 'policy') or [replays.policy(refold, header['kernel'], 'range')]

    @staticmethod
    def said(comments, word):
        return [line.removeprefix(word + ' ') for line in comments if line.startswith(word + ' ')]

    def report(self, refold):
        with tempfile.TemporaryDirectory() as directory:
            trace = f'{directory}/{self.path.stem}.mmt.zst'
            subprocess.run([refold, 'assemble', self.path, '-o', trace], check=True)
            return replays.report(refold, trace, [self.policy])


def not_zero(value):
    """What is not 0, empty or false of an object."""
    if not isinstance(value, dict):
        return value
    members = {key: not_zero(member) for key, member in value.items()}
    return {key: member for key, member in members.items() if member}


def counted(report):
    """Label -> counts, of every window."""
    found = {}
    for window in report['windows']:
        window_counts = counts.from_report(window['policies'][0], window['records_by_kind'])
        found[replays.label_of(window)] = not_zero({name: window_counts[name] for name in COMPARED})
    return found


def doubts(report, said):
    """What the report says against itself, as a line `# fidelity` has it; marked address spaces if that does."""
    fidelity = report['fidelity']
    anomalies = dict(fidelity['anomalies'])
    for policy in report['policies']:
        anomalies.update(policy['anomalies'])
    return not_zero({**{name: fidelity[name] for name in {*CHECKED, *said} - {'anomalies'}}, 'anomalies': anomalies})


def compare(what, ours, theirs):
    """Says whether they are the same, and what is not."""
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            print(f'  {what} {name}: {text(ours.get(name))}, expected {text(theirs.get(name))}')
    return ours == theirs


def text(value):
    return json.dumps(value or 0, sort_keys=True)


def check(case, refold, verbose):
    print(f'{case.path.stem}, {case.policy}')
    report = case.report(refold)
    windows = counted(report)
    right = compare('fidelity', doubts(report, case.fidelity), not_zero(case.fidelity))
    for label, window in case.expected.items():
        if label not in windows:
            print(f'  no window {label}; there are: {", ".join(windows)}')
            right = False
            continue
        if verbose:
            print(f'  {label}: {text(windows[label])}')
        # JSON has no numbers for keys.
        right &= compare(label, windows[label], not_zero(counts.from_compact(window)))
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--refold', required=True)
    parser.add_argument('-v', '--verbose', action='store_true')
    parser.add_argument('names', nargs='*')
    arguments = parser.parse_args()
    paths = [HERE / f'{name}.txt' for name in arguments.names] or sorted(HERE.glob('*.txt'))
    wrong = [path.stem for path in paths
             if not check(Case(path, arguments.refold), arguments.refold, arguments.verbose)]
    print(f'{len(paths) - len(wrong)} of {len(paths)} cases right' + (f'; wrong: {", ".join(wrong)}' if wrong else ''))
    return int(bool(wrong) or not paths)


if __name__ == '__main__':
    sys.exit(main())
