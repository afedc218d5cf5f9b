# SPDX-License-Identifier: MIT
"""librefold by cffi, in ABI mode: what refold.h declares, and the shared library, loaded when it is first used."""
from __future__ import annotations

import functools
import os
from typing import Any, Iterator

import cffi

# As in refold.h; a test holds the two together.
DECLARATIONS = """
struct refold_error { int code; uint64_t offset; char file[1024]; char message[512]; };
const char *refold_version(void);

struct refold_replay;
struct refold_replay *refold_replay_new(void);
void refold_replay_free(struct refold_replay *replay);
int refold_replay_add_trace(struct refold_replay *replay, const char *path, struct refold_error *err);
int refold_replay_add_policies(struct refold_replay *replay, const char *policies, struct refold_error *err);
int refold_replay_set(struct refold_replay *replay, const char *option, const char *value, struct refold_error *err);

struct refold_report;
struct refold_report *refold_replay_run(struct refold_replay *replay, struct refold_error *err);
struct refold_report *refold_report_load(const char *path, struct refold_error *err);
void refold_report_free(struct refold_report *report);
const char *refold_report_json(struct refold_report *report);

struct refold_table;
struct refold_table *refold_table_open(const struct refold_report *report, const char *name, struct refold_error *err);
void refold_table_free(struct refold_table *table);
const char *refold_table_column(const struct refold_table *table, size_t index);
bool refold_table_is_number(const struct refold_table *table, const char *column);
bool refold_table_next(struct refold_table *table);
const char *refold_table_text(const struct refold_table *table, const char *column);
int64_t refold_table_number(const struct refold_table *table, const char *column);
"""

ffi = cffi.FFI()
ffi.cdef(DECLARATIONS)


@functools.lru_cache(maxsize=None)
def lib() -> Any:
    """The library that the loader finds, or the file that REFOLD_LIBRARY names."""
    name = os.environ.get("REFOLD_LIBRARY", "librefold.so.1")
    try:
        return ffi.dlopen(name)
    except OSError as error:
        raise OSError(f"cannot load {name}: install it (meson install, ldconfig), or name its file in REFOLD_LIBRARY: "
                      f"{error}") from None


def encode(text: str | os.PathLike[str]) -> bytes:
    """What is a path to the system and a text to people: the library takes both as bytes."""
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


def decode(text: Any) -> str | None:
    """A string of the library; None for NULL."""
    if text == ffi.NULL:
        return None
    encoded: Any = ffi.string(text)
    return str(encoded.decode(errors="surrogateescape"))


def new_error() -> Any:
    """A struct refold_error to be filled."""
    return ffi.new("struct refold_error *")


def columns_of(table: Any) -> Iterator[tuple[str, bool]]:
    """The name of each column, and whether it holds numbers."""
    index = 0
    while (name := decode(lib().refold_table_column(table, index))) is not None:
        yield name, bool(lib().refold_table_is_number(table, encode(name)))
        index += 1


def rows_of(table: Any) -> Iterator[tuple[str | int | None, ...]]:
    """Row by row, a value for each column."""
    library = lib()
    columns = [(encode(name), number) for name, number in columns_of(table)]
    while library.refold_table_next(table):
        yield tuple(int(library.refold_table_number(table, name)) if number else
                    decode(library.refold_table_text(table, name)) for name, number in columns)
