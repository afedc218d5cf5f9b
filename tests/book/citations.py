# SPDX-License-Identifier: MIT
"""What the tree says of its own files is so: each section of a document that anything cites is there, each document
that anything names, each file, function and link that a document names, each manual page.

    citations.py SOURCE_ROOT
"""
import glob
import itertools
import os
import re
import sys

import tree

# "kernel-model.md 4.1-4.3, 4.11", "kernel-model.md sections 2 and 10", "kernel-model 7.3, ...", "limitations.md 2".
REFERENCE = r'(?:\d+(?:\.\d+)*|[CIR]\d+)(?![\w%])'
JOINT = r'(?:, and |, | and | or | to |-|/)'
CITATION = re.compile(r'(?<![\w/.-])(?:docs/)?(?P<name>[a-z][a-z-]+)(?P<md>\.md)?,?(?: its)?(?: sections?)? '
                      rf'(?P<references>{REFERENCE}(?:{JOINT}(?:sections? )?{REFERENCE})*)')
# The same inside of a document, where its name goes without saying.
OWN_CITATION = re.compile(rf'\b(?:[Ss]ections?|see) (?P<references>{REFERENCE}(?:{JOINT}{REFERENCE})*)')
# In a file that cites kernel-model.md: "(I4, I5, I13-I15)".
POINTS = re.compile(rf'\((?P<references>[CIR]\d+(?:{JOINT}[CIR]\d+)*)[),:;]')
# The corrections, invariants and reader's promises of kernel-model.md; they have a place each.
NUMBERED = re.compile(r'^ *- (?P<reference>[CIR]\d+) ?', re.MULTILINE)
HEADING = re.compile(r'^#+ (?P<title>(?P<reference>\d+(?:\.\d+)*)?\.?.*)$', re.MULTILINE)

DOCUMENT = re.compile(r'(?<![\w/.*-])(?P<path>(?:\.\./)*(?:[\w-]+/)*[\w-]+\.md)\b')
LINK = re.compile(r'\[[^]\n]+\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)')
PAGE = re.compile(r'\b(?P<name>refold[a-z-]*)\((?P<section>\d)\)')
QUOTED = re.compile(r'`(?P<path>[\w.*+{},/-]+)`')
# `engine/zap.c:do_munmap()`, or `do_munmap()` in one of these documents: a function of ours.
FUNCTION = re.compile(r'`(?:(?P<path>[\w./-]+/[\w.-]+\.[ch]):)?(?P<function>\w+)\(\)`')
# A file without its folder, as in a drawing.
BARE = re.compile(r'(?<![\w/.-])[a-z]\w*\.[ch]\b(?!\w)')
OF_THE_TREE = {'docs/architecture.md', 'docs/debugging-a-count.md'}
SUFFIX = re.compile(r'\.(?:c|h|py|md|json|sh|build|ini|bash)$')

# Files that commands in documents write, that a reader makes, or that lie in a recording made by somebody else.
MADE = {'report.json', 'refold-report.json', 'trace.dat', 'meson_options.txt', 'A.json', 'B.json', 'operations.txt'}
# The kernel has an arch/ as well, with these in it; NAME and TOY stand for what a reader or a test calls its own.
ELSEWHERE = re.compile(r'^arch/[\w{},*]+/(?:include|mm|kernel|Kconfig)\b|^(?:mm|fs|include|kernel|tools)/|'
                       r'\b(?:NAME|TOY)\b')
# Documents that speak of the kernel's files by their bare names.
OF_THE_KERNEL = {'docs/kernel-model.md', 'docs/reconstruct.md', 'docs/lockless-walkers.md', 'docs/comparison.md'}


def slug(title):
    """The anchor that a heading gets."""
    return re.sub(r'[^\w -]', '', title.strip().lower()).replace(' ', '-')


class Tree:
    def __init__(self, root):
        self.root = root
        self.paths = list(tree.files(root))
        self.texts = {path: text for path in self.paths if (text := tree.read(root, path)) is not None}
        self.names = {os.path.basename(path) for path in self.paths}
        self.tops = {path.split('/')[0] for path in self.paths if '/' in path}
        self.documents = {os.path.basename(path)[:-3]: path for path in self.texts
                          if path.startswith('docs/') and path.endswith('.md')}
        self.sections = {name: self.sections_of(path) for name, path in self.documents.items()}
        self.faults = []

    def sections_of(self, path):
        text = self.texts[path]
        found = {match['reference'] for match in HEADING.finditer(text)}
        return found | {match['reference'] for match in NUMBERED.finditer(text)}

    def fault(self, path, line, what):
        self.faults.append(f'{path}:{line}: {what}')

    def exists(self, *parts):
        return os.path.exists(os.path.join(self.root, *parts))

    # ---- sections ----

    def check_sections(self, path, prose):
        for match in CITATION.finditer(prose.text):
            if match['name'] not in self.documents:
                continue
            self.check_references(path, prose.line(match.start()), match['name'], match['references'])
        if 'kernel-model' in prose.text:
            for match in POINTS.finditer(prose.text):
                self.check_references(path, prose.line(match.start()), 'kernel-model', match['references'])
        name = os.path.basename(path)[:-3]
        if self.documents.get(name) != path or len(self.sections[name]) < 2:
            return
        for match in OWN_CITATION.finditer(prose.text):
            self.check_references(path, prose.line(match.start()), name, match['references'])

    def check_references(self, path, line, name, references):
        for reference in re.findall(REFERENCE, references):
            if reference not in self.sections[name]:
                self.fault(path, line, f'docs/{name}.md has no {reference}')

    # ---- files ----

    def check_documents(self, path, prose):
        """Any file of the tree: the .md files it names."""
        for match in DOCUMENT.finditer(prose.text):
            named = match['path']
            beside = os.path.normpath(os.path.join(os.path.dirname(path), named))
            known = self.exists(named) or self.exists(beside) or ('/' not in named and named in self.names)
            if not known and not ELSEWHERE.search(named):
                self.fault(path, prose.line(match.start()), f'there is no {named}')

    def check_pages(self, path, prose):
        for match in PAGE.finditer(prose.text):
            page = f'man/{match["name"]}.{match["section"]}'
            if not self.exists(page):
                self.fault(path, prose.line(match.start()), f'there is no {page}')

    def check_links(self, path, text):
        for match in LINK.finditer(text):
            if ':' in match['path']:
                continue
            line = text.count('\n', 0, match.start()) + 1
            target = os.path.normpath(os.path.join(os.path.dirname(path), match['path'])) if match['path'] else path
            if not self.exists(target):
                self.fault(path, line, f'there is no {target}')
            elif match['anchor'] and match['anchor'] not in {
                    slug(heading['title']) for heading in HEADING.finditer(self.texts.get(target, ''))}:
                self.fault(path, line, f'{target} has no heading #{match["anchor"]}')

    def named_paths(self, path, text):
        """(line, path) of what a document names as a file: a path from the top anywhere, a bare name in quotes."""
        anywhere = re.compile(rf'(?<![\w/.$~<>-])(?:{"|".join(sorted(self.tops))})/[\w./{{}},*+-]*[\w/}}*]')
        for match in anywhere.finditer(text):
            yield text.count('\n', 0, match.start()) + 1, match.group()
        for match in QUOTED.finditer(text):
            named = match['path']
            if named.split('/')[0] in self.tops or not SUFFIX.search(named):
                continue
            if path not in OF_THE_KERNEL:
                yield text.count('\n', 0, match.start()) + 1, named

    def is_there(self, path, named):
        for one in expand(named):
            beside = os.path.join(os.path.dirname(path), one)
            if one in MADE or ELSEWHERE.search(one):
                continue
            if '/' not in one and (one in self.names or glob.glob(os.path.join(self.root, '**', one), recursive=True)):
                continue
            if not (glob.glob(os.path.join(self.root, one)) or glob.glob(os.path.join(self.root, beside))):
                return False
        return True

    def check_paths(self, path, text):
        for line, named in self.named_paths(path, text):
            if not self.is_there(path, named.rstrip('.,')):
                self.fault(path, line, f'there is no {named}')
        for match in BARE.finditer(text) if path in OF_THE_TREE else ():
            if match.group() not in self.names:
                self.fault(path, text.count('\n', 0, match.start()) + 1, f'there is no {match.group()}')
        for match in FUNCTION.finditer(text):
            named = match['path']
            if ELSEWHERE.search(named or '') or (not named and path not in OF_THE_TREE):
                continue
            places = [named] if named else [other for other in self.texts if other.endswith('.c')]
            call = re.compile(rf'\b{match["function"]}\(')
            if not any(call.search(self.texts.get(place, '')) for place in places):
                line = text.count('\n', 0, match.start()) + 1
                self.fault(path, line, f'{named or "the tree"} has no {match["function"]}()')

    def check(self):
        cited = 0
        for path, text in self.texts.items():
            prose = tree.Prose(text)
            cited += len(CITATION.findall(prose.text))
            self.check_sections(path, prose)
            self.check_pages(path, prose)
            # These speak of wrong paths, and of files that are not there, on purpose.
            if not path.startswith('tests/book/'):
                self.check_documents(path, prose)
            if path.endswith('.md'):
                self.check_links(path, text)
                self.check_paths(path, text)
        if cited < 50:
            self.faults.append(f'only {cited} citations found: does this test still read them?')
        return self.faults


def expand(path):
    """a/{b,c}.d -> a/b.d, a/c.d"""
    parts = re.split(r'(\{[^}]*\})', path)
    choices = [part[1:-1].split(',') if part.startswith('{') else [part] for part in parts]
    return [''.join(choice) for choice in itertools.product(*choices)]


def main():
    faults = Tree(sys.argv[1]).check()
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
