# SPDX-License-Identifier: MIT
"""Every number in README.md's session must be one that the command above it prints: run the commands again and
compare. With --update, write what they print now.

    readme.py REFOLD SOURCE_ROOT [--update]
"""
import os
import re
import subprocess
import sys
import tempfile

# An indented block of README.md whose first line is a command.
SESSION = re.compile(r'^    \$ refold .*\n(?:(?:    .*)?\n)*?(?=\S)', re.MULTILINE)


def output_of(command, refold, source_root, scratch):
    environment = dict(os.environ, PATH=f'{os.path.dirname(os.path.abspath(refold))}:{os.environ["PATH"]}',
                       REPORT=os.path.join(scratch, 'report.json'))
    result = subprocess.run(['/bin/sh', '-c', command.replace(' report.json', ' "$REPORT"')], cwd=source_root,
                            env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return result.stdout


def play(session, refold, source_root, scratch):
    """The session as it looks when its commands are run now."""
    lines = []
    for line in session.splitlines():
        if line.startswith('    $ '):
            command = line[6:]
            output = output_of(command, refold, source_root, scratch).splitlines()
            lines += [line] + [f'    {text}'.rstrip() for text in output] + ['']
    return '\n'.join(lines) + '\n'


def main():
    refold, source_root = sys.argv[1:3]
    path = os.path.join(source_root, 'README.md')
    with open(path, encoding='utf-8') as file:
        text = file.read()
    sessions = SESSION.findall(text)
    if not sessions:
        sys.exit('README.md shows no session')
    with tempfile.TemporaryDirectory() as scratch:
        played = [play(session, refold, source_root, scratch) for session in sessions]
    if '--update' in sys.argv[3:]:
        for old, new in zip(sessions, played):
            text = text.replace(old, new)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return
    for old, new in zip(sessions, played):
        if old != new:
            print(new)
            sys.exit('README.md shows something else; tests/readme/readme.py REFOLD SOURCE_ROOT --update corrects it')


main()
