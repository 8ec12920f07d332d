"""A disk that is struck just before one commit of a run."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from inprocess import Stage

from cfstream_upload.attempt import Attempt
from cfstream_upload.emulator.faults import Answer, Fault
from cfstream_upload.journal import Journal

REFUSED = Fault(Answer(412), "PATCH", nth=2)
Strike = Callable[[Journal], None]
"""What happens to the disk just before a commit."""


class Struck(Journal):
    """A journal whose disk is struck just before the first commit of one stage.

    ``point`` is a stage, ``told`` or ``gone`` (the row goes).
    """

    point = ""
    strike: Strike | None = None

    def record(self, attempt: Attempt, *, watch: bool = False) -> Attempt:
        if attempt.stage.value == self.point or (attempt.told and self.point == "told"):
            self._isstruck()
        return super().record(attempt, watch=watch)

    def remove(self, attempt: Attempt, *, watch: bool = True) -> None:
        if self.point == "gone":
            self._isstruck()
        super().remove(attempt, watch=watch)

    def _isstruck(self) -> None:
        self.point = ""
        assert self.strike is not None
        self.strike(self)


def struck(current: Stage, point: str, strike: Strike, *, reserve: bool) -> None:
    """The next run's disk is struck at ``point``; the reserve file is there, or is not."""

    def opened(folder: Path) -> Journal:
        journal = Struck.open(folder)
        assert isinstance(journal, Struck)
        if not reserve:
            (folder / "reserve").unlink()
        journal.point, journal.strike = point, strike
        return journal

    current.opened = opened


# --- ways to fill a disk -------------------------------------------------------------------------


def sqlite_error(name: str, *, times: int | None = None) -> Strike:
    """From now on (so many times) SQLite fails as it does on such a disk.

    For a full disk it fails as long as the reserve takes its room.
    """

    def strike(journal: Journal) -> None:
        real, left = journal._transact, [times]

        def failing(
            statements: tuple[tuple[str, tuple[object, ...]], ...],
        ) -> sqlite3.Cursor:
            if name == "SQLITE_FULL" and spent and not (journal.folder / "reserve").exists():
                return real(statements)
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    return real(statements)
            error = sqlite3.OperationalError(name)
            error.sqlite_errorcode = getattr(sqlite3, name)
            raise error

        spent = (journal.folder / "reserve").exists()
        journal._transact = failing  # type: ignore[method-assign]  # this object's only

    return strike


def fill(journal: Journal) -> None:
    """Somebody else takes all the room that is left."""
    with (journal.folder / "somebody's.log").open("ab", buffering=0) as file:
        for size in (1 << 16, 4096, 512, 1):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 256 KiB at ``folder``; skips where none may be mounted."""
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "none", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount here; SQLite's own error stands for it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
