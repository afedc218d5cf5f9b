# SPDX-License-Identifier: MIT
"""
Kernel trees, as far as page tables need them, out of Debian's source packages: unpacked once into the lab's cache.
"""
import pathlib
import re
import shutil
import subprocess
import tempfile

import packages

# Debian releases that have the source of a kernel which a policy models.
RELEASES = {'6.12': 'trixie', '7.2': 'sid', '7.3': 'trixie-backports'}
# What refold backend build looks at, and what a reader of its errors may want to see.
PARTS = ('Makefile', 'arch/arm64/mm', 'arch/arm64/include/asm', 'arch/riscv/mm', 'arch/riscv/include/asm',
         'include/asm-generic', 'include/linux/pgtable.h', 'mm/internal.h', 'mm/pgtable-generic.c')


def unpack(deb, to):
    """The parts of linux-source-X.Y.tar.xz of a source package."""
    with tempfile.TemporaryDirectory(dir=to.parent) as scratch:
        packages.run('dpkg-deb', '-x', deb, scratch)
        archive = packages.newest(pathlib.Path(scratch), 'linux-source-*.tar.xz')
        tree = pathlib.Path(scratch) / 'tree'
        tree.mkdir()
        wanted = [f'{archive.name.removesuffix(".tar.xz")}/{part}' for part in PARTS]
        # Files that a kernel does not have make tar fail; what must be there is looked at later.
        subprocess.run(['tar', '-C', tree, '--strip-components=1', '-xJf', archive, *wanted], check=False,
                       stderr=subprocess.DEVNULL)
        if not (tree / 'Makefile').exists():
            raise packages.Unavailable(f'{archive.name}: cannot be unpacked')
        shutil.rmtree(to, ignore_errors=True)
        tree.rename(to)


def tree(cache, series):
    """The tree of the kernel 6.12, 7.2 or 7.3 that Debian has now; the one unpacked last, if that cannot be told."""
    package, release = f'linux-source-{series}', RELEASES[series]
    trees = cache / 'trees'
    trees.mkdir(exist_ok=True)
    apt = packages.Apt(cache / f'apt-{release}', release)
    try:
        apt.update()
        found = re.search(r'^  Candidate: (\d\S*)', apt.run('apt-cache', 'policy', package), re.M)
        if not found:
            raise packages.Unavailable(f'{release} has no {package}')
    except packages.Unavailable:
        known = sorted(trees.glob(f'{series}.*'))
        if not known:
            raise
        return known[-1]
    directory = trees / found.group(1)
    if not (directory / 'Makefile').exists():
        apt.run('apt-get', '-qq', 'download', package)
        deb = max((apt.directory / 'debs').glob(f'{package}_*.deb'))
        unpack(deb, directory)
        deb.unlink()
    return directory
