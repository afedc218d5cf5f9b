# SPDX-License-Identifier: MIT
"""Where a member of a kernel structure lies, as /sys/kernel/btf/vmlinux says (include/uapi/linux/btf.h)."""
import struct

STRUCT, UNION = 4, 5
# Bytes that follow the 12 of a type: once, or for each of its members.
FOLLOWS = {1: 4, 3: 12, 14: 4, 17: 4}
EACH = {STRUCT: 12, UNION: 12, 6: 8, 13: 8, 15: 12, 19: 12}


class Btf:
    def __init__(self, data):
        magic, _, _, header, types, types_length, strings, _ = struct.unpack_from('<HBBIIIII', data)
        if magic != 0xeb9f:
            raise ValueError('no BTF')
        self.data = data
        self.strings = header + strings
        self.types = [None]     # offsets; the first one has number 1
        at = header + types
        while at < header + types + types_length:
            self.types.append(at)
            kind, number, _ = self.info(at)
            at += 12 + FOLLOWS.get(kind, 0) + EACH.get(kind, 0) * number

    def name(self, at):
        offset = self.strings + struct.unpack_from('<I', self.data, at)[0]
        return self.data[offset:self.data.index(b'\0', offset)].decode()

    def info(self, at):
        info = struct.unpack_from('<I', self.data, at + 4)[0]
        return info >> 24 & 31, info & 0xffff, info >> 31

    def member(self, at, name):
        """Bytes from the beginning of the structure at; what has no name of its own is looked through."""
        _, number, bitfields = self.info(at)
        for place in range(at + 12, at + 12 + 12 * number, 12):
            kind, bits = struct.unpack_from('<II', self.data, place + 4)
            byte = (bits & 0xffffff if bitfields else bits) // 8
            called = self.name(place)
            if called == name:
                return byte
            if not called and self.info(self.types[kind])[0] in (STRUCT, UNION):
                inner = self.member(self.types[kind], name)
                if inner is not None:
                    return byte + inner
        return None

    def offset(self, structure, name):
        for at in self.types[1:]:
            if self.info(at)[0] == STRUCT and self.info(at)[1] and self.name(at) == structure:
                return self.member(at, name)
        raise ValueError(f'BTF has no {structure}')
