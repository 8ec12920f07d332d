"""The journal: what must survive a death, in one SQLite file of the state directory.

How that file is opened and written is in `journalfile`; all other SQL of such a journal is here. A
row is untrusted input and is judged before anyone sees it (`rows`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cfstream_upload.attempt import Attempt, Identity, is_uid
from cfstream_upload.errors import JournalProblem
from cfstream_upload.journalfile import JournalFile
from cfstream_upload.journalwords import unusable
from cfstream_upload.ledger import Wait
from cfstream_upload.lock import Lock, hold
from cfstream_upload.rows import (
    COLUMNS,
    WATCH,
    Unsound,
    attempt_in,
    path_of,
    seal_of,
    values_of,
    watch_of,
    watched_of,
)

_COLUMNS, _WATCH = ", ".join(COLUMNS), ", ".join(WATCH)


class Journal(JournalFile):
    """A `Ledger` in the file of one state directory. Safe to use from several threads."""

    def company(self, base: str, account: str, label: str, calls: int) -> None:
        """Nobody: one machine counts for itself."""

    # --- rows ------------------------------------------------------------------------------------

    def record(self, attempt: Attempt, *, watch: bool = False) -> Attempt:
        """Write ``attempt`` durably, and watch its marker if told to; the answer has its row."""
        watching = [_watching(attempt)] if watch else []
        values = values_of(attempt)
        seal = seal_of(values)
        if attempt.row:
            names = ", ".join(f"{name} = ?" for name in COLUMNS)
            update = f"UPDATE attempts SET {names}, seal = ? WHERE row = ?"
            if not self._commit(*watching, (update, (*values, seal, attempt.row))).rowcount:
                raise JournalProblem(
                    f"Somebody removed an upload under way from the journal in {self.folder}",
                    "See: cfupload status",
                )
            return attempt
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        # Two processes may find the same leftover: the row of the first stands for both.
        insert = (
            f"INSERT INTO attempts ({_COLUMNS}, seal) VALUES ({marks}) ON CONFLICT (uid) DO NOTHING"
        )
        made = self._commit(*watching, (insert, (*values, seal)))
        if made.rowcount:
            return replace(attempt, row=made.lastrowid or 0)
        (known,) = self._select("WHERE uid = ?", (attempt.uid,))
        return replace(attempt, row=known.row)

    def remove(self, attempt: Attempt, *, watch: bool = True) -> None:
        """Drop the row of ``attempt``; its marker is watched from then on, unless told not to."""
        drop = ("DELETE FROM attempts WHERE row = ?", (attempt.row,))
        self._commit(*([_watching(attempt)] if watch else []), drop)

    def rows(self, base: str | None = None, account: str | None = None) -> list[Attempt]:
        """All rows, or those of one account at one API base, oldest first."""
        if base is None:
            return self._select("", ())
        return self._select("WHERE base = ? AND account = ?", (base, account))

    def unsettled(self, base: str, account: str) -> list[Attempt]:
        """The rows of an account that are no receipts: few, however many files were sent."""
        return self._select("WHERE base = ? AND account = ? AND stage <> 'stored'", (base, account))

    def has(self, uid: str) -> bool:
        """Whether there is a row of this UID."""
        return bool(self._select("WHERE uid = ?", (uid,)))

    def rows_of(self, base: str, account: str, file: Identity, path: str) -> list[Attempt]:
        """The rows of a file: the same device and inode, or the same path."""
        return self._select(
            "WHERE base = ? AND account = ? AND ((device = ? AND inode = ?) OR path = ?)",
            (base, account, str(file.device), str(file.inode), os.fsencode(path)),
        )

    def uids_of(
        self, base: str, account: str, files: Sequence[tuple[Identity, str]]
    ) -> list[set[str | None]]:
        """For each file and its path: the UIDs of its rows, as `rows_of` finds them.

        Rows are not judged: this is for leaving work out, and whoever works reads them anew.
        """
        if not files:
            return []
        inodes = [(str(file.device), str(file.inode)) for file, _ in files]
        places = [os.fsencode(path) for _, path in files]
        pairs = ",".join(["(?,?)"] * len(files))
        # A cross join keeps its order: for each file asked about, a look into the index.
        found = self._fetched(
            f"WITH asked (d, i) AS (VALUES {pairs}) "
            "SELECT uid, device, inode, path FROM asked CROSS JOIN attempts "
            "ON base = ? AND account = ? AND device = d AND inode = i UNION "
            "SELECT uid, device, inode, path FROM attempts WHERE base = ? AND account = ? "
            f"AND path IN ({','.join('?' * len(files))})",
            (*(one for pair in inodes for one in pair), base, account, base, account, *places),
        )
        known: dict[object, set[str | None]] = {}
        for uid, device, inode, path in found:
            known.setdefault((device, inode), set()).add(uid)
            known.setdefault(path, set()).add(uid)
        return [
            known.get(inode, set()) | known.get(place, set())
            for inode, place in zip(inodes, places, strict=True)
        ]

    def again(self, attempt: Attempt) -> Attempt | None:
        """The row of ``attempt`` as it is on disk now, or None when it is gone."""
        return next(iter(self._select("WHERE row = ?", (attempt.row,))), None)

    def about(self, uids: Collection[str], ids: Collection[str]) -> list[Attempt]:
        """The rows of any of these UIDs or attempts, oldest first."""
        return [row for row in self.rows() if row.uid in uids or row.id in ids]

    def _select(self, where: str, values: tuple[object, ...]) -> list[Attempt]:
        sql = f"SELECT {_COLUMNS}, seal, row FROM attempts {where} ORDER BY row"
        found = self._fetched(sql, values)
        try:
            return [attempt_in(row) for row in found]
        except Unsound as damage:
            raise unusable(self._path, f"has {damage}") from None

    # --- watched markers -------------------------------------------------------------------------

    def watch(self, attempt: Attempt) -> None:
        """Remember the marker of ``attempt``: a late or repeated create may still surface."""
        self._commit(_watching(attempt))

    def watches(self, base: str, account: str) -> list[Attempt]:
        """The watched markers of an account, as attempts of which nothing else is known."""
        sql = f"SELECT {_WATCH} FROM watches WHERE base = ? AND account = ?"
        found = self._fetched(sql, (base, account))
        try:
            return [watched_of(row) for row in found]
        except Unsound as damage:
            raise unusable(self._path, f"has {damage}") from None

    def unwatch(self, attempt: Attempt) -> None:
        """Forget the marker of ``attempt``."""
        self._commit(("DELETE FROM watches WHERE id = ?", (attempt.id,)))

    # --- locks -----------------------------------------------------------------------------------

    def named(self, file: Identity, path: str) -> Identity:
        """``file`` itself: device and inode are a file's name on one machine."""
        return file

    def lock(self, key: str, descriptor: int | None = None) -> Lock:
        """Hold a file's lock. Raises `Busy`."""
        return hold(self.folder / "locks", key, descriptor=descriptor)

    def taken(self) -> None:
        """Only taking a lock of the kernel tells whether it is free."""

    def stands(self, key: str) -> bool:
        """Always: the kernel frees a lock when its process ends, and not before."""
        return True

    def regain(self, key: str, wait: Wait) -> bool:
        """Nothing was lost: see `stands`."""
        return True


@contextlib.contextmanager
def nobody_sending(folder: Path) -> Iterator[None]:
    """Hold every lock of ``folder``, whose journal need not be sound. Raises `Busy`."""
    with contextlib.ExitStack() as held:
        for path in sorted((folder / "locks").glob("*.lock")):
            held.enter_context(hold(folder / "locks", path.stem))
        yield


def uids_at_a_glance(folder: Path, limit: int = 200) -> list[tuple[str, str]]:
    """The UIDs in the journal of ``folder`` with their files, the newest first.

    For suggestions: nothing is made, checked or waited for, and a journal that cannot be read has
    none.
    """
    address = f"{(folder / 'journal.db').absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=0.2)) as connection:
            found = connection.execute(
                "SELECT uid, path FROM attempts WHERE uid IS NOT NULL ORDER BY row DESC LIMIT ?",
                (limit,),
            ).fetchall()
    except (sqlite3.Error, ValueError):
        return []
    return [(uid, path_of(path)) for uid, path in found if isinstance(uid, str) and is_uid(uid)]


def _watching(attempt: Attempt) -> tuple[str, tuple[object, ...]]:
    return f"INSERT OR REPLACE INTO watches ({_WATCH}) VALUES ({'?,' * 9}?)", watch_of(attempt)
