#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
How counted/ was made: the windows of a run (lab/x86count.c's windows.jsonl), in the form of ../arm64/counts.py. What
the recorded processes did:

    collect.py REFOLD WINDOWS RECORDINGS -o FILE

handled       calls of handle_mm_fault() by page faults; those of get_user_pages() are no records of their own
flush_calls   what core mm asked for: flush_tlb_mm_range(), arch_tlbbatch_flush()
tlbi          page: INVLPG; all: a PCID or everything, by INVPCID or a write of CR3; not those of switch_mm()
ipis          native_flush_tlb_multi()
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'arm64'))
import collecting
import counts
import replays

QUANTITIES = ('handled', 'tlbi', 'flush_calls', 'ipis')
FAULTS = ('do_user_addr_fault', 'exc_page_fault')
FLUSHES = ('flush_tlb_mm_range', 'arch_tlbbatch_flush')


def add_call(window, row):
    function, number = row['function'], row['number']
    if function == 'handle_mm_fault':
        window['handled'] += number * (row['caller'] in FAULTS)
    elif function in FLUSHES:
        window['flush_calls'] += number
    elif function == 'native_flush_tlb_multi':
        window['ipis'] += number


def window_of(counted, pids):
    window = counts.from_compact({}, QUANTITIES)
    for row in counted['rows']:
        if row['pid'] not in pids:
            continue
        if row['kind'] == 'call':
            add_call(window, row)
        elif 'switch_mm' not in row['function'] and row['operation'] != 'mov cr4':
            counts.add(window['tlbi'], 'page' if row['operation'] == 'invlpg' else 'all', row['number'])
    return window


def collect(refold, path, recordings):
    return counts.load_plugin(path, [replays.recorded_processes(refold, trace) for trace in recordings], window_of)


if __name__ == '__main__':
    collecting.main(__doc__, QUANTITIES, window_of)
