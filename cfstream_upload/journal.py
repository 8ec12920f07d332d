"""The journal: what must survive a death, in one SQLite file of the state directory.

Every commit is on disk when it returns (``synchronous=EXTRA``: with DELETE journalling it also
syncs the directory after the rollback journal is unlinked, see SQLite's pragma docs). All SQL of
the program is in this file. The journal is untrusted input: each row carries a digest of its
columns, and UIDs and accounts are matched against their pattern before anyone sees them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from cfstream_upload.attempt import Attempt, Identity, Stage, is_uid
from cfstream_upload.errors import JournalProblem
from cfstream_upload.statedir import (
    HOST_FILE,
    make_private,
    prepare_folder,
    remembered_host,
    write_private,
)

APPLICATION_ID = 0x63667570  # "cfup"
SCHEMA_VERSION = 1
RESERVE = 64 * 1024
"""Bytes: twice what the rollback journal of one commit was seen to need."""

_COLUMNS = (
    "id", "host", "label", "base", "account", "path",
    "device", "inode", "size", "mtime_ns", "samples",
    "options", "stage", "uid", "url", "position", "doomed",
    "tail", "kept", "told", "since", "expiry", "started",
)  # fmt: skip

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

_WATCH = "id, host, label, base, account, path, device, inode, since, expiry"


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
        try:
            known = sentinel.exists()
            empty = not path.exists() or path.stat().st_size == 0
            if empty and known:
                raise _unusable(path, "was emptied or deleted")
            # SQLite would follow a link, and takes a file it may not write for one to read.
            make_private(path)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except OSError as error:
            raise _unwritable(path, error) from None
        except sqlite3.Error as error:
            raise _unusable(path, f"cannot be opened ({error})") from None
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
            raise _unwritable(path, error) from None

    def _check(self, path: Path) -> None:
        with _translated(path):
            application = self._scalar("PRAGMA application_id")
            version = int(str(self._scalar("PRAGMA user_version")))
            sound = self._scalar("PRAGMA quick_check(1)")
        if application != APPLICATION_ID:
            raise _unusable(path, "is not a journal of cfupload")
        if version > SCHEMA_VERSION:
            raise JournalProblem(
                f"The journal {path} was made by a newer cfupload",
                "Use that version or a newer one.",
            )
        if sound != "ok":
            raise _unusable(path, "is damaged")

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
        values = _values(attempt)
        seal = _seal(values)
        if attempt.row:
            names = ", ".join(f"{name} = ?" for name in _COLUMNS)
            update = f"UPDATE attempts SET {names}, seal = ? WHERE row = ?"
            if not self._commit(*watching, (update, (*values, seal, attempt.row))).rowcount:
                raise JournalProblem(
                    f"Somebody removed an upload under way from the journal in {self.folder}",
                    "See: cfupload status",
                )
            return attempt
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        columns = ", ".join(_COLUMNS)
        # Two processes may find the same leftover: the row of the first stands for both.
        insert = (
            f"INSERT INTO attempts ({columns}, seal) VALUES ({marks}) ON CONFLICT (uid) DO NOTHING"
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

    def again(self, attempt: Attempt) -> Attempt | None:
        """The row of ``attempt`` as it is on disk now, or None when it is gone."""
        return next(iter(self._select("WHERE row = ?", (attempt.row,))), None)

    def _select(self, where: str, values: tuple[object, ...]) -> list[Attempt]:
        columns = ", ".join(_COLUMNS)
        with _translated(self._path), self._turn:
            found = self._db.execute(
                f"SELECT {columns}, seal, row FROM attempts {where} ORDER BY row", values
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
        return [_watched(row) for row in found]

    def unwatch(self, attempt: Attempt) -> None:
        """Forget the marker of ``attempt``."""
        self._commit(("DELETE FROM watches WHERE id = ?", (attempt.id,)))


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
    return [(uid, _path(path)) for uid, path in found if isinstance(uid, str) and is_uid(uid)]


def _unusable(path: Path, what: str) -> JournalProblem:
    return JournalProblem(
        f"The journal {path} {what}",
        "Restore it, or start a new one: cfupload cleanup --rebuild (the old file is kept).",
    )


def _unwritable(path: Path, error: OSError) -> JournalProblem:
    return JournalProblem(
        f"The journal {path} cannot be opened for writing ({error.strerror})",
        "Make it writable, or choose another directory with CFUPLOAD_STATE_DIR.",
    )


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_FULL:
            raise JournalProblem(
                f"There is no room for the journal {path}", "Make room on that disk."
            ) from None
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _unusable(path, "is damaged or not a journal of cfupload") from None
        raise JournalProblem(
            f"The journal {path} cannot be used ({error})",
            "Check that the path is on a local disk with room, and that you may write there.",
        ) from None
    except UnicodeDecodeError:
        # Python meets damage in a name of the schema before SQLite does.
        raise _unusable(path, "is damaged or not a journal of cfupload") from None


def _watching(attempt: Attempt) -> tuple[str, tuple[object, ...]]:
    file = attempt.file
    values = (
        attempt.id, attempt.host, attempt.label, attempt.base, attempt.account,
        os.fsencode(attempt.path), str(file.device), str(file.inode),
        attempt.since, attempt.expiry,
    )  # fmt: skip
    return f"INSERT OR REPLACE INTO watches ({_WATCH}) VALUES ({'?,' * 9}?)", values


def _values(attempt: Attempt) -> tuple[object, ...]:
    file = attempt.file
    return (
        attempt.id, attempt.host, attempt.label, attempt.base, attempt.account,
        os.fsencode(attempt.path),
        # Text: an inode may need all 64 bits, SQLite's integers are signed.
        str(file.device), str(file.inode), file.size, file.mtime_ns, file.samples,
        attempt.options, attempt.stage.value, attempt.uid, attempt.url, attempt.offset,
        attempt.doomed, int(attempt.tail), int(attempt.kept), int(attempt.told),
        attempt.since, attempt.expiry, attempt.started,
    )  # fmt: skip


def _seal(values: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(repr(values).encode("utf-8", "replace"), digest_size=8).digest()


def _attempt(row: tuple[object, ...], path: Path) -> Attempt:
    *values, seal, number = row
    named = dict(zip(_COLUMNS, values, strict=True))
    uid = named["uid"]
    whole = seal == _seal(tuple(values))
    if not whole or not is_uid(named["account"]) or not (uid is None or is_uid(uid)):
        raise _unusable(path, "has a damaged row")
    file = Identity(
        device=int(str(named.pop("device"))),
        inode=int(str(named.pop("inode"))),
        **{name: named.pop(name) for name in ("size", "mtime_ns", "samples")},  # type: ignore[arg-type]  # sealed as written
    )
    named["path"] = _path(named["path"])
    named["stage"] = Stage(str(named["stage"]))
    named["offset"] = named.pop("position")
    for flag in ("tail", "kept", "told"):
        named[flag] = bool(named[flag])
    # Whoever reads a row that was intended does not know whether its create left.
    attempt = Attempt(file=file, row=int(str(number)), **named)  # type: ignore[arg-type]  # sealed as written
    return attempt.knows(asked=attempt.stage is Stage.INTENDED)


def _path(blob: object) -> str:
    return os.fsdecode(blob) if isinstance(blob, bytes) else ""


def _watched(row: tuple[object, ...]) -> Attempt:
    named = dict(zip(_WATCH.split(", "), row, strict=True))
    file = Identity(int(str(named.pop("device"))), int(str(named.pop("inode"))), 0, 0, "")
    named["path"] = _path(named["path"])
    return Attempt(file=file, **named)  # type: ignore[arg-type]  # columns of a STRICT table
