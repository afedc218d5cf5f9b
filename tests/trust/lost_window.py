# SPDX-License-Identifier: MIT
"""A recording of short programs with a buffer far too small, with the exit snapshots of its processes. The snapshots
are taken out and are the truth that the replay does not see: every process has the entries that its snapshot says, or
is marked, or is named as one that the losses hid.

    lost_window.py REFOLD TRACE
"""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

refold, trace = sys.argv[1:]
PAGE = 4096


def entries(address, count, pfn):
    return {address + i * PAGE: pfn + i for i in range(count)}


def snapshots(lines):
    """[(pid, address -> pfn)] of the complete snapshots, which may be told in turn."""
    begun, found = {}, []
    for line in lines:
        task, kind, *fields = line.split()[1:]
        if not kind.startswith('snap_'):
            continue
        field = dict(word.split('=') for word in fields)
        if kind == 'snap_begin':
            begun[task] = (int(field['pid']), {})
        elif kind == 'snap_pte':
            begun[task][1].update(entries(int(field['addr'], 16), int(field['nr']), int(field['pfn'], 16)))
        elif kind == 'snap_end' and field['complete'] == '1':
            found.append(begun.pop(task))
    return found


def page_tables(path):
    """pid -> [(address -> pfn, marked)] of its address spaces."""
    found = collections.defaultdict(list)
    for line in path.read_text().splitlines():
        kind, *fields = line.split('\t')
        if kind == 'P':
            found[int(fields[0])].append([{}, False])
            current = found[int(fields[0])][-1]
        elif kind == 'M':
            current[1] = True
        else:
            current[0].update(entries(int(fields[0], 16), int(fields[1]), int(fields[2], 16)))
    return found


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        bare, report, tables = directory / 'bare.mmt.zst', directory / 'report.json', directory / 'tables.tsv'
        lines = subprocess.run([refold, 'dump', trace], check=True, capture_output=True, text=True).stdout.splitlines()
        subprocess.run([refold, 'assemble', '-', '-o', bare], check=True, text=True,
                       input=''.join(line + '\n' for line in lines if ' snap_' not in line))
        subprocess.run([refold, 'replay', '-q', '-p', 'linux-7.3', '-o', report, '--page-tables', tables, bare],
                       check=True)
        rebuilt, trust = page_tables(tables), json.loads(report.read_text())['trust']
    named = {process['pid'] for process in trust['hidden'] + trust['marked']}
    truth = snapshots([line for line in lines if line[:1].isdigit()])
    right = marked = missing = silent = 0
    for pid, process in truth:
        if [process, False] in rebuilt[pid]:
            right += 1
        elif any(is_marked for _, is_marked in rebuilt[pid]):
            marked += 1
        elif not rebuilt[pid] and (pid in named or not trust['hidden_processes_known']):
            missing += 1
        else:
            silent += 1
            print(f'FAIL: pid {pid}, {len(process)} entries, is {"wrong" if rebuilt[pid] else "missing"}, and not told')
    print(f'{len(truth)} processes: {right} right and not marked, {marked} marked, {missing} missing and named, '
          f'{silent} not told')
    # Without all three kinds this recording tests nothing.
    sys.exit(0 if right and marked and missing and not silent else 1)


main()
