# SPDX-License-Identifier: MIT
"""What the recorder may do: with just the capabilities that refold-capture(1) lists a recording works for who is not
root, with one less it says which; once it has begun, it has given up the rest.

    rights.py BUILD_ROOT SOURCE_ROOT CASE
"""
import os
import pwd
import re
import subprocess
import sys

import machine
from recorder import Bench, SPIN

NOBODY = 'nobody'
SHOW = 'id -un; grep -E "^Cap(Prm|Eff|Amb)" /proc/self/status; env | grep -E "^(HOME|USER|LOGNAME)="'
NONE = '0' * 16
BITS = {'CAP_DAC_OVERRIDE': 1, 'CAP_DAC_READ_SEARCH': 2, 'CAP_KILL': 5, 'CAP_SYS_PTRACE': 19, 'CAP_SYS_ADMIN': 21,
        'CAP_SYS_NICE': 23}

# What refold-capture(1) lists, by what is recorded; False: without it, a recording goes on, and says so.
COMMAND = {'CAP_SYS_ADMIN': True, 'CAP_DAC_OVERRIDE': True}
OTHERS = COMMAND | {'CAP_SYS_PTRACE': True, 'CAP_SYS_NICE': False}
USER = COMMAND | {'CAP_SYS_PTRACE': True, 'CAP_SETUID': True, 'CAP_SETGID': True, 'CAP_KILL': False}


class Rights(Bench):
    def run_as_nobody(self, capabilities, *arguments, expect=0):
        """refold-capture by nobody with these capabilities; what was said to both outputs."""
        names = ','.join(['-all'] + ['+' + name[4:].lower() for name in capabilities])
        return self.programs.run(machine.need_program('setpriv'), '--reuid', NOBODY, '--regid', self.group(),
                                 '--clear-groups', '--inh-caps', names, '--ambient-caps', names, '--bounding-set',
                                 names, self.programs.capture, *arguments, expect=expect)

    def record(self, capabilities, *arguments, expect=0):
        return self.run_as_nobody(capabilities, '-o', self.trace, *arguments, expect=expect)

    @staticmethod
    def group():
        return str(pwd.getpwnam(NOBODY).pw_gid)

    def judge(self, listed, *arguments):
        """All of them, then without each."""
        result = self.record(listed, *arguments)
        print(result.stdout, result.stderr)
        machine.require('missing' not in result.stderr and 'warning' not in result.stderr, 'nothing is missing')
        report, _ = self.replay()
        fidelity = report['fidelity']
        machine.require(fidelity['ptes'] > 50 and fidelity['order'] >= 0.99 * fidelity['ptes'],
                        f'snapshots that fit: {fidelity}')
        shown = result.stdout
        for name, needed in listed.items():
            result = self.record([other for other in listed if other != name], *arguments, expect=1 if needed else 0)
            lines = [line for line in result.stderr.splitlines() if name in line]
            print(f'without {name}: {lines}')
            machine.require(len(lines) == 1 and 'missing' in lines[0], f'one line says that {name} is missing')
            machine.require(len(result.stderr.splitlines()) == 1 or not needed, 'and that is all')
        self.no_instance_left()
        return shown


def listed(rights):
    """Nobody, with what the manual lists."""
    os.chmod(rights.directory, 0o755)
    os.chown(rights.directory, pwd.getpwnam(NOBODY).pw_uid, -1)
    if subprocess.run([machine.need_program('setpriv'), '--reuid', NOBODY, '--regid', rights.group(), '--clear-groups',
                       rights.programs.capture, '--version'], check=False, capture_output=True).returncode:
        machine.skip(f'{NOBODY} may not run {rights.programs.capture}')
    shown = rights.judge(COMMAND, '--', '/bin/sh', '-c', SHOW)
    machine.require(NOBODY in shown and shown.count(NONE) == 3, 'the command has no capability')
    shown = rights.judge(USER, '--user', 'daemon', '--', '/bin/sh', '-c', SHOW)
    machine.require('daemon\n' in shown and shown.count(NONE) == 3 and 'USER=daemon' in shown, 'it is the user')
    target = rights.programs.start(sys.executable, '-c', SPIN, rights.path('pid'))
    machine.wait_for(lambda: os.path.exists(rights.path('pid')), 'the program to be recorded')
    rights.judge(OTHERS, '-t', '0.5', '-p', str(target.pid))
    result = rights.record([], '--', '/bin/true', expect=1)
    rights.one_line(result, *COMMAND)


def diagnosed(rights):
    """The doctor names each that is missing, and what becomes of recordings."""
    every = {'CAP_SYS_ADMIN': 'bad', 'CAP_DAC_OVERRIDE': 'bad', 'CAP_SYS_PTRACE': 'less', 'CAP_SETUID': 'less',
             'CAP_SETGID': 'less', 'CAP_KILL': 'less', 'CAP_SYS_NICE': 'less'}

    def lines(capabilities):
        said = rights.run_as_nobody(capabilities, 'doctor', expect=None).stdout
        return [line.split()[:2] for line in said.splitlines() if re.match(r'\w+ +(CAP_|rights)', line)]

    implied = 'CAP_DAC_READ_SEARCH'     # by CAP_DAC_OVERRIDE
    machine.require(lines(every) == [['ok', 'rights']], 'nothing is missing')
    for name, verdict in every.items():
        found = lines([implied] + [other for other in every if other != name])
        print(f'without {name}: {found}')
        machine.require(found == [[verdict, name]], f'{verdict} {name}')
    machine.require([name for _, name in lines([])] == ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH',
                                                        'CAP_SYS_PTRACE', 'CAP_SETUID', 'CAP_SETGID', 'CAP_KILL',
                                                        'CAP_SYS_NICE'], 'all are named')


def of_owner(rights):
    """Where tracefs is somebody's, he needs no CAP_DAC_OVERRIDE."""
    options = next(line.split()[3] for line in machine.read('/proc/self/mounts').splitlines()
                   if line.split()[1] == machine.TRACING)
    given = dict(option.split('=') for option in options.split(',') if '=' in option)
    before = ','.join(f'{name}={given.get(name, value)}' for name, value in (('uid', 0), ('gid', 0), ('mode', 700)))
    few = ['CAP_SYS_ADMIN', 'CAP_DAC_READ_SEARCH']
    os.chmod(rights.directory, 0o755)
    os.chown(rights.directory, pwd.getpwnam(NOBODY).pw_uid, -1)
    rights.one_line(rights.record(few, '--', '/bin/true', expect=1), 'CAP_DAC_OVERRIDE')
    subprocess.run(['mount', '-o', f'remount,uid={pwd.getpwnam(NOBODY).pw_uid}', machine.TRACING], check=True)
    try:
        result = rights.record(few, '--', '/bin/sh', '-c', SHOW, expect=None)
        print(result.stdout, result.stderr)
        machine.require(not result.returncode and 'missing' not in result.stderr, 'it records')
        report, _ = rights.replay()
        machine.require(report['complete'] and report['fidelity']['order'] > 50, 'and well')
    finally:
        subprocess.run(['mount', '-o', f'remount,{before}', machine.TRACING], check=True)
    rights.no_instance_left()


def user(rights):
    """--user by root; a name that nobody has."""
    account = pwd.getpwnam(NOBODY)
    result = rights.programs.run(rights.programs.capture, '-o', rights.trace, '--user', NOBODY, '--', '/bin/sh', '-c',
                                 SHOW)
    print(result.stdout)
    for word in (f'{NOBODY}\n', f'HOME={account.pw_dir}\n', f'USER={NOBODY}\n', f'LOGNAME={NOBODY}\n'):
        machine.require(word in result.stdout, word)
    machine.require(result.stdout.count(NONE) == 3, 'no capability')
    report, _ = rights.replay()
    machine.require(report['fidelity']['order'] == report['fidelity']['ptes'] > 0, 'page tables of another user')
    os.remove(rights.trace)
    result = rights.programs.run(rights.programs.capture, '-o', rights.trace, '--user', 'no such user', '--',
                                 '/bin/true', expect=1)
    rights.one_line(result, 'no such user')
    machine.require(not os.path.exists(rights.trace), 'nothing is written')


def threads_of(pid):
    """(capabilities, no_new_privs, seccomp mode) of each thread."""
    found = []
    for tid in os.listdir(f'/proc/{pid}/task'):
        status = machine.read(f'/proc/{pid}/task/{tid}/status')
        both = set(re.findall(r'^Cap(?:Prm|Eff):\t(\w+)', status, re.MULTILINE))
        machine.require(len(both) == 1, f'what is permitted is effective: {both}')
        found.append((int(both.pop(), 16), re.search(r'NoNewPrivs:\t(\d)', status)[1],
                      re.search(r'Seccomp:\t(\d)', status)[1]))
    return found


def given_up(rights):
    """What a recorder has left while it records, and that rings are read by threads that can do nothing else."""
    most = sum(1 << bit for bit in BITS.values()) & ~(1 << BITS['CAP_DAC_OVERRIDE'])
    with rights.recorded_spin() as recorder:
        rights.wait_frames()
        threads = threads_of(recorder.pid)
        for capabilities, no_new, seccomp in threads:
            print(f'{capabilities:016x}, no_new_privs {no_new}, seccomp {seccomp}')
        machine.require(all(no_new == '1' for _, no_new, _ in threads), 'none gains anything by an exec')
        machine.require(all(not capabilities & ~most for capabilities, _, _ in threads), 'what is not needed is gone')
        drains = [capabilities for capabilities, _, seccomp in threads if seccomp == '2']
        machine.require(len(drains) >= os.cpu_count() and not any(drains), 'those that drain have nothing')
        command = threads_of(int(machine.read(rights.path('pid'))))
        machine.require(command[0][1] == '0', 'the command is as it was')
        recorder.send_signal(2)
        rights.wait_end(recorder, 0)
    report, _ = rights.replay()
    machine.require(report['complete'] and report['fidelity']['ptes'] > 0, 'the end needs no more than was left')
    rights.no_instance_left()


CASES = {case.__name__: case for case in (listed, diagnosed, of_owner, user, given_up)}


def main():
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    with machine.work_directory(name) as directory:
        CASES[name](Rights(machine.Programs(build_root, source_root), directory))


if __name__ == '__main__':
    main()
