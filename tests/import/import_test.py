#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
refold import on trace.dat files made here, event by event: what each becomes, on which machine, in which stream; which
event is taken where several tell the same; and what is said of files that are damaged, foreign or of no use.

usage: import_test.py REFOLD [unittest arguments]
"""
import copy
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from trace_dat import Buffer, Event, TraceDat

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()

# As kernels spell them: constant expressions over casts.
GFP = ('"pfn=%lx gfp_flags=%s", REC->pfn, (REC->gfp_flags) ? __print_flags(REC->gfp_flags, "|", '
       '{( unsigned long)((( gfp_t)((((1UL))) << (6))) | (( gfp_t)((((1UL))) << (20)))), "GFP_USER"}, '
       '{( unsigned long)(( gfp_t)((((1UL))) << (3))), "__GFP_MOVABLE"}, '
       '{( unsigned long)(( gfp_t)((((1UL))) << (20))), "__GFP_HARDWALL"}, '
       '{( unsigned long)(( gfp_t)((((1UL))) << (12))), "__GFP_WRITE"}) : "none"')
USER_PAGE = 1 << 3 | 1 << 20

EVENTS = [
    Event("ftrace", "print", 5, ["unsigned long ip", "char buf[]"]),
    Event("exceptions", "page_fault_user", 20,
          ["unsigned long address", "unsigned long ip", "unsigned long error_code"]),
    Event("exceptions", "page_fault_kernel", 21,
          ["unsigned long address", "unsigned long ip", "unsigned long error_code"]),
    Event("kmem", "rss_stat", 30, ["unsigned int mm_id", "unsigned int curr", "int member", "long size"]),
    Event("kmem", "mm_page_alloc", 31, ["unsigned long pfn", "unsigned int order", "unsigned long gfp_flags"], GFP),
    Event("kmem", "mm_page_free", 32, ["unsigned long pfn", "unsigned int order"]),
    Event("migrate", "set_migration_pte", 33, ["unsigned long addr", "unsigned long pte", "int order"]),
    Event("migrate", "remove_migration_pte", 34, ["unsigned long addr", "unsigned long pte", "int order"]),
    Event("sched", "sched_process_fork", 40, ["pid_t parent_pid", "pid_t child_pid"]),
    Event("sched", "sched_process_exec", 41, ["u32 filename", "pid_t pid", "pid_t old_pid", "char text[]"]),
    Event("sched", "sched_process_exit", 42, ["pid_t pid", "int prio"]),
    Event("sched", "sched_switch", 43, ["pid_t prev_pid", "pid_t next_pid"]),
    Event("task", "task_newtask", 50, ["pid_t pid", "unsigned long clone_flags"]),
    Event("syscalls", "sys_enter_mmap", 60,
          ["int __syscall_nr", "u64 addr", "u64 len", "u64 prot", "u64 flags", "u64 fd", "u64 off"]),
    Event("syscalls", "sys_exit_mmap", 61, ["int __syscall_nr", "long ret"]),
    Event("raw_syscalls", "sys_enter", 90, ["long id", "u64 args[6]"]),
    Event("raw_syscalls", "sys_exit", 91, ["long id", "long ret"]),
    Event("syscalls", "sys_enter_munmap", 62, ["int __syscall_nr", "u64 addr", "u64 len"]),
    Event("syscalls", "sys_exit_munmap", 63, ["int __syscall_nr", "long ret"]),
    Event("syscalls", "sys_enter_clone", 64, ["int __syscall_nr", "u64 clone_flags"]),
    Event("syscalls", "sys_exit_clone", 65, ["int __syscall_nr", "long ret"]),
    Event("syscalls", "sys_enter_clone3", 66, ["int __syscall_nr", "u64 uargs"]),
    Event("syscalls", "sys_exit_clone3", 67, ["int __syscall_nr", "long ret"]),
    Event("syscalls", "sys_enter_futex", 68, ["int __syscall_nr", "u64 uaddr", "u64 op"]),
    Event("syscalls", "sys_enter_execve", 69, ["int __syscall_nr", "u64 filename"]),
    Event("syscalls", "sys_enter_mprotect", 70, ["int __syscall_nr", "u64 start", "u64 len", "u64 prot"]),
    Event("syscalls", "sys_exit_mprotect", 71, ["int __syscall_nr", "long ret"]),
    Event("pf", "fault", 1700, ["unsigned long __probe_ip", "u64 addr", "u32 flags"]),
    Event("mine", "other_fault", 1701, ["unsigned long __probe_ip", "u64 address", "u32 flags"]),
]


CLONE_VM, CLONE_VFORK, CLONE_THREAD, SIGCHLD = 0x100, 0x4000, 0x10000, 17


def refold(*arguments, **options):
    return subprocess.run([REFOLD, *map(str, arguments)], capture_output=True, text=True, timeout=240, **options)


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


class Import(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="refold-import-"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def file(self, content, name="in.dat"):
        path = self.directory / name
        path.write_bytes(content)
        return path

    def run_import(self, content, *options, code=0):
        self.output = self.directory / "out.mmt.zst"
        self.output.unlink(missing_ok=True)
        done = refold("import", self.file(content), "-o", self.output, *options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def lines(self, content, *options):
        """The records as text without their times, by stream; streams in the order they appeared."""
        self.run_import(content, *options)
        text = refold("dump", self.output)
        self.assertEqual(text.returncode, 0, text.stderr)
        self.header = json.loads(text.stdout.split("\n")[0].removeprefix("header "))
        streams, current = {}, None
        for line in text.stdout.splitlines():
            declared = re.match(r"stream (\d+) (.*)", line)
            frame = re.match(r"frame stream=(\d+)", line)
            if declared:
                streams[declared[1]] = [declared[2]]
            elif frame:
                current = streams[frame[1]]
            elif line[0].isdigit():
                current.append(line.split(" ", 1)[1])
        return {stream[0]: stream[1:] for stream in streams.values()}

    def fails(self, content, code, *said, options=()):
        said_there = self.run_import(content, *options, code=code)
        for part in said:
            self.assertIn(str(part), said_there)
        last = said_there.splitlines()[-1]
        self.assertTrue(last.startswith("refold"), last)
        return said_there

    # ---- records ----

    def arm64(self, **options):
        """A fault that maps a folio of 16 pages, a fork, the end."""
        dat = TraceDat(EVENTS, **options)
        page = dat.page_size
        dat.add(0, 1000, "sys_enter_mmap", 50, __syscall_nr=222, len=0x800000, prot=3, flags=0x22, fd=-1)
        dat.add(0, 1100, "sys_exit_mmap", 50, __syscall_nr=222, ret=0x4000000000)
        dat.add(0, 1200, "fault", 50, addr=0x4000001000, flags=0x1255)
        dat.add(0, 1300, "mm_page_alloc", 50, pfn=0x1230, order=4, gfp_flags=USER_PAGE)
        dat.add(0, 1400, "mm_page_alloc", 50, pfn=0x9999, order=0, gfp_flags=0x40)
        dat.add(0, 1500, "rss_stat", 50, mm_id=7, curr=1, member=1, size=16 * page)
        dat.add(0, 1600, "sys_enter_clone", 50, __syscall_nr=220, clone_flags=SIGCHLD | 0x1200000)
        dat.add(0, 1700, "rss_stat", 50, mm_id=8, curr=0, member=1, size=16 * page)
        dat.add(0, 1800, "sched_process_fork", 50, parent_pid=50, child_pid=51)
        dat.add(0, 1900, "sys_exit_clone", 50, __syscall_nr=220, ret=51)
        dat.add(1, 2000, "fault", 51, addr=0x4000002000, flags=0x1255 | 0x20)
        dat.add(1, 2100, "mm_page_alloc", 51, pfn=0x2000, order=0, gfp_flags=USER_PAGE)
        dat.add(1, 2200, "sched_process_exit", 51, pid=51, prio=120)
        dat.add(0, 2300, "sys_enter_futex", 50, __syscall_nr=98, uaddr=0x4000000010, op=128)
        dat.add(0, 2400, "sys_enter_futex", 50, __syscall_nr=98, uaddr=0x4000000010, op=1)
        return dat

    RECORDS = {
        "source=snapshot cpu=0": [
            "tid=50 process pid=50",
            "tid=0 snap_begin pid=50 why=0 threads=1",
            "tid=0 snap_rss file=0 anon=0 swap=0 shmem=0",
            "tid=0 snap_end pid=50 complete=0 stopped=0",
        ],
        "source=task cpu=0": [
            "tid=50 mmap addr=0x0 len=0x800000 prot=0x3 flags=0x22 fd=-1 offset=0x0",
            "tid=50 sys_ret call=16 ret=274877906944",
            "tid=50 fault addr=0x4000001000 flags=0x232",
            "tid=50 page_alloc pfn=0x1230 order=4 gfp=0x3",
            "tid=50 rss_stat mm_id=7 curr=1 member=1 pages=16",
            "tid=50 clone flags=0x1200011",
            "tid=50 newtask child=51 flags=0x1200011",
            "tid=50 sys_ret call=26 ret=51",
            "tid=50 futex addr=0x4000000010 op=1",
        ],
        "source=system cpu=0": ["tid=50 rss_stat mm_id=8 curr=0 member=1 pages=16"],
        "source=task cpu=1": [
            "tid=51 fault addr=0x4000002000 flags=0x272",
            "tid=51 page_alloc pfn=0x2000 order=0 gfp=0x3",
            "tid=51 exit_task group_dead=18446744073709551615",
        ],
    }

    def test_header_is_documented(self):
        text = (pathlib.Path(__file__).parents[2] / "traces/FORMAT.md").read_text()
        rows = re.findall(r"^\| `(\w+)` \| (string|integer|boolean|array|object) \| ([ciw() ]+) \|", text, re.MULTILINE)
        by = {key: (type_name, writers) for key, type_name, writers in rows}
        types = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
        self.lines(self.arm64().version_7())
        for key, value in self.header.items():
            self.assertIn(key, by)
            self.assertIs(type(value), types[by[key][0]], key)
        self.assertEqual(sorted(self.header), sorted(key for key in by if {"i", "w"} & set(by[key][1].split())))

    def test_versions(self):
        self.assertEqual(self.lines(self.arm64().version_6()), self.RECORDS)
        self.assertEqual(self.lines(self.arm64().version_7()), self.RECORDS)
        self.assertEqual(self.header["arch"], "aarch64")
        self.assertEqual(self.header["kernel"], "6.12.0-test")
        self.assertEqual(self.header["clock"], "mono")
        self.assertEqual(self.header["page_size"], 4096)
        self.assertEqual(self.header["faults"], "kprobe")
        self.assertEqual(self.header["gfp_unknown"], [])
        self.assertIn("task:pf:fault", self.header["events"])
        self.assertIn("system:migrate:set_migration_pte", self.header["events"])
        self.assertIn("task:tlb:tlb_flush", self.header["events_missing"])
        self.assertNotIn("task:exceptions:page_fault_user", self.header["events_missing"])
        info = json.loads(refold("info", "-j", self.output).stdout)
        self.assertEqual((info["end"], info["complete"]), ("imported", True))

    @unittest.skipUnless(shutil.which("zstd"), "there is no zstd program")
    def test_compressed(self):
        packed = self.arm64().version_7(zstd)
        self.assertLess(len(packed), len(self.arm64().version_7()))
        self.assertEqual(self.lines(packed), self.RECORDS)

    @unittest.skipUnless(shutil.which("zstd"), "there is no zstd program")
    def test_compressed_events(self):
        """In chunks of whole pages, as trace-cmd makes them, and of less than one."""
        dat = self.many()
        whole = self.lines(dat.version_7())
        for size in (4096, 40960, 3000, 5000):
            packed = dat.version_7(zstd, size)
            self.assertEqual(self.lines(packed), whole, size)
        self.assertEqual(self.lines(dat.version_6()), whole)
        at = packed.rindex(bytes.fromhex("28b52ffd"), 0, packed.rindex(b"mono"))
        self.fails(packed[:at + 20] + b"\xff\xff" + packed[at + 22:], 3, "a chunk of its events cannot be unpacked",
                   "byte", "marked as incomplete")

    @unittest.skipUnless(shutil.which("zstd"), "there is no zstd program")
    def test_events_without_end(self):
        """One chunk of zeros, which a few bytes are packed in, over and over."""
        dat = self.arm64()
        dat.buffers[0].raw[1] = bytes(16 << 20)
        self.lines(dat.version_7(zstd, 1 << 20))
        dat.buffers[0].raw[1] = bytes(96 << 20)
        self.fails(dat.version_7(zstd, 1 << 20), 3, "unpack to more than any recording has", "marked as incomplete")

    def test_page_size_is_the_recorded_one(self):
        self.assertEqual(self.lines(self.arm64(page_size=16384).version_7()), self.RECORDS)
        self.assertEqual(self.header["page_size"], 16384)

    def test_replay(self):
        self.run_import(self.arm64().version_7())
        report = json.loads(refold("replay", "-j", "-p", "linux-6.12", self.output).stdout)
        operations = report["policies"][0]["operations"]
        self.assertEqual(operations["fault_anon"]["born"], 1)
        self.assertEqual(operations["fork"]["operations"], 1)
        self.assertEqual(operations["cow"]["unfold"], 1)
        self.assertEqual(report["fidelity"]["rss_checks_bad"], 0)

    def test_marks(self):
        dat = TraceDat(EVENTS)
        text = "WL BEGIN " + "long/label/" * 5
        dat.add(0, 1, "page_fault_user", 9, address=0x7f0000001234, error_code=7)
        dat.add(0, 2, "print", 9, buf=text + "\n")
        mark, more = self.lines(dat.version_7())["source=task cpu=0"][1:]
        self.assertEqual("".join(re.findall(r'="([^"]*)"', mark + more)), text)

    def test_x86(self):
        dat = TraceDat(EVENTS, machine="x86_64", release="6.18.0")
        dat.add(0, 1, "page_fault_user", 5, address=0x7f0000001234, error_code=7)
        dat.add(0, 2, "page_fault_kernel", 5, address=0x7f0000001234, error_code=2)
        dat.add(0, 3, "page_fault_kernel", 5, address=0xffff888000000000, error_code=0)
        dat.add(0, 4, "fault", 5, addr=0x7f0000001000, flags=1)
        dat.add(0, 5, "task_newtask", 5, pid=6, clone_flags=CLONE_VM)
        dat.add(0, 6, "sched_process_fork", 5, parent_pid=5, child_pid=6)
        dat.add(1, 7, "set_migration_pte", 6, addr=0x1000, pte=~(0x1abc << 9) & (1 << 59) - 1, order=0)
        dat.add(1, 8, "remove_migration_pte", 6, addr=0x1000, pte=0x8000000001abd067, order=0)
        self.assertEqual(self.lines(dat.version_7()), {
            "source=task cpu=0": [
                "tid=5 fault addr=0x7f0000001234 flags=0x3",
                "tid=5 fault addr=0x7f0000001234 flags=0x6",
                "tid=5 newtask child=6 flags=0x100",
            ],
            "source=system cpu=1": [
                "tid=6 migration_set addr=0x1000 pfn=0x1abc order=0 flags=0x0",
                "tid=6 migration_remove addr=0x1000 pfn=0x1abd order=0 flags=0x1",
            ],
        })
        self.assertEqual(self.header["faults"], "tracepoint")

    # ---- calls by number ----

    def programs(self, by_number):
        """A shell (5) starts a 32-bit program (6), which forks (7), and a 64-bit one (8)."""
        dat = TraceDat(EVENTS, machine="x86_64", release="6.18.0")
        dat.add(0, 1, "page_fault_user", 5, address=0x7f0000001234, error_code=7)
        dat.add(0, 2, "sys_enter_munmap", 5, __syscall_nr=11, addr=0x7f0000000000, len=0x1000)
        for time, tid in ((10, 6), (20, 8)):
            dat.add(0, time, "task_newtask", 5, pid=tid, clone_flags=CLONE_VM | CLONE_VFORK)
            dat.add(0, time + 1, "sched_process_exec", tid, pid=tid, old_pid=tid)
        dat.add(0, 30, "page_fault_user", 6, address=0xf7f01000, error_code=0x14)
        dat.add(0, 31, "page_fault_user", 8, address=0x401000, error_code=0x14)
        dat.add(0, 32, "page_fault_user", 8, address=0x7ffc00001000, error_code=0x6)
        if by_number:
            dat.add(0, 40, "sys_enter", 6, id=91, args=[0xf7000000, 0x2000, 0, 0, 0, 0])
            dat.add(0, 41, "sys_exit", 6, id=91, ret=0)
            dat.add(0, 42, "sys_enter", 8, id=91, args=[3, 0o644, 0, 0, 0, 0])      # its fchmod()
            dat.add(0, 43, "sys_exit", 8, id=91, ret=0)
            dat.add(0, 44, "sys_enter", 8, id=150, args=[0x10000, 0x1000, 0, 0, 0, 0])      # munlock(), mlock() of i386
        dat.add(0, 50, "task_newtask", 6, pid=7, clone_flags=SIGCHLD)
        if by_number:
            dat.add(0, 51, "sys_enter", 7, id=45, args=[0x56560000, 0, 0, 0, 0, 0])
        return dat

    def test_calls_of_32_bit_programs(self):
        streams = self.lines(self.programs(True).version_7())
        self.assertEqual(streams["source=compat cpu=0"], ["tid=6 munmap addr=0xf7000000 len=0x2000",
                                                          "tid=6 sys_ret call=17 ret=0", "tid=7 brk addr=0x56560000"])
        calls = [line for line in streams["source=task cpu=0"] if " mu" in line or "abi" in line or "fchmod" in line]
        self.assertEqual(calls, ["tid=5 munmap addr=0x7f0000000000 len=0x1000", "tid=6 abi abi=1 exec=0",
                                 "tid=8 munlock addr=0x10000 len=0x1000"])
        self.assertTrue(self.header["compat_calls"])
        self.assertEqual(self.header["calls"], "raw_syscalls")

    def test_unknown_calls_of_32_bit_programs(self):
        self.assertIn("32-bit programs: 1: their system calls were not recorded",
                      self.run_import(self.programs(False).version_7()))
        streams = self.lines(self.programs(False).version_7())
        self.assertIn("tid=6 abi abi=1 exec=0", streams["source=task cpu=0"])
        self.assertFalse(self.header["compat_calls"])

    def test_calls_by_number_only(self):
        """A kernel without events of calls, or a recording without them."""
        for machine, munmap, mmap in (("x86_64", 11, 9), ("aarch64", 215, 222), ("riscv64", 215, 222)):
            dat = TraceDat(EVENTS, machine=machine)
            dat.add(0, 1, "page_fault_user", 5, address=0x7f0000001234, error_code=7)
            dat.add(0, 2, "sys_enter", 5, id=mmap, args=[0, 0x3000, 3, 0x22, 0xffffffff, 0])
            dat.add(0, 3, "sys_exit", 5, id=mmap, ret=0x7f0000000000)
            dat.add(0, 4, "sys_enter", 5, id=munmap, args=[0x7f0000000000, 0x1000, 0, 0, 0, 0])
            dat.add(0, 5, "sys_exit", 5, id=munmap, ret=-22)
            self.assertEqual(self.lines(dat.version_7())["source=task cpu=0"][1:], [
                "tid=5 mmap addr=0x0 len=0x3000 prot=0x3 flags=0x22 fd=-1 offset=0x0",
                f"tid=5 sys_ret call=16 ret={0x7f0000000000}",
                "tid=5 munmap addr=0x7f0000000000 len=0x1000",
                "tid=5 sys_ret call=17 ret=-22",
            ])
            self.assertEqual(self.header["calls"], "raw_syscalls")

    def test_arm64_entries(self):
        for page_size, shift in ((4096, 12), (16384, 14), (65536, 16)):
            dat = TraceDat(EVENTS, page_size=page_size)
            dat.add(0, 1, "set_migration_pte", 6, addr=0x1000, pte=0x1abc << 12 | 0x1e << 6, order=2)
            dat.add(0, 2, "remove_migration_pte", 6, addr=0x1000, pte=1 << 51 | 0x1abd << shift | 0xfc3, order=2)
            self.assertEqual(self.lines(dat.version_7())["source=system cpu=0"], [
                "tid=6 migration_set addr=0x1000 pfn=0x1abc order=2 flags=0x0",
                "tid=6 migration_remove addr=0x1000 pfn=0x1abd order=2 flags=0x1",
            ])

    def test_children_of_clone3(self):
        dat = TraceDat(EVENTS)
        dat.add(0, 9, "page_fault_user", 5, address=0x7f0000001234, error_code=7)
        dat.add(0, 10, "sys_enter_clone3", 5, __syscall_nr=435)         # a thread
        dat.add(0, 11, "sched_process_fork", 5, parent_pid=5, child_pid=6)
        dat.add(0, 12, "sys_exit_clone3", 5, ret=6)
        dat.add(0, 20, "sys_enter_clone3", 5, __syscall_nr=435)         # posix_spawn()
        dat.add(0, 21, "sched_process_fork", 5, parent_pid=5, child_pid=7)
        dat.add(1, 22, "sched_process_exec", 7, pid=7, old_pid=7)
        dat.add(0, 30, "sys_enter_clone3", 5, __syscall_nr=435)         # a fork
        dat.add(0, 31, "rss_stat", 5, mm_id=3, curr=0, member=1, size=4096)
        dat.add(0, 32, "sched_process_fork", 5, parent_pid=5, child_pid=8)
        dat.add(0, 40, "sched_process_fork", 5, parent_pid=5, child_pid=9)  # no call: the fork's change is over
        dat.add(0, 50, "sys_enter_clone3", 6, __syscall_nr=435)         # an exec by a thread makes no leader of it
        dat.add(0, 51, "sched_process_fork", 6, parent_pid=6, child_pid=10)
        dat.add(0, 52, "sched_process_exec", 5, pid=5, old_pid=10)
        children = [line.split()[2:] for line in self.lines(dat.version_7())["source=task cpu=0"] if "newtask" in line]
        self.assertEqual(children, [["child=6", f"flags={CLONE_VM | CLONE_THREAD:#x}"],
                                    ["child=7", f"flags={CLONE_VM | CLONE_VFORK:#x}"],
                                    ["child=8", "flags=0x0"],
                                    ["child=9", f"flags={CLONE_VM | CLONE_THREAD:#x}"],
                                    ["child=10", f"flags={CLONE_VM | CLONE_THREAD:#x}"]])

    def test_names_of_programs(self):
        """Where the event holds the path: 16 bits of offset, 16 bits of length."""
        for path, name in (("/usr/bin/cc1", 'name0="cc1" name1=""'), ("x", 'name0="x" name1=""'),
                           ("/a/name-longer-than-15-characters", 'name0="name-lon" name1="ger-tha"')):
            dat = TraceDat(EVENTS)
            dat.add(0, 1, "sched_process_exec", 7, filename=20 | len(path) + 1 << 16, pid=7, old_pid=7, text=path)
            self.assertEqual(self.lines(dat.version_7())["source=task cpu=0"],
                             ["tid=7 exec old_tid=7", f"tid=7 comm {name} exec=1"])
        for place in (0, 20, 0xffffffff, 20 | 2 << 16, 5000 | 4 << 16):
            dat = TraceDat(EVENTS)
            dat.add(0, 1, "sched_process_exec", 7, filename=place, pid=7, old_pid=7, text="/bin/true")
            self.assertEqual(self.lines(dat.version_7())["source=task cpu=0"], ["tid=7 exec old_tid=7"])

    def test_losses(self):
        dat = self.arm64()
        dat.buffers[0].lose(1, 345)
        dat.add(1, 3000, "mm_page_free", 51, pfn=0x2000, order=0)
        self.assertIn("trace-cmd lost 345 events", self.run_import(dat.version_7()))
        self.assertEqual(json.loads(refold("info", "-j", self.output).stdout)["lost_events"], 345)

    def test_buffers(self):
        dat = self.arm64(clock="local")
        events, dat.buffers[0].events = dat.buffers[0].events, [[], []]
        dat.buffers.append(Buffer("mine", "boot"))
        dat.buffers[1].events = events
        self.assertEqual(self.lines(dat.version_7()), self.RECORDS)
        self.assertEqual(self.header["clock"], "boot")
        self.assertNotIn("clocks", self.run_import(dat.version_7()))
        dat.add(0, 1, "print", 50, buf="a mark\n")
        self.assertIn("different clocks", self.run_import(dat.version_7()))
        self.assertEqual(self.lines(dat.version_7())["source=task cpu=0"][0].split()[1], "marker")

    # ---- which event tells the faults ----

    def test_faults_by_name(self):
        dat = self.arm64()
        dat.add(0, 5000, "other_fault", 50, address=0x4000007000, flags=0x41)
        self.fails(dat.version_7(), 1, "pf:fault", "mine:other_fault", "--fault-event")
        self.assertFalse(self.output.exists())
        faults = [line for line in self.lines(dat.version_7(), "--fault-event", "mine:other_fault")["source=task cpu=0"]
                  if "fault" in line]
        self.assertEqual(faults, ["tid=50 fault addr=0x4000007000 flags=0x32"])
        self.fails(dat.version_7(), 1, "no event mine:nix", options=["--fault-event", "mine:nix"])
        self.fails(dat.version_7(), 1, "fields addr and flags", options=["--fault-event", "kmem:rss_stat"])
        self.fails(dat.version_7(), 2, "SYSTEM:NAME", options=["--fault-event", "fault"])

    # ---- what cannot be imported ----

    def test_of_no_use(self):
        dat = TraceDat(EVENTS)
        self.fails(dat.version_7(), 1, "in.dat", "no events")
        dat.add(0, 1, "sched_switch", 1, prev_pid=1, next_pid=2)
        self.fails(dat.version_7(), 1, "none of its 1 events", "refold-import")
        self.assertFalse(self.output.exists())

    def test_without_essential_events(self):
        """Not recorded at all; or, as a format alone does not tell, pages that came and went without a fault."""
        for system, name, missing in (("kmem", "rss_stat", "kmem:rss_stat"),
                                      ("syscalls", "sys_enter_mprotect", "syscalls:sys_enter_mprotect"),
                                      ("sched", "sched_process_exec", "sched:sched_process_exec")):
            dat = self.arm64()
            dat.events = [event for event in EVENTS if (event.system, event.name) != (system, name)]
            self.fails(dat.version_7(), 1, "without", missing, "refold-import(1)")
            self.assertFalse(self.output.exists())
        for events in (EVENTS, [event for event in EVENTS if event.system not in ("pf", "mine", "exceptions")]):
            dat = TraceDat(events)
            dat.add(0, 1, "rss_stat", 5, mm_id=1, curr=1, member=1, size=4096)
            self.fails(dat.version_7(), 1, "without exceptions:page_fault_user")

    def test_clocks(self):
        for clock in ("x86-tsc", "counter", "uptime"):
            self.fails(self.arm64(clock=clock).version_7(), 1, f"clock {clock}", "-C mono")
            self.fails(self.arm64(clock=clock).version_6(), 1, f"clock {clock}", "-C mono")
        for clock in ("local", "global", "boot", "tai", "mono_raw", "perf"):
            self.run_import(self.arm64(clock=clock).version_7())

    def test_clock_converted(self):
        """trace-cmd record -C tsc2nsec: cycles, and how to make nanoseconds of them; here two of one."""
        self.run_import(self.arm64(clock="x86-tsc", tsc2nsec=(2 << 10, 10, 0)).version_7())
        times = re.findall(r"^(\d+) tid=", refold("dump", self.output).stdout, re.MULTILINE)
        self.assertEqual((min(times), max(times)), ("2000", "4800"))

    def test_machines(self):
        for said, machine in (("arm64", "aarch64"), ("amd64", "x86_64"), ("riscv64", "riscv64")):
            self.lines(self.arm64(machine="").version_7(), "--arch", said)
            self.assertEqual(self.header["arch"], machine)
        self.fails(self.arm64(machine="").version_7(), 2, "--arch nonsense", "aarch64", options=("--arch", "nonsense"))
        self.fails(self.arm64().version_7(), 1, "from aarch64", options=("--arch", "x86_64"))
        self.lines(self.arm64().version_7(), "--arch", "arm64")

    def test_foreign_known(self):
        """Files of other tools are called what they are, with the command to run next."""
        self.run_import(self.arm64().version_7())
        for content, *said in (
                (self.output.read_bytes(), "zstd", "refold replay"), (b"PERFILE2" + bytes(96), "perf.data"),
                (b"\x1f\x8b\x08" + bytes(30), "gzip"), (b"\xfd7zXZ\0" + bytes(30), "xz"),
                (b"cpus=2\n     sh-12  [000] 1.5: rss_stat: mm_id=1\n", "trace-cmd report"),
                (b"sh  1234 [001] 12345.678901: kmem:rss_stat: mm_id=1\n", "perf script")):
            self.fails(content, 1, "not a trace.dat", *said)

    def test_foreign(self):
        self.fails(b"", 1, "not a trace.dat")
        self.fails(b"\x17\x08\x44tracin9", 1, "not a trace.dat")
        self.fails(self.arm64().version_7().replace(b"tracing7\0", b"tracing9\0"), 1, "version 9")
        dat = self.arm64()
        dat.endian = 1
        self.fails(dat.version_7(), 1, "big-endian")
        dat = self.arm64()
        dat.long_size = 4
        self.fails(dat.version_6(), 1, "32-bit")
        self.fails(self.arm64(machine="").version_7(), 1, "--arch")
        self.assertEqual(self.lines(self.arm64(machine="").version_7(), "--arch", "aarch64"), self.RECORDS)
        self.assertEqual(self.header["arch"], "aarch64")

    def test_cut_off(self):
        """Wherever it is cut: one line, the file's name, exit code 3, or 1 where not even the magic number is left."""
        for whole in (self.arm64().version_6(), self.arm64().version_7()):
            for length in [*range(0, 40), *range(40, len(whole), max(len(whole) // 40, 1))]:
                said = self.fails(whole[:length], 1 if length < 10 else 3, "in.dat")
                self.assertEqual(said.count("\n"), 1, said)
                self.assertFalse(self.output.exists())

    def test_damage(self):
        """Bytes of the description changed at every place: never a crash of ours, never more than says so."""
        whole = self.arm64().version_7()
        for at in range(10, len(whole), 211):
            content = bytearray(whole)
            content[at:at + 4] = b"\xff\xff\xff\x7f"
            done = refold("import", self.file(content), "-o", self.directory / "out.mmt.zst")
            self.assertIn(done.returncode, (0, 1, 3), f"byte {at}: {done.stderr}")
            self.assertTrue(all(line.startswith("refold: ") for line in done.stderr.splitlines()), done.stderr)

    def test_never_ending(self):
        """What libtracecmd reads for ever. scripts/fuzz found the file."""
        content = (pathlib.Path(__file__).parents[1] / "fuzz/corpus/import/never_ending").read_bytes()
        self.fails(content, 3, "in.dat", "a CPU that cannot be")

    def test_output(self):
        path = self.file(self.arm64().version_7())
        for output, why in (("/dev/full", "No space left"), (self.directory / "no" / "where", "No such file")):
            done = refold("import", path, "-o", output)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.splitlines()[-1], f"^refold: {output}: .*{why}")
        done = subprocess.run([REFOLD, "import", path, "-o", "-"], capture_output=True)
        self.run_import(self.arm64().version_7())
        self.assertEqual(done.stdout, self.output.read_bytes())

    # ---- pages ----

    def many(self):
        """Several pages on each of two CPUs and buffers, with losses and long pauses."""
        dat = TraceDat(EVENTS)
        dat.buffers.append(Buffer("second"))
        for i in range(600):
            buffer, cpu, page = dat.buffers[i // 3 % 2], i % 2, i * 4096
            buffer.add(cpu, i * 100 + (i // 200 << 30), dat.by_name["fault"], 50 + cpu, addr=page, flags=0x1255)
            buffer.add(cpu, i * 100 + (i // 200 << 30), dat.by_name["rss_stat"], 50 + cpu, mm_id=7, curr=1, member=1,
                       size=page)
            if i % 250 == 249:
                buffer.lose(cpu, i)
        return dat

    @staticmethod
    def page(time, *events, commit=None, size=4096):
        body = b"".join(events)
        return (struct.pack("<QQ", time, len(body) if commit is None else commit) + body).ljust(size, b"\0")

    def fault(self, delta, address, tid=51):
        data = TraceDat(EVENTS).by_name["fault"].pack(tid, {"addr": address, "flags": 0x1255})
        return struct.pack("<I", delta << 5 | len(data) // 4) + data

    def times(self, dat):
        """Of the faults on CPU 1, in versions 6 and 7."""
        both = []
        for content in (dat.version_6(), dat.version_7()):
            self.run_import(content)
            text = refold("dump", self.output).stdout
            both.append(re.findall(r"^(\d+) tid=51 fault addr=(\S+)", text, re.MULTILINE))
        self.assertEqual(*both)
        return [(int(time), int(address, 16)) for time, address in both[0]]

    def test_between_events(self):
        """Padding, long pauses, and times that are told anew, as in linux/ring_buffer.h; and pages without events."""
        dat = self.arm64()
        first = self.times(dat)
        pause, stamp = struct.pack("<II", 3 << 5 | 30, 2), struct.pack("<II", 7 << 5 | 31, 1)
        dat.buffers[0].raw[1] = b"".join((
            self.page(5000, self.fault(1, 0x1000), pause, self.fault(2, 0x2000)), self.page(6000),
            self.page(1 << 28, struct.pack("<II", 5 << 5 | 29, 12), bytes(8), self.fault(4, 0x3000), stamp,
                      self.fault(0, 0x4000), struct.pack("<II", 29, 4000))))
        self.assertEqual(self.times(dat), first + [
            (5001, 0x1000), (5001 + 3 + (2 << 27) + 2, 0x2000), ((1 << 28) + 5 + 4, 0x3000), ((1 << 27) + 7, 0x4000)])

    def test_lost_before_a_pause(self):
        """What was lost is told by the page, whatever it begins with."""
        dat = self.arm64()
        body = struct.pack("<II", 3 << 5 | 30, 2) + self.fault(2, 0x2000)
        for flags, lost in ((1 << 31, 1), (1 << 31 | 1 << 30, 77), (0, 0)):
            dat.buffers[0].raw[1] = self.page(5000, body + struct.pack("<Q", 77), commit=len(body) | flags)
            said = self.run_import(dat.version_7())
            self.assertEqual(re.findall("lost (\\d+) events", said), [str(lost)] if lost else [])

    def test_damaged_pages(self):
        """Of the other CPUs all is imported, of that one what was before; and it is told where it ends."""
        for page, why in ((self.page(5000, commit=4096), "a page of its events is cut off"),
                          *((self.page(5000, data), "an event is longer than its page") for data in (
                              self.fault(1, 0x1000)[:-4], struct.pack("<II", 0, 3), struct.pack("<II", 0, 4000),
                              b"\x1e\0", struct.pack("<I", 30)))):
            dat = self.arm64()
            dat.buffers[0].raw[1] = page + self.page(6000, self.fault(1, 0x9000))
            for content in (dat.version_6(), dat.version_7()):
                said = self.fails(content, 3, "marked as incomplete", why)
                self.assertIn(f"byte {content.rindex(page)}", said)
                text = refold("dump", self.output).stdout
                self.assertEqual([part.split(" ", 1)[1] for part in text.splitlines()
                                  if part[0].isdigit() and " tid=51 " in part],
                                 self.RECORDS["source=task cpu=1"])
                self.assertIn("2400 tid=50 futex", text)

    def test_fields_outside(self):
        """A format may say that a field lies where no event is, or the number and thread of an event do."""
        for field, offset in (("offset:16;\tsize:8", "offset:65532;\tsize:8"),
                              ("offset:4;\tsize:4", "offset:6000;\tsize:4"),
                              ("offset:0;\tsize:2", "offset:65535;\tsize:2")):
            dat = self.arm64()
            dat.events = [copy.copy(event) for event in EVENTS]
            for event in dat.events:
                event.text = lambda text=event.text(): text.replace(field, offset)
            self.fails(dat.version_7(), 1, "refold-import(1)")

    def test_long_formats(self):
        """22 MiB of what is looked for in a format: walked again for each of it, they would take minutes."""
        dat = self.arm64()
        expected = self.lines(dat.version_7())
        dat.events = [copy.copy(event) for event in EVENTS]
        dat.events[0].print_fmt = '""' + " __probe_ip" * (2 << 20)
        self.assertEqual(self.lines(dat.version_7()), expected)

    def test_places(self):
        """Of CPUs that share bytes of the file one is a lie; a million of them would have no end."""
        content = self.arm64().version_6()
        table = content.index(b"flyrecord") + 10
        first = content[table:table + 16]
        self.fails(content[:table + 16] + struct.pack("<QQ", 0, len(content)) + content[table + 32:], 3, "same place")
        self.fails(content[:table] + first[:8] + struct.pack("<Q", 1 << 40) + content[table + 16:], 3, "cut off")

    def test_dates(self):
        """trace-cmd --date tells microseconds, --ts-offset nanoseconds; both are added."""
        dat = self.arm64()
        before = self.times(dat)
        dat.more_options = [(1, b"0x3\0"), (7, b"-700\0")]
        self.assertEqual(self.times(dat), [(time + 2300, address) for time, address in before])

    def test_names(self):
        dat = self.arm64()
        dat.names = {1: "init", 50: "a name", 51: "born"}
        for content in (dat.version_6(), dat.version_7()):
            self.assertEqual(self.lines(content)["source=snapshot cpu=0"][1],
                             'tid=50 comm name0="a name" name1="" exec=0')

    def test_onto_itself(self):
        path = self.file(self.arm64().version_7())
        done = refold("import", path, "-o", path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is the input", done.stderr)
        self.assertEqual(path.read_bytes(), self.arm64().version_7())

    def test_usage(self):
        for arguments in ([], ["a", "b", "-o", "c"], ["a"], ["-x", "a", "-o", "b"]):
            done = refold("import", *arguments)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        done = refold("import", self.directory / "missing.dat", "-o", self.directory / "x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("missing.dat: cannot open: No such file", done.stderr)


if __name__ == "__main__":
    unittest.main()
