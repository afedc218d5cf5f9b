# SPDX-License-Identifier: MIT
"""Record a real program on the live kernel, replay the trace, and compare the
rebuilt page tables with what an independent witness saw at each process's exit.

    fidelity.py BUILD_ROOT SOURCE_ROOT WORKLOAD
"""
import contextlib
import json
import os
import platform
import re
import shutil
import sys

import machine
import page_tables

POLICIES = 'x86-6.18,linux-6.12'
FAULT_AROUND_PAGES = 16     # 64K, the kernel's default
SMALL_SHARE, FEW = 0.001, 4
GUESSED_SHARE = 0.05        # of the windows of fault-around
# Rows of the x86 machine that the kernel's own tlb:tlb_flush events can check.
FLUSH_ROWS = {'cow': 'cow', 'fork': 'fork', 'zap_munmap': 'munmap', 'mprotect': 'mprotect', 'zap_brk': 'brk'}
# Rows of operations that system calls are, which a program does as often each time it runs.
CALL_ROWS = ('zap_munmap', 'zap_brk', 'zap_dontneed', 'mprotect', 'mremap', 'fork', 'zap_exec')
# What an madvise() may do, and the flushes of its reclaim.
ADVICE_ROWS = ('zap_dontneed', 'madv_free', 'madv_cold', 'madv_pageout', 'unmap_file', 'unmap_swap', 'migrate',
               'folio_split', 'reclaim_flush')


class Workload:
    """A command to record. exact: every PTE must be right (but see check_entries()); else all but SMALL_SHARE of them.
    swaps: some must be in swap at exit. flushes: check FLUSH_ROWS; advice_flushes: and those of madvise(). by_number:
    recorded on a kernel without events of system calls, as far as the recorder can see, with the same outcome."""

    exact = True
    swaps = False
    flushes = False
    advice_flushes = False
    by_number = False

    def __init__(self, programs, directory):
        self.programs = programs
        self.directory = directory
        self.cleanup = contextlib.ExitStack()

    def path(self, name):
        return os.path.join(self.directory, name)

    def script(self, name):
        return os.path.join(self.programs.scripts, name)

    def binary(self, name):
        return os.path.join(self.programs.workloads, name)

    def prepare(self):
        """What must exist before recording."""

    def command(self):
        raise NotImplementedError


class Vmops(Workload):
    def command(self):
        return [self.binary('vmops')]


class ByNumber(Vmops):
    by_number = True


class Compat(Workload):
    """A 32-bit program."""

    COMPILERS = {'x86_64': ['gcc', '-m32'], 'aarch64': ['arm-linux-gnueabihf-gcc']}

    def prepare(self):
        compiler = self.COMPILERS.get(platform.machine())
        if not compiler:
            machine.skip(f'no 32-bit programs on {platform.machine()}')
        machine.need_program(compiler[0])
        # Where gcc-multilib would have put a link; it is not installed, as it removes compilers for other machines.
        multiarch = self.programs.run('gcc', '-print-multiarch').stdout.strip()
        built = self.programs.run(*compiler, '-O1', '-pthread', '-idirafter', f'/usr/include/{multiarch}',
                                  self.script('compat.c'), '-o', self.path('compat'), expect=None)
        if built.returncode:
            machine.skip(f'{" ".join(compiler)} cannot build: no 32-bit C library or compiler support')
        try:
            self.programs.run(self.path('compat'))
        except OSError as reason:
            machine.skip(f'this kernel runs no 32-bit programs: {reason.strerror}')

    def command(self):
        return [self.path('compat')]


class Gcc(Workload):
    flushes = True

    def prepare(self):
        machine.need_program('gcc')
        source = self.programs.run(sys.executable, self.script('generate_source.py'), '150').stdout
        machine.write(self.path('generated.c'), source)

    def command(self):
        return ['gcc', '-O2', self.path('generated.c'), '-lm', '-o', self.path('generated')]


class Python(Workload):
    flushes = True

    def command(self):
        return [sys.executable, self.script('work.py')]


class Vmas(Workload):
    """Calls that split mappings, and merge them again."""

    def command(self):
        return [self.binary('vmas')]


class Locked(Workload):
    """Locked memory, and who populates it."""

    def command(self):
        return [self.binary('locked')]


class Buffers(Workload):
    """Calls that name memory in a buffer, or another process's."""

    def command(self):
        return [self.binary('buffers')]


class Userfaults(Workload):
    """What a userfaultfd does to pages that are there."""

    flushes = True

    def command(self):
        return [self.binary('userfaults')]


class Mtmalloc(Workload):
    def command(self):
        return [self.binary('mtmalloc'), '4']


class Redis(Workload):
    flushes = True

    def prepare(self):
        machine.need_program('redis-server', 'redis-check-rdb')
        os.mkdir(self.path('redis'))

    def command(self):
        return [self.script('redis_bgsave.sh'), self.path('redis')]


class Sort(Workload):
    def prepare(self):
        machine.need_program('sort')
        state = 1
        with open(self.path('unsorted'), 'w', encoding='ascii') as file:
            for _ in range(16 << 14):
                state = state * 1103515245 + 12345 & 0x7fffffff
                file.write(f'{state:010d} {"of 64 bytes, as log files have them":52s}\n')

    def command(self):
        # In 4M of memory: what a large sort does, with runs on disk and a merge, and memory that is not freed again.
        return ['sort', '-S', '4M', '-T', self.directory, self.path('unsorted'), '-o', self.path('sorted')]


class Fresh(Workload):
    """A program and its libraries just written, as after an installation: the page cache holds them in large folios."""

    def prepare(self):
        needs = self.programs.run('ldd', sys.executable).stdout
        self.libraries = self.path('lib')
        os.mkdir(self.libraries)
        for library in re.findall(r'/\S+', needs):
            shutil.copy(library, self.libraries)
        shutil.copy(sys.executable, self.path('python3'))

    def command(self):
        loader = next(name for name in os.listdir(self.libraries) if name.startswith('ld-'))
        return [os.path.join(self.libraries, loader), '--library-path', self.libraries, self.path('python3'),
                '-S', '-c', 'import sys; print(sum(len(repr(i)) for i in range(200000)), file=sys.stderr)']


class Reread(Fresh):
    """The same some time later: parts of the files are in large folios, parts have been read again, parts are not
    cached at all."""

    PIECE = 192 << 10

    def prepare(self):
        super().prepare()
        os.sync()
        for directory, _, names in os.walk(self.directory):
            for name in names:
                path = os.path.join(directory, name)
                with open(path, 'rb') as file:
                    for offset in range(self.PIECE, os.path.getsize(path), 2 * self.PIECE):
                        os.posix_fadvise(file.fileno(), offset, self.PIECE, os.POSIX_FADV_DONTNEED)


class Press(Workload):
    """64M in a group of 48M: swaps out and in, to zram."""

    exact = False
    swaps = True

    def prepare(self):
        self.cleanup.enter_context(machine.swap_on_zram(256))
        self.procs = self.cleanup.enter_context(machine.memory_group(48))

    def command(self):
        return ['/bin/sh', '-c', f'echo $$ >{self.procs}; exec "$0" 64', self.binary('press')]


class SplitZeroes(Workload):
    """On one CPU from its exec on: whether another was in mm_cpumask() decides if flushes of reclaim are put off."""

    flushes = True
    advice_flushes = True

    def command(self):
        return ['taskset', '-c', str(min(os.sched_getaffinity(0))), self.binary('split_zeroes')]


class SharedMemory(Workload):
    """Nobody else gets its CPU: where a zap is cut, dirty pages are flushed there, too."""

    flushes = True

    def command(self):
        return ['taskset', '-c', str(min(os.sched_getaffinity(0))), 'chrt', '-f', '1', self.binary('shared_memory')]


class Moved(Workload):
    flushes = True
    advice_flushes = True

    def command(self):
        return [self.binary('moved'), self.path('moved')]


class FaultRace(Workload):
    def command(self):
        return [self.binary('fault_race')]


class FailedForks(Workload):
    """Nothing is left of them but what they have write-protected."""

    flushes = True

    def command(self):
        no_program = self.path('no_program')
        machine.write(no_program, 'no program' * 100)
        os.chmod(no_program, 0o755)
        return [self.binary('failed_forks'), no_program]


class CollapseHoles(Workload):
    """khugepaged in a hurry."""

    def prepare(self):
        self.cleanup.enter_context(machine.setting(f'{machine.THP}/enabled', 'madvise'))
        for name, value in (('scan_sleep_millisecs', 100), ('pages_to_scan', 65536)):
            self.cleanup.enter_context(machine.setting(f'{machine.THP}/khugepaged/{name}', value))

    def command(self):
        return [self.binary('collapse_holes')]


class PageoutFile(Workload):
    flushes = True
    advice_flushes = True

    def command(self):
        return [self.binary('pageout_file')]


class PageoutKinds(Workload):
    swaps = True

    def prepare(self):
        self.cleanup.enter_context(machine.swap_on_zram(64))

    def command(self):
        return [self.binary('pageout_kinds')]


class AdviseOther(PageoutKinds):
    """process_madvise() of another process, and of the own."""

    def prepare(self):
        super().prepare()
        machine.write(self.path('file'), 'clean pages of a file\n' * 60000)

    def command(self):
        return [self.binary('advise_other'), self.path('file')]


class Tmpfs(Workload):
    """Files in a tmpfs of its own, with huge pages wherever there is room or never."""

    huge = 'never'

    def prepare(self):
        where = self.path('tmpfs')
        os.mkdir(where)
        self.programs.run('mount', '-t', 'tmpfs', '-o', f'size=64m,huge={self.huge}', 'tmpfs', where)
        self.cleanup.callback(self.programs.run, 'umount', where)

    def command(self):
        return [self.binary('tmpfs_folios'), self.path('tmpfs')]


class HugeTmpfs(Tmpfs):
    huge = 'always'


WORKLOADS = {'by_number': ByNumber, 'compat': Compat,
             'vmops': Vmops, 'vmas': Vmas, 'locked': Locked, 'gcc': Gcc, 'python': Python, 'mtmalloc': Mtmalloc,
             'redis': Redis, 'sort': Sort, 'fresh': Fresh, 'reread': Reread, 'press': Press,
             'split_zeroes': SplitZeroes, 'shared_memory': SharedMemory, 'moved': Moved, 'fault_race': FaultRace,
             'failed_forks': FailedForks,
             'collapse_holes': CollapseHoles,
             'pageout_file': PageoutFile, 'pageout_kinds': PageoutKinds, 'tmpfs': Tmpfs, 'huge_tmpfs': HugeTmpfs,
             'buffers': Buffers, 'userfaults': Userfaults, 'advise_other': AdviseOther}


def check_entries(entries, workload, report, problems):
    """entries: how many PTEs there were at exit; how many of them the replay has at all, with the right page frame, and
    in a folio of the right order; how many it has besides.

    Fault-around leaves out pages that are locked or marked for readahead, and its event tells how many it mapped, not
    which. The replay counts the windows in which it had to guess, and they must be few: a share of all, as it is the
    machine's affair how many pages other CPUs hold locked. Of one, a page may be taken for another, and some may be too
    many until the process ends; what is there must have the frame and the order of the page cache all the same."""
    ptes, present = entries['ptes'], entries['present']
    guessed = report['fidelity']['inferred']['fault_around_ambiguous']
    allowed = {'missing': guessed, 'with a wrong page frame': 0, 'of a wrong order': 0,
               'too many': FAULT_AROUND_PAGES * guessed}
    if not workload.exact:
        allowed = dict.fromkeys(allowed, int(SMALL_SHARE * ptes))
    found = {'missing': ptes - present, 'with a wrong page frame': present - entries['pfn'],
             'of a wrong order': present - entries['order'], 'too many': entries['extra']}
    problems += [f'{number} of {ptes} PTEs {what}, {allowed[what]} could be explained'
                 for what, number in found.items() if number > allowed[what]]
    if not ptes:
        problems.append('no PTE to compare')
    windows = report['trace']['records_by_kind'].get('map_pages', 0)
    if guessed > max(FEW, GUESSED_SHARE * windows):
        problems.append(f'{guessed} of {windows} windows of fault-around had to be guessed')


def replay(programs, trace, report, tables=None):
    command = [programs.refold, 'replay', '-q', trace, '-p', POLICIES, '-o', report]
    if tables:
        command += ['--page-tables', tables]
    programs.run(*command)
    with open(report, encoding='utf-8') as file:
        return json.load(file)


def against_witness(workload, problems):
    """truth traces the processes itself, so the recorder leaves them alone: nothing of its own snapshots is used."""
    trace, truth, tables = workload.path('witnessed.mmt.zst'), workload.path('truth.tsv'), workload.path('tables.tsv')
    programs = workload.programs
    programs.record(trace, programs.truth, truth, *workload.command())
    report = replay(programs, trace, workload.path('witnessed.json'), tables)
    verdict = page_tables.judge(truth, tables, report['trust'])
    verdict.show()
    problems += verdict.problems
    comparison = verdict.all
    print(f'folio orders at exit, in PTEs: {dict(sorted(comparison.orders.items()))}')
    for difference in comparison.differences[:40]:
        print(f'  {difference}')
    check_entries(vars(comparison), workload, report, problems)
    if comparison.swap - comparison.swap_present > (0 if workload.exact else SMALL_SHARE * comparison.swap):
        problems.append(f'of {comparison.swap} swap entries the replay has {comparison.swap_present}')
    if workload.swaps and not comparison.swap:
        problems.append('nothing was swapped out')
    check_facts(report, problems)


def against_own_snapshots(workload, problems):
    """The recorder's exit snapshots against the same rebuilt page tables, as the report tells it."""
    trace, first, second = (workload.path(name) for name in ('plain.mmt.zst', 'plain.json', 'again.json'))
    programs = workload.programs
    programs.record(trace, *workload.command())
    report = replay(programs, trace, first)
    fidelity = report['fidelity']
    print('fidelity of the report: ' + ', '.join(
        f'{name} {fidelity[name]}' for name in ('processes_compared', 'ptes', 'present', 'pfn', 'order', 'extra',
                                                'fault_checks_ok', 'fault_checks_bad', 'rss_checks_ok',
                                                'rss_checks_bad')))
    print(f'inferred: {fidelity["inferred"]}')
    print(f'anomalies: {fidelity["anomalies"]}')
    check_entries(fidelity, workload, report, problems)
    if workload.flushes and platform.machine() == 'x86_64':
        check_flushes(report, workload, problems)
    check_facts(report, problems)
    check_schema(programs, report)
    if workload.by_number:
        against_events(workload, report, problems)
    replay(programs, trace, second)
    with open(first, 'rb') as one, open(second, 'rb') as two:
        if one.read() != two.read():
            problems.append('two replays of one trace differ')


def against_events(workload, report, problems):
    """What was recorded by number makes the same calls as a recording of the calls' own events."""
    programs, trace = workload.programs, workload.path('events.mmt.zst')
    header = json.loads(programs.run(programs.refold, 'info', '-j', workload.path('plain.mmt.zst')).stdout)['header']
    if header['calls'] != 'raw_syscalls':
        problems.append(f'calls are from {header["calls"]}')
    programs.capture = programs.recorder
    programs.record(trace, *workload.command())
    operations = [one['policies'][0]['operations'] for one in
                  (report, replay(programs, trace, workload.path('events.json')))]
    for row in CALL_ROWS:
        counts = [one.get(row, {}).get('operations', 0) for one in operations]
        print(f'{row}: {counts[0]} by number, {counts[1]} by events')
        if counts[0] != counts[1]:
            problems.append(f'{row}: {counts[0]} operations by number, {counts[1]} by events')


def check_flushes(report, workload, problems):
    recorded = report['fidelity']['tlb_flushes_recorded']
    operations = next(policy for policy in report['policies'] if policy['name'] == 'x86-6.18')['operations']
    rows = {cause: [row] for row, cause in FLUSH_ROWS.items()}
    if workload.advice_flushes:
        rows['madvise'] = ADVICE_ROWS
    for cause, names in rows.items():
        predicted = sum(operations.get(row, {}).get('flush_calls', 0) for row in names)
        print(f'TLB flushes, {cause}: predicted {predicted}, recorded {recorded[cause]}')
        if predicted != recorded[cause]:
            problems.append(f'TLB flushes of {cause}: predicted {predicted}, the kernel did {recorded[cause]}')
    # What nothing accounts for is of something that the model does not know.
    if recorded['other']:
        problems.append(f'{recorded["other"]} TLB flushes of something else')


def check_facts(report, problems):
    if not report['complete']:
        problems.append('the report says "complete": false')
    if report['trace']['lost_events']:
        problems.append(f'{report["trace"]["lost_events"]} events were lost')
    for policy in report['policies']:
        anomalies = {name: count for name, count in policy.get('anomalies', {}).items() if count}
        if anomalies:
            problems.append(f'anomalies of {policy["name"]}: {anomalies}')


def check_schema(programs, report):
    try:
        import jsonschema
    except ImportError:
        print('note: python3-jsonschema is not installed, the report is not validated')
        return
    with open(programs.schema, encoding='utf-8') as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(report)


def main():
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    programs = machine.Programs(build_root, source_root)
    problems = []
    with machine.work_directory(name) as directory, machine.large_folios():
        workload = WORKLOADS[name](programs, directory)
        if workload.by_number:
            programs.capture = programs.recorder_by_number
        with workload.cleanup:
            workload.prepare()
            # Once unrecorded, so that files are in the page cache; and written back, so that none of their pages is
            # locked just when fault-around comes by (see check_entries()).
            programs.run(*workload.command())
            os.sync()
            against_witness(workload, problems)
            against_own_snapshots(workload, problems)
    for problem in problems:
        print(f'FAIL: {problem}')
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
