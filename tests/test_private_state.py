"""The state directory among strangers: whose each name is, and rows that somebody forged."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from inprocess import MIB, Stage, stage
from matrix.oldjournals import COLUMNS, write_version_1
from scripted import UID, created, intended, sent, stray

from cfstream_upload import rows
from cfstream_upload.attempt import Attempt
from cfstream_upload.attempt import Stage as At
from cfstream_upload.console import Console
from cfstream_upload.errors import CfuploadError, JournalProblem, UsageProblem
from cfstream_upload.journal import Journal
from cfstream_upload.journalfile import SCHEMA_VERSION
from cfstream_upload.journalwords import in_words
from cfstream_upload.manifest import Manifest
from cfstream_upload.statedir import check_folder
from cfstream_upload.sweeping import Choice, plan, sweep

STRANGER = 12345
ROOT_ONLY = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "above" / "state"


def _refused(folder: Path, *words: str) -> None:
    """Exit 10, in these words, by who opens the journal and by who only looks (`doctor`)."""
    with pytest.raises(JournalProblem) as caught:
        Journal.open(folder).close()
    for word in words:
        assert word in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.exit_code == 10


def _open(folder: Path) -> Journal:
    return Journal.open(folder)


# --- the folders above ---------------------------------------------------------------------------


def test_a_folder_above_that_everybody_may_write_to_is_refused(folder: Path) -> None:
    folder.parent.mkdir()
    folder.parent.chmod(0o777)
    _refused(folder, "everybody may write to", str(folder.parent), "chmod o-w")
    with pytest.raises(JournalProblem, match="replaced by others"):
        check_folder(folder)
    assert not folder.exists()


def test_a_sticky_folder_above_is_taken_as_tmp_is(folder: Path) -> None:
    folder.parent.mkdir()
    folder.parent.chmod(0o1777)
    _open(folder).close()


def test_a_group_that_may_write_above_is_taken(folder: Path) -> None:
    folder.parent.mkdir()
    folder.parent.chmod(0o775)
    _open(folder).close()


def test_a_link_above_of_ones_own_is_taken_and_followed_to_its_end(
    folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other disk"
    other.mkdir()
    folder.parent.symlink_to(other)
    _open(folder).close()
    assert (other / "state" / "journal.db").exists()
    other.chmod(0o777)
    _refused(folder, "everybody may write to", str(other))


@ROOT_ONLY
def test_a_link_above_of_somebody_else_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    folder.parent.symlink_to(tmp_path / "other")
    os.lchown(folder.parent, STRANGER, STRANGER)
    _refused(folder, "the link", "belongs to somebody else")


def test_links_without_end_end(folder: Path, tmp_path: Path) -> None:
    folder.parent.symlink_to(tmp_path / "above")
    _refused(folder, "cannot be made")


def test_what_is_made_under_umask_0_is_open_to_nobody(folder: Path) -> None:
    before = os.umask(0)
    try:
        _open(folder / "deeper").close()
        (folder / "deeper" / "again").mkdir()
    finally:
        os.umask(before)
    made = [folder.parent, folder, folder / "deeper", *(folder / "deeper").glob("*.*")]
    assert not any(path.stat().st_mode & 0o022 for path in made)
    assert stat.S_IMODE((folder / "deeper").stat().st_mode) == 0o700


# --- the files in it -----------------------------------------------------------------------------

NAMES = ("journal.db", "journal.db-journal", "journal.id", "host.id", "reserve")


@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_place_of_a_file_is_refused_and_its_target_untouched(
    folder: Path, tmp_path: Path, name: str
) -> None:
    _open(folder).close()
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    _refused(folder, name, "no regular file")
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["journal.db", "journal.id"])
def test_a_file_that_others_may_write_is_refused_and_what_they_read_is_closed(
    folder: Path, name: str
) -> None:
    _open(folder).close()
    (folder / name).chmod(0o644)
    _open(folder).close()
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    (folder / name).chmod(0o666)
    _refused(folder, "Others may write to", f"chmod 600 {folder / name}")


@ROOT_ONLY
@pytest.mark.parametrize("name", ["", "journal.db", "host.id"])
def test_what_belongs_to_somebody_else_is_refused(folder: Path, name: str) -> None:
    _open(folder).close()
    os.chown(folder / name, STRANGER, STRANGER)
    _refused(folder, "belongs to somebody else")


@ROOT_ONLY
@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_log_or_manifest_that_a_stranger_left_in_tmp_is_refused(
    tmp_path: Path, kind: str
) -> None:
    shared, victim = tmp_path / "tmp", tmp_path / "victim"
    shared.mkdir()
    shared.chmod(0o1777)
    victim.write_text("precious")
    bait = shared / "run.log"
    bait.symlink_to(victim) if kind == "link" else bait.write_text("theirs")
    os.lchown(bait, STRANGER, STRANGER)
    with pytest.raises(UsageProblem, match="put there by somebody else"):
        Console(None, None, None, {}, log_file=bait)
    with pytest.raises(UsageProblem, match="put there by somebody else"):
        Manifest(bait, "target", "{}")
    assert victim.read_text() == "precious"
    # The same link of ones own is what one asked for.
    os.lchown(bait, 0, 0)
    Console(None, None, None, {}, log_file=bait).close()


# --- forged rows ---------------------------------------------------------------------------------


def _forge(folder: Path, attempt: Attempt, **columns: object) -> None:
    """Write a row with these values, and a seal that fits them."""
    with closing(Journal.open(folder)) as journal:
        number = journal.record(attempt).row
    values = dict(zip(COLUMNS, rows.values_of(attempt), strict=True)) | columns
    names = ", ".join(f"{name} = ?" for name in (*COLUMNS, "seal"))
    with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as db:
        seal = rows.seal_of(tuple(values.values()))
        db.execute(f"UPDATE attempts SET {names} WHERE row = ?", (*values.values(), seal, number))


FORGERIES: dict[str, dict[str, object]] = {
    "uid that climbs": {"uid": "../../../user/tokens/verify"},
    "uid in capitals": {"uid": UID.upper()},
    "uid with a line end": {"uid": UID + "\n"},
    "no uid": {"uid": None},
    "account that climbs": {"account": "../../accounts"},
    "attempt": {"id": "../x"},
    "host": {"host": "x" * 32},
    "label": {"label": "a b\nc"},
    "stage": {"stage": "sold"},
    "gone": {"stage": "gone"},
    "reason": {"doomed": "because\x1b[2J"},
    "offset below": {"position": -1},
    "offset beyond": {"position": 10**15},
    "size": {"size": -5},
    "device": {"device": "0x10"},
    "inode": {"inode": ""},
    "options": {"options": "[1]"},
    "options cut": {"options": "{"},
    "time": {"since": float("inf")},
    "started": {"started": float("-inf")},
}


@pytest.mark.parametrize("columns", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_row_is_refused_and_named(folder: Path, columns: dict[str, object]) -> None:
    _forge(folder, sent(row=0, path="/videos/evil\x1b.mp4"), **columns)
    with closing(Journal.open(folder)) as journal, pytest.raises(JournalProblem) as caught:
        journal.rows()
    assert "damaged row, number 1 of /videos/evil" in caught.value.message
    assert "cleanup --rebuild" in caught.value.hint


ANY = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=40),
    st.binary(max_size=40), st.sampled_from([UID, "created", "{}", "../" * 9, "NaN", "1" * 41]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS, ANY)))
@example({"options": "[" * 100_000})
def test_whatever_stands_in_a_row_it_is_an_attempt_or_refused(columns: dict[str, object]) -> None:
    values = [*(dict(zip(COLUMNS, rows.values_of(created()), strict=True)) | columns).values()]
    try:
        attempt = rows.attempt_of(values, rows.seal_of(values), 1)
        watched = rows.watched_of(rows.watch_of(attempt))
    except rows.Unsound:
        return
    assert attempt.uid is None or len(attempt.uid) == 32
    assert 0 <= attempt.offset <= attempt.file.size
    assert watched.id == attempt.id


def test_a_forged_watch_is_refused(folder: Path) -> None:
    with closing(Journal.open(folder)) as journal:
        journal.watch(intended(row=0))
        journal._db.execute("UPDATE watches SET inode = 'x'")
        with pytest.raises(JournalProblem, match="a watched marker"):
            journal.watches(intended().base, intended().account)


def test_every_released_version_of_the_journal_has_a_fixture_that_opens(folder: Path) -> None:
    released: dict[int, Callable[[Path, list[tuple[object, ...]]], None]] = {1: write_version_1}
    assert set(released) == set(range(1, SCHEMA_VERSION + 1))
    folder.parent.mkdir()
    known = [created(row=0), intended(row=0, id="2d" * 16), sent(row=0, uid="c3" * 16, told=True)]
    for version, write in released.items():
        here = folder.with_name(f"version {version}")
        write(here, [rows.values_of(one) for one in known])
        with closing(Journal.open(here)) as journal:
            assert [replace(row, row=0) for row in journal.rows()] == known


# --- a DELETE needs the remote marker ------------------------------------------------------------


@pytest.fixture
def scene(tmp_path: Path) -> Stage:
    return stage(tmp_path)


FOREIGN = f"1.{'9' * 32}.{'8' * 32}"


@pytest.mark.parametrize("url", ["https://upload.cloudflarestream.com/tus/x", None])
@pytest.mark.parametrize("at", [At.DISCARDING, At.CREATED])
@pytest.mark.parametrize(("marker", "whole"), [(FOREIGN, False), (FOREIGN, True), (None, True)])
def test_a_forged_row_deletes_no_video_of_others(
    scene: Stage, marker: str | None, *, whole: bool, at: At, url: str | None
) -> None:
    uid = scene.theirs(marker, whole=whole)
    row = stray if url is None else created
    base, account = _place(scene)
    forged = row(row=0, stage=at, doomed="orphan", uid=uid, url=url, base=base, account=account)
    _forge(scene.folder / "state", forged)
    with scene.session() as session:
        list(sweep(session, plan(session, Choice(orphans=True)), Choice(orphans=True)))
    assert "DELETE" not in scene.methods()
    assert [video["uid"] for video in scene.model.videos()] == [uid]


def test_a_row_being_discarded_is_asked_about_before_its_delete_is_repeated(scene: Stage) -> None:
    base, account = _place(scene)
    ours = created(row=0, stage=At.DISCARDING, doomed="orphan", base=base, account=account)
    uid = scene.theirs(ours.marker, whole=False)
    _forge(scene.folder / "state", replace(ours, uid=uid))
    with scene.session() as session:
        (swept,) = sweep(session, plan(session, Choice()), Choice())
    assert swept.outcome == "discarded"
    assert scene.methods()[:2] == ["GET", "DELETE"]


def _place(current: Stage) -> tuple[str, str]:
    with current.session() as session:
        return session.settings.base, session.settings.account


@pytest.mark.parametrize("url", ["https://evil.example/tus", "file:///etc/passwd", "\x00", "a b"])
def test_a_forged_upload_url_is_asked_for_nothing(scene: Stage, url: str) -> None:
    path = scene.file(6 * MIB)
    with scene.session() as session:
        session.journal.record(_row_of(scene, path, url=url))
    result = scene.send(path)
    assert {"HEAD", "PATCH"}.isdisjoint(scene.methods())
    # Nothing of it is on Stream: the row goes, and says why.
    assert (result.exit_code, result.cleanup) == (5, "confirmed"), result.error


def _row_of(current: Stage, path: Path, **facts: Any) -> Attempt:  # noqa: ANN401  facts of any kind
    from cfstream_upload.source import Source

    with Source.open(path) as source, current.session() as session:
        identity, base, account = source.identity, session.settings.base, session.settings.account
    return created(
        row=0, base=base, account=account, path=str(path), file=identity, since=None, **facts
    )


# --- words ---------------------------------------------------------------------------------------

WORDS: dict[str, tuple[int | None, int, str, str]] = {
    "full": (13, 0, "There is no room for the journal", "Make room"),
    "quota": (778, errno.EDQUOT, "no room for the journal /j (Disk quota exceeded)", "quota"),
    "larger than may be": (778, errno.EFBIG, "(File too large)", "ulimit -f"),
    "too many files": (14, errno.EMFILE, "(Too many open files)", "ulimit -n"),
    "read-only disk": (778, errno.EROFS, "(Read-only file system)", "Mount that disk"),
    "failing": (778, errno.EIO, "(Input/output error)", "The disk is failing"),
    "failing once": (1034, 0, "The disk with the journal /j failed", "system's log"),
    "read-only": (8, 0, "may not be written", "Make it writable"),
    "damaged": (11, 0, "is damaged", "cleanup --rebuild"),
    "no database": (26, 0, "is damaged", "cleanup --rebuild"),
    "memory": (7, 0, "not enough memory", "ulimit -v"),
    "held": (5, 0, "Another program holds the journal", "Close what has it open"),
    "else": (None, 0, "cannot be used (text)", "local disk"),
}


@pytest.mark.parametrize(("code", "cause", "message", "hint"), WORDS.values(), ids=WORDS)
def test_trouble_with_the_journal_is_told_in_words(
    code: int | None, cause: int, message: str, hint: str
) -> None:
    told = in_words(Path("/j"), code, "text", cause)
    assert message in told.message
    assert hint in told.hint
    assert told.exit_code == 10


def test_a_spent_quota_spends_the_reserve_as_a_full_disk_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite calls it an I/O error; a small write beside the journal tells what it is."""
    reserve, real = folder / "reserve", Journal._transact

    def short(journal: Journal, statements: Any) -> sqlite3.Cursor:  # noqa: ANN401  passed on
        if not reserve.exists():
            return real(journal, statements)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    def spent(path: Path) -> int:
        return errno.EDQUOT

    with closing(Journal.open(folder)) as journal:
        monkeypatch.setattr(Journal, "_transact", short)
        monkeypatch.setattr("cfstream_upload.journalfile.trouble_writing", spent)
        row = journal.record(intended(row=0))
        assert not reserve.exists()
        assert journal.rows() == [row]
        reserve.touch()
        monkeypatch.setattr("cfstream_upload.journalfile.trouble_writing", lambda _: errno.EIO)
        with pytest.raises(CfuploadError, match="Input/output error"):
            journal.record(intended(row=0, id="2d" * 16))
        assert reserve.exists()
    assert json.dumps(sorted(path.name for path in folder.iterdir())).count("journal") == 2
