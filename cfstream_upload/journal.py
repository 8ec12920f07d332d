"""The journal: what must survive a death, in one SQLite file of the state directory.

Every commit is on disk when it returns (``synchronous=EXTRA``: with DELETE journalling it also
syncs the directory after the rollback journal is unlinked, see SQLite's pragma docs). All SQL of
the program is in this file. The journal is untrusted input: its files are ours alone, and every row
is judged before anyone sees it (`rows`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from cfstream_upload.attempt import Attempt, Identity, is_uid
from cfstream_upload.errors import JournalProblem
from cfstream_upload.journalwords import (
    CANNOT_OPEN,
    IO_ERROR,
    NO_ROOM,
    in_words,
    unusable,
    unwritable,
)
from cfstream_upload.ledger import Wait
from cfstream_upload.lock import Lock, hold
from cfstream_upload.rows import (
    COLUMNS,
    WATCH,
    Unsound,
    attempt_of,
    path_of,
    seal_of,
    values_of,
    watch_of,
    watched_of,
)
from cfstream_upload.statedir import (
    HOST_FILE,
    check_private,
    make_private,
    prepare_folder,
    remembered_host,
    trouble_writing,
    write_private,
)

APPLICATION_ID = 0x63667570  # "cfup"
SCHEMA_VERSION = 1
RESERVE = 64 * 1024
"""Bytes: twice what the rollback journal of one commit was seen to need."""

_SCHEMA = """
CREATE TABLE attempts (
    row INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is never given to another upload
    id TEXT NOT NULL, host TEXT NOT NULL, label TEXT NOT NULL,
    base TEXT NOT NULL, account TEXT NOT NULL, path BLOB NOT NULL,
    device TEXT NOT NULL, inode TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    samples TEXT NOT NULL, options TEXT NOT NULL, stage TEXT NOT NULL,
    uid TEXT UNIQUE, url TEXT, position INTEGER NOT NULL, doomed TEXT NOT NULL,
    tail INTEGER NOT NULL, kept INTEGER NOT NULL, told INTEGER NOT NULL,
    since REAL, expiry REAL, started REAL NOT NULL, seal BLOB NOT NULL
) STRICT;
CREATE INDEX attempts_by_file ON attempts (base, account, device, inode);
CREATE INDEX attempts_by_path ON attempts (base, account, path);
CREATE TABLE watches (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, label TEXT NOT NULL,
    base TEXT NOT NULL, account TEXT NOT NULL, path BLOB NOT NULL,
    device TEXT NOT NULL, inode TEXT NOT NULL, since REAL, expiry REAL
) STRICT;
CREATE TABLE identity (journal TEXT NOT NULL, host TEXT NOT NULL) STRICT;
"""

_COLUMNS, _WATCH = ", ".join(COLUMNS), ", ".join(WATCH)
_FILES = ("journal.db", "journal.db-journal", "journal.id", HOST_FILE, "reserve")


class Journal:
    """The rows of one state directory. Safe to use from several threads."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._path = folder / "journal.db"
        self._db = connection
        self._turn = threading.RLock()

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """The journal of ``folder``, made if it was never there.

        Raises `JournalProblem` when it is damaged, foreign, newer, lost or cannot be written.
        """
        prepare_folder(folder)
        path, sentinel = folder / "journal.db", folder / "journal.id"
        check_private(folder, *_FILES)
        try:
            known = sentinel.exists()
            empty = not path.exists() or path.stat().st_size == 0
            if empty and known:
                raise unusable(path, "was emptied or deleted")
            # SQLite would follow a link, and takes a file it may not write for one to read.
            make_private(path)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except OSError as error:
            raise unwritable(path, error) from None
        except sqlite3.Error as error:
            raise unusable(path, f"cannot be opened ({error})") from None
        try:
            journal = cls(folder, connection)
            journal._prepare(path, sentinel, new=empty)
        except BaseException:
            connection.close()
            raise
        return journal

    def company(self, base: str, account: str, label: str, calls: int) -> None:
        """Nobody: one machine counts for itself."""

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _prepare(self, path: Path, sentinel: Path, *, new: bool) -> None:
        with _translated(path):
            self._db.execute("PRAGMA busy_timeout=5000")
            self._db.execute("PRAGMA trusted_schema=OFF")
            # A death in the very first commit leaves an empty file behind, once that is undone.
            new = new or (not sentinel.exists() and self._is_blank())
        if not new:
            self._check(path)  # before anything is set: a stranger's file stays as it was
        with _translated(path):
            for pragma in ("journal_mode=DELETE", "synchronous=EXTRA", "fullfsync=ON"):
                self._db.execute(f"PRAGMA {pragma}")
        if new:
            self._create()
            self._check(path)
        self._complete(path, sentinel)
        with contextlib.suppress(OSError):
            self._refill_reserve()

    def _is_blank(self) -> bool:
        tables = self._scalar("SELECT count(*) FROM sqlite_schema")
        return (tables, self._scalar("PRAGMA application_id")) == (0, 0)

    def _create(self) -> None:
        with _translated(self._path), self._writing():
            if self._scalar("PRAGMA application_id") == APPLICATION_ID:
                return  # another process was quicker
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            host = remembered_host(self.folder) or uuid4().hex
            self._db.execute("INSERT INTO identity VALUES (?, ?)", (uuid4().hex, host))
            self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _complete(self, path: Path, sentinel: Path) -> None:
        """The files that tell a lost journal from a new one; a death may have left them out."""
        if sentinel.exists():
            return
        try:
            # The host's name outlives a lost journal: markers on Stream still carry it.
            write_private(self.folder / HOST_FILE, self.host.encode())
            name = str(self._scalar("SELECT journal FROM identity"))
            write_private(sentinel, name.encode())
        except OSError as error:
            raise unwritable(path, error) from None

    def _check(self, path: Path) -> None:
        with _translated(path):
            application = self._scalar("PRAGMA application_id")
            version = int(str(self._scalar("PRAGMA user_version")))
            sound = self._scalar("PRAGMA quick_check(1)")
        if application != APPLICATION_ID:
            raise unusable(path, "is not a journal of cfupload")
        if version > SCHEMA_VERSION:
            raise JournalProblem(
                f"The journal {path} was made by a newer cfupload",
                "Use that version or a newer one.",
            )
        if sound != "ok":
            raise unusable(path, "is damaged")

    @property
    def host(self) -> str:
        """This state directory's random name, 32 hex digits; part of every marker."""
        with _translated(self._path), self._turn:
            return str(self._scalar("SELECT host FROM identity"))

    def _scalar(self, sql: str) -> object:
        return self._db.execute(sql).fetchone()[0]

    def _refill_reserve(self) -> None:
        reserve = self.folder / "reserve"
        if not reserve.exists() or reserve.stat().st_size < RESERVE:
            write_private(reserve, b"\0" * RESERVE)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._turn:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _commit(self, *statements: tuple[str, tuple[object, ...]]) -> sqlite3.Cursor:
        """Run statements durably as one; a full disk gives up the reserve file and tries again."""
        with _translated(self._path):
            try:
                return self._transact(statements)
            except sqlite3.OperationalError as error:
                full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
                # A spent quota is an "I/O error" to SQLite.
                full = full or _cause(self._path, error.sqlite_errorcode) in NO_ROOM
                if not full or not self._spend_reserve():
                    raise
            return self._transact(statements)

    def _transact(self, statements: tuple[tuple[str, tuple[object, ...]], ...]) -> sqlite3.Cursor:
        with self._writing():
            cursors = [self._db.execute(sql, values) for sql, values in statements]
        return cursors[-1]

    def _spend_reserve(self) -> bool:
        try:
            (self.folder / "reserve").unlink()
        except OSError:
            return False
        return True

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
        with _translated(self._path), self._turn:
            # A cross join keeps its order: for each file asked about, a look into the index.
            found = self._db.execute(
                f"WITH asked (d, i) AS (VALUES {pairs}) "
                "SELECT uid, device, inode, path FROM asked CROSS JOIN attempts "
                "ON base = ? AND account = ? AND device = d AND inode = i UNION "
                "SELECT uid, device, inode, path FROM attempts WHERE base = ? AND account = ? "
                f"AND path IN ({','.join('?' * len(files))})",
                (*(one for pair in inodes for one in pair), base, account, base, account, *places),
            ).fetchall()
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
        with _translated(self._path), self._turn:
            found = self._db.execute(
                f"SELECT {_COLUMNS}, seal, row FROM attempts {where} ORDER BY row", values
            ).fetchall()
        return [_attempt(row, self._path) for row in found]

    # --- watched markers -------------------------------------------------------------------------

    def watch(self, attempt: Attempt) -> None:
        """Remember the marker of ``attempt``: a late or repeated create may still surface."""
        self._commit(_watching(attempt))

    def watches(self, base: str, account: str) -> list[Attempt]:
        """The watched markers of an account, as attempts of which nothing else is known."""
        with _translated(self._path), self._turn:
            found = self._db.execute(
                f"SELECT {_WATCH} FROM watches WHERE base = ? AND account = ?", (base, account)
            ).fetchall()
        return [_watched(row, self._path) for row in found]

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


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        raise in_words(path, code, str(error), _cause(path, code)) from None
    except UnicodeDecodeError:
        # Python meets damage in a name of the schema before SQLite does.
        raise unusable(path, "is damaged or not a journal of cfupload") from None


def _cause(path: Path, code: int | None) -> int:
    """What the system says to a small write beside the journal, where SQLite does not tell."""
    hidden = code is not None and code & 0xFF in (IO_ERROR, CANNOT_OPEN)
    return trouble_writing(path) if hidden else 0


def _watching(attempt: Attempt) -> tuple[str, tuple[object, ...]]:
    return f"INSERT OR REPLACE INTO watches ({_WATCH}) VALUES ({'?,' * 9}?)", watch_of(attempt)


def _attempt(row: tuple[object, ...], path: Path) -> Attempt:
    *values, seal, number = row
    try:
        return attempt_of(values, seal, int(str(number)))
    except Unsound:
        file = path_of(values[COLUMNS.index("path")])
        of = f" of {file}" if file else ""
        raise unusable(path, f"has a damaged row, number {number}{of}") from None


def _watched(row: tuple[object, ...], path: Path) -> Attempt:
    try:
        return watched_of(row)
    except Unsound:
        raise unusable(path, "has a damaged row, a watched marker") from None
