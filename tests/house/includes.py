# SPDX-License-Identifier: MIT
"""Who may include whom. Every folder of the house has a row below that names the folders it may include from, and a
folder can only name rows above its own: so there is no circle of folders, and a change that needs an include upwards
shows here, before it shows as a circle.

    includes.py SOURCE_ROOT             the tree
    includes.py SOURCE_ROOT --notices   what the check is worth: scratch copies with a fault each, which it must find
"""
import os
import re
import shutil
import sys
import tempfile

# folder: what it may include from, beside itself. From the ground up.
ROOMS = {
    'base': '',

    'traces': 'base',
    'traces/events': 'traces base',
    'traces/import': 'traces/events traces base',

    'capture/rights': 'base',
    'capture/snapshot': 'traces base',
    'capture/follow': 'capture/snapshot capture/rights traces/events traces base',
    'capture/stacks': 'capture/snapshot traces base',
    'capture/perf': 'capture/follow capture/stacks capture/snapshot capture/rights traces/events traces base',
    'capture/tracefs': 'capture/perf capture/stacks capture/follow capture/rights traces/events traces base',
    'capture': 'capture/tracefs capture/perf capture/stacks capture/follow capture/snapshot capture/rights '
               'traces/events traces base',

    'arch': 'base',
    'arch/contpte': 'arch base',
    'arch/loaded': 'arch base',
    'arch/loaded/kernel': '',               # what users' compilers are given
    'arch/*': 'arch/contpte arch base',     # each backend

    'engine/policy': 'arch/loaded arch base',
    'engine': 'engine/policy arch base',
    'race': 'engine/policy engine arch base',
    'properties': 'engine/policy engine arch/loaded arch base',

    'replay/world': 'engine traces base',
    'replay/tracker/ground': 'replay/world engine traces base',
    'replay/tracker/effects': 'replay/tracker/ground replay/world engine traces base',
    'replay/tracker/stories': 'replay/tracker/effects replay/tracker/ground replay/world engine traces base',
    'replay/tracker': 'replay/tracker/stories replay/tracker/effects replay/tracker/ground replay/world traces base',
    'replay/symbols': 'base',
    'replay/attribution': 'replay/symbols replay/tracker replay/tracker/stories replay/tracker/ground engine traces '
                          'base',
    'replay': 'replay/attribution replay/symbols replay/tracker replay/tracker/ground engine/policy engine arch traces '
              'base',
    'replay/report': 'replay replay/attribution engine/policy engine arch/loaded arch traces base',
    'replay/fleet': 'replay/report replay traces base',
    'replay/export': 'replay replay/attribution traces base',
    'replay/page': 'replay/fleet replay/report replay arch base',
    'replay/pte': 'engine/policy engine arch base',
    'replay/library': 'replay/report replay replay/attribution replay/tracker/ground engine/policy traces base',
    'replay/commands': 'replay/library replay/page replay/fleet replay/report replay/export replay/pte replay '
                       'replay/attribution race properties engine/policy engine traces/import traces arch/loaded base',
}

# A library's header and the folders whose business it is.
LIBRARIES = {
    'tracefs.h': 'capture/tracefs capture',
    'kbuffer.h': 'capture/tracefs',
    'trace-cmd.h': 'traces/import',
    'sodium.h': 'traces',
    'sys/capability.h': 'capture/rights',
    'seccomp.h': 'capture/rights',
    'zstd.h': 'traces traces/import',
    'jansson.h': 'base traces traces/events traces/import engine/policy race replay/report replay/fleet '
                 'replay/library replay/page replay/commands',
    'sqlite3.h': 'replay/fleet',
    'elfutils/libdw.h': 'capture/stacks',
    'elfutils/libdwelf.h': 'capture/stacks replay/symbols',
    'dwarf.h': 'capture/stacks',
    'gelf.h': 'capture/stacks',
    'elfutils/libdwfl.h': 'replay/symbols',
}

UNNEEDED = shutil.ignore_patterns('*.zst', 'node_modules')    # of copies
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"(?P<own>[^"]+)"|<(?P<library>[^>]+)>)', re.MULTILINE)


def sources(root):
    """The path and text of every C file of the house, and of folders beside its rooms where they hold any."""
    for top in sorted({room.split('/')[0] for room in ROOMS}):
        for directory, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith(('.c', '.h')):
                    path = os.path.join(directory, name)
                    with open(path, encoding='utf-8') as file:
                        yield os.path.relpath(path, root), file.read()


def row_of(room):
    return room if room in ROOMS else os.path.dirname(room) + '/*'


def fault_of(root, path, own, library):
    """What is wrong with one include, or None."""
    room = os.path.dirname(path)
    if library:
        allowed = LIBRARIES.get(library)
        return f'{library} is for {allowed}' if allowed is not None and room not in allowed.split() else None
    other = os.path.dirname(own)
    if not os.path.exists(os.path.join(root, own)):
        return f'{own}: no such file from the root of the tree, which is where includes are written from'
    if other == room or other in ROOMS[row_of(room)].split():
        return None
    return f'{room} may not include from {other}'


def faults(root):
    found = []
    for path, text in sources(root):
        if row_of(os.path.dirname(path)) not in ROOMS:
            found.append(f'{path}: its folder has no row in {os.path.basename(__file__)}')
            continue
        for include in INCLUDE.finditer(text):
            fault = fault_of(root, path, include['own'], include['library'])
            if fault:
                line = 1 + text.count('\n', 0, include.start(include.lastgroup))
                found.append(f'{path}:{line}: {fault}')
    return found


def rows_in_order():
    """Each row names rows above it only."""
    seen, found = set(), []
    for room, allowed in ROOMS.items():
        found += [f'the row of {room} names {other}, which is not above it' for other in allowed.split()
                  if other not in seen]
        seen.add(room)
    return found


def append(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'a', encoding='utf-8') as file:
        file.write(text)


def notices(root):
    """Break a scratch copy in each of the ways there are: the check must tell every one."""
    broken = {
        'an include upwards': ('base/error.c', '#include "engine/machine.h"\n', 'may not include from engine'),
        'a neighbour\'s header': ('arch/riscv/riscv.c', '#include "arch/x86/x86.h"\n', 'may not include from arch/x86'),
        'a path from elsewhere': ('arch/plain.c', '#include "plain.h"\n', 'no such file'),
        'a library of others': ('engine/vma.c', '#include <jansson.h>\n', 'jansson.h is for'),
        'a folder without a row': ('engine/attic/old.c', '#include "base/types.h"\n', 'has no row'),
    }
    missed = []
    for what, (path, text, expected) in broken.items():
        with tempfile.TemporaryDirectory() as copy:
            for top in {room.split('/')[0] for room in ROOMS}:
                shutil.copytree(os.path.join(root, top), os.path.join(copy, top), ignore=UNNEEDED)
            before = faults(copy)
            append(os.path.join(copy, path), text)
            new = [fault for fault in faults(copy) if fault not in before]
            if not any(fault.startswith(path) and expected in fault for fault in new):
                missed.append(f'not noticed: {what} ({new})')
    return missed


def main():
    root = sys.argv[1]
    found = rows_in_order() + (notices(root) if '--notices' in sys.argv[2:] else faults(root))
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


main()
