# SPDX-License-Identifier: MIT
"""What commands do when the nth allocation, read or write fails, for each n: they say so in one line and exit with a
failure, or what they write is what they always write. Never do they crash or hang, and nothing is left out silently;
a store that was being filled is filled by the same command, later.

    torture.py REFOLD FAIL_NTH.so DIRECTORY MOST [COMMAND...]      DIRECTORY: the golden cases; n from 1 to MOST
"""
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TIMEOUT = 120
# strace injects the failure of a system call; that of allocations comes with the preloaded object.
CALLS = {'read': 'read,pread64:error=EIO', 'write': 'write,pwrite64:error=ENOSPC'}
POLICIES = 'linux-6.9,linux-7.3'
BY_THREE = 'linux-7.3,x86-6.12'

# Of the first call of mm_fork, between two functions of a file that is not here.
STACKS = """frame stream=3
1000 tid=0 module module=1 size=20 id0=0x1 id1=0x2 id2=0x3
1000 tid=0 module_path module=1 at=0 w0="/opt/a;b" w1="/server"
1000 tid=0 stack stack=1 caller=0 module=1 offset=0x10
1000 tid=0 stack stack=2 caller=1 module=1 offset=0x20
frame stream=4
1003990 tid=100 call_stack call=16 stack=2
"""

# arguments; where it writes, but for standard output; what there is in that file, of a path; whether it goes on with
# what an earlier run has left; exit codes of what could not be read but in part.
Command = collections.namedtuple('Command', 'arguments output read goes_on partly', defaults=(None, None, False, ()))
Outcome = collections.namedtuple('Outcome', 'code printed said written failed')


class Scene:
    """What the commands are given: traces, reports, stores, what trace-cmd recorded."""

    def __init__(self, refold, scratch, golden):
        self.refold, self.scratch, self.golden = refold, scratch, golden
        self.output = scratch / 'OUTPUT'
        self.text = scratch / 'trace.txt'
        shutil.copy(golden / 'mm_fork' / 'trace.txt', self.text)
        self.trace, self.other = scratch / 'trace.mmt.zst', scratch / 'other.mmt.zst'
        self.report, self.second = scratch / 'report.json', scratch / 'second.json'
        self.store = scratch / 'kept.db'
        self.run('assemble', self.text, '-o', self.trace)
        self.stacks = scratch / 'stacks.mmt.zst'
        text = self.text.read_text().replace('frame stream=0', 'stream 3 source=perf cpu=0\nstream 4 source=perf cpu=0\n'
                                             + STACKS + 'frame stream=0', 1)
        (scratch / 'stacks.txt').write_text(text)
        self.run('assemble', scratch / 'stacks.txt', '-o', self.stacks)
        self.run('assemble', golden / 'mm_cow' / 'trace.txt', '-o', self.other)
        self.run('replay', '-q', self.trace, '-p', POLICIES, '-o', self.report)
        self.run('replay', '-q', self.other, '-p', POLICIES, '-o', self.second)
        self.has_store = self.tries('replay', '-q', self.trace, '-p', POLICIES, '-o', self.store)
        self.has_page = self.tries('html', self.report, '-o', scratch / 'page.html')
        self.dat = golden.parent / 'fuzz' / 'corpus' / 'import' / 'version_7_packed'

    def run(self, *arguments):
        return subprocess.run([self.refold, *arguments], check=True, capture_output=True).stdout

    def tries(self, *arguments):
        return subprocess.run([self.refold, *arguments], check=False, capture_output=True).returncode == 0

    def stored(self, path):
        """All that a store says, whatever it came in; of numbers that tell when, none."""
        summary = self.run('summary', '-j', '--all', path)
        return summary + self.run('export', path, '--csv')

    def records(self, path):
        """How many of each kind: an anonymized trace has another key each time."""
        lines = [line for line in self.run('dump', path).decode().splitlines() if line[0].isdigit()]
        return repr(sorted(collections.Counter(' '.join(re.sub(r'=\S+', '=', line).split()[1:])
                                               for line in lines).items())).encode()

    def commands(self):
        trace, output = self.trace, self.output
        database, made = output.with_suffix('.db'), output.with_suffix('.mmt.zst')
        interval, by = ['--interval', '1ms', '--processes'], ['--by', 'vma,call', '--by', 'site']
        yield 'replay', Command(['replay', '-q', trace, '-p', BY_THREE, '--processes', '-o', output], output)
        yield 'table', Command(['replay', trace, '-p', POLICIES])
        yield 'by', Command(['replay', '-q', trace, '-p', POLICIES, *by, '-o', output], output)
        yield 'by_table', Command(['replay', trace, '-p', POLICIES, '--by', 'process', '--readers', '--windows'])
        yield 'stacks', Command(['replay', '-q', self.stacks, '-p', POLICIES, '--by', 'stack', '-o', output], output)
        yield 'folded', Command(['replay', self.stacks, '-p', POLICIES, '--folded', 'pte_stores:linux-7.3'])
        yield 'interval', Command(['replay', '-q', trace, '-p', POLICIES, *interval, '-o', output], output)
        yield 'interval_csv', Command(['replay', trace, '-p', POLICIES, *interval, '--format', 'csv'])
        yield 'page_tables', Command(['replay', '-q', trace, '-p', POLICIES, '--page-tables', output], output)
        yield 'operations', Command(['replay', '-q', trace, '-p', POLICIES, '--operations', output], output)
        yield 'info', Command(['info', trace])
        yield 'info_json', Command(['info', trace, '-j'])
        yield 'dump', Command(['dump', trace])
        yield 'assemble', Command(['assemble', self.text, '-o', output], output)
        kept = 'pid,comm,addr,pfn,inode,marks,build,path'
        yield 'anonymize', Command(['anonymize', trace, '-o', made, '--keep', kept], made, self.records)
        yield 'anonymize_all', Command(['anonymize', trace, '-o', made], made, self.records)
        yield 'diff', Command(['diff', self.report, '--policies', POLICIES])
        yield 'diff_reports', Command(['diff', '-j', self.report, self.second])
        yield 'ablate', Command(['ablate', trace, '--from', 'linux-6.9', '--to', 'linux-6.12', '-j'])
        yield 'summary', Command(['summary', '-j', self.report, self.second], partly=(3,))
        yield 'summary_table', Command(['summary', self.report, self.second], partly=(3,))
        yield 'merge', Command(['merge', self.report, self.second, '-o', output], output, partly=(3,))
        yield 'export', Command(['export', self.report, self.second, '--csv', '-o', output], output, partly=(3,))
        yield 'json_lines', Command(['export', self.report, '--json-lines'], partly=(3,))
        yield 'perfetto', Command(['export', '-q', '--perfetto', trace, '-o', output, '-p', POLICIES], output)
        if self.has_page:
            yield 'html', Command(['html', self.report, self.second, '-o', output], output)
        yield 'policies', Command(['policies'])
        yield 'policies_json', Command(['policies', '-j'])
        yield 'policies_between', Command(['policies', '--patches', 'linux-6.9..linux-7.3'])
        yield 'patches', Command(['patches'])
        yield 'cpus', Command(['cpus'])
        yield 'pte', Command(['pte', self.golden / 'helpers' / 'script.ops', '-p', 'linux-7.3'])
        yield 'race', Command(['race', '-p', 'linux-7.3', '-n', '2', '--random', '20'])
        if self.has_store:
            yield 'store', Command(['replay', '-q', trace, self.other, '-p', POLICIES, '-o', database], database,
                                   self.stored, goes_on=True)
            yield 'sweep', Command(['sweep', 'linux-7.3+tlbi={single,range}', trace, self.other, '-o', database,
                                    '--jobs', '2'], database, self.stored, goes_on=True)
            yield 'merge_stores', Command(['merge', self.store, self.second, '-o', database], database, self.stored,
                                          partly=(3,))
            yield 'summary_of_store', Command(['summary', '-j', self.store], partly=(3,))
            yield 'export_store', Command(['export', self.store, '--csv'], partly=(3,))
            if self.has_page:
                yield 'html_of_store', Command(['html', self.store, self.second, '-o', output], output, partly=(3,))
        yield 'import', Command(['import', self.dat, '-o', output], output)


def remove(path):
    """With what SQLite keeps beside it."""
    for name in path.parent.glob(path.name + '*'):
        name.unlink()


def run(line, command, told=None, **options):
    """It, from the start. What it wrote counts only if it says that it is done."""
    if command.output:
        remove(command.output)
    if told:
        told.write_bytes(b'0')
    try:
        done = subprocess.run(line, capture_output=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL, check=False,
                              **options)
    except subprocess.TimeoutExpired:
        return Outcome(None, b'', b'', b'', True)
    written = b''
    if command.output and command.output.exists() and not done.returncode:
        try:
            written = command.read(command.output) if command.read else command.output.read_bytes()
        except subprocess.CalledProcessError as failure:
            written = b'cannot be read: ' + failure.stderr
    return Outcome(done.returncode, done.stdout, done.stderr, written, not told or told.read_bytes() == b'1')


def judge(command, outcome, good, again):
    """What is wrong with it, or ''. again: the same command once more, on what this one has left."""
    if outcome.code is None:
        return 'hangs'
    # The dynamic linker, before there was a program; strace gives it on.
    if outcome.code == 127 and b'shared librar' in outcome.said:
        return ''
    if outcome.code < 0 or outcome.code > 4 or b'Sanitizer' in outcome.said:
        return f'ends by {outcome.code}: {outcome.said[-200:]!r}'
    if outcome.code == 0:
        same = (outcome.printed, outcome.written) == (good.printed, good.written)
        return '' if same else f'says that it is done, and wrote something else: {outcome.written[:100]!r}'
    if outcome.code == 3 and 3 not in command.partly:
        return f'takes it for damage: {outcome.said[-200:]!r}'
    if not outcome.said.strip():
        return f'says nothing, and ends with {outcome.code}'
    if command.goes_on:
        done = subprocess.run(again, capture_output=True, timeout=TIMEOUT, check=False)
        if done.returncode:
            return f'does not go on: {done.stderr[-200:]!r}'
        if command.read(command.output) != good.written:
            return 'goes on, and something is missing'
    return ''


def failing(what, nth, line, command, preload, told):
    if what == 'allocation':
        return run(line, command, told, env=os.environ | {
            'LD_PRELOAD': preload, 'FAIL_NTH': str(nth), 'FAIL_TOLD': str(told)})
    # The name of a call stands for each of its kind: the nth read() and the nth pread64() fail.
    outcome = run(['strace', '-f', '-qq', '-o', told, '-e', f'trace={CALLS[what].split(":")[0]}',
                   '-e', f'inject={CALLS[what]}:when={nth}', *line], command)
    injected = [line for line in told.read_bytes().splitlines() if b'(INJECTED)' in line]
    # What it would have said of it, where nothing can be written.
    if any(b'write(2,' in line for line in injected):
        outcome = outcome._replace(said=outcome.said + b'(it had no say)')
    return outcome._replace(failed=bool(injected))


def main():
    refold, preload, golden, most = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), int(sys.argv[4])
    kinds = ['allocation', *(CALLS if shutil.which('strace') else [])]
    wrong = tried = 0
    with tempfile.TemporaryDirectory(prefix='refold-torture-') as name:
        scene = Scene(refold, pathlib.Path(name), golden)
        told = scene.scratch / 'told'
        for label, command in scene.commands():
            if sys.argv[5:] and label not in sys.argv[5:]:
                continue
            line = [refold, *command.arguments]
            good = run(line, command)
            if good.code:
                sys.exit(f'{label} fails as it is: {good.said.decode()}')
            done = dict.fromkeys(kinds, 0)
            for what in kinds:
                for nth in range(1, most + 1):
                    outcome = failing(what, nth, line, command, preload, told)
                    fault = judge(command, outcome, good, line)
                    if fault:
                        wrong += 1
                        print(f'{label}: {what} {nth}: {fault}', flush=True)
                    # None failed, for there are no more: none will.
                    elif not outcome.failed:
                        break
                    done[what] += 1
            tried += sum(done.values())
            print(f'{label}: ' + ', '.join(f'{nr} of its {what}s' for what, nr in done.items()), flush=True)
    print(f'{tried} failures, {wrong} of them wrong')
    sys.exit(wrong > 0)


if __name__ == '__main__':
    main()
