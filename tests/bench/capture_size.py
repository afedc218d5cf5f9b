# SPDX-License-Identifier: MIT
"""How large a recording is, against `trace-cmd record --compression zstd` of the
same events (same filters, same clock) of the same load: compiles and a storm of
small processes.

    capture_size.py BUILD_ROOT SOURCE_ROOT
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'live'))
import machine  # noqa: E402 (found through the line above)

ROUNDS = 10
INSTANCES = {'task': 'refold-bench-task', 'system': 'refold-bench-system'}


def storm(programs, directory):
    """A shell script: compile, then 60 processes that do nothing, ROUNDS times."""
    source, script = os.path.join(directory, 'source.c'), os.path.join(directory, 'storm.sh')
    machine.write(source, programs.run(sys.executable, os.path.join(programs.scripts, 'generate_source.py'),
                                       '60').stdout)
    machine.write(script, f'for round in $(seq {ROUNDS}); do\n'
                          f'  gcc -O1 -c {source} -o {directory}/source.o\n'
                          f'  for process in $(seq 60); do /bin/true; done\ndone\n')
    return ['/bin/sh', script]


def trace_cmd(events, filters, output, command):
    """The same two sets of events, each in an instance of its own. The kernel's function tracer stays untouched
    (-d -k): where it is locked down, trace-cmd fails otherwise. -C and -b count for the instance named before."""
    arguments = ['trace-cmd', 'record', '-q', '-d', '-k', '--compression', 'zstd', '-o', output]
    for kind, instance in INSTANCES.items():
        arguments += ['-B', instance, '-C', 'mono', '-b', '32768']
        for name in events:
            where, system, event = name.split(':')
            if where == kind:
                arguments += ['-e', f'{system}:{event}']
                if name in filters:
                    arguments += ['-f', filters[name]]
    try:
        subprocess.run(arguments + command, check=True, stdout=subprocess.DEVNULL)
    finally:
        for instance in INSTANCES.values():
            path = f'{machine.TRACING}/instances/{instance}'
            if os.path.isdir(path):
                os.rmdir(path)
    report = subprocess.run(['trace-cmd', 'report', '-i', output], stdout=subprocess.PIPE, check=True)
    return report.stdout.count(b'\n')


def main():
    build_root, source_root = sys.argv[1:]
    machine.need_live_kernel()
    machine.need_program('trace-cmd')
    programs = machine.Programs(build_root, source_root)
    with machine.work_directory('capture_size') as directory:
        command = storm(programs, directory)
        trace, peer = os.path.join(directory, 't.mmt.zst'), os.path.join(directory, 'trace.dat')
        subprocess.run(command, check=True)
        programs.record(trace, *command)
        info = json.loads(programs.run(programs.refold, 'info', '-j', trace).stdout)
        header = info['header']
        peer_events = trace_cmd(header['events'], header.get('filters', {}), peer, command)
        size, peer_size = os.path.getsize(trace), os.path.getsize(peer)
        records = info['records']
        print(f'refold-capture: {size} bytes, {records} records, {size / records:.2f} bytes each')
        print(f'trace-cmd zstd: {peer_size} bytes, {peer_events} events, {peer_size / peer_events:.2f} bytes each')
        print(f'ratio of the files: {size / peer_size:.3f}')


main()
