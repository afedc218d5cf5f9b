#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
refold html as a command: what it takes and refuses, what its files are, and that the data in a page cannot leave the
element they are in. What a browser makes of a page is tested in tests/page.

usage: html_page.py REFOLD SAMPLES [unittest arguments]      a build with the page
       html_page.py --none REFOLD SAMPLES                    one without
"""
import html.parser
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

WITHOUT = sys.argv[1] == "--none" and bool(sys.argv.pop(1))
REFOLD = pathlib.Path(sys.argv.pop(1)).resolve()
SAMPLES = pathlib.Path(sys.argv.pop(1)).resolve()
END = "</script><!--<script>&amp;\u2028"


class Elements(html.parser.HTMLParser):
    """The elements of a page, and what is in its scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


class Html(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.directory = pathlib.Path(self.scratch.name)
        self.report = self.directory / "report.json"
        self.page = self.directory / "page.html"
        self.refold("replay", SAMPLES / "gcc.mmt.zst", "-p", "linux-6.8,linux-7.3", "--by", "vma,call", "--processes",
                    "--interval", "10ms", "-o", self.report)

    def refold(self, *arguments, code=0):
        result = subprocess.run([REFOLD, *arguments], capture_output=True, text=True, cwd=self.directory)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def data(self):
        elements = Elements(self.page.read_text())
        kinds = [attributes for tag, attributes in elements.elements if tag == "script"]
        self.assertEqual(kinds, [{"type": "application/json", "id": "data"}, {}])
        return json.loads(elements.scripts[0])


class With(Html):
    def test_one_file_for_its_owner(self):
        self.refold("html", self.report, "-o", self.page)
        self.assertEqual(stat.S_IMODE(self.page.stat().st_mode), 0o600)
        self.assertLess(self.page.stat().st_size, 1_500_000)
        self.assertEqual(sorted(os.listdir(self.directory)), ["page.html", "report.json"])

    def test_the_same_bytes(self):
        self.refold("html", self.report, "-o", self.page)
        self.assertEqual(self.refold("html", self.report, "-o", "-").stdout, self.page.read_text())

    def test_the_numbers_are_the_reports(self):
        self.refold("html", self.report, "-o", self.page)
        report, (shown,) = json.loads(self.report.read_text()), self.data()["reports"]
        for i, policy in enumerate(report["policies"]):
            for name, value in policy["totals"].items():
                self.assertEqual(shown["totals"].get(name, [0, 0])[i], value)
            for operation, counters in policy["operations"].items():
                for name, value in counters.items():
                    self.assertEqual(shown["operations"].get(operation, {}).get(name, [0, 0])[i], value)
            for name, series in report["intervals"][0]["policies"][i]["series"].items():
                lists = shown["intervals"][0]["series"].get(name)
                self.assertEqual(lists[i] if lists else [0] * len(series), series)
        self.assertEqual(len(shown["processes"]), len(report["processes"]))

    def test_nothing_of_the_machine(self):
        self.refold("html", self.report, "-o", self.page)
        text = self.page.read_text()
        for word in (str(self.directory), str(SAMPLES), os.getcwd(), "/node_modules"):
            self.assertNotIn(word, text)
        policy = dict(next(attributes for tag, attributes in Elements(text).elements
                           if attributes.get("http-equiv") == "Content-Security-Policy"))["content"]
        self.assertIn("default-src 'none'; script-src 'sha256-", policy)
        self.assertNotIn("http", policy)

    def test_data_stay_in_their_element(self):
        report = json.loads(self.report.read_text())
        report["processes"][0]["command"] = END
        report["traces"][0]["name"] = END
        report["warnings"] = [END]
        self.report.write_text(json.dumps(report))
        self.refold("html", self.report, "-o", self.page)
        shown = self.data()["reports"][0]
        self.assertEqual(shown["warnings"], [END])
        self.assertEqual(shown["processes"][0]["command"], END)
        between = self.page.read_text().split('id="data">')[1].split("</script>")[0]
        for character in "<>&\u2028":
            self.assertNotIn(character, between)

    def test_what_is_too_much_is_left_out_and_said(self):
        report = json.loads(self.report.read_text())
        one = report["processes"][0]
        report["processes"] = [dict(one, pid=pid) for pid in range(6_000)]
        self.report.write_text(json.dumps(report))
        self.refold("html", self.report, "-o", self.page)
        self.assertLess(self.page.stat().st_size, 1_500_000)
        shown = self.data()["reports"][0]
        self.assertTrue(shown["left_out"]["counters"])
        self.assertEqual(len(shown["processes"]) + shown["left_out"]["processes"], 6_000)
        self.assertGreater(len(shown["processes"]), 1000)

    # ---- many traces ----

    def many(self):
        """A store and a merged file of the samples."""
        for name in ("gcc", "press"):
            self.refold("replay", SAMPLES / f"{name}.mmt.zst", "-p", "linux-6.8,linux-7.3", "-o", f"{name}.json")
        self.refold("merge", "gcc.json", "press.json", "-o", "merged.json")

    def test_sources_of_many(self):
        self.many()
        self.refold("html", "merged.json", "-o", self.page)
        whole = self.page.read_bytes()
        data = self.data()
        self.assertEqual(data["kind"], "fleet")
        self.assertEqual(sorted(trace["name"] for trace in data["traces"]), ["gcc.mmt.zst", "press.mmt.zst"])
        (self.directory / "reports").mkdir()
        for name in ("gcc.json", "press.json"):
            (self.directory / name).rename(self.directory / "reports" / name)
        for source in (["reports"], ["reports/press.json", "merged.json"], ["merged.json", "reports"]):
            self.refold("html", *source, "-o", self.page)
            self.assertEqual(self.page.read_bytes(), whole, source)

    def test_numbers_of_many(self):
        self.many()
        self.refold("html", "merged.json", "-o", self.page)
        data, merged = self.data(), json.loads((self.directory / "merged.json").read_text())
        for i, trace in enumerate(merged["traces"]):
            for policy in trace["policies"]:
                k = [one["name"] for one in data["policies"]].index(policy["name"])
                for name, value in policy["totals"].items():
                    numbers = data["values"][name][i] if name in data["values"] else [0, 0]
                    self.assertEqual(numbers[k] + (numbers[0] if k else 0), value)
        self.assertEqual(data["left_out"], {"counters": 0, "traces": 0})
        self.assertIn("linux-7.3 against linux-6.8 on 2 traces: TLBI", data["summary"]["answers"][0])

    def test_pages_that_are_there_are_linked(self):
        self.many()
        (self.directory / "to" / "pages").mkdir(parents=True)
        (self.directory / "out").mkdir()
        (self.directory / "to/pages/gcc.html").write_text("")
        self.refold("html", "merged.json", "--pages", "to/pages", "-o", "out/fleet.html")
        self.page = self.directory / "out/fleet.html"
        data = self.data()
        self.assertEqual(data["pages"], "../to/pages")
        self.assertEqual({trace["name"]: trace.get("page") for trace in data["traces"]},
                         {"gcc.mmt.zst": "gcc.html", "press.mmt.zst": None})
        result = self.refold("html", "merged.json", "--pages", "none", "-o", self.page, code=1)
        self.assertIn("--pages none: No such file", result.stderr)

    def test_of_what_can_be_read(self):
        self.many()
        (self.directory / "cut.json").write_text("{")
        result = self.refold("html", ".", "-o", "fleet.html", code=3)
        self.assertIn("cut.json", result.stderr)
        self.page = self.directory / "fleet.html"
        self.assertEqual(len(self.data()["traces"]), 2)
        os.mkdir(self.directory / "empty")
        self.refold("html", "empty", "-o", "none.html", code=1)
        self.assertFalse((self.directory / "none.html").exists())

    def test_what_cannot_be_read_is_told(self):
        whole = self.report.read_text()
        for text, code, reason in (
                (whole[:5000], 3, "cut.json: byte "), ("", 3, "cut.json: byte 0: not JSON"),
                (whole.replace("refold-report/1", "refold-report/9"), 1, "is of schema refold-report/9"),
                ('{"schema": "other"}', 1, "not a refold report")):
            (self.directory / "cut.json").write_text(text)
            result = self.refold("html", self.report, "cut.json", "-o", self.page, code=code)
            self.assertIn(reason, result.stderr)
            self.assertFalse(self.page.exists())
        self.assertIn("No such file", self.refold("html", "none.json", "-o", self.page, code=1).stderr)

    def test_wrong_usage(self):
        self.refold("html", self.report, code=2)
        self.refold("html", "-o", self.page, code=2)
        result = self.refold("html", self.report, "--pages", ".", "-o", self.page, code=2)
        self.assertIn("--pages is for", result.stderr)
        before = self.report.read_bytes()
        self.assertIn("is the input", self.refold("html", self.report, "-o", self.report, code=2).stderr)
        self.assertEqual(self.report.read_bytes(), before)


class Without(Html):
    def test_it_says_what_is_missing(self):
        result = self.refold("html", self.report, "-o", self.page, code=1)
        self.assertIn("built without its page: install nodejs and npm", result.stderr)
        self.assertFalse(self.page.exists())

    def test_the_rest_is_there(self):
        self.assertIn("linux-7.3", self.refold("diff", self.report, "--policies", "linux-6.8,linux-7.3").stdout)


del Html
if WITHOUT:
    del With
else:
    del Without

if __name__ == "__main__":
    unittest.main()
