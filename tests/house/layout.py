# SPDX-License-Identifier: MIT
"""How the files of the tree look, as far as that can be counted: no line above 120 columns (a tab is eight; text that
is printed may stand in one piece), no blank at the end of a line, C indented with tabs, a newline at the end and a
license at the start of what is code.

    layout.py SOURCE_ROOT               the tree
    layout.py SOURCE_ROOT --notices     what the check is worth: lines with a fault each, which it must find

.clang-format says the rest of the style. It is not checked: clang-format knows no tab before a comment at the end of a
line and takes tables apart, on changed lines as well.
"""
import os
import re
import sys

COLUMNS = 120
CODE = ('.c', '.h', '.py', '.sh', '.build', '.js', '.mjs', '.css')
TEXT = CODE + ('.ini', '.md')
SKIPPED = re.compile(r'^(\.git|build.*|node_modules|__pycache__)$')
PROSE = ('.md',)    # as wide as it likes
PRINTED = re.compile(r'(["\'`])(?:(?!\1)[^\\]|\\.){40,}\1')


def files(root):
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(name for name in subdirectories if not SKIPPED.match(name))
        for name in sorted(names):
            path = os.path.join(directory, name)
            extension = os.path.splitext(name)[1]
            if extension in TEXT or os.path.relpath(directory, root) in ('scripts', '.ci'):
                yield path, extension


def faults_of(text, extension):
    """(line number, what is wrong)"""
    lines = text.split('\n')
    if lines.pop():
        yield len(lines) + 1, 'no newline at the end of the file'
    if extension in CODE and extension != '.build' and not any('SPDX-License-Identifier' in line for line in lines[:3]):
        yield 1, 'no SPDX-License-Identifier'
    for number, line in enumerate(lines, 1):
        width = len(line.expandtabs(8))
        if width > COLUMNS and extension not in PROSE and not PRINTED.search(line):
            yield number, f'{width} columns'
        if line != line.rstrip():
            yield number, 'a blank at the end'
        if extension in ('.c', '.h') and re.match(r' {2,}| +\t|\t+ {8}', line):
            yield number, 'indented with blanks'


def tree(root):
    for path, extension in files(root):
        with open(path, encoding='utf-8') as file:
            for number, fault in faults_of(file.read(), extension):
                yield f'{os.path.relpath(path, root)}:{number}: {fault}'


LICENSED = '/* SPDX-License-Identifier: MIT */\n'
NOTICED = {
    f'{LICENSED}{"x" * 121}\n': '121 columns',
    f'{LICENSED}\t{"x" * 113}\n': '121 columns',
    f'{LICENSED}int i; \n': 'a blank at the end',
    f'{LICENSED}        int i;\n': 'indented with blanks',
    f'{LICENSED}\t        int i;\n': 'indented with blanks',
    f'{LICENSED}int i;': 'no newline at the end of the file',
    'int i;\n': 'no SPDX-License-Identifier',
}
SOUND = f'{LICENSED}/*\n * {"x" * 117}\n */\n\tsay("{"x" * 130}");\n\t\t    int i;\n'


def notices():
    for text, expected in NOTICED.items():
        if [fault for _, fault in faults_of(text, '.c')] != [expected]:
            yield f'not noticed, or not alone: {expected}'
    yield from (f'noticed where nothing is: {fault}' for _, fault in faults_of(SOUND, '.c'))


def main():
    found = list(notices() if '--notices' in sys.argv[2:] else tree(sys.argv[1]))
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


main()
