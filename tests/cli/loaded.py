#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Backends that cannot be loaded, or should not have been: one line each, which says what to do. The compiler of kernel
trees is tried on what is no tree; tests/arm64/own_kernel.py has real ones.

usage: loaded.py REFOLD BACKENDS TRACE EXAMPLES
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

REFOLD, BACKENDS, TRACE, EXAMPLES = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], pathlib.Path(sys.argv[4])
SCRIPT = 'folio 0x1600 4\nset 0x10000000 0x1600 16 rw young dirty\n'


def replay(policy, *more):
    return subprocess.run([REFOLD, 'replay', '-q', TRACE, '-p', policy, *more], capture_output=True, text=True,
                          check=False)


class Loaded(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def refused(self, policy, *said):
        done = replay(policy)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for words in said:
            self.assertIn(words, done.stderr)

    def test_not_a_backend(self):
        text = self.path / 'text.so'
        text.write_text('int main;')
        folder = self.path / 'folder.so'
        folder.mkdir()
        self.refused(str(self.path / 'none.so'), 'none.so: cannot load the backend: No such file')
        self.refused(str(text), 'not a backend: no shared object')
        self.refused(str(folder), 'is a folder', 'kernel=')
        self.refused(str(BACKENDS / 'foreign.so'), 'not a backend: it has no refold_backend()')
        self.refused(str(BACKENDS / 'empty.so'), 'returns no table')

    def test_not_for_this_refold(self):
        self.refused(str(BACKENDS / 'newer.so'), 'made for interface 2', 'this refold has 1', 'build it again')
        self.refused(str(BACKENDS / 'small.so'), 'table is of 8 bytes', 'sizeof')
        self.refused(str(BACKENDS / 'nowhere.so'), "no architecture 'vax'")
        self.refused(str(BACKENDS / 'baseless.so'), "'linux-2.4', which is no policy")
        self.refused(str(BACKENDS / 'odd.so'), 'a block of 12 entries', 'power of two')
        self.refused(f'x86-6.18+backend={BACKENDS}/warns.so', 'is of arm64, policy x86-6.18 of x86')

    def test_not_a_tree(self):
        tree = self.path / 'linux+old'
        self.refused(f'kernel={tree}', 'no such directory')
        self.refused(f'linux-7.3+kernel={REFOLD}', 'not a directory')
        self.refused('linux-7.3+kernel=', 'no such directory')
        tree.mkdir()
        self.refused(f'kernel={tree}', 'not a kernel tree')
        for folder in ('arch', 'mm'):
            (tree / folder).mkdir()
        (tree / 'Makefile').write_text('VERSION = 6\nPATCHLEVEL = 8\nSUBLEVEL = 12\nEXTRAVERSION =\n')
        self.refused(f'linux-6.9+kernel={tree}', 'Linux 6.8.12 has no arch/arm64/mm/contpte.c', '6.9')
        self.refused(f'x86-6.18+kernel={tree}', 'is of x86', 'arm64 only')
        self.refused('all+kernel=/linux', "no knob 'kernel'")

    def test_older(self):
        report = self.path / 'r.json'
        done = replay(f'linux-7.3,{BACKENDS}/older.so', '-o', str(report))
        self.assertEqual(done.returncode, 0, done.stderr)
        modelled, older = json.loads(report.read_text())['policies']
        self.assertEqual(modelled['totals'], older['totals'])

    def test_diff(self):
        """Knobs that mean nothing on a loaded backend are no difference; others are."""
        report = self.path / 'r.json'
        policies = f'linux-7.3,mine=linux-7.3+backend={BACKENDS}/warns.so+tlbi=single'
        self.assertEqual(replay(policies, '-o', str(report)).returncode, 0)
        done = subprocess.run([REFOLD, 'diff', '-j', str(report), '--policies', 'linux-7.3,mine'],
                              capture_output=True, text=True, check=True)
        found, = json.loads(done.stdout)['comparisons']
        self.assertEqual(list(found['knobs']), ['tlbi'])

    def test_race(self):
        """It would explore the model's steps and say that they hold of the loaded code."""
        done = subprocess.run([REFOLD, 'race', '-p', f'linux-6.12,linux-7.3+backend={BACKENDS}/warns.so'],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ''), done.stderr)
        self.assertIn('warns.so: the steps of a loaded backend cannot be explored, those of linux-7.3 can', done.stderr)

    def test_riscv(self):
        """
        32 pages of two blocks go. The model clears them: 32 exchanges. The stand-in unfolds both first, 16 exchanges,
        16 stores and a flush of 16 pages each; each page is probed (1 load) and cleared (1 exchange).
        """
        script = 'folio 0x1600 5\nset 0x10000000 0x1600 32 rw young dirty\nreset\nclear 0x10000000 32\ntotal clear\n'
        for policy, counts in (('svnapot-user', 'X 32  erased 2'),
                               (f'{BACKENDS}/napot.so', 'L 32  S 32  X 64  F 2  T 32  Tn 32  unfold 2'),
                               (f'{BACKENDS}/napot.so+bbml3=true', 'L 32  S 32  X 64  unfold 2')):
            done = subprocess.run([REFOLD, 'pte', '-', '-p', policy], input=script, capture_output=True, text=True,
                                  check=False)
            self.assertIn(f'total of clear  {counts}  live 0', done.stdout, done.stderr)
        self.refused(f'linux-7.3+backend={BACKENDS}/napot.so', 'is of riscv, policy linux-7.3 of arm64')

    def test_knobs(self):
        backend = f'{BACKENDS}/warns.so'
        self.refused(f'{backend}+pte_batch_rule=x', "no knob 'pte_batch_rule'")
        done = replay(f'{backend}+tlbi=single+fold_sites=none+granule=16k', '-o', str(self.path / 'r.json'))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_warnings(self):
        report = self.path / 'r.json'
        self.assertEqual(replay(f'{BACKENDS}/warns.so', '-o', str(report)).returncode, 0)
        told = json.loads(report.read_text())
        policy = told['policies'][0]
        warning, = policy['backend']['warnings']
        self.assertEqual((warning['where'], warning['what']), ('mine.c:12', 'nr == 16'))
        self.assertEqual(policy['anomalies']['kernel_warning'], warning['count'])
        self.assertTrue(any('mine.c:12' in line for line in told['warnings']), told['warnings'])
        self.assertEqual(policy['name'], 'warns.so')

    def test_strays(self):
        strays = f'{BACKENDS}/strays.so'
        self.assertEqual(replay(strays).returncode, 0)
        done = replay(strays, '--check-backend')
        self.assertEqual(done.returncode, 1, done.stderr)
        said = f'refold: backend {strays}: set_ptes touches memory outside of its table, 0 bytes behind its end'
        self.assertEqual(done.stderr.strip(), said)
        # One that stays inside counts the same.
        plain, checked = self.path / 'plain.json', self.path / 'checked.json'
        for report, option in ((plain, ()), (checked, ('--check-backend',))):
            self.assertEqual(replay(f'{BACKENDS}/warns.so', '-o', str(report), *option).returncode, 0)
        self.assertEqual(plain.read_text(), checked.read_text())

    def test_crash(self):
        done = replay(f'{BACKENDS}/crashes.so')
        self.assertLess(done.returncode, 0)
        self.assertEqual(done.stderr.strip(), f'refold: backend {BACKENDS}/crashes.so: set_ptes() crashed: abort, '
                                              'a BUG() in a kernel')

    def test_policy_files(self):
        policy = self.path / 'mine.json'
        said, wanted = {'base': 'linux-6.12', 'backend': f'{BACKENDS}/warns.so', 'tlbi': 'single', 'granule': '16k'}, []
        policy.write_text(json.dumps(said))
        for text in (str(policy), f'mine=linux-6.12+backend={BACKENDS}/warns.so+tlbi=single+granule=16k'):
            self.assertEqual(replay(text, '-o', str(self.path / 'r.json')).returncode, 0)
            wanted.append(json.loads((self.path / 'r.json').read_text())['policies'])
        self.assertEqual(wanted[0], wanted[1])
        for more, words in (({'kernel': '/none'}, 'one of them'), ({'base': 'linux-1'}, "no policy 'linux-1'"),
                            ({'backend': str(self.path / 'none.so')}, 'No such file'),
                            ({'fold_sites': 'x'}, 'mine.json')):
            policy.write_text(json.dumps({**said, **more}))
            self.refused(str(policy), words)
        policy.write_text(json.dumps({'kernel': str(self.path)}))
        self.refused(str(policy), 'not a kernel tree')

    def test_scripts(self):
        script = self.path / 'script'
        script.write_text(SCRIPT)
        for policy, warnings in (('linux-7.3', 0), (f'{BACKENDS}/strays.so', 0), (f'{BACKENDS}/warns.so', 2)):
            done = subprocess.run([REFOLD, 'pte', '-j', str(script), '-p', policy], capture_output=True, text=True,
                                  check=True)
            self.assertEqual(json.loads(done.stdout.splitlines()[-1])['total']['kwarn'], warnings)
        script.write_text(SCRIPT + 'total\nreset\n')
        done = subprocess.run([REFOLD, 'pte', '-j', str(script), '-p', f'{BACKENDS}/warns.so'], capture_output=True,
                              text=True, check=True)
        self.assertEqual([json.loads(line)['total']['kwarn'] for line in done.stdout.splitlines() if 'total' in line],
                         [2, 0])

    def test_nothing_to_keep(self):
        done = replay('linux-7.3', '--keep-backend')
        self.assertEqual(done.returncode, 2)
        self.assertIn('kernel tree', done.stderr)

    def test_isolated(self):
        report = self.path / 'r.json'
        crashes, strays = f'{BACKENDS}/crashes.so', f'{BACKENDS}/strays.so'
        done = replay(f'linux-7.3,{crashes},linux-6.9,{strays}', '--isolate', '--check-backend', '-o', str(report))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 2, done.stderr)
        self.assertIn(f'{crashes}: set_ptes() crashed: abort', done.stderr)
        self.assertIn(f'{strays}: set_ptes touches memory outside', done.stderr)
        told = json.loads(report.read_text())
        self.assertEqual([policy['name'] for policy in told['policies']], ['linux-7.3', 'linux-6.9'])
        self.assertEqual(sorted(line for line in told['warnings'] if 'crashed' in line),
                         ['crashes.so crashed and has no column', 'strays.so crashed and has no column'])
        plain = self.path / 'plain.json'
        self.assertEqual(replay('linux-7.3,linux-6.9', '-o', str(plain)).returncode, 0)
        self.assertEqual(told['policies'], json.loads(plain.read_text())['policies'])
        # Without a crash it changes nothing; where nothing is left there is no report.
        self.assertEqual(replay('linux-7.3,linux-6.9', '--isolate', '-o', str(report)).returncode, 0)
        self.assertEqual(report.read_text(), plain.read_text())
        alone = replay(crashes, '--isolate', '-o', str(self.path / 'none.json'))
        self.assertEqual(alone.returncode, 1)
        self.assertFalse((self.path / 'none.json').exists())


def check(backend, *more):
    return subprocess.run([REFOLD, 'backend', 'check', str(backend), *more], capture_output=True, text=True,
                          check=False)


class Check(unittest.TestCase):
    """refold backend check"""
    def fails(self, fault, name, said, last, steps):
        done = check(BACKENDS / f'{fault}.so')
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertIn(f'{fault}.so', lines[0])
        self.assertTrue(lines[1].startswith(f'{name} fails: '), lines[1])
        self.assertIn(said, lines[2])
        led = next(number for number, line in enumerate(lines) if ' to it, by these helper calls:' in line)
        operations = [line for line in lines[led + 1:] if not line.startswith('      ')]
        self.assertEqual(lines[led].split()[0], str(len(operations)))
        self.assertLessEqual(len(operations), steps, done.stdout)
        self.assertTrue(lines[-1].strip().startswith(last), done.stdout)

    def test_nothing_found(self):
        for example in EXAMPLES.glob('*.so'):
            done = check(example)
            self.assertEqual((done.returncode, done.stderr), (0, ''), done.stdout)
            self.assertRegex(done.stdout, r'nothing found: 40000 operations on \d kinds of CPU, core mm of linux-7.3')
        self.assertTrue(list(EXAMPLES.glob('*.so')))
        # A policy is checked as well, with its knobs, and in other page sizes.
        done = check('linux-6.12+bbml3=true', '-p', '16k', '--steps', '5000', '--seed', '9')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn('5000 operations', done.stdout)
        self.assertEqual(check('linux-6.12', '-q', '--steps', '2000').stdout, '')

    def test_failures(self):
        self.fails('strays', 'outside', 'set_ptes touches memory outside of its table, 0 bytes behind its end',
                   'set_ptes(', 3)
        self.fails('crashes', 'crash', 'set_ptes aborts', 'set_ptes(', 3)
        self.fails('warns', 'warn', 'mine.c:12: nr == 16', 'set_ptes(', 3)
        self.fails('forgets', 'converted-ad', 'ptep_set_access_flags at ', 'TLB flush(', 6)

    def test_hangs(self):
        self.fails('hangs', 'crash', 'set_ptes does not return', 'set_ptes(', 6)

    def test_skipped(self):
        self.assertEqual(check(BACKENDS / 'warns.so', '--skip', 'warn', '--steps', '2000').returncode, 0)
        listed = check('any', '--list').stdout
        self.assertIn('stale-tlb', listed)
        for name in ('crash', 'outside', 'nonsense'):
            done = check(BACKENDS / 'warns.so', '--skip', f'warn,{name}')
            self.assertEqual(done.returncode, 2)
            self.assertIn(name, done.stderr)

    def test_no_backend(self):
        for arguments, said in (((BACKENDS / 'foreign.so',), 'not a backend'), (('/none',), "no policy"),
                                ((BACKENDS,), 'not a kernel tree'),
                                ((BACKENDS / 'warns.so', '-b', 'x86-6.18'), 'of arm64'),
                                ((BACKENDS / 'warns.so', '--steps', 'many'), '--steps'), ((), 'needs a backend')):
            done = check(*arguments) if arguments else subprocess.run(
                [REFOLD, 'backend', 'check'], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn(said, done.stderr)


if __name__ == '__main__':
    os.environ['LC_ALL'] = 'C'
    unittest.main(argv=sys.argv[:1])
