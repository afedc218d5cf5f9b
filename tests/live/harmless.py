# SPDX-License-Identifier: MIT
"""What recording does to the programs that are recorded: nothing that outlives recorder and keeper, and debuggers among
them work.

    harmless.py BUILD_ROOT SOURCE_ROOT CASE
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

import machine
import recorder
from recorder import is_running

# Once told to, does what a filter without its listener makes fail; says how each went.
SURVIVOR = '''
import ctypes, os, subprocess, sys, time
print(os.getpid(), file=open(sys.argv[1], "w"), flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
def status(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
class Area(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
libc, there, here = ctypes.CDLL(None), ctypes.create_string_buffer(b"read", 8), ctypes.create_string_buffer(8)
local, remote = Area(ctypes.addressof(here), 8), Area(ctypes.addressof(there), 8)
said = {}
said["process_vm_readv"] = libc.process_vm_readv(os.getpid(), ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) - 8
child = os.fork()
if not child:
    os._exit(0)
said["fork"] = os.waitpid(child, 0)[1]
for name, command in (("strace", ("strace", "-f", "-o", "/dev/null", "/bin/sh", "-c", "/bin/true")),
                      ("gdb", ("gdb", "-q", "-batch", "-ex", "run", "-ex", "quit $_exitcode", "/bin/true"))):
    if not status("which", name):
        said[name] = status(*command)
print(said, file=open(sys.argv[2] + ".said", "w"), flush=True)
time.sleep(60)
'''


# What is asked of the recorder, and who is killed, one after the other.
DEATHS = (((), ('recorder',)), (('--iovecs',), ('recorder',)), (('--iovecs',), ('recorder', 'keeper')),
          (('--iovecs',), ('keeper', 'recorder')))


def survivors(bench):
    """Nothing of ours stays with what was recorded: not a filter, not a process. kill -9 at any time harms nobody; so
    it is for the keeper, where one is asked for, as long as it lives: after that, calls that the filter holds back
    fail, as refold-capture(1) says, and everything else goes on."""
    for number, (options, deaths) in enumerate(DEATHS):
        pid, go, keepers = bench.path(f'pid{number}'), bench.path(f'go{number}'), []
        recording = bench.start_recording(*options, '--', sys.executable, '-c', SURVIVOR, pid, go)
        try:
            machine.wait_for(lambda: os.path.exists(pid) and machine.read(pid), 'the recorded program')
            target = int(machine.read(pid))
            status = dict(line.split(':\t', 1) for line in machine.read(f'/proc/{target}/status').splitlines())
            children = machine.read(f'/proc/{recording.pid}/task/{recording.pid}/children').split()
            keepers = [int(child) for child in children if int(child) != target]
            machine.require(status['Seccomp'] == ('2' if options else '0'), f'Seccomp: {status["Seccomp"]}')
            machine.require(len(keepers) == len(options), f'{len(keepers)} processes beside the command')
            for dying in deaths:
                for process in [recording.pid] if dying == 'recorder' else keepers:
                    os.kill(process, signal.SIGKILL)
                    machine.wait_for(lambda process=process: not is_running(process), f'the end of the {dying}')
            machine.write(go, '')
            machine.wait_for(lambda: os.path.exists(f'{go}.said') and machine.read(f'{go}.said'), 'the survivor')
            said = json.loads(machine.read(f'{go}.said').replace("'", '"'))
            print(f'{options}, {deaths}: {said}')
            machine.require(not said['fork'] and is_running(target), 'the survivor lives, and starts others')
            machine.require(bool(any(said.values())) == ('keeper' in deaths), f'{deaths} killed: {said}')
            attach_from_outside(bench, target)
        finally:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(machine.read(pid)), signal.SIGKILL)
        machine.wait_for(lambda: not any(map(is_running, keepers)), 'the end of the keeper')
        os.remove(bench.trace)


def attach_from_outside(bench, target):
    for tool in (('strace', '-o', bench.path('strace'), '-p', str(target)),
                 ('gdb', '-q', '-batch', '-p', str(target))):
        if shutil.which(tool[0]):
            attached = subprocess.run(('timeout', '-s', 'INT', '5', *tool), stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, check=False)
            machine.require('not permitted' not in attached.stdout, f'{tool[0]} -p: {attached.stdout}')
        else:
            print(f'{tool[0]} is not installed')


STATIC_TRACER = '''
#include <sys/ptrace.h>
int main(void)
{
	return ptrace(PTRACE_TRACEME, 0, 0, 0) ? 1 : 7;
}
'''


def debuggers(bench):
    """strace, and a static program that is traced, work in a recorded command; a recorder without a filter says what it
    let go."""
    strace = machine.need_program('strace')
    for options, word in (((), 'let go'), (('--iovecs',), None)):
        result = bench.programs.run(bench.programs.capture, *options, '-o', bench.trace, '--', strace, '-f', '-o',
                                    bench.path('said'), '/bin/sh', '-c', '/bin/true; exit 7')
        print(result.stderr)
        machine.require('exited with status 7' in result.stderr, 'strace worked')
        machine.require((word or 'let go') in result.stderr or not word, 'who is let go is said')
        machine.require(word or 'let go' not in result.stderr, 'with a filter nobody is let go for good')
    machine.write(bench.path('tracer.c'), STATIC_TRACER)
    compiler = machine.need_program('gcc')
    built = bench.programs.run(compiler, '-static', '-o', bench.path('tracer'), bench.path('tracer.c'), expect=None)
    if built.returncode:
        print('no static C library')
        return
    os.remove(bench.trace)
    result = bench.programs.run(bench.programs.capture, '-o', bench.trace, '--', bench.path('tracer'))
    machine.require('exited with status 7' in result.stderr and 'let go' in result.stderr, result.stderr)


if __name__ == '__main__':
    recorder.main((survivors, debuggers))
