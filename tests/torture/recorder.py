# SPDX-License-Identifier: MIT
"""What refold-capture does when the nth allocation, read or write of its own fails, for each n, while it records a
small program: it says so and exits with a failure, or says in one line what it did without, or its trace is whole: the
same calls, births, ends and snapshots as ever, and a replay that agrees with the page tables of both processes. Never
does it crash or hang, and it leaves nothing behind in the kernel.

    recorder.py REFOLD REFOLD_CAPTURE FAIL_NTH.so MOST [KIND...]      of the kinds: allocation, read, write
"""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'live'))
import machine

TIMEOUT = 60
KINDS = ('allocation', 'read', 'write')
# Faults, a child, its copy of a page, a part unmapped.
PROGRAM = '''
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	for (int i = 0; i < 1 << 20; i += 4096)
		memory[i] = 1;
	if (!fork()) {
		memory[0] = 2;
		_exit(0);
	}
	wait(&status);
	munmap(memory, 1 << 19);
	return 0;
}
'''
# Of these there are as many in each recording of it.
COUNTED = ('clone', 'execve', 'exit', 'mmap', 'mmap2', 'munmap', 'newtask', 'prepare_exec', 'snap_begin', 'snap_end',
           'stop', 'task_exit')


Recorded = collections.namedtuple('Recorded', 'returncode stderr left')


class Torture:
    def __init__(self, refold, capture, preload, scratch):
        self.refold, self.capture, self.preload = refold, capture, preload
        self.program, self.trace, self.told = scratch / 'program', scratch / 't.mmt.zst', scratch / 'told'
        self.report = scratch / 'report.json'
        subprocess.run(['cc', '-static', '-x', 'c', '-', '-o', self.program], input=PROGRAM, text=True, check=True)
        self.good = self.record({})
        fault = self.judge_whole()
        if self.good.returncode or fault:
            sys.exit(f'it fails as it is: {self.good.stderr} {fault}')
        self.counts = self.counted()

    def record(self, environment):
        self.trace.unlink(missing_ok=True)
        machine.take_turn()
        process = subprocess.Popen([self.capture, '-o', self.trace, '--', self.program], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   env=os.environ | environment)
        try:
            said = process.communicate(timeout=TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        # Other people's recorders have instances of their own.
        left = [name for name in os.listdir(machine.TRACING + '/instances') if name.endswith(f'-{process.pid}')]
        return Recorded(process.returncode, said, left)

    def counted(self):
        kinds = json.loads(self.report.read_text())['traces'][0]['records_by_kind']
        return {kind: kinds.get(kind, 0) for kind in COUNTED}

    def judge_whole(self):
        """Why the trace is less than it says, or ''."""
        done = subprocess.run([self.refold, 'replay', '-q', self.trace, '-p', 'linux-6.12', '-o', self.report],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            return f'its trace cannot be replayed: {done.returncode} {done.stderr[-200:]}'
        report = json.loads(self.report.read_text())
        # What a trace says of itself is not silent.
        if report['trust']['word'] != 'exact':
            return '' if report['trust']['reasons'] or report['trust']['doubts'] else 'not exact, without a reason'
        compared = report['fidelity']['processes_compared']
        return '' if compared == 2 else f'{compared} of 2 processes compared'

    def judge(self, done):
        if done.returncode < 0 or done.returncode > 4 or 'Sanitizer' in done.stderr:
            return f'ends by {done.returncode}: {done.stderr[-200:]}'
        if done.left and 'cleanup' not in done.stderr:
            return f'leaves {", ".join(done.left)} behind'
        if done.returncode:
            return '' if done.stderr.strip() else f'says nothing, and ends with {done.returncode}'
        if 'warning' in done.stderr or 'without' in done.stderr:
            return ''
        fault = self.judge_whole()
        if fault:
            return fault
        counts = self.counted()
        return '' if counts == self.counts else f'its trace has {counts}, not {self.counts}'

    def fail(self, kind, nth):
        """What is wrong, or ''; None: so many there are not."""
        self.told.write_bytes(b'0')
        try:
            done = self.record({'LD_PRELOAD': str(self.preload), 'FAIL_WHAT': kind, 'FAIL_NTH': str(nth),
                                'FAIL_TOLD': str(self.told)})
        except subprocess.TimeoutExpired:
            return 'hangs'
        if self.told.read_bytes() != b'1':
            return None
        # The dynamic linker, before there was a program.
        return '' if done.returncode == 127 else self.judge(done)


def main():
    refold, capture, preload = (pathlib.Path(name).resolve() for name in sys.argv[1:4])
    most = int(sys.argv[4])
    if os.geteuid() or not os.path.isdir(machine.TRACING + '/instances'):
        machine.skip('recording needs root and tracefs')
    tried = wrong = 0
    with tempfile.TemporaryDirectory(prefix='refold-torture-') as name:
        torture = Torture(refold, capture, preload, pathlib.Path(name))
        for kind in sys.argv[5:] or KINDS:
            for nth in range(1, most + 1):
                fault = torture.fail(kind, nth)
                if fault is None:
                    break
                tried += 1
                if fault:
                    wrong += 1
                    print(f'refold-capture: {kind} {nth}: {fault}', flush=True)
            print(f'refold-capture: {nth} of its {kind}s', flush=True)
    print(f'{tried} failures, {wrong} of them wrong')
    sys.exit(wrong > 0)


if __name__ == '__main__':
    main()
