# SPDX-License-Identifier: MIT
"""What a trace holds is told by its index: `refold info` reads no more of a long trace than of a short one, but for the
index, whatever lies between. Counted in bytes, as the kernel counts what a process reads.

    info.py REFOLD
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile

# Around the header, around the end frame and the index, and the last bytes.
WINDOWS = 3 * (256 << 10)
INDEX_ENTRY = 104
RECORDS = 65536


def assemble(refold, nr, path):
    """Addresses of which no two are alike: the file has some seven bytes for each."""
    number = random.Random(nr)
    text = 'frame stream=0\n' + ''.join(f'+1 tid=1 fault addr={number.getrandbits(47):#x}\n' for _ in range(nr))
    subprocess.run([refold, 'assemble', '-', '-o', path], input=text, text=True, check=True)


def bytes_read(*command):
    """Of all files, so of the libraries' beginnings, too. None: this kernel does not count them."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        counted = pathlib.Path(f'/proc/{child.pid}/io').read_text()
    except OSError:
        return None
    finally:
        if child.wait():
            sys.exit(f'FAIL: {command} ends with {child.returncode}')
    return int(dict(line.split(': ') for line in counted.splitlines())['rchar'])


def main():
    refold = sys.argv[1]
    wrong = False
    with tempfile.TemporaryDirectory() as name:
        trace = pathlib.Path(name, 'trace.mmt.zst')
        assemble(refold, 1, trace)
        least = bytes_read(refold, 'info', trace)
        if least is None:
            print('SKIP: this kernel does not count what a process reads (CONFIG_TASK_IO_ACCOUNTING)')
            return 77
        for nr in (400000, 1600000):
            assemble(refold, nr, trace)
            size, most = trace.stat().st_size, WINDOWS + (nr // RECORDS + 1) * INDEX_ENTRY
            told, checked = (bytes_read(refold, 'info', *check, trace) - least for check in ((), ('--check',)))
            good = told <= most < size // 2 < checked
            wrong |= not good
            print(f'{nr} records in {size} bytes: {told} are read ({most} allowed), with --check {checked}'
                  + ('' if good else ': FAIL'))
    return int(wrong)


if __name__ == '__main__':
    sys.exit(main())
