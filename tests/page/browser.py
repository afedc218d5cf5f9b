# SPDX-License-Identifier: MIT
"""A real browser, Debian's Chromium without a window, for tests of pages and for pictures of them."""
import json
import os
import pathlib
import shutil
import tempfile

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
except ImportError:
    webdriver = None

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}


def missing():
    """Why there is no browser, or None."""
    absent = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not webdriver:
        absent.append("python3-selenium")
    return f"not installed: {', '.join(absent)}" if absent else None


class Browser:
    """Opens files, and tells what went wrong while they were open."""

    def __init__(self, width=1280, height=900):
        self.profile = tempfile.TemporaryDirectory(prefix="refold-browser")
        options = Options()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         "--disable-background-networking", "--disable-component-update", "--no-first-run",
                         "--hide-scrollbars", "--force-device-scale-factor=1", "--force-prefers-reduced-motion",
                         f"--window-size={width},{height}", f"--user-data-dir={self.profile.name}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        # Selenium looks for drivers on the network unless it is told of one.
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()
        self.profile.cleanup()

    def open(self, path):
        # The browser's own first page fetches parts of itself.
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(pathlib.Path(path).absolute().as_uri())

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def errors(self):
        """What the console says since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses that were asked for since then, the page among them."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def size(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def picture(self, path, height=None):
        """Of the window, or of the page down to this height; all of it: height 0."""
        if height is not None:
            self.size(1280, height or self.run("return document.documentElement.scrollHeight"))
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        self.driver.save_screenshot(str(path))
