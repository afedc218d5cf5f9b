# SPDX-License-Identifier: MIT
"""Close a test run: what failed, what was skipped and why, and one line of
counts, from the testlog.json that meson writes (one JSON object a line)."""
import json
import sys

PASSED = {'OK', 'EXPECTEDFAIL'}


def skip_reason(test):
    """Tests say "SKIP: reason" before they exit with 77."""
    lines = (test.get('stdout') or '').splitlines() + (test.get('stderr') or '').splitlines()
    reasons = [line.split('SKIP:', 1)[1].strip() for line in lines if 'SKIP:' in line]
    return reasons[-1] if reasons else 'no reason given'


def main():
    with open(sys.argv[1], encoding='utf-8') as log:
        tests = [json.loads(line) for line in log if line.strip()]
    skipped = [test for test in tests if test['result'] == 'SKIP']
    failed = [test for test in tests if test['result'] not in PASSED and test['result'] != 'SKIP']
    print()
    for test in skipped:
        print(f'skipped: {test["name"]}: {skip_reason(test)}')
    for test in failed:
        print(f'failed: {test["name"]}: {test["result"].lower()}; see build/meson-logs/testlog.txt')
    print(f'{len(tests) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped')
    return 1 if failed or not tests else 0


sys.exit(main())
