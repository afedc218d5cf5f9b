# SPDX-License-Identifier: MIT
"""What refold html makes, in a browser: every chart is drawn, nothing is fetched, nobody's name becomes a script, and
sorting, searching, the keyboard and the two looks work.

    page.py REFOLD SAMPLES PICTURES [unittest arguments]

Where a test fails, a picture of the page is left in the directory PICTURES.
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import browser
import reports

REFOLD, SAMPLES, PICTURES = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
MAIL_BYTES = 1_500_000

# The names of charts in which nothing is to be seen: no mark in what is SVG, one colour alone on a canvas.
EMPTY_CHARTS = """
    const drawn = (canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size > 2;
    };
    const shows = (chart) => {
        const canvas = chart.querySelector('canvas');
        if (canvas)
            return drawn(canvas);
        const marks = [...chart.querySelectorAll('svg rect, svg path, svg circle, .fill')];
        return marks.some((mark) => mark.getBoundingClientRect().width >= 1);
    };
    return [...document.querySelectorAll('[data-chart]')].filter((chart) => !shows(chart)).map((c) => c.dataset.chart);
"""
# Texts of one chart, or of the head, that lie over each other.
OVERLAPS = """
    const overlapping = [];
    for (const group of document.querySelectorAll('[data-chart] svg, header .bar, header nav')) {
        const leaves = [...group.querySelectorAll('text, a, label, button')].filter((e) => e.textContent.trim() &&
            !e.classList.contains('skip'));
        const boxes = leaves.map((e) => [e.textContent, e.getBoundingClientRect()]).filter(([, b]) => b.width);
        boxes.forEach(([one, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
            const turned = group.querySelector('text[transform*="rotate"]');
            const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (!turned && x > 1 && y > 3)
                overlapping.push(`${one} / ${other}`);
        }));
    }
    return overlapping;
"""
# Texts of charts that are cut by the edges of what they are in.
CUT = """
    return [...document.querySelectorAll('[data-chart] svg text')].filter((text) => {
        const own = text.getBoundingClientRect(), around = text.closest('svg').getBoundingClientRect();
        return own.width && (own.left < around.left - 1 || own.right > around.right + 1 || own.top < around.top - 1);
    }).map((text) => text.textContent);
"""


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="refold-page")
        cls.scratch = pathlib.Path(cls.directory.name)
        cls.report = reports.replayed(REFOLD, SAMPLES / "redis.mmt.zst", "--by", "vma,call", "--interval", "20ms",
                                      "--processes")
        cls.browser = browser.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.directory.cleanup()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            self.browser.picture(PICTURES / f"{self.id().rsplit('.', 1)[-1]}.png")

    def page(self, *sources, **options):
        """Make a page of reports or files, and open it."""
        paths = [source if isinstance(source, pathlib.Path) else
                 reports.written(source, self.scratch / f"report{i}.json") for i, source in enumerate(sources)]
        page = self.scratch / "page.html"
        subprocess.run([REFOLD, "html", *paths, "-o", page, *options.get("arguments", [])], check=True)
        self.assertLess(page.stat().st_size, MAIL_BYTES)
        self.browser.size(1280, 900)
        self.browser.open(page)
        return page

    def is_sound(self, page):
        """Drawn, whole, on its own."""
        self.assertEqual(self.browser.errors(), [])
        self.assertLessEqual(set(self.browser.requests()), {page.absolute().as_uri()})
        self.assertEqual(self.js(EMPTY_CHARTS), [])
        self.assertEqual(self.js(OVERLAPS), [])
        self.assertEqual(self.js(CUT), [])
        self.assertTrue(self.js("return document.documentElement.scrollWidth <= innerWidth"), "wider than the window")

    def js(self, script, *arguments):
        return self.browser.run(script, *arguments)

    def choose(self, label, value):
        self.js("""const select = document.querySelector(`select[aria-label="${arguments[0]}"]`);
                   select.value = arguments[1]; select.dispatchEvent(new Event('change'))""", label, value)

    # ---- what is drawn ----

    def test_everything_is_drawn(self):
        page = self.page(self.report)
        charts = self.js("return [...document.querySelectorAll('[data-chart]')].map((chart) => chart.dataset.chart)")
        self.assertGreaterEqual(len(charts), 14)
        self.assertEqual(self.js("return [...document.querySelectorAll('section')].map((one) => one.id)"),
                         ["verdict", "policies", "causes", "batches", "timeline", "attribution", "table", "fidelity"])
        self.is_sound(page)

    def test_the_verdict_comes_first_and_is_the_terminals(self):
        self.page(self.report)
        first = self.js("return document.querySelector('main section').innerText").replace("\u00a0", " ")
        self.assertIn("TLBI +3.4 %", first)
        self.assertIn("exact", first)
        self.assertIn("56,751 records", first)

    def test_marks_and_doubts_have_their_meaning(self):
        report = dict(self.report, trust=dict(
            self.report["trust"], word="doubtful", doubts={"shared_loss": 2}, reasons={"loss": 1},
            marked=[{"trace": "t", "mm": 1, "pid": 7, "command": "sh", "since_ns": 5, "reasons": [
                {"reason": "loss", "record": 1, "since_ns": 5, "times": 1}]}]))
        page = self.page(report)
        shown = self.js("return document.getElementById('fidelity').innerText")
        self.assertIn("Events of the whole system were lost: of the page cache, of reclaim, of migration. (2 times)", shown)
        self.assertIn("Events were lost that may have been about it. (1 of them)", shown)
        self.is_sound(page)

    def test_numbers_are_those_of_the_report(self):
        self.page(self.report)
        totals = [policy["totals"]["pte_loads"] for policy in self.report["policies"]]
        shown = self.js("return document.querySelector('[data-chart=\"loads by policy\"]').textContent")
        for number in totals:
            self.assertIn(f"{number:,}", shown)

    def test_many_policies_and_phases(self):
        page = self.page(reports.with_policies(reports.with_windows(self.report, 100), 30))
        self.assertIn("windows", self.js("return [...document.querySelectorAll('section')].map((one) => one.id)"))
        self.is_sound(page)

    def test_one_policy(self):
        page = self.page(reports.replayed(REFOLD, SAMPLES / "redis.mmt.zst", policies="linux-7.3"))
        self.is_sound(page)

    def test_several_reports(self):
        page = self.page(self.report, reports.replayed(REFOLD, SAMPLES / "gcc.mmt.zst"))
        self.is_sound(page)
        self.choose("report", "1")
        self.assertIn("gcc.mmt.zst", self.js("return document.getElementById('verdict').innerText"))
        self.is_sound(page)

    def test_stacks_are_a_flame_graph(self):
        page = self.page(reports.with_stacks(self.report))
        self.is_sound(page)
        frames = self.js("return [...document.querySelectorAll('.flames .frame')].map((frame) => frame.textContent)")
        for name in ("main", "serve", "madvise", "4 more"):
            self.assertTrue(any(name in frame for frame in frames), frames)
        widths = self.js("""return Object.fromEntries([...document.querySelectorAll('.flames .frame')].map((frame) =>
            [frame.getAttribute('name'), frame.querySelector('rect').getBoundingClientRect().width]))""")
        # all is 30 + 20 + 10 + 7, main 60 of it, serve 30 + 20
        self.assertAlmostEqual(widths["main"] / widths["all"], 60 / 67, delta=0.01)
        self.assertAlmostEqual(widths["serve"] / widths["all"], 50 / 67, delta=0.01)

    # ---- what it does ----

    def test_counter_and_baseline_are_chosen(self):
        page = self.page(self.report)
        self.choose("counter", "pte_loads")
        self.assertIn("loads", self.js("return document.getElementById('causes-title').textContent"))
        self.choose("against", "3")
        shown = self.js("return document.querySelector('[data-chart=\"loads by policy\"]').textContent")
        self.assertIn("−27 %", shown)   # 128,545 of 176,942
        self.is_sound(page)

    def test_the_table_sorts(self):
        self.page(self.report)
        column = """return [...document.querySelectorAll('.scroller tbody tr:not(.filler)')].map((row) =>
            Number(row.children[6].textContent.replaceAll(',', '')))"""
        click = "document.querySelectorAll('.scroller th button')[6].click()"
        self.js(click)
        numbers = self.js(column)
        self.assertEqual(numbers, sorted(numbers, reverse=True))
        self.assertEqual(numbers[0], self.report["policies"][3]["totals"]["pte_loads"])
        self.js(click)
        numbers = self.js(column)
        self.assertEqual(numbers, sorted(numbers))

    def test_the_table_is_searched(self):
        self.page(self.report)
        self.js("""const search = document.getElementById('search'); search.value = 'fork tlbi_asid';
                   search.dispatchEvent(new Event('input'))""")
        rows = self.js("""return [...document.querySelectorAll('.scroller tbody tr:not(.filler)')].map((row) =>
            row.innerText.split('\\t'))""")
        fork = [policy["operations"]["fork"]["tlbi_asid"] for policy in self.report["policies"]]
        self.assertEqual(rows, [["cause", "fork", "tlbi_asid", *map(str, fork), rows[0][7]]])

    def test_ten_thousand_rows_scroll(self):
        self.page(reports.with_windows(self.report, 400))
        self.js("document.querySelector('#table input[type=checkbox]').click()")
        rows = self.js("return Number(document.querySelector('.scroller table').getAttribute('aria-rowcount'))")
        self.assertGreater(rows, 10_000)
        for where in (0.5, 1, 0.25):
            self.js("""const box = document.querySelector('.scroller'); box.scrollTop = box.scrollHeight * arguments[0];
                       box.dispatchEvent(new Event('scroll'))""", where)
            seen = self.js("""const box = document.querySelector('.scroller').getBoundingClientRect();
                const rows = [...document.querySelectorAll('.scroller tbody tr:not(.filler)')];
                const inside = rows.filter((row) => { const it = row.getBoundingClientRect();
                    return it.bottom > box.top && it.top < box.bottom; });
                return [rows.length, inside.length, Number(inside[0].getAttribute('aria-rowindex'))]""")
            self.assertLess(seen[0], 60)
            self.assertGreaterEqual(seen[1], 18)
            self.assertAlmostEqual(seen[2] / rows, min(where, 1 - 20 / rows), delta=0.01)

    def test_it_works_by_keyboard(self):
        self.page(self.report)
        body = self.browser.driver.find_element("tag name", "body")
        body.send_keys("/")
        self.assertEqual(self.js("return document.activeElement.id"), "search")
        self.browser.driver.switch_to.active_element.send_keys("fork")
        self.assertIn("fork", self.js("return document.querySelector('.scroller tbody').innerText"))
        reached = set()
        self.js("document.activeElement.blur(); document.querySelector('.skip').focus()")
        for _ in range(60):
            self.browser.driver.switch_to.active_element.send_keys("\ue004")    # Tab
            reached.add(self.js("return document.activeElement.className || document.activeElement.tagName"))
        self.assertLessEqual({"theme", "key", "timeline", "scroller", "SELECT", "BUTTON", "SUMMARY"}, reached)
        timeline = self.browser.driver.find_element("css selector", ".timeline")
        timeline.send_keys("\ue014")    # right
        self.assertEqual(self.js("return document.querySelector('.moment').textContent"), "at 0 s")

    def test_light_and_dark(self):
        self.page(self.report)
        seen = []
        for _ in range(2):
            seen.append(self.js("return [getComputedStyle(document.body).backgroundColor, "
                                "getComputedStyle(document.body).color]"))
            self.assertEqual(self.js(EMPTY_CHARTS), [])
            self.js("document.getElementById('theme').click()")
        (light, ink), (dark, chalk) = seen
        self.assertEqual((light, dark), ("rgb(252, 252, 251)", "rgb(21, 24, 27)"))
        self.assertNotEqual(ink, chalk)

    def test_it_prints(self):
        self.page(self.report)
        printed = self.browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
        self.assertGreater(len(printed["data"]), 50_000)
        self.assertEqual(self.browser.errors(), [])

    # ---- many traces ----

    def fleet(self, nr, nr_policies, *arguments):
        merged = reports.many(self.report, nr, nr_policies)
        return merged, self.page(reports.written(merged, self.scratch / "merged.json"), arguments=arguments)

    @staticmethod
    def tlbi(trace):
        """Of each policy, in the order of their names."""
        names = ["contpte-v3", "linux-6.8", "linux-6.12", "linux-7.3"]
        return [next(policy["totals"]["tlbi"] for policy in trace["policies"] if policy["name"] == name)
                for name in names]

    def test_many_traces(self):
        merged, page = self.fleet(40, 4)
        self.is_sound(page)
        self.assertEqual(self.js("return [...document.querySelectorAll('section')].map((one) => one.id)"),
                         ["verdict", "spread", "worst", "traces", "counters"])
        self.assertEqual(self.js("return document.querySelector('.warnings').innerText"),
                         "20 traces: nothing was folded")
        more = sorted(merged["traces"], key=lambda trace: (self.tlbi(trace)[0] - self.tlbi(trace)[3],
                                                             -self.tlbi(trace)[3]))[:10]
        worst = self.js("return [...document.querySelectorAll('#worst tbody tr')].map((row) => row.cells[0].innerText)")
        self.assertEqual(sorted(worst), sorted(trace["name"] for trace in more))

    def test_traces_in_groups(self):
        page = self.fleet(40, 4)[1]
        self.choose("by", "role")
        self.is_sound(page)
        shown = self.js("return document.querySelector('[data-chart^=\"How it spreads\"]').textContent")
        for group in ("db", "web", "cache"):
            self.assertIn(group, shown)
        self.js("document.querySelectorAll('#spread .toggle button')[1].click()")
        self.is_sound(page)
        self.choose("counter", "pte_loads")
        self.choose("per", "fault")
        self.is_sound(page)
        self.js("document.querySelectorAll('#spread .toggle button')[0].click()")
        self.js("document.querySelectorAll('#spread .toggle button')[3].click()")    # log
        self.is_sound(page)

    def test_numbers_of_traces(self):
        merged = self.fleet(40, 4)[0]
        self.js("""const search = document.getElementById('search'); search.value = 'host7.mmt';
                   search.dispatchEvent(new Event('input'))""")
        (row,) = self.js("""return [...document.querySelectorAll('#traces tbody tr:not(.filler)')].map((row) =>
            [...row.cells].map((cell) => cell.innerText))""")
        trace = next(trace for trace in merged["traces"] if trace["name"] == "host7.mmt.zst")
        seconds = trace["duration_ns"] / 1e9
        self.assertEqual(row[0], "host7.mmt.zst")
        self.assertEqual([text.replace(",", "") for text in row[6:10]],
                         [f"{number / seconds:.0f}" for number in self.tlbi(trace)])

    def test_traces_have_pages(self):
        pages = self.scratch / "pages"
        pages.mkdir(exist_ok=True)
        (pages / "host3.html").write_text("<title>its page</title>")
        self.fleet(12, 2, "--pages", pages)
        self.assertEqual(self.js("return [...document.querySelectorAll('#worst a')].map((one) => one.innerText)"),
                         ["host3.mmt.zst"])
        self.js("document.querySelector('#worst a').click()")
        self.assertEqual(self.browser.driver.title, "its page")

    def test_a_thousand_traces(self):
        page = self.fleet(1000, 20)[1]
        self.is_sound(page)
        rows = self.js("return Number(document.querySelector('#traces table').getAttribute('aria-rowcount'))")
        self.assertEqual(rows, 1001)

    # ---- who means ill ----

    def test_nobodys_label_is_a_script(self):
        merged = reports.many(self.report, 12, 2)
        for trace in merged["traces"]:
            trace["name"], trace["kernel"] = reports.SCRIPT, reports.MARKUP
            trace["labels"] = {reports.MARKUP: reports.SCRIPT}
            trace["warnings"] = [reports.SCRIPT + reports.MARKUP]
            for policy in trace["policies"]:
                policy["name"] += reports.MARKUP
        page = self.page(reports.written(merged, self.scratch / "merged.json"))
        self.choose("by", "kernel")
        self.is_sound(page)
        self.assertIsNone(self.js("return window.injected ?? null"))
        self.assertEqual(self.js("return document.querySelectorAll('img, iframe, object, link').length"), 0)

    def test_nobodys_name_is_a_script(self):
        page = self.page(reports.hostile(self.report))
        self.is_sound(page)
        for counter in ("tlbi", "pte_loads"):
            self.choose("counter", counter)
            self.assertIsNone(self.js("return window.injected ?? null"))
        self.assertEqual(self.js("return document.querySelectorAll('img, iframe, object, link').length"), 0)
        self.assertEqual(self.js("return document.querySelectorAll('script').length"), 2)
        self.assertIn(reports.SCRIPT, self.js("return document.querySelector('.warnings').textContent"))

    def test_no_other_script_may_run(self):
        self.page(self.report)
        self.js("""const script = document.createElement('script'); script.textContent = 'window.injected = 1';
                   document.body.append(script)""")
        self.assertIsNone(self.js("return window.injected ?? null"))
        self.assertTrue(any("Content Security Policy" in error for error in self.browser.errors()))


if __name__ == "__main__":
    REASON = browser.missing()
    if not REASON and subprocess.run([REFOLD, "html", "/dev/null", "-o", "-"], capture_output=True,
                                     text=True).stderr.find("without its page") >= 0:
        REASON = "this build has no page: scripts/prepare page makes one that has"
    if REASON:
        print(f"SKIP: {REASON}")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
