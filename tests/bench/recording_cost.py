# SPDX-License-Identifier: MIT
"""What recording costs whom: the added time of a fault and of an unmapped page, against a plain ftrace instance with
the same events that nobody reads and against perf record, where there is one; CPU time of the recorder per million
events against trace-cmd with zstd. All take turns on one CPU, round by round, and the median of the rounds counts.

    recording_cost.py BUILD_ROOT SOURCE_ROOT
"""
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys

import peers
import machine

ROUNDS = 5
MIB, TURNS = '16', '100'


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e9


class Costs:
    def __init__(self, programs, directory):
        self.programs = programs
        self.load = [os.path.join(os.path.dirname(programs.truth), '..', 'bench', 'faults'), MIB, TURNS]
        self.trace, self.peer = os.path.join(directory, 't.mmt.zst'), os.path.join(directory, 'trace.dat')
        self.perf = shutil.which('perf')
        self.trace_cmd = shutil.which('trace-cmd')
        self.recorded = self.events = self.filters = None

    def by_capture(self, load):
        """What the load says; the recorder's CPU time in ns, of all its threads, and for how many events."""
        said = self.programs.run(self.programs.capture, '-q', '--exit-snapshots=none', '-o', self.trace, '--',
                                 *load).stdout
        dumped = self.programs.run('/bin/sh', '-c',
                                   f'{self.programs.refold} dump {self.trace} | grep " recorder "').stdout
        info = json.loads(self.programs.run(self.programs.refold, 'info', '-j', self.trace).stdout)
        self.events, self.filters = info['header']['events'], info['header']['filters']
        self.recorded = info['records']
        return said, (int(dumped.rsplit(' cpu_ns=', 1)[1].split()[0]), info['records'])

    def by_trace_cmd(self, load):
        before = cpu_of_children()
        said = peers.trace_cmd(self.events, self.filters, self.peer, load)
        cost = cpu_of_children() - before - float(said.split()[2])
        return said, (cost, peers.events_in(self.peer))

    def by_plain_instance(self, load):
        with peers.plain_instances(self.events, self.filters):
            return self.programs.run(*peers.FOLLOWED, *load).stdout, None

    def by_perf(self, load):
        return peers.perf_record(self.perf, self.events, self.filters, self.peer, load), None

    def measure(self):
        kinds = {'nobody': lambda load: (self.programs.run(*load).stdout, None), 'refold-capture': self.by_capture,
                 'plain ftrace': self.by_plain_instance}
        if self.trace_cmd:
            kinds['trace-cmd'] = self.by_trace_cmd
        if self.perf:
            kinds['perf record'] = self.by_perf
        found = {kind: ([], [], []) for kind in kinds}
        self.by_capture(self.load)      # which events there are
        for _ in range(ROUNDS):
            for kind, record in kinds.items():
                said, cost = record(self.load)
                values = said.split()
                # What it takes to begin and to end is the same for little.
                if cost:
                    _, least = record([self.load[0], '1', '1'])
                    cost = (cost[0] - least[0]) / (cost[1] - least[1]) / 1e3
                for series, value in zip(found[kind], (float(values[0]), float(values[1]), cost)):
                    series.append(value)
        return {kind: [statistics.median(series) if series[0] is not None else None for series in all_of]
                for kind, all_of in found.items()}


def main():
    build_root, source_root = sys.argv[1:]
    machine.need_live_kernel()
    with machine.work_directory('recording_cost') as directory:
        costs = Costs(machine.Programs(build_root, source_root), directory)
        found = costs.measure()
        base = found['nobody']
        added = {kind: [values[i] - base[i] for i in (0, 1)] for kind, values in found.items()}
        for kind, values in found.items():
            more = f', +{added[kind][0]:.0f} and +{added[kind][1]:.0f}' if kind != 'nobody' else ''
            cpu = f'; {values[2]:.3f} s of CPU per million events' if values[2] is not None else ''
            print(f'{kind}: {values[0]:.0f} ns a fault, {values[1]:.0f} ns an unmapped page{more}{cpu}')
        ours = added['refold-capture']
        for kind in set(found) - {'nobody', 'refold-capture'}:
            print(f'ratio to {kind}: a fault {ours[0] / added[kind][0]:.2f}, an unmapped page '
                  f'{ours[1] / added[kind][1]:.2f}' + (f', CPU {found["refold-capture"][2] / found[kind][2]:.2f}'
                                                       if found[kind][2] else ''))


main()
