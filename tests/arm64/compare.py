# SPDX-License-Identifier: MIT
"""
Differences between predicted and counted windows, and what excuses them: a place in the list of what no trace tells
(unobserved.json), which says by how much; where the counts are of another run, the spread between two runs.
"""
import counts


def pairs(predicted, counted, name):
    """(predicted, counted) of one quantity in the same form, or None if a side does not know it."""
    if name not in counted or name not in predicted:
        return None
    theirs = counted[name]
    if name == 'tlbi':
        theirs = counts.by_kind(theirs)
    return predicted[name], theirs


def difference(ours, theirs):
    """Counted minus predicted: a number, or for each key that differs one."""
    if not isinstance(ours, dict):
        return theirs - ours
    keys = sorted({*ours, *theirs}, key=str)
    return {str(key): theirs.get(key, 0) - ours.get(key, 0) for key in keys if ours.get(key, 0) != theirs.get(key, 0)}


def within(found, allowed):
    if not isinstance(found, dict):
        return abs(found) <= (allowed if isinstance(allowed, int) else 0)
    allowed = allowed if isinstance(allowed, dict) else {}
    return all(abs(number) <= allowed.get(key, 0) for key, number in found.items())


def differences(predicted, counted, quantities, spread=None):
    """quantity -> (predicted, counted, counted - predicted) of those that differ by more than their spread."""
    spread = spread or {}
    found = {}
    for name in quantities:
        pair = pairs(predicted, counted, name)
        if not pair or pair[0] == pair[1]:
            continue
        if spread and name in ('dsb', 'erased'):    # nobody compared these between the runs; they follow the others
            continue
        change = difference(*pair)
        if not within(change, spread.get(name)):
            found[name] = (*pair, change)
    return found


def changes(found):
    return {name: change for name, (_, _, change) in found.items()}


# ---- what no trace tells ----------------------------------------------------


class Unobserved:
    """unobserved.json: a list of {"set", "reason", "windows": {label: {quantity: counted - predicted}}}."""

    def __init__(self, entries):
        self.windows = {}
        for entry in entries:
            for label, change in entry['windows'].items():
                self.windows[entry['set'], label] = (change, entry['reason'])

    def reason(self, name, label, found):
        """The reason if the window is listed with just these differences, else None."""
        change, reason = self.windows.get((name, label), (None, None))
        return reason if found and change == changes(found) else None

    def listed(self, name, label):
        return (name, label) in self.windows

    def reason_elsewhere(self, label, found):
        """The reason if some set lists the window with just these differences: for a kernel that has no set."""
        for (name, listed) in self.windows:
            if listed == label and self.reason(name, label, found):
                return self.reason(name, label, found)
        return None


# ---- text -------------------------------------------------------------------


def text_of(value):
    if not isinstance(value, dict):
        return str(value)
    parts = [f'{key}x{number}' if isinstance(key, int) else f'{key} {number}'
             for key, number in sorted(value.items(), key=lambda item: (isinstance(item[0], str), item[0]))]
    return ' '.join(parts) or '0'


def differences_text(found):
    """predicted / counted, of what differs."""
    parts = []
    for name, (ours, theirs, change) in found.items():
        if not isinstance(ours, dict):
            parts.append(f'{name} {ours} / {theirs}')
            continue
        keys = [key for key in sorted({*ours, *theirs}, key=str) if str(key) in change]
        inner = ', '.join(f'{key} {ours.get(key, 0)} / {theirs.get(key, 0)}' for key in keys)
        parts.append(f'{name} ({inner})')
    return '; '.join(parts)


def window_text(label, predicted, counted, found):
    """Every quantity of a window, who asked for its flushes, and what the replay did."""
    lines = [f'{label}: {"DIFFERS" if found else "equal"}', f'  {"":18} {"predicted":34} counted']
    for name in counts.QUANTITIES + ('tlbi_pages',):
        pair = pairs(predicted, counted, name)
        if pair and (pair[0] or pair[1]):
            lines.append(f'{"!" if name in found else " "} {name:18} {text_of(pair[0]):34} {text_of(pair[1])}')
    lines.append(f'  counted TLBI by instruction: {text_of(counted["tlbi"])}')
    for caller, number in sorted(counted.get('callers', {}).items(), key=lambda item: -item[1]):
        lines.append(f'    {number:7} {caller}')
    lines.append('  predicted by operation:')
    shown = ('operations', 'faults', 'fold', 'unfold', 'born', 'erased', 'tlbi_va', 'tlbi_range', 'tlbi_asid',
             'tlbi_local', 'tlbi_walk', 'tlbi_repeat', 'dsb_ishst', 'dsb_ish', 'dsb_nsh', 'forced_flushes')
    for row, values in predicted['operations'].items():
        lines.append(f'    {row:14} {text_of({key: values[key] for key in shown if key in values})}')
    return '\n'.join(lines) + '\n'
