"""The journal: rows that somebody changed, with a seal or without, and a file with other bytes."""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from cfstream_upload.attempt import Attempt, Identity, Stage, is_uid
from cfstream_upload.errors import JournalProblem
from cfstream_upload.journal import Journal, uids_at_a_glance

from .target import Target, entries, near

BASE, ACCOUNT, UID = "https://api.cloudflare.com/client/v4", "0" * 32, "a" * 32
WORDS = [
    "intended", "created", "sent", "stored", "discarding", "gone", "trouble", UID, UID.upper(),
    "../x", "https://evil.example/", "true", "{}", '"', "-1", "0", "1e999", "\u0000", "\udcff",
    "null", ":",
]  # fmt: skip


@functools.cache
def _journal() -> Path:
    """A folder with a journal of one row and one watched marker."""
    folder = Path(tempfile.mkdtemp(prefix="cfupload-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with closing(Journal.open(folder)) as journal:
        file = Identity(1, 2, 1000, 5, "s")
        attempt = Attempt("1" * 32, "2" * 32, "label", BASE, ACCOUNT, "/videos/a.mp4", file)
        url = "https://upload.cloudflarestream.com/tus/x"
        journal.record(replace(attempt, stage=Stage.CREATED, uid=UID, url=url), watch=True)
    return folder


def _copy(folder: Path) -> None:
    for file in _journal().iterdir():
        shutil.copy(file, folder)


def _seal(values: tuple[object, ...]) -> bytes:
    # As the program makes it: it guards against accidents, and anybody can make one.
    return hashlib.blake2b(repr(values).encode("utf-8", "replace"), digest_size=8).digest()


def check_row(data: bytes) -> None:
    """JSON: a table, columns with their new values, and whether the row is sealed again."""
    try:
        wish = json.loads(data)
        table, changes, sealed = wish["table"], wish["changes"], bool(wish["sealed"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    if table not in ("attempts", "watches", "identity") or not isinstance(changes, dict):
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _copy(folder)
        before = _rows(folder)
        changed = _change(folder / "journal.db", table, changes, sealed=sealed)
        try:
            after = _rows(folder)
        except JournalProblem:
            assert changed
            return
        finally:
            assert all(is_uid(uid) for uid, _ in uids_at_a_glance(folder))
    if table == "attempts" and changed and not sealed:
        # A change that is none to Python, as 1 to 1.0, leaves the seal as it was.
        assert after[0] == before[0], changes


def _change(path: Path, table: str, changes: dict[str, Any], *, sealed: bool) -> bool:
    """Whether SQLite took any of the ``changes``; it refuses other types and unknown names."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        kept = [name for name in columns if name not in ("row", "seal")]
        taken = False
        for name in kept:
            if name not in changes:
                continue
            value = changes[name]
            if name == "path" and isinstance(value, str):
                value = value.encode("utf-8", "surrogatepass")
            try:
                database.execute(f"UPDATE {table} SET {name} = ?", (value,))
                taken = True
            except (sqlite3.Error, ValueError, OverflowError):
                continue
        if sealed and table == "attempts":
            row = database.execute(f"SELECT {', '.join(kept)} FROM attempts").fetchone()
            database.execute("UPDATE attempts SET seal = ?", (_seal(row),))
    return taken


def _rows(folder: Path) -> tuple[list[Attempt], list[Attempt]]:
    """What a command would work with: words that could enter a URL or a path are what they say."""
    with closing(Journal.open(folder)) as journal:
        rows, watched = journal.rows(), journal.watches(BASE, ACCOUNT)
        for one in (*rows, *watched):
            assert is_uid(one.account), one.account
            assert one.uid is None or is_uid(one.uid), one.uid
            assert isinstance(one.offset, int)
            assert one.stage in set(Stage)
            assert repr(one)
            url = one.url or ""
            assert "/" not in url or url not in repr(one)
        return rows, watched


def check_bytes(data: bytes) -> None:
    """Lines ``OFFSET VALUE``: single bytes of the file are replaced."""
    content = bytearray((_journal() / "journal.db").read_bytes())
    for line in data.split(b"\n"):
        if found := re.fullmatch(rb"(\d{1,9}) (\d{1,3})", line):
            content[int(found[1]) % len(content)] = int(found[2]) % 256
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _copy(folder)
        (folder / "journal.db").write_bytes(content)
        try:
            rows, _ = _rows(folder)
        except JournalProblem as problem:
            assert problem.hint
        else:
            assert rows in ([], _rows(_journal())[0]), "a damaged row was believed"
        finally:
            assert all(is_uid(uid) for uid, _ in uids_at_a_glance(folder))


_value = (
    st.sampled_from([*WORDS, "9" * 5000, "1" * 32, "-2", "\u0665", "0x1", "1_0"])
    | st.text(max_size=6)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.none()
)
_COLUMNS = [
    "id", "host", "label", "base", "account", "path", "device", "inode", "size", "mtime_ns",
    "samples", "options", "stage", "uid", "url", "position", "doomed", "tail", "kept", "told",
    "since", "expiry", "started", "journal",
]  # fmt: skip
_wishes = st.fixed_dictionaries(
    {
        "table": st.sampled_from(["attempts", "attempts", "attempts", "watches", "identity"]),
        "changes": st.dictionaries(st.sampled_from(_COLUMNS), _value, min_size=1, max_size=3),
        "sealed": st.booleans(),
    }
).map(lambda wish: json.dumps(wish).encode())
_places = st.integers(0, 200) | st.integers(0, 1 << 16)
_edits = st.lists(st.tuples(_places, st.integers(0, 255)), min_size=1, max_size=6).map(
    lambda edits: "\n".join(f"{at} {value}" for at, value in edits).encode()
)

TARGETS = [
    Target("row", _wishes | near("row", WORDS), check_row, 100),
    Target("journal", _edits | st.sampled_from(entries("journal")), check_bytes, 80),
]
