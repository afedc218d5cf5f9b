# SPDX-License-Identifier: MIT
"""
The traces of the gib_* golden cases: what the event stream of a real kernel looks like when a program does one thing to
1 GiB of anonymous memory. They are tens of thousands of records of one pattern, so they are written for each run of the
test and not kept; kernel-model.md 7.1 and 7.3 name the cases.

The numbers expected of each case are in its expected.json, worked out by hand: nothing here computes a result.
"""
from write_traces import (BASE, CALLS, CHILD, CHILD_MM, DONTNEED, FIRST_PFN, FOLIO, MM, PAGE, PARENT, READ, SIZE,
                          WRITE, Trace)

GIB = 1 << 30
TABLE = SIZE                 # what one table of entries maps
VMA = (BASE, GIB, READ | WRITE)


class GibTrace(Trace):
    """A process with 1 GiB; the kernel counts its pages table by table."""

    def fork(self):
        """copy_pte_range() tells the child's counter once for each table."""
        self.record("clone", flags=0x1200011)
        for _ in range(GIB // TABLE):
            self.rss(CHILD_MM, TABLE // PAGE, curr=0)
        self.record("newtask", child=CHILD, flags=0x1200011)
        self.record("sys_ret", call=CALLS["clone"], ret=CHILD)
        self.record("sys_ret", tid=CHILD, call=CALLS["clone"], ret=0)

    def unmap(self, name, **fields):
        """A system call that takes away all of the 1 GiB."""
        self.record(name, addr=BASE, len=GIB, **fields)
        for table in range(BASE, BASE + GIB, TABLE):
            self.zap(table, TABLE)
        self.record("sys_ret", call=CALLS[name], ret=0)


def touched():
    """Folios of 64 KiB, by 16384 write faults."""
    trace = GibTrace()
    trace.attach()
    trace.map(BASE, GIB)
    trace.touch(BASE, GIB // FOLIO)
    return trace


def attached_huge():
    """Folios of 2 MiB mapped by entries, as an earlier mprotect() of a part of each left them: found at attach."""
    trace = GibTrace()
    trace.record("process", stream="snapshot", pid=PARENT)
    for page in range(GIB // PAGE):
        trace.pages[BASE + page * PAGE] = (FIRST_PFN + page, 9)
    trace.anon[MM] = GIB // PAGE
    trace.snapshot(0, vmas=[VMA])
    return trace


def gib_fork():
    """fork() of a process with 1 GiB in folios of 64 KiB; the child exits at once."""
    trace = touched()
    trace.fork()
    trace.exit(CHILD, CHILD_MM)
    trace.exit(vmas=[VMA])
    return trace


def gib_fork_huge():
    """fork() of a process with 1 GiB in folios of 2 MiB mapped by entries; the child exits at once."""
    trace = attached_huge()
    trace.fork()
    trace.exit(CHILD, CHILD_MM)
    trace.exit(vmas=[VMA])
    return trace


def gib_exit():
    """A process exits with its 1 GiB in folios of 64 KiB."""
    trace = touched()
    trace.exit(vmas=[VMA])
    return trace


def gib_mprotect():
    """mprotect(PROT_READ) of 1 GiB in folios of 64 KiB."""
    trace = touched()
    trace.call("mprotect", 0, addr=BASE, len=GIB, prot=READ, pkey=-1)
    trace.exit(vmas=[(BASE, GIB, READ)])
    return trace


def gib_dontneed():
    """madvise(MADV_DONTNEED) of 1 GiB in folios of 64 KiB, one VMA."""
    trace = touched()
    trace.unmap("madvise", advice=DONTNEED)
    trace.exit(vmas=[VMA])
    return trace


def gib_dontneed_pages():
    """madvise(MADV_DONTNEED) of each page of 1 GiB in folios of 64 KiB, one call per page, upwards."""
    trace = touched()
    for page in range(BASE, BASE + GIB, PAGE):
        trace.record("madvise", addr=page, len=PAGE, advice=DONTNEED)
        trace.zap(page, PAGE)
        trace.record("sys_ret", call=CALLS["madvise"], ret=0)
    trace.exit(vmas=[VMA])
    return trace


def gib_munmap_huge():
    """munmap() of 1 GiB in folios of 2 MiB mapped by entries."""
    trace = attached_huge()
    trace.unmap("munmap")
    trace.exit()
    return trace


CASES = {make.__name__: make for make in (gib_fork, gib_fork_huge, gib_exit, gib_mprotect, gib_dontneed,
                                          gib_dontneed_pages, gib_munmap_huge)}


def text(name):
    return CASES[name]().text(CASES[name].__doc__)
