#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Write the trace.txt of the mm_*, rel_* and gup_* golden cases: what the event stream of a real kernel looks like when a
program does one thing to 2 MiB of anonymous memory in folios of 64 KiB, or to huge pages. For people who change or add
a case; the tests read the files.

The numbers expected of each case are in its expected.json, worked out by hand: nothing here computes a result.

usage: write_traces.py [DIRECTORY]
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import release_traces

PAGE = 4096
FOLIO_PAGES = 16
FOLIO = FOLIO_PAGES * PAGE
SIZE = 2 << 20
BASE = 0x400000000000        # a multiple of 1 GiB
LOW = 0x40000000             # what 32 bits can tell
MIDDLE = BASE + 3 * SIZE
SIXTH = BASE + 5 * PAGE      # a page inside the first block
FIRST_PFN = 0x100000         # a multiple of 512: each folio of 16 pages is aligned
PARENT, CHILD = 100, 101     # threads and processes
MM, CHILD_MM = 7, 8          # mm_id of rss_stat
PRIVATE_ANON = 0x22
READ, WRITE = 1, 2
USER_GFP = 0x1 | 0x2 | 0x8 | 0x10 | 0x20    # movable, hardwall, zeroed, compound, highmem
FILEPAGES, ANON, SWAPENTS = 0, 1, 2
SWAPBACKED_ANON, EXCLUSIVE = 0x880, 0x4    # of a page in a snapshot
CALLS = {"mmap": 16, "process_vm": 34, "munmap": 17, "mprotect": 18, "mremap": 19, "madvise": 20, "clone": 26,
         "msync": 32, "exit": 35}
DONTNEED, POPULATE_WRITE = 4, 23
MAP_SHARED, SHARED_FILE, MS_SYNC = 1, 0xb, 4     # SHARED_FILE: of a VMA, read and write
MAP_HUGETLB, MAP_HUGE_SHIFT = 0x40000, 26
HEX = {"flags", "gfp", "prot"}


def show(key, value):
    if isinstance(value, str):
        return value
    return hex(value) if key in HEX or value > 4096 else value


class Trace:
    """Records of one process, in time order, by stream."""

    def __init__(self, page_size=PAGE):
        self.page_size = page_size
        self.time = 1_000_000
        self.streams = {"task": [], "system": [], "snapshot": []}
        self.anon = {MM: 0}
        self.next_pfn = FIRST_PFN
        self.pages = {}          # address -> (pfn, order), for the snapshots
        self.swapped = {}        # address -> slot

    def record(self, kind, stream="task", tid=PARENT, **fields):
        self.time += 1000
        words = [str(self.time), f"tid={tid}", kind]
        words += [f"{key}={show(key, value)}" for key, value in fields.items()]
        self.streams[stream].append(" ".join(words))

    def text(self, comment):
        header = {"kernel": "6.18.0", "arch": "x86_64", "page_size": self.page_size, "cpus": 1}
        lines = [f"# {line.strip()}" for line in comment.strip().splitlines()]
        lines.append("header " + json.dumps(header, sort_keys=True))
        for number, source in enumerate(self.streams):
            lines.append(f"stream {number} source={source} cpu=0")
        for number, records in enumerate(self.streams.values()):
            if records:
                lines += [f"frame stream={number}"] + records
        return "\n".join(lines) + "\nend command\n"

    # ---- what the kernel says ----

    def rss(self, mm, change, curr=1, tid=PARENT, member=ANON):
        key = mm if member == ANON else (mm, member)
        self.anon[key] = self.anon.get(key, 0) + change
        self.record("rss_stat", tid=tid, stream="task" if curr else "system", mm_id=mm, curr=curr, member=member,
                    pages=self.anon[key])

    def call(self, name, ret, **fields):
        """A system call that only touches VMAs."""
        self.record(name, **fields)
        self.record("sys_ret", call=CALLS[name], ret=ret)

    def runs(self):
        """(address, nr, pfn, order) of pages that follow each other in one folio."""
        runs = []
        for address in sorted(self.pages):
            pfn, order = self.pages[address]
            if runs:
                start, nr, first, last_order = runs[-1]
                if (address == start + nr * PAGE and pfn == first + nr and order == last_order
                        and pfn >> order == first >> order):
                    runs[-1] = (start, nr + 1, first, order)
                    continue
            runs.append((address, 1, pfn, order))
        return runs

    def snapshot(self, why, pid=PARENT, vmas=()):
        def say(kind, **fields):
            self.record(kind, stream="snapshot", tid=pid, **fields)

        say("snap_begin", pid=pid, why=why, threads=1)
        for start, length, prot in vmas:
            say("snap_vma", addr=start, len=length, pgoff=start // PAGE, flags=prot)
        for address in sorted(self.swapped):
            say("snap_swap", addr=address, nr=1, entry=self.swapped[address])
        flags = SWAPBACKED_ANON if why else SWAPBACKED_ANON | EXCLUSIVE
        for address, nr, pfn, order in self.runs():
            say("snap_pte", addr=address, nr=nr, pfn=pfn, order=order, flags=flags)
        if not why and self.anon[MM]:
            say("snap_rss", file=0, anon=self.anon[MM], swap=0, shmem=0)
        say("snap_end", pid=pid, complete=1, stopped=1)

    def attach(self):
        """A process of one thread, without memory of its own."""
        self.record("process", stream="snapshot", pid=PARENT)
        self.snapshot(0)

    def exit(self, tid=PARENT, mm=MM, vmas=()):
        if tid == PARENT:
            self.snapshot(1, vmas=vmas)
        self.record("exit", tid=tid, group=1)
        self.record("exit_task", tid=tid, group_dead=1)
        if self.anon.get(mm):
            self.rss(mm, -self.anon[mm], curr=0, tid=tid)

    # ---- what the program does ----

    def map(self, start=BASE, length=SIZE):
        self.call("mmap", start, addr=0, len=length, prot=READ | WRITE, flags=PRIVATE_ANON, fd=-1, offset=0)

    def touch(self, start=BASE, folios=SIZE // FOLIO):
        """Write to the first byte of each 64 KiB."""
        for address in range(start, start + folios * FOLIO, FOLIO):
            self.record("fault", addr=address, flags=2)
            self.record("page_alloc", pfn=self.next_pfn, order=4, gfp=USER_GFP)
            self.rss(MM, FOLIO_PAGES)
            for page in range(FOLIO_PAGES):
                self.pages[address + page * PAGE] = (self.next_pfn + page, 4)
            self.next_pfn += FOLIO_PAGES

    def touch_small(self):
        """Write to every page, each answered with a page of its own, with mTHP off."""
        for page in range(SIZE // PAGE):
            self.record("fault", addr=BASE + page * PAGE, flags=2)
            self.record("page_alloc", pfn=FIRST_PFN + 2 * page, order=0, gfp=USER_GFP & ~0x10)
            self.rss(MM, 1)
            self.pages[BASE + page * PAGE] = (FIRST_PFN + 2 * page, 0)

    def touch_huge(self):
        """One write, answered with a folio of 2 MiB."""
        self.record("fault", addr=BASE, flags=2)
        self.record("page_alloc", pfn=FIRST_PFN, order=9, gfp=USER_GFP)
        self.rss(MM, 512)
        for page in range(512):
            self.pages[BASE + page * PAGE] = (FIRST_PFN + page, 9)

    def zap(self, start, length):
        """Pages that go: the counter, then the folios that nobody maps any more."""
        pages = [self.pages.pop(address) for address in range(start, start + length, PAGE)]
        self.rss(MM, -len(pages))
        for pfn, order in pages:
            if order == 4 and length >= FOLIO and pfn % (1 << order) == 0:
                self.record("page_free", pfn=pfn, order=order)

    def fork(self):
        """All of the parent's pages go to the child; one rss_stat per table of entries."""
        self.record("clone", flags=0x1200011)
        self.rss(CHILD_MM, self.anon[MM], curr=0)
        self.record("newtask", child=CHILD, flags=0x1200011)
        self.record("sys_ret", call=CALLS["clone"], ret=CHILD)
        self.record("sys_ret", tid=CHILD, call=CALLS["clone"], ret=0)


VMA = (BASE, SIZE, READ | WRITE)


def touched():
    trace = Trace()
    trace.attach()
    trace.map()
    trace.touch()
    return trace


def fault():
    """32 write faults on 2 MiB of anonymous memory, each answered with a folio of 64 KiB."""
    trace = touched()
    trace.exit(vmas=[VMA])
    return trace


def dontneed():
    """madvise(MADV_DONTNEED) of all 2 MiB: entries go, the table stays."""
    trace = touched()
    trace.record("madvise", addr=BASE, len=SIZE, advice=DONTNEED)
    trace.zap(BASE, SIZE)
    trace.record("sys_ret", call=CALLS["madvise"], ret=0)
    trace.exit(vmas=[VMA])
    return trace


def dontneed_page():
    """madvise(MADV_DONTNEED) of the sixth page of the first block."""
    trace = touched()
    trace.record("madvise", addr=SIXTH, len=PAGE, advice=DONTNEED)
    trace.zap(SIXTH, PAGE)
    trace.record("sys_ret", call=CALLS["madvise"], ret=0)
    trace.exit(vmas=[VMA])
    return trace


def dontneed_edges():
    """
    madvise(MADV_DONTNEED) of a huge page but for its first and last 8 pages: the mapping is split into entries, then
    496 of them go in one run with two partial blocks at its ends.
    """
    trace = Trace()
    trace.attach()
    trace.map()
    trace.touch_huge()
    trace.record("madvise", addr=BASE + 8 * PAGE, len=SIZE - 16 * PAGE, advice=DONTNEED)
    trace.zap(BASE + 8 * PAGE, SIZE - 16 * PAGE)
    trace.record("sys_ret", call=CALLS["madvise"], ret=0)
    trace.exit(vmas=[VMA])
    return trace


def anon_folios():
    """512 write faults on 2 MiB with mTHP off, and madvise(MADV_DONTNEED) of the sixth page: what would folios do?"""
    trace = Trace()
    trace.attach()
    trace.map()
    trace.touch_small()
    trace.record("madvise", addr=SIXTH, len=PAGE, advice=DONTNEED)
    trace.zap(SIXTH, PAGE)
    trace.record("sys_ret", call=CALLS["madvise"], ret=0)
    trace.exit(vmas=[VMA])
    return trace


def munmap():
    """munmap() of the 2 MiB between two other mappings of the same GiB: the table of entries goes, no other."""
    trace = Trace()
    trace.attach()
    trace.map(BASE + SIZE, PAGE)
    trace.map(BASE + 5 * SIZE, PAGE)
    trace.map(MIDDLE)
    trace.touch(MIDDLE)
    trace.record("munmap", addr=MIDDLE, len=SIZE)
    trace.zap(MIDDLE, SIZE)
    trace.record("sys_ret", call=CALLS["munmap"], ret=0)
    trace.exit(vmas=[(BASE + SIZE, PAGE, 3), (BASE + 5 * SIZE, PAGE, 3)])
    return trace


def exit_():
    """The process exits with its 2 MiB."""
    trace = touched()
    trace.exit(vmas=[VMA])
    return trace


def fork():
    """fork() of a process with 2 MiB; the child exits at once."""
    trace = touched()
    trace.fork()
    trace.exit(CHILD, CHILD_MM)
    trace.exit(vmas=[VMA])
    return trace


def reuse():
    """After fork() and the child's exit the parent writes to each page of its first block: reuse without copy."""
    trace = touched()
    trace.fork()
    trace.exit(CHILD, CHILD_MM)
    for page in range(FOLIO_PAGES):
        trace.record("fault", addr=BASE + page * PAGE, flags=3)
    trace.exit(vmas=[VMA])
    return trace


def cow():
    """After fork() the parent writes to the sixth page of its first block, which the child still has: a copy."""
    trace = touched()
    trace.fork()
    trace.record("fault", addr=SIXTH, flags=3)
    trace.record("page_alloc", pfn=0x200003, order=0, gfp=0x1 | 0x2 | 0x20)
    trace.pages[SIXTH] = (0x200003, 0)
    trace.exit(CHILD, CHILD_MM)
    trace.exit(vmas=[VMA])
    return trace


def mprotect():
    """mprotect(PROT_READ) of all 2 MiB."""
    trace = touched()
    trace.call("mprotect", 0, addr=BASE, len=SIZE, prot=READ, pkey=-1)
    trace.exit(vmas=[(BASE, SIZE, READ)])
    return trace


def mprotect_page():
    """mprotect(PROT_READ) of the sixth page of the first block."""
    trace = touched()
    trace.call("mprotect", 0, addr=SIXTH, len=PAGE, prot=READ, pkey=-1)
    trace.exit(vmas=[(BASE, 5 * PAGE, 3), (SIXTH, PAGE, 1), (BASE + 6 * PAGE, SIZE - 6 * PAGE, 3)])
    return trace


def mremap():
    """mremap() of 2 MiB to an address that is a multiple of 64 KiB but not of 2 MiB: every entry moves."""
    trace = touched()
    target = BASE + (1 << 30) + FOLIO
    trace.call("mremap", target, addr=BASE, old_len=SIZE, new_len=SIZE, flags=3, new_addr=target)
    trace.pages = {address - BASE + target: page for address, page in trace.pages.items()}
    trace.exit(vmas=[(target, SIZE, 3)])
    return trace


def swap_out():
    """Reclaim by another task swaps out the first folio: 16 entries become swap entries, flushes are deferred."""
    trace = touched()
    pfn, _ = trace.pages[BASE]
    trace.rss(MM, -16, curr=0)
    trace.rss(MM, 16, curr=0, member=SWAPENTS)
    trace.record("swap_write", stream="system", tid=50, pfn=pfn, flags=0x4)
    for page in range(FOLIO_PAGES):
        del trace.pages[BASE + page * PAGE]
        trace.swapped[BASE + page * PAGE] = 0x1000 + page
    trace.exit(vmas=[VMA])
    return trace


def gup(page_size, shift, base=BASE):
    """
    One huge page of hugetlb, written to and then gone through by GUP, all of it in one call: MADV_POPULATE_WRITE finds
    everything there.
    """
    trace = Trace(page_size)
    trace.attach()
    trace.call("mmap", base, addr=0, len=1 << shift, prot=READ | WRITE,
               flags=PRIVATE_ANON | MAP_HUGETLB | shift << MAP_HUGE_SHIFT, fd=-1, offset=0)
    trace.record("fault", addr=base, flags=2)
    trace.call("madvise", 0, addr=base, len=1 << shift, advice=POPULATE_WRITE)
    trace.exit()
    return trace


def gup_process_vm():
    """
    process_vm_readv() of 64 KiB in a folio, and of a huge page of 2 MiB but for its first and last 100 bytes, of the
    process's own memory; then process_vm_writev() that fails.
    """
    huge = BASE + (1 << 30)
    trace = touched()
    trace.call("mmap", huge, addr=0, len=SIZE, prot=READ | WRITE, flags=PRIVATE_ANON | MAP_HUGETLB, fd=-1, offset=0)
    trace.record("fault", addr=huge + 4096, flags=2)
    trace.record("gup", pid=PARENT, addr=BASE + 2 * FOLIO, len=FOLIO)
    trace.record("gup", pid=PARENT, addr=huge + 100, len=SIZE - 200)
    trace.call("process_vm", FOLIO + SIZE - 200, pid=PARENT)
    trace.record("gup", pid=PARENT, addr=BASE, len=FOLIO, flags=1)
    trace.call("process_vm", -14, pid=PARENT, write=1)
    trace.exit(vmas=[VMA])
    return trace


def gup_fast():
    """O_DIRECT into 64 KiB in a folio, then over all of a huge page of 2 MiB of hugetlb."""
    huge = BASE + (1 << 30)
    trace = touched()
    trace.call("mmap", huge, addr=0, len=SIZE, prot=READ | WRITE, flags=PRIVATE_ANON | MAP_HUGETLB, fd=-1, offset=0)
    trace.record("fault", addr=huge, flags=2)
    trace.record("gup", addr=BASE, len=FOLIO, flags=3)
    trace.record("gup", addr=huge, len=SIZE, flags=3)
    trace.exit(vmas=[VMA])
    return trace


def whole_report():
    """A bit of everything on 256 KiB: faults, mprotect, fork, copy, reuse, MADV_DONTNEED, exit."""
    length = 4 * FOLIO
    trace = Trace()
    trace.attach()
    trace.map(BASE, length)
    trace.touch(BASE, 4)
    trace.call("mprotect", 0, addr=BASE + 3 * FOLIO, len=FOLIO, prot=READ, pkey=-1)
    trace.record("marker", w0='"with chi"', w1='"ld\\x0a"')
    trace.fork()
    trace.record("fault", addr=SIXTH, flags=3)
    trace.record("page_alloc", pfn=0x200003, order=0, gfp=0x1 | 0x2 | 0x20)
    trace.pages[SIXTH] = (0x200003, 0)
    trace.exit(CHILD, CHILD_MM)
    trace.record("fault", addr=BASE, flags=3)
    trace.record("madvise", addr=BASE + FOLIO, len=FOLIO, advice=DONTNEED)
    trace.zap(BASE + FOLIO, FOLIO)
    trace.record("sys_ret", call=CALLS["madvise"], ret=0)
    trace.record("marker", w0='"the end"')
    trace.exit(vmas=[(BASE, 3 * FOLIO, READ | WRITE), (BASE + 3 * FOLIO, FOLIO, READ)])
    return trace


def idea_conversions():
    """mprotect(PROT_READ) of 16 pages: the second half of the first block, the first half of the next one."""
    trace = touched()
    start, length = BASE + FOLIO // 2, FOLIO
    trace.call("mprotect", 0, addr=start, len=length, prot=READ, pkey=-1)
    trace.exit(vmas=[(BASE, FOLIO // 2, 3), (start, length, 1), (start + length, SIZE - FOLIO // 2 - length, 3)])
    return trace


def idea_gather():
    """madvise(MADV_DONTNEED) of all but the last folio, with two of them there: the first and the eleventh."""
    trace = Trace()
    trace.attach()
    trace.map()
    trace.touch(BASE, 1)
    trace.touch(BASE + 10 * FOLIO, 1)
    trace.record("madvise", addr=BASE, len=SIZE - FOLIO, advice=DONTNEED)
    trace.rss(MM, -2 * FOLIO_PAGES)
    for address in (BASE, BASE + 10 * FOLIO):
        trace.record("page_free", pfn=trace.pages[address][0], order=4)
    trace.pages = {}
    trace.record("sys_ret", call=CALLS["madvise"], ret=0)
    trace.exit(vmas=[VMA])
    return trace


def idea_refold():
    """mprotect(PROT_READ) of the sixth page of the first block, and mprotect() back."""
    trace = touched()
    trace.call("mprotect", 0, addr=SIXTH, len=PAGE, prot=READ, pkey=-1)
    trace.call("mprotect", 0, addr=SIXTH, len=PAGE, prot=READ | WRITE, pkey=-1)
    trace.exit(vmas=[VMA])
    return trace


def idea_khuge_cont():
    """mprotect(PROT_READ) of the sixth page of the first block, and mprotect() back; 1 ms later the process exits."""
    trace = touched()
    trace.call("mprotect", 0, addr=SIXTH, len=PAGE, prot=READ, pkey=-1)
    trace.call("mprotect", 0, addr=SIXTH, len=PAGE, prot=READ | WRITE, pkey=-1)
    trace.time += 1_000_000
    trace.exit(vmas=[VMA])
    return trace


def idea_mkclean():
    """Write faults on the 16 pages of a folio of a shared file, and msync(MS_SYNC)."""
    file = {"dev": 0x100, "ino": 5}
    trace = Trace()
    trace.attach()
    trace.record("mmap", addr=0, len=FOLIO, prot=READ | WRITE, flags=MAP_SHARED, fd=3, offset=0)
    trace.record("mmap2", stream="snapshot", addr=BASE, len=FOLIO, pgoff=0, **file, flags=SHARED_FILE)
    trace.record("sys_ret", call=CALLS["mmap"], ret=BASE)
    for page in range(FOLIO_PAGES):
        trace.record("fault", addr=BASE + page * PAGE, flags=2)
        trace.rss(MM, 1, member=FILEPAGES)
    trace.call("msync", 0, addr=BASE, len=FOLIO, flags=MS_SYNC)
    trace.record("munmap", addr=BASE, len=FOLIO)
    trace.rss(MM, -FOLIO_PAGES, member=FILEPAGES)
    trace.record("sys_ret", call=CALLS["munmap"], ret=0)
    trace.exit()
    trace.record("cache_file", stream="snapshot", tid=0, **file, pages=FOLIO_PAGES)
    trace.record("cache_run", stream="snapshot", tid=0, **file, index=0, nr=FOLIO_PAGES, pfn=0x7000, order=4)
    return trace


def idea_coalesce():
    """
    16 write faults answered with small pages: 8 that happen to be in a row, at a multiple of 8, and 8 in a row from an
    odd one on. 2^20 us later mprotect(PROT_READ) of the sixth page; 2^20 us later mprotect() back, and the process
    exits.
    """
    trace = Trace()
    trace.attach()
    trace.map()
    for page in range(FOLIO_PAGES):
        pfn = FIRST_PFN + page + (page >= 8)
        trace.record("fault", addr=BASE + page * PAGE, flags=2)
        trace.record("page_alloc", pfn=pfn, order=0, gfp=USER_GFP & ~0x10)
        trace.rss(MM, 1)
        trace.pages[BASE + page * PAGE] = (pfn, 0)
    trace.time += 1000 << 20
    trace.call("mprotect", 0, addr=SIXTH, len=PAGE, prot=READ, pkey=-1)
    trace.time += 1000 << 20
    trace.call("mprotect", 0, addr=SIXTH, len=PAGE, prot=READ | WRITE, pkey=-1)
    trace.exit(vmas=[VMA])
    return trace


def idea_span():
    """16 write faults on a block, answered with small pages that happen to be in a row; MADV_DONTNEED of them."""
    trace = Trace()
    trace.attach()
    trace.map()
    for page in range(FOLIO_PAGES):
        trace.record("fault", addr=BASE + page * PAGE, flags=2)
        trace.record("page_alloc", pfn=FIRST_PFN + page, order=0, gfp=USER_GFP & ~0x10)
        trace.rss(MM, 1)
        trace.pages[BASE + page * PAGE] = (FIRST_PFN + page, 0)
    trace.record("madvise", addr=BASE, len=FOLIO, advice=DONTNEED)
    trace.zap(BASE, FOLIO)
    trace.record("sys_ret", call=CALLS["madvise"], ret=0)
    trace.exit(vmas=[VMA])
    return trace


GUP_CASES = {
    "gup_4k_64k": (4096, 16), "gup_4k_2m": (4096, 21), "gup_4k_32m": (4096, 25), "gup_4k_1g": (4096, 30),
    "gup_16k_2m": (16384, 21), "gup_16k_1g": (16384, 30), "gup_64k_2m": (65536, 21), "gup_64k_16g": (65536, 34),
    "gup_8xx_512k": (4096, 19, LOW), "gup_8xx_8m": (4096, 23, LOW), "gup_powerpc_16m": (4096, 24),
}

CASES = {
    "mm_anon_folios": anon_folios, "mm_fault": fault,
    "mm_dontneed": dontneed, "mm_dontneed_page": dontneed_page, "mm_dontneed_edges": dontneed_edges,
    "mm_munmap": munmap, "mm_exit": exit_, "mm_fork": fork, "mm_reuse": reuse, "mm_cow": cow, "mm_mprotect": mprotect,
    "mm_mprotect_page": mprotect_page,
    "mm_mremap": mremap, "mm_swap_out": swap_out, "whole_report": whole_report,
    "gup_process_vm": gup_process_vm, "gup_fast": gup_fast,
    "idea_conversions": idea_conversions, "idea_gather": idea_gather, "idea_refold": idea_refold,
    "idea_khuge_cont": idea_khuge_cont, "idea_coalesce": idea_coalesce,
    "idea_mkclean": idea_mkclean, "idea_span": idea_span,
}


def main():
    directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__ + "/..").resolve()
    traces = {name: (make(), make.__doc__) for name, make in CASES.items()}
    traces |= {name: (gup(*sizes), gup.__doc__) for name, sizes in GUP_CASES.items()}
    traces |= release_traces.cases(sys.modules[__name__])
    for name, (trace, comment) in traces.items():
        (directory / name).mkdir(exist_ok=True)
        (directory / name / "trace.txt").write_text(trace.text(comment))


if __name__ == "__main__":
    main()
