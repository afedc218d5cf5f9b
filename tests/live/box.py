# SPDX-License-Identifier: MIT
"""What a whole machine's files tell of who runs on it, to be searched for in traces that should hold none of it."""
import bisect
import contextlib
import glob
import os
import re
import struct

PAGE = os.sysconf('SC_PAGE_SIZE')
PIECE = 1 << 42
# Where programs and what mmap() gives lie, on x86 and arm64: hidden addresses never do. Elsewhere (cages of script
# engines, shadows of sanitizers) one program's true address may be another's hidden one.
TELLING = {0, 21, 31, 42, 63}
LONGEST = 4 << 20     # of a mapping, whose page frames are looked at
FIELDS = {'task': r' (?:tid|pid|child|parent_pid|parent_tid|old_tid)=(\d+)', 'ino': r' (?:ino|shmid)=(\d+)',
          'pfn': r' pfn=(0x\w+)'}
# In fields of that class, and what mmap(), mremap(), brk() and shmat() returned.
ADDRESS = re.compile(r' (?:addr|new_addr|arg3|arg5|local|remote|call=(?:16|19|21|29) ret)=(0x\w+|\d+)(?= |$)',
                     re.MULTILINE)


def words_of(path, separator='\0'):
    with contextlib.suppress(OSError), open(path, encoding='utf-8', errors='replace') as file:
        return [word for word in file.read().split(separator) if word]
    return []


class Box:
    """look() as often as you like: what was there at any of these times is known."""

    def __init__(self, public):
        """public: text that is no secret of this machine, as it is in a trace of another one."""
        self.public = public
        self.numbers = {'task': set(), 'ino': set(), 'pfn': set()}
        self.mappings, self.words, self.names = set(), {os.uname().nodename}, set()

    def look(self):
        for task in glob.glob('/proc/[0-9]*/task/[0-9]*'):
            self.numbers['task'].add(int(task.rsplit('/', 1)[1]))
            self.names.update(words_of(f'{task}/comm', '\n'))
        for process in glob.glob('/proc/[0-9]*'):
            self.words.update(words_of(f'{process}/cmdline'))
            for link in 'exe', 'cwd':
                with contextlib.suppress(OSError):
                    self.words.add(os.readlink(f'{process}/{link}').removesuffix(' (deleted)'))
            with contextlib.suppress(OSError):
                self._look_at_memory(process)
        self.words.update(words_of('/proc/cmdline', ' '))
        for numbers in self.numbers.values():
            numbers.discard(0)

    def _look_at_memory(self, process):
        with open(f'{process}/pagemap', 'rb') as pagemap:
            for line in words_of(f'{process}/maps', '\n'):
                start, end, inode, path = re.match(r'(\w+)-(\w+) \S+ \S+ \S+ (\d+) *(.*)', line).groups()
                start, end = int(start, 16), int(end, 16)
                if start >> 63:
                    continue
                self.numbers['ino'].add(int(inode))
                if path.startswith('/'):
                    self.words.add(path.removesuffix(' (deleted)'))
                if start // PIECE in TELLING:
                    self.mappings.add((start, end))
                pagemap.seek(start // PAGE * 8)
                entries = pagemap.read((min(end, start + LONGEST) - start) // PAGE * 8)
                self.numbers['pfn'].update(entry & (1 << 55) - 1 for entry, in struct.iter_unpack('<Q', entries)
                                           if entry >> 63 and entry & (1 << 55) - 1)

    def known(self):
        return {what: len(numbers) for what, numbers in self.numbers.items()} | {
            'addr': len(self.mappings), 'words': len(self.words), 'names': len(self.names)}

    def _inside(self, addresses):
        """Those that lie in a mapping of anybody."""
        reach, ends, starts = 0, [], []
        for start, end in sorted(self.mappings):
            if start > reach or not ends:
                starts.append(start)
                ends.append(end)
            reach = ends[-1] = max(reach, end)
        found = set()
        for address in addresses:
            at = bisect.bisect_right(starts, address) - 1
            if at >= 0 and address < ends[at]:
                found.add(address)
        return found

    def found(self, text, data):
        """What of it there is in a trace, by class: in its text (refold dump), whose numbers are the decoded bytes of
        all records, and in other bytes of it."""
        header, _, records = text.partition('\n')
        found = {what: {int(number, 0) for number in re.findall(pattern, records)} & self.numbers[what]
                 for what, pattern in FIELDS.items()}
        addresses = {int(number, 0) for number in ADDRESS.findall(records)}
        addresses |= {number for number in (int(number, 0) for number in re.findall(r'[=,](0x\w{9,16}|\d{11,20})\b',
                                                                                    text))}
        found['addr'] = self._inside(address for address in addresses if address >= PAGE << 4)
        # Names are in words of eight bytes, which need not be together; a number may have been a word, too.
        names = ''.join(re.findall(r'(?:name|w)\d="([^"]*)"', records))
        numbers = {int(number, 0) for number in re.findall(r'=(0x\w{9,16}|\d{10,20})\b', records)}
        numbers = b'\0'.join(struct.pack('<Q', number % (1 << 64)) for number in numbers)
        data += names.encode()
        found['names'] = {name for name in self.names
                          if len(name) > 4 and name not in self.public and (name in names or name in header)}
        found['words'] = {word for word in self.words
                          if len(word) > 6 and word not in self.public and (word in text or word.encode() in data
                                                               or word.encode()[:8] in numbers)}
        return found
