# SPDX-License-Identifier: MIT
"""How long a recorder takes to attach to many processes, and to let them go: from the list of them to the last
snapshot, and all of a recording that stops at once, of one process and of many.

    attach_speed.py BUILD_ROOT SOURCE_ROOT
"""
import os
import re
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'live'))
import machine  # noqa: E402 (found through the line above)

MANY = 400
REPEATS = 3


def cpu_time():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def attach_time(programs, trace):
    """In seconds: from the first PROCESS record to the end of the last snapshot of one attached to."""
    text = programs.run(programs.refold, 'dump', '--sorted', trace).stdout
    attached = set(re.findall(r'snap_begin pid=(\d+) why=0', text))
    first = re.search(r'^(\d+) .* process pid=', text, re.MULTILINE)
    ends, seen = [], set()
    for match in re.finditer(r'^(\d+) .* snap_end pid=(\d+)', text, re.MULTILINE):
        if match[2] in attached and match[2] not in seen:   # its first, the other one is of the stop
            seen.add(match[2])
            ends.append(int(match[1]))
    return (max(ends) - int(first[1])) / 1e9


def measure(programs, directory, number):
    trace = os.path.join(directory, 't.mmt.zst')
    processes = [subprocess.Popen(['sleep', '1000']) for _ in range(number)]
    try:
        time.sleep(0.5)
        for _ in range(REPEATS):
            begin, used = time.monotonic(), cpu_time()
            programs.run(programs.capture, '-q', '-o', trace, '-t', '0.001', '-p',
                         ','.join(str(process.pid) for process in processes))
            wall, used = time.monotonic() - begin, cpu_time() - used
            print(f'{number} processes: attached in {attach_time(programs, trace):.3f} s; the whole recording '
                  f'{wall:.3f} s, of them {used:.3f} s of CPU')
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main():
    build_root, source_root = sys.argv[1:]
    machine.need_live_kernel()
    programs = machine.Programs(build_root, source_root)
    with machine.work_directory('attach_speed') as directory:
        for number in (1, MANY):
            measure(programs, directory, number)


main()
