"""Journals as released versions wrote them, frozen: what a user has on disk before an upgrade."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

HOST = "0e" * 16

VERSION_1 = """
CREATE TABLE attempts (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
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
PRAGMA application_id=1667659120;
PRAGMA user_version=1;
"""

COLUMNS = (
    "id", "host", "label", "base", "account", "path", "device", "inode", "size", "mtime_ns",
    "samples", "options", "stage", "uid", "url", "position", "doomed", "tail", "kept", "told",
    "since", "expiry", "started",
)  # fmt: skip


def write_version_1(folder: Path, rows: list[tuple[object, ...]]) -> None:
    """A state directory as the first release left it, with these rows."""
    folder.mkdir(mode=0o700)
    (folder / "locks").mkdir(mode=0o700)
    path = folder / "journal.db"
    path.touch(mode=0o600)
    db = sqlite3.connect(path)
    db.executescript(VERSION_1)
    db.execute("INSERT INTO identity VALUES (?, ?)", ("11" * 16, HOST))
    marks = ", ".join("?" * (len(COLUMNS) + 1))
    for row in rows:
        seal = hashlib.blake2b(repr(row).encode("utf-8", "replace"), digest_size=8).digest()
        names = ", ".join(COLUMNS)
        db.execute(f"INSERT INTO attempts ({names}, seal) VALUES ({marks})", (*row, seal))
    db.commit()
    db.close()
    for name, content in (("journal.id", "11" * 16), ("host.id", HOST)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)


def rows_of(folder: Path) -> list[tuple[object, ...]]:
    """The rows that are in the journal of ``folder``, in the columns of version 1."""
    db = sqlite3.connect(folder / "journal.db")
    try:
        return db.execute(f"SELECT {', '.join(COLUMNS)} FROM attempts ORDER BY row").fetchall()
    finally:
        db.close()
