#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
How counted/ was made: the windows of a run of the riscv lab (its plugin's windows.jsonl, or .xz of it), in the form of
../arm64/counts.py. What the recorded processes did:

    collect.py REFOLD WINDOWS RECORDINGS -o FILE

faults        calls of handle_mm_fault() by page faults; those of get_user_pages() are no records of their own
flush_calls   what core mm asked for: flush_tlb_mm(), _mm_range(), _range(), _page(), _pmd_range(), the batch's
tlbi          page: fences of one page (SFENCE.VMA, SINVAL.VMA with both operands) that this CPU executed, in the kernel
              or in firmware that it had asked; all: of an address space; valid: without ASID, by update_mmu_cache()
dsb           nsh: SFENCE.W.INVAL and SFENCE.INVAL.IR
ipis          flushes that other CPUs were asked for: SBI calls for remote fences, or on_each_cpu_cond_mask()
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'arm64'))
import collecting
import counts

QUANTITIES = ('faults', 'tlbi', 'dsb', 'flush_calls', 'ipis')
FLUSHES = ('flush_tlb_mm', 'flush_tlb_mm_range', 'flush_tlb_range', 'flush_tlb_page', 'flush_pmd_tlb_range',
           'flush_pud_tlb_range', 'arch_tlbbatch_flush', 'arch_flush_tlb_batched_pending')
PAGE = ('sfence.va.asid', 'sinval.va.asid')
VALID = ('sfence.va', 'sinval.va')


def add_fence(window, row, this_cpu):
    operation, function, number = row['operation'], row['function'], row['number']
    if '__ipi_flush_tlb_range_asid' in (function, row['caller']) and not row.get('home', 1):
        return      # this process was interrupted for another one
    if function == 'firmware':
        if row['cpu'] == this_cpu:
            counts.add(window['tlbi'], 'page' if operation == 'sfence.va.asid' else 'all', number)
    elif operation in ('w.inval', 'inval.ir'):
        counts.add(window['dsb'], 'nsh', 2 * number * (operation == 'inval.ir'))    # they go in pairs
    else:
        counts.add(window['tlbi'], 'page' if operation in PAGE else 'valid' if operation in VALID else 'all', number)


def add_call(window, row):
    function, caller, number = row['function'], row['caller'], row['number']
    if function == 'handle_mm_fault':
        window['faults'] += number * (caller in ('handle_page_fault', 'do_page_fault'))
    elif function in FLUSHES:
        window['flush_calls'] += number
    elif function == 'on_each_cpu_cond_mask' and caller in ('__flush_tlb_range', 'arch_tlbbatch_flush'):
        window['ipis'] += number


def window_of(counted, pids):
    window = counts.from_compact({}, QUANTITIES)
    for row in counted['rows']:
        if row['pid'] not in pids:
            continue
        if row['kind'] == 'fence':
            add_fence(window, row, counted['cpu'])
        elif row['kind'] == 'call':
            add_call(window, row)
        elif row['kind'] == 'sbi' and row['operation'].startswith('rfence'):    # rfence.0 are of instructions
            window['ipis'] += row['number'] * (not row['operation'].startswith('rfence.0'))
    window['tlbi'] = counts.without_zeros(window['tlbi'])
    window['dsb'] = counts.without_zeros(window['dsb'])
    return window


collecting.main(__doc__, QUANTITIES, window_of)
