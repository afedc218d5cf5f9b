#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
librefold as others have it: installed into an empty folder, found by pkg-config, and what it gives held against what
refold replay writes. tests/library/declarations.txt is the ABI that was promised: programs that were built against it
run with any later library of that soname.

usage: library.py REFOLD BUILD MESON 'CC' SANITIZER TRACES [unittest arguments]
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

REFOLD, BUILD, MESON, CC, SANITIZER, SAMPLES = (sys.argv.pop(1) for _ in range(6))
REFOLD, BUILD, SAMPLES = (pathlib.Path(path).resolve() for path in (REFOLD, BUILD, SAMPLES))
HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
POLICIES = 'linux-6.8,linux-7.3+tlbi=single,svnapot-user'


def run(*command, **options):
    return subprocess.run([*map(str, command)], **{'capture_output': True, 'text': True, 'check': False} | options)


def declarations(text):
    """What a header declares, without comments and directives, one a line."""
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.DOTALL)
    text = re.sub(r'^#.*$|^extern "C" \{$|^\}$', ' ', text, flags=re.MULTILINE)
    return sorted(' '.join(part.split()) for part in re.findall(r'[^;{}]+(?:\{[^}]*\})?[^;{}]*;', text))


def exported(library):
    """{name: version}"""
    listing = run('nm', '-D', '--defined-only', library, check=True).stdout
    return dict(found.groups() for found in re.finditer(r' [A-Z] (\w+)@@(\w+)$', listing, re.MULTILINE))


def functions(lines):
    return {found[1] for line in lines if (found := re.search(r'(refold_\w+)\(', line))}


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix='refold-library-'))
        root = cls.top / 'root'
        done = run(MESON, 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir', root)
        assert done.returncode == 0, done.stdout + done.stderr
        cls.root = root
        (cls.description,) = root.rglob('refold.pc')
        cls.environment = {**os.environ, 'PKG_CONFIG_LIBDIR': str(cls.description.parent),
                           'PKG_CONFIG_SYSROOT_DIR': str(root), 'LD_LIBRARY_PATH': str(cls.description.parent.parent)}
        for source in (TREE / 'examples/librefold.c', *sorted(HERE.glob('*.c'))):
            cls.build(source)
        cls.trace = cls.assemble('fork', (TREE / 'tests/golden/mm_fork/trace.txt').read_text())

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    @classmethod
    def assemble(cls, name, text):
        run(REFOLD, 'assemble', '-', '-o', cls.top / f'{name}.mmt.zst', input=text, check=True)
        return cls.top / f'{name}.mmt.zst'

    @classmethod
    def build(cls, source):
        flags = run('pkg-config', '--cflags', '--libs', 'refold', env=cls.environment, check=True).stdout.split()
        done = run(*CC.split(), '-Wall', '-Wextra', '-Werror', *([f'-fsanitize={SANITIZER}'] if SANITIZER else []),
                   source, '-o', cls.top / source.stem, *flags, '-pthread')
        assert done.returncode == 0, done.stderr

    def program(self, name, *arguments):
        return run(self.top / name, *arguments, env=self.environment)

    def same(self, traces, options=(), settings=()):
        ours = self.program('json', *traces, '--', POLICIES, *settings)
        typed = run(REFOLD, 'replay', *traces, '-p', POLICIES, '-jq', *options)
        self.assertEqual((ours.returncode, ours.stderr), (0, ''), ours.stdout[-300:])
        self.assertTrue(json.loads(ours.stdout)['policies'])
        self.assertEqual(ours.stdout, typed.stdout)

    def wrong(self, code, message, *arguments, where='', offset=-1):
        """That error, and no other word."""
        done = self.program('json', *arguments)
        self.assertEqual((done.returncode, done.stderr), (1, ''))
        number, place, rest = done.stdout.rstrip('\n').split('\n')[-1].split(' ', 2)
        self.assertEqual(int(number), -code, done.stdout)
        self.assertTrue(rest.startswith(f'{where}: '), rest)
        self.assertIn(message, rest)
        if offset is not None:
            self.assertEqual(int(place), offset)
        return done.stdout

    def test_same_as_typed(self):
        for sample in ('redis.mmt.zst', 'press.mmt.zst'):
            self.same([SAMPLES / sample])
        self.same([SAMPLES / 'redis.mmt.zst', self.trace])

    def test_options(self):
        self.same([SAMPLES / 'redis.mmt.zst'],
                  ['--by', 'vma,call', '--top', '3', '--interval', '100ms', '--processes', '--window-begin', 'x(.*)',
                   '--window-end', 'y', '--max-time', '1h'],
                  ['by=site', 'by=vma,call', 'top=3', 'interval=100ms', 'processes=true', 'window-begin=x(.*)',
                   'window-end=y', 'max-time=1h'])

    def test_example(self):
        """Its thirty lines print what the report has."""
        done = self.program('librefold', SAMPLES / 'redis.mmt.zst', 'linux-6.8,linux-7.3')
        report = json.loads(run(REFOLD, 'replay', '-jq', SAMPLES / 'redis.mmt.zst', '-p', 'linux-6.8,linux-7.3').stdout)
        wanted = {(policy['name'], operation, str(row['tlbi'])) for policy in report['policies']
                  for operation, row in policy['operations'].items() if row['tlbi']}
        self.assertGreater(len(wanted), 4)
        self.assertEqual({tuple(line.split()) for line in done.stdout.splitlines()}, wanted)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        body = re.search(r'^int main.*?^}', (TREE / 'examples/librefold.c').read_text(), re.MULTILINE | re.DOTALL)[0]
        self.assertLessEqual(len(body.splitlines()), 30)

    def test_wrong_input(self):
        missing, other = self.top / 'missing.mmt.zst', self.top / 'other.mmt.zst'
        other.write_text('no trace')
        self.wrong(2, 'cannot open', missing, '--', 'linux-7.3', where=missing)
        self.wrong(71, 'not a', other, '--', 'linux-7.3', where=other, offset=None)
        self.wrong(22, "no policy 'linux-9.9'", self.trace, '--', 'linux-9.9')
        self.wrong(22, 'knob', self.trace, '--', 'linux-7.3+no_such=1')
        self.wrong(22, 'no policy to replay', self.trace)
        self.wrong(22, 'no trace to replay', '--', 'linux-7.3')
        self.wrong(62, 'longer than it may', SAMPLES / 'redis.mmt.zst', '--', 'linux-7.3', 'max-time=1ms',
                   where=SAMPLES / 'redis.mmt.zst')
        for header, options, code, message in (
                ('{"arch":"x86_64"}', ['interval=1s'], 22, 'it has 604801 of these, 65536 are the most: take 9229ms'),
                ('{"page_size":16384}', [], 22, 'has pages of 16384 bytes, policy linux-7.3 smaller ones'),
                ('{"clock":"x86-tsc"}', [], 95, 'of clock x86-tsc'), ('{}', [], 61, 'it holds no page faults')):
            trace = self.assemble('week', f'header {header}\nstream 0 source=task cpu=0\nframe stream=0\n'
                                  '1000 tid=1 exit group=1\n604800000001000 tid=1 exit group=1\nend command\n')
            self.wrong(code, message, trace, '--', 'linux-7.3', *options, where=trace)
        for option, value, message in (('by', 'nobody', 'nobody'), ('top', '0', 'top needs'),
                                       ('interval', '1x', "not '1x'"), ('processes', 'yes', "not 'yes'"),
                                       ('window-begin', '(', 'regular expression'), ('max-time', '-1', "not '-1'"),
                                       ('window-end', '[', 'regular expression'), ('colour', 'red', 'max-time')):
            self.wrong(22, message, self.trace, '--', 'linux-7.3', f'{option}={value}')

    def test_damaged(self):
        """The report of what is there, as the program writes it, and the error with the place."""
        whole = (SAMPLES / 'redis.mmt.zst').read_bytes()
        damaged, cut = self.top / 'damaged.mmt.zst', self.top / 'cut.mmt.zst'
        damaged.write_bytes(whole[:50000] + b'damage' + whole[50006:])
        cut.write_bytes(whole[:len(whole) // 2])
        for trace in (damaged, cut):
            text = self.wrong(74, '', trace, '--', 'linux-7.3', where=trace, offset=None)
            typed = run(REFOLD, 'replay', '-jq', trace, '-p', 'linux-7.3')
            self.assertEqual(typed.returncode, 3)
            self.assertEqual(text.rsplit('\n', 2)[0] + '\n', typed.stdout)
            self.assertFalse(json.loads(typed.stdout)['complete'])

    @unittest.skipIf(SANITIZER, 'sanitizers have no limit of memory')
    def test_no_memory(self):
        done = self.program('memory', self.trace, 'linux-6.8,linux-7.3')
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '', ''))

    def test_threads(self):
        done = self.program('threads', SAMPLES / 'redis.mmt.zst', POLICIES)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '', ''))

    def test_abi(self):
        promised = (HERE / 'declarations.txt').read_text().splitlines()
        found = exported(self.description.parent.parent / 'librefold.so.1')
        (header,) = self.root.rglob('refold.h')
        self.assertEqual(promised, declarations(header.read_text()),
                         'what is there must stay; what is new is promised by a line of declarations.txt')
        self.assertEqual(functions(promised), set(found), 'refold.map and refold.h differ')
        self.assertEqual(set(found.values()), {'REFOLD_1'})
        soname = run('readelf', '-d', self.description.parent.parent / 'librefold.so', check=True).stdout
        self.assertIn('[librefold.so.1]', soname)

    def test_header(self):
        """By itself, in the C of 1999 and in C++."""
        (header,) = self.root.rglob('refold.h')
        languages = [('c', 'c99')] + ([('c++', 'c++11')] if shutil.which('c++') else [])
        for language, standard in languages:
            done = run(*CC.split()[:-1], 'c++' if language == 'c++' else CC.split()[-1], '-x', language,
                       f'-std={standard}', '-Wall', '-Wextra', '-pedantic', '-Werror', '-fsyntax-only', header)
            self.assertEqual((done.returncode, done.stderr), (0, ''))

    def test_abi_checked(self):
        """The check sees what goes and what changes."""
        text = (TREE / 'replay/library/refold.h').read_text()
        before = declarations(text)
        for old, new in (('bool refold_table_next(struct refold_table *table);', ''), ('file[1024]', 'file[1000]'),
                         ('size_t index', 'int index')):
            self.assertIn(old, text)
            self.assertNotEqual(declarations(text.replace(old, new)), before)

    def test_installed(self):
        """With its page, which names every function."""
        (page,) = self.root.rglob('librefold.3*')
        self.assertEqual(len([*self.root.rglob('refold/py.typed')]), 1)
        self.assertEqual({name for name in re.findall(r'refold_\w+', page.read_text())} >=
                         functions((HERE / 'declarations.txt').read_text().splitlines()), True)
        self.assertEqual(run('pkg-config', '--modversion', 'refold', env=self.environment).stdout,
                         run(REFOLD, '--version').stdout.split()[-1] + '\n')


unittest.main()
