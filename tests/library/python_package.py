#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The package refold for Python: what it gives is what refold replay -j writes, errors are exceptions, and nothing is
printed. Run by the first Python that has cffi; what is about pandas and mypy is left out where they are not.

usage: python_package.py REFOLD LIBRARY VERSION [unittest arguments]
"""
import concurrent.futures
import errno
import importlib.util
import inspect
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
PYTHONS = [sys.executable, '/usr/bin/python3']


def has(python, *modules):
    done = subprocess.run([python, '-c', f'import {",".join(modules)}'], capture_output=True, check=False)
    return done.returncode == 0


def choose_python():
    """This one, or else start anew with one that has cffi, pandas as well if there is such a one."""
    for modules in (('cffi', 'pandas'), ('cffi',)):
        for python in PYTHONS:
            if pathlib.Path(python).exists() and has(python, *modules):
                if python != sys.executable:
                    os.execv(python, [python, *sys.argv])
                return
    print('python3-cffi is not installed')
    sys.exit(77)


choose_python()
REFOLD, LIBRARY, VERSION = (sys.argv.pop(1) for _ in range(3))
os.environ['REFOLD_LIBRARY'] = str(pathlib.Path(LIBRARY).resolve())
os.environ['PYTHONPATH'] = str(TREE / 'python')
sys.path.insert(0, str(TREE / 'python'))
sys.dont_write_bytecode = True
import refold                                   # pylint: disable=wrong-import-position
from refold._library import DECLARATIONS        # pylint: disable=wrong-import-position

REDIS = TREE / 'traces/samples/redis.mmt.zst'
WINDOWS = TREE / 'tests/arm64/recordings/7.2-range/64K.reclaim.8.mmt.zst'
POLICIES = ['linux-6.8', 'linux-7.3+tlbi=single']
PANDAS = importlib.util.find_spec('pandas')


def typed(*arguments):
    return subprocess.run([REFOLD, 'replay', '-jq', *map(str, arguments)], capture_output=True, text=True,
                          check=False).stdout


def declarations(text):
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.DOTALL)
    text = re.sub(r'^#.*$|^extern "C" \{$|^\}$', ' ', text, flags=re.MULTILINE)
    return sorted(' '.join(part.split()) for part in re.findall(r'[^;{}]+(?:\{[^}]*\})?[^;{}]*;', text))


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix='refold-python-'))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def script(self, text, *arguments):
        """What a program prints on its standard output; it must succeed and say nothing else."""
        done = subprocess.run([sys.executable, '-B', '-c', text, *map(str, arguments)], cwd=TREE, capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return done.stdout

    def test_same_as_typed(self):
        report = refold.replay(REDIS, POLICIES)
        self.assertEqual(report.json, typed(REDIS, '-p', ','.join(POLICIES)))
        self.assertEqual(report.policies, POLICIES)
        self.assertEqual((report.complete, report.trust, report.warnings), (True, 'exact', []))
        self.assertIn('redis.mmt.zst under linux-6.8, linux-7.3+tlbi=single: exact', repr(report))
        many = refold.replay([REDIS, WINDOWS], 'linux-6.8', by=['vma', 'call'], top=3, interval=.1, processes=True,
                             window_begin='x(.*)', window_end='y', max_time='1h')
        self.assertEqual(many.json, typed(REDIS, WINDOWS, '-p', 'linux-6.8', '--by', 'vma,call', '--top', 3,
                                          '--interval', '100ms', '--processes', '--window-begin', 'x(.*)',
                                          '--window-end', 'y'))

    def test_counters(self):
        report = refold.replay(REDIS, ','.join(POLICIES))
        counted = {(count.policy, count.operation, count.counter): count.value for count in report.counters()}
        wanted = {(policy['name'], operation, counter): value for policy in report.data['policies']
                  for operation, row in [(None, policy['totals']), *policy['operations'].items()]
                  for counter, value in row.items()}
        self.assertEqual(counted, wanted)
        self.assertTrue(all(isinstance(value, int) for value in counted.values()))
        self.assertGreater(counted['linux-7.3+tlbi=single', None, 'tlbi'], counted['linux-6.8', None, 'tlbi'])

    def test_windows(self):
        report = refold.replay(WINDOWS, 'linux-7.3')
        totals = [count for count in report.windows() if count.operation is None and count.counter == 'tlbi']
        self.assertGreater(len(totals), 2)
        self.assertEqual([(count.trace, count.window, count.occurrence, count.begin_ns, count.end_ns, count.value)
                          for count in totals],
                         [(window['trace'], window['label'], window['occurrence'], window['begin_ns'],
                           window['end_ns'], window['policies'][0]['totals']['tlbi'])
                          for window in report.data['windows']])

    def test_attribution(self):
        """Rows and the rest are all there is."""
        report = refold.replay(REDIS, POLICIES, by='vma,call', top=5)
        shares = list(report.attribution())
        self.assertEqual({tuple(share.keys) for share in shares}, {('vma', 'call'), ()})
        for policy in report.data['policies']:
            mine = [share for share in shares if share.policy == policy['name'] and share.counter == 'pte_loads']
            self.assertEqual(len(mine), 6)
            self.assertEqual(sum(share.value for share in mine), policy['totals']['pte_loads'])
        self.assertTrue(any(share.counter == 'bytes' and share.value for share in shares))

    def test_intervals_and_processes(self):
        report = refold.replay(REDIS, POLICIES, interval='100ms', processes=True)
        for policy in report.data['policies']:
            loads = [count for count in report.intervals()
                     if count.policy == policy['name'] and count.counter == 'pte_loads']
            self.assertEqual(sum(count.value for count in loads), policy['totals']['pte_loads'])
            self.assertEqual([(count.begin_ns, count.end_ns) for count in loads][:2], [(0, 10**8), (10**8, 2 * 10**8)])
        wanted = {(process['command'], process['pid'], process['begin_ns']) for process in report.data['processes']}
        self.assertEqual({(count.process, count.pid, count.begin_ns) for count in report.processes()}, wanted)
        facts = {fact.counter: fact.value for fact in report.traces()}
        self.assertEqual(facts['records'], report.data['traces'][0]['records'])
        self.assertEqual({fact.trust for fact in report.traces()}, {'exact'})

    def test_load_and_save(self):
        report = refold.replay(REDIS, 'linux-7.3', processes=True)
        report.save(self.top / 'report.json')
        again = refold.load(self.top / 'report.json')
        self.assertEqual(again.json, report.json)
        self.assertEqual(sorted(again.processes()), sorted(report.processes()))

    def raises(self, kind, code, message, call, file=None):
        with self.assertRaisesRegex(kind, message) as caught:
            call()
        error = caught.exception
        self.assertIsInstance(error, refold.RefoldError)
        self.assertEqual((error.code, error.file), (code, None if file is None else str(file)))
        self.assertTrue(str(error).startswith('' if file is None else f'{file}: '))
        return error

    def test_errors(self):
        missing, damaged, other = self.top / 'missing', self.top / 'damaged.mmt.zst', self.top / 'other.json'
        other.write_text('{}')
        whole = REDIS.read_bytes()
        damaged.write_bytes(whole[:50000] + b'damage' + whole[50006:])
        error = self.raises(FileNotFoundError, errno.ENOENT, 'cannot open', lambda: refold.replay(missing, 'all'),
                            missing)
        self.assertEqual((error.errno, error.filename, error.report), (errno.ENOENT, str(missing), None))
        error = self.raises(refold.DamagedError, errno.EBADMSG, 'byte', lambda: refold.replay(damaged, 'linux-7.3'),
                            damaged)
        self.assertGreater(error.offset, 0)
        self.assertFalse(error.report.complete)
        self.assertEqual(error.report.json, typed(damaged, '-p', 'linux-7.3'))
        for call, message in ((lambda: refold.replay(REDIS, 'linux-9.9'), "no policy 'linux-9.9'"),
                              (lambda: refold.replay(REDIS, []), 'no policy to replay'),
                              (lambda: refold.replay([], 'linux-7.3'), 'no trace to replay'),
                              (lambda: refold.replay(REDIS, 'linux-7.3', by='colour'), 'colour'),
                              (lambda: refold.replay(REDIS, ['linux-7.3', 'linux-7.3']), 'linux-7.3')):
            self.raises(ValueError, errno.EINVAL, message, call)
        self.raises(TimeoutError, errno.ETIME, 'longer', lambda: refold.replay(REDIS, 'all', max_time=.001), REDIS)
        self.raises(refold.FormatError, errno.EPROTO, 'not a refold report', lambda: refold.load(other), other)
        with self.assertRaisesRegex(ValueError, 'null byte'):
            refold.replay('a\0b', 'linux-7.3')

    def test_silent(self):
        self.assertEqual(self.script('import sys, refold\nfor path in sys.argv[1:]:\n try: refold.replay(path, "all")\n'
                                     ' except refold.RefoldError as error: print(error.code)', self.top, REDIS.parent /
                                     'README.md'), f'{errno.EISDIR}\n{errno.EPROTO}\n')

    def test_threads(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            reports = set(pool.map(lambda _: refold.replay(REDIS, POLICIES).json, range(8)))
        self.assertEqual(len(reports), 1)

    def test_declarations(self):
        self.assertEqual(declarations(DECLARATIONS), declarations((TREE / 'replay/library/refold.h').read_text()))

    def test_described(self):
        """Everything that is public says what it is; the version is everywhere that of the library."""
        self.assertEqual(refold.version(), VERSION)
        self.assertIn(f'version = "{VERSION}"', (TREE / 'python/pyproject.toml').read_text())
        for name in refold.__all__:
            thing = getattr(refold, name)
            self.assertTrue(inspect.getdoc(thing), name)
            for member, value in vars(thing).items() if name == 'Report' else ():
                self.assertTrue(member.startswith('_') or inspect.getdoc(value), member)

    @unittest.skipUnless(shutil.which('mypy'), 'mypy is not installed')
    def test_types(self):
        done = subprocess.run(['mypy', '--config-file', 'pyproject.toml', '--cache-dir', self.top / 'mypy', 'refold'],
                              cwd=TREE / 'python', capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        wrong = self.top / 'wrong.py'
        wrong.write_text('import refold\nrefold.replay("t", "p", processes="yes")\nrefold.replay("t", "p").trust + 1\n')
        done = subprocess.run(['mypy', '--cache-dir', self.top / 'mypy', wrong], capture_output=True, text=True,
                              check=False, env=os.environ | {'MYPYPATH': str(TREE / 'python')})
        self.assertIn('Found 2 errors', done.stdout)

    @unittest.skipUnless(PANDAS, 'pandas is not installed')
    def test_four_lines(self):
        """From the README to a DataFrame, and what is in it."""
        (lines,) = re.findall(r'^    import refold\n(?:    .+\n)+', (TREE / 'README.md').read_text(), re.MULTILINE)
        self.assertEqual(len(lines.splitlines()), 4)
        printed = self.script(re.sub(r'^    ', '', lines, flags=re.MULTILINE))
        report = json.loads(typed(REDIS, '-p', 'linux-6.8,linux-7.3'))
        for policy in report['policies']:
            self.assertRegex(printed, fr'{policy["name"]} +{policy["totals"]["tlbi"]} ')

    @unittest.skipUnless(PANDAS, 'pandas is not installed')
    def test_pandas(self):
        report = refold.replay(REDIS, POLICIES, by='call', top=2)
        frame = report.to_pandas()
        self.assertEqual(list(frame.index.names), ['policy', 'operation'])
        self.assertEqual(set(map(str, frame.dtypes)), {'int64'})
        for policy in report.data['policies']:
            self.assertEqual(frame.loc[policy['name'], 'totals'].tlbi, policy['totals']['tlbi'])
            self.assertEqual(frame.loc[policy['name']].drop('totals').tlbi.sum(), policy['totals']['tlbi'])
        self.assertEqual(list(report.to_pandas('attribution').loc['redis.mmt.zst', 'linux-6.8'].index)[-1], 'rest')
        self.assertTrue(report.to_pandas('windows').empty)
        self.assertEqual(list(report.to_pandas('windows').index.names)[:2], ['trace', 'window'])
        with self.assertRaisesRegex(ValueError, 'there is no such table'):
            report.to_pandas('sums')

    @unittest.skipUnless(PANDAS, 'pandas is not installed')
    def test_notebook(self):
        done = subprocess.run([sys.executable, '-B', TREE / 'examples/notebook.py', REDIS], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertIn('linux-7.3+tlbi=single  4096', done.stdout)


unittest.main()
