# SPDX-License-Identifier: MIT
"""
Traces of the arm64 lab's large windows, as a recording of them would be: programs that each do one kind of thing to 64
MiB of anonymous memory, in folios of 64 KiB or in single pages. For replay_speed.py.

    windows_traces.py DIRECTORY
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden'))
from write_traces import (ANON, BASE, CALLS, CHILD, CHILD_MM, DONTNEED, FOLIO, MM, PAGE, PARENT,  # noqa: E402
                          READ, USER_GFP, WRITE, Trace)

LENGTH = 64 << 20
BLOCKS = range(0, LENGTH, FOLIO)
PAGES = range(0, LENGTH, PAGE)
VMA = (BASE, LENGTH, READ | WRITE)


class Window(Trace):
    """One program; order: of the folios that answer its first writes."""

    def __init__(self, order):
        super().__init__()
        self.order = order
        self.attach()
        self.map(BASE, LENGTH)
        self.refault(range(0, LENGTH, PAGE << order))

    def refault(self, offsets, order=None):
        """First writes: a new folio each."""
        order = self.order if order is None else order
        for offset in offsets:
            self.record('fault', addr=BASE + offset, flags=2)
            self.record('page_alloc', pfn=self.next_pfn, order=order, gfp=USER_GFP)
            self.rss(MM, 1 << order)
            for page in range(1 << order):
                self.pages[BASE + offset + page * PAGE] = (self.next_pfn + page, order)
            self.next_pfn += 1 << order

    def copy(self, offsets, tid=PARENT):
        """Writes to pages that another process has, too."""
        self.next_pfn += -self.next_pfn % 512
        for offset in offsets:
            self.record('fault', tid=tid, addr=BASE + offset, flags=3)
            self.record('page_alloc', tid=tid, pfn=self.next_pfn, order=0, gfp=USER_GFP)
            if tid == PARENT:
                self.pages[BASE + offset] = (self.next_pfn, 0)
            self.next_pfn += 1

    def reuse(self, offsets):
        """Writes to pages that nobody else has any more."""
        for offset in offsets:
            self.record('fault', addr=BASE + offset, flags=3)

    def advise(self, offset, length):
        self.record('madvise', addr=BASE + offset, len=length, advice=DONTNEED)
        self.zap(BASE + offset, length)
        self.record('sys_ret', call=CALLS['madvise'], ret=0)

    def protect(self, offset, length, prot):
        self.call('mprotect', 0, addr=BASE + offset, len=length, prot=prot, pkey=-1)

    def end(self, start=BASE):
        """munmap() of everything, and exit."""
        self.record('munmap', addr=start, len=LENGTH)
        self.rss(MM, -self.anon[MM], member=ANON)
        self.pages.clear()
        self.record('sys_ret', call=CALLS['munmap'], ret=0)
        self.exit()


def anon(window):
    window.end()


def fork_exit(window):
    window.fork()
    window.exit(CHILD, CHILD_MM)
    window.reuse(PAGES)
    window.end()


def cow_child_all(window):
    window.fork()
    window.copy(PAGES, CHILD)
    window.exit(CHILD, CHILD_MM)
    window.reuse(PAGES)
    window.end()


def cow_child_1per64k(window):
    window.fork()
    window.copy(BLOCKS, CHILD)
    window.exit(CHILD, CHILD_MM)
    window.reuse(PAGES)
    window.end()


def cow_parent_1per64k(window):
    window.fork()
    window.copy(BLOCKS)
    window.exit(CHILD, CHILD_MM)
    window.reuse(offset for offset in PAGES if offset % FOLIO)
    window.end()


def mprotect(window):
    for offset, length in (0, LENGTH // 2), (0, LENGTH), (5 * PAGE, LENGTH // 2 + 6 * PAGE):
        window.protect(offset, length, READ)
        window.protect(offset, length, READ | WRITE)
    window.end()


def dontneed(window):
    for offset in BLOCKS:
        window.advise(offset + 7 * PAGE, PAGE)
    window.refault((offset + 7 * PAGE for offset in BLOCKS), order=0)
    window.advise(0, LENGTH)
    window.refault(range(0, LENGTH, PAGE << window.order))
    for offset in BLOCKS:
        window.advise(offset, FOLIO)
    window.refault(range(0, LENGTH, PAGE << window.order))
    window.end()


def mremap(window):
    places = [BASE, BASE + (1 << 40), BASE + (2 << 40) + FOLIO, BASE + (3 << 40) + PAGE, BASE + (1 << 40)]
    for old, new in zip(places, places[1:]):
        window.call('mremap', new, addr=old, old_len=LENGTH, new_len=LENGTH, flags=3, new_addr=new)
    window.end(places[-1])


PROGRAMS = (anon, fork_exit, cow_child_all, cow_child_1per64k, cow_parent_1per64k, mprotect, dontneed, mremap)


def main():
    for order, mode in (4, '64K'), (0, 'off'):
        for program in PROGRAMS:
            window = Window(order)
            program(window)
            path = os.path.join(sys.argv[1], f'{mode}.{program.__name__}.64.txt')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(window.text(f'{program.__name__}, 64 MiB, {mode}'))


main()
