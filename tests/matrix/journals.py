"""Rows 84 to 91: journals that are read-only, damaged, lost, old, new or half written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from beside import before
from inprocess import MIB, Stage
from matrix.parts import staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import DAY, dies, ends, staged, then
from matrix.watching import sweeps

from cfstream_upload.attempt import Attempt
from cfstream_upload.errors import CfuploadError
from cfstream_upload.journal import Journal
from cfstream_upload.rebuilding import rebuild_journal
from cfstream_upload.result import Result

PAGE = 4096


def _journal(current: Stage) -> Path:
    return current.folder / "state" / "journal.db"


def _tried(current: Stage, path: Path) -> Result:
    """A run; where its session cannot even be opened, that error as its result."""
    try:
        return current.send(path)
    except CfuploadError as error:
        return Result(file=str(path), outcome="failed", exit_code=error.exit_code, error=error)


def _interrupted(current: Stage) -> Path:
    """A file of which two chunks arrived before the process died."""
    path = video(current)
    dies(current, path, 3, "after")
    return path


def _refused(current: Stage, path: Path, *words: str) -> None:
    """Exit 10 with the path named; Stream was not asked, the file is as it was."""
    before = _content(current)
    current.calls.clear()
    ends(_tried(current, path), 10, str(_journal(current)), *words)
    assert current.calls == []
    assert _content(current) == before
    assert current.states() == ["pendingupload"]


def _content(current: Stage) -> bytes | None:
    return _journal(current).read_bytes() if _journal(current).exists() else None


def _then_rebuilt(current: Stage, path: Path) -> None:
    """What the journal forgot goes once its window is over; what was damaged is kept aside."""
    before = _content(current)
    _rebuild(current)
    if before is not None:
        (aside,) = (current.folder / "state").glob("journal.db.old-*")
        assert aside.read_bytes() == before
    ends(current.send(path), 0)
    assert sorted(current.states()) == ["pendingupload", "queued"]
    assert sweeps(current) == ["waiting"]
    current.clock.now += DAY + 7200
    assert sweeps(current) == ["discarded"]
    then(current, path)


def _rebuild(current: Stage) -> None:
    """As ``cleanup --rebuild`` does: no journal is opened before the old one is moved aside."""
    current.opened = lambda folder: Journal.open(current.folder / "spare")
    session = current.session()
    current.opened = Journal.open
    with session:
        session.journal.close()
        del session.__dict__["journal"]
        rebuild_journal(session)


# --- 84: read-only -------------------------------------------------------------------------------


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Make ``folder`` a read-only file system; root writes whatever the mode bits say."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount; the mode bits are tried instead")
    commands = (["--bind", str(folder)], ["-o", "remount,bind,ro"])
    for number, command in enumerate(commands):
        ended = subprocess.run(["mount", *command, str(folder)], capture_output=True, check=False)
        if ended.returncode and not number:
            pytest.skip("no right to mount here")
        assert ended.returncode == 0, ended.stderr
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@row(84, "read-only mount")
def _read_only_mount(scene: Scene) -> None:
    """The state directory is on a read-only file system: exit 10, the path named, nothing sent."""
    current = staged(scene)
    path = _interrupted(current)
    with _read_only(current.folder / "state"):
        _refused(current, path, "cannot be opened")
    assert then(current, path).resumed_from == 10 * MIB


@row(84, "mode bits")
def _read_only_by_mode(scene: Scene) -> None:
    """The journal may not be written (mode 0400): exit 10, the path named, nothing sent."""
    current = staged(scene)
    path = _interrupted(current)
    # Root may write whatever the mode says; for it the question itself is answered with no.
    real = os.access

    def may(file: str | Path, mode: int) -> bool:
        return str(file) != str(_journal(current)) and real(file, mode)

    with pytest.MonkeyPatch.context() as patch:
        if os.geteuid() == 0:
            patch.setattr(os, "access", may)
        _journal(current).chmod(0o400)
        _refused(current, path, "Permission denied")
    _journal(current).chmod(0o600)
    then(current, path)


# --- 85 to 88: damaged or lost -------------------------------------------------------------------


def _zero_header(content: bytes) -> bytes:
    return b"\0" * 100 + content[100:]


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _page(content: bytes) -> bytes:
    return content[:PAGE] + b"\x5a" * PAGE + content[2 * PAGE :]


@row(85, "damaged")
def _damaged(scene: Scene) -> None:
    """Header zeroed, half the file, a page overwritten: exit 10; moved aside by --rebuild only."""
    damages: tuple[Callable[[bytes], bytes], ...] = (_zero_header, _half, _page)
    for damage in damages:
        current = staged_part(scene, damage.__name__)
        path = _interrupted(current)
        _journal(current).write_bytes(damage(_journal(current).read_bytes()))
        _refused(current, path, "cleanup --rebuild")
        _then_rebuilt(current, path)


@row(86, "zero length")
def _emptied(scene: Scene) -> None:
    """The journal has no length any more: not taken for a new one; exit 10, nothing sent."""
    current = staged(scene)
    path = _interrupted(current)
    _journal(current).write_bytes(b"")
    _refused(current, path, "emptied or deleted", "cleanup --rebuild")
    _then_rebuilt(current, path)


@row(87, "one byte of a UID")
def _flipped_byte(scene: Scene) -> None:
    """One byte of a UID is flipped: the row is damaged; exit 10, and no DELETE with that UID."""
    current = staged(scene)
    path = _interrupted(current)
    uid = str(current.model.videos()[0]["uid"])
    other = ("b" if uid[0] == "a" else "a") + uid[1:]
    content = _journal(current).read_bytes()
    assert content.count(uid.encode()) >= 2, "the row and its index"
    _journal(current).write_bytes(content.replace(uid.encode(), other.encode()))
    _refused(current, path, "damaged row")
    assert not any(other in call.path for call in current.calls)
    _then_rebuilt(current, path)


@row(88, "deleted")
def _deleted(scene: Scene) -> None:
    """The journal was deleted between runs: exit 10 at first; the marker finds what it forgot."""
    current = staged(scene)
    path = _interrupted(current)
    _journal(current).unlink()
    _refused(current, path, "emptied or deleted", "cleanup --rebuild")
    _then_rebuilt(current, path)


@row(88, "deleted after success")
def _deleted_after_success(scene: Scene) -> None:
    """The journal of a video that was told is deleted: rebuilt, its receipt is there, untouched."""
    current = staged(scene)
    path = video(current, 6 * MIB)
    uid = ends(current.send(path), 0).uid
    _journal(current).unlink()
    assert _tried(current, path).exit_code == 10
    _rebuild(current)
    with current.session() as session:
        assert [(known.uid, known.told) for known in session.rows()] == [(uid, True)]
    assert sweeps(current) == []
    assert uid in [video["uid"] for video in current.model.videos()]


# --- 89 to 91: old, new, half written ------------------------------------------------------------


@row(89, "older copy")
def _older_copy(scene: Scene) -> None:
    """An older copy of the journal is put back: no whole video is ever deleted or taken for less.

    What the copy still knows is resumed to the same UID; what it never knew may be sent again.
    """
    for nth, videos in ((1, 2), (2, 1), (3, 1), (4, 1), (0, 2)):
        current = staged_part(scene, nth)
        path = video(current)
        with current.session() as session:
            assert session.rows() == []
        copy = current.folder / "journal.db.copy"
        if nth > 1:
            dies(current, path, nth, "after")
        shutil.copy(_journal(current), copy)
        if nth == 1:  # of the very attempt that then succeeds, before it had a UID
            before(current, "POST", 1, partial(shutil.copy, _journal(current), copy))
        told = ends(current.send(path), 0).uid
        shutil.copy(copy, _journal(current))
        current.calls.clear()
        again = ends(current.send(path), 0)
        assert (again.uid == told) is (videos == 1)
        sweeps(current)
        assert "DELETE" not in current.methods()
        assert len(current.states()) == videos
        assert "pendingupload" not in current.states()
        assert told in [video["uid"] for video in current.model.videos()]
        assert current.send(path).uid == again.uid
        assert set(current.open_rows()) <= {"intended"}


@row(90, "newer schema")
def _newer_schema(scene: Scene) -> None:
    """A newer cfupload made the journal: exit 10, said so; the file is untouched."""
    current = staged(scene)
    path = _interrupted(current)
    _set_version(current, 99)
    _refused(current, path, "made by a newer cfupload")
    _set_version(current, 1)
    assert then(current, path).resumed_from == 10 * MIB


def _set_version(current: Stage, number: int) -> None:
    with closing(sqlite3.connect(_journal(current))) as connection:
        connection.execute(f"PRAGMA user_version={number}")


@row(91, "hot journal")
def _hot_journal(scene: Scene) -> None:
    """Power went in the middle of a commit: SQLite rolls it back, and the upload is resumed."""
    current = staged(scene)
    path = _interrupted(current)
    known = _rows(current)
    before = _journal(current).read_bytes()
    _break_off_a_commit(current)
    hot = _journal(current).with_name("journal.db-journal")
    assert hot.stat().st_size > 0
    assert _journal(current).read_bytes()[: len(before)] != before
    assert _rows(current) == known
    assert not hot.exists()
    _break_off_a_commit(current)
    assert then(current, path).resumed_from == 10 * MIB


def _rows(current: Stage) -> list[Attempt]:
    with current.session() as session:
        return session.rows()


def _break_off_a_commit(current: Stage) -> None:
    """Leave the journal as a power cut does: pages half written, the rollback journal beside it."""
    path = _journal(current)
    kept = current.folder / "kept"
    kept.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=1")  # pages go to the file before the commit
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE attempts SET uid = 'f' || substr(uid, 2), stage = 'discarding'")
        junk = [(f"{number:032x}", "x" * 900) for number in range(200)]
        connection.executemany(
            "INSERT INTO watches VALUES (?, ?, '', '', '', x'', '0', '0', NULL, NULL)", junk
        )
        for file in (path, path.with_name("journal.db-journal")):
            shutil.copy(file, kept / file.name)
        connection.execute("ROLLBACK")
    for file in kept.iterdir():
        shutil.copy(file, path.with_name(file.name))
