#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
How counted/ was made: the numbers that are compared, of one run of the emulator.

    collect.py results/NAME.json -o FILE                  of the lab
    collect.py --refold REFOLD DIR/windows.jsonl -o FILE  of a run that live.py --keep left, of its recorded processes
    collect.py --spread determinism.txt -o FILE           what differed between two runs of the lab, by window
"""
import argparse
import ast
import json
import pathlib
import re

import counts
import replays


def write(path, name, windows):
    """One window a line, so that a change shows in a diff."""
    lines = [f'{json.dumps(label)}: {json.dumps(window, sort_keys=True)}' for label, window in windows.items()]
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'{{"{name}": {{\n' + ',\n'.join(lines) + '\n}}\n')


def quantities_of(key):
    """[(quantity, key in it)] of what the lab's compare.py names: kind, function, operation, pages, batch size."""
    kind, function, operation, _, size = key
    if kind == 'tlbi':
        return [('tlbi', each) for each in counts.KINDS.get(operation, (operation,))]
    if kind == 'set_blocks':
        return [('born', None)]
    if function == 'contpte_convert':
        return [('folds' if size else 'unfolds', None)]
    return [(name, str(size)) for name, functions in counts.FUNCTIONS.items() if function in functions]


def spread_of(line):
    """What is compared of a line such as: differs: LABEL {key: more in the first run} {key: more in the second}."""
    found = re.match(r'differs: (\S+) (\{.*\}) (\{.*\})$', line)
    if not found:
        return None, {}
    spread = {}
    for side in found.group(2, 3):
        sums = {}
        for key, number in ast.literal_eval(side).items():
            for quantity in quantities_of(key):
                counts.add(sums, quantity, number)
        for (quantity, inner), number in sums.items():
            if inner is None:
                spread[quantity] = max(spread.get(quantity, 0), number)
            else:
                kinds = spread.setdefault(quantity, {})
                kinds[inner] = max(kinds.get(inner, 0), number)
    return found.group(1), spread


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('counted', type=pathlib.Path)
    parser.add_argument('--refold')
    parser.add_argument('--spread', action='store_true')
    parser.add_argument('-o', dest='output', required=True)
    arguments = parser.parse_args()
    if arguments.spread:
        with open(arguments.counted, encoding='utf-8') as file:
            found = dict(spread_of(line) for line in file)
        write(arguments.output, 'spread', {label: spread for label, spread in found.items() if spread})
        return
    if arguments.refold:
        traces = sorted(arguments.counted.parent.glob('*.mmt.zst'))
        windows = counts.load_plugin(arguments.counted,
                                     [replays.recorded_processes(arguments.refold, trace) for trace in traces])
    else:
        windows = counts.load(arguments.counted)
    write(arguments.output, 'windows', {label: counts.compact(window) for label, window in windows.items()
                                        if not label.endswith('/empty')})


main()
