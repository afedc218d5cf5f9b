# SPDX-License-Identifier: MIT
"""Others that record the same events as refold-capture does, in the two instances that it has: trace-cmd, a plain
ftrace instance that nobody reads, perf record."""
import contextlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'live'))
import machine  # noqa: E402 (found through the line above)

INSTANCES = {kind: f'refold-bench-{kind}-{os.getpid()}' for kind in ('task', 'system')}
# A shell that has the kernel follow it and what it starts, and becomes the command.
FOLLOWED = ['/bin/sh', '-c', f'echo 1 >{machine.TRACING}/instances/{INSTANCES["task"]}/options/event-fork; '
            f'echo $$ >{machine.TRACING}/instances/{INSTANCES["task"]}/set_event_pid; exec "$@"', 'sh']


def split(events):
    """(instance, system, event, name) of those that can be switched on by name."""
    for name in events:
        where, system, event = name.split(':')
        if system not in ('ftrace', 'kprobes'):     # the marker is always on
            yield where, system, event, name


def trace_cmd(events, filters, output, command):
    """The same two sets of events, each in an instance of its own. The kernel's function tracer stays untouched
    (-d -k): where it is locked down, trace-cmd fails otherwise. -C and -b count for the instance named before.
    trace-cmd does not follow children in an instance, so the load asks for that itself before it begins."""
    arguments = ['trace-cmd', 'record', '-q', '-d', '-k', '--compression', 'zstd', '-o', output]
    for kind, instance in INSTANCES.items():
        arguments += ['-B', instance, '-C', 'mono', '-b', '32768']
        for where, system, event, name in split(events):
            if where == kind:
                arguments += ['-e', f'{system}:{event}']
                if name in filters:
                    arguments += ['-f', filters[name]]
    try:
        return subprocess.run(arguments + FOLLOWED + command, check=True, stdout=subprocess.PIPE, text=True).stdout
    finally:
        for instance in INSTANCES.values():
            path = f'{machine.TRACING}/instances/{instance}'
            if os.path.isdir(path):
                os.rmdir(path)


def events_in(output):
    report = subprocess.run(['trace-cmd', 'report', '-i', output], stdout=subprocess.PIPE, check=True)
    return report.stdout.count(b'\n')


@contextlib.contextmanager
def plain_instances(events, filters):
    """Both, switched on; a command of FOLLOWED is recorded in them, over and over in 16 MiB a CPU."""
    paths = {kind: f'{machine.TRACING}/instances/{name}' for kind, name in INSTANCES.items()}
    try:
        for kind, path in paths.items():
            os.mkdir(path)
            machine.write(f'{path}/tracing_on', '0')
            machine.write(f'{path}/options/stacktrace', '0')
            machine.write(f'{path}/trace_clock', 'mono')
            machine.write(f'{path}/buffer_size_kb', '16384' if kind == 'task' else '4096')
        machine.write(f'{paths["task"]}/set_event_pid', '1')    # nobody, until FOLLOWED says whom
        for where, system, event, name in split(events):
            if name in filters:
                machine.write(f'{paths[where]}/events/{system}/{event}/filter', filters[name])
            machine.write(f'{paths[where]}/events/{system}/{event}/enable', '1')
        for path in paths.values():
            machine.write(f'{path}/tracing_on', '1')
        yield
    finally:
        for path in paths.values():
            if os.path.isdir(path):
                os.rmdir(path)


def perf_record(perf, events, filters, output, command):
    """Of the task's events only: perf has no second set for the whole system."""
    arguments = [perf, 'record', '-q', '-m', '4096', '-o', output]
    for where, system, event, name in split(events):
        if where == 'task':
            arguments += ['-e', f'{system}:{event}']
            if name in filters:
                arguments += ['--filter', filters[name]]
    return subprocess.run(arguments + ['--'] + command, check=True, stdout=subprocess.PIPE, text=True).stdout
