# SPDX-License-Identifier: MIT
"""One table of how fast traces are replayed: against a bare walk over the same events as ring-buffer pages, against
trace-cmd's reports of the same events, several policies against one, what starting costs and what a trace of a machine
that did little; and what machines, and whole replays, do of much memory in whole blocks. Each is the median of RUNS
runs, taken in turns with what it is compared with, because machines are not as fast at one minute as at another; where
a ratio is meant, it is one of CPU time, which others on the machine disturb least. The load is a storm of compiles and
small processes, without snapshots.

    speed_table.py BUILD_ROOT SOURCE_ROOT [TRACE]        TRACE: instead of the storm
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'live'))
import large_folios_trace  # noqa: E402 (beside this file)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'growth'))
import growth  # noqa: E402 (found through the line above)
import machine  # noqa: E402 (found through the one before)
import peers  # noqa: E402 (likewise)
import replay_speed  # noqa: E402 (likewise)

RUNS = 3
ONE, TWO, FOUR = 'linux-7.3', 'linux-7.3,linux-6.12', 'linux-6.8,contpte-v3,linux-6.12,linux-7.3'


class Took:
    """Seconds and CPU seconds of a command, MiB it had at most."""

    def __init__(self, *command):
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.monotonic() - begin
        machine.require(child.returncode == 0, f'{" ".join(command)}: exit code {child.returncode}')
        self.cpu, self.mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def in_turns(*commands):
    """Of each command, its runs; first of each once, then of each a second time."""
    runs = [[Took(*command) for command in commands] for _ in range(RUNS)]
    return list(zip(*runs))


def median(runs, what):
    return statistics.median(getattr(run, what) for run in runs)


def ratio(runs, others, what='cpu'):
    return statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(runs, others))


def row(what, value, more=''):
    print(f'{what:<58} {value:>16}  {more}'.rstrip(), flush=True)


class Table:
    def __init__(self, programs, build_root, directory, trace):
        self.programs, self.build_root, self.trace = programs, build_root, trace
        self.report = os.path.join(directory, 'report.json')
        self.directory = directory

    def replay(self, trace, policies, *before):
        return [*before, self.programs.refold, 'replay', '-q', trace, '-p', policies, '-o', self.report]

    def walked(self):
        """Events a second of the bare walk, as the decoder's benchmark has it; None: it was built without."""
        said = self.programs.run(os.path.join(self.build_root, 'tests', 'bench', 'decode_speed'), self.trace).stdout
        found = re.search(r'bare kbuffer walk ([\d.]+) M/s', said)
        return float(found[1]) * 1e6 if found else None

    def storm(self):
        records = json.loads(self.programs.run(*self.replay(self.trace, ONE)[:-1], '-').stdout)
        records = records['trace']['records']
        walks, singles, doubles = [], [], []
        for _ in range(RUNS):
            walks.append(self.walked())
            singles.append(Took(*self.replay(self.trace, ONE, 'taskset', '-c', '0')))
            doubles.append(Took(*self.replay(self.trace, ONE)))
        row('replay, one policy, one CPU, of its CPU time', f'{records / median(singles, "cpu") / 1e6:.2f} M/s',
            f'{records} records, {median(singles, "mib"):.0f} MiB')
        row('replay, one policy, all CPUs', f'{records / median(doubles, "seconds") / 1e6:.2f} M/s')
        if walks[0]:
            row('bare kbuffer walk of the same events, one CPU', f'{statistics.median(walks) / 1e6:.1f} M/s')
            row('  of a bare kbuffer walk, one CPU', self.of_walk(records, walks, singles, 'cpu'))
            row('  of a bare kbuffer walk, all CPUs', self.of_walk(records, walks, doubles, 'seconds'))
        self.several()

    def several(self):
        """More policies, and more to tell of one."""
        names = [line.split()[0] for line in self.programs.run(self.programs.refold, 'policies').stdout.splitlines()]
        one, four, sixteen, many, shared = in_turns(
            self.replay(self.trace, ONE), self.replay(self.trace, FOUR), self.replay(self.trace, ','.join(names[:16])),
            self.replay(self.trace, ','.join(names[:27])), [*self.replay(self.trace, ONE), '--by', 'vma,call'])
        row('CPU time of 4 policies, of one', f'{ratio(four, one):.2f}x')
        row('CPU time of 16 policies, of one', f'{ratio(sixteen, one):.2f}x')
        row('CPU time of 27 policies, of one', f'{ratio(many, one):.2f}x', f'{median(many, "mib"):.0f} MiB')
        row('CPU time of one with --by vma,call', f'{ratio(shared, one):.2f}x', f'{median(shared, "mib"):.0f} MiB')

    @staticmethod
    def of_walk(records, walks, runs, what):
        return f'{statistics.median(records / getattr(run, what) / walk for run, walk in zip(runs, walks)):.2f}x'

    def small(self):
        sample = os.path.join(self.programs.samples, 'python.mmt.zst')
        replayed, told = in_turns(self.replay(sample, ONE), [self.programs.refold, 'info', self.trace])
        row('replay of a small trace (samples/python)', f'{median(replayed, "cpu") * 1e3:.0f} ms CPU',
            f'{median(replayed, "mib"):.0f} MiB')
        row('info of the storm', f'{median(told, "cpu") * 1e3:.0f} ms CPU')

    def blocks(self):
        said = self.programs.run(os.path.join(self.build_root, 'tests', 'bench', 'machine_speed')).stdout
        for name, speeds in re.findall(r'(\S+) +10 GiB of 64K folios, M entries/s: (.*)', said):
            row(f'10 GiB in whole blocks, {name}, M entries/s', re.sub(' +', ' ', speeds))

    def large_folios(self):
        """The same, and fork and exit, from a trace: to the tracker belongs what is not each policy's."""
        text, trace = (os.path.join(self.directory, name) for name in ('large.txt', 'large.mmt.zst'))
        # In a process of its own: what a child is said to have used begins with the size of the process that made it.
        self.programs.run(sys.executable, large_folios_trace.__file__, text)
        self.programs.run(self.programs.refold, 'assemble', text, '-o', trace)
        one, two = in_turns(self.replay(trace, ONE), self.replay(trace, TWO))
        tracker = statistics.median(2 * a.mib - b.mib for a, b in zip(one, two)) * (1 << 20)
        row('whole replay of 10 GiB of 64K folios, M entries/s',
            f'{large_folios_trace.CHANGED / median(one, "cpu") / 1e6:.0f}', f'{median(one, "mib"):.0f} MiB')
        row('  the tracker, bytes an entry', f'{tracker / large_folios_trace.MAPPED:.1f}')
        machines = statistics.median(b.mib - a.mib for a, b in zip(one, two)) * (1 << 20)
        row('  a machine, bytes an entry', f'{machines / large_folios_trace.MAPPED:.1f}')

    def reuse(self):
        """Write faults on pages that are the process's own again, when many others have come and gone."""
        def trace(faults):
            what = growth.Trace()
            what.process(100, [growth.WHOLE], [growth.pte(0x100000000 + (part << 24), 0x100000 + (part << 12), 4096)
                                               for part in range(16)])
            what.process(200, [growth.WHOLE])
            for child in range(20000):
                what.fork(200, 1000 + child)
                what.exit(1000 + child)
            what.fork(100, 999)
            what.exit(999)
            for page in range(faults):
                what.record(100, f'fault addr={0x100000000 + (page << 12):#x} flags=0x3')
            text, path = (os.path.join(self.directory, f'{faults}.{end}') for end in ('txt', 'mmt.zst'))
            machine.write(text, what.text())
            self.programs.run(self.programs.refold, 'assemble', text, '-o', path)
            return self.replay(path, ONE)

        with_faults, without = in_turns(trace(65536), trace(0))
        row('65,536 reuse faults after 20,000 processes',
            f'{(median(with_faults, "cpu") - median(without, "cpu")) * 1e3:.0f} ms CPU')

    def recorder(self):
        """What snapshots of what ends cost the recorder, where little else happens."""
        def cpu(*options):
            self.programs.run(self.programs.capture, '-q', *options, '-o', trace, '--', '/bin/sh', '-c',
                              'for process in $(seq 300); do /bin/true; done')
            dumped = self.programs.run('/bin/sh', '-c', f'{self.programs.refold} dump {trace} | grep " recorder "')
            return int(dumped.stdout.rsplit(' cpu_ns=', 1)[1].split()[0])

        if os.geteuid() != 0 or not os.path.isdir(f'{machine.TRACING}/events'):
            row('recorder with exit snapshots', 'not here')
            return
        trace = os.path.join(self.directory, 'recorder.mmt.zst')
        ratios = [cpu() / cpu('--exit-snapshots=none') for _ in range(RUNS)]
        row('recorder CPU with exit snapshots, of without', f'{statistics.median(ratios):.2f}x', '300 processes')

    def trace_cmd(self):
        """The same events as trace-cmd records and reports them, and imported."""
        if os.geteuid() != 0 or not shutil.which('trace-cmd'):
            row('trace-cmd', 'not here')
            return
        own, peer, imported = (os.path.join(self.directory, name) for name in ('own.mmt.zst', 'peer.dat', 'i.mmt.zst'))
        load = ['/bin/sh', '-c', 'for process in $(seq 1000); do /bin/true; done']
        replay_speed.record_bare(self.programs, own, *load)
        header = json.loads(self.programs.run(self.programs.refold, 'info', '-j', own).stdout)['header']
        peers.trace_cmd(header['events'], header['filters'], peer, load)
        events = peers.events_in(peer)
        bring = [self.programs.refold, 'import', peer, '-o', imported]
        self.programs.run(*bring)
        reported, brought, replayed, ours = in_turns(['trace-cmd', 'report', '-i', peer], bring,
                                                     self.replay(imported, ONE), self.replay(own, ONE))
        row('replay, against trace-cmd report of the same events', f'{ratio(reported, replayed):.1f}x faster',
            f'{events} events')
        row('import', f'{events / median(brought, "cpu") / 1e6:.2f} M/s')
        row('replay of what was imported, of a recording', f'{ratio(replayed, ours):.2f}x CPU', 'of the same load')


def main():
    build_root, source_root, *traces = sys.argv[1:]
    programs = machine.Programs(build_root, source_root)
    with machine.work_directory('speed_table') as directory:
        trace = traces[0] if traces else replay_speed.choose_trace(programs, source_root, directory)
        table = Table(programs, build_root, directory, trace)
        table.storm()
        table.small()
        table.blocks()
        table.large_folios()
        table.reuse()
        table.recorder()
        table.trace_cmd()


main()
