# SPDX-License-Identifier: MIT
"""How long a browser takes to open pages: from the start of loading until everything is drawn; and how large they are.

    page_speed.py BUILD SOURCE
"""
import pathlib
import statistics
import subprocess
import sys
import tempfile

BUILD, SOURCE = map(pathlib.Path, sys.argv[1:])
sys.path.insert(0, str(SOURCE / "tests/page"))
import browser      # noqa: E402
import reports      # noqa: E402

REFOLD, TIMES = BUILD / "replay/refold", 7


def main():
    report = reports.replayed(REFOLD, SOURCE / "traces/samples/redis.mmt.zst", "--by", "vma,call", "--interval", "20ms",
                              "--processes")
    cases = {
        "4 policies": report,
        "30 policies, 100 phases": reports.with_policies(reports.with_windows(report, 100), 30),
        "4 policies, 400 phases": reports.with_windows(report, 400),
        "40 traces, 4 policies": reports.many(report, 40, 4),
        "1000 traces, 20 policies": reports.many(report, 1000, 20),
    }
    with tempfile.TemporaryDirectory() as directory, browser.Browser() as shown:
        page = pathlib.Path(directory, "page.html")
        for name, source in cases.items():
            subprocess.run([REFOLD, "html", reports.written(source, page.with_suffix(".json")), "-o", page], check=True)
            times = []
            for _ in range(TIMES):
                shown.open(page)
                times.append(shown.run("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
            print(f"{name}: {page.stat().st_size / 1e3:,.0f} KB, open in {statistics.median(times):.0f} ms "
                  f"({min(times):.0f} to {max(times):.0f})")


if browser.missing():
    print(f"SKIP: {browser.missing()}")
    sys.exit(77)
main()
