# SPDX-License-Identifier: MIT
"""What commands do when the nth allocation, read or write fails, for each n: they say so in one line and exit with a
failure, or what they write is what they always write. Never do they crash or hang, and nothing is left out silently.

    torture.py REFOLD FAIL_NTH.so DIRECTORY MOST [COMMAND...]      DIRECTORY: the golden cases; n from 1 to MOST
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TIMEOUT = 60
# strace injects the failure of a system call; FAULTS of allocations come with the preloaded object.
CALLS = {'read': 'read,pread64:error=EIO', 'write': 'write,pwrite64:error=ENOSPC'}


def commands(refold, scratch, golden):
    """Name of a command: its arguments. What it writes is standard output, or OUTPUT."""
    trace, output = scratch / 'trace.mmt.zst', scratch / 'OUTPUT'
    text = scratch / 'trace.txt'
    shutil.copy(golden / 'mm_fork' / 'trace.txt', text)
    subprocess.run([refold, 'assemble', text, '-o', trace], check=True)
    report = scratch / 'report.json'
    subprocess.run([refold, 'replay', '-q', trace, '-p', 'linux-6.9,linux-7.3', '-o', report], check=True)
    return {
        'replay': ['replay', '-q', trace, '-p', 'linux-7.3,x86-6.12', '--processes', '-o', output],
        'table': ['replay', trace, '-p', 'linux-6.9,linux-7.3'],
        'info': ['info', trace],
        'dump': ['dump', trace],
        'assemble': ['assemble', text, '-o', output],
        'anonymize': ['anonymize', trace, '-o', output, '--keep', 'pid,comm,addr,pfn,inode,marks'],
        'diff': ['diff', report, '--policies', 'linux-6.9,linux-7.3'],
        'policies': ['policies'],
        'pte': ['pte', golden / 'helpers' / 'script.ops', '-p', 'linux-7.3'],
    }


def run(arguments, output, **options):
    output.unlink(missing_ok=True)
    try:
        done = subprocess.run(arguments, capture_output=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL, **options)
    except subprocess.TimeoutExpired:
        return None, b'', b'', b''
    written = output.read_bytes() if output.exists() else b''
    return done.returncode, done.stdout, done.stderr, written


def judge(command, outcome, good):
    """What is wrong with it, or ''. The key of anonymize is another one each time."""
    code, printed, said, written = outcome
    if code is None:
        return 'hangs'
    # The dynamic linker, before there was a program.
    if code == 127 and b'shared librar' in said:
        return ''
    if code < 0 or code > 4:
        return f'ends by {code}: {said[-100:]!r}'
    if code == 0:
        same = bool(written) if command == 'anonymize' else (printed, written) == (good[1], good[3])
        return '' if same else 'says that it is done, and wrote something else'
    if code == 3:
        return 'takes it for damage'
    if not said.strip():
        return f'says nothing, and ends with {code}'
    return ''


def main():
    refold, preload, golden, most = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), int(sys.argv[4])
    strace = shutil.which('strace')
    wrong = tried = 0
    with tempfile.TemporaryDirectory(prefix='refold-torture-') as name:
        scratch = pathlib.Path(name)
        output = scratch / 'OUTPUT'
        for command, arguments in commands(refold, scratch, golden).items():
            if sys.argv[5:] and command not in sys.argv[5:]:
                continue
            line = [refold, *arguments]
            good = run(line, output)
            if good[0]:
                sys.exit(f'{command} fails as it is: {good[2].decode()}')
            for what in ['allocation', *(CALLS if strace else [])]:
                for nth in range(1, most + 1):
                    if what == 'allocation':
                        outcome = run(line, output, env=os.environ | {'LD_PRELOAD': preload, 'FAIL_NTH': str(nth)})
                    else:
                        calls = CALLS[what].split(':')[0]
                        outcome = run([strace, '-f', '-qq', '-o', os.devnull, '-e', f'trace={calls}',
                                       '-e', f'inject={CALLS[what]}:when={nth}', *line], output)
                    fault = judge(command, outcome, good)
                    tried += 1
                    if fault:
                        wrong += 1
                        print(f'{command}: {what} {nth}: {fault}', flush=True)
                    # Nothing failed, for there are no more: nothing will.
                    if what != 'allocation' and outcome[:3] == good[:3] and not fault:
                        break
    print(f'{tried} failures, {wrong} of them wrong')
    sys.exit(wrong > 0)


if __name__ == '__main__':
    main()
