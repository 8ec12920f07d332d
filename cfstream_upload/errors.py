"""Every error of this program: what happened, what a person can do, and the exit code.

The tree, each with its exit code::

    CfuploadError                 1   a bug (only ever this base class)
    +-- UsageProblem              2   wrong command, or a question that could not be asked
    +-- ConfigProblem             3   credentials or settings missing, wrong, not allowed
    |   +-- ExtraMissing          3   an optional part is not installed
    +-- FileProblem               4   the local file
    |   +-- FileChanged           4   it changed while it was being sent
    +-- Refused                   5   Stream refuses for good
    |   +-- NoSuchVideo           5   Stream has no such video
    +-- TroubleOutlasted          6   trouble outlasted the retries; nothing is left behind
    +-- LeftoverRemains           7   a leftover remains or may remain; it is recorded
    +-- NotConfirmed              8   whole on Stream as far as known, not confirmed
    +-- Busy                      9   another process is sending this file
    |   +-- TakenOver             9   it went on with an upload that this one had begun
    +-- JournalProblem           10   the journal cannot be used; nothing was sent
    |   +-- Unreached            10   its database does not answer now
    |   +-- Estranged            10   the connection that held the locks was lost
    +-- ProcessingFailed         11   whole on Stream, could not be processed, not deleted
    +-- Interrupted         130/143   stopped by a signal and rolled back

A message may quote file names and server text as they are: `console` makes them safe to print.
A message never holds a token or an upload URL.
"""

from __future__ import annotations

import errno
import traceback
from typing import ClassVar


class CfuploadError(Exception):
    """Base of every error here; raised itself only for what should not happen.

    ``message`` is one line saying what happened, ``hint`` one line saying what to do,
    ``uid`` the video concerned, if one is known.
    """

    exit_code: int = 1
    meaning: ClassVar[str] = "a bug"
    action: ClassVar[str] = "report it"

    def __init__(self, message: str, hint: str = "", *, uid: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint()
        self.uid = uid

    @classmethod
    def default_hint(cls) -> str:
        """What to do where nobody said it better."""
        return f"{cls.action[:1].upper()}{cls.action[1:]}."


class UsageProblem(CfuploadError):
    """The command itself is wrong."""

    exit_code = 2
    meaning = "wrong usage, or a question that could not be asked"
    action = "fix the command"


class ConfigProblem(CfuploadError):
    """Credentials or settings are missing, malformed or refused."""

    exit_code = 3
    meaning = (
        "credentials or configuration: missing, wrong, not allowed; an extra that is not installed"
    )
    action = "fix them"


class ExtraMissing(ConfigProblem):
    """An optional part of the package is not installed."""


class FileProblem(CfuploadError):
    """The local file cannot be sent; nothing is left behind."""

    exit_code = 4
    meaning = (
        "the file is missing, unreadable, no video, cut off, over 30·10⁹ bytes, "
        "or changed while it was sent; nothing is left behind"
    )
    action = "fix the file"


class FileChanged(FileProblem):
    """The file is no longer the one that was opened."""


class Refused(CfuploadError):
    """Stream said no and would say no again; nothing is left behind."""

    exit_code = 5
    meaning = (
        "Stream refuses for good (quota, bad request, could not process it), "
        "or has no such video; nothing is left behind"
    )
    action = "read the message"


class NoSuchVideo(Refused):
    """Stream has no video of that UID."""


class TroubleOutlasted(CfuploadError):
    """Transient trouble lasted longer than the retries; nothing is left behind."""

    exit_code = 6
    meaning = "trouble outlasted the retries; nothing is left behind (or it was kept on purpose)"
    action = "run the same command again"


class LeftoverRemains(CfuploadError):
    """Something remains, or may remain, on Stream; the journal records it."""

    exit_code = 7
    meaning = "it failed and a leftover remains or may remain: recorded, will be removed"
    action = "run the same command again, or: cfupload cleanup --orphans"


class NotConfirmed(CfuploadError):
    """Every byte was handed over, but Stream has not confirmed the video."""

    exit_code = 8
    meaning = (
        "whole on Stream but not confirmed in time, or the wait ended, or a receipt's video is gone"
    )
    action = "run the same command again later, or with --again for a second video"


class Busy(CfuploadError):
    """Another process holds this file's lock."""

    exit_code = 9
    meaning = "another process is sending this file"
    action = "wait for it to end"


class TakenOver(Busy):
    """Another process took this upload over while the lock of this one was lost."""


class JournalProblem(CfuploadError):
    """The journal cannot be used; nothing was sent."""

    exit_code = 10
    meaning = "the journal cannot be used; nothing was sent"
    action = "fix the path it names"


class Unreached(JournalProblem):
    """A journal's database does not answer, and it may yet: it restarts, or a line is cut."""


class Estranged(JournalProblem):
    """The connection that holds the locks was lost: nothing may be sent until it is regained."""


class ProcessingFailed(CfuploadError):
    """Stream has the whole file but could not process it; it was not deleted."""

    exit_code = 11
    meaning = "whole on Stream, could not be processed, not deleted"
    action = "look at it: cfupload get UID"


class Interrupted(CfuploadError):
    """A signal stopped the run and everything was rolled back.

    ``exit_code`` is 128 plus the signal's number: 130 for SIGINT, 143 for SIGTERM.
    """

    exit_code = 130
    meaning = "interrupted and rolled back (7 if that was not finished; 8 after the last byte)"
    action = "run the same command again when ready"

    def __init__(
        self, message: str, hint: str = "", *, uid: str | None = None, signum: int = 2
    ) -> None:
        super().__init__(message, hint, uid=uid)
        self.exit_code = 128 + signum


class NotStarted(CfuploadError):
    """A file of a batch that was not begun; ``exit_code`` is that of what stopped the batch."""

    def __init__(self, message: str, hint: str = "", *, exit_code: int) -> None:
        super().__init__(message, hint or "Run the same command again: it does what is missing.")
        self.exit_code = exit_code


_SHORT = (
    (
        errno.ENOMEM,
        ("failed to map segment", "Cannot allocate memory"),
        "There is not enough memory",
    ),
    # Before the next, whose sign is a part of this one.
    (errno.ENFILE, ("Too many open files in system",), "Too many files are open on this machine"),
    (errno.EMFILE, ("Too many open files",), "Too few files may be open at once"),
)
_GIVE_MORE = (
    "Give the program more (ulimit -n, -v), or end others; then run the same command again."
)


def shortage(trouble: Exception) -> tuple[str, str] | None:
    """What the machine is short of where it is that: words, and what to do; else None.

    Loaders of libraries tell it in the text of an `ImportError` or an `OSError` of their own.
    """
    if isinstance(trouble, MemoryError):
        return _SHORT[0][2], _GIVE_MORE
    for number, signs, words in _SHORT:
        told = isinstance(trouble, OSError | ImportError) and any(s in str(trouble) for s in signs)
        if told or (isinstance(trouble, OSError) and trouble.errno == number):
            return words, _GIVE_MORE
    return None


def described(bug: Exception) -> CfuploadError:
    """A bug as an error: where it is, and not its own words, for they may quote a secret.

    A machine that is short of something is told as that. The exit code is that of a bug: here
    nobody knows any more what was under way.
    """
    if short := shortage(bug):
        return CfuploadError(*short)
    frame = traceback.extract_tb(bug.__traceback__)[-1]
    place = f"{frame.filename.replace(chr(92), '/').rpartition('/')[2]}:{frame.lineno}"
    return CfuploadError(
        f"A bug in cfupload: {type(bug).__name__} at {place}",
        "Please report it, with this line and the command. See: cfupload status",
    )


URGENCY = (1, 130, 143, 7, 10, 3, 2, 5, 4, 6, 8, 11, 9, 0)
"""Exit codes, the most urgent first: a batch exits with the first that any of its files has."""


def most_urgent(codes: list[int]) -> int:
    """The exit code of a batch whose files ended with ``codes``; 0 for none."""
    ranked = {code: rank for rank, code in enumerate(URGENCY)}
    return min(codes, key=lambda code: ranked.get(code, 1), default=0)


FAMILIES: tuple[type[CfuploadError], ...] = (
    CfuploadError,
    UsageProblem,
    ConfigProblem,
    FileProblem,
    Refused,
    TroubleOutlasted,
    LeftoverRemains,
    NotConfirmed,
    Busy,
    JournalProblem,
    ProcessingFailed,
    Interrupted,
)
"""One class for each exit code, in the order of the documented table."""


def exit_code_table() -> list[tuple[str, str, str]]:
    """Rows of (code, meaning, what a script does), as the docs and ``help exit-codes`` show."""
    rows = [("0", "the video is on Stream (sent now, or already there)", "go on")]
    for family in FAMILIES:
        code = "130, 143" if family is Interrupted else str(family.exit_code)
        rows.append((code, family.meaning, family.action))
    return rows
