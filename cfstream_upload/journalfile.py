"""The journal's file: one SQLite database in the state directory, and what must stand beside it.

Every commit is on disk when it returns (``synchronous=EXTRA``: with DELETE journalling it also
syncs the directory after the rollback journal is unlinked, see SQLite's pragma docs). It is
untrusted input: the files are ours alone, and are judged before anything is read or set.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from cfstream_upload.errors import JournalProblem
from cfstream_upload.journalwords import (
    CANNOT_OPEN,
    IO_ERROR,
    NO_ROOM,
    in_words,
    unusable,
    unwritable,
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

_FILES = ("journal.db", "journal.db-journal", "journal.id", HOST_FILE, "reserve")


class JournalFile:
    """The database of one state directory, and its commits. Safe to use from several threads."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._path = folder / "journal.db"
        self._db = connection
        self._turn = threading.RLock()

    @classmethod
    def open(cls, folder: Path) -> Self:
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

    def _fetched(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """All that a question brings."""
        with _translated(self._path), self._turn:
            return self._db.execute(sql, values).fetchall()


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
