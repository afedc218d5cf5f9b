# SPDX-License-Identifier: MIT
"""
What page tables of recorded programs would have cost under other policies: Refold's replays for Python.

    import refold
    report = refold.replay("redis.mmt.zst", "linux-6.8,linux-7.3")
    print(report.to_pandas().xs("totals", level="operation")[["tlbi", "pte_loads"]])

It calls librefold, which `meson install` installs; REFOLD_LIBRARY names its file where the loader does not find it.
pandas is needed for Report.to_pandas() alone.
"""
from refold._library import decode as _decode, lib as _lib
from refold._replay import replay
from refold.errors import (DamagedError, FileError, FileMissingError, FormatError, NoMemoryError, NothingReplayedError,
                           RefoldError, RequestError, TookTooLongError)
from refold.report import (Count, IntervalCount, ProcessCount, Report, Share, TraceFact, WindowCount, load)

__all__ = ["Count", "DamagedError", "FileError", "FileMissingError", "FormatError", "IntervalCount", "NoMemoryError",
           "NothingReplayedError", "ProcessCount", "RefoldError", "Report", "RequestError", "Share", "TookTooLongError",
           "TraceFact", "WindowCount", "load", "replay", "version"]


def version() -> str:
    """Of the library: "0.1.0"."""
    return _decode(_lib().refold_version()) or ""
