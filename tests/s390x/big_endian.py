# SPDX-License-Identifier: MIT
"""A big-endian machine: refold and the unit tests are built for s390x (scripts/cross) and run by qemu-user. The unit,
golden and truth tests must pass there; and what refold writes there of the recordings in the tree, reports and what
traces hold, must be byte for byte what it writes here.

    big_endian.py REFOLD SOURCE BUILD [-v]      BUILD: where the build for s390x is, or will be
"""
import argparse
import collections
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

SKIPPED = 77
POLICIES = 'linux-6.9,linux-7.3,x86-6.12,riscv-7.3'
# For recordings with larger pages.
GRANULES = {16384: 'linux-6.9+granule=16k,linux-7.3+granule=16k', 65536: 'linux-7.3+granule=64k'}
# Of the recordings of each kernel so many, the smallest: an emulator takes some twenty times as long.
RECORDINGS, LARGEST = 4, 4 << 20
SUFFIX = '.mmt.zst'
# Tests that start a program themselves: where meson's emulator does not reach, they are given one that starts it.
STARTERS = {'traces-second-reader', 'traces-commands'}


def run(*arguments, **options):
    return subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, check=False,
                          **options)


class Check:
    """Counts what was right, and prints what was not."""

    def __init__(self, verbose):
        self.verbose, self.right, self.wrong = verbose, collections.Counter(), collections.Counter()

    def note(self, kind, name, good, said=''):
        (self.right if good else self.wrong)[kind] += 1
        if self.verbose or not good:
            print(f'{"ok" if good else "FAIL"}: {kind} {name}{": " if said else ""}{said}', flush=True)

    def end(self):
        for kind in sorted(self.right | self.wrong):
            print(f'{kind}: {self.right[kind]} right, {self.wrong[kind]} wrong')
        return int(bool(self.wrong))


def build(source, directory):
    done = run(source / 'scripts' / 'cross', 's390x', directory)
    if done.returncode:
        print(f'SKIP: there is no build for s390x: {" / ".join(done.stderr.strip().splitlines()[-3:])}')
        sys.exit(SKIPPED)


def starter(directory, program):
    """A script that runs a program of the build."""
    libraries = directory / 'sysroot' / 'usr' / 'lib' / 's390x-linux-gnu'
    script = directory / f'start-{program.name}'
    words = ['exec', 'qemu-s390x', '-L', '/usr/s390x-linux-gnu', '-E', f'LD_LIBRARY_PATH={libraries}', str(program)]
    script.write_text('#!/bin/sh\n' + shlex.join(words) + ' "$@"\n')
    script.chmod(0o755)
    return script


def last(done):
    return '' if done.returncode == 0 else (done.stderr or done.stdout).strip()[-300:]


def unit_tests(check, directory, refold, source):
    log = directory / 'meson-logs' / 'testlog.json'
    log.unlink(missing_ok=True)
    done = run('meson', 'test', '-C', directory, '--no-rebuild', '--suite', 'unit', '--timeout-multiplier', 20)
    if not log.exists():
        check.note('unit', 'all', False, last(done))
        return
    for line in log.read_text().splitlines():
        test = json.loads(line)
        name = test['name'].split(' / ')[-1]
        if name not in STARTERS:
            check.note('unit', name, test['result'] in ('OK', 'SKIP'), '' if test['result'] == 'OK' else test['result'])
    traces = source / 'tests' / 'unit' / 'traces'
    done = run('sh', traces / 'commands.sh', refold, source / 'traces' / 'samples')
    check.note('unit', 'traces-commands', done.returncode == 0, last(done))
    generate = starter(directory, directory / 'tests' / 'unit' / 'traces' / 'generate_trace')
    done = run('sh', traces / 'second_reader.sh', generate, sys.executable, traces / 'read_trace.py',
               source / 'traces' / 'FORMAT.md')
    check.note('unit', 'traces-second-reader', done.returncode == 0, last(done))


def golden_tests(check, directory, refold, source):
    schema = source / 'replay' / 'report' / 'report.schema.json'
    for case in sorted(path.parent for path in (source / 'tests' / 'golden').glob('*/policy.json')):
        done = run(sys.executable, source / 'tests' / 'golden' / 'golden.py', '--refold', refold, '--schema', schema,
                   '--examples', directory / 'examples', case)
        check.note('golden', case.name, done.returncode == 0, last(done))
    done = run(sys.executable, source / 'tests' / 'truth' / 'truth.py', '--refold', refold)
    check.note('golden', 'truth of text traces', done.returncode == 0, last(done))


def recordings(source):
    """The samples, and the smallest recordings of each kernel that was recorded."""
    yield from sorted((source / 'traces' / 'samples').glob('*' + SUFFIX))
    kernels = [path for machine in ('arm64', 'riscv', 'x86')
               for path in sorted((source / 'tests' / machine / 'recordings').iterdir())]
    for kernel in kernels:
        files = kernel.glob('*' + SUFFIX) if kernel.is_dir() else [kernel] * kernel.name.endswith(SUFFIX)
        smallest = sorted(files, key=lambda path: path.stat().st_size)[:RECORDINGS]
        yield from (path for path in smallest if path.stat().st_size < LARGEST)


def written(refold, arguments, output):
    """The bytes that a command wrote, its exit code among them."""
    output.unlink(missing_ok=True)
    done = subprocess.run([refold, *arguments], capture_output=True, check=False)
    return done.returncode, done.stdout, output.read_bytes() if output.exists() else b''


def same_bytes(check, here, there, source, scratch):
    output = scratch / 'output'

    def compare(kind, name, *arguments):
        results = [written(refold, arguments, output) for refold in (here, there)]
        check.note(kind, name, results[0] == results[1] and results[0][0] in (0, 3),
                   '' if results[0] == results[1] else f'exit codes {results[0][0]} here, {results[1][0]} there')

    for path in recordings(source):
        name = path.relative_to(source)
        text = subprocess.run([here, 'dump', path], capture_output=True, text=True, check=True).stdout
        policies = GRANULES.get(json.loads(text.split('\n', 1)[0].removeprefix('header '))['page_size'], POLICIES)
        compare('reports', name, 'replay', '-q', path, '-p', policies, '--processes', '--by', 'vma,call',
                '--interval', '50ms', '-o', output)
        compare('traces', f'{name}, dumped', 'dump', path, '-o', output)
        compare('traces', f'{name}, told', 'info', '-j', path)
        # zstd packs as well, but otherwise, where bytes lie otherwise (hashes in memory's order, as of 1.5.4).
        subprocess.run([there, 'assemble', '-', '-o', output], input=text, text=True, check=True)
        again = subprocess.run([here, 'dump', output], capture_output=True, text=True, check=True).stdout
        check.note('traces', f'{name}, assembled', again == text)
    sample = source / 'traces' / 'samples' / ('redis' + SUFFIX)
    compare('reports', 'a timeline for Perfetto', 'export', '-q', '--perfetto', sample, '-o', output)
    compare('reports', 'policies', 'policies', '-j')
    for corpus in sorted((source / 'tests' / 'fuzz' / 'corpus' / 'import').glob('version_*')):
        compare('traces', f'{corpus.name}, imported', 'import', corpus, '-o', output)
    stores(check, here, there, sample, scratch)


def stores(check, here, there, sample, scratch):
    """A store that was written there is read here, and the other way round."""
    said = []
    for writer, reader, store in ((here, here, 'one.db'), (there, here, 'two.db'), (here, there, 'three.db')):
        done = run(writer, 'replay', '-q', sample, '-p', POLICIES, '-o', scratch / store)
        said.append((done.returncode, run(reader, 'summary', '-j', '--all', scratch / store).stdout,
                     run(reader, 'export', scratch / store, '--csv').stdout))
    check.note('reports', 'stores', said[0] == said[1] == said[2] and said[0][0] == 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('refold', type=pathlib.Path)
    parser.add_argument('source', type=pathlib.Path)
    parser.add_argument('build', type=pathlib.Path)
    parser.add_argument('-v', '--verbose', action='store_true')
    arguments = parser.parse_args()
    check = Check(arguments.verbose)
    build(arguments.source, arguments.build)
    refold = starter(arguments.build, arguments.build / 'replay' / 'refold')
    with tempfile.TemporaryDirectory(prefix='refold-s390x-') as name:
        same_bytes(check, arguments.refold, refold, arguments.source, pathlib.Path(name))
    golden_tests(check, arguments.build, refold, arguments.source)
    unit_tests(check, arguments.build, refold, arguments.source)
    return check.end()


if __name__ == '__main__':
    sys.exit(main())
