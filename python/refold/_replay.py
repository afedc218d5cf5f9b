# SPDX-License-Identifier: MIT
"""Replaying."""
from __future__ import annotations

import errno
import os
from typing import Iterable, Iterator

from refold._library import encode, ffi, lib, new_error
from refold.errors import NoMemoryError, error_of
from refold.report import Report

Path = str | os.PathLike[str]


def _options(by: str | Iterable[str], top: int | None, interval: float | str | None, processes: bool,
             window_begin: str | None, window_end: str | None,
             max_time: float | str | None) -> Iterator[tuple[str, str]]:
    """As texts, those that were given."""
    if by:
        yield "by", by if isinstance(by, str) else ",".join(by)
    if processes:
        yield "processes", "true"
    for name, value in (("top", top), ("interval", interval), ("max-time", max_time), ("window-begin", window_begin),
                        ("window-end", window_end)):
        if value is not None:
            yield name, f"{value:.9f}" if isinstance(value, float) else str(value)


def replay(traces: Path | Iterable[Path], policies: str | Iterable[str], *, by: str | Iterable[str] = (),
           top: int | None = None, interval: float | str | None = None, processes: bool = False,
           window_begin: str | None = None, window_end: str | None = None,
           max_time: float | str | None = None) -> Report:
    """
    Replay traces under policies.

    traces: a file, or several, which add up.
    policies: as refold replay -p has them, "linux-6.8,linux-7.3+tlbi=single", or a list of such.
    by: table attribution: whose counts they are, "vma,call" or a list; top: rows of each policy in it (10).
    interval: table intervals: seconds, or a text as "100ms".
    processes: table processes.
    window_begin, window_end: which marks begin and end a window, extended regular expressions.
    max_time: the longest that it may take: seconds, or a text as "10m".

    Raises RefoldError, which has what could be replayed of a damaged trace as its report. Other threads go on
    meanwhile; each policy has a thread of its own. An interrupt (Ctrl-C) is seen when it is over: max_time bounds that.
    """
    handle = lib().refold_replay_new()
    if handle == ffi.NULL:
        raise NoMemoryError(errno.ENOMEM, "out of memory")
    handle = ffi.gc(handle, lib().refold_replay_free)
    err = new_error()
    for trace in [traces] if isinstance(traces, (str, os.PathLike)) else traces:
        if lib().refold_replay_add_trace(handle, encode(trace), err):
            raise error_of(err)
    for policy in [policies] if isinstance(policies, str) else policies:
        if lib().refold_replay_add_policies(handle, encode(policy), err):
            raise error_of(err)
    for name, value in _options(by, top, interval, processes, window_begin, window_end, max_time):
        if lib().refold_replay_set(handle, encode(name), encode(value), err):
            raise error_of(err)
    found = lib().refold_replay_run(handle, err)
    report = None if found == ffi.NULL else Report(found)
    if err.code or report is None:
        error = error_of(err)
        error.report = report
        raise error
    return report
