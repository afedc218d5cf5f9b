# SPDX-License-Identifier: MIT
"""What can go wrong, as exceptions: each is a RefoldError, and the built-in one that says the same."""
from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from refold._library import decode

if TYPE_CHECKING:
    from refold.report import Report

NO_OFFSET = 2 ** 64 - 1


class RefoldError(Exception):
    """
    A replay failed, or is not of all that it should be of.

    code: errno.EINVAL and the like. message: a sentence. file: whose fault it is, None if nobody's. offset: where in
    the file, in bytes from its beginning, None if nowhere in particular. report: of what could be replayed; None if
    there is none.
    """

    def __init__(self, code: int, message: str, file: str | None = None, offset: int | None = None) -> None:
        place = "" if file is None else f"{file}: " if offset is None else f"{file}: byte {offset}: "
        super().__init__(place + message)
        self.code = code
        self.message = message
        self.file = file
        self.offset = offset
        self.report: Report | None = None

    def __str__(self) -> str:
        return str(self.args[0])


class DamagedError(RefoldError):
    """A trace or report is damaged or cut off. What is there was replayed: see report."""


class NothingReplayedError(RefoldError):
    """There is nothing in the trace that can be replayed; the message says what is missing."""


class FormatError(RefoldError):
    """No trace, no report, one of a newer format, or one with times that cannot be used."""


class RequestError(RefoldError, ValueError):
    """There is no such policy, option or table, or the trace does not go with them."""


class TookTooLongError(RefoldError, TimeoutError):
    """max_time was over before the replay."""


class NoMemoryError(RefoldError, MemoryError):
    """There was no memory."""


class FileError(RefoldError, OSError):
    """A file cannot be opened or read. errno and filename are as of OSError."""

    def __init__(self, code: int, message: str, file: str | None = None, offset: int | None = None) -> None:
        super().__init__(code, message, file, offset)
        self.errno = code
        self.filename = file


class FileMissingError(FileError, FileNotFoundError):
    """There is no such file."""


_KINDS: dict[int, type[RefoldError]] = {
    errno.EBADMSG: DamagedError, errno.ENODATA: NothingReplayedError, errno.EPROTO: FormatError,
    errno.EOPNOTSUPP: FormatError, errno.EINVAL: RequestError, errno.ETIME: TookTooLongError,
    errno.ENOMEM: NoMemoryError, errno.ENOENT: FileMissingError,
}


def error_of(err: Any) -> RefoldError:
    """The exception for a struct refold_error whose code is not 0."""
    code = -int(err.code)
    offset = int(err.offset)
    return _KINDS.get(code, FileError)(code, decode(err.message) or os.strerror(code), decode(err.file) or None,
                                       None if offset == NO_OFFSET else offset)
