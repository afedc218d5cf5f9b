#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The policies that model released kernels, held against the code of those kernels: every recording of arm64 kernels is
replayed on both, and no value of the reports may differ. And edits of that code, held against the knobs that say the
same.

    own_kernel.py REFOLD [--series 6.12,7.2,7.3] [--recordings DIR] [--quick]

Random operations, too: refold backend check finds nothing in the kernels' code, and what is wrong with an edit.

The trees come from Debian's source packages (lab/trees.py). Exit code 77, with the reason, where they cannot be had.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / 'lab')]
import live
import packages
import trees

SKIPPED = 77
# What each is run with, on both sides.
CPUS = ('', '+tlbi=single', '+kpti=true', '+lpa2=true', '+max_dvm_ops=64', '+tlbi=single+kpti=true')
OWN = ('assumptions', 'backend', 'knobs', 'name')   # of a column, what says whose it is

PGTABLE, CONTPTE = 'arch/arm64/include/asm/pgtable.h', 'arch/arm64/mm/contpte.c'
# Edits of 7.3: what becomes of which lines of which file (regular expressions), and the knob that counts the same.
EDITS = {
    'no fold in set_ptes()': (
        '+fold_sites=none',
        [(PGTABLE, r'(\t\t__set_ptes\(mm, addr, ptep, pte, 1\);\n)\t\tcontpte_try_fold\([^;]*\);', r'\1')]),
    'no flush in contpte_convert()': (
        '+bbml3=true',
        [(CONTPTE, r'if \(!system_supports_bbml3\(\)\)', 'if (0)')]),
    'fold after wrprotect and access flags': (
        '+fold_sites=v3',
        [(PGTABLE, r'(\t\t___ptep_set_wrprotect\(mm, addr, ptep, orig_pte\);\n)',
          r'\1\t\tcontpte_try_fold(mm, addr, ptep, __ptep_get(ptep));\n'),
         (CONTPTE, r'(\t\t__contpte_try_unfold\(vma->vm_mm, addr, ptep, orig_pte\);\n'
                   r'\t\t__ptep_set_access_flags\(vma, addr, ptep, entry, dirty\);\n)',
          r'\1\t\tcontpte_try_fold(vma->vm_mm, addr, ptep, entry);\n')]),
    'no hint to batches': (
        '+hint=false',
        [(PGTABLE, r'\treturn CONT_PTES - \(\(\(unsigned long\)ptep >> 3\) & \(CONT_PTES - 1\)\);', r'\treturn 1;')]),
    'one entry is read of a block': (
        '+getter=raw',
        [(CONTPTE, r'(pte_t contpte_ptep_get\(pte_t \*ptep, pte_t orig_pte\)\n\{\n)', r'\1\treturn orig_pte;\n')]),
}


# What refold backend check finds in them, in how many operations; nothing in the others.
FOUND = {
    'no flush in contpte_convert()': ('convert', 6),
    'one entry is read of a block': ('accessed-dirty', 6),
}


class Comparison:
    def __init__(self):
        self.values = 0
        self.differences = []

    def compare(self, modelled, loaded, path):
        if isinstance(modelled, dict):
            for key in modelled.keys() | loaded.keys():
                if key not in OWN:
                    self.compare(modelled.get(key, 0), loaded.get(key, 0), f'{path}.{key}')
        elif isinstance(modelled, list) and len(modelled) == len(loaded):
            for number, (left, right) in enumerate(zip(modelled, loaded)):
                self.compare(left, right, f'{path}[{number}]')
        else:
            self.values += 1
            if modelled != loaded:
                self.differences.append(f'{path}: {modelled} modelled, {loaded} loaded')


def replay(refold, recordings, policies):
    """The report, and what was said to standard error."""
    with tempfile.TemporaryDirectory() as directory:
        output = pathlib.Path(directory) / 'report.json'
        command = [refold, 'replay', '-q', '-o', output, *recordings]
        for policy in policies:
            command += ['-p', policy]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 3):
            sys.exit(f'{" ".join(map(str, command[-6:]))}: exit code {done.returncode}: {done.stderr}')
        return json.loads(output.read_text())


def columns(report):
    """All that each policy counted, in windows, too."""
    found = {policy['name']: {'all': policy, 'windows': []} for policy in report['policies']}
    for window in report['windows']:
        for policy in window['policies']:
            found[policy['name']]['windows'].append(policy)
    return found


def hold_against(refold, recordings, pairs):
    """pairs: (modelled, loaded)"""
    comparison = Comparison()
    counted = columns(replay(refold, recordings, dict.fromkeys(name for pair in pairs for name in pair)))
    for modelled, loaded in pairs:
        comparison.compare(counted[modelled], counted[loaded], loaded.split('+kernel=')[0] + loaded.rpartition('/')[2])
    return comparison


def base_of(refold, tree):
    """The policy whose core mm goes with the tree."""
    report = replay(refold, [next(iter(recordings_of(None, 4096)))], [f'kernel={tree}'])
    return report['policies'][0]['base']


def recordings_of(folder, page_size):
    """Those with pages of this size or smaller ones."""
    sizes = {'16k': 16384}
    for directory in sorted((folder or HERE / 'recordings').iterdir()):
        of = next((size for name, size in sizes.items() if name in directory.name), 4096)
        if of <= page_size:
            yield from sorted(directory.glob('*.mmt.zst'))


def edited(tree, edit, directory):
    """A copy of the tree with the edit in it."""
    copy = directory / 'tree'
    shutil.copytree(tree, copy)
    for file, pattern, replacement in edit[1]:
        path = copy / file
        text, nr = re.subn(pattern, replacement, path.read_text())
        if nr != 1:
            sys.exit(f'{tree.name}/{file}: {nr} times {pattern}')
        path.write_text(text)
    return copy


def check_series(refold, tree, arguments):
    base = base_of(refold, tree)
    failed = False
    print(f'{tree.name}: core mm of {base}', flush=True)
    for granule, size in (('4k', 4096), ('16k', 16384), ('64k', 65536)):
        recordings = list(recordings_of(arguments.recordings, size))
        if arguments.quick:
            recordings = recordings[::9]
        cpus = CPUS if not arguments.quick or granule == '4k' else CPUS[:1]
        pairs = [(f'{base}+granule={granule}{cpu}', f'{base}+kernel={tree}+granule={granule}{cpu}') for cpu in cpus]
        found = hold_against(refold, recordings, pairs)
        print(f'  {granule}: {len(recordings)} recordings, {len(pairs)} CPUs, {found.values:,} values, '
              f'{len(found.differences)} differ', flush=True)
        for line in found.differences[:20]:
            print(f'    {line}')
        failed |= bool(found.differences) or not found.values
        failed |= not check_properties(refold, tree, granule)
    return failed


def check_properties(refold, tree, page_size, expected=None):
    """Is what refold backend check finds what is expected: nothing, or (property, operations at most)?"""
    done = subprocess.run([refold, 'backend', 'check', tree, '-q', '-p', page_size], capture_output=True, text=True,
                          check=False)
    lines = done.stdout.splitlines()
    if expected and done.returncode == 1:
        shortest = int(next(line for line in lines if ' to it, by these helper calls:' in line).split()[0])
        good = lines[1].startswith(f'{expected[0]} fails: ') and shortest <= expected[1]
    else:
        good = not expected and not done.returncode
    told = f'{lines[1]}, {lines[2].strip()}' if done.returncode == 1 else done.stderr.strip() or 'nothing found'
    print(f'  {page_size}: properties: {told}', flush=True)
    if not good:
        print(done.stdout)
    return good


def check_edits(refold, tree, arguments):
    base = base_of(refold, tree)
    recordings = list(recordings_of(arguments.recordings, 4096))[::9]
    failed = False
    for name, edit in EDITS.items():
        with tempfile.TemporaryDirectory() as directory:
            copy = edited(tree, edit, pathlib.Path(directory))
            found = hold_against(refold, recordings, [(f'{base}{edit[0]}', f'{base}+kernel={copy}')])
            plain = hold_against(refold, recordings, [(base, f'{base}+kernel={copy}')])
            failed |= not check_properties(refold, copy, '4k', FOUND.get(name))
        print(f'  {name}: as {base}{edit[0]}: {found.values:,} values, {len(found.differences)} differ; '
              f'from {base} {len(plain.differences)} do', flush=True)
        for line in found.differences[:20]:
            print(f'    {line}')
        failed |= bool(found.differences) or not plain.differences
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('refold')
    parser.add_argument('--series', default='6.12,7.2,7.3')
    parser.add_argument('--recordings', type=pathlib.Path)
    parser.add_argument('--quick', action='store_true')
    arguments = parser.parse_args()
    failed = False
    for series in arguments.series.split(','):
        try:
            tree = trees.tree(live.cache_directory(), series)
        except packages.Unavailable as reason:
            print(f'SKIP: {reason}')
            sys.exit(SKIPPED)
        failed |= check_series(arguments.refold, tree, arguments)
        if series == '7.3':
            failed |= check_edits(arguments.refold, tree, arguments)
    sys.exit(failed)


if __name__ == '__main__':
    main()
