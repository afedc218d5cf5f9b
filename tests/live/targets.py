# SPDX-License-Identifier: MIT
"""Whom a recording is about: lists of processes, control groups, containers, what a command leaves behind.

    targets.py BUILD_ROOT SOURCE_ROOT CASE
"""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import machine
import recorder
from recorder import is_running

def attach_list(bench):
    """-p: the dead and kernel threads of a list are left out, with a word; alone, they are an error."""
    dead = subprocess.Popen(['/bin/true'])
    dead.wait()
    alive = bench.programs.start(sys.executable, '-c', FORKS)
    kernel = 2      # kthreadd
    recording = bench.programs.start(bench.programs.capture, '-t', '1', '-o', bench.trace, '-p',
                                    f'{dead.pid},{kernel},{alive.pid}', said=bench.path('said'))
    bench.wait_end(recording, 0, seconds=60)
    said = machine.read(bench.path('said'))
    for pid in (dead.pid, kernel):
        machine.require(f'process {pid}: ' in said, f'nothing about {pid}: {said}')
    machine.require(alive.poll() is None, 'the recorded program must go on')
    report, _ = bench.replay()
    machine.require(report['fidelity']['ptes'] > 0, 'the living one was recorded')
    for gone in (dead.pid, kernel):
        result = bench.programs.run(bench.programs.capture, '-q', '-o', bench.path('no'), '-p', str(gone), expect=1)
        bench.one_line(result, str(gone))


def nobody_left(bench):
    """All of a list end before the recorder has found their threads (their directory cannot be opened, for once): then
    nobody is recorded, and not everybody, as the kernel has it of an empty list."""
    target = bench.programs.start(sys.executable, '-c', FORKS)
    stranger = bench.programs.start(sys.executable, '-c', FORKS)
    bench.programs.run(machine.need_program('strace'), '-f', '-q', '-o', '/dev/null', '-P', f'/proc/{target.pid}/task',
                       '-e', 'trace=openat', '-e', 'inject=openat:error=ENOENT', bench.programs.capture, '-q', '-t',
                       '1', '--exit-snapshots', 'none', '--keep', 'pid', '-o', bench.trace, '-p', str(target.pid),
                       expect=None)
    dump = bench.programs.run(bench.programs.refold, 'dump', bench.trace).stdout
    machine.require(stranger.poll() is None, 'the stranger must go on')
    # Of a -p recording strangers' rss_stat is a part, in the system's buffers.
    machine.require(not re.search(rf' tid={stranger.pid} (fault|clone|newtask) ', dump), 'a stranger was recorded')


def cgroup_roots():
    """A directory of the unified hierarchy and one of a hierarchy of v1, as far as there are any to make groups in."""
    roots = {}
    for line in machine.read('/proc/self/mounts').splitlines():
        _, where, kind = line.split()[:3]
        if kind in ('cgroup', 'cgroup2') and kind not in roots and os.access(where, os.W_OK):
            if not where.endswith('cpuset'):        # its groups take nobody before they have CPUs
                roots[kind] = where
    return roots


def cgroup(bench):
    """--cgroup and --container: who is in a group and below it, and what they start; not who is moved in later."""
    roots = cgroup_roots()
    if not roots:
        machine.skip('no control groups can be made here')
    container = f'{os.getpid():064x}'
    for kind, root in roots.items():
        top = f'{root}/refold-{os.getpid()}'
        groups = [top, f'{top}/docker-{container}.scope']
        members = [bench.programs.start(sys.executable, '-c', FORKS) for _ in range(3)]
        try:
            for group in groups:
                os.mkdir(group)
            for member, group in zip(members, groups):
                machine.write(f'{group}/cgroup.procs', member.pid)
            inside, below, late = (member.pid for member in members)
            for options, expected in ((('--cgroup', top), {inside, below}),
                                      (('--cgroup', os.path.relpath(top, root)), {inside, below}),
                                      (('--container', f'docker://{container}'), {below})):
                recording = bench.start_recording('--keep', 'pid', *options)
                bench.wait_frames()
                machine.write(f'{groups[1]}/cgroup.procs', late)
                bench.wait_frames()
                recording.send_signal(signal.SIGINT)
                bench.wait_end(recording, 0)
                machine.write(f'{root}/cgroup.procs', late)
                parents, children = followed(bench)
                print(f'{kind} {options}: {parents}, {len(children)} children')
                machine.require(parents & {inside, below, late} == expected, f'recorded {parents}, not {expected}')
                machine.require(set(children.values()) == expected, 'what they start, and nobody else, is recorded')
                os.remove(bench.trace)
        finally:
            for member in members:
                member.kill()
                member.wait()
            for group in reversed(groups):
                machine.wait_for(lambda group=group: not os.path.exists(group) or remove_group(group), 'an empty group')
    result = bench.programs.run(bench.programs.capture, '-q', '-o', bench.trace, '--cgroup', '/no/such/group', expect=1)
    bench.one_line(result, '/no/such/group')
    result = bench.programs.run(bench.programs.capture, '-q', '-o', bench.trace, '--container', 'f' * 64, expect=1)
    bench.one_line(result, 'f' * 64)
    bench.no_instance_left()


# Ends at once, and leaves a process behind that starts others until it is ended.
DAEMON = '''
import os, sys
if os.fork():
    os._exit(3)
os.setsid()
print(os.getpid(), file=open(sys.argv[1], "w"), flush=True)
exec(sys.argv[2])
'''


def daemon(bench):
    """A command that daemonises is recorded until what it left behind ends, or the recorder is told to stop."""
    for way in ('ends', 'stopped', 'over'):
        pid = bench.path(f'pid-{way}')
        options = ('-t', '8') if way == 'over' else ()
        recording = bench.programs.start(bench.programs.capture, *options, '-o', bench.trace, '--',
                                        sys.executable, '-c', DAEMON, pid, FORKS, said=bench.path('said'))
        machine.wait_for(lambda: 'live on' in machine.read(bench.path('said')), 'a word about what lives on')
        machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the daemon')
        left = int(machine.read(pid))
        try:
            bench.wait_frames()
            machine.require(recording.poll() is None, 'the recording goes on')
            if way == 'ends':
                os.kill(left, signal.SIGKILL)
            elif way == 'stopped':
                recording.send_signal(signal.SIGINT)
            bench.wait_end(recording, 0, seconds=60)
            machine.require(way == 'ends' or is_running(left), 'what is left behind is not harmed')
        finally:
            with contextlib.suppress(OSError):
                os.kill(left, signal.SIGKILL)
        said = machine.read(bench.path('said'))
        print(f'{way}: {said}')
        machine.require('exited with status 3' in said, 'the status of the command is told')
        _, children = followed(bench)
        machine.require(left in children.values(), f'what the daemon {left} starts is recorded: {children}')
        info = bench.programs.run(bench.programs.refold, 'info', '-j', bench.trace).stdout
        print(json.loads(info).get('end'))
        os.remove(bench.trace)


def remove_group(group):
    with contextlib.suppress(OSError):
        os.rmdir(group)
    return not os.path.exists(group)


# Starts a child that ends at once, again and again.
FORKS = '''
import os, time
end = time.time() + 60
while time.time() < end:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(0.02)
'''


def followed(bench):
    """Who was recorded: those it began with, and those that were born, as {child: parent}."""
    dump = bench.programs.run(bench.programs.refold, 'dump', bench.trace).stdout
    header = json.loads(dump.splitlines()[0].removeprefix('header '))
    return set(header['pids']), {int(child): int(parent) for child, parent
                                 in re.findall(r' task_fork pid=(\d+) parent_pid=(\d+)', dump)}


if __name__ == '__main__':
    recorder.main((attach_list, nobody_left, cgroup, daemon))
