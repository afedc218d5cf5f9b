# SPDX-License-Identifier: MIT
"""The text files of the tree, as the tests of the book read them."""
import os
import re

# What a line of prose may begin with in C, Python, shell, meson, roff and JSON.
LEADER = re.compile(r'^[ \t]*(?:/\*+|\*+/?|//|#+|\.\\"|")?[ \t]?')


def files(root):
    """Paths below root, relative to it, of everything that is kept: not builds, not what git keeps for itself."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders
                            if name not in ('.git', '__pycache__', 'node_modules') and not name.startswith('build'))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def read(root, path):
    """The text of a file, None for one that has none."""
    try:
        with open(os.path.join(root, path), encoding='utf-8') as file:
            return file.read()
    except (UnicodeDecodeError, OSError):
        return None


class Prose:
    """A text with its comment leaders gone and its lines joined, so that a phrase may go over the end of a line."""

    def __init__(self, text):
        self.starts, parts, at = [], [], 0
        for line in text.split('\n'):
            part = LEADER.sub('', line, count=1).rstrip() + ' '
            self.starts.append(at)
            parts.append(part)
            at += len(part)
        self.text = ''.join(parts)

    def line(self, offset):
        low, high = 0, len(self.starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.starts[middle] <= offset else (low, middle)
        return low + 1
