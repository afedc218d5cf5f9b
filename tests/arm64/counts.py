# SPDX-License-Identifier: MIT
"""
What the emulator counted, and what a replay predicts, in one form: a window is a dict of

  faults, folds, unfolds, born, erased, tlbi_pages      numbers
  set_ptes, wrprotect, clear, get_and_clear, ...        batch size -> calls, of the contpte_*() functions with more than
                                                        one entry (a single entry never gets there: it is inlined)
  tlbi                                                  kind -> instructions; "repeat" is the second TLBI that the
                                                        work-around of an erratum adds, and is in no other kind
  dsb                                                   ish, ishst, nsh -> barriers
  flush_calls, ipis                                     numbers, of machines that broadcast nothing: riscv, x86
  handled                                               faults as the report counts them, of x86: its records are
                                                        exceptions, not all of which come to handle_mm_fault()

Zeros are left out of the inner dicts. A quantity that a side does not know is absent, and is not compared.
"""
import json
import lzma

NUMBERS = ('faults', 'folds', 'unfolds', 'born', 'erased')
CALLS = ('set_ptes', 'wrprotect', 'clear', 'get_and_clear', 'clear_young_dirty', 'clear_young', 'clear_flush_young')
ARM64 = NUMBERS + CALLS + ('tlbi', 'dsb')
QUANTITIES = ARM64 + ('flush_calls', 'ipis', 'handled')

# The kernel's functions, as the plugin names them.
FUNCTIONS = {
    'set_ptes': ('contpte_set_ptes',),
    'wrprotect': ('contpte_wrprotect_ptes',),
    'clear': ('contpte_clear_full_ptes',),
    'get_and_clear': ('contpte_get_and_clear_full_ptes',),
    'clear_young_dirty': ('contpte_clear_young_dirty_ptes',),
    'clear_young': ('contpte_test_and_clear_young_ptes',),
    'clear_flush_young': ('contpte_clear_flush_young_ptes',),
}

# Which helper calls of a report end in them: arm64's modify_prot_*_ptes() are these two.
HELPERS = {
    'set_ptes': ('set_ptes', 'modify_prot_commit_ptes'),
    'wrprotect': ('wrprotect_ptes',),
    'clear': ('clear_full_ptes',),
    'get_and_clear': ('get_and_clear_full_ptes', 'modify_prot_start_ptes'),
    'clear_young_dirty': ('clear_young_dirty_ptes',),
    'clear_young': ('test_and_clear_young_ptes',),
    'clear_flush_young': ('clear_flush_young_ptes',),
}

# TLBI instructions by what a report tells apart; "walk": not of leaf entries alone.
KINDS = {
    'vale1is': ('va',), 'vae1is': ('va', 'walk'), 'rvale1is': ('range',), 'rvae1is': ('range', 'walk'),
    'aside1is': ('asid',), 'vale1': ('va', 'local'), 'vae1': ('va', 'walk', 'local'), 'rvale1': ('range', 'local'),
    'rvae1': ('range', 'walk', 'local'), 'aside1': ('asid', 'local'), 'repeat': ('repeat',),
    # riscv: fences of a page, of an address space, for an entry that became valid; x86: INVLPG, writes of CR3.
    'page': ('va', 'local'), 'all': ('asid', 'local'), 'valid': ('va', 'new', 'local'),
}


def without_zeros(counts):
    return {key: value for key, value in counts.items() if value}


def add(counts, key, value):
    counts[key] = counts.get(key, 0) + value


# ---- counted ----------------------------------------------------------------


def calls_counted(row, functions):
    calls = {}
    for function in functions:
        for size, number in row.get(f'{function}_nr', {}).items():
            if int(size) > 1:
                add(calls, int(size), number)
    return without_zeros(calls)


def from_analysis(row):
    """One row of the lab's analyze.py."""
    window = {
        'faults': row['faults'], 'folds': row['folds'], 'unfolds': row['unfolds'], 'born': row['cont_blocks_set'],
        'tlbi': without_zeros(dict(row['tlbi_ops'], repeat=row['tlbi_repeat_workaround'])),
        'tlbi_pages': row['tlbi_pages'],
        'callers': row['tlbi_fns'],
    }
    dsb = {}
    for option, number in row['dsb_in_tlbi_fns'].items():
        add(dsb, 'nsh' if option.startswith('nsh') else option, number)
    window['dsb'] = without_zeros(dsb)
    for name, functions in FUNCTIONS.items():
        window[name] = calls_counted(row, functions)
    window['set_ptes'] = without_zeros({int(size): n for size, n in row['set_ptes_nr'].items() if int(size) > 1})
    if row['label'].endswith('/none-whole'):
        del window['born']      # that plugin took blocks of PROT_NONE entries for born ones
    return window


def erased_by_balance(before, row):
    """
    What the lab's plugin did not count: the blocks of the region before and after tell, in a workload of one process
    and one region.
    """
    snaps = [each['snaps'][-1] if each and len(each['snaps']) == 1 else None for each in (before, row)]
    if None in snaps or any(snap['at'] != 'r' or snap['bad'] for snap in snaps) or snaps[0]['va'] != snaps[1]['va']:
        return None
    if before['label'].rpartition('/')[0] != row['label'].rpartition('/')[0]:
        return None
    return snaps[0]['cont_blocks'] + row['cont_blocks_set'] + row['folds'] - row['unfolds'] - snaps[1]['cont_blocks']


# A DSB in these functions waits for something other than a TLBI.
NO_TLB_WAIT = ('__switch_to', 'gic_', 'its_', '__pi_', 'caches_', 'cpu_do_idle', 'dma', 'arch_dma')


def waits_for_tlb(row, tlbi_functions):
    return row['function'] in tlbi_functions or (row['operation'] == 'ish' and
                                                 not row['function'].startswith(NO_TLB_WAIT))


def from_plugin(counted, pids):
    """One window of lab/tlbicount.c: what the given processes did."""
    own = [row for row in counted['rows'] if row['pid'] in pids]
    window = from_compact({'erased': 0})
    window.update(tlbi_pages=0, callers={})
    tlbi_functions = {row['function'] for row in counted['rows'] if row['kind'] == 'tlbi'}
    lists = {function: name for name, functions in FUNCTIONS.items() for function in functions}
    for row in own:
        kind, function, number = row['kind'], row['function'], row['number']
        if kind == 'tlbi':
            repeat = row['zero'] and row['operation'] == 'vale1is'
            add(window['tlbi'], 'repeat' if repeat else row['operation'], number)
            if not repeat:
                window['tlbi_pages'] += max(row['size'], 0) * number
                add(window['callers'], f'{function}<{row["caller"]}', number)
        elif kind == 'dsb' and waits_for_tlb(row, tlbi_functions):
            add(window['dsb'], 'nsh' if row['operation'].startswith('nsh') else row['operation'], number)
        elif kind in ('born', 'erased'):
            window[kind] += number
        elif function == 'contpte_convert':
            window['folds' if row['size'] else 'unfolds'] += number
        elif function == 'handle_mm_fault':
            window['faults'] += number
        elif function in lists and row['size'] > 1:
            add(window[lists[function]], row['size'], number)
    return window


def load_plugin(path, groups, window_of=from_plugin):
    """
    Windows by label, of windows.jsonl or an .xz of it. groups: the processes of each recording; those together with a
    window's process count. window_of: what the rows of a window are on another machine.
    """
    windows = {}
    with (lzma.open if path.suffix == '.xz' else open)(path, 'rt', encoding='utf-8') as file:
        for line in file:
            counted = json.loads(line)
            for group in groups:
                if counted['pid'] in group and not counted['label'].endswith('/empty'):
                    windows[counted['label']] = window_of(counted, group)
    return windows


def store(path, quantities, windows):
    """A file of counted/, for from_compact(): a line a window."""
    lines = [f'{json.dumps(label)}: {json.dumps({name: value for name, value in window.items() if value})}'
             for label, window in windows.items()]
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'{{"quantities": {json.dumps(quantities)},\n"windows": {{\n' + ',\n'.join(lines) + '\n}}\n')


def from_compact(stored, quantities=ARM64):
    """quantities: those that were counted, so that one which is not stored is 0; of erased, that it is unknown."""
    window = {name: {} if name in CALLS + ('tlbi', 'dsb') else 0 for name in quantities if name != 'erased'}
    for name, value in stored.items():
        window[name] = {int(size): number for size, number in value.items()} if name in CALLS else value
    return window


def compact(window):
    """What is stored: no zeros, but for erased, where absence means unknown."""
    kept = {}
    for name in QUANTITIES + ('tlbi_pages',):
        if window.get(name) or (name == 'erased' and name in window):
            kept[name] = window[name]
    return kept


def load(path):
    """Windows by label, in order: of the lab's analyze.py (a list), or as collect.py writes them (an object)."""
    with open(path, encoding='utf-8') as file:
        stored = json.load(file)
    windows = {}
    if isinstance(stored, dict):
        quantities = stored.get('quantities', ARM64)
        return {label: from_compact(window, quantities) for label, window in stored['windows'].items()}
    before = None
    for row in stored:
        windows[row['label']] = window = from_analysis(row)
        erased = erased_by_balance(before, row)
        if erased is not None and 'born' in window:
            window['erased'] = erased
        before = row
    return windows


# ---- predicted --------------------------------------------------------------


def calls_predicted(batches, helpers):
    calls = {}
    for helper in helpers:
        for size, number in batches.get(helper, []):
            if size > 1:
                add(calls, size, number)
    return calls


def from_report(counted, records):
    """
    One policy of a window of a report. Faults are those recorded, which are calls of handle_mm_fault(): a machine
    counts one that waited and was tried again once, and execve's access to its arguments not at all.
    """
    totals = counted['totals']
    window = {'faults': records.get('fault', 0), 'folds': totals['fold'], 'unfolds': totals['unfold'],
              'born': totals['born'], 'erased': totals['erased'], 'tlbi_pages': totals['tlbi_pages'],
              'flush_calls': totals['flush_calls'], 'ipis': totals['ipis'], 'handled': totals['faults']}
    for name, helpers in HELPERS.items():
        window[name] = calls_predicted(counted['batches'], helpers)
    window['tlbi'] = without_zeros({kind: totals[f'tlbi_{kind}']
                                    for kind in ('va', 'range', 'asid', 'repeat', 'local', 'walk', 'new')})
    window['dsb'] = without_zeros({'ish': totals['dsb_ish'], 'ishst': totals['dsb_ishst'], 'nsh': totals['dsb_nsh']})
    window['operations'] = {row: without_zeros(values) for row, values in counted['operations'].items()
                            if any(values.values())}
    return window


def by_kind(tlbi):
    """Counted TLBI instructions, summed to the kinds of a report. An instruction it does not know keeps its name."""
    kinds = {}
    for operation, number in tlbi.items():
        for kind in KINDS.get(operation, (operation,)):
            add(kinds, kind, number)
    return without_zeros(kinds)
