# SPDX-License-Identifier: MIT
"""Traces of the rel_* golden cases: what kernels of different age do otherwise. write_traces.py writes them."""

FREE, COLD, PAGEOUT = 8, 20, 21
EXEC = 4
THREAD = 0x3d0f00     # clone flags of pthread_create()
PRIVATE_FILE = 0x2
SHARED_ANON = 0x21
DEVICE, INODE = 0x100, 5
GIB = 1 << 30
FILE = 0     # of rss_stat


def attached(trace):
    trace.attach()
    return trace


def protect(trace, address, length, access):
    trace.call("mprotect", 0, addr=address, len=length, prot=access, pkey=-1)


def move(trace, start, length, target):
    trace.call("mremap", target, addr=start, old_len=length, new_len=length, flags=3, new_addr=target)
    trace.pages = {address - start + target: page for address, page in trace.pages.items()}


def advise(trace, start, length, advice):
    trace.call("madvise", 0, addr=start, len=length, advice=advice)


def cases(w):
    """w: write_traces. Functions by name of the case; their words are the trace's comment."""
    base, page, folio, size = w.BASE, w.PAGE, w.FOLIO, w.SIZE
    read, write = w.READ, w.WRITE

    def move_pud():
        """mremap() of 1 GiB from a multiple of 1 GiB to another; two of its tables have pages."""
        trace = attached(w.Trace())
        trace.map(base, GIB)
        trace.touch(base, 1)
        trace.touch(base + 32 * size, 1)
        move(trace, base, GIB, base + 4 * GIB)
        trace.exit(vmas=[(base + 4 * GIB, GIB, 3)])
        return trace

    def realign():
        """mremap() of 2 MiB that begin 512 KiB above a multiple of 2 MiB, to a place like it. Nothing is around."""
        start, target = base + size // 4, base + GIB + size // 4
        trace = attached(w.Trace())
        trace.map(start, size)
        trace.touch(start)
        move(trace, start, size, target)
        trace.exit(vmas=[(target, size, 3)])
        return trace

    def mprotect_vmas():
        """mprotect(PROT_READ) of two VMAs of 2 MiB in one call, one of them executable; a folio is in each."""
        trace = attached(w.Trace())
        trace.map()
        trace.call("mmap", base + size, addr=0, len=size, prot=read | write | EXEC, flags=w.PRIVATE_ANON, fd=-1,
                   offset=0)
        trace.touch(base, 1)
        trace.touch(base + size, 1)
        protect(trace, base, 2 * size, read)
        trace.exit(vmas=[(base, 2 * size, read)])
        return trace

    def small_page(trace, address, pfn):
        trace.record("fault", addr=address, flags=2)
        trace.record("page_alloc", pfn=pfn, order=0, gfp=w.USER_GFP & ~0x10)
        trace.rss(w.MM, 1)
        trace.pages[address] = (pfn, 0)

    def upgraded(clean):
        trace = attached(w.Trace())
        trace.map(base, folio)
        small_page(trace, base, 0x200000)
        if clean:
            advise(trace, base, page, FREE)
        protect(trace, base, folio, read)
        protect(trace, base, folio, read | write)
        trace.record("fault", addr=base, flags=3)
        trace.exit(vmas=[(base, folio, 3)])
        return trace

    def write_upgrade():
        """A page becomes read-only and writable again, and is written to."""
        return upgraded(False)

    def write_upgrade_clean():
        """MADV_FREE cleans a page; then it becomes read-only and writable again, and is written to."""
        return upgraded(True)

    def split_dirty():
        """The first 64 KiB of a huge page become read-only and writable again, and their first page is written to."""
        trace = attached(w.Trace())
        trace.map()
        trace.touch_huge()
        protect(trace, base, folio, read)
        protect(trace, base, folio, read | write)
        trace.record("fault", addr=base, flags=3)
        trace.exit(vmas=[w.VMA])
        return trace

    def migrate():
        """Another task migrates the first folio to other memory: 16 entries."""
        trace = w.touched()
        for number in range(w.FOLIO_PAGES):
            trace.record("migration_set", stream="system", tid=50, addr=base + number * page,
                         pfn=w.FIRST_PFN + number, order=4, flags=1)
        for number in range(w.FOLIO_PAGES):
            trace.record("migration_remove", stream="system", tid=50, addr=base + number * page,
                         pfn=0x300000 + number, order=4, flags=1)
            trace.pages[base + number * page] = (0x300000 + number, 4)
        trace.exit(vmas=[w.VMA])
        return trace

    def cold_huge():
        """madvise(MADV_COLD) of a huge page."""
        trace = attached(w.Trace())
        trace.map()
        trace.touch_huge()
        advise(trace, base, size, COLD)
        trace.exit(vmas=[w.VMA])
        return trace

    def pageout():
        """madvise(MADV_PAGEOUT) of a huge page and of 512 small ones, all of which stay: there is no room to swap."""
        trace = attached(w.Trace())
        trace.map(base, 2 * size)
        trace.touch_huge()
        for number in range(size // page):
            small_page(trace, base + size + number * page, 0x200000 + 2 * number)
        advise(trace, base, 2 * size, PAGEOUT)
        trace.exit(vmas=[(base, 2 * size, 3)])
        return trace

    def exec_prot():
        """mprotect(PROT_READ | PROT_EXEC) of a folio that could be executed before, and written to."""
        trace = attached(w.Trace())
        trace.call("mmap", base, addr=0, len=folio, prot=read | write | EXEC, flags=w.PRIVATE_ANON, fd=-1, offset=0)
        trace.touch(base, 1)
        protect(trace, base, folio, read | EXEC)
        trace.exit(vmas=[(base, folio, read | EXEC)])
        return trace

    def file_read(order):
        """A read of a file's first page maps its first 16, in folios of this order; then madvise(MADV_COLD)."""
        trace = attached(w.Trace())
        trace.record("mmap", addr=0, len=folio, prot=read, flags=PRIVATE_FILE, fd=3, offset=0)
        trace.record("mmap2", stream="snapshot", addr=base, len=folio, pgoff=0, dev=DEVICE, ino=INODE, flags=read)
        trace.record("sys_ret", call=w.CALLS["mmap"], ret=base)
        trace.record("fault", addr=base, flags=0)
        trace.rss(w.MM, 16, member=FILE)
        trace.record("map_pages", dev=DEVICE, ino=INODE, index=0, last=15)
        advise(trace, base, folio, COLD)
        trace.record("munmap", addr=base, len=folio)
        trace.rss(w.MM, -16, member=FILE)
        trace.record("sys_ret", call=w.CALLS["munmap"], ret=0)
        trace.exit()
        trace.record("cache_file", stream="snapshot", tid=0, dev=DEVICE, ino=INODE, pages=16)
        for number in range(0, 16, 1 << order):
            trace.record("cache_run", stream="snapshot", tid=0, dev=DEVICE, ino=INODE, index=number, nr=1 << order,
                         pfn=0x7000 + (number if order else 3 * number), order=order)
        return trace

    def hugetlb(shift):
        """One huge page of shared hugetlb, written to, and madvise(MADV_DONTNEED)."""
        trace = attached(w.Trace())
        trace.call("mmap", base, addr=0, len=1 << shift, prot=read | write,
                   flags=SHARED_ANON | w.MAP_HUGETLB | shift << w.MAP_HUGE_SHIFT, fd=-1, offset=0)
        trace.record("fault", addr=base, flags=2)
        advise(trace, base, 1 << shift, w.DONTNEED)
        trace.exit()
        return trace

    def shared_hugetlb(gibs):
        """A parent writes to one huge page of each GiB of shared hugetlb, its child reads them."""
        trace = attached(w.Trace())
        trace.call("mmap", base, addr=0, len=gibs * GIB, prot=read | write, flags=SHARED_ANON | w.MAP_HUGETLB,
                   fd=-1, offset=0)
        for number in range(gibs):
            trace.record("fault", addr=base + number * GIB, flags=2)
        trace.fork()
        for number in range(gibs):
            trace.record("fault", tid=w.CHILD, addr=base + number * GIB, flags=0)
        return trace

    def unshare():
        """
        Parent and child have 4 GiB of hugetlb in common. The child makes the first two read-only; the parent unmaps
        what lies above the middle of the third.
        """
        trace = shared_hugetlb(4)
        trace.record("mprotect", tid=w.CHILD, addr=base, len=2 * GIB, prot=read, pkey=-1)
        trace.record("sys_ret", tid=w.CHILD, call=w.CALLS["mprotect"], ret=0)
        trace.call("munmap", 0, addr=base + 2 * GIB + GIB // 2, len=GIB + GIB // 2)
        trace.exit(w.CHILD, w.CHILD_MM)
        trace.exit()
        return trace

    def unshare_exit():
        """Parent and child have 3 GiB of hugetlb in common. The child exits, then the parent."""
        trace = shared_hugetlb(3)
        trace.exit(w.CHILD, w.CHILD_MM)
        trace.exit()
        return trace

    class Threads(w.Trace):
        """Of four CPUs: the first has the thread that makes the calls, the others one each that has faulted there."""

        def __init__(self):
            super().__init__()
            self.streams |= {f"cpu{cpu}": [] for cpu in (1, 2, 3)}
            self.attach()
            self.map()

        def text(self, comment):
            text = super().text(comment).replace('"cpus": 1', '"cpus": 4')
            for cpu in (1, 2, 3):
                text = text.replace(f"source=cpu{cpu} cpu=0", f"source=task cpu={cpu}")
            return text

        def page(self, number):
            small_page(self, base + number * page, 0x200000 + 2 * number)

        def thread(self, cpu):
            self.record("clone", flags=THREAD)
            self.record("newtask", child=w.PARENT + cpu, flags=THREAD)
            self.record("sys_ret", call=w.CALLS["clone"], ret=w.PARENT + cpu)
            self.record("fault", stream=f"cpu{cpu}", tid=w.PARENT + cpu, addr=base + 7 * page, flags=0)

        def drop(self, number, pages=1):
            self.record("madvise", addr=base + number * page, len=pages * page, advice=w.DONTNEED)
            self.zap(base + number * page, pages * page)
            self.record("sys_ret", call=w.CALLS["madvise"], ret=0)

        def end(self, threads):
            self.snapshot(1, vmas=[w.VMA])
            self.record("exit", tid=w.PARENT, group=1)
            for cpu in range(1, threads + 1):
                self.record("exit_task", stream=f"cpu{cpu}", tid=w.PARENT + cpu, group_dead=0)
            self.record("exit_task", tid=w.PARENT, group_dead=1)
            self.rss(w.MM, -self.anon[w.MM], curr=0)
            return self

    def min_cpus():
        """Four times madvise(MADV_DONTNEED) of a page: by a process that one CPU runs, then two, then four, then four."""
        trace = Threads()
        for number in range(8):
            trace.page(number)
        trace.drop(0)
        trace.thread(1)
        trace.drop(1)
        trace.thread(2)
        trace.thread(3)
        trace.drop(2)
        trace.drop(3)
        return trace.end(3)

    def rfence():
        """madvise(MADV_DONTNEED) of four pages of a process that two CPUs run."""
        trace = Threads()
        for number in range(8):
            trace.page(number)
        trace.thread(1)
        trace.drop(0, 4)
        return trace.end(1)

    def svvptc():
        """A write fault that is answered with a folio: 16 entries become valid."""
        trace = attached(w.Trace())
        trace.map(base, folio)
        trace.touch(base, 1)
        trace.exit(vmas=[(base, folio, 3)])
        return trace

    def swap_out_now():
        """Reclaim by another task swaps out the first folio: 16 entries become swap entries."""
        return w.swap_out()

    named = {make.__name__: make for make in (
        move_pud, realign, mprotect_vmas, write_upgrade, write_upgrade_clean, split_dirty, migrate, cold_huge, pageout,
        exec_prot, swap_out_now, min_cpus, rfence, svvptc, unshare, unshare_exit)}
    found = {f"rel_{name}": (make(), make.__doc__) for name, make in named.items()}
    for name, shift in (("hugetlb_64k", 16), ("hugetlb_2m", 21), ("hugetlb_32m", 25)):
        found[f"rel_{name}"] = (hugetlb(shift), hugetlb.__doc__)
    found["rel_fault_around"] = (file_read(4), file_read.__doc__)
    found["rel_prefault_old"] = (file_read(0), file_read.__doc__)
    found["idea_migrate"] = found["rel_migrate"]
    return found
