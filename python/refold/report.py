# SPDX-License-Identifier: MIT
"""Reports, and the tables in them."""
from __future__ import annotations

import errno
import functools
import json
import os
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple

from refold._library import columns_of, decode, encode, ffi, lib, new_error, rows_of
from refold.errors import NoMemoryError, error_of

if TYPE_CHECKING:
    import pandas


class Count(NamedTuple):
    """What a policy cost. operation: None for all of them. value: events, or the unit that the counter ends in."""
    policy: str
    operation: str | None
    counter: str
    value: int


class WindowCount(NamedTuple):
    """
    The same of a window: a phase of a trace, between two marks. occurrence: the how manieth of its name, from 1.
    begin_ns, end_ns: nanoseconds since the first record of the trace.
    """
    trace: str
    window: str
    policy: str
    operation: str | None
    occurrence: int
    begin_ns: int
    end_ns: int
    counter: str
    value: int


class Share(NamedTuple):
    """Whose counts they are. keys: those of `by`, as {"vma": ..., "call": ...}; empty: of all rows beyond `top`."""
    trace: str
    policy: str
    keys: dict[str, str]
    counter: str
    value: int


class IntervalCount(NamedTuple):
    """What was counted from begin_ns to end_ns, nanoseconds since the first record of the trace."""
    trace: str
    policy: str
    begin_ns: int
    end_ns: int
    counter: str
    value: int


class ProcessCount(NamedTuple):
    """What a process cost. begin_ns: when it began, nanoseconds since the first record of the trace."""
    trace: str
    process: str
    policy: str
    pid: int
    begin_ns: int
    counter: str
    value: int


class TraceFact(NamedTuple):
    """A number of a trace: records, lost_events, duration_ns... trust: "exact", "marked" or "doubtful"."""
    trace: str
    digest: str
    kernel: str
    arch: str
    trust: str
    counter: str
    value: int


class Report:
    """
    What traces cost under policies. Made by replay() and load().

    Counters are counts of events; those whose names end in _ms, _ns or _bytes are in that unit. refold-report(5) has
    what each means.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = ffi.gc(handle, lib().refold_report_free)

    @functools.cached_property
    def json(self) -> str:
        """As refold replay -j writes it, byte by byte: canonical JSON, refold-report(5)."""
        text = decode(lib().refold_report_json(self._handle))
        if text is None:
            raise NoMemoryError(errno.ENOMEM, "out of memory")
        return text

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """The same, parsed."""
        parsed: dict[str, Any] = json.loads(self.json)
        return parsed

    @property
    def policies(self) -> list[str]:
        """Their names, in the order in which they were given."""
        return [policy["name"] for policy in self.data["policies"]]

    @property
    def complete(self) -> bool:
        """False: a trace is damaged or has no end, and the numbers are of what is there."""
        return bool(self.data["complete"])

    @property
    def trust(self) -> str:
        """How far it is to be trusted: "exact", "marked" (address spaces are named, with reasons) or "doubtful"."""
        return str(self.data["trust"]["word"])

    @property
    def warnings(self) -> list[str]:
        """What to know before believing a number, sentences, the worst first."""
        return list(self.data["warnings"])

    def counters(self) -> Iterator[Count]:
        """Every counter of every policy: of all operations, then of each."""
        return (Count(*row) for row in self._rows("counters"))

    def windows(self) -> Iterator[WindowCount]:
        """The same for each phase of a recording."""
        return (WindowCount(*row) for row in self._rows("windows"))

    def attribution(self) -> Iterator[Share]:
        """Whose counts they are, the dearest first; of a replay with `by`."""
        table = self._table("attribution")
        names = [name for name, _ in columns_of(table)][2:-2]
        for row in rows_of(table):
            keys = {name: str(text) for name, text in zip(names, row[2:-2]) if text is not None}
            yield Share(str(row[0]), str(row[1]), keys, str(row[-2]), int(row[-1] or 0))

    def intervals(self) -> Iterator[IntervalCount]:
        """The main counters from time to time; of a replay with `interval`."""
        return (IntervalCount(*row) for row in self._rows("intervals"))

    def processes(self) -> Iterator[ProcessCount]:
        """What each process cost; of a replay with `processes`."""
        return (ProcessCount(*row) for row in self._rows("processes"))

    def traces(self) -> Iterator[TraceFact]:
        """What is known of each trace."""
        return (TraceFact(*row) for row in self._rows("traces"))

    def to_pandas(self, table: str = "counters") -> pandas.DataFrame:
        """
        A table of the report, by the name of its method: a column for each counter, and an index of what they are of.
        Where that is all operations it says "totals", and for the rows beyond `top` "rest". Needs pandas.
        """
        import pandas

        handle = self._table(table)
        names = [name for name, _ in columns_of(handle)][:-2]
        missing = "rest" if table == "attribution" else "totals"
        places: dict[tuple[str | int, ...], dict[str, int]] = {}
        for *place, counter, value in rows_of(handle):
            key = tuple(missing if part is None else part for part in place)
            places.setdefault(key, {})[str(counter)] = int(value or 0)
        index = pandas.MultiIndex.from_tuples(list(places), names=names) if places else \
            pandas.MultiIndex.from_arrays([[] for _ in names], names=names)
        return pandas.DataFrame(list(places.values()), index=index).fillna(0).astype("int64")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it, as refold replay -o would."""
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(self.json)

    def __repr__(self) -> str:
        traces = [trace["name"] for trace in self.data["traces"]]
        return f"<refold.Report of {', '.join(traces)} under {', '.join(self.policies)}: {self.trust}>"

    def _table(self, name: str) -> Any:
        err = new_error()
        table = lib().refold_table_open(self._handle, encode(name), err)
        if table == ffi.NULL:
            raise error_of(err)
        return ffi.gc(table, lib().refold_table_free)

    def _rows(self, name: str) -> Iterator[Any]:
        return rows_of(self._table(name))


def load(path: str | os.PathLike[str]) -> Report:
    """A report that refold replay -o or Report.save() wrote."""
    err = new_error()
    handle = lib().refold_report_load(encode(path), err)
    if handle == ffi.NULL:
        raise error_of(err)
    return Report(handle)
