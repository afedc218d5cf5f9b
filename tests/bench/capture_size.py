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

import peers
import machine

ROUNDS = 40


def storm(programs, directory):
    """A shell script: compile, then 60 processes that do nothing, ROUNDS times."""
    source, script = os.path.join(directory, 'source.c'), os.path.join(directory, 'storm.sh')
    machine.write(source, programs.run(sys.executable, os.path.join(programs.scripts, 'generate_source.py'),
                                       '60').stdout)
    machine.write(script, f'for round in $(seq {ROUNDS}); do\n'
                          f'  gcc -O1 -c {source} -o {directory}/source.o\n'
                          f'  for process in $(seq 60); do /bin/true; done\ndone\n')
    return ['/bin/sh', script]


def main():
    build_root, source_root = sys.argv[1:]
    machine.need_live_kernel()
    machine.need_program('trace-cmd')
    programs = machine.Programs(build_root, source_root)
    with machine.work_directory('capture_size') as directory:
        command = storm(programs, directory)
        subprocess.run(command, check=True)
        sizes = {}
        for name, options in (('without exit snapshots', ['--exit-snapshots=none']), ('as is, with snapshots', [])):
            trace = os.path.join(directory, 't.mmt.zst')
            programs.run(programs.capture, '-q', *options, '-o', trace, '--', *command)
            info = json.loads(programs.run(programs.refold, 'info', '-j', trace).stdout)
            sizes[name] = os.path.getsize(trace)
            print(f'refold-capture, {name}: {sizes[name]} bytes, {info["records"]} records, '
                  f'{sizes[name] / info["records"]:.2f} bytes each')
        peer = os.path.join(directory, 'trace.dat')
        peers.trace_cmd(info['header']['events'], info['header']['filters'], peer, command)
        events = peers.events_in(peer)
        peer_size = os.path.getsize(peer)
        print(f'trace-cmd, zstd: {peer_size} bytes, {events} events, {peer_size / events:.2f} bytes each')
        for name, size in sizes.items():
            print(f'ratio, {name}: {size / peer_size:.3f}')


main()
