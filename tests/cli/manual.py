#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What the man pages say is what the commands know: each option that a command's help lists is in its page, and the other
way round; and what a page shows is what its reader is to type.

usage: manual.py REFOLD MAN_DIRECTORY [unittest arguments]
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
MAN = pathlib.Path(sys.argv.pop(1)).resolve()

PAGES = {"replay": "refold-replay.1", "import": "refold-import.1", "pte": "refold-pte.1", "race": "refold-race.1"}
# Of refold(1): the commands whose options are in their own help.
COMMANDS = ("diff", "ablate", "sweep", "summary", "merge", "export", "export --perfetto", "html", "cpus", "patches",
            "policies", "info", "dump", "assemble", "anonymize", "backend build", "backend check")
EVERYWHERE = {"-h"}     # "Every command answers -h."


def options_of_help(command):
    """{names of one option}..."""
    run = subprocess.run([REFOLD, *command.split(), "-h"], capture_output=True, text=True, check=True)
    found = []
    for line in run.stdout.splitlines():
        if match := re.match(r"  +((?:-\w|--[a-z-]+)(?:, (?:-\w|--[a-z-]+)\b)*)", line):
            found.append(set(match[1].split(", ")))
    for pair in re.findall(r"(--max-memory) SIZE, (--max-time) TIME", run.stdout):
        found += [{name} for name in pair]
    return [names for names in found if not names & EVERYWHERE]


def options_in(text):
    """Of mdoc: Fl and what follows it; letters may stand together."""
    found = set()
    for name in re.findall(r"\bFl (-?[a-zA-Z][a-z-]*)|\| (-[a-z-]+)", text):
        name = name[0] or name[1]
        found |= {"-" + name} if name.startswith("-") else {"-" + letter for letter in name}
    return found


def items(page):
    """Of refold(1): command: its text, with what is said of it elsewhere in the item."""
    text = (MAN / page).read_text()
    text = text[text.index("The commands are:"):text.index("Every command answers")]
    found = {}
    for item in re.split(r"^\.It Cm ", text, flags=re.MULTILINE)[1:]:
        words = item.split()
        name = words[0]
        if name == "export" and "-perfetto" in item.splitlines()[0]:
            name = "export --perfetto"
        if name == "backend":
            name += " " + words[1]
        found[name] = found.get(name, "") + item
    return found


class Manual(unittest.TestCase):
    def compare(self, command, text):
        known, said = options_of_help(command), options_in(text)
        # A subcommand of its own is told of in its own item.
        if command == "export":
            known = [names for names in known if "--perfetto" not in names]
        for names in known:
            self.assertTrue(names & said, f"{command}: the page has none of {sorted(names)}")
        strange = said - set().union(*known) - EVERYWHERE - ({"--perfetto"} if "perfetto" in command else set())
        self.assertEqual(strange, set(), f"{command}: its help has them not")

    def test_options_of_pages(self):
        for command, page in PAGES.items():
            with self.subTest(command=command):
                text = (MAN / page).read_text()
                self.compare(command, "".join(re.findall(r"^\.It Fl .*\n", text, re.MULTILINE)))

    def test_options_of_items(self):
        of = items("refold.1")
        for command in COMMANDS:
            with self.subTest(command=command):
                self.compare(command, of[command])

    def test_examples_are_shown_as_typed(self):
        if not shutil.which("man"):
            self.skipTest("there is no man")
        for page in MAN.glob("*.[1-9]"):
            shown = subprocess.run(["man", "-l", page], capture_output=True, text=True, check=True,
                                   env={"PATH": "/usr/bin:/bin", "MANWIDTH": "400", "LC_ALL": "C.UTF-8"}).stdout
            with self.subTest(page=page.name):
                # A quotation within another: macros on one line that took more than was meant.
                found = re.search(r".{,30}(?:‘[^’\n]*‘|’’).{,30}", shown)
                self.assertIsNone(found and found[0])
                for line in shown.splitlines():
                    if re.match(r' +\{".*\}$', line):
                        json.loads(line)


if __name__ == "__main__":
    unittest.main()
