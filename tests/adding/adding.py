#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Adds a toy to a copy of the tree, following a page docs/adding-*.md alone, and fails if that takes more places than the
page says.

    adding.py TOY [--prove]

A toy is a directory tests/adding/TOY with two files. Its page is docs/adding-a-TOY.md or docs/adding-an-TOY.md, where
one line reads "Places: N" (or "Places: N, ..."). To add a toy: write the three files, name it in
tests/adding/meson.build.

edits: what the page tells to do. Each edit is one place, and so is a new file.

    # a comment
    file engine/ops.h
    after X(MADV_PAGEOUT,
    + the new line, as it is after "+", and one space if there is one
    +	tabs are kept

  "after TEXT", "before TEXT", "instead of TEXT": the one line of the file that is TEXT, or else contains it. "end":
  after the last line. A file that does not exist is made of the lines that follow it. Anything but one such line
  is an error: when somebody rewords it, the page is to be looked at, too.

check: run by sh in the copy, where build/replay/refold is built ($REFOLD, $BUILD); more can be built there
  (ninja -C $BUILD engine/libengine.a). Its exit code decides. It must fail without the edits: --prove tries that first.

The copy has what git knows and what is not ignored. Exit codes: 0, 1, 77 (skipped: no git tree).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Wrong(Exception):
    pass


def stated_places(toy):
    pages = [page for page in ROOT.glob('docs/adding-*.md') if re.fullmatch(f'adding-an?-{toy}', page.stem)]
    if len(pages) != 1:
        raise Wrong(f'{toy} has {len(pages)} pages in docs/')
    stated = re.findall(r'^Places: (\d+)\b', pages[0].read_text(), re.M)
    if len(stated) != 1:
        raise Wrong(f'{pages[0].name} has {len(stated)} lines "Places: N"')
    return pages[0], int(stated[0])


def read_edits(path):
    """[[file, where, lines]]; where is None for a new file."""
    edits, file = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        word, _, rest = line.partition(' ')
        if line.startswith('+') and file and edits and edits[-1][0] == file:
            edits[-1][2].append(line[2:] if line.startswith('+ ') else line[1:])
        elif word == 'file':
            file = rest.strip()
            if not (ROOT / file).exists():
                edits.append([file, None, []])
        elif word in ('after', 'before', 'instead', 'end') and file:
            edits.append([file, (word, rest.removeprefix('of ') if word == 'instead' else rest), []])
        elif line.strip() and not line.startswith('#'):
            raise Wrong(f'{path}:{number}: {line!r} is no edit')
    return edits


def apply(tree, edit):
    file, where, new = edit
    path = tree / file
    if where is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(new) + '\n')
        return
    lines = path.read_text().splitlines()
    how, text = where
    found = [i for i, line in enumerate(lines) if line.strip() == text.strip()]
    if len(found) != 1:
        found = [i for i, line in enumerate(lines) if text in line]
    if how == 'end':
        found = [len(lines) - 1]
    if len(found) != 1:
        raise Wrong(f'{file}: {len(found)} lines contain {text!r}')
    start = found[0] + (how in ('after', 'end'))
    lines[start:found[0] + (how != 'before')] = new
    path.write_text('\n'.join(lines) + '\n')


def copy_tree(tree):
    files = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT,
                           capture_output=True, text=True)
    if files.returncode:
        print('skipped: not a git tree')
        sys.exit(77)
    for name in files.stdout.split('\0'):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)


def run(command, tree, quiet=True):
    build = tree / 'build'
    env = dict(os.environ, BUILD=str(build), REFOLD=str(build / 'replay/refold'))
    done = subprocess.run(command, cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode and not quiet:
        sys.stdout.write(done.stdout)
    return done.returncode == 0


def build(tree):
    # No debug information: with a compiler cache, what the toy does not touch then is the same in every copy.
    setup = ['meson', 'setup', 'build', '-Dcapture=disabled', '-Dtests=false', '-Ddebug=false', '-Doptimization=0',
             '-Dwerror=true']
    if not (tree / 'build').exists() and not run(setup, tree, quiet=False):
        raise Wrong('meson setup fails')
    if not run(['ninja', '-C', 'build', 'replay/refold'], tree, quiet=False):
        raise Wrong('the copy does not build')


def add(toy, prove):
    page, places = stated_places(toy)
    edits = read_edits(HERE / toy / 'edits')
    check = ['sh', '-eu', str(HERE / toy / 'check')]
    with tempfile.TemporaryDirectory(prefix=f'adding-{toy}-') as name:
        tree = pathlib.Path(name)
        copy_tree(tree)
        if prove:
            build(tree)
            if run(check, tree):
                raise Wrong('the check passes without the edits')
        for edit in edits:
            apply(tree, edit)
        build(tree)
        if not run(check, tree, quiet=False):
            raise Wrong('the check fails')
    if len(edits) != places:
        raise Wrong(f'it took {len(edits)} places, {page.name} says {places}')
    print(f'{toy}: {places} places in {len({edit[0] for edit in edits})} files, as {page.name} says')


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        add(sys.argv[1], '--prove' in sys.argv[2:])
    except Wrong as error:
        print(f'{sys.argv[1]}: {error}')
        sys.exit(1)


main()
