# SPDX-License-Identifier: MIT
"""Recordings of 32-bit programs (tests/live/workloads/compat.c), for machines whose kernel runs none: the replay has
each entry that the kernel had at the exit of each process, and nothing of it is inexact.

    exact.py REFOLD RECORDING PROCESSES
"""
import json
import subprocess
import sys

refold, recording, processes = sys.argv[1:]
report = json.loads(subprocess.run([refold, 'replay', '-j', '-p', 'linux-6.12', recording], check=True,
                                   capture_output=True, text=True).stdout)
fidelity = report['fidelity']
wanted = dict.fromkeys(('present', 'pfn', 'order'), fidelity['ptes'])
wanted |= dict.fromkeys(('extra', 'inexact_mms', 'fault_checks_bad', 'rss_checks_bad'), 0)
wanted['processes_compared'] = int(processes)
wrong = {name: (fidelity[name], value) for name, value in wanted.items() if fidelity[name] != value}
wrong |= {name: count for name, count in fidelity['anomalies'].items() if count}
wrong |= {name: count for name, count in report['policies'][0]['anomalies'].items() if count}
if report['trust']['word'] != 'exact':
    wrong['trust'] = report['trust']['word']
calls = report['policies'][0]['operations']
# Each process but the one between vfork() and its exec, and each thread, unmaps; one forks; all move.
wrong |= {row: 0 for row in ('zap_munmap', 'mprotect', 'mremap', 'fork', 'zap_brk', 'zap_dontneed')
          if not calls.get(row, {}).get('operations', 0)}
print(f'{fidelity["ptes"]} entries of {fidelity["processes_compared"]} processes')
if wrong or fidelity['ptes'] < 5000:
    print(f'FAIL: {wrong}')
    sys.exit(1)
