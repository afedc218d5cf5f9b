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
import os
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
# What only some kernels' code knows: it must be refused on the others'.
SOME_CPUS = {'6.12': ('+repeat_tlbi=new',), '7.2': ('+repeat_tlbi=new', '+bbml3=true'),
             '7.3': ('+repeat_tlbi=new', '+bbml3=true')}
REFUSED = {'6.12': ('+repeat_tlbi=old', '+bbml3=true'), '7.2': ('+repeat_tlbi=old',), '7.3': ('+repeat_tlbi=old',)}
OWN = ('assumptions', 'backend', 'knobs', 'name')   # of a column, what says whose it is

PGTABLE, CONTPTE = 'arch/arm64/include/asm/pgtable.h', 'arch/arm64/mm/contpte.c'
FOLD_AFTER_CHANGES = [
    (PGTABLE, r'(\t\t___ptep_set_wrprotect\(mm, addr, ptep, orig_pte\);\n)',
     r'\1\t\tcontpte_try_fold(mm, addr, ptep, __ptep_get(ptep));\n'),
    (CONTPTE, r'(\t\t__contpte_try_unfold\(vma->vm_mm, addr, ptep, orig_pte\);\n'
              r'\t\t__ptep_set_access_flags\(vma, addr, ptep, entry, dirty\);\n)',
     r'\1\t\tcontpte_try_fold(vma->vm_mm, addr, ptep, entry);\n')]
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
        FOLD_AFTER_CHANGES),
    'fold anywhere, whatever was done': (
        '+fold_sites=any',
        [(PGTABLE, r'bool valign = .*;', 'bool valign = true;'),
         (PGTABLE, r'bool palign = .*;', 'bool palign = ((pte_pfn(pte) ^ addr >> PAGE_SHIFT) & contmask) == 0;'),
         (PGTABLE, r'(\tif \(likely\(!pte_valid_cont\(orig_pte\)\)\))\n\t\treturn (__ptep_set_access_flags\(.*\);)\n',
          r'\1 {\n\t\tint changed = \2\n\n\t\tif (changed)\n'
          r'\t\t\tcontpte_try_fold(vma->vm_mm, addr, ptep, __ptep_get(ptep));\n\t\treturn changed;\n\t}\n'),
         *FOLD_AFTER_CHANGES]),
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
        if isinstance(modelled, dict) or isinstance(loaded, dict):
            modelled, loaded = modelled or {}, loaded or {}     # 0: one side never came there
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


def check_refused(refold, tree, base, series):
    """CPUs that the code does not know: a column would be that of another one."""
    failed = False
    for cpu in REFUSED[series]:
        done = subprocess.run([refold, 'pte', '-', '-p', f'{base}+kernel={tree}{cpu}'], input='', capture_output=True,
                              text=True, check=False)
        if done.returncode != 2 or 'has no meaning on a loaded backend' not in done.stderr:
            print(f'  {cpu} is not refused: {done.stderr}')
            failed = True
    return failed


def check_series(refold, tree, arguments, series):
    base = base_of(refold, tree)
    if base != f'linux-{series}':
        print(f'{tree.name}: core mm of {base}')
        return True
    failed = check_refused(refold, tree, base, series)
    print(f'{tree.name}: core mm of {base}', flush=True)
    for granule, size in (('4k', 4096), ('16k', 16384), ('64k', 65536)):
        recordings = list(recordings_of(arguments.recordings, size))
        if arguments.quick:
            recordings = recordings[::9]
        cpus = CPUS + SOME_CPUS[series] if not arguments.quick or granule == '4k' else CPUS[:1]
        pairs = [(f'{base}+granule={granule}{cpu}', f'{base}+kernel={tree}+granule={granule}{cpu}') for cpu in cpus]
        found = hold_against(refold, recordings, pairs)
        print(f'  {granule}: {len(recordings)} recordings, {len(pairs)} CPUs, {found.values:,} values, '
              f'{len(found.differences)} differ', flush=True)
        for line in found.differences[:20]:
            print(f'    {line}')
        failed |= bool(found.differences) or not found.values
        failed |= not check_properties(refold, tree, granule)
    failed |= not check_kept(refold, tree, base)
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


def check_compile_error(refold, tree):
    """Her code does not compile: the compiler's words are of her file and line."""
    broken = ('', [(CONTPTE, r'(pte_t contpte_ptep_get\(pte_t \*ptep, pte_t orig_pte\)\n\{\n)', r'\1\tpte_is_what;\n')])
    with tempfile.TemporaryDirectory() as directory:
        copy = edited(tree, broken, pathlib.Path(directory))
        line = (copy / CONTPTE).read_text().split('pte_is_what')[0].count('\n') + 1
        recording = next(iter(recordings_of(None, 4096)))
        done = subprocess.run([refold, 'replay', '-q', recording, '-p', f'kernel={copy}'], capture_output=True,
                              text=True, check=False)
        said = [words for words in done.stderr.splitlines() if f'{CONTPTE}:{line}:' in words and 'error' in words]
        last = done.stderr.strip().splitlines()[-1]
        print(f'  compile error: {said[0] if said else done.stderr}', flush=True)
        return done.returncode == 2 and bool(said) and str(copy) in said[0] and last.startswith('refold replay: ')


def check_kept(refold, tree, base):
    """What --keep-backend leaves counts the same, without the tree."""
    recording = next(iter(recordings_of(None, 4096)))
    with tempfile.TemporaryDirectory() as directory:
        command = [pathlib.Path(refold).resolve(), 'replay', '-q', '--keep-backend', recording.resolve()]
        done = subprocess.run([*command, '-p', f'{base}+kernel={tree}'], capture_output=True, text=True, check=False,
                              cwd=directory)
        kept = list(pathlib.Path(directory).glob('linux-*-4k-*.so'))
        told = len(kept) == 1 and f'is kept in {kept[0].name}' in done.stderr
        print(f'  kept: {done.stderr.strip().splitlines()[-1]}', flush=True)
        if not told:
            return False
        found = hold_against(refold, [recording], [(base, f'{base}+backend={kept[0]}')])
    return not found.differences and bool(found.values)


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


def provenance(refold, tree, **environment):
    """The backend as a report tells of it, and what was said; None if the tree was refused."""
    recording = next(iter(recordings_of(None, 4096)))
    with tempfile.TemporaryDirectory() as directory:
        output = pathlib.Path(directory) / 'report.json'
        command = [refold, 'replay', '-q', '-o', output, recording, '-p', f'linux-7.3+kernel={tree}']
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              env={**os.environ, 'LC_ALL': 'C', **environment})
        told = json.loads(output.read_text())['policies'][0]['backend'] if done.returncode == 0 else None
    return told, done.stderr


def check_tree(refold, tree):
    """A tree in git, clean and not, one that does not compile, and no compiler."""
    wrong = []

    def expect(holds, what, *values):
        if not holds:
            wrong.append(f'    {what}: {values}')

    with tempfile.TemporaryDirectory() as directory:
        copy = pathlib.Path(directory) / 'tree'
        shutil.copytree(tree, copy)
        git = ['git', '-C', copy, '-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost']
        for words in ('init -q', 'add .', 'commit -qm original', 'tag -am original v7.3-mine'):
            subprocess.run(git + words.split(), check=True, capture_output=True)
        plain, clean = provenance(refold, tree)[0], provenance(refold, copy)[0]
        expect('revision' not in plain or plain['revision'] is None, 'revision without git', plain)
        expect(clean['revision'] == 'v7.3-mine', 'revision', clean)
        expect(clean['files'] == plain['files'], 'hash of the same files', clean, plain)
        contpte = copy / CONTPTE
        text = contpte.read_text()
        before, function, after = text.partition('static void contpte_convert(')
        contpte.write_text(f'{before}/* mine */\n{function}{after}')
        dirty = provenance(refold, copy)[0]
        expect(dirty['revision'] == 'v7.3-mine-dirty', 'a dirty tree', dirty)
        expect(dirty['files'] != clean['files'], 'hash of other files', clean, dirty)
        contpte.write_text(f'{before}static void broken;\n{function}{after}')
        line = before.count('\n') + 1
        told, said = provenance(refold, copy)
        expect(told is None and f'{CONTPTE}:{line}:' in said, 'an error of the compiler', said)
        contpte.write_text(text)
        told, said = provenance(refold, copy, CC='no-such-compiler')
        expect(told is None and len(said.splitlines()) == 1 and 'no compiler' in said, 'no compiler', said)
    told = 'wrong' if wrong else 'as they should be told of'
    print(f'  trees in git, dirty, broken, without a compiler: {told}')
    print(*wrong, sep='\n', end='\n' if wrong else '')
    return bool(wrong)


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
        failed |= check_series(arguments.refold, tree, arguments, series)
        if series == '7.3':
            failed |= check_edits(arguments.refold, tree, arguments)
            failed |= not check_compile_error(arguments.refold, tree)
            failed |= check_tree(arguments.refold, tree)
    sys.exit(failed)


if __name__ == '__main__':
    main()
