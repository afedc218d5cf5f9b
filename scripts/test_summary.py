# SPDX-License-Identifier: MIT
"""Close test runs: what failed, what was skipped and why, and one line of
counts, from logs such as meson writes (one JSON object a line).

    test_summary.py LOG...

The name of a log says which run it is."""
import json
import os
import sys

PASSED = {'OK', 'EXPECTEDFAIL'}


def skip_reason(test):
    """Tests say "SKIP: reason" before they exit with 77."""
    lines = (test.get('stdout') or '').splitlines() + (test.get('stderr') or '').splitlines()
    reasons = [line.split('SKIP:', 1)[1].strip() for line in lines if 'SKIP:' in line]
    return reasons[-1] if reasons else 'no reason given'


def tests_of(path):
    run = os.path.splitext(os.path.basename(path))[0]
    with open(path, encoding='utf-8') as log:
        for line in log:
            if line.strip():
                test = json.loads(line)
                yield dict(test, name=f'{test["name"]} ({run})')


def main():
    tests = [test for path in sys.argv[1:] for test in tests_of(path)]
    skipped = [test for test in tests if test['result'] == 'SKIP']
    failed = [test for test in tests if test['result'] not in PASSED and test['result'] != 'SKIP']
    print()
    for test in skipped:
        print(f'skipped: {test["name"]}: {skip_reason(test)}')
    for test in failed:
        print(f'failed: {test["name"]}: {test["result"].lower()}')
    print(f'{len(tests) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped')
    return 1 if failed or not tests else 0


sys.exit(main())
