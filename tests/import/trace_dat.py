# SPDX-License-Identifier: MIT
"""
Writes trace.dat files as trace-cmd does, from events given by name: of any machine and page size, with lost events,
with several buffers. From trace-cmd.dat.v6(5) and v7(5) and the kernel's ring-buffer pages.
"""
import struct

TIME_EXTEND = 30
DELTA_BITS = 27

HEADER_PAGE = (
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
    "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
    "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n"
)
HEADER_EVENT = (
    "# compressed entry header\n"
    "\ttype_len    :    5 bits\n"
    "\ttime_delta  :   27 bits\n"
    "\tarray       :   32 bits\n\n"
    "\tpadding     : type == 29\n"
    "\ttime_extend : type == 30\n"
    "\ttime_stamp : type == 31\n"
    "\tdata max type_len  == 28\n"
)


class Event:
    """The format of an event. fields: "type name" each; integers by their C type, "char name[]" a text at the end,
    "u64 name[6]" six of them."""

    SIZES = {"unsigned long": (8, 0), "long": (8, 1), "unsigned int": (4, 0), "int": (4, 1), "pid_t": (4, 1),
             "u64": (8, 0), "s64": (8, 1), "u32": (4, 0), "bool": (1, 0), "dev_t": (4, 0), "ino_t": (8, 0)}

    def __init__(self, system, name, number, fields, print_fmt='""'):
        self.system, self.name, self.number, self.print_fmt = system, name, number, print_fmt
        self.fields = []
        offset = 8
        for field in fields:
            kind, word = field.rsplit(" ", 1)
            if word.endswith("[]"):
                self.fields.append((word[:-2], f"{kind} {word}", offset, 0, 0))
                continue
            size, signed = self.SIZES[kind]
            offset = (offset + size - 1) // size * size
            if word.endswith("[6]"):
                size *= 6
                word = word[:-3]
            self.fields.append((word, field, offset, size, signed))
            offset += size
        self.size = offset

    def text(self):
        common = (
            "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
            "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
            "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
            "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
        )
        lines = [f"\tfield:{text};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n"
                 for _, text, offset, size, signed in self.fields]
        return f"name: {self.name}\nID: {self.number}\nformat:\n{common}{''.join(lines)}\nprint fmt: {self.print_fmt}\n"

    def pack(self, tid, values):
        data = bytearray(self.size)
        struct.pack_into("<HBBi", data, 0, self.number, 0, 0, tid)
        for name, _, offset, size, _ in self.fields:
            value = values.pop(name, 0 if size else "")
            if not size:
                data += value.encode() + b"\0"
            elif isinstance(value, list):
                struct.pack_into(f"<{len(value)}Q", data, offset, *(word & (1 << 64) - 1 for word in value))
            else:
                data[offset:offset + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        assert not values, f"{self.name} has no {list(values)}"
        return bytes(data) + bytes(-len(data) % 4)


class Buffer:
    def __init__(self, name="", clock="mono", cpus=2, page_size=4096):
        self.name, self.clock, self.page_size = name, clock, page_size
        self.events = [[] for _ in range(cpus)]
        self.raw = [b"" for _ in range(cpus)]       # pages behind those of the events, as they are

    def add(self, cpu, time, event, tid, /, **values):
        self.events[cpu].append((time, event.pack(tid, values)))

    def lose(self, cpu, nr):
        """So many events of the CPU are missing before the next one; they end the page, as in the kernel."""
        self.events[cpu].append((None, nr))

    def pages(self, cpu):
        pages, body, start, last, lost = [], b"", None, None, 0

        def close():
            nonlocal body, start, lost
            if start is None:
                return
            commit = len(body) | (1 << 31 | 1 << 30 if lost else 0)
            body += struct.pack("<Q", lost) if lost else b""
            pages.append((struct.pack("<QQ", start, commit) + body).ljust(self.page_size, b"\0"))
            body, start, lost = b"", None, 0

        for time, data in self.events[cpu]:
            if time is None:
                close()
                lost = data
                continue
            if len(body) + len(data) + 16 > self.page_size - 32:
                close()
            if start is None:
                start = last = time
            delta, last = time - last, time
            if delta >> DELTA_BITS:
                body += struct.pack("<II", (delta & (1 << DELTA_BITS) - 1) << 5 | TIME_EXTEND, delta >> DELTA_BITS)
                delta = 0
            if len(data) <= 112:
                body += struct.pack("<I", delta << 5 | len(data) // 4) + data
            else:
                body += struct.pack("<II", delta << 5, len(data) + 4) + data
        close()
        return b"".join(pages) + self.raw[cpu]


class TraceDat:
    def __init__(self, events, machine="aarch64", release="6.12.0-test", page_size=4096, clock="mono", cpus=2,
                 tsc2nsec=None):
        self.events, self.machine, self.release = events, machine, release
        self.page_size, self.cpus = page_size, cpus
        self.buffers = [Buffer("", clock, cpus, page_size)]
        self.by_name = {event.name: event for event in events}
        self.endian, self.long_size = 0, 8
        self.tsc2nsec = tsc2nsec        # (mult, shift, offset)
        self.names = {}                 # of tasks, by number
        self.more_options = []          # (number, bytes)

    def add(self, cpu, time, name, tid, /, **values):
        self.buffers[0].add(cpu, time, self.by_name[name], tid, **values)

    # ---- parts of both versions ----

    def options(self):
        clock = self.buffers[0].clock
        yield 4, f"[{clock}] other\n".encode() + b"\0"
        if self.machine:
            yield 5, f"Linux host {self.release} {self.machine}".encode() + b"\0"
        yield 8, struct.pack("<I", self.cpus)
        yield 9, b"3.1.6 test\0"
        if self.tsc2nsec:
            yield 14, struct.pack("<IIQ", *self.tsc2nsec)
        yield from self.more_options

    def saved_names(self):
        text = "".join(f"{tid} {name}\n" for tid, name in self.names.items()).encode()
        return struct.pack("<Q", len(text)) + text

    def header_info(self):
        return b"".join(name + b"\0" + struct.pack("<Q", len(text)) + text.encode()
                        for name, text in ((b"header_page", HEADER_PAGE), (b"header_event", HEADER_EVENT)))

    @staticmethod
    def formats(events):
        texts = [event.text().encode() for event in events]
        return struct.pack("<I", len(texts)) + b"".join(struct.pack("<Q", len(text)) + text for text in texts)

    def systems(self):
        systems = sorted({event.system for event in self.events} - {"ftrace"})
        return struct.pack("<I", len(systems)) + b"".join(
            system.encode() + b"\0" + self.formats([event for event in self.events if event.system == system])
            for system in systems)

    def ftrace(self):
        return self.formats([event for event in self.events if event.system == "ftrace"])

    def magic(self, version):
        return b"\x17\x08\x44tracing" + version + b"\0" + struct.pack("<BBI", self.endian, self.long_size,
                                                                         self.page_size)

    def place(self, file, pages):
        """Data of each CPU at whole pages behind the file so far. The places, and the file."""
        places = []
        for data in pages:
            file += bytes(-len(file) % self.page_size)
            places.append((len(file), len(data)))
            file += data
        return places, file

    # ---- files ----

    def version_6(self):
        """The options say where the table of each further buffer is, behind that of the first."""
        start = self.magic(b"6") + self.header_info() + self.ftrace() + self.systems()
        start += struct.pack("<II", 0, 0) + self.saved_names() + struct.pack("<I", self.cpus) + b"options  \0"
        for number, data in self.options():
            start += struct.pack("<HI", number, len(data)) + data
        table = b"flyrecord\0" + bytes(16 * self.cpus)
        names = [buffer.name.encode() + b"\0" for buffer in self.buffers[1:]]
        first = len(start) + sum(6 + 8 + len(name) for name in names) + 2
        for nr, name in enumerate(names, 1):
            start += struct.pack("<HIQ", 3, 8 + len(name), first + nr * len(table)) + name
        file = start + struct.pack("<H", 0) + len(self.buffers) * table
        for nr, buffer in enumerate(self.buffers):
            places, file = self.place(file, [buffer.pages(cpu) for cpu in range(self.cpus)])
            at = first + nr * len(table) + 10
            file = file[:at] + b"".join(struct.pack("<QQ", *place) for place in places) + file[at + 16 * self.cpus:]
        return file

    @staticmethod
    def chunks(pages, compress, size):
        """Pages as trace-cmd packs them: how many chunks, then each with its sizes."""
        parts = [pages[at:at + size] for at in range(0, len(pages), size)]
        packed = [(compress(part), part) for part in parts]
        return struct.pack("<I", len(parts)) + b"".join(
            struct.pack("<II", len(data), len(part)) + data for data, part in packed)

    @staticmethod
    def section(number, data, compress=None):
        if compress:
            packed = compress(data)
            data = struct.pack("<II", len(packed), len(data)) + packed
        return struct.pack("<HHIQ", number, 1 if compress else 0, 0, len(data)) + data

    def version_7(self, compress=None, chunk=0):
        """compress: a function that packs a section; the events, too, so many bytes at a time, if chunk says so."""
        file = self.magic(b"7") + (b"zstd\0" if compress else b"none\0") + b"1\0"
        first_options = len(file)
        file += bytes(8)
        options = list(self.options())
        parts = ((16, self.header_info()), (17, self.ftrace()), (18, self.systems()), (20, struct.pack("<I", 0)),
                 (21, self.saved_names()))
        for number, data in parts:
            options.append((number, struct.pack("<Q", len(file))))
            file += self.section(number, data, compress)
        for buffer in self.buffers:
            start = len(file)
            pages = [buffer.pages(cpu) for cpu in range(self.cpus)]
            if chunk:
                pages = [data and self.chunks(data, compress, chunk) for data in pages]
            places, file = self.place(file + bytes(16), pages)
            file = (file[:start] + struct.pack("<HHIQ", 3, 1 if chunk else 0, 0, len(file) - start - 16) +
                    file[start + 16:])
            options.append((3, struct.pack("<Q", start) + buffer.name.encode() + b"\0" + buffer.clock.encode() + b"\0" +
                            struct.pack("<II", buffer.page_size, self.cpus) +
                            b"".join(struct.pack("<IQQ", cpu, *place) for cpu, place in enumerate(places))))
        options.append((0, struct.pack("<Q", 0)))
        data = b"".join(struct.pack("<HI", number, len(data)) + data for number, data in options)
        return (file[:first_options] + struct.pack("<Q", len(file)) + file[first_options + 8:] +
                self.section(0, data))
