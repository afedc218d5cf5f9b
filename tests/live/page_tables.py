# SPDX-License-Identifier: MIT
"""Page tables as TSV, from truth.c and from `refold replay --page-tables`, read
and compared entry by entry; and whether what differs is marked."""

PAGE = 4096
SHOWN = 12      # address spaces, and differences of one


class Table:
    """entries: {addr: (pfn, head, order)}, (None, None, None) for swap entries. name: the command; of a rebuilt one the
    number of its address space, and marks: the reasons for which it is marked."""

    def __init__(self, name):
        self.name = name
        self.entries = {}
        self.marks = []


class Tables:
    """processes: {pid: its tables, in order of their ends}. witness: the pid of truth itself. cut: pids of which it
    could not write everything."""

    def __init__(self, path):
        self.processes = {}
        self.witness = None
        self.cut = []
        with open(path, encoding='utf-8', errors='replace') as file:
            for line in file:
                self._read(*line.rstrip('\n').split('\t'))

    def _read(self, kind, *field):
        if kind == 'P':
            self.last = Table(field[2])
            self.processes.setdefault(int(field[0]), []).append(self.last)
        elif kind == 'M':
            self.last.marks.append(field[0])
        elif kind == 'E':
            addr, nr, pfn = int(field[0], 16), int(field[1]), int(field[2], 16)
            head, order = int(field[3], 16), int(field[4])
            for i in range(nr):
                self.last.entries[addr + i * PAGE] = (pfn + i, head, order)
        elif kind == 'S':
            addr, nr = int(field[0], 16), int(field[1])
            for i in range(nr):
                self.last.entries[addr + i * PAGE] = (None, None, None)
        elif kind == 'W':
            self.witness = int(field[0])
        elif kind == 'L':
            self.cut.append(int(field[0]))


def load(path):
    """{pid: entries}; of a pid written twice, the last one."""
    return {pid: tables[-1].entries for pid, tables in Tables(path).processes.items()}


class Comparison:
    """Counts in PTEs; `differences` explains, for a person."""

    def __init__(self):
        self.ptes = self.present = self.pfn = self.order = self.extra = 0
        self.swap = self.swap_present = 0
        self.processes = 0
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
        return text


class Verdict:
    """Of each address space: exact; or wrong, and the report marks it; or silent, which is what must not be."""

    def __init__(self):
        self.all = Comparison()
        self.exact = self.needless = 0
        self.marked, self.silent, self.problems = [], [], []

    def add(self, pid, truth, rebuilt, reasons):
        comparison = Comparison()
        for one in (comparison, self.all):
            one.add_process(pid, truth.entries, rebuilt.entries)
        text = f'pid {pid} {truth.name}: {comparison}'
        if not comparison.differences:
            self.exact += 1
            self.needless += bool(reasons)
        elif reasons:
            self.marked.append(f'{text}: {", ".join(reasons)}')
        else:
            self.silent.append('\n    '.join([text, *comparison.differences[:SHOWN]]))

    def show(self):
        print(f'against the witness: {self.all}')
        print(f'address spaces: {self.exact} exact ({self.needless} of them marked), {len(self.marked)} wrong and '
              f'marked, {len(self.silent)} silent')
        for word, lines in (('marked', self.marked), ('SILENT', self.silent)):
            for line in lines[:SHOWN]:
                print(f'  {word}: {line}')


def judge(truth_path, rebuilt_path, trust, kills=False):
    """What the witness saw against what was rebuilt; trust: of the report of the same replay. kills: the program kills
    processes of its own, of which the witness may not have seen all."""
    verdict, seen, rebuilt = Verdict(), Tables(truth_path), Tables(rebuilt_path)
    reasons = {str(mm['mm']): [reason['reason'] for reason in mm['reasons']] for mm in trust['marked']}
    # A marked one is not listed if its end was lost.
    told = {process['pid'] for process in trust['hidden'] + trust['marked']}
    # That no snapshot was taken is the witness's doing: it holds the processes at their exits.
    doubts = [name for name in trust['doubts'] if name != 'nothing_compared']
    left_out = {seen.witness, *(seen.cut if kills else [])}
    for pid in sorted((seen.processes.keys() | rebuilt.processes.keys()) - left_out):
        one, other = seen.processes.get(pid, []), rebuilt.processes.get(pid, [])
        if kills and not one:
            continue
        if len(one) < len(other) or len(one) > len(other) and pid not in told and trust['hidden_processes_known']:
            verdict.problems.append(f'pid {pid} {[table.name for table in one]}: the witness wrote {len(one)} '
                                    f'address spaces, rebuilt are {len(other)}')
        for truth, table in zip(one, other):
            verdict.add(pid, truth, table, sorted({*table.marks, *reasons.get(table.name, []), *doubts}))
    if not kills:
        verdict.problems += [f'pid {pid} was killed while the witness read it' for pid in seen.cut]
    verdict.problems += [f'wrong and not marked: {text.splitlines()[0]}' for text in verdict.silent]
    return verdict
