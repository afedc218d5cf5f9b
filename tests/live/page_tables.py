# SPDX-License-Identifier: MIT
"""Page tables as TSV, from truth.c and from `refold replay --page-tables`, read
and compared entry by entry."""

PAGE = 4096


def load(path):
    """{pid: {addr: (pfn, head, order)}}; (None, None, None) for swap entries. Of a pid written twice, the last one."""
    processes = {}
    entries = None
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file:
            field = line.rstrip('\n').split('\t')
            if field[0] == 'P':
                entries = processes[int(field[1])] = {}
            elif field[0] == 'E':
                addr, nr, pfn = int(field[1], 16), int(field[2]), int(field[3], 16)
                head, order = int(field[4], 16), int(field[5])
                for i in range(nr):
                    entries[addr + i * PAGE] = (pfn + i, head, order)
            elif field[0] == 'S':
                addr, nr = int(field[1], 16), int(field[2])
                for i in range(nr):
                    entries[addr + i * PAGE] = (None, None, None)
    return processes


class Comparison:
    """Counts in PTEs; `differences` explains, for a person."""

    def __init__(self):
        self.ptes = self.present = self.pfn = self.order = self.extra = 0
        self.swap = self.swap_present = 0
        self.processes = 0
        self.missing_processes = []
        self.orders = {}
        self.differences = []

    def add_process(self, pid, truth, rebuilt):
        self.processes += 1
        for addr, (pfn, head, order) in truth.items():
            have = rebuilt.get(addr)
            if pfn is None:
                self.swap += 1
                if have and have[0] is None:
                    self.swap_present += 1
                else:
                    self._differs(pid, addr, 'swap entry', have)
                continue
            self.ptes += 1
            self.orders[order] = self.orders.get(order, 0) + 1
            if not have or have[0] is None:
                self._differs(pid, addr, f'pfn {pfn:x} head {head:x} order {order}', have)
                continue
            self.present += 1
            self.pfn += have[0] == pfn
            self.order += have[2] == order and (have[0] != pfn or have[1] == head)
            if have != (pfn, head, order):
                self._differs(pid, addr, f'pfn {pfn:x} head {head:x} order {order}', have)
        for addr in rebuilt.keys() - truth.keys():
            self.extra += rebuilt[addr][0] is not None
            self._differs(pid, addr, 'nothing', rebuilt[addr])

    def _differs(self, pid, addr, truth, have):
        if not have:
            found = 'nothing'
        elif have[0] is None:
            found = 'swap entry'
        else:
            found = 'pfn {:x} head {:x} order {}'.format(*have)
        self.differences.append(f'pid {pid} {addr:x}: {truth}; rebuilt: {found}')

    def __str__(self):
        def percent(part, whole):
            return f'{100 * part / whole:.3f} %' if whole else '-'

        text = (f'{self.processes} processes, {self.ptes} PTEs: present {percent(self.present, self.ptes)}, '
                f'pfn {percent(self.pfn, self.ptes)}, order {percent(self.order, self.ptes)}, extra {self.extra}')
        if self.swap:
            text += f'; {self.swap} swap entries: {percent(self.swap_present, self.swap)}'
        if self.missing_processes:
            text += f'; not rebuilt: pids {self.missing_processes}'
        return text


def compare(truth_path, rebuilt_path):
    truth, rebuilt = load(truth_path), load(rebuilt_path)
    comparison = Comparison()
    for pid, entries in truth.items():
        if pid in rebuilt:
            comparison.add_process(pid, entries, rebuilt[pid])
        else:
            comparison.missing_processes.append(pid)
    return comparison
