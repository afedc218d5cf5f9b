# SPDX-License-Identifier: MIT
"""The picture of a page in docs: of the sample of redis, by the browser of the tests.

    picture.py REFOLD SAMPLES PICTURE.png       as 'ninja -C build picture' does
"""
import pathlib
import subprocess
import sys
import tempfile

import browser

COMMAND = ["-p", "linux-6.8,contpte-v3,linux-6.12,linux-7.3", "--by", "vma,call", "--interval", "20ms"]
SIZE = 1180, 862


def main(refold, samples, picture):
    with tempfile.TemporaryDirectory() as directory, browser.Browser(*SIZE) as shown:
        report, page = pathlib.Path(directory, "redis.json"), pathlib.Path(directory, "redis.html")
        subprocess.run([refold, "replay", f"{samples}/redis.mmt.zst", *COMMAND, "-o", report], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run([refold, "html", report, "-o", page], check=True)
        shown.size(*SIZE)
        shown.open(page)
        shown.picture(picture)


if browser.missing():
    sys.exit(browser.missing())
main(*sys.argv[1:])
