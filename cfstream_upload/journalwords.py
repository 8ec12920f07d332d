"""Why a journal cannot be used, in words: SQLite's own ("disk I/O error") help nobody."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from cfstream_upload.errors import JournalProblem

FULL = 13
IO_ERROR = 10
CANNOT_OPEN = 14
_BUSY = (5, 6)
_NO_MEMORY = 7
_READ_ONLY = 8
_DAMAGED = (11, 26)

NO_ROOM = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Errors of the system that a smaller use of the disk mends."""

_ELSEWHERE = "or choose another directory with CFUPLOAD_STATE_DIR."
_HINTS = {
    errno.ENOSPC: "Make room on that disk.",
    getattr(
        errno, "EDQUOT", -1
    ): "Your quota on that disk is used up: remove files of yours there.",
    errno.EFBIG: "The limit on the size of files is too low: ulimit -f unlimited.",
    errno.EMFILE: "Too few files may be open at once: ulimit -n 256, or fewer files with -j 1.",
    errno.ENFILE: "The whole system has too many files open: end what you do not need.",
    errno.EROFS: f"Mount that disk for writing, {_ELSEWHERE}",
    errno.EIO: f"The disk is failing: look at the system's log, {_ELSEWHERE}",
    errno.EACCES: f"Make it writable, {_ELSEWHERE}",
}


def unusable(path: Path, what: str) -> JournalProblem:
    """The journal at ``path`` itself is no good: ``what`` became of it."""
    return JournalProblem(
        f"The journal {path} {what}",
        "Restore it, or start a new one: cfupload cleanup --rebuild (the old file is kept).",
    )


def unwritable(path: Path, error: OSError) -> JournalProblem:
    """The journal at ``path`` cannot be opened for writing, for ``error`` of the system."""
    return JournalProblem(
        f"The journal {path} cannot be opened for writing ({error.strerror})",
        _HINTS.get(error.errno or 0, _HINTS[errno.EACCES]),
    )


def in_words(path: Path, code: int | None, text: str, cause: int) -> JournalProblem:
    """SQLite's error ``code`` (extended, None for none) and ``text`` about the journal at ``path``.

    ``cause`` is the system's error that a small write beside it met, 0 where it met none.
    """
    kind = (code or 0) & 0xFF
    if kind == FULL or cause in NO_ROOM:
        why = "" if kind == FULL else f" ({os.strerror(cause)})"
        hint = _HINTS[errno.ENOSPC if kind == FULL else cause]
        return JournalProblem(f"There is no room for the journal {path}{why}", hint)
    if kind in _DAMAGED:
        return unusable(path, "is damaged or not a journal of cfupload")
    if cause:
        words = f"The journal {path} cannot be written ({os.strerror(cause)})"
        return JournalProblem(words, _HINTS.get(cause, _HINTS[errno.EACCES]))
    if kind == IO_ERROR:
        return JournalProblem(
            f"The disk with the journal {path} failed ({text})", _HINTS[errno.EIO]
        )
    if kind == _READ_ONLY:
        return JournalProblem(f"The journal {path} may not be written", _HINTS[errno.EACCES])
    if kind == _NO_MEMORY:
        return JournalProblem(
            f"There is not enough memory to use the journal {path}",
            "Give the program more (ulimit -v), or end others.",
        )
    if kind in _BUSY:
        return JournalProblem(
            f"Another program holds the journal {path} for long",
            "Close what has it open, a backup or a database browser, and run it again.",
        )
    return JournalProblem(
        f"The journal {path} cannot be used ({text})",
        "Check that the path is on a local disk with room, and that you may write there.",
    )
