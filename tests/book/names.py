# SPDX-License-Identifier: MIT
"""The names in documents are those that the programs know: knobs with their values, policies, the version.

    names.py REFOLD SOURCE_ROOT
"""
import json
import os
import re
import subprocess
import sys

import tree

# `tlbi=single`, `linux-6.12+tlbi=single`
KNOB = re.compile(r'`(?:[\w.-]+\+)?(?P<knob>[a-z][a-z0-9_]*)=(?P<value>[\w.-]+)`')
OTHERS = {'pid', 'mm', 'op', 'addr', 'curr', 'buildtype', 'b_sanitize'}


def section(text, number):
    """The text below a heading, up to the next one."""
    match = re.search(rf'^### {re.escape(number)} .*\n(?P<text>(?:(?!#).*\n)*)', text, re.MULTILINE)
    return match['text'] if match else ''


def first_cells(text):
    return [row.split('|')[1] for row in text.splitlines() if row.startswith('|')]


class Names:
    def __init__(self, refold, root):
        self.root = root
        known = json.loads(subprocess.run([refold, 'policies', '-j'], stdout=subprocess.PIPE, check=True).stdout)
        self.knobs = {name: knob['values'].split('|') for name, knob in known['knobs'].items()}
        self.areas = {name: knob['area'] for name, knob in known['knobs'].items()}
        self.policies = {policy['name'] for policy in known['policies']}
        self.version = subprocess.run([refold, '-V'], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[1]
        self.model = tree.read(root, 'docs/kernel-model.md')
        self.faults = []

    def same(self, what, document, programs):
        for name in sorted(document ^ programs):
            self.faults.append(f'{what} {name} is only in ' + ('the document' if name in document else 'the program'))

    def check_model(self):
        named = set(re.findall(r'`([a-z0-9_]+)`', section(self.model, '9.1')))
        self.same('kernel-model.md 9.1: knob', named, set(self.knobs))
        for row in re.findall(r'^\| (.*?) \| (.*) \|$', section(self.model, '9.1'), re.MULTILINE):
            for name in re.findall(r'`([a-z0-9_]+)`', row[1]):
                if self.areas.get(name) != row[0]:
                    self.faults.append(f'kernel-model.md 9.1: knob {name} is not of "{row[0]}"')
        cells = ' '.join(first_cells(section(self.model, '9.2')))
        self.same('kernel-model.md 9.2: policy', {name.split('+')[0] for name in re.findall('`([^`]*)`', cells)},
                  self.policies)

    def check_values(self):
        for path in tree.files(self.root):
            text = tree.read(self.root, path) if path.endswith('.md') else None
            for match in KNOB.finditer(text or ''):
                values = self.knobs.get(match['knob'])
                known = values and (match['value'] in values or match['value'] == 'ptep_get' or values == ['NUMBER'])
                if not known and match['knob'] not in OTHERS:
                    line = text.count('\n', 0, match.start()) + 1
                    self.faults.append(f'{path}:{line}: no knob has {match["knob"]}={match["value"]}')

    def check_version(self):
        citation = tree.read(self.root, 'CITATION.cff')
        for key in ('cff-version', 'message', 'title', 'authors'):
            if not re.search(rf'^{key}:', citation, re.MULTILINE):
                self.faults.append(f'CITATION.cff has no {key}, which every such file has')
        cited = re.search(r'^version: (.*)$', citation, re.MULTILINE)
        if not cited or cited[1] != self.version:
            self.faults.append(f'CITATION.cff is not of version {self.version}')
        if f'\n## {self.version}\n' not in tree.read(self.root, 'CHANGELOG.md'):
            self.faults.append(f'CHANGELOG.md has no version {self.version}')


def main():
    names = Names(os.path.abspath(sys.argv[1]), sys.argv[2])
    names.check_model()
    names.check_values()
    names.check_version()
    for fault in names.faults:
        print(fault)
    sys.exit(1 if names.faults else 0)


main()
