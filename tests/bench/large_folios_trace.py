# SPDX-License-Identifier: MIT
"""
The trace of a program with 10 GiB of anonymous memory in folios of 64 KiB, one record of which stands for many entries:
it writes to all of it, forks, its child exits, it protects all of it and lets it be written again, and unmaps it. For
speed_table.py.

    large_folios_trace.py FILE
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden'))
from write_traces import (BASE, CALLS, CHILD, CHILD_MM, FOLIO, FOLIO_PAGES, MM, PAGE, READ, USER_GFP,  # noqa: E402
                          WRITE, Trace)

LENGTH = 10 << 30
MAPPED = 2 * LENGTH // PAGE      # entries after the fork, of both
CHANGED = 6 * LENGTH // PAGE     # set by faults and by the fork, cleared by the child's exit, protected twice, unmapped


def program():
    trace = Trace()
    trace.attach()
    trace.map(BASE, LENGTH)
    for offset in range(0, LENGTH, FOLIO):
        trace.record('fault', addr=BASE + offset, flags=2)
        trace.record('page_alloc', pfn=trace.next_pfn, order=4, gfp=USER_GFP)
        trace.rss(MM, FOLIO_PAGES)
        trace.next_pfn += FOLIO_PAGES
    trace.fork()
    trace.exit(CHILD, CHILD_MM)
    for prot in READ, READ | WRITE:
        trace.call('mprotect', 0, addr=BASE, len=LENGTH, prot=prot, pkey=-1)
    trace.record('munmap', addr=BASE, len=LENGTH)
    trace.rss(MM, -trace.anon[MM])
    trace.record('sys_ret', call=CALLS['munmap'], ret=0)
    trace.exit()
    return trace


def main():
    with open(sys.argv[1], 'w', encoding='utf-8') as file:
        file.write(program().text('10 GiB of anonymous memory in folios of 64 KiB'))


if __name__ == '__main__':
    main()
