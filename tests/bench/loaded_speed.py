# SPDX-License-Identifier: MIT
"""What a column costs that is counted by the code of a kernel tree, against the modelled one: whole replays of the
samples and of recordings of arm64 kernels, in instructions (which are the same at every load), and in time, best of
some; and once for each replay, to find that the tree is built already.

    loaded_speed.py REFOLD SOURCE_ROOT [--tree TREE] [--limit RATIO]

With --limit it fails if a replay takes more than so many times the instructions. The tree is the last one that the lab
has unpacked (tests/arm64/lab/trees.py). Exit code 77, with the reason, without a tree.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent.parent / 'arm64')]
import live  # noqa: E402 (found through the line above)

SKIPPED = 77
REPEATS = 5


def replay(refold, traces, policy):
    return [str(refold), 'replay', '-q', '-o', '/dev/null', *map(str, traces), '-p', policy]


def instructions(command):
    counting = ['valgrind', '--tool=cachegrind', '--cache-sim=no', '--cachegrind-out-file=/dev/null']
    done = subprocess.run(counting + command, capture_output=True, text=True, check=False)
    refs = re.search(r'I\s+refs:\s+([\d,]+)', done.stderr)
    if not refs:
        sys.exit(f'FAIL: {" ".join(command[-4:])}: {done.stderr}')
    return int(refs[1].replace(',', ''))


def seconds(commands):
    """The fastest run of each, in turn."""
    best = [float('inf')] * len(commands)
    for _ in range(REPEATS):
        for number, command in enumerate(commands):
            begin = time.monotonic()
            subprocess.run(command, check=False, capture_output=True)
            best[number] = min(best[number], time.monotonic() - begin)
    return best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('refold', type=pathlib.Path)
    parser.add_argument('source_root', type=pathlib.Path)
    parser.add_argument('--tree', type=pathlib.Path)
    parser.add_argument('--limit', type=float)
    arguments = parser.parse_args()
    known = sorted((live.cache_directory() / 'trees').glob('7.3.*/Makefile'))
    tree = arguments.tree or (known[-1].parent if known else None)
    counting = shutil.which('valgrind')
    if not tree or (arguments.limit and not counting):
        print('SKIP: no tree of 7.3 in the cache of the arm64 lab' if not tree else 'SKIP: no valgrind')
        sys.exit(SKIPPED)
    worst = 0
    recordings = sorted((arguments.source_root / 'tests/arm64/recordings/7.3-range').glob('*.mmt.zst'))
    samples = sorted((arguments.source_root / 'traces/samples').glob('*.mmt.zst'))
    cases = [(sample.name, [sample]) for sample in samples] + [(f'{len(recordings)} recordings', recordings)]
    with tempfile.TemporaryDirectory() as directory:
        backend = pathlib.Path(directory) / 'backend.so'
        build = [str(arguments.refold), 'backend', 'build', str(tree), '-o', str(backend), '-b', 'linux-7.3']
        subprocess.run(build, check=True, capture_output=True)
        print(f'to find what is built: {seconds([build])[0]:.3f} s')
        for what, traces in cases:
            commands = [replay(arguments.refold, traces, policy) for policy in ('linux-7.3', str(backend))]
            said = []
            if counting:
                modelled, loaded = map(instructions, commands)
                worst = max(worst, loaded / modelled)
                said.append(f'{modelled:,} and {loaded:,} instructions, {loaded / modelled:.2f} times')
            if not arguments.limit:
                modelled, loaded = seconds(commands)
                said.append(f'{modelled:.3f} and {loaded:.3f} s, {loaded / modelled:.2f} times')
            print(f'{what}: modelled and loaded: {"; ".join(said)}', flush=True)
    sys.exit(f'FAIL: {worst:.2f} times, allowed are {arguments.limit}' if arguments.limit and worst > arguments.limit
             else 0)


if __name__ == '__main__':
    main()
