# SPDX-License-Identifier: MIT
"""What a recorder tells others: metrics for a monitor, labels, a trace through a pipe.

    telling.py BUILD_ROOT SOURCE_ROOT CASE
"""
import os
import re
import subprocess
import sys

import machine
from recorder import Bench


def values_of(path):
    """{metric: value}, of a file that is whole."""
    text = machine.read(path)
    machine.require(text.endswith('# EOF'), f'whole: {text}')
    found = re.findall(r'^refold_capture_(\w+)\{host="a\\"b",run="7"\} (\S+)$', text, re.MULTILINE)
    machine.require(len(found) == text.count('# TYPE'), f'a value for each: {text}')
    return {name: float(value) for name, value in found}


def metrics(bench):
    """Once a second, by rename; at the end what the recorder says itself. Labels in header, report and table."""
    path = bench.path('refold.prom')
    with bench.recorded_spin('--metrics', path, '--label', 'host=a"b', '--label', 'run=7') as recorder:
        machine.wait_for(lambda: os.path.exists(path), 'the file')
        first = values_of(path)
        inode = os.stat(path).st_ino
        machine.wait_for(lambda: os.stat(path).st_ino != inode, 'another')
        second = values_of(path)
        recorder.send_signal(2)
        bench.wait_end(recorder, 0)
    last = values_of(path)
    print(first, second, last, sep='\n')
    machine.require(first['running'] == second['running'] == 1 and last['running'] == 0, 'whether it runs')
    machine.require(first['events_total'] < second['events_total'] <= last['events_total'], 'it grows')
    machine.require(os.stat(path).st_mode & 0o777 == 0o644, 'for a monitor to read')
    machine.require(last['trace_bytes'] == os.path.getsize(bench.trace), 'the size of the trace')
    report, _ = bench.replay()
    machine.require(report['trace']['labels'] == {'host': 'a"b', 'run': '7'}, 'labels in the report')
    machine.require(report['trace']['lost_events'] == last['lost_events_total'], 'losses')
    for arguments in (('info', bench.trace), ('replay', '-p', 'linux-6.12', bench.trace)):
        text = bench.programs.run(bench.programs.refold, *arguments).stdout
        machine.require(re.search(r'^labels .*run.*7', text, re.MULTILINE), f'labels of refold {arguments[0]}')
    machine.require(sorted(os.listdir(bench.directory)) == ['pid', 'refold.prom', 'report.json', 'said', 't.mmt.zst'],
                    'nothing else is left')


def metrics_left(bench):
    """What a recorder that was killed had in the making is removed by the next one, and by cleanup: nothing but that."""
    path = bench.path('refold.prom')
    for how in ('next', 'cleanup'):
        for name in ('refold.prom', 'refold.prom.new', 'other.prom.new'):
            machine.write(bench.path(name), 'half')
        if how == 'next':
            bench.programs.record(bench.trace, '/bin/true', options=('--metrics', path))
        else:
            said = bench.programs.run(bench.programs.capture, 'cleanup', path, bench.path('none.prom')).stdout
            machine.require(f'removed file {path}.new' in said and 'none' not in said and 'other' not in said, said)
        left = sorted(name for name in os.listdir(bench.directory) if '.prom' in name)
        machine.require(left == ['other.prom.new', 'refold.prom'], f'after {how} there are {left}')
        machine.require((machine.read(path) == 'half') == (how == 'cleanup'), 'what is in its place stays')
    os.mkdir(path + '.new')
    result = bench.programs.run(bench.programs.capture, 'cleanup', path, expect=1)
    machine.require('cannot be removed' in result.stderr and os.path.isdir(path + '.new'), 'not what is no file')


def metrics_fail(bench):
    """Where they cannot be written, it is said once, and recorded all the same."""
    result = bench.programs.run(bench.programs.capture, '-t', '2.5', '--metrics', bench.path('no/such/m'), '-o',
                                bench.trace, '--', '/bin/sleep', '9')
    machine.require(result.stderr.count('no metrics') == 1, result.stderr)


# A program whose standard output is a socket, copied to ours.
SOCKET = '''
import socket, subprocess, sys
ours, its = socket.socketpair()
child = subprocess.Popen(sys.argv[1:], stdout=its)
its.close()
while data := ours.recv(65536):
    sys.stdout.buffer.write(data)
sys.exit(child.wait())
'''


def standard_output(bench):
    """-o -: a pipe or a socket, as of ssh; the command's output goes elsewhere. Not a file."""
    copy, command = bench.path('copy'), ['--', '/bin/sh', '-c', 'echo said by the command; /bin/true']
    for how in ('pipe', 'socket'):
        with open(copy, 'wb') as file:
            capture = [bench.programs.capture, '-o', '-', *command]
            if how == 'pipe':
                recorder = subprocess.Popen(capture, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                reader = subprocess.Popen(['cat'], stdin=recorder.stdout, stdout=file)
                recorder.stdout.close()
            else:
                recorder = subprocess.Popen([sys.executable, '-c', SOCKET, *capture], stdout=file,
                                            stderr=subprocess.PIPE)
                reader = None
            said = recorder.stderr.read().decode()
            machine.require(recorder.wait() == 0, said)
            if reader:
                reader.wait()
        print(f'{how}: {os.path.getsize(copy)} bytes; {said}')
        machine.require('said by the command' in said and b'said by' not in open(copy, 'rb').read(), 'not mixed')
        bench.trace = copy
        report, _ = bench.replay()
        machine.require(report['complete'] and report['trace']['lost_events'] == 0, 'a whole trace')
        machine.require(report['fidelity']['ptes'] > 0, 'with snapshots')
    with open(bench.path('file'), 'wb') as file:
        result = subprocess.run([bench.programs.capture, '-o', '-', *command], stdout=file, stderr=subprocess.PIPE,
                                text=True, check=False)
    machine.require(result.returncode == 1 and result.stderr.count('\n') == 1, f'a file is refused: {result.stderr}')
    bench.no_instance_left()


CASES = {case.__name__: case for case in (metrics, metrics_left, metrics_fail, standard_output)}


def main():
    build_root, source_root, name = sys.argv[1:]
    machine.need_live_kernel()
    with machine.work_directory(f'telling-{name}') as directory:
        CASES[name](Bench(machine.Programs(build_root, source_root), directory))


if __name__ == '__main__':
    main()
