# SPDX-License-Identifier: MIT
"""Every session in a document must be what its commands print: run them again and compare. With --update, write what
they print now.

    sessions.py REFOLD SOURCE_ROOT [--update] DOCUMENT...
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

# An indented block whose first line is a command.
SESSION = re.compile(r'^    \$ .*\n(?:(?:    .*)?\n)*?(?=\S|\Z)', re.MULTILINE)
# What commands read, by its place in the tree; what they write stays in the scratch folder.
READ = ('traces', 'tests')


def output_of(command, refold, scratch):
    environment = dict(os.environ, PATH=f'{os.path.dirname(os.path.abspath(refold))}:{os.environ["PATH"]}')
    result = subprocess.run(['/bin/sh', '-c', command], cwd=scratch, env=environment, stdout=subprocess.PIPE,
                            text=True, check=True)
    return result.stdout


def commands_of(session):
    """The lines of commands; one that ends in a backslash goes on in the next."""
    command = []
    for line in session.splitlines():
        if line.startswith('    $ ') or command:
            command.append(line)
            if not line.endswith('\\'):
                yield command
                command = []


def play(session, refold, scratch):
    """The session as it looks when its commands are run now; as it is, if that takes a program that is not here."""
    lines = []
    for command in commands_of(session):
        program = command[0].split()[1]
        if program != 'refold' and not shutil.which(program):
            print(f'not tried: {program} is not installed')
            return session
        text = '\n'.join(line[6:] if line.startswith('    $ ') else line[4:] for line in command)
        lines += command + [f'    {line}'.rstrip() for line in output_of(text, refold, scratch).splitlines()] + ['']
    return '\n'.join(lines) + '\n'


def check(document, refold, source_root, update):
    path = os.path.join(source_root, document)
    with open(path, encoding='utf-8') as file:
        text = file.read()
    sessions = SESSION.findall(text)
    if not sessions:
        sys.exit(f'{document} shows no session')
    with tempfile.TemporaryDirectory() as scratch:
        for name in READ:
            os.symlink(os.path.join(os.path.abspath(source_root), name), os.path.join(scratch, name))
        played = [play(session, refold, scratch) for session in sessions]
    if update:
        for old, new in zip(sessions, played):
            text = text.replace(old, new)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return
    for old, new in zip(sessions, played):
        if old != new:
            print(new)
            sys.exit(f'{document} shows something else; sessions.py with --update corrects it')


def main():
    refold, source_root, *documents = sys.argv[1:]
    update = '--update' in documents
    for document in documents:
        if document != '--update':
            check(document, refold, source_root, update)


main()
